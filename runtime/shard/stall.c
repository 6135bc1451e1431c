/* SPDX-License-Identifier: MIT */
/* Stall: see stall.h. */
#include "shard/stall.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "os/explain.h"
#include "os/symbol.h"
#include "os/sys.h"
#include "shard/runtime.h"

/* When all shards have slept for so long, the watch does too. A shorter time would have a shard
 * that wakes now and then wake the watch each time, for 5 us and more. */
#define IDLE RT_MILLISECONDS(100)

/* Until the shards were let go. */
#define NOT_YET RT_MILLISECONDS(10)

#define LOOKS_PER_THRESHOLD 4

/* Reports */

static void log_frame(const struct rt_runtime *runtime, const struct rt_stall *stall, uint32_t i)
{
    struct rti_symbol symbol;
    char where[192];

    rti_symbol_find(&symbol, stall->frames[i] - (i > 0)); /* the call, not where it returns to */
    if (symbol.name != NULL) {
        snprintf(where, sizeof(where), "%s+0x%zx", symbol.name, (size_t)symbol.offset);
    } else {
        snprintf(where, sizeof(where), "?");
    }
    rti_log(&runtime->log, RT_LOG_WARNING,
            "stall: shard=%u task=%u frame=%u at=%s in=%s address=0x%zx", stall->shard, stall->task,
            i, where, symbol.module != NULL ? symbol.module : "?", (size_t)symbol.in_module);
}

static void log_stall(const struct rt_runtime *runtime, const struct rt_stall *stall)
{
    char who[96];
    char more[96] = "";

    if (stall->in_loop) {
        snprintf(who, sizeof(who), "task=none name=\"the loop itself\"");
    } else {
        snprintf(who, sizeof(who), "task=%u name=\"%s\"", stall->task, stall->name);
    }
    if (stall->ended) {
        snprintf(more, sizeof(more), " ended=1 at_most_ms=%.1f", (double)stall->at_most / 1e6);
    } else if (stall->suppressed > 0) {
        snprintf(more, sizeof(more), " suppressed=%llu", (unsigned long long)stall->suppressed);
    }
    rti_log(&runtime->log, RT_LOG_WARNING,
            "stall: shard=%u %s queue=\"%s\" age_ms=%.1f threshold_ms=%.1f%s", stall->shard, who,
            stall->queue, (double)stall->age / 1e6, (double)stall->threshold / 1e6, more);
    for (uint32_t i = 0; i < stall->frame_count; i++) {
        log_frame(runtime, stall, i);
    }
}

static void report(const struct rt_runtime *runtime, uint32_t index, rt_time threshold,
                   rt_time at_most)
{
    struct rti_stall_shard *shard = &runtime->watch.stall.shards[index];
    const struct rti_probe *probe = &shard->probe;
    const struct rt_stall stall = { .size = (uint32_t)sizeof(stall),
                                    .shard = index,
                                    .in_loop = probe->expected.task == NULL,
                                    .ended = at_most != 0,
                                    .task = probe->expected.index,
                                    .name = probe->name,
                                    .queue = probe->queue,
                                    .age = shard->age,
                                    .at_most = at_most,
                                    .threshold = threshold,
                                    .suppressed = shard->suppressed,
                                    .frame_count = at_most != 0 ? 0 : probe->call_count,
                                    .frames = probe->calls };

    if (runtime->config.stall != NULL) {
        runtime->config.stall(runtime->config.stall_arg, &stall);
    } else {
        log_stall(runtime, &stall);
    }
    if (!stall.ended) {
        shard->suppressed = 0;
    }
}

/* Looking */

static int thread_of(const struct rt_runtime *runtime, uint32_t index)
{
    return runtime->shards[index].thread_id;
}

/* The run is the one to watch from now on. */
static void mark(struct rti_stall_shard *shard, rt_time threshold)
{
    shard->probe.expected = shard->probe.run;
    shard->marked = true;
    shard->stalls = false;
    shard->reported = false;
    shard->age = 0;
    shard->next_age = threshold;
}

/* A run has ended. */
static void forget(const struct rt_runtime *runtime, uint32_t index, rt_time threshold)
{
    struct rti_stall_shard *shard = &runtime->watch.stall.shards[index];

    if (shard->reported) {
        const rt_time used = rti_sys_thread_cpu_of(thread_of(runtime, index));
        const rt_time at_most = used - shard->probe.expected.cpu;

        report(runtime, index, threshold, at_most > shard->age ? at_most : shard->age);
    }
    shard->marked = false;
    shard->reported = false;
}

/* The run that was marked is old enough. */
static void found(const struct rt_runtime *runtime, uint32_t index, rt_time now, rt_time threshold)
{
    struct rti_stall_shard *shard = &runtime->watch.stall.shards[index];

    shard->next_age = shard->age * 2;
    if (!shard->reported && shard->reported_at != 0 &&
        now - shard->reported_at < runtime->config.stall_pause) {
        shard->suppressed += !shard->stalls;
    } else {
        shard->suppressed -= shard->stalls && !shard->reported; /* it lasts longer than the pause */
        shard->reported_at = now;
        shard->reported = true;
        report(runtime, index, threshold, 0);
    }
    shard->stalls = true;
}

/* No run has ended since the last look. */
static void look_closer(const struct rt_runtime *runtime, uint32_t index, rt_time used, rt_time now,
                        rt_time threshold)
{
    struct rti_stall_shard *shard = &runtime->watch.stall.shards[index];
    struct rti_probe *probe = &shard->probe;
    const bool is_due = used - probe->expected.cpu >= shard->next_age;

    if (used == shard->used) {
        return; /* it waits for a core, or in a system call, which a signal would end (EINTR) */
    }
    if (shard->marked && !is_due && !shard->stalls) {
        return; /* no need to disturb it yet; once it stalls, its length counts */
    }
    probe->wants_calls = shard->marked && is_due;
    probe->counts = !shard->stalls;
    if (!rti_probe_ask(probe, thread_of(runtime, index))) {
        return; /* it does not run, or has blocked the signal: the next look asks again */
    }
    if (!shard->marked || !probe->is_expected) {
        forget(runtime, index, threshold); /* that one has ended within a countdown */
        mark(shard, threshold);
        return;
    }
    shard->age = probe->run.cpu - probe->expected.cpu;
    if (is_due) {
        found(runtime, index, now, threshold);
    }
}

/* Whether the shard is awake. */
static bool look_at(const struct rt_runtime *runtime, uint32_t index, rt_time now,
                    rt_time threshold)
{
    struct rti_stall_shard *shard = &runtime->watch.stall.shards[index];
    const struct rti_executor *executor = runtime->shards[index].executor;
    /* stored by the shard (core/watched.h, executor.c, slice.c); nothing else is told by them */
    const bool awake = __atomic_load_n(&executor->watched.awake, __ATOMIC_RELAXED) != 0;
    const uint64_t turns = __atomic_load_n(&executor->turns, __ATOMIC_RELAXED);
    const uint64_t read_at = __atomic_load_n(&executor->runs_left.read_at, __ATOMIC_RELAXED);
    const rt_time used = awake ? rti_sys_thread_cpu_of(thread_of(runtime, index)) : 0;

    if (!awake || turns != shard->turns || read_at != shard->read_at) {
        forget(runtime, index, threshold);
        shard->turns = turns;
        shard->read_at = read_at;
    } else {
        look_closer(runtime, index, used, now, threshold);
    }
    shard->used = used;
    return awake;
}

static bool is_any_awake(const struct rt_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        /* ordered after the store of `parked` by the fence of all (Z1); pairs with the release in
         * rti_watched_sleeps(), for cycles.c */
        if (__atomic_load_n(&runtime->shards[i].executor->watched.awake, __ATOMIC_ACQUIRE) != 0) {
            return true;
        }
    }
    return false;
}

/* All shards sleep. Whether the watch may too. */
static bool park(struct rt_runtime *runtime)
{
    /* ordered before the loads of is_any_awake() by the fence (Z1); read in core/watched.h */
    __atomic_store_n(&runtime->watch.watcher.parked, 1, __ATOMIC_RELAXED);
    if (rti_sys_fence_all() == 0 && !is_any_awake(runtime)) {
        return true;
    }
    /* one that wakes now posts in vain */
    __atomic_store_n(&runtime->watch.watcher.parked, 0, __ATOMIC_RELAXED);
    return false;
}

rt_time rti_stall_look(struct rt_runtime *runtime)
{
    struct rti_stall *stall = &runtime->watch.stall;
    const rt_time threshold = __atomic_load_n(&stall->threshold, __ATOMIC_RELAXED);
    const rt_time now = rti_sys_now();
    bool awake = false;

    if (!stall->on || threshold == RT_STALL_OFF) {
        return RT_NEVER;
    }
    if (!rti_runtime_runs(runtime)) {
        return now + NOT_YET;
    }
    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        awake = look_at(runtime, i, now, threshold) || awake;
    }
    if (awake) {
        stall->idle_since = 0;
    } else if (stall->idle_since == 0) {
        stall->idle_since = now;
    } else if (now - stall->idle_since >= IDLE && park(runtime)) {
        stall->idle_since = 0;
        return RT_NEVER;
    }
    return now + threshold / LOOKS_PER_THRESHOLD;
}

/* Life */

static bool is_wanted(const struct rt_runtime *runtime)
{
    const char *text = getenv("RT_STALL");

    return runtime->config.stall_threshold != RT_STALL_OFF &&
           (text == NULL || strcmp(text, "off") != 0);
}

static int make_shards(struct rt_runtime *runtime)
{
    const uint32_t count = runtime->mesh.shard_count;
    struct rti_stall *stall = &runtime->watch.stall;

    stall->shards = rti_sys_alloc(count * sizeof(struct rti_stall_shard));
    if (stall->shards == NULL) {
        rti_explain_memory(&runtime->log, "the watch for stalls", -ENOMEM);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)sem_init(&stall->shards[i].probe.answered, 0, 0);
    }
    return 0;
}

int rti_stall_begin(struct rt_runtime *runtime)
{
    struct rti_stall *stall = &runtime->watch.stall;
    const bool is_default = runtime->config.stall_signal == rti_config_stall_signal();
    int r;

    if (!is_wanted(runtime)) {
        return 0;
    }
    if (rti_sys_thread_cpu_of(rti_sys_thread_id()) < 0 || rti_sys_fence_prepare() < 0) {
        rti_log(&runtime->log, RT_LOG_INFO,
                "'%s' is not watched for stalls: the kernel has no CPU clocks of threads or no "
                "membarrier",
                runtime->config.name);
        return 0;
    }
    r = make_shards(runtime);
    if (r < 0) {
        return r;
    }
    r = rti_probe_begin(runtime->config.stall_signal, &runtime->log,
                        is_default ? RT_LOG_WARNING : RT_LOG_ERROR);
    if (r < 0) {
        rti_sys_free(stall->shards);
        stall->shards = NULL;
        return is_default ? 0 : r; /* a program that knows of no watch starts without one */
    }
    stall->threshold = runtime->config.stall_threshold;
    stall->on = true;
    return 0;
}

void rti_stall_end(struct rt_runtime *runtime)
{
    struct rti_stall *stall = &runtime->watch.stall;

    if (stall->on) {
        rti_probe_end();
        rti_sys_free(stall->shards);
        stall->on = false;
    }
}

void rti_stall_join(struct rt_runtime *runtime, uint32_t index)
{
    struct rti_stall *stall = &runtime->watch.stall;
    struct rti_shard *shard = &runtime->shards[index];
    sigset_t set;

    if (runtime->watch.runs) {
        shard->executor->watched.watcher = &runtime->watch.watcher;
    }
    if (!stall->on) {
        return;
    }
    shard->executor->watched.probe = &stall->shards[index].probe;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, (int)runtime->config.stall_signal);
    (void)rti_sys_sigmask(SIG_UNBLOCK, &set, &shard->old_mask);
    rti_watched_wakes(&shard->executor->watched);
}

void rti_stall_leave(struct rt_runtime *runtime, uint32_t index)
{
    const struct rti_shard *shard = &runtime->shards[index];
    const int signal_number = (int)runtime->config.stall_signal;
    sigset_t set;

    if (!runtime->watch.stall.on) {
        return;
    }
    rti_watched_sleeps(&shard->executor->watched);
    if (sigismember(&shard->old_mask, signal_number) == 1) {
        (void)sigemptyset(&set); /* of the rest the thread may have changed some */
        (void)sigaddset(&set, signal_number);
        (void)rti_sys_sigmask(SIG_BLOCK, &set, NULL);
    }
}

int rt_stall_set_threshold(rt_time threshold)
{
    struct rt_runtime *runtime = rt_runtime_self();

    if (threshold != RT_STALL_OFF && threshold < RT_STALL_MIN) {
        rti_log(&runtime->log, RT_LOG_ERROR,
                "a threshold of %lld ns for stalls was asked for; it is %lld ns or more, or "
                "RT_STALL_OFF",
                (long long)threshold, (long long)RT_STALL_MIN);
        return -EINVAL;
    }
    if (!runtime->watch.stall.on) {
        return -EOPNOTSUPP;
    }
    /* a number; nothing else is told by it */
    __atomic_store_n(&runtime->watch.stall.threshold, threshold, __ATOMIC_RELAXED);
    rti_sys_semaphore_post(runtime->watch.events);
    return 0;
}
