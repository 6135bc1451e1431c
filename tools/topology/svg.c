/* SPDX-License-Identifier: MIT */
/*
 * The machine as a drawing: boxes in boxes, and shards on CPUs.
 *
 * The CPUs of a topology stand in an order in which neighbours are together, so the
 * CPUs of any package, node, cache or core are a run of it. A box draws the runs
 * within its own, in rows; one function both measures and draws.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "numbers.h"
#include "show.h"

enum box { BOX_MACHINE, BOX_PACKAGE, BOX_NODE, BOX_CACHE, BOX_CORE, BOX_CPU };

#define CPU_WIDTH  62
#define CPU_HEIGHT 40
#define GAP        8
#define TITLE      18   /* height of a line of text */
#define ROW_WIDTH  1250 /* boxes that would make a row wider begin another */
#define MARGIN     16

struct size {
    int width;
    int height;
};

struct drawing {
    const struct rt_topology *machine;
    const struct rt_plan *plan;
    uint32_t cpu_count; /* that are not offline */
};

static int32_t box_number(const struct rt_topology_cpu *cpu, enum box box)
{
    switch (box) {
    case BOX_PACKAGE:
        return cpu->package;
    case BOX_NODE:
        return cpu->node;
    case BOX_CACHE:
        return cpu->cache;
    case BOX_CORE:
        return cpu->core;
    case BOX_MACHINE:
        return 0;
    case BOX_CPU:
        return cpu->number;
    }
    return -1;
}

/* The place behind the run of CPUs that are in the same box as that at `first`. */
static uint32_t run_end(const struct drawing *drawing, enum box box, uint32_t first, uint32_t end)
{
    const struct rt_topology_cpu *cpus = drawing->machine->cpus;
    uint32_t i = first + 1;

    while (i < end && box_number(&cpus[i], box) == box_number(&cpus[first], box)) {
        i++;
    }
    return i;
}

static void draw_text(int x, int y, const char *kind, const char *text)
{
    printf("<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", kind, x, y, text);
}

/* "shard 3", or how many there are. */
static char *shards_on(const struct drawing *drawing, int32_t cpu)
{
    uint32_t count = 0;
    uint32_t last = 0;

    for (uint32_t i = 0; i < drawing->plan->shard_count; i++) {
        if (drawing->plan->shards[i].cpu == cpu) {
            count++;
            last = i;
        }
    }
    if (count == 0) {
        return NULL;
    }
    return count == 1 ? text_of("shard %u", last) : text_of("%u shards", count);
}

static struct size draw_cpu(const struct drawing *drawing, const struct rt_topology_cpu *cpu, int x,
                            int y, bool draw)
{
    static const char *const kinds[] = {
        [RT_CPU_ALLOWED] = "free",
        [RT_CPU_DISALLOWED] = "closed",
        [RT_CPU_OFFLINE] = "offline",
        [RT_CPU_MASKED] = "closed",
    };
    static const char *const words[] = {
        [RT_CPU_ALLOWED] = "",
        [RT_CPU_DISALLOWED] = "cpuset",
        [RT_CPU_OFFLINE] = "offline",
        [RT_CPU_MASKED] = "affinity",
    };
    char *shards;
    char *name;

    if (draw) {
        shards = shards_on(drawing, cpu->number);
        name = text_of("CPU %d", cpu->number);
        printf("<rect class=\"cpu %s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/>\n",
               shards != NULL ? "shard" : kinds[cpu->state], x, y, CPU_WIDTH, CPU_HEIGHT);
        draw_text(x + CPU_WIDTH / 2, y + 16, "name", name);
        draw_text(x + CPU_WIDTH / 2, y + 32, shards != NULL ? "bold" : "name",
                  shards != NULL ? shards : words[cpu->state]);
        free(shards);
        free(name);
    }
    return (struct size){ CPU_WIDTH, CPU_HEIGHT };
}

static char *box_title(const struct drawing *drawing, enum box box, int32_t number)
{
    switch (box) {
    case BOX_PACKAGE:
        return text_of("package %d", number);
    case BOX_NODE:
        for (uint32_t i = 0; i < drawing->machine->node_count; i++) {
            const struct rt_topology_node *node = &drawing->machine->nodes[i];

            if (node->number == number && node->bytes >> 30 > 0) {
                return text_of("memory node %d, %" PRIu64 " GiB", number, node->bytes >> 30);
            }
        }
        return text_of("memory node %d", number);
    case BOX_CACHE:
        return text_of("cache %d", number);
    case BOX_CORE:
    case BOX_MACHINE:
    case BOX_CPU:
        return NULL;
    }
    return NULL;
}

static struct size draw_box(const struct drawing *drawing, enum box box, uint32_t first,
                            uint32_t end, int x, int y, bool draw);

/* The boxes in a box, in rows from left to right. */
static struct size draw_inside(const struct drawing *drawing, enum box box, uint32_t first,
                               uint32_t end, int x, int y, bool draw)
{
    struct size all = { 0, 0 };
    int left = 0;
    int top = 0;

    for (uint32_t i = first, next; i < end; i = next) {
        struct size one;

        next = run_end(drawing, box, i, end);
        one = draw_box(drawing, box, i, next, 0, 0, false);
        if (left > 0 && left + one.width > ROW_WIDTH) {
            left = 0;
            top = all.height + GAP;
        }
        if (draw) {
            (void)draw_box(drawing, box, i, next, x + left, y + top, true);
        }
        left += one.width + GAP;
        all.width = left - GAP > all.width ? left - GAP : all.width;
        all.height = top + one.height > all.height ? top + one.height : all.height;
    }
    return all;
}

static struct size draw_box(const struct drawing *drawing, enum box box, uint32_t first,
                            uint32_t end, int x, int y, bool draw)
{
    static const char *const kinds[] = { "", "package", "node", "cache", "core", "" };
    const struct rt_topology_cpu *cpu = &drawing->machine->cpus[first];
    const int32_t number = box_number(cpu, box);
    struct size size;
    char *title;
    int top;

    if (box == BOX_CPU) {
        return draw_cpu(drawing, cpu, x, y, draw);
    }
    if (number < 0) { /* the machine has none of these */
        return draw_inside(drawing, box + 1, first, end, x, y, draw);
    }
    title = box_title(drawing, box, number);
    top = title != NULL ? TITLE : GAP / 2;
    size = draw_inside(drawing, box + 1, first, end, 0, 0, false);
    size.width += 2 * GAP;
    size.height += top + GAP;
    if (draw) {
        printf("<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>\n",
               kinds[box], x, y, size.width, size.height);
        if (title != NULL) {
            draw_text(x + GAP, y + TITLE - 5, "title", title);
        }
        (void)draw_inside(drawing, box + 1, first, end, x + GAP, y + top, true);
    }
    free(title);
    return size;
}

/* Offline CPUs are behind all others, and nothing is known of where they are. */
static struct size draw_offline(const struct drawing *drawing, int x, int y, bool draw)
{
    return draw_inside(drawing, BOX_CPU, drawing->cpu_count, drawing->machine->cpu_count, x, y,
                       draw);
}

static void draw_head(const struct rt_plan *plan, struct size size)
{
    static const char *const places[] = { "core", "pu", "spread", "pack", "unbound", "near" };
    char *title = text_of("%u shard%s by place %s%s", plan->shard_count,
                          plan->shard_count == 1 ? "" : "s", places[plan->place],
                          plan->place == RT_PLACE_UNBOUND ? ": on any CPU that is free" : "");

    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
           "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
           "<style>\n"
           "text { font: 11px sans-serif; fill: #222 }\n"
           ".head { font-size: 15px; font-weight: bold }\n"
           ".name, .bold { text-anchor: middle }\n"
           ".bold { font-weight: bold }\n"
           "rect { stroke: #666; fill: #fff }\n"
           ".package { fill: #eceff1 } .node { fill: #e3f2e6 } .cache { fill: #fdf6e3 }\n"
           ".shard { fill: #90caf9; stroke: #1565c0 }\n"
           ".closed { fill: #ddd } .offline { fill: #fff; stroke-dasharray: 3 3 }\n"
           "</style>\n"
           "<rect style=\"stroke: none\" width=\"%d\" height=\"%d\"/>\n",
           size.width, size.height, size.width, size.height, title, size.width, size.height);
    draw_text(MARGIN, MARGIN + 12, "head", title);
    free(title);
}

void show_svg(const struct view *view)
{
    struct drawing drawing = { .machine = view->machine };
    struct size boxes;
    struct size offline;
    struct size whole;
    const int top = MARGIN + 28;

    for (int place = PLACES - 1; place >= 0; place--) { /* of all, that of the first place */
        if (view->by_place[place].plan != NULL) {
            drawing.plan = view->by_place[place].plan;
        }
    }
    for (uint32_t i = 0; i < view->machine->cpu_count; i++) {
        drawing.cpu_count += view->machine->cpus[i].state != RT_CPU_OFFLINE;
    }
    boxes = draw_inside(&drawing, BOX_PACKAGE, 0, drawing.cpu_count, 0, 0, false);
    offline = draw_offline(&drawing, 0, 0, false);
    whole.width = (boxes.width > offline.width ? boxes.width : offline.width) + 2 * MARGIN;
    whole.width = whole.width < 320 ? 320 : whole.width; /* room for the title */
    whole.height = top + boxes.height + (offline.height > 0 ? offline.height + GAP : 0) + MARGIN;
    draw_head(drawing.plan, whole);
    (void)draw_inside(&drawing, BOX_PACKAGE, 0, drawing.cpu_count, MARGIN, top, true);
    (void)draw_offline(&drawing, MARGIN, top + boxes.height + GAP, true);
    printf("</svg>\n");
}
