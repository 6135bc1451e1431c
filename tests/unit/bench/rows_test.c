/* SPDX-License-Identifier: MIT */
/*
 * Each side of each row of rt-bench, run once with few units under a harness
 * that measures nothing: it checks that the side begins and ends once, has done
 * what it says, records as often as that, and leaves no descriptor, nor the
 * thread on another CPU.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <sched.h>
#include <string.h>

#include "rows.h"
#include "rt/rt.h"

#define UNITS 200

/* What a side told. */
struct told {
    rt_bench_fn fn;
    unsigned starts, stops;
    uint64_t units, records;
    double result;
    char error[512];
};

static int32_t cpus[2] = { -1, -1 };

/* The functions of rt/bench.h */

void rt_bench_start(struct rt_bench *bench)
{
    struct told *told = bench->state;

    T_CHECK(told->starts == 0);
    told->starts++;
}

void rt_bench_stop(struct rt_bench *bench, uint64_t units)
{
    struct told *told = bench->state;

    T_CHECK(told->starts == 1 && told->stops == 0);
    told->stops++;
    told->units = units;
}

void rt_bench_record(struct rt_bench *bench, uint64_t ns)
{
    struct told *told = bench->state;

    T_CHECK(bench->recording == 1);
    T_CHECK(told->starts == 1 && told->stops == 0);
    T_CHECK(ns < (uint64_t)RT_SECONDS(3600));
    told->records++;
}

void rt_bench_result(struct rt_bench *bench, double ns)
{
    struct told *told = bench->state;

    T_CHECK(told->stops == 1 && ns > 0);
    told->result = ns;
}

int rt_bench_fail(struct rt_bench *bench, int error, const char *format, ...)
{
    struct told *told = bench->state;
    va_list args;

    va_start(args, format);
    vsnprintf(told->error, sizeof(told->error), format, args);
    va_end(args);
    T_CHECK(error < 0);
    return error;
}

/* As rt-bench runs them */

static int first(void *arg)
{
    struct rt_bench *bench = arg;
    const struct told *told = bench->state;

    return rt_shard_index() == 0 ? told->fn(bench) : 0;
}

static int run_in_runtime(struct rt_bench *bench, const struct rt_bench_row *row)
{
    struct rt_config config = RT_CONFIG_INIT;
    char list[32];

    snprintf(list, sizeof(list), row->kind == RT_BENCH_PAIR ? "%d,%d" : "%d", bench->cpus[0],
             bench->cpus[1]);
    config.cpus = list;
    config.spin = (row->flags & RT_BENCH_SLEEPS) != 0 ? RT_SPIN_OFF : RT_SECONDS(1);
    if (row->kind == RT_BENCH_CORE) {
        return rt_run(&config, first, bench);
    }
    config.shards = 2;
    config.place = RT_PLACE_PU;
    return rt_start(&config, first, bench);
}

/* The thread may use one CPU meanwhile, and the side must leave it so. */
static int call_bound(struct rt_bench *bench, const struct told *told)
{
    cpu_set_t before;
    cpu_set_t bound;
    cpu_set_t after;
    int r;

    CPU_ZERO(&bound);
    CPU_SET((size_t)bench->cpus[0], &bound);
    T_CHECK(sched_getaffinity(0, sizeof(before), &before) == 0);
    T_CHECK(sched_setaffinity(0, sizeof(bound), &bound) == 0);
    r = told->fn(bench);
    T_CHECK(sched_getaffinity(0, sizeof(after), &after) == 0);
    T_CHECK(CPU_EQUAL(&bound, &after));
    T_CHECK(sched_setaffinity(0, sizeof(before), &before) == 0);
    return r;
}

static int run_side(struct told *told, const struct rt_bench_row *row, rt_bench_fn fn,
                    bool recording)
{
    struct rt_bench bench = {
        .units = row->units_max != 0 && row->units_max < UNITS ? row->units_max : UNITS,
        .seed = 7,
        .arg = row->arg,
        .cpus = { cpus[0], row->kind == RT_BENCH_PAIR ? cpus[1] : -1 },
        .recording = recording,
        .other = 1,
        .state = told,
    };

    memset(told, 0, sizeof(*told));
    told->fn = fn;
    return fn == row->run && (row->flags & RT_BENCH_PLAIN) == 0 ? run_in_runtime(&bench, row)
                                                                : call_bound(&bench, told);
}

/* False when this machine lacks what the row needs, and the row has said so. */
static bool check_side(const struct rt_bench_row *row, rt_bench_fn fn, bool recording)
{
    struct told told;
    const int r = run_side(&told, row, fn, recording);

    if (r < 0 && (strstr(told.error, "RT_BENCH_DIR") != NULL ||
                  strstr(told.error, "do not disable fixed_buffers") != NULL)) {
        fprintf(stderr, "%s is left out: %s\n", row->name, told.error);
        return false;
    }
    if (r < 0) {
        fprintf(stderr, "%s: %s: %s\n", row->name, rt_strerror(r), told.error);
    }
    T_CHECK(r >= 0 && told.error[0] == '\0');
    T_CHECK(told.starts == 1 && told.stops == 1 && told.units > 0);
    T_CHECK(told.records == (recording ? told.units : 0));
    return true;
}

static void check_row(const struct rt_bench_row *row)
{
    const rt_bench_fn sides[] = { row->run, row->limit, row->bare };
    unsigned descriptors;

    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        if (sides[i] == NULL) {
            continue;
        }
        if (!check_side(row, sides[i], false)) { /* may open what stays as long as the process */
            return;
        }
        descriptors = t_open_descriptors();
        (void)check_side(row, sides[i], (row->flags & RT_BENCH_RECORDS) != 0);
        T_CHECK(t_open_descriptors() == descriptors);
    }
}

static void check_rows(const struct rt_bench_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned failures;

        if ((rows[i].flags & RT_BENCH_LONG) != 0) {
            continue; /* another size of the row before it, and 5 GiB */
        }
        if (rows[i].kind == RT_BENCH_PAIR && cpus[1] < 0) {
            fprintf(stderr, "%s is left out: it needs two CPUs\n", rows[i].name);
            continue;
        }
        check_row(&rows[i]);
        failures = t_failures();
        if (failures > 0) {
            fail_msg("row %s", rows[i].name);
        }
    }
}

static void a_batch_of_tasks_is_a_row(void **state)
{
    (void)state;
    check_rows(bench_rows_batch, bench_rows_batch_count);
}

static void primitives_of_one_core_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_core, bench_rows_core_count);
}

static void futures_and_groups_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_tasks, bench_rows_tasks_count);
}

static void locks_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_locks, bench_rows_locks_count);
}

static void channels_of_one_core_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_channels, bench_rows_channels_count);
}

static void messages_between_two_cores_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_xcore, bench_rows_xcore_count);
}

static void what_foreign_threads_submit_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_foreign, bench_rows_foreign_count);
}

static void an_echo_server_is_a_row(void **state)
{
    (void)state;
    check_rows(bench_rows_echo, bench_rows_echo_count);
}

static void random_reads_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_file, bench_rows_file_count);
}

static void files_from_front_to_back_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_stream, bench_rows_stream_count);
}

static void many_parts_of_a_file_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_read_many, bench_rows_read_many_count);
}

static void names_and_whole_files_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_names, bench_rows_names_count);
}

static void blocking_calls_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_blocking, bench_rows_blocking_count);
}

static void operations_that_do_nothing_are_rows(void **state)
{
    (void)state;
    check_rows(bench_rows_nop, bench_rows_nop_count);
}

static void start_and_stop_is_a_row(void **state)
{
    (void)state;
    check_rows(bench_rows_start, bench_rows_start_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primitives_of_one_core_are_rows),
        cmocka_unit_test(futures_and_groups_are_rows),
        cmocka_unit_test(locks_are_rows),
        cmocka_unit_test(channels_of_one_core_are_rows),
        cmocka_unit_test(messages_between_two_cores_are_rows),
        cmocka_unit_test(a_batch_of_tasks_is_a_row),
        cmocka_unit_test(what_foreign_threads_submit_are_rows),
        cmocka_unit_test(an_echo_server_is_a_row),
        cmocka_unit_test(random_reads_are_rows),
        cmocka_unit_test(files_from_front_to_back_are_rows),
        cmocka_unit_test(many_parts_of_a_file_are_rows),
        cmocka_unit_test(names_and_whole_files_are_rows),
        cmocka_unit_test(blocking_calls_are_rows),
        cmocka_unit_test(operations_that_do_nothing_are_rows),
        cmocka_unit_test(start_and_stop_is_a_row),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    t_first_cpus(cpus);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
