/* SPDX-License-Identifier: MIT */
/*
 * Service: see rt/service.h for the contract. service.c starts and stops, service_call.c calls.
 *
 * Records are made by a start and freed with the runtime: a handle never dangles, a call that
 * was under way when the service stopped finds its part, closed, and a list that only grows is
 * walked without a lock.
 *
 *     service, one per name          part, one per shard
 *     state, under the mutex         instance, gate, calls inside: its shard's only
 *     orders are given to parts      a keeper: the task that carries them out
 *
 * The keeper is made right behind the instance, when nothing is short yet. So a stop takes no
 * memory and no place for a task anywhere, and cannot fail half way.
 *
 *     orderer   order = CLOSE, or DESTROY; wake the keeper
 *     keeper    does it; done = order; wake the orderer
 *
 * A word and a wake each way, both looked at in a loop around a park: the protocol of
 * cross/wake_map.h, whose model covers it.
 *
 * V1 Only the task that moved the state to STARTING or STOPPING gives orders.
 * V2 An instance is destroyed only after all parts have closed: no call is inside anywhere.
 * V3 A call is inside from before it looks at the instance until its function has returned. In a
 *    task of its own it enters the gate only when it first suspends: before that nothing else runs
 *    on the shard, its keeper neither.
 * V4 The last first task to return stops all services before that counts as a return
 *    (rti_services_first()). So calls still work, and when tasks are cancelled for the end of the
 *    runtime no service lives.
 * V5 Where another task starts or stops a service meanwhile, V4 waits for the grace and then
 *    hurries it: on every shard what is inside, or is being made, is asked to end. A part that
 *    closes later does so without grace.
 */
#ifndef RTI_SHARD_SERVICE_H
#define RTI_SHARD_SERVICE_H

#include <pthread.h>

#include "base/list.h"
#include "rt/gate.h"
#include "rt/scope.h"
#include "rt/service.h"
#include "rt/task.h"

struct rt_runtime;
struct rti_mesh;

enum rti_service_order {
    RTI_SERVICE_KEEP, /* none yet */
    RTI_SERVICE_CLOSE,
    RTI_SERVICE_DESTROY,
};

struct rti_service_part {
    /* its shard's only */
    _Alignas(64) void *instance; /* from its create until its destroy; else NULL */
    struct rt_gate gate;         /* open while there is one, until CLOSE */
    struct rti_list calls;       /* inside */
    struct rt_scope *creating;   /* of a start that was begun here and lasts; else NULL */
    uint32_t is_hurried;         /* V5; never again 0, for nothing starts any more */

    /* written by its shard, read by any; atomic, relaxed */
    uint64_t begun;
    uint64_t done_calls;
    uint64_t errors;
    uint64_t refused;

    /* between the orderer and the keeper */
    struct rt_service *service;
    void *arg;              /* of create */
    struct rt_waker keeper; /* from the start's answer on */
    uint32_t is_kept;       /* there is a keeper; the orderer's, after that answer */
    uint32_t order;         /* enum rti_service_order; atomic */
    uint32_t done;          /* the last one that was carried out; atomic */
};

struct rt_service {
    struct rt_service *next;     /* the one made before it; fixed */
    const struct rti_mesh *mesh; /* of its runtime; fixed */
    uint32_t shard_count;
    uint32_t number; /* 1 to RT_SERVICES_MAX, in requests; fixed */
    uint32_t state;  /* enum rt_service_state; atomic, written under the mutex */
    char name[RT_SERVICE_NAME_BYTES];

    /* under the mutex */
    uint64_t start;      /* its place among all starts: later ones are greater */
    uint32_t dependents; /* services that have not stopped and depend on this one */

    /* fixed from STARTING until STOPPED */
    uint32_t depends_count;
    struct rt_service *depends_on[RT_SERVICE_DEPENDS_MAX];
    int (*create)(void **instance, void *arg);
    void (*destroy)(void *instance);
    rt_time grace;

    /* the orderer's (V1); keepers read them between their order and their answer */
    struct rt_waker orderer;
    rt_time deadline;
    struct rt_call_part *starts; /* behind the parts */

    struct rti_service_part parts[];
};

/* All services of a runtime. */
struct rti_services {
    pthread_mutex_t mutex;     /* held for a few loads and stores, by starts and stops only */
    struct rt_service *newest; /* head of the list of records; atomic */
    uint64_t starts;
    uint32_t count;       /* of records */
    uint32_t firsts_left; /* first tasks that have not returned; atomic */
    bool is_closed;       /* the last one has: no service starts any more */
    bool is_awaited;      /* it waits for starts and stops of others: `closer` is told */
    struct rt_waker closer;

    /* By number; stored before anybody has the handle, so who can name it sees it. */
    struct rt_service *all[RT_SERVICES_MAX + 1];
};

/* Of the mesh. */
extern const struct rti_service_ops rti_service_ops;

void rti_services_init(struct rti_services *services, uint32_t shard_count);
void rti_services_fini(struct rti_services *services);

/* The first task of every shard: the runtime's own, and then V4. arg is the runtime. */
int rti_services_first(void *arg);

/* Whether the running task is inside of a call on this shard's part. */
bool rti_service_is_inside(const struct rti_service_part *part);

/* The task of the oldest call that is inside, by its index; false when there is none. */
bool rti_service_first_inside(const struct rti_service_part *part, uint32_t *task);

/* Ask the functions of all calls on this shard's part to end. Works where no task runs. */
void rti_service_cancel_calls(struct rti_service_part *part);

#endif /* RTI_SHARD_SERVICE_H */
