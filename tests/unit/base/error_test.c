/* SPDX-License-Identifier: MIT */
/* Error: every result has a text, and the results with a meaning of their own have their own. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "rt/base.h"
#include "support/harness.h"

static void results_with_a_meaning_of_our_own_have_our_text(void **state)
{
    (void)state;
    assert_string_equal(rt_strerror(-ETIME), "deadline passed");
    assert_string_equal(rt_strerror(-ECANCELED), "cancelled");
    assert_string_equal(rt_strerror(-ESHUTDOWN), "the executor is stopping");
}

static void other_results_have_the_text_of_the_c_library(void **state)
{
    static const int errors[] = { EPERM,      EAGAIN,     ENOMEM,      EBUSY,  EINVAL,
                                  EMFILE,     ENOSPC,     EPIPE,       ENOSYS, E2BIG,
                                  EOPNOTSUPP, EADDRINUSE, ECONNREFUSED };

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        assert_string_equal(rt_strerror(-errors[i]), strerror(errors[i]));
    }
}

static void the_sign_does_not_matter(void **state)
{
    (void)state;
    for (int error = 0; error < 200; error++) {
        assert_string_equal(rt_strerror(error), rt_strerror(-error));
    }
}

static void any_value_has_a_text(void **state)
{
    static const int values[] = { 0, 1, -1, 41, 58, 4095, 4096, -4096, INT_MAX, -INT_MAX, INT_MIN };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const char *text = rt_strerror(values[i]);

        assert_non_null(text);
        assert_true(text[0] != '\0');
    }
    assert_string_equal(rt_strerror(-4096), "unknown error");
}

static void texts_are_constant(void **state)
{
    (void)state;
    for (int error = 0; error < 200; error++) {
        const char *text = rt_strerror(-error);

        (void)rt_strerror(-EINVAL);
        (void)rt_strerror(-99999);
        assert_ptr_equal(rt_strerror(-error), text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_with_a_meaning_of_our_own_have_our_text),
        cmocka_unit_test(other_results_have_the_text_of_the_c_library),
        cmocka_unit_test(the_sign_does_not_matter),
        cmocka_unit_test(any_value_has_a_text),
        cmocka_unit_test(texts_are_constant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
