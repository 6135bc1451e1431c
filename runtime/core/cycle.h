/* SPDX-License-Identifier: MIT */
/*
 * Cycle: tasks that wait for each other in a ring, on one shard or over several.
 *
 * Some waits are for one task: a join, a mutex that is held, a call that another
 * shard's task runs. Each is a link from who waits to whom it waits for; a wait for
 * several tasks that must all end (a group) is a link to one of them, for that one alone
 * can hold it up. Shards list their links when they are asked, and who asked looks for
 * rings in all of them together: who wants a dump, or the watch (shard/cycles.h). So
 * nothing is kept while tasks run.
 *
 *     task 3 of shard 0 --call--> task 7 of shard 1 --call--> task 9 of shard 0
 *            ^                                                        |
 *            +------------------------- mutex ------------------------+
 *
 * Shards are looked at one after the other, while they run. A ring is real all the same:
 *
 * Y1 Only waits that began before anybody was asked are listed, so at the first look all of
 *    them lasted. The beginning is known by turns only: one that began later in the turn in
 *    which somebody was asked is taken for older.
 * Y2 A link into another shard names the record of the call; the task that runs it is at its
 *    end, whenever that started. One that names a task there names its generation too: the task
 *    may have ended, and its slot be another's, while the wake of who waits is under way.
 * Y3 The watch reports by itself, so it must be right: it looks twice, and a ring counts when
 *    each of its links was there both times. A link that was has lasted between: its wait is
 *    older than the first look, for it bears the same turn. So between the looks the whole ring
 *    was there.
 * Y4 A shard whose tasks have not run since the first look is not asked again: its links are
 *    what they were. So what a link says depends on its own shard only: not on whether another
 *    one has started a call by now.
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
    const struct rt_call *awaits; /* the call that it waits for, or NULL */
    const char *wait;             /* what it waits for, as dumps show it */
    rt_time since;                /* the turn in which the wait began */
    rt_time until;                /* its deadline; RT_NEVER */
    uint32_t shard;
    uint32_t task;
    uint32_t generation;
    uint32_t to_shard;
    uint32_t to_task;               /* valid when `awaits` is NULL */
    uint32_t to_generation;         /* likewise; 0: whatever that task's is (Y2) */
    bool again;                     /* it was there at the look before, too (Y3) */
    bool told;                      /* the watch has reported its ring */
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

/* Add what was found on the shard at an earlier look, `old`; no task of it has run since (Y4). */
void rti_links_append_old(struct rti_links *links, const struct rti_links *old, uint32_t shard);

/* Mark those that were in `old` already (Y3), and what had been told of them. */
void rti_links_compare(struct rti_links *links, const struct rti_links *old);

void rti_links_fini(struct rti_links *links);

/* Each ring once, from its first task on, into `text`: lines, or a JSON array of arrays. */
void rti_cycles_find(struct rti_text *text, const struct rti_links *links, bool json);

/* Likewise, lines of those rings all of whose links were there again, and that were not told
 * before: now they are. */
void rti_cycles_tell(struct rti_text *text, struct rti_links *links);

#endif /* RTI_CORE_CYCLE_H */
