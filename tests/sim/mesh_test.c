/* SPDX-License-Identifier: MIT */
/*
 * Meshes of channels: random sets of senders and receivers on the simulated kernel.
 *
 * Method: one small program per seed. Shard 0 makes a mesh, of all shards or of
 * some, and calls each shard of it; one of them may be missing, and shard 0 leaves
 * for it. A shard sends items to chance receivers or to all, in batches of
 * random size, and meanwhile receives: from any, or from each source in a task of
 * its own. Both wait for ever, for a while or not at all, yield, are cancelled,
 * leave early. What was sent is noted before it is: each item that comes must be
 * the next of its pair, and all must come if nobody left early. Half of the seeds
 * have no deadline that could hide a lost wake. Then many senders, in more than
 * one word of the doorbell.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rt/call.h"
#include "rt/group.h"
#include "rt/mesh.h"
#include "rt/rt.h"
#include "rt/start.h"

#define FEW_MAX   4 /* shards */
#define ITEMS_MAX 40 /* of one sender */
#define BATCH_MAX 7
#define ITEM_MAX  24 /* bytes; the first 8 are the number */
#define WIDE      66 /* shards: doorbells have two words */
#define WIDE_SEEDS 20

struct pair {
    uint64_t numbers[ITEMS_MAX + BATCH_MAX]; /* what was sent, in order */
    unsigned sent;
    unsigned received;
    bool perhaps_fewer; /* the last call did not say how many */
};

struct program {
    struct rand_state rand;
    struct rt_mesh *mesh;
    struct pair pairs[FEW_MAX][FEW_MAX];
    uint32_t producers[FEW_MAX];
    uint32_t consumers[FEW_MAX];
    uint32_t producer_count;
    uint32_t consumer_count;
    uint32_t shards;
    size_t item_bytes;
    uint32_t missing;   /* a shard that is not called, or none */
    bool left[FEW_MAX]; /* before all was received */
    bool has_deadlines;
    bool has_cancels;
    uint64_t numbers; /* given so far */
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

/* A try that got nothing must let others run. */
static void perhaps_pause(int r)
{
    if (r == -ETIME || draw(5) == 0) {
        rt_yield();
    }
    if (program.has_cancels && draw(60) == 0) {
        rt_cancel_self();
    }
}

static bool is_in(const uint32_t *set, uint32_t count, uint32_t shard)
{
    for (uint32_t i = 0; i < count; i++) {
        if (set[i] == shard) {
            return true;
        }
    }
    return false;
}

/* ---- sending ---- */

/* Numbers that are new, noted for `to`. */
static void note(uint32_t to, uint64_t first, size_t count)
{
    struct pair *pair = &program.pairs[rt_shard_index()][to];

    for (size_t i = 0; i < count; i++) {
        pair->numbers[pair->sent++] = first + i;
    }
}

static void fill(char *items, uint64_t first, size_t count)
{
    memset(items, 0, BATCH_MAX * ITEM_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint64_t number = first + i;

        memcpy(items + i * program.item_bytes, &number, sizeof(number));
    }
}

static int send_some(const char *items, uint64_t first, size_t count)
{
    const uint32_t to = program.consumers[draw(program.consumer_count)];
    struct pair *pair = &program.pairs[rt_shard_index()][to];
    struct rt_spsc *channel;
    size_t done = SIZE_MAX;
    int r;

    T_CHECK(rt_mesh_sender(&channel, program.mesh, to) == 0);
    note(to, first, count);
    r = rt_spsc_send(channel, items, count, &done, some_deadline());
    T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -EPIPE);
    T_CHECK(r != -EPIPE || program.left[to]);
    pair->sent -= (unsigned)(count - done);
    T_CHECK(pair->received <= pair->sent);
    return r == -EPIPE ? 0 : r;
}

static int send_to_all(const char *items, uint64_t first, size_t count)
{
    int r;

    for (uint32_t i = 0; i < program.consumer_count; i++) {
        note(program.consumers[i], first, count);
    }
    r = rt_mesh_send_all(program.mesh, items, count, some_deadline());
    T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -EPIPE);
    for (uint32_t i = 0; i < program.consumer_count; i++) {
        T_CHECK(r != -EPIPE || program.left[program.consumers[i]]);
        program.pairs[rt_shard_index()][program.consumers[i]].perhaps_fewer = r < 0;
    }
    return r == -ETIME ? -EPIPE : r; /* how many were sent is not known: the end */
}

static int send_items(void *arg)
{
    char items[BATCH_MAX * ITEM_MAX];
    unsigned left = draw(ITEMS_MAX);
    int r = 0;

    (void)arg;
    while (left > 0 && (r == 0 || r == -ETIME)) {
        const size_t count = 1 + draw(left < BATCH_MAX ? left : BATCH_MAX);
        const uint64_t first = program.numbers;

        left -= count < left ? (unsigned)count : left;
        program.numbers += count;
        fill(items, first, count);
        r = draw(6) == 0 ? send_to_all(items, first, count) : send_some(items, first, count);
        perhaps_pause(r);
    }
    rt_mesh_close_senders(program.mesh);
    return 0;
}

/* ---- receiving ---- */

static void check_items(uint32_t from, const char *items, ssize_t count)
{
    struct pair *pair = &program.pairs[from][rt_shard_index()];

    for (ssize_t i = 0; i < count; i++) {
        uint64_t number;

        memcpy(&number, items + (size_t)i * program.item_bytes, sizeof(number));
        T_CHECK(pair->received < pair->sent);
        T_CHECK(number == pair->numbers[pair->received]);
        pair->received++;
    }
}

/* All at once, unless other tasks have some of them: these close their own. */
static void close_what_is_left(const bool *is_taken)
{
    if (memchr(is_taken, true, program.producer_count) == NULL) {
        rt_mesh_close_receivers(program.mesh);
        return;
    }
    for (uint32_t i = 0; i < program.producer_count; i++) {
        struct rt_spsc *channel;

        if (!is_taken[i]) {
            T_CHECK(rt_mesh_receiver(&channel, program.mesh, program.producers[i]) == 0);
            rt_spsc_close_receiver(channel);
        }
    }
}

/* `arg`: by producer, which have a receiver of their own. */
static int receive_from_any(void *arg)
{
    const bool leaves = draw(6) == 0;
    char items[BATCH_MAX * ITEM_MAX];
    ssize_t r = 1;

    while (r > 0 || r == -ETIME) {
        uint32_t from = UINT32_MAX;

        if (leaves && draw(10) == 0) {
            break;
        }
        r = rt_mesh_recv_any(program.mesh, items, 1 + draw(BATCH_MAX - 1), &from, some_deadline());
        T_CHECK(r >= 0 || r == -ETIME || r == -ECANCELED);
        T_CHECK((r > 0) == (from != UINT32_MAX));
        if (r > 0) {
            check_items(from, items, r);
        }
        perhaps_pause((int)r);
    }
    if (r != 0) {
        program.left[rt_shard_index()] = true;
    }
    close_what_is_left(arg);
    return 0;
}

static int receive_from_one(void *arg)
{
    const uint32_t from = (uint32_t)(uintptr_t)arg;
    char items[BATCH_MAX * ITEM_MAX];
    struct rt_spsc *channel;
    ssize_t r = 1;

    T_CHECK(rt_mesh_receiver(&channel, program.mesh, from) == 0);
    while (r > 0 || r == -ETIME) {
        r = rt_spsc_recv(channel, items, 1 + draw(BATCH_MAX - 1), some_deadline());
        T_CHECK(r >= 0 || r == -ETIME || r == -ECANCELED);
        check_items(from, items, r);
        perhaps_pause((int)r);
    }
    if (r < 0) {
        program.left[rt_shard_index()] = true;
    }
    rt_spsc_close_receiver(channel);
    return 0;
}

/* ---- a shard ---- */

/* All from any; each from one; or some from one, and the others from any. */
static void receive(struct rt_group *tasks, bool *is_taken)
{
    const unsigned ones = draw(3); /* of 2 sources: none, one, both */

    for (uint32_t i = 0; i < program.producer_count; i++) {
        const uint32_t from = program.producers[i];
        struct rt_spsc *channel;

        is_taken[i] = draw(2) < ones;
        if (is_taken[i]) {
            T_CHECK(rt_mesh_receiver(&channel, program.mesh, from) == 0); /* no item goes before */
            T_CHECK(rt_group_spawn(tasks, receive_from_one, (void *)(uintptr_t)from) == 0);
        }
    }
    if (ones < 2) {
        T_CHECK(rt_group_spawn(tasks, receive_from_any, is_taken) == 0);
    }
}

static int work(void *arg)
{
    const uint32_t shard = rt_shard_index();
    struct rt_group tasks = RT_GROUP_INIT;
    bool is_taken[FEW_MAX] = { false };

    (void)arg;
    if (is_in(program.producers, program.producer_count, shard)) {
        T_CHECK(rt_group_spawn(&tasks, send_items, NULL) == 0);
    }
    if (is_in(program.consumers, program.consumer_count, shard)) {
        receive(&tasks, is_taken);
    }
    T_CHECK(rt_group_leave(&tasks, RT_NEVER) == 0);
    rt_mesh_leave(program.mesh, shard);
    return 0;
}

static uint32_t choose(uint32_t *set)
{
    uint32_t count = 0;

    while (count == 0) {
        for (uint32_t i = program.shards; i-- > 0;) {
            if (draw(3) > 0) {
                set[count++] = i;
            }
        }
    }
    return count;
}

static void make_mesh(void)
{
    static const uint32_t capacities[] = { 1, 1, 2, 4, 32 };
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;

    program.producer_count = choose(program.producers);
    program.consumer_count = choose(program.consumers);
    program.item_bytes = sizeof(uint64_t) + draw(ITEM_MAX - sizeof(uint64_t) + 1);
    options.producers = program.producers;
    options.producer_count = program.producer_count;
    options.consumers = program.consumers;
    options.consumer_count = program.consumer_count;
    options.item_bytes = program.item_bytes;
    options.capacity = capacities[draw(sizeof(capacities) / sizeof(capacities[0]))];
    T_CHECK(rt_mesh_create(&program.mesh, &options) == 0);
}

static int leave(void *mesh)
{
    rt_mesh_leave(mesh, rt_shard_index());
    return 0;
}

static int first_task(void *arg)
{
    struct rt_call calls[FEW_MAX];

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    make_mesh();
    program.missing = draw(4) == 0 && program.shards > 1 ? 1 + draw(program.shards - 1) : FEW_MAX;
    if (program.missing < FEW_MAX) {
        program.left[program.missing] = true;
        rt_mesh_leave(program.mesh, program.missing);
    }
    for (uint32_t i = program.shards; i-- > 0;) { /* that to itself runs at once: last */
        if (i != program.missing) {
            T_CHECK(rt_call_begin(&calls[i], i, work, NULL, RT_NEVER) == 0);
        }
    }
    for (uint32_t i = 0; i < program.shards; i++) {
        if (i != program.missing) {
            T_CHECK(rt_call_end(&calls[i], NULL, RT_NEVER) == 0);
        }
    }
    rt_mesh_destroy(program.mesh);
    return 0;
}

static void check_pairs(void)
{
    for (uint32_t i = 0; i < program.shards; i++) {
        for (uint32_t j = 0; j < program.shards; j++) {
            const struct pair *pair = &program.pairs[i][j];

            T_CHECK(pair->received <= pair->sent);
            T_CHECK(pair->received == pair->sent || pair->perhaps_fewer || program.left[j]);
        }
    }
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(FEW_MAX);
    program.has_deadlines = draw(2) == 0;
    program.has_cancels = draw(4) == 0;
    shards_init(&shards, seed, program.shards);
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    shards_run(&shards, first_task, NULL);
    T_CHECK(shards.started && shards.result == 0);
    T_CHECK(shards.faults == 0);
    check_pairs();
    return t_failures() == 0;
}

static void what_a_mesh_is_given_comes_once_and_in_order(void **state)
{
    unsigned failures = 0;
    uint64_t received = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SHARDS_SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        for (unsigned n = 0; n < FEW_MAX * FEW_MAX; n++) {
            received += program.pairs[n / FEW_MAX][n % FEW_MAX].received;
        }
    }
    assert_int_equal(failures, 0);
    assert_true(received > 0);
    print_message("%" PRIu64 " items received\n", received);
}

/* ---- many senders ---- */

#define WIDE_ITEMS 3

struct wide {
    struct rt_mesh *mesh;
    uint32_t next[WIDE]; /* that is to come from each */
    uint32_t received;
};

static int send_few(void *arg)
{
    struct wide *wide = arg;

    for (uint32_t i = 0; i < WIDE_ITEMS; i++) {
        T_CHECK(rt_mesh_send_all(wide->mesh, &i, 1, RT_NEVER) == 0);
        rt_yield();
    }
    rt_mesh_close_senders(wide->mesh);
    return 0;
}

static int receive_from_many(void *arg)
{
    struct wide *wide = arg;
    uint32_t from = 0;
    uint32_t item;
    ssize_t n;

    while ((n = rt_mesh_recv_any(wide->mesh, &item, 1, &from, RT_NEVER)) == 1) {
        T_CHECK(item == wide->next[from]);
        wide->next[from]++;
        wide->received++;
    }
    T_CHECK(n == 0);
    return 0;
}

static int be_wide(void *arg)
{
    static struct rt_call calls[WIDE];
    static const uint32_t last[] = { WIDE - 1 };
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;
    struct wide *wide = arg;

    if (rt_shard_index() != 0) {
        return 0;
    }
    options.consumers = last;
    options.consumer_count = 1;
    options.item_bytes = sizeof(uint32_t);
    options.capacity = 2;
    T_CHECK(rt_mesh_create(&wide->mesh, &options) == 0);
    T_CHECK(rt_post(WIDE - 1, send_few, wide, RT_NEVER) == 0);
    T_CHECK(rt_call_begin(&calls[WIDE - 1], WIDE - 1, receive_from_many, wide, RT_NEVER) == 0);
    for (uint32_t i = WIDE - 1; i-- > 0;) {
        T_CHECK(rt_call_begin(&calls[i], i, send_few, wide, RT_NEVER) == 0);
    }
    for (uint32_t i = 0; i < WIDE; i++) {
        T_CHECK(rt_call_end(&calls[i], NULL, RT_NEVER) == 0);
    }
    T_CHECK(rt_call(WIDE - 1, leave, wide->mesh, NULL, RT_NEVER) == 0);
    rt_mesh_destroy(wide->mesh);
    return 0;
}

static void more_senders_than_a_word_has_bits_are_all_heard(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WIDE_SEEDS; i++) {
        struct wide wide = { .received = 0 };
        struct shards shards;

        shards_init(&shards, i, WIDE);
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards_run(&shards, be_wide, &wide);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(wide.received, WIDE * WIDE_ITEMS);
    }
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_mesh_is_given_comes_once_and_in_order),
        cmocka_unit_test(more_senders_than_a_word_has_bits_are_all_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
