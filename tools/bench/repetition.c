/* SPDX-License-Identifier: MIT */
/* Repetition: see repetition.h. */
#include "repetition.h"

#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SPIN           RT_SECONDS(1) /* longer than any wait of a row that spins */
#define CALIBRATIONS   100
#define CPU_LIST_BYTES 32

/* Behind rt_bench.state. */
struct state {
    struct repetition *out;
    const struct rt_bench_row *row;
    struct histogram *times;
    bool in_task, started, stopped;
    double enters;
    struct counters counters;
    struct noise_mark noise;
    rt_time start;
    rt_bench_fn fn;
};

static double overhead_ns;

static int fail(struct repetition *out, int error, const char *what)
{
    if (out->error[0] == '\0') { /* the first one is the cause */
        snprintf(out->error, sizeof(out->error), "%s: %s", what, rt_strerror(error));
    }
    return error;
}

int rt_bench_fail(struct rt_bench *bench, int error, const char *format, ...)
{
    struct state *state = bench->state;
    va_list args;

    if (state->out->error[0] == '\0') {
        va_start(args, format);
        vsnprintf(state->out->error, sizeof(state->out->error), format, args);
        va_end(args);
    }
    return error;
}

/* On a shard: entries of the ring so far. */
static double enters_here(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return (double)stats.enters;
}

static int add_enters(void *arg)
{
    double *sum = arg;

    *sum += enters_here();
    return 0;
}

/* Of all shards of the row. */
static double enters_of(const struct rt_bench *bench)
{
    const struct state *state = bench->state;
    double sum;
    int result;

    if (!state->in_task) {
        return NAN;
    }
    sum = enters_here();
    if (state->row->kind == RT_BENCH_PAIR &&
        rt_call(bench->other, add_enters, &sum, &result, RT_NEVER) < 0) {
        return NAN;
    }
    return sum;
}

void rt_bench_start(struct rt_bench *bench)
{
    struct state *state = bench->state;

    if (state->started) {
        (void)rt_bench_fail(bench, -EINVAL, "rt_bench_start() was called twice");
        return;
    }
    state->started = true;
    state->enters = enters_of(bench);
    noise_begin(&state->noise, bench->cpus);
    counters_read(&state->counters);
    state->start = rt_now();
}

void rt_bench_stop(struct rt_bench *bench, uint64_t units)
{
    struct state *state = bench->state;
    struct repetition *out = state->out;
    const rt_time end = rt_now();
    const double divisor = (double)units;
    struct counters now;

    if (!state->started || state->stopped || units == 0) {
        (void)rt_bench_fail(bench, -EINVAL,
                            !state->started  ? "rt_bench_stop() without rt_bench_start()"
                            : state->stopped ? "rt_bench_stop() was called twice"
                                             : "rt_bench_stop() for no unit at all");
        return;
    }
    state->stopped = true;
    counters_read(&now);
    noise_end(&out->noise, &state->noise, bench->cpus);
    out->units = units;
    out->wall_ns = (double)(end - state->start);
    /* a clock of coarse steps may show less than its own reading costs */
    out->ns = fmax(out->wall_ns - overhead_ns, 0.001) / divisor;
    out->cpu_ns = (now.cpu_ns - state->counters.cpu_ns) / divisor;
    out->allocations = (now.allocations - state->counters.allocations) / divisor;
    out->instructions = (now.instructions - state->counters.instructions) / divisor;
    out->cycles = (now.cycles - state->counters.cycles) / divisor;
    out->enters = (enters_of(bench) - state->enters) / divisor;
}

void rt_bench_record(struct rt_bench *bench, uint64_t ns)
{
    struct state *state = bench->state;

    if (state->times != NULL && state->started && !state->stopped) {
        histogram_record(state->times, ns);
    }
}

void rt_bench_result(struct rt_bench *bench, double ns)
{
    struct state *state = bench->state;

    if (!state->stopped || !(ns > 0 && isfinite(ns))) {
        (void)rt_bench_fail(bench, -EINVAL,
                            "rt_bench_result() wants rt_bench_stop() before, and more than 0");
        return;
    }
    state->out->ns = ns;
}

/* The first task of each shard: that on the first CPU works, the other one serves calls. The
 * planner has an order of its own, so either may be shard 0. */
static int first(void *arg)
{
    struct rt_bench *bench = arg;
    struct state *state = bench->state;

    if (sched_getcpu() != bench->cpus[0]) {
        return 0;
    }
    bench->other = 1 - rt_shard_index(); /* of one core nobody asks */
    return state->fn(bench);
}

static int start_runtime(struct rt_bench *bench)
{
    const struct state *state = bench->state;
    char cpus[CPU_LIST_BYTES];
    struct rt_config config = RT_CONFIG_INIT;

    config.flags = RT_CONFIG_NO_SIGNALS;
    config.spin = (state->row->flags & RT_BENCH_SLEEPS) != 0 ? RT_SPIN_OFF : SPIN;
    config.stall_threshold = RT_STALL_OFF; /* rows hold their core, and are meant to */
    config.cpus = cpus;
    if (state->row->kind == RT_BENCH_CORE) { /* on this thread: the limit is, too */
        snprintf(cpus, sizeof(cpus), "%d", bench->cpus[0]);
        return rt_run(&config, first, bench);
    }
    snprintf(cpus, sizeof(cpus), "%d,%d", bench->cpus[0], bench->cpus[1]);
    config.shards = 2;
    config.place = RT_PLACE_PU; /* two CPUs of one core are a pair as well */
    return rt_start(&config, first, bench);
}

/* Call a side on this thread, bound to the row's first CPU meanwhile. */
static int call_bound(struct rt_bench *bench)
{
    const struct state *state = bench->state;
    cpu_set_t before;
    cpu_set_t bound;
    int r;

    CPU_ZERO(&bound);
    CPU_SET((size_t)bench->cpus[0], &bound);
    if (sched_getaffinity(0, sizeof(before), &before) != 0 ||
        sched_setaffinity(0, sizeof(bound), &bound) != 0) {
        return fail(state->out, -errno, "cannot bind to the CPU");
    }
    r = state->fn(bench);
    (void)sched_setaffinity(0, sizeof(before), &before); /* it was valid a moment ago */
    return r;
}

bool repetition_run(struct repetition *out, const struct rt_bench_row *row, enum side side,
                    const int32_t cpus[2], uint64_t units, uint64_t seed, struct histogram *times)
{
    struct state state = { .out = out, .row = row, .times = times };
    struct rt_bench bench = {
        .units = units,
        .seed = seed,
        .arg = row->arg,
        .cpus = { cpus[0], cpus[1] },
        .recording = times != NULL,
        .state = &state,
    };
    int r;

    memset(out, 0, sizeof(*out));
    state.fn = side == SIDE_RUN ? row->run : side == SIDE_LIMIT ? row->limit : row->bare;
    state.in_task = side == SIDE_RUN && (row->flags & RT_BENCH_PLAIN) == 0;
    r = state.in_task ? start_runtime(&bench) : call_bound(&bench);
    if (r < 0) {
        (void)fail(out, r, "failed");
    } else if (!state.stopped) {
        (void)rt_bench_fail(&bench, -EINVAL, "it returned without rt_bench_stop()");
    }
    return out->error[0] == '\0';
}

static int measure_nothing(struct rt_bench *bench)
{
    rt_bench_start(bench);
    rt_bench_stop(bench, 1);
    return 0;
}

double repetition_calibrate(void)
{
    static const struct rt_bench_row nothing = { .name = "nothing", .limit = measure_nothing };
    struct repetition one;
    double least = INFINITY;
    const int32_t cpus[2] = { sched_getcpu(), -1 };

    overhead_ns = 0;
    for (int i = 0; i < CALIBRATIONS; i++) {
        if (repetition_run(&one, &nothing, SIDE_LIMIT, cpus, 1, 0, NULL)) {
            least = fmin(least, one.ns);
        }
    }
    overhead_ns = isfinite(least) ? least : 0;
    return overhead_ns;
}
