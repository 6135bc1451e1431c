/* SPDX-License-Identifier: MIT */
/*
 * A round through the ring that does nothing, on the simulated kernel: what it
 * returns, and how many entries into the kernel it takes, which the test counts.
 * Cancel and deadline at each stage are in cancel_test.c.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>
#include <liburing.h>

#include "rt/rt.h"

#define TASKS 32

/* What the kernel counted between two looks of the first task. */
struct seen {
    uint64_t enters;
    uint64_t nops;
    int result;
};

static void look(struct seen *seen)
{
    seen->enters = sim_stats()->enters - seen->enters;
    seen->nops = sim_stats()->by_opcode[IORING_OP_NOP] - seen->nops;
}

static struct seen run(rt_task_fn first)
{
    struct seen seen = { .result = 1 };

    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rt_run(NULL, first, &seen), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    return seen;
}

static int once(void *arg)
{
    struct seen *seen = arg;

    look(seen);
    seen->result = rt_nop(RT_NEVER);
    look(seen);
    return 0;
}

static void a_round_is_one_operation_and_one_enter(void **state)
{
    struct seen seen = run(once);

    (void)state;
    assert_int_equal(seen.result, 0);
    assert_int_equal(seen.nops, 1);
    assert_int_equal(seen.enters, 1);
}

static int round_of_many(void *arg)
{
    (void)arg;
    T_CHECK(rt_nop(RT_NEVER) == 0);
    return 0;
}

static int side_by_side(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct seen *seen = arg;

    T_CHECK(rt_nop(RT_NEVER) == 0); /* the executor's own first entry goes along */
    look(seen);
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&group, round_of_many, NULL) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    look(seen);
    return 0;
}

static void rounds_of_many_tasks_share_an_enter(void **state)
{
    struct seen seen = run(side_by_side);

    (void)state;
    assert_int_equal(seen.nops, TASKS);
    assert_int_equal(seen.enters, 1);
}

static int cancelled(void *arg)
{
    struct seen *seen = arg;

    rt_cancel_self();
    return once(seen);
}

static void a_cancelled_task_does_not_reach_the_ring(void **state)
{
    struct seen seen = run(cancelled);

    (void)state;
    assert_int_equal(seen.result, -ECANCELED);
    assert_int_equal(seen.nops, 0);
    assert_int_equal(seen.enters, 0);
}

static int failing(void *arg)
{
    sim_fail_next(IORING_OP_NOP, -EIO);
    return once(arg);
}

static void what_the_kernel_fails_with_is_the_result(void **state)
{
    struct seen seen = run(failing);

    (void)state;
    assert_int_equal(seen.result, -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_is_one_operation_and_one_enter),
        cmocka_unit_test(rounds_of_many_tasks_share_an_enter),
        cmocka_unit_test(a_cancelled_task_does_not_reach_the_ring),
        cmocka_unit_test(what_the_kernel_fails_with_is_the_result),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
