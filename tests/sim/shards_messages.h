/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: what is posted and called, and where, when and how often that
 * must run.
 */
#ifndef RT_TEST_SHARDS_MESSAGES_H
#define RT_TEST_SHARDS_MESSAGES_H

#include "shards_state.h"

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

#endif /* RT_TEST_SHARDS_MESSAGES_H */
