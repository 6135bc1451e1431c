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
 * C3 The end that is closed second frees the channel.
 */
#ifndef RTI_CROSS_SPSC_H
#define RTI_CROSS_SPSC_H

#include "base/list.h"

/* Publish a channel that is in rti_mesh_shard.unsent_channels; called by the mesh. */
void rti_spsc_publish_node(struct rti_list *node);

#endif /* RTI_CROSS_SPSC_H */
