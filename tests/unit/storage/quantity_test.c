/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units are those of fio, and nothing else is one. A table of what fio 3.33 makes of
 * them (--debug=parse shows it), a table of what is refused, and a walk there and back.
 */
#include "quantity.h"

#include "support/harness.h"
#include "support/rand.h"

static void bytes_have_the_units_of_fio(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        { "0", 0 },
        { "7", 7 },
        { "7b", 7 },
        { "4k", 4096 },
        { "4K", 4096 },
        { "4kb", 4096 },
        { "4kB", 4096 },
        { "4ki", 4096 },
        { "4kib", 4000 },
        { "4KiB", 4000 },
        { "3m", UINT64_C(3) << 20 },
        { "3mib", 3000000 },
        { "3g", UINT64_C(3) << 30 },
        { "3t", UINT64_C(3) << 40 },
        { "3p", UINT64_C(3) << 50 },
        { "010", 10 },
        { "0x10", 16 },
        { "18446744073709551615", UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 1;

        assert_true(quantity_bytes(cases[i].text, &bytes));
        assert_true(bytes == cases[i].bytes);
    }
}

static void times_have_the_units_of_fio(void **state)
{
    static const struct {
        const char *text;
        rt_time unit;
        rt_time time;
    } cases[] = {
        { "0", RT_SECONDS(1), 0 },
        { "7", RT_SECONDS(1), RT_SECONDS(7) },
        { "7", RT_MICROSECONDS(1), RT_MICROSECONDS(7) },
        { "7us", RT_SECONDS(1), RT_MICROSECONDS(7) },
        { "7usec", RT_SECONDS(1), RT_MICROSECONDS(7) },
        { "7ms", RT_SECONDS(1), RT_MILLISECONDS(7) },
        { "7MSEC", RT_SECONDS(1), RT_MILLISECONDS(7) },
        { "7s", RT_MICROSECONDS(1), RT_SECONDS(7) },
        { "7m", RT_MICROSECONDS(1), RT_SECONDS(420) },
        { "2h", RT_MICROSECONDS(1), RT_SECONDS(7200) },
        { "1D", RT_MICROSECONDS(1), RT_SECONDS(86400) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rt_time time = 1;

        assert_true(quantity_time(cases[i].text, cases[i].unit, &time));
        assert_int_equal(time, cases[i].time);
    }
}

static void other_texts_are_no_numbers(void **state)
{
    static const char *const wrong[] = {
        "",
        "k",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 k",
        "1.5",
        "1e3",
        "0x",
        "4x",
        "4kk",
        "4kx",
        "4%",
        "4k/2",
        "1us",
        "0x10k",
        "1d",
        "18446744073709551616",
        "16384p",
        "0x10000000000000000",
    };
    static const char *const wrong_times[] = {
        "", "s", "-1", "1.5", "1k", "1min", "7sec", "1 s", "9223372037", "9223372036854775808us",
    };
    uint64_t bytes = 7;
    rt_time time = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(quantity_bytes(wrong[i], &bytes));
    }
    for (size_t i = 0; i < sizeof(wrong_times) / sizeof(wrong_times[0]); i++) {
        assert_false(quantity_time(wrong_times[i], RT_SECONDS(1), &time));
    }
    assert_int_equal(bytes, 7);
    assert_int_equal(time, 7);
}

static void what_is_written_is_read_again(void **state)
{
    struct rand_state rand;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < 10000; i++) {
        const uint64_t number = (rand_next(&rand) >> rand_below(&rand, 64))
                                << rand_below(&rand, 40);
        const rt_time span = RT_MICROSECONDS(
            (rt_time)(rand_next(&rand) >> (11 + rand_below(&rand, 53))));
        char text[QUANTITY_BYTES];
        uint64_t bytes;
        rt_time time;

        assert_true(quantity_bytes(quantity_bytes_text(number, text), &bytes));
        assert_true(bytes == number);
        assert_true(quantity_time(quantity_time_text(span, text), 1, &time));
        assert_int_equal(time, span);
    }
    assert_string_equal(quantity_bytes_text(65536, (char[QUANTITY_BYTES]){ 0 }), "64k");
    assert_string_equal(quantity_time_text(RT_SECONDS(90), (char[QUANTITY_BYTES]){ 0 }), "90s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_the_units_of_fio),
        cmocka_unit_test(times_have_the_units_of_fio),
        cmocka_unit_test(other_texts_are_no_numbers),
        cmocka_unit_test(what_is_written_is_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
