/* SPDX-License-Identifier: MIT */
/*
 * Task queues that every shard has, with the same number: made and taken away by
 * a call to each shard. Which queue a request goes to is in serve.c.
 */
#include <errno.h>

#include "base/sized.h"
#include "cross/mesh.h"
#include "os/sys.h"
#include "rt/scope.h"
#include "rt/taskq.h"

#define NUMBERS_MAX 4095u
#define ROOM_FIRST  16u

struct making {
    uint32_t id;
    uint32_t parent; /* its number, or 0 */
    struct rt_taskq_options options;
};

/* Room for number `id` in this shard's table. */
static int make_room(struct rti_executor *executor, uint32_t id)
{
    uint32_t room = executor->shared_room == 0 ? ROOM_FIRST : executor->shared_room;
    struct rt_taskq **shared;

    while (room <= id) {
        room *= 2;
    }
    if (room == executor->shared_room) {
        return 0;
    }
    shared = rti_sys_alloc(room * sizeof(struct rt_taskq *));
    if (shared == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < executor->shared_room; i++) {
        shared[i] = executor->shared[i];
    }
    rti_sys_free(executor->shared);
    executor->shared = shared;
    executor->shared_room = room;
    return 0;
}

static int make_here(void *arg)
{
    const struct making *making = arg;
    struct rti_executor *executor = rti_current;
    struct rt_taskq_options options = making->options;
    struct rt_taskq *queue;
    int r;

    options.parent = making->parent != 0 ? rti_taskq_of_id(executor, making->parent) : NULL;
    if (making->parent != 0 && options.parent == NULL) {
        return -EINVAL; /* taken away since the caller looked */
    }
    r = make_room(executor, making->id);
    if (r == 0) {
        r = rt_taskq_create(&queue, &options);
    }
    if (r == 0) {
        queue->id = making->id;
        executor->shared[making->id] = queue;
    }
    return r;
}

static int destroy_here(void *arg)
{
    struct rti_executor *executor = rti_current;
    const uint32_t id = *(const uint32_t *)arg;
    struct rt_taskq *queue = rti_taskq_of_id(executor, id);
    int r = 0;

    if (queue != NULL) {
        r = rti_taskq_destroy(queue);
    }
    if (r == 0 && queue != NULL) {
        executor->shared[id] = NULL;
    }
    return r;
}

/* On shards 0 to `count` - 1, until one fails. The calls end in any case: they do not wait. */
static int on_each(uint32_t count, rt_task_fn fn, void *arg, uint32_t *done)
{
    int r = 0;
    int result = 0;

    for (*done = 0; *done < count; ++*done) {
        r = rt_call(*done, fn, arg, &result, RT_NEVER);
        r = r == 0 ? result : r;
        if (r < 0) {
            break;
        }
    }
    return r;
}

static int read_options(struct making *making, const struct rt_taskq_options *options)
{
    const struct rt_taskq *parent;
    int r = rti_sized_copy(&making->options, sizeof(making->options), options);

    if (r < 0) {
        return r;
    }
    parent = making->options.parent;
    making->parent = parent != NULL ? parent->id : 0;
    if (parent != NULL && parent->id == 0) {
        rti_log(&rti_current->log, RT_LOG_ERROR,
                "task queue '%s' cannot be a parent on every shard: it is on this one only",
                parent->name);
        return -EINVAL;
    }
    return 0;
}

int rt_taskq_create_all(uint32_t *id, const struct rt_taskq_options *options)
{
    struct rti_mesh *mesh = rti_mesh_of_task("rt_taskq_create_all")->mesh;
    struct making making = { .id = 0 };
    struct rt_scope shield;
    uint32_t done;
    int r = read_options(&making, options);

    if (r == 0) {
        r = rti_wait_allowed();
    }
    if (r < 0) {
        return r;
    }
    /* A number that nobody else gets; nothing else is told by it. */
    making.id = __atomic_add_fetch(&mesh->taskqs, 1, __ATOMIC_RELAXED);
    if (making.id > NUMBERS_MAX) {
        (void)__atomic_sub_fetch(&mesh->taskqs, 1, __ATOMIC_RELAXED);
        return -EAGAIN;
    }
    rt_shield(&shield, RT_NEVER);
    r = on_each(mesh->shard_count, make_here, &making, &done);
    if (r < 0) {
        (void)on_each(done, destroy_here, &making.id, &done);
    }
    (void)rt_scope_leave(&shield);
    if (r == 0) {
        *id = making.id;
    }
    return r;
}

int rt_taskq_destroy_all(uint32_t id)
{
    const uint32_t shards = rti_mesh_of_task("rt_taskq_destroy_all")->mesh->shard_count;
    struct rt_scope shield;
    bool busy = false;
    int result = 0;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    rt_shield(&shield, RT_NEVER);
    for (uint32_t i = 0; i < shards && r == 0; i++) {
        r = rt_call(i, destroy_here, &id, &result, RT_NEVER);
        busy = busy || (r == 0 && result == -EBUSY);
    }
    (void)rt_scope_leave(&shield);
    return r == 0 && busy ? -EBUSY : r;
}
