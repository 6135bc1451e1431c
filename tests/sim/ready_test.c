/* SPDX-License-Identifier: MIT */
/*
 * Readiness as a case of a select: what is ready when. Each promise of rt/ready.h but for
 * losers, which are in ready_race_test.
 *
 * The test says when there is something, on the other side of a stream; a select before
 * that must wait, and one after it must not.
 */
#include "peer_stream.h"
#include "support/death.h"

#include <poll.h>

#include "os/sys.h"

/* Streams */

static int readable_first(void *arg)
{
    struct rt_case cases[1];
    uint64_t polls;

    (void)arg;
    open_stream();
    polls = polls_seen();
    cases[0] = rt_case_readable(stream);
    T_CHECK(rt_select(cases, 1, rt_in(MS(1))) == -ETIME);
    T_CHECK(in_flight() == 0 && polls_seen() == polls + 1);

    struct rt_task *task = later(&sending);

    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0 && cases[0].result == POLLIN);
    T_CHECK(polls_seen() == polls + 2);
    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0 && cases[0].result == POLLIN); /* still is */
    T_CHECK(polls_seen() == polls + 2); /* a look was enough */
    T_CHECK(join(task) == 0);
    stream_has("text"); /* of which no byte was moved */
    T_CHECK(rt_select(cases, 1, 0) == -ETIME);
    close_all();
    return 0;
}

static void a_stream_is_readable_when_something_has_come(void **state)
{
    (void)state;
    run_streams(NULL, readable_first);
}

/* To try is to try: without a wait, however late it is. */
static int try_first(void *arg)
{
    struct rt_scope scope;
    struct rt_case cases[1];

    (void)arg;
    open_stream();
    cases[0] = rt_case_readable(stream);
    T_CHECK(rt_select(cases, 1, 0) == -ETIME);
    send_text();
    T_CHECK(rt_select(cases, 1, 0) == 0 && cases[0].result == POLLIN);
    rt_scope_enter(&scope, 0);
    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0 && cases[0].result == POLLIN);
    stream_has("text");
    T_CHECK(rt_select(cases, 1, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    rt_scope_enter(&scope, RT_NEVER);
    rt_scope_cancel(&scope);
    T_CHECK(rt_select(cases, 1, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_scope_leave(&scope) == -ECANCELED);
    close_all();
    return 0;
}

static void what_is_ready_is_found_when_the_deadline_has_passed(void **state)
{
    (void)state;
    run_streams(NULL, try_first);
}

static int end_first(void *arg)
{
    static const struct deed *const ends[] = { &finishing, &resetting };

    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct rt_case cases[1];
        struct rt_task *task;
        char byte;

        open_stream();
        cases[0] = rt_case_readable(stream);
        task = later(ends[i % 2]);
        if (i / 2 != 0) {
            T_CHECK(join(task) == 0); /* it has ended before */
        }
        T_CHECK(rt_select(cases, 1, RT_NEVER) == 0);
        T_CHECK((cases[0].result & (POLLIN | POLLHUP | POLLERR)) != 0);
        T_CHECK(rt_tcp_recv(stream, &byte, 1, 0) == (i % 2 != 0 ? -ECONNRESET : 0));
        if (i / 2 == 0) {
            T_CHECK(join(task) == 0);
        }
        rt_tcp_close(stream);
        if (i % 2 == 0) {
            sim_peer_close(peer);
        }
        close_listener();
    }
    return 0;
}

static void a_stream_is_readable_at_its_end(void **state)
{
    (void)state;
    run_streams(NULL, end_first);
}

static int writable_first(void *arg)
{
    static const char bytes[2 * STREAM_BYTES];
    struct rt_case cases[2];
    struct rt_task *task;

    (void)arg;
    open_stream();
    cases[0] = rt_case_writable(stream);
    cases[1] = rt_case_readable(stream);
    T_CHECK(rt_select(cases, 2, 0) == 0 && cases[0].result == POLLOUT);
    T_CHECK(rt_tcp_send(stream, bytes, sizeof(bytes), 0) == STREAM_BYTES);
    T_CHECK(rt_select(cases, 2, rt_in(MS(1))) == -ETIME); /* full */
    task = later(&taking);
    T_CHECK(rt_select(cases, 2, RT_NEVER) == 0 && cases[0].result == POLLOUT);
    T_CHECK(rt_tcp_send(stream, bytes, 1, 0) == 1);
    T_CHECK(join(task) == 0);
    close_all();
    return 0;
}

static void a_stream_is_writable_when_there_is_room(void **state)
{
    (void)state;
    run_streams(NULL, writable_first);
}

static void connect_once(void)
{
    peer = connect_peer();
}

static const struct deed connecting = { connect_once };

static int acceptable_first(void *arg)
{
    struct rt_case cases[1];
    struct rt_task *task;

    (void)arg;
    open_listener();
    cases[0] = rt_case_acceptable(listener);
    T_CHECK(rt_select(cases, 1, rt_in(MS(1))) == -ETIME);
    task = later(&connecting);
    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0 && cases[0].result == POLLIN);
    T_CHECK(rt_select(cases, 1, 0) == 0 && cases[0].result == POLLIN);
    T_CHECK(rt_tcp_accept(listener, &stream, 0) == 0);
    T_CHECK(rt_select(cases, 1, 0) == -ETIME);
    T_CHECK(join(task) == 0);
    close_all();
    return 0;
}

static void a_listener_is_acceptable_when_a_connection_waits(void **state)
{
    (void)state;
    run_streams(NULL, acceptable_first);
}

/* Descriptors of the program's own */

static int counter;

static void count_up(void)
{
    T_CHECK(rti_sys_eventfd_signal(counter) == 0);
}

static const struct deed counting = { count_up };

static int fd_first(void *arg)
{
    struct rt_case cases[2];
    struct rt_task *task;

    (void)arg;
    counter = rti_sys_eventfd();
    T_CHECK(counter >= 0);
    cases[0] = rt_case_fd(counter, POLLIN);
    cases[1] = rt_case_fd(counter, POLLIN | POLLOUT);
    T_CHECK(rt_select(cases, 1, rt_in(MS(1))) == -ETIME);
    T_CHECK(rt_select(&cases[1], 1, 0) == 0 && cases[1].result == POLLOUT);
    task = later(&counting);
    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0 && cases[0].result == POLLIN);
    T_CHECK(rt_select(&cases[1], 1, 0) == 0 && cases[1].result == (POLLIN | POLLOUT));
    T_CHECK(join(task) == 0 && in_flight() == 0);
    T_CHECK(rti_sys_close(counter) == 0);
    return 0;
}

static void any_descriptor_is_a_case(void **state)
{
    (void)state;
    run_streams(NULL, fd_first);
}

static int no_fd_first(void *arg)
{
    struct rt_case cases[] = { rt_case_fd(SIM_FD_FIRST + 99, POLLIN), rt_case_at(RT_NEVER) };

    (void)arg;
    T_CHECK(rt_select(cases, 2, RT_NEVER) == 0);
    T_CHECK(cases[0].result == -EBADF);
    return 0;
}

static void what_is_no_descriptor_is_an_error_of_its_case(void **state)
{
    (void)state;
    run_streams(NULL, no_fd_first);
}

/* The same by a call */

static int wait_first(void *arg)
{
    struct rt_task *task;

    (void)arg;
    counter = rti_sys_eventfd();
    T_CHECK(counter >= 0);
    T_CHECK(rt_fd_wait(counter, POLLIN, 0) == -ETIME);
    T_CHECK(rt_fd_wait(counter, POLLIN, rt_in(MS(1))) == -ETIME);
    T_CHECK(rt_fd_wait(counter, POLLIN | POLLOUT, RT_NEVER) == POLLOUT);
    task = later(&counting);
    T_CHECK(rt_fd_wait(counter, POLLIN, RT_NEVER) == POLLIN);
    T_CHECK(rt_fd_wait(counter, POLLIN | POLLOUT, 0) == (POLLIN | POLLOUT)); /* to try */
    T_CHECK(join(task) == 0 && in_flight() == 0);
    T_CHECK(rti_sys_close(counter) == 0);
    T_CHECK(rt_fd_wait(counter, POLLIN, RT_NEVER) == -EBADF);
    return 0;
}

static void a_task_waits_for_any_descriptor(void **state)
{
    (void)state;
    run_streams(NULL, wait_first);
}

static int wait_for_counter(void *arg)
{
    (void)arg;
    return rt_fd_wait(counter, POLLIN, RT_NEVER);
}

/* The task may return only when the kernel has let go of the request. */
static int cancelled_first(void *arg)
{
    struct rt_task *task;

    (void)arg;
    counter = rti_sys_eventfd();
    T_CHECK(rt_spawn(&task, wait_for_counter, NULL) == 0);
    pause_for(MS(1));
    T_CHECK(in_flight() == 1);
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED && in_flight() == 0);
    count_up();
    T_CHECK(rt_fd_wait(counter, POLLIN, 0) == POLLIN);
    T_CHECK(rti_sys_close(counter) == 0);
    return 0;
}

static void a_cancelled_wait_for_a_descriptor_ends_with_its_request(void **state)
{
    (void)state;
    run_streams(NULL, cancelled_first);
}

/* A stream that is being closed */

static int close_stream(void *arg)
{
    (void)arg;
    rt_tcp_close(stream);
    return 0;
}

static int closing_first(void *arg)
{
    struct rt_case cases[2];
    struct rt_task *task;
    uint64_t polls;

    (void)arg;
    open_stream();
    cases[0] = rt_case_writable(stream);
    cases[1] = rt_case_at(RT_NEVER);
    sim_hold(IORING_OP_CLOSE, SIM_QUEUED);
    T_CHECK(rt_spawn(&task, close_stream, NULL) == 0);
    pause_for(MS(1));
    polls = polls_seen();
    T_CHECK(rt_select(cases, 2, RT_NEVER) == 0 && cases[0].result == -EPIPE);
    T_CHECK(polls_seen() == polls);
    T_CHECK(sim_release(IORING_OP_CLOSE, 1, SIM_NATURAL) == 1);
    sim_unhold();
    T_CHECK(join(task) == 0);
    sim_peer_close(peer);
    close_listener();
    return 0;
}

static void a_stream_that_is_being_closed_is_no_more_ready(void **state)
{
    (void)state;
    run_streams(NULL, closing_first);
}

/* Misuse */

static int select_over_both(void *arg)
{
    struct rt_case cases[] = { rt_case_readable(stream), rt_case_acceptable(listener) };

    (void)arg;
    return rt_select(cases, 2, RT_NEVER);
}

static void let_it_select(void)
{
    open_stream();
    T_CHECK(rt_spawn(NULL, select_over_both, NULL) == 0);
    rt_yield();
}

static int close_misuse(void *arg)
{
    (void)arg;
    let_it_select();
    rt_tcp_close(stream);
    return 0;
}

static int drop_misuse(void *arg)
{
    (void)arg;
    let_it_select();
    rt_tcp_drop(stream);
    return 0;
}

static int listener_misuse(void *arg)
{
    (void)arg;
    let_it_select();
    rt_tcp_listener_close(listener);
    return 0;
}

static int after_close_misuse(void *arg)
{
    struct rt_case cases[1];

    (void)arg;
    open_stream();
    cases[0] = rt_case_readable(stream);
    rt_tcp_close(stream);
    return rt_select(cases, 1, RT_NEVER);
}

static void a_close_under_a_select_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(close_misuse, "rt_tcp_close(): another task selects over the stream");
    assert_misuse_in_task(drop_misuse, "rt_tcp_drop(): a task is using the stream");
    assert_misuse_in_task(listener_misuse, "rt_tcp_listener_close(): another task is using");
    if (!RTI_ASAN) { /* which sees the use of freed memory before the runtime does */
        assert_misuse_in_task(after_close_misuse, "rt_select");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_readable_when_something_has_come),
        cmocka_unit_test(what_is_ready_is_found_when_the_deadline_has_passed),
        cmocka_unit_test(a_stream_is_readable_at_its_end),
        cmocka_unit_test(a_stream_is_writable_when_there_is_room),
        cmocka_unit_test(a_listener_is_acceptable_when_a_connection_waits),
        cmocka_unit_test(any_descriptor_is_a_case),
        cmocka_unit_test(what_is_no_descriptor_is_an_error_of_its_case),
        cmocka_unit_test(a_task_waits_for_any_descriptor),
        cmocka_unit_test(a_cancelled_wait_for_a_descriptor_ends_with_its_request),
        cmocka_unit_test(a_stream_that_is_being_closed_is_no_more_ready),
        cmocka_unit_test(a_close_under_a_select_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
