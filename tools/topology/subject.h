/* SPDX-License-Identifier: MIT */
/* Subject: what explanations, warnings and the doctor speak of. */
#ifndef TOPOLOGY_SUBJECT_H
#define TOPOLOGY_SUBJECT_H

#include <rt/placement.h>
#include <rt/topology.h>

struct subject {
    const struct rt_topology *machine;
    const struct rt_config *config;
    const struct rt_plan *plan;
    const struct rt_plan *listed; /* a shard on each CPU of config.cpus; NULL without a list */
    const char *root; /* stands before /proc and /sys; NULL: the machine is not at hand */
};

#endif /* TOPOLOGY_SUBJECT_H */
