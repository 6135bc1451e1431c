/* SPDX-License-Identifier: MIT */
/* Cycle: see cycle.h. Each task waits for one other at most, so a ring is found by walking on. */
#include "core/cycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/executor.h"
#include "os/sys.h"

#define FIRST_ROOM 16u

/* Links */

static bool reserve(struct rti_links *links, uint32_t count)
{
    uint32_t room = links->room > 0 ? links->room : FIRST_ROOM;
    struct rti_link *grown;

    if (links->count + count <= links->room) {
        return true;
    }
    while (room < links->count + count) {
        room *= 2;
    }
    grown = rti_sys_alloc(room * sizeof(*grown));
    if (grown == NULL) {
        links->failed = true;
        return false;
    }
    if (links->count > 0) {
        memcpy(grown, links->links, links->count * sizeof(*grown));
    }
    rti_sys_free(links->links);
    links->links = grown;
    links->room = room;
    return true;
}

void rti_links_fini(struct rti_links *links)
{
    rti_sys_free(links->links);
    *links = (struct rti_links){ .links = NULL };
}

void rti_links_append(struct rti_links *links, struct rti_links *more)
{
    links->failed |= more->failed;
    links->truncated |= more->truncated;
    if (more->count > 0 && reserve(links, more->count)) {
        memcpy(links->links + links->count, more->links, more->count * sizeof(*more->links));
        links->count += more->count;
    }
    rti_links_fini(more);
}

static int compare(const void *key, const void *element);

/* The link of a task, or NULL. */
static struct rti_link *link_from(const struct rti_links *links, uint32_t shard, uint32_t task)
{
    const struct rti_link key = { .to_shard = shard, .to_task = task };

    return links->count == 0 ? NULL
                             : bsearch(&key, links->links, links->count, sizeof(key), compare);
}

void rti_links_append_old(struct rti_links *links, const struct rti_links *old, uint32_t shard)
{
    uint32_t i = 0;

    while (i < old->count && old->links[i].shard < shard) {
        i++;
    }
    for (; i < old->count && old->links[i].shard == shard && reserve(links, 1); i++) {
        links->links[links->count++] = old->links[i];
    }
}

static bool is_same_wait(const struct rti_link *a, const struct rti_link *b)
{
    return a->generation == b->generation && a->since == b->since && a->wait == b->wait &&
           a->runs == b->runs && a->awaits == b->awaits && a->to_shard == b->to_shard &&
           a->to_task == b->to_task;
}

void rti_links_compare(struct rti_links *links, const struct rti_links *old)
{
    for (uint32_t i = 0; i < links->count; i++) {
        struct rti_link *link = &links->links[i];
        const struct rti_link *before = link_from(old, link->shard, link->task);

        if (before != NULL && is_same_wait(before, link)) {
            link->again = true;
            link->told = before->told;
        }
    }
}

/* The wait of a fiber that is for one task. A future may wait for several things. */
static const struct rti_waiter *link_of(const struct rt_task *task, rt_time asked)
{
    const struct rti_waiter *waiter = task->waiter;

    if ((task->state & (RTI_TASK_CLOSED | RTI_TASK_FUTURE)) != 0 || waiter == NULL ||
        waiter->done || waiter->kind->whom == NULL || waiter->since > asked) {
        return NULL;
    }
    return waiter;
}

void rti_links_collect(struct rti_links *links, const struct rti_executor *executor, uint32_t shard,
                       rt_time asked)
{
    const struct rt_task *task;

    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        const struct rti_waiter *waiter = link_of(task, asked);
        struct rti_whom whom = { .shard = shard };
        struct rti_link *link;

        if (waiter == NULL || !waiter->kind->whom(waiter, &whom)) {
            continue;
        }
        links->truncated = links->count == RTI_LINKS_MAX;
        if (links->truncated || !reserve(links, 1)) {
            return;
        }
        link = &links->links[links->count++];
        *link = (struct rti_link){
            .runs = task->call,
            .awaits = whom.call,
            .wait = waiter->kind->name,
            .since = waiter->since,
            .until = rti_timer_deadline(&waiter->timer),
            .shard = shard,
            .task = i,
            .generation = task->generation,
            .to_shard = whom.shard,
            .to_task = whom.task,
            .to_generation = whom.generation,
        };
        snprintf(link->name, sizeof(link->name), "%s", task->name != NULL ? task->name : "");
    }
}

/* Rings */

/* What is done with each ring, of which `first` is one. */
struct finder {
    void (*found)(struct finder *finder, const struct rti_link *first);
    const struct rti_links *links;
    const struct rti_link **runners; /* those whose task runs a call, in the order of records */
    uint32_t runner_count;
    uint32_t *walks; /* of each link: the walk that came by, from 1; 0: none */
    struct rti_text *text;
    unsigned rings;
    bool json;
};

static int compare(const void *key, const void *element)
{
    const struct rti_link *from = key;
    const struct rti_link *to = element;

    if (from->to_shard != to->shard) {
        return from->to_shard < to->shard ? -1 : 1;
    }
    return (from->to_task > to->task) - (from->to_task < to->task);
}

static int compare_records(const struct rt_call *a, const struct rt_call *b)
{
    return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static int compare_runners(const void *a, const void *b)
{
    return compare_records((*(const struct rti_link *const *)a)->runs,
                           (*(const struct rti_link *const *)b)->runs);
}

static int compare_runner(const void *key, const void *element)
{
    return compare_records(key, (*(const struct rti_link *const *)element)->runs);
}

/* The link whose task runs the call, or NULL (Y2). */
static const struct rti_link *runner_of(const struct finder *finder, const struct rt_call *call)
{
    const struct rti_link **found = bsearch(call, finder->runners, finder->runner_count,
                                            sizeof(const struct rti_link *), compare_runner);

    return found != NULL ? *found : NULL;
}

/* The link at whose task this one ends, or NULL: that waits for no single task. */
static const struct rti_link *next_of(const struct finder *finder, const struct rti_link *link)
{
    const struct rti_link *next;

    if (link->awaits != NULL) {
        return runner_of(finder, link->awaits);
    }
    next = link_from(finder->links, link->to_shard, link->to_task);
    if (next != NULL && link->to_generation != 0 && link->to_generation != next->generation) {
        return NULL; /* that task has ended (Y2) */
    }
    return next;
}

static void text_link(struct rti_text *text, const struct rti_link *link,
                      const struct rti_link *next)
{
    rti_text_add(text, "task %u '", link->task);
    rti_text_add_name(text, link->name, 0, RTI_LINK_NAME_BYTES);
    rti_text_add(text, "' (shard %u) waits in %s for task %u '", link->shard, link->wait,
                 next->task);
    rti_text_add_name(text, next->name, 0, RTI_LINK_NAME_BYTES);
    rti_text_add(text, "' (shard %u)\n", next->shard);
}

static void json_link(struct rti_text *text, const struct rti_link *link)
{
    rti_text_add(text, "{\"shard\":%u,\"id\":%u,\"generation\":%u,\"name\":", link->shard,
                 link->task, link->generation);
    rti_text_add_json(text, link->name);
    rti_text_add(text, ",\"waits_for\":");
    rti_text_add_json(text, link->wait);
    rti_text_add(text, "}");
}

/* False when there is no memory to look. */
static bool prepare(struct finder *finder)
{
    const struct rti_links *links = finder->links;

    finder->walks = rti_sys_alloc(links->count * sizeof(*finder->walks));
    finder->runners = rti_sys_alloc(links->count * sizeof(const struct rti_link *));
    if (finder->walks == NULL || finder->runners == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < links->count; i++) {
        if (links->links[i].runs != NULL) {
            finder->runners[finder->runner_count++] = &links->links[i];
        }
    }
    qsort(finder->runners, finder->runner_count, sizeof(const struct rti_link *), compare_runners);
    return true;
}

/* From each link on, until one that was walked from before: if that was in this walk, it stands in
 * a ring. */
static void walk(struct finder *finder)
{
    const struct rti_link *links = finder->links->links;

    for (uint32_t i = 0; i < finder->links->count; i++) {
        const struct rti_link *link = &links[i];

        while (link != NULL && finder->walks[link - links] == 0) {
            finder->walks[link - links] = i + 1;
            link = next_of(finder, link);
        }
        if (link != NULL && finder->walks[link - links] == i + 1) {
            finder->found(finder, link);
        }
    }
}

/* False when there was no memory to look, or to list all links. */
static bool find(struct finder *finder)
{
    const bool can = finder->links->count == 0 || prepare(finder);

    if (can) {
        walk(finder);
    }
    rti_sys_free(finder->walks);
    rti_sys_free(finder->runners);
    return can && !finder->links->failed;
}

/* For a dump */

static rt_time earliest_end(const struct finder *finder, const struct rti_link *first)
{
    const struct rti_link *link = first;
    rt_time until = RT_NEVER;

    do {
        until = link->until < until ? link->until : until;
        link = next_of(finder, link);
    } while (link != first);
    return until;
}

static void text_end(struct rti_text *text, rt_time until)
{
    if (until != RT_NEVER) {
        const rt_time left = until - rti_sys_now();

        rti_text_add(text, " until a deadline ends a wait, in %lld ms",
                     (long long)(left > 0 ? left / 1000000 : 0));
    }
    rti_text_add(text, "\n");
}

static void write_ring(struct finder *finder, const struct rti_link *first)
{
    struct rti_text *text = finder->text;
    const struct rti_link *link = first;
    unsigned written = 0;

    rti_text_add(text, "%s", finder->json && finder->rings++ > 0 ? "," : "");
    rti_text_add(text, finder->json ? "[" : "\nwait cycle: none of these tasks can go on");
    if (!finder->json) {
        text_end(text, earliest_end(finder, first));
    }
    do {
        const struct rti_link *next = next_of(finder, link);

        if (finder->json) {
            rti_text_add(text, "%s", written++ > 0 ? "," : "");
            json_link(text, link);
        } else {
            rti_text_add(text, "  ");
            text_link(text, link, next);
        }
        link = next;
    } while (link != first);
    rti_text_add(text, finder->json ? "]" : "");
}

void rti_cycles_find(struct rti_text *text, const struct rti_links *links, bool json)
{
    struct finder finder = { .found = write_ring, .links = links, .text = text, .json = json };
    bool failed;

    if (json) {
        rti_text_add(text, "\"wait_cycles\":[");
    }
    failed = !find(&finder);
    if (json) {
        rti_text_add(text, "],\"wait_cycles_complete\":%s",
                     failed || links->truncated ? "false" : "true");
    } else if (failed) {
        rti_text_add(text, "\nthere was no memory to look for all wait cycles\n");
    } else if (links->truncated) {
        rti_text_add(text, "\nwait cycles were looked for among %d tasks per shard only\n",
                     RTI_LINKS_MAX);
    }
}

/* For the watch */

/* Whether the ring is for sure (Y3), and news. How many tasks it has. */
static bool is_to_be_told(const struct finder *finder, const struct rti_link *first,
                          unsigned *count)
{
    const struct rti_link *link = first;
    bool is_sure = true;
    bool is_told = true;

    *count = 0;
    do {
        is_sure = is_sure && link->again; /* Y3 */
        is_told = is_told && link->told;
        ++*count;
        link = next_of(finder, link);
    } while (link != first);
    return is_sure && !is_told;
}

static void tell_ring(struct finder *finder, const struct rti_link *first)
{
    const struct rti_links *links = finder->links;
    const struct rti_link *link = first;
    unsigned count;

    if (!is_to_be_told(finder, first, &count)) {
        return;
    }
    rti_text_add(finder->text, "wait cycle: %u tasks wait for each other", count);
    text_end(finder->text, earliest_end(finder, first));
    do {
        const struct rti_link *next = next_of(finder, link);

        rti_text_add(finder->text, "wait cycle: ");
        text_link(finder->text, link, next);
        links->links[link - links->links].told = true;
        link = next;
    } while (link != first);
}

void rti_cycles_tell(struct rti_text *text, struct rti_links *links)
{
    struct finder finder = { .found = tell_ring, .links = links, .text = text };

    links->failed = !find(&finder);
    for (uint32_t i = 0; text->failed && i < links->count; i++) {
        links->links[i].told = false; /* again, when there is memory */
    }
}
