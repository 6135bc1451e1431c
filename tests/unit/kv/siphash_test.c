/* SPDX-License-Identifier: MIT */
/*
 * SipHash-1-3 gives the values of other implementations: those of Python and OCaml for a key of
 * zeroes, and of Rust for the key of the paper.
 */
#include "siphash.h"

#include "support/harness.h"

static void values_are_those_of_other_implementations(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } known[] = {
        { 0, UINT64_C(0xd1fba762150c532c) },  { 1, UINT64_C(0x68a914128e01e473) },
        { 7, UINT64_C(0x2f098ab0c751325a) },  { 8, UINT64_C(0xead411e67ebe2eea) },
        { 9, UINT64_C(0x75927f9d95124362) },  { 15, UINT64_C(0xf30eb725bb91c9ea) },
        { 16, UINT64_C(0x8972188433a5c5b7) }, { 17, UINT64_C(0x4883c49a2c009c1d) },
        { 63, UINT64_C(0x385d3e39e5f37359) }, { 64, UINT64_C(0x75e05fd5bbc870c6) },
    };
    const struct siphash_key zeroes = { { 0, 0 } };
    const struct siphash_key paper = {
        { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) },
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)i;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const uint64_t hash = siphash(&zeroes, (struct slice){ text, known[i].len });

        assert_true(hash == known[i].hash);
    }
    assert_true(siphash(&paper, (struct slice){ text, 0 }) == UINT64_C(0xabac0158050fc4dc));
}

static void keys_that_are_made_differ(void **state)
{
    struct siphash_key one;
    struct siphash_key two;

    (void)state;
    assert_int_equal(siphash_key_make(&one), 0);
    assert_int_equal(siphash_key_make(&two), 0);
    assert_memory_not_equal(&one, &two, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_other_implementations),
        cmocka_unit_test(keys_that_are_made_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
