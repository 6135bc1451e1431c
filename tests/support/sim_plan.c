/* SPDX-License-Identifier: MIT */
/* Sim, the machine: one where any number of shards finds room, and none is bound to a CPU. */
#include "sim_internal.h"

#include "os/sys.h"
#include "shard/place.h"

int __real_rti_plan_make(struct rt_plan **out, const struct rt_config *config,
                         const struct rti_log *log);
int __wrap_rti_plan_make(struct rt_plan **out, const struct rt_config *config,
                         const struct rti_log *log);

int __wrap_rti_plan_make(struct rt_plan **out, const struct rt_config *config,
                         const struct rti_log *log)
{
    struct rt_plan *plan;

    if (!sim.is_active) {
        return __real_rti_plan_make(out, config, log);
    }
    RTI_ASSERT(config->shards > 0 && config->place == RT_PLACE_UNBOUND);
    plan = rti_sys_alloc(sizeof(*plan) + config->shards * sizeof(plan->shards[0]));
    RTI_ASSERT(plan != NULL);
    plan->shards = (struct rt_plan_shard *)(void *)(plan + 1); /* freed with the plan */
    plan->shard_count = config->shards;
    plan->cpus_allowed = 1;
    plan->cores = 1;
    plan->nodes = 1;
    plan->place = config->place;
    plan->near_node = -1;
    for (uint32_t i = 0; i < config->shards; i++) {
        plan->shards[i] = (struct rt_plan_shard){
            .cpu = -1, .core = -1, .package = -1, .node = -1
        };
    }
    *out = plan;
    return 0;
}
