/* SPDX-License-Identifier: MIT */
/*
 * Cycle: what the watch tells of looks that follow each other: rings that are there twice, once.
 *
 * Method: links by hand, as of two shards that are asked one after the other. That the watch asks
 * as it should is shown by sim/wait_cycle_test.
 */
#include "support/harness.h"

#include <string.h>

#include "os/sys.h"
#include "support/cycle_links.h"

static void a_ring_is_told_when_it_was_there_twice_and_then_no_more(void **state)
{
    struct rti_link first[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
    struct rti_link second[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
    struct rti_link third[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
    struct rti_links before = list_of(first, 2);
    struct rti_links now = list_of(second, 2);
    struct rti_links later = list_of(third, 2);

    (void)state;
    assert_told(&before, "");
    rti_links_compare(&now, &before);
    assert_told(&now, THE_RING);
    assert_told(&now, "");
    rti_links_compare(&later, &now);
    assert_told(&later, "");
}

/* Each thing in which a wait can differ from the one of the same task before. */
static void a_ring_one_of_whose_waits_is_another_one_is_not_told(void **state)
{
    (void)state;
    for (unsigned what = 0; what < 6; what++) {
        struct rti_link first[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
        struct rti_link second[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
        struct rti_links before = list_of(first, 2);
        struct rti_links now = list_of(second, 2);

        first[1].since += what == 0;
        first[1].generation += what == 1;
        first[1].wait = what == 2 ? "calls" : first[1].wait;
        first[1].awaits += what == 3;
        first[1].to_task += what == 4;
        before.count -= what == 5; /* it was not there */
        rti_links_compare(&now, &before);
        assert_true(second[0].again);
        assert_told(&now, "");
    }
}

static void links_of_a_shard_that_was_not_asked_are_there_again(void **state)
{
    struct rti_link first[] = { make(0, 1, 0, 0, 3, 0), make(0, 2, 3, 1, 5, 7),
                                make(1, 5, 7, 0, 2, 3), make(2, 1, 0, 2, 2, 0) };
    struct rti_link answered[] = { make(1, 5, 7, 0, 2, 3) };
    struct rti_links before = list_of(first, 4);
    struct rti_links answer = { .links = rti_sys_alloc(sizeof(answered)), .count = 1, .room = 1 };
    struct rti_links now = { .links = NULL };

    (void)state;
    assert_non_null(answer.links);
    answer.links[0] = answered[0];
    rti_links_append_old(&now, &before, 0);
    rti_links_append(&now, &answer);
    rti_links_compare(&now, &before);
    assert_int_equal(now.count, 3); /* nothing of shard 2 */
    assert_told(&now, THE_RING);
    rti_links_fini(&now);
}

/* What waits for a task of another shard is not asked again when that has ended. */
static void a_link_to_a_task_whose_slot_is_another_ones_by_now_is_in_no_ring(void **state)
{
    struct rti_link links[] = { make(0, 2, 3, 1, 5, 0), make(1, 5, 0, 0, 2, 3) };
    struct rti_links all = list_of(links, 2);
    struct rti_text text = { .data = NULL };

    (void)state;
    links[0].again = true;
    links[1].again = true;
    links[0].to_generation = 8;
    links[1].generation = 9;
    assert_told(&all, "");
    links[1].generation = 8;
    rti_cycles_tell(&text, &all);
    assert_non_null(strstr(text.data, "wait cycle: 2 tasks wait for each other\n"));
    rti_text_fini(&text);
}

static void a_ring_that_a_deadline_ends_says_so(void **state)
{
    struct rti_link links[] = { make(0, 2, 3, 1, 5, 7), make(1, 5, 7, 0, 2, 3) };
    struct rti_links all = list_of(links, 2);
    struct rti_text text = { .data = NULL };

    (void)state;
    links[0].again = true;
    links[1].again = true;
    links[1].until = 1; /* long ago: it is about to end */
    rti_cycles_tell(&text, &all);
    assert_non_null(
        strstr(text.data, "wait for each other until a deadline ends a wait, in 0 ms\n"));
    rti_text_fini(&text);
    rti_cycles_find(&text, &all, false);
    assert_non_null(strstr(text.data, "can go on until a deadline ends a wait, in 0 ms\n"));
    rti_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_told_when_it_was_there_twice_and_then_no_more),
        cmocka_unit_test(a_ring_one_of_whose_waits_is_another_one_is_not_told),
        cmocka_unit_test(links_of_a_shard_that_was_not_asked_are_there_again),
        cmocka_unit_test(a_link_to_a_task_whose_slot_is_another_ones_by_now_is_in_no_ring),
        cmocka_unit_test(a_ring_that_a_deadline_ends_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
