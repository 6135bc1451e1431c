/* SPDX-License-Identifier: MIT */
/*
 * Waits of all kinds that never end by themselves, for tests of what ends them.
 *
 *     never_begin(&never);
 *     T_CHECK(wait_never(&never, JOIN) == -ETIME);
 *     never_end(&never);                            nothing is left
 */
#ifndef RT_TEST_SCOPE_FIXTURE_H
#define RT_TEST_SCOPE_FIXTURE_H

#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>

#include "rt/rt.h"

#define MS(n) RT_MILLISECONDS(n)

static inline int sleep_for_ever(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static inline struct rt_task *spawn(rt_task_fn fn, void *arg)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, arg) == 0);
    return task;
}

static inline void pause_for(rt_time duration)
{
    T_CHECK(rt_sleep_until(rt_in(duration)) == 0);
}

/* The clock stands at `time`: it passed no further while nothing was to be done. */
static inline void check_time(rt_time time)
{
    T_CHECK(rt_now() >= time && rt_now() < time + MS(1));
}

struct never {
    struct rt_task *task;
    struct rt_chan *chan;
    struct rt_file *file;
    struct rt_group group;
    char buf[4];
};

static inline int poll_never(struct rt_future *future)
{
    return rt_poll_sleep(future, RT_NEVER);
}

enum never_way { SLEEP, PARK, JOIN, RECV, READ, GROUP, SELECT, AWAIT, NEVER_WAYS };

static inline int wait_never(struct never *self, enum never_way way)
{
    struct rt_future future = RT_FUTURE_INIT(poll_never, NULL);
    struct rt_case cases[] = { rt_case_join(self->task, NULL), rt_case_at(RT_NEVER) };
    uint64_t item;

    switch (way) {
    case SLEEP:
        return rt_sleep_until(RT_NEVER);
    case PARK: {
        int r;

        do { /* a wake for nothing is possible */
            r = rt_park(RT_NEVER);
        } while (r == 0);
        return r;
    }
    case JOIN:
        return rt_join(self->task, NULL, RT_NEVER);
    case RECV:
        return rt_chan_recv(self->chan, &item, RT_NEVER);
    case READ:
        return (int)rt_file_read_at(self->file, self->buf, 4, 0, RT_NEVER);
    case GROUP:
        return rt_group_wait(&self->group, RT_NEVER);
    case SELECT:
        return rt_select(cases, 2, RT_NEVER);
    case AWAIT:
    case NEVER_WAYS:
    default:
        return rt_await(&future, RT_NEVER);
    }
}

static inline void never_begin(struct never *self)
{
    *self = (struct never){ .task = spawn(sleep_for_ever, NULL) };
    T_CHECK(rt_chan_create(&self->chan, sizeof(uint64_t), 1) == 0);
    T_CHECK(rt_file_open(&self->file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    T_CHECK(rt_group_spawn(&self->group, sleep_for_ever, NULL) == 0);
    sim_hold(IORING_OP_READ, SIM_QUEUED);
}

static inline void never_end(struct never *self)
{
    sim_unhold();
    rt_cancel(self->task);
    T_CHECK(rt_join(self->task, NULL, RT_NEVER) == 0);
    rt_chan_destroy(self->chan);
    T_CHECK(rt_file_close(self->file) == 0);
    T_CHECK(rt_group_leave(&self->group, 0) == 0);
    T_CHECK(tasks_live() == 1);
}

#endif /* RT_TEST_SCOPE_FIXTURE_H */
