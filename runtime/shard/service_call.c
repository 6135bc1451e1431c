/* SPDX-License-Identifier: MIT */
/* Calls of services: see service.h (V3). */
#include <errno.h>
#include <string.h>

#include "core/executor.h"
#include "core/scope.h"
#include "cross/call.h"
#include "cross/mesh.h"
#include "rt/scope.h"
#include "shard/owner.h"
#include "shard/runtime.h"
#include "shard/service.h"

/* A call that is inside. In the frame of the task that runs its function. */
struct inside {
    struct rti_list link;
    struct rti_service_part *part;
    struct rt_task *task;
    struct rt_scope *scope; /* what a stop cancels; NULL: the task, which is the call's own */
};

bool rti_service_is_inside(const struct rti_service_part *part)
{
    const struct inside *inline_one = rti_mesh_here()->inside;

    for (const struct rti_list *node = part->calls.next; node != &part->calls; node = node->next) {
        if (RTI_CONTAINER_OF(node, struct inside, link)->task == rti_current->running) {
            return true;
        }
    }
    return inline_one != NULL && inline_one->part == part;
}

bool rti_service_first_inside(const struct rti_service_part *part, uint32_t *task)
{
    if (rti_list_is_empty(&part->calls)) {
        return false;
    }
    *task = RTI_CONTAINER_OF(part->calls.next, struct inside, link)->task->index;
    return true;
}

void rti_service_cancel_calls(struct rti_service_part *part)
{
    for (struct rti_list *node = part->calls.next; node != &part->calls; node = node->next) {
        const struct inside *inside = RTI_CONTAINER_OF(node, struct inside, link);

        if (inside->scope != NULL) {
            rti_scope_cancel(inside->scope);
        } else {
            rti_task_cancel(inside->task);
        }
    }
}

/* Written by this shard only, so an addition need not be atomic as a whole. */
static inline void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline bool is_refused(struct rti_service_part *part)
{
    if (RTI_UNLIKELY(part->gate.closed != 0)) {
        count(&part->refused);
        return true;
    }
    count(&part->begun);
    return false;
}

static inline void count_done(struct rti_service_part *part, int result)
{
    if (result < 0) {
        count(&part->errors);
    }
    count(&part->done_calls);
}

static void enter(struct inside *self)
{
    const int r = rt_gate_enter(&self->part->gate);

    RTI_ASSERT(r == 0); /* it was open when the function began, and no keeper has run since */
    self->task = rti_current->running;
    rti_list_push_back(&self->part->calls, &self->link);
}

static void leave(struct inside *self)
{
    rti_list_remove(&self->link);
    rt_gate_leave(&self->part->gate);
}

/* On the instance's shard, in the caller's task. False when there is none, or it is closed: the
 * function did not run. */
static inline bool run(struct rti_service_part *part, rt_service_fn fn, void *arg, int *result)
{
    struct rt_scope scope;
    struct inside self = { .part = part, .scope = &scope };

    if (is_refused(part)) {
        return false;
    }
    enter(&self);
    rt_scope_enter(&scope, RT_NEVER);
    *result = fn(part->instance, arg);
    (void)rt_scope_leave(&scope);
    leave(&self);
    count_done(part, *result);
    return true;
}

/* The same in a task of its own. While it has not suspended no keeper has run, and nobody can ask:
 * so it need not enter before (V3). */
static inline bool run_inline(struct rti_mesh_shard *shard, struct rti_service_part *part,
                              rt_service_fn fn, void *arg, int *result)
{
    struct inside self = { .part = part };

    if (is_refused(part)) {
        return false;
    }
    shard->inside = &self;
    *result = fn(part->instance, arg);
    if (RTI_LIKELY(shard->inside == &self)) {
        shard->inside = NULL;
    } else {
        leave(&self);
    }
    count_done(part, *result);
    return true;
}

static void suspends(void *inside)
{
    enter(inside);
}

static int run_request(struct rti_mesh_shard *shard, const struct rti_request *request, bool is_own,
                       int *error)
{
    const struct rt_runtime *runtime = RTI_CONTAINER_OF(shard->mesh, struct rt_runtime, mesh);
    const uint32_t number = rti_terms_service(request->terms);
    struct rti_service_part *part = &runtime->services.all[number]->parts[shard->index];
    int result = 0;

    if (!(is_own ? run_inline(shard, part, request->of_service, request->arg, &result)
                 : run(part, request->of_service, request->arg, &result))) {
        *error = -ESHUTDOWN;
    }
    return result;
}

const struct rti_service_ops rti_service_ops = { .run = run_request, .suspends = suspends };

/* One */

/* This shard. In every build: the number of another runtime's service is some other's here. */
static inline const struct rti_mesh_shard *here_of(const struct rt_service *service,
                                                   const char *call)
{
    const struct rti_mesh_shard *shard = rti_mesh_of_task(call);

    if (RTI_UNLIKELY(service->mesh != shard->mesh)) {
        rti_misuse("%s(): the service '%s' belongs to another runtime", call, service->name);
    }
    return shard;
}

static struct rti_request request_of(const struct rt_service *service, struct rt_call *call,
                                     rt_service_fn fn, void *arg)
{
    (void)here_of(service, "rt_service_call");
    return (struct rti_request){
        .of_service = fn, .arg = arg, .call = call, .terms = rti_terms_of_service(service->number)
    };
}

int rt_service_call_begin(struct rt_call *call, struct rt_service *service, uint32_t shard,
                          rt_service_fn fn, void *arg, rt_time deadline)
{
    struct rti_request request = request_of(service, call, fn, arg);

    return rti_call_begin_request(&request, shard, deadline);
}

RTI_RETURNS_AFTER_SWITCH
int rt_service_call(struct rt_service *service, uint32_t shard, rt_service_fn fn, void *arg,
                    int *result, rt_time deadline)
{
    struct rt_call call;
    struct rti_request request = request_of(service, &call, fn, arg);
    const int r = rti_call_begin_request_within(&request, shard, deadline);

    return r < 0 ? r : rt_call_end(&call, result, deadline);
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

    (void)here_of(service, "rt_service_map_reduce");
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
    return service->parts[here_of(service, "rt_service_local")->index].instance;
}
