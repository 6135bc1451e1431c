/* SPDX-License-Identifier: MIT */
/*
 * Numbers as the protocol wants them: one spelling each. A table of what is and is not one, and a
 * walk through both directions at the edges and at random.
 */
#include "number.h"

#include <inttypes.h>

#include "support/harness.h"
#include "support/rand.h"

static struct slice text_of(const char *text)
{
    return (struct slice){ text, strlen(text) };
}

static void only_the_one_spelling_of_a_number_is_read(void **state)
{
    static const char *const wrong[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "01",
        "-0",
        "00",
        "-01",
        "1.0",
        "1e3",
        "0x1",
        "a",
        "1a",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999",
        "999999999999999999999",
    };
    int64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(number_parse(text_of(wrong[i]), &number));
    }
    assert_int_equal(number, 7);
    assert_true(number_parse(text_of("-9223372036854775808"), &number));
    assert_true(number == INT64_MIN);
    assert_true(number_parse(text_of("9223372036854775807"), &number));
    assert_true(number == INT64_MAX);
    assert_false(number_parse((struct slice){ "1\0", 2 }, &number));
    assert_true(number_parse((struct slice){ "12", 1 }, &number));
    assert_int_equal(number, 1);
}

static void what_is_printed_is_read_again(void **state)
{
    struct rand_state rand;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < 10000; i++) {
        const uint64_t bits = rand_next(&rand) >> rand_below(&rand, 64);
        const int64_t number = (int64_t)(rand_chance(&rand, 500) ? bits : 0 - bits);
        char expected[32];
        char text[NUMBER_BYTES_MAX];
        const size_t len = number_print(text, number);
        int64_t again;

        (void)snprintf(expected, sizeof(expected), "%" PRId64, number);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(text, expected, len);
        assert_true(number_parse((struct slice){ text, len }, &again));
        assert_true(again == number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_one_spelling_of_a_number_is_read),
        cmocka_unit_test(what_is_printed_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
