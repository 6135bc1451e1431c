/* SPDX-License-Identifier: MIT */
/*
 * Dump: what the tasks of one executor do, written into a text.
 *
 * One walk over the task table counts; one walk for each state lists, so that
 * the most telling ones come first, and up to RTI_DUMP_TASKS_MAX of them. So a
 * dump of a million tasks takes two looks at each and no memory but its text.
 *
 * On the executor's thread, between two task runs or within one.
 */
#ifndef RTI_CORE_DUMP_H
#define RTI_CORE_DUMP_H

#include "core/cycle.h"
#include "core/text.h"
#include "rt/dump.h"

struct rti_executor;

#define RTI_DUMP_TASKS_MAX  1000 /* that are listed */
#define RTI_DUMP_FRAMES_MAX 32   /* of a backtrace */
#define RTI_DUMP_KINDS_MAX  64   /* of waits that are told apart in the counts */

/* Of a request's flags, beside those of enum rt_dump_flag: no text. */
#define RTI_DUMP_LINKS_ONLY (1u << 31)

/* The part of a dump that is about one shard, and what the search for rings over all of them
 * needs. */
struct rti_dump {
    struct rti_text text;
    struct rti_links links;
    uint64_t turn; /* of the shard, in which it was written: 1 or more */
};

/* What is asked of each shard. */
struct rti_dump_request {
    rt_time asked;  /* before any shard was looked at */
    uint32_t flags; /* enum rt_dump_flag, RTI_DUMP_LINKS_ONLY */
};

/* Zeroes become the dump of a shard. */
void rti_dump_shard(struct rti_dump *dump, const struct rti_executor *executor, uint32_t shard,
                    const struct rti_dump_request *request);

void rti_dump_fini(struct rti_dump *dump);

#endif /* RTI_CORE_DUMP_H */
