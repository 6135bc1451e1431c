/* SPDX-License-Identifier: MIT */
/*
 * Names of functions and files for addresses of code.
 *
 * Asked for a function that the C library exports (and no sanitizer replaces), for
 * one of this program that nobody exports, and for an address where no code is.
 */
#include "support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/symbol.h"

static int hidden(int number)
{
    return number + 1;
}

static void an_exported_function_has_its_name(void **state)
{
    const uintptr_t begin = (uintptr_t)&div;
    struct rti_symbol symbol;

    (void)state;
    rti_symbol_find(&symbol, begin + 5);
    assert_string_equal(symbol.name, "div");
    assert_int_equal(symbol.offset, 5);
    assert_non_null(strstr(symbol.module, "libc"));
    assert_null(strchr(symbol.module, '/'));
    assert_true(symbol.in_module < begin);
}

/* The offset in the file is the distance from where the loader has put the file. */
static void offsets_in_a_file_differ_as_addresses_do(void **state)
{
    const uintptr_t begin = (uintptr_t)&div;
    struct rti_symbol first;
    struct rti_symbol second;

    (void)state;
    rti_symbol_find(&first, begin);
    rti_symbol_find(&second, (uintptr_t)&ldiv);
    assert_string_equal(first.module, second.module);
    assert_true(second.in_module - first.in_module == (uintptr_t)&ldiv - begin);
}

static void a_function_that_is_not_exported_has_its_file(void **state)
{
    struct rti_symbol symbol;

    (void)state;
    rti_symbol_find(&symbol, (uintptr_t)&hidden);
    assert_null(symbol.name);
    assert_string_equal(symbol.module, program_invocation_short_name);
}

static void an_address_without_code_has_neither(void **state)
{
    struct rti_symbol symbol;

    (void)state;
    rti_symbol_find(&symbol, 16);
    assert_null(symbol.name);
    assert_null(symbol.module);
    assert_int_equal(symbol.in_module, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exported_function_has_its_name),
        cmocka_unit_test(offsets_in_a_file_differ_as_addresses_do),
        cmocka_unit_test(a_function_that_is_not_exported_has_its_file),
        cmocka_unit_test(an_address_without_code_has_neither),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
