/* SPDX-License-Identifier: MIT */
/* Plan: what a user sees of placement. See rt/placement.h. */
#include "rt/placement.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "core/config.h"
#include "os/sys.h"
#include "shard/place.h"
#include "shard/topology.h"

/* A plan, near the disk if one is named. */
static int plan_on(struct rt_plan **out, const struct rt_topology *topology,
                   const struct rt_config *config, const struct rti_log *log)
{
    struct rti_near near;
    int r;

    if (config->place != RT_PLACE_NEAR || config->near == NULL) {
        return rti_place(out, topology, config, NULL, log);
    }
    r = rti_near_find(&near, config->near, "", log);
    return r < 0 ? r : rti_place(out, topology, config, &near, log);
}

int rti_plan_make(struct rt_plan **out, const struct rt_config *config, const struct rti_log *log)
{
    struct rt_topology *topology;
    int r = rti_topology_read(&topology, RT_TOPOLOGY_THIS, NULL, false, log);

    if (r < 0) {
        return r;
    }
    r = plan_on(out, topology, config, log);
    rt_topology_destroy(topology);
    return r;
}

int rt_plan_create(struct rt_plan **out, const struct rt_config *config)
{
    struct rt_config complete;
    struct rti_log log;
    const int r = rti_config_read(&complete, &log, config);

    RTI_ASSERT(out != NULL);
    return r < 0 ? r : rti_plan_make(out, &complete, &log);
}

int rt_plan_create_on(struct rt_plan **out, const struct rt_topology *topology,
                      const struct rt_config *config)
{
    struct rt_config complete;
    struct rti_log log;
    const int r = rti_config_read(&complete, &log, config);

    RTI_ASSERT(out != NULL && topology != NULL);
    return r < 0 ? r : plan_on(out, topology, &complete, &log);
}

void rt_plan_destroy(struct rt_plan *plan)
{
    rti_sys_free(plan);
}

/* Text that is cut to its room, but counted whole. */
struct writer {
    char *text;
    size_t bytes;
    size_t length; /* of the whole text so far */
    size_t column;
};

#define COLUMNS 80
#define INDENT  "    " /* of a line that goes on */

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
                                                      ...)
{
    const size_t used = writer->length < writer->bytes ? writer->length : writer->bytes;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(used < writer->bytes ? writer->text + used : NULL, writer->bytes - used, format,
                  arguments);
    va_end(arguments);
    writer->length += n > 0 ? (size_t)n : 0;
    writer->column += n > 0 ? (size_t)n : 0;
}

static void end_line(struct writer *writer)
{
    put(writer, "\n");
    writer->column = 0;
}

/*
 * Numbers are written as a list of CPUs is: what rises by the same step is one
 * range ("0-3,8", "0-14:2"). Two numbers are a range only if they are neighbours.
 */
struct runs {
    struct writer *writer;
    const char *before; /* the next one */
    int64_t first;
    int64_t last;
    int64_t step;
    uint32_t count; /* numbers in the run that is open */
};

static void put_run(struct runs *runs, int64_t last, int64_t step)
{
    char text[64];
    int n;

    if (last == runs->first) {
        n = snprintf(text, sizeof(text), "%lld", (long long)last);
    } else if (step == 1) {
        n = snprintf(text, sizeof(text), "%lld-%lld", (long long)runs->first, (long long)last);
    } else {
        n = snprintf(text, sizeof(text), "%lld-%lld:%lld", (long long)runs->first, (long long)last,
                     (long long)step);
    }
    put(runs->writer, "%s", runs->before);
    if (runs->writer->column + (size_t)n + 1 > COLUMNS) { /* a comma may follow */
        end_line(runs->writer);
        put(runs->writer, INDENT);
    }
    put(runs->writer, "%s", text);
    runs->before = ",";
}

/* Write the open run; of two numbers that are no neighbours, the second opens another. */
static void close_run(struct runs *runs)
{
    if (runs->count == 2 && runs->step != 1) {
        put_run(runs, runs->first, 0);
        runs->first = runs->last;
        runs->count = 1;
        return;
    }
    put_run(runs, runs->last, runs->step);
    runs->count = 0;
}

static void add_number(struct runs *runs, int64_t number)
{
    while (runs->count > 0 &&
           (number <= runs->last || (runs->count > 1 && number - runs->last != runs->step))) {
        close_run(runs);
    }
    if (runs->count == 0) {
        runs->first = number;
    } else {
        runs->step = number - runs->last;
    }
    runs->last = number;
    runs->count++;
}

static void end_runs(struct runs *runs)
{
    while (runs->count > 0) {
        close_run(runs);
    }
}

static void put_cpus(struct writer *writer, const struct rt_plan *plan)
{
    struct runs runs = { .writer = writer, .before = "" };

    put(writer, "CPU of each shard: ");
    for (uint32_t i = 0; i < plan->shard_count; i++) {
        if (i > 0 && plan->shards[i].cpu == plan->shards[0].cpu) {
            end_runs(&runs);
            put(writer, ", and again");
            break;
        }
        add_number(&runs, plan->shards[i].cpu);
    }
    end_runs(&runs);
    end_line(writer);
}

/* The lowest memory node above `above` that a shard is near, or -1. */
static int32_t next_node(const struct rt_plan *plan, int32_t above)
{
    int32_t lowest = -1;

    for (uint32_t i = 0; i < plan->shard_count; i++) {
        const int32_t node = plan->shards[i].node;

        if (node > above && (lowest < 0 || node < lowest)) {
            lowest = node;
        }
    }
    return lowest;
}

static void put_nodes(struct writer *writer, const struct rt_plan *plan)
{
    for (int32_t node = next_node(plan, -1); node >= 0; node = next_node(plan, node)) {
        struct runs runs = { .writer = writer, .before = "" };

        put(writer, "near memory node %d: shards ", node);
        for (uint32_t i = 0; i < plan->shard_count; i++) {
            if (plan->shards[i].node == node) {
                add_number(&runs, i);
            }
        }
        end_runs(&runs);
        end_line(writer);
    }
}

static const char *place_name(uint32_t place)
{
    static const char *const names[] = {
        [RT_PLACE_CORE] = "core", [RT_PLACE_PU] = "pu",           [RT_PLACE_SPREAD] = "spread",
        [RT_PLACE_PACK] = "pack", [RT_PLACE_UNBOUND] = "unbound", [RT_PLACE_NEAR] = "near",
    };

    return names[place];
}

/* Words; a line that goes on is indented. */
static void put_words(struct writer *writer, const char *text)
{
    while (*text != '\0') {
        const int n = (int)strcspn(text, " ");

        if (writer->column > strlen(INDENT) && writer->column + 1 + (size_t)n > COLUMNS) {
            end_line(writer);
            put(writer, INDENT);
        } else {
            put(writer, " ");
        }
        put(writer, "%.*s", n, text);
        text += n;
        text += strspn(text, " ");
    }
}

size_t rt_plan_format(const struct rt_plan *plan, char *text, size_t bytes)
{
    struct writer writer = { text, bytes, 0, 0 };

    put(&writer, "%u shard%s by place %s; usable: %u CPU%s on %u core%s, %u memory node%s\n",
        plan->shard_count, plan->shard_count == 1 ? "" : "s", place_name(plan->place),
        plan->cpus_allowed, plan->cpus_allowed == 1 ? "" : "s", plan->cores,
        plan->cores == 1 ? "" : "s", plan->nodes, plan->nodes == 1 ? "" : "s");
    writer.column = 0;
    if (plan->near != NULL) {
        put(&writer, "near");
        put_words(&writer, plan->near);
        end_line(&writer);
    }
    if (plan->place == RT_PLACE_UNBOUND) {
        put(&writer, "not bound: the kernel moves them between CPUs\n");
    } else {
        put_cpus(&writer, plan);
        if (plan->nodes > 1) {
            put_nodes(&writer, plan);
        }
    }
    if (plan->shared) {
        put(&writer, "more shards than CPUs: they take turns\n");
    }
    if (plan->cpu_quota > 0) {
        put(&writer, "the cgroup grants the time of %.2f CPUs\n", plan->cpu_quota);
    }
    return writer.length;
}
