/* SPDX-License-Identifier: MIT */
/*
 * Disk limit: so many units a second, bytes or requests, and not one more.
 *
 * A level rises by `rate` in each second and falls by what begins. Something may begin
 * while the level is not below zero, and may take it below: so a request of any size
 * goes, and what comes after it pays. The level has no fractions to lose: it is
 * counted in units times nanoseconds a second.
 *
 * L1 In any T seconds, rate * (T + RTI_DISK_LIMIT_SPARE) units begin at most, and one request.
 * L2 The time that rti_disk_limit_opens() tells is exact: not a nanosecond later would
 *    do, and none earlier.
 * L3 Who comes late for it loses nothing, up to RTI_DISK_LIMIT_SPARE: the level has risen
 *    meanwhile. (A shard that sleeps wakes some tens of microseconds late. Without
 *    this, 20000 requests a second would become half of that.)
 */
#ifndef RTI_IO_DISK_LIMIT_H
#define RTI_IO_DISK_LIMIT_H

#include <stdint.h>

#include "rt/base.h"

/* What is saved up at most, as time: longer than a shard that is not stalled comes late. */
#define RTI_DISK_LIMIT_SPARE RT_MILLISECONDS(10)

__extension__ typedef __int128 rti_disk_level;

struct rti_disk_limit {
    rti_disk_level level; /* at `at`: units * 10^9 */
    uint64_t rate;        /* units a second; 0 = no limit */
    rt_time at;           /* until then the level was computed */
    rt_time opens;        /* L2; 0 = at any time */
};

void rti_disk_limit_init(struct rti_disk_limit *limit, uint64_t rate, rt_time now);

/* From now on it is `rate`, and what was owed is owed. */
void rti_disk_limit_set(struct rti_disk_limit *limit, uint64_t rate, rt_time now);

/* So many units begin, at `now` or as of then: the limit is open. */
void rti_disk_limit_charge(struct rti_disk_limit *limit, uint64_t units, rt_time now);

/* When the next may begin; it may now if that is not later than now. */
static inline rt_time rti_disk_limit_opens(const struct rti_disk_limit *limit)
{
    return limit->opens;
}

#endif /* RTI_IO_DISK_LIMIT_H */
