/* SPDX-License-Identifier: MIT */
/*
 * Spin: in which waits a shard looks for work before it sleeps.
 *
 * Method: the policy alone, in a world of virtual time: each wait has a length, and a look
 * finds work when that is no longer than the window. Lengths come from all short
 * patterns and from seeds.
 */
#include "core/spin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define WINDOW 50.0 /* us, as is a wait */

static struct rti_spin made(bool adaptive)
{
    return (struct rti_spin){ .window = (uint64_t)WINDOW, .adaptive = adaptive };
}

/* One wait; whether it was looked into. */
static bool wait_for(struct rti_spin *spin, double length)
{
    const bool looks = rti_spin_looks(spin);

    if (looks) {
        rti_spin_looked(spin, length <= WINDOW);
    }
    return looks;
}

static void without_a_window_no_wait_is_looked_into(void **state)
{
    (void)state;
    for (int adaptive = 0; adaptive < 2; adaptive++) {
        struct rti_spin spin = { .window = 0, .adaptive = adaptive != 0 };

        for (int i = 0; i < 100; i++) {
            assert_false(wait_for(&spin, 1));
        }
        assert_int_equal(spin.looks, 0);
    }
}

static void the_fixed_policy_looks_into_every_wait(void **state)
{
    struct rti_spin spin = made(false);

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_true(wait_for(&spin, i % 3 == 0 ? 1 : 1000));
    }
    assert_int_equal(spin.looks, 100);
    assert_int_equal(spin.found, 34);
}

static void short_waits_are_found_by_the_first_probe_and_all_looked_into_from_then_on(void **state)
{
    struct rti_spin spin = made(true);

    (void)state;
    for (unsigned i = 1; i < RTI_SPIN_PROBE; i++) {
        assert_false(wait_for(&spin, 1));
    }
    for (int i = 0; i < 100; i++) {
        assert_true(wait_for(&spin, 1));
    }
}

static void once_waits_are_long_it_looks_a_few_times_and_then_into_one_in_17(void **state)
{
    struct rti_spin spin = made(true);
    unsigned looks = 0;

    (void)state;
    while (spin.credit < RTI_SPIN_CREDIT_MAX) {
        (void)wait_for(&spin, 1);
    }
    for (unsigned i = 0; i < RTI_SPIN_CREDIT_MAX; i++) {
        assert_true(wait_for(&spin, 1000));
    }
    for (unsigned i = 0; i < 10 * RTI_SPIN_PROBE; i++) {
        looks += wait_for(&spin, 1000);
    }
    assert_int_equal(looks, 10);
}

/* A caller waits for its answer, which is short, and then for its next tick, which is not. The
 * probes must not always meet the ticks. */
static void waits_that_alternate_are_found_from_either_side(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct rti_spin spin = made(true);

        for (unsigned i = 0; i < 4 * RTI_SPIN_PROBE; i++) {
            (void)wait_for(&spin, i % 2 == side ? 1 : 1000);
        }
        for (unsigned i = 0; i < 100; i++) {
            assert_true(wait_for(&spin, i % 2 == side ? 1 : 1000));
        }
    }
}

static void check_bound(const struct rti_spin *spin, uint64_t waits, uint64_t which)
{
    const uint64_t vain = spin->looks - spin->found;

    if (vain > RTI_SPIN_FOUND * spin->found + waits / RTI_SPIN_PROBE) {
        fail_msg("%" PRIu64 " looks in vain, %" PRIu64 " that found, %" PRIu64
                 " waits; pattern or RT_SEED=%" PRIu64,
                 vain, spin->found, waits, which);
    }
}

/* All orders of 16 waits, behind any history that matters: one of each credit and each phase. */
static void looks_in_vain_are_bounded_whatever_comes(void **state)
{
    (void)state;
    for (uint64_t pattern = 0; pattern < 1u << 16; pattern++) {
        struct rti_spin spin = made(true);
        uint64_t waits = 0;

        for (; waits < pattern % RTI_SPIN_PROBE + RTI_SPIN_PROBE; waits++) {
            (void)wait_for(&spin, 1);
        }
        for (unsigned i = 0; i < 16; i++) {
            (void)wait_for(&spin, (pattern >> i & 1) != 0 ? 1 : 1000);
            check_bound(&spin, ++waits, pattern);
        }
    }
}

static void the_bound_holds_over_long_lives(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        struct rti_spin spin = made(true);
        struct rand_state rand;
        uint64_t odds = 0; /* of a short wait, in 8; they change now and then */

        rand_init(&rand, rt_test_seed(i));
        for (uint64_t waits = 1; waits <= 5000; waits++) {
            if (rand_below(&rand, 40) == 0) {
                odds = rand_below(&rand, 9);
            }
            (void)wait_for(&spin, rand_below(&rand, 8) < odds ? 1 : 1000);
            check_bound(&spin, waits, rt_test_seed(i));
        }
    }
}

/* Of all waits, the share that is looked into, when so many in 1000 are short, by chance. */
static double share_of_looks(uint64_t short_per_mille, uint64_t seed)
{
    struct rti_spin spin = made(true);
    struct rand_state rand;
    unsigned looks = 0;

    rand_init(&rand, seed);
    for (unsigned i = 0; i < 10000; i++) {
        looks += wait_for(&spin, rand_below(&rand, 1000) < short_per_mille ? 1 : 1000);
    }
    return looks / 10000.0;
}

/* Two looks in vain for one that finds is the worst that is taken: a third must find. With random
 * arrivals 1 - exp(-window/mean) do; the means here are 10, 25, 60, 250 and 1000 us. */
static void random_arrivals_are_looked_for_when_a_third_would_be_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(20); i++) {
        const uint64_t seed = rt_test_seed(i);

        assert_true(share_of_looks(993, seed) > 0.99);
        assert_true(share_of_looks(865, seed) > 0.95);
        assert_true(share_of_looks(565, seed) > 0.80);
        assert_true(share_of_looks(181, seed) < 0.25);
        assert_true(share_of_looks(49, seed) < 0.08);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_window_no_wait_is_looked_into),
        cmocka_unit_test(the_fixed_policy_looks_into_every_wait),
        cmocka_unit_test(short_waits_are_found_by_the_first_probe_and_all_looked_into_from_then_on),
        cmocka_unit_test(once_waits_are_long_it_looks_a_few_times_and_then_into_one_in_17),
        cmocka_unit_test(waits_that_alternate_are_found_from_either_side),
        cmocka_unit_test(looks_in_vain_are_bounded_whatever_comes),
        cmocka_unit_test(the_bound_holds_over_long_lives),
        cmocka_unit_test(random_arrivals_are_looked_for_when_a_third_would_be_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
