/* SPDX-License-Identifier: MIT */
/* Results: made, filled, put together. */
#include "result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "histogram.h"

static int times_init(struct result_times *times)
{
    times->min = UINT64_MAX;
    times->histogram = histogram_create();
    return times->histogram == NULL ? -ENOMEM : 0;
}

static bool is_rated(const struct job *job, enum job_direction direction)
{
    return job->rate_bytes[direction] > 0 || job->rate_iops[direction] > 0;
}

int result_job_init(struct result_job *result, const struct job *job, uint32_t instance)
{
    const bool reads[] = { job_reads(job) || job->verify, job_writes(job) };
    int r = 0;

    *result = (struct result_job){ .job = job, .instance = instance, .instances = 1, .cpu = -1 };
    for (enum job_direction d = JOB_READ; r == 0 && d < JOB_DIRECTIONS; d++) {
        if (reads[d]) {
            r = times_init(&result->directions[d].clat);
        }
        if (r == 0 && is_rated(job, d)) {
            r = times_init(&result->directions[d].lat);
        }
    }
    if (r == 0 && job->disk_times) {
        r = times_init(&result->line);
        r = r == 0 ? times_init(&result->disk) : r;
    }
    return r == 0 && (job->fsync_every > 0 || job->fdatasync_every > 0 || job->end_fsync)
               ? times_init(&result->sync)
               : r;
}

void result_job_fini(struct result_job *result)
{
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        histogram_destroy(result->directions[d].clat.histogram);
        histogram_destroy(result->directions[d].lat.histogram);
    }
    histogram_destroy(result->sync.histogram);
    histogram_destroy(result->line.histogram);
    histogram_destroy(result->disk.histogram);
}

void result_fini(struct result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        result_job_fini(&result->jobs[i]);
    }
    free(result->jobs);
    free(result->stages);
    *result = (struct result){ 0 };
}

void result_record(struct result_times *times, rt_time time)
{
    const uint64_t ns = time > 0 ? (uint64_t)time : 0;

    histogram_record(times->histogram, ns);
    if (ns < times->min) {
        times->min = ns;
    }
}

void result_sample(struct result_samples *samples, double value)
{
    const double mean = samples->mean;

    samples->min = samples->count == 0 || value < samples->min ? value : samples->min;
    samples->max = samples->count == 0 || value > samples->max ? value : samples->max;
    samples->count++; /* the rest is Welford's method, 1962: stable, in one pass */
    samples->mean += (value - mean) / (double)samples->count;
    samples->deviations += (value - mean) * (value - samples->mean);
}

double result_deviation(const struct result_samples *samples)
{
    return samples->count > 1 ? sqrt(samples->deviations / (double)(samples->count - 1)) : 0;
}

uint64_t result_operations(const struct result_job *result)
{
    return result->directions[JOB_READ].operations + result->directions[JOB_WRITE].operations;
}

static int merge_times(struct result_times *into, const struct result_times *from)
{
    if (from->histogram == NULL) {
        return 0;
    }
    if (into->histogram == NULL) {
        const int r = times_init(into);

        if (r < 0) {
            return r;
        }
    }
    histogram_merge(into->histogram, from->histogram);
    into->min = from->min < into->min ? from->min : into->min;
    return 0;
}

/* Instances ran side by side: their means and variances add up; extremes are those of single
 * instances added up, which may not have come together. */
static void merge_samples(struct result_samples *into, const struct result_samples *from)
{
    if (into->count == 0) {
        *into = *from;
    } else if (from->count > 0) {
        into->min += from->min;
        into->max += from->max;
        into->mean += from->mean;
        into->deviations += from->deviations / (double)from->count * (double)into->count;
    }
}

static int merge_direction(struct result_direction *into, const struct result_direction *from)
{
    int r = merge_times(&into->clat, &from->clat);

    into->operations += from->operations;
    into->bytes += from->bytes;
    into->short_operations += from->short_operations;
    into->runtime = from->runtime > into->runtime ? from->runtime : into->runtime;
    merge_samples(&into->bandwidth, &from->bandwidth);
    merge_samples(&into->iops, &from->iops);
    /* Without a rate both are the same. */
    return r < 0 ? r
                 : merge_times(&into->lat, from->lat.histogram != NULL ? &from->lat : &from->clat);
}

static void merge_cost(struct result_cost *into, const struct result_cost *from)
{
    into->user += from->user;
    into->system += from->system;
    into->switches_voluntary += from->switches_voluntary;
    into->switches_involuntary += from->switches_involuntary;
    into->faults_major += from->faults_major;
    into->faults_minor += from->faults_minor;
    into->enters += from->enters;
}

int result_merge(struct result_job *into, const struct result_job *from)
{
    int r = merge_times(&into->sync, &from->sync);

    r = r == 0 ? merge_times(&into->line, &from->line) : r;
    r = r == 0 ? merge_times(&into->disk, &from->disk) : r;
    for (enum job_direction d = JOB_READ; r == 0 && d < JOB_DIRECTIONS; d++) {
        r = merge_direction(&into->directions[d], &from->directions[d]);
    }
    for (unsigned i = 0; i < RESULT_DEPTHS; i++) {
        into->depths[i] += from->depths[i];
    }
    merge_cost(&into->cost, &from->cost);
    into->disk_requests += from->disk_requests;
    into->disk_wait += from->disk_wait;
    into->disk_time += from->disk_time;
    into->files_polled += from->files_polled;
    into->files_refused += from->files_refused;
    into->verified += from->verified;
    into->runtime = from->runtime > into->runtime ? from->runtime : into->runtime;
    into->cpu = into->instances == 0 || into->cpu == from->cpu ? from->cpu : -1;
    into->instances += from->instances;
    if (into->error == 0 && from->error != 0) {
        into->error = from->error;
        snprintf(into->error_text, sizeof(into->error_text), "%s", from->error_text);
    }
    return r;
}

/* The group that `job` is reported in, if there is one already. */
static struct result_job *group_of(const struct result_groups *groups, const struct job *job)
{
    for (size_t i = 0; job->group_reporting && i < groups->count; i++) {
        const struct job *other = groups->jobs[i].job;

        if (other->group_reporting && other->stage == job->stage) {
            return &groups->jobs[i];
        }
    }
    return NULL;
}

int result_group(struct result_groups *groups, const struct result *result)
{
    int r = 0;

    groups->count = 0;
    groups->jobs = calloc(result->count + 1, sizeof(*groups->jobs));
    if (groups->jobs == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < result->count; i++) {
        const struct result_job *from = &result->jobs[i];
        struct result_job *into = group_of(groups, from->job);

        if (into == NULL) {
            into = &groups->jobs[groups->count++];
            *into = (struct result_job){ .job = from->job, .instance = from->instance };
        }
        r = result_merge(into, from);
    }
    return r;
}

void result_groups_fini(struct result_groups *groups)
{
    for (size_t i = 0; groups->jobs != NULL && i < groups->count; i++) {
        result_job_fini(&groups->jobs[i]);
    }
    free(groups->jobs);
}
