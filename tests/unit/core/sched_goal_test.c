/* SPDX-License-Identifier: MIT */
/* The scheduler, call by call (see sched_test.c): latency goals, and parents. */
#include "core/sched.h"

#include "sched_fixture.h"

/* Goals */

static void one_with_a_goal_that_is_owed_time_goes_first(void **state)
{
    struct rti_sched_entity quick = make(1);
    struct rti_sched_entity batch = make(RICHEST);

    (void)state;
    quick.goal = SLICE;
    begin();
    add(&quick, NULL);
    add(&batch, NULL);
    wake(&batch);
    charge(&batch, SLICE / 2);
    wake(&quick);
    assert_true(rti_sched_preempts(&sched, &quick, &batch));
    assert_false(rti_sched_preempts(&sched, &batch, &quick));
    assert_ptr_equal(run(SLICE), &quick);
    assert_ptr_equal(run(SLICE), &batch); /* it has had its shares */
    rest(&quick);
    wake(&quick);
    assert_false(rti_sched_preempts(&sched, &quick, &batch));
    assert_int_equal(slices_of(&batch, 5000), 5000);
    END(&quick, &batch);
}

static void a_goal_makes_nobody_rich(void **state)
{
    struct rti_sched_entity quick = make(1000);
    struct rti_sched_entity batch = make(1000);

    (void)state;
    quick.goal = SLICE;
    begin();
    add(&quick, NULL);
    add(&batch, NULL);
    wake(&quick);
    wake(&batch);
    assert_in_range(slices_of(&quick, 1000), 499, 501);
    END(&quick, &batch);
}

static void of_several_the_one_whose_goal_ends_first_goes_first(void **state)
{
    struct rti_sched_entity slow = make(1000);
    struct rti_sched_entity quick = make(10);
    struct rti_sched_entity batch = make(RICHEST);

    (void)state;
    slow.goal = 3 * SLICE;
    quick.goal = SLICE;
    begin();
    add(&slow, NULL);
    add(&quick, NULL);
    add(&batch, NULL);
    wake(&batch);
    wake(&slow);
    charge(&batch, SLICE);
    wake(&quick);
    assert_ptr_equal(run(1), &quick); /* after 2 slices, the other after 3 */
    rest(&quick);
    charge(&batch, SLICE + SLICE / 2);
    wake(&quick);
    assert_ptr_equal(run(1), &slow); /* after 3 slices, the other after 3.5 */
    END(&slow, &quick, &batch);
}

static void a_goal_can_come_and_go(void **state)
{
    struct rti_sched_entity a = make(10);
    struct rti_sched_entity b = make(1000);

    (void)state;
    begin();
    add(&a, NULL);
    add(&b, NULL);
    wake(&a);
    wake(&b);
    assert_ptr_equal(rti_sched_pick(&sched), &b);
    assert_int_equal(sched.root.goals, 0);
    rti_sched_set_goal(&sched, &a, SLICE, now);
    rti_sched_set_goal(&sched, &a, 2 * SLICE, now);
    assert_int_equal(sched.root.goals, 1);
    assert_ptr_equal(rti_sched_pick(&sched), &a);
    rti_sched_set_goal(&sched, &a, 0, now);
    assert_int_equal(sched.root.goals, 0);
    assert_ptr_equal(rti_sched_pick(&sched), &b);
    END(&a, &b);
}

static void the_goal_of_a_child_is_one_of_its_parent_while_it_is_owed_time(void **state)
{
    struct rti_sched_entity parent = make(1000);
    struct rti_sched_entity quick = make(1);
    struct rti_sched_entity sister = make(RICHEST);
    struct rti_sched_entity batch = make(RICHEST);

    (void)state;
    quick.goal = SLICE;
    begin();
    add(&parent, NULL);
    add(&quick, &parent);
    add(&sister, &parent);
    add(&batch, NULL);
    assert_int_equal(sched.root.goals, 1);
    wake(&batch);
    wake(&sister);
    assert_ptr_equal(rti_sched_pick(&sched), &batch);
    wake(&quick);
    assert_ptr_equal(run(SLICE / 100), &quick);
    assert_int_equal(slices_of(&quick, 100), 0); /* of its parent's part it has had too much */
    rest(&quick);
    rti_sched_remove(&sched, &quick);
    assert_int_equal(sched.root.goals, 0);
    END(&sister, &parent, &batch);
}

static void two_children_with_goals_count_as_one_of_the_parent(void **state)
{
    struct rti_sched_entity parent = make(1000);
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);

    (void)state;
    a.goal = SLICE;
    b.goal = SLICE;
    begin();
    add(&parent, NULL);
    add(&a, &parent);
    add(&b, &parent);
    assert_int_equal(parent.children.goals, 2);
    assert_int_equal(sched.root.goals, 1);
    rti_sched_set_goal(&sched, &a, 0, now);
    assert_int_equal(sched.root.goals, 1);
    rti_sched_set_goal(&sched, &b, 0, now);
    assert_int_equal(sched.root.goals, 0);
    END(&a, &b, &parent);
}

/* Parents */

static void children_divide_what_their_parent_gets(void **state)
{
    struct rti_sched_entity parent = make(1000);
    struct rti_sched_entity a = make(RICHEST);
    struct rti_sched_entity b = make(RICHEST / 4);
    struct rti_sched_entity other = make(1000);
    unsigned got[3] = { 0 };

    (void)state;
    begin();
    add(&parent, NULL);
    add(&a, &parent);
    add(&b, &parent);
    add(&other, NULL);
    wake(&a);
    wake(&b);
    wake(&other);
    for (unsigned i = 0; i < 10000; i++) {
        const struct rti_sched_entity *ran = run(SLICE);

        got[ran == &a ? 0 : ran == &b ? 1 : 2]++;
    }
    assert_in_range(got[0], 3998, 4002);
    assert_in_range(got[1], 998, 1002);
    assert_in_range(got[2], 4998, 5002);
    END(&a, &b, &parent, &other);
}

static void a_parent_owes_what_its_children_have_used(void **state)
{
    struct rti_sched_entity parent = make(1000);
    struct rti_sched_entity a = make(1000);
    struct rti_sched_entity b = make(1000);
    struct rti_sched_entity other = make(1000);

    (void)state;
    begin();
    add(&parent, NULL);
    add(&a, &parent);
    add(&b, &parent);
    add(&other, NULL);
    wake(&a);
    wake(&other);
    charge(&a, 20 * SLICE);
    rest(&a);
    wake(&b); /* another child has the same parent's debt */
    assert_int_equal(slices_of(&other, 20), 20);
    END(&a, &b, &parent, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_with_a_goal_that_is_owed_time_goes_first),
        cmocka_unit_test(a_goal_makes_nobody_rich),
        cmocka_unit_test(of_several_the_one_whose_goal_ends_first_goes_first),
        cmocka_unit_test(a_goal_can_come_and_go),
        cmocka_unit_test(the_goal_of_a_child_is_one_of_its_parent_while_it_is_owed_time),
        cmocka_unit_test(two_children_with_goals_count_as_one_of_the_parent),
        cmocka_unit_test(children_divide_what_their_parent_gets),
        cmocka_unit_test(a_parent_owes_what_its_children_have_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
