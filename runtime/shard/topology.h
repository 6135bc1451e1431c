/* SPDX-License-Identifier: MIT */
/*
 * Topology: a machine read into plain arrays (rt/topology.h). Only topology.c
 * knows hwloc; the planner sees the arrays.
 */
#ifndef RTI_SHARD_TOPOLOGY_H
#define RTI_SHARD_TOPOLOGY_H

#include <stdbool.h>

#include "base/log.h"
#include "rt/topology.h"

/* As rt_topology_read(). Devices and instruction caches only if asked: they take longer. */
int rti_topology_read(struct rt_topology **out, enum rt_topology_source source, const char *text,
                      bool with_details, const struct rti_log *log);

#endif /* RTI_SHARD_TOPOLOGY_H */
