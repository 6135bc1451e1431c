/* SPDX-License-Identifier: MIT */
/* Service: how the instances start and stop; see service.h. */
#include "shard/service.h"

#include <errno.h>
#include <string.h>

#include "base/sized.h"
#include "core/scope.h"
#include "cross/call.h"
#include "os/sys.h"
#include "rt/scope.h"
#include "rt/timer.h"
#include "shard/runtime.h"
#include "sync/gate.h"

#define HURRY_AGAIN RT_MILLISECONDS(10)

static struct rt_runtime *runtime_here(const char *call)
{
    return RTI_CONTAINER_OF(rti_mesh_of_task(call)->mesh, struct rt_runtime, mesh);
}

static void must_be_of(const struct rt_service *service, const struct rt_runtime *runtime,
                       const char *call)
{
    if (RTI_UNLIKELY(service->mesh != &runtime->mesh)) {
        rti_misuse("%s(): the service '%s' belongs to another runtime", call, service->name);
    }
}

/* Records */

void rti_services_init(struct rti_services *services, uint32_t shard_count)
{
    rti_sys_mutex_init(&services->mutex);
    services->firsts_left = shard_count;
}

void rti_services_fini(struct rti_services *services)
{
    struct rt_service *service = services->newest;

    while (service != NULL) {
        struct rt_service *next = service->next;

        rti_sys_free(service);
        service = next;
    }
    rti_sys_mutex_fini(&services->mutex);
}

static uint32_t state_of(const struct rt_service *service)
{
    /* pairs with the release in set_state(): who sees RUNNING sees the parts */
    return __atomic_load_n(&service->state, __ATOMIC_ACQUIRE);
}

/* Under the mutex. */
static void set_state(struct rt_service *service, uint32_t state)
{
    __atomic_store_n(&service->state, state, __ATOMIC_RELEASE); /* pairs with state_of() */
}

static struct rt_service *record_of(const struct rti_services *services, const char *name)
{
    /* pairs with the release in make_record() */
    struct rt_service *service = __atomic_load_n(&services->newest, __ATOMIC_ACQUIRE);

    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    return service;
}

/* Under the mutex. 0, -ENOMEM or -ENOSPC. */
static int make_record(struct rt_runtime *runtime, struct rt_service **out, const char *name)
{
    struct rti_services *services = &runtime->services;
    const uint32_t count = runtime->mesh.shard_count;
    const size_t parts = count * sizeof(struct rti_service_part);
    struct rt_service *service;

    if (services->count == RT_SERVICES_MAX) {
        rti_log(&runtime->log, RT_LOG_ERROR,
                "service '%s' cannot start: %u have had names of their own; a stopped one's name "
                "can be used again",
                name, RT_SERVICES_MAX);
        return -ENOSPC;
    }
    service = rti_sys_alloc(sizeof(*service) + parts + count * sizeof(struct rt_call_part));
    if (service == NULL) {
        return -ENOMEM;
    }
    memcpy(service->name, name, strlen(name));
    service->mesh = &runtime->mesh;
    service->shard_count = count;
    service->starts = (struct rt_call_part *)(void *)&service->parts[count];
    service->next = services->newest;
    for (uint32_t i = 0; i < count; i++) {
        struct rti_service_part *part = &service->parts[i];

        part->service = service;
        part->gate.closed = 1;
        rti_list_init(&part->calls);
    }
    service->number = ++services->count;
    services->all[service->number] = service;
    __atomic_store_n(&services->newest, service, __ATOMIC_RELEASE); /* pairs with record_of() */
    *out = service;
    return 0;
}

/* The runtime's states */

/* Under the mutex: whether all that the service depends on runs. */
static bool dependencies_run(const struct rt_runtime *runtime,
                             const struct rt_service_options *options)
{
    for (uint32_t i = 0; i < options->depends_count; i++) {
        const struct rt_service *other = options->depends_on[i];

        if (state_of(other) != RT_SERVICE_RUNNING) {
            rti_log(&runtime->log, RT_LOG_ERROR,
                    "service '%s' depends on '%s', which does not run: start that first",
                    options->name, other->name);
            return false;
        }
    }
    return true;
}

/* Under the mutex. */
static void fill_record(struct rt_service *service, const struct rt_service_options *options)
{
    service->depends_count = options->depends_count;
    for (uint32_t i = 0; i < options->depends_count; i++) {
        service->depends_on[i] = options->depends_on[i];
        service->depends_on[i]->dependents++;
    }
    service->create = options->create;
    service->destroy = options->destroy;
    service->grace = options->grace;
}

/* A record that is STARTING, the caller's (V1). */
static int begin_to_start(struct rt_runtime *runtime, struct rt_service **out,
                          const struct rt_service_options *options)
{
    struct rti_services *services = &runtime->services;
    struct rt_service *service;
    int r = 0;

    rti_sys_mutex_lock(&services->mutex);
    service = record_of(services, options->name);
    if (services->is_closed) {
        r = -ESHUTDOWN;
    } else if (service != NULL && state_of(service) != RT_SERVICE_STOPPED) {
        r = -EEXIST;
    } else if (!dependencies_run(runtime, options)) {
        r = -EINVAL;
    }
    if (r == 0 && service == NULL) {
        r = make_record(runtime, &service, options->name);
    }
    if (r == 0) {
        fill_record(service, options);
        service->start = ++services->starts;
        set_state(service, RT_SERVICE_STARTING);
        *out = service;
    }
    rti_sys_mutex_unlock(&services->mutex);
    return r;
}

/* The start or the stop is over. */
static void settle(struct rt_runtime *runtime, struct rt_service *service, uint32_t state)
{
    struct rti_services *services = &runtime->services;
    struct rt_waker closer;
    bool is_awaited;

    rti_sys_mutex_lock(&services->mutex);
    for (uint32_t i = 0; state == RT_SERVICE_STOPPED && i < service->depends_count; i++) {
        service->depends_on[i]->dependents--;
    }
    set_state(service, state);
    is_awaited = services->is_awaited;
    closer = services->closer;
    rti_sys_mutex_unlock(&services->mutex);
    if (is_awaited) {
        rt_wake(closer);
    }
}

static int begin_to_stop(struct rt_runtime *runtime, struct rt_service *service)
{
    struct rti_services *services = &runtime->services;
    int r = 0;

    rti_sys_mutex_lock(&services->mutex);
    if (state_of(service) != RT_SERVICE_RUNNING) {
        r = -EALREADY;
    } else if (service->dependents > 0) {
        r = -EBUSY;
    } else {
        set_state(service, RT_SERVICE_STOPPING);
    }
    rti_sys_mutex_unlock(&services->mutex);
    return r;
}

/* Whom the waits of a stop are for (core/cycle.h) */

/* The keeper, which lives until it has answered the last order. */
static bool keeper_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    const struct rti_service_part *part = waiter->object;

    out->shard = (uint32_t)(part - part->service->parts);
    out->task = part->keeper.task->index;
    out->generation = part->keeper.generation;
    return true;
}

static const struct rti_wait_kind stop_kind = {
    .name = "service stop", .leave = rti_park_leave, .whom = keeper_whom, .any_wake_is_event = true
};

/* One of those inside: all must leave. */
static bool inside_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    const struct rti_service_part *part = RTI_CONTAINER_OF(waiter->object, struct rti_service_part,
                                                           gate);

    return rti_service_first_inside(part, &out->task);
}

static const struct rti_wait_kind drain_kind = { .name = "calls of the service",
                                                 .leave = rti_gate_close_leave,
                                                 .whom = inside_whom };

/* The keeper */

static uint32_t next_order(struct rti_service_part *part, uint32_t done)
{
    uint32_t order;

    /* pairs with the release in give_order() */
    while ((order = __atomic_load_n(&part->order, __ATOMIC_ACQUIRE)) == done) {
        (void)rt_park(RT_NEVER);
    }
    return order;
}

/* Behind the store the part may be another start's already. */
static void say_done(struct rti_service_part *part, uint32_t order)
{
    const struct rt_waker orderer = part->service->orderer;

    __atomic_store_n(&part->done, order, __ATOMIC_RELEASE); /* pairs with await_done() */
    rt_wake(orderer);
}

static void close_part(struct rti_service_part *part)
{
    const rt_time deadline = part->is_hurried ? 0 : part->service->deadline;

    if (rti_gate_close_as(&part->gate, &drain_kind, deadline) < 0) {
        rti_service_cancel_calls(part);
        (void)rti_gate_close_as(&part->gate, &drain_kind, RT_NEVER);
    }
}

static void destroy_part(struct rti_service_part *part)
{
    RTI_ASSERT(part->gate.closed && part->gate.inside == 0); /* V2 */
    part->service->destroy(part->instance);
    part->instance = NULL;
}

static int keep(void *arg)
{
    struct rti_service_part *part = arg;
    struct rt_scope shield;
    uint32_t order = RTI_SERVICE_KEEP;

    rt_shield(&shield, RT_NEVER);
    while (order != RTI_SERVICE_DESTROY) {
        order = next_order(part, order);
        if (order == RTI_SERVICE_CLOSE) {
            close_part(part);
        } else {
            destroy_part(part);
        }
        say_done(part, order);
    }
    (void)rt_scope_leave(&shield);
    return 0;
}

/* On the shard. Either there are an instance and its keeper afterwards, or neither is. */
static int create_here(void *arg)
{
    struct rti_service_part *part = arg;
    struct rt_spawn_options options = { .size = sizeof(options), .name = part->service->name };
    struct rt_task *keeper;
    void *instance = NULL;
    int r = part->service->create(&instance, part->arg);

    if (r < 0) {
        return r;
    }
    part->order = RTI_SERVICE_KEEP;
    part->done = RTI_SERVICE_KEEP;
    r = rt_spawn_with(&keeper, keep, part, &options);
    if (r < 0) {
        part->service->destroy(instance);
        return r;
    }
    part->keeper = (struct rt_waker){ .task = keeper, .generation = keeper->generation };
    rt_detach(keeper);
    part->instance = instance;
    part->gate = (struct rt_gate)RT_GATE_INIT;
    return 0;
}

/* The orderer: all parts together */

static void give_order(struct rti_service_part *part, uint32_t order)
{
    __atomic_store_n(&part->order, order, __ATOMIC_RELEASE); /* pairs with next_order() */
    rt_wake(part->keeper);
}

static void await_done(const struct rti_service_part *part, uint32_t order)
{
    /* pairs with the release in say_done() */
    while (__atomic_load_n(&part->done, __ATOMIC_ACQUIRE) != order) {
        (void)rti_park_as(&stop_kind, part, RT_NEVER);
    }
}

/* Close all, then destroy one after the other (V2). Parts without an instance are passed over. */
static void take_down(struct rt_service *service, rt_time deadline)
{
    struct rt_scope shield;

    rt_shield(&shield, RT_NEVER);
    service->orderer = rt_waker_self();
    service->deadline = deadline;
    for (uint32_t i = 0; i < service->shard_count; i++) {
        if (service->parts[i].is_kept) {
            give_order(&service->parts[i], RTI_SERVICE_CLOSE);
        }
    }
    for (uint32_t i = 0; i < service->shard_count; i++) {
        if (service->parts[i].is_kept) {
            await_done(&service->parts[i], RTI_SERVICE_CLOSE);
        }
    }
    for (uint32_t i = service->shard_count; i-- > 0;) {
        if (service->parts[i].is_kept) {
            give_order(&service->parts[i], RTI_SERVICE_DESTROY);
            await_done(&service->parts[i], RTI_SERVICE_DESTROY);
            service->parts[i].is_kept = false;
        }
    }
    (void)rt_scope_leave(&shield);
}

/* Side by side. The first error in order of shards. */
static int create_all(struct rt_service *service, char *args, size_t arg_bytes, rt_time deadline)
{
    struct rti_service_part *here = &service->parts[rt_shard_index()];
    struct rt_scope scope; /* reaches this shard's create too, which runs in this task */
    int first = 0;
    int called;

    for (uint32_t i = 0; i < service->shard_count; i++) {
        service->parts[i].arg = args + i * arg_bytes;
        service->starts[i] = (struct rt_call_part){ .shard = i, .arg = &service->parts[i] };
    }
    rt_scope_enter(&scope, deadline);
    here->creating = &scope;
    called = rt_call_each(service->starts, service->shard_count, create_here, RT_NEVER);
    here->creating = NULL;
    (void)rt_scope_leave(&scope);
    for (uint32_t i = 0; i < service->shard_count; i++) {
        const struct rt_call_part *start = &service->starts[i];
        const int r = start->error < 0 ? start->error : start->result;

        service->parts[i].is_kept = r >= 0;
        first = first < 0 || r >= 0 ? first : r;
    }
    RTI_ASSERT(called == 0 || first < 0);
    return first;
}

/* Start and stop */

static int read_options(const struct rt_runtime *runtime, struct rt_service_options *out,
                        const struct rt_service_options *options)
{
    const char *wrong = NULL;
    int r = rti_sized_copy(out, sizeof(*out), options);

    if (r < 0) {
        return r;
    }
    RTI_ASSERT(out->create != NULL && out->destroy != NULL);
    RTI_ASSERT(out->depends_count == 0 || out->depends_on != NULL);
    if (out->name == NULL || out->name[0] == '\0' ||
        strnlen(out->name, RT_SERVICE_NAME_BYTES) == RT_SERVICE_NAME_BYTES) {
        wrong = "its name must have 1 to 31 bytes";
    } else if (out->depends_count > RT_SERVICE_DEPENDS_MAX) {
        wrong = "it depends on more than 8 services";
    } else if (out->grace < 0) {
        wrong = "its grace is below 0";
    }
    if (wrong != NULL) {
        rti_log(&runtime->log, RT_LOG_ERROR, "service '%.31s' cannot start: %s",
                out->name != NULL ? out->name : "", wrong);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < out->depends_count; i++) {
        RTI_ASSERT(out->depends_on[i] != NULL);
        must_be_of(out->depends_on[i], runtime, "rt_service_start");
    }
    return 0;
}

int rt_service_start(struct rt_service **out, const struct rt_service_options *options, void *args,
                     size_t arg_bytes, rt_time deadline)
{
    struct rt_runtime *runtime = runtime_here("rt_service_start");
    struct rt_service_options complete;
    struct rt_service *service = NULL;
    int r = read_options(runtime, &complete, options);

    if (r == 0) {
        r = begin_to_start(runtime, &service, &complete);
    }
    if (r != 0) {
        return r;
    }
    r = create_all(service, args, arg_bytes, deadline);
    if (r < 0) {
        take_down(service, 0); /* who has the handle of an earlier start may be inside */
        settle(runtime, service, RT_SERVICE_STOPPED);
        return r;
    }
    settle(runtime, service, RT_SERVICE_RUNNING);
    *out = service;
    return 0;
}

int rt_service_stop(struct rt_service *service, rt_time deadline)
{
    struct rt_runtime *runtime = runtime_here("rt_service_stop");
    int r;

    must_be_of(service, runtime, "rt_service_stop");
    if (rti_service_is_inside(&service->parts[rt_shard_index()])) {
        rti_misuse("rt_service_stop() was called in a call of the service '%s': it would wait for "
                   "itself",
                   service->name);
    }
    r = begin_to_stop(runtime, service);
    if (r == 0) {
        take_down(service, deadline);
        settle(runtime, service, RT_SERVICE_STOPPED);
    }
    return r;
}

/* The end of the first tasks */

/* Under the mutex: the one that was started last, of those that have not stopped; or NULL. */
static struct rt_service *last_started(const struct rti_services *services)
{
    struct rt_service *last = NULL;

    for (struct rt_service *s = services->newest; s != NULL; s = s->next) {
        if (state_of(s) != RT_SERVICE_STOPPED && (last == NULL || s->start > last->start)) {
            last = s;
        }
    }
    return last;
}

/* On the part's shard (V5). */
static int hurry_part(void *arg)
{
    struct rti_service_part *part = arg;

    part->is_hurried = 1;
    if (part->creating != NULL) {
        rti_scope_cancel(part->creating);
    }
    if (part->gate.closed != 0) {
        rti_service_cancel_calls(part);
    }
    return 0;
}

/* False when a shard could not be told, for want of memory. */
static bool hurry(struct rt_service *service)
{
    bool told = true;

    for (uint32_t i = 0; i < service->shard_count; i++) {
        told = rti_call_taskless(i, hurry_part, &service->parts[i], NULL) == 0 && told;
    }
    return told;
}

/* Another task starts or stops it: until that one or another may have settled (V5). A hurry waits,
 * which takes the wake of who settles meanwhile: so the caller looks again behind it. */
static void await_settled(struct rt_service *service, const struct rt_service **hurried)
{
    if (rt_park(*hurried == service ? RT_NEVER : rt_in(service->grace)) == -ETIME) {
        if (hurry(service)) {
            *hurried = service;
        } else {
            (void)rt_park(rt_in(HURRY_AGAIN));
        }
    }
}

/* V4: whose dependents have all stopped, for those were started later. */
static void stop_all(struct rt_runtime *runtime)
{
    struct rti_services *services = &runtime->services;
    const struct rt_service *hurried = NULL;
    struct rt_service *service;

    do {
        int r = -EALREADY;

        rti_sys_mutex_lock(&services->mutex);
        services->is_closed = true;
        services->is_awaited = true;
        services->closer = rt_waker_self();
        service = last_started(services);
        rti_sys_mutex_unlock(&services->mutex);
        if (service != NULL) {
            r = begin_to_stop(runtime, service);
        }
        if (r == 0) {
            take_down(service, rt_in(service->grace));
            settle(runtime, service, RT_SERVICE_STOPPED);
        } else if (service != NULL) {
            await_settled(service, &hurried);
        }
    } while (service != NULL);
}

int rti_services_first(void *arg)
{
    struct rt_runtime *runtime = arg;
    struct rt_scope shield;
    const int result = runtime->first(runtime->arg);

    /* pairs with itself: the last one sees what all others have started */
    if (__atomic_sub_fetch(&runtime->services.firsts_left, 1, __ATOMIC_ACQ_REL) == 0) {
        rti_executor_expect_stop(rti_current);
        rt_shield(&shield, RT_NEVER);
        stop_all(runtime);
        (void)rt_scope_leave(&shield);
    }
    return result;
}

/* Questions */

struct rt_service *rt_service_find(const char *name)
{
    struct rt_service *service = record_of(&runtime_here("rt_service_find")->services, name);

    return service != NULL && state_of(service) == RT_SERVICE_RUNNING ? service : NULL;
}

void rt_service_stats(const struct rt_service *service, uint32_t shard,
                      struct rt_service_stats *out, size_t bytes)
{
    const struct rti_service_part *part = &service->parts[shard];
    struct rt_service_stats stats = { .state = RT_SERVICE_STOPPED };
    uint64_t begun;

    (void)rti_executor_here("rt_service_stats");
    if (shard >= service->shard_count) {
        rti_misuse("rt_service_stats(): there is no shard %u, there are %u", shard,
                   service->shard_count);
    }
    stats.state = (enum rt_service_state)state_of(service);
    stats.done = __atomic_load_n(&part->done_calls, __ATOMIC_RELAXED);
    stats.errors = __atomic_load_n(&part->errors, __ATOMIC_RELAXED);
    stats.refused = __atomic_load_n(&part->refused, __ATOMIC_RELAXED);
    begun = __atomic_load_n(&part->begun, __ATOMIC_RELAXED);
    stats.in_flight = begun > stats.done ? (uint32_t)(begun - stats.done) : 0;
    memcpy(out, &stats, bytes < sizeof(stats) ? bytes : sizeof(stats));
}
