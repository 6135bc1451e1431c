/* SPDX-License-Identifier: MIT */
/*
 * Watch: a thread that dumps all shards when config.dump_signal comes.
 *
 * The handler may run on any thread and in the middle of anything, so it only
 * posts a semaphore; the thread, which waits there, asks the shards as any other
 * thread would. It exists only where a signal was chosen. The handler is the
 * process's: one runtime at a time can have it.
 */
#ifndef RTI_SHARD_WATCH_H
#define RTI_SHARD_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rt_runtime;

struct rti_watch {
    pthread_t thread;
    bool runs;
    uint32_t stops; /* atomic */
};

/* 0 (also when no signal was chosen), or -errno, having said why. */
int rti_watch_start(struct rt_runtime *runtime);

/* End it, if it runs; a dump that is being made is finished first. */
void rti_watch_stop(struct rt_runtime *runtime);

#endif /* RTI_SHARD_WATCH_H */
