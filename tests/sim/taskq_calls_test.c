/* SPDX-License-Identifier: MIT */
/*
 * Calls and posts of task queues that all shards share, case by case: in which queue a function
 * runs, and what becomes of it at the limit of tasks.
 *
 * Method: at the limit functions are held on shard 1, and let go one at a time.
 */
#include "taskq_all_fixture.h"

/* Where functions run */

static int call_on(void *arg)
{
    int result = -1;

    (void)arg;
    T_CHECK(rt_call(0, queue_here, NULL, &result, RT_NEVER) == 0);
    return result * 100 + (int)rt_taskq_self()->id;
}

struct posted {
    struct rt_waker waker;
    uint32_t queue;
    unsigned count;
};

static int note_queue(void *arg)
{
    struct posted *posted = arg;

    posted->queue = rt_taskq_self()->id;
    posted->count++;
    rt_wake(posted->waker);
    return 0;
}

static void await_posted(const struct posted *posted, unsigned count)
{
    while (posted->count < count) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
}

static int send_from_queue(void *arg)
{
    struct posted posted = { .waker = rt_waker_self() };
    const int id = (int)rt_taskq_self()->id;
    struct rt_call_part parts[2];
    int result = -1;

    (void)arg;
    T_CHECK(rt_call(1, queue_here, NULL, &result, RT_NEVER) == 0 && result == id);
    T_CHECK(rt_call(1, call_on, NULL, &result, RT_NEVER) == 0 && result == id * 101);
    T_CHECK(rt_call(1, queue_here, NULL, &result, rt_in(RT_SECONDS(1))) == 0 && result == id);
    T_CHECK(rt_call_all(parts, queue_here, NULL, rt_in(RT_SECONDS(1))) == 0);
    T_CHECK(parts[0].result == id && parts[1].result == id);
    T_CHECK(rt_try_post(1, note_queue, &posted) == 0);
    await_posted(&posted, 1);
    T_CHECK((int)posted.queue == id);
    T_CHECK(rt_post(1, note_queue, &posted, RT_NEVER) == 0);
    await_posted(&posted, 2);
    T_CHECK((int)posted.queue == id);
    T_CHECK(rt_post(0, note_queue, &posted, RT_NEVER) == 0); /* to itself, likewise */
    await_posted(&posted, 3);
    T_CHECK((int)posted.queue == id);
    return 0;
}

static int send_from_both(void *arg)
{
    T_CHECK(run_in(make(NULL), send_from_queue, arg) == 0);
    T_CHECK(send_from_queue(arg) == 0); /* of the default one */
    return 0;
}

static void functions_run_in_their_callers_queue(void **state)
{
    (void)state;
    run(2, send_from_both);
}

static int adopt(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_taskq *child;

    options.parent = rt_taskq_of_id(*(uint32_t *)arg);
    return rt_taskq_create(&child, &options);
}

static int call_queue_here(void *arg)
{
    int result = -1;

    T_CHECK(rt_call(1, queue_here, arg, &result, RT_NEVER) == 0);
    return result;
}

static int call_a_parent(void *arg)
{
    uint32_t id = make(NULL);
    int result = -1;

    (void)arg;
    T_CHECK(rt_call(1, adopt, &id, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(run_in(id, call_queue_here, NULL) == 0); /* the default one */
    return 0;
}

static void where_the_queue_is_a_parent_the_default_one_takes_them(void **state)
{
    (void)state;
    run(2, call_a_parent);
}

/* The limit of tasks: shard 1 has its first task and TASKS_MAX - 1 others. */

#define HELD_MAX (TASKS_MAX - 1 + 2 * POSTS_MAX)

static struct rt_waker held[HELD_MAX]; /* in the order in which they started */
static unsigned held_count;
static unsigned let_go;        /* so many of them may end */
static unsigned started_of[3]; /* of shards: their posts */

static int hold(void *arg)
{
    const unsigned mine = held_count++;

    if (arg != NULL) {
        started_of[*(uint32_t *)arg]++;
    }
    held[mine] = rt_waker_self();
    while (mine >= let_go) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static void let_next_go(void)
{
    rt_wake(held[let_go++]);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
}

static void fill_shard(struct rt_call calls[])
{
    let_go = 0;
    held_count = 0;
    for (unsigned i = 0; i < TASKS_MAX - 1; i++) {
        T_CHECK(rt_call_begin(&calls[i], 1, hold, NULL, RT_NEVER) == 0);
    }
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(held_count == TASKS_MAX - 1);
}

static void empty_shard(struct rt_call calls[])
{
    for (unsigned i = 0; i < TASKS_MAX - 1; i++) {
        let_next_go();
        T_CHECK(rt_call_end(&calls[i], NULL, RT_NEVER) == 0);
    }
}

/* Exactly so many fit, each time, also when the first queue came while a pump was running. */
static int meet_limit(void *arg)
{
    struct rt_call calls[TASKS_MAX - 1];
    const uint32_t id = make(NULL);
    int result = -1;

    (void)arg;
    for (int round = 0; round < 3; round++) {
        fill_shard(calls);
        T_CHECK(rt_call(1, queue_here, NULL, NULL, RT_NEVER) == -EAGAIN);
        T_CHECK(held_count == TASKS_MAX - 1);
        empty_shard(calls);
        T_CHECK(rt_call(1, queue_here, NULL, &result, RT_NEVER) == 0 && result == 0);
    }
    T_CHECK(rt_taskq_destroy_all(id) == 0);
    return 0;
}

static void at_the_limit_a_call_is_refused(void **state)
{
    (void)state;
    run(2, meet_limit);
}

/* To make and to take away needs no task. */
static int make_at_limit(void *arg)
{
    struct rt_call calls[TASKS_MAX - 1];
    const uint32_t id = make(NULL);

    (void)arg;
    fill_shard(calls);
    T_CHECK(rt_call(1, queue_here, NULL, NULL, RT_NEVER) == -EAGAIN);
    T_CHECK(make(NULL) == id + 1);
    T_CHECK(rt_taskq_destroy_all(id + 1) == 0);
    T_CHECK(rt_taskq_destroy_all(id) == 0);
    T_CHECK(rt_taskq_of_id(id) == NULL && rt_taskq_destroy_all(id) == -EINVAL);
    empty_shard(calls);
    return 0;
}

static void a_shard_at_its_limit_gets_and_loses_queues(void **state)
{
    (void)state;
    run(2, make_at_limit);
}

static uint64_t turns_here(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.turns;
}

static int count_turns(void *arg)
{
    *(uint64_t *)arg = turns_here();
    return 0;
}

/* Posts wait in order, all shards sleep meanwhile, and credits come back. */
static int delay_posts(void *arg)
{
    struct posted posted = { .waker = rt_waker_self() };
    struct rt_call calls[TASKS_MAX - 1];
    uint64_t before = 0;
    uint64_t after = 0;

    (void)arg;
    (void)make(NULL);
    T_CHECK(rt_call(1, count_turns, &before, NULL, RT_NEVER) == 0);
    fill_shard(calls);
    for (unsigned i = 0; i < POSTS_MAX; i++) {
        T_CHECK(rt_try_post(1, note_queue, &posted) == 0);
    }
    T_CHECK(rt_try_post(1, note_queue, &posted) == -EAGAIN); /* no credit */
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(1))) == 0);
    T_CHECK(posted.count == 0);
    empty_shard(calls);
    await_posted(&posted, POSTS_MAX);
    T_CHECK(rt_call(1, count_turns, &after, NULL, RT_NEVER) == 0);
    T_CHECK(after - before < 100);
    for (unsigned i = 0; i < 3 * POSTS_MAX; i++) {
        T_CHECK(rt_post(1, note_queue, &posted, RT_NEVER) == 0);
    }
    await_posted(&posted, 4 * POSTS_MAX);
    return 0;
}

static void posts_wait_for_a_task_to_end(void **state)
{
    (void)state;
    run(2, delay_posts);
}

/* Fairness: shards 0 and 2 both have posts that wait at shard 1. Tasks end one by one. */

static int post_many(void *arg)
{
    static uint32_t shards[] = { 0, 1, 2 };

    (void)arg;
    for (unsigned i = 0; i < POSTS_MAX; i++) {
        T_CHECK(rt_try_post(1, hold, &shards[rt_shard_index()]) == 0);
    }
    return 0;
}

static int starve(void *arg)
{
    struct rt_call calls[TASKS_MAX - 1];

    memset(started_of, 0, sizeof(started_of));
    (void)make(NULL);
    fill_shard(calls);
    T_CHECK(rt_call(2, post_many, NULL, NULL, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(post_many(arg) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(held_count == TASKS_MAX - 1);
    for (unsigned i = 0; i < POSTS_MAX; i++) {
        let_next_go();
    }
    T_CHECK(started_of[0] == POSTS_MAX / 2 && started_of[2] == POSTS_MAX / 2);
    while (let_go < HELD_MAX) {
        let_next_go();
    }
    T_CHECK(started_of[0] == POSTS_MAX && started_of[2] == POSTS_MAX);
    for (unsigned i = 0; i < TASKS_MAX - 1; i++) {
        T_CHECK(rt_call_end(&calls[i], NULL, RT_NEVER) == 0);
    }
    return 0;
}

static void each_sender_of_waiting_posts_gets_its_turn(void **state)
{
    (void)state;
    run(3, starve);
}

/* Cancel: before the function has run, while it runs, and while it waits */

static int wait_for_cancel(void *arg)
{
    *(bool *)arg = true;
    while (!rt_cancelled()) {
        (void)rt_park(RT_NEVER);
    }
    return -ECANCELED;
}

static int cancel_at(rt_time delay)
{
    bool has_begun = false;
    const int r = rt_call(1, wait_for_cancel, &has_begun, NULL, rt_in(delay));

    T_CHECK(r == -ETIME);
    return r;
}

static int cancel_early_and_late(void *arg)
{
    (void)arg;
    (void)make(NULL);
    for (rt_time delay = 0; delay < RT_MICROSECONDS(10); delay += 100) {
        T_CHECK(cancel_at(delay) == -ETIME);
    }
    T_CHECK(cancel_at(RT_MILLISECONDS(5)) == -ETIME);
    return 0;
}

static void a_cancel_reaches_the_function_whenever_it_comes(void **state)
{
    (void)state;
    run(2, cancel_early_and_late);
}

/* The first shared queue comes while the pump is at work, and the shard waits for room in its port
 * to itself: the pump leaves, and does not go on looking. */

static int post_to_itself(void *arg)
{
    return rt_post(rt_shard_index(), note_queue, arg, RT_NEVER);
}

static int make_while_pump_works(void *arg)
{
    struct posted posted = { .waker = rt_waker_self() };
    struct rt_task *tasks[4];
    uint32_t id = 0;

    (void)arg;
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(rt_spawn(&tasks[i], post_to_itself, &posted) == 0);
    }
    id = make(NULL);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(rt_join(tasks[i], NULL, RT_NEVER) == 0);
    }
    await_posted(&posted, 4);
    T_CHECK(rti_mesh_here()->pump == NULL && rti_current->tasks.extra == 0);
    T_CHECK(rt_taskq_destroy_all(id) == 0);
    return 0;
}

/* It works in the pump's flow: a shard that is alone need not wait for others. */
static int make_in_pump(void *arg)
{
    T_CHECK(rti_mesh_here()->pump != NULL);
    *(uint32_t *)arg = make(NULL);
    return 0;
}

static int see_no_pump(void *arg)
{
    T_CHECK(rti_mesh_here()->pump == NULL && rti_current->tasks.extra == 0);
    return note_queue(arg);
}

static int make_between_posts(void *arg)
{
    struct posted posted = { .waker = rt_waker_self() };
    uint32_t id = 0;

    (void)arg;
    T_CHECK(rt_post(0, make_in_pump, &id, RT_NEVER) == 0);
    for (unsigned i = 0; i < POSTS_MAX - 1; i++) {
        T_CHECK(rt_post(0, see_no_pump, &posted, RT_NEVER) == 0);
    }
    await_posted(&posted, POSTS_MAX - 1);
    T_CHECK(id != 0 && rt_taskq_destroy_all(id) == 0);
    return 0;
}

static void the_pump_leaves_when_the_first_queue_comes(void **state)
{
    (void)state;
    run(2, make_while_pump_works);
    run(1, make_between_posts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_run_in_their_callers_queue),
        cmocka_unit_test(where_the_queue_is_a_parent_the_default_one_takes_them),
        cmocka_unit_test(at_the_limit_a_call_is_refused),
        cmocka_unit_test(a_shard_at_its_limit_gets_and_loses_queues),
        cmocka_unit_test(posts_wait_for_a_task_to_end),
        cmocka_unit_test(each_sender_of_waiting_posts_gets_its_turn),
        cmocka_unit_test(a_cancel_reaches_the_function_whenever_it_comes),
        cmocka_unit_test(the_pump_leaves_when_the_first_queue_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
