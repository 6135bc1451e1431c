/* SPDX-License-Identifier: MIT */
/* Dump: see dump.h. Text and JSON are written side by side, from the same few looks at a task. */
#include "core/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/executor.h"
#include "core/future.h"
#include "fiber/backtrace.h"
#include "os/symbol.h"
#include "os/sys.h"

#define NAME_WIDTH 16 /* columns of a name in a text; a longer one pushes what follows aside */
#define NAME_BYTES 64

/* The order in which tasks are listed. */
enum state { RUNNING, RUNNABLE, WAITING, COMPLETED, STATES };

static const char *const state_names[] = { "running", "runnable", "waiting", "completed" };

/* How often something is waited for. */
struct wait_count {
    const char *name;
    uint32_t tasks;
};

struct counts {
    uint32_t states[STATES];
    uint32_t total;
    struct wait_count waits[RTI_DUMP_KINDS_MAX];
    uint32_t wait_kinds;
    uint32_t waits_of_others; /* that found no place in `waits` */
};

/* Looks at a task */

static enum state state_of(const struct rt_task *task)
{
    if ((task->state & RTI_TASK_COMPLETED) != 0) {
        return COMPLETED;
    }
    if ((task->state & RTI_TASK_RUNNING) != 0) {
        return RUNNING;
    }
    return (task->state & RTI_TASK_SCHEDULED) != 0 ? RUNNABLE : WAITING;
}

static bool is_future(const struct rt_task *task)
{
    return (task->state & RTI_TASK_FUTURE) != 0;
}

/* What the task waits for, the last begun first: NULL when it does not, or its event has happened.
 * A future may wait for several things. */
static const struct rti_waiter *wait_of(const struct rt_task *task)
{
    if (!is_future(task)) {
        return task->waiter != NULL && !task->waiter->done ? task->waiter : NULL;
    }
    if (state_of(task) != COMPLETED) {
        for (struct rt_future *future = task->poll.begun; future != NULL; future = future->next) {
            if (!rti_future_waiter(future)->done) {
                return rti_future_waiter(future);
            }
        }
    }
    return NULL;
}

static const struct rt_task *joined_by(const struct rti_waiter *waiter)
{
    return waiter->kind == &rti_join_kind ? waiter->object : NULL;
}

/* The calls that the task is in: how many, or none and *why. */
static int backtrace(const struct rt_task *task, uintptr_t *frames, const char **why)
{
    int count = 0;

    *why = "it has not run yet";
    if (state_of(task) == COMPLETED) {
        *why = "it has returned";
    } else if (is_future(task)) {
        *why = "a future has no stack"; /* but a poll function */
    } else if (state_of(task) == RUNNING) {
        *why = "it runs";
    } else {
        count = rti_fiber_backtrace(&task->fiber, task->stack, frames, RTI_DUMP_FRAMES_MAX);
        if (count == -ENOBUFS) {
            *why = "its stack has no room for the unwinder";
        }
    }
    return count > 0 ? count : 0;
}

static void count_wait(struct counts *counts, const char *name)
{
    for (uint32_t i = 0; i < counts->wait_kinds; i++) {
        if (strcmp(counts->waits[i].name, name) == 0) {
            counts->waits[i].tasks++;
            return;
        }
    }
    if (counts->wait_kinds < RTI_DUMP_KINDS_MAX) {
        counts->waits[counts->wait_kinds++] = (struct wait_count){ .name = name, .tasks = 1 };
    } else {
        counts->waits_of_others++;
    }
}

static void count_tasks(struct counts *counts, const struct rti_executor *executor)
{
    const struct rt_task *task;

    memset(counts, 0, sizeof(*counts));
    for (uint32_t i = 0; (task = rti_task_at(&executor->tasks, i)) != NULL; i++) {
        const struct rti_waiter *waiter = wait_of(task);

        if ((task->state & RTI_TASK_CLOSED) == 0) {
            counts->total++;
            counts->states[state_of(task)]++;
            if (waiter != NULL) {
                count_wait(counts, waiter->kind->name);
            }
        }
    }
}

/* Text */

static void text_frame(struct rti_text *text, uintptr_t address)
{
    struct rti_symbol symbol;

    rti_symbol_find(&symbol, address);
    if (symbol.name != NULL) {
        rti_text_add(text, "%s+0x%" PRIxPTR " ", symbol.name, symbol.offset);
    }
    rti_text_add(text, "(%s+0x%" PRIxPTR ")\n", symbol.module != NULL ? symbol.module : "?",
                 symbol.in_module);
}

static void text_backtrace(struct rti_text *text, const struct rt_task *task)
{
    uintptr_t frames[RTI_DUMP_FRAMES_MAX];
    const char *why;
    const int count = backtrace(task, frames, &why);

    if (is_future(task) && state_of(task) != COMPLETED) {
        rti_text_add(text, "            polled by ");
        text_frame(text, (uintptr_t)task->poll.future->poll);
    } else if (count == 0) {
        rti_text_add(text, "            no calls: %s\n", why);
    }
    for (int i = 0; i < count; i++) {
        rti_text_add(text, "            #%-2d ", i);
        text_frame(text, frames[i] - 1); /* the call, of which it is the return address */
    }
}

static void text_wait(struct rti_text *text, const struct rti_waiter *waiter, rt_time now)
{
    const struct rt_task *joined = joined_by(waiter);
    char what[64];

    if (joined != NULL) {
        snprintf(what, sizeof(what), "join of task %u", joined->index);
    } else if (waiter->object != NULL) {
        snprintf(what, sizeof(what), "%s of %p", waiter->kind->name, waiter->object);
    } else {
        snprintf(what, sizeof(what), "%s", waiter->kind->name);
    }
    rti_text_add(text, "  %-28s %10.3f s", what, (double)(now - waiter->since) / 1e9);
}

static void text_task(struct rti_text *text, const struct rt_task *task, rt_time now,
                      uint32_t flags)
{
    const struct rti_waiter *waiter = wait_of(task);

    rti_text_add(text, "  %8u  %-9s  %-6s  %-8s  ", task->index, state_names[state_of(task)],
                 is_future(task) ? "future" : "fiber", task->queue->name);
    rti_text_add_name(text, task->name, waiter != NULL ? NAME_WIDTH : 0, NAME_BYTES);
    if (waiter != NULL) {
        text_wait(text, waiter, now);
    }
    if ((task->state & RTI_TASK_CANCEL) != 0) {
        rti_text_add(text, "  cancelled");
    }
    if (task->group != NULL) {
        rti_text_add(text, "  in group %p", (void *)task->group);
    }
    if (task->awaiter != NULL) {
        rti_text_add(text, "  joined by task %u", task->awaiter->task->index);
    }
    if (state_of(task) == COMPLETED) {
        rti_text_add(text, "  result %d, not joined yet", task->result);
    }
    rti_text_add(text, "\n");
    if ((flags & RT_DUMP_BRIEF) == 0) {
        text_backtrace(text, task);
    }
}

static void text_head(struct rti_text *text, const struct rti_executor *executor,
                      const struct counts *counts, uint32_t shard)
{
    rti_text_add(text, "\nshard %u '", shard);
    rti_text_add_name(text, executor->config.name, 0, NAME_BYTES);
    if (executor->thread.cpu >= 0) {
        rti_text_add(text, "' on CPU %d", executor->thread.cpu);
    } else {
        rti_text_add(text, "' on any CPU");
    }
    rti_text_add(text, ": %u tasks: %u running, %u runnable, %u waiting, %u completed\n",
                 counts->total, counts->states[RUNNING], counts->states[RUNNABLE],
                 counts->states[WAITING], counts->states[COMPLETED]);
    rti_text_add(text, "  turn %" PRIu64 ", %u timers armed, %u operations in flight%s\n",
                 executor->turns, executor->wheel.armed, executor->reactor.in_flight,
                 executor->draining ? ", stopping" : "");
    if (counts->wait_kinds > 0) {
        rti_text_add(text, "  waits:");
        for (uint32_t i = 0; i < counts->wait_kinds; i++) {
            rti_text_add(text, "%s %u in %s", i > 0 ? "," : "", counts->waits[i].tasks,
                         counts->waits[i].name);
        }
        if (counts->waits_of_others > 0) {
            rti_text_add(text, ", %u in others", counts->waits_of_others);
        }
        rti_text_add(text, "\n");
    }
    rti_text_add(text, "  %8s  %-9s  %-6s  %-8s  %-16s  %-28s %12s\n", "ID", "STATE", "KIND",
                 "QUEUE", "NAME", "WAITS FOR", "SINCE");
}

static void text_tail(struct rti_text *text, uint32_t left_out)
{
    if (left_out > 0) {
        rti_text_add(text, "  and %u tasks more, which are counted above\n", left_out);
    }
}

/* JSON: docs/guide/dump.md describes it. */

static void json_frame(struct rti_text *text, uintptr_t address)
{
    struct rti_symbol symbol;

    rti_symbol_find(&symbol, address);
    rti_text_add(text, "{\"symbol\":");
    rti_text_add_json(text, symbol.name);
    if (symbol.name != NULL) {
        rti_text_add(text, ",\"offset\":%" PRIuPTR, symbol.offset);
    }
    rti_text_add(text, ",\"module\":");
    rti_text_add_json(text, symbol.module);
    rti_text_add(text, ",\"module_offset\":\"0x%" PRIxPTR "\"}", symbol.in_module);
}

static void json_backtrace(struct rti_text *text, const struct rt_task *task)
{
    uintptr_t frames[RTI_DUMP_FRAMES_MAX];
    const char *why;
    const int count = backtrace(task, frames, &why);

    if (is_future(task) && state_of(task) != COMPLETED) {
        rti_text_add(text, ",\"poll\":");
        json_frame(text, (uintptr_t)task->poll.future->poll);
    }
    if (count == 0) {
        rti_text_add(text, ",\"no_backtrace\":");
        rti_text_add_json(text, why);
        return;
    }
    for (int i = 0; i < count; i++) {
        rti_text_add(text, "%s", i == 0 ? ",\"backtrace\":[" : ",");
        json_frame(text, frames[i] - 1); /* the call, of which it is the return address */
    }
    rti_text_add(text, "]");
}

static void json_wait(struct rti_text *text, const struct rti_waiter *waiter, rt_time now)
{
    const struct rt_task *joined = joined_by(waiter);

    rti_text_add(text, ",\"waits_for\":");
    rti_text_add_json(text, waiter->kind->name);
    rti_text_add(text, ",\"waited_ns\":%lld", (long long)(now - waiter->since));
    if (joined != NULL) {
        rti_text_add(text, ",\"joins\":%u", joined->index);
    } else if (waiter->object != NULL) {
        rti_text_add(text, ",\"object\":\"%p\"", waiter->object);
    }
}

static void json_task(struct rti_text *text, const struct rt_task *task, rt_time now,
                      uint32_t flags)
{
    const struct rti_waiter *waiter = wait_of(task);

    rti_text_add(text, "{\"id\":%u,\"generation\":%u,\"name\":", task->index, task->generation);
    rti_text_add_json(text, task->name);
    rti_text_add(text, ",\"queue\":");
    rti_text_add_json(text, task->queue->name);
    rti_text_add(text, ",\"state\":\"%s\",\"kind\":\"%s\",\"cancelled\":%s",
                 state_names[state_of(task)], is_future(task) ? "future" : "fiber",
                 (task->state & RTI_TASK_CANCEL) != 0 ? "true" : "false");
    if (waiter != NULL) {
        json_wait(text, waiter, now);
    }
    if (task->group != NULL) {
        rti_text_add(text, ",\"group\":\"%p\"", (void *)task->group);
    }
    if (task->awaiter != NULL) {
        rti_text_add(text, ",\"joined_by\":%u", task->awaiter->task->index);
    }
    if (state_of(task) == COMPLETED) {
        rti_text_add(text, ",\"result\":%d", task->result);
    }
    if ((flags & RT_DUMP_BRIEF) == 0) {
        json_backtrace(text, task);
    }
    rti_text_add(text, "}");
}

static void json_head(struct rti_text *text, const struct rti_executor *executor,
                      const struct counts *counts, uint32_t shard)
{
    rti_text_add(text, "{\"shard\":%u,\"name\":", shard);
    rti_text_add_json(text, executor->config.name);
    rti_text_add(text,
                 ",\"answered\":true,\"cpu\":%d,\"turns\":%" PRIu64
                 ",\"timers_armed\":%u,\"ops_in_flight\":%u,\"stopping\":%s",
                 executor->thread.cpu, executor->turns, executor->wheel.armed,
                 executor->reactor.in_flight, executor->draining ? "true" : "false");
    rti_text_add(text, ",\"tasks_total\":%u", counts->total);
    for (int state = 0; state < STATES; state++) {
        rti_text_add(text, ",\"%s\":%u", state_names[state], counts->states[state]);
    }
    rti_text_add(text, ",\"waits\":{");
    for (uint32_t i = 0; i < counts->wait_kinds; i++) {
        rti_text_add(text, "%s", i > 0 ? "," : "");
        rti_text_add_json(text, counts->waits[i].name);
        rti_text_add(text, ":%u", counts->waits[i].tasks);
    }
    rti_text_add(text, "},\"tasks\":[");
}

static void json_tail(struct rti_text *text, uint32_t left_out)
{
    rti_text_add(text, "],\"left_out\":%u}", left_out);
}

/* The list of tasks as it is written. */
struct list {
    struct rti_text *text;
    const struct rti_executor *executor;
    rt_time now;
    uint32_t flags;
    uint32_t tasks; /* that are in it */
};

static void list_task(struct list *list, const struct rt_task *task)
{
    if ((list->flags & RT_DUMP_JSON) == 0) {
        text_task(list->text, task, list->now, list->flags);
    } else {
        rti_text_add(list->text, "%s", list->tasks > 0 ? "," : "");
        json_task(list->text, task, list->now, list->flags);
    }
    list->tasks++;
}

/* The tasks of one state, of which there are `count`, in the order of their numbers. */
static void list_tasks(struct list *list, enum state state, uint32_t count)
{
    for (uint32_t i = 0; count > 0 && list->tasks < RTI_DUMP_TASKS_MAX; i++) {
        const struct rt_task *task = rti_task_at(&list->executor->tasks, i);

        if ((task->state & RTI_TASK_CLOSED) == 0 && state_of(task) == state) {
            list_task(list, task);
            count--;
        }
    }
}

static void write_shard(struct rti_text *text, const struct rti_executor *executor, uint32_t shard,
                        uint32_t flags)
{
    const bool json = (flags & RT_DUMP_JSON) != 0;
    struct counts counts;
    struct list list = { .text = text, .executor = executor, .now = rti_sys_now(), .flags = flags };

    count_tasks(&counts, executor);
    (json ? json_head : text_head)(text, executor, &counts, shard);
    for (int state = 0; state < STATES; state++) {
        list_tasks(&list, (enum state)state, counts.states[state]);
    }
    (json ? json_tail : text_tail)(text, counts.total - list.tasks);
}

void rti_dump_shard(struct rti_dump *dump, const struct rti_executor *executor, uint32_t shard,
                    const struct rti_dump_request *request)
{
    dump->turn = executor->turns;
    if ((request->flags & RTI_DUMP_LINKS_ONLY) == 0) {
        write_shard(&dump->text, executor, shard, request->flags);
    }
    rti_links_collect(&dump->links, executor, shard, request->asked);
}

void rti_dump_fini(struct rti_dump *dump)
{
    rti_text_fini(&dump->text);
    rti_links_fini(&dump->links);
    dump->turn = 0;
}
