/* SPDX-License-Identifier: MIT */
/*
 * The controllers of shares as functions: what they give for what they are told, for
 * any input. Whether work ends in time is for tests/sim/shares_test.c.
 */
#include "rt/shares.h"

#include <errno.h>

#include "rt/taskq.h"
#include "support/harness.h"
#include "support/rand.h"

#define LOOK  RT_MILLISECONDS(250)
#define START RT_SECONDS(1000)

static struct rt_deadline_controller make(uint32_t least, uint32_t most)
{
    struct rt_deadline_options options = RT_DEADLINE_OPTIONS_INIT;
    struct rt_deadline_controller controller;

    options.shares_min = least;
    options.shares_max = most;
    assert_int_equal(rt_deadline_controller_init(&controller, &options), 0);
    return controller;
}

/* By deadline */

static void shares_out_of_order_or_out_of_range_are_refused(void **state)
{
    static const struct rt_deadline_options wrong[] = {
        { sizeof(struct rt_deadline_options), 200, 100, 0 },
        { sizeof(struct rt_deadline_options), 0, 5, 0 }, /* below the default of the other limit */
        { sizeof(struct rt_deadline_options), 0, RT_SHARES_MAX + 1, 0 },
        { sizeof(struct rt_deadline_options), 100, 200, 99 },
        { sizeof(struct rt_deadline_options), 100, 200, 201 },
        { sizeof(struct rt_deadline_options), UINT32_MAX, UINT32_MAX, UINT32_MAX },
    };
    struct rt_deadline_controller controller;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(rt_deadline_controller_init(&controller, &wrong[i]), -EINVAL);
    }
    assert_int_equal(rt_deadline_controller_init(&controller, NULL), 0);
}

/* Looks at the end of each period of 250 ms in which so many units were done. */
static uint32_t look(struct rt_deadline_controller *controller, struct rt_deadline_work *work,
                     rt_time *now, uint64_t units)
{
    *now += LOOK;
    rt_deadline_work_done(work, units);
    return rt_deadline_shares(controller, *now);
}

static void without_work_a_queue_keeps_its_shares(void **state)
{
    struct rt_deadline_controller controller = make(77, 5000);
    struct rt_deadline_work work;
    rt_time now = START;
    uint32_t shares;

    (void)state;
    assert_int_equal(rt_deadline_shares(&controller, now), RT_SHARES_DEFAULT);
    assert_int_equal(rt_deadline_shares(&controller, now + LOOK), RT_SHARES_DEFAULT);
    now += RT_SECONDS(3600);
    rt_deadline_work_begin(&controller, &work, 1000, now + RT_SECONDS(10), now);
    shares = look(&controller, &work, &now, 900);
    assert_in_range(shares, 77, RT_SHARES_DEFAULT - 1);
    rt_deadline_work_end(&work, now);
    for (int i = 0; i < 10; i++) {
        now += LOOK;
        assert_int_equal(rt_deadline_shares(&controller, now), shares);
    }
}

static void late_work_gets_the_most_shares_at_once(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work punctual;
    struct rt_deadline_work late;

    (void)state;
    rt_deadline_work_begin(&controller, &punctual, 10, START + RT_SECONDS(9), START);
    rt_deadline_work_begin(&controller, &late, 10, START + LOOK / 4, START);
    assert_int_equal(rt_deadline_shares(&controller, START + LOOK / 4 - 1), RT_SHARES_DEFAULT);
    rt_deadline_work_done(&late, 10); /* all of it, but it has not ended */
    assert_int_equal(rt_deadline_shares(&controller, START + LOOK / 4), 5000);
    rt_deadline_work_end(&late, START + LOOK);
    assert_true(rt_deadline_shares(&controller, START + LOOK) < 5000);
}

static void shares_rise_while_the_pace_is_too_low_and_fall_while_it_is_too_high(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;
    uint32_t before = RT_SHARES_DEFAULT;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 1000000, now + RT_SECONDS(250), now);
    for (int i = 0; i < 10; i++) { /* 1000 a look would do, less the reserve */
        const uint32_t shares = look(&controller, &work, &now, 500);

        assert_true(shares > before || shares == 5000);
        before = shares;
    }
    assert_int_equal(before, 5000);
    look(&controller, &work, &now, 2000); /* the pace is smoothed: it is right now */
    before = 5001;
    for (int i = 0; i < 40; i++) {
        const uint32_t shares = look(&controller, &work, &now, 4000);

        assert_true(shares < before || shares == 10);
        before = shares;
    }
    assert_int_equal(before, 10);
}

static void the_right_pace_leaves_the_shares_as_they_are(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 15000, now + RT_SECONDS(16), now); /* - 1 s */
    for (int i = 0; i < 50; i++) {
        assert_int_equal(look(&controller, &work, &now, 250), RT_SHARES_DEFAULT);
    }
}

static void the_pace_for_a_deadline_counts_all_that_is_due_before(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work first;
    struct rt_deadline_work second;
    rt_time now = START;

    (void)state;
    rt_deadline_work_begin(&controller, &first, 1000, now + RT_SECONDS(8), now);
    rt_deadline_work_begin(&controller, &second, 14000, now + RT_SECONDS(16), now);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(look(&controller, &first, &now, 250), RT_SHARES_DEFAULT);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(look(&controller, &second, &now, 250), RT_SHARES_DEFAULT);
    }
}

/* The reserve: the work was to be done, and its deadline has not passed. */
static void in_the_last_sixteenth_of_its_time_work_is_due_at_the_next_look(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;
    uint32_t shares = RT_SHARES_DEFAULT;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 16000, now + RT_SECONDS(16), now); /* - 1 s */
    for (int i = 0; i < 58; i++) {
        shares = look(&controller, &work, &now, 250);
    }
    rt_deadline_work_grow(&work, 1000);
    for (int i = 0; i < 4; i++) { /* goes over the end of the 15 s */
        const uint32_t before = shares;

        shares = look(&controller, &work, &now, 250);
        assert_true(shares > before || shares == 5000);
    }
    rt_deadline_work_done(&work, 1490);
    assert_true(look(&controller, &work, &now, 0) < shares); /* ten are left */
}

/* A queue with a small part of the core, and a load that becomes fourfold. It needs four times the
 * shares, and the plant answers at once. */
static void shares_go_to_what_is_needed_and_not_beyond(void **state)
{
    struct rt_deadline_controller controller = make(10, 10000);
    struct rt_deadline_work work;
    uint32_t shares = RT_SHARES_DEFAULT;
    rt_time now = START;
    uint32_t load = 20000;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 1000000000, now + RT_SECONDS(10000), now);
    for (int i = 0; i < 80; i++) {
        const double part = (double)shares / (shares + load);
        const double steady = load / 19.0; /* a twentieth of the core */

        shares = look(&controller, &work, &now, (uint64_t)(26667.0 * 20 * part));
        assert_true(shares < steady * 1.02);
        if (i % 40 >= 10) {
            assert_true(shares > steady * 0.98);
        }
        if (i == 39) {
            load *= 4;
        }
    }
}

static void work_of_any_number_of_units_can_grow(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 10, now + RT_SECONDS(100), now);
    rt_deadline_work_grow(&work, UINT64_MAX);
    assert_true(look(&controller, &work, &now, 10) > RT_SHARES_DEFAULT);
}

static void a_look_too_soon_or_after_a_sleep_changes_nothing(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;
    uint32_t shares;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 100000, now + RT_SECONDS(100), now);
    shares = look(&controller, &work, &now, 1);
    assert_true(shares > RT_SHARES_DEFAULT);
    assert_int_equal(rt_deadline_shares(&controller, now), shares);
    assert_int_equal(rt_deadline_shares(&controller, now + LOOK / 4), shares);
    assert_int_equal(rt_deadline_shares(&controller, now - LOOK), shares);
    now += RT_SECONDS(30);
    assert_int_equal(rt_deadline_shares(&controller, now), shares);
    assert_true(look(&controller, &work, &now, 1) > shares);
}

/* Both do the same in the time in which there is work; one of them pauses in between. */
static void time_without_work_does_not_count(void **state)
{
    struct rt_deadline_controller a = make(10, 5000);
    struct rt_deadline_controller b = a;
    struct rt_deadline_work work;
    uint32_t at_once;

    (void)state;
    for (int i = 0; i < 2; i++) {
        rt_deadline_work_begin(&a, &work, 100, START + RT_SECONDS(10), START);
        rt_deadline_work_done(&work, 30);
        rt_deadline_work_end(&work, START + LOOK / 2);
        rt_deadline_work_begin(&b, &work, 100, START + RT_SECONDS(10), START);
        rt_deadline_work_done(&work, 30);
        rt_deadline_work_end(&work, START + LOOK / 2);
    }
    rt_deadline_work_begin(&a, &work, 100, START + RT_SECONDS(10), START);
    at_once = rt_deadline_shares(&a, START);
    rt_deadline_work_begin(&b, &work, 100, START + RT_SECONDS(3610), START + RT_SECONDS(3600));
    assert_int_equal(rt_deadline_shares(&b, START + RT_SECONDS(3600)), at_once);
    assert_int_not_equal(at_once, RT_SHARES_DEFAULT);
}

static void work_that_is_more_than_announced_keeps_its_pace(void **state)
{
    struct rt_deadline_controller controller = make(10, 5000);
    struct rt_deadline_work work;
    rt_time now = START;
    uint32_t shares;

    (void)state;
    rt_deadline_work_begin(&controller, &work, 1000, now + RT_SECONDS(10), now);
    shares = look(&controller, &work, &now, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(look(&controller, &work, &now, 1000), shares);
    }
    rt_deadline_work_grow(&work, 1000);
    assert_true(look(&controller, &work, &now, 500) < shares); /* it was fast */
}

static void pieces_may_be_begun_in_any_order_of_their_deadlines(void **state)
{
    static const int orders[][3] = { { 1, 2, 3 }, { 1, 3, 2 }, { 2, 1, 3 },
                                     { 2, 3, 1 }, { 3, 1, 2 }, { 3, 2, 1 } };
    uint32_t first = 0;

    (void)state;
    for (size_t order = 0; order < 6; order++) {
        struct rt_deadline_controller controller = make(10, 5000);
        struct rt_deadline_work works[3];
        rt_time now = START;
        uint32_t shares;

        for (int i = 0; i < 3; i++) {
            const int which = orders[order][i];

            rt_deadline_work_begin(&controller, &works[i], 1000u << which,
                                   now + RT_SECONDS(10) * which, now);
        }
        shares = look(&controller, &works[0], &now, 50);
        first = order == 0 ? shares : first;
        assert_in_range(shares, first - first / 20, first + first / 20);
        for (int i = 0; i < 3; i++) {
            rt_deadline_work_end(&works[(order + (size_t)i) % 3], now);
        }
        assert_null(controller.first);
    }
}

/* Any input */

/* All sizes are as likely, and the ends of the range come up often. */
static uint64_t rand_wild(struct rand_state *rand)
{
    const uint64_t ends[] = {
        0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX
    };

    return rand_chance(rand, 200) ? ends[rand_below(rand, 6)]
                                  : rand_next(rand) >> rand_below(rand, 64);
}

#define WORKS 4

static void wild_step(struct rt_deadline_controller *controller, struct rt_deadline_work *works,
                      bool *is_begun, struct rand_state *rand)
{
    const size_t i = (size_t)rand_below(rand, WORKS);

    if (!is_begun[i]) {
        rt_deadline_work_begin(controller, &works[i], rand_wild(rand), (rt_time)rand_wild(rand),
                               (rt_time)rand_wild(rand));
        is_begun[i] = true;
    } else if (rand_chance(rand, 100)) {
        rt_deadline_work_end(&works[i], (rt_time)rand_wild(rand));
        is_begun[i] = false;
    } else if (rand_chance(rand, 500)) {
        rt_deadline_work_done(&works[i], rand_wild(rand));
    } else {
        rt_deadline_work_grow(&works[i], rand_wild(rand));
    }
}

static void shares_are_within_their_limits_for_any_input(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(100); run++) {
        const uint64_t seed = rt_test_seed(run);
        struct rt_deadline_controller controller;
        struct rt_deadline_work works[WORKS];
        bool is_begun[WORKS] = { false };
        struct rand_state rand;
        uint32_t least;
        uint32_t most;

        rand_init(&rand, seed);
        least = (uint32_t)rand_range(&rand, RT_SHARES_MIN, RT_SHARES_MAX);
        most = (uint32_t)rand_range(&rand, least, RT_SHARES_MAX);
        controller = make(least, most);
        for (int step = 0; step < 2000; step++) {
            uint32_t shares;

            wild_step(&controller, works, is_begun, &rand);
            shares = rt_deadline_shares(&controller, (rt_time)rand_wild(&rand));
            if (shares < least || shares > most || !(controller.error >= -1) ||
                !(controller.error <= 1)) {
                fail_msg("seed %llu, step %d: %u shares of %u..%u, error %g",
                         (unsigned long long)seed, step, shares, least, most, controller.error);
            }
        }
    }
}

/* By backlog */

static void points_out_of_order_or_out_of_range_are_refused(void **state)
{
    struct rt_backlog_point points[RT_BACKLOG_POINTS_MAX + 1];
    struct rt_backlog_controller controller;

    (void)state;
    for (uint32_t i = 0; i <= RT_BACKLOG_POINTS_MAX; i++) {
        points[i] = (struct rt_backlog_point){ i, 100 };
    }
    assert_int_equal(rt_backlog_controller_init(&controller, points, 0), -EINVAL);
    assert_int_equal(rt_backlog_controller_init(&controller, points, RT_BACKLOG_POINTS_MAX + 1),
                     -EINVAL);
    assert_int_equal(rt_backlog_controller_init(&controller, points, RT_BACKLOG_POINTS_MAX), 0);
    points[3].backlog = 2;
    assert_int_equal(rt_backlog_controller_init(&controller, points, RT_BACKLOG_POINTS_MAX),
                     -EINVAL);
    points[3].backlog = 3;
    points[3].shares = 99;
    assert_int_equal(rt_backlog_controller_init(&controller, points, RT_BACKLOG_POINTS_MAX),
                     -EINVAL);
    points[3].shares = 100;
    points[0].shares = RT_SHARES_MIN - 1;
    assert_int_equal(rt_backlog_controller_init(&controller, points, RT_BACKLOG_POINTS_MAX),
                     -EINVAL);
    points[0].shares = RT_SHARES_MAX + 1;
    assert_int_equal(rt_backlog_controller_init(&controller, points, 1), -EINVAL);
}

static uint32_t shares_at(struct rt_backlog_controller *controller, uint64_t backlog)
{
    rt_backlog_controller_set(controller, backlog);
    return rt_backlog_shares(controller, START);
}

static void shares_lie_on_lines_between_points_and_are_flat_outside(void **state)
{
    static const struct rt_backlog_point points[] = { { 100, 50 }, { 200, 100 }, { 1200, 1000 } };
    struct rt_backlog_controller controller;

    (void)state;
    assert_int_equal(rt_backlog_controller_init(&controller, points, 3), 0);
    assert_int_equal(rt_backlog_shares(&controller, START), 50);
    assert_int_equal(shares_at(&controller, 99), 50);
    assert_int_equal(shares_at(&controller, 100), 50);
    assert_int_equal(shares_at(&controller, 150), 75);
    assert_int_equal(shares_at(&controller, 200), 100);
    assert_int_equal(shares_at(&controller, 700), 550);
    assert_int_equal(shares_at(&controller, 1200), 1000);
    assert_int_equal(shares_at(&controller, UINT64_MAX), 1000);
    assert_int_equal(rt_backlog_controller_init(&controller, points, 1), 0);
    assert_int_equal(shares_at(&controller, 0), 50);
    assert_int_equal(shares_at(&controller, UINT64_MAX), 50);
}

/* How many points there are is returned. */
static uint32_t rand_points(struct rt_backlog_point *points, struct rand_state *rand)
{
    const uint32_t count = (uint32_t)rand_range(rand, 1, RT_BACKLOG_POINTS_MAX);
    uint64_t backlog = rand_wild(rand) / 2;
    uint32_t shares = RT_SHARES_MIN;

    for (uint32_t i = 0; i < count; i++) {
        shares += (uint32_t)rand_below(rand, RT_SHARES_MAX - shares + 1);
        points[i] = (struct rt_backlog_point){ backlog, shares };
        backlog += 1 + rand_wild(rand) / (2 * RT_BACKLOG_POINTS_MAX);
    }
    return count;
}

static void check_backlog(struct rt_backlog_controller *controller, uint64_t a, uint64_t b)
{
    const uint32_t shares = shares_at(controller, a);

    assert_in_range(shares, controller->points[0].shares,
                    controller->points[controller->count - 1].shares);
    if (a < b) {
        assert_true(shares <= shares_at(controller, b));
    }
    if (a < UINT64_MAX) { /* no jump: one unit more is no more than the steepest line, rounded */
        uint64_t step = 1;

        for (uint32_t i = 1; i < controller->count; i++) {
            const struct rt_backlog_point *from = &controller->points[i - 1];
            const struct rt_backlog_point *to = &controller->points[i];
            const uint64_t slope = (to->shares - from->shares) / (to->backlog - from->backlog) + 1;

            step = slope > step ? slope : step;
        }
        assert_true(shares_at(controller, a + 1) - shares <= step);
    }
}

static void shares_rise_with_any_backlog_and_never_jump(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(200); run++) {
        struct rt_backlog_point points[RT_BACKLOG_POINTS_MAX];
        struct rt_backlog_controller controller;
        struct rand_state rand;
        uint32_t count;

        rand_init(&rand, rt_test_seed(run));
        count = rand_points(points, &rand);
        assert_int_equal(rt_backlog_controller_init(&controller, points, count), 0);
        for (uint32_t i = 0; i < count; i++) {
            const uint64_t at = points[i].backlog;

            assert_int_equal(shares_at(&controller, at), points[i].shares);
            check_backlog(&controller, at, rand_wild(&rand));
            check_backlog(&controller, at > 0 ? at - 1 : 0, at + rand_below(&rand, 10));
        }
        for (int i = 0; i < 200; i++) {
            check_backlog(&controller, rand_wild(&rand), rand_wild(&rand));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_out_of_order_or_out_of_range_are_refused),
        cmocka_unit_test(without_work_a_queue_keeps_its_shares),
        cmocka_unit_test(late_work_gets_the_most_shares_at_once),
        cmocka_unit_test(shares_rise_while_the_pace_is_too_low_and_fall_while_it_is_too_high),
        cmocka_unit_test(the_right_pace_leaves_the_shares_as_they_are),
        cmocka_unit_test(the_pace_for_a_deadline_counts_all_that_is_due_before),
        cmocka_unit_test(in_the_last_sixteenth_of_its_time_work_is_due_at_the_next_look),
        cmocka_unit_test(shares_go_to_what_is_needed_and_not_beyond),
        cmocka_unit_test(work_of_any_number_of_units_can_grow),
        cmocka_unit_test(a_look_too_soon_or_after_a_sleep_changes_nothing),
        cmocka_unit_test(time_without_work_does_not_count),
        cmocka_unit_test(work_that_is_more_than_announced_keeps_its_pace),
        cmocka_unit_test(pieces_may_be_begun_in_any_order_of_their_deadlines),
        cmocka_unit_test(shares_are_within_their_limits_for_any_input),
        cmocka_unit_test(points_out_of_order_or_out_of_range_are_refused),
        cmocka_unit_test(shares_lie_on_lines_between_points_and_are_flat_outside),
        cmocka_unit_test(shares_rise_with_any_backlog_and_never_jump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
