/* SPDX-License-Identifier: MIT */
/*
 * Cycles: looks for wait cycles by itself, on the thread of watch.h: every
 * config.wait_cycles, and at once when a stop lasts too long.
 *
 * A look asks shards for their links (cross/dumps.h, core/cycle.h), does not wait for the
 * answers but comes back for them, and compares what it has with the look before:
 *
 *              due                    answered, or given up
 *     RESTING ------> shards are asked ---------------------> RESTING: rings that were there at
 *        ^              | none needs to be                    both looks are told, each once
 *        +--------------+
 *
 * Only a shard whose tasks have run since its last answer is asked (Y4). So one that sleeps is
 * woken once after it has worked, and then no more; and when no shard has worked since two looks,
 * there are no more looks until one wakes. Where one works behind them, and sleeps again before the
 * next would be due, that mark of its work tells the watch not to rest.
 *
 * C1 Waits of a shard that did not answer in time are not known: no ring goes through them.
 */
#ifndef RTI_SHARD_CYCLES_H
#define RTI_SHARD_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cycle.h"

struct rt_runtime;

struct rti_cycles_shard {
    uint64_t turn; /* of its last answer; 0: it is not known */
    bool asked;    /* at the look that goes on */
};

struct rti_cycles {
    struct rti_cycles_shard *shards;
    struct rti_links links; /* of the last look, in the order of shards */
    rt_time due;            /* the next look */
    rt_time asked_at;       /* this look; valid while it asks */
    uint32_t hurries;       /* a stop lasts too long; atomic */
    bool hurried;           /* that was seen */
    bool asks;
    bool settled;   /* the last two looks had nobody to ask between them */
    bool truncated; /* and that was said */
};

/* Make ready: 0, or -errno, having said why. */
int rti_cycles_begin(struct rt_runtime *runtime);

/* The watch and all shards have ended, or have not begun. */
void rti_cycles_end(struct rt_runtime *runtime);

/* Do what is due; when to come again. RT_NEVER: when a shard has woken the watch. */
rt_time rti_cycles_look(struct rt_runtime *runtime);

/* A stop lasts too long: look now, and often. Any thread; the watch is to be woken then. */
void rti_cycles_hurry(struct rti_cycles *cycles);

#endif /* RTI_SHARD_CYCLES_H */
