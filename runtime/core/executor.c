/* SPDX-License-Identifier: MIT */
/* Executor: its life, and the turn. See executor.h for the invariants. */
#include "core/executor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "core/config.h"
#include "core/locals.h"
#include "core/trace.h"
#include "os/cycles.h"
#include "os/explain.h"
#include "os/features.h"
#include "os/sys.h"

_Thread_local struct rti_executor *rti_current __attribute__((tls_model("initial-exec")));

void rti_executor_not_owner(const struct rti_executor *owner, const char *call, const char *what)
{
    const struct rti_executor *here = rti_current;

    if (owner == NULL) {
        rti_misuse("%s(): %s was closed", call, what);
    }
    if (here == NULL) {
        rti_misuse("%s(): %s belongs to shard %u '%s', and this thread is no shard", call, what,
                   owner->index, owner->config.name);
    }
    rti_misuse("%s(): %s belongs to shard %u '%s', and this is shard %u '%s'%s", call, what,
               owner->index, owner->config.name, here->index, here->config.name,
               owner->index == here->index ? " of another runtime" : "");
}

/* After an enter the kernel may hold more completions (20 come at a time). Where the last turn has
 * left tasks, it is entered so many times more in one turn, lest those go first each time. Else
 * what was woken runs at once, and what it asks for goes along with the enter that brings more. */
#define EXTRA_ENTERS 8

/* A stack that was free all through such a period gives its memory back, but for some. One that is
 * freed when a period has just begun waits for the end of the next. Then come 0.2 us for each, in
 * parts of 0.25 ms between task quotas of 0.5 ms: so a million are done within a second. */
#define STACKS_PERIOD RT_MILLISECONDS(200)

/* Between a shard's list of tasks that do not end and the abort. Other shards are late too, and
 * print theirs: all were asked to end at the same time, within the time that it takes to wake them;
 * on a machine that is busy that is long. Meanwhile the watch looks for wait cycles. */
#define OTHERS_DUMP RT_SECONDS(1)

/* The turn */

static void take_completions(struct rti_executor *executor)
{
    struct rti_reactor *reactor = &executor->reactor;

    rti_reactor_begin_turn(reactor);
    if (RTI_UNLIKELY(reactor->polled != NULL)) {
        rti_polled_reap(reactor);
    }
    rti_reactor_reap(reactor);
    for (int i = 0; i < EXTRA_ENTERS && rti_reactor_has_work(reactor) &&
                    (executor->turn_over || !rti_executor_has_runnable(executor));
         i++) {
        rti_reactor_poll(reactor);
        rti_reactor_reap(reactor);
    }
}

/* Timers that are taken at once: so many misses of the cache go on side by side. */
#define TAKEN 32

/* Timers that expire in one turn: what they wake is still in the cache when it runs. */
#define EXPIRED_MAX 256

/* Of a stack, what a task touches when it goes on: the saved registers, the frames of the wait, and
 * its own (measured: two lines are too few). */
#define STACK_LINES 4

/* Most waiters and tasks were not touched for long: what will be needed is fetched ahead. */
static void expire(struct rti_timer *const *timers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        __builtin_prefetch(RTI_CONTAINER_OF(timers[i], struct rti_waiter, timer)->task, 1);
    }
    for (unsigned i = 0; i < count; i++) {
        struct rti_waiter *waiter = RTI_CONTAINER_OF(timers[i], struct rti_waiter, timer);
        const char *stack = waiter->task->fiber.stack_pointer; /* of a future any address */

        rti_waiter_expire(waiter);
        for (size_t line = 0; line < STACK_LINES; line++) {
            __builtin_prefetch(stack + line * RTI_CACHE_LINE);
        }
    }
}

static void expire_timers(struct rti_executor *executor, rt_time now)
{
    struct rti_timer *timers[TAKEN];
    unsigned expired = 0;
    unsigned count;

    rti_wheel_advance(&executor->wheel, now);
    if (executor->wheel.armed == 0) {
        return;
    }
    while (expired < EXPIRED_MAX && (count = rti_wheel_take(&executor->wheel, timers, TAKEN)) > 0) {
        expire(timers, count);
        expired += count;
    }
}

/* Every wait is a loop over its own condition, and so must every park of a user's be. In debug
 * builds some task is woken for nothing in one turn of eight; RT_SPURIOUS=0 in the environment, or
 * another share in 1000 turns, changes that. */
#define SPURIOUS_PER_MILLE 125

static uint32_t read_spurious(void)
{
    const char *text = getenv("RT_SPURIOUS");

    return text == NULL ? SPURIOUS_PER_MILLE : (uint32_t)strtoul(text, NULL, 10);
}

static void wake_for_nothing(struct rti_executor *executor)
{
    uint64_t *random = &executor->spurious_random;
    struct rt_task *task;

    if (rti_random_below(random, 1000) < executor->spurious_per_mille) {
        task = rti_task_at(&executor->tasks, rti_random_below(random, executor->tasks.used + 1));
        if (task != NULL && (task->state & RTI_TASK_CLOSED) == 0) {
            rti_task_wake_by_waker(task);
        }
    }
}

/* Tasks that were asked to end and have not: until the executor drains that is the first one. */
static bool owes_an_end(const struct rti_executor *executor)
{
    if (executor->draining) {
        return executor->tasks.active > 0;
    }
    return executor->first != NULL && (executor->first->state & RTI_TASK_COMPLETED) == 0;
}

/* How long the loop may sleep: ns, 0 = not at all, below 0 = until a completion. */
static rt_time sleep_limit(struct rti_executor *executor)
{
    rt_time next = rti_wheel_next(&executor->wheel);
    rt_time now;

    if (executor->devices != NULL) {
        const rt_time at = executor->devices->ops->wakes_at(executor->devices);

        next = at < next ? at : next;
    }

    if (executor->stop_deadline < next && owes_an_end(executor)) {
        next = executor->stop_deadline;
    }
    if (executor->stacks_due < next &&
        rti_stack_has_surplus(executor->stacks, executor->config.stacks_warm)) {
        next = executor->stacks_due;
    }
    if (next == RT_NEVER) {
        return -1;
    }
    if (next <= executor->turn_time) { /* one of those that this turn has left */
        return 0;
    }
    next = rti_time_add(next, executor->config.timer_slack);
    now = rti_sys_now();
    return next > now ? next - now : 0;
}

static bool may_sleep(const struct rti_executor *executor) /* E3 */
{
    const struct rti_reactor *reactor = &executor->reactor;

    return !rti_executor_has_runnable(executor) && rti_uring_ready(&reactor->ring) == 0 &&
           rti_list_is_empty(&reactor->cancels) && rti_list_is_empty(&reactor->room_waiters);
}

/* After a burst most stacks are free: the memory of all but some goes back, a part in each turn. */
static void look_at_stacks(struct rti_executor *executor, rt_time now)
{
    struct rti_stack_pool *stacks = executor->stacks;
    const bool more = rti_stack_is_trimming(stacks)
                          ? rti_stack_trim(stacks)
                          : rti_stack_age(stacks, executor->config.stacks_warm);

    executor->stacks_due = more ? now : rti_time_add(now, STACKS_PERIOD);
}

/* Look for messages and completions for config.spin, or until the next timer. */
static bool look_for_work(struct rti_executor *executor)
{
    const uint64_t begin = rti_sys_ticks();
    const rt_time limit = sleep_limit(executor);
    uint64_t spin = executor->spin.window;
    bool timer = false; /* it ends the look */
    bool found;

    if (limit >= 0 && rti_ticks_of(&executor->ticks, limit) < spin) {
        spin = rti_ticks_of(&executor->ticks, limit);
        timer = true;
    }
    rti_slice_sleeps(executor);
    rti_watched_sleeps(&executor->watched);
    do {
        rti_cpu_relax();
        found = rti_executor_has_come(executor);
    } while (!found && rti_sys_ticks() - begin < spin);
    rti_watched_wakes(&executor->watched);
    rti_slice_slept(executor);
    return found || timer;
}

/* There is nothing to do: whether a look, if one is worth it, has found something. Kept out of the
 * turn, whose registers it would take. */
static RTI_NOINLINE bool spin_finds_work(struct rti_executor *executor)
{
    bool found;

    if (!rti_spin_looks(&executor->spin)) {
        return false;
    }
    rti_reactor_poll(&executor->reactor); /* what is pending, wakes of others too, does not wait */
    if (rti_executor_has_come(executor)) {
        return true;
    }
    if (executor->reactor.flag_is_stale) {
        return false; /* R4: completions would not be seen, but a sleep they end */
    }
    found = look_for_work(executor);
    rti_spin_looked(&executor->spin, found);
    return found;
}

static bool others_let_sleep(struct rti_executor *executor)
{
    return executor->inbox == NULL || executor->inbox->ops->try_sleep(executor->inbox);
}

/* The host sleeps in its own way: what is pending must be with the kernel before that. */
RTI_COLD static void leave_to_host(struct rti_executor *executor, rt_time limit)
{
    struct rti_reactor *reactor = &executor->reactor;

    rti_reactor_poll(reactor); /* which the kernel may refuse, or do a part of */
    if (rti_uring_pending(&reactor->ring) == 0 && rti_uring_ready(&reactor->ring) == 0 &&
        !rti_reactor_has_work(reactor)) {
        executor->turn_due = limit < 0 ? RT_NEVER : rti_time_add(rti_sys_now(), limit);
    }
}

/* Where devices are polled the turn does not sleep. One in which there is nothing else to do is a
 * look as that of config.spin: charged to nobody, and no stall. */
static RTI_NOINLINE void poll_devices(struct rti_executor *executor, bool idle)
{
    rti_reactor_poll(&executor->reactor);
    if (idle) {
        rti_slice_sleeps(executor);
        rti_watched_sleeps(&executor->watched);
    }
    rti_polled_enter(executor->reactor.polled);
    if (idle) {
        rti_watched_wakes(&executor->watched);
        rti_slice_slept(executor);
    }
    executor->idled = idle;
}

static void flush(struct rti_executor *executor)
{
    rt_time limit = 0;
    bool idle;

    executor->idled = false;
    if (executor->devices != NULL) {
        executor->devices->ops->turn_ends(executor->devices);
    }
    if (executor->inbox != NULL && executor->inbox->unsent) {
        executor->inbox->ops->flush(executor->inbox);
    }
    idle = may_sleep(executor);
    if (rti_polled_is_busy(executor->reactor.polled)) {
        poll_devices(executor, idle);
        return;
    }
    if (idle) {
        if (executor->spin.window > 0 && !executor->hosted && spin_finds_work(executor)) {
            executor->idled = true;
            return;
        }
        limit = sleep_limit(executor);
    }
    if (limit == 0 || !others_let_sleep(executor)) {
        rti_reactor_poll(&executor->reactor);
        return;
    }
    if (RTI_UNLIKELY(executor->hosted)) {
        leave_to_host(executor, limit);
        return; /* not known to have idled: the host may come late */
    }
    rti_trace(executor, RT_TRACE_SLEEP, NULL, NULL, NULL, limit);
    rti_slice_sleeps(executor);
    rti_watched_sleeps(&executor->watched);
    rti_reactor_sleep(&executor->reactor, limit);
    executor->idled = true;
    rti_watched_wakes(&executor->watched);
    rti_slice_slept(executor);
    rti_trace(executor, RT_TRACE_AWAKE, NULL, NULL, NULL, rti_uring_ready(&executor->reactor.ring));
}

static void check_stop(struct rti_executor *executor, rt_time now)
{
    const struct rti_watched *watched = &executor->watched;

    if (now < executor->stop_deadline || !owes_an_end(executor)) {
        return;
    }
    if (!executor->late) {
        executor->late = true;
        executor->stop_deadline = rti_time_add(now, OTHERS_DUMP);
        rti_executor_dump(executor, RT_LOG_ERROR);
        if (watched->watcher != NULL) {
            watched->watcher->late(watched->watcher);
        }
        return;
    }
    rti_misuse("'%s' has %u tasks that live on %lld ms after the stop began "
               "(config.stop_timeout)",
               executor->config.name, executor->tasks.active,
               (long long)(executor->config.stop_timeout / 1000000));
}

static void close_if_drained(struct rti_executor *executor)
{
    if (executor->inbox != NULL) {
        executor->inbox->ops->drained(executor->inbox);
    } else {
        executor->closed = true;
    }
}

void rti_executor_turn(struct rti_executor *executor, rt_time now)
{
    __atomic_store_n(&executor->turns, executor->turns + 1, __ATOMIC_RELAXED);
    executor->looked_at = executor->turn_time;
    executor->turn_time = now;
    if (executor->inbox != NULL) {
        executor->inbox->ops->take(executor->inbox);
    }
    take_completions(executor);
    expire_timers(executor, now);
    if (RTI_DEBUG) {
        wake_for_nothing(executor);
    }
    rti_slice_sample_shares(executor);
    rti_slice_begin_turn(executor, now);
    rti_executor_run_tasks(executor);
    if (executor->draining && executor->tasks.active == 0) {
        close_if_drained(executor);
    }
    if (RTI_UNLIKELY(now >= executor->stacks_due)) {
        look_at_stacks(executor, now);
    }
    if (!executor->closed) {
        check_stop(executor, now);
        flush(executor);
    }
}

/* Start and stop */

int rti_executor_start(struct rti_executor *executor, rt_task_fn first, void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = "first" };
    const int r = rti_task_spawn(executor, &executor->first, first, arg, &options, NULL);

    if (r < 0) {
        rti_explain_memory(&executor->log, "the first task", r);
    }
    return r;
}

void rti_executor_discard_first(struct rti_executor *executor)
{
    rti_task_discard(rti_taskq_pop(&executor->queue));
    executor->first = NULL;
}

void rti_executor_expect_stop(struct rti_executor *executor)
{
    if (executor->stop_deadline == RT_NEVER) {
        executor->stop_deadline = rti_time_add(rti_sys_now(), executor->config.stop_timeout);
    }
}

void rti_executor_drain(struct rti_executor *executor)
{
    struct rt_task *task;

    rti_executor_expect_stop(executor);
    executor->draining = true;
    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        rti_task_cancel(task);
    }
}

void rti_executor_dump(const struct rti_executor *executor, enum rt_log_level level)
{
    const struct rt_task *task;
    char text[256];

    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        if ((task->state & (RTI_TASK_CLOSED | RTI_TASK_COMPLETED)) == 0) {
            rti_task_describe(task, text, sizeof(text));
            rti_log(&executor->log, level, "%s: %s", executor->config.name, text);
        }
    }
}

/* Life */

static int read_disabled(const struct rti_executor *executor, uint32_t *disabled)
{
    const char *const lists[] = { executor->config.disable, getenv("RT_DISABLE") };
    static const char *const names[] = { "config.disable", "RT_DISABLE" };
    char known[RTI_FEATURES_BYTES];
    const char *wrong;

    *disabled = executor->hosted ? (uint32_t)RTI_FEATURE_DEFER_TASKRUN : 0u;
    for (int i = 0; i < 2; i++) {
        if (rti_features_parse(lists[i], disabled, &wrong) < 0) {
            rti_features_format(RTI_FEATURES_ALL, known, sizeof(known));
            rti_log(&executor->log, RT_LOG_ERROR,
                    "%s: no feature is called \"%.*s\"; there are: %s all", names[i],
                    (int)strcspn(wrong, ", "), wrong, known);
            return -EINVAL;
        }
    }
    return 0;
}

/* Called in the handler of SIGSEGV: nothing here may take a lock or memory. */
static bool describe_overflow(void *arg, void *address, char *text, size_t bytes)
{
    const struct rti_executor *executor = arg;
    const struct rt_task *task;
    struct rti_stack *stack;

    if (!rti_stack_pool_find_guard(executor->stacks, address, &stack)) {
        return false;
    }
    /* Not always executor->running: a trace hook runs on the stack of the task that is left. */
    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        if (task->stack == stack && (task->state & RTI_TASK_CLOSED) == 0) {
            break;
        }
    }
    if (task == NULL) {
        return false;
    }
    snprintf(text, bytes, "task %u '%s' (%zu KiB stack)", task->index,
             task->name != NULL ? task->name : "",
             ((size_t)((char *)rti_stack_top(stack) - (char *)rti_stack_low(stack)) + 1023) / 1024);
    return true;
}

static int begin_overflow(struct rti_executor *executor)
{
    int r = rti_overflow_install();

    if (r < 0) {
        return r;
    }
    r = rti_overflow_thread_begin(&executor->overflow, describe_overflow, executor);
    if (r == -EPERM) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "rt_run() was called in a signal handler, on the alternate signal stack");
    }
    if (r < 0) {
        rti_overflow_remove();
    }
    return r;
}

static void end_overflow(struct rti_executor *executor)
{
    rti_overflow_thread_end(&executor->overflow);
    rti_overflow_remove();
}

static int make_stacks(struct rti_executor *executor, uint32_t disabled)
{
    const struct rti_stack_config config = {
        .stacks_max = executor->config.tasks_max + RTI_TASKS_EXTRA,
        .guard_by_mprotect = (disabled & RTI_FEATURE_GUARD_INSTALL) != 0,
    };
    const int r = rti_explain_pages(&executor->log, rti_sys_page_bytes());

    if (r < 0) {
        return r;
    }
    for (int c = RTI_STACK_CLASSES - 1; c >= 0; c--) {
        if (executor->config.stack_bytes <= rti_stack_class_bytes((enum rti_stack_class)c)) {
            executor->stack_class = (enum rti_stack_class)c;
        }
    }
    return rti_stack_pool_create(&executor->stacks, &config);
}

/* NULL: the kernel decides. */
static const cpu_set_t *choose_worker_cpus(const struct rti_executor *executor)
{
    const struct rti_thread *thread = &executor->thread;

    if (executor->config.io_worker_place != RT_IO_WORKER_OTHERS || thread->cpu < 0) {
        return thread->own;
    }
    if (thread->others == NULL) {
        rti_log(&executor->log, RT_LOG_WARNING,
                "config.io_worker_place asks for other CPUs than %d, and this process has none: "
                "the kernel's threads for I/O share it",
                thread->cpu);
        return thread->own;
    }
    return thread->others;
}

static int open_reactor(struct rti_executor *executor, uint32_t disabled)
{
    const struct rti_uring_config config = {
        .sq_entries = executor->config.ring_entries,
        .cq_entries = executor->config.cq_entries,
        .disabled = disabled,
        .io_workers = executor->config.io_workers,
        .buffers_max = rti_buffers_arenas(executor->config.buffer_bytes),
        .worker_cpus = choose_worker_cpus(executor),
        .worker_cpus_bytes = executor->thread.set_bytes,
    };

    rti_buffers_init(&executor->buffers, executor->config.buffer_bytes, &executor->reactor.ring,
                     &executor->log);
    return rti_reactor_init(&executor->reactor, &config, &executor->log);
}

/* By the ring, and by the stacks. */
static uint32_t granted_features(const struct rti_executor *executor)
{
    struct rti_stack_stats stacks;

    rti_stack_get_stats(executor->stacks, &stacks);
    return executor->reactor.ring.features |
           (executor->reactor.polled != NULL ? (uint32_t)RTI_FEATURE_IOPOLL : 0u) |
           (stacks.guard_installs ? (uint32_t)RTI_FEATURE_GUARD_INSTALL : 0u);
}

static void report_start(const struct rti_executor *executor)
{
    char names[RTI_FEATURES_BYTES];
    char where[16] = "any CPU";
    const char *workers = "any CPU";

    rti_features_format(granted_features(executor), names, sizeof(names));
    if (executor->thread.cpu >= 0) {
        snprintf(where, sizeof(where), "CPU %d", executor->thread.cpu);
    }
    if (executor->reactor.ring.worker_cpus != NULL) {
        workers = executor->reactor.ring.worker_cpus == executor->thread.own ? where
                                                                             : "the other CPUs";
    }
    rti_log(&executor->log, RT_LOG_INFO,
            "executor '%s' on %s: ring of %u and %u entries, with %s; threads for I/O on %s",
            executor->config.name, where, executor->reactor.ring.sq_entries,
            executor->reactor.ring.cq_mask + 1, names, workers);
}

static int make_queue(struct rti_executor *executor)
{
    struct rt_taskq *queue = &executor->queue;
    int r = rti_taskq_init(queue, executor, "default");

    if (r < 0) {
        return r;
    }
    rti_list_init(&executor->queues);
    rti_sched_init(&executor->sched, 0);
    r = rti_sched_add(&executor->sched, &queue->entity, NULL);
    if (r < 0) {
        rti_taskq_fini(queue);
        return r;
    }
    rti_list_push_back(&executor->queues, &queue->link);
    executor->active = queue;
    executor->queue_count = 1;
    executor->runs_left.length = RTI_COUNTDOWN;
    executor->calls_left.length = RTI_COUNTDOWN;
    executor->cpu_charged = rti_sys_thread_cpu();
    return 0;
}

/* No task lives. */
static void end_queues(struct rti_executor *executor)
{
    rti_taskq_destroy_others(executor);
    rti_slice_forget(executor, &executor->queue);
    if (executor->devices != NULL) {
        executor->devices->ops->forget(&executor->queue);
        executor->devices->ops->close(executor->devices);
        executor->devices = NULL;
    }
    rti_sched_remove(&executor->sched, &executor->queue.entity);
    rti_sched_fini(&executor->sched);
    rti_taskq_fini(&executor->queue);
    rti_sys_free(executor->shared);
    executor->shared = NULL;
}

/* What needs nothing but the configuration, and nothing to be given back. */
static void init_parts(struct rti_executor *executor)
{
    executor->trace = executor->config.trace;
    executor->careful = executor->trace != NULL ||
                        (executor->config.flags & RT_CONFIG_STACK_MARKS) != 0;
    executor->spin.adaptive = executor->config.spin_policy == RT_SPIN_ADAPTIVE;
    executor->stop_deadline = RT_NEVER;
    executor->start_time = rti_sys_now();
    executor->stacks_due = rti_time_add(executor->start_time, STACKS_PERIOD);
    executor->spurious_per_mille = read_spurious();
    executor->spurious_random = (uint64_t)executor->start_time;
    rti_ticks_init(&executor->ticks);
    rti_wheel_init(&executor->wheel, executor->start_time);
    rti_pool_init(&executor->handles, RTI_HANDLE_BYTES);
    rti_pool_init(&executor->locals, sizeof(struct rti_locals));
}

static int init(struct rti_executor *executor, const struct rt_config *config, int cpu)
{
    uint32_t disabled;
    int r;

    r = rti_config_read(&executor->config, &executor->log, config);
    if (r < 0) {
        return r;
    }
    r = read_disabled(executor, &disabled);
    if (r < 0) {
        return r;
    }
    r = rti_disk_models_read(&executor->disk_models, executor->config.disk_models, &executor->log);
    if (r < 0) {
        goto fail_models;
    }
    init_parts(executor);
    r = rti_thread_begin(&executor->thread, cpu, &executor->log);
    if (r < 0) {
        goto fail_models;
    }
    r = make_queue(executor); /* from here on: the pin decides where */
    if (r < 0) {
        goto fail_thread;
    }
    r = rti_task_table_init(&executor->tasks, executor->config.tasks_max);
    if (r < 0) {
        goto fail_queue;
    }
    r = make_stacks(executor, disabled);
    if (r < 0) {
        goto fail_table;
    }
    r = begin_overflow(executor);
    if (r < 0) {
        goto fail_stacks;
    }
    r = open_reactor(executor, disabled);
    if (r < 0) {
        goto fail_overflow;
    }
    rti_fiber_adopt(&executor->loop);
    rti_current = executor;
    report_start(executor);
    return 0;

fail_overflow:
    end_overflow(executor);
fail_stacks:
    rti_stack_pool_destroy(executor->stacks);
fail_table:
    rti_task_table_fini(&executor->tasks);
fail_queue:
    end_queues(executor);
fail_thread:
    rti_thread_end(&executor->thread);
    if (r == -ENOMEM && executor->reactor.ring.fd == 0) {
        rti_explain_memory(&executor->log, "the executor", r);
    }
fail_models:
    rti_disk_models_fini(&executor->disk_models);
    return r;
}

int rti_executor_init(struct rti_executor *executor, const struct rt_config *config, int cpu)
{
    memset(executor, 0, sizeof(*executor));
    return init(executor, config, cpu);
}

int rti_executor_init_hosted(struct rti_executor *executor, const struct rt_config *config, int cpu)
{
    memset(executor, 0, sizeof(*executor));
    executor->hosted = true;
    return init(executor, config, cpu);
}

void rti_executor_close(struct rti_executor *executor)
{
    rti_current = NULL;
    rti_fiber_release(&executor->loop);
    rti_reactor_fini(&executor->reactor);
    rti_buffers_fini(&executor->buffers);
    end_overflow(executor);
    rti_stack_pool_destroy(executor->stacks);
    rti_stack_marks_fini(&executor->stack_marks);
    rti_pool_fini(&executor->handles);
    rti_pool_fini(&executor->locals);
    rti_wheel_fini(&executor->wheel);
    end_queues(executor);
    rti_disk_models_fini(&executor->disk_models);
    rti_thread_end(&executor->thread);
}

void rti_executor_free(struct rti_executor *executor)
{
    rti_task_table_fini(&executor->tasks);
}

void rti_executor_fini(struct rti_executor *executor)
{
    rti_executor_close(executor);
    rti_executor_free(executor);
}

/* Public */

static uint64_t all_runs(const struct rti_executor *executor)
{
    uint64_t runs = executor->runs_gone;

    for (const struct rti_list *node = executor->queues.next; node != &executor->queues;
         node = node->next) {
        runs += rti_taskq_runs(RTI_CONTAINER_OF(node, struct rt_taskq, link));
    }
    return runs;
}

void rt_stats_get(struct rt_stats *out, size_t bytes)
{
    const struct rti_executor *executor = rti_current;
    struct rti_stack_stats stacks;
    struct rt_stats stats;

    RTI_ASSERT(executor != NULL);
    rti_stack_get_stats(executor->stacks, &stacks);
    stats = (struct rt_stats){
        .tasks_live = executor->tasks.used,
        .stacks_in_use = stacks.in_use,
        .ops_in_flight = executor->reactor.in_flight,
        .timers_armed = executor->wheel.armed,
        .turns = executor->turns,
        .runs = all_runs(executor),
        .spawns = executor->spawns,
        .spawns_refused = executor->spawns_refused,
        .enters = executor->reactor.ring.enters,
        .sleeps = executor->reactor.sleeps,
        .submitted = executor->reactor.ring.submitted,
        .completions = executor->reactor.completions,
        .stale = executor->reactor.stale,
        .overflows = executor->reactor.overflows,
        .cancels = executor->reactor.cancels_sent,
        .accept_backoffs = executor->accept_backoffs,
        .stalls = executor->stalls,
        .stacks_free = stacks.cached,
        .stacks_trimmed = stacks.trimmed,
        .buffers_in_use = executor->buffers.in_use,
        .buffers_refused = executor->buffers.refused,
        .buffer_bytes = executor->buffers.bytes,
        .buffer_bytes_unregistered = executor->buffers.bytes_unregistered,
        .looks = executor->spin.looks,
        .looks_found = executor->spin.found,
        .polls_refused = executor->reactor.polls_refused,
    };
    if (executor->reactor.polled != NULL) {
        const struct rti_polled *polled = executor->reactor.polled;

        stats.enters += polled->ring.enters;
        stats.submitted += polled->ring.submitted;
        stats.completions += polled->completions;
        stats.polled_transfers = polled->transfers;
    }
    if (executor->inbox != NULL) {
        const struct rti_inbox *inbox = executor->inbox;

        stats.messages_sent = inbox->messages_sent;
        stats.messages_taken = inbox->messages_taken;
        stats.calls_refused = inbox->calls_refused;
        stats.posts_delayed = inbox->posts_delayed;
        stats.room_waits = inbox->room_waits;
        stats.rings = inbox->rings;
        stats.wakes_sent = inbox->wakes_sent;
        stats.wakes_resent = inbox->wakes_resent;
        stats.wakes_received = inbox->wakes_received;
        stats.objects_sent_home = inbox->objects_sent_home;
        stats.objects_came_home = inbox->objects_came_home;
    }
    memset(out, 0, bytes);
    memcpy(out, &stats, bytes < sizeof(stats) ? bytes : sizeof(stats));
}

size_t rt_features_format(char *text, size_t bytes)
{
    char names[RTI_FEATURES_BYTES];

    RTI_ASSERT(rti_current != NULL);
    rti_features_format(granted_features(rti_current), names, sizeof(names));
    return (size_t)snprintf(text, bytes, "%s", names);
}
