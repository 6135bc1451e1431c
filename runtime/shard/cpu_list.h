/* SPDX-License-Identifier: MIT */
/* CPU list: texts such as "0-3,8" and the CPUs of a machine that they name. */
#ifndef RTI_SHARD_CPU_LIST_H
#define RTI_SHARD_CPU_LIST_H

#include "base/log.h"
#include "rt/topology.h"

/*
 * Find the CPUs that `text` names: numbers, ranges, and ranges with a step
 * ("0-14:2"), separated by commas. Their places in topology->cpus go to
 * `indices`, in the order of the text; there is room for all CPUs. Each must be
 * there, online, allowed and named once. Returns how many; or -EINVAL, having
 * said in the log what was asked and what is there.
 */
int rti_cpu_list_read(const struct rt_topology *topology, const char *text, uint32_t *indices,
                      const struct rti_log *log);

/* Write the numbers of the CPUs in state `state` ("0-3,8"), lowest first; cut to `bytes`. */
void rti_cpu_list_format(const struct rt_topology *topology, enum rt_cpu_state state, char *text,
                         size_t bytes);

#endif /* RTI_SHARD_CPU_LIST_H */
