/* SPDX-License-Identifier: MIT */
/*
 * Task-locals without memory: the call says so, and nothing has changed.
 *
 * Blocks of values come from a pool. Tasks take them until the next one needs memory of
 * the system, which then fails: for a task that has no value, and for one that
 * has inherited what it would change.
 */
#include "support/fault_checks.h"

#include <errno.h>

#include "core/executor.h"
#include "rt/rt.h"

#define TASKS_MAX 1000

static int key;
static char first_value;
static char own_value;

static int keep_own_value(void *arg)
{
    (void)arg;
    T_CHECK(rt_local_get(key) == &first_value);
    T_CHECK(rt_local_set(key, &own_value) == 0);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    T_CHECK(rt_local_get(key) == &own_value);
    return 0;
}

static int fail_to_set(void *arg)
{
    void *before = rt_local_get(key);
    int r;

    T_CHECK(before == arg);
    fault_begin(1);
    r = rt_local_set(key, &own_value);
    T_CHECK(fault_end() && r == -ENOMEM);
    T_CHECK(rt_local_get(key) == before);
    T_CHECK(rt_local_set(key, &own_value) == 0); /* now there is some */
    T_CHECK(rt_local_get(key) == &own_value);
    return 0;
}

/* Until the pool has no free block. */
static unsigned use_up_blocks(struct rt_group *group)
{
    unsigned count = 0;

    while (rti_current->locals.free != NULL && count < TASKS_MAX) {
        T_CHECK(rt_group_spawn(group, keep_own_value, NULL) == 0);
        rt_yield();
        count++;
    }
    return count;
}

static int first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, fail_to_set, NULL) == 0); /* the very first value */
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);

    T_CHECK(rt_local_set(key, &first_value) == 0);
    T_CHECK(use_up_blocks(&group) > 0 && rti_current->locals.free == NULL);
    T_CHECK(rt_spawn(&task, fail_to_set, &first_value) == 0);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(rt_group_leave(&group, 0) == 0);
    T_CHECK(rti_current->locals.in_use == 1); /* this task's */
    return 0;
}

static void without_memory_a_value_stays_as_it_is(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    fault_begin(0);
    assert_int_equal(rt_run(&config, first, NULL), 0);
    (void)fault_end();
    check_nothing_is_left(0, descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_value_stays_as_it_is),
    };

    key = rt_local_create();
    return key < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
