/* SPDX-License-Identifier: MIT */
/*
 * Streams from poll functions, and rt_tcp_drop(): what rt/tcp.h says about futures.
 *
 * A future makes one call; its peer, another task or the kernel ends that in each way
 * there is, and then the bytes on both sides are looked at.
 */
#include "future_call.h"
#include "support/death.h"

static void peer_has(const char *bytes, size_t count)
{
    char buf[BUF_BYTES];

    T_CHECK(sim_peer_recv(peer, buf, sizeof(buf)) == (ssize_t)count);
    T_CHECK(memcmp(buf, bytes, count) == 0);
}

static int transfer_first(void *arg)
{
    struct future_call call = future_call_of(RECV, BUF_BYTES);
    struct rt_task *task;

    (void)arg;
    open_stream();
    send_text();
    T_CHECK(run(&call) == 4 && memcmp(call.buf, "text", 4) == 0);

    call = future_call_of(RECV, 3);
    task = later(&sending);
    T_CHECK(run(&call) == 3 && memcmp(call.buf, "texd", 4) == 0); /* no byte more than asked */
    T_CHECK(join(task) == 0);
    stream_has("t");

    call = future_call_of(SEND, 8);
    T_CHECK(run(&call) == 8);
    peer_has("abcdefgh", 8);

    call = future_call_of(SEND, BUF_BYTES);
    T_CHECK(run(&call) == STREAM_BYTES); /* some, as rt_tcp_send() */
    peer_has(call.buf, STREAM_BYTES);
    close_all();
    return 0;
}

static void a_future_receives_and_sends(void **state)
{
    (void)state;
    run_streams(NULL, transfer_first);
}

static int nothing_first(void *arg)
{
    struct future_call call;
    uint64_t sqes;

    (void)arg;
    open_stream();
    sqes = sim_stats()->sqes;
    for (int what = RECV; what <= SEND; what++) {
        call = future_call_of((enum what)what, 0);
        T_CHECK(run(&call) == 0);
    }
    T_CHECK(sim_stats()->sqes == sqes);
    close_all();
    return 0;
}

static void no_bytes_are_transferred_at_once(void **state)
{
    (void)state;
    run_streams(NULL, nothing_first);
}

static int peer_ends_first(void *arg)
{
    static const struct deed *const ends[] = { &finishing, &resetting };
    static const int results[] = { 0, -ECONNRESET };

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct future_call call = future_call_of(RECV, 4);
        struct rt_task *task;

        open_stream();
        task = later(ends[i]);
        T_CHECK(run(&call) == results[i]);
        T_CHECK(join(task) == 0);
        rt_tcp_close(stream);
        if (i == 0) {
            sim_peer_close(peer);
        }
        close_listener();
    }
    return 0;
}

static void a_receive_tells_the_end_of_the_peer(void **state)
{
    (void)state;
    run_streams(NULL, peer_ends_first);
}

static int late_first(void *arg)
{
    (void)arg;
    for (int passed = 0; passed < 2; passed++) {
        struct future_call receiver = future_call_of(RECV, 4);
        struct future_call sender = future_call_of(SEND, 4);

        open_stream();
        fill_stream();
        receiver.deadline = sender.deadline = passed ? 0 : rt_in(MS(1));
        T_CHECK(run(&receiver) == -ETIME && run(&sender) == -ETIME);
        T_CHECK(rt_now() >= receiver.deadline);
        send_text();
        receiver.deadline = RT_NEVER;
        T_CHECK(run(&receiver) == 4 && memcmp(receiver.buf, "text", 4) == 0); /* none was lost */
        close_all();
    }
    return 0;
}

static void a_transfer_that_is_late_moves_nothing(void **state)
{
    (void)state;
    run_streams(NULL, late_first);
}

/* Both directions at once, beside each other: one future each. */
static int both_first(void *arg)
{
    struct future_call receiver = future_call_of(RECV, 4);
    struct future_call sender = future_call_of(SEND, 4);
    struct rt_task *tasks[2];

    (void)arg;
    open_stream();
    fill_stream();
    tasks[0] = spawn(&receiver);
    tasks[1] = spawn(&sender);
    pause_for(MS(1));
    T_CHECK(!rt_is_finished(tasks[0]) && !rt_is_finished(tasks[1]));
    send_text();
    T_CHECK(join(tasks[0]) == 4);
    T_CHECK(!rt_is_finished(tasks[1]));
    take_all();
    T_CHECK(join(tasks[1]) == 4);
    close_all();
    return 0;
}

static void a_stream_has_a_receiver_and_a_sender(void **state)
{
    (void)state;
    run_streams(NULL, both_first);
}

static int closed_first(void *arg)
{
    struct future_call receiver = future_call_of(RECV, 4);
    struct future_call sender = future_call_of(SEND, 4);
    struct rt_task *tasks[2];

    (void)arg;
    open_stream();
    fill_stream();
    tasks[0] = spawn(&receiver);
    tasks[1] = spawn(&sender);
    pause_for(MS(1));
    rt_tcp_close(stream);
    T_CHECK(join(tasks[0]) == -EPIPE && join(tasks[1]) == -EPIPE);
    sim_peer_close(peer);
    close_listener();
    return 0;
}

static void a_close_ends_what_futures_do_on_the_stream(void **state)
{
    (void)state;
    run_streams(NULL, closed_first);
}

static int close_stream(void *arg)
{
    (void)arg;
    rt_tcp_close(stream);
    return 0;
}

static int closing_first(void *arg)
{
    struct rt_task *closer;
    uint64_t sqes;

    (void)arg;
    open_stream();
    sim_hold(IORING_OP_CLOSE, SIM_QUEUED);
    T_CHECK(rt_spawn(&closer, close_stream, NULL) == 0);
    pause_for(MS(1));
    sqes = sim_stats()->sqes;
    for (int what = RECV; what <= SEND; what++) {
        struct future_call call = future_call_of((enum what)what, 4);

        T_CHECK(run(&call) == -EPIPE);
    }
    T_CHECK(sim_stats()->sqes == sqes);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_CLOSE, 1, SIM_NATURAL) == 1);
    T_CHECK(join(closer) == 0);
    sim_peer_close(peer);
    close_listener();
    return 0;
}

static void on_a_stream_that_is_being_closed_nothing_begins(void **state)
{
    (void)state;
    run_streams(NULL, closing_first);
}

/* Cancelled futures that own their stream */

static int owner_first(void *arg)
{
    (void)arg;
    for (int begun = 0; begun < 2; begun++) {
        struct future_call call = future_call_of(RECV, 4);
        struct rt_task *task;

        open_stream();
        call.drops_object = true;
        call.asks_in_drop = true; /* of a stream that is gone: it is not looked at */
        task = spawn(&call);
        if (begun) {
            pause_for(MS(1));
        }
        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED && call.dropped == -ECANCELED);
        T_CHECK(sim_peer_recv(peer, call.buf, 1) == 0); /* it is closed */
        sim_peer_close(peer);
        close_listener();
    }
    return 0;
}

static void a_future_closes_its_stream_in_drop(void **state)
{
    (void)state;
    run_streams(NULL, owner_first);
}

/* The bytes had come, but the cancel was there before the future was polled. */
static int had_first(void *arg)
{
    struct future_call call = future_call_of(RECV, 4);
    struct rt_task *task;

    (void)arg;
    open_stream();
    call.asks_in_drop = true;
    sim_hold(IORING_OP_RECV, SIM_DONE);
    task = spawn(&call);
    pause_for(MS(1));
    rt_cancel(task);
    pause_for(RT_MICROSECONDS(1500)); /* between two cancels */
    T_CHECK(!rt_is_finished(task));
    send_text();
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_RECV, 1, SIM_NATURAL) == 1);
    T_CHECK(join(task) == -ECANCELED);
    T_CHECK(call.dropped == 4 && memcmp(call.buf, "text", 4) == 0);
    close_all();
    return 0;
}

static void bytes_that_came_before_a_cancel_are_had_in_drop(void **state)
{
    (void)state;
    run_streams(NULL, had_first);
}

/* Once more, as new: what the first life had not taken is not the second's. */
static void release_recv(void *arg)
{
    sim_unhold();
    send_text();
    T_CHECK(sim_release(IORING_OP_RECV, 1, *(const int *)arg) == 1);
}

static int again_first(void *arg)
{
    struct future_call call = future_call_of(RECV, 4);
    static const int natural = SIM_NATURAL;
    struct rt_scope scope;

    (void)arg;
    open_stream();
    sim_hold(IORING_OP_RECV, SIM_RUNNING);
    sim_at(rt_in(RT_MICROSECONDS(2500)), release_recv, (void *)&natural); /* between two cancels */
    T_CHECK(rt_await(&call.future, rt_in(MS(1))) == -ETIME);
    T_CHECK(memcmp(call.buf, "text", 4) == 0); /* had come, and nobody asked */

    call.asks_in_drop = true;
    rt_scope_enter(&scope, RT_NEVER);
    rt_scope_cancel(&scope);
    T_CHECK(rt_await(&call.future, RT_NEVER) == -ECANCELED);
    T_CHECK(call.dropped == -ECANCELED);
    T_CHECK(rt_scope_leave(&scope) == -ECANCELED);

    call.bytes = 3;
    send_text();
    T_CHECK(rt_await(&call.future, RT_NEVER) == 3);
    close_all();
    return 0;
}

static void a_future_may_be_used_again_and_is_new_then(void **state)
{
    (void)state;
    run_streams(NULL, again_first);
}

static int fickle_first(void *arg)
{
    (void)arg;
    open_stream();
    check_fickle(RECV, NULL);
    close_all();
    return 0;
}

static void a_call_is_the_one_that_was_begun(void **state)
{
    (void)state;
    run_streams(NULL, fickle_first);
}

/* Misuse */

static int second_receiver(void *arg)
{
    struct future_call second = future_call_of(RECV, 4);

    (void)arg;
    (void)under_way(RECV);
    return run(&second);
}

static int second_sender(void *arg)
{
    struct future_call second = future_call_of(SEND, 4);

    (void)arg;
    (void)under_way(SEND);
    return run(&second);
}

static int second_receiver_fiber(void *arg)
{
    char byte;

    (void)arg;
    (void)under_way(RECV);
    return (int)rt_tcp_recv(stream, &byte, 1, RT_NEVER);
}

static int shutdown_beside_sender(void *arg)
{
    (void)arg;
    (void)under_way(SEND);
    return rt_tcp_shutdown_send(stream);
}

static int drop_of_used_stream(void *arg)
{
    (void)arg;
    (void)under_way(RECV);
    rt_tcp_drop(stream);
    return 0;
}

static int drop_twice(void *arg)
{
    (void)arg;
    open_stream();
    rt_tcp_drop(stream);
    rt_tcp_drop(stream);
    return 0;
}

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(second_receiver, "rt_poll_tcp_recv(): another task is in it");
    assert_misuse_in_task(second_sender, "rt_poll_tcp_send(): another task is in it");
    assert_misuse_in_task(second_receiver_fiber, "rt_tcp_recv(): another task is in it");
    assert_misuse_in_task(shutdown_beside_sender, "rt_tcp_shutdown_send(): another task");
    assert_misuse_in_task(drop_of_used_stream, "rt_tcp_drop(): a task is using the stream");
    if (!RTI_ASAN) { /* which sees the use of freed memory before the runtime does */
        assert_misuse_in_task(drop_twice, "rt_tcp_drop");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_receives_and_sends),
        cmocka_unit_test(no_bytes_are_transferred_at_once),
        cmocka_unit_test(a_receive_tells_the_end_of_the_peer),
        cmocka_unit_test(a_transfer_that_is_late_moves_nothing),
        cmocka_unit_test(a_stream_has_a_receiver_and_a_sender),
        cmocka_unit_test(a_close_ends_what_futures_do_on_the_stream),
        cmocka_unit_test(on_a_stream_that_is_being_closed_nothing_begins),
        cmocka_unit_test(a_future_closes_its_stream_in_drop),
        cmocka_unit_test(bytes_that_came_before_a_cancel_are_had_in_drop),
        cmocka_unit_test(a_future_may_be_used_again_and_is_new_then),
        cmocka_unit_test(a_call_is_the_one_that_was_begun),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
