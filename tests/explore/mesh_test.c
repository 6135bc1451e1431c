/* SPDX-License-Identifier: MIT */
/*
 * Meshes of channels and objects that go home, between two shards or three.
 *
 * The shards take turns at every atomic access of cross/, and the explorer says who
 * goes on, with at most so many preemptions as each program says (threads.h). A
 * message that is lost leaves all waiting, which the simulated kernel notices.
 */
#include "support/harness.h"

#include "cross/mesh.h"
#include "rt/rt.h"
#include "threads.h"

static struct rt_mesh *mesh;
#define SHARDS_MAX 3

static struct rt_waker wakers[SHARDS_MAX];
static unsigned there;
static bool is_begun;

/* Shard 0 has made what they share, and waits until the others are there: up to then it is not the
 * question. It wakes them, so that all of them can run from then on. */
static void begin_together(void)
{
    wakers[rt_shard_index()] = rt_waker_self();
    there++;
    if (rt_shard_index() > 0) {
        while (!is_begun) {
            EXPLORE_CHECK(rt_park(RT_NEVER) == 0);
        }
        return;
    }
    while (there < rt_shard_count()) {
        EXPLORE_CHECK(rt_sleep_until(rt_in(1000)) == 0);
    }
    is_begun = true;
    is_open = true;
    for (uint32_t i = 1; i < rt_shard_count(); i++) {
        rt_wake(wakers[i]);
    }
}

static void run_shards(uint32_t count, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime;

    there = 0;
    is_begun = false;
    config.shards = count;
    config.place = RT_PLACE_UNBOUND;
    begin_run();
    EXPLORE_CHECK(rt_launch(&runtime, &config, first, NULL) == 0);
    EXPLORE_CHECK(rt_wait(runtime) == 0);
    end_run();
}

static void make_mesh(uint32_t capacity)
{
    static const uint32_t sender[] = { 1 };
    static const uint32_t receiver[] = { 0 };
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;

    options.producers = sender;
    options.producer_count = 1;
    options.consumers = receiver;
    options.consumer_count = 1;
    options.item_bytes = sizeof(int);
    options.capacity = capacity;
    EXPLORE_CHECK(rt_mesh_create(&mesh, &options) == 0);
}

/* ---- receiving from any ---- */

#define NUMBERS 2

static bool is_over;

static void send_numbers(void)
{
    struct rt_spsc *channel;

    EXPLORE_CHECK(rt_mesh_sender(&channel, mesh, 0) == 0);
    for (int i = 0; i < NUMBERS; i++) {
        EXPLORE_CHECK(rt_spsc_send(channel, &i, 1, NULL, RT_NEVER) == 0);
        rt_spsc_flush(channel);
    }
    rt_mesh_leave(mesh, 1);
}

static void receive_numbers(void)
{
    ssize_t n = 1;
    int item = -1;
    int next;

    for (next = 0; n > 0; next++) {
        n = rt_mesh_recv_any(mesh, &item, 1, NULL, RT_NEVER);
        EXPLORE_CHECK(n == 1 ? item == next : n == 0 && next == NUMBERS);
    }
}

static int talk(void *arg)
{
    (void)arg;
    if (rt_shard_index() == 1) {
        begin_together();
        send_numbers();
        is_over = true;
        return 0;
    }
    make_mesh(1);
    begin_together();
    receive_numbers();
    is_open = false;
    while (!is_over) {
        EXPLORE_CHECK(rt_sleep_until(rt_in(1000)) ==
                      0); /* not by a wake: that would hide a lost one */
    }
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);
    return 0;
}

static void talk_through_a_mesh(void)
{
    is_over = false;
    run_shards(2, talk);
}

static void what_is_sent_to_who_receives_from_any_is_never_lost(void **state)
{
    (void)state;
    preemptions_max = 1; /* finds every mutant of these programs */
    assert_true(explore(&(struct explore){ .name = "mesh",
                                           .begin = stay_on_one_cpu,
                                           .run = talk_through_a_mesh,
                                           .runs_max = 100000 }));
}

/* ---- objects that go home ---- */

#define OBJECTS 2 /* given back by one shard each */

static struct rt_home_node nodes[OBJECTS];
static unsigned freed;

static void note_free(struct rt_home_node *node)
{
    (void)node;
    EXPLORE_CHECK(rti_mesh_here()->index == 0);
    freed++;
    rt_wake(wakers[0]);
}

static int free_away(void *arg)
{
    (void)arg;
    if (rt_shard_index() > 0) {
        begin_together();
        rt_home_free(&nodes[rt_shard_index() - 1]);
        return 0;
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        rt_home_init(&nodes[i], note_free);
    }
    begin_together();
    while (freed < OBJECTS) {
        EXPLORE_CHECK(rt_park(RT_NEVER) == 0);
    }
    is_open = false;
    return 0;
}

static void give_back(void)
{
    freed = 0;
    run_shards(1 + OBJECTS, free_away);
    EXPLORE_CHECK(freed == OBJECTS);
}

static void an_object_that_is_given_back_comes_home(void **state)
{
    (void)state;
    preemptions_max = 1; /* finds every mutant of these programs */
    assert_true(explore(&(struct explore){
        .name = "home", .begin = stay_on_one_cpu, .run = give_back, .runs_max = 100000 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_to_who_receives_from_any_is_never_lost),
        cmocka_unit_test(an_object_that_is_given_back_comes_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
