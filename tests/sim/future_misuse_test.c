/* SPDX-License-Identifier: MIT */
/*
 * Futures misused: each mistake aborts with a text that names it.
 */
#include "future_probe.h"
#include "support/death.h"

static struct probe *victim;
static struct rt_task *itself;

static int poll_nothing(struct rt_future *future)
{
    (void)future;
    return 0;
}

static int suspend_in_poll(struct rt_future *future)
{
    (void)future;
    rt_yield();
    return 0;
}

static int sleep_in_poll(struct rt_future *future)
{
    (void)future;
    return rt_sleep_until(rt_in(RT_SECONDS(1)));
}

static int await_in_poll(struct rt_future *future)
{
    (void)future;
    return rt_await(&victim->future, RT_NEVER);
}

static int enter_scope_in_poll(struct rt_future *future)
{
    struct rt_scope scope;

    (void)future;
    rt_scope_enter(&scope, RT_NEVER);
    return 0;
}

static int wait_for_two_in_poll(struct rt_future *future)
{
    T_CHECK(rt_poll_sleep(future, RT_NEVER) == RT_PENDING);
    return rt_poll_nop(future, RT_NEVER);
}

static int join_itself_in_poll(struct rt_future *future)
{
    return rt_poll_join(future, itself, NULL, RT_NEVER);
}

static int run_misuse(rt_poll_fn poll)
{
    struct rt_future future = RT_FUTURE_INIT(poll, NULL);
    struct rt_task *task;

    T_CHECK(rt_spawn_future(&task, &future) == 0);
    itself = task;
    return join(task);
}

static int yield_misuse(void *arg)
{
    (void)arg;
    return run_misuse(suspend_in_poll);
}

static int sleep_misuse(void *arg)
{
    (void)arg;
    return run_misuse(sleep_in_poll);
}

static int await_misuse(void *arg)
{
    (void)arg;
    victim = probe_new(NO_WAIT);
    return run_misuse(await_in_poll);
}

static int scope_misuse(void *arg)
{
    (void)arg;
    return run_misuse(enter_scope_in_poll);
}

static int two_misuse(void *arg)
{
    (void)arg;
    return run_misuse(wait_for_two_in_poll);
}

static int join_misuse(void *arg)
{
    (void)arg;
    return run_misuse(join_itself_in_poll);
}

static int awaited_misuse(void *arg)
{
    struct rt_future future = RT_FUTURE_INIT(suspend_in_poll, NULL);

    (void)arg;
    return rt_await(&future, RT_NEVER);
}

static void drop_by_sleep(struct rt_future *future)
{
    (void)future;
    (void)rt_sleep_until(RT_NEVER);
}

static int drop_misuse(void *arg)
{
    struct rt_future future = RT_FUTURE_INIT(poll_nothing, drop_by_sleep);
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &future) == 0);
    return join(task);
}

static int outside_misuse(void *arg)
{
    struct rt_future future = RT_FUTURE_INIT(poll_nothing, NULL);

    (void)arg;
    return rt_poll_sleep(&future, RT_NEVER);
}

static int twice_misuse(void *arg)
{
    struct probe *self = probe_new(BY_SLEEP);

    (void)arg;
    (void)spawn_probe(self);
    rt_yield();
    return rt_spawn_future(NULL, &self->future);
}

static int poll_join_it(struct rt_future *future)
{
    return rt_poll_join(future, itself, NULL, RT_NEVER);
}

static int sleep_then_9(void *arg)
{
    (void)arg;
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return 9;
}

/* The task ended, the future was told and not polled yet, and the handle is given away. */
static int gone_handle_misuse(void *arg)
{
    struct rt_future future = RT_FUTURE_INIT(poll_join_it, NULL);
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&itself, sleep_then_9, NULL) == 0);
    T_CHECK(rt_spawn_future(&task, &future) == 0);
    let_all_run();
    pause_for(RT_MILLISECONDS(1)); /* as long as the task's own sleep: both go on in one turn */
    T_CHECK(rt_is_finished(itself));
    rt_detach(itself);
    return join(task);
}

static int no_poll_misuse(void *arg)
{
    struct rt_future future = { .poll = NULL };

    (void)arg;
    return rt_spawn_future(NULL, &future);
}

static int await_no_poll_misuse(void *arg)
{
    struct rt_future future = { .poll = NULL };

    (void)arg;
    return rt_await(&future, RT_NEVER);
}

static int sleep_by_poll(struct rt_future *future)
{
    return rt_poll_sleep(future, RT_NEVER);
}

static int await_spawned_misuse(void *arg)
{
    struct probe *self = probe_new(BY_SLEEP);

    (void)arg;
    (void)spawn_probe(self);
    rt_yield();
    return rt_await(&self->future, RT_NEVER);
}

static int small_misuse(void *arg)
{
    struct rt_small_future future = RT_SMALL_FUTURE_INIT(sleep_by_poll, NULL);
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, rt_future_of(&future)) == 0);
    return join(task);
}

static void misuse_aborts_and_names_the_call(void **state)
{
    static const struct {
        rt_task_fn first;
        const char *text;
    } cases[] = {
        { yield_misuse, "suspends (yield) in the poll function of a future" },
        { sleep_misuse, "suspends (sleep) in the poll function of a future" },
        { awaited_misuse, "suspends (yield) in the poll function of a future" },
        { drop_misuse, "suspends (sleep) in the drop function of a future" },
        { await_misuse, "rt_await() was called in a poll function" },
        { scope_misuse, "rt_scope_enter() was called in the poll function" },
        { two_misuse, "rt_poll_nop(): the future waits for something else already (sleep)" },
        { join_misuse, "rt_poll_join(): a task cannot join itself" },
        { outside_misuse, "rt_poll_sleep() was called outside of a poll function" },
        { twice_misuse, "rt_spawn_future(): not a future, or it is being polled already" },
        { gone_handle_misuse, "has ended while a future or a select joined it" },
        { no_poll_misuse, "rt_spawn_future(): not a future" },
        { await_no_poll_misuse, "rt_await(): not a future" },
        { await_spawned_misuse, "rt_await(): not a future, or it is being polled already" },
        { small_misuse, "rt_poll_sleep(): a struct rt_small_future has no room for a wait" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_misuse_in_task(cases[i].first, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
