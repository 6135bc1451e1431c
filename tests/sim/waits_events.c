/* SPDX-License-Identifier: MIT */
/* Waits for moments: an event that is set, a gate that is empty, a once that is done. */
#include "waits.h"

#include <errno.h>

#include "rt/event.h"
#include "rt/gate.h"
#include "rt/once.h"

/* Event */

static struct rt_event event;
static unsigned times_set;

static void event_make(struct run *run)
{
    (void)run;
    event = (struct rt_event)RT_EVENT_INIT;
    times_set = 0;
}

static int event_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_event_wait(&event, deadline);
}

static struct rt_case event_case(struct waiter *waiter, unsigned index)
{
    (void)waiter;
    (void)index;
    return rt_case_event(&event);
}

static int event_poll(struct waiter *waiter, struct rt_future *future, rt_time deadline)
{
    (void)waiter;
    return rt_poll_event(future, &event, deadline);
}

static bool event_got(struct waiter *waiter, int result)
{
    (void)waiter;
    return result == 0 && times_set > 0;
}

static void event_happen(struct run *run)
{
    if (rt_event_is_set(&event)) {
        rt_event_reset(&event);
        return;
    }
    times_set++;
    rt_event_set(&event);
    if (rand_chance(&run->rand, 300)) {
        rt_event_reset(&event); /* who waited goes on all the same */
    }
    for (unsigned i = 0; i < run->waiter_count; i++) {
        run->waiters[i].flag = run->waiters[i].waiting;
    }
}

static void event_over(struct waiter *waiter, int result)
{
    (void)result;
    waiter->flag = false;
}

/* It is set, or was while this one waited. */
static bool event_is_there(const struct waiter *waiter)
{
    return waiter->flag || rt_event_is_set(&event);
}

static const struct kind event_kind = {
    .name = "event",
    .selected_twice = true,
    .make = event_make,
    .call = event_call,
    .make_case = event_case,
    .poll = event_poll,
    .got = event_got,
    .over = event_over,
    .happen = event_happen,
    .is_there = event_is_there,
};

/* Gate: one of each waiter, a new one after each success. */

static struct {
    struct rt_gate gate;
    unsigned inside;
} gates[WAITERS_MAX];
static bool all_leave;

static void gate_make(struct run *run)
{
    (void)run;
    all_leave = false;
}

static void have_gate(struct waiter *waiter)
{
    struct run *run = waiter->run;

    gates[waiter->number].gate = (struct rt_gate)RT_GATE_INIT;
    gates[waiter->number].inside = all_leave ? 0 : 1 + (unsigned)rand_below(&run->rand, 2);
    for (unsigned i = 0; i < gates[waiter->number].inside; i++) {
        T_CHECK(rt_gate_enter(&gates[waiter->number].gate) == 0);
    }
}

static int gate_call(struct waiter *waiter, rt_time deadline)
{
    return rt_gate_close(&gates[waiter->number].gate, deadline);
}

static bool gate_got(struct waiter *waiter, int result)
{
    T_CHECK(gates[waiter->number].inside == 0);
    T_CHECK(rt_gate_enter(&gates[waiter->number].gate) == -EPIPE);
    have_gate(waiter);
    return result == 0;
}

static void leave_one(unsigned number)
{
    if (gates[number].inside > 0) {
        gates[number].inside--;
        rt_gate_leave(&gates[number].gate);
    }
}

static void gate_happen(struct run *run)
{
    leave_one(some_waiter(run)->number);
}

static bool gate_is_there(const struct waiter *waiter)
{
    return gates[waiter->number].inside == 0;
}

static void leave_all(struct run *run)
{
    all_leave = true;
    for (unsigned i = 0; i < run->waiter_count; i++) {
        leave_one(i);
        leave_one(i);
    }
}

static const struct kind gate_kind = {
    .name = "gate close",
    .exempt = true,
    .exempt_but_of_deadline = true,
    .make = gate_make,
    .make_waiter = have_gate,
    .call = gate_call,
    .got = gate_got,
    .happen = gate_happen,
    .is_there = gate_is_there,
    .let_go = leave_all,
};

/* Once: after a success there is a new one. `flag` of a waiter says that it ran the function. */

#define ONCES_MAX   (WAITERS_MAX * WAITS_MAX + 16)
#define ONCE_RESULT 100

static struct {
    struct rt_once once;
    bool runs;
    bool done;
} onces[ONCES_MAX];
static unsigned newest;

static void once_make(struct run *run)
{
    (void)run;
    for (unsigned i = 0; i < ONCES_MAX; i++) {
        onces[i].once = (struct rt_once)RT_ONCE_INIT;
        onces[i].runs = false;
        onces[i].done = false;
    }
    newest = 0;
}

static int work(struct run *run, unsigned number)
{
    int r;

    T_CHECK(!onces[number].runs && !onces[number].done);
    onces[number].runs = true;
    r = rt_sleep_until(rt_in((rt_time)rand_below(&run->rand, 100000)));
    onces[number].runs = false;
    if (r < 0 || rand_chance(&run->rand, 300)) {
        return r < 0 ? r : -EIO;
    }
    onces[number].done = true;
    newest = number + 1 < ONCES_MAX ? number + 1 : number;
    return ONCE_RESULT + (int)number;
}

static int work_of_waiter(void *arg)
{
    struct waiter *waiter = arg;

    waiter->flag = true;
    return work(waiter->run, waiter->count);
}

static int work_of_first(void *arg)
{
    return work(arg, newest);
}

static int once_call(struct waiter *waiter, rt_time deadline)
{
    waiter->count = newest;
    waiter->flag = false;
    return rt_once_run(&onces[newest].once, work_of_waiter, waiter, deadline);
}

static bool once_got(struct waiter *waiter, int result)
{
    if (result == -EIO) {
        return waiter->flag; /* who fails is told, the others go on */
    }
    return onces[waiter->count].done && result == ONCE_RESULT + (int)waiter->count;
}

static void once_happen(struct run *run)
{
    const int r = rt_once_run(&onces[newest].once, work_of_first, run,
                              rt_in((rt_time)rand_below(&run->rand, 100000)));

    T_CHECK(r == -EIO || r == -ETIME || r >= ONCE_RESULT);
}

static bool once_is_there(const struct waiter *waiter)
{
    return !onces[waiter->count].runs;
}

static const struct kind once_kind = {
    .name = "once",
    .make = once_make,
    .call = once_call,
    .got = once_got,
    .happen = once_happen,
    .is_there = once_is_there,
};

const struct kind *const waits_events[] = { &event_kind, &gate_kind, &once_kind, NULL };
