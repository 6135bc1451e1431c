/* SPDX-License-Identifier: MIT */
/* Place: see place.h. */
#include "shard/place.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "os/sys.h"
#include "shard/cpu_list.h"

#define SHARDS_MAX 4096u /* that of config.shards */

/* A CPU that may get a shard. */
struct candidate {
    const struct rt_topology_cpu *cpu;
    uint32_t key[4]; /* candidates are sorted by this; the first number counts most */
};

/* The CPUs that may get shards, neighbours together unless a list orders them. */
struct candidates {
    struct candidate *array;
    uint32_t count;
};

static int take_list(struct candidates *candidates, const struct rt_topology *topology,
                     const char *cpus, const struct rti_log *log)
{
    uint32_t *indices = rti_sys_alloc(topology->cpu_count * sizeof(*indices));
    int r = indices == NULL ? -ENOMEM : rti_cpu_list_read(topology, cpus, indices, log);

    for (int i = 0; i < r; i++) {
        candidates->array[candidates->count++].cpu = &topology->cpus[indices[i]];
    }
    rti_sys_free(indices);
    return r < 0 ? r : 0;
}

static int take_allowed(struct candidates *candidates, const struct rt_topology *topology,
                        const struct rti_log *log)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        if (topology->cpus[i].state == RT_CPU_ALLOWED) {
            candidates->array[candidates->count++].cpu = &topology->cpus[i];
        }
    }
    if (candidates->count == 0) {
        rti_log(log, RT_LOG_ERROR, "this process may use none of the %u CPUs", topology->cpu_count);
        return -EINVAL;
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;

    for (size_t i = 0; i < sizeof(a->key) / sizeof(a->key[0]); i++) {
        if (a->key[i] != b->key[i]) {
            return a->key[i] < b->key[i] ? -1 : 1;
        }
    }
    /* Places in the topology; no two are the same. */
    return a->cpu < b->cpu ? -1 : a->cpu > b->cpu;
}

static void sort(struct candidates *candidates)
{
    qsort(candidates->array, candidates->count, sizeof(*candidates->array), compare);
}

/*
 * Number each candidate among its neighbours: its package, its node in the
 * package, its cache in the node, its core in the cache, its place in the core.
 * Where one number changes, those of what lies within begin anew. Wants
 * neighbours together.
 */
enum { PACKAGE, NODE, CACHE, CORE, THREAD, LEVELS };

static void number_within(struct candidates *candidates, uint32_t within[][LEVELS])
{
    for (uint32_t i = 1; i < candidates->count; i++) {
        const struct rt_topology_cpu *cpu = candidates->array[i].cpu;
        const struct rt_topology_cpu *last = candidates->array[i - 1].cpu;
        const bool differs[LEVELS] = {
            cpu->package != last->package,
            cpu->node != last->node,
            cpu->cache != last->cache,
            cpu->core != last->core,
            true,
        };
        uint32_t level = PACKAGE;

        while (!differs[level]) {
            within[i][level] = within[i - 1][level];
            level++;
        }
        within[i][level] = within[i - 1][level] + 1;
    }
}

/* Sort for a policy that looks at neighbours. */
static int sort_within(struct candidates *candidates, enum rt_place place)
{
    uint32_t(*within)[LEVELS] = rti_sys_alloc(candidates->count * sizeof(*within));

    if (within == NULL) {
        return -ENOMEM;
    }
    sort(candidates); /* keys are zero yet: as in the topology */
    number_within(candidates, within);
    for (uint32_t i = 0; i < candidates->count; i++) {
        uint32_t *key = candidates->array[i].key;

        key[0] = within[i][THREAD];
        if (place == RT_PLACE_SPREAD) {
            key[1] = within[i][CORE];
            key[2] = within[i][CACHE];
            key[3] = within[i][NODE];
        }
    }
    rti_sys_free(within);
    sort(candidates);
    return 0;
}

static int order(struct candidates *candidates, const struct rt_config *config)
{
    switch ((enum rt_place)config->place) {
    case RT_PLACE_CORE:
        return config->cpus != NULL ? 0 : sort_within(candidates, RT_PLACE_CORE);
    case RT_PLACE_SPREAD:
        return sort_within(candidates, RT_PLACE_SPREAD);
    case RT_PLACE_PU:
        for (uint32_t i = 0; i < candidates->count; i++) {
            candidates->array[i].key[0] = (uint32_t)candidates->array[i].cpu->number;
        }
        sort(candidates);
        return 0;
    case RT_PLACE_PACK:
        sort(candidates);
        return 0;
    case RT_PLACE_UNBOUND:
        return 0;
    }
    return -EINVAL; /* not reached: rti_config_read() knows the places */
}

/* How many shards the policy has room for. */
static uint32_t room(const struct candidates *candidates, const struct rt_config *config)
{
    const bool by_core = config->place == RT_PLACE_SPREAD || config->place == RT_PLACE_CORE;
    uint32_t cores = 0;

    for (uint32_t i = 0; i < candidates->count; i++) {
        cores += candidates->array[i].key[0] == 0; /* first of its core, or unsorted list */
    }
    return by_core ? cores : candidates->count;
}

static uint32_t count_shards(const struct candidates *candidates, const struct rt_config *config,
                             const struct rti_log *log)
{
    const uint32_t found = config->shards != 0 ? config->shards : room(candidates, config);

    if (found > SHARDS_MAX) {
        rti_log(log, RT_LOG_WARNING, "there is room for %u shards, but %u is the limit", found,
                SHARDS_MAX);
        return SHARDS_MAX;
    }
    return found;
}

/* Of all that the process may use, also what the list leaves out. */
static void count_machine(struct rt_plan *plan, const struct rt_topology *topology)
{
    int32_t core = -1;

    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &topology->cpus[i];

        if (cpu->state == RT_CPU_ALLOWED) {
            plan->cpus_allowed++;
            plan->cores += cpu->core != core;
            core = cpu->core;
        }
    }
    plan->nodes = topology->node_count;
    plan->cpu_quota = topology->cpu_quota;
}

static void fill(struct rt_plan *plan, const struct candidates *candidates)
{
    RTI_ASSERT(candidates->count > 0);
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        struct rt_plan_shard *shard = &plan->shards[i];
        const struct rt_topology_cpu *cpu = candidates->array[i % candidates->count].cpu; /* P1 */

        if (plan->place == RT_PLACE_UNBOUND) {
            *shard = (struct rt_plan_shard){ -1, -1, -1, -1 };
        } else {
            *shard = (struct rt_plan_shard){ cpu->number, cpu->core, cpu->package, cpu->node };
        }
    }
    plan->shared = plan->shard_count > candidates->count;
}

static void warn(const struct rt_plan *plan, const struct candidates *candidates,
                 const struct rti_log *log)
{
    if (plan->shared) {
        rti_log(log, RT_LOG_WARNING, "%u shards on %u CPU%s: they take turns", plan->shard_count,
                candidates->count, candidates->count == 1 ? "" : "s");
    }
    if (plan->cpu_quota > 0 && plan->cpu_quota < plan->shard_count) {
        rti_log(log, RT_LOG_WARNING,
                "%u shards, but the cgroup grants the time of %.2f CPUs (cpu.max): the kernel will "
                "stop them now and then",
                plan->shard_count, plan->cpu_quota);
    }
}

static int check(const struct rt_config *config, const struct rti_log *log)
{
    if (config->cpus != NULL && config->place == RT_PLACE_UNBOUND) {
        rti_log(log, RT_LOG_ERROR,
                "cpus \"%s\" with place unbound: shards that are not bound run on any CPU; leave "
                "one of the two out, or run the program under taskset",
                config->cpus);
        return -EINVAL;
    }
    return 0;
}

static int plan(struct rt_plan **out, struct candidates *candidates,
                const struct rt_topology *topology, const struct rt_config *config,
                const struct rti_log *log)
{
    struct rt_plan *made;
    uint32_t shards;
    int r = config->cpus != NULL ? take_list(candidates, topology, config->cpus, log)
                                 : take_allowed(candidates, topology, log);

    if (r == 0) {
        r = order(candidates, config);
    }
    if (r < 0) {
        return r;
    }
    shards = count_shards(candidates, config, log);
    made = rti_sys_alloc(sizeof(*made) + shards * sizeof(made->shards[0]));
    if (made == NULL) {
        return -ENOMEM;
    }
    made->shards = (struct rt_plan_shard *)(made + 1); /* one block of memory */
    made->shard_count = shards;
    made->place = config->place;
    count_machine(made, topology);
    fill(made, candidates);
    warn(made, candidates, log);
    *out = made;
    return 0;
}

int rti_place(struct rt_plan **out, const struct rt_topology *topology,
              const struct rt_config *config, const struct rti_log *log)
{
    struct candidates candidates = { 0 };
    int r = check(config, log);

    if (r < 0) {
        return r;
    }
    candidates.array = rti_sys_alloc((topology->cpu_count + 1) * sizeof(*candidates.array));
    r = candidates.array == NULL ? -ENOMEM : plan(out, &candidates, topology, config, log);
    if (r == -ENOMEM) {
        rti_log(log, RT_LOG_ERROR, "no memory to plan for %u CPUs", topology->cpu_count);
    }
    rti_sys_free(candidates.array);
    return r;
}
