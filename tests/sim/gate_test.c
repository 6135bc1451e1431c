/* SPDX-License-Identifier: MIT */
/*
 * Gates: each promise of rt/gate.h, one at a time.
 *
 * Method: the first task is inside while callers (sim/caller.h) close; then it leaves, or
 * ends their waits otherwise. Where a gate lies on the heap, its memory is freed the moment
 * the close returns: whoever touched it later would be found by AddressSanitizer.
 */
#include "sim/caller.h"
#include "support/death.h"

#include <stdlib.h>

static int close_it(void *gate, rt_time deadline)
{
    return rt_gate_close(gate, deadline);
}

static int use_open_gate(void *arg)
{
    struct rt_gate gate = RT_GATE_INIT;

    (void)arg;
    caller_watch_others();
    T_CHECK(rt_gate_enter(&gate) == 0 && rt_gate_enter(&gate) == 0);
    rt_gate_leave(&gate);
    rt_gate_leave(&gate);
    T_CHECK(rt_gate_enter(&gate) == 0); /* it is open, however empty */
    rt_gate_leave(&gate);
    T_CHECK(rt_gate_close(&gate, RT_NEVER) == 0);
    T_CHECK(rt_gate_enter(&gate) == -EPIPE);
    T_CHECK(rt_gate_close(&gate, RT_NEVER) == 0);
    T_CHECK(!caller_others_ran);
    return 0;
}

static void an_empty_gate_is_closed_without_a_suspension_and_stays_closed(void **state)
{
    (void)state;
    caller_run(use_open_gate);
}

static int close_under_users(void *arg)
{
    struct rt_gate gate = RT_GATE_INIT;
    struct caller closers[2];

    (void)arg;
    T_CHECK(rt_gate_enter(&gate) == 0 && rt_gate_enter(&gate) == 0);
    caller_start(&closers[0], close_it, &gate, RT_NEVER);
    caller_start(&closers[1], close_it, &gate, RT_NEVER);
    T_CHECK(rt_gate_enter(&gate) == -EPIPE);
    rt_gate_leave(&gate);
    caller_let_run();
    T_CHECK(caller_waits(&closers[0]) && caller_waits(&closers[1]));
    rt_gate_leave(&gate);
    T_CHECK(caller_end(&closers[0]) == 0 && closers[0].place == 1);
    T_CHECK(caller_end(&closers[1]) == 0);
    return 0;
}

static void a_close_waits_until_the_last_has_left(void **state)
{
    (void)state;
    caller_run(close_under_users);
}

static int close_in_vain(void *arg)
{
    const rt_time deadline = rt_in(RT_SECONDS(1));
    struct rt_gate gate = RT_GATE_INIT;
    struct caller closer;

    (void)arg;
    T_CHECK(rt_gate_enter(&gate) == 0);
    T_CHECK(rt_gate_close(&gate, 0) == -ETIME);
    caller_start(&closer, close_it, &gate, deadline);
    T_CHECK(caller_end(&closer) == -ETIME && rt_now() >= deadline);
    T_CHECK(rt_gate_enter(&gate) == -EPIPE); /* it is closed all the same */
    caller_start(&closer, close_it, &gate, RT_NEVER);
    rt_gate_leave(&gate);
    T_CHECK(caller_end(&closer) == 0);
    return 0;
}

static void a_close_whose_deadline_passes_leaves_the_gate_closed(void **state)
{
    (void)state;
    caller_run(close_in_vain);
}

static int close_when_cancelled(void *gate, rt_time deadline)
{
    struct rt_scope scope;
    int r;

    rt_cancel_self();
    rt_scope_enter(&scope, rt_in(RT_SECONDS(1)));
    r = rt_gate_close(gate, deadline);
    (void)rt_scope_leave(&scope);
    return r;
}

static int cancel_closers(void *arg)
{
    struct rt_gate gate = RT_GATE_INIT;
    struct caller before;
    struct caller meanwhile;

    (void)arg;
    T_CHECK(rt_gate_enter(&gate) == 0);
    caller_start(&before, close_when_cancelled, &gate, RT_NEVER);
    caller_start(&meanwhile, close_it, &gate, RT_NEVER);
    rt_cancel(meanwhile.task);
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(2))) == 0);
    T_CHECK(caller_waits(&before) && caller_waits(&meanwhile));
    rt_gate_leave(&gate);
    T_CHECK(caller_end(&before) == 0 && caller_end(&meanwhile) == 0);
    return 0;
}

static void neither_cancel_nor_scope_ends_the_wait_of_a_close(void **state)
{
    (void)state;
    caller_run(cancel_closers);
}

static int close_and_free(void *gate, rt_time deadline)
{
    const int r = rt_gate_close(gate, deadline);

    free(gate);
    return r;
}

static int leave_and_forget(void *arg)
{
    struct rt_gate *gate = calloc(1, sizeof(*gate));
    struct caller closer;

    (void)arg;
    T_CHECK(gate != NULL && rt_gate_enter(gate) == 0);
    caller_start(&closer, close_and_free, gate, RT_NEVER);
    rt_gate_leave(gate);
    T_CHECK(caller_end(&closer) == 0);
    return 0;
}

static void who_closes_may_free_the_gate(void **state)
{
    (void)state;
    caller_run(leave_and_forget);
}

static int leave_too_often(void *arg)
{
    struct rt_gate gate = RT_GATE_INIT;

    T_CHECK(rt_gate_enter(&gate) == 0);
    rt_gate_leave(&gate);
    rt_gate_leave(&gate);
    return arg != NULL;
}

static void a_leave_without_an_enter_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(leave_too_often, "rt_gate_leave(): nobody is inside the gate");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_gate_is_closed_without_a_suspension_and_stays_closed),
        cmocka_unit_test(a_close_waits_until_the_last_has_left),
        cmocka_unit_test(a_close_whose_deadline_passes_leaves_the_gate_closed),
        cmocka_unit_test(neither_cancel_nor_scope_ends_the_wait_of_a_close),
        cmocka_unit_test(who_closes_may_free_the_gate),
        cmocka_unit_test(a_leave_without_an_enter_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
