/* SPDX-License-Identifier: MIT */
/*
 * What wakes a ring: event counters, polls of them, messages of other rings.
 *
 * Method: each program runs twice, on the real kernel where there is io_uring and on
 * the simulated one, and must see the same completions. So what the simulation
 * claims about Linux is checked on Linux. Faults are tried on the simulated one.
 */
#include "support/harness.h"

#include <errno.h>
#include <poll.h>

#include "sim_fixture.h"

/* Run the program on both kernels. */
static void on_both(void (*program)(void))
{
    assert_false(sim_is_active());
    if (driver_open(&ring, 8, 8, DEFER) >= 0) {
        program();
        driver_close(&ring);
    } else {
        print_message("no io_uring here: only the simulated kernel is tried\n");
    }
    sim_begin(&(struct sim_config){ .seed = rt_test_seed(0) });
    assert_true(driver_open(&ring, 8, 8, DEFER) >= 0);
    program();
    end();
}

static struct io_uring_sqe *poll_counter(int fd, uint32_t len, uint64_t user_data)
{
    struct io_uring_sqe *sqe = driver_io(&ring, IORING_OP_POLL_ADD, fd, NULL, len, user_data);

    sqe->poll32_events = POLLIN;
    return sqe;
}

/* Submit, take in what is done, and expect one completion. */
static void expect(struct driver *driver, uint64_t user_data, int32_t result, uint32_t flags)
{
    struct driver_cqe cqe;

    assert_true(driver_enter_for(driver, 0, -1, GETEVENTS) >= 0);
    assert_int_equal(driver_ready(driver), 1);
    cqe = driver_take(driver);
    assert_int_equal(cqe.user_data, user_data);
    assert_int_equal(cqe.result, result);
    assert_int_equal(cqe.flags, flags);
}

static void expect_nothing(struct driver *driver)
{
    assert_true(driver_enter_for(driver, 0, -1, GETEVENTS) >= 0);
    assert_int_equal(driver_ready(driver), 0);
}

/* Cancels the request and expects both completions, in either order. */
static void expect_cancelled(uint64_t user_data)
{
    unsigned seen = 0;

    assert_int_equal(cancel(user_data, 0, -1), 1);
    assert_int_equal(driver_wait(&ring, 2), 0);
    while (driver_ready(&ring) > 0) {
        const struct driver_cqe cqe = driver_take(&ring);

        assert_int_equal(cqe.flags, 0);
        assert_int_equal(cqe.result, cqe.user_data == user_data ? -ECANCELED : 0);
        seen |= cqe.user_data == user_data ? 1U : 2U;
    }
    assert_int_equal(seen, 3);
}

/* ---- event counters ---- */

static void run_counter(void)
{
    const int fd = rti_sys_eventfd();

    assert_true(fd >= 0);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    poll_counter(fd, 0, 1);
    expect(&ring, 1, POLLIN, 0);
    assert_int_equal(rti_sys_close(fd), 0);
    assert_int_equal(rti_sys_eventfd_signal(fd), -EBADF);
}

static void a_counter_keeps_signals(void **state)
{
    (void)state;
    on_both(run_counter);
}

static void run_single_poll(void)
{
    const int fd = rti_sys_eventfd();

    poll_counter(fd, 0, 1);
    expect_nothing(&ring);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect(&ring, 1, POLLIN, 0);
    poll_counter(fd, 0, 2); /* is ready at once */
    expect(&ring, 2, POLLIN, 0);
    assert_int_equal(rti_sys_close(fd), 0);
}

static void a_poll_ends_at_the_first_signal(void **state)
{
    (void)state;
    on_both(run_single_poll);
}

static void run_multishot(void)
{
    const int fd = rti_sys_eventfd();

    poll_counter(fd, IORING_POLL_ADD_MULTI, 1);
    expect_nothing(&ring);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect(&ring, 1, POLLIN, IORING_CQE_F_MORE);
    expect_nothing(&ring); /* still readable, but nothing new */
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect(&ring, 1, POLLIN, IORING_CQE_F_MORE); /* also when the last one was not taken */
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect(&ring, 1, POLLIN, IORING_CQE_F_MORE); /* two signals, one completion */
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect_cancelled(1); /* the signal that was not told is lost with the poll */
    poll_counter(fd, IORING_POLL_ADD_MULTI, 2);
    expect(&ring, 2, POLLIN, IORING_CQE_F_MORE); /* but a new one finds it */
    assert_int_equal(rti_sys_close(fd), 0);
    expect_nothing(&ring); /* the poll holds the counter */
    expect_cancelled(2);
}

static void a_multishot_poll_tells_of_each_signal(void **state)
{
    (void)state;
    on_both(run_multishot);
}

static void run_full_queue(void)
{
    const int fd = rti_sys_eventfd();
    unsigned count = 0;

    poll_counter(fd, IORING_POLL_ADD_MULTI, 1);
    for (unsigned i = 0; i < 12; i++) {
        assert_true(driver_enter_for(&ring, 0, -1, GETEVENTS) >= 0);
        assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    }
    for (;;) {
        struct driver_cqe cqe;

        assert_true(driver_enter_for(&ring, 0, -1, GETEVENTS) >= 0);
        assert_true(driver_ready(&ring) > 0);
        cqe = driver_take(&ring);
        count++;
        if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
            break;
        }
    }
    assert_int_equal(count, 9); /* 8 fill the queue, the 9th ends the poll */
    expect_nothing(&ring);
    assert_int_equal(rti_sys_close(fd), 0);
}

static void a_full_queue_ends_a_multishot_poll(void **state)
{
    (void)state;
    on_both(run_full_queue);
}

static void run_bad_polls(void)
{
    const int fd = rti_sys_eventfd();

    poll_counter(fd, IORING_POLL_ADD_MULTI | IORING_POLL_ADD_LEVEL, 1);
    expect(&ring, 1, -EINVAL, 0);
    poll_counter(fd, IORING_POLL_ADD_MULTI, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect(&ring, 2, -EINVAL, 0);
    poll_counter(fd, IORING_POLL_ADD_MULTI, 3)->addr = 1;
    expect(&ring, 3, -EINVAL, 0);
    assert_int_equal(rti_sys_close(fd), 0);
    poll_counter(fd, IORING_POLL_ADD_MULTI, 4);
    expect(&ring, 4, -EBADF, 0);
}

static void bad_polls_are_refused(void **state)
{
    (void)state;
    on_both(run_bad_polls);
}

/* ---- messages ---- */

static struct io_uring_sqe *message(int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = driver_io(&ring, IORING_OP_MSG_RING, fd, NULL, 5, user_data);

    sqe->off = 77;
    return sqe;
}

static void run_messages(void)
{
    struct driver other;

    assert_true(driver_open(&other, 8, 8, DEFER) >= 0);
    message(other.fd, 1);
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(driver_ready(&other), 0); /* its thread has to ask for it */
    assert_int_equal(driver_flags(&other) & IORING_SQ_TASKRUN, IORING_SQ_TASKRUN);
    expect(&other, 77, 5, 0);
    expect(&ring, 1, 0, 0);
    message(other.fd, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect_nothing(&ring);
    expect(&other, 77, 5, 0);
    for (unsigned i = 0; i < 12; i++) { /* more than its queue holds */
        message(other.fd, 3)->flags = IOSQE_CQE_SKIP_SUCCESS;
        expect_nothing(&ring);
    }
    for (unsigned i = 0; i < 12; i++) {
        assert_true(driver_enter_for(&other, 1, -1, GETEVENTS) >= 0);
        assert_int_equal(driver_take(&other).user_data, 77);
    }
    expect_nothing(&other);
    message(ring.fd, 77)->len = 0; /* to itself */
    assert_int_equal(driver_wait(&ring, 2), 1);
    assert_int_equal(driver_take(&ring).user_data, 77);
    assert_int_equal(driver_take(&ring).user_data, 77);
    driver_close(&other);
}

static void a_message_reaches_the_other_ring(void **state)
{
    (void)state;
    on_both(run_messages);
}

static void run_lost_messages(void)
{
    const int counter = rti_sys_eventfd();
    struct driver other;
    struct driver asleep;
    int gone;

    assert_true(driver_open(&other, 8, 8, DEFER) >= 0);
    gone = other.fd;
    driver_close(&other);
    message(gone, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect(&ring, 1, -EBADF, 0); /* a failure is told in any case */
    message(counter, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect(&ring, 2, -EBADFD, 0);
    assert_true(driver_open(&asleep, 8, 8, DEFER | IORING_SETUP_R_DISABLED) >= 0);
    message(asleep.fd, 3);
    expect(&ring, 3, -EBADFD, 0);
    driver_close(&asleep);
    assert_int_equal(rti_sys_close(counter), 0);
}

static void a_message_to_no_ring_fails(void **state)
{
    (void)state;
    on_both(run_lost_messages);
}

/* ---- faults ---- */

static void faults_strike_polls_and_messages(void **state)
{
    static const struct sim_error errors[] = { { IORING_OP_MSG_RING, 1000, -EOVERFLOW } };
    struct sim_config config = { .seed = rt_test_seed(0) };
    struct driver other;
    int fd;

    (void)state;
    config.faults.multishot_ends = 1000;
    config.faults.errors = errors;
    config.faults.error_count = 1;
    begin(&config);
    fd = rti_sys_eventfd();
    poll_counter(fd, IORING_POLL_ADD_MULTI, 1);
    expect_nothing(&ring);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect(&ring, 1, POLLIN, 0); /* told, and ended */
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect_nothing(&ring);
    assert_true(driver_open(&other, 8, 8, DEFER) >= 0);
    sim_fail_next(IORING_OP_MSG_RING, -ENOMEM);
    message(other.fd, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect(&ring, 2, -ENOMEM, 0);
    message(other.fd, 3)->flags = IOSQE_CQE_SKIP_SUCCESS;
    expect(&ring, 3, -EOVERFLOW, 0);
    expect_nothing(&other);
    driver_close(&other);
    assert_int_equal(rti_sys_close(fd), 0);
    end();
}

static void a_held_poll_misses_no_signal(void **state)
{
    int fd;

    (void)state;
    begin_plain();
    fd = rti_sys_eventfd();
    poll_counter(fd, IORING_POLL_ADD_MULTI, 1);
    expect_nothing(&ring);
    sim_hold(IORING_OP_POLL_ADD, SIM_QUEUED);
    assert_int_equal(rti_sys_eventfd_signal(fd), 0);
    expect_nothing(&ring);
    sim_unhold();
    assert_int_equal(sim_release(IORING_OP_POLL_ADD, 1, SIM_NATURAL), 1);
    expect(&ring, 1, POLLIN, IORING_CQE_F_MORE);
    expect_cancelled(1);
    assert_int_equal(rti_sys_close(fd), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_keeps_signals),
        cmocka_unit_test(a_poll_ends_at_the_first_signal),
        cmocka_unit_test(a_multishot_poll_tells_of_each_signal),
        cmocka_unit_test(a_full_queue_ends_a_multishot_poll),
        cmocka_unit_test(bad_polls_are_refused),
        cmocka_unit_test(a_message_reaches_the_other_ring),
        cmocka_unit_test(a_message_to_no_ring_fails),
        cmocka_unit_test(faults_strike_polls_and_messages),
        cmocka_unit_test(a_held_poll_misses_no_signal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
