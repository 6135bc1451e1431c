/* SPDX-License-Identifier: MIT */
/*
 * Many parts of a file: what rt/read_many.h says, on the simulated kernel.
 *
 * Random sets of ranges, near and far, long and empty, overlapping and beyond the end, are read
 * from a file of known bytes: buffered and direct, on a disk with delays, short counts and errors,
 * some with a limit of tasks that leaves the caller alone, some cancelled or late. What each range
 * says that it has is compared with the file. Then single promises: how many reads are made, how
 * many at once, and what an error, a deadline and a cancel leave.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <rt/rt.h>
#include <string.h>

#define SEEDS      1500
#define UNIT       4096u
#define BYTES_MAX  (40u * UNIT)
#define RANGES_MAX 24u
#define ROOM       (5u * UNIT)
#define GUARD      0xee

static unsigned char byte_at(uint64_t offset)
{
    return (unsigned char)(offset * 31 + (offset >> 8) * 7);
}

static void put_data(size_t count)
{
    static unsigned char bytes[BYTES_MAX];

    for (size_t i = 0; i < count; i++) {
        bytes[i] = byte_at(i);
    }
    sim_file_put("data", bytes, count);
}

static struct rt_file *open_data(int flags)
{
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open(&file, "data", flags, 0, RT_NEVER) == 0);
    return file;
}

/* The bytes of the range are the file's, and none behind it was touched. */
static bool is_right(const struct rt_read_range *range)
{
    const unsigned char *at = range->buf;

    for (size_t i = 0; i < (size_t)range->result; i++) {
        if (at[i] != byte_at(range->offset + i)) {
            return false;
        }
    }
    return at[range->bytes] == GUARD;
}

/* Random sets */

static struct {
    struct rand_state rand;
    struct rt_file *file;
    struct rt_read_range ranges[RANGES_MAX];
    size_t count;
    size_t file_bytes;
    bool faults;
    bool ends; /* by a cancel or a deadline */
    int result;
    uint64_t read;
} scene;

static unsigned char memory[RANGES_MAX][ROOM + UNIT + 1] __attribute__((aligned(4096)));

static void draw_ranges(void)
{
    struct rand_state *rand = &scene.rand;
    const uint64_t spread = rand_chance(rand, 300) ? 6 * UNIT : BYTES_MAX + 2 * UNIT;

    memset(memory, GUARD, sizeof(memory));
    scene.count = rand_below(rand, RANGES_MAX + 1);
    for (size_t i = 0; i < scene.count; i++) {
        struct rt_read_range *range = &scene.ranges[i];
        const size_t most = rand_chance(rand, 500) ? 300 : ROOM;

        range->offset = rand_below(rand, spread);
        range->bytes = rand_below(rand, most);
        range->buf = memory[i] + rand_below(rand, 2) * 13;
        if (rand_chance(rand, 200)) { /* goes straight */
            range->offset -= range->offset % UNIT;
            range->bytes -= range->bytes % UNIT;
        }
    }
}

static bool may_fail(ssize_t n)
{
    return (scene.faults && (n == -EIO || n == -EINTR || n == -EAGAIN || n == -ENOMEM)) ||
           (scene.ends && (n == -ECANCELED || n == -ETIME));
}

static void check_ranges(void)
{
    bool failed = false;

    for (size_t i = 0; i < scene.count; i++) {
        const struct rt_read_range *range = &scene.ranges[i];
        const size_t left = range->offset < scene.file_bytes ? scene.file_bytes - range->offset : 0;
        const size_t there = left < range->bytes ? left : range->bytes;

        if (range->result < 0) {
            T_CHECK(may_fail(range->result));
            failed = true;
        } else {
            T_CHECK((size_t)range->result == there && is_right(range));
            scene.read += there;
        }
    }
    T_CHECK(failed ? scene.result < 0 : scene.result == 0 || may_fail(scene.result));
}

static int random_read(void *arg)
{
    struct rand_state *rand = &scene.rand;
    struct rt_file *file = scene.file;
    const struct rt_read_many_options options = {
        .size = sizeof(options),
        .parallel = 1 + (uint32_t)rand_below(rand, 6),
        .read_bytes = UNIT * (1 + (uint32_t)rand_below(rand, 3)),
        .gap_bytes = 1 + (uint32_t)rand_below(rand, UNIT),
    };
    const rt_time deadline = scene.ends && rand_chance(rand, 500)
                                 ? rt_in((rt_time)rand_below(rand, 400000))
                                 : RT_NEVER;

    (void)arg;
    scene.result = rt_read_many(file, scene.ranges, scene.count,
                                rand_chance(rand, 200) ? NULL : &options, deadline);
    return 0;
}

static int random_first(void *arg)
{
    struct rt_task *task;

    (void)arg;
    draw_ranges();
    scene.file = open_data(rand_chance(&scene.rand, 500) ? O_RDONLY | O_DIRECT : O_RDONLY);
    T_CHECK(rt_spawn(&task, random_read, NULL) == 0);
    rt_yield();
    if (scene.ends) {
        (void)rt_sleep_until(rt_in((rt_time)rand_below(&scene.rand, 800000)));
        rt_cancel(task);
    }
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(rt_file_close(scene.file) == 0);
    return 0;
}

static void run_seed(uint64_t seed)
{
    static const struct sim_error errors[] = { { IORING_OP_READ, 60, -EIO } };
    struct sim_config kernel = { .seed = seed, .delay_max = RT_MICROSECONDS(100), .poison = true };
    struct rt_config config = RT_CONFIG_INIT;

    rand_init(&scene.rand, seed * 77 + 3);
    scene.faults = seed % 3 == 0;
    scene.ends = seed % 4 == 0;
    scene.file_bytes = rand_below(&scene.rand, BYTES_MAX);
    if (scene.faults) {
        kernel.faults.errors = errors;
        kernel.faults.error_count = 1;
        kernel.faults.short_count = 200;
    }
    config.tasks_max = rand_chance(&scene.rand, 200) ? 2 : 0; /* the caller is alone */
    sim_begin(&kernel);
    put_data(scene.file_bytes);
    T_CHECK(rt_run(&config, random_first, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    check_ranges();
}

static void whatever_a_range_has_is_what_the_file_holds(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);

    (void)state;
    scene.read = 0;
    for (unsigned i = 0; i < count; i++) {
        run_seed(rt_test_seed(i));
        if (t_failures() > 0) {
            fail_msg("replay with RT_SEED=%llu", (unsigned long long)rt_test_seed(i));
        }
    }
    assert_true(count < SEEDS || scene.read > (uint64_t)count * 4 * UNIT);
}

/* Single promises */

static void run(rt_task_fn first)
{
    sim_begin(&(struct sim_config){
        .seed = 1, .delay_min = RT_MICROSECONDS(10), .delay_max = RT_MICROSECONDS(20) });
    put_data(BYTES_MAX);
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    assert_int_equal(t_failures(), 0);
}

/* `count` ranges of 100 bytes, `step` apart. */
static struct rt_read_range *lay_out(size_t count, uint64_t step)
{
    memset(memory, GUARD, sizeof(memory));
    for (size_t i = 0; i < count; i++) {
        scene.ranges[i] = (struct rt_read_range){
            .offset = i * step, .bytes = 100, .buf = memory[i], .result = 77
        };
    }
    return scene.ranges;
}

static uint64_t reads(void)
{
    return sim_stats()->by_opcode[IORING_OP_READ];
}

static const struct rt_read_many_options narrow = {
    .size = sizeof(narrow), .parallel = 2, .read_bytes = UNIT, .gap_bytes = 500
};

static int merge(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    uint64_t before = reads();

    (void)arg;
    T_CHECK(rt_read_many(file, lay_out(20, 600), 20, NULL, RT_NEVER) == 0);
    T_CHECK(reads() - before == 1); /* all near */
    before = reads();
    T_CHECK(rt_read_many(file, lay_out(20, 601), 20, &narrow, RT_NEVER) == 0);
    T_CHECK(reads() - before == 20); /* one byte too far */
    before = reads();
    T_CHECK(rt_read_many(file, lay_out(20, 600), 20, &narrow, RT_NEVER) == 0);
    T_CHECK(reads() - before == 3); /* seven fit into a read of 4096 bytes */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void ranges_are_read_together_as_the_options_say(void **state)
{
    (void)state;
    run(merge);
}

static struct rt_file *held_file;
static struct rt_read_many_options held_options;
static rt_time held_deadline;

static int read_held(void *arg)
{
    (void)arg;
    return rt_read_many(held_file, scene.ranges, 20, &held_options, held_deadline);
}

static int count_parallel(void *arg)
{
    static const uint32_t parallel[] = { 1, 2, 7, 100 };

    (void)arg;
    held_file = open_data(O_RDONLY);
    held_options = narrow;
    held_deadline = RT_NEVER;
    for (unsigned i = 0; i < sizeof(parallel) / sizeof(parallel[0]); i++) {
        struct rt_task *task;
        int r = -1;

        (void)lay_out(20, 5000);
        held_options.parallel = parallel[i];
        sim_hold(IORING_OP_READ, SIM_RUNNING);
        T_CHECK(rt_spawn(&task, read_held, NULL) == 0);
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
        T_CHECK(sim_held(IORING_OP_READ) == (parallel[i] < 20 ? parallel[i] : 20));
        sim_unhold();
        (void)sim_release(IORING_OP_READ, 20, SIM_NATURAL);
        T_CHECK(rt_join(task, &r, RT_NEVER) == 0 && r == 0);
    }
    T_CHECK(rt_file_close(held_file) == 0);
    return 0;
}

static void as_many_reads_as_allowed_are_under_way(void **state)
{
    (void)state;
    run(count_parallel);
}

static int fail_one(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_read_range *ranges = lay_out(6, 5000);

    (void)arg;
    ranges[4].offset = INT64_MAX;
    ranges[5].offset = BYTES_MAX - 60;
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_read_many(file, ranges, 6, &narrow, RT_NEVER) == -EIO);
    T_CHECK(ranges[0].result == -EIO && ranges[4].result == -EINVAL && ranges[5].result == 60);
    for (unsigned i = 1; i < 4; i++) {
        T_CHECK(ranges[i].result == 100 && is_right(&ranges[i]));
    }
    ranges[4].offset = UINT64_MAX;
    T_CHECK(rt_read_many(file, ranges, 6, &narrow, RT_NEVER) == -EINVAL);
    T_CHECK(rt_read_many(file, NULL, 0, NULL, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

/* The eighth would not fit into the read of the first seven: it is not cut in two. */
static int fail_the_read_before(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_read_range *ranges = lay_out(8, 580);

    (void)arg;
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_read_many(file, ranges, 8, &narrow, RT_NEVER) == -EIO);
    T_CHECK(ranges[0].result == -EIO && ranges[6].result == -EIO && ranges[7].result == 100);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_range_that_fits_into_a_read_is_not_cut(void **state)
{
    (void)state;
    run(fail_the_read_before);
}

/* Of a direct file whole blocks are read, so also what is before the range. */
static int read_within_blocks(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY | O_DIRECT);
    struct rt_read_range *range = lay_out(1, 0);

    (void)arg;
    *range = (struct rt_read_range){ .offset = 13, .bytes = UNIT - 13, .buf = memory[0] + 13 };
    T_CHECK(rt_read_many(file, range, 1, NULL, RT_NEVER) == 0);
    T_CHECK(range->result == UNIT - 13 && is_right(range));
    for (unsigned i = 0; i < 13; i++) {
        T_CHECK(memory[0][i] == GUARD);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void nothing_before_the_memory_is_touched(void **state)
{
    (void)state;
    run(read_within_blocks);
}

static void a_range_that_fails_fails_alone(void **state)
{
    (void)state;
    run(fail_one);
}

/* Two reads are with the device when the call is ended: two thirds of the first range, and in them
 * the whole of the second. */
static void end_in_flight(int reason)
{
    const uint64_t before = reads();
    struct rt_task *task;
    int r = 0;

    lay_out(20, 5000)[0].bytes = (size_t)3 * UNIT;
    held_deadline = reason == -ETIME ? rt_in(RT_SECONDS(1)) : RT_NEVER;
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    T_CHECK(rt_spawn(&task, read_held, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(2))) == 0);
    if (reason == -ECANCELED) {
        rt_cancel(task);
        T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(1))) == 0);
    }
    T_CHECK(sim_held(IORING_OP_READ) == 2 && !rt_is_finished(task)); /* it waits for them */
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 2, SIM_NATURAL) == 2);
    T_CHECK(rt_join(task, &r, RT_NEVER) == 0);
    T_CHECK(r == reason && reads() - before == 2);
    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(scene.ranges[i].result == (i == 1 ? 100 : reason));
    }
    T_CHECK(is_right(&scene.ranges[1]));
}

static int end_both(void *arg)
{
    uint64_t before;

    (void)arg;
    held_file = open_data(O_RDONLY);
    held_options = narrow;
    end_in_flight(-ETIME);
    end_in_flight(-ECANCELED);
    before = reads();
    T_CHECK(rt_read_many(held_file, lay_out(20, 5000), 20, &narrow, 0) == -ETIME);
    T_CHECK(reads() == before && scene.ranges[0].result == -ETIME);
    T_CHECK(rt_file_close(held_file) == 0);
    return 0;
}

static void what_was_not_begun_is_not_read(void **state)
{
    (void)state;
    run(end_both);
}

/* The end of the shard cancels all tasks, those that help too. */
static bool has_begun;

static int read_shielded(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_read_range *ranges = lay_out(20, 5000);
    struct rt_scope shield;

    (void)arg;
    rt_shield(&shield, RT_NEVER);
    has_begun = true;
    T_CHECK(rt_read_many(file, ranges, 20, &narrow, RT_NEVER) == 0);
    rt_scope_leave(&shield);
    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(ranges[i].result == 100 && is_right(&ranges[i]));
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static int end_soon(void *arg)
{
    struct rt_task *task;

    (void)arg;
    has_begun = false;
    T_CHECK(rt_spawn(&task, read_shielded, NULL) == 0);
    rt_detach(task);
    while (!has_begun) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(1))) == 0);
    }
    return rt_sleep_until(rt_in(RT_MICROSECONDS(5)));
}

static void a_shielded_task_reads_all_when_the_shard_ends(void **state)
{
    (void)state;
    run(end_soon);
}

static int refuse_options(void *arg)
{
    static const struct rt_read_many_options wrong[] = {
        { .size = sizeof(wrong[0]), .parallel = 257 },
        { .size = sizeof(wrong[0]), .read_bytes = 4095 },
        { .size = sizeof(wrong[0]), .read_bytes = 16 * 1024 * 1024 + 4096 },
        { .size = sizeof(wrong[0]), .gap_bytes = 1024 * 1024 + 1 },
    };
    struct rt_file *file = open_data(O_RDONLY);

    (void)arg;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        T_CHECK(rt_read_many(file, lay_out(1, 1), 1, &wrong[i], RT_NEVER) == -EINVAL);
        T_CHECK(scene.ranges[0].result == 77);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    run(refuse_options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_a_range_has_is_what_the_file_holds),
        cmocka_unit_test(ranges_are_read_together_as_the_options_say),
        cmocka_unit_test(as_many_reads_as_allowed_are_under_way),
        cmocka_unit_test(a_range_that_fails_fails_alone),
        cmocka_unit_test(a_range_that_fits_into_a_read_is_not_cut),
        cmocka_unit_test(nothing_before_the_memory_is_touched),
        cmocka_unit_test(what_was_not_begun_is_not_read),
        cmocka_unit_test(a_shielded_task_reads_all_when_the_shard_ends),
        cmocka_unit_test(options_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
