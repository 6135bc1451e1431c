/* SPDX-License-Identifier: MIT */
/* Operation: see op.h for its states and rules. */
#include "core/op.h"

#include "core/executor.h"
#include "core/future.h"
#include "core/polled.h"
#include "core/scope.h"
#include "core/trace.h"

/* A cancel that seems to have missed is sent again after so long, then twice as long, and so on up
 * to 128 ms. */
#define ASK_AGAIN     RT_MILLISECONDS(1)
#define ASK_SHIFT_MAX 7

uint64_t rti_op_user_data(const struct rti_op *op)
{
    return (uint64_t)(uintptr_t)op | (uint64_t)op->generation << RTI_OP_GENERATION_SHIFT;
}

struct rti_op *rti_op_of_user_data(uint64_t user_data)
{
    struct rti_op *op = rti_op_address(user_data); /* R3 */
    const uint16_t generation = (uint16_t)(user_data >> RTI_OP_GENERATION_SHIFT);

    return op->state != RTI_OP_FREE && op->generation == generation ? op : NULL;
}

/* Waiting for room in the submission queue: a wait of its own, before the operation's. Where the
 * kind has a function for it, the operation itself waits. */
static void room_abort(struct rti_waiter *waiter, int reason)
{
    rti_list_remove(&RTI_CONTAINER_OF(waiter, struct rti_op, waiter)->link);
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind room_kind = { .name = "room in the ring", .abort = room_abort };

void rti_op_room_came(struct rti_list *node)
{
    struct rti_op *op = RTI_CONTAINER_OF(node, struct rti_op, link);

    rti_list_remove(node);
    if (op->waiter.kind->room != NULL) {
        op->state = RTI_OP_FREE;
        op->waiter.kind->room(&op->waiter);
    } else {
        rti_waiter_finish(&op->waiter, 0);
    }
}

static int await_room(struct rti_reactor *reactor, bool exempt, rt_time deadline)
{
    struct rti_op room;

    /* To try is to try once there is room; that comes with the next enter. */
    if (deadline <= rti_current->turn_time) {
        deadline = RT_NEVER;
    }
    rti_waiter_init(&room.waiter, &room_kind);
    room.waiter.mode = exempt ? RTI_WAIT_EXEMPT : RTI_WAIT_PLAIN;
    rti_list_push_back(&reactor->room_waiters, &room.link);
    return rti_wait(&room.waiter, deadline);
}

void rti_op_drop(struct io_uring_sqe *sqe)
{
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, RTI_OP_IGNORED);
}

static inline void init(struct rti_op *op, const struct rti_wait_kind *kind)
{
    rti_waiter_init(&op->waiter, kind);
    op->state = RTI_OP_FREE;
    op->asked = 0;
}

static int begin(struct rti_op *op, const struct rti_wait_kind *kind, bool exempt, rt_time deadline,
                 struct io_uring_sqe **sqe)
{
    struct rti_reactor *reactor = &rti_current->reactor;

    *sqe = rti_reactor_sqe(reactor);
    if (RTI_UNLIKELY(*sqe == NULL)) {
        const int r = await_room(reactor, exempt, deadline);

        if (r < 0) {
            return r;
        }
        if (!exempt && rti_scope_ends(rti_current->running)) {
            rti_reactor_decline(reactor); /* cancelled since room was granted */
            return -ECANCELED;
        }
        *sqe = rti_reactor_granted_sqe(reactor);
    }
    init(op, kind);
    op->waiter.mode = exempt ? RTI_WAIT_EXEMPT : RTI_WAIT_PLAIN;
    return 0;
}

int rti_op_begin(struct rti_op *op, const struct rti_wait_kind *kind, rt_time deadline,
                 struct io_uring_sqe **sqe)
{
    const int r = rti_wait_allowed();

    return r < 0 ? r : begin(op, kind, false, deadline, sqe);
}

void rti_op_begin_exempt(struct rti_op *op, const struct rti_wait_kind *kind,
                         struct io_uring_sqe **sqe)
{
    (void)begin(op, kind, true, RT_NEVER, sqe); /* nothing ends this wait but room */
}

/* The queue's tasks have given the kernel work (core/slice.h). */
static inline void note_work(struct rti_executor *executor, const struct rti_op *op)
{
    if (RTI_UNLIKELY(executor->queue_count > 1)) {
        rti_slice_note_work(executor, op->waiter.task->queue);
    }
}

static inline void start_as(struct rti_op *op, struct io_uring_sqe *sqe, enum rti_op_state state)
{
    struct rti_executor *executor = rti_current;
    struct rti_reactor *reactor = &executor->reactor;

    reactor->generation = (uint16_t)(reactor->generation + 1u);
    if (reactor->generation == 0) {
        reactor->generation = 1; /* so that user_data is never RTI_OP_IGNORED */
    }
    op->generation = reactor->generation;
    op->state = (uint8_t)state;
    reactor->in_flight++;
    note_work(executor, op);
    io_uring_sqe_set_data64(sqe, rti_op_user_data(op));
    rti_trace(executor, RT_TRACE_SUBMIT, op->waiter.task, NULL, op->waiter.kind->name, 0);
}

static inline void start(struct rti_op *op, struct io_uring_sqe *sqe)
{
    start_as(op, sqe, RTI_OP_IN_FLIGHT);
}

void rti_op_start(struct rti_op *op, struct io_uring_sqe *sqe)
{
    start(op, sqe);
}

void rti_op_start_polled(struct rti_op *op, struct io_uring_sqe *sqe)
{
    start_as(op, sqe, RTI_OP_POLLED);
    rti_current->reactor.polled->in_flight++;
}

RTI_RETURNS_AFTER_SWITCH
int rti_op_await(struct rti_op *op, struct io_uring_sqe *sqe, rt_time deadline)
{
    start(op, sqe);
    return rti_wait(&op->waiter, deadline);
}

/* Legs and futures: they do not wait for room. */

struct io_uring_sqe *rti_op_begin_leg(struct rti_op *op)
{
    struct rti_reactor *reactor = &rti_current->reactor;
    struct io_uring_sqe *sqe = rti_reactor_sqe(reactor);

    op->state = RTI_OP_FREE;
    op->asked = 0;
    if (sqe == NULL) {
        op->state = RTI_OP_ROOM;
        rti_list_push_back(&reactor->room_waiters, &op->link);
    }
    return sqe;
}

struct io_uring_sqe *rti_op_begin_polled(struct rti_op *op)
{
    struct rti_polled *polled = rti_current->reactor.polled;
    struct io_uring_sqe *sqe = rti_polled_sqe(polled);

    op->state = RTI_OP_FREE;
    op->asked = 0;
    if (sqe == NULL) {
        op->state = RTI_OP_ROOM;
        rti_list_push_back(&polled->room_waiters, &op->link);
    }
    return sqe;
}

/* Where there is no room the future is polled again soon: whoever holds it up runs before that. */
bool rti_op_lacks_room(struct rt_future *future, const struct rti_wait_kind *kind,
                       struct io_uring_sqe **sqe, int *result)
{
    struct rti_executor *executor = rti_current;

    *sqe = rti_reactor_sqe(&executor->reactor);
    if (RTI_UNLIKELY(*sqe == NULL)) {
        rti_task_wake(executor->running);
        *result = RT_PENDING;
        return true;
    }
    init(rti_future_memory(future), kind);
    return false;
}

int rti_op_wait(struct rt_future *future, struct io_uring_sqe *sqe, rt_time deadline)
{
    start(rti_future_memory(future), sqe);
    return rti_future_wait(future, deadline);
}

void rti_op_abort(struct rti_waiter *waiter, int reason)
{
    struct rti_op *op = RTI_CONTAINER_OF(waiter, struct rti_op, waiter);

    struct rti_executor *executor = waiter->task->executor;
    const unsigned shift = op->asked < ASK_SHIFT_MAX ? op->asked : ASK_SHIFT_MAX;

    if (op->state == RTI_OP_ROOM) {
        op->state = RTI_OP_FREE;
        rti_list_remove(&op->link);
        rti_waiter_finish(waiter, reason);
        return;
    }
    if (op->state == RTI_OP_POLLED) {
        return; /* P4 */
    }
    if (op->state == RTI_OP_IN_FLIGHT) {
        op->state = RTI_OP_CANCELLING;
        rti_list_init(&op->link);
    }
    op->asked = (uint8_t)(shift + 1);
    if (rti_list_is_empty(&op->link)) {
        rti_reactor_cancel(&executor->reactor, op);
    }
    rti_timer_disarm(&executor->wheel, &waiter->timer); /* O3 */
    rti_timer_arm(&executor->wheel, &waiter->timer, executor->turn_time + (ASK_AGAIN << shift));
}

void rti_op_complete(struct rti_op *op, int32_t result, uint32_t cqe_flags)
{
    struct rti_waiter *waiter = &op->waiter;

    if (RTI_UNLIKELY(op->state == RTI_OP_CANCELLING)) {
        rti_list_remove(&op->link); /* a cancel that was not sent yet has become needless */
    }
    op->state = RTI_OP_FREE;
    op->cqe_flags = cqe_flags;
    note_work(waiter->task->executor, op);
    rti_trace(waiter->task->executor, RT_TRACE_COMPLETE, waiter->task, NULL, waiter->kind->name,
              result);
    if (RTI_UNLIKELY(waiter->kind->completed != NULL)) {
        int32_t changed = result; /* by its own address `result` would lie in memory for all */

        if (!waiter->kind->completed(waiter, &changed)) {
            return;
        }
        result = changed;
    }
    /* A worker that was interrupted by the cancel answers -EINTR. */
    if (waiter->reason != 0 && (result == -ECANCELED || result == -EINTR)) {
        result = waiter->reason; /* O2 */
    } else if (result == -ECANCELED) {
        result = -EAGAIN; /* not ours: the kernel could not make a worker for it (RLIMIT_NPROC) */
    }
    rti_waiter_finish(waiter, result);
}
