/* SPDX-License-Identifier: MIT */
/*
 * Future call: a future that makes one call of a stream or a file, notes what it gave in
 * drop, and ends with what it gave in poll.
 *
 *     struct future_call call = future_call_of(RECV, 4);
 *
 *     T_CHECK(run(&call) == 4);
 */
#ifndef RT_TEST_FUTURE_CALL_H
#define RT_TEST_FUTURE_CALL_H

#include "peer_stream.h"

#include <fcntl.h>

#define BUF_BYTES (2 * STREAM_BYTES)

enum what { RECV, SEND, READ, WRITE };

struct future_call {
    struct rt_future future;
    enum what what;
    size_t bytes;
    uint64_t offset;
    rt_time deadline;
    struct rt_file *file;
    bool asks_in_drop;
    bool drops_object;
    int dropped; /* what the call gave in drop */
    struct rt_waker waker;
    char buf[BUF_BYTES];
};

static inline int make_call(struct future_call *self)
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

static inline int poll_call(struct rt_future *future)
{
    return make_call((struct future_call *)future);
}

static inline void drop_call(struct rt_future *future)
{
    struct future_call *self = (struct future_call *)future;

    if (self->drops_object) {
        if (self->file != NULL) {
            T_CHECK(rt_file_drop(self->file) == 0);
        } else {
            rt_tcp_drop(stream);
        }
    }
    if (self->asks_in_drop) {
        self->dropped = make_call(self);
    }
}

static inline struct future_call future_call_of(enum what what, size_t bytes)
{
    return (struct future_call){ .future = RT_FUTURE_INIT(poll_call, drop_call),
                                 .what = what,
                                 .bytes = bytes,
                                 .deadline = RT_NEVER,
                                 .buf = "abcdefgh" };
}

static inline struct rt_task *spawn(struct future_call *call)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_future(&task, &call->future) == 0);
    return task;
}

static inline int run(struct future_call *call)
{
    return join(spawn(call));
}

/* Only what a call was begun with counts: here later polls ask for other things. */
static inline int poll_fickle(struct rt_future *future)
{
    struct future_call *self = (struct future_call *)future;
    const int r = make_call(self);

    self->waker = rt_waker_self();
    self->bytes = 0;
    self->offset = UINT64_MAX;
    return r;
}

static inline void check_fickle(enum what what, struct rt_file *file)
{
    struct future_call call = future_call_of(what, 4);
    struct rt_task *task;

    call.future.poll = poll_fickle;
    call.file = file;
    task = spawn(&call);
    rt_yield();
    rt_wake(call.waker);
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

static inline void fill_stream(void)
{
    struct future_call call = future_call_of(SEND, STREAM_BYTES);

    T_CHECK(run(&call) == STREAM_BYTES);
}

static inline struct rt_file *open_data(void)
{
    struct rt_file *file = NULL;

    sim_file_put("data", "12345678", 8);
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    return file;
}

/* A future in the middle of its call, for another task to do something wrong. */
static inline struct future_call *under_way(enum what what)
{
    static struct future_call call;

    call = future_call_of(what, 4);
    if (what == READ) {
        call.file = open_data();
        sim_hold(IORING_OP_READ, SIM_QUEUED);
    } else {
        open_stream();
        fill_stream();
    }
    (void)spawn(&call);
    rt_yield();
    return &call;
}

#endif /* RT_TEST_FUTURE_CALL_H */
