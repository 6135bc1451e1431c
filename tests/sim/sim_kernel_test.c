/* SPDX-License-Identifier: MIT */
/*
 * The simulated kernel keeps the rules of the real one that tests rely on.
 *
 * Method: a ring driver of a few lines speaks to it through os/sys.h, as the
 * runtime does. This file: rings, completions and time; sim_objects_test.c: files
 * and sockets; sim_faults_test.c: cancels and faults; sim_differential_test.c
 * runs random programs on both kernels.
 */
#include "support/harness.h"

#include <errno.h>

#include "sim_fixture.h"

/* ---- setup and register ---- */

static void setup_imitates_the_chosen_kernel(void **state)
{
    struct driver driver;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&driver, 5, 0, DEFER) >= 0);
    assert_int_equal(driver.params.sq_entries, 8);
    assert_int_equal(driver.params.cq_entries, 16);
    assert_int_equal(driver.params.features, 0x3ffff);
    driver_close(&driver);
    assert_int_equal(driver_open(&driver, 8, 0, 1U << 30), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 0, IORING_SETUP_DEFER_TASKRUN), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 0, IORING_SETUP_TASKRUN_FLAG), -EINVAL);
    assert_int_equal(driver_open(&driver, 0, 0, 0), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 4, 0), -EINVAL);
    assert_int_equal(driver_open(&driver, 40000, 0, 0), -EINVAL);
    assert_true(driver_open(&driver, 40000, 0, IORING_SETUP_CLAMP) >= 0);
    driver_close(&driver);
    assert_int_equal(sim_end(NULL), 0);

    sim_begin(&(struct sim_config){ .seed = 1, .kernel = SIM_KERNEL_6_1 });
    assert_int_equal(driver_open(&driver, 8, 0, DEFER), -EINVAL); /* NO_SQARRAY */
    assert_true(driver_open(&driver, 8, 0, DEFER & ~DRIVER_NO_SQARRAY) >= 0);
    assert_int_equal(driver.params.features, 0x1fff);
    assert_int_equal(driver_enter_for(&driver, 0, -1, 1U << 7), -EINVAL); /* NO_IOWAIT */
    driver_close(&driver);
    assert_int_equal(sim_end(NULL), 0);

    sim_begin(&(struct sim_config){ .seed = 1, .setup_result = -EPERM });
    assert_int_equal(driver_open(&driver, 8, 0, 0), -EPERM);
    assert_int_equal(sim_end(NULL), 0);
}

static void registration_works(void **state)
{
    union {
        struct io_uring_probe probe;
        char bytes[sizeof(struct io_uring_probe) + 64 * sizeof(struct io_uring_probe_op)];
    } answer;
    struct io_uring_rsrc_update update = { .offset = UINT32_MAX };
    uint32_t workers[2] = { 4, 8 };

    (void)state;
    begin(&(struct sim_config){ .seed = 1, .opcodes_missing = 1ULL << IORING_OP_MSG_RING });
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_PROBE, &answer, 64), 0);
    assert_int_equal(answer.probe.last_op, 62);
    assert_true((answer.probe.ops[IORING_OP_RECV].flags & IO_URING_OP_SUPPORTED) != 0);
    assert_true((answer.probe.ops[IORING_OP_MSG_RING].flags & IO_URING_OP_SUPPORTED) == 0);
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2),
                     0);
    assert_int_equal(rti_sys_uring_register(ring.fd, 99, NULL, 0), -EINVAL);

    update.data = (unsigned)ring.fd;
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_RING_FDS, &update, 1), 1);
    assert_int_equal(update.offset, 0);
    driver_sqe(&ring, IORING_OP_NOP, 7);
    *driver_word(&ring, ring.params.sq_off.tail) = ring.tail;
    assert_int_equal(rti_sys_uring_enter(0, 1, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), 1);
    assert_int_equal(driver_take(&ring).user_data, 7);
    update.data = 0;
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_UNREGISTER_RING_FDS, &update, 1), 1);
    assert_int_equal(rti_sys_uring_enter(0, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), -EBADF);
    assert_int_equal(rti_sys_uring_enter(-1, 0, 0, 0, NULL, 0), -EBADF);
    assert_int_equal(rti_sys_uring_enter(1, 0, 0, 0, NULL, 0), -EOPNOTSUPP);
    end();
}

static void the_array_of_indices_is_honoured(void **state)
{
    struct driver old;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&old, 4, 0, 0) >= 0);
    driver_word(&old, old.params.sq_off.array)[0] = 3;
    old.sqes[3] = (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = 33 };
    old.tail = 1;
    assert_int_equal(driver_submit(&old), 1);
    assert_int_equal(driver_take(&old).user_data, 33);
    driver_word(&old, old.params.sq_off.array)[1] = 77;
    old.tail = 2;
    assert_int_equal(driver_submit(&old), 0);
    assert_int_equal(*driver_word(&old, old.params.sq_off.dropped), 1);
    driver_close(&old);
    assert_int_equal(sim_end(NULL), 0);
}

/* ---- completions ---- */

static void deferred_completions_come_20_per_enter(void **state)
{
    struct sim_config config = { .seed = 1, .delay_min = 1000, .delay_max = 1000 };

    (void)state;
    begin(&config);
    for (unsigned i = 0; i < 60; i++) {
        driver_sqe(&ring, IORING_OP_NOP, i);
    }
    assert_int_equal(driver_submit(&ring), 60);
    assert_int_equal(driver_flags(&ring), 0);
    sim_advance(1000);
    assert_int_equal(driver_flags(&ring), IORING_SQ_TASKRUN);
    assert_int_equal(driver_submit(&ring), 0); /* no GETEVENTS: nothing becomes visible */
    assert_int_equal(driver_ready(&ring), 0);
    assert_int_equal(sim_ring_owed(ring.fd), 60);
    assert_int_equal(driver_wait(&ring, 1), 0);
    assert_int_equal(driver_ready(&ring), 20);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 40);
    assert_int_equal(driver_flags(&ring), IORING_SQ_TASKRUN);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 60);
    assert_int_equal(driver_flags(&ring), 0);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(driver_take(&ring).user_data, i);
        driver_sqe(&ring, IORING_OP_NOP, i);
    }
    assert_int_equal(driver_submit(&ring), 60);
    sim_advance(1000);
    assert_int_equal(driver_wait(&ring, 45), 0); /* more when more are asked for */
    assert_int_equal(driver_ready(&ring), 45);
    sim_post();
    assert_int_equal(driver_ready(&ring), 60);
    end();
}

static void without_defer_completions_come_by_themselves(void **state)
{
    struct driver plain;
    struct sim_config config = { .seed = 1, .delay_min = 1000, .delay_max = 1000 };

    (void)state;
    sim_begin(&config);
    assert_true(driver_open(&plain, 8, 0, 0) >= 0);
    driver_sqe(&plain, IORING_OP_NOP, 1);
    assert_int_equal(driver_submit(&plain), 1);
    assert_int_equal(driver_ready(&plain), 0);
    sim_advance(1000);
    assert_int_equal(driver_ready(&plain), 1); /* by interrupt */
    driver_close(&plain);
    assert_true(driver_open(&plain, 8, 0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG) >=
                0);
    driver_sqe(&plain, IORING_OP_NOP, 1);
    assert_int_equal(driver_submit(&plain), 1);
    sim_advance(1000);
    assert_int_equal(driver_ready(&plain), 0); /* at the next enter of any kind */
    assert_int_equal(driver_flags(&plain), IORING_SQ_TASKRUN);
    assert_int_equal(driver_submit(&plain), 0);
    assert_int_equal(driver_ready(&plain), 1);
    driver_close(&plain);
    assert_int_equal(sim_end(NULL), 0);
}

static void a_full_queue_loses_nothing_and_keeps_order(void **state)
{
    struct driver small;
    unsigned next = 0;

    (void)state;
    for (unsigned busy = 0; busy < 2; busy++) {
        sim_begin(&(struct sim_config){ .seed = 1, .busy_on_overflow = busy == 1 });
        assert_true(driver_open(&small, 8, 8, DEFER) >= 0);
        for (unsigned i = 0; i < 20; i++) {
            driver_sqe(&small, IORING_OP_NOP, i);
            if (busy == 0 || i < 9) {
                assert_int_equal(driver_submit(&small), 1);
            } else {
                assert_int_equal(driver_submit(&small), -EBUSY);
                small.tail--; /* not consumed: take it back */
            }
        }
        assert_int_equal(driver_ready(&small), 8);
        assert_int_equal(driver_flags(&small), IORING_SQ_CQ_OVERFLOW);
        assert_int_equal(sim_stats()->overflows, busy == 1 ? 1 : 12);
        assert_int_equal(*driver_word(&small, small.params.cq_off.overflow), 0);
        for (next = 0; driver_ready(&small) > 0; next++) {
            assert_int_equal(driver_take(&small).user_data, next);
            if (driver_ready(&small) == 0) {
                assert_int_equal(driver_wait(&small, 0), 0);
            }
        }
        assert_int_equal(next, busy == 1 ? 9 : 20);
        assert_int_equal(driver_flags(&small), 0);
        driver_close(&small);
        assert_int_equal(sim_end(NULL), 0);
    }
}

static void a_bad_request_stops_the_batch_unless_submit_all(void **state)
{
    struct driver plain;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&plain, 8, 0, 0) >= 0);
    driver_sqe(&plain, 255, 1);
    driver_sqe(&plain, IORING_OP_NOP, 2);
    assert_int_equal(driver_wait(&plain, 2), 1);
    assert_int_equal(driver_take(&plain).result, -EINVAL);
    assert_int_equal(driver_wait(&plain, 1), 1);
    assert_int_equal(driver_take(&plain).result, 0);
    driver_close(&plain);
    assert_true(driver_open(&ring, 8, 0, DEFER) >= 0);
    driver_sqe(&ring, 255, 1);
    driver_sqe(&ring, IORING_OP_NOP, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    driver_sqe(&ring, IORING_OP_CLOSE, 3)->flags = IOSQE_CQE_SKIP_SUCCESS;
    driver_sqe(&ring, IORING_OP_CLOSE, 4)->len = 1;
    assert_int_equal(driver_submit(&ring), 4);
    assert_int_equal(driver_ready(&ring), 3);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    assert_int_equal(driver_take(&ring).result, -EBADF);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    end();
}

/* ---- time ---- */

static void a_wait_jumps_to_the_next_event(void **state)
{
    struct __kernel_timespec length = { .tv_sec = 3 };
    rt_time start;

    (void)state;
    begin_plain();
    start = rti_sys_now();
    assert_int_equal(start, sim_now());
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &length, 1, 5);
    assert_int_equal(driver_wait(&ring, 1), 1);
    assert_int_equal(rti_sys_now(), start + RT_SECONDS(3));
    assert_int_equal(driver_take(&ring).result, -ETIME);
    assert_int_equal(sim_stats()->jumps, 1);
    end();
}

static void a_wait_ends_at_its_timeout(void **state)
{
    struct __kernel_timespec length = { .tv_sec = 5 };
    rt_time start;

    (void)state;
    begin_plain();
    start = sim_now();
    assert_int_equal(driver_enter_for(&ring, 1, 7000, GETEVENTS), -ETIME);
    assert_int_equal(sim_now(), start + 7000);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &length, 1, 5);
    /* what was submitted counts before the timeout, and a visible CQE hides it */
    assert_int_equal(driver_enter_for(&ring, 2, 7000, GETEVENTS), 2);
    assert_int_equal(driver_enter_for(&ring, 2, 7000, GETEVENTS), 0);
    assert_int_equal(sim_now(), start + 21000);
    /* ABS_TIMER: the argument is a moment */
    assert_int_equal(driver_take(&ring).result, 0);
    assert_int_equal(driver_enter_for(&ring, 1, start + 30000, GETEVENTS | (1U << 5)), -ETIME);
    assert_int_equal(sim_now(), start + 30000);
    assert_int_equal(driver_result(&ring), -ETIME);
    end();
}

/* min_wait_usec: for so long wait for all, from then on for one. */
static void a_wait_gathers_for_a_while(void **state)
{
    struct __kernel_timespec soon = { .tv_nsec = 1000 };
    struct __kernel_timespec late = { .tv_sec = 1 };
    struct io_uring_getevents_arg arg = { .pad = 50 };
    rt_time start;

    (void)state;
    begin_plain();
    start = sim_now();
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &soon, 1, 1);
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &late, 1, 2);
    assert_int_equal(driver_submit(&ring), 2);
    assert_int_equal(
        rti_sys_uring_enter(ring.fd, 0, 2, GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), 0);
    assert_int_equal(sim_now(), start + 50000);
    assert_int_equal(driver_take(&ring).user_data, 1);
    assert_int_equal(
        rti_sys_uring_enter(ring.fd, 0, 2, GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), 0);
    assert_int_equal(sim_now(), start + RT_SECONDS(1));
    assert_int_equal(driver_take(&ring).user_data, 2);
    end();
}

static unsigned hook_calls;

static void hook(void *arg)
{
    hook_calls++;
    if (arg != NULL) {
        (void)sim_peer_send(*(int *)arg, "x", 1);
    }
}

static void hooks_run_at_their_time_and_in_order(void **state)
{
    char byte = 0;
    int peer;
    int fd;

    (void)state;
    begin_plain();
    hook_calls = 0;
    fd = connect_peer(&peer);
    sim_at(sim_now() + 500, hook, NULL);
    sim_at(sim_now() + 100, hook, &peer);
    assert_int_equal(sim_next_event(), sim_now() + 100);
    driver_io(&ring, IORING_OP_RECV, fd, &byte, 1, 1);
    assert_int_equal(driver_result(&ring), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(hook_calls, 1);
    assert_true(sim_step());
    assert_int_equal(hook_calls, 2);
    assert_false(sim_step());
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
}

static unsigned deadlocks;

static void on_deadlock(void *arg)
{
    (void)arg;
    deadlocks++;
    if (deadlocks == 1) {
        sim_release(IORING_OP_NOP, 1, 123);
    }
}

static void a_wait_for_nothing_is_a_deadlock(void **state)
{
    (void)state;
    deadlocks = 0;
    begin(&(struct sim_config){ .seed = 1, .deadlock = on_deadlock });
    sim_hold(IORING_OP_NOP, SIM_QUEUED);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    assert_int_equal(driver_wait(&ring, 1), 1);
    assert_int_equal(deadlocks, 1);
    assert_int_equal(driver_take(&ring).result, 123);
    assert_int_equal(driver_wait(&ring, 1), -EDEADLK);
    assert_int_equal(deadlocks, 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_imitates_the_chosen_kernel),
        cmocka_unit_test(registration_works),
        cmocka_unit_test(the_array_of_indices_is_honoured),
        cmocka_unit_test(deferred_completions_come_20_per_enter),
        cmocka_unit_test(without_defer_completions_come_by_themselves),
        cmocka_unit_test(a_full_queue_loses_nothing_and_keeps_order),
        cmocka_unit_test(a_bad_request_stops_the_batch_unless_submit_all),
        cmocka_unit_test(a_wait_jumps_to_the_next_event),
        cmocka_unit_test(a_wait_ends_at_its_timeout),
        cmocka_unit_test(a_wait_gathers_for_a_while),
        cmocka_unit_test(hooks_run_at_their_time_and_in_order),
        cmocka_unit_test(a_wait_for_nothing_is_a_deadlock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
