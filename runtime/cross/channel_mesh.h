/* SPDX-License-Identifier: MIT */
/*
 * Channels between many shards: see rt/mesh.h for the contract.
 *
 * A matrix of channels (cross/spsc.h), one slot for each producer and consumer. A
 * slot holds what was closed while there was no channel, or the channel, which is
 * made by who uses one of its ends first: by a CAS, so that both may.
 *
 * To receive from any source, a consumer has an inlet: a doorbell with a bit per
 * source, and, as its `pending`, the sources that may have something.
 *
 *     sender    publish; fetch_and(W, ~ANY_WAITS); was set: ring the inlet
 *     receiver  for each source that may have something, in turn:
 *                 take; nothing there: fetch_or(W, ANY_WAITS); look once more;
 *                 still nothing: out of the set, it rests
 *               none left: CAS(0 -> SLEEPING) as a shard does; park
 *
 * So a look costs the sources that have rung, and those that rest cost nothing. A
 * channel is made with ANY_WAITS set: its first publish rings.
 *
 * H1 What is published is received: a source with something is in the set, or
 *    its sender will ring. (tests/model/mesh_channel.pml)
 * H2 A source that was not rested does not ring: a stream pays nothing for it.
 * H3 A source ends once, or is left to a receiver of its own: `ended` has its bit then, and
 *    `open` counts the others.
 */
#ifndef RTI_CROSS_CHANNEL_MESH_H
#define RTI_CROSS_CHANNEL_MESH_H

#include <stdbool.h>
#include <stdint.h>

#include "cross/doorbell.h"

struct rt_task;

/* On the consumer, but for `bell` and `waiting`. */
struct rti_inlet {
    struct rti_doorbell bell; /* a bit per source; pending: those that may have something */
    struct rt_task *waiting;  /* who waits, or waited last; atomic */
    uint64_t *ended;          /* a bit per source, 62 in a word as the bell has them (H3) */
    uint32_t open;
    uint32_t next; /* the source whose turn it is */
    bool in_use;   /* a task waits in it */
    char apart[RTI_APART - sizeof(struct rti_doorbell) - 2 * sizeof(void *) - 2 * sizeof(uint32_t) -
               sizeof(bool)];
};

/* `source` has something, or has closed. Any shard. */
void rti_inlet_ring(struct rti_inlet *inlet, uint32_t source);

/* Nothing is received from `source` here any more. On the consumer; twice is once. */
void rti_inlet_end(struct rti_inlet *inlet, uint32_t source);

#endif /* RTI_CROSS_CHANNEL_MESH_H */
