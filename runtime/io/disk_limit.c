/* SPDX-License-Identifier: MIT */
/* Disk limit: see disk_limit.h. */
#include "io/disk_limit.h"

#include "base/assert.h"

#define UNIT 1000000000 /* units * 10^9: see `level` */

static void bring_up_to(struct rti_disk_limit *limit, rt_time now)
{
    const rt_time spare = RTI_DISK_LIMIT_SPARE;
    const rti_disk_level most = (rti_disk_level)limit->rate * spare;

    if (now > limit->at) {
        limit->level += (rti_disk_level)limit->rate * (now - limit->at);
        limit->at = now;
    }
    limit->level = limit->level < most ? limit->level : most; /* L1 */
}

/* L2: rounded up, for before that the level is below zero. */
static void find_opening(struct rti_disk_limit *limit)
{
    limit->opens = 0;
    if (limit->rate != 0 && limit->level < 0) {
        limit->opens = limit->at + (rt_time)((-limit->level + limit->rate - 1) / limit->rate);
    }
}

void rti_disk_limit_init(struct rti_disk_limit *limit, uint64_t rate, rt_time now)
{
    *limit = (struct rti_disk_limit){ .rate = rate, .at = now };
}

void rti_disk_limit_set(struct rti_disk_limit *limit, uint64_t rate, rt_time now)
{
    if (limit->rate == 0) {
        rti_disk_limit_init(limit, rate, now);
        return;
    }
    bring_up_to(limit, now);
    limit->rate = rate;
    bring_up_to(limit, now);
    find_opening(limit);
}

void rti_disk_limit_charge(struct rti_disk_limit *limit, uint64_t units, rt_time now)
{
    if (limit->rate == 0) {
        return;
    }
    bring_up_to(limit, now);
    RTI_DASSERT(limit->level >= 0);
    limit->level -= (rti_disk_level)units * UNIT;
    find_opening(limit);
}
