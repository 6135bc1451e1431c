/* SPDX-License-Identifier: MIT */
/*
 * Placement: which shard runs on which CPU, and why.
 *
 * rt_start() finds the machine with hwloc, and a planner maps it, the policy
 * and the limits of the process to a plan. A program that wants to know the
 * plan without starting anything, or to show it, makes one itself:
 *
 *     struct rt_plan *plan;
 *     char text[4096];
 *
 *     if (rt_plan_create(&plan, &config) == 0) {
 *         rt_plan_format(plan, text, sizeof(text));
 *         fputs(text, stdout);
 *         rt_plan_destroy(plan);
 *     }
 *
 * Only CPUs that the process may use count (cpuset, taskset), and of these
 * only those that are online. A quota of CPU time below the number of shards
 * (cpu.max of a cgroup) does not change the plan but is warned about.
 *
 * RT_PLACE_NEAR looks for the memory node of the disk below config.near: the block
 * device itself, or that of the file system in which the file or folder lies, through
 * partitions, device mapper, md arrays and NVMe disks with several controllers. The
 * node is known if all disks are of one. If it is not known, and the machine has
 * several nodes, a warning says why, and the plan is that of RT_PLACE_CORE.
 */
#ifndef RT_PLACEMENT_H
#define RT_PLACEMENT_H

#include "rt/base.h"
#include "rt/executor.h"
#include "rt/topology.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where one shard runs. A number that is not known, or that does not apply, is -1. */
struct rt_plan_shard {
    int32_t cpu;     /* number of the CPU as the OS counts; -1: not bound */
    int32_t core;    /* logical number of its core, as hwloc counts */
    int32_t package; /* logical number of its package */
    int32_t node;    /* number of its memory node, as the OS counts */
};

/** A plan: read-only, in memory of its own. */
struct rt_plan {
    uint32_t shard_count;
    uint32_t cpus_allowed; /* CPUs that the process may use and that are online */
    uint32_t cores;        /* cores that these belong to */
    uint32_t nodes;        /* memory nodes of the machine */
    uint32_t place;        /* enum rt_place */
    uint32_t shared;       /* 1: several shards share a CPU, for there are more of them than CPUs */
    double cpu_quota;      /* CPUs' worth of time that the cgroup grants; 0 = no limit */
    struct rt_plan_shard *shards; /* in order of their numbers; freed with the plan */
    const char *near; /* where the disk below config.near is, in words: "/data: nvme0n1 on node 1";
                         or why that is not known. NULL: not asked. Freed with the plan */
    const char *near_disks; /* names of the disks below it, separated by spaces, also where their
                               node is not known; "": not known. NULL: not asked */
    int32_t near_node;      /* its memory node, as the OS counts; -1: not known, or not asked */
};

/**
 * Discover the machine and plan: config.cpus, config.shards, config.place and config.near count.
 *
 * @param out     gets the plan, on success only; the caller destroys it.
 * @param config  NULL = defaults: one shard on each core.
 * @return 0; -EINVAL when what was asked for is not there or cannot be read (the text
 *         in config.log says what was asked and what is there); -ENOENT, -EACCES and the like
 *         when config.near cannot be looked at; -E2BIG; -ENOMEM; or another error of discovery.
 * \context{Any thread. Takes some milliseconds.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_plan_create(struct rt_plan **out, const struct rt_config *config);

/**
 * Plan for a machine that was read before, this one or another. config.near is a path of
 * this one in any case.
 *
 * @return as rt_plan_create().
 * \context{Any thread.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_plan_create_on(struct rt_plan **out, const struct rt_topology *topology,
                      const struct rt_config *config);

/**
 * Free a plan.
 *
 * @param plan  NULL does nothing.
 * \context{Any thread.}
 */
RT_API RT_ANY_THREAD
void rt_plan_destroy(struct rt_plan *plan);

/**
 * The plan as text for people, a few lines of at most 80 columns.
 *
 * @param text   gets the text, cut to `bytes` with its terminator.
 * @return how many bytes the whole text has, without its terminator.
 * \context{Any thread.}
 */
RT_API RT_ANY_THREAD
size_t rt_plan_format(const struct rt_plan *plan, char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RT_PLACEMENT_H */
