/* SPDX-License-Identifier: MIT */
/* Calls of services: see service.h (V3). */
#include <errno.h>
#include <string.h>

#include "core/executor.h"
#include "core/scope.h"
#include "cross/mesh.h"
#include "rt/scope.h"
#include "shard/owner.h"
#include "shard/service.h"

/* A call that is inside. In the frame of the task that runs its function. */
struct inside {
    struct rti_list link;
    const struct rt_task *task;
    struct rt_scope scope; /* what a stop cancels: on the caller's own shard the task is its own */
};

bool rti_service_is_inside(const struct rti_service_part *part)
{
    for (const struct rti_list *node = part->calls.next; node != &part->calls; node = node->next) {
        if (RTI_CONTAINER_OF(node, struct inside, link)->task == rti_current->running) {
            return true;
        }
    }
    return false;
}

void rti_service_cancel_calls(struct rti_service_part *part)
{
    for (struct rti_list *node = part->calls.next; node != &part->calls; node = node->next) {
        rti_scope_cancel(&RTI_CONTAINER_OF(node, struct inside, link)->scope);
    }
}

/* Written by this shard only, so an addition need not be atomic as a whole. */
static inline void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* On the instance's shard. False when there is none, or it is closed: the function did not run. */
static inline bool run(struct rti_service_part *part, rt_service_fn fn, void *arg, int *result)
{
    struct inside self;

    if (RTI_UNLIKELY(rt_gate_enter(&part->gate) < 0)) {
        count(&part->refused);
        return false;
    }
    self.task = rti_current->running;
    rti_list_push_back(&part->calls, &self.link);
    count(&part->begun);
    rt_scope_enter(&self.scope, RT_NEVER);
    *result = fn(part->instance, arg);
    (void)rt_scope_leave(&self.scope);
    if (*result < 0) {
        count(&part->errors);
    }
    count(&part->done_calls);
    rti_list_remove(&self.link);
    rt_gate_leave(&part->gate);
    return true;
}

/* One */

static int run_one(void *arg)
{
    struct rt_service_call *call = arg;
    int result = 0;

    if (!run(call->part, call->fn, call->arg, &result)) {
        call->is_refused = 1;
    }
    return result;
}

static void prepare(struct rt_service_call *call, struct rt_service *service, uint32_t shard,
                    rt_service_fn fn, void *arg)
{
    if (RTI_UNLIKELY(shard >= service->shard_count)) {
        rti_misuse("rt_service_call(): there is no shard %u, there are %u", shard,
                   service->shard_count);
    }
    if (RTI_DEBUG && service->mesh != rti_mesh_of_task("rt_service_call")->mesh) {
        rti_misuse("rt_service_call(): the service '%s' belongs to another runtime", service->name);
    }
    call->part = &service->parts[shard];
    call->fn = fn;
    call->arg = arg;
    call->is_refused = 0;
}

static inline int outcome(const struct rt_service_call *call, int r, int value, int *result)
{
    if (r == 0 && RTI_UNLIKELY(call->is_refused)) {
        r = -ESHUTDOWN;
    }
    if (r == 0 && result != NULL) {
        *result = value;
    }
    return r;
}

int rt_service_call_begin(struct rt_service_call *call, struct rt_service *service, uint32_t shard,
                          rt_service_fn fn, void *arg, rt_time deadline)
{
    prepare(call, service, shard, fn, arg);
    return rt_call_begin(&call->call, shard, run_one, call, deadline);
}

int rt_service_call_end(struct rt_service_call *call, int *result, rt_time deadline)
{
    int value = 0;
    const int r = rt_call_end(&call->call, &value, deadline);

    return outcome(call, r, value, result);
}

int rt_service_call(struct rt_service *service, uint32_t shard, rt_service_fn fn, void *arg,
                    int *result, rt_time deadline)
{
    struct rt_service_call call;
    int value = 0;
    int r;

    prepare(&call, service, shard, fn, arg);
    r = rt_call(shard, run_one, &call, &value, deadline);
    return outcome(&call, r, value, result);
}

/* All */

/* What the shards of one set have in common. They read it only. */
struct set {
    struct rt_service *service;
    struct rt_call_part *parts;
    rt_service_fn fn;
    char *args;
    size_t arg_bytes;
    rt_reduce_fn reduce;
    void *into;
};

/* A part that is refused loses its argument, which never was NULL. */
static int run_part(void *arg)
{
    const struct set *set = arg;
    const uint32_t index = rti_mesh_here()->index;
    int result = 0;

    if (!run(&set->service->parts[index], set->fn, set->args + index * set->arg_bytes, &result)) {
        set->parts[index].arg = NULL;
    }
    return result;
}

static void reduce_part(void *into, const struct rt_call_part *part)
{
    const struct set *set = into;

    if (part->arg != NULL && set->reduce != NULL) {
        struct rt_call_part shown = *part;

        shown.arg = set->args + part->shard * set->arg_bytes;
        set->reduce(set->into, &shown);
    }
}

int rt_service_map_reduce(struct rt_service *service, struct rt_call_part *parts, rt_service_fn map,
                          void *args, size_t arg_bytes, rt_reduce_fn reduce, void *into,
                          rt_time deadline)
{
    struct set set = {
        .service = service,
        .parts = parts,
        .fn = map,
        .args = args,
        .arg_bytes = arg_bytes,
        .reduce = reduce,
        .into = into,
    };
    int first = 0;
    int called;

    RTI_DASSERT(service->mesh == rti_mesh_of_task("rt_service_map_reduce")->mesh);
    for (uint32_t i = 0; i < service->shard_count; i++) {
        parts[i].shard = i;
        parts[i].arg = &set;
    }
    called = rt_map_reduce(parts, service->shard_count, run_part, reduce_part, &set, deadline);
    for (uint32_t i = 0; i < service->shard_count; i++) {
        if (parts[i].arg == NULL) {
            parts[i].error = -ESHUTDOWN;
        }
        parts[i].arg = set.args + i * arg_bytes;
        first = first < 0 ? first : parts[i].error;
    }
    RTI_ASSERT(called == 0 || first < 0);
    return first;
}

int rt_service_call_all(struct rt_service *service, struct rt_call_part *parts, rt_service_fn fn,
                        void *args, size_t arg_bytes, rt_time deadline)
{
    return rt_service_map_reduce(service, parts, fn, args, arg_bytes, NULL, NULL, deadline);
}

/* Who owns a key */

uint32_t rt_service_owner(const struct rt_service *service, const void *key, size_t bytes)
{
    return rti_owner_jump(rti_owner_hash(key, bytes), service->shard_count);
}

uint32_t rt_service_owner_of(const struct rt_service *service, uint64_t number)
{
    return rti_owner_jump(number, service->shard_count);
}

int rt_service_call_key(struct rt_service *service, const void *key, size_t bytes, rt_service_fn fn,
                        void *arg, int *result, rt_time deadline)
{
    return rt_service_call(service, rt_service_owner(service, key, bytes), fn, arg, result,
                           deadline);
}

void *rt_service_local(const struct rt_service *service)
{
    const struct rti_mesh_shard *shard = rti_mesh_of_task("rt_service_local");

    RTI_DASSERT(service->mesh == shard->mesh);
    return service->parts[shard->index].instance;
}
