/* SPDX-License-Identifier: MIT */
/*
 * Gate: how many are inside, and the tasks that wait until none is.
 *
 * A task waits only while the gate is closed and somebody is inside. So the last who
 * leaves ends all waits, and touches the gate no more.
 */
#include "sync/gate.h"

#include "sync/line.h"

_Static_assert(sizeof(struct rt_gate) == 24, "as its header says");

int rt_gate_enter(struct rt_gate *gate)
{
    (void)rti_executor_here("rt_gate_enter");
    if (RTI_UNLIKELY(gate->closed != 0)) {
        return -EPIPE;
    }
    gate->inside++;
    return 0;
}

static RTI_NOINLINE void leave_closed(struct rt_gate *gate)
{
    rti_line_must_own(&gate->waiters, "rt_gate_leave");
    if (gate->inside == 0) {
        rti_line_let_all_go(&gate->waiters, 0);
    }
}

void rt_gate_leave(struct rt_gate *gate)
{
    (void)rti_executor_here("rt_gate_leave");
    if (RTI_UNLIKELY(gate->inside == 0)) {
        rti_misuse("rt_gate_leave(): nobody is inside the gate");
    }
    gate->inside--;
    if (RTI_UNLIKELY(gate->closed != 0)) {
        leave_closed(gate);
    }
}

void rti_gate_close_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_gate *)waiter->object)->waiters, rti_queued_of(waiter));
}

static const struct rti_wait_kind close_kind = { .name = "gate close",
                                                 .leave = rti_gate_close_leave };

RTI_RETURNS_AFTER_SWITCH
int rti_gate_close_as(struct rt_gate *gate, const struct rti_wait_kind *kind, rt_time deadline)
{
    struct rti_queued self;

    (void)rti_executor_here("rt_gate_close");
    rti_line_must_own(&gate->waiters, "rt_gate_close");
    gate->closed = 1;
    if (gate->inside == 0) {
        return 0;
    }
    rti_waiter_init(&self.waiter, kind);
    self.waiter.object = gate;
    self.waiter.mode = RTI_WAIT_EXEMPT; /* what it waits for is about to be given back */
    rti_waiters_push(&gate->waiters, &self);
    return rti_wait(&self.waiter, deadline);
}

int rt_gate_close(struct rt_gate *gate, rt_time deadline)
{
    return rti_gate_close_as(gate, &close_kind, deadline);
}
