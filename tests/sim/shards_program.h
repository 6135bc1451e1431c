/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: what their tasks do, and what must be true of it.
 *
 * Nothing here runs by itself: shards_test.c and taskq_shards_test.c choose the seed and the sizes,
 * and check the ends.
 */
#ifndef RT_TEST_SHARDS_PROGRAM_H
#define RT_TEST_SHARDS_PROGRAM_H

#include "support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/executor.h"
#include "core/taskq.h"
#include "os/sys.h"
#include "rt/call.h"
#include "rt/rt.h"
#include "rt/start.h"
#include "support/rand.h"
#include "support/sim.h"

#define FEW_MAX    4  /* shards of a program that do something */
#define WIDE       66 /* shards of a wide program: doorbells have two words */
#define BURST 40 /* posts in a row: more than are published, or taken, at a time */
#define DEPTH_MAX  4
#define CALLS_MAX  3 /* under way in one task */
#define PARTS_MAX  6 /* of a set of calls */
#define STEPS_MAX  120 /* of all tasks of a program together */
#define QUEUES_MAX (1 + STEPS_MAX) /* numbers of task queues that all shards share */

enum step {
    STEP_POST,
    STEP_TRY_POST,
    STEP_BURST,
    STEP_CALL,
    STEP_CALLS,
    STEP_EACH,
    STEP_ALL,
    STEP_MEET,
    STEP_YIELD,
    STEP_SPAWN,
    STEP_CANCEL,
    STEP_SLEEP,
    STEP_STOP,
    STEP_MAKE_QUEUE, /* from here on: of programs that share task queues */
    STEP_DROP_QUEUE,
    STEP_ADOPT,
    STEP_KINDS
};

/* A number of task queues that all shards share. It may serve one after the other. */
struct number {
    unsigned life; /* rises when a queue is made */
    bool is_gone;  /* that one; the next is not made, or not yet on all shards */
    bool is_there; /* made, and nobody is about to drop it */
};

/* What was sent from one shard to another by tasks of one queue. */
struct flow {
    unsigned life; /* of the queue's number */
    uint64_t newest_begun;
};

struct program {
    struct rand_state rand;
    uint32_t shards;
    uint32_t active[FEW_MAX]; /* those that do something; the others only serve */
    uint32_t active_count;
    uint32_t kinds;     /* bits of enum step that it may take */
    bool has_deadlines; /* else every wait is for ever */
    bool has_room;      /* for all tasks that there can be */
    bool may_fail;      /* first tasks */
    unsigned steps_left;
    uint64_t clock; /* of events: 1, 2, 3 ... */
    struct flow flows[WIDE][WIDE];
    struct flow queue_flows[FEW_MAX][FEW_MAX][QUEUES_MAX]; /* where queues are shared */
    struct number numbers[QUEUES_MAX];
    bool has_queues;    /* task queues are shared */
    bool has_adopted;   /* a shared one was the parent of another one, on some shard */
    int key;            /* of a task-local value: what is called does not inherit it */
    uint64_t in_queues; /* functions that ran in a queue of their caller's number */
    uint64_t elsewhere; /* and in the default one, as there was none */
    uint64_t queues_made;
    uint64_t queues_dropped;
    uint64_t queues_busy; /* that could not be dropped */
    int first_results[WIDE];
    bool outside_releases; /* first tasks wait until the launching thread lets them go */
    struct rt_waker waiting[WIDE];
    bool is_waiting[WIDE];
    bool is_released[WIDE];
    uint64_t submissions;
    uint64_t posts_sent;
    uint64_t posts_run;
    uint64_t calls_run;
    uint64_t folded; /* parts of sets of calls */
    uint64_t meetings;
    struct rt_stats stats[WIDE]; /* when the first tasks ended */
    uint64_t hash;               /* of the run */
};

static struct program program; /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static uint32_t some_shard(void)
{
    return program.active[draw(program.active_count)];
}

static rt_time some_deadline(void)
{
    if (!program.has_deadlines) {
        return RT_NEVER;
    }
    switch (draw(4)) {
    case 0:
        return 0;
    case 1:
        return rt_in(draw(20000));
    case 2:
        return rt_in(draw(2000000));
    default:
        return RT_NEVER;
    }
}

/* Of a post. Where tasks are few, all may wait for each other's posts to start: not for ever. */
static rt_time post_deadline(void)
{
    return program.has_room ? some_deadline() : rt_in(draw(100000));
}

static int take_steps(unsigned count, unsigned depth);

/* ---- task queues that all shards share ---- */

/* A number that has a queue now, or 0. */
static uint32_t some_queue(void)
{
    const uint32_t first = draw(QUEUES_MAX);

    for (uint32_t i = 0; program.has_queues && i < QUEUES_MAX; i++) {
        const uint32_t number = (first + i) % QUEUES_MAX;

        if (number != 0 && program.numbers[number].is_there) {
            return number;
        }
    }
    return 0;
}

/* The default one where it is gone, or a parent. */
static struct rt_taskq *queue_to_spawn_in(void)
{
    struct rt_taskq *queue = rt_taskq_of_id(some_queue());

    return queue != NULL && queue->entity.children.members == 0 ? queue : rt_taskq_of_id(0);
}

static int make_queue(void)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t id = 0;
    int r;

    options.shares = 1 + draw(10000);
    options.latency = draw(4) == 0 ? RT_LATENCY_MIN * (1 + draw(20)) : 0;
    r = rt_taskq_create_all(&id, &options);
    T_CHECK(r == 0 || r == -EAGAIN || r == -ECANCELED || r == -ESHUTDOWN);
    if (r < 0) {
        T_CHECK(id == 0);
        return r;
    }
    T_CHECK(id > 0 && id < QUEUES_MAX && !program.numbers[id].is_there);
    program.numbers[id] = (struct number){ .life = program.numbers[id].life + 1, .is_there = true };
    program.queues_made++;
    return 0;
}

static int drop_queue(void)
{
    const uint32_t id = some_queue();
    int r;

    if (id == 0) {
        return 0;
    }
    program.numbers[id].is_there = false; /* nobody else drops it, or spawns in it, meanwhile */
    r = rt_taskq_destroy_all(id);
    T_CHECK(r == 0 || r == -EBUSY || r == -EAGAIN || r == -ECANCELED || r == -ESHUTDOWN);
    program.numbers[id].is_there = r < 0; /* on some shards, perhaps */
    program.numbers[id].is_gone = r == 0;
    program.queues_dropped += r == 0;
    program.queues_busy += r == -EBUSY;
    return r;
}

/* A shared queue becomes a parent here, while on other shards tasks may belong to it. */
static int adopt(void)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    const uint32_t id = some_queue();
    struct rt_taskq *child;
    int r;

    options.parent = id != 0 ? rt_taskq_of_id(id) : NULL;
    if (options.parent == NULL || options.parent->members > 0) {
        return 0;
    }
    T_CHECK(rt_taskq_create(&child, &options) == 0);
    program.has_adopted = true;
    r = rt_sleep_until(rt_in(draw(20000)));
    T_CHECK(rt_taskq_destroy(child) == 0);
    return r;
}

/* ---- messages: what is posted and called ---- */

struct message {
    uint32_t from;
    uint32_t to;
    unsigned depth;
    unsigned refs;  /* a post: its sender and its function */
    uint32_t queue; /* number of the sender's */
    unsigned life;  /* and which queue of that number */
    uint64_t begun; /* when the sender was about to send it */
    uint64_t sent;  /* when the sender was told that it is sent; 0: not yet */
    unsigned starts;
    unsigned ends;
    int returned;
    bool is_post;
    bool will_be_cancelled; /* so it may wait for that, and for ever if that is lost */
};

static struct message *message_new(unsigned depth, bool is_post)
{
    struct message *message = calloc(1, sizeof(*message));

    T_CHECK(message != NULL);
    message->from = rt_shard_index();
    message->to = some_shard();
    message->depth = depth;
    message->queue = rt_taskq_self()->id;
    message->life = program.numbers[message->queue].life;
    message->refs = is_post ? 2 : 1;
    message->begun = ++program.clock;
    message->is_post = is_post;
    return message;
}

/* Inlined twice in a row, gcc 12 takes the second one for a use after free. */
static __attribute__((noinline)) void message_put(struct message *message)
{
    if (--message->refs == 0) {
        free(message);
    }
}

static struct flow *flow_of(const struct message *message)
{
    return program.has_queues ? &program.queue_flows[message->from][message->to][message->queue]
                              : &program.flows[message->from][message->to];
}

/* A call to oneself runs at once, in the caller's task. */
static bool is_here(const struct message *message)
{
    return message->from == message->to && !message->is_post;
}

/* Nothing that was sent later, in the same queue, has started earlier. Where queues are shared, a
 * shard that drains makes no more tasks for what comes, and need not wait for those it had made. */
static void check_order(const struct message *message)
{
    struct flow *flow = flow_of(message);

    if (is_here(message) || message->life < flow->life ||
        (program.has_queues && rti_current->draining)) {
        return;
    }
    if (program.has_adopted && rt_taskq_self()->id != message->queue) {
        return; /* its queue was a parent when it came: it stands in another line than later ones */
    }
    if (message->life > flow->life) { /* the first that comes of a queue that is new */
        *flow = (struct flow){ .life = message->life };
    }
    T_CHECK(message->sent == 0 || message->sent > flow->newest_begun);
    if (message->begun > flow->newest_begun) {
        flow->newest_begun = message->begun;
    }
}

/* It runs in the queue with its caller's number. In the default one only where there is none, or
 * was none when it came and the number's next queue has been made since; while the shard drains;
 * or where that was a parent when it came. */
static void check_queue(const struct message *message)
{
    const struct rt_taskq *named = rt_taskq_of_id(message->queue);
    const struct rt_taskq *self = rt_taskq_self();

    if (self->id != 0 || is_here(message)) {
        T_CHECK(self == named);
        program.in_queues += !is_here(message);
    } else if (named != NULL && named->id != 0) {
        const struct number *number = &program.numbers[message->queue];

        T_CHECK(message->life != number->life || number->is_gone || program.has_adopted ||
                rti_current->draining);
        program.elsewhere++;
    }
}

/* Of what it runs in, it is the first. */
static void check_identity(const struct message *message)
{
    if (!is_here(message)) {
        T_CHECK(rt_local_get(program.key) == NULL);
        T_CHECK(rt_local_set(program.key, &program) == 0);
    }
}

static int wait_for_cancel(void)
{
    while (!rt_cancelled()) {
        (void)rt_park(RT_NEVER);
    }
    return -ECANCELED;
}

/* A little of everything that a function can do before it returns. */
static int behave(const struct message *message)
{
    int r = 0;

    if (message->will_be_cancelled && draw(2) == 0) {
        return wait_for_cancel();
    }
    switch (draw(4)) {
    case 0:
        return (int)draw(1000);
    case 1:
        rt_yield();
        return (int)draw(1000);
    case 2:
        r = take_steps(1 + draw(2), message->depth + 1);
        return r == -ECANCELED && draw(2) == 0 ? r : (int)draw(1000);
    default:
        if ((program.kinds & (1U << STEP_SLEEP)) != 0) {
            r = rt_sleep_until(rt_in(draw(30000)));
        }
        T_CHECK(r == 0 || r == -ECANCELED || r == -ETIME);
        return r < 0 ? r : -(int)draw(100) - 1000;
    }
}

static int run_message(void *arg)
{
    struct message *message = arg;
    int result;

    T_CHECK(rt_shard_index() == message->to);
    T_CHECK(message->starts++ == 0);
    check_order(message);
    check_queue(message);
    check_identity(message);
    result = behave(message);
    T_CHECK(rt_shard_index() == message->to);
    message->returned = result;
    message->ends++;
    if (message->is_post) {
        program.posts_run++;
        message_put(message);
    }
    return result;
}

/* ---- posts ---- */

static int step_post(unsigned depth, bool tries)
{
    struct message *message = message_new(depth, true);
    int r;

    if (tries) {
        r = rt_try_post(message->to, run_message, message);
        T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    } else {
        r = rt_post(message->to, run_message, message, post_deadline());
        T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -ESHUTDOWN);
    }
    if (r == 0) {
        message->sent = ++program.clock;
        program.posts_sent++;
    } else {
        T_CHECK(message->starts == 0);
        T_CHECK(r != -ESHUTDOWN || depth > 0); /* a first task lives: nobody drains */
        message_put(message);
    }
    message_put(message);
    return tries ? 0 : r;
}

static int step_burst(unsigned depth)
{
    for (unsigned i = 0; i < BURST; i++) {
        (void)step_post(depth, true);
    }
    return 0;
}

/* ---- calls ---- */

/* Whether what the call says has happened. */
static void check_answer(struct message *message, int r, int result)
{
    switch (r) {
    case 0:
        T_CHECK(message->starts == 1 && message->ends == 1);
        T_CHECK(result == message->returned);
        program.calls_run++;
        break;
    case -ETIME:
    case -ECANCELED:
        T_CHECK(message->starts == message->ends);
        T_CHECK(message->starts == 0 || message->returned == -ECANCELED ||
                message->returned == -ETIME);
        break;
    case -ESHUTDOWN:
        T_CHECK(message->depth > 0); /* a first task lives: nobody drains */
        T_CHECK(message->starts == 0);
        break;
    case -EAGAIN:
        T_CHECK(message->starts == 0);
        break;
    default:
        T_CHECK(r == 0);
    }
    message_put(message);
}

static int step_call(unsigned depth)
{
    struct message *message = message_new(depth, false);
    const rt_time deadline = some_deadline();
    int result = -1;
    int r;

    message->will_be_cancelled = deadline != RT_NEVER && message->to != message->from;
    r = rt_call(message->to, run_message, message, &result, deadline);
    check_answer(message, r, result);
    return r;
}

/* Several under way at once; ended in another order. */
static int step_calls(unsigned depth)
{
    struct rt_call calls[CALLS_MAX];
    struct message *messages[CALLS_MAX];
    const rt_time deadline = some_deadline();
    unsigned count = 0;
    int last = 0;

    for (unsigned i = 0; i < CALLS_MAX; i++) {
        struct message *message = message_new(depth, false);
        int r;

        message->will_be_cancelled = deadline != RT_NEVER && message->to != message->from;
        r = rt_call_begin(&calls[count], message->to, run_message, message, some_deadline());
        T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -ESHUTDOWN);
        if (r == 0) {
            message->sent = ++program.clock;
            messages[count++] = message;
        } else {
            T_CHECK(message->starts == 0);
            message_put(message);
        }
    }
    for (unsigned i = 0, first = count > 0 ? draw(count) : 0; i < count; i++) {
        const unsigned at = (first + i) % count;
        int result = -1;

        last = rt_call_end(&calls[at], &result, deadline);
        check_answer(messages[at], last, result);
    }
    return last;
}

/* ---- sets of calls ---- */

struct fold {
    const struct rt_call_part *parts;
    uint32_t next; /* the first part that may still come */
};

static void fold_part(void *into, const struct rt_call_part *part)
{
    struct fold *fold = into;
    const uint32_t at = (uint32_t)(part - fold->parts);

    T_CHECK(at >= fold->next && part->error == 0);
    fold->next = at + 1;
    program.folded++;
}

static int first_error(const struct rt_call_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].error < 0) {
            return parts[i].error;
        }
    }
    return 0;
}

static int step_each(unsigned depth)
{
    const rt_time deadline = some_deadline();
    const uint32_t count = 1 + draw(PARTS_MAX);
    struct rt_call_part parts[PARTS_MAX];
    struct fold fold = { .parts = parts };
    int r;

    for (uint32_t i = 0; i < count; i++) {
        struct message *message = message_new(depth, false);

        message->will_be_cancelled = deadline != RT_NEVER && message->to != message->from;
        parts[i] = (struct rt_call_part){ .shard = message->to, .arg = message };
    }
    r = rt_map_reduce(parts, count, run_message, fold_part, &fold, deadline);
    T_CHECK(r == first_error(parts, count));
    for (uint32_t i = 0; i < count; i++) {
        check_answer(parts[i].arg, parts[i].error, parts[i].result);
    }
    return r;
}

/* What all shards do in one set: counted as it begins and as it ends. */
struct visits {
    unsigned begun;
    unsigned ended;
    unsigned gave_way;
};

static int visit(void *arg)
{
    struct visits *visits = arg;
    int r = 0;

    visits->begun++;
    if (draw(2) == 0) {
        rt_yield();
    } else if ((program.kinds & (1U << STEP_SLEEP)) != 0) {
        r = rt_sleep_until(rt_in(draw(30000)));
    }
    visits->ended++;
    visits->gave_way += r < 0;
    return r;
}

static int step_all(unsigned depth)
{
    struct rt_call_part parts[FEW_MAX];
    struct visits visits = { 0 };
    unsigned ran = 0;
    int r;

    if (program.shards > FEW_MAX) {
        return 0;
    }
    r = rt_call_all(parts, visit, &visits, some_deadline());
    T_CHECK(r == first_error(parts, program.shards));
    T_CHECK(r != -ESHUTDOWN || depth > 0); /* a first task lives: nobody drains */
    T_CHECK(visits.begun == visits.ended); /* all have answered */
    for (uint32_t i = 0; i < program.shards; i++) {
        T_CHECK(parts[i].shard == i);
        ran += parts[i].error == 0;
    }
    T_CHECK(ran <= visits.ended && ran + visits.gave_way >= visits.ended);
    return r;
}

/* ---- meeting: a task parks until another shard has woken it ---- */

struct meeting {
    struct rt_waker waker;
    bool has_come;
    unsigned refs;
};

static __attribute__((noinline)) void meeting_put(struct meeting *meeting)
{
    if (--meeting->refs == 0) {
        free(meeting);
    }
}

static int come(void *arg)
{
    struct meeting *meeting = arg;

    if (draw(3) == 0) {
        rt_yield();
    }
    meeting->has_come = true;
    rt_wake(meeting->waker);
    program.meetings++;
    program.posts_run++;
    meeting_put(meeting);
    return 0;
}

static int step_meet(void)
{
    struct meeting *meeting = calloc(1, sizeof(*meeting));
    int r;

    T_CHECK(meeting != NULL);
    meeting->refs = 2;
    meeting->waker = rt_waker_self();
    r = rt_post(some_shard(), come, meeting, some_deadline());
    if (r < 0) {
        meeting_put(meeting);
        meeting_put(meeting);
        return r;
    }
    program.posts_sent++;
    while (!meeting->has_come && r == 0) { /* a wake may be spurious, a lost one may not be */
        r = rt_park(RT_NEVER);
    }
    meeting_put(meeting);
    return r;
}

/* ---- steps ---- */

static int run_worker(void *arg)
{
    return take_steps(1 + draw(3), (unsigned)(uintptr_t)arg);
}

/* A task of the same shard, that is joined, cancelled or let go. */
static int step_spawn(unsigned depth, bool cancels)
{
    struct rt_task *task;
    int r = rt_spawn_in(&task, queue_to_spawn_in(), run_worker, (void *)(uintptr_t)(depth + 1));

    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    if (r < 0) {
        return 0;
    }
    if (draw(2) == 0) {
        rt_yield();
    }
    if (cancels) {
        rt_cancel(task);
    }
    r = draw(3) > 0 ? rt_join(task, NULL, some_deadline()) : -ETIME;
    if (r < 0) {
        rt_detach(task);
    }
    return r == -ECANCELED ? r : 0;
}

static int take_step(enum step step, unsigned depth)
{
    switch (step) {
    case STEP_POST:
    case STEP_TRY_POST:
        return step_post(depth, step == STEP_TRY_POST);
    case STEP_BURST:
        return step_burst(depth);
    case STEP_CALL:
        return step_call(depth);
    case STEP_CALLS:
        return step_calls(depth);
    case STEP_EACH:
        return step_each(depth);
    case STEP_ALL:
        return step_all(depth);
    case STEP_MEET:
        return program.has_room ? step_meet() : 0;
    case STEP_SPAWN:
    case STEP_CANCEL:
        return step_spawn(depth, step == STEP_CANCEL);
    case STEP_SLEEP:
        return rt_sleep_until(rt_in(draw(100000)));
    case STEP_STOP:
        if (draw(10) == 0) {
            rt_stop(NULL);
        }
        return 0;
    case STEP_MAKE_QUEUE:
        return make_queue();
    case STEP_DROP_QUEUE:
        return drop_queue();
    case STEP_ADOPT:
        return adopt();
    case STEP_YIELD:
    case STEP_KINDS:
    default:
        rt_yield();
        return 0;
    }
}

static int take_steps(unsigned count, unsigned depth)
{
    int r = 0;

    while (count-- > 0 && depth <= DEPTH_MAX && program.steps_left > 0 && r != -ECANCELED) {
        const enum step step = (enum step)draw(STEP_KINDS);

        if ((program.kinds & (1U << step)) != 0) {
            program.steps_left--;
            r = take_step(step, depth);
        }
    }
    return r == -ECANCELED ? r : 0;
}

static int wait_for_release(uint32_t shard)
{
    int r = 0;

    program.waiting[shard] = rt_waker_self();
    program.is_waiting[shard] = true;
    while (!program.is_released[shard] && r == 0) {
        r = rt_park(RT_NEVER);
    }
    program.is_waiting[shard] = false;
    return r;
}

static int first_task(void *arg)
{
    const uint32_t shard = rt_shard_index();
    int r = 0;

    (void)arg;
    T_CHECK(rt_shard_count() == program.shards);
    for (uint32_t i = 0; i < program.active_count; i++) {
        r = program.active[i] == shard ? take_steps(draw(40), 0) : r;
    }
    if (r == 0 && program.outside_releases) {
        r = wait_for_release(shard);
    }
    rt_stats_get(&program.stats[shard], sizeof(program.stats[shard]));
    if (program.may_fail && draw(4) == 0) {
        r = -(int)(shard + 200);
    }
    program.first_results[shard] = r;
    return r;
}

/* ---- threads that are no shards ---- */

static int run_submission(void *arg)
{
    return take_steps(draw(3), 1) == 0 ? *(int *)arg : -ECANCELED;
}

static int submit(struct rt_runtime *runtime, uint32_t shard, rt_task_fn fn, int value)
{
    struct rt_submission submission;
    int result = -1;
    int r = rt_submit(runtime, shard, &submission, fn, &value);

    T_CHECK(r == 0 || r == -ESHUTDOWN);
    if (r < 0) {
        return r;
    }
    do {
        r = rt_submission_wait(&submission, &result,
                               draw(2) == 0 ? RT_NEVER : sim_now() + draw(50000));
    } while (r == -ETIME);
    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    T_CHECK(r < 0 || result == value || result == -ECANCELED);
    program.submissions += r == 0;
    return r;
}

static int release(void *arg)
{
    const uint32_t shard = rt_shard_index();

    program.is_released[shard] = true;
    if (program.is_waiting[shard]) {
        rt_wake(program.waiting[shard]);
    }
    return *(int *)arg;
}

static void release_all(struct rt_runtime *runtime)
{
    for (uint32_t i = 0; i < program.shards; i++) {
        while (submit(runtime, i, release, (int)i) == -EAGAIN) { /* at its limit of tasks */
            sim_sleep(1000);
        }
    }
}

static void act_outside(struct rt_runtime *runtime)
{
    for (unsigned steps = draw(4); steps > 0; steps--) {
        switch (draw(3)) {
        case 0:
            sim_sleep(draw(200000));
            break;
        case 1:
            (void)submit(runtime, some_shard(), run_submission, (int)draw(1000));
            break;
        default:
            if ((program.kinds & (1U << STEP_STOP)) != 0) {
                rt_stop(runtime); /* perhaps not for the first time */
            }
            break;
        }
    }
}

static void *helper(void *runtime)
{
    act_outside(runtime);
    return NULL;
}

/* The launching thread, with another one that is no shard either. */
static void be_outside(struct rt_runtime *runtime, void *arg)
{
    const bool has_helper = draw(3) == 0;
    pthread_t thread;

    (void)arg;
    if (has_helper) {
        T_CHECK(rti_sys_thread_create(&thread, helper, runtime) == 0);
    }
    act_outside(runtime);
    if (has_helper) {
        T_CHECK(rti_sys_thread_join(thread) == 0);
    }
    if (program.outside_releases) {
        release_all(runtime);
    }
}

#endif /* RT_TEST_SHARDS_PROGRAM_H */
