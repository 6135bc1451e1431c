/* SPDX-License-Identifier: MIT */
/*
 * The scheduler, call by call: small sets of entities whose virtual times can be worked out by
 * hand. Goals and parents are in sched_goal_test.c, random sets beside an ideal division of the
 * core in sched_property_test.c.
 */
#include "core/sched.h"

#include <errno.h>

#include "sched_fixture.h"
#include "support/fault.h"

#define MANY 100u

/* Which are there, and which can run */

static void without_runnable_entities_none_is_chosen(void **state)
{
    struct rti_sched_entity a = make(1000);

    (void)state;
    begin();
    assert_null(rti_sched_pick(&sched));
    add(&a, NULL);
    assert_null(rti_sched_pick(&sched));
    wake(&a);
    assert_ptr_equal(rti_sched_pick(&sched), &a);
    rest(&a);
    assert_null(rti_sched_pick(&sched));
    END(&a);
}

static void one_that_is_alone_is_chosen_whatever_it_has_used(void **state)
{
    struct rti_sched_entity a = make(POOREST);

    (void)state;
    begin();
    add(&a, NULL);
    wake(&a);
    for (unsigned i = 0; i < 100; i++) {
        assert_ptr_equal(run(SLICE * 1000ull), &a);
    }
    END(&a);
}

static void a_parent_is_runnable_while_one_of_its_children_is(void **state)
{
    struct rti_sched_entity parent = make(1000);
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);

    (void)state;
    begin();
    add(&parent, NULL);
    add(&a, &parent);
    add(&b, &parent);
    assert_false(rti_sched_is_runnable(&parent));
    wake(&a);
    assert_true(rti_sched_is_runnable(&parent));
    wake(&b);
    rest(&a);
    assert_true(rti_sched_is_runnable(&parent));
    assert_ptr_equal(rti_sched_pick(&sched), &b);
    rest(&b);
    assert_false(rti_sched_is_runnable(&parent));
    assert_null(rti_sched_pick(&sched));
    END(&a, &b, &parent);
}

static void any_number_of_entities_can_run(void **state)
{
    static struct rti_sched_entity entities[MANY];
    struct rti_sched_entity *all[MANY];
    bool ran[MANY] = { false };

    (void)state;
    begin();
    for (unsigned i = 0; i < MANY; i++) {
        entities[i] = make(1000);
        all[i] = &entities[i];
        add(all[i], NULL);
        if (i % 2 == 0) { /* room is made while some are runnable */
            wake(all[i]);
        }
    }
    for (unsigned i = 1; i < MANY; i += 2) {
        wake(all[i]);
    }
    for (unsigned i = 0; i < MANY; i++) { /* of the same shares: each in its turn */
        ran[run(SLICE) - entities] = true;
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(ran[i]);
    }
    end(all, MANY);
}

static void without_memory_an_entity_is_not_added(void **state)
{
    struct rti_sched_entity entities[5] = { { .shares = 1 },
                                            { .shares = 2 },
                                            { .shares = 3 },
                                            { .shares = 4 },
                                            { .shares = 5, .goal = 1 } };

    (void)state;
    begin();
    fault_begin(1);
    assert_int_equal(rti_sched_add(&sched, &entities[0], NULL), -ENOMEM);
    assert_true(fault_end());
    assert_int_equal(sched.root.members, 0);
    for (unsigned i = 0; i < 4; i++) {
        add(&entities[i], NULL);
        wake(&entities[i]);
    }
    fault_begin(1);
    assert_int_equal(rti_sched_add(&sched, &entities[4], NULL), -ENOMEM);
    assert_true(fault_end());
    assert_int_equal(sched.root.members, 4);
    assert_int_equal(sched.root.goals, 0);
    rti_sched_check(&sched);
    add(&entities[4], NULL); /* there is memory again */
    END(&entities[0], &entities[1], &entities[2], &entities[3], &entities[4]);
    assert_int_equal(fault_live_blocks(), 0);
}

/* Charging */

static void virtual_time_is_cpu_time_divided_by_shares(void **state)
{
    struct rti_sched_entity poor = make(POOREST);
    struct rti_sched_entity rich = make(RICHEST);
    struct rti_sched_entity three = make(3);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&rich, NULL);
    add(&three, NULL);
    wake(&poor);
    wake(&rich);
    wake(&three);
    charge(&poor, 1000);
    charge(&rich, 1000 * 10000ull);
    charge(&three, 3000);
    assert_in_range(rich.vruntime, poor.vruntime - poor.vruntime / 100000, poor.vruntime);
    assert_in_range(three.vruntime, poor.vruntime - poor.vruntime / 100000, poor.vruntime);
    charge(&rich, 1); /* one tick counts, also for it */
    assert_true(rich.vruntime > poor.vruntime - poor.vruntime / 100000);
    END(&poor, &rich, &three);
}

static void two_that_are_busy_divide_the_core_by_their_shares(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(3000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    assert_in_range(slices_of(&a, 4000), 999, 1001);
    END(&a, &b);
}

static void one_share_beside_ten_thousand_gets_its_slice_in_time(void **state)
{
    struct rti_sched_entity poor = make(POOREST);
    struct rti_sched_entity rich = make(RICHEST);
    unsigned gap = 0;
    unsigned longest = 0;
    unsigned got = 0;

    (void)state;
    begin();
    add(&poor, NULL);
    add(&rich, NULL);
    wake(&poor);
    wake(&rich);
    for (unsigned i = 0; i < 10001 * 20; i++) {
        if (run(SLICE) == &poor) {
            got++;
            longest = gap > longest ? gap : longest;
            gap = 0;
        } else {
            gap++;
        }
    }
    assert_in_range(got, 20, 21);
    assert_in_range(longest, 9990, 10010);
    END(&poor, &rich);
}

static void a_charge_of_hours_is_a_debt_and_does_no_harm(void **state)
{
    struct rti_sched_entity poor = make(POOREST);
    struct rti_sched_entity other = make(POOREST);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&other, NULL);
    wake(&poor);
    wake(&other);
    charge(&poor, HOURS_3);
    assert_ptr_equal(run(HOURS_3 / 2), &other);
    assert_ptr_equal(run(HOURS_3 / 4), &other);
    assert_ptr_equal(run(HOURS_3 / 2), &other); /* now it has had more */
    assert_ptr_equal(run(HOURS_3), &poor);
    assert_ptr_equal(run(UINT64_MAX / 2), &other); /* cut to three hours */
    assert_true(debt_of(&sched.root, &other) <= (double)HOURS_3);
    assert_ptr_equal(run(SLICE), &poor);
    END(&poor, &other);
}

static void virtual_time_may_run_over_the_end_of_64_bits(void **state)
{
    struct rti_sched_entity a = make(1);
    struct rti_sched_entity b = make(3);
    struct rti_sched_entity sleeper = make(2);

    (void)state;
    begin();
    sched.root.average = UINT64_MAX - 65536ull * SLICE * 5;
    add(&a, NULL);
    add(&b, NULL);
    add(&sleeper, NULL);
    wake(&a);
    wake(&b);
    assert_in_range(slices_of(&a, 400), 99, 101);
    assert_true(sched.root.average < UINT64_MAX / 2); /* it has */
    wake(&sleeper);
    assert_in_range(slices_of(&sleeper, 600), 199, 201);
    END(&a, &b, &sleeper);
}

/* Choosing */

static void the_earliest_deadline_goes_first(void **state)
{
    struct rti_sched_entity poor = make(10);
    struct rti_sched_entity rich = make(1000);
    struct rti_sched_entity middle = make(100);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&rich, NULL);
    add(&middle, NULL);
    wake(&poor);
    wake(&rich);
    wake(&middle);
    assert_ptr_equal(run(SLICE), &rich);
    assert_ptr_equal(run(SLICE), &middle);
    END(&poor, &rich, &middle);
}

static void one_that_is_ahead_waits_though_its_deadline_is_the_earliest(void **state)
{
    struct rti_sched_entity poor = make(1);
    struct rti_sched_entity rich = make(1000);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&rich, NULL);
    wake(&poor);
    wake(&rich);
    assert_ptr_equal(run(SLICE / 2), &rich);
    assert_true((int64_t)(poor.deadline - rich.deadline) > 0);
    assert_ptr_equal(rti_sched_pick(&sched), &poor);
    END(&poor, &rich);
}

static void who_has_used_its_slice_gets_a_later_deadline(void **state)
{
    struct rti_sched_entity a = make(1001);
    struct rti_sched_entity b = make(1000);
    struct rti_sched_entity ahead = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    add(&ahead, NULL);
    wake(&a);
    wake(&b);
    wake(&ahead);
    assert_ptr_equal(run(SLICE + 1), &a);
    charge(&ahead, 10 * SLICE); /* so both others are owed time */
    assert_ptr_equal(rti_sched_pick(&sched), &b);
    END(&a, &b, &ahead);
}

static void what_a_slice_leaves_is_used_before_others_with_the_same_shares(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);
    struct rti_sched_entity c = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    wake(&a);
    charge(&a, SLICE / 2); /* alone: its deadline is near */
    add(&b, NULL);
    add(&c, NULL);
    wake(&b);
    wake(&c);
    assert_ptr_equal(rti_sched_pick(&sched), &a);
    END(&a, &b, &c);
}

/* Sleep and wake */

/* The poor one waits far behind the average; the sleeper is not to be put beside it. */
static void one_that_slept_gains_nothing(void **state)
{
    struct rti_sched_entity poor = make(POOREST);
    struct rti_sched_entity a = make(RICHEST);
    struct rti_sched_entity b = make(RICHEST);
    struct rti_sched_entity sleeper = make(RICHEST);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&a, NULL);
    add(&b, NULL);
    add(&sleeper, NULL);
    wake(&poor);
    wake(&a);
    wake(&b);
    assert_ptr_not_equal(run(SLICE / 2), &poor); /* so the other two are never level */
    assert_int_equal(slices_of(&poor, 9000), 0);
    wake(&sleeper);
    assert_in_range(slices_of(&sleeper, 300), 99, 101);
    END(&poor, &a, &b, &sleeper);
}

static void what_one_owes_before_it_sleeps_it_owes_when_it_wakes(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);
    double debt;

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    charge(&a, 20 * SLICE);
    debt = debt_of(&sched.root, &a);
    rest(&a);
    wake(&a);
    assert_true(debt_of(&sched.root, &a) == debt);
    assert_int_equal(slices_of(&a, 20), 0);
    assert_int_equal(slices_of(&a, 10), 5);
    END(&a, &b);
}

static void a_debt_is_paid_while_it_sleeps_by_what_the_others_run(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    charge(&a, 20 * SLICE);
    rest(&a);
    assert_int_equal(slices_of(&b, 30), 30);
    wake(&a);
    assert_true(debt_of(&sched.root, &a) <= 0);
    assert_int_equal(slices_of(&a, 10), 5);
    END(&a, &b);
}

static void after_a_moment_in_which_none_could_run_nobody_owes_anything(void **state)
{
    struct rti_sched_entity a = make(1);
    struct rti_sched_entity b = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    charge(&a, 20 * SLICE);
    rest(&a);
    charge(&b, 10);
    rest(&b);
    wake(&b);
    wake(&a);
    assert_true(debt_of(&sched.root, &a) == 0);
    charge(&a, 20 * SLICE); /* but from now on */
    rest(&a);
    wake(&a);
    assert_true(debt_of(&sched.root, &a) > 19 * SLICE);
    END(&a, &b);
}

/* Half of what 64 bits can tell apart: a queue with one share is there after half a day. */
static void one_that_slept_for_half_of_all_virtual_time_is_not_taken_to_be_ahead(void **state)
{
    struct rti_sched_entity poor = make(POOREST);
    struct rti_sched_entity sleeper = make(1000);

    (void)state;
    begin();
    add(&poor, NULL);
    add(&sleeper, NULL);
    wake(&poor);
    for (unsigned i = 0; i < 12; i++) {
        charge(&poor, HOURS_3);
        rti_sched_catch_up(&sched, &sleeper);
    }
    wake(&sleeper);
    assert_ptr_equal(rti_sched_pick(&sched), &sleeper);
    END(&poor, &sleeper);
}

static void catching_up_forgives_no_debt(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);
    uint64_t before;

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    charge(&a, 20 * SLICE);
    before = a.vruntime;
    rti_sched_catch_up(&sched, &a);
    rest(&a);
    rti_sched_catch_up(&sched, &a);
    rti_sched_catch_up(&sched, &b); /* is behind, and runnable: it keeps what it is owed */
    assert_true(a.vruntime == before);
    assert_int_equal(b.vruntime, 0);
    END(&a, &b);
}

/* Changes */

static void a_change_of_shares_keeps_what_is_owed_in_cpu_time(void **state)
{
    static const uint32_t others[] = { 1, 999, 5000, 10000 };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct rti_sched_entity a = make(1000);
        struct rti_sched_entity b = make(1000);
        double debt;
        double credit;

        begin();
        add(&a, NULL);
        add(&b, NULL);
        wake(&a);
        wake(&b);
        charge(&a, 20 * SLICE);
        debt = debt_of(&sched.root, &a);
        credit = debt_of(&sched.root, &b);
        rti_sched_set_shares(&sched, &a, others[i]);
        rti_sched_check(&sched);
        assert_true(debt_of(&sched.root, &a) > debt * 0.999);
        assert_true(debt_of(&sched.root, &a) < debt * 1.001);
        rti_sched_set_shares(&sched, &b, others[3 - i]);
        rti_sched_check(&sched);
        assert_true(debt_of(&sched.root, &b) < credit * 0.999); /* it is below 0 */
        assert_true(debt_of(&sched.root, &b) > credit * 1.001);
        rest(&a);
        rti_sched_set_shares(&sched, &a, 1000); /* also while it sleeps */
        assert_true(debt_of(&sched.root, &a) > debt * 0.999);
        assert_true(debt_of(&sched.root, &a) < debt * 1.001);
        END(&a, &b);
    }
}

static void new_shares_hold_from_now_on(void **state)
{
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    assert_in_range(slices_of(&a, 1000), 499, 501);
    rti_sched_set_shares(&sched, &a, 3000);
    assert_in_range(slices_of(&a, 1000), 749, 751);
    rti_sched_set_shares(&sched, &b, 9000);
    assert_in_range(slices_of(&a, 1000), 249, 251);
    END(&a, &b);
}

/* A callback is asked every 250 ms: its answer, mostly the same, is not to put off a deadline. */
static void setting_the_same_shares_again_and_again_changes_nothing(void **state)
{
    struct rti_sched_entity a = make(10);
    struct rti_sched_entity b = make(1000);
    unsigned got = 0;

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    for (unsigned i = 0; i < 10100; i++) {
        got += run(SLICE) == &a;
        rti_sched_set_shares(&sched, &a, 10);
        rti_sched_set_shares(&sched, &b, 1000);
        rti_sched_check(&sched);
    }
    assert_in_range(got, 99, 101);
    END(&a, &b);
}

static void a_slice_longer_than_three_hours_is_one_of_three_hours(void **state)
{
    (void)state;
    rti_sched_init(&sched, UINT64_MAX);
    assert_true(sched.slice == HOURS_3);
    rti_sched_set_slice(&sched, 7);
    assert_int_equal(sched.slice, 7);
    rti_sched_fini(&sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_runnable_entities_none_is_chosen),
        cmocka_unit_test(one_that_is_alone_is_chosen_whatever_it_has_used),
        cmocka_unit_test(a_parent_is_runnable_while_one_of_its_children_is),
        cmocka_unit_test(any_number_of_entities_can_run),
        cmocka_unit_test(without_memory_an_entity_is_not_added),
        cmocka_unit_test(virtual_time_is_cpu_time_divided_by_shares),
        cmocka_unit_test(two_that_are_busy_divide_the_core_by_their_shares),
        cmocka_unit_test(one_share_beside_ten_thousand_gets_its_slice_in_time),
        cmocka_unit_test(a_charge_of_hours_is_a_debt_and_does_no_harm),
        cmocka_unit_test(virtual_time_may_run_over_the_end_of_64_bits),
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(one_that_is_ahead_waits_though_its_deadline_is_the_earliest),
        cmocka_unit_test(who_has_used_its_slice_gets_a_later_deadline),
        cmocka_unit_test(what_a_slice_leaves_is_used_before_others_with_the_same_shares),
        cmocka_unit_test(one_that_slept_gains_nothing),
        cmocka_unit_test(what_one_owes_before_it_sleeps_it_owes_when_it_wakes),
        cmocka_unit_test(a_debt_is_paid_while_it_sleeps_by_what_the_others_run),
        cmocka_unit_test(after_a_moment_in_which_none_could_run_nobody_owes_anything),
        cmocka_unit_test(one_that_slept_for_half_of_all_virtual_time_is_not_taken_to_be_ahead),
        cmocka_unit_test(catching_up_forgives_no_debt),
        cmocka_unit_test(a_change_of_shares_keeps_what_is_owed_in_cpu_time),
        cmocka_unit_test(new_shares_hold_from_now_on),
        cmocka_unit_test(setting_the_same_shares_again_and_again_changes_nothing),
        cmocka_unit_test(a_slice_longer_than_three_hours_is_one_of_three_hours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
