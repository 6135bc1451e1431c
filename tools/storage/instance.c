/* SPDX-License-Identifier: MIT */
/* Phases of an instance, and what it sets up for them. See instance.h. */
#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#include "block.h"
#include "cost.h"
#include "slot.h"

/* As large as any device's logical block in use, and the page that buffers of a ring lie on. */
#define ALIGNMENT 4096u

/* Phases */

static int spawn_slots(struct run *run, struct slot *slots, rt_task_fn fn, struct rt_group *group)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < run->job->depth; i++) {
        r = rt_group_spawn(group, fn, &slots[i]);
    }
    return r < 0
               ? run_fail(run, r, "starting %" PRIu32 " tasks: %s", run->job->depth, rt_strerror(r))
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
        r = run_sync(run, i, false);
    }
    return r;
}

static int main_phase(struct run *run, struct slot *slots, struct cost_mark *mark)
{
    const struct job *job = run->job;
    struct rt_group group = RT_GROUP_INIT;
    rt_time counted_from;
    int r;

    pace_init(&run->pace, job);
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
        return run_fail(run, r, "reading back: %s", rt_strerror(r));
    }
    r = spawn_slots(run, slots, slot_read_back, &group);
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
    struct rt_taskq_stats stats;
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
    rt_taskq_stats(rt_taskq_self(), &stats, sizeof(stats));
    run->result->disk_requests = stats.disk_requests;
    run->result->disk_wait = stats.disk_wait;
    run->result->disk_time = stats.disk_time;
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
    return r < 0 ? run_fail(run, r, "no memory for %" PRIu32 " buffers of %zu bytes",
                            run->job->depth, stride)
                 : 0;
}

static int with_slots(struct run *run)
{
    struct slot *slots = calloc(run->job->depth, sizeof(*slots));
    char *own = NULL;
    int r;

    if (slots == NULL) {
        return run_fail(run, -ENOMEM, "no memory for a depth of %" PRIu32, run->job->depth);
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
        r = run_fail(
            run, r, "job %s: %" PRIu64 " bytes of %zu files have no room for a block of %" PRIu32,
            run->job->name, run->instance->size, job_file_count(run->job), workload_unit(run->job));
    } else if (r < 0) {
        r = run_fail(run, r, "job %s: no memory for a map of its blocks", run->job->name);
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
        return run_fail(run, r, "%s: %s", path, rt_strerror(r));
    }
    if (workload_unit(run->job) % stat.direct_offset_align != 0 ||
        run->job->offset % stat.direct_offset_align != 0) {
        return run_fail(
            run, -EINVAL,
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
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    int r;

    options.flags = flags;
    options.polled = job->hipri;
    r = rt_file_open_with(&run->files[file], run_path(run, file, path), &options, RT_NEVER);
    if (r == -EINVAL && job->direct) {
        return run_fail(run, r, "%s: this file system has no O_DIRECT; use direct=0", path);
    }
    if (r < 0) {
        return run_fail(run, r, "%s: opening: %s", path, rt_strerror(r));
    }
    r = job->direct ? check_blocks(run, run->files[file], path) : 0;
    if (r < 0) {
        (void)rt_file_close(run->files[file]);
    }
    return r;
}

/* The transfers have shown it. */
static void look_at_polls(struct run *run)
{
    struct rt_file_stat stat;

    for (size_t i = 0; run->job->hipri && i < job_file_count(run->job); i++) {
        if (rt_file_stat(run->files[i], &stat, RT_NEVER) == 0) {
            run->result->files_polled += stat.polled;
            run->result->files_refused += stat.polled == 0;
        }
    }
}

int instance_run(struct instance *instance)
{
    struct run run = { .instance = instance, .job = instance->job, .result = instance->result };
    const size_t count = job_file_count(run.job);
    size_t opened = 0;
    int r = rt_taskq_set_shares(rt_taskq_self(), run.job->shares);

    run.files = calloc(count, sizeof(struct rt_file *));
    if (run.files == NULL) {
        return run_fail(&run, -ENOMEM, "no memory for %zu files", count);
    }
    while (r == 0 && opened < count) {
        r = open_file(&run, opened);
        opened += r == 0;
    }
    if (r == 0) {
        r = with_workload(&run);
        look_at_polls(&run);
    }
    while (opened > 0) {
        (void)rt_file_close(run.files[--opened]);
    }
    free(run.files);
    return r;
}
