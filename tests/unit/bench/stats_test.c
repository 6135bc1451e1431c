/* SPDX-License-Identifier: MIT */
/*
 * Statistics: small samples by hand, then what intervals promise, by drawing
 * thousands of samples whose true median is known. The draws are seeded, so the
 * rates are the same in each run; the bounds leave room for another seed.
 */
#include "stats.h"

#include <math.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define COUNT  21
#define TRIALS 3000

/* Inside of 0..1. */
static double uniform(struct rand_state *rand)
{
    return ((double)(rand_next(rand) >> 11) + 0.5) * 0x1p-53;
}

static double bell(struct rand_state *rand)
{
    double radius = sqrt(-2 * log(uniform(rand)));

    return radius * cos(2 * 3.14159265358979323846 * uniform(rand));
}

/* Times around 100 with noise of 1 %, each like the one before it to the degree `r`. */
static void draw_times(struct rand_state *rand, double r, double *out, size_t count)
{
    double noise = bell(rand);

    for (size_t i = 0; i < count; i++) {
        out[i] = 100 * exp(0.01 * noise);
        noise = r * noise + sqrt(1 - r * r) * bell(rand);
    }
}

static void assert_near(double value, double wanted)
{
    assert_true(fabs(value - wanted) <= 1e-9 * (1 + fabs(wanted)));
}

static void the_median_is_the_middle_one_or_the_mean_of_the_middle_two(void **state)
{
    const double odd[] = { 3, 1, 2 };
    const double even[] = { 4, 1, 2, 10 };
    const double one[] = { 7 };

    (void)state;
    assert_near(bench_median(odd, 3), 2);
    assert_near(bench_median(even, 4), 3);
    assert_near(bench_median(one, 1), 7);
    assert_near(odd[0], 3); /* the order stays */
}

static void being_second_is_no_advantage_in_a_ratio(void **state)
{
    double values[COUNT];
    double base[COUNT];
    double ratios[COUNT];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) { /* 1.2 times, and 10 % more or less by who is first */
        base[i] = 100 + (double)i;
        values[i] = 1.2 * base[i] * (i % 2 == 0 ? 1.1 : 1 / 1.1);
    }
    bench_ratios_of(values, base, COUNT, ratios);
    for (size_t i = 0; i < COUNT; i++) {
        assert_near(ratios[i], 1.2);
    }
    bench_ratios_of(values, base, 3, ratios); /* too few to tell */
    assert_near(ratios[0], 1.2 * 1.1);
    assert_near(ratios[1], 1.2 / 1.1);
}

static void half_of_the_values_are_below_a_median(void **state)
{
    (void)state;
    for (unsigned run = 0; run < rt_test_seed_count(50); run++) {
        struct rand_state rand;
        double values[BENCH_VALUES_MAX];
        size_t count;
        size_t below = 0;
        size_t above = 0;
        double median;

        rand_init(&rand, rt_test_seed(run));
        count = (size_t)rand_range(&rand, 1, run < 49 ? 40 : BENCH_VALUES_MAX);
        for (size_t i = 0; i < count; i++) {
            values[i] = (double)rand_below(&rand, 30); /* many are equal */
        }
        median = bench_median(values, count);
        for (size_t i = 0; i < count; i++) {
            below += values[i] < median;
            above += values[i] > median;
        }
        assert_true(below <= count / 2 && above <= count / 2);
    }
}

static void the_mad_is_the_median_distance_and_is_not_scaled(void **state)
{
    const double values[] = { 1, 1, 2, 2, 4, 6, 9 }; /* distances from 2: 1 1 0 0 2 4 7 */

    (void)state;
    assert_near(bench_summary_of(values, 7).median, 2);
    assert_near(bench_summary_of(values, 7).mad, 1);
}

static void one_wild_value_moves_neither_median_nor_interval_far(void **state)
{
    double values[COUNT];
    struct bench_summary calm;
    struct bench_summary wild;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = 100 + (double)(i * 8 % COUNT);
    }
    calm = bench_summary_of(values, COUNT);
    values[COUNT / 2] = 1e9;
    wild = bench_summary_of(values, COUNT);
    assert_true(fabs(wild.median - calm.median) <= 1);
    assert_true(wild.high - calm.high <= 2);
}

static void equal_values_have_an_interval_without_width(void **state)
{
    const double values[] = { 5, 5, 5, 5, 5, 5, 5 };
    const double one[] = { 5 };

    (void)state;
    assert_near(bench_summary_of(values, 7).low, 5);
    assert_near(bench_summary_of(values, 7).high, 5);
    assert_near(bench_summary_of(one, 1).low, 5);
    assert_near(bench_summary_of(one, 1).high, 5);
}

/* 21 in a shuffled order: 11 -+ 1.96 sqrt(21) / 2. */
static void ends_of_an_interval_lie_between_ordered_values(void **state)
{
    double values[COUNT];
    struct bench_interval interval;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (double)(i % 2 == 0 ? i / 2 : COUNT - 1 - i / 2) + 1; /* 1 21 2 20 3 ... */
    }
    interval = bench_interval_of(values, COUNT, 0.95);
    assert_true(fabs(interval.low - 6.509) < 0.001);
    assert_true(fabs(interval.high - 15.491) < 0.001);
}

/* 3 -+ 1.96 sqrt(5) / 2, which is beyond the values; and still more so at 99.9 %. */
static void an_interval_that_few_values_cannot_give_goes_beyond_them(void **state)
{
    const double values[] = { 1, 5, 2, 4, 3 };
    struct bench_interval interval = bench_interval_of(values, 5, 0.95);

    (void)state;
    assert_true(fabs(interval.low - 0.809) < 0.001);
    assert_true(fabs(interval.high - 5.191) < 0.001);
    assert_true(bench_interval_of(values, 5, 0.999).low < interval.low);
}

static void a_higher_level_makes_a_wider_interval(void **state)
{
    struct rand_state rand;
    double values[COUNT];
    double width = 0;

    (void)state;
    rand_init(&rand, 1);
    draw_times(&rand, 0, values, COUNT);
    for (int halvings = 1; halvings < 17; halvings++) {
        struct bench_interval interval = bench_interval_of(values, COUNT, 1 - ldexp(1, -halvings));

        assert_true(interval.high - interval.low > width);
        width = interval.high - interval.low;
    }
}

static double coverage_of_times(double r, size_t count)
{
    struct rand_state rand;
    double values[COUNT];
    unsigned held = 0;

    rand_init(&rand, 2);
    for (unsigned i = 0; i < TRIALS; i++) {
        struct bench_summary summary;

        draw_times(&rand, r, values, count);
        summary = bench_summary_of(values, count);
        held += summary.low <= 100 && 100 <= summary.high;
    }
    return (double)held / TRIALS;
}

static void an_interval_holds_the_true_median_as_often_as_it_says(void **state)
{
    (void)state;
    assert_true(coverage_of_times(0, 5) >= 0.95);
    assert_true(coverage_of_times(0, 11) >= 0.95);
    assert_true(coverage_of_times(0, COUNT) >= 0.95);
    assert_true(coverage_of_times(0, COUNT) <= 0.985); /* and is no wider than that */
}

static void an_interval_holds_it_when_neighbours_are_alike(void **state)
{
    (void)state;
    assert_true(coverage_of_times(0.3, COUNT) >= 0.94);
    assert_true(coverage_of_times(0.5, COUNT) >= 0.93);
}

/* Skewed by far: half of e^x lies below 1. */
static void an_interval_holds_the_median_of_skewed_values(void **state)
{
    struct rand_state rand;
    double values[COUNT];
    unsigned held = 0;

    (void)state;
    rand_init(&rand, 3);
    for (unsigned i = 0; i < TRIALS; i++) {
        struct bench_summary summary;

        for (size_t j = 0; j < COUNT; j++) {
            values[j] = exp(bell(&rand));
        }
        summary = bench_summary_of(values, COUNT);
        held += summary.low <= 1 && 1 <= summary.high;
    }
    assert_true((double)held / TRIALS >= 0.95);
}

static void a_change_is_that_of_the_medians(void **state)
{
    const double a[] = { 10, 11, 9, 12, 8 };
    const double b[] = { 15, 16, 14, 17, 13 };
    struct bench_change forth = bench_change_of(a, 5, b, 5, 0.95);
    struct bench_change back = bench_change_of(b, 5, a, 5, 0.95);

    (void)state;
    assert_near(forth.change, 0.5);
    assert_true(forth.low < 0.5 && forth.high > 0.5);
    /* The other way round it is the inverse, with its interval. */
    assert_near((1 + forth.change) * (1 + back.change), 1);
    assert_near((1 + forth.low) * (1 + back.high), 1);
    assert_near((1 + forth.high) * (1 + back.low), 1);
}

static void a_change_does_not_depend_on_the_unit(void **state)
{
    struct rand_state rand;
    double a[COUNT];
    double b[COUNT];
    struct bench_change ns;
    struct bench_change s;

    (void)state;
    rand_init(&rand, 4);
    draw_times(&rand, 0, a, COUNT);
    draw_times(&rand, 0, b, COUNT);
    ns = bench_change_of(a, COUNT, b, COUNT, 0.95);
    for (size_t i = 0; i < COUNT; i++) {
        a[i] *= 1e-9;
        b[i] *= 1e-9;
    }
    s = bench_change_of(a, COUNT, b, COUNT, 0.95);
    assert_near(ns.change, s.change);
    assert_near(ns.low, s.low);
    assert_near(ns.high, s.high);
}

/* How often two samples differ at 95 %, the second of which takes `factor` times as long. */
static double rate_of_differences(double r, double factor)
{
    struct rand_state rand;
    double a[COUNT];
    double b[COUNT];
    unsigned differ = 0;

    rand_init(&rand, 5);
    for (unsigned i = 0; i < TRIALS; i++) {
        struct bench_change change;

        draw_times(&rand, r, a, COUNT);
        draw_times(&rand, r, b, COUNT);
        for (size_t j = 0; j < COUNT; j++) {
            b[j] *= factor;
        }
        change = bench_change_of(a, COUNT, b, COUNT, 0.95);
        differ += change.low > 0 || change.high < 0;
    }
    return (double)differ / TRIALS;
}

static void samples_of_one_distribution_seldom_differ(void **state)
{
    (void)state;
    assert_true(rate_of_differences(0, 1) <= 0.05);
    assert_true(rate_of_differences(0.3, 1) <= 0.05);
    assert_true(rate_of_differences(0.5, 1) <= 0.05);
}

static void a_change_above_the_noise_is_found(void **state)
{
    (void)state;
    assert_true(rate_of_differences(0, 1.03) >= 0.95);
    assert_true(rate_of_differences(0, 0.97) >= 0.95);
}

/* Cores with these medians, and intervals of 1 % to either side. */
static double outlier(const double *medians, size_t count, size_t index, bool more_is_better)
{
    struct bench_summary cores[16];

    for (size_t i = 0; i < count; i++) {
        cores[i] = (struct bench_summary){ .median = medians[i],
                                           .low = medians[i] * 0.99,
                                           .high = medians[i] * 1.01 };
    }
    return bench_outlier_of(cores, count, index, more_is_better);
}

static void a_core_unlike_the_others_is_named_with_its_distance(void **state)
{
    const double medians[] = { 100, 101, 99, 115, 100, 102, 98, 100 };

    (void)state;
    assert_near(outlier(medians, 8, 3, false), 0.15);
    assert_near(outlier(medians, 8, 3, true), 0.15); /* odd to the better side, too */
    for (size_t i = 0; i < 8; i++) {
        assert_true(i == 3 || outlier(medians, 8, i, false) == 0.0);
    }
}

static void a_small_difference_makes_no_outlier(void **state)
{
    const double medians[] = { 100, 100, 100, 109 };

    (void)state;
    assert_true(outlier(medians, 4, 3, false) == 0.0);
}

/* As of a machine with two kinds of cores. */
static void cores_that_differ_among_themselves_have_no_outlier(void **state)
{
    const double medians[] = { 100, 101, 99, 100, 140, 141, 139, 140 };

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_true(outlier(medians, 8, i, false) == 0.0);
    }
}

static void a_core_whose_interval_holds_the_median_of_the_others_is_no_outlier(void **state)
{
    struct bench_summary cores[4] = {
        { .median = 100, .low = 99, .high = 101 },
        { .median = 100, .low = 99, .high = 101 },
        { .median = 100, .low = 99, .high = 101 },
        { .median = 130, .low = 98, .high = 160 },
    };

    (void)state;
    assert_true(bench_outlier_of(cores, 4, 3, false) == 0.0);
    cores[3].low = 110;
    assert_near(bench_outlier_of(cores, 4, 3, false), 0.3);
}

static void of_two_cores_only_the_much_slower_one_is_named(void **state)
{
    const double far[] = { 100, 140 };
    const double fast[] = { 100, 160 };
    const double close[] = { 100, 125 };

    (void)state;
    assert_near(outlier(far, 2, 1, false), 0.4);
    assert_true(outlier(far, 2, 0, false) == 0.0);
    assert_near(outlier(fast, 2, 0, true), -0.375); /* a rate: less is slower */
    assert_true(outlier(fast, 2, 0, false) == 0.0);
    assert_true(outlier(fast, 2, 1, true) == 0.0);
    assert_true(outlier(close, 2, 1, false) == 0.0);
    assert_true(outlier(far, 1, 0, false) == 0.0); /* one core has nobody beside it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle_one_or_the_mean_of_the_middle_two),
        cmocka_unit_test(being_second_is_no_advantage_in_a_ratio),
        cmocka_unit_test(half_of_the_values_are_below_a_median),
        cmocka_unit_test(the_mad_is_the_median_distance_and_is_not_scaled),
        cmocka_unit_test(one_wild_value_moves_neither_median_nor_interval_far),
        cmocka_unit_test(equal_values_have_an_interval_without_width),
        cmocka_unit_test(ends_of_an_interval_lie_between_ordered_values),
        cmocka_unit_test(an_interval_that_few_values_cannot_give_goes_beyond_them),
        cmocka_unit_test(a_higher_level_makes_a_wider_interval),
        cmocka_unit_test(an_interval_holds_the_true_median_as_often_as_it_says),
        cmocka_unit_test(an_interval_holds_it_when_neighbours_are_alike),
        cmocka_unit_test(an_interval_holds_the_median_of_skewed_values),
        cmocka_unit_test(a_change_is_that_of_the_medians),
        cmocka_unit_test(a_change_does_not_depend_on_the_unit),
        cmocka_unit_test(samples_of_one_distribution_seldom_differ),
        cmocka_unit_test(a_change_above_the_noise_is_found),
        cmocka_unit_test(a_core_unlike_the_others_is_named_with_its_distance),
        cmocka_unit_test(a_small_difference_makes_no_outlier),
        cmocka_unit_test(cores_that_differ_among_themselves_have_no_outlier),
        cmocka_unit_test(a_core_whose_interval_holds_the_median_of_the_others_is_no_outlier),
        cmocka_unit_test(of_two_cores_only_the_much_slower_one_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
