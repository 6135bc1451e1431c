/* SPDX-License-Identifier: MIT */
/*
 * Every system call of a runtime of two shards fails once: in the plan, in the
 * start, between shards, and in the stop.
 *
 * The same program is run again and again, and the nth call of all threads
 * together fails, until a run has fewer than n calls. Which call that is depends
 * on how the threads run; there are many runs. Each must end, with or without an
 * error, run the first task on both shards or on none, and leave no block of the
 * heap, mapping or descriptor behind.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <string.h>

#include "rt/rt.h"

static unsigned starts; /* atomic */

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

static int add_one_later(void *arg)
{
    rt_yield();
    return *(int *)arg + 1;
}

static int note_post(void *arg)
{
    __atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELAXED);
    return 0;
}

static int receive_all(void *arg)
{
    struct rt_spsc *channel = arg;
    int item;
    ssize_t n;

    while ((n = rt_spsc_recv(channel, &item, 1, RT_NEVER)) == 1) {
    }
    rt_spsc_close_receiver(channel);
    return (int)n;
}

/* A failure is passed on, and then everything is still given back. */
static int use_channel(uint32_t other)
{
    struct rt_spsc *channel;
    struct rt_call call;
    int refused;
    int result;
    int r = rt_spsc_create(&channel, sizeof(int), 32); /* room for all */

    if (r < 0) {
        return r;
    }
    r = rt_call_begin(&call, other, receive_all, channel, RT_NEVER);
    if (r < 0) {
        rt_spsc_close_receiver(channel);
        rt_spsc_close_sender(channel);
        return r;
    }
    for (int i = 0; i < 20 && r == 0; i++) {
        r = rt_spsc_send(channel, &i, 1, NULL, RT_NEVER);
    }
    rt_spsc_close_sender(channel);
    refused = rt_call_end(&call, &result, RT_NEVER);
    if (refused < 0) { /* no memory for a task there: nobody has used that end */
        T_CHECK(refused == -EAGAIN);
        rt_spsc_close_receiver(channel);
        return refused;
    }
    T_CHECK(result == 0 || result == -ECANCELED);
    return r;
}

static int receive_any(void *arg)
{
    struct rt_mesh *mesh = arg;
    int item;
    ssize_t n;

    while ((n = rt_mesh_recv_any(mesh, &item, 1, NULL, RT_NEVER)) == 1) {
    }
    rt_mesh_leave(mesh, rt_shard_index());
    return (int)n;
}

/* From this shard to the other one. */
static int use_mesh(uint32_t other)
{
    const uint32_t here = rt_shard_index();
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;
    struct rt_mesh *mesh;
    struct rt_call call;
    const int item = 1;
    int r;

    options.producers = &here;
    options.consumers = &other;
    options.producer_count = options.consumer_count = 1;
    options.item_bytes = sizeof(item);
    options.capacity = 4;
    r = rt_mesh_create(&mesh, &options);
    if (r < 0) {
        return r;
    }
    r = rt_call_begin(&call, other, receive_any, mesh, RT_NEVER);
    if (r == 0) {
        int ended;

        r = rt_mesh_send_all(mesh, &item, 1, RT_NEVER);
        rt_mesh_leave(mesh, here);
        ended = rt_call_end(&call, NULL, RT_NEVER);
        r = r < 0 ? r : ended;
    }
    rt_mesh_leave(mesh, here);
    rt_mesh_leave(mesh, other); /* where the call did not run */
    rt_mesh_destroy(mesh);
    return r;
}

static int use_other_shard(void *arg)
{
    const uint32_t other = 1 - rt_shard_index();
    int result = 0;
    int number = 1;
    int r;

    __atomic_add_fetch(&starts, 1, __ATOMIC_RELAXED);
    r = rt_call(other, add_one, &number, &result, RT_NEVER);
    T_CHECK(r != 0 || result == 2);
    if (r == 0) {
        r = rt_call(other, add_one_later, &number, &result, RT_NEVER);
    }
    if (r == 0) {
        r = rt_post(other, note_post, arg, RT_NEVER);
    }
    if (r == 0) {
        r = use_channel(other);
    }
    if (r == 0) {
        r = use_mesh(other);
    }
    T_CHECK(r == 0 || r == -ENOMEM || r == -EAGAIN || r == -ESHUTDOWN || r == -ECANCELED);
    return r;
}

static int run(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;
    unsigned posts = 0;
    int r;

    (void)arg;
    config.shards = 2;
    config.log = hear_nothing;
    starts = 0;
    r = rt_start(&config, use_other_shard, &posts);
    T_CHECK(starts == 0 || starts == 2);
    T_CHECK(starts == 2 || r < 0);
    T_CHECK(r != 0 || posts == 2);
    return r;
}

static void any_call_may_fail_once(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    assert_true(runs.calls >= 100 && runs.failed > 30);
}

/* Steady state takes nothing from the heap */

static int call_steadily(void *arg)
{
    const uint32_t other = 1 - rt_shard_index();
    unsigned posts = 0;
    uint64_t before = 0;
    int result;
    int number = 3;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    for (int i = 0; i < 1000; i++) {
        T_CHECK(rt_call(other, add_one, &number, &result, RT_NEVER) == 0);
        T_CHECK(rt_call(other, add_one_later, &number, &result, RT_NEVER) == 0);
        T_CHECK(rt_post(other, note_post, &posts, RT_NEVER) == 0);
        if (i == 10) {
            before = fault_allocations();
        }
    }
    T_CHECK(rt_call(other, add_one, &number, &result, RT_NEVER) == 0); /* behind all posts */
    T_CHECK(__atomic_load_n(&posts, __ATOMIC_RELAXED) == 1000);
    T_CHECK(fault_allocations() == before);
    return 0;
}

static void calls_and_posts_take_nothing_from_the_heap(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_start(&config, call_steadily, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
        cmocka_unit_test(calls_and_posts_take_nothing_from_the_heap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
