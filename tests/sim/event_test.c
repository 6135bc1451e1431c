/* SPDX-License-Identifier: MIT */
/*
 * Events: each promise of rt/event.h, one at a time, for fibers, selects and futures.
 *
 * Method: callers (sim/caller.h) and futures wait; the first task sets, resets,
 * cancels or lets deadlines pass, and looks at who came back with what. Random orders
 * of these are in waits_test.
 */
#include "sim/caller.h"
#include "support/death.h"

#include "core/executor.h"
#include "core/waiters.h"

static int wait_for(void *event, rt_time deadline)
{
    return rt_event_wait(event, deadline);
}

static int wait_for_what_is_set(void *arg)
{
    struct rt_event event = RT_EVENT_INIT;

    (void)arg;
    caller_watch_others();
    T_CHECK(!rt_event_is_set(&event) && rt_event_wait(&event, 0) == -ETIME);
    rt_event_set(&event);
    rt_event_set(&event);
    T_CHECK(rt_event_is_set(&event) && rt_event_wait(&event, RT_NEVER) == 0);
    T_CHECK(rt_event_wait(&event, 0) == 0); /* it stays set */
    rt_event_reset(&event);
    T_CHECK(!rt_event_is_set(&event) && rt_event_wait(&event, 0) == -ETIME);
    T_CHECK(!caller_others_ran);
    return 0;
}

static void an_event_stays_set_until_it_is_reset_and_costs_no_suspension(void **state)
{
    (void)state;
    caller_run(wait_for_what_is_set);
}

static int set_for_all(void *arg)
{
    struct rt_event event = RT_EVENT_INIT;
    struct caller callers[4];

    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        caller_start(&callers[i], wait_for, &event, RT_NEVER);
        T_CHECK(caller_waits(&callers[i]));
    }
    rt_event_set(&event);
    rt_event_reset(&event); /* before any of them has run */
    caller_start(&callers[3], wait_for, &event, RT_NEVER);
    for (unsigned i = 0; i < 3; i++) {
        T_CHECK(caller_end(&callers[i]) == 0 && callers[i].place == i + 1);
    }
    T_CHECK(caller_waits(&callers[3]));
    rt_event_set(&event);
    T_CHECK(caller_end(&callers[3]) == 0);
    return 0;
}

static void a_set_ends_all_waits_in_order_though_a_reset_follows(void **state)
{
    (void)state;
    caller_run(set_for_all);
}

static int give_up(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct rt_event event = RT_EVENT_INIT;
    struct caller late;
    struct caller cancelled;
    struct caller after;

    (void)arg;
    caller_start(&late, wait_for, &event, deadline);
    caller_start(&cancelled, wait_for, &event, RT_NEVER);
    caller_start(&after, wait_for, &event, rt_in(RT_SECONDS(2)));
    rt_cancel(cancelled.task);
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(caller_end(&late) == -ETIME && caller_end(&cancelled) == -ECANCELED);
    rt_event_set(&event);
    rti_waiter_expire(after.task->waiter); /* as the loop does when it sees that time has come */
    rt_cancel(after.task);
    T_CHECK(caller_end(&after) == 0);
    return 0;
}

static void a_deadline_or_cancel_before_the_set_ends_a_wait_and_after_it_does_not(void **state)
{
    (void)state;
    caller_run(give_up);
}

/* Selects */

static int select_of(void *events, rt_time deadline)
{
    struct rt_event *event = events;
    struct rt_case cases[] = { rt_case_event(&event[0]), rt_case_event(&event[1]),
                               rt_case_event(&event[0]) };
    const int won = rt_select(cases, 3, deadline);

    T_CHECK(won < 0 || cases[won].result == 0);
    return won;
}

static int select_in_turn(void *arg)
{
    struct rt_event events[2] = { RT_EVENT_INIT, RT_EVENT_INIT };
    struct caller selecting;
    struct caller waiting;

    (void)arg;
    caller_start(&selecting, select_of, events, RT_NEVER);
    caller_start(&waiting, wait_for, &events[1], RT_NEVER);
    rt_event_set(&events[0]); /* twice among the cases: one wins, the other goes */
    T_CHECK(rti_waiters_is_empty(&events[0].waiters));
    rt_event_set(&events[1]); /* too late to win */
    T_CHECK(caller_end(&selecting) == 0);
    T_CHECK(caller_end(&waiting) == 0);

    rt_event_reset(&events[0]);
    caller_watch_others();
    T_CHECK(select_of(events, RT_NEVER) == 1); /* it is set already */
    rt_event_reset(&events[1]);
    T_CHECK(select_of(events, 0) == -ETIME);
    T_CHECK(!caller_others_ran);
    T_CHECK(rti_waiters_is_empty(&events[0].waiters) && rti_waiters_is_empty(&events[1].waiters));
    return 0;
}

static void an_event_is_a_case_of_a_select(void **state)
{
    (void)state;
    caller_run(select_in_turn);
}

/* Futures */

struct watcher {
    struct rt_future future;
    struct rt_event *event;
    rt_time deadline;
    int dropped; /* what the wait gave in the drop */
};

static int poll_watcher(struct rt_future *future)
{
    struct watcher *self = (struct watcher *)future;

    return rt_poll_event(future, self->event, self->deadline);
}

static void drop_watcher(struct rt_future *future)
{
    struct watcher *self = (struct watcher *)future;

    self->dropped = rt_poll_event(future, self->event, self->deadline);
}

static struct rt_task *watch(struct watcher *watcher, struct rt_event *event, rt_time deadline)
{
    struct rt_task *task = NULL;

    *watcher = (struct watcher){ RT_FUTURE_INIT(poll_watcher, drop_watcher), event, deadline, 1 };
    T_CHECK(rt_spawn_future(&task, &watcher->future) == 0);
    caller_let_run();
    return task;
}

static int end_of(struct rt_task *task)
{
    int result = 1;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static int watch_in_turn(void *arg)
{
    struct rt_event event = RT_EVENT_INIT;
    struct watcher watchers[4];
    struct rt_task *tasks[4];

    (void)arg;
    tasks[0] = watch(&watchers[0], &event, RT_NEVER);
    tasks[1] = watch(&watchers[1], &event, rt_in(RT_SECONDS(1)));
    tasks[2] = watch(&watchers[2], &event, RT_NEVER);
    tasks[3] = watch(&watchers[3], &event, RT_NEVER);
    T_CHECK(end_of(tasks[1]) == -ETIME);
    rt_cancel(tasks[2]);
    T_CHECK(end_of(tasks[2]) == -ECANCELED && watchers[2].dropped == -ECANCELED);
    rt_event_set(&event);
    rt_cancel(tasks[3]); /* it is not polled again, but its wait was over */
    T_CHECK(end_of(tasks[0]) == 0);
    T_CHECK(end_of(tasks[3]) == -ECANCELED && watchers[3].dropped == 0);
    T_CHECK(end_of(watch(&watchers[0], &event, RT_NEVER)) == 0); /* it is set already */
    T_CHECK(rti_waiters_is_empty(&event.waiters));
    return 0;
}

static void a_future_waits_for_an_event(void **state)
{
    (void)state;
    caller_run(watch_in_turn);
}

/* Misuse */

static struct rt_event another_shards(void)
{
    static struct rti_executor other = { .index = 1, .config.name = "other" };
    static struct rt_task task = { .executor = &other };
    static struct rti_queued queued = { .waiter = { .task = &task } };

    return (struct rt_event){ .waiters = { &queued, &queued } };
}

static int set_for_another_shard(void *arg)
{
    struct rt_event event = another_shards();

    (void)arg;
    rt_event_set(&event);
    return 0;
}

static int wait_beside_another_shard(void *arg)
{
    struct rt_event event = another_shards();

    (void)arg;
    return rt_event_wait(&event, RT_NEVER);
}

static void an_event_that_a_task_of_another_shard_waits_for_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(set_for_another_shard, "rt_event_set(): the object belongs to shard 1");
    assert_misuse_in_task(wait_beside_another_shard, "rt_event_wait(): the object belongs to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_stays_set_until_it_is_reset_and_costs_no_suspension),
        cmocka_unit_test(a_set_ends_all_waits_in_order_though_a_reset_follows),
        cmocka_unit_test(a_deadline_or_cancel_before_the_set_ends_a_wait_and_after_it_does_not),
        cmocka_unit_test(an_event_is_a_case_of_a_select),
        cmocka_unit_test(a_future_waits_for_an_event),
        cmocka_unit_test(an_event_that_a_task_of_another_shard_waits_for_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
