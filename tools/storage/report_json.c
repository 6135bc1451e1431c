/* SPDX-License-Identifier: MIT */
/* The document, from the inside out. A part that has no memory is NULL, and so is all around it. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <rt/version.h>
#include <time.h>

#include "../bench/json_text.h"
#include "histogram.h"
#include "report.h"

#define NS_PER_MS 1000000
#define DIGITS    12

static const double percentiles[] = {
    1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5, 99.9, 99.95, 99.99,
};

static json_t *percentiles_json(const struct histogram *histogram)
{
    json_t *object = json_object();

    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
        const uint64_t ns = histogram_quantile(histogram, percentiles[i] / 100);
        char key[32];

        snprintf(key, sizeof(key), "%f", percentiles[i]);
        (void)json_object_set_new(object, key, json_integer((json_int_t)ns));
    }
    return object;
}

/* Times that nobody took are zeroes, as of fio. */
static json_t *times_json(const struct result_times *times, bool with_percentiles)
{
    const struct histogram *histogram = times->histogram;
    const uint64_t count = histogram != NULL ? histogram_count(histogram) : 0;
    json_t *object;

    if (count == 0) {
        return json_pack("{s:i, s:i, s:f, s:f, s:i}", "min", 0, "max", 0, "mean", 0.0, "stddev",
                         0.0, "N", 0);
    }
    object = json_pack("{s:I, s:I, s:f, s:f, s:I}", "min", (json_int_t)times->min, "max",
                       (json_int_t)histogram_max(histogram), "mean", histogram_mean(histogram),
                       "stddev", histogram_stddev(histogram), "N", (json_int_t)count);
    if (with_percentiles) {
        (void)json_object_set_new(object, "percentile", percentiles_json(histogram));
    }
    return object;
}

/* Adds members that only numbers make up. */
static void add(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value); /* refuses NULL, and then it is missing */
}

static void add_samples(json_t *object, const struct result_direction *direction)
{
    const struct result_samples *bandwidth = &direction->bandwidth;
    const struct result_samples *iops = &direction->iops;
    const double all = report_rate(direction->bytes, direction->runtime) / 1024;
    const double part = all > 0 ? 100 * bandwidth->mean / all : 0;

    add(object, "bw_min", json_integer((json_int_t)bandwidth->min));
    add(object, "bw_max", json_integer((json_int_t)bandwidth->max));
    add(object, "bw_agg", json_real(part < 100 ? part : 100));
    add(object, "bw_mean", json_real(bandwidth->mean));
    add(object, "bw_dev", json_real(result_deviation(bandwidth)));
    add(object, "bw_samples", json_integer((json_int_t)bandwidth->count));
    add(object, "iops_min", json_integer((json_int_t)iops->min));
    add(object, "iops_max", json_integer((json_int_t)iops->max));
    add(object, "iops_mean", json_real(iops->mean));
    add(object, "iops_stddev", json_real(result_deviation(iops)));
    add(object, "iops_samples", json_integer((json_int_t)iops->count));
}

static json_t *direction_json(const struct result_direction *direction)
{
    const double bytes = report_rate(direction->bytes, direction->runtime);
    const struct result_times none = { 0 };
    json_t *object = json_object();

    add(object, "io_bytes", json_integer((json_int_t)direction->bytes));
    add(object, "io_kbytes", json_integer((json_int_t)(direction->bytes / 1024)));
    add(object, "bw_bytes", json_integer((json_int_t)bytes));
    add(object, "bw", json_integer((json_int_t)(bytes / 1024)));
    add(object, "iops", json_real(report_rate(direction->operations, direction->runtime)));
    add(object, "runtime", json_integer(direction->runtime / NS_PER_MS));
    add(object, "total_ios", json_integer((json_int_t)direction->operations));
    add(object, "short_ios", json_integer((json_int_t)direction->short_operations));
    add(object, "drop_ios", json_integer(0));         /* what fails ends the job */
    add(object, "slat_ns", times_json(&none, false)); /* submitting is part of the call: clat */
    add(object, "clat_ns", times_json(&direction->clat, true));
    add(object, "lat_ns", times_json(&direction->lat, true));
    add_samples(object, direction);
    return object;
}

static json_t *sync_json(const struct result_times *sync)
{
    json_t *object = json_object();
    const uint64_t count = sync->histogram != NULL ? histogram_count(sync->histogram) : 0;

    add(object, "total_ios", json_integer((json_int_t)count));
    add(object, "lat_ns", times_json(sync, true));
    return object;
}

/* What direct transfers waited for their turn at the disk, and what the disk took. */
static json_t *disk_json(const struct result_job *result)
{
    json_t *object = json_object();

    add(object, "total_ios", json_integer((json_int_t)result->disk_requests));
    add(object, "line_mean_ns",
        json_real(report_per((uint64_t)result->disk_wait, result->disk_requests)));
    add(object, "disk_mean_ns",
        json_real(report_per((uint64_t)result->disk_time, result->disk_requests)));
    add(object, "line_ns", times_json(&result->line, true));
    add(object, "disk_ns", times_json(&result->disk, true));
    return object;
}

/* Shares of latencies and depths */

static json_t *depths_json(const struct result_job *result)
{
    static const char *const keys[RESULT_DEPTHS] = { "1", "2", "4", "8", "16", "32", ">=64" };
    json_t *object = json_object();
    uint64_t all = 0;

    for (unsigned i = 0; i < RESULT_DEPTHS; i++) {
        all += result->depths[i];
    }
    for (unsigned i = 0; i < RESULT_DEPTHS; i++) {
        add(object, keys[i], json_real(100 * report_per(result->depths[i], all)));
    }
    return object;
}

#define BOUNDS 12

/* The limits that fio counts between; the last one of milliseconds has none. */
static const unsigned bounds[BOUNDS] = { 2, 4, 10, 20, 50, 100, 250, 500, 750, 1000, 2000, 0 };

/* How many of the latencies lie between the bounds, in each unit. */
static void count_latencies(const struct result_job *result, uint64_t counts[3][BOUNDS])
{
    static const uint64_t units[] = { 1, 1000, 1000000 };

    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        const struct histogram *histogram = result->directions[d].lat.histogram;
        uint32_t index = 0;
        uint64_t count;
        uint64_t ns;

        while (histogram != NULL && (count = histogram_next(histogram, &index, &ns)) > 0) {
            const unsigned unit = ns < units[1] ? 0 : ns < units[2] ? 1 : 2;
            unsigned i = 0;

            while (i < BOUNDS - 1 && ns / units[unit] >= bounds[i]) {
                i++;
            }
            counts[unit][i] += count;
        }
    }
}

static void add_latencies(json_t *object, const struct result_job *result)
{
    static const char *const keys[] = { "latency_ns", "latency_us", "latency_ms" };
    const uint64_t all = result_operations(result);
    uint64_t counts[3][BOUNDS] = { { 0 } };

    count_latencies(result, counts);
    for (unsigned unit = 0; unit < 3; unit++) {
        const unsigned used = unit < 2 ? BOUNDS - 2 : BOUNDS;
        json_t *shares = json_object();

        for (unsigned i = 0; i < used; i++) {
            char key[16];

            snprintf(key, sizeof(key), i < BOUNDS - 1 ? "%u" : ">=2000", bounds[i]);
            add(shares, key, json_real(100 * report_per(counts[unit][i], all)));
        }
        add(object, keys[unit], shares);
    }
}

/* Jobs */

static json_t *options_json(const struct job *job, bool global)
{
    json_t *object = json_object();

    for (size_t i = 0; i < job->option_count; i++) {
        if (job->options[i].global == global) {
            add(object, job->options[i].name, json_text(job->options[i].value));
        }
    }
    return object;
}

static double percent(rt_time part, rt_time all)
{
    return all > 0 ? 100 * (double)part / (double)all : 0;
}

/* What fio does not tell: what an operation costs. */
static json_t *own_json(const struct result_job *result)
{
    const uint64_t operations = result_operations(result);
    const struct result_cost *cost = &result->cost;

    return json_pack(
        "{s:i, s:i, s:f, s:f, s:f, s:I, s:I, s:s, s:o, s:I, s:I}", "cpu", (int)result->cpu,
        "instances", (int)result->instances, "cpu_us_per_io", report_cpu_us(cost, operations),
        "enters_per_io", report_per(cost->enters, operations), "ctx_per_io",
        report_per(cost->switches_voluntary + cost->switches_involuntary, operations), "enters",
        (json_int_t)cost->enters, "verified", (json_int_t)result->verified, "error_text",
        result->error_text, "disk", disk_json(result), "files_polled",
        (json_int_t)result->files_polled, "files_refused", (json_int_t)result->files_refused);
}

static void add_directions(json_t *object, const struct result_job *result)
{
    const struct result_direction none = { 0 };

    add(object, "read", direction_json(&result->directions[JOB_READ]));
    add(object, "write", direction_json(&result->directions[JOB_WRITE]));
    add(object, "trim", direction_json(&none)); /* there is no such job */
    add(object, "sync", sync_json(&result->sync));
}

static json_t *job_json(const struct result_job *result)
{
    const struct job *job = result->job;
    const struct result_cost *cost = &result->cost;
    const uint64_t switches = cost->switches_voluntary + cost->switches_involuntary;
    const rt_time all = result->runtime * result->instances;
    json_t *object = json_object();

    add(object, "jobname", json_text(job->name));
    add(object, "groupid", json_integer(job->stage));
    add(object, "error", json_integer(-result->error));
    add(object, "elapsed", json_integer((result->runtime + job->ramp) / RT_SECONDS(1) + 1));
    add(object, "job options", options_json(job, false));
    add_directions(object, result);
    add(object, "job_runtime", json_integer(result->runtime / NS_PER_MS));
    add(object, "usr_cpu", json_real(percent(cost->user, all)));
    add(object, "sys_cpu", json_real(percent(cost->system, all)));
    add(object, "ctx", json_integer((json_int_t)switches));
    add(object, "majf", json_integer((json_int_t)cost->faults_major));
    add(object, "minf", json_integer((json_int_t)cost->faults_minor));
    add(object, "iodepth_level", depths_json(result));
    add_latencies(object, result);
    add(object, "latency_depth", json_integer(job->depth));
    add(object, "shardrt", own_json(result));
    return object;
}

/* Beside the jobs */

static json_t *core_json(const struct result_job *core)
{
    json_t *object = own_json(core);

    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        const struct result_direction *direction = &core->directions[d];

        add(object, d == JOB_READ ? "read" : "write",
            json_pack("{s:I, s:I, s:o}", "io_bytes", (json_int_t)direction->bytes, "total_ios",
                      (json_int_t)direction->operations, "clat_ns",
                      times_json(&direction->clat, true)));
    }
    return object;
}

static json_t *stage_json(const struct result *result, uint32_t number)
{
    const struct result_stage *stage = &result->stages[number];
    uint64_t operations = 0;

    for (size_t i = 0; i < result->count; i++) {
        operations += result->jobs[i].job->stage == number ? result_operations(&result->jobs[i])
                                                           : 0;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:f}", "runtime_ns", (json_int_t)stage->runtime,
                     "total_ios", (json_int_t)operations, "user_ns", (json_int_t)stage->cost.user,
                     "system_ns", (json_int_t)stage->cost.system, "cpu_us_per_io",
                     report_cpu_us(&stage->cost, operations));
}

static json_t *program_json(const struct result *result)
{
    struct result_groups cores;
    json_t *object = json_object();
    json_t *list = json_array();
    json_t *stages = json_array();

    if (report_cores(&cores, result) == 0) {
        for (size_t i = 0; i + 1 < cores.count; i++) {
            (void)json_array_append_new(list, core_json(&cores.jobs[i]));
        }
        add(object, "total", core_json(&cores.jobs[cores.count - 1]));
    }
    result_groups_fini(&cores);
    for (uint32_t i = 0; i < result->stage_count; i++) {
        (void)json_array_append_new(stages, stage_json(result, i));
    }
    add(object, "version", json_string(RT_VERSION));
    add(object, "interrupted", json_boolean(result->interrupted));
    add(object, "cores", list);
    add(object, "stages", stages);
    return object;
}

static void add_time(json_t *root, int64_t ms)
{
    const time_t seconds = (time_t)(ms / 1000);
    char text[32] = "";
    struct tm broken;

    if (localtime_r(&seconds, &broken) != NULL) {
        (void)strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &broken);
    }
    add(root, "timestamp", json_integer(ms / 1000));
    add(root, "timestamp_ms", json_integer(ms));
    add(root, "time", json_string(text));
}

int report_json(FILE *out, const struct result *result)
{
    struct result_groups groups;
    json_t *root = json_object();
    json_t *jobs = json_array();
    int r = result_group(&groups, result);

    add_time(root, result->began_ms);
    if (result->count > 0) {
        add(root, "global options", options_json(result->jobs[0].job, true));
    }
    for (size_t i = 0; r == 0 && i < groups.count; i++) {
        (void)json_array_append_new(jobs, job_json(&groups.jobs[i]));
    }
    result_groups_fini(&groups);
    add(root, "jobs", jobs);
    add(root, "shardrt", program_json(result));
    if (r == 0 && json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) < 0) {
        r = -EIO;
    }
    fputc('\n', out);
    json_decref(root);
    return r == 0 && (fflush(out) != 0 || ferror(out)) ? -EIO : r;
}
