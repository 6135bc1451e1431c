/* SPDX-License-Identifier: MIT */
/* The machine for people: what there is, where it is, at most 80 columns. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"

#define COLUMNS 80
#define INDENT  "    "

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static void print_bytes(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;

    while (bytes >= 10240 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        bytes /= 1024;
        unit++;
    }
    printf("%" PRIu64 " %s", bytes, units[unit]);
}

/* A set of CPUs, gathered in any order and printed as "0-3,8". */
struct cpu_set {
    int32_t *numbers;
    size_t count;
};

static int compare(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left;
    const int32_t b = *(const int32_t *)right;

    return (a > b) - (a < b);
}

/* Print behind `columns` that are on the line already, and end the line. */
static void print_set(struct cpu_set *set, int columns)
{
    const char *comma = "";

    qsort(set->numbers, set->count, sizeof(set->numbers[0]), compare);
    for (size_t i = 0; i < set->count;) {
        const int32_t first = set->numbers[i];
        char range[32];
        size_t n = 1;

        while (i + n < set->count && set->numbers[i + n] == first + (int32_t)n) {
            n++;
        }
        snprintf(range, sizeof(range), n == 1 ? "%d" : "%d-%d", first, first + (int32_t)n - 1);
        if (columns + (int)strlen(comma) + (int)strlen(range) + 1 > COLUMNS) {
            printf("%s\n" INDENT, comma);
            columns = (int)strlen(INDENT);
            comma = "";
        }
        columns += printf("%s%s", comma, range);
        comma = ",";
        i += n;
    }
    putchar('\n');
}

static void print_state(const struct rt_topology *machine, struct cpu_set *set,
                        enum rt_cpu_state state, const char *title)
{
    set->count = 0;
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].state == (uint32_t)state) {
            set->numbers[set->count++] = machine->cpus[i].number;
        }
    }
    if (set->count > 0) {
        print_set(set, printf("%s", title));
    }
}

static bool same_place(const struct rt_topology_cpu *a, const struct rt_topology_cpu *b)
{
    return a->package == b->package && a->node == b->node && a->cache == b->cache;
}

/* CPUs that share package, node and largest cache stand together: a line for each such set. */
static void print_neighbours(const struct rt_topology *machine, struct cpu_set *set)
{
    for (uint32_t i = 0; i < machine->cpu_count;) {
        const struct rt_topology_cpu *first = &machine->cpus[i];
        uint32_t cores = 0;
        int columns;

        if (first->state == RT_CPU_OFFLINE) {
            break; /* they are last, and nothing is known of them */
        }
        set->count = 0;
        for (; i < machine->cpu_count && machine->cpus[i].state != RT_CPU_OFFLINE &&
               same_place(first, &machine->cpus[i]);
             i++) {
            cores += machine->cpus[i].thread == 0;
            set->numbers[set->count++] = machine->cpus[i].number;
        }
        columns = printf("  ");
        if (first->package >= 0) {
            columns += printf("package %d, ", first->package);
        }
        if (first->node >= 0) {
            columns += printf("node %d, ", first->node);
        }
        if (first->cache >= 0) {
            columns += printf("cache %d, ", first->cache);
        }
        columns += printf("%u core%s: CPU%s ", cores, plural(cores), plural((uint32_t)set->count));
        print_set(set, columns);
    }
}

static void print_caches(const struct rt_topology *machine)
{
    static const char *const kinds[] = {
        [RT_CACHE_UNIFIED] = "",
        [RT_CACHE_DATA] = "d",
        [RT_CACHE_INSTRUCTION] = "i",
    };

    for (uint32_t i = 0; i < machine->cache_count; i++) {
        const struct rt_topology_cache *cache = &machine->caches[i];

        printf("  L%u%s cache: %u", cache->level, kinds[cache->kind], cache->count);
        if (cache->bytes > 0) {
            printf(" of ");
            print_bytes(cache->bytes);
        }
        printf(", for %u CPU%s%s\n", cache->cpus, plural(cache->cpus),
               cache->count == 1 ? "" : " each");
    }
}

static void print_nodes(const struct rt_topology *machine)
{
    for (uint32_t i = 0; i < machine->node_count; i++) {
        const struct rt_topology_node *node = &machine->nodes[i];

        printf("  memory node %d: ", node->number);
        if (node->bytes > 0) {
            print_bytes(node->bytes);
            printf(", ");
        }
        printf("nearest to %u CPU%s\n", node->cpus, plural(node->cpus));
    }
}

static void print_devices(const struct rt_topology *machine)
{
    for (uint32_t i = 0; i < machine->device_count; i++) {
        const struct rt_topology_device *device = &machine->devices[i];

        printf("  %s %s", device->kind == RT_DEVICE_BLOCK ? "disk" : "network", device->name);
        if (device->node >= 0 && machine->node_count > 1) {
            printf(": near memory node %d", device->node);
        }
        putchar('\n');
    }
}

static void print_machine(const struct rt_topology *machine, struct cpu_set *set)
{
    printf("machine: %u package%s, %u core%s, %u CPU%s, %u memory node%s\n", machine->package_count,
           plural(machine->package_count), machine->core_count, plural(machine->core_count),
           machine->cpu_count, plural(machine->cpu_count), machine->node_count,
           plural(machine->node_count));
    print_neighbours(machine, set);
    print_state(machine, set, RT_CPU_DISALLOWED, "  not for this process: ");
    print_state(machine, set, RT_CPU_OFFLINE, "  offline: ");
    if (machine->cpu_quota > 0) {
        printf("  CPU time granted by the cgroup: that of %.2f CPUs\n", machine->cpu_quota);
    }
    print_nodes(machine);
    print_caches(machine);
    print_devices(machine);
}

static int print_plan(const struct rt_plan *plan)
{
    const size_t bytes = rt_plan_format(plan, NULL, 0) + 1;
    char *text = malloc(bytes);

    if (text == NULL) {
        return -ENOMEM;
    }
    (void)rt_plan_format(plan, text, bytes);
    printf("\n%s", text);
    free(text);
    return 0;
}

int show_text(const struct rt_topology *machine, const struct plans *plans)
{
    struct cpu_set set = { .numbers = calloc(machine->cpu_count, sizeof(int32_t)) };
    int r = 0;

    if (set.numbers == NULL) {
        return -ENOMEM;
    }
    print_machine(machine, &set);
    for (int place = 0; r == 0 && place < PLACES; place++) {
        if (plans->by_place[place] != NULL) {
            r = print_plan(plans->by_place[place]);
        }
    }
    free(set.numbers);
    return r;
}
