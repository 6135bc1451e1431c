/* SPDX-License-Identifier: MIT */
/*
 * Zipf's ranks beside theory: 200,000 draws from a fixed seed, counted, and compared with what
 * 1 / k^theta makes due, by chi square over the ranks.
 */
#include "zipf.h"

#include <math.h>
#include <string.h>

#include "support/harness.h"

#define RANKS 500u
#define DRAWN 200000u

static double chi_square_of(double theta)
{
    static double due[RANKS];
    static unsigned times[RANKS];
    const struct zipf zipf = zipf_make(RANKS, theta);
    uint64_t seed = 42;
    double sum = 0;
    double chi_square = 0;

    memset(times, 0, sizeof(times));
    for (unsigned k = 0; k < RANKS; k++) {
        due[k] = pow(k + 1, -theta);
        sum += due[k];
    }
    for (unsigned i = 0; i < DRAWN; i++) {
        const uint64_t rank = zipf_draw(&zipf, &seed);

        assert_true(rank < RANKS);
        times[rank]++;
    }
    for (unsigned k = 0; k < RANKS; k++) {
        const double mean = due[k] / sum * DRAWN;

        chi_square += (times[k] - mean) * (times[k] - mean) / mean;
    }
    return chi_square;
}

static void ranks_come_as_often_as_theory_says(void **state)
{
    static const double thetas[] = { 0.1, 0.5, 0.99, 1.0, 1.0000000001, 1.2 };

    (void)state;
    for (size_t i = 0; i < sizeof(thetas) / sizeof(thetas[0]); i++) {
        /* 499 degrees of freedom: one of a million good generators is above 660. */
        assert_true(chi_square_of(thetas[i]) < 660);
    }
}

/* The sum over all ranks of 1 / k^2 is pi^2 / 6, so the first one has 0.6079 of all. */
static void the_first_of_very_many_has_its_share(void **state)
{
    const struct zipf zipf = zipf_make(UINT64_C(1) << 40, 2);
    uint64_t seed = 1;
    unsigned first = 0;

    (void)state;
    for (unsigned i = 0; i < DRAWN; i++) {
        first += zipf_draw(&zipf, &seed) == 0;
    }
    /* Five standard deviations of a binomial are 1092. */
    assert_in_range(first, 121585 - 1092, 121585 + 1092);
}

static void a_single_rank_is_always_drawn(void **state)
{
    const struct zipf zipf = zipf_make(1, 1.1);
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(zipf_draw(&zipf, &seed), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_come_as_often_as_theory_says),
        cmocka_unit_test(the_first_of_very_many_has_its_share),
        cmocka_unit_test(a_single_rank_is_always_drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
