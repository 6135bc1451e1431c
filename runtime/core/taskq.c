/* SPDX-License-Identifier: MIT */
/* Task queue: making room, and the calls of rt/taskq.h but for those on all shards. */
#include "core/taskq.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/sized.h"
#include "core/executor.h"
#include "os/sys.h"

#define ENTRIES_FIRST 64u

/* The ring */

int rti_taskq_init(struct rt_taskq *queue, struct rti_executor *executor, const char *name)
{
    *queue = (struct rt_taskq){ .mask = ENTRIES_FIRST - 1,
                                .executor = executor,
                                .entity.shares = RT_SHARES_DEFAULT };
    snprintf(queue->name, sizeof(queue->name), "%s", name);
    queue->ring = rti_sys_alloc(ENTRIES_FIRST * sizeof(struct rt_task *));
    return queue->ring == NULL ? -ENOMEM : 0;
}

void rti_taskq_fini(struct rt_taskq *queue)
{
    rti_sys_free(queue->ring);
    queue->ring = NULL;
}

int rti_taskq_grow(struct rt_taskq *queue)
{
    const uint32_t entries = (queue->mask + 1) * 2;
    const uint32_t length = rti_taskq_length(queue);
    struct rt_task **ring = rti_sys_alloc(entries * sizeof(struct rt_task *));

    if (ring == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < length; i++) {
        const uint64_t place = queue->head + i;

        ring[place & (entries - 1)] = queue->ring[place & queue->mask];
    }
    rti_sys_free(queue->ring);
    queue->ring = ring;
    queue->mask = entries - 1;
    return 0;
}

/* Life */

static int add(struct rti_executor *executor, struct rt_taskq *queue,
               const struct rt_taskq_options *options)
{
    struct rti_sched_entity *parent = options->parent != NULL ? &options->parent->entity : NULL;
    int r = rti_taskq_init(queue, executor, options->name != NULL ? options->name : "");

    if (r < 0) {
        return r;
    }
    queue->entity.shares = options->shares != 0 ? options->shares : RT_SHARES_DEFAULT;
    queue->latency = options->latency;
    queue->shares_fn = options->shares_fn;
    queue->shares_arg = options->shares_arg;
    queue->disk_bytes_per_second = options->disk_bytes_per_second;
    queue->disk_requests_per_second = options->disk_requests_per_second;
    queue->entity.goal = rti_ticks_of(&executor->ticks, options->latency);
    r = rti_sched_add(&executor->sched, &queue->entity, parent);
    if (r < 0) {
        rti_taskq_fini(queue);
        return r;
    }
    executor->shares_fns += queue->shares_fn != NULL;
    rti_list_push_back(&executor->queues, &queue->link);
    rti_slice_queues_changed(executor, 1);
    return 0;
}

static int check_latency(const struct rti_executor *executor, rt_time latency)
{
    if (latency == 0 || latency >= RT_LATENCY_MIN) {
        return 0;
    }
    rti_log(&executor->log, RT_LOG_ERROR,
            "a task queue's latency goal of %lld ns was asked for; it is 0 (none), or %lld ns or "
            "more",
            (long long)latency, (long long)RT_LATENCY_MIN);
    return -EINVAL;
}

static int check_shares(const struct rti_executor *executor, uint32_t shares)
{
    if (shares >= RT_SHARES_MIN && shares <= RT_SHARES_MAX) {
        return 0;
    }
    rti_log(&executor->log, RT_LOG_ERROR,
            "a task queue's shares of %u were asked for; they are %u to %u", shares, RT_SHARES_MIN,
            RT_SHARES_MAX);
    return -EINVAL;
}

static int check_parent(const struct rti_executor *executor, const struct rt_taskq *parent)
{
    const char *why = NULL;

    if (parent == NULL) {
        return 0;
    }
    rti_executor_must_own(parent->executor, "rt_taskq_create");
    if (parent == &executor->queue) {
        why = "is the default queue";
    } else if (parent->entity.parent != NULL) {
        why = "has a parent itself";
    } else if (parent->members > 0) {
        why = "has tasks";
    } else {
        return 0;
    }
    rti_log(&executor->log, RT_LOG_ERROR, "task queue '%s' cannot be a parent: it %s", parent->name,
            why);
    return -EINVAL;
}

int rti_taskq_create(struct rti_executor *executor, struct rt_taskq **out,
                     const struct rt_taskq_options *options)
{
    struct rt_taskq_options read;
    struct rt_taskq *queue;
    int r = rti_sized_copy(&read, sizeof(read), options);

    if (r == 0 && read.shares != 0) {
        r = check_shares(executor, read.shares);
    }
    if (r == 0) {
        r = check_latency(executor, read.latency);
    }
    if (r == 0) {
        r = check_parent(executor, read.parent);
    }
    if (r < 0) {
        return r;
    }
    queue = rti_sys_alloc(sizeof(*queue));
    if (queue == NULL) {
        return -ENOMEM;
    }
    r = add(executor, queue, &read);
    if (r < 0) {
        rti_sys_free(queue);
        return r;
    }
    *out = queue;
    return 0;
}

int rt_taskq_create(struct rt_taskq **out, const struct rt_taskq_options *options)
{
    return rti_taskq_create(rti_executor_here("rt_taskq_create"), out, options);
}

static void destroy(struct rt_taskq *queue)
{
    struct rti_executor *executor = queue->executor;

    rti_slice_forget(executor, queue);
    if (executor->devices != NULL) {
        executor->devices->ops->forget(queue);
    }
    executor->shares_fns -= queue->shares_fn != NULL;
    executor->runs_gone += rti_taskq_runs(queue);
    rti_list_remove(&queue->link);
    rti_sched_remove(&executor->sched, &queue->entity);
    rti_slice_queues_changed(executor, -1);
    rti_taskq_fini(queue);
    rti_sys_free(queue);
}

int rti_taskq_destroy(struct rt_taskq *queue)
{
    if (rti_taskq_is_used(queue)) {
        return -EBUSY;
    }
    destroy(queue);
    return 0;
}

int rt_taskq_destroy(struct rt_taskq *queue)
{
    const struct rti_executor *executor = rti_executor_here("rt_taskq_destroy");

    rti_executor_must_own(queue->executor, "rt_taskq_destroy");
    if (queue == &executor->queue || queue->id != 0) {
        rti_log(&executor->log, RT_LOG_ERROR, "task queue '%s' stays until the %s ends",
                queue->name, queue->id != 0 ? "runtime" : "executor");
        return -EINVAL;
    }
    return rti_taskq_destroy(queue);
}

/* Children first: a parent comes before them in the list. */
void rti_taskq_destroy_others(struct rti_executor *executor)
{
    struct rt_taskq *queue;

    for (;;) {
        queue = RTI_CONTAINER_OF(executor->queues.prev, struct rt_taskq, link);
        if (queue == &executor->queue) {
            return;
        }
        destroy(queue);
    }
}

/* Changes */

int rt_taskq_set_shares(struct rt_taskq *queue, uint32_t shares)
{
    struct rti_executor *executor = rti_executor_here("rt_taskq_set_shares");
    const int r = check_shares(executor, shares);

    rti_executor_must_own(queue->executor, "rt_taskq_set_shares");
    if (r < 0) {
        return r;
    }
    executor->shares_fns -= queue->shares_fn != NULL;
    queue->shares_fn = NULL;
    rti_sched_set_shares(&executor->sched, &queue->entity, shares);
    return 0;
}

int rt_taskq_set_latency(struct rt_taskq *queue, rt_time latency)
{
    struct rti_executor *executor = rti_executor_here("rt_taskq_set_latency");
    const int r = check_latency(executor, latency);

    rti_executor_must_own(queue->executor, "rt_taskq_set_latency");
    if (r < 0) {
        return r;
    }
    queue->latency = latency;
    rti_slice_queues_changed(executor, 0);
    return 0;
}

int rt_taskq_set_disk_limits(struct rt_taskq *queue, uint64_t bytes_per_second,
                             uint64_t requests_per_second)
{
    (void)rti_executor_here("rt_taskq_set_disk_limits");
    rti_executor_must_own(queue->executor, "rt_taskq_set_disk_limits");
    queue->disk_bytes_per_second = bytes_per_second;
    queue->disk_requests_per_second = requests_per_second;
    return 0;
}

/* Questions */

struct rt_taskq *rt_taskq_self(void)
{
    return rti_executor_here("rt_taskq_self")->running->queue;
}

struct rt_taskq *rt_taskq_next(const struct rt_taskq *previous)
{
    struct rti_executor *executor = rti_current;
    struct rti_list *next;

    RTI_ASSERT(executor != NULL);
    next = previous == NULL ? executor->queues.next : previous->link.next;
    return next == &executor->queues ? NULL : RTI_CONTAINER_OF(next, struct rt_taskq, link);
}

struct rt_taskq *rt_taskq_of_id(uint32_t id)
{
    struct rti_executor *executor = rti_current;

    RTI_ASSERT(executor != NULL);
    return rti_taskq_of_id(executor, id);
}

static rt_time ns_of(const struct rti_executor *executor, uint64_t ticks)
{
    return (rt_time)((double)ticks / executor->ticks.per_ns);
}

void rt_taskq_stats(const struct rt_taskq *queue, struct rt_taskq_stats *out, size_t bytes)
{
    struct rti_executor *executor = rti_executor_here("rt_taskq_stats");
    struct rt_taskq_stats stats;

    rti_executor_must_own(queue->executor, "rt_taskq_stats");
    rti_slice_settle(executor);
    stats = (struct rt_taskq_stats){
        .id = queue->id,
        .shares = queue->entity.shares,
        .latency = queue->latency,
        .members = queue->members,
        .length = rti_taskq_length(queue),
        .run = ns_of(executor, queue->run),
        .wait = ns_of(executor, queue->wait),
        .runs = rti_taskq_runs(queue),
        .switches = queue->switches,
        .slices_cut = queue->slices_cut,
        .stalls = queue->stalls,
    };
    if (executor->devices != NULL) {
        executor->devices->ops->count(queue, &stats);
    }
    snprintf(stats.name, sizeof(stats.name), "%s", queue->name);
    memset(out, 0, bytes);
    memcpy(out, &stats, bytes < sizeof(stats) ? bytes : sizeof(stats));
}
