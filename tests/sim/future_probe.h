/* SPDX-License-Identifier: MIT */
/*
 * Probe: the future of the tests of rt/future.h.
 *
 * It waits in one way, and then has a result. It counts how often it was polled and
 * dropped, and notes what its wait gave, so that each way to end is one line of a table.
 */
#ifndef RT_TEST_FUTURE_PROBE_H
#define RT_TEST_FUTURE_PROBE_H

#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "rt/rt.h"

static inline void pause_for(rt_time duration)
{
    T_CHECK(rt_sleep_until(rt_in(duration)) == 0);
}

enum way {
    NO_WAIT,   /* has its result at the first poll */
    BY_WAKER,  /* waits for a wake and `may_end` */
    BY_SLEEP,  /* a millisecond */
    BY_READ,   /* of a file */
    BY_CHAN,   /* a receive */
    BY_SELECT, /* over the channel and a moment */
    BY_BOTH,   /* two futures of its own: a read, and a sleep of an hour; ends with the first */
};

struct probe {
    struct rt_future future;
    struct rt_future other; /* of BY_BOTH */
    enum way way;
    int result; /* to end with */
    bool may_end;
    bool wants_in_drop; /* asks for the wait's result in drop */
    bool is_one_of_many;
    struct rt_waker waker;
    struct rt_chan *chan;
    struct rt_file *file;
    struct rt_case cases[2];
    uint64_t item;
    char buf[8];
    unsigned polls;
    unsigned drops;
    int waited;  /* what the wait gave in poll */
    int dropped; /* what it gave in drop */
};

static inline int wait_once(struct probe *self)
{
    switch (self->way) {
    case BY_WAKER:
        self->waker = rt_waker_self();
        return self->may_end ? 0 : RT_PENDING;
    case BY_SLEEP:
        return rt_poll_sleep(&self->future, rt_in(RT_MILLISECONDS(1)));
    case BY_READ:
        return rt_poll_file_read_at(&self->future, self->file, self->buf, 4, 0, RT_NEVER);
    case BY_CHAN:
        return rt_poll_chan_recv(&self->future, self->chan, &self->item, RT_NEVER);
    case BY_SELECT:
        return rt_poll_select(&self->future, self->cases, 2, RT_NEVER);
    case BY_BOTH:
        if (rt_poll_sleep(&self->other, rt_in(RT_SECONDS(3600))) != RT_PENDING) {
            t_fail("an hour has passed", __FILE__, __LINE__);
        }
        return rt_poll_file_read_at(&self->future, self->file, self->buf, 4, 0, RT_NEVER);
    case NO_WAIT:
    default:
        return 0;
    }
}

static inline int probe_poll(struct rt_future *future)
{
    struct probe *self = (struct probe *)future;

    self->polls++;
    T_CHECK(self->drops == 0);
    self->waited = wait_once(self);
    return self->waited == RT_PENDING ? RT_PENDING : self->result;
}

static inline void probe_drop(struct rt_future *future)
{
    struct probe *self = (struct probe *)future;
    struct rt_stats stats;

    self->drops++;
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.ops_in_flight == 0 || self->is_one_of_many); /* the kernel has let go of `buf` */
    if (self->wants_in_drop) {
        self->dropped = wait_once(self);
    }
}

static inline struct probe *probe_new(enum way way)
{
    struct probe *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        abort();
    }
    self->future = (struct rt_future)RT_FUTURE_INIT(probe_poll, probe_drop);
    self->other = (struct rt_future)RT_FUTURE_INIT(NULL, NULL);
    self->way = way;
    self->result = 42;
    if (way == BY_READ || way == BY_BOTH) {
        T_CHECK(rt_file_open(&self->file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    }
    if (way == BY_CHAN || way == BY_SELECT) {
        T_CHECK(rt_chan_create(&self->chan, sizeof(self->item), 2) == 0);
        self->cases[0] = rt_case_chan_recv(self->chan, &self->item);
        self->cases[1] = rt_case_at(rt_in(RT_SECONDS(3600)));
    }
    return self;
}

/* In the first task, after the future's end. */
static inline void probe_free(struct probe *self)
{
    T_CHECK(self->drops == 1);
    if (self->file != NULL) {
        T_CHECK(rt_file_close(self->file) == 0);
    }
    if (self->chan != NULL) {
        rt_chan_destroy(self->chan);
    }
    free(self);
}

static inline struct rt_task *spawn_probe(struct probe *self)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_future(&task, &self->future) == 0);
    return task;
}

static inline int join(struct rt_task *task)
{
    int result = 99;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static const enum way all_ways[] = { NO_WAIT, BY_WAKER,  BY_SLEEP, BY_READ,
                                     BY_CHAN, BY_SELECT, BY_BOTH };

#define ALL_WAYS (sizeof(all_ways) / sizeof(all_ways[0]))

/* Make what it waits for happen. */
static inline void help(struct probe *self)
{
    const uint64_t item = 7;

    let_all_run();
    if (self->way == BY_WAKER) {
        self->may_end = true;
        rt_wake(self->waker);
    }
    if (self->way == BY_CHAN || self->way == BY_SELECT) {
        T_CHECK(rt_chan_send(self->chan, &item, RT_NEVER) == 0);
    }
}

#endif /* RT_TEST_FUTURE_PROBE_H */
