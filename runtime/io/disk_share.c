/* SPDX-License-Identifier: MIT */
/* Disk share: see disk_share.h. All is counted by single read-modify-writes, and nothing is read
 * because of what they say: relaxed order is enough throughout. */
#include "io/disk_share.h"

#include "base/assert.h"

#define QUANTA_SHIFT 5 /* a shard takes a 32nd of the capacity at a time; at least one request */

__extension__ typedef unsigned __int128 uwide;

void rti_disk_share_init(struct rti_disk_share *share, uint64_t capacity)
{
    *share = (struct rti_disk_share){ .capacity = capacity, .mixed_at = RT_NEVER };
}

/* Users */

void rti_disk_share_came(struct rti_disk_share *share, uintptr_t user, rt_time now)
{
    const uintptr_t last = __atomic_load_n(&share->last, __ATOMIC_RELAXED);
    const rt_time mixed_at = __atomic_load_n(&share->mixed_at, __ATOMIC_RELAXED);

    /* Where many come it is enough to note so now and then: the line is everybody's. */
    if (last == user || (mixed_at != RT_NEVER && now - mixed_at < RTI_DISK_LINGER / 8)) {
        return;
    }
    if (last != 0) {
        __atomic_store_n(&share->mixed_at, now, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&share->last, user, __ATOMIC_RELAXED);
}

bool rti_disk_share_is_alone(const struct rti_disk_share *share, uintptr_t user, rt_time now)
{
    const rt_time mixed_at = __atomic_load_n(&share->mixed_at, __ATOMIC_RELAXED);
    const uintptr_t last = __atomic_load_n(&share->last, __ATOMIC_RELAXED);

    return (last == user || last == 0) &&
           (mixed_at == RT_NEVER || now - mixed_at >= RTI_DISK_LINGER);
}

/* Capacity */

bool rti_disk_share_change(struct rti_disk_share *share, uint64_t seen, uint64_t capacity)
{
    return __atomic_compare_exchange_n(&share->capacity, &seen, capacity, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

/* Parts */

void rti_disk_part_init(struct rti_disk_part *part, struct rti_disk_share *share)
{
    *part = (struct rti_disk_part){ .share = share };
}

void rti_disk_part_fini(struct rti_disk_part *part)
{
    RTI_ASSERT(part->used == 0);
    rti_disk_part_weigh(part, 0);
    rti_disk_part_settle(part);
}

void rti_disk_part_weigh(struct rti_disk_part *part, uint64_t weight)
{
    if (weight != part->weight) {
        __atomic_fetch_add(&part->share->weight, weight - part->weight, __ATOMIC_RELAXED);
        part->weight = weight;
    }
}

/* H3 */
static bool is_below_part(const struct rti_disk_part *part, uint64_t capacity)
{
    const uint64_t weight = __atomic_load_n(&part->share->weight, __ATOMIC_RELAXED);

    return part->used == 0 || (uwide)part->used * weight < (uwide)capacity * part->weight;
}

bool rti_disk_part_take(struct rti_disk_part *part, uint64_t cost, bool alone)
{
    struct rti_disk_share *share = part->share;
    const uint64_t spare = part->held - part->used;
    const uint64_t capacity = rti_disk_share_capacity(share);
    const bool may = alone || is_below_part(part, capacity);
    uint64_t in_flight = rti_disk_share_in_flight(share);
    uint64_t more;

    do {
        const uint64_t left = in_flight < capacity ? capacity - in_flight : 0;

        if (!may && in_flight - spare >= capacity) { /* H2 */
            return false;
        }
        if (spare >= cost) {
            break;
        }
        more = capacity >> QUANTA_SHIFT;
        more = more < left ? more : left;
        more = more > cost - spare ? more : cost - spare;
        if (__atomic_compare_exchange_n(&share->in_flight, &in_flight, in_flight + more, true,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            part->held += more;
            break;
        }
    } while (true);
    part->used += cost;
    return true;
}

void rti_disk_part_settle(struct rti_disk_part *part)
{
    const uint64_t spare = part->held - part->used;

    if (spare != 0) {
        __atomic_fetch_sub(&part->share->in_flight, spare, __ATOMIC_RELAXED);
        part->held = part->used;
    }
}
