/* SPDX-License-Identifier: MIT */
/*
 * Topology: what a machine is made of, as far as placement cares.
 *
 * Plain arrays, read with hwloc from this machine, or from a description of
 * another one: so a plan can be looked at before the machine is there.
 *
 *     struct rt_topology *machine;
 *
 *     if (rt_topology_read(&machine, RT_TOPOLOGY_SYNTHETIC, "pack:2 core:8 pu:2", &config) == 0) {
 *         printf("%u CPUs\n", machine->cpu_count);
 *         rt_topology_destroy(machine);
 *     }
 */
#ifndef RT_TOPOLOGY_H
#define RT_TOPOLOGY_H

#include "rt/base.h"
#include "rt/executor.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where a topology is read from. */
enum rt_topology_source {
    RT_TOPOLOGY_THIS = 0,  /* this machine, as this thread sees it */
    RT_TOPOLOGY_SYNTHETIC, /* a description such as "pack:2 core:8 pu:2", as hwloc knows it */
    RT_TOPOLOGY_XML,       /* a file that hwloc has written (lstopo machine.xml) */
};

enum rt_cpu_state {
    RT_CPU_ALLOWED = 0, /* this process may use it */
    RT_CPU_DISALLOWED,  /* it runs, but the cpuset of this process leaves it out */
    RT_CPU_OFFLINE,     /* the kernel knows it and has turned it off */
    RT_CPU_MASKED,      /* the cpuset has it, but the affinity of this thread does not (taskset) */
};

enum rt_cache_kind {
    RT_CACHE_UNIFIED = 0,
    RT_CACHE_DATA,
    RT_CACHE_INSTRUCTION,
};

enum rt_device_kind {
    RT_DEVICE_BLOCK = 0,
    RT_DEVICE_NETWORK,
};

/** A CPU. A number that is not known is -1; nothing but its number is known of an offline one. */
struct rt_topology_cpu {
    int32_t number;  /* as the OS counts */
    int32_t core;    /* logical number of its core; a CPU without one counts as a core */
    int32_t thread;  /* which of its core's CPUs it is, from 0 */
    int32_t cache;   /* number of the largest cache above it, from 0 */
    int32_t package; /* logical number of its package */
    int32_t node;    /* nearest memory node, as the OS counts */
    uint32_t state;  /* enum rt_cpu_state */
};

/** Caches that are alike. */
struct rt_topology_cache {
    uint32_t level;
    uint32_t kind; /* enum rt_cache_kind */
    uint32_t count;
    uint32_t cpus;  /* CPUs that share one of them */
    uint64_t bytes; /* of one of them; 0: not known */
};

/** A memory node. */
struct rt_topology_node {
    int32_t number; /* as the OS counts */
    uint32_t cpus;  /* CPUs that it is the nearest node of */
    uint64_t bytes; /* 0: not known */
};

/** A disk or a network interface. */
struct rt_topology_device {
    char name[32]; /* as the OS has it: nvme0n1, eth0 */
    uint32_t kind; /* enum rt_device_kind */
    int32_t node;  /* memory node that it is near, or -1: near none, or more than one */
};

/** A machine: read-only, in memory of its own. */
struct rt_topology {
    struct rt_topology_cpu *cpus; /* neighbours stand together; offline ones are last */
    struct rt_topology_cache *caches;
    struct rt_topology_node *nodes;
    struct rt_topology_device *devices;
    uint32_t cpu_count;
    uint32_t cache_count;
    uint32_t node_count;
    uint32_t device_count;
    uint32_t package_count;
    uint32_t core_count; /* with those that this process may not use */
    double cpu_quota;    /* CPUs' worth of time that the cgroup grants; 0 = no limit */
    uint32_t *distances; /* from the node at place i to that at place j: [i * node_count + j], as
                            the firmware tells it (10: the same node); NULL: not known */
};

/**
 * Read a topology.
 *
 * @param out     gets the topology, on success only; the caller destroys it.
 * @param source  enum rt_topology_source.
 * @param text    the description, or the name of the file; NULL for this machine.
 * @param config  names the log, which gets the text of an error; NULL = defaults.
 * @return 0; -EINVAL when the description or the file cannot be understood; -E2BIG;
 *         -ENOMEM; or another error of reading.
 * \context{Any thread. Takes some milliseconds.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_topology_read(struct rt_topology **out, uint32_t source, const char *text,
                     const struct rt_config *config);

/**
 * Free a topology.
 *
 * @param topology  NULL does nothing.
 * \context{Any thread.}
 */
RT_API RT_ANY_THREAD
void rt_topology_destroy(struct rt_topology *topology);

/**
 * Read the CPU time that cgroups grant, as cpu_quota has it, where a copy of /proc and /sys is:
 * those of another machine, or made for a test.
 *
 * @param root    stands before the names of all files; "" is this machine.
 * @param config  names the log, which is told what cannot be read; NULL = defaults.
 * @return CPUs' worth of time; 0 = no limit, or none that can be read; -EINVAL when `config`
 *         cannot be read.
 * \context{Any thread.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
double rt_topology_quota(const char *root, const struct rt_config *config);

#ifdef __cplusplus
}
#endif

#endif /* RT_TOPOLOGY_H */
