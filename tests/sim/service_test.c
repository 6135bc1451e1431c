/* SPDX-License-Identifier: MIT */
/*
 * Services: each promise of rt/service.h, one at a time; service_end_test.c has those about several
 * services, and about the end of the first tasks.
 *
 * Method: service_fixture.h has the shards and the service.
 */
#include "service_fixture.h"

#include "support/death.h"

/* ---- start ---- */

static int use_instances(void *arg)
{
    const struct rt_service_options options = options_of("counter");
    int values[SHARDS] = { 10, 20, 30 };
    struct rt_service *service = NULL;
    int result = 0;
    int one = 1;

    (void)arg;
    T_CHECK(rt_service_find("counter") == NULL);
    T_CHECK(rt_service_start(&service, &options, values, sizeof(values[0]), RT_NEVER) == 0);
    T_CHECK(seen.live == SHARDS);
    T_CHECK(rt_service_find("counter") == service && rt_service_find("count") == NULL);
    T_CHECK(((struct object *)rt_service_local(service))->value == 10);
    for (uint32_t i = 0; i < SHARDS; i++) {
        T_CHECK(rt_service_call(service, i, read_value, &one, &result, RT_NEVER) == 0);
        T_CHECK(result == values[i] + 1);
    }
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(rt_service_local(service) == NULL && rt_service_find("counter") == NULL);
    T_CHECK(wrote("CBA"));
    return 0;
}

static void each_shard_has_an_instance_made_with_its_argument(void **state)
{
    (void)state;
    run_sharded(use_instances);
}

static int fail_in_turn(void *arg)
{
    static const char *const undone[SHARDS] = { "CB", "CA", "BA" };
    const struct rt_service_options options = options_of("frail");
    struct rt_service *service = NULL;

    (void)arg;
    for (uint32_t i = 0; i < SHARDS; i++) {
        seen.fails[i] = -1000 - (int)i;
        T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -1000 - (int)i);
        T_CHECK(wrote(undone[i]));
        T_CHECK(service == NULL && rt_service_find("frail") == NULL && seen.live == 0);
        seen.fails[i] = 0;
    }
    seen.fails[1] = -7;
    seen.fails[2] = -8;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -7);
    T_CHECK(wrote("A"));
    memset(seen.fails, 0, sizeof(seen.fails));
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    return 0;
}

static void a_start_is_all_or_nothing_and_undone_from_the_highest_shard(void **state)
{
    (void)state;
    run_sharded(fail_in_turn);
}

static int create_for_ever(void **instance, void *arg)
{
    if (rt_shard_index() != *(uint32_t *)arg) {
        return create(instance, NULL);
    }
    return rt_sleep_until(RT_NEVER);
}

static int start_with_deadline(void *arg)
{
    struct rt_service_options options = options_of("slow");
    struct rt_service *service = NULL;

    (void)arg;
    options.create = create_for_ever;
    for (uint32_t i = 0; i < SHARDS; i++) {
        T_CHECK(rt_service_start(&service, &options, &i, 0, rt_in(RT_MICROSECONDS(50))) == -ETIME);
        T_CHECK(service == NULL && seen.live == 0);
    }
    return 0;
}

static void a_start_past_its_deadline_is_undone(void **state)
{
    (void)state;
    run_sharded(start_with_deadline);
}

static int start_twice(void *arg)
{
    const struct rt_service_options options = options_of("one");
    struct rt_service *service = start("one");
    struct rt_service *again = NULL;
    int result = 0;

    (void)arg;
    T_CHECK(rt_service_start(&again, &options, NULL, 0, RT_NEVER) == -EEXIST && again == NULL);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(rt_service_stop(service, RT_NEVER) == -EALREADY);
    T_CHECK(rt_service_call(service, 1, read_value, NULL, &result, RT_NEVER) == -ESHUTDOWN);
    T_CHECK(rt_service_start(&again, &options, NULL, 0, RT_NEVER) == 0 && again == service);
    T_CHECK(rt_service_call(service, 1, read_value, NULL, &result, RT_NEVER) == 0);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(wrote("CBACBA"));
    return 0;
}

static void a_name_is_given_once_and_again_after_a_stop(void **state)
{
    (void)state;
    run_sharded(start_twice);
}

/* ---- stop ---- */

static int begin_stay(struct rt_call calls[SHARDS], struct rt_service *service, int *value)
{
    int r = 0;

    for (uint32_t i = 1; i < SHARDS && r == 0; i++) {
        r = rt_service_call_begin(&calls[i], service, i, stay_inside, value, RT_NEVER);
    }
    await_inside(SHARDS - 1);
    return r;
}

static int let_go(void *arg)
{
    (void)arg;
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
    T_CHECK(seen.live == SHARDS); /* nothing is destroyed meanwhile */
    seen.may_go = true;
    return 0;
}

static int stop_with_calls(void *arg)
{
    struct rt_service *service = start("busy");
    struct rt_call calls[SHARDS];
    struct rt_task *releaser;
    int result = 0;
    int value = 5;

    (void)arg;
    T_CHECK(begin_stay(calls, service, &value) == 0);
    T_CHECK(rt_spawn(&releaser, let_go, NULL) == 0);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(wrote("..CBA"));
    for (uint32_t i = 1; i < SHARDS; i++) {
        T_CHECK(rt_call_end(&calls[i], &result, RT_NEVER) == 0 && result == value);
    }
    T_CHECK(rt_join(releaser, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_stop_waits_for_the_calls_that_are_inside(void **state)
{
    (void)state;
    run_sharded(stop_with_calls);
}

static int stop_past_deadline(void *arg)
{
    struct rt_service *service = start("stuck");
    struct rt_call calls[SHARDS];
    int result = 0;
    int value = 5;

    (void)arg;
    T_CHECK(begin_stay(calls, service, &value) == 0);
    T_CHECK(rt_service_stop(service, rt_in(RT_MICROSECONDS(20))) == 0);
    T_CHECK(wrote("..CBA"));
    for (uint32_t i = 1; i < SHARDS; i++) {
        T_CHECK(rt_call_end(&calls[i], &result, RT_NEVER) == 0 && result == -ECANCELED);
    }
    return 0;
}

static void calls_that_are_inside_at_the_deadline_are_cancelled_and_waited_for(void **state)
{
    (void)state;
    run_sharded(stop_past_deadline);
}

/* A call to one's own shard runs in the caller's task: a stop cancels the call, not the task. */
static int call_own_shard(void *service)
{
    int result = 0;
    int value = 5;

    T_CHECK(rt_service_call(service, 0, stay_inside, &value, &result, RT_NEVER) == 0);
    T_CHECK(result == -ECANCELED && !rt_cancelled());
    T_CHECK(rt_sleep_until(rt_in(1)) == 0);
    return 0;
}

static int stop_own_shard(void *arg)
{
    struct rt_service *service = start("own");
    struct rt_task *caller;

    (void)arg;
    T_CHECK(rt_spawn(&caller, call_own_shard, service) == 0);
    await_inside(1);
    T_CHECK(rt_service_stop(service, 0) == 0);
    T_CHECK(rt_join(caller, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_stop_cancels_a_call_of_its_shard_but_not_the_caller(void **state)
{
    (void)state;
    run_sharded(stop_own_shard);
}

static int stop_it(void *service)
{
    T_CHECK(rt_cancelled());
    return rt_service_stop(service, RT_NEVER);
}

static int stop_when_cancelled(void *arg)
{
    struct rt_service *service = start("late");
    struct rt_task *stopper;
    int result = -1;

    (void)arg;
    T_CHECK(rt_spawn(&stopper, stop_it, service) == 0);
    rt_cancel(stopper);
    T_CHECK(rt_join(stopper, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(wrote("CBA"));
    return 0;
}

static void a_stop_works_in_a_cancelled_task(void **state)
{
    (void)state;
    run_sharded(stop_when_cancelled);
}

/* ---- what is refused ---- */

static unsigned errors;

static void count_errors(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)text;
    errors += level == RT_LOG_ERROR;
}

static int start_wrongly(void *arg)
{
    struct rt_service *many[RT_SERVICE_DEPENDS_MAX + 1] = { NULL };
    struct rt_service_options options = options_of(NULL);
    struct rt_service *service = NULL;

    (void)arg;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 1);
    options.name = "";
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 2);
    options.name = "a name that has got 32 bytes ...";
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 3);
    options.name = "one byte less than the last one";
    options.depends_on = many;
    options.depends_count = RT_SERVICE_DEPENDS_MAX + 1;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 4);
    options.depends_count = 0;
    options.grace = -1;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 5);
    options.grace = 0;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    T_CHECK(rt_service_stop(service, 0) == 0);
    options.name = "upper";
    options.depends_on = &service;
    options.depends_count = 1;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -EINVAL && errors == 6);
    return 0;
}

static void options_that_make_no_sense_are_refused_with_a_text(void **state)
{
    struct shards shards;

    (void)state;
    memset(&seen, 0, sizeof(seen));
    what = start_wrongly;
    shards_init(&shards, 1, SHARDS);
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards.runtime.log = count_errors;
    shards_run(&shards, first_of_shards, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults + t_failures(), 0);
}

static int stop_inside(void *instance, void *arg)
{
    (void)instance;
    return rt_service_stop(arg, 0);
}

static int stop_from_a_call(void *arg)
{
    struct rt_service *service = start("self");

    (void)arg;
    return rt_service_call(service, 0, stop_inside, service, NULL, RT_NEVER);
}

static int call_no_shard(void *arg)
{
    (void)arg;
    return rt_service_call(start("few"), 1, read_value, NULL, NULL, RT_NEVER);
}

static void a_stop_in_a_call_of_its_own_and_a_wrong_shard_abort(void **state)
{
    (void)state;
    assert_misuse_in_task(stop_from_a_call, "rt_service_stop() was called in a call of the service "
                                            "'self'");
    assert_misuse_in_task(call_no_shard, "there is no shard 1, there are 1");
}

static struct rt_service *of_another;

static int start_one(void *arg)
{
    (void)arg;
    of_another = start("other");
    return rt_sleep_until(RT_NEVER);
}

static int stop_that(void *arg)
{
    (void)arg;
    return rt_service_stop(of_another, 0);
}

static int start_upon_that(void *arg)
{
    struct rt_service_options options = options_of("mine");
    struct rt_service *service;

    (void)arg;
    options.depends_on = &of_another;
    options.depends_count = 1;
    return rt_service_start(&service, &options, NULL, 0, RT_NEVER);
}

static int call_that(void *arg)
{
    (void)arg;
    return rt_service_call(of_another, 0, read_value, NULL, NULL, RT_NEVER);
}

/* Two runtimes, one within the other's host. */
static int run_beside_another(rt_task_fn fn)
{
    struct rt_runtime *loop;
    rt_time next;

    T_CHECK(rt_loop_open(&loop, NULL, start_one, NULL) == 0);
    while (of_another == NULL) {
        (void)!rt_loop_turn(loop, &next);
    }
    return rt_run(NULL, fn, NULL);
}

static int stop_beside(void *arg)
{
    (void)arg;
    return run_beside_another(stop_that);
}

static int depend_beside(void *arg)
{
    (void)arg;
    return run_beside_another(start_upon_that);
}

static int call_beside(void *arg)
{
    (void)arg;
    return run_beside_another(call_that);
}

static void a_service_of_another_runtime_aborts(void **state)
{
    (void)state;
    assert_misuse_in_run(stop_beside, NULL,
                         "rt_service_stop(): the service 'other' belongs to another runtime");
    assert_misuse_in_run(depend_beside, NULL,
                         "rt_service_start(): the service 'other' belongs to another runtime");
    assert_misuse_in_run(call_beside, NULL,
                         "rt_service_call(): the service 'other' belongs to another runtime");
}

/* ---- all shards at once ---- */

static void add_up(void *into, const struct rt_call_part *part)
{
    T_CHECK(part->error == 0);
    *(int *)into = *(int *)into * 100 + part->result + *(int *)part->arg;
}

static int ask_all(void *arg)
{
    const struct rt_service_options options = options_of("many");
    int values[SHARDS] = { 1, 2, 3 };
    struct rt_call_part parts[SHARDS];
    struct rt_service *service = NULL;
    int sum = 0;

    (void)arg;
    T_CHECK(rt_service_start(&service, &options, values, sizeof(values[0]), RT_NEVER) == 0);
    T_CHECK(rt_service_call_all(service, parts, read_value, NULL, 0, RT_NEVER) == 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        T_CHECK(parts[i].shard == i && parts[i].error == 0 && parts[i].result == values[i]);
    }
    T_CHECK(rt_service_map_reduce(service, parts, read_value, values, sizeof(values[0]), add_up,
                                  &sum, RT_NEVER) == 0);
    T_CHECK(sum == 30609); /* in order: (1 + 1) + 1, (2 + 2) + 2, (3 + 3) + 3 */
    T_CHECK(parts[1].arg == &values[1]);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(rt_service_map_reduce(service, parts, read_value, values, sizeof(values[0]), add_up,
                                  &sum, RT_NEVER) == -ESHUTDOWN);
    T_CHECK(sum == 30609 && parts[0].error == -ESHUTDOWN && parts[2].error == -ESHUTDOWN);
    return 0;
}

static void all_are_asked_at_once_and_folded_in_order(void **state)
{
    (void)state;
    run_sharded(ask_all);
}

static int call_owners(void *arg)
{
    struct rt_service *service = start("owned");
    char key[8] = "key 0";

    (void)arg;
    for (; key[4] <= '9'; key[4]++) {
        const uint32_t owner = rt_service_owner(service, key, 5);
        struct rt_service_stats before;
        struct rt_service_stats after;

        rt_service_stats(service, owner, &before, sizeof(before));
        T_CHECK(rt_service_call_key(service, key, 5, read_value, NULL, NULL, RT_NEVER) == 0);
        rt_service_stats(service, owner, &after, sizeof(after));
        T_CHECK(owner < SHARDS && after.done == before.done + 1);
    }
    T_CHECK(rt_service_owner(service, "key 7", 5) == rt_service_owner(service, "key 7!", 5));
    T_CHECK(rt_service_owner_of(service, 256) < SHARDS);
    return 0;
}

static void a_key_is_asked_for_at_its_owner(void **state)
{
    (void)state;
    run_sharded(call_owners);
}

/* ---- what is seen of it ---- */

static int return_error(void *instance, void *arg)
{
    (void)instance;
    (void)arg;
    return -EIO;
}

static int look_at_stats(void *arg)
{
    struct rt_service *service = start("seen");
    struct rt_call call;
    struct rt_service_stats stats;
    int value = 0;

    (void)arg;
    T_CHECK(rt_service_call(service, 1, return_error, NULL, NULL, RT_NEVER) == 0);
    T_CHECK(rt_service_call_begin(&call, service, 1, stay_inside, &value, RT_NEVER) == 0);
    await_inside(1);
    rt_service_stats(service, 1, &stats, sizeof(stats));
    T_CHECK(stats.state == RT_SERVICE_RUNNING && stats.in_flight == 1);
    T_CHECK(stats.done == 1 && stats.errors == 1 && stats.refused == 0);
    seen.may_go = true;
    T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    T_CHECK(rt_service_call(service, 1, return_error, NULL, NULL, RT_NEVER) == -ESHUTDOWN);
    rt_service_stats(service, 1, &stats, sizeof(stats));
    T_CHECK(stats.state == RT_SERVICE_STOPPED && stats.in_flight == 0);
    T_CHECK(stats.done == 2 && stats.errors == 1 && stats.refused == 1);
    return 0;
}

static void counts_of_each_shard_are_visible(void **state)
{
    (void)state;
    run_sharded(look_at_stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_has_an_instance_made_with_its_argument),
        cmocka_unit_test(a_start_is_all_or_nothing_and_undone_from_the_highest_shard),
        cmocka_unit_test(a_start_past_its_deadline_is_undone),
        cmocka_unit_test(a_name_is_given_once_and_again_after_a_stop),
        cmocka_unit_test(a_stop_waits_for_the_calls_that_are_inside),
        cmocka_unit_test(calls_that_are_inside_at_the_deadline_are_cancelled_and_waited_for),
        cmocka_unit_test(a_stop_cancels_a_call_of_its_shard_but_not_the_caller),
        cmocka_unit_test(a_stop_works_in_a_cancelled_task),
        cmocka_unit_test(options_that_make_no_sense_are_refused_with_a_text),
        cmocka_unit_test(a_stop_in_a_call_of_its_own_and_a_wrong_shard_abort),
        cmocka_unit_test(a_service_of_another_runtime_aborts),
        cmocka_unit_test(all_are_asked_at_once_and_folded_in_order),
        cmocka_unit_test(a_key_is_asked_for_at_its_owner),
        cmocka_unit_test(counts_of_each_shard_are_visible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
