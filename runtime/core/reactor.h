/* SPDX-License-Identifier: MIT */
/*
 * Reactor: the executor's ring, and the operations in flight on it.
 *
 * R1 At most one enter per turn, but for a submission queue that is full,
 *    completions beyond the 20 that one enter brings, entries that have waited
 *    for 64 others or 50 us, and those for a disk that has little to do.
 * R2 A completion finishes its operation's waiter and does nothing else.
 * R3 user_data is the operation's address with its 16-bit generation in the
 *    bits above; a completion whose operation is not in flight under that
 *    generation is counted as stale and dropped. Operations lie in frames of
 *    tasks and outlive their completion, so the look is at memory that is there.
 * R4 The kernel sets its TASKRUN flag after it has queued work, and clears it
 *    when it runs work; so a flag may be set for work that was run already. An
 *    enter that brings nothing shows that: then the flag counts for nothing
 *    until the next turn, which asks once more.
 * R5 Operations for which a device is polled are on a ring of their own (core/polled.h); they count
 *    as in flight here too.
 */
#ifndef RTI_CORE_REACTOR_H
#define RTI_CORE_REACTOR_H

#include <stdint.h>

#include "base/list.h"
#include "os/uring.h"

struct rti_executor;
struct rti_op;
struct rti_polled;

/* Entries wait for this many others, or this long, before they are submitted in the middle of a
 * turn. An enter costs about 110 ns and an entry 45, so at 64 the enter is 4 % of the work. */
#define RTI_FLUSH_ENTRIES 64
#define RTI_FLUSH_AFTER   RT_MICROSECONDS(50)

struct rti_reactor {
    struct rti_uring ring;
    struct rti_list room_waiters; /* tasks that wait for a free entry, first come first served */
    struct rti_list cancels;      /* operations whose cancel found no free entry */
    struct rti_polled *polled;    /* R5; NULL: no file has asked for it, or it cannot be had */
    uint32_t room_granted;        /* entries promised to tasks that waited and have not run yet */
    uint32_t in_flight;
    uint32_t disabled;    /* features not to use (enum rti_feature) */
    int polled_error;     /* why there was no polled ring when it was asked for last */
    uint16_t generation;  /* of the next operation; never 0 */
    bool flag_is_stale;   /* R4 */
    uint64_t flushed_at;  /* ticks: about when entries were submitted last */
    uint64_t flush_ticks; /* RTI_FLUSH_AFTER */
    uint64_t completions;
    uint64_t stale;
    uint64_t overflows;
    uint64_t sleeps;
    uint64_t cancels_sent;
    uint64_t polls_refused; /* files that asked for it, and are not polled for */
};

int rti_reactor_init(struct rti_reactor *reactor, const struct rti_uring_config *config,
                     const struct rti_log *log);
void rti_reactor_fini(struct rti_reactor *reactor);

/* A free submission entry, or NULL when there is none even after submitting what is pending, or
 * others wait for one. */
struct io_uring_sqe *rti_reactor_sqe(struct rti_reactor *reactor);

/* Submit in the middle of a turn. */
void rti_reactor_submit(struct rti_reactor *reactor);

/* The entry that was promised to a task that waited: there is always one. */
struct io_uring_sqe *rti_reactor_granted_sqe(struct rti_reactor *reactor);

/* The task does not want the entry any more: the next one gets it. */
void rti_reactor_decline(struct rti_reactor *reactor);

/* A turn begins: what the kernel's flag says counts again (R4). */
static inline void rti_reactor_begin_turn(struct rti_reactor *reactor)
{
    reactor->flag_is_stale = false;
}

/* Finish the operations whose completions can be read. */
void rti_reactor_reap(struct rti_reactor *reactor);

/* Whether an enter would bring completions (R4). */
static inline bool rti_reactor_has_work(const struct rti_reactor *reactor)
{
    return rti_uring_has_work(&reactor->ring) && !reactor->flag_is_stale;
}

/* Submit and take completions in, without sleeping; nothing when there is neither. */
void rti_reactor_poll(struct rti_reactor *reactor);

/* Submit and sleep until a completion comes, at most `timeout` ns (below 0: no limit). */
void rti_reactor_sleep(struct rti_reactor *reactor, rt_time timeout);

/* Submit entries that have waited too long for company; called between task runs. */
void rti_reactor_flush_if_due(struct rti_reactor *reactor, uint64_t ticks);

/* Ask the kernel to cancel an operation in flight. Never fails for want of room. */
void rti_reactor_cancel(struct rti_reactor *reactor, struct rti_op *op);

#endif /* RTI_CORE_REACTOR_H */
