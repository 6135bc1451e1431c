/* SPDX-License-Identifier: MIT */
/*
 * Channel between two shards: see rt/spsc.h for what is promised.
 *
 * Method: each promise by hand, on one shard with a task at each end. Then
 * random sends and receives of all sizes between two shards of the simulated
 * kernel, which lets another thread go on at each atomic access; without
 * deadlines, so that a wake that is lost is a deadlock, which the sim reports.
 */
#include "support/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rt/rt.h"
#include "support/death.h"
#include "support/rand.h"
#include "support/shards.h"

#define SEEDS 1000
#define ITEMS 300

static void run_one(rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_run(&config, first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- sizes ---- */

static unsigned lines;

static void count_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    lines += level == RT_LOG_ERROR && strstr(text, "channel") != NULL;
}

static int make_all_sizes(void *arg)
{
    static const struct {
        size_t bytes;
        size_t capacity;
    } wrong[] = { { 0, 1 }, { 65537, 1 }, { 1, 0 }, { 1, (1ull << 31) + 1 }, { 65536, 32769 } };
    struct rt_spsc *channel = NULL;

    (void)arg;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        T_CHECK(rt_spsc_create(&channel, wrong[i].bytes, wrong[i].capacity) == -EINVAL);
        T_CHECK(channel == NULL && lines == i + 1);
    }
    T_CHECK(rt_spsc_create(&channel, 65536, 3) == 0);
    rt_spsc_close_receiver(channel);
    rt_spsc_close_sender(channel);
    return 0;
}

static void sizes_out_of_range_are_refused_with_a_text(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.log = count_line;
    assert_int_equal(rt_run(&config, make_all_sizes, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- on one shard ---- */

static int try_both_ends(void *arg)
{
    struct rt_spsc *channel;
    uint64_t items[8] = { 0 };
    size_t done = 99;

    (void)arg;
    T_CHECK(rt_spsc_create(&channel, sizeof(items[0]), 3) == 0); /* is 4 */
    T_CHECK(rt_spsc_recv(channel, items, 8, 0) == -ETIME);
    for (uint64_t i = 0; i < 8; i++) {
        items[i] = i;
    }
    T_CHECK(rt_spsc_send(channel, items, 6, &done, 0) == -ETIME && done == 4);
    T_CHECK(rt_spsc_send(channel, items, 1, &done, rt_in(1000)) == -ETIME && done == 0);
    memset(items, 0, sizeof(items));
    T_CHECK(rt_spsc_recv(channel, items, 3, 0) == 3);
    T_CHECK(items[0] == 0 && items[1] == 1 && items[2] == 2 && items[3] == 0);
    T_CHECK(rt_spsc_send(channel, items, 2, &done, 0) == 0 && done == 2); /* over the wrap */
    T_CHECK(rt_spsc_recv(channel, items, 8, 0) == 1); /* what is known; then it looks anew */
    T_CHECK(rt_spsc_recv(channel, items + 1, 7, 0) == 2);
    T_CHECK(items[0] == 3 && items[1] == 0 && items[2] == 1);
    T_CHECK(rt_spsc_send(channel, items, 1, NULL, 0) == 0);
    rt_spsc_close_sender(channel); /* publishes */
    T_CHECK(rt_spsc_recv(channel, items, 8, 0) == 1);
    T_CHECK(rt_spsc_recv(channel, items, 8, RT_NEVER) == 0);
    T_CHECK(rt_spsc_recv(channel, items, 8, RT_NEVER) == 0);
    rt_spsc_close_receiver(channel);
    return 0;
}

static void as_many_go_in_as_there_is_room_for_and_come_out(void **state)
{
    (void)state;
    run_one(try_both_ends);
}

static int send_to_nobody(void *arg)
{
    struct rt_spsc *channel;
    const int items[4] = { 0 };
    size_t done = 99;

    (void)arg;
    T_CHECK(rt_spsc_create(&channel, sizeof(items[0]), 2) == 0);
    T_CHECK(rt_spsc_send(channel, items, 1, NULL, RT_NEVER) == 0);
    rt_spsc_close_receiver(channel); /* drops it */
    T_CHECK(rt_spsc_send(channel, items, 4, &done, RT_NEVER) == -EPIPE);
    T_CHECK(rt_spsc_send(channel, items, 1, &done, RT_NEVER) == -EPIPE && done == 0);
    rt_spsc_flush(channel);
    rt_spsc_close_sender(channel);
    return 0;
}

static void a_sender_learns_that_the_receiver_has_closed(void **state)
{
    (void)state;
    run_one(send_to_nobody);
}

static int receive_one(void *arg)
{
    int item = 0;

    return (int)rt_spsc_recv(arg, &item, 1, RT_NEVER);
}

static int send_three(void *arg)
{
    const int items[3] = { 1, 2, 3 };

    return rt_spsc_send(arg, items, 3, NULL, RT_NEVER);
}

/* What ends the wait of a task at one end: `how` is done while it waits. */
static int wait_and_end(rt_task_fn waits, void (*how)(struct rt_task *, struct rt_spsc *),
                        struct rt_spsc *channel)
{
    struct rt_task *task;
    int result = 99;

    T_CHECK(rt_spawn(&task, waits, channel) == 0);
    rt_yield();
    T_CHECK(!rt_is_finished(task));
    how(task, channel);
    T_CHECK(rt_join(task, &result, rt_in(RT_SECONDS(5))) == 0);
    return result;
}

static void cancel_it(struct rt_task *task, struct rt_spsc *channel)
{
    (void)channel;
    rt_cancel(task);
}

static void close_sender(struct rt_task *task, struct rt_spsc *channel)
{
    (void)task;
    rt_spsc_close_sender(channel);
}

static void close_receiver(struct rt_task *task, struct rt_spsc *channel)
{
    (void)task;
    rt_spsc_close_receiver(channel);
}

static int end_waits(void *arg)
{
    struct rt_spsc *channel;
    int item = 0;

    (void)arg;
    T_CHECK(rt_spsc_create(&channel, sizeof(int), 2) == 0);
    T_CHECK(wait_and_end(receive_one, cancel_it, channel) == -ECANCELED);
    T_CHECK(wait_and_end(receive_one, close_sender, channel) == 0);
    rt_spsc_close_receiver(channel);
    T_CHECK(rt_spsc_create(&channel, sizeof(int), 2) == 0);
    T_CHECK(wait_and_end(send_three, cancel_it, channel) == -ECANCELED);
    T_CHECK(rt_spsc_recv(channel, &item, 1, 0) == 1 && item == 1); /* two were sent */
    T_CHECK(rt_spsc_recv(channel, &item, 1, 0) == 1 && item == 2);
    T_CHECK(rt_spsc_recv(channel, &item, 1, 0) == -ETIME);
    T_CHECK(wait_and_end(send_three, close_receiver, channel) == -EPIPE);
    rt_spsc_close_sender(channel);
    return 0;
}

static void a_wait_ends_by_a_cancel_and_by_a_close(void **state)
{
    (void)state;
    run_one(end_waits);
}

static unsigned yields;

static int count_turns(void *arg)
{
    const bool *over = arg;

    while (!*over) {
        yields++;
        rt_yield();
    }
    return 0;
}

/* Neither end ever waits; the other task of the shard runs all the same. */
static int send_and_receive_for_long(void *arg)
{
    const rt_time end = rt_in(RT_SECONDS(10)); /* only where the other task starves */
    struct rt_spsc *channel;
    struct rt_task *other;
    bool over = false;
    int item = 0;

    (void)arg;
    T_CHECK(rt_spsc_create(&channel, sizeof(item), 64) == 0);
    T_CHECK(rt_spawn(&other, count_turns, &over) == 0);
    while (yields < 10 && rt_now() < end) {
        T_CHECK(rt_spsc_send(channel, &item, 1, NULL, RT_NEVER) == 0);
        rt_spsc_flush(channel);
        T_CHECK(rt_spsc_recv(channel, &item, 1, RT_NEVER) == 1);
    }
    T_CHECK(yields >= 10);
    over = true;
    T_CHECK(rt_join(other, NULL, RT_NEVER) == 0);
    rt_spsc_close_sender(channel);
    rt_spsc_close_receiver(channel);
    return 0;
}

static void an_end_that_need_not_wait_lets_other_tasks_run(void **state)
{
    (void)state;
    run_one(send_and_receive_for_long);
}

/* ---- between two shards ---- */

static struct {
    struct rand_state sender;
    struct rand_state receiver;
    unsigned sent;
    unsigned received;
    bool receiver_leaves; /* before all has come */
} stream;

static int receive_all(void *arg)
{
    struct rt_spsc *channel = arg;
    unsigned items[9];
    ssize_t n;

    while ((n = rt_spsc_recv(channel, items, 1 + rand_below(&stream.receiver, 9), RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            T_CHECK(items[i] == stream.received);
            stream.received++;
        }
        if (rand_below(&stream.receiver, 4) == 0) {
            (void)rt_sleep_until(rt_in((rt_time)rand_below(&stream.receiver, 2000)));
        }
        if (stream.receiver_leaves && stream.received > ITEMS / 2) {
            break;
        }
    }
    T_CHECK(n >= 0);
    rt_spsc_close_receiver(channel);
    return 0;
}

static void send_all(struct rt_spsc *channel)
{
    int r = 0;

    while (r == 0 && stream.sent < ITEMS) {
        unsigned items[9];
        const unsigned count = 1 + (unsigned)rand_below(&stream.sender, 9);
        size_t done = 0;

        for (unsigned i = 0; i < count; i++) {
            items[i] = stream.sent + i;
        }
        r = rt_spsc_send(channel, items, count, &done, RT_NEVER);
        stream.sent += (unsigned)done;
        T_CHECK(r == 0 ? done == count : r == -EPIPE && stream.receiver_leaves);
        if (rand_below(&stream.sender, 4) == 0) {
            (void)rt_sleep_until(rt_in((rt_time)rand_below(&stream.sender, 2000)));
        }
    }
}

static int send_stream(void *arg)
{
    const size_t *capacity = arg;
    struct rt_spsc *channel;
    struct rt_call call;

    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(rt_spsc_create(&channel, sizeof(unsigned), *capacity) == 0);
    T_CHECK(rt_call_begin(&call, 1, receive_all, channel, RT_NEVER) == 0);
    send_all(channel);
    rt_spsc_close_sender(channel);
    T_CHECK(rt_call_end(&call, NULL, RT_NEVER) == 0);
    return 0;
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;
    size_t capacity;

    memset(&stream, 0, sizeof(stream));
    rand_init(&stream.sender, seed);
    rand_init(&stream.receiver, ~seed);
    capacity = 1 + rand_below(&stream.sender, 20);
    stream.receiver_leaves = rand_below(&stream.sender, 4) == 0;
    shards_init(&shards, seed, 2);
    shards.runtime.tasks_max = 8;
    shards_run(&shards, send_stream, &capacity);
    T_CHECK(shards.result == 0 && shards.faults == 0);
    T_CHECK(stream.receiver_leaves || stream.received >= ITEMS);
    T_CHECK(stream.received <= stream.sent);
    return t_failures() == 0;
}

static void what_was_sent_comes_in_order_and_nobody_hangs(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS); i++) {
        if (!run_seed(rt_test_seed(i))) {
            fail_msg("RT_SEED=%" PRIu64, rt_test_seed(i));
        }
    }
}

/* ---- misuse ---- */

static struct rt_spsc *of_another;

static int create_one(void *arg)
{
    (void)arg;
    T_CHECK(rt_spsc_create(&of_another, sizeof(int), 4) == 0);
    return 0;
}

static int receive_from_another(void *arg)
{
    int item;

    (void)arg;
    return (int)rt_spsc_recv(of_another, &item, 1, 0);
}

/* Two runtimes, one within the other's host. */
static int receive_beside_its_runtime(void *arg)
{
    struct rt_runtime *loop;
    rt_time next;

    (void)arg;
    T_CHECK(rt_loop_open(&loop, NULL, create_one, NULL) == 0);
    (void)!rt_loop_turn(loop, &next);
    return rt_run(NULL, receive_from_another, NULL);
}

static void a_channel_of_another_runtime_aborts(void **state)
{
    (void)state;
    assert_misuse_in_run(receive_beside_its_runtime, NULL,
                         "rt_spsc_recv(): the channel belongs to another runtime");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_out_of_range_are_refused_with_a_text),
        cmocka_unit_test(as_many_go_in_as_there_is_room_for_and_come_out),
        cmocka_unit_test(a_sender_learns_that_the_receiver_has_closed),
        cmocka_unit_test(a_wait_ends_by_a_cancel_and_by_a_close),
        cmocka_unit_test(an_end_that_need_not_wait_lets_other_tasks_run),
        cmocka_unit_test(what_was_sent_comes_in_order_and_nobody_hangs),
        cmocka_unit_test(a_channel_of_another_runtime_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
