/* SPDX-License-Identifier: MIT */
/* Log: what is let through, to whom, and what becomes of a line that is too long. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/harness.h"

struct ear {
    char text[RTI_LOG_BYTES_MAX * 2];
    unsigned lines;
    enum rt_log_level level;
};

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    struct ear *ear = arg;

    snprintf(ear->text, sizeof(ear->text), "%s", text);
    ear->level = level;
    ear->lines++;
}

static void a_line_reaches_the_function_that_was_named(void **state)
{
    struct ear ear = { .lines = 0 };
    const struct rti_log log = { .write = hear, .arg = &ear, .level = RT_LOG_INFO };

    (void)state;
    rti_log(&log, RT_LOG_INFO, "%s is %d", "seven", 7);
    assert_string_equal(ear.text, "seven is 7");
    assert_int_equal(ear.level, RT_LOG_INFO);
    assert_int_equal(ear.lines, 1);
}

static void lines_above_the_level_are_dropped(void **state)
{
    (void)state;
    for (unsigned level = RT_LOG_ERROR; level <= RT_LOG_INFO; level++) {
        struct ear ear = { .lines = 0 };
        const struct rti_log log = { hear, &ear, (enum rt_log_level)level };

        rti_log(&log, RT_LOG_ERROR, "one");
        rti_log(&log, RT_LOG_WARNING, "two");
        rti_log(&log, RT_LOG_INFO, "three");
        assert_int_equal(ear.lines, level);
        assert_int_equal(ear.level, level);
    }
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    struct ear ear = { .lines = 0 };
    const struct rti_log log = { .write = hear, .arg = &ear, .level = RT_LOG_INFO };
    char text[RTI_LOG_BYTES_MAX + 100];

    (void)state;
    for (size_t length = RTI_LOG_BYTES_MAX - 3; length < sizeof(text) - 1; length++) {
        memset(text, 'x', length);
        text[length] = '\0';
        rti_log(&log, RT_LOG_ERROR, "%s", text);
        assert_int_equal(strlen(ear.text),
                         length < RTI_LOG_BYTES_MAX ? length : RTI_LOG_BYTES_MAX - 1);
        assert_memory_equal(ear.text, text, strlen(ear.text));
    }
}

static void an_empty_line_is_a_line(void **state)
{
    struct ear ear = { .text = "before" };
    const struct rti_log log = { .write = hear, .arg = &ear, .level = RT_LOG_ERROR };

    (void)state;
    rti_log(&log, RT_LOG_ERROR, "%s", "");
    assert_int_equal(ear.lines, 1);
    assert_string_equal(ear.text, "");
}

/* Standard error is exchanged for a pipe while the lines are written. */
static void without_a_function_lines_go_to_standard_error(void **state)
{
    static const char expected[] = "shardrt: error: one\n"
                                   "shardrt: warning: two\n"
                                   "shardrt: info: three\n";
    char text[256] = "";
    const int saved = dup(STDERR_FILENO);
    int ends[2];

    (void)state;
    assert_true(saved >= 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    rti_log_to_stderr(NULL, RT_LOG_ERROR, "one");
    rti_log_to_stderr(NULL, RT_LOG_WARNING, "two");
    rti_log_to_stderr(NULL, RT_LOG_INFO, "three");
    fflush(stderr);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    close(saved);
    assert_int_equal(read(ends[0], text, sizeof(text) - 1), sizeof(expected) - 1);
    close(ends[0]);
    assert_string_equal(text, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_reaches_the_function_that_was_named),
        cmocka_unit_test(lines_above_the_level_are_dropped),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(an_empty_line_is_a_line),
        cmocka_unit_test(without_a_function_lines_go_to_standard_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
