/* SPDX-License-Identifier: MIT */
/* Disk depth: see disk_depth.h. */
#include "io/disk_depth.h"

/* Of a window: as long as some requests of a disk that turns, and enough for a tenth of them. */
#define WINDOW      RT_MILLISECONDS(10)
#define SAMPLES_MIN 32u
#define LATE_PART   10u

/* What the CPU takes to find a completion, where it does other things too, is not the device's. */
#define SLACK RT_MICROSECONDS(50)

#define RISE         (RTI_DISK_CAPACITY_MIN * 4)
#define FOLLOW_SHIFT 3 /* of the unloaded time: an eighth of each new one */

void rti_disk_depth_init(struct rti_disk_depth *depth, uint64_t capacity, rt_time now)
{
    *depth = (struct rti_disk_depth){ .capacity = capacity, .since = now };
}

static unsigned size_class(uint32_t bytes)
{
    unsigned size = 0;

    for (uint32_t limit = 4096; bytes > limit && size < RTI_DISK_SIZES - 1; limit *= 4) {
        size++;
    }
    return size;
}

void rti_disk_depth_note(struct rti_disk_depth *depth, bool write, uint32_t bytes, rt_time latency,
                         bool alone, uint64_t fullest, uint64_t beside)
{
    rt_time *unloaded = &depth->unloaded[write][size_class(bytes)];

    if (*unloaded == 0) {
        *unloaded = latency;
    } else if (alone || latency < *unloaded) {
        *unloaded += (latency - *unloaded) / (1 << FOLLOW_SHIFT);
    }
    depth->samples++;
    depth->late += latency / 2 > *unloaded + SLACK / 2;
    depth->fullest = fullest > depth->fullest ? fullest : depth->fullest;
    depth->beside = beside > depth->beside ? beside : depth->beside;
}

bool rti_disk_depth_is_due(const struct rti_disk_depth *depth, rt_time now)
{
    return depth->samples >= SAMPLES_MIN && now - depth->since >= WINDOW;
}

uint64_t rti_disk_depth_judge(const struct rti_disk_depth *depth)
{
    const uint64_t capacity = depth->capacity;
    const bool late = (uint64_t)depth->late * LATE_PART > depth->samples;

    if (depth->fullest < capacity / 2 || (late && depth->beside > capacity + capacity / 4)) {
        return capacity;
    }
    if (late) {
        return capacity - capacity / 4 > RTI_DISK_CAPACITY_MIN ? capacity - capacity / 4
                                                               : RTI_DISK_CAPACITY_MIN;
    }
    return capacity + RISE < RTI_DISK_CAPACITY_MAX ? capacity + RISE : RTI_DISK_CAPACITY_MAX;
}

void rti_disk_depth_restart(struct rti_disk_depth *depth, uint64_t capacity, rt_time now)
{
    depth->since = now;
    depth->capacity = capacity;
    depth->fullest = 0;
    depth->beside = 0;
    depth->samples = 0;
    depth->late = 0;
}
