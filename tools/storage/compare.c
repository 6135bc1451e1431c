/* SPDX-License-Identifier: MIT */
/* Compare: see compare.h. */
#include "compare.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define STATUS_WRONG 2

/* With 10 samples (5 s) or more, 3.25 standard errors to each side hold the mean of 99 % of runs,
 * by Student's distribution with 9 degrees of freedom. */
#define SAMPLES_MIN 10
#define WIDTH       3.25

enum verdict { VERDICT_NONE, VERDICT_NOISE, VERDICT_FASTER, VERDICT_SLOWER, VERDICT_FAILS };

static const char *const verdict_names[] = {
    [VERDICT_NONE] = "too short", [VERDICT_NOISE] = "within noise", [VERDICT_FASTER] = "faster",
    [VERDICT_SLOWER] = "slower",  [VERDICT_FAILS] = "fails",
};

/* What is shown beside the verdict; 0: the file does not have it. */
enum cost { COST_MEAN, COST_P50, COST_P99, COST_P999, COST_CPU, COSTS };

static const char *const cost_names[] = {
    [COST_MEAN] = "clat_mean_ns",  [COST_P50] = "clat_p50_ns",   [COST_P99] = "clat_p99_ns",
    [COST_P999] = "clat_p99_9_ns", [COST_CPU] = "cpu_us_per_io",
};

/* Reads or writes of a job in one file. */
struct side {
    const char *job;
    json_int_t error;      /* of the job */
    json_int_t operations; /* 0: it has none */
    json_int_t samples;
    double iops;
    double sample_mean;
    double sample_deviation;
    double costs[COSTS];
};

struct row {
    struct side old, new;
    const char *direction;
    double change; /* of iops, 0.04 for 4 % more */
    double half;   /* its interval goes from change - half to change + half */
    enum verdict verdict;
};

static int bad(const char *path, const char *text)
{
    fprintf(stderr, "rt-storage: %s: %s\n", path, text);
    return STATUS_WRONG;
}

static double percentile_of(const json_t *latency, const char *key)
{
    return json_number_value(json_object_get(json_object_get(latency, "percentile"), key));
}

/* Microseconds of CPU time for an operation of the job, reads and writes alike. */
static double cpu_of(json_t *job)
{
    double user = 0;
    double system = 0;
    double runtime_ms = 0;
    json_int_t reads = 0;
    json_int_t writes = 0;

    (void)json_unpack(job, "{s?F, s?F, s?F, s?{s?I}, s?{s?I}}", "usr_cpu", &user, "sys_cpu",
                      &system, "job_runtime", &runtime_ms, "read", "total_ios", &reads, "write",
                      "total_ios", &writes);
    return reads + writes > 0 ? (user + system) * runtime_ms * 10 / (double)(reads + writes) : 0;
}

static bool read_side(const char *path, json_t *job, const char *direction, struct side *side)
{
    json_t *latency;
    json_error_t error;

    if (json_unpack_ex(job, &error, 0, "{s:s, s:I, s:{s:I, s:F, s:F, s:F, s:I, s:o}}", "jobname",
                       &side->job, "error", &side->error, direction, "total_ios", &side->operations,
                       "iops", &side->iops, "iops_mean", &side->sample_mean, "iops_stddev",
                       &side->sample_deviation, "iops_samples", &side->samples, "clat_ns",
                       &latency) < 0) {
        (void)bad(path, error.text);
        return false;
    }
    side->costs[COST_MEAN] = json_number_value(json_object_get(latency, "mean"));
    side->costs[COST_P50] = percentile_of(latency, "50.000000");
    side->costs[COST_P99] = percentile_of(latency, "99.000000");
    side->costs[COST_P999] = percentile_of(latency, "99.900000");
    side->costs[COST_CPU] = cpu_of(job);
    return true;
}

static const char *name_of(const json_t *job)
{
    const char *name = json_string_value(json_object_get(job, "jobname"));

    return name != NULL ? name : "";
}

/* The job of the same name, the second of them for a second, and so on; NULL: there is none. */
static json_t *partner_of(const json_t *jobs, size_t index, const json_t *others)
{
    const char *name = name_of(json_array_get(jobs, index));
    size_t before = 0;

    for (size_t i = 0; i < index; i++) {
        before += strcmp(name_of(json_array_get(jobs, i)), name) == 0;
    }
    for (size_t i = 0; i < json_array_size(others); i++) {
        json_t *other = json_array_get(others, i);

        if (strcmp(name_of(other), name) == 0 && before-- == 0) {
            return other;
        }
    }
    return NULL;
}

/* How far the mean of the samples may be from the true one, as a share of it. */
static double error_of(const struct side *side)
{
    return side->sample_deviation / side->sample_mean / sqrt((double)side->samples);
}

static bool has_samples(const struct side *side)
{
    return side->samples >= SAMPLES_MIN && side->sample_mean > 0 && side->iops > 0;
}

static void judge(struct row *row, double threshold)
{
    const struct side *old = &row->old;
    const struct side *new = &row->new;

    row->change = old->iops > 0 ? new->iops / old->iops - 1 : 0;
    if (new->error != 0 && old->error == 0) {
        row->verdict = VERDICT_FAILS;
    } else if (!has_samples(old) || !has_samples(new)) {
        row->verdict = VERDICT_NONE;
    } else {
        row->half = (1 + row->change) * WIDTH * hypot(error_of(old), error_of(new));
        row->verdict = row->change + row->half < -threshold  ? VERDICT_SLOWER
                       : row->change - row->half > threshold ? VERDICT_FASTER
                                                             : VERDICT_NOISE;
    }
}

static void print_change(FILE *out, double old, double new)
{
    if (old > 0 && new > 0) {
        fprintf(out, " %+8.1f%%", (new / old - 1) * 100);
    } else {
        fprintf(out, " %9s", "-");
    }
}

static void print_head(FILE *out)
{
    fprintf(out, "%-16s %-5s %10s %10s %9s %18s", "job", "", "IOPS old", "new", "change",
            "interval");
    fprintf(out, " %9s %9s %9s %9s %9s\n", "clat", "p50", "p99", "p99.9", "CPU/io");
}

static void print_row(FILE *out, const struct row *row)
{
    char interval[32] = "-";

    if (row->half > 0) {
        (void)snprintf(interval, sizeof(interval), "%+.1f%%..%+.1f%%",
                       (row->change - row->half) * 100, (row->change + row->half) * 100);
    }
    fprintf(out, "%-16s %-5s %10.0f %10.0f %+8.1f%% %18s", row->old.job, row->direction,
            row->old.iops, row->new.iops, row->change * 100, interval);
    for (size_t i = 0; i < COSTS; i++) {
        print_change(out, row->old.costs[i], row->new.costs[i]);
    }
    fprintf(out, "  %s\n", verdict_names[row->verdict]);
}

/* NULL without memory. */
static json_t *json_of(const struct row *row)
{
    json_t *costs = json_object();

    for (size_t i = 0; i < COSTS; i++) {
        (void)json_object_set_new(costs, cost_names[i],
                                  json_pack("[f, f]", row->old.costs[i], row->new.costs[i]));
    }
    return json_pack("{s:s, s:s, s:[f, f], s:f, s:f, s:f, s:o, s:s}", "job", row->old.job,
                     "direction", row->direction, "iops", row->old.iops, row->new.iops, "change",
                     row->change, "low", row->change - row->half, "high", row->change + row->half,
                     "costs", costs, "verdict", verdict_names[row->verdict]);
}

struct comparison {
    const char *paths[2];
    double threshold;
    FILE *out;
    json_t *rows; /* NULL: a table is printed */
    size_t count;
    bool slower;
};

static void tell(struct comparison *comparison, struct row *row)
{
    judge(row, comparison->threshold);
    comparison->count++;
    comparison->slower |= row->verdict == VERDICT_SLOWER || row->verdict == VERDICT_FAILS;
    if (comparison->rows != NULL) {
        (void)json_array_append_new(comparison->rows, json_of(row));
    } else {
        if (comparison->count == 1) {
            print_head(comparison->out);
        }
        print_row(comparison->out, row);
    }
}

static bool compare_job(struct comparison *comparison, json_t *old, json_t *new)
{
    static const char *const directions[] = { "read", "write" };

    for (size_t i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
        struct row row = { .direction = directions[i] };

        if (!read_side(comparison->paths[0], old, directions[i], &row.old) ||
            !read_side(comparison->paths[1], new, directions[i], &row.new)) {
            return false;
        }
        if (row.old.operations > 0 && (row.new.operations > 0 || row.new.error != 0)) {
            tell(comparison, &row);
        } else if (row.old.operations > 0 || row.new.operations > 0) {
            fprintf(stderr, "rt-storage: %s: job %s has no %ss\n",
                    comparison->paths[row.old.operations > 0], row.old.job, directions[i]);
        }
    }
    return true;
}

/* Names the jobs that have no partner in the others. */
static void tell_missing(const char *path, const json_t *jobs, const json_t *others)
{
    for (size_t i = 0; i < json_array_size(jobs); i++) {
        if (partner_of(jobs, i, others) == NULL) {
            fprintf(stderr, "rt-storage: job %s is only in %s\n", name_of(json_array_get(jobs, i)),
                    path);
        }
    }
}

static int compare_jobs(struct comparison *comparison, const json_t *old, const json_t *new)
{
    for (size_t i = 0; i < json_array_size(old); i++) {
        json_t *partner = partner_of(old, i, new);

        if (partner != NULL && !compare_job(comparison, json_array_get(old, i), partner)) {
            return STATUS_WRONG;
        }
    }
    tell_missing(comparison->paths[0], old, new);
    tell_missing(comparison->paths[1], new, old);
    if (comparison->count == 0) {
        return bad(comparison->paths[1], "has no job that the other file has too");
    }
    if (comparison->rows != NULL) {
        json_t *document = json_pack("{s:f, s:O}", "threshold", comparison->threshold, "rows",
                                     comparison->rows);
        const bool written = document != NULL && /* and no row was lost for want of memory */
                             json_array_size(comparison->rows) == comparison->count &&
                             json_dumpf(document, comparison->out,
                                        JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;

        json_decref(document);
        if (!written) {
            return bad("the comparison", "cannot be written");
        }
        putc('\n', comparison->out);
    }
    return comparison->slower ? 1 : 0;
}

/* The jobs of the file, a part of *document, or NULL after a message. */
static const json_t *load(const char *path, json_t **document)
{
    json_error_t error;
    const json_t *jobs;

    *document = json_load_file(path, 0, &error);
    if (*document == NULL) {
        fprintf(stderr, "rt-storage: %s:%d:%d: %s\n", path, error.line, error.column, error.text);
        return NULL;
    }
    jobs = json_object_get(*document, "jobs");
    if (!json_is_array(jobs)) {
        (void)bad(path, "is no result: it has no \"jobs\"; rt-storage --json writes one");
        return NULL;
    }
    return jobs;
}

int compare(const char *path_old, const char *path_new, double threshold, bool json, FILE *out)
{
    struct comparison comparison = {
        .paths = { path_old, path_new },
        .threshold = threshold,
        .out = out,
        .rows = json ? json_array() : NULL,
    };
    json_t *documents[2] = { NULL, NULL };
    const json_t *old = load(path_old, &documents[0]);
    const json_t *new = load(path_new, &documents[1]);
    int status = STATUS_WRONG;

    if (old != NULL && new != NULL) {
        status = compare_jobs(&comparison, old, new);
    }
    json_decref(comparison.rows);
    json_decref(documents[0]);
    json_decref(documents[1]);
    return status;
}
