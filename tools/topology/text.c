/* SPDX-License-Identifier: MIT */
/* The machine for people: what there is, where it is, at most 80 columns but for commands. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
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

/* Print behind `columns` that are on the line already, and end the line. */
static void print_set(struct numbers *set, int columns)
{
    const char *comma = "";
    int32_t first;
    int32_t last;

    for (size_t i = 0; numbers_range(set, &i, &first, &last);) {
        char range[32];

        snprintf(range, sizeof(range), first == last ? "%d" : "%d-%d", first, last);
        if (columns + (int)strlen(comma) + (int)strlen(range) + 1 > COLUMNS) {
            printf("%s\n" INDENT, comma);
            columns = (int)strlen(INDENT);
            comma = "";
        }
        columns += printf("%s%s", comma, range);
        comma = ",";
    }
    putchar('\n');
    numbers_free(set);
}

/* Print words behind `columns` that are on the line already; further lines begin at `indent`. */
static void print_words(const char *text, int columns, int indent)
{
    const char *space = "";

    while (*text != '\0') {
        const int length = (int)strcspn(text, " ");

        if (columns + (int)strlen(space) + length > COLUMNS && columns > indent) {
            printf("\n%*s", indent, "");
            columns = indent;
            space = "";
        }
        columns += printf("%s%.*s", space, length, text);
        text += length;
        text += strspn(text, " ");
        space = " ";
    }
    putchar('\n');
}

static void print_state(const struct rt_topology *machine, enum rt_cpu_state state,
                        const char *title)
{
    struct numbers set = { 0 };

    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].state == (uint32_t)state) {
            numbers_add(&set, machine->cpus[i].number);
        }
    }
    if (set.count > 0) {
        print_set(&set, printf("%s", title));
    }
}

static bool same_place(const struct rt_topology_cpu *a, const struct rt_topology_cpu *b)
{
    return a->package == b->package && a->node == b->node && a->cache == b->cache;
}

/* CPUs that share package, node and largest cache stand together: a line for each such set. */
static void print_neighbours(const struct rt_topology *machine)
{
    for (uint32_t i = 0; i < machine->cpu_count;) {
        const struct rt_topology_cpu *first = &machine->cpus[i];
        struct numbers set = { 0 };
        uint32_t cores = 0;
        int columns;

        if (first->state == RT_CPU_OFFLINE) {
            break; /* they are last, and nothing is known of them */
        }
        for (; i < machine->cpu_count && machine->cpus[i].state != RT_CPU_OFFLINE &&
               same_place(first, &machine->cpus[i]);
             i++) {
            cores += machine->cpus[i].thread == 0;
            numbers_add(&set, machine->cpus[i].number);
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
        columns += printf("%u core%s: CPU%s ", cores, plural(cores), plural((uint32_t)set.count));
        print_set(&set, columns);
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

static void print_machine(const struct rt_topology *machine)
{
    printf("machine: %u package%s, %u core%s, %u CPU%s, %u memory node%s\n", machine->package_count,
           plural(machine->package_count), machine->core_count, plural(machine->core_count),
           machine->cpu_count, plural(machine->cpu_count), machine->node_count,
           plural(machine->node_count));
    print_neighbours(machine);
    print_state(machine, RT_CPU_DISALLOWED, "  not in the cpuset of this process: ");
    print_state(machine, RT_CPU_MASKED, "  not in the affinity of this process (taskset): ");
    print_state(machine, RT_CPU_OFFLINE, "  offline: ");
    if (machine->cpu_quota > 0) {
        printf("  CPU time granted by the cgroup: that of %.2f CPUs\n", machine->cpu_quota);
    }
    print_nodes(machine);
    print_caches(machine);
    print_devices(machine);
}

static void print_plan(const struct rt_plan *plan)
{
    const size_t bytes = rt_plan_format(plan, NULL, 0) + 1;
    char *text = or_exit(malloc(bytes));

    (void)rt_plan_format(plan, text, bytes);
    printf("\n%s", text);
    free(text);
}

/* A command is never broken into lines: it is there to be copied. */
static void print_cure(const struct note *note, int indent)
{
    if (note->cure != NULL) {
        printf("%*scure: %s\n", indent, "", note->cure);
    }
}

static void print_disks(const struct notes *disks)
{
    for (size_t i = 0; i < disks->count; i++) {
        print_words(disks->array[i].text, 0, 4);
    }
}

static void print_steps(const struct notes *steps)
{
    puts("how it came about:");
    for (size_t i = 0; i < steps->count; i++) {
        print_words(steps->array[i].text, printf("  - "), 4);
    }
}

static void print_warnings(const struct notes *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        print_words(warnings->array[i].text, printf("warning: "), 2);
        print_cure(&warnings->array[i], 2);
    }
}

void show_text(const struct view *view)
{
    const struct notes *of_default = &view->by_place[RT_PLACE_CORE].warnings;

    print_machine(view->machine);
    for (int place = 0; place < PLACES; place++) {
        const struct shown *shown = &view->by_place[place];

        if (shown->plan == NULL) {
            continue;
        }
        print_plan(shown->plan);
        print_disks(&shown->disks);
        if (view->explained) {
            print_steps(&shown->steps);
        }
        if (view->chosen) {
            print_warnings(&shown->warnings);
        }
    }
    if (!view->chosen && of_default->count > 0) {
        puts("\nof place core, which is taken unless another is asked for:");
        print_warnings(of_default);
    }
}

void show_checks_text(const struct notes *checks)
{
    static const char *const levels[] = { "ok", "warning", "bad" };

    for (size_t i = 0; i < checks->count; i++) {
        const struct note *note = &checks->array[i];
        const int columns = printf("%-8s %-12s ", levels[note->level], note->about);

        print_words(note->text, columns, columns);
        print_cure(note, columns);
    }
}
