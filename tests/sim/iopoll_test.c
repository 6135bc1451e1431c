/* SPDX-License-Identifier: MIT */
/*
 * Files for which the device is polled: what is told of it, and what ends a transfer.
 *
 * The simulated kernel ends a request on a polled ring only in an enter that asks for events, so a
 * shard that slept would sleep for ever. Requests are held at a stage while a task is cancelled,
 * its deadline passes, or the executor ends. What faults and refusals do is in iopoll_refused_test.
 */
#include "polled_file.h"

#include <liburing.h>
#include <stdlib.h>

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

/* ---- others ---- */

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
        cmocka_unit_test(no_queue_is_charged_for_the_time_in_which_devices_are_only_polled),
        cmocka_unit_test(a_turn_of_a_loop_asks_for_the_next_at_once),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take the feature away */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
