/* SPDX-License-Identifier: MIT */
/* Task: the table of slots, and the edges of the state word but for those of a run (run.h). */
#include "core/task.h"

#include <errno.h>
#include <stdio.h>

#include "base/sized.h"
#include "core/executor.h"
#include "core/locals.h"
#include "core/runnable.h"
#include "core/scope.h"
#include "core/trace.h"
#include "os/sys.h"

_Static_assert(RTI_ASAN || RTI_TSAN || sizeof(struct rt_task) == 128, "two cache lines a task");

/* The table */

int rti_task_table_init(struct rti_task_table *table, uint32_t tasks_max)
{
    const uint32_t slots = tasks_max + RTI_TASKS_EXTRA;
    const uint32_t blocks = (slots + RTI_TASKS_PER_BLOCK - 1) / RTI_TASKS_PER_BLOCK;

    *table = (struct rti_task_table){ .max = tasks_max };
    table->blocks = rti_sys_alloc(blocks * sizeof(struct rti_task_block *));
    return table->blocks == NULL ? -ENOMEM : 0;
}

void rti_task_table_fini(struct rti_task_table *table)
{
    for (uint32_t i = 0; i < table->block_count; i++) {
        rti_sys_free(table->blocks[i]);
    }
    rti_sys_free(table->blocks);
    table->blocks = NULL;
    table->block_count = 0;
}

struct rt_task *rti_task_at(const struct rti_task_table *table, uint32_t index)
{
    const uint32_t block = index / RTI_TASKS_PER_BLOCK;

    return block < table->block_count ? &table->blocks[block]->tasks[index % RTI_TASKS_PER_BLOCK]
                                      : NULL;
}

static RTI_COLD int add_block(struct rti_executor *executor)
{
    struct rti_task_table *table = &executor->tasks;
    struct rti_task_block *block = rti_sys_alloc(sizeof(*block));

    if (block == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = RTI_TASKS_PER_BLOCK; i > 0; i--) {
        struct rt_task *task = &block->tasks[i - 1];

        task->state = RTI_TASK_CLOSED;
        task->generation = 1;
        task->executor = executor;
        task->index = table->block_count * RTI_TASKS_PER_BLOCK + i - 1;
        task->next = table->free;
        table->free = task;
    }
    table->blocks[table->block_count++] = block;
    return 0;
}

static inline struct rt_task *pop_slot(struct rti_task_table *table)
{
    struct rt_task *task = table->free;

    table->free = task->next;
    __builtin_prefetch(table->free); /* many that are spawned together */
    table->used++;
    return task;
}

static inline __attribute__((always_inline)) int take_slot(struct rti_executor *executor,
                                                           struct rt_task **out)
{
    struct rti_task_table *table = &executor->tasks;

    if (RTI_UNLIKELY(table->free == NULL)) {
        const int r = add_block(executor);

        if (r < 0) {
            return r;
        }
    }
    *out = pop_slot(table);
    return 0;
}

static void give_slot(struct rt_task *task)
{
    struct rti_task_table *table = &task->executor->tasks;

    task->next = table->free;
    table->free = task;
    table->used--;
}

/* The end of a task: nobody can name it any more (T5, T6). */
void rti_task_free(struct rt_task *task)
{
    RTI_DASSERT(task->waiter == NULL && task->awaiter == NULL && task->group == NULL &&
                task->call == NULL && task->locals == NULL); /* T11 */
    rti_trace(task->executor, RT_TRACE_FREE, task, NULL, NULL, 0);
    task->state = RTI_TASK_CLOSED;
    task->generation++;
    rti_taskq_leave(task->queue);
    give_slot(task);
}

/* Birth */

static void first_returned(struct rti_executor *executor, int result)
{
    if (executor->inbox != NULL) {
        executor->inbox->ops->first_returned(executor->inbox, result);
    } else {
        rti_executor_drain(executor);
    }
}

RTI_COLD void rti_task_has_not_left(const struct rt_task *task)
{
    const bool stays = (task->state & RTI_TASK_STAYS) != 0; /* its frame, and the name, is gone */

    rti_misuse("task %u '%s' returns from within a %s", task->index,
               task->name != NULL ? task->name : "",
               stays ? "no-suspend section that it has not ended" : "scope that it has not left");
}

RTI_COLD void rti_task_put_locals(struct rt_task *task)
{
    rti_locals_put(task->executor, task->locals);
    task->locals = NULL;
}

/* What few tasks have at their end: a scope that was not left, a trace, locals. */
static RTI_NOINLINE void complete_with_care(struct rt_task *task)
{
    if ((task->state & RTI_TASK_MUST_LEAVE) != 0) {
        rti_task_has_not_left(task);
    }
    rti_trace(task->executor, RT_TRACE_RETURN, task, NULL, NULL, task->result);
    if (task->locals != NULL) {
        rti_task_put_locals(task);
    }
}

/* Keeps nothing but the task over its calls, and so saves one register. */
static inline __attribute__((always_inline)) void complete(struct rt_task *task, bool has_stack,
                                                           int result)
{
    task->result = result;
    if (RTI_UNLIKELY((task->state & RTI_TASK_MUST_LEAVE) != 0 || task->executor->trace != NULL ||
                     task->locals != NULL)) {
        complete_with_care(task);
    }
    task->state = (task->state & ~(uint32_t)(RTI_TASK_RUNNING | RTI_TASK_SCHEDULED)) | /* T1, T2 */
                  RTI_TASK_COMPLETED;
    if (has_stack) {
        rti_stack_put(task->executor->stacks, task->stack); /* nobody gets one before the exit */
        task->stack = NULL;
    }
    task->executor->tasks.active--;
    if (task->awaiter != NULL) {
        rti_waiter_finish(task->awaiter, 0);
    }
    if (task->group != NULL) {
        rti_group_task_ended(task->group, task, task->result);
        task->group = NULL; /* T11 */
    }
    if (RTI_UNLIKELY(task == task->executor->first)) {
        first_returned(task->executor, task->result);
    }
    if ((task->state & RTI_TASK_HANDLE) == 0) {
        rti_task_free(task);
    }
}

void rti_task_discard(struct rt_task *task)
{
    struct rti_executor *executor = task->executor;

    if (task->stack != NULL) {
        rti_stack_put(executor->stacks, task->stack);
        task->stack = NULL;
    }
    if (task->locals != NULL) {
        rti_task_put_locals(task);
    }
    task->state = RTI_TASK_COMPLETED | RTI_TASK_HANDLE;
    executor->tasks.active--;
    rt_detach(task);
}

void rti_task_complete_future(struct rt_task *task, int result)
{
    complete(task, false, result);
}

static RTI_NORETURN void task_main(void *arg)
{
    struct rt_task *task = arg;

    const int result = task->start.fn(task->start.arg);

    if (RTI_DEBUG) {
        rti_group_check_left(task);
    }
    complete(task, true, result);
    rti_task_exit(task);
}

/* As task_main(), and how deep the stack went is noted (core/stack_marks.h). */
static RTI_NORETURN void measured_main(void *arg)
{
    struct rt_task *task = arg;
    const rt_task_fn fn = task->start.fn; /* the task forgets it */
    const bool begun = rti_stack_marks_begin(task->stack);
    const int result = fn(task->start.arg);

    rti_stack_marks_end(&task->executor->stack_marks, fn, task->stack, begun);
    if (RTI_DEBUG) {
        rti_group_check_left(task);
    }
    complete(task, true, result);
    rti_task_exit(task);
}

static int choose_stack(const struct rti_executor *executor, uint32_t bytes,
                        enum rti_stack_class *out)
{
    if (bytes == 0) {
        *out = executor->stack_class;
        return 0;
    }
    for (int c = 0; c < RTI_STACK_CLASSES; c++) {
        if (bytes <= rti_stack_class_bytes((enum rti_stack_class)c)) {
            *out = (enum rti_stack_class)c;
            return 0;
        }
    }
    rti_log(&executor->log, RT_LOG_ERROR,
            "a stack of %u bytes was asked for; a task's stack is at most 256 KiB", bytes);
    return -EINVAL;
}

/* The spawner's queue; of what the loop itself makes, the default one. */
static inline struct rt_taskq *own_queue(struct rti_executor *executor)
{
    return executor->running != NULL ? executor->active : &executor->queue;
}

static int check_queue(const struct rt_taskq *queue)
{
    const struct rti_executor *executor = queue->executor;

    rti_executor_must_own(executor, "a spawn in a task queue");
    if (queue->entity.children.members == 0) {
        return 0;
    }
    rti_log(&executor->log, RT_LOG_ERROR,
            "a task was to be spawned in task queue '%s', which is the parent of others and has no "
            "tasks of its own",
            queue->name);
    return -EINVAL;
}

/* Everything that can fail in making a task. Inlined, as start(): a spawn is a fifth faster. */
static inline __attribute__((always_inline)) int
reserve_slot(struct rti_executor *executor, struct rt_taskq *queue, struct rt_task **out)
{
    int r = take_slot(executor, out);

    if (r < 0) {
        return r;
    }
    r = rti_taskq_join(queue);
    if (RTI_UNLIKELY(r < 0)) {
        give_slot(*out);
    }
    (*out)->queue = queue;
    return r;
}

static inline __attribute__((always_inline)) int reserve(struct rti_executor *executor,
                                                         struct rt_taskq *queue,
                                                         uint32_t stack_bytes, struct rt_task **out)
{
    enum rti_stack_class stack_class;
    int r = choose_stack(executor, stack_bytes, &stack_class);

    if (r < 0) {
        return r;
    }
    r = reserve_slot(executor, queue, out);
    if (r < 0) {
        return r;
    }
    r = rti_stack_get(executor->stacks, stack_class, &(*out)->stack);
    if (RTI_UNLIKELY(r < 0)) {
        rti_taskq_leave(queue);
        give_slot(*out);
    }
    return r;
}

static void join_group(struct rt_task *task, struct rt_group *group)
{
    if (group != NULL) {
        task->group = group;
        rti_group_join(group, task);
    }
}

/* From a reserved slot to a task that stands in its queue. */
static inline __attribute__((always_inline)) void start(struct rt_task *task, const char *name,
                                                        uint32_t state)
{
    struct rti_executor *executor = task->executor;

    task->name = name;
    task->state = RTI_TASK_SCHEDULED | state;
    task->locals = executor->running == NULL ? NULL : rti_locals_get(executor->running->locals);
    executor->tasks.active++;
    executor->spawns++;
    if (RTI_UNLIKELY(executor->trace != NULL)) {
        rti_trace_emit(executor, RT_TRACE_SPAWN, task, executor->running, NULL, 0);
        rti_trace_emit(executor, RT_TRACE_SCHEDULE, task, NULL, NULL, 0);
    }
    rti_taskq_push(task->queue, task);
}

static inline __attribute__((always_inline)) void
start_fiber(struct rt_task *task, rt_task_fn fn, void *arg, const char *name, uint32_t state)
{
    const bool measured = (task->executor->config.flags & RT_CONFIG_STACK_MARKS) != 0;

    task->start.fn = fn;
    task->start.arg = arg;
    rti_fiber_init(&task->fiber, task->stack, measured ? measured_main : task_main, task);
    start(task, name, state);
}

static int may_spawn(const struct rti_executor *executor)
{
    const struct rti_task_table *table = &executor->tasks;

    if (executor->draining) {
        return -ESHUTDOWN;
    }
    return table->used - table->extra >= table->max ? -EAGAIN : 0;
}

static RTI_NOINLINE int refused(struct rti_executor *executor, int r)
{
    executor->spawns_refused += r == -EAGAIN || r == -ENOMEM;
    return r;
}

/* `options` are those of this library, complete. */
static int spawn_as(struct rti_executor *executor, struct rt_task **out, rt_task_fn fn, void *arg,
                    const struct rt_spawn_options *options, struct rt_group *group)
{
    struct rt_taskq *queue = own_queue(executor);
    struct rt_task *task = NULL;
    int r = 0;

    if (options->queue != NULL) {
        queue = options->queue;
        r = check_queue(queue);
    }
    if (r == 0) {
        r = may_spawn(executor);
    }
    if (r == 0) {
        r = reserve(executor, queue, options->stack_bytes, &task);
    }
    if (RTI_UNLIKELY(r != 0)) {
        return refused(executor, r);
    }
    join_group(task, group);
    start_fiber(task, fn, arg, options->name, out != NULL ? RTI_TASK_HANDLE : 0);
    if (out != NULL) {
        *out = task;
    }
    return 0;
}

static RTI_NOINLINE int spawn_with_care(struct rti_executor *executor, struct rt_task **out,
                                        rt_task_fn fn, void *arg,
                                        const struct rt_spawn_options *options,
                                        struct rt_group *group)
{
    struct rt_spawn_options read = { .name = NULL };
    const int r = options == NULL ? 0 : rti_sized_copy(&read, sizeof(read), options);

    return r < 0 ? r : spawn_as(executor, out, fn, arg, &read, group);
}

/* The short way of a spawn, that cannot fail: a task does it, nobody traces, a slot is there. */
static inline __attribute__((always_inline)) bool
can_spawn_quickly(const struct rti_executor *executor)
{
    return RTI_LIKELY(executor->running != NULL && !executor->careful && may_spawn(executor) == 0 &&
                      executor->tasks.free != NULL && rti_taskq_has_place(executor->active));
}

/* And for a fiber a warm stack. */
static inline __attribute__((always_inline)) bool
can_spawn_fiber_quickly(const struct rti_executor *executor)
{
    return can_spawn_quickly(executor) &&
           RTI_LIKELY(rti_stack_is_warm(executor->stacks, executor->stack_class));
}

/* A slot that stands in the queue, with all that fibers and futures have in common. */
static inline __attribute__((always_inline)) struct rt_task *
spawn_quickly(struct rti_executor *executor, uint32_t state, struct rt_group *group)
{
    struct rt_taskq *queue = executor->active;
    struct rt_task *task = pop_slot(&executor->tasks);

    queue->members++;
    task->queue = queue;
    task->name = NULL;
    task->state = RTI_TASK_SCHEDULED | state;
    if (RTI_UNLIKELY(executor->running->locals != NULL)) {
        task->locals = rti_locals_get(executor->running->locals);
    }
    executor->tasks.active++;
    executor->spawns++;
    rti_taskq_push_active(queue, task);
    join_group(task, group);
    return task;
}

static inline __attribute__((always_inline)) struct rt_task *
spawn_fiber_quickly(struct rti_executor *executor, rt_task_fn fn, void *arg, uint32_t state,
                    struct rt_group *group)
{
    struct rti_stack *stack = rti_stack_get_warm(executor->stacks, executor->stack_class);
    struct rt_task *task = spawn_quickly(executor, state, group);

    task->stack = stack;
    task->start.fn = fn;
    task->start.arg = arg;
    rti_fiber_init(&task->fiber, stack, task_main, task);
    return task;
}

int rti_task_spawn(struct rti_executor *executor, struct rt_task **out, rt_task_fn fn, void *arg,
                   const struct rt_spawn_options *options, struct rt_group *group)
{
    struct rt_task *task;

    if (options != NULL || !can_spawn_fiber_quickly(executor)) {
        return spawn_with_care(executor, out, fn, arg, options, group);
    }
    task = spawn_fiber_quickly(executor, fn, arg, out != NULL ? RTI_TASK_HANDLE : 0, group);
    if (out != NULL) {
        *out = task;
    }
    return 0;
}

static RTI_NOINLINE int spawn_future_with_care(struct rti_executor *executor, struct rt_task **out,
                                               struct rt_future *future,
                                               const struct rt_spawn_options *options,
                                               struct rt_group *group)
{
    struct rt_spawn_options read = { .name = NULL };
    struct rt_taskq *queue = own_queue(executor);
    struct rt_task *task;
    int r = options == NULL ? 0 : rti_sized_copy(&read, sizeof(read), options);

    if (r == 0 && read.queue != NULL) {
        queue = read.queue;
        r = check_queue(queue);
    }
    if (r == 0) {
        r = may_spawn(executor);
    }
    if (r == 0) {
        r = reserve_slot(executor, queue, &task);
    }
    if (RTI_UNLIKELY(r != 0)) {
        return refused(executor, r);
    }
    task->poll.future = future;
    task->poll.begun = NULL;
    join_group(task, group);
    start(task, read.name, RTI_TASK_FUTURE | (out != NULL ? RTI_TASK_HANDLE : 0));
    if (out != NULL) {
        *out = task;
    }
    return 0;
}

int rti_task_spawn_future(struct rti_executor *executor, struct rt_task **out,
                          struct rt_future *future, const struct rt_spawn_options *options,
                          struct rt_group *group)
{
    struct rt_task *task;

    if (options != NULL || !can_spawn_quickly(executor)) {
        return spawn_future_with_care(executor, out, future, options, group);
    }
    task = spawn_quickly(executor, RTI_TASK_FUTURE | (out != NULL ? RTI_TASK_HANDLE : 0), group);
    task->poll.future = future;
    task->poll.begun = NULL;
    if (out != NULL) {
        *out = task;
    }
    return 0;
}

/* Whoever runs just now, the task is not his. */
static int spawn_for_others(struct rt_taskq *queue, struct rt_task **out, rt_task_fn fn, void *arg,
                            const char *name)
{
    const int r = reserve(queue->executor, queue, 0, out);

    if (r < 0) {
        return r;
    }
    join_group(*out, NULL);
    start_fiber(*out, fn, arg, name, 0);
    if ((*out)->locals != NULL) {
        rti_task_put_locals(*out);
    }
    return 0;
}

int rti_task_spawn_extra(struct rti_executor *executor, struct rt_task **out, rt_task_fn fn,
                         void *arg, const char *name)
{
    int r = -EAGAIN;

    if (rti_task_has_extra(&executor->tasks)) {
        r = spawn_for_others(&executor->queue, out, fn, arg, name);
    }
    executor->tasks.extra += r == 0;
    return r;
}

int rti_task_spawn_served(struct rt_taskq *queue, rt_task_fn fn, void *arg, const char *name)
{
    struct rt_task *task;
    const int r = may_spawn(queue->executor);

    return r < 0 ? r : spawn_for_others(queue, &task, fn, arg, name);
}

int rt_spawn(struct rt_task **out, rt_task_fn fn, void *arg)
{
    struct rti_executor *executor = rti_executor_here("rt_spawn");

    if (out == NULL || !can_spawn_fiber_quickly(executor)) {
        return spawn_with_care(executor, out, fn, arg, NULL, NULL);
    }
    *out = spawn_fiber_quickly(executor, fn, arg, RTI_TASK_HANDLE, NULL);
    return 0;
}

int rt_spawn_with(struct rt_task **out, rt_task_fn fn, void *arg,
                  const struct rt_spawn_options *options)
{
    return rti_task_spawn(rti_executor_here("rt_spawn_with"), out, fn, arg, options, NULL);
}

int rt_spawn_in(struct rt_task **out, struct rt_taskq *queue, rt_task_fn fn, void *arg)
{
    const struct rt_spawn_options options = { .queue = queue };

    return spawn_as(rti_executor_here("rt_spawn_in"), out, fn, arg, &options, NULL);
}

/* Wake and cancel */

static RTI_COLD void trace_wake(struct rt_task *task, bool waits)
{
    rti_trace_emit(task->executor, RT_TRACE_WAKE, task, task->executor->running, NULL, 0);
    if (waits) {
        rti_trace_emit(task->executor, RT_TRACE_SCHEDULE, task, NULL, NULL, 0);
    }
}

void rti_task_wake(struct rt_task *task)
{
    const uint32_t state = task->state;
    const bool waits = (state & RTI_TASK_RUNNING) == 0; /* else when its run ends: T1 */

    if ((state & (RTI_TASK_SCHEDULED | RTI_TASK_COMPLETED | RTI_TASK_CLOSED)) != 0) {
        return;
    }
    task->state = state | RTI_TASK_SCHEDULED;
    if (RTI_UNLIKELY(task->executor->trace != NULL)) {
        trace_wake(task, waits);
    }
    if (waits) {
        rti_make_runnable(rti_current, task);
    }
}

void rti_task_cancel(struct rt_task *task)
{
    const uint32_t over = RTI_TASK_COMPLETED | RTI_TASK_CLOSED | RTI_TASK_CANCEL;

    if ((task->state & over) != 0) {
        return;
    }
    rti_trace(task->executor, RT_TRACE_CANCEL, task, task->executor->running, NULL, 0);
    task->state |= RTI_TASK_CANCEL;
    if (RTI_UNLIKELY((task->state & (RTI_TASK_FUTURE | RTI_TASK_SCOPED)) != 0)) {
        if ((task->state & RTI_TASK_FUTURE) != 0) {
            rti_task_wake(task); /* its next run ends it */
        } else {
            rti_scope_review(task);
        }
    } else if (task->waiter != NULL && task->waiter->mode == RTI_WAIT_PLAIN) {
        rti_waiter_abort(task->waiter, -ECANCELED);
    }
}

/* The join handle */

void rti_task_must_be_handle(const struct rt_task *task, const char *call)
{
    if (RTI_UNLIKELY(task == NULL || (task->state & RTI_TASK_HANDLE) == 0)) {
        rti_misuse("%s(): not a join handle, or it has ended", call);
    }
    rti_executor_must_own(task->executor, call);
}

void rt_detach(struct rt_task *task)
{
    if (task == NULL) {
        return;
    }
    rti_task_must_be_handle(task, "rt_detach");
    if (RTI_UNLIKELY(task->awaiter != NULL)) {
        rti_misuse("rt_detach(): task %u is being joined", task->index);
    }
    task->state &= ~(uint32_t)RTI_TASK_HANDLE;
    if ((task->state & RTI_TASK_COMPLETED) != 0) {
        rti_task_free(task);
    }
}

void rt_cancel(struct rt_task *task)
{
    rti_task_must_be_handle(task, "rt_cancel");
    rti_task_cancel(task);
}

bool rt_is_finished(const struct rt_task *task)
{
    rti_task_must_be_handle(task, "rt_is_finished");
    return (task->state & RTI_TASK_COMPLETED) != 0;
}

/* The running task */

void rt_cancel_self(void)
{
    rti_task_cancel(rti_executor_here("rt_cancel_self")->running);
}

bool rt_cancelled(void)
{
    return rti_task_must_end(rti_executor_here("rt_cancelled")->running);
}

struct rt_waker rt_waker_self(void)
{
    struct rt_task *task = rti_executor_here("rt_waker_self")->running;

    return (struct rt_waker){ .task = task, .generation = task->generation };
}

const struct rt_task *rt_self(void)
{
    return rti_executor_here("rt_self")->running;
}

uint32_t rt_task_id(const struct rt_task *task)
{
    return task->index;
}

const char *rt_task_name(const struct rt_task *task)
{
    return task->name != NULL ? task->name : "";
}

uint32_t rt_self_id(void)
{
    return rti_executor_here("rt_self_id")->running->index;
}

void rt_self_set_name(const char *name)
{
    rti_executor_here("rt_self_set_name")->running->name = name;
}

/* Dumps */

const char *rti_task_state_name(const struct rt_task *task)
{
    if ((task->state & RTI_TASK_CLOSED) != 0) {
        return "free";
    }
    if ((task->state & RTI_TASK_COMPLETED) != 0) {
        return "completed";
    }
    if ((task->state & RTI_TASK_RUNNING) != 0) {
        return "running";
    }
    return (task->state & RTI_TASK_SCHEDULED) != 0 ? "runnable" : "waiting";
}

void rti_task_describe(const struct rt_task *task, char *text, size_t bytes)
{
    const struct rti_waiter *waiter = task->waiter;
    int n = snprintf(text, bytes, "task %u '%s' %s%s", task->index,
                     task->name != NULL ? task->name : "", rti_task_state_name(task),
                     (task->state & RTI_TASK_CANCEL) != 0 ? ", cancelled" : "");

    if (waiter != NULL && n > 0 && (size_t)n < bytes) {
        n += snprintf(text + n, bytes - (size_t)n, ", in %s", waiter->kind->name);
        if (waiter->kind == &rti_join_kind && (size_t)n < bytes) {
            snprintf(text + n, bytes - (size_t)n, " of task %u",
                     ((const struct rt_task *)waiter->object)->index);
        }
    }
}
