/* SPDX-License-Identifier: MIT */
/* Links by hand, for the tests of rings of waits (core/cycle.h). */
#ifndef RT_TEST_CYCLE_LINKS_H
#define RT_TEST_CYCLE_LINKS_H

#include "support/harness.h"

#include "core/cycle.h"
#include "rt/call.h"

static struct rt_call records[10];

/* The link of one task; it runs record `runs` and waits for `awaits`, 0: none. */
static inline struct rti_link make(uint32_t shard, uint32_t task, uint32_t runs, uint32_t to_shard,
                                   uint32_t to_task, uint32_t awaits)
{
    struct rti_link link = {
        .runs = runs > 0 ? &records[runs] : NULL,
        .awaits = awaits > 0 ? &records[awaits] : NULL,
        .wait = awaits > 0 ? "call" : "join",
        .shard = shard,
        .task = task,
        .to_shard = to_shard,
        .to_task = to_task,
        .until = RT_NEVER,
    };

    snprintf(link.name, sizeof(link.name), "%u.%u", shard, task);
    return link;
}

static inline struct rti_links list_of(struct rti_link *links, uint32_t count)
{
    return (struct rti_links){ .links = links, .count = count, .room = count };
}

static inline void assert_told(struct rti_links *links, const char *expected)
{
    struct rti_text text = { .data = NULL };

    rti_cycles_tell(&text, links);
    assert_false(text.failed || links->failed);
    assert_string_equal(text.data != NULL ? text.data : "", expected);
    rti_text_fini(&text);
}

#define THE_RING \
    "wait cycle: 2 tasks wait for each other\n" \
    "wait cycle: task 2 '0.2' (shard 0) waits in call for task 5 '1.5' (shard 1)\n" \
    "wait cycle: task 5 '1.5' (shard 1) waits in call for task 2 '0.2' (shard 0)\n"

#endif /* RT_TEST_CYCLE_LINKS_H */
