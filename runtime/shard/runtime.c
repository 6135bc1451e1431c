/* SPDX-License-Identifier: MIT */
/* Runtime: see runtime.h. */
#include "shard/runtime.h"

#include <errno.h>
#include <stdio.h>

#include "core/config.h"
#include "core/fork.h"
#include "os/explain.h"
#include "os/sys.h"
#include "os/thread.h"
#include "shard/place.h"
#include "shard/signals.h"

enum rti_go {
    GO_WAIT,
    GO_RUN,
    GO_GIVE_UP, /* another shard cannot start */
};

/* One shard, on its thread */

static void prefer_node(const struct rti_shard *shard)
{
    const struct rt_runtime *runtime = shard->runtime;
    int r;

    if (shard->node < 0) {
        return;
    }
    r = rti_sys_mempolicy_near(shard->node);
    if (r < 0) {
        rti_log(&runtime->log, RT_LOG_WARNING,
                "shard %u: memory cannot be bound to node %d (%s); it comes from wherever the "
                "process's policy says",
                shard->index, shard->node, rt_strerror(r));
    }
}

/* Everything that can fail. The first task is there afterwards, and has not run. */
static int begin(struct rti_shard *shard)
{
    struct rt_runtime *runtime = shard->runtime;
    struct rt_config config = runtime->config;
    struct rti_executor *executor;
    int r;

    config.name = shard->name;
    shard->thread_id = rti_sys_thread_id();
    prefer_node(shard);
    executor = rti_sys_alloc(sizeof(*executor));
    if (executor == NULL) {
        rti_explain_memory(&runtime->log, "the executor", -ENOMEM);
        return -ENOMEM;
    }
    r = shard->hosted ? rti_executor_init_hosted(executor, &config, shard->cpu)
                      : rti_executor_init(executor, &config, shard->cpu);
    if (r < 0) {
        goto fail_alloc;
    }
    r = rti_mesh_attach(&runtime->mesh, shard->index, executor, shard->node);
    if (r < 0) {
        goto fail_executor;
    }
    r = rti_executor_start(executor, rti_services_first, runtime);
    if (r < 0) {
        goto fail_executor;
    }
    shard->executor = executor;
    return 0;

fail_executor: /* an end of the mesh is freed with the mesh */
    rti_executor_fini(executor);
fail_alloc:
    rti_sys_free(executor);
    return r;
}

static void turn_until_closed(struct rti_executor *executor)
{
    while (!executor->closed) {
        rti_executor_turn(executor, rti_sys_now());
    }
}

static void run(struct rti_shard *shard)
{
    rti_stall_join(shard->runtime, shard->index);
    turn_until_closed(shard->executor);
    rti_stall_leave(shard->runtime, shard->index);
}

static void end(struct rti_shard *shard)
{
    rti_mesh_detach(shard->runtime->mesh.shards[shard->index]);
    rti_executor_close(shard->executor);
}

static uint32_t await_go(struct rt_runtime *runtime)
{
    uint32_t go;

    /* pairs with the release in say_go() */
    while ((go = __atomic_load_n(&runtime->go, __ATOMIC_ACQUIRE)) == GO_WAIT) {
        (void)rti_sys_futex_wait(&runtime->go, GO_WAIT, RT_NEVER);
    }
    return go;
}

static void say_go(struct rt_runtime *runtime, uint32_t go)
{
    __atomic_store_n(&runtime->go, go, __ATOMIC_RELEASE); /* pairs with await_go() */
    (void)rti_sys_futex_wake(&runtime->go);
}

bool rti_runtime_runs(const struct rt_runtime *runtime)
{
    return __atomic_load_n(&runtime->go, __ATOMIC_ACQUIRE) == GO_RUN; /* pairs with say_go() */
}

static void *shard_main(void *arg)
{
    struct rti_shard *shard = arg;
    struct rt_runtime *runtime = shard->runtime;

    (void)rti_sys_thread_set_name(shard->name);
    shard->start_result = begin(shard);
    /* pairs with the acquire in await_ready() */
    __atomic_add_fetch(&runtime->ready, 1, __ATOMIC_RELEASE);
    (void)rti_sys_futex_wake(&runtime->ready);
    if (await_go(runtime) == GO_RUN) {
        run(shard);
        end(shard);
    } else if (shard->start_result == 0) {
        rti_executor_discard_first(shard->executor);
        end(shard);
    }
    /* pairs with the acquire in heed_signals() */
    if (__atomic_add_fetch(&runtime->ended, 1, __ATOMIC_RELEASE) == runtime->mesh.shard_count) {
        rti_signals_notify();
    }
    return NULL;
}

/* The launching thread */

static void log_to(struct rti_log *log, const struct rt_config *config)
{
    struct rt_config complete;

    (void)rti_config_read(&complete, log, config);
}

/* 0, or -EBUSY in a task, having said so. */
static int may_create(const struct rt_config *config, const char *call)
{
    struct rti_log log;

    rti_fork_check(call);
    if (rti_current == NULL) {
        return 0;
    }
    log_to(&log, config);
    rti_log(&log, RT_LOG_ERROR,
            "this thread runs an executor already ('%s'): %s() was called from one of its tasks",
            rti_current->config.name, call);
    return -EBUSY;
}

static void free_runtime(struct rt_runtime *runtime)
{
    rti_watch_stop(runtime);
    rti_blocking_stop(&runtime->mesh.blocking);
    rti_mesh_fini(&runtime->mesh); /* frees objects (O3), and these may wake tasks */
    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        if (runtime->shards[i].executor != NULL) {
            rti_executor_free(runtime->shards[i].executor);
        }
    }
    rti_services_fini(&runtime->services);
    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        rti_sys_free(runtime->shards[i].executor);
    }
    rti_sys_free(runtime->shards);
    rt_plan_destroy(runtime->plan);
    rti_sys_free(runtime);
    rti_fork_leave();
}

static int init_shards(struct rt_runtime *runtime, uint32_t count)
{
    const struct rt_plan *plan = runtime->plan;
    int r;

    runtime->shards = rti_sys_alloc(count * sizeof(struct rti_shard));
    if (runtime->shards == NULL) {
        return -ENOMEM;
    }
    r = rti_mesh_init(&runtime->mesh, count, &runtime->config);
    if (r < 0) {
        rti_sys_free(runtime->shards);
        return r;
    }
    rti_services_init(&runtime->services, count);
    runtime->mesh.service_ops = &rti_service_ops;
    for (uint32_t i = 0; i < count; i++) {
        struct rti_shard *shard = &runtime->shards[i];

        shard->runtime = runtime;
        shard->index = i;
        shard->cpu = plan != NULL ? plan->shards[i].cpu : -1;
        shard->node = plan != NULL && plan->nodes > 1 ? plan->shards[i].node : -1;
        snprintf(shard->name, sizeof(shard->name), plan != NULL ? "%s-%u" : "%s",
                 runtime->config.name, i);
    }
    return 0;
}

/* `planned`: with a plan and threads, as rt_start() wants it. */
static int create(struct rt_runtime **out, const struct rt_config *config, bool planned,
                  rt_task_fn first, void *arg)
{
    struct rt_runtime *runtime = rti_sys_alloc(sizeof(*runtime));
    struct rti_log log;
    int r;

    if (runtime == NULL || rti_fork_enter() < 0) {
        rti_sys_free(runtime);
        log_to(&log, config);
        rti_explain_memory(&log, "the runtime", -ENOMEM);
        return -ENOMEM;
    }
    runtime->first = first;
    runtime->arg = arg;
    r = rti_config_read(&runtime->config, &runtime->log, config);
    if (r == 0 && planned) {
        r = rti_plan_make(&runtime->plan, &runtime->config, &runtime->log);
        runtime->config.cpus = NULL;
    }
    if (r < 0) {
        goto fail;
    }
    r = init_shards(runtime, planned ? runtime->plan->shard_count : 1);
    if (r < 0) {
        rti_explain_memory(&runtime->log, "the runtime", r);
        goto fail;
    }
    r = rti_watch_start(runtime);
    if (r < 0) {
        free_runtime(runtime);
        return r;
    }
    *out = runtime;
    return 0;

fail:
    rt_plan_destroy(runtime->plan);
    rti_sys_free(runtime);
    rti_fork_leave();
    return r;
}

/* Threads inherit the mask, so no signal reaches one before it could block it. 0, or -errno with
 * `count` threads created. */
static int create_threads(struct rt_runtime *runtime, uint32_t *count)
{
    sigset_t old_set;
    int r = 0;

    rti_thread_block_signals(&old_set);
    for (*count = 0; r == 0 && *count < runtime->mesh.shard_count; *count += r == 0) {
        struct rti_shard *shard = &runtime->shards[*count];

        r = rti_sys_thread_create(&shard->thread, shard_main, shard);
    }
    rti_thread_unblock_signals(&old_set);
    if (r < 0) {
        rti_log(&runtime->log, RT_LOG_ERROR, "thread %u of %u cannot be created: %s", *count,
                runtime->mesh.shard_count, rt_strerror(r));
    }
    return r;
}

/* Until `count` threads are ready: 0, or the first error in order of shards. */
static int await_ready(struct rt_runtime *runtime, uint32_t count)
{
    uint32_t ready;

    /* pairs with the release in shard_main() */
    while ((ready = __atomic_load_n(&runtime->ready, __ATOMIC_ACQUIRE)) < count) {
        (void)rti_sys_futex_wait(&runtime->ready, ready, RT_NEVER);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (runtime->shards[i].start_result < 0) {
            return runtime->shards[i].start_result;
        }
    }
    return 0;
}

static void join_threads(struct rt_runtime *runtime, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)rti_sys_thread_join(runtime->shards[i].thread);
    }
}

static void report_plan(const struct rt_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->plan->shard_count; i++) {
        const struct rt_plan_shard *place = &runtime->plan->shards[i];

        if (place->cpu < 0) {
            rti_log(&runtime->log, RT_LOG_INFO, "shard %u of '%s' is not bound to a CPU", i,
                    runtime->config.name);
        } else {
            rti_log(&runtime->log, RT_LOG_INFO,
                    "shard %u of '%s' is on CPU %d (core %d, package %d, memory node %d)", i,
                    runtime->config.name, place->cpu, place->core, place->package, place->node);
        }
    }
}

static int start_threads(struct rt_runtime *runtime)
{
    uint32_t count;
    int r = create_threads(runtime, &count);
    const int failed = await_ready(runtime, count);

    if (r == 0) {
        r = failed;
    }
    if (r == 0) {
        report_plan(runtime);
    }
    say_go(runtime, r == 0 ? GO_RUN : GO_GIVE_UP);
    if (r < 0) {
        join_threads(runtime, count);
    }
    return r;
}

static int result_of(const struct rt_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->mesh.shard_count; i++) {
        const int result = runtime->mesh.shards[i]->closing.result;

        if (result < 0) {
            return result;
        }
    }
    return 0;
}

/* Public */

int rt_launch(struct rt_runtime **out, const struct rt_config *config, rt_task_fn first, void *arg)
{
    struct rt_runtime *runtime;
    int r = may_create(config, "rt_launch");

    if (r < 0) {
        return r;
    }
    r = create(&runtime, config, true, first, arg);
    if (r < 0) {
        return r;
    }
    r = start_threads(runtime);
    if (r < 0) {
        free_runtime(runtime);
        return r;
    }
    *out = runtime;
    return 0;
}

int rt_wait(struct rt_runtime *runtime)
{
    int result;

    rti_fork_check("rt_wait");
    if (rti_current != NULL) {
        rti_misuse("rt_wait() was called from a task");
    }
    join_threads(runtime, runtime->mesh.shard_count);
    result = result_of(runtime);
    free_runtime(runtime);
    return result;
}

static bool owns_signals(const struct rt_runtime *runtime)
{
    return (runtime->config.flags & RT_CONFIG_NO_SIGNALS) == 0;
}

/* Until every thread has ended; the first signal stops the runtime, the second one the process. */
static void heed_signals(struct rt_runtime *runtime)
{
    bool stopped = false;

    for (;;) {
        const uint32_t signals = rti_signals_count();

        /* pairs with the release in shard_main() */
        if (__atomic_load_n(&runtime->ended, __ATOMIC_ACQUIRE) == runtime->mesh.shard_count) {
            return;
        }
        if (signals > 1) {
            rti_signals_raise();
        }
        if (signals == 1 && !stopped) {
            stopped = true;
            rti_log(&runtime->log, RT_LOG_INFO, "'%s' stops: a signal has come",
                    runtime->config.name);
            rt_stop(runtime);
        }
        rti_signals_await();
    }
}

static int own_signals(const struct rt_runtime *runtime)
{
    const int r = rti_signals_own();

    if (r == -EBUSY) {
        rti_log(&runtime->log, RT_LOG_ERROR,
                "another runtime of this process handles SIGINT and SIGTERM: start this one with "
                "rt_launch(), or with RT_CONFIG_NO_SIGNALS");
    }
    return r;
}

int rt_start(const struct rt_config *config, rt_task_fn first, void *arg)
{
    struct rt_runtime *runtime;
    int r = may_create(config, "rt_start");

    if (r < 0) {
        return r;
    }
    r = create(&runtime, config, true, first, arg);
    if (r < 0) {
        return r;
    }
    r = owns_signals(runtime) ? own_signals(runtime) : 0;
    if (r < 0) {
        free_runtime(runtime);
        return r;
    }
    r = start_threads(runtime);
    if (r == 0) {
        if (owns_signals(runtime)) {
            heed_signals(runtime);
        }
        join_threads(runtime, runtime->mesh.shard_count);
        r = result_of(runtime);
    }
    if (owns_signals(runtime)) {
        rti_signals_disown();
    }
    free_runtime(runtime);
    return r;
}

/* One shard, on the calling thread */

int rti_runtime_begin_here(struct rt_runtime **out, const struct rt_config *config, bool hosted,
                           rt_task_fn first, void *arg, const char *call)
{
    struct rt_runtime *runtime;
    struct rti_shard *shard;
    int r = may_create(config, call);

    if (r < 0) {
        return r;
    }
    r = create(&runtime, config, false, first, arg);
    if (r < 0) {
        return r;
    }
    shard = &runtime->shards[0];
    shard->hosted = hosted;
    r = rti_thread_parse_cpu(runtime->config.cpus, &shard->cpu, &runtime->log);
    if (r == 0) {
        r = begin(shard);
    }
    if (r < 0) {
        free_runtime(runtime);
        return r;
    }
    say_go(runtime, GO_RUN); /* nobody waits for it here but the watch */
    rti_stall_join(runtime, 0);
    *out = runtime;
    return 0;
}

void rti_runtime_run_here(struct rt_runtime *runtime)
{
    turn_until_closed(runtime->shards[0].executor);
}

void rti_runtime_end_here(struct rt_runtime *runtime)
{
    rti_stall_leave(runtime, 0);
    end(&runtime->shards[0]);
    free_runtime(runtime);
}

int rt_run(const struct rt_config *config, rt_task_fn first, void *arg)
{
    struct rt_runtime *runtime;
    int r = rti_runtime_begin_here(&runtime, config, false, first, arg, "rt_run");

    if (r < 0) {
        return r;
    }
    rti_runtime_run_here(runtime);
    r = runtime->shards[0].executor->first->result;
    rti_runtime_end_here(runtime);
    return r;
}

void rt_stop(struct rt_runtime *runtime)
{
    rti_fork_check("rt_stop");
    rti_closing_stop(runtime != NULL ? &runtime->mesh : rti_mesh_of_task("rt_stop")->mesh);
}

struct rt_runtime *rt_runtime_self(void)
{
    return RTI_CONTAINER_OF(rti_mesh_of_task("rt_runtime_self")->mesh, struct rt_runtime, mesh);
}

uint32_t rt_shard_index(void)
{
    return rti_mesh_of_task("rt_shard_index")->index;
}

uint32_t rt_shard_count(void)
{
    return rti_mesh_of_task("rt_shard_count")->mesh->shard_count;
}

int rt_submit(struct rt_runtime *runtime, uint32_t shard, struct rt_submission *submission,
              rt_task_fn fn, void *arg)
{
    rti_fork_check("rt_submit");
    if (shard >= runtime->mesh.shard_count) {
        rti_log(&runtime->log, RT_LOG_ERROR, "rt_submit(): there is no shard %u, there are %u",
                shard, runtime->mesh.shard_count);
        return -EINVAL;
    }
    *submission = (struct rt_submission){ .fn = fn, .arg = arg };
    return rti_closing_submit(&runtime->mesh, runtime->mesh.shards[shard], submission);
}
