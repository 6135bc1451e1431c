/* SPDX-License-Identifier: MIT */
/* A few lines for each job, one for each core, and the total. */
#include <errno.h>
#include <inttypes.h>
#include <rt/base.h>

#include "histogram.h"
#include "report.h"

#define BYTES_PER_MIB 1048576.0

/* "12.3 us", in a unit that leaves three digits or so. */
static const char *time_text(uint64_t ns, char text[16])
{
    static const struct {
        double ns;
        const char *name;
    } units[] = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" } };
    unsigned i = 0;

    while (i < 3 && (double)ns < units[i].ns) {
        i++;
    }
    snprintf(text, 16, "%.3g %s", (double)ns / units[i].ns, units[i].name);
    return text;
}

static void print_times(FILE *out, const char *what, const struct result_times *times)
{
    static const struct {
        const char *name;
        double quantile;
    } shown[] = {
        { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 }, { "p99.99", 0.9999 },
    };
    char text[16];

    if (times->histogram == NULL || histogram_count(times->histogram) == 0) {
        return;
    }
    fprintf(out, "    %s: min %s", what, time_text(times->min, text));
    fprintf(out, ", mean %s", time_text((uint64_t)histogram_mean(times->histogram), text));
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        const uint64_t ns = histogram_quantile(times->histogram, shown[i].quantile);

        fprintf(out, ", %s %s", shown[i].name, time_text(ns, text));
    }
    fprintf(out, ", max %s\n", time_text(histogram_max(times->histogram), text));
}

static void print_direction(FILE *out, const struct result_job *result, enum job_direction d)
{
    const struct result_direction *direction = &result->directions[d];

    if (direction->operations == 0) {
        return;
    }
    fprintf(out, "  %s: %.0f IOPS, %.1f MiB/s; %.1f MiB in %.2f s\n",
            d == JOB_READ ? "read" : "write",
            report_rate(direction->operations, direction->runtime),
            report_rate(direction->bytes, direction->runtime) / BYTES_PER_MIB,
            (double)direction->bytes / BYTES_PER_MIB, (double)direction->runtime / 1e9);
    print_times(out, "latency", &direction->clat);
    if (result->job->rate_bytes[d] > 0 || result->job->rate_iops[d] > 0) {
        print_times(out, "from the intended start", &direction->lat);
    }
    if (direction->short_operations > 0) {
        fprintf(out, "    %" PRIu64 " were cut short by the kernel, and gone on with\n",
                direction->short_operations);
    }
}

/* Of direct jobs: what their requests waited for their turn, and what the disk took. */
static void print_disk(FILE *out, const struct result_job *result)
{
    char wait[16];
    char time[16];

    fprintf(out, "  disk: %" PRIu64 " requests; in line mean %s, on the disk mean %s\n",
            result->disk_requests,
            time_text((uint64_t)result->disk_wait / result->disk_requests, wait),
            time_text((uint64_t)result->disk_time / result->disk_requests, time));
    if (result->line.histogram != NULL && histogram_count(result->line.histogram) > 0) {
        print_times(out, "in line", &result->line);
        print_times(out, "on the disk", &result->disk);
    }
}

/* Of jobs with hipri. */
static void print_polled(FILE *out, const struct result_job *result)
{
    const uint64_t files = result->files_polled + result->files_refused;

    if (files > 0) {
        fprintf(out, "  polled: %" PRIu64 " of %" PRIu64 " files%s\n", result->files_polled, files,
                result->files_refused > 0 ? "; the disk of the rest cannot be" : "");
    }
}

static void print_cost(FILE *out, const struct result_job *result)
{
    const uint64_t operations = result_operations(result);
    const struct result_cost *cost = &result->cost;

    if (operations > 0) {
        fprintf(out, "%.2f us of CPU, %.3f enters, %.3f context switches per I/O\n",
                report_cpu_us(cost, operations), report_per(cost->enters, operations),
                report_per(cost->switches_voluntary + cost->switches_involuntary, operations));
    } else {
        fputs("no I/O\n", out);
    }
}

static void print_job(FILE *out, const struct result_job *result)
{
    const struct job *job = result->job;

    fprintf(out, "%s: %s, depth %" PRIu32, job->name, job_rw_name(job), job->depth);
    if (result->instances > 1) {
        fprintf(out, ", %" PRIu32 " instances", result->instances);
    }
    if (result->cpu >= 0) {
        fprintf(out, ", CPU %" PRId32, result->cpu);
    }
    fputc('\n', out);
    print_direction(out, result, JOB_READ);
    print_direction(out, result, JOB_WRITE);
    if (result->sync.histogram != NULL && histogram_count(result->sync.histogram) > 0) {
        fprintf(out, "  sync: %" PRIu64 "\n", histogram_count(result->sync.histogram));
        print_times(out, "latency", &result->sync);
    }
    if (result->disk_requests > 0) {
        print_disk(out, result);
    }
    print_polled(out, result);
    if (result->verified > 0) {
        fprintf(out, "  verified: %" PRIu64 " blocks\n", result->verified);
    }
    fputs("  cost: ", out);
    print_cost(out, result);
    if (result->error != 0) {
        fprintf(out, "  FAILED: %s\n", result->error_text);
    }
}

static void print_core(FILE *out, const struct result_job *core)
{
    const struct result_direction *read = &core->directions[JOB_READ];
    const struct result_direction *write = &core->directions[JOB_WRITE];

    fprintf(out, "%" PRIu64 " I/Os, %.1f MiB; ", result_operations(core),
            (double)(read->bytes + write->bytes) / BYTES_PER_MIB);
    print_cost(out, core);
}

static int print_cores(FILE *out, const struct result *result)
{
    struct result_groups cores;
    const int r = report_cores(&cores, result);

    for (size_t i = 0; r == 0 && i < cores.count; i++) {
        if (i + 1 < cores.count) {
            fprintf(out, "CPU %" PRId32 ": ", cores.jobs[i].cpu);
        } else {
            fputs("total: ", out);
        }
        print_core(out, &cores.jobs[i]);
    }
    result_groups_fini(&cores);
    return r;
}

int report_text(FILE *out, const struct result *result)
{
    struct result_groups groups;
    int r = result_group(&groups, result);

    for (size_t i = 0; r == 0 && i < groups.count; i++) {
        print_job(out, &groups.jobs[i]);
    }
    result_groups_fini(&groups);
    if (r == 0) {
        r = print_cores(out, result);
    }
    if (result->interrupted) {
        fputs("interrupted: what was done until then\n", out);
    }
    return r == 0 && (fflush(out) != 0 || ferror(out)) ? -EIO : r;
}
