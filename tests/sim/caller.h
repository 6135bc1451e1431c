/* SPDX-License-Identifier: MIT */
/*
 * Callers: tasks of the simulated kernel that make one call which waits, and note
 * what it returned and who came back before them.
 *
 *     static int lock(void *mutex, rt_time deadline) { return rt_mutex_lock(mutex, deadline); }
 *
 *     caller_start(&a, lock, &mutex, RT_NEVER);     it waits when this returns
 *     rt_mutex_unlock(&mutex);
 *     T_CHECK(caller_end(&a) == 0 && a.place == 1);
 */
#ifndef RT_TEST_CALLER_H
#define RT_TEST_CALLER_H

#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>

#include "rt/rt.h"

#define CALLER_UNDER_WAY 1 /* as a result: the call has not returned */

struct caller {
    int (*call)(void *object, rt_time deadline);
    void *object;
    rt_time deadline;
    struct rt_task *task;
    int result;
    unsigned place; /* 1: the first that came back since caller_run() */
};

static unsigned caller_places;

static inline int caller_task(void *arg)
{
    struct caller *caller = arg;

    caller->result = caller->call(caller->object, caller->deadline);
    caller->place = ++caller_places;
    return 0;
}

/* Let all other tasks run until they wait. */
static inline void caller_let_run(void)
{
    for (unsigned i = 0; i < 3; i++) {
        rt_yield();
    }
}

static inline void caller_start(struct caller *caller, int (*call)(void *object, rt_time deadline),
                                void *object, rt_time deadline)
{
    *caller = (struct caller){
        .call = call, .object = object, .deadline = deadline, .result = CALLER_UNDER_WAY
    };
    T_CHECK(rt_spawn(&caller->task, caller_task, caller) == 0);
    caller_let_run();
}

static inline bool caller_waits(const struct caller *caller)
{
    return caller->result == CALLER_UNDER_WAY;
}

/* Join it; what its call returned. */
static inline int caller_end(struct caller *caller)
{
    T_CHECK(rt_join(caller->task, NULL, RT_NEVER) == 0);
    return caller->result;
}

/* Whether another task has run since caller_watch_others(): so whether the first one suspended. */
static bool caller_others_ran;

static inline int caller_note_run(void *arg)
{
    caller_others_ran = true;
    return arg != NULL;
}

static inline void caller_watch_others(void)
{
    caller_others_ran = false;
    T_CHECK(rt_spawn(NULL, caller_note_run, NULL) == 0);
}

/* `first` is the first task of a run that must leave nothing and fail no check. */
static inline void caller_run(rt_task_fn first)
{
    caller_places = 0;
    sim_begin(&(struct sim_config){ .seed = 1 });
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

#endif /* RT_TEST_CALLER_H */
