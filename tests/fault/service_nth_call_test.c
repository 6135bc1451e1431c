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

static void hear_nothing(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text;
}

static void fail_each_call(void *stops)
{
    struct rt_config config = RT_CONFIG_INIT;
    unsigned descriptors;
    unsigned failed = 0;
    unsigned n = 0;
    bool hit;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log = hear_nothing;
    assert_int_equal(rt_start(&config, use_services, stops), 0);
    descriptors = t_open_descriptors();
    do {
        fault_begin(++n);
        failed += rt_start(&config, use_services, stops) < 0;
        hit = fault_end();
        T_CHECK(live == 0);
        check_nothing_is_left(n, descriptors);
    } while (hit);
    printf("%u calls, each made to fail once; %u of the runs ended with an error\n", n - 1, failed);
    assert_true(n > 50 && failed > 20);
}

static void a_service_starts_everywhere_or_nowhere_and_always_stops(void **state)
{
    static bool stops;

    (void)state;
    fail_each_call(&stops);
}

static void the_end_of_the_first_tasks_stops_it_whatever_fails(void **state)
{
    (void)state;
    fail_each_call(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_starts_everywhere_or_nowhere_and_always_stops),
        cmocka_unit_test(the_end_of_the_first_tasks_stops_it_whatever_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
