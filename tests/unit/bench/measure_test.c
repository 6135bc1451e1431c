/* SPDX-License-Identifier: MIT */
/*
 * Measure of rt-bench: the sides of a row are taken in turn, with one seed and as
 * many units each, in an order that favours none of them.
 *
 * Method: a row whose sides write down how they were called. Its last calls are the
 * repetitions of the result; those before chose the units.
 */
#include "measure.h"

#include <rt/rt.h>
#include <sched.h>
#include <string.h>

#include "repetition.h"
#include "support/harness.h"

#define SEED      77
#define CALLS_MAX 8192

static struct call {
    enum side side;
    uint64_t units, seed;
} calls[CALLS_MAX];
static size_t call_count;

static int fail_after; /* so many calls; below 0: never */

/* `cost` times the work for each unit. */
static int work(struct rt_bench *bench, enum side side, unsigned cost)
{
    volatile uint64_t sum = 0;

    if (call_count < CALLS_MAX) {
        calls[call_count++] = (struct call){ side, bench->units, bench->seed };
    }
    rt_bench_start(bench);
    for (uint64_t i = 0; i < bench->units * cost; i++) {
        sum = sum + i;
    }
    rt_bench_stop(bench, bench->units);
    return fail_after >= 0 && call_count > (size_t)fail_after ? -5 : 0;
}

static int run_side(struct rt_bench *bench)
{
    return work(bench, SIDE_RUN, 40);
}

static int limit_side(struct rt_bench *bench)
{
    return work(bench, SIDE_LIMIT, 20);
}

static int bare_side(struct rt_bench *bench)
{
    return work(bench, SIDE_BARE, 10);
}

/* Plain: a busy machine does not have repetitions done again. */
static const struct rt_bench_row row = {
    .name = "row",
    .summary = "a unit",
    .run = run_side,
    .limit = limit_side,
    .bare = bare_side,
    .flags = RT_BENCH_PLAIN,
};

static json_t *measure_row(void)
{
    const struct settings settings = { .seconds = 0.01, .passes = 1, .seed = SEED };
    const int32_t cpus[2] = { sched_getcpu(), -1 };

    call_count = 0;
    return measure(&row, cpus, &settings);
}

static size_t size_of(const json_t *result, const char *key)
{
    return json_array_size(json_object_get(result, key));
}

static void sides_take_turns_at_being_first(void **state)
{
    static const enum side orders[2][SIDES] = { { SIDE_BARE, SIDE_LIMIT, SIDE_RUN },
                                                { SIDE_RUN, SIDE_LIMIT, SIDE_BARE } };
    json_t *result = measure_row();
    const size_t count = size_of(result, "values");
    const size_t again = (size_t)json_integer_value(json_object_get(result, "repeated"));
    const struct call *call = &calls[call_count - (count + again) * SIDES];

    (void)state;
    assert_true(json_is_null(json_object_get(result, "error")));
    assert_true(count >= 4 && count % 2 == 0); /* as many of each order */
    assert_int_equal(size_of(result, "limit_values"), count);
    assert_int_equal(size_of(result, "bare_values"), count);
    for (size_t i = 0; i < count + again; i++) {
        const uint64_t number = call->seed - SEED;

        assert_in_range(number, i - (i < again ? i : again),
                        i); /* one that was done again keeps it */
        for (size_t k = 0; k < SIDES; k++, call++) {
            assert_int_equal(call->side, orders[number % 2][k]);
            assert_int_equal(call->seed, SEED + number);
            assert_int_equal(call->units, calls[call_count - 1].units);
        }
    }
    assert_int_equal(calls[call_count - 1].seed, SEED + count - 1);
    json_decref(result);
}

/* How many depends on the machine. */
static void units_are_found_from_one_on_and_told(void **state)
{
    json_t *result = measure_row();
    const uint64_t units = calls[call_count - 1].units;

    (void)state;
    assert_int_equal(calls[0].units, 1);
    assert_int_equal(json_integer_value(json_object_get(result, "units")), units);
    json_decref(result);
}

static void a_side_that_fails_ends_the_row_and_is_named(void **state)
{
    json_t *result;

    (void)state;
    fail_after = 0;
    result = measure_row();
    fail_after = -1;
    assert_int_equal(call_count, 1);
    assert_non_null(strstr(json_string_value(json_object_get(result, "error")), "its runtime"));
    assert_null(json_object_get(result, "values"));
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sides_take_turns_at_being_first),
        cmocka_unit_test(units_are_found_from_one_on_and_told),
        cmocka_unit_test(a_side_that_fails_ends_the_row_and_is_named),
    };

    fail_after = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
