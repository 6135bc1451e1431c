/* SPDX-License-Identifier: MIT */
/*
 * Task queues that every shard has, with the same number: made and taken away by
 * a call to each shard. Which queue a request goes to is in serve.c.
 */
#include <errno.h>

#include "base/sized.h"
#include "cross/call.h"
#include "cross/mesh.h"
#include "os/sys.h"
#include "rt/scope.h"
#include "rt/taskq.h"

#define ROOM_FIRST 16u

/*
 * Numbers: who changes one from FREE or THERE has it alone until it says what it is then.
 *
 *     FREE --create_all--> CHANGING --> THERE --destroy_all--> CHANGING --> FREE, or THERE
 */
enum { FREE, CHANGING, THERE };

static bool take_number(struct rti_mesh *mesh, uint32_t number, uint8_t from)
{
    /* pairs with the release in put_number() */
    return __atomic_compare_exchange_n(&mesh->taskqs[number], &from, CHANGING, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void put_number(struct rti_mesh *mesh, uint32_t number, uint8_t to)
{
    /* pairs with the acquire in take_number() */
    __atomic_store_n(&mesh->taskqs[number], to, __ATOMIC_RELEASE);
}

/* One that is free, or 0. */
static uint32_t take_free_number(struct rti_mesh *mesh)
{
    uint32_t number = 1;

    while (number < RTI_SHARED_TASKQS && !take_number(mesh, number, FREE)) {
        number++;
    }
    return number < RTI_SHARED_TASKQS ? number : 0;
}

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
        r = rti_taskq_create(executor, &queue, &options);
    }
    if (r == 0) {
        queue->id = making->id;
        executor->shared[making->id] = queue;
        executor->shared_count++;
    }
    return r;
}

static int check_here(void *arg)
{
    const struct rt_taskq *queue = rti_taskq_of_id(rti_current, *(const uint32_t *)arg);

    return queue != NULL && rti_taskq_is_used(queue) ? -EBUSY : 0;
}

static int destroy_here(void *arg)
{
    struct rti_executor *executor = rti_current;
    const uint32_t id = *(const uint32_t *)arg;
    struct rt_taskq *queue = rti_taskq_of_id(executor, id);
    const int r = queue != NULL ? rti_taskq_destroy(queue) : 0;

    if (r == 0 && queue != NULL) {
        executor->shared[id] = NULL;
        executor->shared_count--;
    }
    return r;
}

static int call(uint32_t shard, rt_task_fn fn, void *arg)
{
    int result = 0;
    const int r = rti_call_taskless(shard, fn, arg, &result);

    return r < 0 ? r : result;
}

/* Until one fails: how many have it then is in `*done`. */
static int make_on_each(struct making *making, uint32_t shards, uint32_t *done)
{
    int r = 0;

    for (*done = 0; *done < shards && r == 0;) {
        r = call(*done, make_here, making);
        *done += r == 0;
    }
    return r;
}

/* -EBUSY when it stays somewhere: mostly then everywhere. */
static int destroy_on_each(uint32_t id, uint32_t shards)
{
    static const rt_task_fn passes[] = { check_here, destroy_here };
    int r = 0;

    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < shards && (r == 0 || r == -EBUSY); i++) {
            const int one = call(i, passes[pass], &id);

            r = one < 0 ? one : r;
        }
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
    making.id = take_free_number(mesh);
    if (making.id == 0) {
        return -EAGAIN;
    }
    rt_shield(&shield, RT_NEVER);
    r = make_on_each(&making, mesh->shard_count, &done);
    if (r == 0) {
        put_number(mesh, making.id, THERE);
        *id = making.id;
    } else if (destroy_on_each(making.id, done) == 0) { /* else the runtime stops */
        put_number(mesh, making.id, FREE);
    }
    (void)rt_scope_leave(&shield);
    return r;
}

int rt_taskq_destroy_all(uint32_t id)
{
    struct rti_mesh *mesh = rti_mesh_of_task("rt_taskq_destroy_all")->mesh;
    struct rt_scope shield;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    if (id == 0 || id >= RTI_SHARED_TASKQS || !take_number(mesh, id, THERE)) {
        return -EINVAL;
    }
    rt_shield(&shield, RT_NEVER);
    r = destroy_on_each(id, mesh->shard_count);
    (void)rt_scope_leave(&shield);
    put_number(mesh, id, r == 0 ? FREE : THERE);
    return r;
}
