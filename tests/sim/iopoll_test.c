/* SPDX-License-Identifier: MIT */
/*
 * Files for which the device is polled: what is told of it, what ends a transfer, and the way back.
 *
 * The simulated kernel ends a request on a polled ring only in an enter that asks for events, so a
 * shard that slept would sleep for ever. First each promise by itself, with requests that are held
 * or fail on purpose; then, with many seeds, tasks write and read under faults, deadlines and
 * cancels, and at some moment the device begins to refuse. Each call must have done what its
 * result says, and whatever the device said, no task hears of -EOPNOTSUPP.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"
#include "support/rand.h"

#define MS(n) RT_MILLISECONDS(n)
#define US(n) RT_MICROSECONDS(n)

#define BLOCK  512u
#define BLOCKS 64u
#define SIZE   (BLOCKS * BLOCK)

static char log_text[1024];
static unsigned log_lines;

static char contents[SIZE];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    log_lines++;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static struct rt_config config_of_runs(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = keep_line;
    log_lines = 0;
    log_text[0] = '\0';
    return config;
}

static void run_on(const struct sim_config *sim_config, rt_task_fn first)
{
    const struct rt_config config = config_of_runs();

    assert_int_equal(run_sim(sim_config, &config, first, NULL), 0);
}

static void run(rt_task_fn first)
{
    run_on(&(struct sim_config){ .seed = 1, .delay_min = US(20), .delay_max = US(40) }, first);
}

/* A file whose block n is full of the letter n. */
static void put_data(const char *path)
{
    for (unsigned i = 0; i < SIZE; i++) {
        contents[i] = (char)('0' + i / BLOCK);
    }
    sim_file_put(path, contents, SIZE);
}

static struct rt_file *open_polled(const char *path)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;

    options.flags = O_RDWR | O_DIRECT;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, path, &options, RT_NEVER) == 0);
    return file;
}

static struct rt_file *open_data(void)
{
    put_data("data");
    return open_polled("data");
}

static struct rt_stats counters(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats;
}

static bool is_polled(struct rt_file *file)
{
    struct rt_file_stat stat;

    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    return stat.polled == 1;
}

/* A transfer of one block in a task of its own. */
struct transfer {
    struct rt_file *file;
    rt_time deadline;
    unsigned block;
    char fill; /* of a write; 0: a read */
    char bytes[BLOCK] __attribute__((aligned(512)));
};

static struct transfer transfers[4 * BLOCKS + 300];

static struct transfer *transfer_of(unsigned index, struct rt_file *file, char fill)
{
    struct transfer *transfer = &transfers[index];

    *transfer = (struct transfer){ .file = file, .deadline = RT_NEVER, .fill = fill };
    transfer->block = index % BLOCKS;
    memset(transfer->bytes, fill, BLOCK);
    return transfer;
}

static int make_transfer(void *arg)
{
    struct transfer *this = arg;
    const uint64_t offset = (uint64_t)this->block * BLOCK;

    return this->fill != 0
               ? (int)rt_file_write_at(this->file, this->bytes, BLOCK, offset, this->deadline)
               : (int)rt_file_read_at(this->file, this->bytes, BLOCK, offset, this->deadline);
}

static bool has_read(const struct transfer *transfer, char letter)
{
    char expected[BLOCK];

    memset(expected, letter, BLOCK);
    return memcmp(transfer->bytes, expected, BLOCK) == 0;
}

static bool has_read_its_block(const struct transfer *transfer)
{
    return has_read(transfer, (char)('0' + transfer->block));
}

static struct rt_task *spawn(struct transfer *transfer)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, make_transfer, transfer) == 0);
    return task;
}

static void spawn_detached(rt_task_fn fn, struct transfer *transfer)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, transfer) == 0);
    rt_detach(task);
}

static int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static void read_side_by_side(struct rt_file *file, unsigned count)
{
    struct rt_task *tasks[4 * BLOCKS + 300];

    for (unsigned i = 0; i < count; i++) {
        tasks[i] = spawn(transfer_of(i, file, 0));
    }
    for (unsigned i = 0; i < count; i++) {
        T_CHECK(join(tasks[i]) == BLOCK && has_read_its_block(&transfers[i]));
    }
}

/* ---- the ring ---- */

static int use_one(void *arg)
{
    struct rt_stats before;
    struct rt_stats after;
    struct rt_file *file;
    char names[128];

    (void)arg;
    T_CHECK(sim_ring_count() == 1);
    (void)rt_features_format(names, sizeof(names));
    T_CHECK(strstr(names, "iopoll") == NULL);
    file = open_data();
    T_CHECK(sim_ring_count() == 2);
    (void)rt_features_format(names, sizeof(names));
    T_CHECK(strstr(names, "iopoll") != NULL);
    before = counters();
    T_CHECK(join(spawn(transfer_of(5, file, 0))) == BLOCK && has_read_its_block(&transfers[5]));
    T_CHECK(join(spawn(transfer_of(6, file, 'w'))) == BLOCK);
    T_CHECK(join(spawn(transfer_of(6, file, 0))) == BLOCK && has_read(&transfers[6], 'w'));
    after = counters();
    T_CHECK(after.polled_transfers - before.polled_transfers == 3 && after.polls_refused == 0);
    T_CHECK(after.submitted - before.submitted == 3 && after.completions - before.completions == 3);
    T_CHECK(after.sleeps == before.sleeps && after.ops_in_flight == 0);
    T_CHECK(is_polled(file) && log_lines == 0);
    T_CHECK(rt_file_close(file) == 0);
    file = open_polled("data");
    T_CHECK(sim_ring_count() == 2); /* the same one */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void transfers_move_the_right_data_and_the_shard_does_not_sleep_meanwhile(void **state)
{
    (void)state;
    run(use_one);
}

static int sleep_beside_a_file(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_stats before;
    struct rt_stats after;

    (void)arg;
    read_side_by_side(file, 1);
    before = counters();
    T_CHECK(rt_sleep_until(rt_in(MS(5))) == 0);
    after = counters();
    T_CHECK(after.sleeps - before.sleeps == 1 && after.enters - before.enters == 1);
    T_CHECK(rt_file_datasync(file, RT_NEVER) == 0); /* in the ordinary ring, where it can sleep */
    T_CHECK(counters().sleeps - after.sleeps == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_polled_file_that_nobody_uses_costs_no_turn(void **state)
{
    (void)state;
    run(sleep_beside_a_file);
}

static int use_misaligned(void *arg)
{
    struct rt_file *file = open_data();
    char bytes[8] = "";

    (void)arg;
    T_CHECK(rt_file_write_at(file, "abc", 3, BLOCK - 1, RT_NEVER) == 3);
    T_CHECK(rt_file_read_at(file, bytes, 5, BLOCK - 2, RT_NEVER) == 5);
    T_CHECK(memcmp(bytes, "0abc1", 5) == 0);
    T_CHECK(counters().polled_transfers == 4); /* two edges, a write, a read */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void misaligned_transfers_are_polled_for_too(void **state)
{
    (void)state;
    run(use_misaligned);
}

static int use_parts_and_buffers(void *arg)
{
    struct rt_file *file = open_data();
    struct iovec parts[2];
    struct rt_buffer *buffer = NULL;

    (void)arg;
    parts[0] = (struct iovec){ transfer_of(0, file, 0)->bytes, BLOCK };
    parts[1] = (struct iovec){ transfer_of(1, file, 0)->bytes, BLOCK };
    T_CHECK(rt_file_readv_at(file, parts, 2, 0, RT_NEVER) == 2 * BLOCK);
    T_CHECK(has_read(&transfers[0], '0') && has_read(&transfers[1], '1'));
    T_CHECK(rt_buffer_get(&buffer, 4096) == 0);
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 4096, 0, RT_NEVER) == 4096);
    T_CHECK(memcmp(rt_buffer_data(buffer), contents, 4096) == 0);
    rt_buffer_put(buffer);
    T_CHECK(counters().polled_transfers == 2);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void parts_and_buffers_of_the_library_are_polled_for_too(void **state)
{
    (void)state;
    run(use_parts_and_buffers);
}

static int use_more_than_fit(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *last;

    (void)arg;
    read_side_by_side(file, 4 * BLOCKS + 300);
    T_CHECK(sim_stats()->in_flight_max <= 256 + 2);
    sim_hold(IORING_OP_READ, SIM_DONE);
    for (unsigned i = 0; i < 256; i++) {
        spawn_detached(make_transfer, transfer_of(i, file, 0));
    }
    last = spawn(transfer_of(300, file, 0));
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    rt_cancel(last); /* it waits for room: nothing holds it */
    T_CHECK(join(last) == -ECANCELED);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 256, SIM_NATURAL) == 256);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(tasks_live() == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void more_than_fit_wait_for_room_in_turn(void **state)
{
    (void)state;
    run(use_more_than_fit);
}

/* ---- what cannot end it ---- */

static int end_what_is_in_flight(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *tasks[2];
    rt_time begin;

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_QUEUED); /* on the ordinary ring it could be cancelled */
    begin = rt_now();
    tasks[0] = spawn(transfer_of(0, file, 0));
    transfer_of(1, file, 0)->deadline = rt_in(US(50));
    tasks[1] = spawn(&transfers[1]);
    rt_yield();
    rt_cancel(tasks[0]);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(rt_now() - begin < MS(1) + US(10)); /* timers are met while devices are polled */
    T_CHECK(!rt_is_finished(tasks[0]) && !rt_is_finished(tasks[1]));
    T_CHECK(counters().cancels == 0 && counters().ops_in_flight == 2);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 2, SIM_NATURAL) == 2);
    T_CHECK(join(tasks[0]) == BLOCK && has_read_its_block(&transfers[0]));
    T_CHECK(join(tasks[1]) == BLOCK && has_read_its_block(&transfers[1]));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_transfer_that_has_begun_outlasts_cancel_and_deadline(void **state)
{
    (void)state;
    run(end_what_is_in_flight);
}

static struct rt_file *left_open;
static unsigned users; /* of it */

static void release_all(void *arg)
{
    (void)arg;
    sim_unhold();
    (void)sim_release(SIM_ANY, 3, SIM_NATURAL);
}

static int use_and_close(void *arg)
{
    T_CHECK(make_transfer(arg) == BLOCK);
    T_CHECK(--users > 0 || rt_file_close(left_open) == 0);
    return 0;
}

static int leave_them_in_flight(void *arg)
{
    (void)arg;
    left_open = open_data();
    sim_hold(IORING_OP_READ, SIM_DONE);
    users = 3;
    for (unsigned i = 0; i < 3; i++) {
        spawn_detached(use_and_close, transfer_of(i, left_open, 0));
    }
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    T_CHECK(counters().ops_in_flight == 3);
    sim_at(sim_now() + MS(1), release_all, NULL);
    return 0;
}

static void the_end_of_an_executor_waits_for_what_is_in_flight(void **state)
{
    (void)state;
    run(leave_them_in_flight);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(has_read_its_block(&transfers[i]));
    }
}

/* ---- faults of a transfer ---- */

static int fail_some(void *arg)
{
    struct rt_file *file = open_data();
    const uint64_t before = counters().submitted;
    char *bytes = transfer_of(0, file, 0)->bytes;

    (void)arg;
    sim_fail_next(IORING_OP_READ, -EIO);
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, 0, RT_NEVER) == -EIO);
    sim_fail_next(IORING_OP_READ, -EINTR);
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, 0, RT_NEVER) == -EINTR);
    sim_short_next(IORING_OP_READV, BLOCK);
    T_CHECK(rt_file_readv_at(
                file,
                (struct iovec[]){ { bytes, BLOCK }, { transfer_of(1, file, 0)->bytes, BLOCK } }, 2,
                0, RT_NEVER) == BLOCK);
    T_CHECK(has_read(&transfers[0], '0') && counters().submitted - before == 3);
    sim_fail_next(IORING_OP_READ, -EAGAIN); /* the poll queue was full, say */
    T_CHECK(rt_file_read_at(file, bytes, BLOCK, BLOCK, RT_NEVER) == BLOCK);
    T_CHECK(has_read(&transfers[0], '1') && counters().submitted - before == 5);
    T_CHECK(is_polled(file) && counters().polls_refused == 0 && log_lines == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void errors_and_short_counts_are_the_callers_but_not_a_want_of_room(void **state)
{
    (void)state;
    run(fail_some);
}

/* ---- the way back ---- */

static int use_refused(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_file *other;

    (void)arg;
    sim_file_refuse_polls("data");
    read_side_by_side(file, BLOCKS);
    T_CHECK(!is_polled(file) && counters().polls_refused == 1);
    T_CHECK(counters().polled_transfers == 0);
    T_CHECK(log_lines == 1 && strstr(log_text, "poll_queues") != NULL);
    put_data("other");
    sim_file_refuse_polls("other");
    other = open_polled("other");
    T_CHECK(is_polled(other)); /* not known to be the same, but for the log */
    read_side_by_side(other, 1);
    T_CHECK(!is_polled(other) && counters().polls_refused == 2 && log_lines == 1);
    T_CHECK(rt_file_close(other) == 0);
    put_data("third");
    other = open_polled("third");
    read_side_by_side(other, BLOCKS);
    T_CHECK(is_polled(other) && counters().polled_transfers == BLOCKS);
    T_CHECK(rt_file_close(other) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_device_that_refuses_is_told_once_and_no_transfer_is_lost(void **state)
{
    (void)state;
    run(use_refused);
}

static int refuse_in_the_middle(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *tasks[BLOCKS];
    struct rt_stats before;

    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++) {
        tasks[i] = spawn(transfer_of(i, file, i % 3 == 0 ? 'w' : 0));
        if (i == BLOCKS / 2) {
            T_CHECK(rt_sleep_until(rt_in(US(5))) == 0);
            T_CHECK(counters().ops_in_flight > BLOCKS / 4);
            sim_file_refuse_polls("data");
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        T_CHECK(join(tasks[i]) == BLOCK);
        T_CHECK(i % 3 == 0 || has_read_its_block(&transfers[i]));
    }
    before = counters();
    T_CHECK(before.polls_refused == 1 && before.polled_transfers >= BLOCKS / 4 && log_lines == 1);
    for (unsigned i = 0; i < BLOCKS; i += 3) {
        T_CHECK(join(spawn(transfer_of(i, file, 0))) == BLOCK && has_read(&transfers[i], 'w'));
    }
    T_CHECK(counters().polled_transfers == before.polled_transfers);
    T_CHECK(counters().sleeps > before.sleeps); /* the ordinary way */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_device_may_begin_to_refuse_with_many_in_flight(void **state)
{
    (void)state;
    run(refuse_in_the_middle);
}

static int end_and_refuse(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *tasks[2];

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_DONE);
    transfer_of(0, file, 'w')->deadline = rt_in(US(50));
    tasks[0] = spawn(&transfers[0]);
    tasks[1] = spawn(transfer_of(1, file, 'w'));
    rt_yield();
    rt_cancel(tasks[1]);
    T_CHECK(rt_sleep_until(rt_in(US(100))) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 2, -EOPNOTSUPP) == 2);
    T_CHECK(join(tasks[0]) == -ETIME && join(tasks[1]) == -ECANCELED);
    T_CHECK(memcmp(sim_file_get("data", &(size_t){ 0 }), contents, SIZE) == 0);
    T_CHECK(!is_polled(file));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_transfer_that_was_to_end_does_not_begin_again(void **state)
{
    (void)state;
    run(end_and_refuse);
}

static int cancel_after_the_way_back(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_task *task;

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    task = spawn(transfer_of(0, file, 0));
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    T_CHECK(sim_release(IORING_OP_READ, 1, -EOPNOTSUPP) == 1);
    T_CHECK(rt_sleep_until(rt_in(US(10))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 1 && !is_polled(file)); /* it is there again */
    rt_cancel(task); /* in the ordinary ring that ends it */
    T_CHECK(join(task) == -ECANCELED);
    sim_unhold();
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void in_the_ordinary_ring_it_can_be_cancelled_as_any_other(void **state)
{
    (void)state;
    run(cancel_after_the_way_back);
}

/* ---- there is no ring ---- */

static const char *cause; /* that the log has to name */

static int use_without(void *arg)
{
    struct rt_file *file = open_data();
    struct rt_file *other = open_polled("data");

    (void)arg;
    T_CHECK(sim_ring_count() == 1 && !is_polled(file) && !is_polled(other));
    T_CHECK(counters().polls_refused == 2 && log_lines == 1 && strstr(log_text, cause) != NULL);
    read_side_by_side(file, BLOCKS);
    T_CHECK(counters().polled_transfers == 0 && log_lines == 1);
    T_CHECK(rt_file_close(other) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void without_a_ring_files_work_and_the_log_says_why(void **state)
{
    struct rt_config config = config_of_runs();

    (void)state;
    cause = "EINVAL";
    run_on(&(struct sim_config){ .seed = 1, .no_iopoll = true }, use_without);
    cause = "RLIMIT_MEMLOCK";
    run_on(&(struct sim_config){ .seed = 1, .rings_max = 1 }, use_without);
    cause = "RT_DISABLE";
    config = config_of_runs();
    config.disable = "iopoll";
    assert_int_equal(run_sim(&(struct sim_config){ .seed = 1 }, &config, use_without, NULL), 0);
}

static int open_without_direct_io(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;

    (void)arg;
    options.flags = O_RDWR;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, "data", &options, RT_NEVER) == -EINVAL && file == NULL);
    T_CHECK(log_lines == 1 && strstr(log_text, "O_DIRECT") != NULL);
    options.flags |= O_DIRECT;
    options.buffered_ok = 1;
    T_CHECK(rt_file_open_with(&file, "data", &options, RT_NEVER) == 0);
    T_CHECK(!is_polled(file) && counters().polls_refused == 1 && sim_ring_count() == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_goes_through_the_page_cache_is_not_polled_for(void **state)
{
    (void)state;
    run_on(&(struct sim_config){ .seed = 1, .no_o_direct = true }, open_without_direct_io);
}

/* ---- others ---- */

struct reading {
    struct rt_future future;
    struct transfer *transfer;
};

static int poll_read(struct rt_future *future)
{
    const struct reading *this = (struct reading *)future;

    return rt_poll_file_read_at(future, this->transfer->file, this->transfer->bytes, BLOCK,
                                (uint64_t)this->transfer->block * BLOCK, RT_NEVER);
}

static int read_by_futures(void *arg)
{
    struct reading readings[BLOCKS];
    struct rt_task *tasks[BLOCKS];
    struct rt_file *file = open_data();

    (void)arg;
    for (unsigned i = 0; i < BLOCKS; i++) {
        readings[i] = (struct reading){ RT_FUTURE_INIT(poll_read, NULL), transfer_of(i, file, 0) };
        T_CHECK(rt_spawn_future(&tasks[i], &readings[i].future) == 0);
        if (i == BLOCKS / 2) {
            T_CHECK(rt_sleep_until(rt_in(US(5))) == 0);
            sim_file_refuse_polls("data");
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        T_CHECK(join(tasks[i]) == BLOCK && has_read_its_block(&transfers[i]));
    }
    T_CHECK(counters().polled_transfers > 0 && counters().polls_refused == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void futures_are_polled_for_too_and_go_back(void **state)
{
    (void)state;
    run(read_by_futures);
}

static rt_time charged_to(const struct rt_taskq *queue)
{
    struct rt_taskq_stats stats;

    rt_taskq_stats(queue, &stats, sizeof(stats));
    return stats.run;
}

static int read_in_a_row(void *arg)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        T_CHECK(make_transfer(transfer_of(i, arg, 0)) == BLOCK);
    }
    return 0;
}

/* Time passes in enters only. */
static int wait_in_two_queues(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_file *file = open_data();
    struct rt_taskq *queue = NULL;
    struct rt_task *task = NULL;
    rt_time before;
    rt_time begin;

    (void)arg;
    T_CHECK(rt_taskq_create(&queue, &options) == 0);
    begin = rt_now();
    before = charged_to(queue) + charged_to(rt_taskq_next(NULL));
    T_CHECK(rt_spawn_in(&task, queue, read_in_a_row, file) == 0);
    T_CHECK(join(task) == 0);
    T_CHECK(rt_now() - begin >= BLOCKS * US(20));
    T_CHECK(charged_to(queue) + charged_to(rt_taskq_next(NULL)) == before);
    T_CHECK(rt_taskq_destroy(queue) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void no_queue_is_charged_for_the_time_in_which_devices_are_only_polled(void **state)
{
    (void)state;
    run(wait_in_two_queues);
}

/* ---- a loop of somebody else's ---- */

static int steps;

static int read_in_a_loop(void *arg)
{
    struct rt_file *file = open_data();

    (void)arg;
    steps = 1;
    T_CHECK(make_transfer(transfer_of(0, file, 0)) == BLOCK && has_read_its_block(&transfers[0]));
    steps = 2;
    return rt_file_close(file);
}

static void a_turn_of_a_loop_asks_for_the_next_at_once(void **state)
{
    struct rt_runtime *loop = NULL;
    unsigned at_once = 0;
    rt_time next = 0;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1, .delay_min = US(20), .delay_max = US(20) });
    assert_int_equal(rt_loop_open(&loop, NULL, read_in_a_loop, NULL), 0);
    while (rt_loop_turn(loop, &next)) {
        if (next > sim_now()) {
            assert_true(steps != 1); /* the descriptor would not become readable */
            sim_advance(US(20));
        } else {
            at_once += steps == 1;
        }
    }
    assert_int_equal(steps, 2);
    assert_true(at_once > 10);
    assert_int_equal(rt_loop_close(loop), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- by chance ---- */

#define TASKS  6u
#define ROUNDS 20u

static struct {
    struct rt_file *file;
    char model[SIZE];
    unsigned next;
    bool begins_to_refuse;
    unsigned errors; /* over all seeds, so that none of the outcomes was missed */
    unsigned late;
    unsigned refused;
    unsigned polled;
} chance;

/* Task t has block n if n % TASKS == t: of several blocks in a row it writes only its own. */
static void do_one(struct rand_state *rand, unsigned task)
{
    struct transfer *transfer = transfer_of(task, chance.file, 0);
    char *model;
    int n;

    transfer->block = (unsigned)rand_below(rand, BLOCKS / TASKS) * TASKS + task;
    transfer->deadline = rand_chance(rand, 200) ? rt_in((rt_time)rand_below(rand, US(300)))
                                                : RT_NEVER;
    model = chance.model + (size_t)transfer->block * BLOCK;
    if (rand_chance(rand, 500)) {
        transfer->fill = (char)('A' + rand_below(rand, 26));
        memset(transfer->bytes, transfer->fill, BLOCK);
    }
    n = make_transfer(transfer);
    T_CHECK(n == BLOCK || n < 0);
    T_CHECK(n != -EOPNOTSUPP);
    if (n > 0 && transfer->fill != 0) {
        memset(model, transfer->fill, BLOCK);
    } else if (n > 0) {
        T_CHECK(memcmp(transfer->bytes, model, BLOCK) == 0);
    }
    chance.late += n == -ETIME;
    chance.errors += n < 0 && n != -ETIME;
}

static int do_some(void *arg)
{
    const unsigned task = chance.next++;
    struct rand_state rand;

    (void)arg;
    rand_init(&rand, sim_seed() * TASKS + task);
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (chance.begins_to_refuse && task == 0 && i == ROUNDS / 2) {
            sim_file_refuse_polls("data");
        }
        do_one(&rand, task);
    }
    return 0;
}

static int live_with_faults(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_group tasks = RT_GROUP_INIT;
    struct rt_stats stats;
    int r;

    (void)arg;
    options.flags = O_RDWR | O_DIRECT;
    options.polled = 1;
    put_data("data");
    memcpy(chance.model, contents, SIZE);
    chance.next = 0;
    do {
        r = rt_file_open_with(&chance.file, "data", &options, RT_NEVER);
    } while (r < 0);
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&tasks, do_some, NULL) == 0);
    }
    do {
        r = rt_group_leave(&tasks, RT_NEVER);
    } while (r < 0);
    stats = counters();
    chance.refused += (unsigned)stats.polls_refused;
    chance.polled += (unsigned)stats.polled_transfers;
    T_CHECK(stats.polls_refused == log_lines && stats.stale == 0);
    T_CHECK(memcmp(sim_file_get("data", &(size_t){ 0 }), chance.model, SIZE) == 0);
    (void)rt_file_close(chance.file);
    return 0;
}

static void under_faults_by_chance_each_call_did_what_its_count_says(void **state)
{
    static const struct sim_error errors[] = { { IORING_OP_READ, 60, -EIO },
                                               { IORING_OP_WRITE, 60, -ENOSPC },
                                               { IORING_OP_READ, 60, -EAGAIN } };
    struct rt_config config;

    (void)state;
    memset(&chance, 0, sizeof(chance));
    for (unsigned i = 0; i < rt_test_seed_count(60); i++) {
        struct sim_config sim_config = sim_config_chaos(rt_test_seed(i));

        sim_config.faults.errors = errors;
        sim_config.faults.error_count = sizeof(errors) / sizeof(errors[0]);
        sim_config.faults.short_count = 0; /* of one block there is none */
        chance.begins_to_refuse = rt_test_seed(i) % 2 == 0;
        config = config_of_runs();
        config.disk_models = rt_test_seed(i) % 3 == 0 ? "learn" : NULL;
        assert_int_equal(run_sim(&sim_config, &config, live_with_faults, NULL), 0);
    }
    if (rt_test_seed_count(60) == 60) { /* with one seed there may be none */
        assert_true(chance.errors > 0 && chance.late > 0);
        assert_true(chance.refused > 0 && chance.refused < 60 && chance.polled > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfers_move_the_right_data_and_the_shard_does_not_sleep_meanwhile),
        cmocka_unit_test(a_polled_file_that_nobody_uses_costs_no_turn),
        cmocka_unit_test(misaligned_transfers_are_polled_for_too),
        cmocka_unit_test(parts_and_buffers_of_the_library_are_polled_for_too),
        cmocka_unit_test(more_than_fit_wait_for_room_in_turn),
        cmocka_unit_test(a_transfer_that_has_begun_outlasts_cancel_and_deadline),
        cmocka_unit_test(the_end_of_an_executor_waits_for_what_is_in_flight),
        cmocka_unit_test(errors_and_short_counts_are_the_callers_but_not_a_want_of_room),
        cmocka_unit_test(a_device_that_refuses_is_told_once_and_no_transfer_is_lost),
        cmocka_unit_test(a_device_may_begin_to_refuse_with_many_in_flight),
        cmocka_unit_test(a_transfer_that_was_to_end_does_not_begin_again),
        cmocka_unit_test(in_the_ordinary_ring_it_can_be_cancelled_as_any_other),
        cmocka_unit_test(without_a_ring_files_work_and_the_log_says_why),
        cmocka_unit_test(what_goes_through_the_page_cache_is_not_polled_for),
        cmocka_unit_test(futures_are_polled_for_too_and_go_back),
        cmocka_unit_test(no_queue_is_charged_for_the_time_in_which_devices_are_only_polled),
        cmocka_unit_test(a_turn_of_a_loop_asks_for_the_next_at_once),
        cmocka_unit_test(under_faults_by_chance_each_call_did_what_its_count_says),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take the feature away */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
