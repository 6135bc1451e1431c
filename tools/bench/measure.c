/* SPDX-License-Identifier: MIT */
/* Measure: see measure.h. */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <stdio.h>
#include <string.h>

#include "peers.h"
#include "repetition.h"
#include "stats.h"

/* An odd number at least, so that the median is a measured value. */
#define REPETITIONS_MIN 5
#define REPETITIONS_MAX 999
#define QUICK_MIN       3
#define TARGET_CORE_NS  5e6 /* of a repetition: most of them see no interruption by other work */
#define TARGET_PAIR_NS  1e7 /* two threads start anew in each; the wakes are few per ms */
#define UNITS_MAX       (1ull << 40)
#define DISTURBED_SHARE 3 /* if one repetition in so many was, the row is disturbed */
#define RECORDINGS      3 /* repetitions that fill the histogram */
#define NOISES          5

static const char *const side_names[SIDES] = { "runtime", "limit", "bare side" };

/* What is being measured. One at a time: the process has one set of counters. */
static struct measurement {
    const struct rt_bench_row *row;
    const struct settings *settings;
    int32_t cpus[2];
    uint64_t units;
    rt_time deadline;
    size_t count;               /* of repetitions that count */
    size_t repeated, disturbed; /* disturbed ones: done again, and counted all the same */
    struct noise seen;          /* in all disturbed ones */
    struct repetition sides[SIDES][REPETITIONS_MAX];
    size_t peer_count;
    uint64_t peer_units[PEERS_MAX];
    double peers[PEERS_MAX][REPETITIONS_MAX]; /* ns; the first one below 0 ends the peer */
    char error[320];
} now;

static bool has(enum side side)
{
    const struct rt_bench_row *row = now.row;

    return (side == SIDE_RUN ? row->run : side == SIDE_LIMIT ? row->limit : row->bare) != NULL;
}

/* The side whose figure is the row's, and beside which the noise is told. */
static enum side main_side(void)
{
    return has(SIDE_RUN) ? SIDE_RUN : has(SIDE_LIMIT) ? SIDE_LIMIT : SIDE_BARE;
}

static bool run_side(enum side side, struct repetition *out, uint64_t seed, struct histogram *times)
{
    if (repetition_run(out, now.row, side, now.cpus, now.units, seed, times)) {
        return true;
    }
    snprintf(now.error, sizeof(now.error), "its %s: %s", side_names[side], out->error);
    return false;
}

/* What the slowest side takes for now.units; below 0: one has failed. */
static double slowest_ns(void)
{
    struct repetition one;
    double slowest = 0;

    for (int side = 0; side < SIDES; side++) {
        if (has((enum side)side)) {
            if (!run_side((enum side)side, &one, now.settings->seed, NULL)) {
                return -1;
            }
            slowest = fmax(slowest, one.wall_ns);
        }
    }
    return slowest;
}

static double target_ns(void)
{
    return now.row->kind == RT_BENCH_CORE ? TARGET_CORE_NS : TARGET_PAIR_NS;
}

/* Choose now.units: from 1 on, at most 16 times more in each step, for the first ones are cold. */
static bool calibrate(void)
{
    const double target = target_ns();
    const uint64_t most = now.row->units_max > 0 ? now.row->units_max : UNITS_MAX;
    double took;

    now.units = 1;
    while ((took = slowest_ns()) >= 0) {
        const double step = fmin(16, target / fmax(took, 1));

        if (took >= target / 2 || now.units == most) {
            return true;
        }
        now.units = (uint64_t)fmin((double)most, ceil((double)now.units * fmax(step, 1.5)));
    }
    return false;
}

static bool is_disturbed(size_t i)
{
    bool disturbed = false;

    for (int side = 0; side < SIDES; side++) {
        const struct repetition *one = &now.sides[side][i];

        if (has((enum side)side) && side != SIDE_BARE &&
            noise_disturbs(&one->noise, one->wall_ns)) {
            now.seen.steal_ms += one->noise.steal_ms;
            now.seen.switches += one->noise.switches;
            now.seen.waited_us += one->noise.waited_us;
            disturbed = true;
        }
    }
    return disturbed;
}

/* Peers that are much slower than the row do fewer units: from a tenth on, as many as fit. */
static void start_peers(void)
{
    now.peer_count = peers_start(now.settings->peers, now.row->name, now.cpus);
    for (size_t peer = 0; peer < now.peer_count; peer++) {
        const uint64_t first = now.units / 10 + 1;
        const double ns = peers_repeat(now.settings->peers, peer, first);

        now.peer_units[peer] = ns > 0 ? (uint64_t)fmax(1, fmin((double)now.units, target_ns() / ns))
                                      : first;
    }
}

static void repeat_peers(size_t i)
{
    for (size_t peer = 0; peer < now.peer_count; peer++) {
        if (i == 0 || now.peers[peer][i - 1] > 0) {
            now.peers[peer][i] = peers_repeat(now.settings->peers, peer, now.peer_units[peer]);
        } else {
            now.peers[peer][i] = -1;
        }
    }
}

/* All sides once, as repetition `i`. Limit and runtime take turns at being first: what the first
 * leaves behind (a device's cache, a branch predictor) helps neither of them always. */
static bool repeat_sides(size_t i)
{
    static const enum side orders[2][SIDES] = { { SIDE_BARE, SIDE_LIMIT, SIDE_RUN },
                                                { SIDE_RUN, SIDE_LIMIT, SIDE_BARE } };
    const enum side *order = orders[i % 2];

    for (int k = 0; k < SIDES; k++) {
        if (has(order[k]) &&
            !run_side(order[k], &now.sides[order[k]][i], now.settings->seed + i, NULL)) {
            return false;
        }
    }
    repeat_peers(i);
    return true;
}

/* Until the time is over. As many repetitions may be done again as are used in the end: a machine
 * that is always disturbed is measured all the same, and it is said. */
static bool repeat_all(void)
{
    const size_t least = now.settings->quick ? QUICK_MIN : REPETITIONS_MIN;

    while (now.count < least || (now.count < REPETITIONS_MAX && rt_now() < now.deadline)) {
        if (!repeat_sides(now.count)) {
            return false;
        }
        if (!is_disturbed(now.count)) {
            now.count++;
        } else if (now.repeated <= now.count + least) {
            now.repeated++;
        } else {
            now.disturbed++;
            now.count++;
        }
    }
    return true;
}

/* Results as JSON */

static double in_unit(double ns)
{
    return (now.row->flags & RT_BENCH_RATE) != 0 ? 1e9 / ns : ns;
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_string(text));
}

/* Not known is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_number(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, number(value));
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *array_of(const double *values, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, number(values[i]));
    }
    return array;
}

static double values[REPETITIONS_MAX]; /* scratch */

static size_t collect(enum side side)
{
    for (size_t i = 0; i < now.count; i++) {
        values[i] = in_unit(now.sides[side][i].ns);
    }
    return now.count;
}

/* Of `values`: NAME, PREFIXmad, PREFIXlow, PREFIXhigh. */
static void set_spread(json_t *object, const char *prefix, const char *name, size_t count)
{
    char key[64];
    const struct bench_summary summary = bench_summary_of(values, count);

    set_number(object, name, summary.median);
    snprintf(key, sizeof(key), "%smad", prefix);
    set_number(object, key, summary.mad);
    snprintf(key, sizeof(key), "%slow", prefix);
    set_number(object, key, summary.low);
    snprintf(key, sizeof(key), "%shigh", prefix);
    set_number(object, key, summary.high);
}

/* Of a member of the side's repetitions; leaves them all in `values`. */
static double median_of(enum side side, size_t offset)
{
    for (size_t i = 0; i < now.count; i++) {
        memcpy(&values[i], (const char *)&now.sides[side][i] + offset, sizeof(double));
    }
    return bench_median(values, now.count);
}

static void set_ratio(json_t *object)
{
    static const char *const keys[] = { "ratio", "ratio_low", "ratio_high", "goal", "over_goal" };
    const double goal = now.row->goal > 0 ? now.row->goal : 1.5;
    struct bench_summary ratio;

    if (!has(SIDE_RUN) || !has(SIDE_LIMIT)) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            json_object_set_new(object, keys[i], json_null());
        }
        return;
    }
    for (size_t i = 0; i < now.count; i++) { /* of neighbours; times, also where rates are shown */
        values[i] = now.sides[SIDE_RUN][i].ns / now.sides[SIDE_LIMIT][i].ns;
    }
    ratio = bench_summary_of(values, now.count);
    set_number(object, "ratio", ratio.median);
    set_number(object, "ratio_low", ratio.low);
    set_number(object, "ratio_high", ratio.high);
    set_number(object, "goal", goal);
    json_object_set_new(object, "over_goal", json_boolean(ratio.median > goal));
}

static void set_noise(json_t *object)
{
    static const struct {
        const char *name;
        size_t offset;
    } kinds[NOISES] = {
        { "steal_ms", offsetof(struct repetition, noise.steal_ms) },
        { "switches", offsetof(struct repetition, noise.switches) },
        { "waited_us", offsetof(struct repetition, noise.waited_us) },
        { "interrupts", offsetof(struct repetition, noise.interrupts) },
        { "mhz", offsetof(struct repetition, noise.mhz) },
    };
    json_t *noise = json_object();

    for (size_t kind = 0; kind < NOISES; kind++) {
        (void)median_of(main_side(), kinds[kind].offset);
        json_object_set_new(noise, kinds[kind].name, array_of(values, now.count));
    }
    json_object_set_new(object, "noise", noise);
}

/* A row whose repetitions were often disturbed says so, though most of these were done again. */
static void set_disturbance(json_t *object)
{
    const size_t disturbed = now.repeated + now.disturbed;
    const size_t all = now.count + now.repeated;
    char text[160] = "";

    if (disturbed * DISTURBED_SHARE >= all) {
        snprintf(text, sizeof(text),
                 "%zu of %zu repetitions: steal %.0f ms, waited %.1f ms, %.0f switches", disturbed,
                 all, fmax(now.seen.steal_ms, 0), now.seen.waited_us / 1000, now.seen.switches);
    }
    json_object_set_new(object, "disturbed", json_boolean(text[0] != '\0'));
    set_text(object, "disturbance", text);
}

static void set_peers(json_t *object)
{
    json_t *peers = json_array();

    for (size_t peer = 0; peer < now.peer_count; peer++) {
        json_t *one = json_object();

        if (now.peers[peer][now.count - 1] <= 0) {
            json_decref(one);
            continue; /* it has failed on the way, and said so */
        }
        set_text(one, "name", peers_name(now.settings->peers, peer));
        for (size_t i = 0; i < now.count; i++) {
            values[i] = now.peers[peer][i] / now.sides[SIDE_LIMIT][i].ns;
        }
        set_number(one, "ratio", has(SIDE_LIMIT) ? bench_median(values, now.count) : NAN);
        for (size_t i = 0; i < now.count; i++) {
            values[i] = in_unit(now.peers[peer][i]);
        }
        set_spread(one, "", "value", now.count);
        json_array_append_new(peers, one);
    }
    json_object_set_new(object, "peers", peers);
}

/* NAME-CPU[-CPU2][-limit].hgrm, in the directory of --histograms; in us. */
static bool write_histogram(const struct histogram *times, enum side side)
{
    char second[16] = "";
    char path[4096];
    FILE *out;

    if (now.cpus[1] >= 0) {
        snprintf(second, sizeof(second), "-%d", now.cpus[1]);
    }
    snprintf(path, sizeof(path), "%s/%s-%d%s%s.hgrm", now.settings->histograms, now.row->name,
             now.cpus[0], second, side == SIDE_LIMIT ? "-limit" : "");
    out = fopen(path, "we");
    if (out != NULL) {
        histogram_print(times, out, 1000);
    }
    if (out == NULL || fclose(out) != 0) {
        snprintf(now.error, sizeof(now.error), "cannot write %.200s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* Repetitions that record what each unit took. */
static json_t *latency(enum side side)
{
    struct histogram *times = histogram_create();
    struct repetition one;
    json_t *object = json_null();
    bool ok = times != NULL && has(side) && (now.row->flags & RT_BENCH_RECORDS) != 0;

    for (size_t i = 0; ok && i < RECORDINGS; i++) {
        ok = run_side(side, &one, now.settings->seed + i, times);
    }
    if (ok && histogram_count(times) > 0 &&
        (now.settings->histograms == NULL || write_histogram(times, side))) {
        object = histogram_to_json(times);
    }
    histogram_destroy(times);
    return object;
}

static void set_sides(json_t *object)
{
    static const char *const names[SIDES] = { "value", "limit", "bare" };
    static const char *const prefixes[SIDES] = { "", "limit_", "bare_" };
    static const char *const arrays[SIDES] = { "values", "limit_values", "bare_values" };

    for (int side = 0; side < SIDES; side++) {
        if (!has((enum side)side)) {
            json_object_set_new(object, names[side], json_null());
            json_object_set_new(object, arrays[side], json_array());
            continue;
        }
        json_object_set_new(object, arrays[side], array_of(values, collect((enum side)side)));
        set_spread(object, prefixes[side], names[side], now.count);
    }
}

static void set_figures(json_t *object)
{
    const enum side side = main_side();

    set_sides(object);
    set_ratio(object);
    set_count(object, "repetitions", now.count);
    set_count(object, "repeated", now.repeated);
    set_count(object, "units", now.units);
    set_number(object, "cpu_ns", median_of(side, offsetof(struct repetition, cpu_ns)));
    set_number(object, "limit_cpu_ns",
               has(SIDE_LIMIT) ? median_of(SIDE_LIMIT, offsetof(struct repetition, cpu_ns)) : NAN);
    set_number(object, "allocations", median_of(side, offsetof(struct repetition, allocations)));
    set_number(object, "enters", median_of(side, offsetof(struct repetition, enters)));
    set_number(object, "instructions", median_of(side, offsetof(struct repetition, instructions)));
    set_number(object, "cycles", median_of(side, offsetof(struct repetition, cycles)));
    set_noise(object);
    set_disturbance(object);
    set_peers(object);
    json_object_set_new(object, "latency", latency(SIDE_RUN));
    json_object_set_new(object, "limit_latency", latency(SIDE_LIMIT));
}

static json_t *describe(void)
{
    const struct rt_bench_row *row = now.row;
    json_t *object = json_object();

    set_text(object, "name", row->name);
    set_text(object, "summary", row->summary);
    set_text(object, "kind", row->kind == RT_BENCH_CORE ? "core" : "pair");
    set_text(object, "unit", (row->flags & RT_BENCH_RATE) != 0 ? "per_s" : "ns");
    set_count(object, "core", (uint64_t)now.cpus[0]);
    json_object_set_new(object, "core2", now.cpus[1] < 0 ? json_null() : json_integer(now.cpus[1]));
    return object;
}

json_t *measure(const struct rt_bench_row *row, const int32_t cpus[2],
                const struct settings *settings)
{
    json_t *object;
    bool ok;

    memset(&now, 0, offsetof(struct measurement, sides));
    now.row = row;
    now.settings = settings;
    now.cpus[0] = cpus[0];
    now.cpus[1] = row->kind == RT_BENCH_CORE ? -1 : cpus[1];
    now.error[0] = '\0';
    now.deadline = rt_in((rt_time)(settings->seconds * 1e9));
    object = describe();
    ok = calibrate();
    if (ok && settings->peers != NULL) {
        start_peers();
    }
    ok = ok && repeat_all();
    if (ok) {
        set_figures(object);
    }
    if (now.peer_count > 0) {
        peers_stop(settings->peers);
    }
    json_object_set_new(object, "error",
                        now.error[0] == '\0' ? json_null() : json_string(now.error));
    return object;
}
