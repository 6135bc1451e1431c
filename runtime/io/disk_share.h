/* SPDX-License-Identifier: MIT */
/*
 * Disk share: how the shards that use one device divide what it can have in flight.
 *
 * A device has a capacity: the cost of the requests that it can have in flight and
 * finish no later for it. One number that all shards add to says how much is in
 * flight. A shard has a right to its part, which is the capacity by the shares of its
 * queues that are busy, among those of all shards; and it borrows more as long as
 * the device has room. So capacity is never left over while one wants it.
 *
 * Nobody waits for another shard, and nobody is woken by one. Who has less than its part
 * takes it, also where that makes too much be in flight for a moment: then those who
 * have borrowed get no more until enough of theirs is done. Who is refused has requests
 * in flight, and tries again when one of them is done.
 *
 * The number is shared, so a shard does not add each request: it takes some requests' worth
 * at a time, and gives back at the end of its turn what it has not used. It never waits for
 * a large grab; it takes what is there.
 *
 * H1 `in_flight` is the sum of what the shards hold, and a shard holds at least what its
 *    requests in flight cost. After its rti_disk_part_settle() it holds just that.
 * H2 Who borrows finds less than the capacity in flight, not counting what it holds and does not
 *    use; and takes no more than the rest, unless one request is more.
 * H3 A shard with nothing in flight may always begin one request, and a shard below its part
 *    always may begin.
 * H4 The capacity is changed from what was seen while nobody changed it.
 *
 * Which calls may run together:
 *
 *                        on another part    on the same part
 *     part_* (any two)         yes                 no        the shard that owns it
 *     share_*                  yes                 yes       but for init
 */
#ifndef RTI_IO_DISK_SHARE_H
#define RTI_IO_DISK_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "rt/base.h"

/* A user that nobody else was beside for so long is alone. Longer than a reader thinks who is to
 * find the device as it left it; and a second of a bulk writer's is not much. */
#define RTI_DISK_LINGER RT_SECONDS(1)

/* One of a device, in memory that all its shards see, aligned to a cache line. */
struct rti_disk_share {
    uint64_t in_flight RTI_ALIGNED(RTI_CACHE_LINE); /* atomic: cost, H1 */
    uint64_t weight;                                /* atomic: shares that are busy, of all */
    uint64_t capacity;                              /* atomic: cost, H4 */
    rt_time mixed_at; /* atomic: when one came after another; RT_NEVER: never yet */
    uintptr_t last;   /* atomic: who came last; only compared; 0 = nobody yet */
};

/* One of each shard, for that device. */
struct rti_disk_part {
    struct rti_disk_share *share;
    uint64_t held;   /* in `in_flight` of the share */
    uint64_t used;   /* cost of this shard's requests in flight; at most `held` */
    uint64_t weight; /* in `weight` of the share */
};

void rti_disk_share_init(struct rti_disk_share *share, uint64_t capacity);

/* Users are told apart by a number that is not 0, such as the address of a queue. That one came,
 * and whether no other has come: a guess that is right a while later. Who came before may have
 * requests still; rti_disk_share_weight() tells. */
void rti_disk_share_came(struct rti_disk_share *share, uintptr_t user, rt_time now);
bool rti_disk_share_is_alone(const struct rti_disk_share *share, uintptr_t user, rt_time now);

static inline uint64_t rti_disk_share_capacity(const struct rti_disk_share *share)
{
    return __atomic_load_n(&share->capacity, __ATOMIC_RELAXED);
}

/* Shares that are busy, of all shards together. */
static inline uint64_t rti_disk_share_weight(const struct rti_disk_share *share)
{
    return __atomic_load_n(&share->weight, __ATOMIC_RELAXED); /* a guess, as above */
}

/* Change the capacity from `seen`; false when somebody has changed it meanwhile (H4). */
bool rti_disk_share_change(struct rti_disk_share *share, uint64_t seen, uint64_t capacity);

/* Cost in flight on the device, of all shards. */
static inline uint64_t rti_disk_share_in_flight(const struct rti_disk_share *share)
{
    return __atomic_load_n(&share->in_flight, __ATOMIC_RELAXED);
}

void rti_disk_part_init(struct rti_disk_part *part, struct rti_disk_share *share);

/* The shard has nothing in flight and leaves. */
void rti_disk_part_fini(struct rti_disk_part *part);

/* Shares of the shard's busy queues, together. */
void rti_disk_part_weigh(struct rti_disk_part *part, uint64_t weight);

/* Take what a request costs; false when the shard has to wait for one of its own. Who is alone
 * always gets it. */
bool rti_disk_part_take(struct rti_disk_part *part, uint64_t cost, bool alone);

/* A request that was taken for has ended. */
static inline void rti_disk_part_put(struct rti_disk_part *part, uint64_t cost)
{
    part->used -= cost;
}

/* The turn ends: give back what is held and not used. */
void rti_disk_part_settle(struct rti_disk_part *part);

#endif /* RTI_IO_DISK_SHARE_H */
