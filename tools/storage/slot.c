/* SPDX-License-Identifier: MIT */
/* What a slot does with an operation. See slot.h. */
#include "slot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "block.h"

int run_fail(struct run *run, int error, const char *format, ...)
{
    va_list args;

    if (!run->failed) {
        run->failed = true;
        run->result->error = error;
        va_start(args, format);
        vsnprintf(run->result->error_text, sizeof(run->result->error_text), format, args);
        va_end(args);
    }
    return error;
}

const char *run_path(const struct run *run, size_t file, char path[PATH_MAX])
{
    (void)job_file(run->job, run->instance->number, file, path, PATH_MAX);
    return path;
}

static int fail_io(struct run *run, const struct workload_io *io, int error)
{
    char path[PATH_MAX];

    if (error == -ECANCELED) {
        run->failed = true; /* by a signal, which is told elsewhere */
        return error;
    }
    return run_fail(run, error, "%s: %s %" PRIu32 " bytes at %" PRIu64 ": %s",
                    run_path(run, io->file, path),
                    io->direction == JOB_READ ? "reading" : "writing", io->bytes, io->offset,
                    error == -ENODATA ? "the file ends there" : rt_strerror(error));
}

/* Counting */

static void count_depth(struct run *run)
{
    const unsigned class = 31u - (unsigned)__builtin_clz(run->in_flight);

    run->result->depths[class < RESULT_DEPTHS ? class : RESULT_DEPTHS - 1]++;
}

/* Only the shard writes these, so adding needs no atomic operation. */
static void add_progress(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void count(struct run *run, const struct workload_io *io, rt_time issued, rt_time now)
{
    struct result_direction *direction = &run->result->directions[io->direction];

    if (!run->counting) {
        return;
    }
    direction->operations++;
    direction->bytes += io->bytes;
    result_record(&direction->clat, now - issued);
    if (io->start != WORKLOAD_ANY_TIME && !run->reading_back) {
        result_record(&direction->lat, now - (run->begin + io->start));
    }
    add_progress(&run->instance->progress.operations[io->direction], 1);
    add_progress(&run->instance->progress.bytes[io->direction], io->bytes);
}

/* One operation */

static void stamp(const struct run *run, const struct slot *slot, const struct workload_io *io)
{
    for (uint32_t at = 0; at < io->bytes; at += run->workload.unit) {
        block_fill(slot->buffer + at, run->workload.unit, io->offset + at, run->workload.seed,
                   io->pass);
    }
}

/* 0 or -EILSEQ, as fio has it. */
static int check(struct run *run, const struct slot *slot, const struct workload_io *io)
{
    struct block_expected expected = {
        .seed = run->workload.seed,
        .pass_first = io->pass,
        .pass_last = run->pass_last,
        .written_here = run->reading_back,
    };
    struct block_fault fault;
    char path[PATH_MAX];

    for (uint32_t at = 0; at < io->bytes; at += run->workload.unit) {
        expected.offset = io->offset + at;
        if (!block_check(slot->buffer + at, run->workload.unit, &expected, &fault)) {
            return run_fail(run, -EILSEQ,
                            "%s: verify: the block of %" PRIu32 " bytes at %" PRIu64
                            " has a wrong %s: expected 0x%" PRIx64 ", found 0x%" PRIx64,
                            run_path(run, io->file, path), run->workload.unit, expected.offset,
                            fault.what, fault.expected, fault.found);
        }
        run->result->verified++;
    }
    return 0;
}

static ssize_t transfer(struct rt_file *file, const struct slot *slot, enum job_direction direction,
                        uint32_t from, size_t bytes, uint64_t at)
{
    if (slot->fixed != NULL) {
        return direction == JOB_READ
                   ? rt_file_read_buffer(file, slot->fixed, from, bytes, at, RT_NEVER)
                   : rt_file_write_buffer(file, slot->fixed, from, bytes, at, RT_NEVER);
    }
    return direction == JOB_READ ? rt_file_read_at(file, slot->buffer + from, bytes, at, RT_NEVER)
                                 : rt_file_write_at(file, slot->buffer + from, bytes, at, RT_NEVER);
}

/* The whole of it: what the kernel cuts short is gone on with. 0 or -errno. */
static int move(struct run *run, const struct slot *slot, const struct workload_io *io)
{
    struct rt_file *file = run->files[io->file];
    uint32_t done = 0;

    while (done < io->bytes) {
        const uint64_t at = io->offset + done;
        const size_t left = io->bytes - done;
        const ssize_t n = transfer(file, slot, io->direction, done, left, at);

        if (n <= 0) {
            return n < 0 ? (int)n : io->direction == JOB_READ ? -ENODATA : -ENOSPC;
        }
        done += (uint32_t)n;
        if (done < io->bytes && run->counting) {
            run->result->directions[io->direction].short_operations++;
        }
    }
    return 0;
}

int run_sync(struct run *run, uint32_t file, bool data_only)
{
    const rt_time start = rt_now();
    const int r = data_only ? rt_file_datasync(run->files[file], RT_NEVER)
                            : rt_file_sync(run->files[file], RT_NEVER);
    char path[PATH_MAX];

    if (r == -ECANCELED) {
        run->failed = true;
        return r;
    }
    if (r < 0) {
        return run_fail(run, r, "%s: syncing: %s", run_path(run, file, path), rt_strerror(r));
    }
    if (run->counting) {
        result_record(&run->result->sync, rt_now() - start);
    }
    return 0;
}

/* The syncs that are due after a write. */
static int sync_when_due(struct run *run, uint32_t file)
{
    const struct job *job = run->job;
    int r = 0;

    run->writes++;
    if (job->fsync_every > 0 && run->writes % job->fsync_every == 0) {
        r = run_sync(run, file, false);
    }
    if (r == 0 && job->fdatasync_every > 0 && run->writes % job->fdatasync_every == 0) {
        r = run_sync(run, file, true);
    }
    return r;
}

/* Slots */

static int wait_until(struct slot *slot, rt_time moment)
{
    const int r = moment > slot->now ? rt_sleep_until(moment) : 0;

    if (r < 0) {
        slot->run->failed = true; /* cancelled */
    } else if (moment > slot->now) {
        slot->now = rt_now();
    }
    return r;
}

/* Each completion holds the next start back by the time to think. */
static void think(struct run *run, rt_time now)
{
    if (run->job->thinktime > 0) {
        run->think_until = (run->think_until > now ? run->think_until : now) + run->job->thinktime;
    }
}

/*
 * The next operation to do now. False: there is none, or none any more.
 *
 * Of those that a workload tells, just those do not take place whose intended start lies at the
 * end or later; so reading back knows which did (was_written()).
 */
static bool take(struct slot *slot, struct workload_io *io)
{
    struct run *run = slot->run;

    if (wait_until(slot, run->think_until < run->end ? run->think_until : run->end) < 0 ||
        slot->now >= run->end || run->failed || !workload_next(&run->workload, io)) {
        return false;
    }
    if (io->start == WORKLOAD_ANY_TIME) {
        return true;
    }
    if (run->end != RT_NEVER && io->start >= run->end - run->begin) {
        (void)wait_until(slot, run->end);
        return false;
    }
    return wait_until(slot, run->begin + io->start) == 0 && !run->failed;
}

/* How far the shard's only queue has come with the disks. */
static void look_at_disk(struct rt_taskq_stats *stats)
{
    rt_taskq_stats(rt_taskq_self(), stats, sizeof(*stats));
}

/* At a depth of 1, what the queue's sums have risen by is this operation's. */
static void record_disk(struct run *run, const struct rt_taskq_stats *before)
{
    struct rt_taskq_stats now = { 0 };

    look_at_disk(&now);
    if (run->counting) {
        result_record(&run->result->line, now.disk_wait - before->disk_wait);
        result_record(&run->result->disk, now.disk_time - before->disk_time);
    }
}

static int operate(struct slot *slot, const struct workload_io *io)
{
    struct run *run = slot->run;
    struct rt_taskq_stats before = { 0 };
    rt_time issued;
    int taken;
    int r;

    if (io->direction == JOB_WRITE && run->job->verify) {
        stamp(run, slot, io);
        slot->now = rt_now();
    }
    r = pace_start(&run->pace);
    if (r < 0) {
        return fail_io(run, io, r);
    }
    slot->now = r > 0 ? rt_now() : slot->now;
    issued = slot->now;
    run->in_flight++;
    if (run->counting) {
        count_depth(run);
    }
    if (run->job->disk_times) {
        look_at_disk(&before);
    }
    r = move(run, slot, io);
    if (run->job->disk_times) {
        record_disk(run, &before);
    }
    run->in_flight--;
    taken = pace_end(&run->pace, run->in_flight);
    slot->now = rt_now();
    if (r < 0 || taken < 0) {
        return fail_io(run, io, r < 0 ? r : taken);
    }
    count(run, io, issued, slot->now);
    think(run, slot->now);
    if (io->direction == JOB_WRITE) {
        r = sync_when_due(run, io->file);
        slot->now = run->job->fsync_every + run->job->fdatasync_every > 0 ? rt_now() : slot->now;
        return r;
    }
    /* While reads and writes mix, nobody knows what a block that is read should be. */
    return run->job->verify && !job_writes(run->job) ? check(run, slot, io) : 0;
}

int slot_main(void *arg)
{
    struct slot *slot = arg;
    struct workload_io io;
    int r = 0;

    slot->now = rt_now();
    while (r == 0 && take(slot, &io)) {
        r = operate(slot, &io);
    }
    return r;
}

/* Reading back */

/* Whether the main phase did this operation, and as a write. */
static bool was_written(const struct run *run, const struct workload_io *io)
{
    const rt_time limit = run->job->ramp + run->job->runtime;

    return io->direction == JOB_WRITE &&
           (run->job->runtime == 0 || io->start == WORKLOAD_ANY_TIME || io->start < limit);
}

/*
 * The next write to be read back. When a pass that is over has covered everything, those before it
 * are not told again: nothing of them is left.
 */
static bool take_written(struct run *run, struct workload_io *io)
{
    const uint64_t first = workload_covers(run->job) && run->pass_last > 0 ? run->pass_last - 1 : 0;

    while (!run->failed && run->workload.count < run->told && workload_next(&run->workload, io)) {
        if (was_written(run, io) && io->pass >= first) {
            return true;
        }
        rt_yield_if_due();
    }
    return false;
}

int slot_read_back(void *arg)
{
    struct slot *slot = arg;
    struct run *run = slot->run;
    struct workload_io io;
    int r = 0;

    while (r == 0 && take_written(run, &io)) {
        const rt_time issued = rt_now();

        io.direction = JOB_READ;
        r = move(run, slot, &io);
        if (r < 0) {
            return fail_io(run, &io, r);
        }
        count(run, &io, issued, rt_now());
        r = check(run, slot, &io);
    }
    return r;
}
