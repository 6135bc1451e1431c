/* SPDX-License-Identifier: MIT */
/* Figures: see figures.h. */
#include "figures.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "stats.h"

#define DISTURBED_SHARE 3 /* if one repetition in so many was, the row is disturbed */
#define WAITED_SHARE    0.1 /* of the time, repetitions and what lies between them */
#define KEY_BYTES       64

/* Adding */

static void extend(json_t *array, const json_t *more)
{
    if (json_array_size(array) + json_array_size(more) <= BENCH_VALUES_MAX) {
        (void)json_array_extend(array, (json_t *)more); /* reads it only */
    }
}

static void add_peers(json_t *peers, const json_t *more)
{
    size_t i;
    json_t *one;

    json_array_foreach (peers, i, one) {
        size_t k;
        const json_t *other;

        json_array_foreach (more, k, other) {
            if (json_equal(json_object_get(one, "name"), json_object_get(other, "name"))) {
                extend(json_object_get(one, "values"), json_object_get(other, "values"));
            }
        }
    }
}

/* Sums of what is counted, all repetitions of what has one value for each. */
static void add_member(json_t *object, const char *key, json_t *value)
{
    json_t *old = json_object_get(object, key);
    const char *inner;
    json_t *member;

    if (json_is_array(value) && strcmp(key, "peers") == 0) {
        add_peers(old, value);
    } else if (json_is_array(value)) {
        extend(old, value);
    } else if (json_is_object(value) && json_is_object(old) && strstr(key, "latency") == NULL) {
        json_object_foreach (value, inner, member) {
            add_member(old, inner, member);
        }
    } else if (json_is_real(value)) {
        json_object_set_new(object, key, json_real(json_real_value(old) + json_real_value(value)));
    } else if (json_is_integer(value) && strcmp(key, "repeated") == 0) {
        json_object_set_new(object, key,
                            json_integer(json_integer_value(old) + json_integer_value(value)));
    } else if (!json_is_null(value)) {
        json_object_set(object, key, value);
    }
}

void figures_add(json_t *result, const json_t *pass)
{
    static const char *const added[] = { "values", "limit_values", "bare_values",   "noise",
                                         "counts", "peers",        "repeated",      "disturbances",
                                         "units",  "latency",      "limit_latency", "error" };

    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        json_t *value = json_object_get(pass, added[i]);

        if (value != NULL) {
            add_member(result, added[i], value);
        }
    }
}

/* Making */

/* An array as numbers. How many; 0 when one of them is not known. */
static size_t read_values(const json_t *array, double values[BENCH_VALUES_MAX])
{
    size_t i;
    const json_t *value;

    json_array_foreach (array, i, value) {
        if (!json_is_number(value) || i == BENCH_VALUES_MAX) {
            return 0;
        }
        values[i] = json_number_value(value);
    }
    return json_array_size(array);
}

/* Not known is null. */
static void set_number(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

/* Few values have an interval that goes on beyond them: on a logarithmic scale, for nothing takes
 * less than no time. */
static void set_interval(struct bench_summary *summary, const double *values, size_t count)
{
    double logs[BENCH_VALUES_MAX] = { 0 };
    struct bench_interval interval;

    for (size_t i = 0; i < count; i++) {
        logs[i] = log(values[i]);
    }
    interval = bench_interval_of(logs, count, BENCH_LEVEL);
    summary->low = fmin(exp(interval.low),
                        summary->median); /* of an even count, its mean is less */
    summary->high = fmax(exp(interval.high), summary->median);
}

/* NAME, PREFIXmad, PREFIXlow, PREFIXhigh; all null without values. */
static void set_summary(json_t *object, const char *name, const char *prefix, const double *values,
                        size_t count)
{
    struct bench_summary summary = { NAN, NAN, NAN, NAN };
    char key[KEY_BYTES];

    if (count > 0) {
        summary = bench_summary_of(values, count);
        set_interval(&summary, values, count);
    }
    set_number(object, name, summary.median);
    snprintf(key, sizeof(key), "%smad", prefix);
    set_number(object, key, summary.mad);
    snprintf(key, sizeof(key), "%slow", prefix);
    set_number(object, key, summary.low);
    snprintf(key, sizeof(key), "%shigh", prefix);
    set_number(object, key, summary.high);
}

/* How many times worse the one is than the other. How many ratios; 0 when they do not fit. */
static size_t ratios_of(const json_t *worse, const json_t *than, bool rate,
                        double ratios[BENCH_VALUES_MAX])
{
    double values[BENCH_VALUES_MAX] = { 0 };
    double base[BENCH_VALUES_MAX] = { 0 };
    const size_t count = read_values(worse, values);

    if (count == 0 || read_values(than, base) != count) {
        return 0;
    }
    bench_ratios_of(rate ? base : values, rate ? values : base, count, ratios);
    return count;
}

static void set_ratio(json_t *result, bool rate)
{
    double ratios[BENCH_VALUES_MAX] = { 0 };
    const double goal = json_number_value(json_object_get(result, "goal"));
    const size_t count = ratios_of(json_object_get(result, "values"),
                                   json_object_get(result, "limit_values"), rate, ratios);

    set_summary(result, "ratio", "ratio_", ratios, count);
    json_object_set_new(result, "over_goal",
                        count == 0 ? json_null()
                                   : json_boolean(bench_median(ratios, count) > goal));
}

static void set_peers(json_t *result, bool rate)
{
    double values[BENCH_VALUES_MAX] = { 0 };
    size_t i;
    json_t *peer;

    json_array_foreach (json_object_get(result, "peers"), i, peer) {
        const json_t *array = json_object_get(peer, "values");
        size_t count = read_values(array, values);

        set_summary(peer, "value", "", values, count);
        count = ratios_of(array, json_object_get(result, "limit_values"), rate, values);
        set_number(peer, "ratio", count > 0 ? bench_median(values, count) : NAN);
    }
}

/* What was counted in each repetition: its median under its own name. */
static void set_counts(json_t *result)
{
    double values[BENCH_VALUES_MAX] = { 0 };
    const char *name;
    json_t *array;

    json_object_foreach (json_object_get(result, "counts"), name, array) {
        const size_t count = read_values(array, values);

        set_number(result, name, count > 0 ? bench_median(values, count) : NAN);
    }
}

/* A row whose repetitions were often disturbed says so, though most of these were done again. */
static void set_disturbance(json_t *result)
{
    const json_t *seen = json_object_get(result, "disturbances");
    const double repeated = json_number_value(json_object_get(result, "repeated"));
    const double all = json_number_value(json_object_get(result, "repetitions")) + repeated;
    const double disturbed = json_number_value(json_object_get(seen, "repetitions"));
    const double whole = json_number_value(json_object_get(seen, "whole_ms"));
    const double waited = json_number_value(json_object_get(seen, "whole_waited_ms"));
    char text[160] = "";

    if (waited > WAITED_SHARE * whole) {
        snprintf(text, sizeof(text), "this thread had to wait for %.0f %% of the time",
                 100 * waited / whole);
    } else if (disturbed * DISTURBED_SHARE >= all) {
        snprintf(text, sizeof(text),
                 "%.0f of %.0f repetitions: steal %.0f ms, waited %.1f ms, %.0f switches",
                 disturbed, all, json_number_value(json_object_get(seen, "steal_ms")),
                 json_number_value(json_object_get(seen, "waited_us")) / 1000,
                 json_number_value(json_object_get(seen, "switches")));
    }
    json_object_set_new(result, "disturbed", json_boolean(text[0] != '\0'));
    json_object_set_new(result, "disturbance", json_string(text));
}

/* A row that has failed has no figures, nor the repetitions of passes before it did. */
static void set_nothing(json_t *result)
{
    static const char *const keys[] = {
        "value",        "mad",        "low",           "high",        "limit",     "limit_mad",
        "limit_low",    "limit_high", "bare",          "bare_mad",    "bare_low",  "bare_high",
        "ratio",        "ratio_mad",  "ratio_low",     "ratio_high",  "over_goal", "repetitions",
        "repeated",     "units",      "disturbed",     "disturbance", "cpu_ns",    "limit_cpu_ns",
        "allocations",  "enters",     "instructions",  "cycles",      "noise",     "counts",
        "disturbances", "latency",    "limit_latency",
    };
    static const char *const arrays[] = { "values", "limit_values", "bare_values", "peers" };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_object_set_new(result, keys[i], json_null());
    }
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        json_object_set_new(result, arrays[i], json_array());
    }
}

void figures_set(json_t *result)
{
    static const char *const names[] = { "value", "limit", "bare" };
    static const char *const prefixes[] = { "", "limit_", "bare_" };
    static const char *const arrays[] = { "values", "limit_values", "bare_values" };
    const char *unit = json_string_value(json_object_get(result, "unit"));
    const bool rate = unit != NULL && strcmp(unit, "ns") != 0;
    double values[BENCH_VALUES_MAX] = { 0 };
    size_t most = 0;

    if (json_is_string(json_object_get(result, "error"))) {
        set_nothing(result);
        return;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const size_t count = read_values(json_object_get(result, arrays[i]), values);

        set_summary(result, names[i], prefixes[i], values, count);
        most = count > most ? count : most;
    }
    json_object_set_new(result, "repetitions", json_integer((json_int_t)most));
    set_ratio(result, rate);
    set_counts(result);
    set_disturbance(result);
    set_peers(result, rate);
}
