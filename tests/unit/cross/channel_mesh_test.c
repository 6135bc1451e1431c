/* SPDX-License-Identifier: MIT */
/*
 * Channels between many shards: see rt/mesh.h for what is promised.
 *
 * Method: each promise by hand, on the simulated kernel: on one shard, whose mesh is
 * a channel to itself, or on a few. What is misused aborts in a child. Random
 * programs are in tests/sim/mesh_test.c.
 */
#include "support/harness.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "rt/rt.h"
#include "support/death.h"
#include "support/first.h"
#include "support/shards.h"

#define SHARDS 4

static void run_many(uint32_t count, rt_task_fn first)
{
    struct shards shards;

    shards_init(&shards, 1, count);
    shards.sim = (struct sim_config){ .seed = 1 };
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, first, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

static struct rt_mesh *make(uint32_t capacity)
{
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;
    struct rt_mesh *mesh = NULL;

    options.item_bytes = sizeof(int);
    options.capacity = capacity;
    options.name = "letters";
    T_CHECK(rt_mesh_create(&mesh, &options) == 0);
    return mesh;
}

static struct rt_spsc *sender(struct rt_mesh *mesh, uint32_t to)
{
    struct rt_spsc *channel = NULL;

    T_CHECK(rt_mesh_sender(&channel, mesh, to) == 0);
    return channel;
}

static void send_number(struct rt_mesh *mesh, uint32_t to, int number)
{
    T_CHECK(rt_spsc_send(sender(mesh, to), &number, 1, NULL, RT_NEVER) == 0);
}

/* ---- options ---- */

static char said[512];
static unsigned lines;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    if (level == RT_LOG_ERROR) {
        lines++;
        (void)snprintf(said, sizeof(said), "%s", text);
    }
}

static void refused(const struct rt_mesh_options *options, int error, const char *text)
{
    const unsigned before = lines;
    struct rt_mesh *mesh = NULL;

    T_CHECK(rt_mesh_create(&mesh, options) == error);
    T_CHECK(mesh == NULL && lines == before + 1);
    T_CHECK(strstr(said, text) != NULL);
}

static int make_wrong_ones(void *arg)
{
    static const uint32_t twice[] = { 0, 0 };
    static const uint32_t absent[] = { 1 };
    struct {
        struct rt_mesh_options options;
        uint32_t beyond;
    } newer = { .options = { .size = sizeof(newer), .item_bytes = 8, .capacity = 8 }, .beyond = 1 };
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;

    (void)arg;
    refused(&options, -EINVAL, "0 items of 0 bytes");
    options.item_bytes = 8;
    options.capacity = 8;
    options.name = "a name that is longer than the 31 bytes that are kept";
    options.producers = twice;
    refused(&options, -EINVAL, "\"a name that is longer than the \": producers: name at least one");
    options.producer_count = 2;
    refused(&options, -EINVAL, "producers: shard 0 is named twice");
    options.producers = NULL;
    options.consumers = absent;
    options.consumer_count = 1;
    refused(&options, -EINVAL, "consumers: shard 1 is not there");
    refused(&newer.options, -E2BIG, "newer library");
    return 0;
}

static void options_that_make_no_mesh_are_refused_with_a_text(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.log = hear;
    assert_int_equal(run_config(&config, make_wrong_ones, NULL), 0);
}

/* ---- on one shard ---- */

static int send_to_itself(void *arg)
{
    struct rt_mesh *mesh = make(2);
    const int numbers[3] = { 1, 2, 3 };
    int items[4] = { 0 };
    uint32_t from = 99;
    size_t done = 99;

    (void)arg;
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, &from, 0) == -ETIME && from == 99);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, &from, rt_in(1000)) == -ETIME);
    T_CHECK(rt_spsc_send(sender(mesh, 0), numbers, 3, &done, 0) == -ETIME && done == 2);
    T_CHECK(rt_mesh_recv_any(mesh, items, 1, &from, RT_NEVER) == 1 && from == 0 && items[0] == 1);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, 0) == 1 && items[0] == 2);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, 0) == -ETIME);
    T_CHECK(rt_mesh_send_all(mesh, numbers, 1, RT_NEVER) == 0);
    rt_mesh_close_senders(mesh); /* publishes */
    rt_mesh_close_senders(mesh);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, 0) == 1 && items[0] == 1);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, RT_NEVER) == 0);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, 0) == 0);
    rt_mesh_leave(mesh, 0);
    rt_mesh_leave(mesh, 0);
    T_CHECK(rt_mesh_recv_any(mesh, items, 4, NULL, 0) == 0);
    rt_mesh_destroy(mesh);
    rt_mesh_destroy(NULL);
    return 0;
}

static void what_is_sent_comes_and_an_end_that_is_closed_twice_is_closed(void **state)
{
    (void)state;
    run_first(send_to_itself);
}

static int close_before_use(void *arg)
{
    struct rt_mesh *mesh = make(2);
    struct rt_spsc *channel = NULL;
    int item = 0;

    (void)arg;
    rt_mesh_close_senders(mesh); /* no channel was made */
    T_CHECK(rt_mesh_receiver(&channel, mesh, 0) == 0);
    T_CHECK(rt_spsc_recv(channel, &item, 1, RT_NEVER) == 0);
    T_CHECK(rt_mesh_recv_any(mesh, &item, 1, NULL, RT_NEVER) == 0);
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);

    mesh = make(2);
    rt_mesh_close_receivers(mesh);
    T_CHECK(rt_spsc_send(sender(mesh, 0), &item, 1, NULL, RT_NEVER) == -EPIPE);
    T_CHECK(rt_mesh_send_all(mesh, &item, 1, RT_NEVER) == -EPIPE);
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);

    rt_mesh_destroy(make(2)); /* untouched */
    return 0;
}

static void an_end_may_be_closed_before_its_channel_is_made(void **state)
{
    (void)state;
    run_first(close_before_use);
}

static int receive_any(void *mesh)
{
    int item = 0;

    return (int)rt_mesh_recv_any(mesh, &item, 1, NULL, RT_NEVER);
}

/* The result of a task that waits in rt_mesh_recv_any() when `how` is done. */
static int wait_and_end(void (*how)(struct rt_task *, struct rt_mesh *), struct rt_mesh *mesh)
{
    struct rt_task *task;
    int result = 99;

    T_CHECK(rt_spawn(&task, receive_any, mesh) == 0);
    rt_yield();
    T_CHECK(!rt_is_finished(task));
    how(task, mesh);
    T_CHECK(rt_join(task, &result, rt_in(RT_SECONDS(5))) == 0);
    return result;
}

static void cancel_it(struct rt_task *task, struct rt_mesh *mesh)
{
    (void)mesh;
    rt_cancel(task);
}

static void send_to_it(struct rt_task *task, struct rt_mesh *mesh)
{
    (void)task;
    send_number(mesh, 0, 1);
}

static void close_its_only_source(struct rt_task *task, struct rt_mesh *mesh)
{
    struct rt_spsc *channel = NULL;

    (void)task;
    T_CHECK(rt_mesh_receiver(&channel, mesh, 0) == 0);
    rt_spsc_close_receiver(channel);
}

static void close_its_sender(struct rt_task *task, struct rt_mesh *mesh)
{
    (void)task;
    rt_mesh_close_senders(mesh);
}

static int end_waits(void *arg)
{
    struct rt_mesh *mesh = make(2);

    (void)arg;
    T_CHECK(wait_and_end(cancel_it, mesh) == -ECANCELED);
    T_CHECK(wait_and_end(send_to_it, mesh) == 1);
    T_CHECK(wait_and_end(cancel_it, mesh) == -ECANCELED);
    T_CHECK(wait_and_end(close_its_sender, mesh) == 0);
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);
    mesh = make(2);
    T_CHECK(wait_and_end(close_its_only_source, mesh) == 0);
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);
    mesh = make(2); /* a sender that closes what it has never used */
    T_CHECK(wait_and_end(close_its_sender, mesh) == 0);
    rt_mesh_leave(mesh, 0);
    rt_mesh_destroy(mesh);
    return 0;
}

static void a_wait_for_any_ends_by_an_item_a_cancel_and_a_close(void **state)
{
    (void)state;
    run_first(end_waits);
}

/* ---- between shards ---- */

#define ROUNDS 5

static struct rt_mesh *shared; /* one thread runs at a time */

static int send_rounds(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        send_number(shared, 0, i);
    }
    rt_mesh_leave(shared, rt_shard_index());
    return 0;
}

static int receive_two_from_itself(void *arg)
{
    struct rt_spsc *channel = NULL;
    int items[2] = { 0 };

    T_CHECK(rt_mesh_receiver(&channel, arg, 0) == 0);
    for (int i = 0; i < 2; i++) {
        T_CHECK(rt_spsc_recv(channel, &items[i], 1, RT_NEVER) == 1);
    }
    rt_spsc_close_receiver(channel);
    return 10 * items[0] + items[1];
}

/* Shard 0, which has a channel to itself, and shard 1, which sends one number. */
static int receive_in_both_ways(void *arg)
{
    struct rt_task *task;
    uint32_t from = 0;
    int item = 0;
    int result = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    shared = make(ROUNDS);
    T_CHECK(rt_spawn(&task, receive_two_from_itself, shared) == 0);
    rt_yield(); /* it waits */
    send_number(shared, 0, 4);
    rt_spsc_flush(sender(shared, 0));
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, &from, 0) == -ETIME); /* that is not for this one */
    T_CHECK(rt_call(1, send_rounds, NULL, NULL, RT_NEVER) == 0);
    send_number(shared, 0, 2);
    rt_mesh_close_senders(shared);
    for (int i = 0; i < ROUNDS; i++) {
        T_CHECK(rt_mesh_recv_any(shared, &item, 1, &from, RT_NEVER) == 1 && from == 1 && item == i);
    }
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, &from, RT_NEVER) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 42);
    rt_mesh_leave(shared, 0);
    rt_mesh_destroy(shared);
    return 0;
}

static void a_source_with_a_receiver_of_its_own_is_left_out_by_who_receives_from_any(void **state)
{
    (void)state;
    run_many(2, receive_in_both_ways);
}

static int take_turns(void *arg)
{
    uint32_t from = 0;
    int item = -1;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    shared = make(ROUNDS);
    for (uint32_t i = 1; i < SHARDS; i++) {
        T_CHECK(rt_call(i, send_rounds, NULL, NULL, RT_NEVER) == 0);
    }
    rt_mesh_close_senders(shared);
    for (int i = 0; i < ROUNDS; i++) {
        for (uint32_t j = 1; j < SHARDS; j++) {
            T_CHECK(rt_mesh_recv_any(shared, &item, 1, &from, RT_NEVER) == 1);
            T_CHECK(from == j && item == i);
        }
    }
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, &from, RT_NEVER) == 0);
    rt_mesh_leave(shared, 0);
    rt_mesh_destroy(shared);
    return 0;
}

static void sources_that_have_something_take_turns(void **state)
{
    (void)state;
    run_many(SHARDS, take_turns);
}

/* Shard 1 never comes. */
static int go_on_without_one(void *arg)
{
    const int number = 7;
    int item = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    shared = make(1);
    T_CHECK(rt_mesh_send_all(shared, &number, 1, 0) == 0); /* to itself, and into the channel */
    rt_mesh_close_senders(shared);
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, NULL, RT_NEVER) == 1 && item == 7);
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, NULL, rt_in(1000)) == -ETIME);
    rt_mesh_leave(shared, 1);
    T_CHECK(rt_mesh_recv_any(shared, &item, 1, NULL, RT_NEVER) == 0);
    rt_mesh_leave(shared, 0);
    rt_mesh_destroy(shared);
    return 0;
}

static void nobody_waits_for_a_shard_that_another_one_has_left_for(void **state)
{
    (void)state;
    run_many(2, go_on_without_one);
}

#define LARGE          128
#define LARGE_MAX_MIB  64

static size_t heap_bytes(void)
{
    const struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static int make_a_large_one(void *arg)
{
    size_t before;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    before = heap_bytes();
    shared = make(65536);
    print_message("%zu KiB for %d shards\n", (heap_bytes() - before) >> 10, LARGE);
    T_CHECK(heap_bytes() - before < (size_t)LARGE_MAX_MIB << 20);
    T_CHECK(heap_bytes() - before >= LARGE * LARGE * sizeof(void *)); /* it does count */
    rt_mesh_leave(shared, 0);
    T_CHECK(heap_bytes() - before < (size_t)LARGE_MAX_MIB << 20);
    rt_mesh_destroy(shared);
    return 0;
}

static void a_mesh_of_128_shards_takes_next_to_nothing_before_it_is_used(void **state)
{
    (void)state;
    if (RTI_ASAN || RTI_TSAN) {
        skip(); /* their allocators do not say what is in use */
    }
    run_many(LARGE, make_a_large_one);
}

/* ---- misuse ---- */

static int send_after_closing(void *arg)
{
    struct rt_mesh *mesh = make(2);
    struct rt_spsc *channel = sender(mesh, 0);

    (void)arg;
    rt_mesh_close_senders(mesh);
    return rt_spsc_send(channel, "item", 1, NULL, RT_NEVER);
}

static int send_after_closing_what_was_not_made(void *arg)
{
    struct rt_mesh *mesh = make(2);

    (void)arg;
    rt_mesh_close_senders(mesh);
    return rt_spsc_send(sender(mesh, 0), "item", 1, NULL, RT_NEVER);
}

static int send_to_a_stranger(void *arg)
{
    struct rt_spsc *channel;

    (void)arg;
    return rt_mesh_sender(&channel, make(2), 1);
}

static int leave_for_a_stranger(void *arg)
{
    (void)arg;
    rt_mesh_leave(make(2), 1);
    return 0;
}

static int destroy_what_was_not_left(void *arg)
{
    struct rt_mesh *mesh = make(2);

    (void)arg;
    send_number(mesh, 0, 1);
    rt_mesh_destroy(mesh);
    return 0;
}

static int receive_twice(void *arg)
{
    struct rt_mesh *mesh = make(2);

    (void)arg;
    T_CHECK(rt_spawn(NULL, receive_any, mesh) == 0);
    rt_yield();
    return receive_any(mesh);
}

static int destroy_what_is_waited_for(void *arg)
{
    struct rt_mesh *mesh = make(2);

    (void)arg;
    T_CHECK(rt_spawn(NULL, receive_any, mesh) == 0);
    rt_yield();
    rt_mesh_destroy(mesh);
    return 0;
}

static struct rt_mesh *of_another;

static int make_another(void *arg)
{
    (void)arg;
    of_another = make(2);
    return 0;
}

static int send_by_another(void *arg)
{
    (void)arg;
    send_number(of_another, 0, 1);
    return 0;
}

/* Two runtimes, one within the other's host. */
static int use_beside_its_runtime(void *arg)
{
    struct rt_runtime *loop;
    rt_time next;

    (void)arg;
    T_CHECK(rt_loop_open(&loop, NULL, make_another, NULL) == 0);
    (void)!rt_loop_turn(loop, &next);
    return rt_run(NULL, send_by_another, NULL);
}

/* Shard 1 may come yet: it waits. */
static int leave_for_who_waits(void *arg)
{
    struct rt_call call;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    shared = make(2);
    T_CHECK(rt_call_begin(&call, 1, receive_any, shared, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    rt_mesh_leave(shared, 1);
    return rt_call_end(&call, NULL, RT_NEVER);
}

static int run_leave_for_who_waits(void *arg)
{
    (void)arg;
    run_many(2, leave_for_who_waits);
    return 0;
}

static void misuse_aborts_with_the_name_of_the_mesh(void **state)
{
    (void)state;
    assert_misuse_in_task(send_after_closing, "rt_spsc_send(): this end was closed");
    assert_misuse_in_task(send_after_closing_what_was_not_made, "this end was closed");
    assert_misuse_in_task(send_to_a_stranger, "shard 1 is none of those that receive in mesh "
                                              "\"letters\"");
    assert_misuse_in_task(leave_for_a_stranger, "rt_mesh_leave(): there is no shard 1");
    assert_misuse_in_task(destroy_what_was_not_left, "mesh \"letters\": shard 0 or 0 has used");
    assert_misuse_in_task(receive_twice, "rt_mesh_recv_any(): another task is in it");
    assert_misuse_in_task(destroy_what_is_waited_for,
                          "rt_mesh_destroy(): mesh \"letters\": shard 0 waits in");
    assert_misuse_in_run(use_beside_its_runtime, NULL,
                         "rt_mesh_sender(): mesh \"letters\" belongs to another runtime");
    assert_misuse_in_run(run_leave_for_who_waits, NULL,
                         "rt_mesh_leave(): mesh \"letters\": shard 1 waits in");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_make_no_mesh_are_refused_with_a_text),
        cmocka_unit_test(what_is_sent_comes_and_an_end_that_is_closed_twice_is_closed),
        cmocka_unit_test(an_end_may_be_closed_before_its_channel_is_made),
        cmocka_unit_test(a_wait_for_any_ends_by_an_item_a_cancel_and_a_close),
        cmocka_unit_test(a_source_with_a_receiver_of_its_own_is_left_out_by_who_receives_from_any),
        cmocka_unit_test(sources_that_have_something_take_turns),
        cmocka_unit_test(nobody_waits_for_a_shard_that_another_one_has_left_for),
        cmocka_unit_test(a_mesh_of_128_shards_takes_next_to_nothing_before_it_is_used),
        cmocka_unit_test(misuse_aborts_with_the_name_of_the_mesh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
