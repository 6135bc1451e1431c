/* SPDX-License-Identifier: MIT */
/*
 * Task-locals: each promise of rt/local.h.
 *
 * Tasks set, get and inherit values in each order; the executor counts the blocks that hold
 * them, so a value that costs nothing, one that is shared and one that is given back are
 * told apart. Those of calls between shards are in call_identity_test.
 */
#include "support/death.h"
#include "support/first.h"

#include <errno.h>

#include "core/executor.h"
#include "core/locals.h"
#include "rt/rt.h"

static int keys[RT_LOCALS_MAX];
static char values[RT_LOCALS_MAX + 1]; /* to point to */

/* Blocks that hold values now. */
static uint64_t blocks(void)
{
    return rti_current->locals.in_use;
}

static struct rt_task *spawn(rt_task_fn fn, void *arg)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, arg) == 0);
    return task;
}

static int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* Keys */

static void there_are_as_many_keys_as_it_says(void **state)
{
    (void)state;
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        keys[i] = rt_local_create();
        assert_int_equal(keys[i], i);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rt_local_create(), -EAGAIN);
    }
}

/* Values */

static int each_key_first(void *arg)
{
    (void)arg;
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_get(keys[i]) == NULL);
    }
    T_CHECK(blocks() == 0); /* to ask costs nothing */
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_set(keys[i], &values[i]) == 0);
    }
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_get(keys[i]) == &values[i]);
    }
    T_CHECK(rt_local_set(keys[3], &values[RT_LOCALS_MAX]) == 0);
    T_CHECK(rt_local_set(keys[4], NULL) == 0);
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_get(keys[i]) == (i == 3   ? &values[RT_LOCALS_MAX]
                                          : i == 4 ? NULL
                                                   : &values[i]));
    }
    T_CHECK(blocks() == 1);
    return 0;
}

static void each_key_has_a_value_of_its_own(void **state)
{
    (void)state;
    run_first(each_key_first);
}

static int null_first(void *arg)
{
    (void)arg;
    T_CHECK(rt_local_set(keys[0], NULL) == 0);
    T_CHECK(blocks() == 0 && rt_local_get(keys[0]) == NULL);
    return 0;
}

static void to_set_nothing_where_nothing_is_costs_nothing(void **state)
{
    (void)state;
    run_first(null_first);
}

/* Inheritance */

#define GENERATIONS 4

/* Each sees what its spawner had, sets one key more, and spawns the next. */
static int generation(void *arg)
{
    const int number = (int)(intptr_t)arg;
    int r = number;

    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_get(keys[i]) == (i < number ? &values[i] : NULL));
    }
    if (number < GENERATIONS) {
        T_CHECK(rt_local_set(keys[number], &values[number]) == 0);
        r = join(
            spawn(generation, (void *)((intptr_t)number + 1))); // NOLINT(performance-no-int-to-ptr)
    }
    for (int i = 0; i < RT_LOCALS_MAX; i++) {
        T_CHECK(rt_local_get(keys[i]) == (i < number + (number < GENERATIONS) ? &values[i] : NULL));
    }
    return r;
}

static int generations_first(void *arg)
{
    (void)arg;
    T_CHECK(generation(NULL) == GENERATIONS);
    T_CHECK(blocks() == 1); /* the first task's own */
    return 0;
}

static void a_task_inherits_and_its_spawner_does_not_see_what_it_sets(void **state)
{
    (void)state;
    run_first(generations_first);
}

static int see_first_value(void *arg)
{
    return rt_local_get(keys[0]) == arg;
}

/* It is the spawn that counts, not the first run. */
static int moment_first(void *arg)
{
    struct rt_task *before;
    struct rt_task *between;
    struct rt_task *after;

    (void)arg;
    before = spawn(see_first_value, NULL);
    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    between = spawn(see_first_value, &values[0]);
    T_CHECK(rt_local_set(keys[0], &values[1]) == 0);
    after = spawn(see_first_value, &values[1]);
    T_CHECK(join(before) == 1 && join(between) == 1 && join(after) == 1);
    return 0;
}

static void values_are_those_of_the_moment_of_the_spawn(void **state)
{
    (void)state;
    run_first(moment_first);
}

static int outlive(void *arg)
{
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return see_first_value(arg);
}

static int spawn_and_end(void *arg)
{
    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    *(struct rt_task **)arg = spawn(outlive, &values[0]);
    return 0;
}

static int outlive_first(void *arg)
{
    struct rt_task *grandchild = NULL;

    (void)arg;
    T_CHECK(join(spawn(spawn_and_end, &grandchild)) == 0);
    T_CHECK(blocks() == 1);
    T_CHECK(join(grandchild) == 1);
    T_CHECK(blocks() == 0);
    return 0;
}

static void inherited_values_outlive_the_spawner(void **state)
{
    (void)state;
    run_first(outlive_first);
}

/* Blocks */

static int set_own(void *arg)
{
    T_CHECK(rt_local_set(keys[1], arg) == 0);
    T_CHECK(rt_local_get(keys[0]) == &values[0]); /* copied with it */
    rt_yield();
    T_CHECK(rt_local_get(keys[1]) == arg);
    return 0;
}

static int share_first(void *arg)
{
    struct rt_task *tasks[6];

    (void)arg;
    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    for (int i = 0; i < 6; i++) {
        tasks[i] = spawn(i % 2 == 0 ? outlive : set_own, &values[i % 2 == 0 ? 0 : i]);
    }
    T_CHECK(blocks() == 1); /* of seven tasks */
    rt_yield();
    T_CHECK(blocks() == 4);                          /* and three have their own now */
    T_CHECK(rt_local_set(keys[1], &values[7]) == 0); /* and the spawner too */
    T_CHECK(blocks() == 5);
    T_CHECK(rt_local_set(keys[2], &values[7]) == 0); /* which it has already */
    T_CHECK(blocks() == 5);
    for (int i = 0; i < 6; i++) {
        T_CHECK(join(tasks[i]) == (i % 2 == 0));
    }
    T_CHECK(blocks() == 1);
    return 0;
}

static void a_block_is_shared_until_one_sets_a_value(void **state)
{
    (void)state;
    run_first(share_first);
}

/* In each way that a task may end. */

static int end_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_task *task;

    (void)arg;
    T_CHECK(join(spawn(spawn_and_end, &task)) == 0);
    rt_cancel(task); /* while it sleeps */
    T_CHECK(join(task) == 1);
    T_CHECK(blocks() == 0);

    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    task = spawn(outlive, &values[0]);
    rt_cancel(task); /* before it runs */
    T_CHECK(join(task) == 1);
    rt_detach(spawn(outlive, &values[0]));
    T_CHECK(rt_group_spawn(&group, outlive, &values[0]) == 0);
    T_CHECK(rt_group_leave(&group, 0) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(2))) == 0);
    T_CHECK(blocks() == 1);
    return 0;
}

static void a_block_is_given_back_however_its_tasks_end(void **state)
{
    (void)state;
    run_first(end_first);
}

/* A spawn that fails has counted nobody. */

static int spawn_in_vain(void *arg)
{
    struct rt_task *none = NULL;

    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    T_CHECK(rt_spawn(&none, outlive, arg) == -EAGAIN && none == NULL);
    return 0;
}

static int refused_first(void *arg)
{
    T_CHECK(join(spawn(spawn_in_vain, arg)) == 0);
    T_CHECK(blocks() == 0);
    return 0;
}

static void a_spawn_that_fails_holds_no_block(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.tasks_max = 2;
    assert_int_equal(run_config(&config, refused_first, NULL), 0);
}

/* Futures are tasks here too, and a fiber that awaits one lends it its own values. */

struct asker {
    struct rt_future future;
    void *saw;
    void *saw_in_drop;
};

static int poll_asker(struct rt_future *future)
{
    struct asker *self = (struct asker *)future;
    int r;

    if (self->saw == NULL) {
        self->saw = rt_local_get(keys[0]);
        T_CHECK(rt_local_set(keys[0], &values[1]) == 0);
    }
    r = rt_poll_sleep(future, rt_in(RT_MICROSECONDS(10)));
    T_CHECK(rt_local_get(keys[0]) == &values[1]); /* from one poll to the next */
    return r;
}

static void drop_asker(struct rt_future *future)
{
    ((struct asker *)future)->saw_in_drop = rt_local_get(keys[0]);
}

static int future_first(void *arg)
{
    struct asker task_of_its_own = { .future = RT_FUTURE_INIT(poll_asker, drop_asker) };
    struct asker awaited = { .future = RT_FUTURE_INIT(poll_asker, drop_asker) };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_local_set(keys[0], &values[0]) == 0);
    T_CHECK(rt_spawn_future(&task, &task_of_its_own.future) == 0);
    T_CHECK(join(task) == 0);
    T_CHECK(task_of_its_own.saw == &values[0] && task_of_its_own.saw_in_drop == &values[1]);
    T_CHECK(rt_local_get(keys[0]) == &values[0]);
    T_CHECK(rt_await(&awaited.future, RT_NEVER) == 0);
    T_CHECK(awaited.saw == &values[0] && awaited.saw_in_drop == &values[1]);
    T_CHECK(rt_local_get(keys[0]) == &values[1]); /* it ran in this task */
    T_CHECK(blocks() == 1);
    return 0;
}

static void a_future_has_values_as_any_task(void **state)
{
    (void)state;
    run_first(future_first);
}

/* Misuse */

static int get_of_no_key(void *arg)
{
    (void)arg;
    return rt_local_get(-EAGAIN) == NULL;
}

static int set_of_no_key(void *arg)
{
    (void)arg;
    return rt_local_set(RT_LOCALS_MAX, NULL);
}

static void what_is_no_key_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(get_of_no_key, "rt_local_get(): -11 is no key; rt_local_create()");
    assert_misuse_in_task(set_of_no_key, "rt_local_set(): 8 is no key; rt_local_create()");
}

/* Keys are the process's: this one comes before all others have made any. */
static int no_key_yet(void *arg)
{
    (void)arg;
    return rt_local_set(0, NULL);
}

static void a_key_is_none_before_it_was_made(void **state)
{
    (void)state;
    assert_misuse_in_task(no_key_yet, "rt_local_set(): 0 is no key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_none_before_it_was_made),
        cmocka_unit_test(there_are_as_many_keys_as_it_says),
        cmocka_unit_test(each_key_has_a_value_of_its_own),
        cmocka_unit_test(to_set_nothing_where_nothing_is_costs_nothing),
        cmocka_unit_test(a_task_inherits_and_its_spawner_does_not_see_what_it_sets),
        cmocka_unit_test(values_are_those_of_the_moment_of_the_spawn),
        cmocka_unit_test(inherited_values_outlive_the_spawner),
        cmocka_unit_test(a_block_is_shared_until_one_sets_a_value),
        cmocka_unit_test(a_block_is_given_back_however_its_tasks_end),
        cmocka_unit_test(a_spawn_that_fails_holds_no_block),
        cmocka_unit_test(a_future_has_values_as_any_task),
        cmocka_unit_test(what_is_no_key_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
