/* SPDX-License-Identifier: MIT */
/*
 * Operation: one request to the kernel, in the frame of the task that waits.
 *
 *     struct rti_op op;
 *     struct io_uring_sqe *sqe;
 *
 *     r = rti_op_begin(&op, &read_kind, deadline, &sqe);
 *     if (r < 0) {
 *         return r;
 *     }
 *     io_uring_prep_read(sqe, fd, buf, bytes, offset);
 *     return rti_op_await(&op, sqe, deadline);
 *
 *   begin         await                  completion of its own
 *   ------> FREE -------> IN_FLIGHT ----------------------------> FREE (waiter done)
 *                             | abort                             ^
 *                             v                                   |
 *                         CANCELLING -----------------------------+
 *
 * On the polled ring (core/polled.h) POLLED is in place of the two.
 *
 * O1 From await to its completion the operation, and the memory it names,
 *    belong to the kernel; deadline and cancel only ask, and the task stays.
 * O2 A result that is not "cancelled" counts, also after a cancel was asked.
 * O3 A cancel may miss a request that is between two polls of its socket, and
 *    the request then waits on: as long as it does, it is asked again.
 */
#ifndef RTI_CORE_OP_H
#define RTI_CORE_OP_H

#include <stdint.h>

#include "base/list.h"
#include "core/wait.h"
#include "os/uring.h"

struct rt_future;

enum rti_op_state {
    RTI_OP_FREE,       /* not known to the kernel */
    RTI_OP_ROOM,       /* waits for an entry; its kind says who fills it */
    RTI_OP_IN_FLIGHT,  /* its entry is in the queue, or the kernel works on it */
    RTI_OP_CANCELLING, /* the same, and the kernel was or will be asked to cancel it */
    RTI_OP_POLLED,     /* as IN_FLIGHT, on the polled ring: there is no way to cancel it (P4) */
};

struct rti_op {
    struct rti_waiter waiter;
    struct rti_list link; /* CANCELLING: in reactor->cancels until the cancel has an entry; ROOM: in
                           * room_waiters of its ring */
    uint32_t cqe_flags;   /* valid when done */
    uint16_t generation;  /* R3 */
    uint8_t state;        /* enum rti_op_state */
    uint8_t asked;        /* times the kernel was asked to cancel it */
};

/* All operations share one abort; a kind differs by its name only. */
#define RTI_OP_KIND(text) { .name = (text), .abort = rti_op_abort }
void rti_op_abort(struct rti_waiter *waiter, int reason);

/*
 * Get a submission entry, waiting for room if need be. Returns 0; -ECANCELED;
 * -ETIME. The entry must be filled and given to rti_op_await() with no
 * suspension in between. An exempt operation only gives something back, or
 * takes what has come: it is begun in a cancelled task too, and never cancelled.
 */
int rti_op_begin(struct rti_op *op, const struct rti_wait_kind *kind, rt_time deadline,
                 struct io_uring_sqe **sqe);
void rti_op_begin_exempt(struct rti_op *op, const struct rti_wait_kind *kind,
                         struct io_uring_sqe **sqe);

/* Hand the operation to the kernel and wait for its result: what the completion says, or -ETIME
 * or -ECANCELED when it was cancelled for that reason. */
int rti_op_await(struct rti_op *op, struct io_uring_sqe *sqe, rt_time deadline);

/* The half of rti_op_await() that does not wait: from here on O1. */
void rti_op_start(struct rti_op *op, struct io_uring_sqe *sqe);

/* The operation of a leg (core/select.h), whose kind has a function `room`: an entry for it, or
 * NULL, and then that function is called when there is room. */
struct io_uring_sqe *rti_op_begin_leg(struct rti_op *op);

/* The same two on the polled ring, which is there. */
struct io_uring_sqe *rti_op_begin_polled(struct rti_op *op);
void rti_op_start_polled(struct rti_op *op, struct io_uring_sqe *sqe);

/* The operation of a future's wait, after rti_future_look(). True: there is no room, and *result is
 * RT_PENDING; false: there is an entry to be filled, to be given to rti_op_wait(). */
bool rti_op_lacks_room(struct rt_future *future, const struct rti_wait_kind *kind,
                       struct io_uring_sqe **sqe, int *result);
int rti_op_wait(struct rt_future *future, struct io_uring_sqe *sqe, rt_time deadline);

/* Instead of rti_op_await(): the entry, which cannot be given back, does nothing. */
void rti_op_drop(struct io_uring_sqe *sqe);

/* The completion came; called by the reactor. */
void rti_op_complete(struct rti_op *op, int32_t result, uint32_t cqe_flags);

/* There is room in the queue for the task that waits by `node`; called by the reactor. */
void rti_op_room_came(struct rti_list *node);

/* user_data of entries whose completion means nothing: cancels, and dropped ones. */
#define RTI_OP_IGNORED 0

/* A completion that is no operation's: an operation's generation is never 0. The inbox uses such
 * numbers for entries of its own. */
#define RTI_OP_GENERATION_SHIFT 48 /* user addresses have 47 bits on x86-64, 48 on aarch64 */

static inline bool rti_op_is_note(uint64_t user_data)
{
    return user_data >> RTI_OP_GENERATION_SHIFT == 0;
}

/* Of an operation's completion; it may be in flight no more, or under another generation. */
static inline struct rti_op *rti_op_address(uint64_t user_data)
{
    return (struct rti_op *)(uintptr_t)(user_data & ((1ull << RTI_OP_GENERATION_SHIFT) - 1));
}

/* What goes into the entry's user_data, and back. */
uint64_t rti_op_user_data(const struct rti_op *op);
struct rti_op *rti_op_of_user_data(uint64_t user_data); /* NULL when stale */

#endif /* RTI_CORE_OP_H */
