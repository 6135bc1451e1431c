/* SPDX-License-Identifier: MIT */
/*
 * Home: objects that go back to the shard that made them; see rt/home.h.
 *
 *     free     the node into the batch for its home (the freeing shard's own)
 *     flush    the batch onto the home's list, by one CAS; was it empty: ring
 *     gather   the home takes the whole list, by one exchange
 *     run      it frees some of them each turn
 *
 * O1 What was given back is freed: who puts a batch onto an empty list rings, and
 *    who finds it not empty may leave that to whom it was empty for. The home
 *    takes all at once, so the ring that is under way is for both. (The same
 *    shortcut as M2.)
 * O2 A shard that has something to free does not sleep: it is `owed`.
 * O3 What comes after a shard has arrived (cross/closing.h) it frees when it
 *    detaches, for then all shards have flushed; and what comes still later, out
 *    of such a function of another shard, when the threads are gone.
 *
 * No memory is needed, so giving back cannot fail.
 */
#ifndef RTI_CROSS_HOME_H
#define RTI_CROSS_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct rt_home_node;
struct rti_mesh_shard;

/* For one home; in `unsent` while it is not empty. */
struct rti_home_batch {
    struct rti_list link;
    struct rt_home_node *first;
    struct rt_home_node *last;
};

struct rti_home {
    struct rti_home_batch *batches; /* by home */
    struct rti_list unsent;         /* batches that others have not got yet */
    struct rt_home_node *to_free;   /* taken off the list */
    bool ends;                      /* no shard runs any more (O3) */

    struct rt_home_node *returned; /* what others gave back; atomic */
};

/* 0 or -ENOMEM. */
int rti_home_init(struct rti_home *home, uint32_t shard_count);
void rti_home_fini(struct rti_home *home);

/* Give the batches to their homes, and ring those. */
void rti_home_flush(struct rti_mesh_shard *shard);

/* Take what has come; the next turn frees it. */
void rti_home_gather(struct rti_mesh_shard *shard);

/* Free some of it. In the loop's own flow. */
void rti_home_run(struct rti_mesh_shard *shard);

/* Free all of it: on a shard that detaches, or when the threads are gone. */
void rti_home_run_all(struct rti_mesh_shard *shard);

#endif /* RTI_CROSS_HOME_H */
