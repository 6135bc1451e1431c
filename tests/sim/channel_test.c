/* SPDX-License-Identifier: MIT */
/*
 * Channels between shards: random senders and receivers on the simulated kernel.
 *
 * Method: one small program per seed. Some channels of a few items lead from one
 * shard to another. Each sender sends the numbers 0, 1, 2 ... in batches of random
 * size, each receiver takes as many at a time as chance has it; they wait for ever,
 * for a while or not at all, yield, are cancelled, and close early. What is received must be
 * the numbers in order, all of them if nobody left early; and both ends always
 * learn that the other is gone. Half of the seeds have no deadline that could
 * hide a lost wake.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rt/call.h"
#include "rt/rt.h"
#include "rt/spsc.h"
#include "rt/start.h"

#define LANES_MAX 3
#define FEW_MAX   3 /* shards */
#define ITEMS_MAX 60
#define BATCH_MAX 7
#define ITEM_MAX  24 /* bytes; the first 8 are the number */

struct lane {
    struct rt_spsc *channel;
    uint32_t from;
    uint32_t to;
    size_t item_bytes;
    uint64_t total;  /* to be sent */
    uint64_t wanted; /* the receiver closes after so many */
    uint64_t sent;   /* by calls that have returned */
    uint64_t received;
    bool was_cancelled;
};

struct program {
    struct rand_state rand;
    struct lane lanes[LANES_MAX];
    unsigned lane_count;
    uint32_t shards;
    bool has_deadlines;
    bool has_cancels;
    unsigned open_ends;
    struct rt_waker first; /* waits until all ends are closed */
};

static struct program program; /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static rt_time some_deadline(void)
{
    if (!program.has_deadlines) {
        return RT_NEVER;
    }
    switch (draw(3)) {
    case 0:
        return 0;
    case 1:
        return rt_in(draw(50000));
    default:
        return RT_NEVER;
    }
}

/* Both ends come here at times; a try that got nothing must let others run. */
static void perhaps_pause(int r)
{
    if (r == -ETIME || draw(5) == 0) {
        rt_yield();
    }
    if (program.has_cancels && draw(40) == 0) {
        rt_cancel_self();
    }
}

static void end_is_closed(void)
{
    if (--program.open_ends == 0) {
        rt_wake(program.first);
    }
}

static int send_all(void *arg)
{
    struct lane *lane = arg;
    char items[BATCH_MAX * ITEM_MAX];
    int r = 0;

    while (lane->sent < lane->total && (r == 0 || r == -ETIME)) {
        const uint64_t left = lane->total - lane->sent;
        const size_t count = 1 + draw(left < BATCH_MAX ? (unsigned)left : BATCH_MAX);
        size_t done = SIZE_MAX;

        memset(items, 0, sizeof(items));
        for (size_t i = 0; i < count; i++) {
            const uint64_t number = lane->sent + i;

            memcpy(items + i * lane->item_bytes, &number, sizeof(number));
        }
        r = rt_spsc_send(lane->channel, items, count, &done, some_deadline());
        T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -EPIPE);
        T_CHECK(r == 0 ? done == count : done < count || r == -EPIPE);
        T_CHECK(r != -EPIPE || lane->received >= lane->wanted || lane->was_cancelled);
        lane->sent += done;
        perhaps_pause(r);
        if (draw(8) == 0) {
            rt_spsc_flush(lane->channel);
        }
    }
    lane->was_cancelled |= r == -ECANCELED;
    rt_spsc_close_sender(lane->channel);
    end_is_closed();
    return 0;
}

static void check_items(struct lane *lane, const char *items, ssize_t count)
{
    for (ssize_t i = 0; i < count; i++) {
        uint64_t number;

        memcpy(&number, items + (size_t)i * lane->item_bytes, sizeof(number));
        T_CHECK(number == lane->received);
        lane->received++;
    }
}

static int receive_all(void *arg)
{
    struct lane *lane = arg;
    char items[BATCH_MAX * ITEM_MAX];
    ssize_t r = 1;

    while (lane->received < lane->wanted && (r > 0 || r == -ETIME)) {
        const size_t count = 1 + draw(BATCH_MAX - 1);

        r = rt_spsc_recv(lane->channel, items, count, some_deadline());
        T_CHECK(r <= (ssize_t)count);
        T_CHECK(r >= 0 || r == -ETIME || r == -ECANCELED);
        check_items(lane, items, r);
        perhaps_pause((int)r);
    }
    if (r == 0) { /* the sender has closed, and nothing was lost */
        T_CHECK(lane->received == lane->sent);
    }
    lane->was_cancelled |= r == -ECANCELED;
    rt_spsc_close_receiver(lane->channel);
    end_is_closed();
    return 0;
}

static void open_lane(struct lane *lane)
{
    static const size_t capacities[] = { 1, 1, 2, 4, 32 };

    lane->from = draw(program.shards);
    lane->to = draw(program.shards);
    lane->item_bytes = sizeof(uint64_t) + draw(ITEM_MAX - sizeof(uint64_t) + 1);
    lane->total = draw(ITEMS_MAX);
    lane->wanted = draw(3) == 0 ? draw(ITEMS_MAX) : UINT64_MAX;
    T_CHECK(rt_spsc_create(&lane->channel, lane->item_bytes,
                           capacities[draw(sizeof(capacities) / sizeof(capacities[0]))]) == 0);
}

static int first_task(void *arg)
{
    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    program.first = rt_waker_self();
    program.open_ends = 2 * program.lane_count;
    for (unsigned i = 0; i < program.lane_count; i++) {
        struct lane *lane = &program.lanes[i];

        open_lane(lane);
        T_CHECK(rt_post(lane->from, send_all, lane, RT_NEVER) == 0);
        T_CHECK(rt_post(lane->to, receive_all, lane, RT_NEVER) == 0);
    }
    while (program.open_ends > 0) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static void check_lane(const struct lane *lane)
{
    if (!lane->was_cancelled && lane->wanted >= lane->total) {
        T_CHECK(lane->sent == lane->total);
        T_CHECK(lane->received == lane->total);
    }
    T_CHECK(lane->received <= lane->sent);
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(FEW_MAX);
    program.lane_count = 1 + draw(LANES_MAX);
    program.has_deadlines = draw(2) == 0;
    program.has_cancels = draw(4) == 0;
    shards_init(&shards, seed, program.shards);
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, first_task, NULL);
    T_CHECK(shards.started && shards.result == 0);
    T_CHECK(shards.faults == 0);
    for (unsigned i = 0; i < program.lane_count; i++) {
        check_lane(&program.lanes[i]);
    }
    return t_failures() == 0;
}

static void what_is_sent_is_received_in_order(void **state)
{
    unsigned failures = 0;
    uint64_t received = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SHARDS_SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        for (unsigned n = 0; n < program.lane_count; n++) {
            received += program.lanes[n].received;
        }
    }
    assert_int_equal(failures, 0);
    assert_true(received > 0);
    print_message("%" PRIu64 " items received\n", received);
}

/* ---- both ends on one shard ---- */

/*
 * An item that was sent alone is published between two runs when 50 us have passed, perhaps just
 * when its receiver has looked, found nothing and is about to suspend. Other tasks fill the time,
 * more of them or fewer, and the receiver comes sooner or later, so that each moment is met.
 */
#define FILLINGS 100
#define FILLERS_MAX 3
#define DELAYS      48
#define PHASES      16

struct alone {
    struct rt_spsc *channel;
    unsigned fillers;
    unsigned delay;
    unsigned phase; /* runs before the item is sent */
};

static int fill_time(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < FILLINGS; i++) {
        (void)rt_now(); /* takes 10 us on average */
        rt_yield();
    }
    return 0;
}

static int receive_late(void *arg)
{
    const struct alone *alone = arg;
    char item = 0;

    for (unsigned i = 0; i < alone->delay; i++) {
        rt_yield();
    }
    T_CHECK(rt_spsc_recv(alone->channel, &item, 1, RT_NEVER) == 1);
    T_CHECK(item == 'x');
    rt_spsc_close_receiver(alone->channel);
    return 0;
}

static int send_one(void *arg)
{
    struct alone *alone = arg;
    struct rt_task *receiver;

    T_CHECK(rt_spsc_create(&alone->channel, 1, 4) == 0);
    for (unsigned i = 0; i < alone->fillers; i++) {
        T_CHECK(rt_spawn(NULL, fill_time, NULL) == 0);
    }
    T_CHECK(rt_spawn(&receiver, receive_late, alone) == 0);
    for (unsigned i = 0; i < alone->phase; i++) {
        rt_yield();
    }
    T_CHECK(rt_spsc_send(alone->channel, "x", 1, NULL, RT_NEVER) == 0);
    T_CHECK(rt_join(receiver, NULL, RT_NEVER) == 0);
    rt_spsc_close_sender(alone->channel);
    return 0;
}

static void an_item_published_while_its_receiver_suspends_wakes_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DELAYS * FILLERS_MAX * PHASES; i++) {
        struct alone alone = { .delay = i % DELAYS,
                               .fillers = 1 + i / DELAYS % FILLERS_MAX,
                               .phase = i / DELAYS / FILLERS_MAX };
        struct shards shards;

        shards_init(&shards, i, 1);
        shards.sim = (struct sim_config){ .seed = i, .step_max = 20000 };
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards_run(&shards, send_one, &alone);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
    }
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_received_in_order),
        cmocka_unit_test(an_item_published_while_its_receiver_suspends_wakes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
