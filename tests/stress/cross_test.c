/* SPDX-License-Identifier: MIT */
/*
 * Between shards, on real threads: nothing is lost, and order is kept.
 *
 * Method: two shards that have nothing but each other send so that the receiver
 * sleeps each time: a wake that is lost hangs the test. Then one streams to the
 * other as fast as it can. Then 16 shards, many more than CPUs, do everything at
 * once for a bounded time, and what was sent is counted against what has come.
 */
#include "support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "rt/rt.h"
#include "support/rand.h"

/* The optimised build does the most: what it looks for is a matter of timing. */
#define ROUND_TRIPS   (RTI_DEBUG ? 20000 : 100000)
#define CHANNEL_TRIPS (RTI_DEBUG ? 10000u : 50000u)
#define STREAMED      (RTI_DEBUG ? 1000000u : 10000000u)

static struct rt_config two_shards(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = 2;
    config.log_level = RT_LOG_ERROR; /* more shards than CPUs are meant */
    return config;
}

/* Calls that sleep each time */

static int add_one(void *arg)
{
    return ++*(int *)arg;
}

static int call_and_sleep(void *arg)
{
    struct rt_stats *stats = arg;
    int calls = 0;
    int result = 0;

    if (rt_shard_index() != 0) {
        return 0;
    }
    for (int i = 0; i < ROUND_TRIPS; i++) {
        if (rt_call(1, add_one, &calls, &result, RT_NEVER) != 0 || result != i + 1) {
            t_fail("a call came back right", __FILE__, __LINE__);
            break;
        }
    }
    rt_stats_get(stats, sizeof(*stats));
    return 0;
}

static void a_call_wakes_a_shard_that_sleeps_every_time(void **state)
{
    const struct rt_config config = two_shards();
    struct rt_stats stats = { 0 };

    (void)state;
    assert_int_equal(rt_start(&config, call_and_sleep, &stats), 0);
    assert_int_equal(t_failures(), 0);
    assert_true(stats.sleeps > ROUND_TRIPS / 2); /* else this has tested nothing */
    assert_true(stats.wakes_sent > ROUND_TRIPS / 2);
    assert_int_equal(stats.messages_sent, ROUND_TRIPS);
    assert_int_equal(stats.messages_taken, ROUND_TRIPS);
}

/* A ball over two channels: wakes through the wake map */

struct court {
    struct rt_spsc *there;
    struct rt_spsc *back;
};

static int play_back(void *arg)
{
    struct court *court = arg;
    uint32_t ball;

    while (rt_spsc_recv(court->there, &ball, 1, RT_NEVER) == 1) {
        ball++;
        T_CHECK(rt_spsc_send(court->back, &ball, 1, NULL, RT_NEVER) == 0);
    }
    rt_spsc_close_receiver(court->there);
    rt_spsc_close_sender(court->back);
    return 0;
}

static int play(void *arg)
{
    struct court court;
    struct rt_call call;
    uint32_t ball = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(rt_spsc_create(&court.there, sizeof(ball), 1) == 0);
    T_CHECK(rt_spsc_create(&court.back, sizeof(ball), 4) == 0);
    T_CHECK(rt_call_begin(&call, 1, play_back, &court, RT_NEVER) == 0);
    for (uint32_t i = 0; i < CHANNEL_TRIPS; i++) {
        T_CHECK(rt_spsc_send(court.there, &ball, 1, NULL, RT_NEVER) == 0);
        T_CHECK(rt_spsc_recv(court.back, &ball, 1, RT_NEVER) == 1);
        T_CHECK(ball == i + 1);
    }
    rt_spsc_close_sender(court.there);
    rt_spsc_close_receiver(court.back);
    return rt_call_end(&call, NULL, RT_NEVER);
}

static void a_channel_wakes_a_shard_that_sleeps_every_time(void **state)
{
    const struct rt_config config = two_shards();

    (void)state;
    assert_int_equal(rt_start(&config, play, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Streams */

static int receive_stream(void *arg)
{
    struct rt_spsc *channel = arg;
    uint32_t items[50];
    uint32_t expected = 0;
    ssize_t n;

    while ((n = rt_spsc_recv(channel, items, 1 + expected % 50, RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (items[i] != expected++) {
                t_fail("items[i] == expected", __FILE__, __LINE__);
                rt_spsc_close_receiver(channel);
                return -EIO;
            }
        }
    }
    rt_spsc_close_receiver(channel);
    T_CHECK(expected == STREAMED);
    return 0;
}

static int send_stream(void *arg)
{
    struct rt_spsc *channel;
    struct rt_call call;
    uint32_t items[40];
    uint32_t next = 0;
    int result = -1;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(rt_spsc_create(&channel, sizeof(items[0]), 100) == 0);
    T_CHECK(rt_call_begin(&call, 1, receive_stream, channel, RT_NEVER) == 0);
    while (next < STREAMED) {
        uint32_t count = 0;

        do { /* single ones, and batches of all sizes */
            items[count++] = next++;
        } while (next < STREAMED && next % 7 != 0 && count < 40 && next % 1000 < 800);
        if (rt_spsc_send(channel, items, count, NULL, RT_NEVER) < 0) {
            break;
        }
    }
    rt_spsc_close_sender(channel);
    T_CHECK(rt_call_end(&call, &result, RT_NEVER) == 0);
    T_CHECK(result == 0);
    return 0;
}

static void a_long_stream_arrives_in_order(void **state)
{
    const struct rt_config config = two_shards();

    (void)state;
    assert_int_equal(rt_start(&config, send_stream, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Everything at once, 16 shards on the CPUs that there are */

#define CROWD         16
#define CROWD_SENDERS 4 /* tasks of each shard */
#define CROWD_TIME    RT_MILLISECONDS(1500)
#define CROWD_AT_LEAST 50 /* messages that each tries to send, however slow the machine is */

struct note {
    uint64_t number; /* of a post: in order of sending, per sender and receiver; of a call 0 */
    uint32_t from;
    bool came; /* of a call */
};

struct crowd_shard {
    uint64_t posts[CROWD];     /* sent to each */
    uint64_t calls[CROWD];     /* sent to each and not refused */
    uint64_t started[CROWD];   /* from each */
    uint64_t last_seen[CROWD]; /* number of the newest post from each */
    uint64_t refused;
    uint64_t late; /* parts of sets */
    char apart[128];
};

static struct crowd_shard crowd[CROWD];

static void take_note(const struct note *note)
{
    struct crowd_shard *here = &crowd[rt_shard_index()];

    here->started[note->from]++;
    if (note->number > 0) {
        T_CHECK(note->number == here->last_seen[note->from] + 1);
        here->last_seen[note->from] = note->number;
    }
}

static int read_post(void *arg)
{
    take_note(arg);
    free(arg);
    return 0;
}

static int read_call(void *arg)
{
    struct note *note = arg;

    take_note(note);
    note->came = true;
    return 3;
}

static int read_call_and_wait(void *arg)
{
    struct note *note = arg;

    take_note(note);
    note->came = true;
    return rt_sleep_until(rt_in(RT_MICROSECONDS(200)));
}

static void send_post(uint32_t to)
{
    struct crowd_shard *here = &crowd[rt_shard_index()];
    struct note *note = malloc(sizeof(*note));

    T_CHECK(note != NULL);
    *note = (struct note){ .from = rt_shard_index(), .number = here->posts[to] + 1 };
    if (rt_try_post(to, read_post, note) == 0) {
        here->posts[to]++;
    } else {
        free(note);
        rt_yield();
    }
}

static void send_call(uint32_t to, struct rand_state *rand)
{
    struct crowd_shard *here = &crowd[rt_shard_index()];
    const bool waits = rand_below(rand, 4) == 0;
    const bool hurries = rand_below(rand, 8) == 0;
    struct note note = { .from = rt_shard_index() };
    struct rt_call call;
    int result = 0;
    int r;

    T_CHECK(rt_call_begin(&call, to, waits ? read_call_and_wait : read_call, &note, RT_NEVER) == 0);
    r = rt_call_end(&call, &result, hurries ? rt_in(RT_MICROSECONDS(50)) : RT_NEVER);
    if (r == -EAGAIN) {
        here->refused++;
        return;
    }
    T_CHECK(r == 0 || (r == -ETIME && waits && hurries));
    T_CHECK(r != 0 || result == (waits ? 0 : 3));
    here->calls[to]++;
}

/* To all shards at once, this one too. What has no time left when it comes is not run. */
static void send_set(struct rand_state *rand)
{
    struct crowd_shard *here = &crowd[rt_shard_index()];
    const bool waits = rand_below(rand, 2) == 0;
    const bool hurries = rand_below(rand, 2) == 0;
    struct rt_call_part parts[CROWD];
    struct note notes[CROWD];
    int r;

    for (uint32_t i = 0; i < CROWD; i++) {
        notes[i] = (struct note){ .from = rt_shard_index() };
        parts[i] = (struct rt_call_part){ .shard = i, .arg = &notes[i] };
    }
    r = rt_call_each(parts, CROWD, waits ? read_call_and_wait : read_call,
                     hurries ? rt_in(RT_MICROSECONDS(100)) : RT_NEVER);
    T_CHECK(r == 0 || r == -EAGAIN || (r == -ETIME && hurries));
    for (uint32_t i = 0; i < CROWD; i++) {
        const int error = parts[i].error;

        T_CHECK(error == 0 || error == -EAGAIN || (error == -ETIME && hurries));
        T_CHECK(error != 0 || (notes[i].came && parts[i].result == (waits ? 0 : 3)));
        T_CHECK(error == 0 || waits || !notes[i].came);
        here->refused += error == -EAGAIN;
        here->late += error == -ETIME;
        here->calls[i] += notes[i].came;
    }
}

static int crowd_sender(void *arg)
{
    const rt_time end = rt_in(CROWD_TIME);
    struct rand_state rand;

    rand_init(&rand, (uint64_t)(uintptr_t)arg);
    for (int i = 0; i < CROWD_AT_LEAST || rt_now() < end; i++) {
        uint32_t to = (uint32_t)rand_below(&rand, CROWD);

        if (to == rt_shard_index()) {
            to = (to + 1) % CROWD;
        }
        if (rand_below(&rand, 32) == 0) {
            send_set(&rand);
        } else if (rand_below(&rand, 2) == 0) {
            send_post(to);
        } else {
            send_call(to, &rand);
        }
    }
    return 0;
}

static int crowd_first(void *arg)
{
    struct rt_group senders = RT_GROUP_INIT;

    (void)arg;
    for (uintptr_t i = 0; i < CROWD_SENDERS; i++) {
        T_CHECK(rt_group_spawn(&senders, crowd_sender, (void *)(rt_shard_index() * 100 + i + 1)) ==
                0);
    }
    (void)rt_group_leave(&senders, RT_NEVER);
    return 0;
}

static void run_crowd(uint32_t port_entries, uint32_t tasks_max)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(crowd, 0, sizeof(crowd));
    config.shards = CROWD;
    config.port_entries = port_entries;
    config.tasks_max = tasks_max;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_start(&config, crowd_first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void check_crowd(void)
{
    uint64_t sent = 0;

    for (uint32_t to = 0; to < CROWD; to++) {
        for (uint32_t from = 0; from < CROWD; from++) {
            const uint64_t count = crowd[from].posts[to] + crowd[from].calls[to];

            assert_int_equal(count, crowd[to].started[from]);
            sent += count;
        }
    }
    assert_true(sent > CROWD * CROWD_SENDERS);
}

static void everything_that_16_shards_send_has_come(void **state)
{
    (void)state;
    run_crowd(128, 0);
    check_crowd();
}

static void everything_has_come_also_through_one_slot_and_with_hardly_a_task(void **state)
{
    uint64_t refused = 0;

    (void)state;
    run_crowd(1, CROWD_SENDERS + 2);
    check_crowd();
    for (uint32_t i = 0; i < CROWD; i++) {
        refused += crowd[i].refused;
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_wakes_a_shard_that_sleeps_every_time),
        cmocka_unit_test(a_channel_wakes_a_shard_that_sleeps_every_time),
        cmocka_unit_test(a_long_stream_arrives_in_order),
        cmocka_unit_test(everything_that_16_shards_send_has_come),
        cmocka_unit_test(everything_has_come_also_through_one_slot_and_with_hardly_a_task),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
