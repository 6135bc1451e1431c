/* SPDX-License-Identifier: MIT */
/*
 * Disk depth: how much a device can have in flight, learned from how long requests take.
 *
 * A device that is not saturated takes about the same time for a request whatever else is
 * in flight. From where it is, each request waits for others, and more in flight makes the
 * wait longer and nothing faster. Where a request takes twice as long as on the idle device,
 * half of its time is wait, and the device has had all the work that it can take.
 *
 * So requests are late that take longer than twice the unloaded time of their kind (direction
 * and size), and a bit. They are counted in windows. When more than a tenth were late, the
 * capacity falls by a quarter; else it rises by a few requests: as Kyber of Linux compares
 * a percentile of a window with a target, and as TCP finds its part of a line.
 *
 * A window tells nothing about a capacity that was not used, or that was exceeded: it makes the
 * capacity rise only when half of it was in flight, and fall only when that and not much more was.
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

/* The least requests of 4 KiB: one; as many as any device needs; and of these at first. */
#define RTI_DISK_CAPACITY_MIN   (RTI_DISK_REQUEST_COST + 4096ull)
#define RTI_DISK_CAPACITY_MAX   (RTI_DISK_CAPACITY_MIN * 4096)
#define RTI_DISK_CAPACITY_FIRST (RTI_DISK_CAPACITY_MIN * 256)

struct rti_disk_depth {
    rt_time unloaded[2][RTI_DISK_SIZES]; /* of reads, of writes; 0 = not known */
    rt_time since;                       /* when the window began */
    uint64_t fullest;                    /* most in flight when a request ended, with it */
    uint64_t beside;                     /* the same without it: what let it begin */
    uint64_t capacity;                   /* of the device when it began */
    uint32_t samples;
    uint32_t late;
};

void rti_disk_depth_init(struct rti_disk_depth *depth, uint64_t capacity, rt_time now);

/* A request took so long, above 0. `alone`: when it began, nothing else was in flight.
 * `fullest` and `beside`: how much was when it ended, with it and without. */
void rti_disk_depth_note(struct rti_disk_depth *depth, bool write, uint32_t bytes, rt_time latency,
                         bool alone, uint64_t fullest, uint64_t beside);

/* The window is long enough to be judged. */
bool rti_disk_depth_is_due(const struct rti_disk_depth *depth, rt_time now);

/* The capacity that the window which ends now asks for. */
uint64_t rti_disk_depth_judge(const struct rti_disk_depth *depth);

/* A window begins. */
void rti_disk_depth_restart(struct rti_disk_depth *depth, uint64_t capacity, rt_time now);

#endif /* RTI_IO_DISK_DEPTH_H */
