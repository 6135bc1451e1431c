/* SPDX-License-Identifier: MIT */
/*
 * Runtime: the threads of shards, from the plan to the last join.
 *
 *     launching thread                  thread of each shard
 *     plan, mesh, signal handlers
 *     create the threads      -------->  bind to the CPU, prefer its memory node,
 *                                        then make the executor and spawn the
 *                                        first task, which does not run yet
 *     wait until all are ready <-------  ready
 *     go, or give up           ------->  turns, until the mesh is closed
 *     join; free what threads may        close the ring
 *     still have looked at
 *
 * rt_run() is the same with one shard, on the calling thread.
 */
#ifndef RTI_SHARD_RUNTIME_H
#define RTI_SHARD_RUNTIME_H

#include <pthread.h>

#include "cross/mesh.h"
#include "rt/placement.h"
#include "rt/start.h"
#include "shard/service.h"
#include "shard/watch.h"

struct rti_shard {
    struct rt_runtime *runtime;
    struct rti_executor *executor; /* made by the shard's thread, freed with the runtime */
    uint32_t index;
    bool hosted;      /* another loop turns it (rt/loop.h) */
    int cpu;          /* to run on; below 0: any */
    int node;         /* to take memory from; below 0: there is one only */
    int start_result; /* 0: ready; valid once counted in `ready` */
    int thread_id;    /* the kernel's; valid likewise */
    pthread_t thread;
    sigset_t old_mask; /* of the thread's signals, before it was watched for stalls */
    char name[64];     /* of the executor */
};

struct rt_runtime {
    struct rt_config config; /* complete */
    struct rti_log log;
    struct rt_plan *plan; /* NULL under rt_run() */
    struct rti_shard *shards;
    struct rti_mesh mesh;
    struct rti_services services;
    rt_task_fn first;
    void *arg;
    uint32_t ready; /* threads that are ready or have failed; atomic */
    uint32_t go;    /* what they shall do then (enum rti_go); atomic, a futex */
    uint32_t ended; /* threads that have nothing left to do; atomic */
    struct rti_watch watch;
};

/* Whether all shards were ready and have been let go. Any thread. */
bool rti_runtime_runs(const struct rt_runtime *runtime);

/*
 * A runtime of one shard on the calling thread, not yet run; `hosted`: by turns that somebody else
 * makes. As rt_run(), for which `call` is the name: 0, or -errno, having said why. Then it is run
 * until it is closed, or turned, and ended.
 */
int rti_runtime_begin_here(struct rt_runtime **out, const struct rt_config *config, bool hosted,
                           rt_task_fn first, void *arg, const char *call);
void rti_runtime_run_here(struct rt_runtime *runtime);
void rti_runtime_end_here(struct rt_runtime *runtime);

#endif /* RTI_SHARD_RUNTIME_H */
