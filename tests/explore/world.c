/* SPDX-License-Identifier: MIT */
/*
 * World: see world.h. It hangs in the turn as its inbox does: there a step begins,
 * and there the loop is told not to sleep.
 */
#include "explore/world.h"

#include <errno.h>
#include <stdlib.h>

#include "core/future.h"
#include "core/op.h"
#include "os/sys.h"
#include "support/sim.h"

enum action { RUN, OPEN_GATE, EVENT, COMPLETE, COMPLETE_CANCELLED, TIMEOUT, SPURIOUS };

/* One thing that can happen in a step: with a task, an operation or an event. */
struct option {
    enum action action;
    unsigned which;
};

#define OPTIONS_MAX (2 + WORLD_EVENTS_MAX + 4 * WORLD_TASKS_MAX)

struct member {
    struct rt_task *task;
    const char *name;
    uint32_t generation;
    bool was_cancelled;
    struct rti_waiter *gate; /* that it waits at, or NULL */
};

struct rti_executor world_executor;

static const struct world_program *program;
static struct member members[WORLD_TASKS_MAX];
static unsigned member_count;
static unsigned fired[WORLD_EVENTS_MAX];
static unsigned timeouts_left;
static unsigned spurious_left;
static unsigned step_number;
static rt_time now;
static int completion;       /* of an operation: the last one */
static struct option chosen; /* of this step */

int world_completion(void)
{
    return completion;
}

/* ---- tasks ---- */

static bool lives(const struct member *member)
{
    return member->task->generation == member->generation &&
           (member->task->state & RTI_TASK_CLOSED) == 0;
}

static struct member *running_member(void)
{
    for (unsigned i = 0; i < member_count; i++) {
        if (lives(&members[i]) && members[i].task == world_executor.running) {
            return &members[i];
        }
    }
    explore_fail("a task of the program runs", __FILE__, __LINE__);
}

static const char *name_of(uint32_t index)
{
    const char *name = "nobody";

    for (unsigned i = 0; i < member_count; i++) {
        if (members[i].task->index == index) {
            name = members[i].name; /* of the last one in this slot */
        }
    }
    return name;
}

/* Each task that is made becomes a member, whoever made it. */
static void on_trace(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_SPAWN) {
        struct rt_task *task = rti_task_at(&world_executor.tasks, event->task);

        EXPLORE_CHECK(member_count < WORLD_TASKS_MAX);
        members[member_count++] = (struct member){
            .task = task,
            .name = task->name != NULL ? task->name : "child",
            .generation = task->generation,
        };
    }
    explore_tell("  %s: %s %s %lld", event->task != RT_TRACE_NO_TASK ? name_of(event->task) : "",
                 rt_trace_kind_name(event->kind), event->what != NULL ? event->what : "",
                 (long long)event->value);
}

void world_spawn(struct rt_task **out, const char *name, rt_task_fn fn, void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = name };

    EXPLORE_CHECK(rti_task_spawn(&world_executor, out, fn, arg, &options, NULL) == 0);
}

void world_spawn_future(struct rt_task **out, const char *name, struct rt_future *future)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = name };

    EXPLORE_CHECK(rti_task_spawn_future(&world_executor, out, future, &options, NULL) == 0);
}

/* ---- gates ---- */

static void never_abort(struct rti_waiter *waiter, int reason)
{
    (void)waiter;
    (void)reason;
    explore_fail("an exempt wait without a deadline is not ended", __FILE__, __LINE__);
}

static const struct rti_wait_kind gate_kind = { .name = "gate of the test", .abort = never_abort };

void world_gate(void)
{
    struct member *member = running_member();
    struct rti_waiter waiter;

    rti_waiter_init(&waiter, &gate_kind);
    waiter.mode = RTI_WAIT_EXEMPT;
    member->gate = &waiter;
    EXPLORE_CHECK(rti_wait(&waiter, RT_NEVER) == 0);
}

static void open_gate(struct member *member)
{
    struct rti_waiter *waiter = member->gate;

    member->gate = NULL;
    rti_waiter_finish(waiter, 0);
}

/* ---- what can happen ---- */

static bool is_ready(unsigned i)
{
    const struct world_event *event = &program->events[i];

    return fired[i] < (event->times > 0 ? event->times : 1) &&
           (event->ready == NULL || event->ready());
}

static void fire(unsigned i)
{
    fired[i]++;
    program->events[i].fire();
}

void world_point(void)
{
    unsigned ready[WORLD_EVENTS_MAX];
    unsigned count = 0;
    unsigned choice;

    for (unsigned i = 0; i < WORLD_EVENTS_MAX && program->events[i].name != NULL; i++) {
        if (is_ready(i)) {
            ready[count++] = i;
        }
    }
    choice = explore_choose(count + 1, "whether an event comes while the task runs");
    if (choice > 0) {
        explore_tell("event: %s", program->events[ready[choice - 1]].name);
        fire(ready[choice - 1]);
    }
}

/* Operation number `which` of those that the kernel has; NULL: there are not so many. */
static struct rti_op *operation(unsigned which)
{
    const uint64_t user_data = sim_held_user_data(which);
    struct rti_op *op = user_data == 0 ? NULL : rti_op_of_user_data(user_data);

    EXPLORE_CHECK((user_data == 0 || op != NULL) && "what the kernel has is in flight"); /* O1 */
    return op;
}

static bool waits(const struct member *member)
{
    return lives(member) && (member->task->state & (RTI_TASK_SCHEDULED | RTI_TASK_COMPLETED)) == 0;
}

static unsigned add(struct option *options, unsigned count, enum action action, unsigned which)
{
    options[count] = (struct option){ action, which };
    return count + 1;
}

static unsigned add_of_tasks(struct option *options, unsigned count)
{
    for (unsigned i = 0; i < member_count; i++) {
        if (lives(&members[i]) && members[i].gate != NULL) {
            count = add(options, count, OPEN_GATE, i);
        }
        if (spurious_left > 0 && waits(&members[i])) {
            count = add(options, count, SPURIOUS, i);
        }
    }
    return count;
}

static unsigned add_of_kernel(struct option *options, unsigned count)
{
    const struct rti_op *op;

    for (unsigned i = 0; i < WORLD_TASKS_MAX && (op = operation(i)) != NULL; i++) {
        count = add(options, count, COMPLETE, i);
        if (op->state == RTI_OP_CANCELLING) {
            count = add(options, count, COMPLETE_CANCELLED, i);
        }
    }
    return count;
}

static unsigned list_options(struct option *options)
{
    unsigned count = 0;

    if (rti_taskq_length(&world_executor.queue) > 0) {
        count = add(options, count, RUN, 0);
    }
    count = add_of_tasks(options, count);
    count = add_of_kernel(options, count);
    for (unsigned i = 0; i < WORLD_EVENTS_MAX && program->events[i].name != NULL; i++) {
        if (is_ready(i)) {
            count = add(options, count, EVENT, i);
        }
    }
    if (timeouts_left > 0 && world_executor.wheel.armed > 0) {
        count = add(options, count, TIMEOUT, 0);
    }
    return count;
}

/* ---- a step ---- */

static void tell(const struct option *option)
{
    static const char *const names[] = {
        [RUN] = "run the next task",
        [OPEN_GATE] = "let through:",
        [EVENT] = "event:",
        [COMPLETE] = "the kernel completes an operation:",
        [COMPLETE_CANCELLED] = "the kernel cancels an operation:",
        [TIMEOUT] = "the clock reaches a deadline",
        [SPURIOUS] = "a wake for nothing of",
    };
    const char *which = "";

    if (option->action == EVENT) {
        which = program->events[option->which].name;
    } else if (option->action == OPEN_GATE || option->action == SPURIOUS) {
        which = members[option->which].name;
    } else if (option->action == COMPLETE || option->action == COMPLETE_CANCELLED) {
        which = operation(option->which)->waiter.kind->name;
    }
    explore_tell("step %u: %s %s", step_number, names[option->action], which);
}

static void complete(unsigned which, int result)
{
    completion = result;
    EXPLORE_CHECK(sim_release_user_data(sim_held_user_data(which), result) == 1);
}

/* In the turn, before it takes completions. */
static void take(struct rti_inbox *inbox)
{
    (void)inbox;
    world_executor.runs_left.length = chosen.action == RUN ? 1 : 0;
    world_executor.ticks.due = RT_NEVER;
    world_executor.quota_ticks = 0; /* no more runs when these are used */
    switch (chosen.action) {
    case OPEN_GATE:
        open_gate(&members[chosen.which]);
        break;
    case EVENT:
        fire(chosen.which);
        break;
    case COMPLETE:
        complete(chosen.which, program->kernel_result);
        break;
    case COMPLETE_CANCELLED:
        complete(chosen.which, -ECANCELED);
        break;
    case SPURIOUS:
        spurious_left--;
        rti_task_wake(members[chosen.which].task);
        break;
    case RUN:
    case TIMEOUT:
    default:
        break;
    }
}

static bool stay_awake(struct rti_inbox *inbox)
{
    (void)inbox;
    return false;
}

/* Nothing is sent and nobody rings: the others are never called. */
static const struct rti_inbox_ops inbox_ops = { .take = take, .try_sleep = stay_awake };
static struct rti_inbox inbox = { .ops = &inbox_ops };

static unsigned times_in_queue(const struct rt_task *task)
{
    const struct rt_taskq *queue = &world_executor.queue;
    unsigned count = 0;

    for (uint64_t i = queue->head; i != queue->tail; i++) {
        count += queue->ring[i & queue->mask] == task;
    }
    return count;
}

/* A future that neither runs nor will: none of its waits is done, or, at its end, not all are. */
static void check_waits_of_future(const struct rt_task *task)
{
    const struct rt_future *begun = task->poll.begun;
    unsigned count = 0;
    unsigned done = 0;

    for (; begun != NULL; begun = begun->next) {
        count++;
        done += rti_future_waiter((struct rt_future *)begun)->done;
    }
    EXPLORE_CHECK((task->state & RTI_TASK_ENDING) != 0 ? done < count : done == 0);
}

static void check_wait(const struct rt_task *task)
{
    if ((task->state & RTI_TASK_FUTURE) != 0) {
        if ((task->state & RTI_TASK_SCHEDULED) == 0) {
            check_waits_of_future(task);
        }
        return;
    }
    if ((task->state & RTI_TASK_SCHEDULED) == 0) {
        EXPLORE_CHECK(task->waiter != NULL && !task->waiter->done); /* Q2: else its wake is lost */
    }
    if (task->waiter != NULL) {
        EXPLORE_CHECK(task->waiter->task == task); /* it lies in the task's own frame */
    }
}

static void check_member(struct member *member)
{
    const struct rt_task *task = member->task;
    const uint32_t state = task->state;

    if (!lives(member)) {
        EXPLORE_CHECK(task->generation > member->generation); /* T5 */
        return;
    }
    EXPLORE_CHECK((state & RTI_TASK_RUNNING) == 0); /* T2: between two runs */
    EXPLORE_CHECK((state & (RTI_TASK_SCHEDULED | RTI_TASK_COMPLETED)) !=
                  (RTI_TASK_SCHEDULED | RTI_TASK_COMPLETED));                   /* T1 */
    EXPLORE_CHECK(times_in_queue(task) == ((state & RTI_TASK_SCHEDULED) != 0)); /* T1 */
    EXPLORE_CHECK(!member->was_cancelled || (state & RTI_TASK_CANCEL) != 0);    /* T3 */
    member->was_cancelled = (state & RTI_TASK_CANCEL) != 0;
    if ((state & RTI_TASK_COMPLETED) != 0) {
        EXPLORE_CHECK(task->stack == NULL && (state & RTI_TASK_HANDLE) != 0); /* T4, T5 */
        return;
    }
    check_wait(task);
}

static void check(void)
{
    for (unsigned i = 0; i < member_count; i++) {
        check_member(&members[i]);
    }
    if (program->check != NULL) {
        program->check();
    }
}

static void step(const struct option *option)
{
    chosen = *option;
    step_number++;
    tell(option);
    if (option->action == TIMEOUT) {
        const rt_time next = rti_wheel_next(&world_executor.wheel);

        timeouts_left--;
        sim_advance(next > now ? next - now : 0);
        now = sim_now();
    }
    rti_executor_turn(&world_executor, now);
    check();
}

/* ---- a run ---- */

static void check_end(void)
{
    for (unsigned i = 0; i < member_count; i++) {
        if (lives(&members[i])) {
            char text[256];

            rti_task_describe(members[i].task, text, sizeof(text));
            explore_tell("left: %s", text);
        }
    }
    EXPLORE_CHECK(world_executor.tasks.active == 0 && "no task waits for ever");
    EXPLORE_CHECK(world_executor.tasks.used == 0 && "no task is left");
    EXPLORE_CHECK(world_executor.queue.members == 0);
    EXPLORE_CHECK(world_executor.wheel.armed == 0 && "no timer is left");
    EXPLORE_CHECK(world_executor.reactor.in_flight == 0 && sim_held(SIM_ANY) == 0);
}

static void run(void)
{
    struct option options[OPTIONS_MAX];
    unsigned count;

    member_count = 0;
    step_number = 0;
    completion = RT_PENDING;
    for (unsigned i = 0; i < WORLD_EVENTS_MAX; i++) {
        fired[i] = 0;
    }
    timeouts_left = program->timeouts;
    spurious_left = program->spurious;
    program->setup();
    while (program->settled && rti_taskq_length(&world_executor.queue) > 0) {
        step(&(struct option){ .action = RUN });
    }
    do {
        while ((count = list_options(options)) > 0) {
            step(&options[explore_choose(count, "what happens next")]);
        }
    } while (world_executor.tasks.active > 0 && program->release != NULL && program->release());
    check_end();
    if (program->finish != NULL) {
        program->finish();
    }
}

static void begin(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.trace = on_trace;
    config.tasks_max = WORLD_TASKS_MAX;
    (void)setenv("RT_SPURIOUS", "0", 1); /* wakes for nothing are a choice here */
    sim_begin(&(struct sim_config){ .seed = 1 });
    EXPLORE_CHECK(rti_executor_init(&world_executor, &config, -1) == 0);
    world_executor.inbox = &inbox;
    now = sim_now();
    sim_hold(SIM_ANY, SIM_RUNNING); /* the kernel answers by choice only */
}

static void end(void)
{
    sim_unhold();
    rti_executor_fini(&world_executor);
    EXPLORE_CHECK(sim_end(NULL) == 0);
}

bool world_explore(const struct world_program *chosen_program)
{
    struct explore all = {
        .name = chosen_program->name,
        .begin = begin,
        .run = run,
        .end = end,
        .runs_max = chosen_program->runs_max,
    };

    program = chosen_program;
    for (unsigned i = 0; i < EXPLORE_OUTCOMES_MAX; i++) {
        all.outcomes[i] = program->outcomes[i];
    }
    return explore(&all);
}
