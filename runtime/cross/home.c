/* SPDX-License-Identifier: MIT */
/* Home: see home.h. */
#include "cross/home.h"

#include <errno.h>

#include "core/no_suspend.h"
#include "cross/mesh.h"
#include "os/sys.h"
#include "rt/home.h"

/* In one turn. 10 to 20 us of free(), so that messages and timers are not kept waiting. */
#define FREED_PER_TURN 256u

int rti_home_init(struct rti_home *home, uint32_t shard_count)
{
    rti_list_init(&home->unsent);
    home->batches = rti_sys_alloc(shard_count * sizeof(struct rti_home_batch));
    if (home->batches == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < shard_count; i++) {
        rti_list_init(&home->batches[i].link);
    }
    return 0;
}

void rti_home_fini(struct rti_home *home)
{
    rti_sys_free(home->batches);
}

/* Giving back */

void rt_home_init(struct rt_home_node *node, rt_home_fn fn)
{
    RTI_ASSERT(fn != NULL);
    *node = (struct rt_home_node){ .next = node, /* not given back */
                                   .fn = fn,
                                   .home = rti_mesh_of_task("rt_home_init") };
}

static void give_back(struct rti_mesh_shard *here, struct rti_mesh_shard *target,
                      struct rt_home_node *node)
{
    struct rti_home_batch *batch = &here->home.batches[target->index];

    if (rti_list_is_empty(&batch->link)) {
        rti_list_push_back(&here->home.unsent, &batch->link);
        here->inbox.unsent = true;
        batch->last = node;
        batch->first = NULL;
    }
    node->next = batch->first;
    batch->first = node;
    here->inbox.objects_sent_home++;
}

/* In a task a function that suspends would do well, and abort where the loop runs it. */
static void free_here(struct rt_home_node *node)
{
    struct rti_executor *executor = rti_current;
    struct rt_no_suspend section;

    if (executor == NULL || executor->running == NULL) {
        node->fn(node);
        return;
    }
    rti_no_suspend_begin(executor, &section, "an rt_home_fn");
    node->fn(node);
    rti_no_suspend_end(executor, &section);
}

void rt_home_free(struct rt_home_node *node)
{
    struct rti_mesh_shard *target = node->home;

    if (RTI_UNLIKELY(node->next != node)) {
        rti_misuse("rt_home_free(): the object was given back already, or its node was not made "
                   "by rt_home_init()");
    }
    node->next = NULL;
    if (target->executor == rti_current || target->home.ends) {
        free_here(node);
        return;
    }
    if (RTI_UNLIKELY(rti_current == NULL || rti_current->inbox == NULL ||
                     rti_mesh_here()->mesh != target->mesh)) {
        rti_misuse("rt_home_free() was called outside the runtime that the object belongs to");
    }
    give_back(rti_mesh_here(), target, node);
}

/* Whether the home's list was empty. */
static bool push(struct rti_home *home, struct rti_home_batch *batch)
{
    struct rt_home_node *newest = __atomic_load_n(&home->returned, __ATOMIC_RELAXED);

    do {
        batch->last->next = newest;
        /* pairs with the exchange in rti_home_gather() */
    } while (!__atomic_compare_exchange_n(&home->returned, &newest, batch->first, true,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return newest == NULL;
}

void rti_home_flush(struct rti_mesh_shard *shard)
{
    struct rti_list *link;

    while ((link = rti_list_first(&shard->home.unsent)) != NULL) {
        struct rti_home_batch *batch = RTI_CONTAINER_OF(link, struct rti_home_batch, link);
        struct rti_mesh_shard *target = shard->mesh->shards[batch - shard->home.batches];

        rti_list_remove(link);
        if (push(&target->home, batch)) { /* O1 */
            rti_mesh_ring_control(shard, target);
        }
    }
}

/* Freeing */

void rti_home_gather(struct rti_mesh_shard *shard)
{
    struct rti_home *home = &shard->home;
    struct rt_home_node *last;
    struct rt_home_node *newest;

    if (__atomic_load_n(&home->returned, __ATOMIC_RELAXED) == NULL) {
        return;
    }
    /* pairs with the CAS in push() */
    newest = __atomic_exchange_n(&home->returned, NULL, __ATOMIC_ACQUIRE);
    if (home->to_free != NULL) {
        for (last = newest; last->next != NULL; last = last->next) {
        }
        last->next = home->to_free;
    }
    home->to_free = newest;
    shard->owed = true; /* O2 */
}

static bool free_one(struct rti_mesh_shard *shard)
{
    struct rt_home_node *node = shard->home.to_free;

    if (node == NULL) {
        return false;
    }
    shard->home.to_free = node->next;
    shard->inbox.objects_came_home++;
    node->fn(node);
    return true;
}

void rti_home_run(struct rti_mesh_shard *shard)
{
    for (uint32_t i = 0; i < FREED_PER_TURN && free_one(shard); i++) {
    }
    shard->owed |= shard->home.to_free != NULL; /* O2 */
}

void rti_home_run_all(struct rti_mesh_shard *shard)
{
    rti_home_gather(shard);
    while (free_one(shard)) {
        rti_home_gather(shard);
    }
}
