/* SPDX-License-Identifier: MIT */
/*
 * A text that grows, and names in it that may hold anything.
 *
 * What is right JSON is said by a table of strings; whether a whole dump is JSON
 * is asked of a real parser, in tests/integration/dump_process_test.py.
 */
#include "support/harness.h"

#include <string.h>

#include "core/text.h"
#include "support/fault.h"

static void strings_become_json_whatever_they_hold(void **state)
{
    static const struct {
        const char *string;
        const char *json;
    } rows[] = {
        { NULL, "null" },
        { "", "\"\"" },
        { "first", "\"first\"" },
        { "a \"b\" \\ c", "\"a \\u0022b\\u0022 \\u005c c\"" },
        { "\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\x7f\"" },
        { "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
        { "\xff", "\"\\ufffd\"" },
        { "\xc3", "\"\\ufffd\"" },                                  /* cut */
        { "\xe2\x82", "\"\\ufffd\\ufffd\"" },                       /* cut */
        { "\xc0\xaf", "\"\\ufffd\\ufffd\"" },                       /* longer than it need be */
        { "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },            /* a surrogate */
        { "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" }, /* beyond the last one */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rti_text text = { .data = NULL };

        rti_text_add_json(&text, rows[i].string);
        assert_string_equal(text.data, rows[i].json);
        assert_int_equal(text.used, strlen(rows[i].json));
        rti_text_fini(&text);
    }
}

static void a_long_string_is_cut_between_two_characters(void **state)
{
    struct rti_text text = { .data = NULL };
    char string[401];

    (void)state;
    for (int i = 0; i < 400; i += 2) {
        memcpy(&string[i], "\xc3\xa9", 2);
    }
    string[400] = '\0';
    rti_text_add_json(&text, string);
    assert_int_equal(text.used, 202);
    assert_string_equal(text.data + 199, "\xc3\xa9\"");
    rti_text_fini(&text);
}

static void names_for_people_stay_on_their_line(void **state)
{
    struct rti_text text = { .data = NULL };

    (void)state;
    rti_text_add_name(&text, "a\nb", 6, 64);
    rti_text_add_name(&text, "abcdef", 2, 4);
    rti_text_add_name(&text, NULL, 3, 4);
    rti_text_add(&text, "|");
    assert_string_equal(text.data, "a?b   abcd   |");
    rti_text_fini(&text);
}

static void a_text_grows_with_what_is_added(void **state)
{
    struct rti_text text = { .data = NULL };

    (void)state;
    for (int i = 0; i < 100000; i++) {
        rti_text_add(&text, "%05d", i);
    }
    assert_false(text.failed);
    assert_int_equal(text.used, 500000);
    assert_int_equal(strlen(text.data), 500000);
    for (int i = 0; i < 100000; i++) {
        char number[12];

        snprintf(number, sizeof(number), "%05d", i);
        assert_memory_equal(text.data + (size_t)i * 5, number, 5);
    }
    rti_text_fini(&text);
}

/* Each growth fails once; what was written before is still there. */
static void a_text_without_memory_says_so_at_the_end(void **state)
{
    bool hit = true;

    (void)state;
    for (unsigned nth = 1; hit; nth++) {
        struct rti_text text = { .data = NULL };
        size_t used;

        fault_begin(nth);
        for (int i = 0; i < 4000; i++) {
            rti_text_add(&text, "%05d", i);
        }
        hit = fault_end();
        assert_int_equal(text.failed, hit);
        assert_true(hit || text.used == 20000);
        used = text.used;
        rti_text_add(&text, "more");
        assert_int_equal(text.used, used + (hit ? 0 : 4));
        rti_text_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_become_json_whatever_they_hold),
        cmocka_unit_test(a_long_string_is_cut_between_two_characters),
        cmocka_unit_test(names_for_people_stay_on_their_line),
        cmocka_unit_test(a_text_grows_with_what_is_added),
        cmocka_unit_test(a_text_without_memory_says_so_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
