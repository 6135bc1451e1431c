/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: task queues that all of them share are made, dropped, and
 * become parents on single ones.
 */
#ifndef RT_TEST_SHARDS_QUEUES_H
#define RT_TEST_SHARDS_QUEUES_H

#include "shards_state.h"

/* A number that has a queue now, or 0. */
static uint32_t some_queue(void)
{
    const uint32_t first = draw(QUEUES_MAX);

    for (uint32_t i = 0; program.has_queues && i < QUEUES_MAX; i++) {
        const uint32_t number = (first + i) % QUEUES_MAX;

        if (number != 0 && program.numbers[number].is_there) {
            return number;
        }
    }
    return 0;
}

/* The default one where it is gone, or a parent. */
static struct rt_taskq *queue_to_spawn_in(void)
{
    struct rt_taskq *queue = rt_taskq_of_id(some_queue());

    return queue != NULL && queue->entity.children.members == 0 ? queue : rt_taskq_of_id(0);
}

static int make_queue(void)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t id = 0;
    int r;

    options.shares = 1 + draw(10000);
    options.latency = draw(4) == 0 ? RT_LATENCY_MIN * (1 + draw(20)) : 0;
    r = rt_taskq_create_all(&id, &options);
    T_CHECK(r == 0 || r == -EAGAIN || r == -ECANCELED || r == -ESHUTDOWN);
    if (r < 0) {
        T_CHECK(id == 0);
        return r;
    }
    T_CHECK(id > 0 && id < QUEUES_MAX && !program.numbers[id].is_there);
    program.numbers[id] = (struct number){ .life = program.numbers[id].life + 1, .is_there = true };
    program.queues_made++;
    return 0;
}

static int drop_queue(void)
{
    const uint32_t id = some_queue();
    int r;

    if (id == 0) {
        return 0;
    }
    program.numbers[id].is_there = false; /* nobody else drops it, or spawns in it, meanwhile */
    r = rt_taskq_destroy_all(id);
    T_CHECK(r == 0 || r == -EBUSY || r == -EAGAIN || r == -ECANCELED || r == -ESHUTDOWN);
    program.numbers[id].is_there = r < 0; /* on some shards, perhaps */
    program.numbers[id].is_gone = r == 0;
    program.queues_dropped += r == 0;
    program.queues_busy += r == -EBUSY;
    return r;
}

/* A shared queue becomes a parent here, while on other shards tasks may belong to it. */
static int adopt(void)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    const uint32_t id = some_queue();
    struct rt_taskq *child;
    int r;

    options.parent = id != 0 ? rt_taskq_of_id(id) : NULL;
    if (options.parent == NULL || options.parent->members > 0) {
        return 0;
    }
    T_CHECK(rt_taskq_create(&child, &options) == 0);
    program.has_adopted = true;
    r = rt_sleep_until(rt_in(draw(20000)));
    T_CHECK(rt_taskq_destroy(child) == 0);
    return r;
}

#endif /* RT_TEST_SHARDS_QUEUES_H */
