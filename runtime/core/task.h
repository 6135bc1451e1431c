/* SPDX-License-Identifier: MIT */
/*
 * Task: a slot in the shard's task table, and the state word that all of its
 * life goes through.
 *
 *                spawn                    picked
 *      (free) ----------> SCHEDULED -----------------> RUNNING
 *         ^                  ^  ^                       |  |  |
 *         |       rti_wake   |  |   suspends, woken     |  |  | suspends
 *         |   +--------------+  +-----------------------+  |  v
 *         |   |            (SCHEDULED was set while RUNNING)|  (no bit: waiting)
 *         |   +------------------------------------------- | --+
 *         |                                                v returns
 *         +------------------------------------------- COMPLETED
 *           no HANDLE left: slot free, generation + 1
 *
 * T1 SCHEDULED: the task stands in its queue once, or (with RUNNING) will be
 *    put there right after its run. Never together with COMPLETED.
 * T2 RUNNING: its code runs; at most one task of a shard. Never together with COMPLETED.
 * T3 CANCEL: it was asked to end. Never cleared.
 * T4 COMPLETED: its result is stored, its stack is back in the pool.
 * T5 HANDLE: a join handle exists. The slot is free when COMPLETED and not HANDLE.
 * T7 INLINE: it runs a call of another shard and has not suspended in it; when it
 *    does, the inbox is told and the bit goes. Only together with RUNNING.
 * T8 FUTURE: it is polled and has no stack. ENDING: polling is over, `result` is what it will
 *    complete with, and waits that it has begun may go on (core/future.h).
 * T9 POLLING: a fiber runs the poll function of a future that it awaits: nothing may
 *    suspend, as in a future's own run. Only together with RUNNING.
 * T10 SCOPED: it is in a cancel scope or a shield (core/scope.h). Of fibers.
 * T12 STAYS: it is in a no-suspend section (core/no_suspend.h). Only together with RUNNING.
 * T6 CLOSED: the slot is free; set in the same step that frees it, so that a
 *    stale pointer is recognised as long as the slot is not used again.
 * T11 A free slot has no waiter, awaiter, group, call and locals: whoever sets one takes it back.
 *
 * The word is touched by its own shard only. Slots live in blocks that are
 * freed with the executor, so a stale waker may always look at its slot.
 */
#ifndef RTI_CORE_TASK_H
#define RTI_CORE_TASK_H

#include <stdint.h>

#include "base/compiler.h"
#include "core/taskq.h"
#include "core/wait.h"
#include "fiber/fiber.h"
#include "rt/group.h"
#include "rt/task.h"

enum rti_task_state {
    RTI_TASK_SCHEDULED = 1u << 0,
    RTI_TASK_RUNNING = 1u << 1,
    RTI_TASK_CANCEL = 1u << 2,
    RTI_TASK_COMPLETED = 1u << 3,
    RTI_TASK_CLOSED = 1u << 4,
    RTI_TASK_HANDLE = 1u << 5,
    RTI_TASK_INLINE = 1u << 6,
    RTI_TASK_FUTURE = 1u << 7,
    RTI_TASK_POLLING = 1u << 8,
    RTI_TASK_SCOPED = 1u << 9,
    RTI_TASK_ENDING = 1u << 10,
    RTI_TASK_STAYS = 1u << 11,
};

/* Of a task that runs: nothing may suspend (T8, T9, T12). */
#define RTI_TASK_POLLS  (RTI_TASK_FUTURE | RTI_TASK_POLLING)
#define RTI_TASK_PINNED (RTI_TASK_POLLS | RTI_TASK_STAYS)

struct rti_executor;
struct rti_locals; /* core/locals.h */

struct rt_task {
    uint32_t state;      /* enum rti_task_state */
    uint32_t generation; /* rises each time the slot is freed */
    struct rti_fiber fiber;
    struct rt_taskq *queue;     /* that the task belongs to */
    struct rti_waiter *waiter;  /* what it waits for, or NULL */
    struct rti_waiter *awaiter; /* who joins it, or NULL */
    struct rti_executor *executor;
    struct rti_stack *stack; /* NULL once COMPLETED */
    uint32_t index;          /* in the table; never changes */
    int32_t result;          /* valid when COMPLETED */

    union {
        struct { /* of a fiber, until its first run */
            rt_task_fn fn;
            void *arg;
        } start;
        struct rt_scope *scope; /* of a fiber that has run: the innermost; valid when SCOPED */
        struct {                /* FUTURE */
            struct rt_future *future;
            struct rt_future *begun; /* those whose waits it has begun and not taken */
        } poll;
    };
    const char *name;          /* NULL = none */
    struct rt_group *group;    /* NULL = none */
    struct rt_task *next;      /* in the group, or in the list of free slots */
    struct rt_task **link;     /* what points here in the group's list */
    struct rt_call *call;      /* of another shard, that the task runs and will answer, or NULL */
    struct rti_locals *locals; /* NULL: all are */
} RTI_ALIGNED(RTI_CACHE_LINE);

#define RTI_TASKS_PER_BLOCK 256
#define RTI_TASKS_EXTRA     1 /* tasks beyond the limit: the one that starts calls (cross/call.c) */
#define RTI_WAKES_PER_WORD  64

struct rti_task_block {
    struct rt_task tasks[RTI_TASKS_PER_BLOCK];
    /* A bit per task: another shard or thread wants it woken (cross/wake_map.h). Atomic. */
    uint64_t wakes[RTI_TASKS_PER_BLOCK / RTI_WAKES_PER_WORD];
};

struct rti_task_table {
    struct rt_task *free;           /* last freed first */
    struct rti_task_block **blocks; /* room for all that tasks_max needs */
    uint32_t block_count;
    uint32_t used;   /* slots that are not free */
    uint32_t extra;  /* of these, beyond the limit: 0..RTI_TASKS_EXTRA */
    uint32_t active; /* of the used ones, tasks that have not COMPLETED */
    uint32_t max;    /* of used - extra */
};

int rti_task_table_init(struct rti_task_table *table, uint32_t tasks_max);
void rti_task_table_fini(struct rti_task_table *table);

/* The word in which the bit of a task stands, and the bit. */
static inline uint64_t *rti_task_wakes(const struct rt_task *task, uint64_t *bit)
{
    const uint32_t in_block = task->index % RTI_TASKS_PER_BLOCK;
    struct rti_task_block *block = (struct rti_task_block *)(task - in_block);

    *bit = 1ull << (in_block % RTI_WAKES_PER_WORD);
    return &block->wakes[in_block / RTI_WAKES_PER_WORD];
}

/* Slot number `index`; NULL past the last one made. For walks over all tasks. */
struct rt_task *rti_task_at(const struct rti_task_table *table, uint32_t index);

/* Make a task of `executor`. `group` may be NULL; `out` too (no handle). */
int rti_task_spawn(struct rti_executor *executor, struct rt_task **out, rt_task_fn fn, void *arg,
                   const struct rt_spawn_options *options, struct rt_group *group);

/* As above, for a future. */
int rti_task_spawn_future(struct rti_executor *executor, struct rt_task **out,
                          struct rt_future *future, const struct rt_spawn_options *options,
                          struct rt_group *group);

/* A task that returns stands in a scope, or in a no-suspend section: aborts. */
#define RTI_TASK_MUST_LEAVE (RTI_TASK_SCOPED | RTI_TASK_STAYS)
RTI_NORETURN void rti_task_has_not_left(const struct rt_task *task);

/* A task has locals, and is to have none any more. */
void rti_task_put_locals(struct rt_task *task);

/* The task, a future that runs, ends with `result`. */
void rti_task_complete_future(struct rt_task *task, int result);

/* A task in `queue` for what another shard has sent: it has no handle, and inherits nothing. */
int rti_task_spawn_served(struct rt_taskq *queue, rt_task_fn fn, void *arg, const char *name);

/* Likewise for the runtime itself, in the default queue: works at the limit and while draining.
 * -EAGAIN when the extra slot is taken too. */
int rti_task_spawn_extra(struct rti_executor *executor, struct rt_task **out, rt_task_fn fn,
                         void *arg, const char *name);

/* Whether rti_task_spawn_extra() would find a slot. */
static inline bool rti_task_has_extra(const struct rti_task_table *table)
{
    return table->extra == 0 && table->used < table->max + RTI_TASKS_EXTRA;
}

/* A wake as of rt_wake(), by a waker of this task: a park ends by it. */
void rti_task_wake_by_waker(struct rt_task *task);

/* Put the task in its queue, unless it stands there or has ended (T1). The wake of everything. */
void rti_task_wake(struct rt_task *task);

/* Take away a task that was popped from its queue and has never run; it has no awaiter. */
void rti_task_discard(struct rt_task *task);

/* Ask the task to end. */
void rti_task_cancel(struct rt_task *task);

/* Whether the task was asked to end, and no shield holds that off; core/scope.c. */
bool rti_scope_must_end(const struct rt_task *task);
static inline bool rti_task_must_end(const struct rt_task *task)
{
    return RTI_UNLIKELY((task->state & (RTI_TASK_CANCEL | RTI_TASK_SCOPED)) != 0) &&
           rti_scope_must_end(task);
}

/* `task` must be a join handle of this shard that has not ended; aborts, naming the call. */
void rti_task_must_be_handle(const struct rt_task *task, const char *call);

/* The task has COMPLETED and has no HANDLE: its slot is free (T5, T6). */
void rti_task_free(struct rt_task *task);

/* Names for traces and dumps. */
const char *rti_task_state_name(const struct rt_task *task); /* "running", "runnable", ... */

/* One task, as a dump shows it: number, name, state, what it waits for. */
void rti_task_describe(const struct rt_task *task, char *text, size_t bytes);

/* In core/group.c. A task becomes a member; it has ended with `result`; a fiber ends: abort when a
 * group with live tasks lies in its stack. */
void rti_group_join(struct rt_group *group, struct rt_task *task);
void rti_group_task_ended(struct rt_group *group, struct rt_task *task, int result);
void rti_group_check_left(const struct rt_task *task);

#endif /* RTI_CORE_TASK_H */
