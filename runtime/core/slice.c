/* SPDX-License-Identifier: MIT */
/* Slice: see slice.h for the idea and the invariants. */
#include "core/slice.h"

#include "core/executor.h"
#include "os/sys.h"

/* Runs and calls that are further apart than this are worth a look at the ticks each. */
#define FAR_APART RT_MICROSECONDS(1)

/* How often callbacks are asked for shares. */
#define SAMPLE_EVERY RT_MILLISECONDS(250)

/* Looking at the ticks */

static void set_read_at(struct rti_countdown *countdown, uint64_t at)
{
    __atomic_store_n(&countdown->read_at, at, __ATOMIC_RELAXED); /* pairs with the watch's load */
}

/* Far apart: each is looked at from now on. Near: twice as many as before are not. */
static void restart(const struct rti_executor *executor, struct rti_countdown *countdown,
                    uint64_t at)
{
    const uint64_t far_apart = (uint64_t)countdown->length * executor->far_ticks;

    if (at - countdown->read_at > far_apart) {
        countdown->length = 1;
    } else if (countdown->length < RTI_COUNTDOWN) {
        countdown->length *= 2;
    }
    countdown->left = countdown->length - 1;
    set_read_at(countdown, at);
}

/* Both countdowns are at their end: the next run and the next call look. */
static void look_at_once(struct rti_executor *executor)
{
    executor->runs_left.left = 0;
    executor->calls_left.left = 0;
}

/* On a shard with a latency goal, what comes for it from outside is not to wait for the quota. */
static bool slice_is_over(struct rti_executor *executor, uint64_t at)
{
    executor->seen = at;
    if (at - executor->turn_begin >= executor->quota_ticks || /* also if the counter fell back */
        (executor->sched.root.goals > 0 && rti_executor_has_come(executor))) {
        executor->turn_over = true;
    }
    return executor->turn_over || executor->cut;
}

/* What was published may end the wait of the very task that is about to suspend. That one counts as
 * running still, so whoever finished its wait has left it to its own next look. */
static void schedule_if_done(struct rt_task *task)
{
    if (task != NULL && task->waiter != NULL && task->waiter->done) {
        task->state |= RTI_TASK_SCHEDULED;
    }
}

/* The countdown has ended. True when the slice has too. */
static bool look(struct rti_executor *executor, struct rti_countdown *countdown)
{
    const uint64_t at = rti_sys_ticks();

    if (executor->inbox != NULL && executor->inbox->unsent) {
        executor->inbox->ops->flush_if_due(executor->inbox, at);
        schedule_if_done(executor->running);
    }
    rti_reactor_flush_if_due(&executor->reactor, at);
    restart(executor, countdown, at);
    if (slice_is_over(executor, at)) {
        look_at_once(executor);
        return true;
    }
    return false;
}

bool rti_slice_may_run(struct rti_executor *executor)
{
    return !look(executor, &executor->runs_left);
}

bool rti_slice_must_yield(struct rti_executor *executor)
{
    return look(executor, &executor->calls_left);
}

/* Charging */

static void charge(struct rti_executor *executor, struct rt_taskq *queue, uint64_t ticks)
{
    if ((int64_t)ticks <= 0) {
        return; /* nothing since; or the counter fell back: another CPU's */
    }
    queue->run += ticks;
    rti_sched_charge(&executor->sched, &queue->entity, ticks);
}

static void charge_active(struct rti_executor *executor, uint64_t at)
{
    charge(executor, executor->active, at - executor->charged_at);
    executor->charged_at = at; /* L1 */
}

/* No task has run since `charged_at`: the kernel has. */
static void charge_kernel(struct rti_executor *executor, uint64_t at)
{
    const int64_t ticks = (int64_t)(at - executor->charged_at); /* below 0: it fell back */
    struct rt_taskq *queue;
    uint64_t work = 0;

    executor->charged_at = at; /* L1 */

    for (queue = executor->worked; queue != NULL; queue = queue->next_worked) {
        work += queue->kernel_work;
    }
    while ((queue = executor->worked) != NULL) {
        executor->worked = queue->next_worked;
        charge(executor, queue,
               (uint64_t)(int64_t)((double)ticks * queue->kernel_work / (double)work));
        queue->kernel_work = 0;
    }
}

void rti_slice_note_work(struct rti_executor *executor, struct rt_taskq *queue)
{
    if (queue->kernel_work++ == 0) {
        queue->next_worked = executor->worked;
        executor->worked = queue;
    }
}

/* A queue that is alone has had all that its thread has. */
static void charge_lone(struct rti_executor *executor)
{
    const rt_time used = rti_sys_thread_cpu();

    executor->queue.run += rti_ticks_of(&executor->ticks, used - executor->cpu_charged);
    executor->cpu_charged = used;
}

void rti_slice_settle(struct rti_executor *executor)
{
    if (executor->queue_count > 1) {
        charge_active(executor, executor->seen);
    } else {
        charge_lone(executor);
    }
}

void rti_slice_sleeps(struct rti_executor *executor)
{
    if (RTI_UNLIKELY(executor->queue_count > 1)) {
        charge_kernel(executor, rti_sys_ticks());
    }
}

void rti_slice_slept(struct rti_executor *executor)
{
    if (RTI_UNLIKELY(executor->queue_count > 1)) {
        executor->charged_at = rti_sys_ticks();
        executor->seen = executor->charged_at; /* what wakes now does not wait since before */
    }
}

/* Shares that change */

static uint32_t ask(const struct rt_taskq *queue, rt_time now)
{
    const uint32_t shares = queue->shares_fn(queue->shares_arg, now);

    if (shares < RT_SHARES_MIN) {
        return RT_SHARES_MIN;
    }
    return shares < RT_SHARES_MAX ? shares : RT_SHARES_MAX;
}

static void sample_if_due(struct rti_executor *executor, struct rt_taskq *queue)
{
    const rt_time now = executor->turn_time;

    if (queue->shares_fn != NULL && now - queue->sampled_at >= SAMPLE_EVERY) {
        queue->sampled_at = now;
        rti_sched_set_shares(&executor->sched, &queue->entity, ask(queue, now));
    }
}

/* Also of those that are runnable and are not chosen. */
void rti_slice_sample_shares(struct rti_executor *executor)
{
    if (RTI_LIKELY(executor->queue_count == 1) ||
        executor->turn_time - executor->sampled_at < SAMPLE_EVERY) {
        return;
    }
    executor->sampled_at = executor->turn_time;
    for (struct rti_list *node = executor->queues.next; node != &executor->queues;
         node = node->next) {
        struct rt_taskq *queue = RTI_CONTAINER_OF(node, struct rt_taskq, link);

        rti_sched_catch_up(&executor->sched, &queue->entity);
        if (rti_sched_is_runnable(&queue->entity)) {
            sample_if_due(executor, queue);
        }
    }
}

/* The turn */

static void read_goals(struct rti_executor *executor)
{
    rt_time least = executor->config.task_quota;

    for (struct rti_list *node = executor->queues.next; node != &executor->queues;
         node = node->next) {
        struct rt_taskq *queue = RTI_CONTAINER_OF(node, struct rt_taskq, link);

        rti_sched_set_goal(&executor->sched, &queue->entity,
                           rti_ticks_of(&executor->ticks, queue->latency), executor->seen);
        if (queue->latency != 0 && queue->latency < least) {
            least = queue->latency;
        }
    }
    executor->quota_ticks = rti_ticks_of(&executor->ticks, least);
    rti_sched_set_slice(&executor->sched, executor->quota_ticks);
}

static RTI_COLD void calibrate(struct rti_executor *executor, rt_time now, uint64_t at)
{
    rti_ticks_calibrate(&executor->ticks, now, at);
    executor->spin.window = rti_ticks_of(&executor->ticks, executor->config.spin);
    executor->far_ticks = rti_ticks_of(&executor->ticks, FAR_APART);
    executor->reactor.flush_ticks = rti_ticks_of(&executor->ticks, RTI_FLUSH_AFTER);
    read_goals(executor);
}

/* What ran in the last turn was quick; what runs in this one may not be. */
static void begin_countdown(struct rti_countdown *countdown, uint64_t at)
{
    if (countdown->length > RTI_COUNTDOWN_FIRST) {
        countdown->length = RTI_COUNTDOWN_FIRST;
    }
    countdown->left = countdown->length;
    set_read_at(countdown, at);
}

void rti_slice_begin_turn(struct rti_executor *executor, rt_time now)
{
    const uint64_t at = rti_sys_ticks();

    if (RTI_UNLIKELY(now >= executor->ticks.due)) {
        calibrate(executor, now, at);
    }
    if (RTI_UNLIKELY(executor->queue_count > 1)) {
        charge_kernel(executor, at);
    }
    executor->turn_begin = at;
    executor->seen = at;
    executor->turn_over = false;
    begin_countdown(&executor->runs_left, at);
    begin_countdown(&executor->calls_left, at);
    executor->reactor.flushed_at = at;
}

bool rti_slice_choose_among(struct rti_executor *executor)
{
    struct rt_taskq *active = executor->active;
    const uint64_t at = rti_sys_ticks();
    struct rti_sched_entity *entity;
    struct rt_taskq *next;

    charge_active(executor, at);
    executor->seen = at;
    active->since = at;
    if (rti_taskq_length(active) == 0 && rti_sched_is_runnable(&active->entity)) { /* P1 */
        rti_sched_sleep(&executor->sched, &active->entity);
        executor->queues_runnable--;
    }
    executor->cut = false;
    entity = executor->turn_over ? NULL : rti_sched_pick(&executor->sched);
    if (entity == NULL) {
        return false;
    }
    next = rti_taskq_of_entity(entity);
    next->wait += at - next->since;
    next->switches += next != active;
    sample_if_due(executor, next);
    executor->active = next;
    return true;
}

/* Queues */

void rti_slice_queue_woke(struct rt_taskq *queue)
{
    struct rti_executor *executor = queue->executor;

    if (executor->running != NULL && executor->queue_count > 1) {
        rti_slice_settle(executor); /* what the active one has used counts */
    }
    queue->since = executor->seen;
    rti_sched_wake(&executor->sched, &queue->entity, executor->seen);
    executor->queues_runnable++;
    if (executor->running != NULL && !executor->cut &&
        rti_sched_preempts(&executor->sched, &queue->entity, &executor->active->entity)) {
        executor->active->slices_cut++;
        executor->cut = true;
        look_at_once(executor);
    }
}

void rti_slice_queues_changed(struct rti_executor *executor, int more)
{
    rti_slice_settle(executor);
    executor->queue_count += (uint32_t)more;
    if (more != 0) { /* from one way of charging to the other, perhaps */
        executor->charged_at = rti_sys_ticks();
        executor->seen = executor->charged_at;
        executor->cpu_charged = rti_sys_thread_cpu();
    }
    read_goals(executor);
}

void rti_slice_forget(struct rti_executor *executor, struct rt_taskq *queue)
{
    struct rt_taskq **link = &executor->worked;

    while (*link != NULL && *link != queue) {
        link = &(*link)->next_worked;
    }
    if (*link != NULL) {
        *link = queue->next_worked;
    }
    if (rti_sched_is_runnable(&queue->entity)) { /* P1: it is the active one, after all tasks */
        rti_sched_sleep(&executor->sched, &queue->entity);
        executor->queues_runnable--;
    }
    if (executor->active == queue) {
        executor->active = &executor->queue;
    }
}
