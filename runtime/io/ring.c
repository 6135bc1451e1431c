/* SPDX-License-Identifier: MIT */
/* The ring as users see it. See rt/ring.h for the contract. */
#include "rt/ring.h"

#include "core/executor.h"
#include "core/future.h"
#include "core/op.h"

static const struct rti_wait_kind nop_kind = RTI_OP_KIND("nop");

RTI_RETURNS_AFTER_SWITCH
int rt_nop(rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_executor_here("rt_nop");
    r = rti_op_begin(&op, &nop_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_nop(sqe);
    return rti_op_await(&op, sqe, deadline);
}

int rt_poll_nop(struct rt_future *future, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r;

    if (rti_future_look(future, &nop_kind, "rt_poll_nop", &r) ||
        rti_op_lacks_room(future, &nop_kind, &sqe, &r)) {
        return r;
    }
    io_uring_prep_nop(sqe);
    return rti_op_wait(future, sqe, deadline);
}
