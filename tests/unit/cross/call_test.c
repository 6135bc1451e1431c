/* SPDX-License-Identifier: MIT */
/*
 * Calls and posts between two shards, one rule after the other.
 *
 * Method: small programs on the simulated kernel, without faults and without
 * deadlines where a wait must end by itself: there a message or a ring that is
 * lost is a deadlock, which the sim reports. Shard 0 asks, shard 1 serves.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "cross/mesh.h"
#include "rt/rt.h"
#include "support/shards.h"

#define SEED 7

static rt_task_fn ask; /* what shard 0 does; shard 1 serves until it has returned */

static int first(void *arg)
{
    return rt_shard_index() == 0 ? ask(arg) : 0;
}

static struct shards shards;

/* A quiet kernel, where threads change often. */
static void prepare(uint32_t tasks_max, uint32_t port_entries, uint32_t posts_max)
{
    shards_init(&shards, SEED, 2);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.sim.enters_max = 100000;
    shards.runtime.ring_entries = 64;
    shards.runtime.cq_entries = 256;
    shards.runtime.tasks_max = tasks_max;
    shards.runtime.port_entries = port_entries;
    shards.runtime.posts_max = posts_max;
    shards.runtime.spin = 0;
}

static void run(rt_task_fn what)
{
    ask = what;
    shards_run(&shards, first, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- what the other shard runs ---- */

static int wait_for_cancel(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static int nap(void *arg)
{
    unsigned *ended = arg;

    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    if (ended != NULL) {
        ++*ended;
    }
    return 0;
}

static int number;

static int add_one(void *arg)
{
    return *(int *)arg + ++number;
}

/* ---- identity ---- */

static struct rt_waker stale;

static int leave_traces(void *arg)
{
    (void)arg;
    stale = rt_waker_self();
    rt_wake(stale);
    rt_cancel_self();
    rt_self_set_name("traces");
    T_CHECK(rt_cancelled());
    return 0;
}

static int wake_stale(void *arg)
{
    (void)arg;
    rt_wake(stale);
    return 0;
}

/* Runs next on the same fiber: no wake, no cancel and no waker of the one before is its own. */
static int find_no_traces(void *arg)
{
    (void)arg;
    T_CHECK(!rt_cancelled());
    T_CHECK(rt_waker_self().task == stale.task); /* else this tests nothing */
    T_CHECK(rt_spawn(NULL, wake_stale, NULL) == 0);
    T_CHECK(rt_park(rt_in(RT_MILLISECONDS(1))) == -ETIME);
    return 0;
}

static int ask_for_traces(void *arg)
{
    struct rt_call calls[2];

    (void)arg;
    T_CHECK(rt_call_begin(&calls[0], 1, leave_traces, NULL, RT_NEVER) == 0);
    T_CHECK(rt_call_begin(&calls[1], 1, find_no_traces, NULL, RT_NEVER) == 0);
    T_CHECK(rt_call_end(&calls[0], NULL, RT_NEVER) == 0);
    T_CHECK(rt_call_end(&calls[1], NULL, RT_NEVER) == 0);
    return 0;
}

static void a_function_finds_no_trace_of_the_one_before_on_its_fiber(void **state)
{
    (void)state;
    prepare(16, 8, 8);
    run(ask_for_traces);
}

/* ---- the limit of tasks ---- */

static int meet_limit(void *arg)
{
    struct rt_call call;
    int value = 1;
    int result = 0;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        T_CHECK(rt_call_begin(&call, 1, nap, NULL, RT_NEVER) == 0);
        while (rt_call(1, add_one, &value, &result, RT_NEVER) == 0) { /* until the nap has begun */
            rt_yield();
        }
        T_CHECK(rt_call(1, add_one, &value, &result, RT_NEVER) == -EAGAIN);
        T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
        T_CHECK(rt_call(1, add_one, &value, &result, RT_NEVER) == 0);
        T_CHECK(result == number + 1);
    }
    return 0;
}

static void a_call_is_refused_at_the_limit_and_served_when_a_task_has_ended(void **state)
{
    (void)state;
    prepare(1, 4, 4);
    run(meet_limit);
}

static unsigned order[8];
static unsigned ran;

static int note_order(void *arg)
{
    order[ran++] = (unsigned)(uintptr_t)arg;
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return 0;
}

/* Each of them keeps the only task, so all but one wait, in the port or at the sender. */
static int post_many(void *arg)
{
    (void)arg;
    for (uintptr_t i = 0; i < 8; i++) {
        T_CHECK(rt_post(1, note_order, (void *)i, RT_NEVER) == 0);
    }
    while (ran < 8) {
        (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    }
    for (unsigned i = 0; i < 8; i++) {
        T_CHECK(order[i] == i);
    }
    return 0;
}

static void posts_wait_for_tasks_and_start_in_order(void **state)
{
    (void)state;
    for (uint32_t posts_max = 1; posts_max <= 4; posts_max++) {
        ran = 0;
        prepare(1, posts_max == 2 ? 1 : 4, posts_max);
        run(post_many);
    }
}

/* ---- credits and room ---- */

static int post_in_vain(void *arg)
{
    (void)arg;
    T_CHECK(rt_try_post(1, nap, &ran) == 0); /* takes the only slot */
    for (unsigned i = 0; i < 5; i++) {
        T_CHECK(rt_post(1, nap, &ran, 0) == -ETIME); /* has a credit, and no slot */
    }
    T_CHECK(rti_mesh_here()->out[1]->sender.posts_sent == 1);
    while (ran < 1) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    T_CHECK(rt_try_post(1, nap, &ran) == 0);
    while (ran < 2) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    return 0;
}

static void a_post_that_gives_up_gives_its_credit_back(void **state)
{
    (void)state;
    ran = 0;
    prepare(16, 1, 2);
    run(post_in_vain);
}

static bool is_sent;

static int post_one(void *arg)
{
    T_CHECK(rt_post(1, nap, arg, RT_NEVER) == 0);
    is_sent = true;
    return 0;
}

/* Let the other shard go on until it has changed `index`, without a turn of this one. */
static void await_change(const uint32_t *index, uint32_t from)
{
    for (unsigned i = 0; i < 100000 && __atomic_load_n(index, __ATOMIC_ACQUIRE) == from; i++) {
        sim_point();
    }
    T_CHECK(__atomic_load_n(index, __ATOMIC_ACQUIRE) != from);
}

/* `index`: what the receiver changes when it gives back what the task in post_one() waits for. */
static void try_to_overtake(const uint32_t *index, uint32_t from)
{
    struct rt_task *task;

    is_sent = false;
    T_CHECK(rt_spawn(&task, post_one, &ran) == 0);
    rt_yield();
    T_CHECK(!is_sent); /* it waits */
    await_change(index, from);
    T_CHECK(!is_sent && rt_try_post(1, nap, &ran) == -EAGAIN);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
}

static int overtake_for_room(void *arg)
{
    (void)arg;
    T_CHECK(rt_try_post(1, nap, &ran) == 0);
    try_to_overtake(&rti_mesh_here()->out[1]->requests.head, 0);
    return 0;
}

static int overtake_for_credit(void *arg)
{
    (void)arg;
    T_CHECK(rt_try_post(1, nap, &ran) == 0);
    try_to_overtake(&rti_mesh_here()->out[1]->requests.started, 0);
    return 0;
}

static void who_waits_for_room_or_a_credit_is_not_overtaken(void **state)
{
    (void)state;
    prepare(16, 1, 8);
    run(overtake_for_room);
    prepare(16, 8, 1);
    run(overtake_for_credit);
}

/* ---- no wait keeps shards awake ---- */

static uint32_t distance; /* to the shard that is posted to: 0 is oneself */

/* The limit of tasks is met for a while, one post waits for a task, the next one for a credit. */
static int wait_for_credit(void *arg)
{
    const uint32_t to = (rt_shard_index() + distance) % 2;
    struct rt_stats before;
    struct rt_stats after;

    (void)arg;
    T_CHECK(rt_spawn(NULL, nap, NULL) == 0);
    T_CHECK(rt_post(to, nap, NULL, RT_NEVER) == 0);
    (void)rt_sleep_until(rt_in(RT_MICROSECONDS(100)));
    T_CHECK(rt_post(to, nap, NULL, RT_NEVER) == 0);
    (void)rt_sleep_until(rt_in(RT_MICROSECONDS(100)));
    rt_stats_get(&before, sizeof(before));
    T_CHECK(rt_post(to, nap, NULL, RT_NEVER) == 0);
    rt_stats_get(&after, sizeof(after));
    T_CHECK(after.room_waits == before.room_waits + 1);
    T_CHECK(after.rings - before.rings < 20);
    T_CHECK(after.turns - before.turns < 20);
    return 0;
}

static void shards_that_wait_for_credits_of_each_other_sleep(void **state)
{
    (void)state;
    for (distance = 0; distance < 2; distance++) {
        prepare(2, 8, 1);
        shards_run(&shards, wait_for_credit, NULL);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
    }
}

/* ---- cancel ---- */

/* Cancelled before the function has started, and after it waits. */
static int cancel_call(void *arg)
{
    const bool starts_before = *(const bool *)arg;
    int result = 7;
    struct rt_call call;

    T_CHECK(rt_call_begin(&call, 1, wait_for_cancel, NULL, RT_NEVER) == 0);
    if (starts_before) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    rt_cancel_self();
    T_CHECK(rt_call_end(&call, &result, RT_NEVER) == -ECANCELED);
    T_CHECK(result == 7);
    return 0;
}

static int cancel_calls(void *arg)
{
    bool starts_before = false;
    struct rt_task *task;

    (void)arg;
    for (int i = 0; i < 10; i++) {
        T_CHECK(rt_spawn(&task, cancel_call, &starts_before) == 0);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
        starts_before = !starts_before;
    }
    T_CHECK(rt_call(1, wait_for_cancel, NULL, NULL, rt_in(1000)) == -ETIME);
    T_CHECK(rt_call(1, wait_for_cancel, NULL, NULL, 0) == -ETIME);
    return 0;
}

static void a_cancelled_caller_is_answered_whenever_the_function_started(void **state)
{
    (void)state;
    prepare(16, 2, 2);
    run(cancel_calls);
}

static int call_own_shard(void *arg)
{
    int result = 7;

    (void)arg;
    T_CHECK(rt_call(0, wait_for_cancel, NULL, &result, RT_NEVER) == -ECANCELED);
    T_CHECK(result == 7);
    return 0;
}

static int call_here(void *arg)
{
    struct rt_task *task;
    int value = 1;
    int result = 0;

    (void)arg;
    T_CHECK(rt_spawn(&task, call_own_shard, NULL) == 0);
    rt_yield();
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(rt_call(0, add_one, &value, &result, RT_NEVER) == 0 && result == number + 1);
    return 0;
}

static void a_call_to_the_own_shard_gives_way_as_one_to_another_does(void **state)
{
    (void)state;
    prepare(16, 2, 2);
    run(call_here);
}

/* The task of the call stands in the second block of the table. */
static int cancel_far_task(void *arg)
{
    struct rt_call naps[260];

    (void)arg;
    for (unsigned i = 0; i < 260; i++) {
        T_CHECK(rt_call_begin(&naps[i], 1, nap, NULL, RT_NEVER) == 0);
    }
    T_CHECK(rt_call(1, wait_for_cancel, NULL, NULL, rt_in(RT_MILLISECONDS(2))) == -ETIME);
    for (unsigned i = 0; i < 260; i++) {
        T_CHECK(rt_call_end(&naps[i], NULL, RT_NEVER) == 0);
    }
    return 0;
}

static void a_cancel_finds_a_task_far_up_in_the_table(void **state)
{
    (void)state;
    prepare(300, 8, 2);
    run(cancel_far_task);
}

/* ---- the end ---- */

static int posted_at_the_end(void *arg)
{
    (void)arg;
    ran++;
    while (!rt_cancelled()) {
        (void)rt_park(RT_NEVER);
    }
    ran++;
    return 0;
}

static int post_at_the_end(void *arg)
{
    (void)arg;
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return rt_try_post(1, posted_at_the_end, NULL);
}

static void a_post_that_starts_in_a_runtime_that_drains_is_cancelled(void **state)
{
    (void)state;
    ran = 0;
    prepare(16, 2, 2);
    run(post_at_the_end);
    assert_int_equal(ran, 2);
}

/* A task that wakes another shard, and then waits for what it does, all without a switch. */
static struct rt_waker sleeper;
static uint32_t awake;

static int sleep_and_say(void *arg)
{
    (void)arg;
    sleeper = rt_waker_self();
    __atomic_store_n(&awake, 1, __ATOMIC_RELEASE);
    T_CHECK(rt_park(RT_NEVER) == 0);
    __atomic_store_n(&awake, 2, __ATOMIC_RELEASE);
    return 0;
}

static int wake_and_compute(void *arg)
{
    (void)arg;
    T_CHECK(rt_post(1, sleep_and_say, NULL, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(awake == 1);
    rt_wake(sleeper);
    await_change(&awake, 1); /* N2 */
    return 0;
}

static void a_wake_is_delivered_before_its_sender_suspends(void **state)
{
    (void)state;
    awake = 0;
    prepare(16, 2, 2);
    run(wake_and_compute);
}

/* ---- calls that need not wait ---- */

static unsigned yields;

static int count_turns(void *arg)
{
    const bool *over = arg;

    while (!*over) {
        yields++;
        rt_yield();
    }
    return 0;
}

static int call_for_long(void *arg)
{
    const rt_time end = rt_in(RT_SECONDS(10)); /* only where the other task starves */
    struct rt_task *other;
    bool over = false;
    int value = 0;

    (void)arg;
    T_CHECK(rt_spawn(&other, count_turns, &over) == 0);
    while (yields < 10 && rt_now() < end) {
        T_CHECK(rt_call(0, add_one, &value, NULL, RT_NEVER) == 0);
    }
    T_CHECK(yields >= 10);
    over = true;
    return rt_join(other, NULL, RT_NEVER);
}

/* On the real kernel, whose clock goes on. */
static void calls_that_need_not_wait_let_other_tasks_run(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, call_for_long, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_finds_no_trace_of_the_one_before_on_its_fiber),
        cmocka_unit_test(a_call_is_refused_at_the_limit_and_served_when_a_task_has_ended),
        cmocka_unit_test(posts_wait_for_tasks_and_start_in_order),
        cmocka_unit_test(a_post_that_gives_up_gives_its_credit_back),
        cmocka_unit_test(who_waits_for_room_or_a_credit_is_not_overtaken),
        cmocka_unit_test(shards_that_wait_for_credits_of_each_other_sleep),
        cmocka_unit_test(a_cancelled_caller_is_answered_whenever_the_function_started),
        cmocka_unit_test(a_call_to_the_own_shard_gives_way_as_one_to_another_does),
        cmocka_unit_test(a_cancel_finds_a_task_far_up_in_the_table),
        cmocka_unit_test(a_post_that_starts_in_a_runtime_that_drains_is_cancelled),
        cmocka_unit_test(a_wake_is_delivered_before_its_sender_suspends),
        cmocka_unit_test(calls_that_need_not_wait_let_other_tasks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
