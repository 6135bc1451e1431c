/* SPDX-License-Identifier: MIT */
/* Select: see select.h for how one leg wins. */
#include "core/select.h"

#include "base/random.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/op.h"

struct select {
    struct rti_waiter waiter;
    struct rt_case *cases;
    uint32_t linked; /* of the cases, those that have a leg */
    uint32_t open;   /* L2 */
    int32_t winner;  /* below 0: nobody yet */
};

_Static_assert(sizeof(struct rt_case) == 128, "two cache lines a case");
_Static_assert(sizeof(((struct rt_case *)NULL)->leg) == RTI_CASE_LEG_BYTES, "room of a leg");
_Static_assert(RTI_ASAN || RTI_TSAN || sizeof(struct rti_op) <= RTI_CASE_LEG_BYTES,
               "an operation can be a leg");
_Static_assert(sizeof(struct select) <= RTI_FUTURE_WAIT_BYTES, "a future can select");

static const struct rti_case_ops *ops_of(const struct rt_case *self)
{
    return self->ops;
}

/* A leg that is only to be unlinked is not finished: nobody would look at it. */
static inline void end_leg(struct select *select, struct rti_waiter *leg, int reason)
{
    if (leg->done) {
        return;
    }
    if (RTI_UNLIKELY(leg->kind->leave == NULL)) {
        rti_waiter_abort(leg, reason);
        return;
    }
    leg->kind->leave(leg);
    leg->done = true;
    rti_timer_disarm(&rti_current->wheel, &leg->timer);
    select->open--; /* not the last: who ends legs has one to close */
}

static void end_legs(struct select *select, int reason)
{
    /* From the last: those that wait for room in the ring leave before others make some. */
    for (uint32_t i = select->linked; i > 0; i--) {
        end_leg(select, rti_case_memory(&select->cases[i - 1]), reason);
    }
}

/* One leg less is open, or linking or ending is over. */
static inline void close_one(struct select *select)
{
    if (--select->open == 0) {
        rti_waiter_finish(&select->waiter,
                          select->winner >= 0 ? select->winner : select->waiter.reason);
    }
}

void rti_select_leg_done(struct rti_waiter *leg)
{
    struct rt_case *self = rti_case_of(leg);
    struct select *select = self->select;

    if (leg->kind->ended != NULL) {
        leg->kind->ended(leg);
    }
    /* L1; and what has happened although it was asked to end counts (Q3) */
    if (select->winner < 0 && (leg->reason == 0 || leg->result != leg->reason)) {
        select->winner = (int32_t)self->index;
        self->result = leg->result;
        end_legs(select, -ECANCELED);
    }
    close_one(select);
}

static void select_abort(struct rti_waiter *waiter, int reason)
{
    struct select *select = RTI_CONTAINER_OF(waiter, struct select, waiter);

    select->open++;
    end_legs(select, reason);
    close_one(select); /* unless an operation goes on: the last one finishes the whole */
}

static const struct rti_wait_kind select_kind = { .name = "select", .abort = select_abort };

struct rti_waiter *rti_case_leg(struct rt_case *self, const struct rti_wait_kind *kind,
                                const void *object)
{
    struct rti_waiter *leg = rti_case_memory(self);

    rti_waiter_init(leg, kind);
    leg->object = object;
    leg->mode = RTI_WAIT_LEG;
    return leg;
}

/* The index of a case that happens at once, or -1. Where to begin to look is chance. */
static int take_now(struct rt_case *cases, uint32_t count)
{
    uint32_t i = rti_random_below(&rti_current->select_random, count);

    for (uint32_t n = 0; n < count; n++) {
        if (ops_of(&cases[i])->take_now(&cases[i])) {
            return (int)i;
        }
        i = i + 1 == count ? 0 : i + 1;
    }
    return -1;
}

/* Fill a select, whose waiter is made, and link its legs until one wins. */
static void link_legs(struct select *select, struct rt_case *cases, uint32_t count)
{
    select->cases = cases;
    select->linked = 0;
    select->open = 1;
    select->winner = -1;
    for (uint32_t i = 0; i < count && select->winner < 0; i++) {
        cases[i].index = i;
        cases[i].select = select;
        select->open++;
        ops_of(&cases[i])->link(&cases[i]);
        select->linked++;
    }
    close_one(select);
}

static int take_winner(struct rt_case *cases, int won)
{
    if (won >= 0 && ops_of(&cases[won])->taken != NULL) {
        ops_of(&cases[won])->taken(&cases[won]);
    }
    return won;
}

RTI_RETURNS_AFTER_SWITCH
static RTI_NOINLINE int wait_for_one(struct rt_case *cases, uint32_t count, rt_time deadline)
{
    struct select select;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    rti_waiter_init(&select.waiter, &select_kind);
    select.waiter.object = cases;
    link_legs(&select, cases, count);
    return take_winner(cases, rti_wait(&select.waiter, deadline));
}

static uint32_t check(size_t count, const char *call)
{
    (void)rti_executor_here(call);
    if (RTI_UNLIKELY(count == 0 || count > INT32_MAX)) {
        rti_misuse("%s(): %zu cases", call, count);
    }
    return (uint32_t)count;
}

RTI_RETURNS_AFTER_SWITCH
int rt_select(struct rt_case *cases, size_t count, rt_time deadline)
{
    const uint32_t n = check(count, "rt_select");
    const int now = take_now(cases, n);

    return now >= 0 ? now : wait_for_one(cases, n, deadline);
}

int rt_poll_select(struct rt_future *future, struct rt_case *cases, size_t count, rt_time deadline)
{
    struct select *select = rti_future_memory(future);
    int r;

    if (!rti_future_look(future, &select_kind, "rt_poll_select", &r)) {
        const uint32_t n = check(count, "rt_poll_select");

        r = take_now(cases, n);
        if (r >= 0) {
            return r;
        }
        rti_waiter_init(&select->waiter, &select_kind);
        select->waiter.object = cases;
        link_legs(select, cases, n);
        r = rti_future_wait(future, deadline);
    }
    return r == RT_PENDING ? r : take_winner(select->cases, r);
}

/* Cases: a join, and a moment. */

static bool join_now(struct rt_case *self)
{
    struct rt_task *task = self->object;

    rti_join_check(task, "rt_select");
    if ((task->state & RTI_TASK_COMPLETED) == 0) {
        return false;
    }
    self->result = 0;
    rti_join_take(task, self->argument);
    return true;
}

static void join_link(struct rt_case *self)
{
    struct rt_task *task = self->object;

    task->awaiter = rti_case_leg(self, &rti_join_kind, task);
}

static void join_taken(struct rt_case *self)
{
    rti_join_take(self->object, self->argument);
}

static const struct rti_case_ops join_ops = { .take_now = join_now,
                                              .link = join_link,
                                              .taken = join_taken };

struct rt_case rt_case_join(struct rt_task *task, int *result)
{
    return rti_case(&join_ops, task, result);
}

static bool time_now(struct rt_case *self)
{
    const rt_time time = (rt_time)(intptr_t)self->argument;

    rti_check_deadline(rti_current, time);
    self->result = 0;
    return time <= rti_current->turn_time;
}

static void time_link(struct rt_case *self)
{
    const rt_time time = (rt_time)(intptr_t)self->argument;

    struct rti_waiter *leg = rti_case_leg(self, &rti_sleep_kind, NULL);

    if (time != RT_NEVER) {
        rti_waiter_arm(leg, time);
    }
}

static const struct rti_case_ops time_ops = { .take_now = time_now, .link = time_link };

struct rt_case rt_case_at(rt_time time)
{
    return rti_case(&time_ops, NULL, (void *)(intptr_t)time);
}
