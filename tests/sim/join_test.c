/* SPDX-License-Identifier: MIT */
/*
 * Join handles: each way in which one ends, at each stage of its task's life, and that
 * what the join says is never mixed with what the task said.
 */
#include "support/first.h"

#include <errno.h>
#include <string.h>

#include "rt/rt.h"

static int return_it(void *arg)
{
    return (int)(intptr_t)arg;
}

static int sleep_then_return_it(void *arg)
{
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return (int)(intptr_t)arg;
}

static struct rt_task *spawn(rt_task_fn fn, intptr_t value)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, (void *)value) == 0); // NOLINT(performance-no-int-to-ptr)
    return task;
}

/* Results that look like the join's own. */
static int results_first(void *arg)
{
    static const int results[] = { 0, 1, INT32_MAX, -ETIME, -ECANCELED, -ESHUTDOWN, INT32_MIN + 1 };

    (void)arg;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        for (int waits = 0; waits < 2; waits++) {
            struct rt_task *task = spawn(waits ? sleep_then_return_it : return_it, results[i]);
            int result = 99;

            T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == results[i]);
        }
    }
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_result_is_never_taken_for_an_error_of_the_join(void **state)
{
    (void)state;
    run_first(results_first);
}

static int deadline_first(void *arg)
{
    struct rt_task *task = spawn(sleep_then_return_it, 7);
    int result = 99;

    (void)arg;
    T_CHECK(rt_join(task, &result, 0) == -ETIME && result == 99);
    T_CHECK(rt_join(task, &result, rt_in(RT_MICROSECONDS(10))) == -ETIME && result == 99);
    T_CHECK(!rt_is_finished(task));
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 7);

    task = spawn(return_it, 8);
    let_all_run();
    T_CHECK(rt_is_finished(task));
    T_CHECK(rt_join(task, &result, 0) == 0 && result == 8); /* a try is enough */
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_join_that_timed_out_leaves_the_handle(void **state)
{
    (void)state;
    run_first(deadline_first);
}

static int detach_itself(void *arg)
{
    struct rt_task **self = arg;

    rt_detach(*self);
    *self = NULL;
    return rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
}

static int detach_first(void *arg)
{
    struct rt_task *running = NULL;
    struct rt_task *fresh = spawn(sleep_then_return_it, 1);
    struct rt_task *waiting = spawn(sleep_then_return_it, 2);
    struct rt_task *finished = spawn(return_it, 3);

    (void)arg;
    T_CHECK(rt_spawn(&running, detach_itself, &running) == 0);
    rt_detach(fresh);
    let_all_run();
    T_CHECK(running == NULL);
    T_CHECK(rt_is_finished(finished) && !rt_is_finished(waiting));
    rt_detach(waiting);
    rt_detach(finished);
    rt_detach(NULL);
    T_CHECK(tasks_live() == 4); /* the three that sleep */
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(5))) == 0);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_task_is_detached_before_during_and_after_its_life(void **state)
{
    (void)state;
    run_first(detach_first);
}

/* A joiner that is cancelled, while another task may take its place. */

struct joiner {
    struct rt_task *task;
    int joined;
    int result;
};

static int join_it(void *arg)
{
    struct joiner *self = arg;

    self->result = 99;
    self->joined = rt_join(self->task, &self->result, RT_NEVER);
    return 0;
}

static int cancel_first(void *arg)
{
    struct joiner self = { .task = spawn(sleep_then_return_it, 5) };
    struct rt_task *joiner;
    int result = 0;

    (void)arg;
    T_CHECK(rt_spawn(&joiner, join_it, &self) == 0);
    let_all_run();
    rt_cancel(joiner);
    T_CHECK(rt_join(joiner, NULL, RT_NEVER) == 0);
    T_CHECK(self.joined == -ECANCELED && self.result == 99);
    T_CHECK(rt_join(self.task, &result, RT_NEVER) == 0 && result == 5);

    /* the end and the cancel of the joiner in one run: the end came first */
    self.task = spawn(return_it, 6);
    T_CHECK(rt_spawn(&joiner, join_it, &self) == 0);
    rt_yield();
    rt_cancel(joiner);
    T_CHECK(rt_join(joiner, NULL, RT_NEVER) == 0);
    T_CHECK(self.joined == 0 && self.result == 6);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_cancel_of_the_joiner_leaves_the_handle(void **state)
{
    (void)state;
    run_first(cancel_first);
}

static int cancelled_first(void *arg)
{
    struct rt_task *task = spawn(sleep_then_return_it, 4);
    struct rt_task *fresh = spawn(return_it, 9);
    int result = 0;

    (void)arg;
    rt_cancel(fresh); /* before its first run: it runs all the same */
    rt_cancel(fresh);
    let_all_run();
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 4);
    T_CHECK(rt_join(fresh, &result, RT_NEVER) == 0 && result == 9);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_cancelled_task_is_joined_like_any_other(void **state)
{
    (void)state;
    run_first(cancelled_first);
}

static int look_at_itself(void *arg)
{
    const struct rt_task *self = rt_self();

    T_CHECK(self == *(struct rt_task **)arg);
    T_CHECK(rt_task_id(self) == rt_self_id());
    T_CHECK(strcmp(rt_task_name(self), "first name") == 0);
    rt_self_set_name("second name");
    rt_yield();
    T_CHECK(rt_self() == self && strcmp(rt_task_name(self), "second name") == 0);
    rt_self_set_name(NULL);
    T_CHECK(strcmp(rt_task_name(self), "") == 0);
    return 0;
}

static int self_first(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = "first name" };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_with(&task, look_at_itself, &task, &options) == 0);
    T_CHECK(strcmp(rt_task_name(task), "first name") == 0);
    T_CHECK(rt_self() != task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_task_knows_itself(void **state)
{
    (void)state;
    run_first(self_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_never_taken_for_an_error_of_the_join),
        cmocka_unit_test(a_join_that_timed_out_leaves_the_handle),
        cmocka_unit_test(a_task_is_detached_before_during_and_after_its_life),
        cmocka_unit_test(a_cancel_of_the_joiner_leaves_the_handle),
        cmocka_unit_test(a_cancelled_task_is_joined_like_any_other),
        cmocka_unit_test(a_task_knows_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
