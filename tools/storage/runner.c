/* SPDX-License-Identifier: MIT */
/* Stages, the runtimes of a stage, and the loop that waits for them. */
#include "runner.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <rt/rt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cost.h"
#include "instance.h"
#include "layout.h"
#include "progress.h"

#define ECHO_TIME RT_SECONDS(1)

struct stage;

/* Instances that share a runtime. */
struct batch {
    struct stage *stage;
    struct rt_runtime *runtime;
    struct instance **instances; /* one for each shard */
    uint32_t count;
    char name[32]; /* of the runtime */
};

struct stage {
    const struct run_options *options;
    struct instance *instances;
    struct instance **order; /* the same, those of a batch together */
    struct batch *batches;
    size_t count;
    size_t batch_count;
    atomic_size_t ended;    /* instances */
    int end_event;          /* readable when all instances have ended */
    int signals;            /* descriptor of SIGINT and SIGTERM */
    rt_time interrupted_at; /* 0: not yet */
};

__attribute__((format(printf, 2, 3))) static int complain(int error, const char *format, ...)
{
    va_list args;

    fputs("rt-storage: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return error;
}

/* On each shard. */
static int shard_main(void *arg)
{
    const struct batch *batch = arg;
    struct stage *stage = batch->stage;
    const int r = instance_run(batch->instances[rt_shard_index()]);

    if (atomic_fetch_add_explicit(&stage->ended, 1, memory_order_relaxed) + 1 == stage->count) {
        (void)eventfd_write(stage->end_event, 1); /* fails only where it would overflow */
    }
    return r;
}

/* Runtimes */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_place(const struct job *a, const struct job *b)
{
    return same_text(a->cpus, b->cpus) && same_text(a->place, b->place);
}

/* The library knows the policies by name. */
static int read_place(struct rt_config *config, const char *place)
{
    struct rt_config read = RT_CONFIG_INIT;
    char program[] = "rt-storage";
    char option[] = "--place";
    char *value = strdup(place);
    char *arguments[] = { program, option, value, NULL };
    int count = 3;
    int r = -ENOMEM;

    if (value != NULL) {
        read.log = config->log;
        read.log_arg = config->log_arg;
        r = rt_config_parse(&read, &count, arguments);
        config->place = read.place;
    }
    free(value);
    return r;
}

/* What the buffers of an instance take of those that the kernel knows (rt/buffer.h): each has the
 * next size of 4 KiB times a power of four, and some are lost where sizes are mixed. */
static uint64_t fixed_bytes(const struct job *job)
{
    uint64_t size = 4096;

    while (size < job_block_max(job)) {
        size *= 4;
    }
    return job->fixed_buffers && size <= RT_BUFFER_BYTES_MAX ? 2 * size * job->depth : 0;
}

static int launch(struct batch *batch)
{
    const struct stage *stage = batch->stage;
    const struct job *job = batch->instances[0]->job;
    struct rt_config config = stage->options->config;
    int r = job->place != NULL ? read_place(&config, job->place) : 0;

    if (r < 0) {
        return r; /* a text said why */
    }
    snprintf(batch->name, sizeof(batch->name), "%.*s", (int)sizeof(batch->name) - 1, job->name);
    config.name = batch->name;
    config.cpus = job->cpus != NULL ? job->cpus : config.cpus;
    config.shards = batch->count;
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint64_t bytes = fixed_bytes(batch->instances[i]->job);

        config.buffer_bytes = bytes > config.buffer_bytes ? bytes : config.buffer_bytes;
    }
    config.flags |= RT_CONFIG_KEEP; /* the others go on when an instance fails */
    return rt_launch(&batch->runtime, &config, shard_main, batch);
}

static bool is_first_of_its_place(const struct stage *stage, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (same_place(stage->instances[k].job, stage->instances[i].job)) {
            return false;
        }
    }
    return true;
}

static int make_batches(struct stage *stage)
{
    struct instance **next;

    stage->batches = calloc(stage->count, sizeof(*stage->batches));
    stage->order = calloc(stage->count, sizeof(struct instance *));
    if (stage->batches == NULL || stage->order == NULL) {
        (void)complain(-ENOMEM, "no memory for %zu instances", stage->count);
        return -ENOMEM;
    }
    next = stage->order;
    for (size_t i = 0; i < stage->count; i++) {
        struct batch *batch = &stage->batches[stage->batch_count];

        if (!is_first_of_its_place(stage, i)) {
            continue;
        }
        stage->batch_count++;
        *batch = (struct batch){ .stage = stage, .instances = next };
        for (size_t k = i; k < stage->count; k++) {
            if (same_place(stage->instances[i].job, stage->instances[k].job)) {
                *next++ = &stage->instances[k];
                batch->count++;
            }
        }
    }
    return 0;
}

static void stop_all(const struct stage *stage)
{
    for (size_t i = 0; i < stage->batch_count; i++) {
        if (stage->batches[i].runtime != NULL) {
            rt_stop(stage->batches[i].runtime);
        }
    }
}

/* Waiting */

static void signals_of(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
}

static void set_signals_blocked(bool blocked)
{
    sigset_t signals;

    signals_of(&signals);
    (void)pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
}

/* The first one ends the jobs. Another one that is no echo of it (programs that start others pass
 * signals on twice) ends the program, whatever a device still holds. */
static void take_signal(struct stage *stage, rt_time now)
{
    struct signalfd_siginfo taken;

    if (read(stage->signals, &taken, sizeof(taken)) != (ssize_t)sizeof(taken)) {
        return; /* poll() will say so again */
    }
    if (stage->interrupted_at == 0) {
        stage->interrupted_at = now;
        stop_all(stage);
    } else if (now - stage->interrupted_at > ECHO_TIME) {
        set_signals_blocked(false);
        (void)raise((int)taken.ssi_signo);
    }
}

/* Until all instances have ended: a stop lets none of them go unrun. */
static void watch(struct stage *stage, struct progress *progress)
{
    struct pollfd polled[] = { { stage->end_event, POLLIN, 0 }, { stage->signals, POLLIN, 0 } };
    rt_time next = rt_now() + PROGRESS_PERIOD;

    for (;;) {
        const rt_time left = next - rt_now();
        const int r = poll(polled, 2, left > 0 ? (int)(left / RT_MILLISECONDS(1)) + 1 : 0);
        const rt_time now = rt_now();

        if (r > 0 && polled[0].revents != 0) {
            return;
        }
        if (r > 0 && polled[1].revents != 0) {
            take_signal(stage, now);
        }
        if (now >= next) {
            progress_look(progress, now);
            next = now + PROGRESS_PERIOD;
        }
    }
}

static int launch_all(struct stage *stage, struct progress *progress)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < stage->batch_count; i++) {
        r = launch(&stage->batches[i]);
    }
    if (r == 0) {
        watch(stage, progress);
    } else {
        stop_all(stage);
    }
    for (size_t i = 0; i < stage->batch_count; i++) {
        if (stage->batches[i].runtime != NULL) {
            (void)rt_wait(stage->batches[i].runtime); /* what failed stands in the results */
        }
    }
    return r;
}

static int run_stage(struct stage *stage, struct progress *progress)
{
    int r = progress_init(progress, stage->instances, stage->count);

    r = r < 0 ? complain(r, "no memory to show the progress") : make_batches(stage);
    if (r == 0) {
        stage->end_event = eventfd(0, EFD_CLOEXEC);
        r = stage->end_event < 0 ? complain(-errno, "eventfd: %s", strerror(errno)) : 0;
    }
    if (r == 0) {
        r = launch_all(stage, progress);
        close(stage->end_event);
    }
    progress_fini(progress);
    free(stage->order);
    free(stage->batches);
    return r;
}

/* All of it */

struct runner {
    const struct job *jobs;
    size_t count;
    const struct run_options *options;
    struct result *result;
    struct layout layout;
    struct instance *instances; /* in the order of result->jobs */
    int signals;
};

/* What a job asks for that would be found wrong only when it is too late. */
static int check_job(const struct job *job)
{
    const uint32_t unit = workload_unit(job);

    if (job->disk_times && (!job->direct || job->depth > 1)) {
        return complain(-EINVAL,
                        "job %s: disk_times=1 tells the times of single transfers apart only with "
                        "direct=1 and iodepth=1",
                        job->name);
    }
    if (!job->verify) {
        return 0;
    }
    for (enum job_direction d = JOB_READ; d < JOB_DIRECTIONS; d++) {
        for (uint32_t i = 0; i < job->blocks[d].count; i++) {
            const uint32_t bytes = job->blocks[d].splits[i].bytes;

            if ((d == JOB_READ ? job_reads(job) : job_writes(job)) && bytes % unit != 0) {
                return complain(-EINVAL,
                                "job %s: verify wants sizes of blocks that are multiples of the "
                                "smallest, and %" PRIu32 " is none of %" PRIu32,
                                job->name, bytes, unit);
            }
        }
    }
    if (job_writes(job) && job->instances > 1 && job->file_count > 0) {
        return complain(-EINVAL,
                        "job %s: its %" PRIu32 " instances would overwrite each other's blocks, "
                        "which verify would take for damage; leave out filename, and each has a "
                        "file of its own",
                        job->name, job->instances);
    }
    return 0;
}

/* Options that fio needs to do its best, and that change nothing here. */
static const struct {
    const char *name;
    const char *idle; /* the value that asks for nothing */
    const char *reason;
} unused[] = {
    { "registerfiles", "1", "files that are used often are registered in any case" },
};

/* Told once for each option, at the first line that has it. */
static void warn_of_unused(const struct job *jobs, size_t count, size_t number)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < jobs[i].option_count; k++) {
            const struct job_option *option = &jobs[i].options[k];

            if (strcmp(option->name, unused[number].name) == 0 &&
                strcmp(option->value, unused[number].idle) != 0) {
                fprintf(stderr, "rt-storage: warning: line %" PRIu32 ": %s changes nothing: %s\n",
                        option->line, option->name, unused[number].reason);
                return;
            }
        }
    }
}

static int make_instances(struct runner *runner)
{
    struct result *result = runner->result;
    size_t count = 0;

    for (size_t i = 0; i < runner->count; i++) {
        count += runner->jobs[i].instances;
    }
    assert(count > 0); /* a job file has a job, and a job an instance */
    result->stage_count = runner->jobs[runner->count - 1].stage + 1;
    result->stages = calloc(result->stage_count, sizeof(*result->stages));
    result->jobs = calloc(count, sizeof(*result->jobs));
    runner->instances = calloc(count, sizeof(*runner->instances));
    if (result->stages == NULL || result->jobs == NULL || runner->instances == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < runner->count; i++) {
        for (uint32_t n = 0; n < runner->jobs[i].instances; n++) {
            const int r = result_job_init(&result->jobs[result->count], &runner->jobs[i], n);

            runner->instances[result->count].job = &runner->jobs[i];
            runner->instances[result->count].result = &result->jobs[result->count];
            runner->instances[result->count].number = n;
            result->count++;
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* How long the stages behind `stage` take, as far as they say. */
static rt_time later_than(const struct runner *runner, uint32_t stage)
{
    rt_time sum = 0;
    rt_time longest = 0;

    for (size_t i = 0; i < runner->count; i++) {
        const struct job *job = &runner->jobs[i];
        const rt_time time = job->runtime > 0 ? job->ramp + job->runtime : 0;

        if (job->stage <= stage) {
            continue;
        }
        if (i > 0 && job[-1].stage != job->stage) {
            sum += longest;
            longest = 0;
        }
        longest = time > longest ? time : longest;
    }
    return sum + longest;
}

static int prepare(const struct runner *runner, const struct stage *stage)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < stage->count; i++) {
        const struct instance *instance = &stage->instances[i];

        if (instance->number == 0 && instance->job->invalidate) {
            r = layout_invalidate(instance->job);
        }
    }
    for (size_t i = 0; r == 0 && i < stage->count; i++) {
        struct instance *instance = &stage->instances[i];

        instance->size = layout_size(&runner->layout, instance->job, instance->number);
    }
    return r;
}

static int run_number(struct runner *runner, uint32_t number)
{
    struct result *result = runner->result;
    struct result_stage *times = &result->stages[number];
    struct stage stage = { .options = runner->options, .signals = runner->signals };
    struct progress progress = { .stage = number,
                                 .stages = (uint32_t)result->stage_count,
                                 .later = later_than(runner, number),
                                 .shown = runner->options->progress };
    struct cost_mark mark;
    size_t first = 0;
    int r;

    while (result->jobs[first].job->stage < number) {
        first++;
    }
    stage.instances = &runner->instances[first];
    while (first + stage.count < result->count &&
           result->jobs[first + stage.count].job->stage == number) {
        stage.count++;
    }
    r = prepare(runner, &stage);
    if (r < 0) {
        return r;
    }
    progress.began = rt_now();
    cost_mark_process(&mark);
    r = run_stage(&stage, &progress);
    cost_of_process(&times->cost, &mark);
    times->runtime = rt_now() - progress.began;
    result->interrupted = stage.interrupted_at != 0;
    return r;
}

/* Also of jobs that have failed or have not run: what they were given was made for them. */
static int remove_files(const struct runner *runner)
{
    int r = 0;

    for (size_t i = 0; i < runner->count; i++) {
        const int failed = runner->jobs[i].unlink ? layout_unlink(&runner->jobs[i]) : 0;

        r = r == 0 ? failed : r;
    }
    return r;
}

static int run_stages(struct runner *runner)
{
    const struct result *result = runner->result;
    int r = 0;

    for (uint32_t i = 0; r == 0 && !result->interrupted && i < result->stage_count; i++) {
        r = run_number(runner, i);
    }
    return r;
}

static int run_with_signals(struct runner *runner)
{
    sigset_t signals;
    int r;

    signals_of(&signals);
    set_signals_blocked(true);
    runner->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    if (runner->signals < 0) {
        r = complain(-errno, "signalfd: %s", strerror(errno));
    } else {
        r = run_stages(runner);
        close(runner->signals);
    }
    if (!runner->result->interrupted) { /* else an echo would end the program before its report */
        set_signals_blocked(false);
    }
    return r;
}

static int run_laid_out(struct runner *runner)
{
    int r = layout_make(&runner->layout, runner->jobs, runner->count,
                        runner->options->allow_overwrite, runner->options->progress);

    if (r == 0) {
        const int run = run_with_signals(runner);
        const int removed = remove_files(runner);

        r = run < 0 ? run : removed;
    }
    layout_fini(&runner->layout);
    return r;
}

int storage_run(const struct job *jobs, size_t count, const struct run_options *options,
                struct result *out)
{
    struct runner runner = { .jobs = jobs, .count = count, .options = options, .result = out };
    struct timespec now;
    int r = 0;

    *out = (struct result){ 0 };
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = check_job(&jobs[i]);
    }
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        warn_of_unused(jobs, count, i);
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->began_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    r = make_instances(&runner);
    r = r < 0 ? complain(r, "no memory for the results") : run_laid_out(&runner);
    free(runner.instances);
    return r;
}
