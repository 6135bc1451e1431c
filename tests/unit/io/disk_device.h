/* SPDX-License-Identifier: MIT */
/*
 * Device: a disk in virtual time, and clients of several shards that keep it busy.
 *
 * The device moves the bytes of requests over one line, one after another, and serves up to
 * `servers` of them at a time, each for its time plus a bit of chance. A client belongs to a queue
 * of a shard and keeps `depth` requests there, or begins one so long after the last has ended.
 */
#ifndef RT_TEST_DISK_DEVICE_H
#define RT_TEST_DISK_DEVICE_H

#include "io/disk_queue.h"
#include "support/rand.h"

#define DEVICE_SHARDS_MAX  4u
#define DEVICE_CLIENTS_MAX 6u
#define CLIENT_DEPTH_MAX   128u

struct device_plan {
    uint64_t line_bytes; /* a second */
    rt_time request_time;
    uint32_t servers; /* at most 64 */
    uint32_t slow;    /* of 1000 requests, those that take five times as long */
};

struct client_plan {
    rt_time pause; /* between the end of a request and the next; 0: none */
    rt_time from;  /* when it comes */
    uint32_t shard;
    uint32_t shares;
    uint32_t depth;
    uint32_t bytes;
    bool write;
};

struct client_result {
    uint64_t ended; /* requests that ended in the time that counts */
    rt_time device; /* the longest but for one in a hundred: in the device */
    rt_time waited; /* the same: before that */
};

/* Clients at a device that `model` tells of, or none, for so long, of which the second half
 * counts. */
void device_run(const struct device_plan *device, const struct rti_disk_model *model,
                uint64_t capacity, const struct client_plan *clients, uint32_t count, rt_time span,
                struct client_result *results);

/* The capacity at the end of the last run. */
uint64_t device_capacity(void);

#endif /* RT_TEST_DISK_DEVICE_H */
