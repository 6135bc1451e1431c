/* SPDX-License-Identifier: MIT */
/*
 * Figures of rt-bench: from the repetitions of several passes to one result.
 *
 * Method: results as texts, with so few and simple repetitions that the figures
 * are known by hand.
 */
#include "figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

/* A pass; of "values" every second repetition is twice the one before. */
static const char pass_text[] =
    "{'name': 'a', 'unit': 'ns', 'goal': 1.5, 'error': null, 'units': 10, 'repeated': 1,"
    " 'values': [10, 20, 10, 20], 'limit_values': [5, 10, 5, 10], 'bare_values': [],"
    " 'counts': {'cpu_ns': [1, 3, 1, 3], 'enters': [null, null, null, null]},"
    " 'noise': {'waited_us': [0, 0, 0, 9]}, 'latency': null, 'limit_latency': null,"
    " 'disturbances': {'repetitions': 1.0, 'steal_ms': 0.0, 'waited_us': 1500.0, 'switches': 2.0},"
    " 'peers': [{'name': 'p', 'values': [50, 100, 50, 100]}]}";

static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    json_t *object;

    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    object = json_loads(copy, 0, NULL);
    free(copy);
    assert_non_null(object);
    return object;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void assert_near(double value, double wanted)
{
    assert_true(fabs(value - wanted) < 1e-9);
}

static void figures_are_medians_of_all_repetitions(void **state)
{
    json_t *result = parse(pass_text);
    const json_t *peer;

    (void)state;
    figures_set(result);
    assert_near(number_of(result, "value"), 15);
    assert_near(number_of(result, "mad"), 5);
    assert_near(number_of(result, "limit"), 7.5);
    assert_near(number_of(result, "ratio"), 2);
    assert_true(json_is_true(json_object_get(result, "over_goal")));
    assert_near(number_of(result, "cpu_ns"), 2);
    assert_near(number_of(result, "repetitions"), 4);
    assert_true(json_is_null(json_object_get(result, "bare")));
    assert_true(json_is_null(json_object_get(result, "enters"))); /* not known is not 0 */
    assert_true(number_of(result, "low") > 0 && number_of(result, "low") <= 15);
    assert_true(number_of(result, "high") >= 15);
    peer = json_array_get(json_object_get(result, "peers"), 0);
    assert_near(number_of(peer, "value"), 75);
    assert_near(number_of(peer, "ratio"), 10);
    json_decref(result);
}

static void a_rate_is_worse_when_it_is_less(void **state)
{
    json_t *result = parse(pass_text);

    (void)state;
    json_object_set_new(result, "unit", json_string("per_s"));
    figures_set(result);
    assert_near(number_of(result, "value"), 15);
    assert_near(number_of(result, "ratio"), 0.5);
    assert_true(json_is_false(json_object_get(result, "over_goal")));
    assert_near(number_of(json_array_get(json_object_get(result, "peers"), 0), "ratio"), 0.1);
    json_decref(result);
}

static void without_a_limit_there_is_no_ratio(void **state)
{
    json_t *result = parse(pass_text);

    (void)state;
    json_object_set_new(result, "limit_values", json_array());
    figures_set(result);
    assert_near(number_of(result, "value"), 15);
    assert_true(json_is_null(json_object_get(result, "limit")));
    assert_true(json_is_null(json_object_get(result, "ratio")));
    assert_true(json_is_null(json_object_get(result, "ratio_low")));
    assert_true(json_is_null(json_object_get(result, "over_goal")));
    json_decref(result);
}

static void passes_add_up(void **state)
{
    json_t *result = parse(pass_text);
    json_t *pass = parse(pass_text);
    const json_t *disturbances = json_object_get(result, "disturbances");

    (void)state;
    json_object_set_new(pass, "values", parse("[40, 80, 40, 80]"));
    json_object_set_new(pass, "latency", parse("{'count': 3}"));
    figures_add(result, pass);
    figures_set(result);
    assert_near(number_of(result, "repetitions"), 8);
    assert_near(number_of(result, "value"), 30); /* of 10 10 20 20 40 40 80 80 */
    assert_near(number_of(result, "repeated"), 2);
    assert_near(number_of(disturbances, "repetitions"), 2);
    assert_near(number_of(disturbances, "waited_us"), 3000);
    assert_near(number_of(json_object_get(result, "latency"), "count"), 3);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(result, "noise"), "waited_us")), 8);
    assert_int_equal(json_array_size(json_object_get(json_object_get(result, "counts"), "cpu_ns")),
                     8);
    assert_int_equal(json_array_size(json_object_get(
                         json_array_get(json_object_get(result, "peers"), 0), "values")),
                     8);
    json_decref(pass);
    json_decref(result);
}

/* 2 of 4 + 1 repetitions are more than a third; 1 of 4 + 1 are not. */
static void a_row_is_disturbed_from_a_third_of_all_repetitions_on(void **state)
{
    json_t *result = parse(pass_text);

    (void)state;
    figures_set(result);
    assert_true(json_is_false(json_object_get(result, "disturbed")));
    assert_string_equal(json_string_value(json_object_get(result, "disturbance")), "");
    json_object_set_new(json_object_get(result, "disturbances"), "repetitions", json_real(2));
    figures_set(result);
    assert_true(json_is_true(json_object_get(result, "disturbed")));
    assert_string_equal(json_string_value(json_object_get(result, "disturbance")),
                        "2 of 5 repetitions: steal 0 ms, waited 1.5 ms, 2 switches");
    json_decref(result);
}

static void a_row_that_fails_in_a_later_pass_has_no_figures(void **state)
{
    json_t *result = parse(pass_text);
    json_t *failed = parse("{'name': 'a', 'error': 'it broke'}");
    json_t *good = parse(pass_text);

    (void)state;
    figures_add(result, failed);
    figures_add(result, good); /* does not make it good again */
    figures_set(result);
    assert_string_equal(json_string_value(json_object_get(result, "error")), "it broke");
    assert_true(json_is_null(json_object_get(result, "value")));
    assert_true(json_is_null(json_object_get(result, "ratio")));
    assert_true(json_is_null(json_object_get(result, "disturbed")));
    assert_int_equal(json_array_size(json_object_get(result, "values")), 0);
    json_decref(good);
    json_decref(failed);
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_medians_of_all_repetitions),
        cmocka_unit_test(a_rate_is_worse_when_it_is_less),
        cmocka_unit_test(without_a_limit_there_is_no_ratio),
        cmocka_unit_test(passes_add_up),
        cmocka_unit_test(a_row_is_disturbed_from_a_third_of_all_repetitions_on),
        cmocka_unit_test(a_row_that_fails_in_a_later_pass_has_no_figures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
