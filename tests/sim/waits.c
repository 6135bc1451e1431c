/* SPDX-License-Identifier: MIT */
/*
 * Waiters: a task, fiber or future, that waits some times, in random ways and scopes, and judges
 * what came of it.
 */
#include "waits_waiter.h"

#include <errno.h>

#include "core/task.h"

#define OTHER_CASE 1000000 /* what a select gives when its case rt_case_at() has happened */
#define AWAITED    1000001 /* what an awaited future returns */

struct met met;

/* Chance */

rt_time waits_some_deadline(struct run *run)
{
    switch (rand_below(&run->rand, 4)) {
    case 0:
        return rand_chance(&run->rand, 500) ? 0 : rt_in(0);
    case 1:
        return rt_in((rt_time)rand_below(&run->rand, 100000));
    case 2:
        return rt_in((rt_time)rand_below(&run->rand, 1000000));
    default:
        return RT_NEVER;
    }
}

struct waiter *some_waiter(struct run *run)
{
    return &run->waiters[rand_below(&run->rand, run->waiter_count)];
}

/* Why a wait may end */

/* As of `now`: the wait's deadline, or that of a scope that no shield holds off. */
bool wait_time_is_up(const struct waiter *waiter, rt_time now)
{
    bool up = waiter->deadline <= now || waiter->await_deadline <= now;
    rt_time shielded = 0;

    for (unsigned i = waiter->scope_count; i > 0; i--) {
        const struct test_scope *scope = &waiter->scopes[i - 1];

        if (scope->shield) {
            shielded = scope->deadline > shielded ? scope->deadline : shielded;
        } else {
            up = up || (scope->deadline <= now && shielded <= now);
        }
    }
    return up;
}

bool wait_is_cancelled(const struct waiter *waiter, rt_time now)
{
    bool cancelled = false;
    rt_time shielded = 0;

    for (unsigned i = waiter->scope_count; i > 0; i--) {
        const struct test_scope *scope = &waiter->scopes[i - 1];

        if (scope->shield) {
            shielded = scope->deadline > shielded ? scope->deadline : shielded;
        } else {
            cancelled = cancelled || (scope->cancelled && shielded <= now);
        }
    }
    return cancelled || ((waiter->cancelled || waiter->run->stopped) && shielded <= now);
}

void check_order(struct waiter *waiter, uint64_t order)
{
    struct run *run = waiter->run;

    for (unsigned i = 0; i < run->grant_count; i++) {
        T_CHECK((waiter->ticket < run->grants[i].ticket) == (order < run->grants[i].order));
    }
    T_CHECK(run->grant_count < WAITERS_MAX * WAITS_MAX);
    run->grants[run->grant_count++] = (struct grant){ waiter->ticket, order };
}

bool stands_in_line(const struct waiter *waiter)
{
    return waiter->waiting && waiter->waker.task->waiter != NULL &&
           !waiter->waker.task->waiter->done;
}

void check_nobody_was_passed(const struct waiter *waiter)
{
    const struct run *run = waiter->run;

    for (unsigned i = 0; i < run->waiter_count; i++) {
        const struct waiter *other = &run->waiters[i];

        T_CHECK(other->ticket >= waiter->ticket || !stands_in_line(other));
    }
}

/* One wait */

unsigned wait_ways_of(const struct kind *kind, bool fiber, enum way ways[WAYS])
{
    unsigned n = 0;

    if (fiber && kind->call != NULL) {
        ways[n++] = WAY_CALL;
    }
    if (fiber && kind->make_case != NULL) {
        ways[n++] = WAY_SELECT;
    }
    if (fiber && kind->poll != NULL) {
        ways[n++] = WAY_AWAIT;
    }
    if (fiber && kind->make_case != NULL) {
        ways[n++] = WAY_AWAIT_SELECT;
    }
    if (!fiber && kind->poll != NULL) {
        ways[n++] = WAY_POLL;
    }
    if (!fiber && kind->make_case != NULL && kind->after == NULL) {
        ways[n++] = WAY_POLL_SELECT;
    }
    return n;
}

static void begin_wait(struct waiter *waiter, bool fiber)
{
    struct run *run = waiter->run;
    enum way ways[WAYS] = { WAY_CALL };
    const unsigned n = wait_ways_of(run->kind, fiber, ways);

    T_CHECK(!waiter->waiting && n > 0);
    waiter->way = ways[rand_below(&run->rand, n)];
    waiter->deadline = waits_some_deadline(run);
    waiter->await_deadline = RT_NEVER;
    if ((waiter->way == WAY_AWAIT || waiter->way == WAY_AWAIT_SELECT) &&
        !run->kind->deadline_is_event) {
        waiter->await_deadline = waits_some_deadline(run);
    }
    waiter->case_count = 0;
    waiter->other_time = 0;
    waiter->polled = RT_PENDING;
    waiter->ticket = run->tickets++;
    waiter->waiting = true;
}

static enum outcome judge(struct waiter *waiter, int result)
{
    const struct kind *kind = waiter->run->kind;

    switch (result) {
    case -ETIME:
        T_CHECK(!kind->exempt || kind->exempt_but_of_deadline);
        T_CHECK(kind->exempt ? waiter->deadline <= rt_now() : wait_time_is_up(waiter, rt_now()));
        return TIMED_OUT;
    case -ECANCELED:
        T_CHECK(!kind->exempt && wait_is_cancelled(waiter, rt_now()));
        return CANCELLED;
    case OTHER_CASE:
        return OTHER;
    default:
        T_CHECK(kind->got(waiter, result));
        return result >= 0 ? GOT : OTHER;
    }
}

/* True: it was a success. */
static bool end_wait(struct waiter *waiter, int result)
{
    const enum outcome outcome = judge(waiter, result);

    T_CHECK(waiter->waiting);
    waiter->waiting = false;
    if (waiter->run->kind->over != NULL) {
        waiter->run->kind->over(waiter, result);
    }
    met.waits[waiter->way][outcome]++;
    return outcome == GOT;
}

static void make_cases(struct waiter *waiter)
{
    struct run *run = waiter->run;
    const unsigned n = run->kind->selected_twice && rand_chance(&run->rand, 300) ? 2 : 1;

    for (unsigned i = 0; i < n; i++) {
        waiter->cases[i] = run->kind->make_case(waiter, i);
    }
    waiter->case_count = n;
    if (rand_chance(&run->rand, 400)) {
        const uint64_t place = rand_below(&run->rand, n + 1);

        waiter->other_time = rt_in((rt_time)rand_below(&run->rand, 1000000));
        waiter->cases[n] = waiter->cases[place];
        waiter->cases[place] = rt_case_at(waiter->other_time);
        waiter->other_place = (int)place;
        waiter->case_count++;
    }
}

/* `future` NULL: by a fiber. */
static int select_one(struct waiter *waiter, struct rt_future *future)
{
    const rt_time deadline = waiter->run->kind->deadline_is_event ? RT_NEVER : waiter->deadline;
    int won;

    if (waiter->case_count == 0) {
        make_cases(waiter);
    }
    won = future == NULL ? rt_select(waiter->cases, waiter->case_count, deadline)
                         : rt_poll_select(future, waiter->cases, waiter->case_count, deadline);
    if (won < 0) {
        return won; /* RT_PENDING too */
    }
    T_CHECK((unsigned)won < waiter->case_count);
    if (waiter->other_time != 0 && won == waiter->other_place) {
        T_CHECK(rt_now() >= waiter->other_time && waiter->cases[won].result == 0);
        return OTHER_CASE;
    }
    return waiter->cases[won].result;
}

/* By a future that a fiber awaits */

static struct waiter *waiter_of(struct rt_future *future)
{
    return ((struct wait_future *)future)->waiter;
}

static int poll_one(struct waiter *waiter, struct rt_future *future)
{
    return waiter->way == WAY_POLL || waiter->way == WAY_AWAIT
               ? waiter->run->kind->poll(waiter, future, waiter->deadline)
               : select_one(waiter, future);
}

static int poll_awaited(struct rt_future *future)
{
    struct waiter *waiter = waiter_of(future);
    const int r = poll_one(waiter, future);

    if (r == RT_PENDING) {
        return r;
    }
    waiter->polled = r;
    return AWAITED;
}

static void drop_awaited(struct rt_future *future)
{
    struct waiter *waiter = waiter_of(future);

    if (waiter->polled == RT_PENDING) {
        const int r = poll_one(waiter, future);

        T_CHECK(r != RT_PENDING);
        waiter->polled = r == -ECANCELED ? RT_PENDING : r;
    }
}

static int await_one(struct waiter *waiter)
{
    int r;

    waiter->future.future = (struct rt_future)RT_FUTURE_INIT(poll_awaited, drop_awaited);
    r = rt_await(&waiter->future.future, waiter->await_deadline);
    if (waiter->polled != RT_PENDING) {
        T_CHECK(r == AWAITED || r == -ETIME || r == -ECANCELED);
        return waiter->polled;
    }
    T_CHECK(r == -ETIME || r == -ECANCELED);
    return r;
}

/* A waiter that is a fiber */

static void enter_scopes(struct waiter *waiter)
{
    struct run *run = waiter->run;

    waiter->scope_count = 0;
    while (waiter->scope_count < TEST_SCOPES_MAX && rand_chance(&run->rand, 350)) {
        struct test_scope *scope = &waiter->scopes[waiter->scope_count];

        *scope = (struct test_scope){ .deadline = waits_some_deadline(run),
                                      .shield = rand_chance(&run->rand, 400) };
        if (scope->shield && scope->deadline == RT_NEVER) {
            scope->deadline = rt_in(RT_MICROSECONDS(700)); /* else nothing need ever end it */
        }
        if (scope->shield) {
            rt_shield(&scope->scope, scope->deadline);
        } else {
            rt_scope_enter(&scope->scope, scope->deadline);
        }
        waiter->scope_count++;
    }
    met.scoped += waiter->scope_count > 0;
}

static void leave_scopes(struct waiter *waiter, int result)
{
    const bool own_time = waiter->deadline <= rt_now() || waiter->await_deadline <= rt_now();
    int by_scope = 0;

    while (waiter->scope_count > 0) {
        struct test_scope *scope = &waiter->scopes[--waiter->scope_count];
        const int r = rt_scope_leave(&scope->scope);

        T_CHECK(r == 0 || !scope->shield);
        T_CHECK(r == 0 || r == -ETIME || (r == -ECANCELED && scope->cancelled));
        T_CHECK(r == 0 || by_scope == 0); /* one wait is ended by one scope */
        by_scope = r != 0 ? r : by_scope;
    }
    met.ended_by_scope += by_scope != 0;
    if (waiter->way == WAY_CALL && by_scope != 0) {
        T_CHECK(result == by_scope || result >= 0); /* an operation may have been too far */
    }
    T_CHECK(result != -ETIME || own_time || by_scope == -ETIME);
    T_CHECK(result != -ECANCELED || waiter->cancelled || waiter->run->stopped ||
            by_scope == -ECANCELED);
}

static void wait_once(struct waiter *waiter)
{
    const struct kind *kind = waiter->run->kind;
    bool got;
    int r;

    enter_scopes(waiter);
    if (waiter->scope_count > 0 && rand_chance(&waiter->run->rand, 200)) {
        rt_yield(); /* so that some scopes are cancelled before there is a wait */
    }
    begin_wait(waiter, true);
    if (waiter->way == WAY_CALL) {
        r = kind->call(waiter, waiter->deadline);
    } else {
        r = waiter->way == WAY_SELECT ? select_one(waiter, NULL) : await_one(waiter);
    }
    got = end_wait(waiter, r);
    leave_scopes(waiter, r);
    if (got && kind->after != NULL) {
        kind->after(waiter);
    }
}

static int wait_as_fiber(void *arg)
{
    struct waiter *waiter = arg;

    waiter->waker = rt_waker_self();
    waiter->started = true;
    for (; waiter->waits_left > 0; waiter->waits_left--) {
        wait_once(waiter);
        if (rand_chance(&waiter->run->rand, 200)) {
            rt_yield();
        }
    }
    waiter_ended(waiter->run);
    return (int)waiter->number;
}

/* A waiter that is a future */

static int poll_waits(struct rt_future *future)
{
    struct waiter *waiter = waiter_of(future);

    waiter->waker = rt_waker_self();
    waiter->started = true;
    for (; waiter->waits_left > 0; waiter->waits_left--) {
        int r;

        if (!waiter->waiting) {
            begin_wait(waiter, false);
        }
        r = poll_one(waiter, future);
        if (r == RT_PENDING) {
            return r;
        }
        (void)end_wait(waiter, r);
    }
    return (int)waiter->number;
}

static void drop_waits(struct rt_future *future)
{
    struct waiter *waiter = waiter_of(future);

    if (waiter->waiting) {
        const int r = poll_one(waiter, future);

        T_CHECK(r != RT_PENDING);
        (void)end_wait(waiter, r);
    }
    waiter_ended(waiter->run);
}

void waiter_spawn(struct waiter *waiter)
{
    struct run *run = waiter->run;
    enum way ways[WAYS];
    const bool can_be_future = wait_ways_of(run->kind, false, ways) > 0;
    int r;

    waiter->spawned = true;
    waiter->waits_left = 1 + (unsigned)rand_below(&run->rand, WAITS_MAX);
    waiter->future.waiter = waiter;
    run->waiters_live++;
    if (can_be_future && rand_chance(&run->rand, 450)) {
        waiter->future.future = (struct rt_future)RT_FUTURE_INIT(poll_waits, drop_waits);
        r = rt_spawn_future(&waiter->task, &waiter->future.future);
    } else {
        r = rt_spawn(&waiter->task, wait_as_fiber, waiter);
    }
    T_CHECK(r == 0);
}
