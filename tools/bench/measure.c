/* SPDX-License-Identifier: MIT */
/* Measure: see measure.h. */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <rt/rt.h>
#include <stdio.h>
#include <string.h>

#include "json_text.h"
#include "peers.h"
#include "repetition.h"
#include "stats.h"

#define REPETITIONS_MIN 4   /* of a pass; even, as both orders of the sides are to be there alike */
#define REPETITIONS_MAX 256 /* of a pass; of all passes, BENCH_VALUES_MAX */
#define TARGET_CORE_NS  5e6 /* of a repetition: most of them see no interruption by other work */
#define TARGET_PAIR_NS  1e7 /* two threads start anew in each; the wakes are few per ms */
#define UNITS_MAX       (1ull << 40)
#define GOAL            1.5  /* where a row sets none */
#define RECORDINGS      3 /* repetitions that fill the histogram */

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
    struct noise whole;         /* from the first repetition to the last, and between them */
    double whole_ns;
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

/* Choose now.units, so that the slowest side takes about target_ns(): from 1 on, 16 times more at
 * most in each step, for the first ones are cold. */
static bool calibrate(void)
{
    const double target = target_ns();
    const uint64_t most = now.row->units_max > 0 ? now.row->units_max : UNITS_MAX;
    double took;

    now.units = 1;
    while ((took = slowest_ns()) >= 0) {
        double step;

        if (took >= target / 2) { /* once more: it may have been interrupted */
            const double again = slowest_ns();

            if (again < 0) {
                return false;
            }
            took = fmin(again, took);
        }
        if (took >= target / 2 || now.units == most) {
            now.units = (uint64_t)fmin((double)most,
                                       ceil((double)now.units * target / fmax(took, 1)));
            return took >= 0;
        }
        step = fmin(16, target / fmax(took, 1));
        now.units = (uint64_t)fmin((double)most, ceil((double)now.units * fmax(step, 1.5)));
    }
    return false;
}

/* A row that makes threads, or has some of the kernel, waits for them: that is no disturbance. */
static bool waits_for_itself(void)
{
    return (now.row->flags & (RT_BENCH_PLAIN | RT_BENCH_WORKERS)) != 0;
}

static bool is_disturbed(size_t i)
{
    bool disturbed = false;

    for (int side = 0; side < SIDES; side++) {
        const struct repetition *one = &now.sides[side][i];
        const double wall_ns = waits_for_itself() ? INFINITY : one->wall_ns;

        if (has((enum side)side) && side != SIDE_BARE && noise_disturbs(&one->noise, wall_ns)) {
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

/* So that the results of all passes have room. Even. */
static size_t repetitions_max(void)
{
    const size_t share = BENCH_VALUES_MAX / now.settings->passes;

    return share < REPETITIONS_MAX ? share / 2 * 2 : REPETITIONS_MAX;
}

/* Until the time is over. While it is not, as many repetitions may be done again as are used in the
 * end: a machine that is always disturbed is measured all the same, and it is said. */
static bool repeat_all(void)
{
    struct noise_mark mark;
    const rt_time begun = rt_now();

    noise_begin(&mark, now.cpus);
    while (now.count < REPETITIONS_MIN || now.count % 2 != 0 ||
           (now.count < repetitions_max() && rt_now() < now.deadline)) {
        if (!repeat_sides(now.count)) {
            return false;
        }
        if (!is_disturbed(now.count)) {
            now.count++;
        } else if (now.repeated <= now.count + REPETITIONS_MIN && rt_now() < now.deadline) {
            now.repeated++;
        } else {
            now.disturbed++;
            now.count++;
        }
    }
    noise_end(&now.whole, &mark, now.cpus);
    now.whole_ns = (double)(rt_now() - begun);
    return true;
}

/* Results as JSON */

static double in_unit(double ns)
{
    return (now.row->flags & RT_BENCH_RATE) != 0 ? 1e9 / ns : ns;
}

/* Not known is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *values_of(enum side side)
{
    json_t *array = json_array();

    for (size_t i = 0; has(side) && i < now.count; i++) {
        json_array_append_new(array, number(in_unit(now.sides[side][i].ns)));
    }
    return array;
}

/* A member of struct repetition under a name of the document. */
struct member {
    const char *name;
    enum side side; /* SIDES: the main one */
    size_t offset;
};

#define NOISE(member) { #member, SIDES, offsetof(struct repetition, noise.member) }
#define COUNT(member) { #member, SIDES, offsetof(struct repetition, member) }

static const struct member noises[] = { NOISE(steal_ms), NOISE(switches), NOISE(waited_us),
                                        NOISE(interrupts), NOISE(mhz) };
static const struct member counts[] = {
    COUNT(cpu_ns),       { "limit_cpu_ns", SIDE_LIMIT, offsetof(struct repetition, cpu_ns) },
    COUNT(allocations),  COUNT(enters),
    COUNT(instructions), COUNT(cycles),
};

static json_t *members_of(const struct member *members, size_t count)
{
    json_t *object = json_object();

    for (size_t k = 0; k < count; k++) {
        const enum side side = members[k].side == SIDES ? main_side() : members[k].side;
        json_t *array = json_array();

        for (size_t i = 0; has(side) && i < now.count; i++) {
            double value;

            memcpy(&value, (const char *)&now.sides[side][i] + members[k].offset, sizeof(value));
            json_array_append_new(array, number(value));
        }
        json_object_set_new(object, members[k].name, array);
    }
    return object;
}

static json_t *peers_of(void)
{
    json_t *peers = json_array();

    for (size_t peer = 0; peer < now.peer_count; peer++) {
        json_t *array = json_array();

        if (now.peers[peer][now.count - 1] <= 0) {
            json_decref(array);
            continue; /* it has failed on the way, and said so */
        }
        for (size_t i = 0; i < now.count; i++) {
            json_array_append_new(array, number(in_unit(now.peers[peer][i])));
        }
        json_array_append_new(peers, json_pack("{s:o, s:o}", "name",
                                               json_text(peers_name(now.settings->peers, peer)),
                                               "values", array));
    }
    return peers;
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
    bool ok = times != NULL && now.settings->record && has(side) &&
              (now.row->flags & RT_BENCH_RECORDS) != 0;

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

static void set_repetitions(json_t *result)
{
    json_object_set_new(result, "values", values_of(SIDE_RUN));
    json_object_set_new(result, "limit_values", values_of(SIDE_LIMIT));
    json_object_set_new(result, "bare_values", values_of(SIDE_BARE));
    json_object_set_new(result, "noise", members_of(noises, sizeof(noises) / sizeof(noises[0])));
    json_object_set_new(result, "counts", members_of(counts, sizeof(counts) / sizeof(counts[0])));
    json_object_set_new(result, "units", json_integer((json_int_t)now.sides[main_side()][0].units));
    json_object_set_new(result, "repeated", json_integer((json_int_t)now.repeated));
    json_object_set_new(
        result, "disturbances",
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "repetitions",
                  (double)(now.repeated + now.disturbed), "steal_ms", fmax(now.seen.steal_ms, 0),
                  "waited_us", fmax(now.seen.waited_us, 0), "switches", fmax(now.seen.switches, 0),
                  "whole_ms", now.whole_ns / 1e6, "whole_waited_ms",
                  waits_for_itself() ? 0 : fmax(now.whole.waited_us / 1000, 0)));
    json_object_set_new(result, "peers", peers_of());
    json_object_set_new(result, "latency", latency(SIDE_RUN));
    json_object_set_new(result, "limit_latency", latency(SIDE_LIMIT));
}

static json_t *describe(void)
{
    const struct rt_bench_row *row = now.row;
    const double goal = row->goal > 0 ? row->goal : GOAL;

    return json_pack("{s:s, s:o, s:s, s:s, s:i, s:o, s:o}", "name", row->name, "summary",
                     json_text(row->summary), "kind", row->kind == RT_BENCH_CORE ? "core" : "pair",
                     "unit", (row->flags & RT_BENCH_RATE) != 0 ? "per_s" : "ns", "core",
                     now.cpus[0], "core2",
                     now.cpus[1] < 0 ? json_null() : json_integer(now.cpus[1]), "goal",
                     has(SIDE_RUN) && has(SIDE_LIMIT) ? json_real(goal) : json_null());
}

static void begin(const struct rt_bench_row *row, const int32_t cpus[2],
                  const struct settings *settings)
{
    memset(&now, 0, offsetof(struct measurement, sides));
    now.row = row;
    now.settings = settings;
    now.cpus[0] = cpus[0];
    now.cpus[1] = row->kind == RT_BENCH_CORE ? -1 : cpus[1];
    now.error[0] = '\0';
    now.peer_count = 0;
    now.deadline = rt_in((rt_time)(settings->seconds * 1e9));
}

json_t *measure_failed(const struct rt_bench_row *row, const int32_t cpus[2],
                       const struct settings *settings, const char *error)
{
    json_t *object;

    begin(row, cpus, settings);
    object = describe();
    json_object_set_new(object, "error", json_text(error));
    return object;
}

json_t *measure(const struct rt_bench_row *row, const int32_t cpus[2],
                const struct settings *settings)
{
    json_t *object;
    bool ok;

    begin(row, cpus, settings);
    object = describe();
    ok = calibrate();
    if (ok && settings->peers != NULL) {
        start_peers();
    }
    ok = ok && repeat_all();
    if (ok) {
        set_repetitions(object);
    }
    if (now.peer_count > 0) {
        peers_stop(settings->peers);
    }
    json_object_set_new(object, "error", now.error[0] == '\0' ? json_null() : json_text(now.error));
    return object;
}
