/* SPDX-License-Identifier: MIT */
/*
 * Readers: what rt/reader.h says, on the simulated kernel.
 *
 * Random programs read, peek, consume and seek in a file of known bytes, on a disk with delays,
 * short counts and errors, some with a limit of tasks that leaves none for reading ahead, some
 * cancelled on the way; what they get is compared with the file. Then single promises: how far it
 * reads ahead, and what an error, the end, a deadline and a wrong call do.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <rt/rt.h>
#include <string.h>

#include "support/death.h"

#define SEEDS      400
#define BYTES_MAX  (40u * 4096)
#define UNIT       4096u
#define CHUNK_ROOM 9000u

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

static bool is_data(const void *bytes, size_t count, uint64_t offset)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < count; i++) {
        if (at[i] != byte_at(offset + i)) {
            return false;
        }
    }
    return true;
}

struct scene {
    struct rand_state rand;
    size_t file_bytes;
    struct rt_file *file;
    struct rt_reader *reader;
    struct rt_task *task;
    bool faults;
    bool cancels;
    uint64_t read;
};

static struct rt_file *open_data(int flags)
{
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open(&file, "data", flags, 0, RT_NEVER) == 0);
    return file;
}

static bool may_fail(const struct scene *scene, ssize_t n)
{
    return (scene->faults && (n == -EIO || n == -EINTR || n == -EAGAIN || n == -ENOMEM)) ||
           (scene->cancels && n == -ECANCELED) || n == -ETIME;
}

/* How much the file has from the position on. */
static size_t left(const struct scene *scene)
{
    const uint64_t position = rt_reader_position(scene->reader);

    return position < scene->file_bytes ? scene->file_bytes - (size_t)position : 0;
}

static void read_some(struct scene *scene)
{
    static unsigned char buf[CHUNK_ROOM];
    const size_t bytes = 1 + rand_below(&scene->rand, CHUNK_ROOM);
    const uint64_t position = rt_reader_position(scene->reader);
    const size_t most = left(scene) < bytes ? left(scene) : bytes;
    const ssize_t n = rt_reader_read(scene->reader, buf, bytes, RT_NEVER);

    if (n < 0) {
        T_CHECK(may_fail(scene, n));
        return;
    }
    T_CHECK((size_t)n == most || (scene->faults && n > 0) || scene->cancels);
    T_CHECK(is_data(buf, (size_t)n, position));
    T_CHECK(rt_reader_position(scene->reader) == position + (uint64_t)n);
    scene->read += (uint64_t)n;
}

static void peek_some(struct scene *scene)
{
    const rt_time deadline = rand_chance(&scene->rand, 200) ? rt_in(RT_MICROSECONDS(20)) : RT_NEVER;
    const void *data;
    const ssize_t n = rt_reader_peek(scene->reader, &data, deadline);

    if (n < 0) {
        T_CHECK(may_fail(scene, n));
        return;
    }
    T_CHECK((size_t)n <= left(scene) && (n > 0 || left(scene) == 0));
    if (n > 0) {
        T_CHECK(is_data(data, (size_t)n, rt_reader_position(scene->reader)));
        rt_reader_consume(scene->reader, rand_below(&scene->rand, (uint64_t)n + 1));
    }
}

static void seek_some(struct scene *scene)
{
    const uint64_t offset = rand_chance(&scene->rand, 500)
                                ? rt_reader_position(scene->reader) +
                                      rand_below(&scene->rand, 3 * UNIT)
                                : rand_below(&scene->rand, scene->file_bytes + 2 * UNIT);

    T_CHECK(rt_reader_seek(scene->reader, offset) == 0);
    T_CHECK(rt_reader_position(scene->reader) == offset);
}

static int random_reads(void *arg)
{
    struct scene *scene = arg;

    for (unsigned i = 0; i < 60; i++) {
        switch (rand_below(&scene->rand, 8)) {
        case 0:
            seek_some(scene);
            break;
        case 1:
        case 2:
            peek_some(scene);
            break;
        default:
            read_some(scene);
            break;
        }
    }
    rt_reader_close(scene->reader);
    return 0;
}

static int random_first(void *arg)
{
    struct scene *scene = arg;
    const struct rt_reader_options options = {
        .size = sizeof(options),
        .buffer_bytes = UNIT * (1 + (uint32_t)rand_below(&scene->rand, 3)),
        .ahead = 1 + (uint32_t)rand_below(&scene->rand, 6),
        .offset = rand_below(&scene->rand, scene->file_bytes + 1),
    };

    scene->file = open_data(rand_chance(&scene->rand, 500) ? O_RDONLY | O_DIRECT : O_RDONLY);
    T_CHECK(rt_reader_open(&scene->reader, scene->file, &options) == 0);
    T_CHECK(rt_spawn(&scene->task, random_reads, scene) == 0);
    if (scene->cancels) {
        (void)rt_sleep_until(rt_in((rt_time)rand_below(&scene->rand, 1000000)));
        rt_cancel(scene->task);
    }
    T_CHECK(rt_join(scene->task, NULL, RT_NEVER) == 0);
    T_CHECK(rt_file_close(scene->file) == 0);
    return 0;
}

static uint64_t run_seed(uint64_t seed)
{
    static const struct sim_error errors[] = { { IORING_OP_READ, 30, -EIO } };
    struct scene scene = { .faults = seed % 3 == 0, .cancels = seed % 4 == 0 };
    struct sim_config kernel = { .seed = seed, .delay_max = RT_MICROSECONDS(100), .poison = true };
    struct rt_config config = RT_CONFIG_INIT;

    rand_init(&scene.rand, seed * 77 + 3);
    scene.file_bytes = rand_below(&scene.rand, BYTES_MAX);
    if (scene.faults) {
        kernel.faults.errors = errors;
        kernel.faults.error_count = 1;
        kernel.faults.short_count = 200;
    }
    config.tasks_max = rand_chance(&scene.rand, 200) ? 2 : 0; /* no task to read ahead with */
    sim_begin(&kernel);
    put_data(scene.file_bytes);
    T_CHECK(rt_run(&config, random_first, &scene) == 0);
    T_CHECK(sim_end(NULL) == 0);
    return scene.read;
}

static void whatever_is_read_is_what_the_file_holds(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    uint64_t read = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        read += run_seed(rt_test_seed(i));
        if (t_failures() > 0) {
            fail_msg("replay with RT_SEED=%llu", (unsigned long long)rt_test_seed(i));
        }
    }
    assert_true(count < SEEDS || read > (uint64_t)count * BYTES_MAX / 8);
}

/* Single promises */

static void run_first(rt_task_fn first, const struct sim_config *kernel, size_t bytes)
{
    sim_begin(kernel);
    put_data(bytes);
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    assert_int_equal(t_failures(), 0);
}

static struct rt_reader *open_reader(struct rt_file *file, uint32_t ahead)
{
    const struct rt_reader_options options = { .size = sizeof(options),
                                               .buffer_bytes = UNIT,
                                               .ahead = ahead };
    struct rt_reader *reader = NULL;

    T_CHECK(rt_reader_open(&reader, file, &options) == 0);
    return reader;
}

/* Take one buffer; `work` passes before the next is wanted. */
static void take(struct rt_reader *reader, rt_time work)
{
    const void *data;
    const ssize_t n = rt_reader_peek(reader, &data, RT_NEVER);

    T_CHECK(n == UNIT);
    rt_reader_consume(reader, UNIT);
    if (work > 0) {
        T_CHECK(rt_sleep_until(rt_in(work)) == 0);
    }
}

static int hasty_first(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 8);

    (void)arg;
    T_CHECK(rt_reader_ahead(reader) == 0);
    take(reader, 0);
    T_CHECK(rt_reader_ahead(reader) == 0);
    for (unsigned i = 0; i < 12; i++) {
        take(reader, 0);
    }
    T_CHECK(rt_reader_ahead(reader) == 8);
    T_CHECK(sim_stats()->in_flight_max == 9 + 1); /* one is the shard's own */
    T_CHECK(rt_reader_seek(reader, 0) == 0 && rt_reader_ahead(reader) == 0);
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void whoever_waits_for_the_disk_gets_more_read_ahead(void **state)
{
    (void)state;
    run_first(hasty_first,
              &(struct sim_config){
                  .seed = 1, .delay_min = RT_MICROSECONDS(100), .delay_max = RT_MICROSECONDS(100) },
              BYTES_MAX);
}

static int leisurely_first(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 8);

    (void)arg;
    for (unsigned i = 0; i < 20; i++) {
        take(reader, RT_MILLISECONDS(1));
    }
    T_CHECK(rt_reader_ahead(reader) == 1); /* more is never missed */
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void whoever_is_slower_than_the_disk_has_one_buffer_ahead(void **state)
{
    (void)state;
    run_first(leisurely_first,
              &(struct sim_config){
                  .seed = 1, .delay_min = RT_MICROSECONDS(100), .delay_max = RT_MICROSECONDS(100) },
              BYTES_MAX);
}

static int error_first(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 1);
    char buf[10];

    (void)arg;
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_reader_read(reader, buf, sizeof(buf), RT_NEVER) == -EIO);
    T_CHECK(rt_reader_position(reader) == 0);
    T_CHECK(rt_reader_read(reader, buf, sizeof(buf), RT_NEVER) == sizeof(buf));
    T_CHECK(is_data(buf, sizeof(buf), 0));
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void after_an_error_the_next_call_tries_again(void **state)
{
    (void)state;
    run_first(error_first, &(struct sim_config){ .seed = 1 }, 100);
}

static int growing_first(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 4);
    char buf[200];

    (void)arg;
    T_CHECK(rt_reader_read(reader, buf, sizeof(buf), RT_NEVER) == 100);
    T_CHECK(rt_reader_read(reader, buf, sizeof(buf), RT_NEVER) == 0);
    put_data(150);
    T_CHECK(rt_reader_read(reader, buf, sizeof(buf), RT_NEVER) == 50);
    T_CHECK(is_data(buf, 50, 100));
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_comes_behind_the_end_later_is_read_too(void **state)
{
    (void)state;
    run_first(growing_first, &(struct sim_config){ .seed = 1 }, 100);
}

static int late_first(void *arg)
{
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 4);
    const void *data;

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    T_CHECK(rt_reader_peek(reader, &data, rt_in(1000)) == -ETIME);
    T_CHECK(rt_reader_peek(reader, &data, 0) == -ETIME);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 100, SIM_NATURAL) > 0);
    T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == 100 && is_data(data, 100, 0));
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_read_goes_on_behind_a_deadline_that_passed(void **state)
{
    (void)state;
    run_first(late_first, &(struct sim_config){ .seed = 1 }, 100);
}

/* The end of the shard cancels all tasks, those that read ahead too. */
struct stopped {
    struct rt_event begun;
    size_t read;
    bool same;
};

static int stopped_reader(void *arg)
{
    struct stopped *stopped = arg;
    struct rt_file *file = open_data(O_RDONLY);
    struct rt_reader *reader = open_reader(file, 3);
    struct rt_scope shield;
    const void *data;
    ssize_t n;

    rt_shield(&shield, RT_NEVER);
    rt_event_set(&stopped->begun);
    while ((n = rt_reader_peek(reader, &data, RT_NEVER)) > 0) {
        stopped->same = stopped->same && is_data(data, (size_t)n, stopped->read);
        stopped->read += (size_t)n;
        rt_reader_consume(reader, (size_t)n);
    }
    rt_scope_leave(&shield);
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
    return (int)n;
}

static int stopping_first(void *arg)
{
    struct stopped *stopped = arg;
    struct rt_task *task;

    T_CHECK(rt_spawn(&task, stopped_reader, stopped) == 0);
    rt_detach(task);
    T_CHECK(rt_event_wait(&stopped->begun, RT_NEVER) == 0);
    return rt_sleep_until(rt_in(RT_MICROSECONDS(300)));
}

static void a_shielded_task_reads_on_when_the_shard_ends(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 100; seed++) {
        struct sim_config kernel = { .seed = seed, .delay_max = RT_MICROSECONDS(100) };
        struct stopped stopped = { .begun = RT_EVENT_INIT, .same = true };

        kernel.faults.short_count = seed % 2 == 0 ? 500 : 0;
        sim_begin(&kernel);
        put_data(20 * UNIT + 100);
        T_CHECK(rt_run(NULL, stopping_first, &stopped) == 0);
        T_CHECK(stopped.read == 20 * UNIT + 100 && stopped.same);
        T_CHECK(sim_end(NULL) == 0);
    }
    assert_int_equal(t_failures(), 0);
}

static int options_first(void *arg)
{
    static const struct {
        struct rt_reader_options options;
        int result;
    } cases[] = {
        { { .buffer_bytes = 4095 }, -EINVAL },
        { { .buffer_bytes = 32u << 20 }, -EINVAL },
        { { .ahead = 65 }, -EINVAL },
        { { .reserved = 1 }, -EINVAL },
        { { .offset = (uint64_t)INT64_MAX + 1 }, -EINVAL },
        { { .buffer_bytes = 16u << 20, .ahead = 1 }, 0 },
        { RT_READER_OPTIONS_INIT, 0 },
    };
    struct rt_file *file = open_data(O_RDONLY);

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_reader *reader = NULL;

        T_CHECK(rt_reader_open(&reader, file, &cases[i].options) == cases[i].result);
        if (reader != NULL) {
            T_CHECK(rt_reader_seek(reader, UINT64_MAX) == -EINVAL);
            rt_reader_close(reader);
        }
    }
    rt_reader_close(NULL);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    run_first(options_first, &(struct sim_config){ .seed = 1 }, 100);
}

static struct rt_stats stats(void)
{
    struct rt_stats now;

    rt_stats_get(&now, sizeof(now));
    return now;
}

/* Two buffers of the file, by a reader that has two. */
static void read_two(struct rt_file *file, uint64_t of_pool)
{
    struct rt_reader *reader = open_reader(file, 1);
    const void *data;

    T_CHECK(stats().buffers_in_use == of_pool);
    for (uint64_t i = 0; i < 2; i++) {
        T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == UNIT && is_data(data, UNIT, i * UNIT));
        rt_reader_consume(reader, UNIT);
    }
    rt_reader_close(reader);
}

static int pool_first(void *arg)
{
    struct rt_file *direct = open_data(O_RDONLY | O_DIRECT);
    struct rt_file *buffered = open_data(O_RDONLY);
    const uint64_t *by_opcode = sim_stats()->by_opcode;
    struct rt_buffer *all[4];

    (void)arg;
    read_two(buffered, 0);
    T_CHECK(by_opcode[IORING_OP_READ_FIXED] == 0 && stats().buffer_bytes == 0);
    read_two(direct, 2);
    T_CHECK(by_opcode[IORING_OP_READ_FIXED] >= 2 && stats().buffers_in_use == 0);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(rt_buffer_get(&all[i], RT_BUFFER_BYTES_MAX) == 0);
    }
    read_two(direct, 4); /* there is none left: counted, and done without */
    T_CHECK(stats().buffers_refused == 2);
    for (unsigned i = 0; i < 4; i++) {
        rt_buffer_put(all[i]);
    }
    T_CHECK(rt_file_close(buffered) == 0 && rt_file_close(direct) == 0);
    return 0;
}

static void a_direct_file_is_read_into_buffers_of_the_pool_while_it_has_any(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.buffer_bytes = 1; /* 4 MiB, the least */
    sim_begin(&(struct sim_config){ .seed = 1 });
    put_data(BYTES_MAX);
    assert_int_equal(rt_run(&config, pool_first, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int greedy_first(void *arg)
{
    struct rt_file *file;
    struct rt_reader *reader;
    const void *data;

    (void)arg;
    put_data(100);
    file = open_data(O_RDONLY);
    reader = open_reader(file, 1);
    T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == 100);
    rt_reader_consume(reader, 60);
    rt_reader_consume(reader, 41);
    return 0;
}

static void consuming_more_than_was_peeked_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(greedy_first, "rt_reader_consume(): 41 bytes of 40 that were peeked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_read_is_what_the_file_holds),
        cmocka_unit_test(whoever_waits_for_the_disk_gets_more_read_ahead),
        cmocka_unit_test(whoever_is_slower_than_the_disk_has_one_buffer_ahead),
        cmocka_unit_test(after_an_error_the_next_call_tries_again),
        cmocka_unit_test(what_comes_behind_the_end_later_is_read_too),
        cmocka_unit_test(a_read_goes_on_behind_a_deadline_that_passed),
        cmocka_unit_test(a_shielded_task_reads_on_when_the_shard_ends),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_direct_file_is_read_into_buffers_of_the_pool_while_it_has_any),
        cmocka_unit_test(consuming_more_than_was_peeked_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
