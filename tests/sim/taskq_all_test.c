/* SPDX-License-Identifier: MIT */
/*
 * Task queues that all shards share, case by case: who makes and drops them, and what their numbers
 * do. How functions of others start in them is in taskq_calls_test.c; random programs are in
 * taskq_shards_test.c.
 */
#include "taskq_all_fixture.h"

#define NUMBERS 4095

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
