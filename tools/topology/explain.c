/* SPDX-License-Identifier: MIT */
/* Explain: see explain.h. The planner's own words are in runtime/shard/place.h. */
#include "explain.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "numbers.h"

struct account {
    struct notes *notes;
    const struct rt_topology *machine;
    const struct rt_config *config;
    const struct rt_plan *plan;
    struct numbers choice;     /* CPUs that there were to choose from */
    struct numbers used;       /* that have a shard */
    struct numbers cores;      /* of the choice */
    struct numbers cores_near; /* of the choice: those at the node of the first shard */
    struct numbers cores_used;
};

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

__attribute__((format(printf, 3, 4))) static void step(const struct account *account,
                                                       const char *about, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    notes_vadd(account->notes, LEVEL_OK, about, NULL, format, arguments);
    va_end(arguments);
}

/* CPUs that were never to be had, by the reason. */
static void leave_out_states(const struct account *account)
{
    static const struct {
        enum rt_cpu_state state;
        const char *about;
        const char *text;
    } reasons[] = {
        { RT_CPU_OFFLINE, "offline", "turned off by the kernel (offline)" },
        { RT_CPU_DISALLOWED, "cpuset", "left out by the cpuset of this process" },
        { RT_CPU_MASKED, "affinity", "left out by the affinity of this process (taskset)" },
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct numbers out = { 0 };

        for (uint32_t c = 0; c < account->machine->cpu_count; c++) {
            if (account->machine->cpus[c].state == (uint32_t)reasons[i].state) {
                numbers_add(&out, account->machine->cpus[c].number);
            }
        }
        if (out.count > 0) {
            char *cpus = numbers_text(&out);

            step(account, reasons[i].about, "CPU%s %s: %s", plural(out.count), cpus,
                 reasons[i].text);
            free(cpus);
        }
        numbers_free(&out);
    }
}

static void leave_out_by_list(const struct account *account)
{
    struct numbers out = { 0 };

    if (account->config->cpus == NULL) {
        return;
    }
    for (uint32_t i = 0; i < account->machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &account->machine->cpus[i];

        if (cpu->state == RT_CPU_ALLOWED && !numbers_have(&account->choice, cpu->number)) {
            numbers_add(&out, cpu->number);
        }
    }
    if (out.count > 0) {
        char *cpus = numbers_text(&out);

        step(account, "list", "CPU%s %s: not in the list of --cpus (%s)", plural(out.count), cpus,
             account->config->cpus);
        free(cpus);
    }
    numbers_free(&out);
}

/* The policy that is followed: without a known node, near is core. */
static enum rt_place followed(const struct account *account)
{
    const struct rt_plan *plan = account->plan;

    return plan->place == RT_PLACE_NEAR && plan->near_node < 0 ? RT_PLACE_CORE
                                                               : (enum rt_place)plan->place;
}

/* What the policy does with the choice. */
static void tell_policy(const struct account *account)
{
    const uint32_t cores = (uint32_t)account->cores.count;
    const uint32_t cpus = (uint32_t)account->choice.count;

    if (account->plan->near != NULL) {
        step(account, "near", "near %s", account->plan->near);
    }
    switch (followed(account)) {
    case RT_PLACE_CORE:
        if (account->config->cpus != NULL) {
            step(account, "core", "place core takes a list as it is: room for %u shard%s, in order",
                 cpus, plural(cpus));
        } else {
            step(account, "core",
                 "place core takes the first CPU of each core, then the second ones: room for %u "
                 "shard%s, one on each core",
                 cores, plural(cores));
        }
        break;
    case RT_PLACE_PU:
        step(account, "pu", "place pu takes every CPU by its number: room for %u shard%s", cpus,
             plural(cpus));
        break;
    case RT_PLACE_SPREAD:
        step(account, "spread",
             "place spread takes one CPU of each core, the next always in another package, else "
             "at another memory node, else below another cache: room for %u shard%s",
             cores, plural(cores));
        break;
    case RT_PLACE_PACK:
        step(account, "pack",
             "place pack takes neighbours: all CPUs of a core, then the next core: room for %u "
             "shard%s",
             cpus, plural(cpus));
        break;
    case RT_PLACE_NEAR:
        step(account, "near",
             "place near takes the first CPU of each core, those of the nearest node first, then "
             "the second ones: room for %zu shard%s, one on each core of that node",
             account->cores_near.count, plural(account->cores_near.count));
        break;
    case RT_PLACE_UNBOUND:
        step(account, "unbound",
             "place unbound binds no shard to a CPU: room for %u shard%s, which the kernel moves",
             cpus, plural(cpus));
        break;
    }
}

static uint32_t room(const struct account *account)
{
    const enum rt_place place = followed(account);
    const bool by_core = place == RT_PLACE_SPREAD ||
                         (place == RT_PLACE_CORE && account->config->cpus == NULL);

    if (place == RT_PLACE_NEAR) {
        return (uint32_t)account->cores_near.count;
    }
    return (uint32_t)(by_core ? account->cores.count : account->choice.count);
}

static void tell_number(const struct account *account)
{
    const uint32_t shards = account->plan->shard_count;
    const uint32_t found = room(account);

    if (shards == found) {
        return;
    }
    if (account->config->shards == 0) {
        step(account, "limit", "a runtime has at most %u shards", shards);
    } else if (shards < found) {
        step(account, "shards", "--shards asks for %u: the first %u of that order", shards, shards);
    } else if (account->plan->shared) {
        step(account, "shards",
             "--shards asks for %u, more than there are CPUs: the order begins "
             "again, and shards take turns",
             shards);
    } else if (shards <= account->cores.count) {
        step(account, "shards", "--shards asks for %u, so the order goes on to other nodes",
             shards);
    } else {
        step(account, "shards",
             "--shards asks for %u, so the order goes on to CPUs of cores that "
             "have a shard",
             shards);
    }
}

/* CPUs that could have been chosen and were not. */
static void leave_out_rest(const struct account *account)
{
    struct numbers siblings = { 0 };
    struct numbers rest = { 0 };

    for (uint32_t i = 0; i < account->machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &account->machine->cpus[i];

        if (numbers_have(&account->choice, cpu->number) &&
            !numbers_have(&account->used, cpu->number)) {
            numbers_add(numbers_have(&account->cores_used, cpu->core) ? &siblings : &rest,
                        cpu->number);
        }
    }
    if (siblings.count > 0) {
        char *cpus = numbers_text(&siblings);

        step(account, "sibling", "CPU%s %s: left idle, since %s core has a shard",
             plural(siblings.count), cpus, siblings.count == 1 ? "its" : "their");
        free(cpus);
    }
    if (rest.count > 0) {
        char *cpus = numbers_text(&rest);

        step(account, "free", "CPU%s %s: no shard is left for %s", plural(rest.count), cpus,
             rest.count == 1 ? "it" : "them");
        free(cpus);
    }
    numbers_free(&siblings);
    numbers_free(&rest);
}

static void choose(struct account *account, int32_t cpu, int32_t core, int32_t node)
{
    numbers_add(&account->choice, cpu);
    numbers_add(&account->cores, core);
    if (node == account->plan->shards[0].node) {
        numbers_add(&account->cores_near, core);
    }
}

static void gather(struct account *account, const struct rt_plan *listed)
{
    for (uint32_t i = 0; i < account->machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &account->machine->cpus[i];

        if (cpu->state == RT_CPU_ALLOWED && account->config->cpus == NULL) {
            choose(account, cpu->number, cpu->core, cpu->node);
        }
    }
    for (uint32_t i = 0; listed != NULL && i < listed->shard_count; i++) {
        const struct rt_plan_shard *shard = &listed->shards[i];

        choose(account, shard->cpu, shard->core, shard->node);
    }
    for (uint32_t i = 0; i < account->plan->shard_count; i++) {
        numbers_add(&account->used, account->plan->shards[i].cpu);
        numbers_add(&account->cores_used, account->plan->shards[i].core);
    }
}

void explain(struct notes *notes, const struct subject *subject)
{
    struct account account = {
        .notes = notes,
        .machine = subject->machine,
        .config = subject->config,
        .plan = subject->plan,
    };

    gather(&account, subject->listed);
    step(&account, "machine", "the machine has %u CPU%s on %u core%s", subject->machine->cpu_count,
         plural(subject->machine->cpu_count), subject->machine->core_count,
         plural(subject->machine->core_count));
    leave_out_states(&account);
    leave_out_by_list(&account);
    step(&account, "choice", "%zu CPU%s on %zu core%s to choose from", account.choice.count,
         plural(account.choice.count), account.cores.count, plural(account.cores.count));
    tell_policy(&account);
    tell_number(&account);
    if (account.plan->place != RT_PLACE_UNBOUND) {
        leave_out_rest(&account);
    }
    if (account.plan->cpu_quota > 0) {
        step(&account, "quota",
             "the cgroup grants the time of %.2f CPUs, which changes nothing of the plan",
             account.plan->cpu_quota);
    }
    numbers_free(&account.choice);
    numbers_free(&account.used);
    numbers_free(&account.cores);
    numbers_free(&account.cores_near);
    numbers_free(&account.cores_used);
}
