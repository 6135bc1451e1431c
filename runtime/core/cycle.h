/* SPDX-License-Identifier: MIT */
/*
 * Cycle: tasks that wait for each other in a ring, on one shard or over several.
 *
 * Some waits are for one task: a join, a mutex that is held, a call that another
 * shard's task runs. Each is a link from who waits to whom it waits for. Shards
 * list their links when they write a dump, and who asked for the dump looks for
 * rings in all of them together. So nothing is kept while tasks run.
 *
 *     task 3 of shard 0 --call--> task 7 of shard 1 --call--> task 9 of shard 0
 *            ^                                                        |
 *            +------------------------- mutex ------------------------+
 *
 * Shards are looked at one after the other, while they run. A ring is real all the same:
 *
 * Y1 Only waits that began before anybody was asked are listed, so at the first look all of
 *    them lasted.
 * Y2 A link into another shard names the record of the call as well. The task at its
 *    end counts only if it runs that call.
 */
#ifndef RTI_CORE_CYCLE_H
#define RTI_CORE_CYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/text.h"
#include "rt/base.h"

struct rt_call;
struct rti_executor;

#define RTI_LINKS_MAX       10000 /* of one shard; what is beyond is not looked at */
#define RTI_LINK_NAME_BYTES 32

struct rti_link {
    const struct rt_call *runs;   /* the call that the task runs, or NULL */
    const struct rt_call *awaits; /* the call that it waits for; NULL: a task of its own shard */
    const char *wait;             /* what it waits for, as dumps show it */
    uint32_t shard;
    uint32_t task;
    uint32_t generation;
    uint32_t to_shard;
    uint32_t to_task;
    char name[RTI_LINK_NAME_BYTES]; /* of the task; "" = none */
};

/* In the order of shards and tasks. Zeroes are none. */
struct rti_links {
    struct rti_link *links;
    uint32_t count;
    uint32_t room;
    bool failed;    /* there was no memory for all of them */
    bool truncated; /* at RTI_LINKS_MAX */
};

/* The links of a shard, of waits that began before `asked` (Y1). On its thread. */
void rti_links_collect(struct rti_links *links, const struct rti_executor *executor, uint32_t shard,
                       rt_time asked);

/* Add those of the next shard, which are freed. */
void rti_links_append(struct rti_links *links, struct rti_links *more);

void rti_links_fini(struct rti_links *links);

/* Each ring once, from its first task on, into `text`: lines, or a JSON array of arrays. */
void rti_cycles_find(struct rti_text *text, const struct rti_links *links, bool json);

#endif /* RTI_CORE_CYCLE_H */
