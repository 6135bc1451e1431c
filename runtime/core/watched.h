/* SPDX-License-Identifier: MIT */
/*
 * Watched: what an executor and the thread that watches it for stalls (shard/stall.h)
 * have of each other.
 *
 * The watch reads without asking; all it reads is written by the shard at places it
 * comes to anyway. `turns`, and the ticks at which the countdown of task runs was
 * read last, tell that runs went on. Within a countdown only the shard's thread
 * itself can tell one run from the next; so the watch sends it a signal, whose
 * handler looks.
 *
 * Sleep. The watch sleeps while all shards do, and who wakes wakes it:
 *
 *     shard   awake = 1; if (parked) wake the watch
 *     watch   parked = 1; membarrier(); if (somebody is awake) parked = 0, else sleep
 *
 * Z1 Not both are missed: the barrier orders the two of the shard as a fence between
 *    them would, so the shard needs none (membarrier(2)). tests/model/park.pml proves it.
 */
#ifndef RTI_CORE_WATCHED_H
#define RTI_CORE_WATCHED_H

#include <stdint.h>

#include "base/compiler.h"

/* Of the watch; shared by its shards. */
struct rti_watcher {
    uint32_t parked; /* atomic */
    void (*unpark)(struct rti_watcher *watcher);
    void (*late)(struct rti_watcher *watcher); /* a shard's stop lasts too long */
};

struct rti_probe; /* shard/probe.h */

struct rti_watched {
    uint32_t awake;              /* atomic: 0 while the shard sleeps, and once it has ended */
    struct rti_watcher *watcher; /* NULL: nobody watches */
    struct rti_probe *probe;     /* for the signal's handler; NULL: likewise */
};

static inline void rti_watched_sleeps(struct rti_watched *watched)
{
    /* pairs with the load in stall.c: who sees it sleep sees what it did before */
    __atomic_store_n(&watched->awake, 0, __ATOMIC_RELEASE);
}

static inline void rti_watched_wakes(struct rti_watched *watched)
{
    struct rti_watcher *watcher = watched->watcher;

    __atomic_store_n(&watched->awake, 1, __ATOMIC_RELAXED);
    __asm__ volatile("" ::: "memory"); /* Z1: the watch makes it a fence */
    if (RTI_UNLIKELY(watcher != NULL && __atomic_load_n(&watcher->parked, __ATOMIC_RELAXED) != 0)) {
        watcher->unpark(watcher);
    }
}

#endif /* RTI_CORE_WATCHED_H */
