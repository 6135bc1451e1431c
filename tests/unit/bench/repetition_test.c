/* SPDX-License-Identifier: MIT */
/*
 * Repetition of rt-bench: a side runs where it should, is counted as what it did,
 * and a side that breaks the rules of rt/bench.h is told which one.
 *
 * Method: rows of this test whose counts are known, such as three allocations and
 * one entry of the ring in each unit; no time is judged but by arithmetic.
 */
#include "repetition.h"

#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/have_io_uring.h"

#define UNITS 100
#define CALLS 10000

static int32_t cpus[2] = { -1, -1 };

/* What a side has seen. */
static struct {
    int cpu, other_cpu;
    unsigned bound_to; /* CPUs that its thread might use */
    void *volatile memory;
} seen;

static bool run(const struct rt_bench_row *row, enum side side, struct repetition *out)
{
    const int32_t one[2] = { cpus[1] >= 0 ? cpus[1] : cpus[0], -1 };

    return repetition_run(out, row, side, row->kind == RT_BENCH_PAIR ? cpus : one, UNITS, 1, NULL);
}

/* Rules */

static int without_start(struct rt_bench *bench)
{
    rt_bench_stop(bench, bench->units);
    return 0;
}

static int without_stop(struct rt_bench *bench)
{
    rt_bench_start(bench);
    return 0;
}

static int started_twice(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_start(bench);
    rt_bench_stop(bench, bench->units);
    return 0;
}

static int stopped_twice(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, bench->units);
    rt_bench_stop(bench, bench->units);
    return 0;
}

static int without_units(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, 0);
    return 0;
}

static int result_before_stop(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_result(bench, 1);
    rt_bench_stop(bench, bench->units);
    return 0;
}

static int result_of_nothing(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, bench->units);
    rt_bench_result(bench, 0);
    return 0;
}

static int result_without_end(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, bench->units);
    rt_bench_result(bench, INFINITY);
    return 0;
}

static int fails_twice(struct rt_bench *bench)
{
    (void)rt_bench_fail(bench, -EIO, "the cause: %d", 7);
    return rt_bench_fail(bench, -ENOENT, "what came of it");
}

static int fails_in_silence(struct rt_bench *bench)
{
    (void)bench;
    return -ENOENT;
}

static void a_side_that_breaks_a_rule_is_told_which(void **state)
{
    static const struct {
        rt_bench_fn fn;
        const char *text;
    } wrong[] = {
        { without_start, "rt_bench_start()" },
        { without_stop, "without rt_bench_stop()" },
        { started_twice, "called twice" },
        { stopped_twice, "rt_bench_stop()" },
        { without_units, "unit" },
        { result_before_stop, "rt_bench_result()" },
        { result_of_nothing, "rt_bench_result()" },
        { result_without_end, "rt_bench_result()" },
        { fails_twice, "the cause: 7" },
        { fails_in_silence, "No such file" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct rt_bench_row row = { .name = "wrong",
                                          .run = wrong[i].fn,
                                          .limit = wrong[i].fn };
        struct repetition out;

        for (int side = SIDE_RUN; side <= SIDE_LIMIT; side++) {
            assert_false(run(&row, (enum side)side, &out));
            assert_non_null(strstr(out.error, wrong[i].text));
        }
    }
}

/* Places */

static int note_place(struct rt_bench *bench)
{
    cpu_set_t allowed;

    rt_bench_start(bench);
    seen.cpu = sched_getcpu();
    CPU_ZERO(&allowed);
    T_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
    seen.bound_to = (unsigned)CPU_COUNT(&allowed);
    rt_bench_stop(bench, bench->units);
    return 0;
}

static int note_other_place(void *arg)
{
    (void)arg;
    seen.other_cpu = sched_getcpu();
    return 0;
}

static int note_both_places(struct rt_bench *bench)
{
    int result;
    int r;

    rt_bench_start(bench);
    seen.cpu = sched_getcpu();
    r = rt_call(bench->other, note_other_place, NULL, &result, RT_NEVER);
    rt_bench_stop(bench, bench->units);
    return r;
}

static void a_side_runs_on_the_cpu_of_the_row_and_leaves_the_thread_as_it_was(void **state)
{
    const struct rt_bench_row row = { .name = "place", .run = note_place, .limit = note_place };
    const int wanted = cpus[1] >= 0 ? cpus[1] : cpus[0];
    struct repetition out;
    cpu_set_t before;
    cpu_set_t after;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    for (int side = SIDE_RUN; side <= SIDE_LIMIT; side++) {
        seen.cpu = -1;
        seen.bound_to = 0;
        assert_true(run(&row, (enum side)side, &out));
        assert_int_equal(seen.cpu, wanted);
        assert_int_equal(seen.bound_to, 1);
        assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
        assert_true(CPU_EQUAL(&before, &after));
    }
    assert_int_equal(t_failures(), 0);
}

static void the_side_of_a_pair_runs_on_its_first_cpu(void **state)
{
    const struct rt_bench_row row = { .name = "places",
                                      .run = note_both_places,
                                      .kind = RT_BENCH_PAIR };
    struct repetition out;

    (void)state;
    if (cpus[1] < 0) {
        skip();
    }
    for (int i = 0; i < 2; i++) {
        const int32_t pair[2] = { cpus[i], cpus[1 - i] };

        assert_true(repetition_run(&out, &row, SIDE_RUN, pair, UNITS, 1, NULL));
        assert_int_equal(seen.cpu, pair[0]);
        assert_int_equal(seen.other_cpu, pair[1]);
    }
}

/* Counts */

static int allocate(struct rt_bench *bench)
{
    seen.memory = malloc(1); /* before the start: not counted */
    free(seen.memory);
    rt_bench_start(bench);
    for (uint64_t i = 0; i < bench->units; i++) {
        seen.memory = malloc(10);
        free(seen.memory);
        seen.memory = calloc(2, 10);
        seen.memory = realloc(seen.memory, 30);
        free(seen.memory);
    }
    rt_bench_stop(bench, bench->units);
    seen.memory = malloc(1);
    free(seen.memory);
    return 0;
}

static void allocations_and_cpu_time_are_those_of_a_unit(void **state)
{
    const struct rt_bench_row row = { .name = "allocate", .limit = allocate };
    struct repetition out;

    (void)state;
    assert_true(run(&row, SIDE_LIMIT, &out));
    assert_true(out.allocations == 3);
    assert_int_equal(out.units, UNITS);
    assert_true(isnan(out.enters)); /* no runtime */
    /* the CPU time of a hundredth of the work is less than the time of all of it */
    assert_true(out.cpu_ns > 0 && out.cpu_ns < out.wall_ns);
}

static int enter_here(struct rt_bench *bench)
{
    int r = 0;

    rt_bench_start(bench);
    for (uint64_t i = 0; r == 0 && i < bench->units; i++) {
        r = rt_nop(RT_NEVER);
    }
    rt_bench_stop(bench, bench->units);
    return r;
}

static int nop(void *arg)
{
    (void)arg;
    return rt_nop(RT_NEVER);
}

static int enter_there(struct rt_bench *bench)
{
    int result = 0;
    int r = 0;

    rt_bench_start(bench);
    for (uint64_t i = 0; r == 0 && result == 0 && i < bench->units; i++) {
        r = rt_call(bench->other, nop, NULL, &result, RT_NEVER);
    }
    rt_bench_stop(bench, bench->units);
    return r < 0 ? r : result;
}

static void entries_of_the_ring_are_counted_on_all_shards(void **state)
{
    const struct rt_bench_row here = { .name = "here", .run = enter_here };
    const struct rt_bench_row there = { .name = "there",
                                        .run = enter_there,
                                        .kind = RT_BENCH_PAIR };
    struct repetition out;

    (void)state;
    assert_true(run(&here, SIDE_RUN, &out));
    assert_true(out.enters >= 1 && out.enters < 1.5);
    if (cpus[1] >= 0) {
        assert_true(run(&there, SIDE_RUN, &out));
        assert_true(out.enters >= 1 && out.enters < 1.5);
    }
}

static int has_slept(void *arg)
{
    struct rt_stats stats;

    (void)arg;
    rt_stats_get(&stats, sizeof(stats));
    return stats.sleeps > 0;
}

/* The other shard is idle between two calls; one that spins does not sleep in so few of them. */
static int ask_until_slept(struct rt_bench *bench)
{
    int slept = 0;
    int r = 0;

    rt_bench_start(bench);
    for (unsigned i = 0; r == 0 && slept == 0 && i < CALLS; i++) {
        r = rt_call(bench->other, has_slept, NULL, &slept, RT_NEVER);
    }
    rt_bench_stop(bench, bench->units);
    return slept > 0 ? r : -ETIME;
}

static void shards_of_a_row_that_sleeps_do(void **state)
{
    const struct rt_bench_row row = {
        .name = "sleeps", .run = ask_until_slept, .kind = RT_BENCH_PAIR, .flags = RT_BENCH_SLEEPS
    };
    struct repetition out;

    (void)state;
    if (cpus[1] < 0) {
        skip();
    }
    assert_true(run(&row, SIDE_RUN, &out));
}

static int count_up(struct rt_bench *bench)
{
    volatile uint64_t sum = 0;

    rt_bench_start(bench);
    for (uint64_t i = 0; i < bench->units; i++) {
        sum = sum + i;
        if (bench->recording != 0) {
            rt_bench_record(bench, i);
        }
    }
    rt_bench_stop(bench, bench->units);
    return 0;
}

static void what_beginning_and_ending_cost_is_taken_off(void **state)
{
    const struct rt_bench_row row = { .name = "count_up", .limit = count_up };
    const double clock_ns = repetition_calibrate();
    struct repetition out;

    (void)state;
    assert_true(clock_ns > 0);
    assert_true(run(&row, SIDE_LIMIT, &out));
    assert_true(out.ns == fmax(out.wall_ns - clock_ns, 0.001) / UNITS);
}

static void each_recorded_unit_is_in_the_histogram(void **state)
{
    const struct rt_bench_row row = { .name = "count_up", .limit = count_up };
    struct histogram *times = histogram_create();
    struct repetition out;

    (void)state;
    assert_non_null(times);
    assert_true(run(&row, SIDE_LIMIT, &out));
    assert_int_equal(histogram_count(times), 0);
    assert_true(repetition_run(&out, &row, SIDE_LIMIT, cpus, UNITS, 1, times));
    assert_int_equal(histogram_count(times), UNITS);
    assert_int_equal(histogram_max(times), UNITS - 1);
    histogram_destroy(times);
}

static int replaces(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, bench->units);
    rt_bench_result(bench, 12.5);
    return 0;
}

static void a_result_takes_the_place_of_what_was_measured(void **state)
{
    const struct rt_bench_row row = { .name = "replaces", .run = replaces };
    struct repetition out;

    (void)state;
    assert_true(run(&row, SIDE_RUN, &out));
    assert_true(out.ns == 12.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_side_that_breaks_a_rule_is_told_which),
        cmocka_unit_test(a_side_runs_on_the_cpu_of_the_row_and_leaves_the_thread_as_it_was),
        cmocka_unit_test(the_side_of_a_pair_runs_on_its_first_cpu),
        cmocka_unit_test(allocations_and_cpu_time_are_those_of_a_unit),
        cmocka_unit_test(entries_of_the_ring_are_counted_on_all_shards),
        cmocka_unit_test(shards_of_a_row_that_sleeps_do),
        cmocka_unit_test(what_beginning_and_ending_cost_is_taken_off),
        cmocka_unit_test(each_recorded_unit_is_in_the_histogram),
        cmocka_unit_test(a_result_takes_the_place_of_what_was_measured),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    t_first_cpus(cpus);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
