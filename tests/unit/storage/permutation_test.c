/* SPDX-License-Identifier: MIT */
/*
 * A permutation gives each number once, for every count up to a few hundred and some larger ones,
 * and looks random: how often a number comes at a place is compared with chance.
 */
#include "permutation.h"

#include <string.h>

#include "support/harness.h"

#define COUNT_MAX 70000u

static unsigned char seen[COUNT_MAX];

static void check_each_once(uint64_t count, uint64_t seed)
{
    const struct permutation permutation = permutation_make(count, seed);

    memset(seen, 0, sizeof(seen));
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = permutation_at(&permutation, i);

        assert_true(number < count);
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
    }
}

static void each_number_comes_once(void **state)
{
    static const uint64_t large[] = { 1023, 1024, 1025, 4096, 65535, 65537, COUNT_MAX };

    (void)state;
    for (uint64_t count = 1; count <= 300; count++) {
        check_each_once(count, count * 7);
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        check_each_once(large[i], i);
    }
}

/* 20,000 orders of 10 numbers: each of the 100 pairs of number and place is due 2000 times. */
static void every_number_comes_at_every_place(void **state)
{
    enum { NUMBERS = 10, ORDERS = 20000 };
    unsigned times[NUMBERS][NUMBERS] = { { 0 } };
    const double due = (double)ORDERS / NUMBERS;
    double chi_square = 0;

    (void)state;
    for (uint64_t seed = 0; seed < ORDERS; seed++) {
        const struct permutation permutation = permutation_make(NUMBERS, seed << 20);

        for (unsigned i = 0; i < NUMBERS; i++) {
            times[i][permutation_at(&permutation, i)]++;
        }
    }
    for (unsigned i = 0; i < NUMBERS; i++) {
        for (unsigned k = 0; k < NUMBERS; k++) {
            chi_square += (times[i][k] - due) * (times[i][k] - due) / due;
        }
    }
    /* 81 degrees of freedom: one of a million good generators is above 153. */
    assert_true(chi_square < 153);
}

/* A device that reads ahead would like neighbours; by chance 2 of the pairs are some. */
static void neighbours_are_rare(void **state)
{
    const struct permutation permutation = permutation_make(COUNT_MAX, 1);
    unsigned neighbours = 0;

    (void)state;
    for (uint64_t i = 1; i < COUNT_MAX; i++) {
        const uint64_t before = permutation_at(&permutation, i - 1);
        const uint64_t number = permutation_at(&permutation, i);

        neighbours += number == before + 1 || before == number + 1;
    }
    assert_true(neighbours < 15);
}

static void another_seed_gives_another_order(void **state)
{
    const struct permutation one = permutation_make(1000, 1);
    const struct permutation two = permutation_make(1000, 2);
    unsigned same = 0;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        same += permutation_at(&one, i) == permutation_at(&two, i);
    }
    assert_true(same < 12); /* one is due */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_comes_once),
        cmocka_unit_test(every_number_comes_at_every_place),
        cmocka_unit_test(neighbours_are_rare),
        cmocka_unit_test(another_seed_gives_another_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
