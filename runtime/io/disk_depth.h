/* SPDX-License-Identifier: MIT */
/*
 * Disk depth: how much a device can have in flight, learned from how long requests take.
 *
 * A device that is not saturated takes about the same time for a request whatever else is
 * in flight. Where it is saturated, requests wait in it for one another, and more in flight makes
 * that longer and nothing faster. So a request is late if it takes longer than one and a half times
 * what its kind takes on the idle device, and a bit. A kind is a direction and a size.
 *
 * Requests are counted in windows. When of some kind more than half were late, the capacity
 * falls by a quarter; if half were very late, by three. Else it rises by a few requests. (Kyber of
 * Linux compares percentiles of a window with a target that way; TCP rises and falls so.) Any kind
 * counts: the small reads between large writes are those that somebody waits for. It is half of
 * them because a device that now and then takes three times as long is not saturated by
 * that: by the slowest tenth, many a device would look full when it is idle.
 *
 * A window tells nothing good about a capacity that was not used, and nothing bad about one that
 * was exceeded: it makes the capacity rise only when half of it was in flight, and fall only when
 * not much more than that was. If requests were late and less than half was in flight, that less
 * was too much, and the capacity falls to a part of it.
 * Two requests of the largest size may always be in flight: with one, a device rests while that one
 * is on its way, and gives much less than it could.
 *
 * The unloaded time follows what requests took that were alone on the device, and any that was
 * faster. A device that has become slow for good is believed when it was idle for a moment.
 */
#ifndef RTI_IO_DISK_DEPTH_H
#define RTI_IO_DISK_DEPTH_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/base.h"

#define RTI_DISK_SIZES 6u /* to 4 KiB, 16 KiB, 64 KiB, 256 KiB, 1 MiB, and above */

/* What costs are without a measured model, which depth control goes by: a byte is 1, a request as
 * much as 16 KiB. (NVMe and cloud disks have 6 to 40 KiB there: bandwidth by requests a second.) */
#define RTI_DISK_REQUEST_COST 16384u
#define RTI_DISK_BYTE_COST    1u

/* The least is one request of 4 KiB; the most more than any device needs; and of these at first. */
#define RTI_DISK_CAPACITY_MIN   (RTI_DISK_REQUEST_COST + 4096ull)
#define RTI_DISK_CAPACITY_MAX   (RTI_DISK_CAPACITY_MIN * 4096)
#define RTI_DISK_CAPACITY_FIRST (RTI_DISK_CAPACITY_MIN * 256)

/* Of requests of one kind. */
struct rti_disk_kind {
    rt_time unloaded; /* 0 = not known */
    uint32_t samples; /* in the window */
    uint32_t late;
    uint32_t very_late;
};

/* One request that has ended. */
struct rti_disk_sample {
    rt_time latency; /* above 0 */
    uint64_t cost;
    uint64_t in_flight; /* on the device when it ended, with it */
    uint32_t bytes;
    bool write;
    bool alone; /* nothing else was in flight when it began */
};

struct rti_disk_depth {
    struct rti_disk_kind kinds[2][RTI_DISK_SIZES]; /* reads, writes */
    rt_time since;                                 /* when the window began */
    uint64_t capacity;                             /* of the device when it began */
    uint64_t cost_max;                             /* of one request in it */
    uint64_t fullest; /* most in flight when a request ended, with it */
    uint64_t beside;  /* the same without it: what let it begin */
    uint32_t samples; /* of the kind that has the most */
};

void rti_disk_depth_init(struct rti_disk_depth *depth, uint64_t capacity, rt_time now);

void rti_disk_depth_note(struct rti_disk_depth *depth, const struct rti_disk_sample *sample);

/* The window is long enough to be judged. */
bool rti_disk_depth_is_due(const struct rti_disk_depth *depth, rt_time now);

/* The capacity that the window which ends now asks for. */
uint64_t rti_disk_depth_judge(const struct rti_disk_depth *depth);

/* A window begins. */
void rti_disk_depth_restart(struct rti_disk_depth *depth, uint64_t capacity, rt_time now);

#endif /* RTI_IO_DISK_DEPTH_H */
