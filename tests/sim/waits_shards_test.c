/* SPDX-License-Identifier: MIT */
/*
 * Waits for another shard: calls, calls in two halves, posts; as waits_test.c does for others.
 *
 * The program of waits_run.c runs on shard 0. What it calls runs on shard 1: a function
 * that waits until it is released, or is cancelled because its caller gives up. The
 * threads take turns, as the seed says.
 *
 *   - what a call says is what has happened: with success the function's result; else it has not
 *     run, or has given way; and it never runs on when the call has ended;
 *   - a post that says it was sent runs, once, and no other does.
 *
 * RT_SEED=<seed> replays one seed of each kind, RT_SEEDS=<n> runs that many, RT_WAIT=<name> only
 * kinds of that name.
 */
#include "waits.h"

#include <errno.h>
#include <string.h>

#include "support/shards.h"

#define CALL_RESULT 1000
#define POSTS_MAX   (WAITERS_MAX * WAITS_MAX)

/* Shard 1 serves until shard 0 is through. */
static struct {
    struct rt_waker waker;
    bool waits;
    bool is_over;
} server;

/* A runtime drains when the first tasks of all shards have returned. */
static void end_server(void)
{
    server.is_over = true;
    if (server.waits) {
        rt_wake(server.waker);
    }
}

static int serve(void)
{
    server.waker = rt_waker_self();
    server.waits = true;
    while (!server.is_over && rt_park(RT_NEVER) == 0) {
    }
    return 0;
}

/* Calls: the one that each waiter has under way. */

enum progress { NOT_STARTED, RUNS, GAVE_WAY, RETURNED };

static struct callee {
    enum progress progress;
    bool is_released;
    struct rt_waker waker;
    int expected;
} callees[WAITERS_MAX];

static void call_make_waiter(struct waiter *waiter)
{
    callees[waiter->number] = (struct callee){ .expected = CALL_RESULT + (int)waiter->number };
}

static int wait_for_release(void *arg)
{
    struct callee *callee = arg;

    T_CHECK(callee->progress == NOT_STARTED && rt_shard_index() == 1);
    callee->progress = RUNS;
    callee->waker = rt_waker_self();
    while (!callee->is_released) {
        if (rt_park(RT_NEVER) < 0) {
            callee->progress = GAVE_WAY;
            return -ECANCELED;
        }
    }
    callee->progress = RETURNED;
    return callee->expected;
}

static int call_call(struct waiter *waiter, rt_time deadline)
{
    return rt_call(1, wait_for_release, &callees[waiter->number], &waiter->result, deadline);
}

static bool call_got(struct waiter *waiter, int result)
{
    const struct callee *callee = &callees[waiter->number];

    switch (result) {
    case 0:
        if (callee->progress == GAVE_WAY) { /* not for its caller's sake: the stop cancelled it */
            return waiter->run->stopped && waiter->result == -ECANCELED;
        }
        return callee->progress == RETURNED && waiter->result == callee->expected;
    case -ESHUTDOWN:
        return waiter->run->stopped && callee->progress == NOT_STARTED;
    default:
        return false;
    }
}

static void call_over(struct waiter *waiter, int result)
{
    struct callee *callee = &callees[waiter->number];

    T_CHECK(callee->progress != RUNS);
    T_CHECK(result == 0 || callee->progress != RETURNED); /* a result is not lost */
    callee->progress = NOT_STARTED;
    callee->is_released = false;
}

static void call_happen(struct run *run)
{
    struct callee *callee = &callees[some_waiter(run)->number];

    callee->is_released = true;
    if (callee->progress == RUNS) {
        rt_wake(callee->waker);
    }
}

static bool call_is_there(const struct waiter *waiter)
{
    return callees[waiter->number].is_released;
}

static void end_all(struct run *run)
{
    (void)run;
    end_server();
}

static void let_it_stop(struct run *run)
{
    if (run->stopped) {
        end_server();
    }
}

static const struct kind call_kind = {
    .name = "call",
    .make_waiter = call_make_waiter,
    .call = call_call,
    .got = call_got,
    .over = call_over,
    .happen = call_happen,
    .is_there = call_is_there,
    .let_go = let_it_stop,
    .unmake = end_all,
};

/* In two halves, with other things in between; each has the deadline. */

static int halves_call(struct waiter *waiter, rt_time deadline)
{
    struct rt_call call;
    int r = rt_call_begin(&call, 1, wait_for_release, &callees[waiter->number], deadline);

    if (r < 0) {
        return r;
    }
    if (rand_chance(&waiter->run->rand, 300)) {
        rt_yield();
    }
    return rt_call_end(&call, &waiter->result, deadline);
}

static const struct kind halves_kind = {
    .name = "call in two halves",
    .make_waiter = call_make_waiter,
    .call = halves_call,
    .got = call_got,
    .over = call_over,
    .happen = call_happen,
    .is_there = call_is_there,
    .let_go = let_it_stop,
    .unmake = end_all,
};

/* Posts: few tasks and few slots, so that they wait. */

static struct {
    unsigned sent;
    unsigned run;
    unsigned released;
    struct rt_waker wakers[POSTS_MAX];
    bool all_released;
} posts;

static void post_make(struct run *run)
{
    (void)run;
    memset(&posts, 0, sizeof(posts));
}

static int wait_as_posted(void *arg)
{
    const unsigned number = posts.run++;

    (void)arg;
    T_CHECK(number < POSTS_MAX && rt_shard_index() == 1);
    posts.wakers[number % POSTS_MAX] = rt_waker_self();
    while (posts.released <= number && !posts.all_released && rt_park(RT_NEVER) == 0) {
    }
    return 0;
}

static int post_call(struct waiter *waiter, rt_time deadline)
{
    (void)waiter;
    return rt_post(1, wait_as_posted, NULL, deadline);
}

static bool post_got(struct waiter *waiter, int result)
{
    posts.sent += result == 0;
    return result == 0 || (result == -ESHUTDOWN && waiter->run->stopped);
}

static void post_happen(struct run *run)
{
    (void)run;
    if (posts.released < posts.run) {
        rt_wake(posts.wakers[posts.released++]);
    }
}

static void release_posts(struct run *run)
{
    let_it_stop(run);
    posts.all_released = true;
    for (; posts.released < posts.run; posts.released++) {
        rt_wake(posts.wakers[posts.released]);
    }
}

static const struct kind post_kind = {
    .name = "post",
    .make = post_make,
    .call = post_call,
    .got = post_got,
    .happen = post_happen,
    .let_go = release_posts,
    .unmake = end_all,
};

static int first(void *run)
{
    return rt_shard_index() == 0 ? waits_first(run) : serve();
}

static unsigned run_seed(const struct kind *kind, uint64_t seed)
{
    static struct run run;
    struct shards shards;

    memset(&server, 0, sizeof(server));
    memset(&posts, 0, sizeof(posts));
    waits_begin(&run, kind, seed);
    shards_init(&shards, seed, 2);
    shards.runtime.tasks_max = kind == &post_kind ? 12 : SHARDS_TASKS_MANY;
    shards_run(&shards, first, &run);
    T_CHECK(shards.started && shards.result == 0 && shards.faults == 0);
    T_CHECK(posts.sent == posts.run);
    return waits_end(&run);
}

int main(void)
{
    static const struct kind *const kinds[] = { &call_kind, &halves_kind, &post_kind, NULL };
    static const struct kind *const *const lists[] = { kinds, NULL };

    return waits_run(lists, SHARDS_SEEDS, run_seed);
}
