/* SPDX-License-Identifier: MIT */
/* Future: see future.h for the life of its waits, and rt/future.h for the contract. */
#include "core/future.h"

#include <stddef.h>

#include "core/select.h"
#include "core/trace.h"
#include "core/waiters.h"

_Static_assert(RTI_ASAN || RTI_TSAN || sizeof(struct rt_future) == 128, "two cache lines a future");
_Static_assert(sizeof(((struct rt_future *)NULL)->wait) == RTI_FUTURE_WAIT_BYTES, "room of a wait");
_Static_assert(offsetof(struct rt_future, wait) == sizeof(struct rt_small_future) &&
                   offsetof(struct rt_future, begun) == offsetof(struct rt_small_future, begun),
               "a small future is the beginning of one");

/* The waits of poll functions */

enum begun {
    NOT_BEGUN,
    UNDER_WAY, /* in the list of who polls */
    OVER,      /* polling was over before its result was taken; it can be had in the drop */
    SMALL = RT_FUTURE_IS_SMALL, /* never: it has no room for a wait */
};

static void forget(struct rt_future **list, struct rt_future *future)
{
    struct rt_future **link = list;

    while (*link != future) {
        link = &(*link)->next;
    }
    *link = future->next;
    future->begun = NOT_BEGUN;
}

static struct rti_executor *polling_here(const char *call)
{
    struct rti_executor *executor = rti_executor_here(call);

    if (RTI_UNLIKELY(executor->polling == NULL)) {
        rti_misuse("%s() was called outside of a poll function", call);
    }
    return executor;
}

/* In a drop nothing begins; a wait that was over by then has its result, once. */
static int take_over(struct rt_future *future, const struct rti_wait_kind *kind)
{
    const struct rti_waiter *waiter = rti_future_waiter(future);

    if (future->begun != OVER || waiter->kind != kind) {
        return -ECANCELED;
    }
    future->begun = NOT_BEGUN;
    return waiter->result;
}

bool rti_future_look(struct rt_future *future, const struct rti_wait_kind *kind, const char *call,
                     int *result)
{
    struct rti_executor *executor = polling_here(call);
    struct rti_waiter *waiter = rti_future_waiter(future);

    if (executor->dropping) {
        *result = take_over(future, kind);
        return true;
    }
    if (future->begun != UNDER_WAY) {
        if (RTI_UNLIKELY(future->begun == SMALL)) {
            rti_misuse("%s(): a struct rt_small_future has no room for a wait", call);
        }
        return false;
    }
    if (RTI_UNLIKELY(waiter->task != executor->running)) {
        rti_executor_must_own(waiter->task->executor, call);
        rti_misuse("%s(): another task polls the future", call);
    }
    if (RTI_UNLIKELY(waiter->kind != kind)) {
        rti_misuse("%s(): the future waits for something else already (%s)", call,
                   waiter->kind->name);
    }
    if (!waiter->done) {
        *result = RT_PENDING;
        return true;
    }
    forget(executor->polling, future);
    *result = waiter->result;
    return true;
}

bool rti_future_waits_by(const struct rt_future *future, const struct rti_wait_kind *kind)
{
    const struct rti_waiter *waiter = (const struct rti_waiter *)(const void *)future->wait;

    return future->begun == UNDER_WAY && waiter->kind == kind;
}

int rti_future_wait(struct rt_future *future, rt_time deadline)
{
    struct rti_executor *executor = rti_current;
    struct rti_waiter *waiter = rti_future_waiter(future);

    waiter->mode = RTI_WAIT_FUTURE;
    future->begun = UNDER_WAY;
    future->next = *executor->polling;
    *executor->polling = future;
    rti_trace(executor, RT_TRACE_WAIT, waiter->task, NULL, waiter->kind->name, 0);
    if (deadline != RT_NEVER && !waiter->done) {
        rti_waiter_arm(waiter, deadline);
    }
    if (!waiter->done) {
        return RT_PENDING;
    }
    forget(executor->polling, future);
    return waiter->result;
}

void rti_future_wait_done(struct rti_waiter *waiter)
{
    if (waiter->kind->ended != NULL) {
        waiter->kind->ended(waiter);
    }
    rti_task_wake_by_waker(waiter->task);
}

/* The end of polling (F1, F2) */

/* Ask all waits to end: one that has not, or NULL. */
static struct rti_waiter *end_waits(struct rt_future *begun)
{
    struct rti_waiter *open = NULL;

    for (; begun != NULL; begun = begun->next) {
        struct rti_waiter *waiter = rti_future_waiter(begun);

        rti_waiter_abort(waiter, -ECANCELED);
        open = waiter->done ? open : waiter;
    }
    return open;
}

static void begin_polling(struct rti_executor *executor, struct rt_future **begun)
{
    executor->polling = begun;
    if ((executor->running->state & RTI_TASK_FUTURE) == 0) {
        executor->running->state |= RTI_TASK_POLLING;
    }
}

static void end_polling(struct rti_executor *executor)
{
    executor->polling = NULL;
    executor->running->state &= ~(uint32_t)RTI_TASK_POLLING;
}

/* Nothing is looked at after the user's function: it may give back all memory, its own too. */
static void drop(struct rti_executor *executor, struct rt_future *future, struct rt_future **begun)
{
    while (*begun != NULL) {
        struct rti_waiter *waiter = rti_future_waiter(*begun);

        if (waiter->kind->unheard != NULL) {
            waiter->kind->unheard(waiter);
        }
        (*begun)->begun = OVER;
        *begun = (*begun)->next;
    }
    if (future->drop != NULL) {
        begin_polling(executor, begun);
        executor->dropping = true;
        future->drop(future);
        executor->dropping = false;
        end_polling(executor);
    }
}

static int poll_once(struct rti_executor *executor, struct rt_future *future,
                     struct rt_future **begun)
{
    int r;

    begin_polling(executor, begun);
    r = future->poll(future);
    end_polling(executor);
    return r;
}

/* A future as a task */

static void end(struct rt_task *task)
{
    task->waiter = end_waits(task->poll.begun);
    if (task->waiter != NULL) {
        rti_future_run_ended(task); /* the last of them wakes it */
        return;
    }
    drop(task->executor, task->poll.future, &task->poll.begun);
    rti_task_complete_future(task, task->result);
}

/* Polling is over, with `result`. */
static void finish(struct rt_task *task, int result)
{
    if (RTI_LIKELY(task->poll.begun == NULL && task->poll.future->drop == NULL)) {
        rti_task_complete_future(task, result);
        return;
    }
    task->state |= RTI_TASK_ENDING;
    task->result = result;
    end(task);
}

/* It was cancelled, or its waits were to be awaited. */
static RTI_NOINLINE void go_on_ending(struct rt_task *task)
{
    if ((task->state & RTI_TASK_ENDING) != 0) {
        end(task);
    } else {
        task->waiter = NULL;
        finish(task, -ECANCELED);
    }
}

void rti_future_run(struct rt_task *task)
{
    struct rti_executor *executor = task->executor;
    int r;

    if (RTI_UNLIKELY((task->state & (RTI_TASK_ENDING | RTI_TASK_CANCEL)) != 0)) {
        go_on_ending(task);
        return;
    }
    task->waiter = NULL; /* what it names may go away in this poll */
    executor->polling = &task->poll.begun;
    r = task->poll.future->poll(task->poll.future);
    executor->polling = NULL;
    if (r != RT_PENDING) {
        finish(task, r);
        return;
    }
    if (task->poll.begun != NULL) {
        task->waiter = rti_future_waiter(task->poll.begun);
    }
    rti_future_run_ended(task);
}

void rti_future_prepare(struct rt_future *future, const char *call)
{
    if (RTI_UNLIKELY(future->poll == NULL || future->begun == UNDER_WAY)) {
        rti_misuse("%s(): not a future, or it is being polled already", call);
    }
    if (future->begun == OVER) {
        future->begun = NOT_BEGUN;
    }
}

int rt_spawn_future_with(struct rt_task **out, struct rt_future *future,
                         const struct rt_spawn_options *options)
{
    struct rti_executor *executor = rti_executor_here("rt_spawn_future");

    rti_future_prepare(future, "rt_spawn_future");
    return rti_task_spawn_future(executor, out, future, options, NULL);
}

int rt_spawn_future(struct rt_task **out, struct rt_future *future)
{
    return rt_spawn_future_with(out, future, NULL);
}

/* A future that a fiber awaits */

static void end_awaited(struct rti_executor *executor, struct rt_future *future,
                        struct rt_future **begun)
{
    while (end_waits(*begun) != NULL) {
        rti_future_park_exempt(future);
    }
    drop(executor, future, begun);
}

RTI_RETURNS_AFTER_SWITCH
int rt_await(struct rt_future *future, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_await");
    struct rt_future *begun = NULL;
    int r = rti_wait_allowed();

    if (RTI_UNLIKELY(executor->polling != NULL)) {
        rti_misuse("rt_await() was called in a poll function: poll the other future there");
    }
    rti_future_prepare(future, "rt_await");
    while (r == 0) {
        const int result = poll_once(executor, future, &begun);

        if (result != RT_PENDING) {
            r = result;
            break;
        }
        r = rti_future_park(future, deadline);
        if (r == 0) {
            r = rti_wait_allowed(); /* F2 */
        }
    }
    end_awaited(executor, future, &begun);
    return r;
}

/* Sleep, join */

int rt_poll_sleep(struct rt_future *future, rt_time deadline)
{
    int r;

    if (rti_future_look(future, &rti_sleep_kind, "rt_poll_sleep", &r)) {
        return r;
    }
    rti_waiter_init(rti_future_waiter(future), &rti_sleep_kind);
    return rti_future_wait(future, deadline);
}

int rt_poll_join(struct rt_future *future, struct rt_task *task, int *result, rt_time deadline)
{
    struct rti_waiter *waiter = rti_future_waiter(future);
    int r;

    if (!rti_future_look(future, &rti_join_kind, "rt_poll_join", &r)) {
        rti_join_check(task, "rt_poll_join");
        waiter->object = task;
        r = 0;
        if ((task->state & RTI_TASK_COMPLETED) == 0) {
            rti_waiter_init(waiter, &rti_join_kind);
            waiter->object = task;
            task->awaiter = waiter;
            r = rti_future_wait(future, deadline);
        }
    }
    if (r == 0) {
        rti_join_take((struct rt_task *)waiter->object, result);
    }
    return r;
}
