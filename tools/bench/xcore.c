/* SPDX-License-Identifier: MIT */
/*
 * What two shards do together, beside its limits (limit/xcore.h): calls, posts,
 * channels, and the wake of a shard that sleeps. Both run in one process and in
 * turn: limit, runtime, limit, runtime ... A repetition starts two threads anew;
 * the clock runs only while the row's own loop does, after a warm-up of a tenth
 * of it. Also what a runtime uses that has nothing to do (--idle).
 */
#include <errno.h>
#include <rt/call.h>
#include <rt/executor.h>
#include <rt/spsc.h>
#include <rt/start.h>
#include <rt/task.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "harness.h"
#include "process.h"
#include "xcore.h"

#define IN_FLIGHT 64 /* of row xcore_call_64 */
#define GROUP     16 /* messages of one flush: the contract's */
#define BATCH_MAX 64
#define CAPACITY  1024 /* of a channel: the limits page's */
#define WAKES_MAX 1000
#define ASLEEP_NS RT_MICROSECONDS(200) /* the limits page's */
#define CPU_MAX   1023                 /* of cpu_set_t */
#define SPIN      RT_SECONDS(1)        /* longer than any wait of a row that spins */

/* What a repetition is given, and gives back. */
struct run {
    uint64_t count; /* of the row's unit of work */
    size_t batch;   /* of a stream */
    int64_t start;
    double ns; /* per unit */
    int (*row)(void *);
};

static void run_begin(struct run *run)
{
    run->start = limit_now();
}

static void run_end(struct run *run, uint64_t units)
{
    run->ns = (double)(limit_now() - run->start) / (double)units;
}

/* What is called on the other shard. */
static int add_one(void *arg)
{
    return (int)(uintptr_t)arg + 1;
}

static int count_post(void *arg)
{
    uint64_t *posts = arg;

    (*posts)++;
    return 0;
}

static int note_arrival(void *arg)
{
    int64_t *arrived = arg;

    *arrived = limit_now();
    return 0;
}

/* The calls whose shapes differ, made alike. */
#define limit_go       limit_call
#define limit_begin    limit_call_begin
#define limit_end      limit_call_end
#define limit_throw    limit_post
#define limit_pipe     limit_channel
#define limit_put      limit_channel_send
#define limit_take     limit_channel_recv
#define limit_push     limit_channel_flush
#define limit_put_end  limit_channel_close_sender
#define limit_take_end limit_channel_close_receiver

static struct limit_channel *limit_pipe_make(bool waits)
{
    struct limit_channel *channel = limit_channel_create(waits);

    if (channel == NULL) {
        harness_give_up("limit_channel_create", -ENOMEM);
    }
    return channel;
}

static inline void must(const char *what, int result)
{
    if (__builtin_expect(result < 0, 0)) {
        harness_give_up(what, result);
    }
}

static inline void rt_go(rt_task_fn fn, void *arg, int *result)
{
    must("rt_call", rt_call(1, fn, arg, result, RT_NEVER));
}

static inline void rt_begin(struct rt_call *call, rt_task_fn fn, void *arg)
{
    must("rt_call_begin", rt_call_begin(call, 1, fn, arg, RT_NEVER));
}

static inline void rt_end(struct rt_call *call, int *result)
{
    must("rt_call_end", rt_call_end(call, result, RT_NEVER));
}

static inline void rt_throw(rt_task_fn fn, void *arg)
{
    must("rt_post", rt_post(1, fn, arg, RT_NEVER));
}

#define rt_pipe     rt_spsc
#define rt_push     rt_spsc_flush
#define rt_put_end  rt_spsc_close_sender
#define rt_take_end rt_spsc_close_receiver

static struct rt_spsc *rt_pipe_make(bool waits)
{
    struct rt_spsc *channel = NULL;

    (void)waits; /* a task always does */
    must("rt_spsc_create", rt_spsc_create(&channel, sizeof(uint64_t), CAPACITY));
    return channel;
}

static inline void rt_put(struct rt_spsc *channel, const uint64_t *items, size_t count)
{
    must("rt_spsc_send", rt_spsc_send(channel, items, count, NULL, RT_NEVER));
}

static inline size_t rt_take(struct rt_spsc *channel, uint64_t *items, size_t count)
{
    ssize_t n = rt_spsc_recv(channel, items, count, RT_NEVER);

    must("rt_spsc_recv", (int)n);
    return (size_t)n;
}

#define SIDE(name) limit_##name
#include "xcore_rows.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "xcore_rows.h"
#undef SIDE

/* The limit of row xcore_rtt: the port alone. The runtime's is a call. */
static int echo_row(void *arg)
{
    struct run *run = arg;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < run->count + run->count / 10; i++) {
        if (i == run->count / 10) {
            run_begin(run);
        }
        wrong += limit_echo(i) != i;
    }
    run_end(run, run->count);
    return wrong == 0 ? 0 : -EBADMSG;
}

static int bare_row(void *arg)
{
    struct run *run = arg;

    (void)bare_bounces(run->count / 10);
    run->ns = (double)bare_bounces(run->count) / (double)run->count;
    return 0;
}

/* About 10 ms per repetition; the wakes take 30. */
static const struct row {
    const char *name;
    uint64_t count;
    size_t batch;
    enum limit_waiting waiting;
    int (*limit)(void *);
    int (*runtime)(void *);
} rows[] = {
    { "xcore_rtt", 20000, 0, LIMIT_SPINS, echo_row, rt_call_row },
    { "xcore_rtt_channel", 20000, 0, LIMIT_SPINS, limit_channels_row, rt_channels_row },
    { "xcore_call_1", 20000, 0, LIMIT_SPINS, limit_call_row, rt_call_row },
    { "xcore_call_64", 200000, 0, LIMIT_SPINS, limit_calls_row, rt_calls_row },
    { "xcore_post", 200000, 0, LIMIT_SPINS, limit_post_row, rt_post_row },
    { "xcore_stream_1", 1000000, 1, LIMIT_SPINS, limit_stream_row, rt_stream_row },
    { "xcore_stream_8", 2000000, 8, LIMIT_SPINS, limit_stream_row, rt_stream_row },
    { "xcore_stream_64", 4000000, 64, LIMIT_SPINS, limit_stream_row, rt_stream_row },
    { "xcore_wake", 101, 0, LIMIT_SLEEPS, limit_wake_row, rt_wake_row },
    { "bare_bounce", 50000, 0, LIMIT_SPINS, bare_row, NULL },
};

static const char *cpus_text = "0,1";
static int cpus[2];

/* Shard 0 works; the others serve calls. */
static int first(void *arg)
{
    struct run *run = arg;

    return rt_shard_index() == 0 ? run->row(run) : 0;
}

static double repeat(const void *of, bool of_limit)
{
    const struct row *row = of;
    struct run run = { .count = row->count, .batch = row->batch };
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    if (of_limit) {
        r = limit_pair_run(cpus, row->waiting, row->limit, &run);
    } else {
        config.cpus = cpus_text;
        config.shards = 2;
        config.spin = row->waiting == LIMIT_SPINS ? SPIN : RT_SPIN_OFF;
        config.flags = RT_CONFIG_NO_SIGNALS;
        run.row = row->runtime;
        r = rt_start(&config, first, &run);
    }
    if (r < 0) {
        harness_give_up(row->name, r);
    }
    return run.ns;
}

/* Waits for the signal that ends the runtime. */
static int idle_first(void *arg)
{
    const int *ready = arg;
    int r;

    if (write(*ready, "", 1) != 1) {
        return -EIO;
    }
    do {
        r = rt_park(RT_NEVER);
    } while (r == 0);
    return r == -ECANCELED ? 0 : r;
}

/* The child's: a runtime with nothing to do. Returns the status of the process. */
static int idle_runtime(uint32_t shards, int ready)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.cpus = cpus_text;
    config.shards = shards;
    config.log_level = RT_LOG_ERROR; /* that shards share CPUs is meant */
    return rt_start(&config, idle_first, &ready) < 0 ? 1 : 0;
}

/* Start a child with so many shards, and wait until all their first tasks have run. Its process,
 * or -1 and a message. */
static pid_t start_idle(uint32_t shards)
{
    int ready[2];
    char byte;
    pid_t child;
    uint32_t count = 0;

    if (pipe(ready) < 0) {
        perror("rt-xcore: pipe");
        return -1;
    }
    fflush(stdout);
    child = fork();
    if (child == 0) {
        close(ready[0]);
        _exit(idle_runtime(shards, ready[1]));
    }
    close(ready[1]);
    while (child > 0 && count < shards && read(ready[0], &byte, 1) == 1) {
        count++;
    }
    close(ready[0]);
    if (child > 0 && count == shards) {
        return child;
    }
    fprintf(stderr, "rt-xcore: a runtime of %u shards did not start\n", (unsigned)shards);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return -1;
}

static void wait_for(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds,
                             .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };

    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
        continue;
    }
}

/* What a runtime uses in `seconds`, from a second after its start on. False, and a message. */
static bool measure_idle(uint32_t shards, double seconds, bool json)
{
    struct process_use before;
    struct process_use after;
    pid_t child = start_idle(shards);
    bool ok = child > 0;
    int status = 0;

    if (!ok) {
        return false;
    }
    wait_for(1);
    ok = process_use_read(child, &before);
    wait_for(seconds);
    ok = ok && process_use_read(child, &after);
    kill(child, SIGTERM);
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "rt-xcore: an idle runtime ended badly (status %#x)\n", (unsigned)status);
        ok = false;
    }
    if (ok) {
        printf(
            json ? "{\"idle_shards\": %u, \"seconds\": %g, \"cpu_ms\": %.3f, \"voluntary\": %llu, "
                   "\"involuntary\": %llu}\n"
                 : "idle, %u shards, %g s: CPU %.3f ms, context switches %llu+%llu\n",
            (unsigned)shards, seconds, (double)(after.cpu_ns - before.cpu_ns) / 1e6,
            (unsigned long long)(after.voluntary - before.voluntary),
            (unsigned long long)(after.involuntary - before.involuntary));
    }
    return ok;
}

/* "0,1": two different CPUs. */
static bool read_cpus(void)
{
    char text[32]; /* cut off behind any two numbers of CPUs */
    char *comma;
    double number[2];

    snprintf(text, sizeof(text), "%s", cpus_text);
    comma = strchr(text, ',');
    if (comma == NULL) {
        fprintf(stderr, "rt-xcore: --cpus %s: expected two CPUs, such as 0,1\n", cpus_text);
        return false;
    }
    *comma = '\0';
    if (!option_number("cpus", text, 0, CPU_MAX, &number[0]) ||
        !option_number("cpus", comma + 1, 0, CPU_MAX, &number[1])) {
        return false;
    }
    cpus[0] = (int)number[0];
    cpus[1] = (int)number[1];
    if (cpus[0] == cpus[1]) {
        fprintf(stderr, "rt-xcore: --cpus %s: the two must differ\n", cpus_text);
    }
    return cpus[0] != cpus[1];
}

int main(int argc, char **argv)
{
    const char *idle_text = NULL;
    const struct harness_option own[] = {
        { "cpus", "A,B      shard 0 on CPU A, shard 1 on CPU B; default 0,1", &cpus_text },
        { "idle", "SECONDS  no rows: what 2 and 64 idle shards use in that time", &idle_text },
        { NULL, NULL, NULL },
    };
    struct harness harness;
    double seconds;
    int status;

    if (!harness_begin(&harness, argc, argv,
                       "Measure what two shards do together beside its limits, in turn.", own,
                       &status)) {
        return status;
    }
    if (!read_cpus() ||
        (idle_text != NULL && !option_number("idle", idle_text, 0.1, 3600, &seconds))) {
        return 2;
    }
    if (idle_text != NULL) {
        return measure_idle(2, seconds, harness.json) && measure_idle(64, seconds, harness.json)
                   ? 0
                   : 1;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        harness_row(&harness, rows[i].name, repeat, rows[i].runtime != NULL, &rows[i]);
    }
    return harness_end(&harness) ? 0 : 2;
}
