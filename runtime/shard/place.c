/* SPDX-License-Identifier: MIT */
/* Place: see place.h. */
#include "shard/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* What is asked of the planner. */
struct request {
    const struct rt_topology *topology;
    const struct rt_config *config;
    const struct rti_near *near; /* NULL: no path was named */
    const struct rti_log *log;
    uint32_t place; /* enum rt_place; that of config, unless it is near and the node is unknown */
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

/* The package of a node's first CPU; -1: it has no CPU, or that no package. */
static int32_t package_of(const struct rt_topology *topology, int32_t node)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        if (topology->cpus[i].node == node) {
            return topology->cpus[i].package;
        }
    }
    return -1;
}

/* The place of a node in the topology; node_count: it is not there. */
static uint32_t find_node(const struct rt_topology *topology, int32_t number)
{
    uint32_t i = 0;

    while (i < topology->node_count && topology->nodes[i].number != number) {
        i++;
    }
    return i;
}

/* How far two nodes are from each other; without the firmware's word, by package. */
static uint32_t distance(const struct rt_topology *topology, int32_t from, int32_t to)
{
    const uint32_t count = topology->node_count;
    const uint32_t i = find_node(topology, from);
    const uint32_t j = find_node(topology, to);
    int32_t package;

    if (i == count || j == count) {
        return UINT32_MAX; /* a CPU without a node */
    }
    if (i == j) {
        return 0;
    }
    if (topology->distances != NULL) {
        return topology->distances[i * count + j];
    }
    package = package_of(topology, from);
    return package >= 0 && package == package_of(topology, to) ? 1 : 2;
}

/* As core, but within the first CPUs of cores, and again within the second ones, by node. */
static int sort_near(struct candidates *candidates, const struct request *request)
{
    const int r = sort_within(candidates, RT_PLACE_CORE);

    for (uint32_t i = 0; r == 0 && i < candidates->count; i++) {
        struct candidate *candidate = &candidates->array[i];

        candidate->key[1] = distance(request->topology, request->near->node, candidate->cpu->node);
        candidate->key[2] = (uint32_t)candidate->cpu->node; /* of two that are equally far */
    }
    sort(candidates);
    return r;
}

static int order(struct candidates *candidates, const struct request *request)
{
    switch ((enum rt_place)request->place) {
    case RT_PLACE_CORE:
        return request->config->cpus != NULL ? 0 : sort_within(candidates, RT_PLACE_CORE);
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
    case RT_PLACE_NEAR:
        return sort_near(candidates, request);
    case RT_PLACE_UNBOUND:
        return 0;
    }
    return -EINVAL; /* not reached: rti_config_read() knows the places */
}

/* How many cores there are, or only those at the node of the first CPU. */
static uint32_t count_cores(const struct candidates *candidates, bool at_first_node)
{
    uint32_t cores = 0;

    for (uint32_t i = 0; i < candidates->count; i++) {
        const struct candidate *candidate = &candidates->array[i];

        cores += candidate->key[0] == 0 && /* first of its core, or unsorted list */
                 (!at_first_node || candidate->cpu->node == candidates->array[0].cpu->node);
    }
    return cores;
}

/* How many shards the policy has room for. */
static uint32_t room(const struct candidates *candidates, const struct request *request)
{
    switch ((enum rt_place)request->place) {
    case RT_PLACE_CORE:
    case RT_PLACE_SPREAD:
        return count_cores(candidates, false);
    case RT_PLACE_NEAR:
        return count_cores(candidates, true);
    case RT_PLACE_PU:
    case RT_PLACE_PACK:
    case RT_PLACE_UNBOUND:
        break;
    }
    return candidates->count;
}

static uint32_t count_shards(const struct candidates *candidates, const struct request *request)
{
    const uint32_t found = request->config->shards != 0 ? request->config->shards
                                                        : room(candidates, request);

    if (found > SHARDS_MAX) {
        rti_log(request->log, RT_LOG_WARNING, "there is room for %u shards, but %u is the limit",
                found, SHARDS_MAX);
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
    if (config->place == RT_PLACE_NEAR && config->near == NULL) {
        rti_log(log, RT_LOG_ERROR, "place near: near what? Set config.near (--near PATH)");
        return -EINVAL;
    }
    if (config->place != RT_PLACE_NEAR && config->near != NULL) {
        rti_log(log, RT_LOG_ERROR,
                "near \"%s\" with another place than near: leave one of the two out", config->near);
        return -EINVAL;
    }
    return 0;
}

/* Where the disk is and what follows, as plan->near has it. */
static size_t describe(char *text, size_t bytes, const struct request *request,
                       const struct candidates *candidates, uint32_t shards)
{
    const char *path = request->config->near;
    const char *found = request->near->text;
    const int32_t node = candidates->array[0].cpu->node;
    const uint32_t cores = count_cores(candidates, true);
    const uint32_t nodes = request->topology->node_count;

    if (request->place != RT_PLACE_NEAR) {
        const char *why = request->near->node < 0 ? "" : ", which this machine does not show";

        return (size_t)snprintf(text, bytes, "%s: not known: %s%s; %s", path, found, why,
                                nodes > 1 ? "placed as by core"
                                          : "but this machine has one node only");
    }
    if (node != request->near->node) {
        return (size_t)snprintf(text, bytes,
                                "%s: %s, which has no CPU to choose from: the others by distance, "
                                "from node %d on",
                                path, found, node);
    }
    if (shards > cores && cores < count_cores(candidates, false)) {
        return (size_t)snprintf(text, bytes,
                                "%s: %s, which has %u core%s to choose from; then the others by "
                                "distance",
                                path, found, cores, cores == 1 ? "" : "s");
    }
    return (size_t)snprintf(text, bytes, "%s: %s", path, found);
}

/* Into the memory behind the shards. */
static void tell_near(struct rt_plan *made, char *text, size_t bytes, const struct request *request,
                      const struct candidates *candidates)
{
    const size_t used = describe(text, bytes, request, candidates, made->shard_count) + 1;
    const bool is_known = request->place == RT_PLACE_NEAR;
    const bool matters = request->topology->node_count > 1;

    (void)snprintf(text + used, bytes - used, "%s", request->near->disks);
    made->near = text;
    made->near_disks = text + used;
    made->near_node = is_known ? request->near->node : -1;
    rti_log(request->log, is_known || !matters ? RT_LOG_INFO : RT_LOG_WARNING, "near %s", text);
}

/* One block of memory: the plan, its shards, and texts. */
static struct rt_plan *make(const struct request *request, const struct candidates *candidates)
{
    const struct rti_near *near = request->near;
    const uint32_t shards = count_shards(candidates, request);
    const size_t used = sizeof(struct rt_plan) + shards * sizeof(struct rt_plan_shard);
    const size_t texts = near == NULL ? 0
                                      : describe(NULL, 0, request, candidates, shards) + 1 +
                                            strlen(near->disks) + 1;
    struct rt_plan *made = rti_sys_alloc(used + texts);

    if (made == NULL) {
        return NULL;
    }
    made->shards = (struct rt_plan_shard *)(made + 1);
    made->shard_count = shards;
    made->place = request->config->place;
    made->near_node = -1;
    if (near != NULL) {
        tell_near(made, (char *)made + used, texts, request, candidates);
    }
    return made;
}

static int plan(struct rt_plan **out, struct candidates *candidates, const struct request *request)
{
    const char *cpus = request->config->cpus;
    struct rt_plan *made;
    int r = cpus != NULL ? take_list(candidates, request->topology, cpus, request->log)
                         : take_allowed(candidates, request->topology, request->log);

    if (r == 0) {
        r = order(candidates, request);
    }
    if (r < 0) {
        return r;
    }
    made = make(request, candidates);
    if (made == NULL) {
        return -ENOMEM;
    }
    count_machine(made, request->topology);
    fill(made, candidates);
    warn(made, candidates, request->log);
    *out = made;
    return 0;
}

int rti_place(struct rt_plan **out, const struct rt_topology *topology,
              const struct rt_config *config, const struct rti_near *near,
              const struct rti_log *log)
{
    struct candidates candidates = { 0 };
    struct request request = { topology, config, near, log, config->place };
    int r = check(config, log);

    if (r < 0) {
        return r;
    }
    RTI_ASSERT((near != NULL) == (config->place == RT_PLACE_NEAR));
    if (near != NULL && find_node(topology, near->node) == topology->node_count) {
        request.place = RT_PLACE_CORE; /* not known */
    }
    candidates.array = rti_sys_alloc((topology->cpu_count + 1) * sizeof(*candidates.array));
    r = candidates.array == NULL ? -ENOMEM : plan(out, &candidates, &request);
    if (r == -ENOMEM) {
        rti_log(log, RT_LOG_ERROR, "no memory to plan for %u CPUs", topology->cpu_count);
    }
    rti_sys_free(candidates.array);
    return r;
}
