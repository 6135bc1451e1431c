/* SPDX-License-Identifier: MIT */
/* Disk depth: see disk_depth.h. */
#include "io/disk_depth.h"

/* Of a window: as long as a request of a disk that turns, and enough that half means something. */
#define WINDOW       RT_MILLISECONDS(10)
#define SAMPLES_MIN  16u /* of one kind */
#define SAMPLES_KIND 8u  /* of each other that is judged */

/* What the CPU takes to see a completion and the device to interrupt is no wait for others. */
#define SLACK RT_MICROSECONDS(20)

/* If half are later than this many times what is late, a fall by a quarter would take too long. */
#define VERY 4

/* So many requests in flight can be too many. With fewer, it is the device that has become slow. */
#define TOO_MUCH_FROM 4

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

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void rti_disk_depth_note(struct rti_disk_depth *depth, const struct rti_disk_sample *sample)
{
    struct rti_disk_kind *kind = &depth->kinds[sample->write][size_class(sample->bytes)];
    const rt_time latency = sample->latency;
    rt_time late;

    if (kind->unloaded == 0) {
        kind->unloaded = latency;
    } else if (sample->alone || latency < kind->unloaded) {
        kind->unloaded += (latency - kind->unloaded) / (1 << FOLLOW_SHIFT);
    }
    late = kind->unloaded + kind->unloaded / 2 + SLACK;
    kind->samples++;
    kind->late += latency > late;
    kind->very_late += latency / VERY > late;
    depth->samples = kind->samples > depth->samples ? kind->samples : depth->samples;
    depth->cost_max = larger(depth->cost_max, sample->cost);
    depth->fullest = larger(depth->fullest, sample->in_flight);
    depth->beside = larger(depth->beside, sample->in_flight - sample->cost);
}

bool rti_disk_depth_is_due(const struct rti_disk_depth *depth, rt_time now)
{
    return depth->samples >= SAMPLES_MIN && now - depth->since >= WINDOW;
}

/* What is to be kept of each 4 of the capacity: as the worst kind says. */
static uint64_t quarters_left(const struct rti_disk_depth *depth)
{
    uint64_t left = 4;

    for (unsigned i = 0; i < 2 * RTI_DISK_SIZES; i++) {
        const struct rti_disk_kind *kind = &depth->kinds[i / RTI_DISK_SIZES][i % RTI_DISK_SIZES];

        if (kind->samples >= SAMPLES_KIND && kind->late > kind->samples / 2) {
            left = kind->very_late > kind->samples / 2 || left == 1 ? 1 : 3;
        }
    }
    return left;
}

uint64_t rti_disk_depth_judge(const struct rti_disk_depth *depth)
{
    const uint64_t capacity = depth->capacity;
    const uint64_t least = depth->cost_max + RTI_DISK_CAPACITY_MIN; /* so two can be in flight */
    const uint64_t left = quarters_left(depth);

    if (depth->fullest < capacity / 2) {
        return left == 4 || depth->fullest < depth->cost_max * TOO_MUCH_FROM
                   ? capacity
                   : larger(depth->fullest / 4 * left, least);
    }
    if (left == 4) {
        return capacity + RISE < RTI_DISK_CAPACITY_MAX ? capacity + RISE : RTI_DISK_CAPACITY_MAX;
    }
    if (depth->beside > capacity + capacity / 4 || capacity <= least) {
        return capacity;
    }
    return larger(capacity / 4 * left, least);
}

void rti_disk_depth_restart(struct rti_disk_depth *depth, uint64_t capacity, rt_time now)
{
    depth->since = now;
    depth->capacity = capacity;
    depth->cost_max = 0;
    depth->fullest = 0;
    depth->beside = 0;
    depth->samples = 0;
    for (unsigned i = 0; i < 2 * RTI_DISK_SIZES; i++) {
        struct rti_disk_kind *kind = &depth->kinds[i / RTI_DISK_SIZES][i % RTI_DISK_SIZES];

        kind->samples = 0;
        kind->late = 0;
        kind->very_late = 0;
    }
}
