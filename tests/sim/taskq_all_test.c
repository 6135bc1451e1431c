/* SPDX-License-Identifier: MIT */
/*
 * Task queues that all shards share, case by case: who makes and drops them, what their numbers do,
 * and how functions of others start in them. Random programs are in taskq_shards_test.c.
 *
 * Shard 0 asks, the others serve, on the simulated kernel.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "core/taskq.h"
#include "cross/mesh.h"
#include "rt/rt.h"
#include "support/shards.h"

#define SEED      7
#define TASKS_MAX 6 /* of a shard in the cases with a limit */
#define POSTS_MAX 4
#define NUMBERS   4095

static rt_task_fn ask; /* what shard 0 does */
static struct rt_waker keepers[3];
static bool is_over;

static int first(void *arg)
{
    const uint32_t shard = rt_shard_index();
    int r = 0;

    if (shard == 0) {
        r = ask(arg);
        is_over = true;
        for (uint32_t i = 1; i < rt_shard_count(); i++) {
            rt_wake(keepers[i]);
        }
        return r;
    }
    keepers[shard] = rt_waker_self();
    while (!is_over && r == 0) {
        r = rt_park(RT_NEVER);
    }
    T_CHECK(rti_mesh_here()->served.in_use == 0);
    return r;
}

static void run(uint32_t count, rt_task_fn what)
{
    struct shards shards;

    ask = what;
    is_over = false;
    memset(keepers, 0, sizeof(keepers));
    shards_init(&shards, SEED, count);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.runtime.tasks_max = TASKS_MAX;
    shards.runtime.posts_max = POSTS_MAX;
    shards.runtime.port_entries = 8;
    shards_run(&shards, first, NULL);
    assert_true(shards.started);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

static uint32_t make(struct rt_taskq *parent)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t id = 0;

    options.parent = parent;
    T_CHECK(rt_taskq_create_all(&id, &options) == 0 && id > 0);
    return id;
}

/* Run fn(arg) in a shared queue, to the end. */
static int run_in(uint32_t id, rt_task_fn fn, void *arg)
{
    struct rt_task *task;
    int result = -1;

    T_CHECK(rt_spawn_in(&task, rt_taskq_of_id(id), fn, arg) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static int queue_here(void *arg)
{
    (void)arg;
    return (int)rt_taskq_self()->id;
}

/* Numbers */

static int use_all_numbers(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t id = 0;
    uint32_t last = 0;

    (void)arg;
    for (unsigned i = 0; i < NUMBERS; i++) {
        last = make(NULL);
    }
    T_CHECK(rt_taskq_create_all(&id, &options) == -EAGAIN && id == 0);
    T_CHECK(rt_taskq_destroy_all(last) == 0);
    T_CHECK(rt_taskq_destroy_all(last) == -EINVAL);
    T_CHECK(make(NULL) == last);
    T_CHECK(rt_taskq_destroy_all(0) == -EINVAL);
    T_CHECK(rt_taskq_destroy_all(NUMBERS + 1) == -EINVAL);
    return 0;
}

static void a_number_is_used_again_and_there_are_4095(void **state)
{
    (void)state;
    run(1, use_all_numbers);
}

static int make_two(void *arg)
{
    uint32_t *ids = arg;

    ids[0] = make(NULL);
    ids[1] = make(NULL);
    return 0;
}

static int make_at_once(void *arg)
{
    uint32_t theirs[2] = { 0 };
    uint32_t mine[2] = { 0 };
    struct rt_call call;

    (void)arg;
    T_CHECK(rt_call_begin(&call, 1, make_two, theirs, RT_NEVER) == 0);
    T_CHECK(make_two(mine) == 0);
    T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
    for (int i = 0; i < 2; i++) {
        T_CHECK(mine[i] != theirs[0] && mine[i] != theirs[1]);
        T_CHECK(rt_taskq_destroy_all(mine[i]) == 0 && rt_taskq_destroy_all(theirs[i]) == 0);
    }
    return 0;
}

static void two_shards_at_once_get_numbers_of_their_own(void **state)
{
    (void)state;
    run(3, make_at_once);
}

/* Parents, and queues in use */

static int id_of_parent(void *arg)
{
    const struct rti_sched_entity *parent = rt_taskq_of_id(*(uint32_t *)arg)->entity.parent;

    return parent == NULL ? 0 : (int)rti_taskq_of_entity((struct rti_sched_entity *)parent)->id;
}

static int make_family(void *arg)
{
    const uint32_t parent = make(NULL);
    uint32_t child = make(rt_taskq_of_id(parent));
    int result = -1;

    (void)arg;
    for (uint32_t i = 0; i < rt_shard_count(); i++) {
        T_CHECK(rt_call(i, id_of_parent, &child, &result, RT_NEVER) == 0);
        T_CHECK(result == (int)parent);
    }
    T_CHECK(rt_taskq_destroy_all(parent) == -EBUSY);
    T_CHECK(rt_taskq_destroy_all(child) == 0);
    T_CHECK(rt_taskq_destroy_all(parent) == 0);
    return 0;
}

static void a_parent_is_the_same_on_all_shards_and_goes_last(void **state)
{
    (void)state;
    run(3, make_family);
}

static int drop_own(void *arg)
{
    return rt_taskq_destroy_all(*(uint32_t *)arg);
}

static int use_then_drop(void *arg)
{
    uint32_t id = make(NULL);
    int result = -1;

    (void)arg;
    T_CHECK(run_in(id, drop_own, &id) == -EBUSY); /* it is in it */
    T_CHECK(rt_taskq_of_id(id) != NULL);
    T_CHECK(rt_call(1, queue_here, NULL, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(rt_taskq_destroy_all(id) == 0);
    T_CHECK(rt_taskq_of_id(id) == NULL);
    return 0;
}

static void a_queue_in_use_stays_and_can_be_dropped_later(void **state)
{
    (void)state;
    run(3, use_then_drop);
}

/* A task is in it on shard 1, and none on shard 0. */

static bool may_leave;
static struct rt_waker stayer;

static int stay(void *arg)
{
    (void)arg;
    stayer = rt_waker_self();
    while (!may_leave) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static int spawn_stayer(void *arg)
{
    return rt_spawn_in(NULL, rt_taskq_of_id(*(uint32_t *)arg), stay, NULL);
}

static int drop_while_used_elsewhere(void *arg)
{
    uint32_t id = make(NULL);
    int result = -1;

    (void)arg;
    may_leave = false;
    T_CHECK(rt_call(1, spawn_stayer, &id, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(rt_taskq_destroy_all(id) == -EBUSY);
    T_CHECK(rt_taskq_of_id(id) != NULL);
    may_leave = true;
    rt_wake(stayer);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(rt_taskq_destroy_all(id) == 0 && rt_taskq_of_id(id) == NULL);
    return 0;
}

static void a_queue_in_use_elsewhere_stays_here_too(void **state)
{
    (void)state;
    run(3, drop_while_used_elsewhere);
}

static int be_cancelled(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    uint32_t *id = arg;
    const uint32_t before = *id;

    rt_cancel_self();
    T_CHECK(rt_taskq_destroy_all(before) == -ECANCELED);
    return rt_taskq_create_all(id, &options);
}

/* The number that it would have got is the next one to be had. */
static int cancel_makers(void *arg)
{
    uint32_t id = make(NULL);
    uint32_t next = id;
    struct rt_task *task;
    int result = 0;

    (void)arg;
    T_CHECK(rt_spawn(&task, be_cancelled, &next) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED && next == id);
    T_CHECK(make(NULL) == id + 1);
    return 0;
}

static void who_is_cancelled_makes_and_drops_nothing(void **state)
{
    (void)state;
    run(2, cancel_makers);
}

static int make_in_task(void *arg)
{
    *(uint32_t *)arg = make(NULL);
    return 0;
}

/* Cancelled when it has begun: it makes the queue everywhere, and says so. */
static int cancel_midway(void *arg)
{
    uint32_t id = 0;
    struct rt_task *task;
    int result = -1;

    (void)arg;
    T_CHECK(rt_spawn(&task, make_in_task, &id) == 0);
    rt_yield();
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(id != 0 && rt_taskq_destroy_all(id) == 0);
    return 0;
}

static void a_cancel_midway_does_not_leave_half(void **state)
{
    (void)state;
    run(3, cancel_midway);
}

static int make_while_stopping(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct rt_scope shield;
    uint32_t id = 0;

    (void)arg;
    rt_stop(NULL);
    rt_shield(&shield, RT_NEVER);
    T_CHECK(rt_taskq_create_all(&id, &options) == 0); /* this first task lives: nobody drains yet */
    T_CHECK(rt_taskq_destroy_all(id) == 0);
    (void)rt_scope_leave(&shield);
    return 0;
}

static void a_runtime_that_stops_still_makes_and_drops(void **state)
{
    (void)state;
    run(2, make_while_stopping);
}

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
        cmocka_unit_test(a_number_is_used_again_and_there_are_4095),
        cmocka_unit_test(two_shards_at_once_get_numbers_of_their_own),
        cmocka_unit_test(a_parent_is_the_same_on_all_shards_and_goes_last),
        cmocka_unit_test(a_queue_in_use_stays_and_can_be_dropped_later),
        cmocka_unit_test(a_queue_in_use_elsewhere_stays_here_too),
        cmocka_unit_test(who_is_cancelled_makes_and_drops_nothing),
        cmocka_unit_test(a_cancel_midway_does_not_leave_half),
        cmocka_unit_test(a_runtime_that_stops_still_makes_and_drops),
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
