/* SPDX-License-Identifier: MIT */
/*
 * Writers: what rt/writer.h says, on the simulated kernel.
 *
 * Random programs write, flush and sync pieces of known bytes, on a disk with delays, short
 * counts and errors, some without a task to write behind with, some cancelled on the way. The
 * file must hold what was taken, and the three positions must be true at any moment. Then single
 * promises: how much is under way, what an error, a cancel, a deadline and a power cut do.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <rt/rt.h>
#include <string.h>

#define SEEDS      400
#define UNIT       4096u
#define PIECE_ROOM 9000u

static unsigned char byte_at(uint64_t offset)
{
    return (unsigned char)(offset * 29 + (offset >> 8) * 5 + 1);
}

/* Whether the file "data" holds the bytes from `from` to `to`. */
static bool data_holds(uint64_t from, uint64_t to)
{
    size_t count;
    const unsigned char *bytes = sim_file_get("data", &count);

    if (bytes == NULL || (to > from && count < to)) {
        return false;
    }
    for (uint64_t i = from; i < to; i++) {
        if (bytes[i] != byte_at(i)) {
            return false;
        }
    }
    return true;
}

static size_t data_bytes(void)
{
    size_t count = 0;

    (void)sim_file_get("data", &count);
    return count;
}

struct scene {
    struct rand_state rand;
    struct rt_file *file;
    struct rt_writer *writer;
    struct rt_task *task;
    uint64_t offset; /* where it began */
    bool faults;
    bool cancels;
    int error; /* the writer's last word */
    uint64_t taken;
};

static struct rt_file *open_data(int more_flags)
{
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_CREAT | more_flags, 0644, RT_NEVER) == 0);
    return file;
}

static int write_bytes(struct rt_writer *writer, size_t bytes, size_t *done, rt_time deadline)
{
    static unsigned char buf[64 * UNIT];
    const uint64_t position = rt_writer_position(writer);

    for (size_t i = 0; i < bytes; i++) {
        buf[i] = byte_at(position + i);
    }
    return rt_writer_write(writer, buf, bytes, done, deadline);
}

/* 0, or an error that may be; the first of the disk is the last word. */
static void check_result(struct scene *scene, int r)
{
    if (r == -EIO && scene->error == 0) {
        T_CHECK(scene->faults);
        scene->error = r;
    }
    T_CHECK(r == 0 || r == scene->error || (r == -ECANCELED && scene->cancels) || r == -ETIME);
}

static void check_positions(const struct scene *scene)
{
    const uint64_t position = rt_writer_position(scene->writer);
    const uint64_t flushed = rt_writer_flushed(scene->writer);
    const uint64_t synced = rt_writer_synced(scene->writer);

    T_CHECK(scene->offset <= synced && synced <= flushed && flushed <= position);
    T_CHECK(data_holds(scene->offset, flushed));
}

static void write_some(struct scene *scene)
{
    const rt_time deadline = rand_chance(&scene->rand, 200) ? rt_in(RT_MICROSECONDS(30)) : RT_NEVER;
    const uint64_t position = rt_writer_position(scene->writer);
    const size_t bytes = rand_below(&scene->rand, PIECE_ROOM);
    size_t done = 0;
    const int r = write_bytes(scene->writer, bytes, &done, deadline);

    check_result(scene, r);
    T_CHECK(r == 0 ? done == bytes : done < bytes || bytes == 0);
    T_CHECK(rt_writer_position(scene->writer) == position + done);
    scene->taken += done;
}

static void flush_some(struct scene *scene)
{
    const int r = rt_writer_flush(scene->writer, RT_NEVER);

    check_result(scene, r);
    T_CHECK(r < 0 || rt_writer_flushed(scene->writer) == rt_writer_position(scene->writer));
}

static void sync_some(struct scene *scene)
{
    const int r = rt_writer_sync(scene->writer, RT_NEVER);

    check_result(scene, r);
    T_CHECK(r < 0 || rt_writer_synced(scene->writer) == rt_writer_position(scene->writer));
}

static int random_writes(void *arg)
{
    struct scene *scene = arg;
    uint64_t position;
    int r;

    for (unsigned i = 0; i < 30; i++) {
        switch (rand_below(&scene->rand, 8)) {
        case 0:
            flush_some(scene);
            break;
        case 1:
            sync_some(scene);
            break;
        default:
            write_some(scene);
            break;
        }
        check_positions(scene);
    }
    position = rt_writer_position(scene->writer);
    r = rt_writer_close(scene->writer);
    check_result(scene, r);
    if (r == 0) {
        T_CHECK(data_holds(scene->offset, position));
        T_CHECK(position == scene->offset || data_bytes() == position);
    }
    return 0;
}

static int random_first(void *arg)
{
    struct scene *scene = arg;
    struct rt_writer_options options = {
        .size = sizeof(options),
        .buffer_bytes = UNIT * (1 + (uint32_t)rand_below(&scene->rand, 3)),
        .behind = 1 + (uint32_t)rand_below(&scene->rand, 6),
    };

    scene->offset = rand_chance(&scene->rand, 500) ? 0 : rand_below(&scene->rand, 5 * UNIT);
    options.offset = scene->offset;
    scene->file = open_data(rand_chance(&scene->rand, 500) ? O_DIRECT : 0);
    T_CHECK(rt_writer_open(&scene->writer, scene->file, &options) == 0);
    T_CHECK(rt_spawn(&scene->task, random_writes, scene) == 0);
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
    static const struct sim_error errors[] = { { IORING_OP_WRITE, 20, -EIO },
                                               { IORING_OP_FSYNC, 20, -EIO } };
    struct scene scene = { .faults = seed % 3 == 0, .cancels = seed % 4 == 0 };
    struct sim_config kernel = { .seed = seed, .delay_max = RT_MICROSECONDS(100) };
    struct rt_config config = RT_CONFIG_INIT;

    rand_init(&scene.rand, seed * 91 + 7);
    if (scene.faults) {
        kernel.faults.errors = errors;
        kernel.faults.error_count = 2;
        kernel.faults.short_count = 200;
    }
    config.tasks_max = rand_chance(&scene.rand, 200) ? 2 : 0; /* no task to write behind with */
    sim_begin(&kernel);
    T_CHECK(rt_run(&config, random_first, &scene) == 0);
    T_CHECK(sim_end(NULL) == 0);
    return scene.taken;
}

static void the_file_holds_what_was_taken(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    uint64_t taken = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        taken += run_seed(rt_test_seed(i));
        if (t_failures() > 0) {
            fail_msg("replay with RT_SEED=%llu", (unsigned long long)rt_test_seed(i));
        }
    }
    assert_true(count < SEEDS || taken > (uint64_t)count * 10 * UNIT);
}

/* Single promises */

static void run_first(rt_task_fn first, const struct sim_config *kernel)
{
    sim_begin(kernel);
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    assert_int_equal(t_failures(), 0);
}

static struct rt_writer *open_writer(struct rt_file *file, uint32_t behind)
{
    const struct rt_writer_options options = { .size = sizeof(options),
                                               .buffer_bytes = UNIT,
                                               .behind = behind };
    struct rt_writer *writer = NULL;

    T_CHECK(rt_writer_open(&writer, file, &options) == 0);
    return writer;
}

static int behind_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_writer(file, 3);
    size_t done;

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(write_bytes(writer, 10 * UNIT, &done, rt_in(1000)) == -ETIME);
    T_CHECK(done == 4 * UNIT); /* three behind, one that was filled */
    T_CHECK(rt_writer_flushed(writer) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 100, SIM_NATURAL) == 4);
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == 0);
    T_CHECK(data_bytes() == 4 * UNIT && data_holds(0, 4 * UNIT));
    T_CHECK(rt_writer_close(writer) == 0 && rt_file_close(file) == 0);
    return 0;
}

static void so_many_buffers_are_under_way_and_no_more(void **state)
{
    (void)state;
    run_first(behind_first, &(struct sim_config){ .seed = 1 });
}

static uint64_t enters(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.enters;
}

/* Three buffers are copied in one call, which need not wait: only the first is there already, by
 * one enter. */
static int rested_first(void *arg)
{
    uint64_t before;
    struct rt_file *file = open_data(O_DIRECT);
    struct rt_writer *writer = open_writer(file, 4);
    size_t done;

    (void)arg;
    sim_hold(IORING_OP_WRITE_FIXED, SIM_RUNNING);
    before = enters();
    T_CHECK(write_bytes(writer, 3 * UNIT, &done, RT_NEVER) == 0 && done == 3 * UNIT);
    T_CHECK(enters() == before + 1);
    T_CHECK(sim_held(IORING_OP_WRITE_FIXED) == 1);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE_FIXED, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_writer_close(writer) == 0);
    T_CHECK(data_bytes() == 3 * UNIT && data_holds(0, 3 * UNIT));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_device_that_rests_gets_a_write_before_more_is_copied(void **state)
{
    (void)state;
    run_first(rested_first, &(struct sim_config){ .seed = 1 });
}

static int error_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_writer(file, 2);

    (void)arg;
    T_CHECK(write_bytes(writer, UNIT, NULL, RT_NEVER) == 0);
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == 0);
    sim_fail_next(IORING_OP_WRITE, -ENOSPC);
    T_CHECK(write_bytes(writer, UNIT, NULL, RT_NEVER) == 0); /* written behind */
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == -ENOSPC);
    T_CHECK(write_bytes(writer, 1, NULL, RT_NEVER) == -ENOSPC);
    T_CHECK(rt_writer_sync(writer, RT_NEVER) == -ENOSPC);
    T_CHECK(rt_writer_flushed(writer) == UNIT);
    T_CHECK(rt_writer_close(writer) == -ENOSPC && rt_file_close(file) == 0);
    return 0;
}

static void the_first_error_is_the_last_word(void **state)
{
    (void)state;
    run_first(error_first, &(struct sim_config){ .seed = 1 });
}

static struct rt_writer *open_reserving(struct rt_file *file)
{
    const struct rt_writer_options options = { .size = sizeof(options),
                                               .buffer_bytes = UNIT,
                                               .reserve_bytes = 16 * UNIT };
    struct rt_writer *writer = NULL;

    T_CHECK(rt_writer_open(&writer, file, &options) == 0);
    return writer;
}

static uint64_t allocated(struct rt_file *file)
{
    struct rt_file_stat stat = { 0 };

    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    return stat.allocated_bytes;
}

static int full_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_reserving(file);

    (void)arg;
    sim_fail_next(IORING_OP_FALLOCATE, -ENOSPC);
    T_CHECK(write_bytes(writer, 2 * UNIT, NULL, RT_NEVER) == -ENOSPC);
    T_CHECK(rt_writer_close(writer) == -ENOSPC);
    T_CHECK(data_bytes() == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_full_device_is_noticed_before_anything_is_written(void **state)
{
    (void)state;
    run_first(full_first, &(struct sim_config){ .seed = 1 });
}

static int reserved_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_reserving(file);

    (void)arg;
    T_CHECK(write_bytes(writer, UNIT, NULL, RT_NEVER) == 0);
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == 0);
    T_CHECK(allocated(file) == 16 * UNIT);
    sim_fail_next(IORING_OP_WRITE, -EIO);
    T_CHECK(write_bytes(writer, UNIT, NULL, RT_NEVER) == 0);
    T_CHECK(rt_writer_close(writer) == -EIO);
    T_CHECK(allocated(file) == UNIT && data_bytes() == UNIT);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_was_reserved_goes_back_after_an_error_too(void **state)
{
    (void)state;
    run_first(reserved_first, &(struct sim_config){ .seed = 1 });
}

static int sync_error_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_writer(file, 2);

    (void)arg;
    T_CHECK(write_bytes(writer, 10, NULL, RT_NEVER) == 0);
    sim_fail_next(IORING_OP_FSYNC, -EIO);
    T_CHECK(rt_writer_sync(writer, RT_NEVER) == -EIO);
    T_CHECK(rt_writer_sync(writer, RT_NEVER) == -EIO); /* which another sync would not know of */
    T_CHECK(rt_writer_synced(writer) == 0 && rt_writer_flushed(writer) == 10);
    T_CHECK(rt_writer_close(writer) == -EIO && rt_file_close(file) == 0);
    return 0;
}

static void a_sync_that_failed_is_not_forgotten(void **state)
{
    (void)state;
    run_first(sync_error_first, &(struct sim_config){ .seed = 1 });
}

static int cancelled_writer(void *arg)
{
    struct rt_file *file = arg;
    struct rt_writer *writer = open_writer(file, 2);

    T_CHECK(write_bytes(writer, UNIT + 100, NULL, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    return rt_writer_close(writer);
}

static int cancelled_first(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_task *task;
    int result = -1;

    (void)arg;
    T_CHECK(rt_spawn(&task, cancelled_writer, file) == 0);
    T_CHECK(rt_sleep_until(rt_in(1000)) == 0);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(data_bytes() == UNIT + 100 && data_holds(0, UNIT + 100));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_cancel_loses_nothing_that_was_taken(void **state)
{
    (void)state;
    run_first(cancelled_first, &(struct sim_config){ .seed = 1 });
}

/* The end of the shard cancels all tasks, those that write behind too. */
struct stopped {
    struct rt_event written;
    rt_time delay; /* of the end, after that */
    int closed;
};

static int stopped_writer(void *arg)
{
    struct stopped *stopped = arg;
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = open_writer(file, 3);

    T_CHECK(write_bytes(writer, 3 * UNIT + 100, NULL, RT_NEVER) == 0);
    rt_event_set(&stopped->written);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    stopped->closed = rt_writer_close(writer);
    return rt_file_close(file);
}

static int stopping_first(void *arg)
{
    struct stopped *stopped = arg;
    struct rt_task *task;

    T_CHECK(rt_spawn(&task, stopped_writer, stopped) == 0);
    rt_detach(task);
    T_CHECK(rt_event_wait(&stopped->written, RT_NEVER) == 0);
    return rt_sleep_until(rt_in(stopped->delay)); /* some have ended, some in part, some not */
}

static void what_was_taken_is_written_also_when_the_shard_ends(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 100; seed++) {
        struct sim_config kernel = { .seed = seed, .delay_max = RT_MICROSECONDS(100) };
        struct stopped stopped = { .written = RT_EVENT_INIT,
                                   .delay = RT_MICROSECONDS(5) * (seed / 2),
                                   .closed = 1 };

        kernel.faults.short_count = seed % 2 == 0 ? 500 : 0;
        sim_begin(&kernel);
        T_CHECK(rt_run(NULL, stopping_first, &stopped) == 0);
        T_CHECK(stopped.closed == 0);
        T_CHECK(data_bytes() == 3 * UNIT + 100 && data_holds(0, 3 * UNIT + 100));
        T_CHECK(sim_end(NULL) == 0);
    }
    assert_int_equal(t_failures(), 0);
}

static int options_first(void *arg)
{
    static const struct {
        struct rt_writer_options options;
        int result;
    } cases[] = {
        { { .buffer_bytes = 100 }, -EINVAL },
        { { .buffer_bytes = 32u << 20 }, -EINVAL },
        { { .behind = 65 }, -EINVAL },
        { { .reserved = 1 }, -EINVAL },
        { { .offset = UINT64_MAX }, -EINVAL },
        { RT_WRITER_OPTIONS_INIT, 0 },
        { { .reserve_bytes = UINT64_MAX }, -EINVAL },
    };
    struct rt_file *file = open_data(0);

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rt_writer *writer = NULL;

        T_CHECK(rt_writer_open(&writer, file, &cases[i].options) == cases[i].result);
        T_CHECK(rt_writer_close(writer) == 0); /* NULL too */
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    run_first(options_first, &(struct sim_config){ .seed = 1 });
}

static int huge_first(void *arg)
{
    const struct rt_writer_options options = { .offset = INT64_MAX - 10 };
    struct rt_file *file = open_data(0);
    struct rt_writer *writer = NULL;
    size_t done;

    (void)arg;
    T_CHECK(rt_writer_open(&writer, file, &options) == 0);
    T_CHECK(write_bytes(writer, 20, &done, RT_NEVER) == -EFBIG && done == 10);
    T_CHECK(rt_writer_close(writer) == -EFBIG); /* of the file system, too */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void no_file_is_larger_than_an_offset_can_say(void **state)
{
    (void)state;
    run_first(huge_first, &(struct sim_config){ .seed = 1 });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_holds_what_was_taken),
        cmocka_unit_test(so_many_buffers_are_under_way_and_no_more),
        cmocka_unit_test(a_device_that_rests_gets_a_write_before_more_is_copied),
        cmocka_unit_test(the_first_error_is_the_last_word),
        cmocka_unit_test(a_full_device_is_noticed_before_anything_is_written),
        cmocka_unit_test(what_was_reserved_goes_back_after_an_error_too),
        cmocka_unit_test(a_sync_that_failed_is_not_forgotten),
        cmocka_unit_test(a_cancel_loses_nothing_that_was_taken),
        cmocka_unit_test(what_was_taken_is_written_also_when_the_shard_ends),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(no_file_is_larger_than_an_offset_can_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
