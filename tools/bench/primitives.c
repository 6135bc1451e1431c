/* SPDX-License-Identifier: MIT */
/*
 * Primitives of the runtime beside their limits (limit/limit.h), both called
 * through a shared library, in one process and in turn: limit, runtime, limit,
 * runtime ... A repetition is a run of a new executor; the clock runs only while
 * the row's own loop does, after a warm-up of a tenth of it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <regex.h>
#include <rt/rt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "limit.h"

/* An odd number, so that the median is a measured value; --quick is for "does it work". */
#define REPETITIONS       21
#define REPETITIONS_QUICK 5

#define MANY   1000  /* fibers of row yield1k: the limits page's */
#define OTHERS 10000 /* timers armed beside row park_timer: the limits page's timer_arm */

/* What a repetition is given, and gives back. */
struct run {
    uint64_t count;  /* of the row's unit of work */
    uint32_t fibers; /* of a yield row */
    int64_t start;
    double ns;          /* per unit */
    volatile bool stop; /* the other fibers are to return */
};

static void run_begin(struct run *run)
{
    run->start = limit_now();
}

static void run_end(struct run *run, uint64_t units)
{
    run->ns = (double)(limit_now() - run->start) / (double)units;
    run->stop = true;
}

static int child(void *arg)
{
    return *(int *)arg;
}

static _Noreturn void give_up(const char *what, int result)
{
    fprintf(stderr, "rt-primitives: %s: %s\n", what, rt_strerror(result));
    exit(1);
}

/* The calls whose shapes differ, made alike. */
static inline void limit_begin(struct limit_task **out, int (*fn)(void *), void *arg)
{
    *out = limit_spawn(fn, arg);
    if (*out == NULL) {
        give_up("limit_spawn", -EAGAIN);
    }
}

static inline void limit_end(struct limit_task *task, int *result)
{
    (void)limit_join(task, result);
}

static inline void rt_begin(struct rt_task **out, int (*fn)(void *), void *arg)
{
    int r = rt_spawn(out, fn, arg);

    if (r < 0) {
        give_up("rt_spawn", r);
    }
}

static inline void rt_end(struct rt_task *task, int *result)
{
    int r = rt_join(task, result, RT_NEVER);

    if (r < 0) {
        give_up("rt_join", r);
    }
}

#define SIDE(name) limit_##name
#include "rows.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "rows.h"
#undef SIDE

/* Rows that have no counterpart in the runtime's public calls: ns per unit, below 0 on failure. */
static double bare_switch_row(uint64_t count, uint32_t fibers)
{
    return (double)bare_switches(fibers, count) / (double)count;
}

static double bare_spawn_row(uint64_t count, uint32_t unused)
{
    (void)unused;
    return (double)bare_spawns(count) / (double)count;
}

static double wheel_row(uint64_t count, uint32_t unused)
{
    int64_t now = limit_now();
    struct limit_wheel *wheel = limit_wheel_create(OTHERS, now);
    struct limit_timer timer = { .link = NULL };
    int64_t start = limit_now();

    (void)unused;
    if (wheel == NULL) {
        return -1;
    }
    for (uint64_t i = 0; i < count; i++) {
        limit_timer_arm(wheel, &timer, now + RT_SECONDS(5) + (int64_t)i);
        limit_timer_disarm(wheel, &timer);
    }
    start = limit_now() - start;
    limit_wheel_destroy(wheel);
    return (double)start / (double)count;
}

static double nop_row(uint64_t count, uint32_t batch)
{
    struct limit_ring *ring = limit_ring_create();
    uint64_t good = 0;
    int64_t start;

    if (ring == NULL) {
        return -1;
    }
    start = limit_now();
    for (uint64_t i = 0; i < count; i += batch) {
        good += limit_ring_nops(ring, batch);
    }
    start = limit_now() - start;
    limit_ring_destroy(ring);
    return good >= count ? (double)start / (double)good : -1;
}

/* About 5 ms per repetition, so that most of them see no interruption by other work. */
static const struct row {
    const char *name;
    uint64_t count;
    uint32_t number; /* fibers of a yield row, or the batch */
    int (*limit)(void *);
    int (*runtime)(void *);
    double (*alone)(uint64_t count, uint32_t number);
} rows[] = {
    { "yield2", 1000000, 2, limit_yield_row, rt_yield_row, NULL },
    { "yield1k", 1000000, MANY, limit_yield_row, rt_yield_row, NULL },
    { "spawn_join", 300000, 0, limit_spawn_join_row, rt_spawn_join_row, NULL },
    { "park_timer", 100000, 0, limit_park_timer_row, rt_park_timer_row, NULL },
    { "timer_arm_alone", 1000000, 0, NULL, NULL, wheel_row },
    { "uring_nop_1", 30000, 1, NULL, NULL, nop_row },
    { "uring_nop_8", 80000, 8, NULL, NULL, nop_row },
    { "uring_nop_32", 96000, 32, NULL, NULL, nop_row },
    { "bare_yield2", 2000000, 2, NULL, NULL, bare_switch_row },
    { "bare_yield1k", 2000000, MANY, NULL, NULL, bare_switch_row },
    { "bare_spawn", 1000000, 0, NULL, NULL, bare_spawn_row },
};

struct spread {
    double median, mad, min, max;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct spread spread_of(const double *values, int count)
{
    double sorted[REPETITIONS];
    struct spread out;

    memcpy(sorted, values, (size_t)count * sizeof(double));
    qsort(sorted, (size_t)count, sizeof(double), compare);
    out.median = sorted[count / 2];
    out.min = sorted[0];
    out.max = sorted[count - 1];
    for (int i = 0; i < count; i++) {
        sorted[i] = values[i] < out.median ? out.median - values[i] : values[i] - out.median;
    }
    qsort(sorted, (size_t)count, sizeof(double), compare);
    out.mad = sorted[count / 2];
    return out;
}

static double repeat(const struct row *row, bool of_limit)
{
    struct run run = { .count = row->count, .fibers = row->number };
    int r;

    if (row->alone != NULL) {
        run.ns = row->alone(row->count, row->number);
        r = run.ns > 0 ? 0 : -1;
    } else if (of_limit) {
        r = limit_run(OTHERS + 8, row->limit, &run);
    } else {
        r = rt_run(NULL, row->runtime, &run);
    }
    if (r < 0) {
        give_up(row->name, r);
    }
    return run.ns;
}

static void print_spread(const char *name, struct spread s, bool json)
{
    if (json) {
        printf(", \"%s\": {\"median\": %.3f, \"mad\": %.3f, \"min\": %.3f, \"max\": %.3f}", name,
               s.median, s.mad, s.min, s.max);
    } else {
        printf("  %8.2f +-%5.2f [%.2f..%.2f]", s.median, s.mad, s.min, s.max);
    }
}

static void measure(const struct row *row, int repetitions, bool json)
{
    double limit[REPETITIONS];
    double runtime[REPETITIONS];
    double ratio[REPETITIONS];

    for (int i = 0; i < repetitions; i++) {
        limit[i] = repeat(row, true);
        runtime[i] = row->runtime != NULL ? repeat(row, false) : 0;
        ratio[i] = runtime[i] / limit[i]; /* of neighbours in time: the machine drifts */
    }
    printf(json ? "{\"row\": \"%s\"" : "%-16s", row->name);
    print_spread("limit_ns", spread_of(limit, repetitions), json);
    if (row->runtime != NULL) {
        print_spread("runtime_ns", spread_of(runtime, repetitions), json);
        print_spread("ratio", spread_of(ratio, repetitions), json);
    }
    printf(json ? "}" : "\n");
    fflush(stdout);
}

static void print_help(void)
{
    puts("Usage: rt-primitives [--filter REGEX] [--cpu N] [--quick] [--json]\n\n"
         "Measure primitives of the runtime beside their limits, limit and runtime in turn.\n"
         "Each figure is the median in ns, the median absolute deviation, and [min..max]; the\n"
         "ratio is taken between neighbouring repetitions. Rows without a counterpart in the\n"
         "runtime's public calls, and bare ones, have one figure.\n\n"
         "  --filter REGEX  only rows whose name matches\n"
         "  --cpu N         run on CPU N; default 0\n"
         "  --quick         5 repetitions instead of 21\n"
         "  --json          print an array of objects\n"
         "  --help          print this");
}

int main(int argc, char **argv)
{
    static const struct option table[] = {
        { "filter", required_argument, NULL, 'f' }, { "cpu", required_argument, NULL, 'c' },
        { "quick", no_argument, NULL, 'q' },        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    int repetitions = REPETITIONS;
    const char *filter = "";
    const char *between = "";
    bool json = false;
    double cpu = 0;
    regex_t wanted;
    int found;

    while ((found = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (found) {
        case 'f':
            filter = optarg;
            break;
        case 'c':
            if (!option_number("cpu", optarg, 0, 1023, &cpu)) { /* of cpu_set_t */
                return 2;
            }
            break;
        case 'q':
            repetitions = REPETITIONS_QUICK;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            print_help();
            return 0;
        default:
            return 2;
        }
    }
    if (optind != argc || regcomp(&wanted, filter, REG_EXTENDED | REG_NOSUB) != 0) {
        fprintf(stderr, "rt-primitives: a wrong argument or expression; see --help\n");
        return 2;
    }
    if (!pin_to_cpu((int)cpu)) {
        return 1;
    }
    printf("%s", json ? "[" : "row               limit, ns (then runtime, ns, and ratio)\n");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (regexec(&wanted, rows[i].name, 0, NULL, 0) == 0) {
            printf("%s", between);
            between = json ? ",\n " : "";
            measure(&rows[i], repetitions, json);
        }
    }
    printf("%s", json ? "]\n" : "");
    regfree(&wanted);
    return 0;
}
