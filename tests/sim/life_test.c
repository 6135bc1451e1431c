/* SPDX-License-Identifier: MIT */
/*
 * The contract of a task, line by line (docs/design/architecture.md, "Life of a
 * task"), under the simulated kernel: time is virtual, so nothing here waits.
 *
 * Each test runs a first task by rt_run(), and so also checks that afterwards
 * nothing is left: no task, operation, descriptor or ring (run_sim()).
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "rt/rt.h"

#define EVENTS_MAX 256

/* What happened, as a text to compare: one letter per event. */
static char events[EVENTS_MAX];

static void event(char letter)
{
    const size_t length = strlen(events);

    if (length + 1 < sizeof(events)) {
        events[length] = letter;
        events[length + 1] = '\0';
    }
}

static int run_anew(const struct rt_config *config, rt_task_fn first)
{
    events[0] = '\0';
    return run_config(config, first, NULL);
}

/* 1, 2: queue, spawner's order, join handle or none */

static int note(void *arg)
{
    event(*(const char *)arg);
    return 0;
}

static int spawn_three(void *arg)
{
    struct rt_task *handle;

    (void)arg;
    T_CHECK(rt_spawn(NULL, note, "a") == 0);
    T_CHECK(rt_spawn(&handle, note, "b") == 0);
    T_CHECK(rt_spawn(NULL, note, "c") == 0);
    event('-'); /* nothing runs before the spawner lets it */
    T_CHECK(rt_join(handle, NULL, RT_NEVER) == 0);
    event('.');
    rt_yield();
    return 7;
}

static void spawned_tasks_run_in_the_order_of_their_spawn(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, spawn_three), 7);
    assert_string_equal(events, "-abc.");
}

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EXDEV;
}

static void the_result_of_the_first_task_is_the_result_of_the_run(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, fail_at_once), -EXDEV);
}

/* 3: SCHEDULED while RUNNING */

static int wake_itself(void *arg)
{
    (void)arg;
    rt_wake(rt_waker_self());
    T_CHECK(rt_park(RT_NEVER) == 0); /* the wake that came while it ran is not lost */
    return 0;
}

static void a_wake_of_a_running_task_is_kept_until_it_parks(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, wake_itself), 0);
}

static struct rt_waker shared_waker;
static bool flag;

static int park_for_flag(void *arg)
{
    (void)arg;
    shared_waker = rt_waker_self();
    while (!flag) {
        event('p');
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    event('!');
    return 0;
}

static int wake_thrice(void *arg)
{
    struct rt_task *task;

    (void)arg;
    flag = false;
    T_CHECK(rt_spawn(&task, park_for_flag, NULL) == 0);
    rt_yield();
    rt_wake(shared_waker); /* twice is once: the task stands in its queue already */
    rt_wake(shared_waker);
    rt_yield();
    flag = true;
    rt_wake(shared_waker);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    rt_wake(shared_waker); /* of a task that is gone: nothing */
    return 0;
}

static void wakes_are_idempotent_and_stale_ones_do_nothing(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, wake_thrice), 0);
    assert_string_equal(events, "pp!");
}

static int reuse_slot(void *arg)
{
    struct rt_task *task;
    struct rt_waker old;

    (void)arg;
    flag = false;
    T_CHECK(rt_spawn(&task, park_for_flag, NULL) == 0);
    rt_yield();
    old = shared_waker;
    flag = true;
    rt_wake(old);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    flag = false;
    T_CHECK(rt_spawn(&task, park_for_flag, NULL) == 0); /* takes the same slot */
    rt_yield();
    T_CHECK(shared_waker.task == old.task && shared_waker.generation != old.generation);
    rt_wake(old);
    rt_yield();
    T_CHECK(!rt_is_finished(task));
    flag = true;
    rt_wake(shared_waker);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_waker_of_an_old_generation_wakes_nobody(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, reuse_slot), 0);
    assert_string_equal(events, "p!p!");
}

/* 4: I/O and timers are taken while tasks yield for ever */

static int tick(void *arg)
{
    bool *done = arg;

    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    *done = true;
    return 0;
}

static int yield_for_ever(void *arg)
{
    bool done = false;
    rt_time start = rt_now();
    struct rt_stats stats;

    (void)arg;
    T_CHECK(rt_spawn(NULL, tick, &done) == 0);
    while (!done) {
        rt_yield();
    }
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.turns >= 2);
    T_CHECK(rt_now() - start < RT_MILLISECONDS(2)); /* virtual time: exact */
    return 0;
}

static void a_yielding_task_lets_timers_fire_within_its_quota(void **state)
{
    int r;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1, .step_max = 2000 });
    r = rt_run(NULL, yield_for_ever, NULL);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

/* 6: join */

static int return_soon(void *arg)
{
    int r = rt_sleep_until(rt_in(RT_MILLISECONDS(5)));

    return r < 0 ? r : *(int *)arg;
}

static int join_with_deadlines(void *arg)
{
    struct rt_task *task;
    int value = 33;
    int result = 1;

    (void)arg;
    T_CHECK(rt_spawn(&task, return_soon, &value) == 0);
    T_CHECK(rt_join(task, &result, 0) == -ETIME); /* only a try */
    T_CHECK(rt_join(task, &result, rt_in(RT_MILLISECONDS(2))) == -ETIME);
    T_CHECK(result == 1 && !rt_is_finished(task)); /* untouched; the handle is still ours */
    T_CHECK(rt_join(task, &result, rt_in(RT_MILLISECONDS(9))) == 0);
    T_CHECK(result == 33);
    T_CHECK(rt_spawn(&task, fail_at_once, NULL) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0); /* speaks of the join ... */
    T_CHECK(result == -EXDEV);                      /* ... and this of the task */
    return 0;
}

static void a_join_speaks_of_the_join_and_its_deadline_keeps_the_handle(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, join_with_deadlines), 0);
}

static int cancel_the_joiner_inner(void *arg)
{
    struct rt_task *task = arg;
    int result;

    T_CHECK(rt_join(task, &result, RT_NEVER) == -ECANCELED);
    rt_cancel(task); /* still ours */
    rt_detach(task);
    return 0;
}

static int cancel_the_joiner(void *arg)
{
    struct rt_task *joiner;
    struct rt_task *sleeper;
    int value = 1;

    (void)arg;
    T_CHECK(rt_spawn(&sleeper, return_soon, &value) == 0);
    T_CHECK(rt_spawn(&joiner, cancel_the_joiner_inner, sleeper) == 0);
    rt_yield();
    rt_cancel(joiner);
    T_CHECK(rt_join(joiner, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_cancelled_joiner_keeps_the_handle(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, cancel_the_joiner), 0);
}

/* 7: cancel */

static int wait_thrice(void *arg)
{
    (void)arg;
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(100))) == -ECANCELED);
    T_CHECK(rt_cancelled());
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(100))) == -ECANCELED); /* stays */
    T_CHECK(rt_park(RT_NEVER) == -ECANCELED);
    return 5;
}

static int cancel_a_sleeper(void *arg)
{
    rt_time start = rt_now();
    struct rt_task *task;
    int result;

    (void)arg;
    T_CHECK(rt_spawn(&task, wait_thrice, NULL) == 0);
    rt_yield();
    rt_cancel(task);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 5);
    T_CHECK(rt_now() - start < RT_SECONDS(1));
    return 0;
}

static void cancel_ends_the_wait_and_every_later_one(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, cancel_a_sleeper), 0);
}

static int cancel_before_it_runs(void *arg)
{
    struct rt_task *task;
    int result;

    (void)arg;
    T_CHECK(rt_spawn(&task, wait_thrice, NULL) == 0);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 5);
    return 0;
}

static void a_task_cancelled_before_it_runs_still_runs(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, cancel_before_it_runs), 0);
}

static int join_to_the_end(void *arg)
{
    int result = -1;

    T_CHECK(rt_join(arg, &result, RT_NEVER) == 0 && result == 0);
    event('j');
    return 0;
}

static int cancel_it(void *arg)
{
    event('c');
    rt_cancel(arg);
    return 0;
}

static int cancel_after_the_event(void *arg)
{
    struct rt_task *ended;
    struct rt_task *joiner;

    (void)arg;
    flag = false;
    T_CHECK(rt_spawn(&ended, park_for_flag, NULL) == 0);
    T_CHECK(rt_spawn(&joiner, join_to_the_end, ended) == 0);
    rt_yield();
    flag = true;
    rt_wake(shared_waker);                           /* now: `ended` runs and returns, */
    T_CHECK(rt_spawn(NULL, cancel_it, joiner) == 0); /* the joiner is cancelled, */
    T_CHECK(rt_join(joiner, NULL, RT_NEVER) == 0);   /* and only then it runs */
    return 0;
}

static void a_wait_whose_event_has_happened_keeps_its_result(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, cancel_after_the_event), 0);
    assert_string_equal(events, "p!cj");
}

static int woken_and_cancelled(void *arg)
{
    (void)arg;
    shared_waker = rt_waker_self();
    T_CHECK(rt_park(RT_NEVER) == 0); /* the wake came before the cancel */
    T_CHECK(rt_park(RT_NEVER) == -ECANCELED);
    return 0;
}

static int wake_then_cancel(void *arg)
{
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, woken_and_cancelled, NULL) == 0);
    rt_yield();
    rt_wake(shared_waker);
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_wake_before_a_cancel_is_not_lost(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, wake_then_cancel), 0);
}

static int close_when_cancelled(void *arg)
{
    struct rt_file *file;
    char buf[4];

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    rt_cancel_self();
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_file_close(file) == 0); /* only gives back: exempt */
    return 0;
}

static void calls_that_give_back_work_in_a_cancelled_task(void **state)
{
    int r;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    sim_file_put("data", "abcd", 4);
    r = rt_run(NULL, close_when_cancelled, NULL);
    assert_int_equal(sim_end(NULL), 0); /* the descriptor is closed */
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

/* 7: a cancelled task that waits in a loop does not starve others */

static int spin_on_waits(void *arg)
{
    bool *stop = arg;

    while (!*stop) {
        T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    }
    return 0;
}

static int cancelled_spinner(void *arg)
{
    struct rt_task *task;
    bool stop = false;

    (void)arg;
    T_CHECK(rt_spawn(&task, spin_on_waits, &stop) == 0);
    rt_cancel(task);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(3))) == 0);
    stop = true;
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    return 0;
}

static void waits_that_end_at_once_yield_when_the_slice_is_over(void **state)
{
    int r;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1, .step_max = 2000 });
    r = rt_run(NULL, cancelled_spinner, NULL);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

/* Sleep */

static int sleep_some(void *arg)
{
    rt_time deadline = rt_in(RT_MICROSECONDS(123));

    (void)arg;
    T_CHECK(rt_sleep_until(deadline) == 0);
    T_CHECK(rt_now() >= deadline);
    T_CHECK(rt_sleep_until(deadline) == 0); /* has passed */
    T_CHECK(rt_sleep_until(0) == 0);
    T_CHECK(rt_in(RT_NEVER) == RT_NEVER);
    T_CHECK(rt_in(0) > 0 && rt_turn_time() <= rt_now());
    return 0;
}

static void a_sleep_is_never_shorter_than_asked(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, sleep_some), 0);
}

/* Groups */

static int group_member(void *arg)
{
    int r = rt_sleep_until(rt_in(*(rt_time *)arg));

    event(r == 0 ? 'd' : 'c');
    return r;
}

static int group_of_three(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    rt_time delays[] = { RT_MILLISECONDS(1), RT_MILLISECONDS(2), RT_SECONDS(1000) };

    (void)arg;
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0); /* empty: at once */
    for (int i = 0; i < 3; i++) {
        T_CHECK(rt_group_spawn(&group, group_member, &delays[i]) == 0);
    }
    T_CHECK(rt_group_live(&group) == 3);
    T_CHECK(rt_group_wait(&group, rt_in(RT_MICROSECONDS(1500))) == -ETIME);
    T_CHECK(rt_group_live(&group) == 2);
    T_CHECK(rt_group_leave(&group, rt_in(RT_SECONDS(1))) == 0); /* giving way is no failure */
    T_CHECK(rt_group_live(&group) == 0);
    T_CHECK(rt_group_spawn(&group, group_member, &delays[0]) == -ESHUTDOWN);
    return 0;
}

static void leaving_a_group_drains_then_cancels_then_waits(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, group_of_three), 0);
    assert_string_equal(events, "ddc");
}

static int leave_when_cancelled(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    rt_time delay = RT_MILLISECONDS(1);

    (void)arg;
    T_CHECK(rt_group_spawn(&group, group_member, &delay) == 0);
    rt_cancel_self();
    T_CHECK(rt_group_wait(&group, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0); /* drains all the same */
    return 0;
}

static void a_cancelled_task_can_leave_its_group(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, leave_when_cancelled), 0);
    assert_string_equal(events, "d");
}

/* Limits and stop */

static int fill_the_table(void *arg)
{
    struct rt_stats stats;
    int r;
    unsigned spawned = 0;

    (void)arg;
    while ((r = rt_spawn(NULL, note, "n")) == 0) {
        spawned++;
    }
    T_CHECK(r == -EAGAIN && spawned == 9); /* ten with the first */
    rt_yield();
    rt_yield();
    T_CHECK(rt_spawn(NULL, note, "n") == 0); /* there is room again */
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.spawns_refused == 1 && stats.tasks_live == 2);
    return 0;
}

static void a_spawn_at_the_limit_is_refused_and_later_ones_work(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.tasks_max = 10;
    assert_int_equal(run_anew(&config, fill_the_table), 0);
}

static int never_ends_by_itself(void *arg)
{
    (void)arg;
    event(rt_sleep_until(RT_NEVER) == -ECANCELED ? 'c' : '?');
    T_CHECK(rt_spawn(NULL, note, "n") == -ESHUTDOWN);
    return 0;
}

static int leave_tasks_behind(void *arg)
{
    struct rt_task *handle;

    (void)arg;
    T_CHECK(rt_spawn(NULL, never_ends_by_itself, NULL) == 0);
    T_CHECK(rt_spawn(&handle, never_ends_by_itself, NULL) == 0); /* never joined */
    rt_yield();
    return 3;
}

static void tasks_that_live_on_are_cancelled_when_the_first_returns(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, leave_tasks_behind), 3);
    assert_string_equal(events, "cc");
}

/* 9: counts are back to what they were */

static int everything_once(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    rt_time delay = RT_MILLISECONDS(1);
    struct rt_stats before;
    struct rt_stats after;
    struct rt_file *file;
    char buf[8];

    (void)arg;
    rt_stats_get(&before, sizeof(before));
    for (int i = 0; i < 300; i++) { /* more than one block of the table */
        T_CHECK(rt_group_spawn(&group, group_member, &delay) == 0);
    }
    T_CHECK(rt_file_open(&file, "new", O_RDWR | O_CREAT, 0600, RT_NEVER) == 0);
    T_CHECK(rt_file_write_at(file, "12345678", 8, 0, RT_NEVER) == 8);
    T_CHECK(rt_file_read_at(file, buf, 8, 0, RT_NEVER) == 8 && memcmp(buf, "12345678", 8) == 0);
    T_CHECK(rt_file_sync(file, RT_NEVER) == 0 && rt_file_datasync(file, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    rt_stats_get(&after, sizeof(after));
    T_CHECK(after.tasks_live == before.tasks_live);
    T_CHECK(after.stacks_in_use == before.stacks_in_use);
    T_CHECK(after.ops_in_flight == 0 && after.timers_armed == 0 && after.stale == 0);
    return 0;
}

static void counts_return_to_what_they_were(void **state)
{
    (void)state;
    assert_int_equal(run_anew(NULL, everything_once), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawned_tasks_run_in_the_order_of_their_spawn),
        cmocka_unit_test(the_result_of_the_first_task_is_the_result_of_the_run),
        cmocka_unit_test(a_wake_of_a_running_task_is_kept_until_it_parks),
        cmocka_unit_test(wakes_are_idempotent_and_stale_ones_do_nothing),
        cmocka_unit_test(a_waker_of_an_old_generation_wakes_nobody),
        cmocka_unit_test(a_yielding_task_lets_timers_fire_within_its_quota),
        cmocka_unit_test(a_join_speaks_of_the_join_and_its_deadline_keeps_the_handle),
        cmocka_unit_test(a_cancelled_joiner_keeps_the_handle),
        cmocka_unit_test(cancel_ends_the_wait_and_every_later_one),
        cmocka_unit_test(a_task_cancelled_before_it_runs_still_runs),
        cmocka_unit_test(a_wait_whose_event_has_happened_keeps_its_result),
        cmocka_unit_test(a_wake_before_a_cancel_is_not_lost),
        cmocka_unit_test(calls_that_give_back_work_in_a_cancelled_task),
        cmocka_unit_test(waits_that_end_at_once_yield_when_the_slice_is_over),
        cmocka_unit_test(a_sleep_is_never_shorter_than_asked),
        cmocka_unit_test(leaving_a_group_drains_then_cancels_then_waits),
        cmocka_unit_test(a_cancelled_task_can_leave_its_group),
        cmocka_unit_test(a_spawn_at_the_limit_is_refused_and_later_ones_work),
        cmocka_unit_test(tasks_that_live_on_are_cancelled_when_the_first_returns),
        cmocka_unit_test(counts_return_to_what_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
