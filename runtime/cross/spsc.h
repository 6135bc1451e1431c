/* SPDX-License-Identifier: MIT */
/*
 * Channel between two shards: see rt/spsc.h for the contract.
 *
 * A ring of its own, and one word W of two bits that say who waits.
 *
 *     publish  store-release tail; old = fetch_and(W, ~CONSUMER_WAITS); was set: wake the consumer
 *     wait     release what was read; fetch_or(W, CONSUMER_WAITS); look once more; park
 *
 * Room is the mirror image, with head and PRODUCER_WAITS. All are acquire and
 * release at once, so whoever comes second sees what the first one wrote.
 *
 * C1 Neither side waits for what is there.
 * C2 A bit may stay set after a look that found something; the wake that it
 *    brings later is spurious.
 * C3 The end that is closed second frees the channel, unless it belongs to a mesh
 *    (cross/channel_mesh.h), which has a third bit of W.
 */
#ifndef RTI_CROSS_SPSC_H
#define RTI_CROSS_SPSC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct rt_spsc;
struct rti_inlet;

/* Publish a channel that is in rti_mesh_shard.unsent_channels; called by the mesh. */
void rti_spsc_publish_node(struct rti_list *node);

/* 0, or -EINVAL with a text in the log. */
int rti_spsc_check_sizes(size_t item_bytes, size_t capacity);

struct rti_spsc_plan {
    size_t item_bytes;
    struct rti_inlet *inlet; /* of a mesh (cross/channel_mesh.h), or NULL */
    uint32_t source;         /* its number there */
    uint32_t capacity;
    int node; /* where the items shall lie, or below 0: anywhere */
};

/* NULL when there is no memory. */
struct rt_spsc *rti_spsc_make(const struct rti_spsc_plan *plan);
void rti_spsc_destroy(struct rt_spsc *channel);

/*
 * Of a channel that is a source of a mesh. The consumer takes what is there, up to `count` items,
 * and rests the source when that was nothing: from then on the next publish rings the inlet.
 */
enum rti_source {
    RTI_SOURCE_HAS_ITEMS, /* some have come meanwhile */
    RTI_SOURCE_RESTS,
    RTI_SOURCE_ENDED, /* the sender has closed, and nothing is left */
};

size_t rti_spsc_take(struct rt_spsc *channel, void *items, size_t count);
enum rti_source rti_spsc_rest(struct rt_spsc *channel);

/* The channel is new, nobody else knows it: its end was closed before it was there. */
void rti_spsc_close_before_use(struct rt_spsc *channel, bool sender, bool receiver);

/* Whether an end was used and not closed. */
bool rti_spsc_is_in_use(const struct rt_spsc *channel);

#endif /* RTI_CROSS_SPSC_H */
