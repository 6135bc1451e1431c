/* SPDX-License-Identifier: MIT */
/*
 * Ticks: how fast the counter runs is measured in steps that double, and spans are never too long.
 *
 * Method: the clock is the simulated one, whose ticks are ns; a counter of another speed is a
 * number that the test works out from it. Each calibration comes when it is due, as the loop does.
 */
#include "support/harness.h"

#include "os/ticks.h"
#include "support/sim.h"

#define US(n) RT_MICROSECONDS(n)
#define MS(n) RT_MILLISECONDS(n)

static struct rti_ticks ticks;

static int begin(void **state)
{
    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    sim_advance(MS(5)); /* not at 0 */
    rti_ticks_init(&ticks);
    return 0;
}

static int end(void **state)
{
    struct sim_leaks leaks;

    (void)state;
    return (int)sim_end(&leaks);
}

/* The counter ran at `per_ns` since the start; the loop looks at it after `ns` more. */
static void look_after(rt_time ns, double per_ns)
{
    rt_time now;

    sim_advance(ns);
    now = sim_now();
    rti_ticks_calibrate(&ticks, now,
                        ticks.start_ticks + (uint64_t)((double)(now - ticks.start) * per_ns));
}

static void it_begins_with_what_the_processor_says_and_is_due_at_once(void **state)
{
    (void)state;
    assert_true(ticks.start == sim_now());
    assert_true(ticks.start_ticks == (uint64_t)sim_now());
    assert_true(ticks.due == ticks.start);
    assert_true(ticks.per_ns == 1.0); /* of the simulated processor */
}

static void before_the_first_millisecond_nothing_is_measured(void **state)
{
    (void)state;
    look_after(0, 3.0);
    assert_true(ticks.due == ticks.start + MS(1));
    assert_true(ticks.per_ns == 1.0);
    look_after(MS(1) - 1, 3.0);
    assert_true(ticks.due == ticks.start + MS(1));
    assert_true(ticks.per_ns == 1.0);
    look_after(1, 3.0);
    assert_true(ticks.per_ns == 3.0);
}

static void it_is_measured_again_after_twice_as_long_until_100_ms_have_passed(void **state)
{
    unsigned measured = 0;

    (void)state;
    look_after(MS(1), 2.0);
    while (ticks.due != RT_NEVER) {
        const rt_time elapsed = sim_now() - ticks.start;

        assert_true(elapsed < MS(100));
        assert_true(ticks.due == ticks.start + 2 * elapsed);
        look_after(ticks.due - sim_now(), 2.0);
        measured++;
    }
    assert_true(sim_now() - ticks.start == MS(128));
    assert_int_equal(measured, 7); /* 2, 4 ... 128 ms */
    assert_true(ticks.per_ns == 2.0);
}

static void a_loop_that_comes_late_measures_all_the_time_that_passed(void **state)
{
    (void)state;
    look_after(MS(60), 2.0);
    assert_true(ticks.due == ticks.start + MS(120));
    look_after(MS(940), 2.5); /* since the start, not since the last time */
    assert_true(ticks.per_ns == 2.5);
    assert_true(ticks.due == RT_NEVER);
}

static void the_last_measurement_counts(void **state)
{
    (void)state;
    look_after(MS(1), 2.9);
    assert_true(rti_ticks_of(&ticks, US(1)) == 2900);
    look_after(MS(99), 3.0);
    assert_true(rti_ticks_of(&ticks, US(1)) == 3000);
}

/* A virtual machine that has moved: the counter goes on elsewhere. */
static void a_counter_that_was_set_back_or_forth_is_measured_from_there(void **state)
{
    const uint64_t wrong[] = { 5, (uint64_t)1 << 60 };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rti_ticks_init(&ticks);
        look_after(MS(4), 3.0);
        sim_advance(MS(4));
        rti_ticks_calibrate(&ticks, sim_now(), wrong[i]);
        assert_true(ticks.start == sim_now() && ticks.start_ticks == wrong[i]);
        assert_true(ticks.due == sim_now());
        assert_true(ticks.per_ns == 1.0); /* as at the first start */
        look_after(MS(1), 3.0);
        assert_true(ticks.per_ns == 3.0);
    }
}

static void every_speed_that_a_counter_can_have_is_accepted(void **state)
{
    const double speeds[] = { 0.0010001, 0.024, 1.0, 9.999 };

    (void)state;
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        const rt_time start = sim_now();

        rti_ticks_init(&ticks);
        look_after(MS(100), speeds[i]);
        assert_true(ticks.start == start && ticks.due == RT_NEVER);
        assert_true(ticks.per_ns > speeds[i] * 0.9999 && ticks.per_ns <= speeds[i]);
    }
}

static void a_length_of_time_saturates(void **state)
{
    (void)state;
    look_after(MS(100), 2.0);
    assert_true(rti_ticks_of(&ticks, 0) == 0);
    assert_true(rti_ticks_of(&ticks, RT_SECONDS(1)) == UINT64_C(2000000000));
    assert_true(rti_ticks_of(&ticks, RT_NEVER) == UINT64_C(9000000000000000000));
    assert_true(rti_ticks_of(&ticks, RT_NEVER / 2) == UINT64_C(9000000000000000000));
    assert_true(rti_ticks_of(&ticks, RT_NEVER / 4) < UINT64_C(9000000000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_begins_with_what_the_processor_says_and_is_due_at_once,
                                        begin, end),
        cmocka_unit_test_setup_teardown(before_the_first_millisecond_nothing_is_measured, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            it_is_measured_again_after_twice_as_long_until_100_ms_have_passed, begin, end),
        cmocka_unit_test_setup_teardown(a_loop_that_comes_late_measures_all_the_time_that_passed,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_last_measurement_counts, begin, end),
        cmocka_unit_test_setup_teardown(a_counter_that_was_set_back_or_forth_is_measured_from_there,
                                        begin, end),
        cmocka_unit_test_setup_teardown(every_speed_that_a_counter_can_have_is_accepted, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_length_of_time_saturates, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
