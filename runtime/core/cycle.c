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
            .shard = shard,
            .task = i,
            .generation = task->generation,
            .to_shard = whom.shard,
            .to_task = whom.task,
        };
        snprintf(link->name, sizeof(link->name), "%s", task->name != NULL ? task->name : "");
    }
}

/* Rings */

static int compare(const void *key, const void *element)
{
    const struct rti_link *from = key;
    const struct rti_link *to = element;

    if (from->to_shard != to->shard) {
        return from->to_shard < to->shard ? -1 : 1;
    }
    return (from->to_task > to->task) - (from->to_task < to->task);
}

/* The link at whose task this one ends, or NULL: that waits for no single task. */
static const struct rti_link *next_of(const struct rti_links *links, const struct rti_link *link)
{
    const struct rti_link *next = bsearch(link, links->links, links->count, sizeof(*link), compare);

    return next != NULL && link->awaits != NULL && next->runs != link->awaits ? NULL
                                                                              : next; /* Y2 */
}

static void text_link(struct rti_text *text, const struct rti_link *link,
                      const struct rti_link *next)
{
    rti_text_add(text, "  task %u '", link->task);
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

/* The ring in which `first` stands. */
static void write_ring(struct rti_text *text, const struct rti_links *links,
                       const struct rti_link *first, bool json)
{
    const struct rti_link *link = first;
    unsigned written = 0;

    rti_text_add(text, json ? "[" : "\nwait cycle: none of these tasks can go on\n");
    do {
        const struct rti_link *next = next_of(links, link);

        if (json) {
            rti_text_add(text, "%s", written++ > 0 ? "," : "");
            json_link(text, link);
        } else {
            text_link(text, link, next);
        }
        link = next;
    } while (link != first);
    rti_text_add(text, json ? "]" : "");
}

/* Walk from each link on, until one that was walked from before: if that was in this walk, it
 * stands in a ring. */
static void walk(struct rti_text *text, const struct rti_links *links, uint32_t *walks, bool json)
{
    unsigned rings = 0;

    for (uint32_t i = 0; i < links->count; i++) {
        const struct rti_link *link = &links->links[i];

        while (link != NULL && walks[link - links->links] == 0) {
            walks[link - links->links] = i + 1;
            link = next_of(links, link);
        }
        if (link != NULL && walks[link - links->links] == i + 1) {
            rti_text_add(text, "%s", json && rings++ > 0 ? "," : "");
            write_ring(text, links, link, json);
        }
    }
}

void rti_cycles_find(struct rti_text *text, const struct rti_links *links, bool json)
{
    uint32_t *walks = links->count > 0 ? rti_sys_alloc(links->count * sizeof(*walks)) : NULL;
    const bool failed = links->failed || (links->count > 0 && walks == NULL);

    if (json) {
        rti_text_add(text, "\"wait_cycles\":[");
    }
    if (walks != NULL) {
        walk(text, links, walks, json);
    }
    if (json) {
        rti_text_add(text, "],\"wait_cycles_complete\":%s",
                     failed || links->truncated ? "false" : "true");
    } else if (failed) {
        rti_text_add(text, "\nthere was no memory to look for all wait cycles\n");
    } else if (links->truncated) {
        rti_text_add(text, "\nwait cycles were looked for among %d tasks per shard only\n",
                     RTI_LINKS_MAX);
    }
    rti_sys_free(walks);
}
