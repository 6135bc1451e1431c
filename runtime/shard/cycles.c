/* SPDX-License-Identifier: MIT */
/* Cycles: see cycles.h. */
#include "shard/cycles.h"

#include <errno.h>
#include <string.h>

#include "core/executor.h"
#include "os/explain.h"
#include "os/sys.h"
#include "shard/runtime.h"

#define NOT_YET RT_MILLISECONDS(10) /* until the shards were let go */

/* A shard answers between two task runs: mostly at once. Who has not by then is busy in one task,
 * and that goes on, so it is in no ring. */
#define ANSWER_POLL RT_MILLISECONDS(1)
#define ANSWER_TIME RT_MILLISECONDS(100)

/* Between looks when a stop lasts too long: two of them fit well before the end of the process. */
#define HURRY RT_MILLISECONDS(20)

/* Asking */

/* Whether a task of the shard has run since its answer (Y4). */
static bool has_worked(const struct rt_runtime *runtime, uint32_t index)
{
    const struct rti_executor *executor = runtime->shards[index].executor;

    /* Stored by the shard in rti_executor_run_tasks(). A store that this misses was made just now,
     * long after the answers of the look before, which is what counts (Y3). */
    return __atomic_load_n(&executor->ran_in, __ATOMIC_RELAXED) >=
           runtime->watch.cycles.shards[index].turn;
}

static bool has_any_worked(const struct rt_runtime *runtime)
{
    bool worked = false;

    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        worked = worked || has_worked(runtime, i);
    }
    return worked;
}

/* Whether there is anybody to wait for. For all waits, also those that have begun only now (Y1):
 * what a shard leaves out it would not be asked for again. */
static bool ask(struct rt_runtime *runtime)
{
    const struct rti_dump_request request = { .asked = RT_NEVER, .flags = RTI_DUMP_LINKS_ONLY };
    struct rti_mesh *mesh = &runtime->mesh;
    bool asks = false;

    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        struct rti_cycles_shard *shard = &runtime->watch.cycles.shards[i];

        shard->asked = has_worked(runtime, i);
        if (shard->asked) {
            rti_dumps_ask(NULL, mesh->shards[i], RTI_DUMPS_OF_WATCH,
                          (struct rt_waker){ .task = NULL }, &request);
            asks = true;
        }
    }
    return asks;
}

/* Add the answer of a shard, or nothing (C1). */
static void take_answer(struct rt_runtime *runtime, uint32_t index, struct rti_links *links)
{
    struct rti_cycles_shard *shard = &runtime->watch.cycles.shards[index];
    struct rti_dump dump = { .text.data = NULL };

    if (rti_dumps_take(runtime->mesh.shards[index], RTI_DUMPS_OF_WATCH, &dump) == RTI_DUMP_DONE) {
        shard->turn = dump.turn;
        rti_links_append(links, &dump.links);
    } else {
        shard->turn = 0;
    }
    rti_dump_fini(&dump);
}

/* Telling */

static void log_lines(const struct rt_runtime *runtime, char *line)
{
    char *end;

    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        rti_log(&runtime->log, RT_LOG_WARNING, "%s", line);
        line = end + 1;
    }
}

static void tell(struct rt_runtime *runtime, struct rti_links *links)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;
    struct rti_text text = { .data = NULL };

    rti_cycles_tell(&text, links);
    if (text.failed || links->failed) {
        rti_log(&runtime->log, RT_LOG_WARNING,
                "wait cycle: there was no memory to look for all wait cycles of '%s'",
                runtime->config.name);
    }
    if (text.data != NULL) {
        log_lines(runtime, text.data);
    }
    if (links->truncated && !cycles->truncated) {
        cycles->truncated = true;
        rti_log(&runtime->log, RT_LOG_WARNING,
                "wait cycle: they are looked for among %d tasks per shard of '%s' only",
                RTI_LINKS_MAX, runtime->config.name);
    }
    rti_text_fini(&text);
}

/* All that was asked for has come, or will not. */
static void end_look(struct rt_runtime *runtime)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;
    struct rti_links links = { .links = NULL };

    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        if (cycles->shards[i].asked) {
            take_answer(runtime, i, &links);
        } else {
            rti_links_append_old(&links, &cycles->links, i);
        }
    }
    rti_links_compare(&links, &cycles->links);
    rti_links_fini(&cycles->links);
    tell(runtime, &links);
    cycles->links = links;
    cycles->asks = false;
}

/* Public */

/* Between looks. When a hurry is seen first, one is due at once. */
static rt_time period_of(struct rt_runtime *runtime)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;

    /* pairs with the release in rti_cycles_hurry() */
    if (__atomic_load_n(&cycles->hurries, __ATOMIC_ACQUIRE) == 0) {
        return runtime->config.wait_cycles;
    }
    if (!cycles->hurried) {
        cycles->hurried = true;
        cycles->due = 0;
    }
    return HURRY;
}

/* The watch for stalls is told when a shard wakes; without it there is nobody to be told. */
static bool is_woken_by_shards(const struct rt_runtime *runtime)
{
    return __atomic_load_n(&runtime->watch.watcher.parked, __ATOMIC_RELAXED) != 0;
}

rt_time rti_cycles_look(struct rt_runtime *runtime)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;
    const rt_time period = period_of(runtime);
    const rt_time now = rti_sys_now();

    if (period == RT_WAIT_CYCLES_OFF) {
        return RT_NEVER;
    }
    if (!rti_runtime_runs(runtime)) {
        return rti_time_add(now, NOT_YET);
    }
    if (cycles->asks && !rti_dumps_answered(&runtime->mesh, RTI_DUMPS_OF_WATCH) &&
        now - cycles->asked_at < ANSWER_TIME) {
        return now + ANSWER_POLL;
    }
    if (cycles->asks) {
        end_look(runtime);
    } else if (now >= cycles->due) {
        cycles->due = rti_time_add(now, period);
        cycles->asked_at = now;
        cycles->asks = ask(runtime);
        if (cycles->asks) {
            cycles->settled = false;
            return now + ANSWER_POLL;
        }
        if (!cycles->settled) {
            cycles->settled = true;
            end_look(runtime);
        }
    }
    /* In this order: all shards sleep, so one that works from now on wakes the watch. One that has
     * worked since the last look did so before that look was due, and wakes nobody any more. */
    return cycles->settled && is_woken_by_shards(runtime) && !has_any_worked(runtime) ? RT_NEVER
                                                                                      : cycles->due;
}

void rti_cycles_hurry(struct rti_cycles *cycles)
{
    __atomic_store_n(&cycles->hurries, 1, __ATOMIC_RELEASE); /* pairs with period_of() */
}

int rti_cycles_begin(struct rt_runtime *runtime)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;

    cycles->shards = rti_sys_alloc(runtime->mesh.shard_count * sizeof(*cycles->shards));
    if (cycles->shards == NULL) {
        rti_explain_memory(&runtime->log, "the watch for wait cycles", -ENOMEM);
        return -ENOMEM;
    }
    return 0;
}

void rti_cycles_end(struct rt_runtime *runtime)
{
    struct rti_cycles *cycles = &runtime->watch.cycles;

    for (uint32_t i = 0; cycles->asks && i < runtime->mesh.shard_count; i++) {
        if (cycles->shards[i].asked) {
            take_answer(runtime, i, &cycles->links);
        }
    }
    rti_links_fini(&cycles->links);
    rti_sys_free(cycles->shards);
    cycles->shards = NULL;
}
