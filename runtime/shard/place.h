/* SPDX-License-Identifier: MIT */
/*
 * Place: from a machine and a configuration to a plan.
 *
 * The planner is a pure function: the same topology, cpus, shards and place
 * give the same plan, on any machine. A policy is an order of the CPUs that may
 * be used and a number of shards that it has room for:
 *
 *     place     order                                                  room
 *     core      all cores' first CPUs, then their second ones ...      cores
 *     pu        by number                                              CPUs
 *     spread    as core, but the next CPU lies far from the last:      cores
 *               another package, else another node, else another cache
 *     pack      neighbours: all CPUs of a core, then the next core     CPUs
 *     unbound   none                                                   CPUs
 *     near      as core, but those of the disk's node before others,   cores of
 *               then the node that is next by distance                 that node
 *
 * A list of CPUs leaves the others out. With place core it is an order itself,
 * and has room for all that it names.
 *
 * Place near without a known node is place core.
 *
 * P1 Shard i of a bound plan runs on CPU i of the order, modulo their number.
 * P2 So no CPU has two shards unless every CPU has one.
 */
#ifndef RTI_SHARD_PLACE_H
#define RTI_SHARD_PLACE_H

#include "base/log.h"
#include "rt/placement.h"
#include "rt/topology.h"
#include "shard/near.h"

/* `config` was read by rti_config_read(), `near` is what was found of config.near; else NULL.
 * Results and `out` as those of rt_plan_create(). */
int rti_place(struct rt_plan **out, const struct rt_topology *topology,
              const struct rt_config *config, const struct rti_near *near,
              const struct rti_log *log);

/* The same for this machine. */
int rti_plan_make(struct rt_plan **out, const struct rt_config *config, const struct rti_log *log);

#endif /* RTI_SHARD_PLACE_H */
