/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of services: two, one upon the other, start on two shards, are called and
 * stopped, or left for the end of the first tasks; and the nth call of all threads together fails.
 *
 * A start makes all instances or none. What has started is stopped whatever fails: a stop needs
 * no memory. Nothing is left behind.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <stdlib.h>

#include "rt/rt.h"

static unsigned live; /* instances; atomic */

static int create(void **instance, void *arg)
{
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    *instance = arg;
    return 0;
}

static void destroy(void *instance)
{
    (void)instance;
    rt_yield();
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
}

static int serve(void *instance, void *arg)
{
    (void)arg;
    rt_yield();
    return *(int *)instance;
}

static int start(struct rt_service **out, const char *name, struct rt_service *base)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    static int values[2] = { 1, 2 };
    const unsigned before = __atomic_load_n(&live, __ATOMIC_RELAXED);
    int r;

    options.name = name;
    options.create = create;
    options.destroy = destroy;
    options.depends_on = &base;
    options.depends_count = base != NULL;
    r = rt_service_start(out, &options, values, sizeof(values[0]), RT_NEVER);
    T_CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN);
    T_CHECK(__atomic_load_n(&live, __ATOMIC_RELAXED) == before + (r == 0 ? 2 : 0));
    return r;
}

static int call_both(struct rt_service *service)
{
    struct rt_call_part parts[2];
    const int r = rt_service_call_all(service, parts, serve, NULL, 0, RT_NEVER);

    T_CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN);
    for (int i = 0; i < 2; i++) {
        T_CHECK(parts[i].error < 0 || parts[i].result == i + 1);
    }
    return r;
}

static int use_services(void *stops)
{
    struct rt_service *base;
    struct rt_service *upper;
    int r;

    if (rt_shard_index() != 0) {
        return 0;
    }
    r = start(&base, "base", NULL);
    if (r < 0) {
        return r;
    }
    r = start(&upper, "upper", base);
    if (r == 0) {
        r = call_both(upper);
        T_CHECK(stops == NULL || rt_service_stop(upper, RT_NEVER) == 0);
    }
    T_CHECK(stops == NULL || rt_service_stop(base, RT_NEVER) == 0);
    return r;
}

static int run(void *stops)
{
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log = hear_nothing;
    r = rt_start(&config, use_services, stops);
    T_CHECK(live == 0);
    return r;
}

static void a_service_starts_everywhere_or_nowhere_and_always_stops(void **state)
{
    static bool stops;
    const struct fault_runs runs = fail_each_call(run, &stops);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 20);
}

static void the_end_of_the_first_tasks_stops_it_whatever_fails(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_starts_everywhere_or_nowhere_and_always_stops),
        cmocka_unit_test(the_end_of_the_first_tasks_stops_it_whatever_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
