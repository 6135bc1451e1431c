/* SPDX-License-Identifier: MIT */
/*
 * Calls of another shard run one after the other in a task that serves them all, until
 * one suspends. What one of them sets for its task is not there for the next.
 *
 * Shard 0 asks, shard 1 serves. Each call says what it found before it sets something
 * itself, so the first that finds anything tells.
 */
#include "support/death.h"
#include "support/harness.h"

#include <errno.h>

#include "core/executor.h"
#include "rt/rt.h"
#include "support/shards.h"

#define SEED  7
#define CALLS 30

static int key;
static rt_task_fn ask; /* what shard 0 does */

static int first(void *arg)
{
    return rt_shard_index() == 0 ? ask(arg) : 0;
}

static void run(rt_task_fn what)
{
    struct shards shards;

    ask = what;
    shards_init(&shards, SEED, 2);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, first, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

static int child_sees_it(void *arg)
{
    return rt_local_get(key) == arg;
}

static int poll_nap(struct rt_future *future)
{
    return rt_poll_sleep(future, rt_in(RT_MICROSECONDS(1)));
}

/* In a scope, so that this suspends in one for the first time. */
static void suspend_in_scope(intptr_t number, char *value)
{
    struct rt_future nap = RT_FUTURE_INIT(poll_nap, NULL);
    struct rt_scope scope;
    struct rt_task *task;
    int saw = 0;

    rt_scope_enter(&scope, RT_NEVER);
    if (number % 2 == 0) {
        T_CHECK(rt_spawn(&task, child_sees_it, value) == 0);
        T_CHECK(rt_join(task, &saw, RT_NEVER) == 0 && saw == 1);
    } else {
        T_CHECK(rt_await(&nap, RT_NEVER) == 0);
    }
    T_CHECK(rt_scope_leave(&scope) == 0);
}

/* It has a value, an identity and a cancel of its own; every third suspends after that. */
static int leave_traces(void *arg)
{
    const intptr_t number = (intptr_t)arg;
    char *value = (char *)&key + number; /* its address only */

    T_CHECK(rt_local_get(key) == NULL);
    T_CHECK(!rt_cancelled());
    T_CHECK(rt_local_set(key, value) == 0);
    if (number % 3 == 0) {
        suspend_in_scope(number, value);
    }
    T_CHECK(rt_local_get(key) == value);
    rt_cancel_self();
    return (int)number;
}

static int call_in_a_row(void *arg)
{
    (void)arg;
    T_CHECK(rt_local_set(key, &key) == 0); /* is not inherited by what it calls */
    for (intptr_t i = 0; i < CALLS; i++) {
        int result = -1;

        T_CHECK(rt_call(1, leave_traces, (void *)i, // NOLINT(performance-no-int-to-ptr)
                        &result, RT_NEVER) == 0);
        T_CHECK(result == (int)i);
    }
    return 0;
}

static void a_call_finds_nothing_of_the_one_before(void **state)
{
    (void)state;
    run(call_in_a_row);
}

static int call_at_once(void *arg)
{
    struct rt_call calls[CALLS];

    (void)arg;
    for (intptr_t i = 0; i < CALLS; i++) {
        T_CHECK(rt_call_begin(&calls[i], 1, leave_traces,
                              (void *)i, // NOLINT(performance-no-int-to-ptr)
                              RT_NEVER) == 0);
    }
    for (int i = 0; i < CALLS; i++) {
        int result = -1;

        T_CHECK(rt_call_end(&calls[i], &result, RT_NEVER) == 0 && result == i);
    }
    return 0;
}

static void calls_that_arrive_together_find_nothing_of_each_other(void **state)
{
    (void)state;
    run(call_at_once);
}

/* Blocks of values are given back, by calls that suspend and by those that do not. */
static int count_blocks(void *arg)
{
    (void)arg;
    return (int)rti_current->locals.in_use;
}

static int call_then_count(void *arg)
{
    int blocks = -1;

    T_CHECK(call_at_once(arg) == 0);
    T_CHECK(rt_call(1, count_blocks, NULL, &blocks, RT_NEVER) == 0 && blocks == 0);
    return 0;
}

static void values_of_calls_are_given_back(void **state)
{
    (void)state;
    run(call_then_count);
}

/* A scope around a call of the same task */

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static int call_in_scope(void *arg)
{
    struct rt_scope scope;
    struct rt_call call;
    int result = 0;

    (void)arg;
    rt_scope_enter(&scope, rt_in(RT_MILLISECONDS(5)));
    T_CHECK(rt_call(1, sleep_for_ever, NULL, &result, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);

    T_CHECK(rt_call_begin(&call, 1, sleep_for_ever, NULL, RT_NEVER) == 0);
    rt_scope_enter(&scope, rt_in(RT_MILLISECONDS(5)));
    T_CHECK(rt_call_end(&call, &result, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    return 0;
}

static void a_call_ends_at_the_deadline_of_the_callers_scope(void **state)
{
    (void)state;
    run(call_in_scope);
}

/* Misuse: the process that dies is a child of this one. */

static struct rt_scope forgotten;

static int forget_scope(void *arg)
{
    (void)arg;
    rt_scope_enter(&forgotten, RT_NEVER);
    return 0;
}

static int call_forgetful(void *arg)
{
    (void)arg;
    return rt_call(1, forget_scope, NULL, NULL, RT_NEVER);
}

static void die_of_a_forgotten_scope(int error_fd)
{
    const struct rlimit no_core = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)alarm(DEATH_SECONDS_MAX);
    run(call_forgetful);
    _exit(0);
}

static void a_call_that_returns_within_a_scope_aborts(void **state)
{
    char said[8192] = "";
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    pid_t child;
    ssize_t n;

    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        die_of_a_forgotten_scope(pipe_fds[1]);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], said + used, sizeof(said) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "returns from within a scope that it has not left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_finds_nothing_of_the_one_before),
        cmocka_unit_test(calls_that_arrive_together_find_nothing_of_each_other),
        cmocka_unit_test(values_of_calls_are_given_back),
        cmocka_unit_test(a_call_ends_at_the_deadline_of_the_callers_scope),
        cmocka_unit_test(a_call_that_returns_within_a_scope_aborts),
    };

    key = rt_local_create();
    return key < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
