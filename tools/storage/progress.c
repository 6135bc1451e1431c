/* SPDX-License-Identifier: MIT */
/* What is left of a stage is the longest that any of its instances has left. */
#include "progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_PER_MIB 1048576.0
#define BYTES_PER_KIB 1024.0
#define LINE_BYTES    160

/* What has happened since the last look. */
struct speed {
    double operations; /* per second */
    double bytes;
};

int progress_init(struct progress *progress, struct instance *instances, size_t count)
{
    progress->instances = instances;
    progress->count = count;
    progress->seen = calloc(count * JOB_DIRECTIONS * 2, sizeof(*progress->seen));
    progress->looked = progress->began;
    return progress->seen == NULL ? -ENOMEM : 0;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Since the last look, which is now this one. */
static double since(uint64_t *seen, const _Atomic uint64_t *counter, double seconds)
{
    const uint64_t now = load(counter);
    const double rate = (double)(now - *seen) / seconds;

    *seen = now;
    return rate;
}

static void sample(struct progress *progress, size_t i, double seconds, struct speed *speed)
{
    struct instance *instance = &progress->instances[i];
    const bool counting = atomic_load_explicit(&instance->progress.counting, memory_order_relaxed);

    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        uint64_t *seen = &progress->seen[(i * JOB_DIRECTIONS + d) * 2];
        struct result_direction *direction = &instance->result->directions[d];
        const double operations = since(&seen[0], &instance->progress.operations[d], seconds);
        const double bytes = since(&seen[1], &instance->progress.bytes[d], seconds);

        speed->operations += operations;
        speed->bytes += bytes;
        if (counting && (d == JOB_READ ? job_reads(instance->job) : job_writes(instance->job))) {
            result_sample(&direction->iops, operations);
            result_sample(&direction->bandwidth, bytes / BYTES_PER_KIB);
        }
    }
}

/* The part of its work that an instance has done, 0..1. */
static double done_of(const struct instance *instance, rt_time elapsed)
{
    const struct job *job = instance->job;
    const double moved = (double)(load(&instance->progress.bytes[JOB_READ]) +
                                  load(&instance->progress.bytes[JOB_WRITE]));
    const double reading_back = job->verify && job->do_verify && job_writes(job) ? 2 : 1;
    const double all = (double)instance->size * (double)job->loops * reading_back;
    const double by_time = job->runtime > 0 ? (double)elapsed / (double)(job->ramp + job->runtime)
                                            : 0;
    const double by_bytes = job->time_based || all <= 0 ? 0 : moved / all;
    const double done = by_time > by_bytes ? by_time : by_bytes;

    return done < 1 ? done : 1;
}

static void show(struct progress *progress, const struct speed *speed, rt_time now)
{
    const rt_time elapsed = now - progress->began;
    char line[LINE_BYTES];
    double least = 1;
    int length;

    for (size_t i = 0; i < progress->count; i++) {
        const double done = done_of(&progress->instances[i], elapsed);

        least = done < least ? done : least;
    }
    length = snprintf(line, sizeof(line), "stage %u of %u: %3.0f %%  %.0f IOPS  %.1f MiB/s",
                      progress->stage + 1, progress->stages, 100 * least, speed->operations,
                      speed->bytes / BYTES_PER_MIB);
    if (least > 0 && length > 0 && (size_t)length < sizeof(line)) {
        const double left = (double)elapsed * (1 - least) / least + (double)progress->later;

        snprintf(line + length, sizeof(line) - (size_t)length, "  %.0f s left", left / 1e9);
    }
    fprintf(stderr, "\r%s\033[K", line);
}

void progress_look(struct progress *progress, rt_time now)
{
    const double seconds = (double)(now - progress->looked) / 1e9;
    struct speed speed = { 0, 0 };

    if (seconds <= 0) {
        return;
    }
    for (size_t i = 0; i < progress->count; i++) {
        sample(progress, i, seconds, &speed);
    }
    progress->looked = now;
    if (progress->shown) {
        show(progress, &speed, now);
    }
}

void progress_fini(struct progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
    }
    free(progress->seen);
}
