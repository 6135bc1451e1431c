/* SPDX-License-Identifier: MIT */
/*
 * Futures in every order: polled, cancelled, awaited, dropped.
 *
 * What must hold of each (core/future.h): its memory is the kernel's until the
 * operation has completed, and so it is dropped after that (F1); it is not polled
 * once polling is over (F2); and what had come by then is not lost: the drop can
 * have it.
 */
#include "support/harness.h"

#include <errno.h>

#include "explore/causes.h"
#include "explore/world.h"

static struct rt_task *task;
static unsigned polls;
static unsigned drops;
static int returned; /* by poll: the last result */

enum { FOUND_IN_DROP = OTHER_HAPPENED }; /* among the outcomes */

static void count_poll(void)
{
    EXPLORE_CHECK(drops == 0 && returned == RT_PENDING); /* F2 */
    polls++;
}

static void count_drop(void)
{
    EXPLORE_CHECK(++drops == 1);
    EXPLORE_CHECK(world_executor.reactor.in_flight == 0 && "the kernel has let go"); /* F1 */
}

static void begin(void)
{
    causes_begin();
    polls = 0;
    drops = 0;
    returned = RT_PENDING;
}

static void cancel(void)
{
    came(CANCELLED);
    rti_task_cancel(task);
}

static void wake(void)
{
    rti_task_wake_by_waker(task);
}

static bool is_there(void)
{
    return task != NULL;
}

/* The task ends with `expected`, told by its join. */
static int join(void *arg)
{
    int result = 1;

    (void)arg;
    EXPLORE_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    task = NULL;
    EXPLORE_CHECK(drops == 1);
    EXPLORE_CHECK(result == (returned != RT_PENDING ? returned : -ECANCELED));
    EXPLORE_CHECK(returned != RT_PENDING || has_come(CANCELLED));
    return 0;
}

/* Of a wait that has failed. When both have come either may be it: a cancel ends the waits of a
 * future when that runs next. */
static bool is_reason(int result)
{
    const enum cause cause = result == -ETIME ? TIMED_OUT : CANCELLED;

    explore_met(cause);
    return result == result_of(cause) && has_come(cause);
}

/* ---- an operation ---- */

static struct rt_future nop;

static int poll_nop(struct rt_future *future)
{
    count_poll();
    EXPLORE_CHECK(!rt_cancelled()); /* F2 */
    returned = rt_poll_nop(future, deadline);
    if (returned != RT_PENDING) {
        EXPLORE_CHECK(returned == (world_completion() == 0 ? 0 : -ETIME)); /* the first reason */
        explore_met(returned == 0 ? HAPPENED : TIMED_OUT);
    }
    return returned;
}

static void drop_nop(struct rt_future *future)
{
    int r;

    count_drop();
    if (returned == RT_PENDING && polls > 0) {
        r = rt_poll_nop(future, RT_NEVER);
        EXPLORE_CHECK(world_completion() == 0 ? r == 0 : is_reason(r));
        if (r == 0) {
            explore_met(FOUND_IN_DROP);
        }
    }
    EXPLORE_CHECK(rt_poll_nop(future, RT_NEVER) == -ECANCELED); /* in a drop nothing begins */
}

static void setup_nop(void)
{
    begin();
    nop = (struct rt_future)RT_FUTURE_INIT(poll_nop, drop_nop);
    world_spawn_future(&task, "future", &nop);
    world_spawn(NULL, "joiner", join, NULL);
}

static void a_future_is_dropped_after_its_operation_has_completed(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "future",
        .setup = setup_nop,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel, is_there, 1 }, { "wake", wake, is_there, 1 } },
        .timeouts = 2,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "done", "cancelled", "timed out", "found in the drop" } }));
}

/* ---- two at once ---- */

/* Done when one of two is: the other one may be under way then. */
struct race {
    struct rt_future future;
    struct rt_future nop;
    struct rt_future sleep;
};

static struct race race;

static int poll_race(struct rt_future *future)
{
    struct race *self = (struct race *)future;

    count_poll();
    returned = rt_poll_nop(&self->nop, RT_NEVER);
    if (returned == RT_PENDING && rt_poll_sleep(&self->sleep, deadline) == 0) {
        returned = 7;
        explore_met(1);
    } else if (returned == 0) {
        explore_met(0);
    }
    return returned;
}

static void drop_race(struct rt_future *future)
{
    (void)future;
    count_drop();
    EXPLORE_CHECK(world_executor.wheel.armed == 0 && "no wait is under way");
}

static void setup_race(void)
{
    begin();
    race = (struct race){ .future = RT_FUTURE_INIT(poll_race, drop_race),
                          .nop = RT_FUTURE_INIT(NULL, NULL),
                          .sleep = RT_FUTURE_INIT(NULL, NULL) };
    world_spawn_future(&task, "race", &race.future);
    world_spawn(NULL, "joiner", join, NULL);
}

static void a_future_that_is_done_awaits_what_it_has_left_under_way(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "race",
        .setup = setup_race,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel, is_there, 1 }, { "wake", wake, is_there, 1 } },
        .timeouts = 2,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "the operation first", "the sleep first" } }));
}

/* ---- rt_await() ---- */

static int await_nop(void *arg)
{
    int expected = RT_PENDING;
    int r;

    (void)arg;
    world_gate(); /* cancel and deadline may come before */
    if (rt_cancelled()) {
        expected = -ECANCELED;
    }
    r = rt_await(&nop, deadline);
    EXPLORE_CHECK(drops == 1 && world_executor.reactor.in_flight == 0); /* F1 */
    if (expected == RT_PENDING && returned != RT_PENDING) {
        expected = returned;
    }
    EXPLORE_CHECK(expected != RT_PENDING ? r == expected : is_reason(r));
    task = NULL;
    return 0;
}

static int poll_awaited(struct rt_future *future)
{
    count_poll();
    returned = rt_poll_nop(future, RT_NEVER);
    if (returned != RT_PENDING) {
        EXPLORE_CHECK(returned == 0);
        explore_met(HAPPENED);
    }
    return returned;
}

static void drop_awaited(struct rt_future *future)
{
    count_drop();
    if (returned == RT_PENDING && polls > 0) {
        EXPLORE_CHECK(rt_poll_nop(future, RT_NEVER) == (world_completion() == 0 ? 0 : -ECANCELED));
    }
}

static void setup_await(void)
{
    begin();
    nop = (struct rt_future)RT_FUTURE_INIT(poll_awaited, drop_awaited);
    world_spawn(&task, "fiber", await_nop, NULL);
    rt_detach(task);
}

static void a_fiber_awaits_a_future_to_its_end(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "await",
        .setup = setup_await,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel, is_there, 1 }, { "wake", wake, is_there, 1 } },
        .timeouts = 2,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "done", "cancelled", "timed out" } }));
}

/* ---- a join, by a future ---- */

static struct rt_task *child;
static int child_result;

static int end_some_time(void *arg)
{
    (void)arg;
    world_gate();
    world_point();
    came(HAPPENED);
    return 42;
}

static int poll_join(struct rt_future *future)
{
    count_poll();
    returned = rt_poll_join(future, child, &child_result, deadline);
    if (returned != RT_PENDING) {
        EXPLORE_CHECK(returned == result_of(first_cause()));
    }
    if (returned == 0) {
        EXPLORE_CHECK(child_result == 42);
        child = NULL;
    }
    return returned;
}

static void drop_join(struct rt_future *future)
{
    count_drop();
    if (child != NULL && polls > 0 && returned == RT_PENDING &&
        explore_choose(2, "whether the drop takes what may have come") == 1) {
        const int r = rt_poll_join(future, child, NULL, RT_NEVER);

        EXPLORE_CHECK(r == 0 || is_reason(r));
        if (r == 0) {
            explore_met(FOUND_IN_DROP);
            child = NULL;
        }
    }
    if (child != NULL) {
        EXPLORE_CHECK(child->awaiter == NULL); /* the handle is ours alone */
        rt_detach(child);
        child = NULL;
    }
}

static void setup_join(void)
{
    begin();
    nop = (struct rt_future)RT_FUTURE_INIT(poll_join, drop_join);
    world_spawn(&child, "child", end_some_time, NULL);
    world_spawn_future(&task, "future", &nop);
    world_spawn(NULL, "joiner", join, NULL);
}

static void a_handle_is_not_lost_when_the_future_that_joins_is_dropped(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "future joins",
        .setup = setup_join,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel, is_there, 1 } },
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "joined", "cancelled", "timed out", "joined in the drop" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_is_dropped_after_its_operation_has_completed),
        cmocka_unit_test(a_future_that_is_done_awaits_what_it_has_left_under_way),
        cmocka_unit_test(a_fiber_awaits_a_future_to_its_end),
        cmocka_unit_test(a_handle_is_not_lost_when_the_future_that_joins_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
