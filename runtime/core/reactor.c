/* SPDX-License-Identifier: MIT */
/* Reactor: see reactor.h for the invariants. */
#include "core/reactor.h"

#include "base/assert.h"
#include "core/executor.h"
#include "core/op.h"
#include "core/polled.h"
#include "os/sys.h"

int rti_reactor_init(struct rti_reactor *reactor, const struct rti_uring_config *config,
                     const struct rti_log *log)
{
    *reactor = (struct rti_reactor){ .disabled = config->disabled };
    rti_list_init(&reactor->room_waiters);
    rti_list_init(&reactor->cancels);
    return rti_uring_open(&reactor->ring, config, log);
}

void rti_reactor_fini(struct rti_reactor *reactor)
{
    RTI_ASSERT(reactor->in_flight == 0);
    rti_polled_close(reactor);
    rti_uring_close(&reactor->ring);
}

/* Entries that are free and promised to nobody. */
static uint32_t room(const struct rti_reactor *reactor)
{
    return reactor->ring.sq_entries - rti_uring_pending(&reactor->ring) - reactor->room_granted;
}

/* Not inlined: who asks for an entry, and has one, need not save a register for it. */
RTI_NOINLINE void rti_reactor_submit(struct rti_reactor *reactor)
{
    (void)rti_uring_submit(&reactor->ring);
    reactor->flushed_at = rti_sys_ticks();
}

struct io_uring_sqe *rti_reactor_sqe(struct rti_reactor *reactor)
{
    struct rti_uring *ring = &reactor->ring;
    uint32_t pending = rti_uring_pending(ring);

    if (RTI_UNLIKELY(pending >= RTI_FLUSH_ENTRIES || pending == ring->sq_entries)) {
        rti_reactor_submit(reactor);
        pending = rti_uring_pending(ring);
    }
    if (RTI_UNLIKELY(pending + reactor->room_granted == ring->sq_entries ||
                     !rti_list_is_empty(&reactor->room_waiters))) {
        return NULL;
    }
    return rti_uring_sqe(ring);
}

struct io_uring_sqe *rti_reactor_granted_sqe(struct rti_reactor *reactor)
{
    struct io_uring_sqe *sqe = rti_uring_sqe(&reactor->ring);

    RTI_ASSERT(reactor->room_granted > 0 && sqe != NULL);
    reactor->room_granted--;
    return sqe;
}

/* Cancels that found no room, and then tasks that wait for some, in this order. */
static void use_room(struct rti_reactor *reactor)
{
    struct rti_list *node;

    while (room(reactor) > 0 && (node = rti_list_first(&reactor->cancels)) != NULL) {
        struct io_uring_sqe *sqe = rti_uring_sqe(&reactor->ring);
        struct rti_op *op = RTI_CONTAINER_OF(node, struct rti_op, link);

        rti_list_remove(node);
        io_uring_prep_cancel64(sqe, rti_op_user_data(op), 0);
        io_uring_sqe_set_data64(sqe, RTI_OP_IGNORED);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    while (room(reactor) > 0 && (node = rti_list_first(&reactor->room_waiters)) != NULL) {
        reactor->room_granted++;
        rti_op_room_came(node);
    }
}

void rti_reactor_decline(struct rti_reactor *reactor)
{
    RTI_ASSERT(reactor->room_granted > 0);
    reactor->room_granted--;
    use_room(reactor);
}

void rti_reactor_cancel(struct rti_reactor *reactor, struct rti_op *op)
{
    reactor->cancels_sent++;
    rti_list_push_back(&reactor->cancels, &op->link);
    if (rti_uring_pending(&reactor->ring) == reactor->ring.sq_entries) {
        (void)rti_uring_submit(&reactor->ring);
    }
    use_room(reactor);
}

static void complete(struct rti_reactor *reactor, const struct io_uring_cqe *cqe)
{
    struct rti_op *op;

    if (RTI_UNLIKELY(rti_op_is_note(cqe->user_data))) {
        if (cqe->user_data != RTI_OP_IGNORED && rti_current->inbox != NULL) {
            rti_current->inbox->ops->note(rti_current->inbox, cqe->user_data, cqe->res, cqe->flags);
        }
        return;
    }
    op = rti_op_of_user_data(cqe->user_data);
    if (RTI_UNLIKELY(op == NULL)) {
        reactor->stale++;
        return;
    }
    reactor->in_flight--;
    rti_op_complete(op, cqe->res, cqe->flags);
}

/* Of more operations in flight than MANY most were not touched for long, so those that come next
 * are fetched while one is finished. With 128 direct reads the wait for each was 55 ns. Says how
 * many it has finished: all but the last ones. */
#define MANY  64
#define AHEAD 4

static RTI_NOINLINE uint32_t finish_many(struct rti_reactor *reactor, uint32_t ready)
{
    uint32_t i = 0;

    for (; i + AHEAD < ready; i++) {
        const uint64_t next = rti_uring_cqe(&reactor->ring, i + AHEAD)->user_data;
        const char *op = (const char *)rti_op_address(next);

        __builtin_prefetch(op, 1);
        __builtin_prefetch(op + RTI_CACHE_LINE, 1);
        complete(reactor, rti_uring_cqe(&reactor->ring, i));
    }
    return i;
}

void rti_reactor_reap(struct rti_reactor *reactor)
{
    struct rti_uring *ring = &reactor->ring;
    const uint32_t ready = rti_uring_ready(ring);
    uint32_t i = 0;

    if (reactor->in_flight > MANY) {
        i = finish_many(reactor, ready);
    }
    for (; i < ready; i++) {
        complete(reactor, rti_uring_cqe(ring, i));
    }
    if (ready > 0) {
        rti_uring_advance(ring, ready);
        reactor->completions += ready;
    }
    if (RTI_UNLIKELY(!rti_list_is_empty(&reactor->room_waiters))) {
        use_room(reactor);
    }
}

static void note_overflow(struct rti_reactor *reactor)
{
    if (RTI_UNLIKELY(rti_uring_is_overflown(&reactor->ring))) {
        reactor->overflows++;
    }
}

void rti_reactor_poll(struct rti_reactor *reactor)
{
    struct rti_uring *ring = &reactor->ring;

    use_room(reactor);
    if (rti_uring_pending(ring) > 0 || rti_reactor_has_work(reactor)) {
        note_overflow(reactor);
        (void)rti_uring_enter(ring, 0, -1);
        reactor->flag_is_stale = rti_uring_ready(ring) == 0 && rti_uring_has_work(ring);
    }
}

void rti_reactor_sleep(struct rti_reactor *reactor, rt_time timeout)
{
    note_overflow(reactor);
    reactor->sleeps++;
    (void)rti_uring_enter(&reactor->ring, 1, timeout);
}

static inline void flush_if_due(struct rti_uring *ring, uint64_t *flushed_at, uint64_t flush_ticks,
                                uint64_t ticks)
{
    if (rti_uring_pending(ring) == 0) {
        *flushed_at = ticks;
    } else if (ticks - *flushed_at >= flush_ticks) {
        (void)rti_uring_submit(ring);
        *flushed_at = ticks;
    }
}

static RTI_NOINLINE void flush_both_if_due(struct rti_reactor *reactor, uint64_t ticks)
{
    struct rti_polled *polled = reactor->polled;

    flush_if_due(&reactor->ring, &reactor->flushed_at, reactor->flush_ticks, ticks);
    flush_if_due(&polled->ring, &polled->flushed_at, reactor->flush_ticks, ticks);
}

void rti_reactor_flush_if_due(struct rti_reactor *reactor, uint64_t ticks)
{
    if (RTI_UNLIKELY(reactor->polled != NULL)) {
        flush_both_if_due(reactor, ticks);
    } else {
        flush_if_due(&reactor->ring, &reactor->flushed_at, reactor->flush_ticks, ticks);
    }
}
