/* SPDX-License-Identifier: MIT */
/*
 * How services end: what depends on what, and what the end of the first tasks does to them.
 *
 * Method: service_fixture.h has the shards and the service. The first task of shard 0 returns and
 * leaves something behind: services, a call, a stop or a start under way; what is written then says
 * what came of it.
 */
#include "service_fixture.h"

/* ---- dependencies ---- */

static void destroy_as_x(void *instance)
{
    note('x');
    free(instance);
    seen.live--;
}

static struct rt_service *start_upon(struct rt_service *base)
{
    struct rt_service_options options = options_of("upper");
    struct rt_service *service = NULL;

    options.destroy = destroy_as_x;
    options.depends_on = &base;
    options.depends_count = 1;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    return service;
}

static int stop_in_order(void *arg)
{
    struct rt_service *base = start("base");
    struct rt_service *upper = start_upon(base);

    (void)arg;
    T_CHECK(rt_service_stop(base, RT_NEVER) == -EBUSY && wrote(""));
    T_CHECK(rt_service_stop(upper, RT_NEVER) == 0 && wrote("xxx"));
    T_CHECK(rt_service_stop(base, RT_NEVER) == 0 && wrote("CBA"));
    return 0;
}

static void what_others_depend_on_is_busy(void **state)
{
    (void)state;
    run_sharded(stop_in_order);
}

/* ---- the end of the first tasks ---- */

static int leave_two(void *arg)
{
    (void)arg;
    (void)start_upon(start("base"));
    return 0;
}

static void the_end_of_the_first_tasks_stops_all_in_reverse_order_of_start(void **state)
{
    (void)state;
    run_to_the_letters(leave_two, "xxxCBA");
}

/* A call that is inside when the last first task returns, of a task that is no first one. */
static int call_for_ever(void *service)
{
    int result = 0;
    int value = 1;

    T_CHECK(rt_service_call(service, 1, stay_inside, &value, &result, RT_NEVER) == 0);
    T_CHECK(result == -ECANCELED);
    return 0;
}

static int leave_a_call(void *arg)
{
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, call_for_ever, start("base")) == 0);
    rt_detach(task);
    await_inside(1);
    return 0;
}

static void the_end_of_the_first_tasks_cancels_the_calls_that_are_inside(void **state)
{
    (void)state;
    run_to_the_letters(leave_a_call, ".CBA");
}

static int stop_in_its_own_time(void *service)
{
    T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
    return 0;
}

static int leave_a_stop(void *arg)
{
    struct rt_service *service = start("base");
    struct rt_service_stats stats;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, call_for_ever, service) == 0);
    rt_detach(task);
    await_inside(1);
    T_CHECK(rt_spawn(&task, stop_in_its_own_time, service) == 0);
    rt_detach(task);
    do {
        rt_yield();
        rt_service_stats(service, 0, &stats, sizeof(stats));
    } while (stats.state == RT_SERVICE_RUNNING);
    return 0;
}

static void the_end_of_the_first_tasks_hurries_a_stop_that_is_under_way(void **state)
{
    (void)state;
    run_to_the_letters(leave_a_stop, ".CBA");
}

static int create_until_asked(void **instance, void *arg)
{
    int r;

    if (rt_shard_index() != 1) {
        return create(instance, arg);
    }
    seen.inside++;
    r = rt_sleep_until(RT_NEVER);
    note('.');
    return r;
}

static int start_in_its_own_time(void *arg)
{
    struct rt_service_options options = options_of("slow");
    struct rt_service *service = NULL;

    (void)arg;
    options.create = create_until_asked;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -ECANCELED);
    return 0;
}

static int leave_a_start(void *arg)
{
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, start_in_its_own_time, NULL) == 0);
    rt_detach(task);
    await_inside(1);
    return 0;
}

static void the_end_of_the_first_tasks_cancels_a_start_that_is_under_way(void **state)
{
    (void)state;
    run_to_the_letters(leave_a_start, ".CA");
}

static void destroy_and_start(void *instance)
{
    const struct rt_service_options options = options_of("too late");
    struct rt_service *service = NULL;

    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -ESHUTDOWN);
    destroy(instance);
}

static int leave_one_that_starts(void *arg)
{
    struct rt_service_options options = options_of("last");
    struct rt_service *service = NULL;

    (void)arg;
    options.destroy = destroy_and_start;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    return 0;
}

static void no_service_starts_when_all_first_tasks_have_returned(void **state)
{
    (void)state;
    run_to_the_letters(leave_one_that_starts, "CBA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_depend_on_is_busy),
        cmocka_unit_test(the_end_of_the_first_tasks_stops_all_in_reverse_order_of_start),
        cmocka_unit_test(the_end_of_the_first_tasks_cancels_the_calls_that_are_inside),
        cmocka_unit_test(the_end_of_the_first_tasks_hurries_a_stop_that_is_under_way),
        cmocka_unit_test(the_end_of_the_first_tasks_cancels_a_start_that_is_under_way),
        cmocka_unit_test(no_service_starts_when_all_first_tasks_have_returned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
