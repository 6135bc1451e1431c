/* SPDX-License-Identifier: MIT */
/* The next operation: direction, size, place, start; in this order. */
#include "workload.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"

#define NS_PER_SECOND 1000000000u
#define MAP_BITS      64u

static bool uses(const struct job *job, enum job_direction direction)
{
    return direction == JOB_READ ? job_reads(job) : job_writes(job);
}

static bool mixes(const struct job *job)
{
    return job_reads(job) && job_writes(job);
}

uint32_t workload_unit(const struct job *job)
{
    uint32_t unit = UINT32_MAX;

    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        if (uses(job, d) && job->blocks[d].min < unit) {
            unit = job->blocks[d].min;
        }
    }
    return unit;
}

static bool sizes_vary(const struct job *job)
{
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        if (uses(job, d) && job->blocks[d].max != workload_unit(job)) {
            return true;
        }
    }
    return false;
}

/* Whether random blocks come once per pass. */
static bool is_permuted(const struct job *job)
{
    return job->random && !job->no_random_map && job->distribution == JOB_DISTRIBUTION_RANDOM;
}

bool workload_covers(const struct job *job)
{
    return !mixes(job) && (!job->random || is_permuted(job));
}

static uint64_t units_of(const struct workload *workload)
{
    return workload->range / workload->unit;
}

static size_t map_words(const struct workload *workload)
{
    return (size_t)((units_of(workload) + MAP_BITS - 1) / MAP_BITS);
}

/* All files as at the start of a pass. */
static void begin_pass(struct workload *workload)
{
    workload->moved = 0;
    for (uint32_t i = 0; i < workload->file_count; i++) {
        struct workload_file *file = &workload->files[i];

        file->next[JOB_READ] = 0;
        file->next[JOB_WRITE] = 0;
        file->drawn = 0;
        file->order = permutation_make(units_of(workload), draw(&workload->draws[DRAW_OFFSET]));
        if (file->map != NULL) {
            memset(file->map, 0, map_words(workload) * sizeof(*file->map));
        }
    }
}

int workload_init(struct workload *workload, const struct job *job, uint32_t instance,
                  uint64_t size)
{
    *workload = (struct workload){
        .job = job,
        .file_count = (uint32_t)job_file_count(job),
        .unit = workload_unit(job),
        .seed = draw_mix(job->seed ^ draw_mix(instance + UINT64_C(1))),
    };
    workload->range = size / workload->file_count;
    if (workload->range < workload->unit) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        workload->draws[i] = draw_mix(workload->seed + i);
    }
    workload->files = calloc(workload->file_count, sizeof(*workload->files));
    if (workload->files == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; is_permuted(job) && sizes_vary(job) && i < workload->file_count; i++) {
        workload->files[i].map = calloc(map_words(workload), sizeof(*workload->files[i].map));
        if (workload->files[i].map == NULL) {
            return -ENOMEM;
        }
    }
    workload->ranks = permutation_make(units_of(workload), workload->seed);
    if (job->distribution == JOB_DISTRIBUTION_ZIPF) {
        workload->zipf = zipf_make(units_of(workload), job->zipf_theta);
    }
    begin_pass(workload);
    return 0;
}

void workload_fini(struct workload *workload)
{
    for (uint32_t i = 0; workload->files != NULL && i < workload->file_count; i++) {
        free(workload->files[i].map);
    }
    free(workload->files);
}

/* Starts */

static bool is_rated(const struct job *job, enum job_direction direction)
{
    return job->rate_bytes[direction] > 0 || job->rate_iops[direction] > 0;
}

/* The start of the direction's next operation. */
static rt_time start_of(const struct workload *workload, enum job_direction direction)
{
    const struct job *job = workload->job;
    const uint64_t rate = job->rate_iops[direction] > 0 ? job->rate_iops[direction]
                                                        : job->rate_bytes[direction];

    if (rate == 0) {
        return WORKLOAD_ANY_TIME;
    }
    if (job->rate_process == JOB_RATE_POISSON) {
        return (rt_time)workload->poisson_start[direction];
    }
    /* From the whole number of those before: roundings do not add up. */
    return (rt_time)((draw_wide)workload->told[direction] * NS_PER_SECOND / rate);
}

/* An operation of so many bytes is told: the next one is due by so much later. */
static void count_start(struct workload *workload, enum job_direction direction, uint32_t bytes)
{
    const struct job *job = workload->job;
    const uint64_t step = job->rate_iops[direction] > 0 ? 1 : bytes;
    const uint64_t rate = job->rate_iops[direction] > 0 ? job->rate_iops[direction]
                                                        : job->rate_bytes[direction];

    workload->told[direction] += step;
    if (rate > 0 && job->rate_process == JOB_RATE_POISSON) {
        const double gap = -log1p(-draw_fraction(&workload->draws[DRAW_START]));

        workload->poisson_start[direction] += gap * (double)step * NS_PER_SECOND / (double)rate;
    }
}

/* Direction and size */

static enum job_direction choose_direction(struct workload *workload)
{
    const struct job *job = workload->job;

    if (!mixes(job)) {
        return job_reads(job) ? JOB_READ : JOB_WRITE;
    }
    if (is_rated(job, JOB_READ) && is_rated(job, JOB_WRITE)) {
        return start_of(workload, JOB_READ) <= start_of(workload, JOB_WRITE) ? JOB_READ : JOB_WRITE;
    }
    return draw_below(&workload->draws[DRAW_DIRECTION], 100) < job->read_percent ? JOB_READ
                                                                                 : JOB_WRITE;
}

static uint32_t choose_size(struct workload *workload, enum job_direction direction)
{
    const struct job_blocks *blocks = &workload->job->blocks[direction];
    uint64_t percent;
    uint32_t i = 0;

    if (blocks->count == 1) {
        return blocks->splits[0].bytes;
    }
    percent = draw_below(&workload->draws[DRAW_SIZE], 100);
    while (i + 1 < blocks->count && percent >= blocks->splits[i].percent) {
        percent -= blocks->splits[i].percent;
        i++;
    }
    return blocks->splits[i].bytes;
}

/* The greatest whole number of units up to `room`, but no more than `bytes`. */
static uint32_t shortened(const struct workload *workload, uint32_t bytes, uint64_t room)
{
    return bytes <= room ? bytes : (uint32_t)(room / workload->unit * workload->unit);
}

/* Places; each returns false when the file has no room for a block any more in this pass. */

static bool place_in_order(const struct workload *workload, struct workload_file *file,
                           struct workload_io *io)
{
    uint64_t *next = &file->next[io->direction];

    io->bytes = shortened(workload, io->bytes, workload->range - *next);
    io->offset = *next;
    *next += io->bytes;
    return io->bytes > 0;
}

static bool place_anywhere(struct workload *workload, struct workload_io *io)
{
    uint64_t *state = &workload->draws[DRAW_OFFSET];
    uint64_t unit = workload->job->distribution == JOB_DISTRIBUTION_ZIPF
                        ? permutation_at(&workload->ranks, zipf_draw(&workload->zipf, state))
                        : draw_below(state, units_of(workload));
    uint64_t last;

    io->bytes = shortened(workload, io->bytes, workload->range);
    last = (workload->range - io->bytes) / workload->unit;
    io->offset = (unit < last ? unit : last) * workload->unit;
    return true;
}

static bool is_taken(const struct workload_file *file, uint64_t unit)
{
    return (file->map[unit / MAP_BITS] >> (unit % MAP_BITS) & 1) != 0;
}

/* Take the units under a block at `first`, as many as are free; the block gets as short as that. */
static void take(const struct workload *workload, struct workload_file *file, uint64_t first,
                 struct workload_io *io)
{
    const uint64_t end = first + (io->bytes + workload->unit - 1) / workload->unit;
    uint64_t unit = first;

    while (unit < end && unit < units_of(workload) && !is_taken(file, unit)) {
        file->map[unit / MAP_BITS] |= UINT64_C(1) << (unit % MAP_BITS);
        unit++;
    }
    io->bytes = shortened(workload, io->bytes, (unit - first) * workload->unit);
}

static bool place_once(const struct workload *workload, struct workload_file *file,
                       struct workload_io *io)
{
    while (file->drawn < units_of(workload)) {
        const uint64_t unit = permutation_at(&file->order, file->drawn++);

        if (file->map == NULL) {
            io->offset = unit * workload->unit;
            return true;
        }
        if (!is_taken(file, unit)) {
            take(workload, file, unit, io);
            io->offset = unit * workload->unit;
            return true;
        }
    }
    return false;
}

static bool place_in(struct workload *workload, struct workload_file *file, struct workload_io *io)
{
    if (!workload->job->random) {
        return place_in_order(workload, file, io);
    }
    return is_permuted(workload->job) ? place_once(workload, file, io)
                                      : place_anywhere(workload, io);
}

/* In the file whose turn it is, or the first one after it that has room. */
static bool place(struct workload *workload, struct workload_io *io)
{
    const uint32_t wanted = io->bytes;

    for (uint32_t i = 0; i < workload->file_count; i++) {
        io->file = workload->file;
        io->bytes = wanted;
        workload->file = (workload->file + 1) % workload->file_count;
        if (place_in(workload, &workload->files[io->file], io)) {
            io->offset += workload->job->offset;
            return true;
        }
    }
    return false;
}

/* Bytes that the pass has still to move, in whole units. */
static uint64_t left(const struct workload *workload)
{
    return workload->range * workload->file_count - workload->moved;
}

static bool next_in_pass(struct workload *workload, struct workload_io *io)
{
    if (left(workload) < workload->unit) {
        return false;
    }
    io->direction = choose_direction(workload);
    io->bytes = shortened(workload, choose_size(workload, io->direction), left(workload));
    return place(workload, io);
}

bool workload_next(struct workload *workload, struct workload_io *io)
{
    while (!next_in_pass(workload, io)) {
        if (workload->pass + 1 >= workload->job->loops && !workload->job->time_based) {
            return false;
        }
        workload->pass++;
        begin_pass(workload);
    }
    io->pass = workload->pass;
    io->start = start_of(workload, io->direction);
    count_start(workload, io->direction, io->bytes);
    workload->moved += io->bytes;
    workload->count++;
    return true;
}
