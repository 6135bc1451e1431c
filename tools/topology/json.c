/* SPDX-License-Identifier: MIT */
/* The machine for programs: all that the structs of rt/topology.h and rt/placement.h hold. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

static const char *const place_names[PLACES] = {
    "core", "pu", "spread", "pack", "unbound", "near"
};

static const char *separator(uint32_t i)
{
    return i == 0 ? "" : ",";
}

/* Names come from the OS, or from a file of anyone's. */
static void print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < ' ') {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

/* -1 is how the structs say that something is not known or does not apply. */
static void print_number(const char *name, int32_t number)
{
    if (number < 0) {
        printf(", \"%s\": null", name);
    } else {
        printf(", \"%s\": %d", name, number);
    }
}

static void print_cpus(const struct rt_topology *machine)
{
    static const char *const states[] = {
        [RT_CPU_ALLOWED] = "allowed",
        [RT_CPU_DISALLOWED] = "disallowed",
        [RT_CPU_OFFLINE] = "offline",
        [RT_CPU_MASKED] = "masked",
    };

    printf("    \"cpus\": [");
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &machine->cpus[i];

        printf("%s\n      {\"number\": %d, \"state\": \"%s\"", separator(i), cpu->number,
               states[cpu->state]);
        print_number("core", cpu->core);
        print_number("thread", cpu->thread);
        print_number("cache", cpu->cache);
        print_number("package", cpu->package);
        print_number("node", cpu->node);
        putchar('}');
    }
    printf("\n    ],\n");
}

static void print_caches(const struct rt_topology *machine)
{
    static const char *const kinds[] = {
        [RT_CACHE_UNIFIED] = "unified",
        [RT_CACHE_DATA] = "data",
        [RT_CACHE_INSTRUCTION] = "instruction",
    };

    printf("    \"caches\": [");
    for (uint32_t i = 0; i < machine->cache_count; i++) {
        const struct rt_topology_cache *cache = &machine->caches[i];

        printf("%s\n      {\"level\": %u, \"kind\": \"%s\", \"count\": %u, \"cpus\": %u, "
               "\"bytes\": %" PRIu64 "}",
               separator(i), cache->level, kinds[cache->kind], cache->count, cache->cpus,
               cache->bytes);
    }
    printf("\n    ],\n");
}

static void print_nodes(const struct rt_topology *machine)
{
    printf("    \"nodes\": [");
    for (uint32_t i = 0; i < machine->node_count; i++) {
        const struct rt_topology_node *node = &machine->nodes[i];

        printf("%s\n      {\"number\": %d, \"cpus\": %u, \"bytes\": %" PRIu64 "}", separator(i),
               node->number, node->cpus, node->bytes);
    }
    printf("\n    ],\n");
}

static void print_devices(const struct rt_topology *machine)
{
    printf("    \"devices\": [");
    for (uint32_t i = 0; i < machine->device_count; i++) {
        const struct rt_topology_device *device = &machine->devices[i];

        printf("%s\n      {\"kind\": \"%s\", \"name\": ", separator(i),
               device->kind == RT_DEVICE_BLOCK ? "block" : "network");
        print_string(device->name);
        print_number("node", device->node);
        putchar('}');
    }
    printf("\n    ]\n");
}

static void print_notes(const char *name, const struct notes *notes, const char *indent)
{
    static const char *const levels[] = { "ok", "warning", "bad" };

    printf("\"%s\": [", name);
    for (size_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->array[i];

        printf("%s\n%s  {\"level\": \"%s\", \"about\": \"%s\", \"text\": ", separator((uint32_t)i),
               indent, levels[note->level], note->about);
        print_string(note->text);
        printf(", \"cure\": ");
        if (note->cure == NULL) {
            printf("null");
        } else {
            print_string(note->cure);
        }
        putchar('}');
    }
    printf("\n%s]", indent);
}

static void print_near(const struct rt_plan *plan)
{
    const char *comma = "";
    char *names = text_of("%s", plan->near_disks);
    char *rest = names;
    const char *disk;

    printf("\"near\": {\"text\": ");
    print_string(plan->near);
    print_number("node", plan->near_node);
    printf(", \"disks\": [");
    while ((disk = strsep(&rest, " ")) != NULL) {
        if (*disk != '\0') {
            printf("%s", comma);
            print_string(disk);
            comma = ", ";
        }
    }
    printf("]}, ");
    free(names);
}

static void print_plan(const struct shown *shown, bool explained)
{
    const struct rt_plan *plan = shown->plan;

    printf("    \"%s\": {\"shared\": %s, \"shards\": [", place_names[plan->place],
           plan->shared != 0 ? "true" : "false");
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        const struct rt_plan_shard *shard = &plan->shards[i];

        printf("%s\n      {\"shard\": %u", separator(i), i);
        print_number("cpu", shard->cpu);
        print_number("core", shard->core);
        print_number("package", shard->package);
        print_number("node", shard->node);
        putchar('}');
    }
    printf("\n    ], ");
    if (plan->near != NULL) {
        print_near(plan);
        print_notes("interrupts", &shown->disks, "    ");
        printf(", ");
    }
    if (explained) {
        print_notes("steps", &shown->steps, "    ");
        printf(", ");
    }
    print_notes("warnings", &shown->warnings, "    ");
    putchar('}');
}

void show_json(const struct view *view)
{
    const struct rt_topology *machine = view->machine;
    uint32_t shown = 0;

    printf("{\n  \"machine\": {\n    \"packages\": %u,\n    \"cores\": %u,\n",
           machine->package_count, machine->core_count);
    if (machine->cpu_quota > 0) {
        printf("    \"cpu_quota\": %.3f,\n", machine->cpu_quota);
    } else {
        printf("    \"cpu_quota\": null,\n");
    }
    print_cpus(machine);
    print_nodes(machine);
    print_caches(machine);
    print_devices(machine);
    printf("  },\n  \"plans\": {\n");
    for (int place = 0; place < PLACES; place++) {
        if (view->by_place[place].plan != NULL) {
            printf("%s", shown++ == 0 ? "" : ",\n");
            print_plan(&view->by_place[place], view->explained);
        }
    }
    printf("\n  }\n}\n");
}

void show_checks_json(const struct notes *checks, bool alarmed)
{
    printf("{\n  \"can_start\": %s,\n  ", alarmed ? "false" : "true");
    print_notes("checks", checks, "  ");
    printf("\n}\n");
}
