/* SPDX-License-Identifier: MIT */
/* Wake map: see wake_map.h; and rt_wake(), from wherever it is called. */
#include "cross/wake_map.h"

#include <errno.h>

#include "core/fork.h"
#include "cross/call.h"
#include "cross/mesh.h"
#include "os/sys.h"

int rti_wake_map_init(struct rti_wake_map *map, uint32_t slots)
{
    const uint32_t level_bits = (slots + 63) / 64;
    const uint32_t level_words = (level_bits + 63) / 64;

    map->top_words = (level_words + 63) / 64;
    map->level = rti_sys_alloc(level_words * sizeof(uint64_t));
    map->top = rti_sys_alloc(map->top_words * sizeof(uint64_t));
    if (map->level == NULL || map->top == NULL) {
        rti_wake_map_fini(map);
        return -ENOMEM;
    }
    return 0;
}

void rti_wake_map_fini(struct rti_wake_map *map)
{
    rti_sys_free(map->level);
    rti_sys_free(map->top);
    map->level = NULL;
    map->top = NULL;
}

bool rti_wake_map_set(struct rti_wake_map *map, const struct rt_task *task)
{
    const uint32_t word = task->index / 64;
    uint64_t bit;
    uint64_t *wakes = rti_task_wakes(task, &bit);

    /* each pairs with the exchange in take_word(), which goes from the top down (M1) */
    if ((__atomic_fetch_or(wakes, bit, __ATOMIC_ACQ_REL) & bit) != 0) {
        return false;
    }
    __atomic_fetch_or(&map->level[word / 64], 1ull << (word % 64), __ATOMIC_ACQ_REL);
    __atomic_fetch_or(&map->top[word / 64 / 64], 1ull << (word / 64 % 64), __ATOMIC_ACQ_REL);
    return true;
}

/* The bits of a word; those that come after this are rung for again. */
static uint64_t take_word(uint64_t *word)
{
    if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0) {
        return 0;
    }
    /* pairs with the fetch_or in rti_wake_map_set() */
    return __atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL);
}

static void wake_tasks(struct rti_executor *executor, uint32_t word)
{
    struct rt_task *first = rti_task_at(&executor->tasks, word * 64);
    uint64_t bit;
    uint64_t bits;

    RTI_ASSERT(first != NULL);
    bits = take_word(rti_task_wakes(first, &bit));
    while (bits != 0) {
        struct rt_task *task = first + __builtin_ctzll(bits);

        executor->inbox->wakes_received++;
        rti_call_woken(task);
        rti_task_wake_by_waker(task);
        bits &= bits - 1;
    }
}

void rti_wake_map_take(struct rti_wake_map *map, struct rti_executor *executor)
{
    for (uint32_t i = 0; i < map->top_words; i++) {
        for (uint64_t top = take_word(&map->top[i]); top != 0; top &= top - 1) {
            const uint32_t level = i * 64 + (uint32_t)__builtin_ctzll(top);

            for (uint64_t bits = take_word(&map->level[level]); bits != 0; bits &= bits - 1) {
                wake_tasks(executor, level * 64 + (uint32_t)__builtin_ctzll(bits));
            }
        }
    }
}

static void wake_from_elsewhere(struct rt_task *task)
{
    struct rti_mesh_shard *target = (struct rti_mesh_shard *)(void *)task->executor->inbox;
    struct rti_mesh_shard *here = NULL;

    rti_fork_check("rt_wake");
    if (RTI_UNLIKELY(target == NULL)) {
        rti_misuse("a task was woken from another thread, and its executor has no inbox");
    }
    if (!rti_wake_map_set(&target->wake_map, task)) {
        return;
    }
    if (rti_current != NULL && rti_current->inbox != NULL &&
        rti_mesh_here()->mesh == target->mesh) {
        here = rti_mesh_here();
    }
    rti_mesh_ring_control(here, target);
}

void rti_wake_task(struct rt_task *task)
{
    if (task->executor == rti_current) {
        rti_task_wake_by_waker(task);
    } else {
        wake_from_elsewhere(task);
    }
}

void rt_wake(struct rt_waker waker)
{
    struct rt_task *task = waker.task;

    RTI_ASSERT(task != NULL);
    if (task->executor != rti_current) {
        wake_from_elsewhere(task);
    } else if (task->generation == waker.generation) {
        rti_task_wake_by_waker(task);
    }
}
