/* SPDX-License-Identifier: MIT */
/* Warnings: see warnings.h. Each function adds a note for what it has found, or none. */
#include "warnings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "interrupts.h"
#include "numbers.h"

char *cure_by_list(const struct numbers *cpus, const struct rt_config *config)
{
    char *list = numbers_text(cpus);
    char *cure = NULL;

    if (config->shards > cpus->count && cpus->count > 0) {
        cure = text_of("--cpus %s --shards %zu", list, cpus->count);
    } else if (cpus->count > 0) {
        cure = text_of("--cpus %s", list);
    }
    free(list);
    return cure;
}

static void warn_of_quota(struct notes *notes, const struct subject *subject)
{
    const double quota = subject->plan->cpu_quota;
    const uint32_t shards = subject->plan->shard_count;

    if (quota <= 0 || quota >= shards) {
        return;
    }
    notes_add(notes, LEVEL_WARNING, "quota",
              shards > 1 ? text_of("--shards %u", quota < 1 ? 1 : (unsigned)quota)
                         : text_of("systemctl set-property --runtime UNIT CPUQuota=100%%"),
              "%u shard%s, but the cgroup grants the time of %.2f CPUs (cpu.max): the kernel stops "
              "them for the rest of each period when it is used up",
              shards, shards == 1 ? "" : "s", quota);
}

static void warn_of_sharing(struct notes *notes, const struct subject *subject)
{
    struct numbers cpus = { 0 };

    if (subject->plan->shared == 0) {
        return;
    }
    for (uint32_t i = 0; i < subject->plan->shard_count; i++) {
        numbers_add(&cpus, subject->plan->shards[i].cpu);
    }
    if (subject->plan->place == RT_PLACE_UNBOUND) {
        notes_add(notes, LEVEL_WARNING, "sharing",
                  text_of("--shards %u", subject->plan->cpus_allowed),
                  "%u shards, but this process may use %u CPUs: they take turns",
                  subject->plan->shard_count, subject->plan->cpus_allowed);
    } else {
        notes_add(notes, LEVEL_WARNING, "sharing", text_of("--shards %zu", cpus.count),
                  "%u shards on %zu CPU%s: they take turns, and one that is busy holds up the "
                  "others for a time slice",
                  subject->plan->shard_count, cpus.count, cpus.count == 1 ? "" : "s");
    }
    numbers_free(&cpus);
}

/* Of CPUs that have shards: the first of each core, and the others. */
static void part_siblings(const struct rt_plan *plan, struct numbers *firsts,
                          struct numbers *seconds)
{
    struct numbers cores = { 0 };

    for (uint32_t i = 0; i < plan->shard_count; i++) {
        const struct rt_plan_shard *shard = &plan->shards[i];

        if (shard->cpu < 0 || numbers_have(firsts, shard->cpu)) {
            continue;
        }
        numbers_add(numbers_have(&cores, shard->core) ? seconds : firsts, shard->cpu);
        numbers_add(&cores, shard->core);
    }
    numbers_free(&cores);
}

/* Of the CPUs that are listed, one of each core. */
static char *cure_by_firsts(const struct subject *subject)
{
    struct numbers firsts = { 0 };
    struct numbers seconds = { 0 };
    char *cure;

    part_siblings(subject->listed, &firsts, &seconds);
    cure = cure_by_list(&firsts, subject->config);
    numbers_free(&firsts);
    numbers_free(&seconds);
    return cure;
}

static void warn_of_siblings(struct notes *notes, const struct subject *subject)
{
    const struct rt_plan *plan = subject->plan;
    struct numbers firsts = { 0 };
    struct numbers seconds = { 0 };
    char *cure;

    part_siblings(plan, &firsts, &seconds);
    if (seconds.count > 0) {
        char *cpus = numbers_text(&seconds);

        if (subject->listed != NULL) {
            cure = cure_by_firsts(subject);
        } else if (plan->place == RT_PLACE_CORE || plan->place == RT_PLACE_SPREAD ||
                   plan->place == RT_PLACE_NEAR) {
            cure = text_of("--shards %zu", firsts.count);
        } else {
            cure = text_of("--place core");
        }
        notes_add(notes, LEVEL_WARNING, "siblings", cure,
                  "the shard%s on CPU%s %s share%s a core with another shard (SMT siblings): each "
                  "of the two is slower while both are busy",
                  seconds.count == 1 ? "" : "s", seconds.count == 1 ? "" : "s", cpus,
                  seconds.count == 1 ? "s" : "");
        free(cpus);
    }
    numbers_free(&firsts);
    numbers_free(&seconds);
}

/* Nodes that have memory, and that the process may take it from. */
static void find_memory(struct numbers *nodes, const struct subject *subject)
{
    char *list = file_status(subject->root, "Mems_allowed_list");
    struct numbers allowed = { 0 };
    uint64_t bytes = 0;

    if (list != NULL) {
        numbers_parse(&allowed, list);
    }
    for (uint32_t i = 0; i < subject->machine->node_count; i++) {
        bytes += subject->machine->nodes[i].bytes; /* of all 0: no size is known */
    }
    for (uint32_t i = 0; i < subject->machine->node_count; i++) {
        const struct rt_topology_node *node = &subject->machine->nodes[i];

        if ((node->bytes > 0 || bytes == 0) &&
            (list == NULL || numbers_have(&allowed, node->number))) {
            numbers_add(nodes, node->number);
        }
    }
    numbers_free(&allowed);
    free(list);
}

/* CPUs that the process may use and that are near one of the nodes. */
static void find_near(struct numbers *cpus, const struct rt_topology *machine,
                      const struct numbers *nodes)
{
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &machine->cpus[i];

        if (cpu->state == RT_CPU_ALLOWED && numbers_have(nodes, cpu->node)) {
            numbers_add(cpus, cpu->number);
        }
    }
}

/* Shards near a node whose memory they cannot have. */
static void warn_of_far_memory(struct notes *notes, const struct subject *subject)
{
    struct numbers nodes = { 0 };
    struct numbers near = { 0 };
    struct numbers far = { 0 };

    find_memory(&nodes, subject);
    for (uint32_t i = 0; i < subject->plan->shard_count; i++) {
        const struct rt_plan_shard *shard = &subject->plan->shards[i];

        if (shard->node >= 0 && !numbers_have(&nodes, shard->node)) {
            numbers_add(&far, shard->cpu);
        }
    }
    if (far.count > 0) {
        char *cpus = numbers_text(&far);
        char *cure;

        find_near(&near, subject->machine, &nodes);
        cure = cure_by_list(&near, subject->config);
        notes_add(notes, LEVEL_WARNING, "memory",
                  cure != NULL ? cure
                               : text_of("systemctl set-property --runtime UNIT "
                                         "AllowedMemoryNodes=\"\""),
                  "the memory of the shard%s on CPU%s %s is remote: the memory node next to %s is "
                  "empty, or closed to this process (cpuset.mems)",
                  far.count == 1 ? "" : "s", far.count == 1 ? "" : "s", cpus,
                  far.count == 1 ? "it" : "them");
        free(cpus);
    }
    numbers_free(&nodes);
    numbers_free(&near);
    numbers_free(&far);
}

static void warn_of_memory(struct notes *notes, const struct subject *subject)
{
    if (subject->machine->node_count < 2) {
        return;
    }
    if (subject->plan->place == RT_PLACE_UNBOUND) {
        notes_add(notes, LEVEL_WARNING, "memory", text_of("--place core"),
                  "shards that are not bound move between %u memory nodes, and their memory stays "
                  "behind",
                  subject->machine->node_count);
    } else if (subject->root != NULL) {
        warn_of_far_memory(notes, subject);
    }
}

/* A driver that sets the clock rate itself takes powersave for "by the load", and not for "low". */
static bool governs_itself(const char *root, int32_t cpu)
{
    char *driver = file_read(root, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_driver", cpu);
    const bool itself = driver != NULL && (strcmp(driver, "intel_pstate") == 0 ||
                                           strcmp(driver, "amd-pstate-epp") == 0);

    free(driver);
    return itself;
}

static void warn_of_governor(struct notes *notes, const struct subject *subject)
{
    struct numbers slow = { 0 };

    if (subject->root == NULL) {
        return;
    }
    for (uint32_t i = 0; i < subject->plan->shard_count; i++) {
        const int32_t cpu = subject->plan->shards[i].cpu;
        char *governor = cpu < 0 ? NULL
                                 : file_read(subject->root,
                                             "/sys/devices/system/cpu/cpu%d/cpufreq/"
                                             "scaling_governor",
                                             cpu);

        if (governor != NULL && strcmp(governor, "powersave") == 0) {
            numbers_add(&slow, cpu);
        }
        free(governor);
    }
    if (slow.count > 0) {
        char *cpus = numbers_text(&slow);

        notes_add(
            notes, LEVEL_WARNING, "governor",
            text_of("cpupower --cpu %s frequency-set --governor performance", cpus),
            governs_itself(subject->root, slow.array[0])
                ? "CPU%s %s: governor powersave: the clock rate follows the load, and figures "
                  "follow the clock rate"
                : "CPU%s %s: governor powersave: kept at the lowest clock rate",
            slow.count == 1 ? "" : "s", cpus);
        free(cpus);
    }
    numbers_free(&slow);
}

static const struct {
    const char *about;
    void (*look)(struct notes *notes, const struct subject *subject);
    const char *praise;
} kinds[] = {
    { "quota", warn_of_quota, "no limit of CPU time below that of the shards" },
    { "sharing", warn_of_sharing, "no CPU has two shards" },
    { "siblings", warn_of_siblings, "no core has two shards" },
    { "memory", warn_of_memory, "memory is near each shard" },
    { "interrupts", warn_of_interrupts, "no device interrupts the CPU of a shard often" },
    { "governor", warn_of_governor, "no CPU of a shard has the governor powersave" },
};

void warn(struct notes *notes, const struct subject *subject)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kinds[i].look(notes, subject);
    }
}

void warn_or_praise(struct notes *notes, const struct subject *subject)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const size_t before = notes->count;

        kinds[i].look(notes, subject);
        if (notes->count == before) {
            notes_add(notes, LEVEL_OK, kinds[i].about, NULL, "%s", kinds[i].praise);
        }
    }
}
