/* SPDX-License-Identifier: MIT */
/* Phases of an instance, and its slots. See instance.h. */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <rt/rt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "cost.h"

/* As large as any device's logical block in use, and the page that buffers of a ring lie on. */
#define ALIGNMENT 4096u

/* What the slots of an instance share. */
struct run {
    struct instance *instance;
    const struct job *job;
    struct result_job *result;
    struct rt_file **files;
    struct workload workload; /* of the phase */
    rt_time begin;            /* of the phase: starts of a rate count from here */
    rt_time end;              /* nothing starts from here on; RT_NEVER */
    rt_time think_until;
    uint64_t writes;    /* for fsync_every and fdatasync_every */
    uint64_t pass_last; /* reading back: the pass that the main phase ended in */
    uint64_t told;      /* ... and how many operations it told */
    uint32_t in_flight;
    bool counting;
    bool reading_back;
    bool failed;
};

struct slot {
    struct run *run;
    char *buffer;
    struct rt_buffer *fixed; /* that it lies in; NULL: in memory that the kernel does not know */
    rt_time now;             /* when its last operation ended, or later */
};

/* Say what went wrong, if it is the first thing that does. Returns `error`. */
__attribute__((format(printf, 3, 4))) static int fail(struct run *run, int error,
                                                      const char *format, ...)
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

static const char *path_of(const struct run *run, size_t file, char path[PATH_MAX])
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
    return fail(run, error, "%s: %s %" PRIu32 " bytes at %" PRIu64 ": %s",
                path_of(run, io->file, path), io->direction == JOB_READ ? "reading" : "writing",
                io->bytes, io->offset,
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
            return fail(run, -EILSEQ,
                        "%s: verify: the block of %" PRIu32 " bytes at %" PRIu64
                        " has a wrong %s: expected 0x%" PRIx64 ", found 0x%" PRIx64,
                        path_of(run, io->file, path), run->workload.unit, expected.offset,
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

static int sync_file(struct run *run, uint32_t file, bool data_only)
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
        return fail(run, r, "%s: syncing: %s", path_of(run, file, path), rt_strerror(r));
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
        r = sync_file(run, file, false);
    }
    if (r == 0 && job->fdatasync_every > 0 && run->writes % job->fdatasync_every == 0) {
        r = sync_file(run, file, true);
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

static int operate(struct slot *slot, const struct workload_io *io)
{
    struct run *run = slot->run;
    rt_time issued;
    int r;

    if (io->direction == JOB_WRITE && run->job->verify) {
        stamp(run, slot, io);
        slot->now = rt_now();
    }
    issued = slot->now;
    run->in_flight++;
    if (run->counting) {
        count_depth(run);
    }
    r = move(run, slot, io);
    run->in_flight--;
    slot->now = rt_now();
    if (r < 0) {
        return fail_io(run, io, r);
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

static int slot_main(void *arg)
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

static int read_back_main(void *arg)
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

/* Phases */

static int spawn_slots(struct run *run, struct slot *slots, rt_task_fn fn, struct rt_group *group)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < run->job->depth; i++) {
        r = rt_group_spawn(group, fn, &slots[i]);
    }
    return r < 0 ? fail(run, r, "starting %" PRIu32 " tasks: %s", run->job->depth, rt_strerror(r))
                 : 0;
}

/* From here on everything counts. */
static void begin_counting(struct run *run, struct cost_mark *mark)
{
    cost_mark_thread(mark);
    run->counting = true;
    atomic_store_explicit(&run->instance->progress.counting, true, memory_order_relaxed);
}

/* The last syncs belong to the job's time. */
static int end_main(struct run *run)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && run->job->end_fsync && job_writes(run->job) && !run->failed &&
                         i < job_file_count(run->job);
         i++) {
        r = sync_file(run, i, false);
    }
    return r;
}

static int main_phase(struct run *run, struct slot *slots, struct cost_mark *mark)
{
    const struct job *job = run->job;
    struct rt_group group = RT_GROUP_INIT;
    rt_time counted_from;
    int r;

    r = spawn_slots(run, slots, slot_main, &group);
    run->begin = rt_now(); /* none of them has run before this task waits */
    run->end = job->runtime > 0 ? run->begin + job->ramp + job->runtime : RT_NEVER;
    if (job->ramp == 0) {
        begin_counting(run, mark);
    }
    if (r == 0 && job->ramp > 0) {
        r = rt_group_wait(&group, run->begin + job->ramp);
        r = r == -ETIME ? 0 : r;
        begin_counting(run, mark);
    }
    counted_from = run->begin + job->ramp;
    if (r < 0) {
        (void)rt_group_leave(&group, 0);
    } else {
        r = rt_group_wait(&group, RT_NEVER);
        (void)rt_group_leave(&group, 0);
        r = r == 0 ? end_main(run) : r;
    }
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        if (d == JOB_READ ? job_reads(job) : job_writes(job)) {
            const rt_time took = rt_now() - counted_from;

            run->result->directions[d].runtime = took > 0 ? took : 0;
        }
    }
    return run->result->error < 0 ? run->result->error : r;
}

static int read_back_phase(struct run *run, struct slot *slots)
{
    struct rt_group group = RT_GROUP_INIT;
    const rt_time begin = rt_now();
    int r;

    run->pass_last = run->workload.pass;
    run->told = run->workload.count;
    run->reading_back = true;
    workload_fini(&run->workload);
    r = workload_init(&run->workload, run->job, run->instance->number, run->instance->size);
    if (r < 0) {
        return fail(run, r, "reading back: %s", rt_strerror(r));
    }
    r = spawn_slots(run, slots, read_back_main, &group);
    if (r == 0) {
        r = rt_group_wait(&group, RT_NEVER);
    }
    (void)rt_group_leave(&group, 0);
    run->result->directions[JOB_READ].runtime += rt_now() - begin;
    return run->result->error < 0 ? run->result->error : r;
}

/* Both phases, with buffers. */
static int phases(struct run *run, struct slot *slots)
{
    struct cost_mark mark;
    int r = main_phase(run, slots, &mark);
    const rt_time counted_from = run->begin + run->job->ramp;
    rt_time now;

    if (r == 0 && !run->failed && run->job->verify && run->job->do_verify && job_writes(run->job)) {
        r = read_back_phase(run, slots);
    }
    if (run->counting) {
        run->counting = false;
        atomic_store_explicit(&run->instance->progress.counting, false, memory_order_relaxed);
        cost_of_thread(&run->result->cost, &mark);
    }
    now = rt_now();
    run->result->runtime = now > counted_from ? now - counted_from : 0;
    run->result->cpu = sched_getcpu();
    return r;
}

/* Set up and taken down */

/* Memory for each slot: of the runtime's, which the kernel knows beforehand, or of ours. */
static int make_buffers(struct run *run, struct slot *slots, char **own)
{
    const size_t stride = ((size_t)job_block_max(run->job) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const bool fixed = run->job->fixed_buffers && stride <= RT_BUFFER_BYTES_MAX;
    int r = 0;

    *own = fixed ? NULL : aligned_alloc(ALIGNMENT, stride * run->job->depth);
    for (uint32_t i = 0; r == 0 && i < run->job->depth; i++) {
        slots[i] = (struct slot){ .run = run };
        if (fixed) {
            r = rt_buffer_get(&slots[i].fixed, stride);
        } else if (*own == NULL) {
            r = -ENOMEM;
        }
        if (r == 0) {
            slots[i].buffer = fixed ? rt_buffer_data(slots[i].fixed) : *own + i * stride;
            block_randomise(slots[i].buffer, stride, run->workload.seed + i);
            rt_yield_if_due();
        }
    }
    return r < 0 ? fail(run, r, "no memory for %" PRIu32 " buffers of %zu bytes", run->job->depth,
                        stride)
                 : 0;
}

static int with_slots(struct run *run)
{
    struct slot *slots = calloc(run->job->depth, sizeof(*slots));
    char *own = NULL;
    int r;

    if (slots == NULL) {
        return fail(run, -ENOMEM, "no memory for a depth of %" PRIu32, run->job->depth);
    }
    r = make_buffers(run, slots, &own);
    if (r == 0) {
        r = phases(run, slots);
    }
    for (uint32_t i = 0; i < run->job->depth; i++) {
        rt_buffer_put(slots[i].fixed);
    }
    free(own);
    free(slots);
    return r;
}

static int with_workload(struct run *run)
{
    int r = workload_init(&run->workload, run->job, run->instance->number, run->instance->size);

    if (r == -EINVAL) {
        r = fail(
            run, r, "job %s: %" PRIu64 " bytes of %zu files have no room for a block of %" PRIu32,
            run->job->name, run->instance->size, job_file_count(run->job), workload_unit(run->job));
    } else if (r < 0) {
        r = fail(run, r, "job %s: no memory for a map of its blocks", run->job->name);
    } else {
        r = with_slots(run);
    }
    workload_fini(&run->workload);
    return r;
}

/* The library would take any offset and length, by ways that nobody wants to measure. */
static int check_blocks(struct run *run, struct rt_file *file, const char *path)
{
    struct rt_file_stat stat;
    const int r = rt_file_stat(file, &stat, RT_NEVER);

    if (r < 0) {
        return fail(run, r, "%s: %s", path, rt_strerror(r));
    }
    if (workload_unit(run->job) % stat.direct_offset_align != 0 ||
        run->job->offset % stat.direct_offset_align != 0) {
        return fail(run, -EINVAL,
                    "%s: with direct=1, bs and offset are multiples of the device's block, %" PRIu32
                    " bytes",
                    path, stat.direct_offset_align);
    }
    return 0;
}

static int open_file(struct run *run, size_t file)
{
    const struct job *job = run->job;
    char path[PATH_MAX];
    const int flags = (!job_writes(job)                ? O_RDONLY
                       : job_reads(job) || job->verify ? O_RDWR
                                                       : O_WRONLY) |
                      (job->direct ? O_DIRECT : 0);
    int r = rt_file_open(&run->files[file], path_of(run, file, path), flags, 0, RT_NEVER);

    if (r == -EINVAL && job->direct) {
        return fail(run, r, "%s: this file system has no O_DIRECT; use direct=0", path);
    }
    if (r < 0) {
        return fail(run, r, "%s: opening: %s", path, rt_strerror(r));
    }
    r = job->direct ? check_blocks(run, run->files[file], path) : 0;
    if (r < 0) {
        (void)rt_file_close(run->files[file]);
    }
    return r;
}

int instance_run(struct instance *instance)
{
    struct run run = { .instance = instance, .job = instance->job, .result = instance->result };
    const size_t count = job_file_count(run.job);
    size_t opened = 0;
    int r = 0;

    run.files = calloc(count, sizeof(struct rt_file *));
    if (run.files == NULL) {
        return fail(&run, -ENOMEM, "no memory for %zu files", count);
    }
    while (r == 0 && opened < count) {
        r = open_file(&run, opened);
        opened += r == 0;
    }
    if (r == 0) {
        r = with_workload(&run);
    }
    while (opened > 0) {
        (void)rt_file_close(run.files[--opened]);
    }
    free(run.files);
    return r;
}
