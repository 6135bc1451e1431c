/* SPDX-License-Identifier: MIT */
/*
 * Cycle: rings among links, also where a call's ends do not agree (Y2), and where memory fails.
 *
 * Method: links by hand. That shards list the right ones is shown by sim/wait_cycle_test.
 */
#include "support/harness.h"

#include <string.h>

#include "os/sys.h"
#include "support/cycle_links.h"
#include "support/fault.h"

#define SHARDS 3
#define TASKS  20

static void search(struct rti_text *text, struct rti_link *links, uint32_t count, bool json)
{
    const struct rti_links all = { .links = links, .count = count, .room = count };

    rti_cycles_find(text, &all, json);
    assert_false(text->failed);
}

static void assert_found(struct rti_link *links, uint32_t count, const char *expected)
{
    struct rti_text text = { .data = NULL };

    search(&text, links, count, false);
    assert_string_equal(text.data != NULL ? text.data : "", expected);
    rti_text_fini(&text);
}

static void a_chain_that_ends_is_no_ring(void **state)
{
    struct rti_link links[] = { make(0, 1, 0, 0, 2, 0), make(0, 2, 0, 1, 5, 7),
                                make(1, 5, 7, 1, 6, 0) };

    (void)state;
    assert_found(links, 3, "");
    assert_found(links, 0, "");
}

static void a_ring_is_told_without_those_who_only_lead_into_it(void **state)
{
    struct rti_link links[] = { make(0, 1, 0, 0, 2, 0), make(0, 2, 0, 1, 5, 7),
                                make(0, 9, 8, 0, 2, 0), make(1, 5, 7, 0, 9, 8) };

    (void)state;
    assert_found(links, 4,
                 "\nwait cycle: none of these tasks can go on\n"
                 "  task 2 '0.2' (shard 0) waits in call for task 5 '1.5' (shard 1)\n"
                 "  task 5 '1.5' (shard 1) waits in call for task 9 '0.9' (shard 0)\n"
                 "  task 9 '0.9' (shard 0) waits in join for task 2 '0.2' (shard 0)\n");
}

/* The task has ended, and its slot runs another call by now. */
static void a_task_that_runs_another_call_than_the_one_awaited_closes_no_ring(void **state)
{
    struct rti_link links[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 6, 0, 2, 3) };

    (void)state;
    assert_found(links, 2, "");
    links[1].runs = &records[7];
    assert_found(links, 2,
                 "\nwait cycle: none of these tasks can go on\n"
                 "  task 2 '0.2' (shard 0) waits in call for task 5 '1.5' (shard 1)\n"
                 "  task 5 '1.5' (shard 1) waits in call for task 2 '0.2' (shard 0)\n");
}

static void json_has_all_rings(void **state)
{
    struct rti_link links[] = { make(0, 1, 0, 0, 2, 0), make(0, 2, 0, 0, 1, 0),
                                make(1, 1, 0, 1, 3, 0), make(1, 3, 0, 1, 1, 0) };
    struct rti_text text = { .data = NULL };

    (void)state;
    search(&text, links, 4, true);
    assert_string_equal(
        text.data,
        "\"wait_cycles\":["
        "[{\"shard\":0,\"id\":1,\"generation\":0,\"name\":\"0.1\",\"waits_for\":\"join\"},"
        "{\"shard\":0,\"id\":2,\"generation\":0,\"name\":\"0.2\",\"waits_for\":\"join\"}],"
        "[{\"shard\":1,\"id\":1,\"generation\":0,\"name\":\"1.1\",\"waits_for\":\"join\"},"
        "{\"shard\":1,\"id\":3,\"generation\":0,\"name\":\"1.3\",\"waits_for\":\"join\"}]"
        "],\"wait_cycles_complete\":true");
    rti_text_fini(&text);
}

/* ---- what the watch tells ---- */

/* A ring is told when there is memory, though there was none for it before. */
static void a_ring_that_could_not_be_told_is_told_later(void **state)
{
    unsigned failures = 0;
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct rti_link links[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
        struct rti_links all = list_of(links, 2);
        struct rti_text text = { .data = NULL };

        links[0].again = true;
        links[1].again = true;
        fault_begin(n);
        rti_cycles_tell(&text, &all);
        failed = fault_end();
        rti_text_fini(&text);
        assert_int_equal(failed, !links[0].told);
        failures += failed;
        if (failed) {
            all.failed = false;
            assert_told(&all, THE_RING);
        }
    }
    assert_true(failures >= 2); /* the walk, and the text */
}

/* All tasks of a shard in a row, whose last waits for the first of the next shard. */
static struct rti_links part_of(uint32_t shard)
{
    const uint32_t next = (shard + 1) % SHARDS;
    struct rti_links part = { .links = rti_sys_alloc(TASKS * sizeof(struct rti_link)) };

    if (part.links == NULL) {
        part.failed = true;
        return part;
    }
    for (uint32_t task = 0; task < TASKS - 1; task++) {
        part.links[task] = make(shard, task, task == 0 ? 1 + shard : 0, shard, task + 1, 0);
    }
    part.links[TASKS - 1] = make(shard, TASKS - 1, 0, next, 0, 1 + next);
    part.count = TASKS;
    return part;
}

static void find_in_all(struct rti_text *text)
{
    struct rti_links all = { .links = NULL };

    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        struct rti_links part = part_of(shard);

        rti_links_append(&all, &part);
        assert_null(part.links);
    }
    rti_cycles_find(text, &all, false);
    rti_links_fini(&all);
}

/* What was not looked at for lack of memory is said, or the text itself has failed. */
static void a_ring_that_memory_lacks_for_is_not_passed_over_in_silence(void **state)
{
    const int64_t blocks = fault_live_blocks();
    unsigned failures = 0;

    (void)state;
    for (unsigned n = 1;; n++) {
        struct rti_text text = { .data = NULL };
        bool failed;

        fault_begin(n);
        find_in_all(&text);
        failed = fault_end();
        if (!failed) {
            assert_non_null(strstr(text.data, "'2.19' (shard 2) waits in call for task 0 '0.0'"));
            assert_null(strstr(text.data, "no memory"));
        } else if (!text.failed) {
            assert_non_null(strstr(text.data, "there was no memory to look for all wait cycles"));
        }
        rti_text_fini(&text);
        assert_int_equal(fault_live_blocks(), blocks);
        if (!failed) {
            break;
        }
        failures++;
    }
    assert_true(failures >= 5); /* three parts, room for all of them, and the walk */
}

static void what_was_left_out_is_said(void **state)
{
    struct rti_links none = { .truncated = true };
    struct rti_text text = { .data = NULL };
    struct rti_links all = { .links = NULL };

    (void)state;
    rti_links_append(&all, &none);
    rti_cycles_find(&text, &all, true);
    assert_string_equal(text.data, "\"wait_cycles\":[],\"wait_cycles_complete\":false");
    rti_text_fini(&text);
    rti_cycles_find(&text, &all, false);
    assert_non_null(strstr(text.data, "among 10000 tasks per shard only"));
    rti_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_that_ends_is_no_ring),
        cmocka_unit_test(a_ring_is_told_without_those_who_only_lead_into_it),
        cmocka_unit_test(a_task_that_runs_another_call_than_the_one_awaited_closes_no_ring),
        cmocka_unit_test(json_has_all_rings),
        cmocka_unit_test(a_ring_that_could_not_be_told_is_told_later),
        cmocka_unit_test(a_ring_that_memory_lacks_for_is_not_passed_over_in_silence),
        cmocka_unit_test(what_was_left_out_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
