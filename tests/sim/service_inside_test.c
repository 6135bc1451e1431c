/* SPDX-License-Identifier: MIT */
/*
 * Calls that are inside of a service: what a stop cancels, and numbers of services.
 *
 * Method: two shards of the simulated kernel. A function that suspends has a task of its own, or is
 * a part of one that must go on; a stop without grace is to end the first and spare the second.
 */
#include "support/harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rt/rt.h"
#include "support/first.h"
#include "support/rand.h"
#include "support/shards.h"

static unsigned inside; /* functions that wait; one thread runs at a time */

static int create(void **instance, void *arg)
{
    *instance = arg;
    return 0;
}

static void destroy(void *instance)
{
    (void)instance;
    T_CHECK(inside == 0);
}

static int stay(void *instance, void *arg)
{
    int r = 0;

    (void)instance;
    (void)arg;
    inside++;
    while (r == 0) { /* debug builds wake for nothing */
        r = rt_park(RT_NEVER);
    }
    inside--;
    return r;
}

static struct rt_service *start(const char *name)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct rt_service *service = NULL;

    options.name = name;
    options.create = create;
    options.destroy = destroy;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    return service;
}

static void await_inside(unsigned count)
{
    while (inside < count) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(5))) == 0);
    }
}

/* On shard 1, in a call that is none of the service's. */
static int call_here_and_go_on(void *service)
{
    int result = 0;

    T_CHECK(rt_service_call(service, 1, stay, NULL, &result, RT_NEVER) == 0);
    T_CHECK(result == -ECANCELED);
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(1))) == 0);
    return 7;
}

static int stop_both(void *arg)
{
    struct rt_service *service;
    struct rt_call calls[2];
    int result = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    service = start("stays");
    T_CHECK(rt_call_begin(&calls[0], 1, call_here_and_go_on, service, RT_NEVER) == 0);
    T_CHECK(rt_service_call_begin(&calls[1], service, 1, stay, NULL, RT_NEVER) == 0);
    await_inside(2);
    T_CHECK(rt_service_stop(service, 0) == 0 && inside == 0);
    T_CHECK(rt_call_end(&calls[0], &result, RT_NEVER) == 0 && result == 7);
    T_CHECK(rt_call_end(&calls[1], &result, RT_NEVER) == 0 && result == -ECANCELED);
    return 0;
}

static void a_stop_ends_the_call_and_not_what_it_is_a_part_of(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct shards shards;

        inside = 0;
        shards_init(&shards, rt_test_seed(i), 2);
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards_run(&shards, stop_both, NULL);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(t_failures(), 0);
    }
}

static int return_three(void *instance, void *arg)
{
    (void)instance;
    (void)arg;
    return 3;
}

static char said[256];

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    if (level == RT_LOG_ERROR) {
        (void)snprintf(said, sizeof(said), "%s", text);
    }
}

static int use_all_names(void *arg)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct rt_service *service = NULL;
    int result = 0;

    (void)arg;
    for (unsigned i = 0; i < RT_SERVICES_MAX; i++) {
        char name[RT_SERVICE_NAME_BYTES];

        (void)snprintf(name, sizeof(name), "service %u", i);
        T_CHECK(rt_service_stop(start(name), 0) == 0);
    }
    options.name = "one more";
    options.create = create;
    options.destroy = destroy;
    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == -ENOSPC && service == NULL);
    T_CHECK(strstr(said, "'one more' cannot start: 1000 have had names of their own") != NULL);
    service = start("service 999");
    T_CHECK(rt_service_call(service, 0, return_three, NULL, &result, RT_NEVER) == 0);
    T_CHECK(result == 3);
    return 0;
}

static void a_name_too_many_is_refused_with_a_text(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.log = hear;
    assert_int_equal(run_config(&config, use_all_names, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_ends_the_call_and_not_what_it_is_a_part_of),
        cmocka_unit_test(a_name_too_many_is_refused_with_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
