/* SPDX-License-Identifier: MIT */
/* Event: a flag, and the tasks that wait until it is set. Nobody waits while it is. */
#include "rt/event.h"

#include "core/future.h"
#include "core/select.h"
#include "sync/line.h"

_Static_assert(sizeof(struct rt_event) == 24, "as its header says");
_Static_assert(sizeof(struct rti_queued) <= RTI_CASE_LEG_BYTES, "a select can stand in line");
_Static_assert(sizeof(struct rti_queued) <= RTI_FUTURE_WAIT_BYTES, "a future can stand in line");

static void wait_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_event *)waiter->object)->waiters, rti_queued_of(waiter));
}

static const struct rti_wait_kind event_kind = { .name = "event", .leave = wait_leave };

void rt_event_set(struct rt_event *event)
{
    (void)rti_executor_here("rt_event_set");
    rti_line_must_own(&event->waiters, "rt_event_set");
    event->set = 1;
    rti_line_let_all_go(&event->waiters, 0);
}

void rt_event_reset(struct rt_event *event)
{
    (void)rti_executor_here("rt_event_reset");
    rti_line_must_own(&event->waiters, "rt_event_reset");
    event->set = 0;
}

bool rt_event_is_set(const struct rt_event *event)
{
    (void)rti_executor_here("rt_event_is_set");
    rti_line_must_own(&event->waiters, "rt_event_is_set");
    return event->set != 0;
}

/* Whether it is set; if not, the caller may stand in line. */
static inline bool has_happened(const struct rt_event *event, const char *call)
{
    (void)rti_executor_here(call);
    if (RTI_LIKELY(event->set != 0)) {
        return true;
    }
    rti_line_must_own(&event->waiters, call);
    return false;
}

int rt_event_wait(struct rt_event *event, rt_time deadline)
{
    if (has_happened(event, "rt_event_wait")) {
        return 0;
    }
    return rti_wait_in_line(&event->waiters, &event_kind, event, 0, deadline);
}

/* As a case of a select */

static bool event_now(struct rt_case *self)
{
    self->result = 0;
    return has_happened(self->object, "rt_select");
}

static void event_link(struct rt_case *self)
{
    struct rt_event *event = self->object;

    (void)rti_case_leg(self, &event_kind, event);
    rti_waiters_push(&event->waiters, rti_case_memory(self));
}

static const struct rti_case_ops event_ops = { .take_now = event_now, .link = event_link };

struct rt_case rt_case_event(struct rt_event *event)
{
    return rti_case(&event_ops, event, NULL);
}

/* In a future */

int rt_poll_event(struct rt_future *future, struct rt_event *event, rt_time deadline)
{
    struct rti_waiter *waiter = rti_future_waiter(future);
    int r;

    if (rti_future_look(future, &event_kind, "rt_poll_event", &r)) {
        return r;
    }
    if (has_happened(event, "rt_poll_event")) {
        return 0;
    }
    rti_waiter_init(waiter, &event_kind);
    waiter->object = event;
    rti_waiters_push(&event->waiters, rti_future_memory(future));
    return rti_future_wait(future, deadline);
}
