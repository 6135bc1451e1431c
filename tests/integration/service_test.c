/* SPDX-License-Identifier: MIT */
/*
 * Services on real threads: many shards call one service at once, with and without waits, while
 * it stops and starts again; signals end it.
 *
 * Method: 8 shards, unbound, so that threads preempt each other anywhere. A function adds to its
 * instance without a lock, after a wait now and then: what calls say they have added must be what
 * the instances held when they went. ThreadSanitizer sees the same program.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "rt/rt.h"

#define SHARDS 8
#define CALLS  200

struct counter {
    uint64_t sum;
    uint64_t calls;
};

static uint64_t added;   /* by calls that say so; atomic */
static uint64_t kept;    /* what instances held when they went; atomic */
static unsigned live;    /* instances; atomic */
static unsigned callers; /* that have ended; atomic */

static int create(void **instance, void *arg)
{
    (void)arg;
    *instance = calloc(1, sizeof(struct counter));
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return *instance != NULL ? 0 : -ENOMEM;
}

static void destroy(void *instance)
{
    struct counter *counter = instance;

    __atomic_add_fetch(&kept, counter->sum, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(counter);
}

static int add(void *instance, void *arg)
{
    struct counter *counter = instance;

    if (++counter->calls % 3 == 0) {
        rt_yield();
    }
    counter->sum += *(uint32_t *)arg;
    return 0;
}

/* Calls all shards in turn; a service that stops refuses, and then another one may have started. */
static int call_many(void *service)
{
    for (uint32_t i = 0; i < CALLS; i++) {
        uint32_t amount = i;
        int result = 0;
        const int r = rt_service_call(service, i % SHARDS, add, &amount, &result, RT_NEVER);

        T_CHECK(r == 0 || r == -ESHUTDOWN);
        if (r == 0) {
            __atomic_add_fetch(&added, amount, __ATOMIC_RELAXED);
        }
    }
    __atomic_add_fetch(&callers, 1, __ATOMIC_RELAXED);
    return 0;
}

static int start(struct rt_service **out)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;

    options.name = "counter";
    options.create = create;
    options.destroy = destroy;
    return rt_service_start(out, &options, NULL, 0, RT_NEVER);
}

static struct rt_config eight_shards(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = SHARDS;
    config.place = RT_PLACE_UNBOUND;
    config.log_level = RT_LOG_ERROR;
    return config;
}

/* Posts a caller to each shard, and meanwhile stops and starts. */
static int restart_under_calls(void *arg)
{
    struct rt_service *service = NULL;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(start(&service) == 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        T_CHECK(rt_post(i, call_many, service, RT_NEVER) == 0);
    }
    do {
        T_CHECK(rt_service_stop(service, RT_NEVER) == 0);
        T_CHECK(__atomic_load_n(&live, __ATOMIC_RELAXED) == 0);
        T_CHECK(start(&service) == 0);
        T_CHECK(__atomic_load_n(&live, __ATOMIC_RELAXED) == SHARDS);
        rt_yield();
    } while (__atomic_load_n(&callers, __ATOMIC_RELAXED) < SHARDS);
    return 0;
}

static void what_calls_have_added_is_what_the_instances_held(void **state)
{
    const struct rt_config config = eight_shards();

    (void)state;
    added = 0;
    kept = 0;
    callers = 0;
    assert_int_equal(rt_start(&config, restart_under_calls, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(live, 0);
    assert_int_equal(kept, added);
}

static int serve_until_a_signal(void *arg)
{
    struct rt_service *service;
    int r;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    r = start(&service);
    if (r < 0) {
        return r;
    }
    (void)kill(getpid(), SIGTERM);
    return rt_sleep_until(RT_NEVER);
}

static void a_signal_ends_a_runtime_with_a_service(void **state)
{
    const struct rt_config config = eight_shards();

    (void)state;
    assert_int_equal(rt_start(&config, serve_until_a_signal, NULL), 0);
    assert_int_equal(live, 0);
}

static int start_alone(void *arg)
{
    struct rt_service *service;
    uint32_t amount = 3;

    (void)arg;
    T_CHECK(start(&service) == 0);
    T_CHECK(rt_service_call_key(service, "key", 3, add, &amount, NULL, RT_NEVER) == 0);
    return 0;
}

static void a_service_of_one_shard_works_under_rt_run(void **state)
{
    (void)state;
    kept = 0;
    assert_int_equal(rt_run(NULL, start_alone, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(kept, 3);
    assert_int_equal(live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_calls_have_added_is_what_the_instances_held),
        cmocka_unit_test(a_signal_ends_a_runtime_with_a_service),
        cmocka_unit_test(a_service_of_one_shard_works_under_rt_run),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
