/* SPDX-License-Identifier: MIT */
/*
 * Polled: a second ring of the reactor, for requests whose end nobody announces.
 *
 * A device that ends a request raises an interrupt, and a sleeper is woken. On a ring with
 * IORING_SETUP_IOPOLL it raises none: it is asked, in an enter of this thread, what has ended.
 * That takes less time for each request, and all of the core while there is one. Such a ring
 * takes reads and writes of direct files only, so it is one beside the ordinary one.
 *
 * P1 It is there from the first file that wants it until the reactor ends.
 * P2 While something is in flight on it no turn sleeps, and each enters it once, at its end.
 * P3 At most as many operations are in flight as it has entries; completions have room for twice
 *    as many, so none overflows, and an operation without room waits for a completion only.
 * P4 The kernel cannot cancel what is in flight here: deadline and cancel change nothing until it
 *    has ended.
 *
 * All functions but the first two: when there is one.
 */
#ifndef RTI_CORE_POLLED_H
#define RTI_CORE_POLLED_H

#include "core/reactor.h"

/* As many as the fastest disks need to be busy. */
#define RTI_POLLED_ENTRIES 256u

struct rti_polled {
    struct rti_uring ring;
    struct rti_list room_waiters; /* operations that wait for a place, first come first served */
    uint32_t in_flight;           /* of reactor->in_flight */
    uint64_t flushed_at;          /* as that of the reactor */
    uint64_t completions;
    uint64_t transfers; /* of these, those that were not refused */
};

/* Make it, if it is not there. Returns 0; -EOPNOTSUPP where it is turned off (RT_DISABLE); -ENOMEM;
 * what the kernel says. Nothing is logged, and the reactor is as before. */
int rti_polled_open(struct rti_reactor *reactor);
void rti_polled_close(struct rti_reactor *reactor); /* does nothing when there is none */

/* A free entry, or NULL when there is none, or others wait for one. */
struct io_uring_sqe *rti_polled_sqe(struct rti_polled *polled);

/* The entry that was promised to the operation that waited for it. */
struct io_uring_sqe *rti_polled_granted_sqe(struct rti_polled *polled);

/* Whether something is in flight (P2); false when there is no such ring. */
static inline bool rti_polled_is_busy(const struct rti_polled *polled)
{
    return RTI_UNLIKELY(polled != NULL) && polled->in_flight > 0;
}

/* Submit what is pending, and ask the devices what has ended. */
void rti_polled_enter(struct rti_polled *polled);

/* Finish the operations whose completions can be read. */
void rti_polled_reap(struct rti_reactor *reactor);

#endif /* RTI_CORE_POLLED_H */
