/* SPDX-License-Identifier: MIT */
/*
 * A future that a fiber awaits: its result, its deadline, a cancel of the fiber.
 */
#include "future_probe.h"

#include <liburing.h>

static int await_first(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ALL_WAYS; i++) {
        const uint64_t item = 7;
        struct probe *self = probe_new(all_ways[i]);

        self->result = -ETIME; /* its own, though it looks like the call's */
        self->may_end = true;
        if (self->chan != NULL) {
            T_CHECK(rt_chan_send(self->chan, &item, 0) == 0);
        }
        T_CHECK(rt_await(&self->future, RT_NEVER) == -ETIME && self->waited >= 0);
        T_CHECK(self->polls > 0);
        probe_free(self);
    }
    return 0;
}

static void a_fiber_gets_the_result_of_the_future_that_it_awaits(void **state)
{
    (void)state;
    run_first(await_first);
}

static int await_deadline_first(void *arg)
{
    (void)arg;
    for (size_t i = 1; i < ALL_WAYS; i++) {
        for (int passed = 0; passed < 2; passed++) {
            struct probe *self = probe_new(all_ways[i]);
            const rt_time deadline = passed ? 0 : rt_in(RT_MICROSECONDS(100));

            sim_hold(IORING_OP_READ, SIM_QUEUED);
            self->wants_in_drop = self->way != BY_WAKER && self->way != BY_BOTH;
            T_CHECK(rt_await(&self->future, deadline) == -ETIME);
            sim_unhold();
            T_CHECK(rt_now() >= deadline);
            T_CHECK(self->polls > 0); /* as far as it could */
            T_CHECK(self->dropped == (self->wants_in_drop ? -ECANCELED : 0));
            probe_free(self);
        }
    }
    return 0;
}

static void an_await_ends_at_its_deadline_and_drops_the_future(void **state)
{
    (void)state;
    run_first(await_deadline_first);
}

static int release_read(void *arg)
{
    (void)arg;
    pause_for(RT_MILLISECONDS(20));
    T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    return 0;
}

static int outlast_first(void *arg)
{
    struct probe *self = probe_new(BY_READ);
    const rt_time begin = rt_now();

    (void)arg;
    self->wants_in_drop = true;
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    T_CHECK(rt_spawn(NULL, release_read, NULL) == 0);
    T_CHECK(rt_await(&self->future, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    T_CHECK(rt_now() >= begin + RT_MILLISECONDS(20));
    T_CHECK(self->dropped == 4);
    sim_unhold();
    probe_free(self);
    return 0;
}

static void an_await_outlasts_its_deadline_while_the_kernel_has_the_memory(void **state)
{
    (void)state;
    run_first(outlast_first);
}

struct awaiting {
    struct probe *probe;
    int awaited;
};

static int await_it(void *arg)
{
    struct awaiting *self = arg;

    self->awaited = rt_await(&self->probe->future, RT_NEVER);
    return self->awaited;
}

static int await_cancel_first(void *arg)
{
    (void)arg;
    for (size_t i = 1; i < ALL_WAYS; i++) {
        for (int fresh = 0; fresh < 2; fresh++) {
            struct awaiting self = { .probe = probe_new(all_ways[i]) };
            struct rt_task *task;

            sim_hold(IORING_OP_READ, SIM_QUEUED);
            T_CHECK(rt_spawn(&task, await_it, &self) == 0);
            for (int n = fresh ? 0 : 5; n > 0; n--) {
                rt_yield();
            }
            rt_cancel(task);
            T_CHECK(join(task) == -ECANCELED && self.awaited == -ECANCELED);
            sim_unhold();
            T_CHECK((self.probe->polls == 0) == (fresh != 0));
            probe_free(self.probe);
        }
    }
    return 0;
}

static void an_await_ends_with_a_cancel_and_drops_the_future(void **state)
{
    (void)state;
    run_first(await_cancel_first);
}

/* For ever: each poll wakes its own task. */

struct restless {
    struct rt_future future;
    unsigned polls;
};

static int poll_restless(struct rt_future *future)
{
    ((struct restless *)future)->polls++;
    rt_wake(rt_waker_self());
    return RT_PENDING;
}

static int restless_first(void *arg)
{
    struct restless self = { .future = RT_FUTURE_INIT(poll_restless, NULL) };
    struct rt_scope scope;

    (void)arg;
    T_CHECK(rt_await(&self.future, 0) == -ETIME && self.polls > 0);
    rt_scope_enter(&scope, 0);
    T_CHECK(rt_await(&self.future, RT_NEVER) == -ETIME);
    T_CHECK(rt_scope_leave(&scope) == -ETIME);
    return 0;
}

static void an_await_of_a_future_that_never_rests_has_a_deadline_too(void **state)
{
    (void)state;
    run_first(restless_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiber_gets_the_result_of_the_future_that_it_awaits),
        cmocka_unit_test(an_await_ends_at_its_deadline_and_drops_the_future),
        cmocka_unit_test(an_await_outlasts_its_deadline_while_the_kernel_has_the_memory),
        cmocka_unit_test(an_await_ends_with_a_cancel_and_drops_the_future),
        cmocka_unit_test(an_await_of_a_future_that_never_rests_has_a_deadline_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
