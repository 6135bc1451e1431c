/* SPDX-License-Identifier: MIT */
/*
 * Shields: what rt/scope.h says about them.
 *
 * Method: that of scope_test.c.
 */
#include "scope_fixture.h"

struct shielded {
    rt_time deadline; /* of the shield, from the beginning */
    rt_time begin;
    bool cancel_first; /* the task cancels itself before it enters */
    int inside;
    int after; /* a second wait inside */
    bool cancelled_inside;
};

static int wait_in_shield(void *arg)
{
    struct shielded *self = arg;
    struct rt_scope shield;

    self->begin = rt_now();
    if (self->cancel_first) {
        rt_cancel_self();
        T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    }
    rt_shield(&shield, self->deadline == RT_NEVER ? RT_NEVER : self->begin + self->deadline);
    self->cancelled_inside = rt_cancelled();
    self->inside = rt_sleep_until(self->begin + MS(10));
    self->after = rt_sleep_until(self->begin + MS(20));
    T_CHECK(rt_scope_leave(&shield) == 0);
    T_CHECK(rt_cancelled() && rt_sleep_until(RT_NEVER) == -ECANCELED);
    return 0;
}

static int shield_first(void *arg)
{
    static const struct {
        rt_time deadline;
        int inside, after;
        rt_time end;
    } cases[] = {
        { RT_NEVER, 0, 0, MS(20) },
        { MS(30), 0, 0, MS(20) },
        { MS(15), 0, -ECANCELED, MS(15) },
        { MS(8), -ECANCELED, -ECANCELED, MS(8) },
    };

    (void)arg;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct shielded self = { .deadline = cases[i / 2].deadline, .cancel_first = i % 2 == 0 };
        struct rt_task *task = spawn(wait_in_shield, &self);

        pause_for(MS(1));
        rt_cancel(task);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
        T_CHECK(self.inside == cases[i / 2].inside && self.after == cases[i / 2].after);
        T_CHECK(!self.cancelled_inside);
        check_time(self.begin + cases[i / 2].end);
    }
    return 0;
}

static void a_shield_keeps_a_cancel_out_until_its_deadline(void **state)
{
    (void)state;
    run_first(shield_first);
}

/* Deadlines and cancels from further out; those from further in work as usual. */
static int around_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_scope outer;
    struct rt_scope shield;
    struct rt_scope inner;

    (void)arg;
    rt_scope_enter(&outer, begin + MS(10));
    rt_shield(&shield, begin + MS(30));
    T_CHECK(rt_sleep_until(begin + MS(20)) == 0);
    rt_scope_enter(&inner, begin + MS(25));
    T_CHECK(rt_sleep_until(RT_NEVER) == -ETIME);
    check_time(begin + MS(25));
    T_CHECK(rt_scope_leave(&inner) == -ETIME);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ETIME); /* the outer one's, held off until now */
    check_time(begin + MS(30));
    T_CHECK(rt_scope_leave(&shield) == 0);
    T_CHECK(rt_scope_leave(&outer) == -ETIME);

    rt_scope_enter(&outer, RT_NEVER);
    rt_shield(&shield, RT_NEVER);
    rt_scope_cancel(&outer);
    T_CHECK(!rt_cancelled() && rt_sleep_until(rt_in(MS(1))) == 0);
    rt_scope_enter(&inner, RT_NEVER);
    rt_scope_cancel(&inner);
    T_CHECK(rt_cancelled() && rt_sleep_until(rt_in(MS(1))) == -ECANCELED);
    T_CHECK(rt_scope_leave(&inner) == -ECANCELED);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(rt_scope_leave(&shield) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == -ECANCELED);
    T_CHECK(rt_scope_leave(&outer) == -ECANCELED);
    return 0;
}

static void a_shield_keeps_out_what_comes_from_further_out_only(void **state)
{
    (void)state;
    run_first(around_first);
}

/* Then what it kept out counts as if it had never been kept: a cancel is no less one for a
 * deadline that passed before it could be seen. */
static int over_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_scope outer;
    struct rt_scope shield;

    (void)arg;
    rt_scope_enter(&outer, begin + MS(1));
    rt_shield(&shield, begin + MS(10));
    rt_scope_cancel(&outer);
    T_CHECK(!rt_cancelled() && rt_sleep_until(begin + MS(5)) == 0);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    check_time(begin + MS(10));
    T_CHECK(rt_cancelled() && rt_sleep_until(RT_NEVER) == -ECANCELED);
    T_CHECK(rt_scope_leave(&shield) == 0 && rt_cancelled());
    T_CHECK(rt_scope_leave(&outer) == -ECANCELED && !rt_cancelled());
    return 0;
}

static void a_shield_that_is_over_hides_no_cancel(void **state)
{
    (void)state;
    run_first(over_first);
}

/* Two shields: both have to be over. The later one counts, wherever it is. */
static int two_shields_first(void *arg)
{
    (void)arg;
    for (int swapped = 0; swapped < 2; swapped++) {
        const rt_time begin = rt_now();
        struct rt_scope scopes[3];

        rt_scope_enter(&scopes[0], begin + MS(1));
        rt_shield(&scopes[1], begin + (swapped ? MS(20) : MS(10)));
        rt_shield(&scopes[2], begin + (swapped ? MS(10) : MS(20)));
        T_CHECK(rt_sleep_until(RT_NEVER) == -ETIME);
        check_time(begin + MS(20));
        T_CHECK(rt_scope_leave(&scopes[2]) == 0);
        T_CHECK(rt_scope_leave(&scopes[1]) == 0);
        T_CHECK(rt_scope_leave(&scopes[0]) == -ETIME);
    }
    return 0;
}

static void of_two_shields_both_hold(void **state)
{
    (void)state;
    run_first(two_shields_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shield_keeps_a_cancel_out_until_its_deadline),
        cmocka_unit_test(a_shield_keeps_out_what_comes_from_further_out_only),
        cmocka_unit_test(a_shield_that_is_over_hides_no_cancel),
        cmocka_unit_test(of_two_shields_both_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
