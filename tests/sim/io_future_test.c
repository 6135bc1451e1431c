/* SPDX-License-Identifier: MIT */
/*
 * Streams and files from poll functions, and their drop calls: each promise of rt/tcp.h and
 * rt/file.h that is about futures.
 *
 * One future makes one call, notes what it gave in poll and in drop, and ends with it. The
 * other side, another task or the kernel then ends that call in each way there is.
 */
#include "peer_stream.h"
#include "support/death.h"

#include <fcntl.h>

#define BUF_BYTES (2 * STREAM_BYTES)

enum what { RECV, SEND, READ, WRITE };

struct caller {
    struct rt_future future;
    enum what what;
    size_t bytes;
    uint64_t offset;
    rt_time deadline;
    struct rt_file *file;
    bool asks_in_drop;
    bool drops_object;
    int dropped; /* what the call gave in drop */
    char buf[BUF_BYTES];
};

static int call(struct caller *self)
{
    struct rt_future *future = &self->future;

    switch (self->what) {
    case RECV:
        return rt_poll_tcp_recv(future, stream, self->buf, self->bytes, self->deadline);
    case SEND:
        return rt_poll_tcp_send(future, stream, self->buf, self->bytes, self->deadline);
    case READ:
        return rt_poll_file_read_at(future, self->file, self->buf, self->bytes, self->offset,
                                    self->deadline);
    case WRITE:
    default:
        return rt_poll_file_write_at(future, self->file, self->buf, self->bytes, self->offset,
                                     self->deadline);
    }
}

static int poll_call(struct rt_future *future)
{
    return call((struct caller *)future);
}

static void drop_call(struct rt_future *future)
{
    struct caller *self = (struct caller *)future;

    if (self->drops_object) {
        if (self->file != NULL) {
            T_CHECK(rt_file_drop(self->file) == 0);
        } else {
            rt_tcp_drop(stream);
        }
    }
    if (self->asks_in_drop) {
        self->dropped = call(self);
    }
}

static struct caller caller_of(enum what what, size_t bytes)
{
    return (struct caller){ .future = RT_FUTURE_INIT(poll_call, drop_call),
                            .what = what,
                            .bytes = bytes,
                            .deadline = RT_NEVER,
                            .buf = "abcdefgh" };
}

static struct rt_task *spawn(struct caller *caller)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_future(&task, &caller->future) == 0);
    return task;
}

static int run(struct caller *caller)
{
    return join(spawn(caller));
}

/* Streams */

static void peer_has(const char *bytes, size_t count)
{
    char buf[BUF_BYTES];

    T_CHECK(sim_peer_recv(peer, buf, sizeof(buf)) == (ssize_t)count);
    T_CHECK(memcmp(buf, bytes, count) == 0);
}

static int transfer_first(void *arg)
{
    struct caller caller = caller_of(RECV, BUF_BYTES);
    struct rt_task *task;

    (void)arg;
    open_stream();
    send_text();
    T_CHECK(run(&caller) == 4 && memcmp(caller.buf, "text", 4) == 0);

    caller = caller_of(RECV, 3);
    task = later(&sending);
    T_CHECK(run(&caller) == 3 && memcmp(caller.buf, "texd", 4) == 0); /* no byte more than asked */
    T_CHECK(join(task) == 0);
    stream_has("t");

    caller = caller_of(SEND, 8);
    T_CHECK(run(&caller) == 8);
    peer_has("abcdefgh", 8);

    caller = caller_of(SEND, BUF_BYTES);
    T_CHECK(run(&caller) == STREAM_BYTES); /* some, as rt_tcp_send() */
    peer_has(caller.buf, STREAM_BYTES);
    close_all();
    return 0;
}

static void a_future_receives_and_sends(void **state)
{
    (void)state;
    run_first(transfer_first);
}

static int nothing_first(void *arg)
{
    struct caller caller;
    uint64_t sqes;

    (void)arg;
    open_stream();
    sqes = sim_stats()->sqes;
    for (int what = RECV; what <= SEND; what++) {
        caller = caller_of((enum what)what, 0);
        T_CHECK(run(&caller) == 0);
    }
    T_CHECK(sim_stats()->sqes == sqes);
    close_all();
    return 0;
}

static void no_bytes_are_transferred_at_once(void **state)
{
    (void)state;
    run_first(nothing_first);
}

static int peer_ends_first(void *arg)
{
    static const struct deed *const ends[] = { &finishing, &resetting };
    static const int results[] = { 0, -ECONNRESET };

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct caller caller = caller_of(RECV, 4);
        struct rt_task *task;

        open_stream();
        task = later(ends[i]);
        T_CHECK(run(&caller) == results[i]);
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
    run_first(peer_ends_first);
}

static void fill_stream(void)
{
    struct caller caller = caller_of(SEND, STREAM_BYTES);

    T_CHECK(run(&caller) == STREAM_BYTES);
}

static int late_first(void *arg)
{
    (void)arg;
    for (int passed = 0; passed < 2; passed++) {
        struct caller receiver = caller_of(RECV, 4);
        struct caller sender = caller_of(SEND, 4);

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
    run_first(late_first);
}

/* Both directions at once, beside each other: one future each. */
static int both_first(void *arg)
{
    struct caller receiver = caller_of(RECV, 4);
    struct caller sender = caller_of(SEND, 4);
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
    run_first(both_first);
}

static int closed_first(void *arg)
{
    struct caller receiver = caller_of(RECV, 4);
    struct caller sender = caller_of(SEND, 4);
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
    run_first(closed_first);
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
        struct caller caller = caller_of((enum what)what, 4);

        T_CHECK(run(&caller) == -EPIPE);
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
    run_first(closing_first);
}

/* Cancelled futures that own their stream */

static int owner_first(void *arg)
{
    (void)arg;
    for (int begun = 0; begun < 2; begun++) {
        struct caller caller = caller_of(RECV, 4);
        struct rt_task *task;

        open_stream();
        caller.drops_object = true;
        caller.asks_in_drop = true; /* of a stream that is gone: it is not looked at */
        task = spawn(&caller);
        if (begun) {
            pause_for(MS(1));
        }
        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED && caller.dropped == -ECANCELED);
        T_CHECK(sim_peer_recv(peer, caller.buf, 1) == 0); /* it is closed */
        sim_peer_close(peer);
        close_listener();
    }
    return 0;
}

static void a_future_closes_its_stream_in_drop(void **state)
{
    (void)state;
    run_first(owner_first);
}

/* The bytes had come, but the cancel was there before the future was polled. */
static int had_first(void *arg)
{
    struct caller caller = caller_of(RECV, 4);
    struct rt_task *task;

    (void)arg;
    open_stream();
    caller.asks_in_drop = true;
    sim_hold(IORING_OP_RECV, SIM_DONE);
    task = spawn(&caller);
    pause_for(MS(1));
    rt_cancel(task);
    pause_for(RT_MICROSECONDS(1500)); /* between two cancels */
    T_CHECK(!rt_is_finished(task));
    send_text();
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_RECV, 1, SIM_NATURAL) == 1);
    T_CHECK(join(task) == -ECANCELED);
    T_CHECK(caller.dropped == 4 && memcmp(caller.buf, "text", 4) == 0);
    close_all();
    return 0;
}

static void bytes_that_came_before_a_cancel_are_had_in_drop(void **state)
{
    (void)state;
    run_first(had_first);
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
    struct caller caller = caller_of(RECV, 4);
    static const int natural = SIM_NATURAL;
    struct rt_scope scope;

    (void)arg;
    open_stream();
    sim_hold(IORING_OP_RECV, SIM_RUNNING);
    sim_at(rt_in(RT_MICROSECONDS(2500)), release_recv, (void *)&natural); /* between two cancels */
    T_CHECK(rt_await(&caller.future, rt_in(MS(1))) == -ETIME);
    T_CHECK(memcmp(caller.buf, "text", 4) == 0); /* had come, and nobody asked */

    caller.asks_in_drop = true;
    rt_scope_enter(&scope, RT_NEVER);
    rt_scope_cancel(&scope);
    T_CHECK(rt_await(&caller.future, RT_NEVER) == -ECANCELED);
    T_CHECK(caller.dropped == -ECANCELED);
    T_CHECK(rt_scope_leave(&scope) == -ECANCELED);

    caller.bytes = 3;
    send_text();
    T_CHECK(rt_await(&caller.future, RT_NEVER) == 3);
    close_all();
    return 0;
}

static void a_future_may_be_used_again_and_is_new_then(void **state)
{
    (void)state;
    run_first(again_first);
}

/* Only what a call was begun with counts: here later polls ask for other things. */
static int poll_fickle(struct rt_future *future)
{
    struct caller *self = (struct caller *)future;
    const int r = call(self);

    self->bytes = 0;
    self->offset = UINT64_MAX;
    return r;
}

static void check_fickle(enum what what, struct rt_file *file)
{
    struct caller caller = caller_of(what, 4);
    struct rt_task *task;

    caller.future.poll = poll_fickle;
    caller.file = file;
    task = spawn(&caller);
    rt_yield();
    rt_wake(rt_waker_of(task));
    pause_for(MS(1));
    T_CHECK(!rt_is_finished(task));
    sim_unhold();
    if (file != NULL) {
        T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    } else {
        send_text();
    }
    T_CHECK(join(task) == 4);
}

/* Files */

static struct rt_file *open_data(void)
{
    struct rt_file *file = NULL;

    sim_file_put("data", "12345678", 8);
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    return file;
}

static void data_is(const char *text)
{
    size_t count;
    const void *bytes = sim_file_get("data", &count);

    T_CHECK(bytes != NULL && count == strlen(text) && memcmp(bytes, text, count) == 0);
}

static int file_first(void *arg)
{
    struct rt_file *file = open_data();
    static const struct {
        enum what what;
        size_t bytes;
        uint64_t offset;
        int result;
        const char *buf;
        const char *data;
    } cases[] = {
        { READ, 4, 0, 4, "1234efgh", "12345678" },
        { READ, 4, 6, 2, "78cdefgh", "12345678" },
        { READ, 4, 8, 0, "abcdefgh", "12345678" },
        { READ, 4, (uint64_t)INT64_MAX + 1, -EINVAL, "abcdefgh", "12345678" },
        { WRITE, 4, UINT64_MAX, -EINVAL, "abcdefgh", "12345678" },
        { WRITE, 4, 2, 4, "abcdefgh", "12abcd78" },
        { WRITE, 3, 8, 3, "abcdefgh", "12abcd78abc" },
    };

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct caller caller = caller_of(cases[i].what, cases[i].bytes);

        caller.file = file;
        caller.offset = cases[i].offset;
        T_CHECK(run(&caller) == cases[i].result);
        T_CHECK(memcmp(caller.buf, cases[i].buf, 8) == 0);
        data_is(cases[i].data);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_future_reads_and_writes_at_a_place(void **state)
{
    (void)state;
    run_first(file_first);
}

static int file_ends_first(void *arg)
{
    static const struct {
        enum what what;
        int opcode;
    } cases[] = { { READ, IORING_OP_READ }, { WRITE, IORING_OP_WRITE } };

    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct caller caller = caller_of(cases[i % 2].what, 4);
        const bool is_late = i / 2 == 0;
        struct rt_task *task;

        caller.file = open_data();
        caller.drops_object = true;
        caller.deadline = is_late ? rt_in(MS(1)) : RT_NEVER;
        sim_hold(cases[i % 2].opcode, SIM_QUEUED);
        task = spawn(&caller);
        pause_for(MS(1) / 2);
        if (!is_late) {
            rt_cancel(task);
        }
        T_CHECK(join(task) == (is_late ? -ETIME : -ECANCELED));
        sim_unhold();
        T_CHECK(memcmp(caller.buf, "abcdefgh", 8) == 0);
        data_is("12345678");
        T_CHECK(in_flight() == 0 && rti_current->handles.in_use == 0); /* dropped */
    }
    return 0;
}

static void a_deadline_or_cancel_ends_it_and_drop_closes_the_file(void **state)
{
    (void)state;
    run_first(file_ends_first);
}

static int null_first(void *arg)
{
    (void)arg;
    rt_tcp_drop(NULL);
    T_CHECK(rt_file_drop(NULL) == 0);
    return 0;
}

static void to_drop_nothing_does_nothing(void **state)
{
    (void)state;
    run_first(null_first);
}

/* Misuse: the first task does something while a future is in the middle of its call. */

static struct caller *under_way(enum what what)
{
    static struct caller caller;

    caller = caller_of(what, 4);
    if (what == READ) {
        caller.file = open_data();
        sim_hold(IORING_OP_READ, SIM_QUEUED);
    } else {
        open_stream();
        fill_stream();
    }
    (void)spawn(&caller);
    rt_yield();
    return &caller;
}

static int second_receiver(void *arg)
{
    struct caller second = caller_of(RECV, 4);

    (void)arg;
    (void)under_way(RECV);
    return run(&second);
}

static int second_sender(void *arg)
{
    struct caller second = caller_of(SEND, 4);

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

static int drop_of_used_file(void *arg)
{
    (void)arg;
    return rt_file_drop(under_way(READ)->file);
}

static int close_of_used_file(void *arg)
{
    (void)arg;
    return rt_file_close(under_way(READ)->file);
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
    assert_misuse_in_task(drop_of_used_file, "rt_file_drop(): a task is using the file");
    assert_misuse_in_task(close_of_used_file, "rt_file_close(): another task is using the file");
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
        cmocka_unit_test(a_future_reads_and_writes_at_a_place),
        cmocka_unit_test(a_deadline_or_cancel_ends_it_and_drop_closes_the_file),
        cmocka_unit_test(to_drop_nothing_does_nothing),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
