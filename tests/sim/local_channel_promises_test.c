/* SPDX-License-Identifier: MIT */
/*
 * Channels of one shard: each promise of rt/channel.h on its own, and misuse.
 *
 * Method: a first task that does what the test's name says, step by step. All of it
 * at once, in every order that chance finds, is in local_channel_test.c.
 */
#include "support/death.h"
#include "support/first.h"

#include <errno.h>

#include "core/executor.h"
#include "rt/rt.h"

static int create_badly(void *arg)
{
    static const struct {
        size_t item_bytes;
        size_t capacity;
    } bad[] = { { 0, 1 }, { 1, 0 }, { 65537, 1 }, { 8, (UINT64_C(1) << 28) + 1 }, { 1, SIZE_MAX } };
    struct rt_chan *chan = NULL;

    (void)arg;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        T_CHECK(rt_chan_create(&chan, bad[i].item_bytes, bad[i].capacity) == -EINVAL);
    }
    T_CHECK(chan == NULL);
    rt_chan_destroy(NULL);
    return 0;
}

struct last_line {
    char text[512];
    unsigned errors;
};

static void keep_last(void *arg, enum rt_log_level level, const char *text)
{
    struct last_line *line = arg;

    line->errors += level == RT_LOG_ERROR;
    snprintf(line->text, sizeof(line->text), "%s", text);
}

static void a_size_out_of_range_is_refused_with_a_text(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct last_line line = { .errors = 0 };

    (void)state;
    config.log = keep_last;
    config.log_arg = &line;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rt_run(&config, create_badly, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(line.errors, 5);
    assert_non_null(strstr(line.text, "18446744073709551615 items of 1 bytes"));
    assert_non_null(strstr(line.text, "1 to 65536 bytes"));
}

static int fill_to_the_brim(void *arg)
{
    struct rt_chan *chan;
    uint64_t item = 0;

    (void)arg;
    for (size_t capacity = 1; capacity <= 9; capacity++) {
        T_CHECK(rt_chan_create(&chan, sizeof(item), capacity) == 0);
        for (item = 0; rt_chan_send(chan, &item, 0) == 0; item++) {
        }
        T_CHECK(item == capacity && rt_chan_length(chan) == capacity);
        T_CHECK(rt_chan_send(chan, &item, 0) == -ETIME);
        rt_chan_destroy(chan); /* with items in it */
    }
    return 0;
}

static void a_channel_holds_exactly_its_capacity(void **state)
{
    (void)state;
    run_first(fill_to_the_brim);
}

#define ROUNDS 100000

/* Indices run free: far around a ring whose capacity is no power of two. */
static int go_round(void *arg)
{
    struct rt_chan *chan;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t item;

    (void)arg;
    T_CHECK(rt_chan_create(&chan, sizeof(item), 3) == 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        while (sent - received < 1 + i % 3) {
            T_CHECK(rt_chan_send(chan, &sent, 0) == 0);
            sent++;
        }
        T_CHECK(rt_chan_recv(chan, &item, 0) == 0 && item == received);
        received++;
    }
    rt_chan_destroy(chan);
    return 0;
}

static void items_stay_in_order_around_the_ring(void **state)
{
    (void)state;
    run_first(go_round);
}

/* What a task that waits in a call has seen. */
struct call {
    struct rt_chan *chan;
    uint64_t item;
    int result;
};

static int recv_once(void *arg)
{
    struct call *call = arg;

    call->result = rt_chan_recv(call->chan, &call->item, RT_NEVER);
    return 0;
}

static int send_once(void *arg)
{
    struct call *call = arg;

    call->result = rt_chan_send(call->chan, &call->item, RT_NEVER);
    return 0;
}

/* The task waits when this returns. */
static struct rt_task *start(rt_task_fn fn, struct call *call)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, call) == 0);
    rt_yield();
    T_CHECK(!rt_is_finished(task));
    return task;
}

static int hand_over_then_cancel(void *arg)
{
    struct call receiver = { .result = 1 };
    struct call sender = { .item = 7, .result = 1 };
    uint64_t item = 5;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_chan_create(&receiver.chan, sizeof(item), 1) == 0);
    sender.chan = receiver.chan;
    task = start(recv_once, &receiver);
    T_CHECK(rt_chan_send(receiver.chan, &item, 0) == 0);
    T_CHECK(receiver.item == 5 && rt_chan_length(receiver.chan) == 0); /* right through */
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0 && receiver.result == 0);

    T_CHECK(rt_chan_send(sender.chan, &item, 0) == 0);
    task = start(send_once, &sender);
    T_CHECK(rt_chan_recv(sender.chan, &item, 0) == 0 && item == 5);
    T_CHECK(rt_chan_length(sender.chan) == 1); /* the sender's item has moved in */
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0 && sender.result == 0);
    T_CHECK(rt_chan_recv(sender.chan, &item, 0) == 0 && item == 7);
    rt_chan_destroy(sender.chan);
    return 0;
}

static void a_cancel_after_the_hand_over_takes_nothing_back(void **state)
{
    (void)state;
    run_first(hand_over_then_cancel);
}

static int close_with_items(void *arg)
{
    struct call sender = { .item = 2, .result = 1 };
    uint64_t item = 1;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_chan_create(&sender.chan, sizeof(item), 1) == 0);
    T_CHECK(rt_chan_send(sender.chan, &item, 0) == 0);
    task = start(send_once, &sender);
    rt_chan_close(sender.chan);
    rt_chan_close(sender.chan);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0 && sender.result == -EPIPE);
    T_CHECK(rt_chan_send(sender.chan, &item, RT_NEVER) == -EPIPE);
    item = 0;
    T_CHECK(rt_chan_recv(sender.chan, &item, RT_NEVER) == 0 && item == 1);
    T_CHECK(rt_chan_recv(sender.chan, &item, RT_NEVER) == -EPIPE && item == 1);
    rt_chan_destroy(sender.chan);
    return 0;
}

static void a_closed_channel_gives_what_is_in_it_and_takes_nothing(void **state)
{
    (void)state;
    run_first(close_with_items);
}

static int use_when_cancelled(void *arg)
{
    struct rt_chan *chan;
    uint64_t item = 1;

    (void)arg;
    T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
    rt_cancel_self();
    T_CHECK(rt_chan_send(chan, &item, RT_NEVER) == 0);
    T_CHECK(rt_chan_send(chan, &item, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_chan_recv(chan, &item, RT_NEVER) == 0);
    T_CHECK(rt_chan_recv(chan, &item, RT_NEVER) == -ECANCELED);
    rt_chan_close(chan);
    T_CHECK(rt_chan_recv(chan, &item, RT_NEVER) == -EPIPE);
    rt_chan_destroy(chan);
    return 0;
}

static void a_cancelled_task_does_what_needs_no_wait(void **state)
{
    (void)state;
    run_first(use_when_cancelled);
}

/* Misuse */

static int destroy_with_a_receiver(void *arg)
{
    struct call call = { .result = 1 };

    (void)arg;
    T_CHECK(rt_chan_create(&call.chan, sizeof(call.item), 1) == 0);
    (void)start(recv_once, &call);
    rt_chan_destroy(call.chan);
    return 0;
}

static int destroy_with_a_sender(void *arg)
{
    struct call call = { .result = 1 };

    (void)arg;
    T_CHECK(rt_chan_create(&call.chan, sizeof(call.item), 1) == 0);
    T_CHECK(rt_chan_send(call.chan, &call.item, 0) == 0);
    (void)start(send_once, &call);
    rt_chan_destroy(call.chan);
    return 0;
}

static void a_destroy_of_a_channel_that_a_task_waits_for_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(destroy_with_a_receiver, "rt_chan_destroy(): a task waits");
    assert_misuse_in_task(destroy_with_a_sender, "rt_chan_destroy(): a task waits");
}

/* From here on this thread runs another executor. */
static struct rt_chan *other_shards_channel(void)
{
    static struct rti_executor other = { .index = 1, .config.name = "other" };
    struct rt_chan *chan = NULL;

    T_CHECK(rt_chan_create(&chan, 1, 1) == 0);
    other.running = rti_current->running;
    rti_current = &other;
    return chan;
}

static int send_elsewhere(void *arg)
{
    (void)arg;
    return rt_chan_send(other_shards_channel(), "x", 0);
}

static int recv_elsewhere(void *arg)
{
    char item;

    (void)arg;
    return rt_chan_recv(other_shards_channel(), &item, 0);
}

static int close_elsewhere(void *arg)
{
    (void)arg;
    rt_chan_close(other_shards_channel());
    return 0;
}

static int destroy_elsewhere(void *arg)
{
    (void)arg;
    rt_chan_destroy(other_shards_channel());
    return 0;
}

static void the_use_of_a_channel_of_another_shard_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(send_elsewhere, "rt_chan_send(): the object belongs to shard 0 'shard', "
                                          "and this is shard 1 'other'");
    assert_misuse_in_task(recv_elsewhere, "rt_chan_recv(): the object belongs to shard 0 'shard', "
                                          "and this is shard 1 'other'");
    assert_misuse_in_task(close_elsewhere,
                          "rt_chan_close(): the object belongs to shard 0 'shard', "
                          "and this is shard 1 'other'");
    assert_misuse_in_task(destroy_elsewhere, "rt_chan_destroy(): the object belongs to shard 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_out_of_range_is_refused_with_a_text),
        cmocka_unit_test(a_channel_holds_exactly_its_capacity),
        cmocka_unit_test(items_stay_in_order_around_the_ring),
        cmocka_unit_test(a_cancel_after_the_hand_over_takes_nothing_back),
        cmocka_unit_test(a_closed_channel_gives_what_is_in_it_and_takes_nothing),
        cmocka_unit_test(a_cancelled_task_does_what_needs_no_wait),
        cmocka_unit_test(a_destroy_of_a_channel_that_a_task_waits_for_aborts),
        cmocka_unit_test(the_use_of_a_channel_of_another_shard_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
