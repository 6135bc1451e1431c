/* SPDX-License-Identifier: MIT */
/*
 * Watch: a thread that dumps all shards when config.dump_signal comes, looks for
 * tasks that hold their core too long (stall.h), and for tasks that wait for each
 * other (cycles.h).
 *
 * It exists where one of the three is wanted. The handler of the signal may run on
 * any thread and in the middle of anything, so it only posts a semaphore; the
 * thread, which waits there, asks the shards as any other thread would. The handler
 * is the process's: one runtime at a time can have it.
 */
#ifndef RTI_SHARD_WATCH_H
#define RTI_SHARD_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/watched.h"
#include "shard/cycles.h"
#include "shard/stall.h"

struct rt_runtime;

struct rti_watch {
    pthread_t thread;
    bool runs;
    bool dumps;     /* it has the signal's handler */
    uint32_t stops; /* atomic */
    sem_t *events;  /* the end of the watch, a shard that wakes it; the signal, where it has it */
    sem_t own_events;
    struct rti_watcher watcher; /* what shards see */
    struct rti_stall stall;
    struct rti_cycles cycles;
};

/* 0 (also when nothing is to be watched for), or -errno, having said why. */
int rti_watch_start(struct rt_runtime *runtime);

/* End it, if it runs; a dump that is being made is finished first. */
void rti_watch_stop(struct rt_runtime *runtime);

#endif /* RTI_SHARD_WATCH_H */
