/* SPDX-License-Identifier: MIT */
/*
 * Loop: a runtime of one shard whose turns somebody else makes. See rt/loop.h.
 *
 * Between turns this thread is no shard: rti_current is NULL. So what it does there to the
 * loop's tasks it does as any other thread would, by the wake map and the doorbell; the
 * doorbell says that the shard sleeps, and the descriptor becomes readable. No other
 * protocol is needed.
 *
 * L1 When a turn has returned a moment in the future, the doorbell says SLEEPING, all that
 *    was to be submitted is, and no completion could be read. All that comes afterwards
 *    brings a completion, and the ring's descriptor is readable while there is one.
 */
#include "rt/loop.h"

#include <errno.h>

#include "core/fork.h"
#include "os/sys.h"
#include "shard/runtime.h"

/* The loop of this thread. Stacks of executors nest on a thread, loops would not. */
static _Thread_local struct rt_runtime *loop_here;

static struct rti_executor *executor_of(const struct rt_runtime *loop)
{
    return loop->shards[0].executor;
}

/* The rest of the thread's time is the host's: it is neither charged nor watched. */
static void enter(struct rti_executor *executor)
{
    rti_current = executor;
    rti_watched_wakes(&executor->watched);
    rti_slice_slept(executor);
}

static void leave(struct rti_executor *executor)
{
    rti_slice_sleeps(executor);
    rti_watched_sleeps(&executor->watched);
    rti_current = NULL;
}

static void must_be_here(const struct rt_runtime *loop, const char *call)
{
    rti_fork_check(call);
    if (RTI_UNLIKELY(rti_current != NULL)) {
        rti_misuse("%s() was called from a task", call);
    }
    if (RTI_UNLIKELY(loop_here != loop || loop == NULL)) {
        rti_misuse("%s() was called on a thread that has not opened this loop", call);
    }
}

int rt_loop_open(struct rt_runtime **out, const struct rt_config *config, rt_task_fn first,
                 void *arg)
{
    struct rt_runtime *loop;
    int r;

    if (loop_here != NULL) {
        rti_log(&loop_here->log, RT_LOG_ERROR,
                "this thread has a loop already ('%s'): rt_loop_close() comes before another "
                "rt_loop_open()",
                loop_here->config.name);
        return -EBUSY;
    }
    r = rti_runtime_begin_here(&loop, config, true, first, arg, "rt_loop_open");
    if (r < 0) {
        return r;
    }
    leave(executor_of(loop));
    loop_here = loop;
    *out = loop;
    return 0;
}

int rt_loop_fd(const struct rt_runtime *loop)
{
    return loop->mesh.shards[0]->ring_fd;
}

bool rt_loop_turn(struct rt_runtime *loop, rt_time *next)
{
    struct rti_executor *executor;

    must_be_here(loop, "rt_loop_turn");
    executor = executor_of(loop);
    if (executor->closed) {
        return false;
    }
    enter(executor);
    executor->turn_due = 0;
    rti_executor_turn(executor, rti_sys_now());
    leave(executor);
    *next = executor->turn_due;
    return !executor->closed;
}

int rt_loop_close(struct rt_runtime *loop)
{
    struct rti_executor *executor;
    int result;

    must_be_here(loop, "rt_loop_close");
    executor = executor_of(loop);
    if (!executor->closed) {
        rt_stop(loop);
    }
    enter(executor);
    executor->hosted = false; /* nobody else waits for it any more */
    rti_runtime_run_here(loop);
    result = loop->mesh.shards[0]->closing.result;
    rti_runtime_end_here(loop);
    loop_here = NULL;
    return result;
}
