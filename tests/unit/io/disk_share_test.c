/* SPDX-License-Identifier: MIT */
/*
 * The capacity of a device, divided between shards: on one thread against a plain count, and on
 * several for real.
 *
 * Method: shards take, put, settle and change their weights in random order, and each answer is
 * judged by what all of them have in flight; a case is replayed by RT_SEED. Then by hand: who
 * gets how much. Then threads, where the count must come out even and nobody with nothing in
 * flight may be refused; the thread sanitizer watches.
 */
#include "io/disk_share.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "support/harness.h"
#include "support/rand.h"

#define PARTS_MAX   5u
#define FLYING_MAX  64u
#define THREADS     4u
#define THREAD_OPS  100000u
#define THREAD_COST 1000u

struct shard {
    struct rti_disk_part part;
    uint64_t costs[FLYING_MAX];
    uint32_t flying;
    uint64_t used;
    uint64_t weight;
};

/* Against a count: H1 to H3 */

static struct {
    struct rti_disk_share share;
    struct shard shards[PARTS_MAX];
    uint32_t count;
    uint64_t capacity;
    const char *wrong;
} run;

static uint64_t held_by_all(void)
{
    uint64_t held = 0;

    for (uint32_t i = 0; i < run.count; i++) {
        held += run.shards[i].part.held;
    }
    return held;
}

static uint64_t weight_of_all(void)
{
    uint64_t weight = 0;

    for (uint32_t i = 0; i < run.count; i++) {
        weight += run.shards[i].weight;
    }
    return weight;
}

static bool has_a_right(const struct shard *shard)
{
    return shard->used == 0 || (double)shard->used * (double)weight_of_all() <
                                   (double)run.capacity * (double)shard->weight;
}

static void expect(bool condition, const char *rule)
{
    if (!condition && run.wrong == NULL) {
        run.wrong = rule;
    }
}

static void take(struct shard *shard, uint64_t cost, bool alone)
{
    const uint64_t before = held_by_all();
    const uint64_t spare = shard->part.held - shard->used;
    const uint64_t lacks = cost > spare ? cost - spare : 0;
    const bool has_room = before - spare < run.capacity;
    uint64_t after;

    if (shard->flying == FLYING_MAX) {
        return;
    }
    if (rti_disk_part_take(&shard->part, cost, alone)) {
        expect(alone || has_a_right(shard) || has_room, "H2 took what is not there");
        shard->costs[shard->flying++] = cost;
        shard->used += cost;
        after = held_by_all();
        expect(after <= before + lacks || after <= run.capacity, "H2 took more than it needs");
    } else {
        expect(!alone && shard->used > 0 && !has_a_right(shard), "H3 refused");
        expect(!has_room, "H2 refused though there is room");
    }
}

static void put_any(struct shard *shard, struct rand_state *rand)
{
    const uint32_t place = (uint32_t)rand_below(rand, shard->flying);
    const uint64_t cost = shard->costs[place];

    shard->costs[place] = shard->costs[--shard->flying];
    shard->used -= cost;
    rti_disk_part_put(&shard->part, cost);
}

static void step(struct rand_state *rand)
{
    struct shard *shard = &run.shards[rand_below(rand, run.count)];

    switch (rand_below(rand, 8)) {
    case 0:
        rti_disk_part_settle(&shard->part);
        expect(shard->part.held == shard->used, "H1 not settled");
        break;
    case 1:
        shard->weight = rand_below(rand, 10001);
        rti_disk_part_weigh(&shard->part, shard->weight);
        break;
    case 2:
    case 3:
    case 4:
        if (shard->flying > 0) {
            put_any(shard, rand);
        }
        break;
    default:
        take(shard, 1 + rand_below(rand, 1 + run.capacity / (1 + rand_below(rand, 64))),
             rand_chance(rand, 20));
        break;
    }
    expect(rti_disk_share_in_flight(&run.share) == held_by_all(), "H1 in flight");
    expect(shard->part.used == shard->used && shard->part.held >= shard->used, "H1 used");
}

static const char *run_case(uint64_t seed)
{
    struct rand_state rand;

    rand_init(&rand, seed);
    memset(&run, 0, sizeof(run));
    run.count = 1 + (uint32_t)rand_below(&rand, PARTS_MAX);
    run.capacity = 1 + rand_below(&rand, 1ull << rand_below(&rand, 40));
    rti_disk_share_init(&run.share, run.capacity);
    for (uint32_t i = 0; i < run.count; i++) {
        rti_disk_part_init(&run.shards[i].part, &run.share);
    }
    for (unsigned i = 0; i < 200 && run.wrong == NULL; i++) {
        step(&rand);
    }
    for (uint32_t i = 0; i < run.count; i++) {
        while (run.shards[i].flying > 0) {
            put_any(&run.shards[i], &rand);
        }
        rti_disk_part_fini(&run.shards[i].part);
    }
    expect(rti_disk_share_in_flight(&run.share) == 0 && run.share.weight == 0, "H1 left over");
    return run.wrong;
}

static void shards_take_what_is_theirs_or_is_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(10000); i++) {
        const char *wrong = run_case(rt_test_seed(i));

        if (wrong != NULL) {
            fail_msg("RT_SEED=%" PRIu64 ": %s", rt_test_seed(i), wrong);
        }
    }
}

/* By hand */

/* As many requests of 10 as it gets. */
static unsigned take_all(struct rti_disk_part *part)
{
    unsigned count = 0;

    while (rti_disk_part_take(part, 10, false)) {
        count++;
    }
    rti_disk_part_settle(part);
    return count;
}

static void give_back(struct rti_disk_part *part, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rti_disk_part_put(part, 10);
    }
}

/* Each request of a shard that has all of the device ends, one at a time, and both shards try to
 * begin others after each. */
static void who_came_second_gets_its_part_while_the_first_is_served_once(void **state)
{
    struct rti_disk_share share;
    struct rti_disk_part first;
    struct rti_disk_part second;

    (void)state;
    rti_disk_share_init(&share, 1000);
    rti_disk_part_init(&first, &share);
    rti_disk_part_init(&second, &share);
    rti_disk_part_weigh(&first, 300);
    assert_int_equal(take_all(&first), 100);
    rti_disk_part_weigh(&second, 100);
    assert_int_equal(take_all(&second), 25); /* its part, at once */
    for (unsigned i = 0; i < 25; i++) {
        give_back(&first, 1);
        assert_int_equal(take_all(&first), 0); /* it pays back what it had borrowed */
        assert_int_equal(take_all(&second), 0);
    }
    give_back(&first, 1);
    assert_int_equal(take_all(&second), 0);
    assert_int_equal(take_all(&first), 1); /* from here on both keep their parts */
    give_back(&second, 1);
    assert_int_equal(take_all(&first), 0);
    assert_int_equal(take_all(&second), 1);

    give_back(&second, 25);
    rti_disk_part_fini(&second);
    assert_int_equal(take_all(&first), 25); /* and what nobody wants is left to who is there */
    give_back(&first, 100);
    rti_disk_part_fini(&first);
}

static void what_a_shard_does_not_use_another_borrows(void **state)
{
    struct rti_disk_share share;
    struct rti_disk_part rich;
    struct rti_disk_part poor;

    (void)state;
    rti_disk_share_init(&share, 1000);
    rti_disk_part_init(&rich, &share);
    rti_disk_part_init(&poor, &share);
    rti_disk_part_weigh(&rich, 10000);
    rti_disk_part_weigh(&poor, 1);
    assert_true(
        rti_disk_part_take(&rich, 10, false)); /* busy, and one at a time is enough for it */
    rti_disk_part_settle(&rich);
    assert_int_equal(take_all(&poor), 99);
    assert_true(rti_disk_part_take(&rich, 10, false)); /* and it has its right at any time */
    give_back(&rich, 2);
    give_back(&poor, 99);
    rti_disk_part_fini(&rich);
    rti_disk_part_fini(&poor);
}

static void a_change_that_others_made_first_counts(void **state)
{
    struct rti_disk_share share;

    (void)state;
    rti_disk_share_init(&share, 1000);
    assert_true(rti_disk_share_change(&share, 1000, 750));
    assert_false(rti_disk_share_change(&share, 1000, 1100));
    assert_int_equal(rti_disk_share_capacity(&share), 750);
}

static void a_user_is_alone_from_the_start_or_a_while_after_the_others(void **state)
{
    struct rti_disk_share share;
    const rt_time start = RT_SECONDS(5);
    rt_time now = start;

    (void)state;
    rti_disk_share_init(&share, 1000);
    rti_disk_share_came(&share, 1, now);
    assert_true(rti_disk_share_is_alone(&share, 1, now));
    rti_disk_share_came(&share, 2, now);
    assert_false(rti_disk_share_is_alone(&share, 1, now));
    assert_false(rti_disk_share_is_alone(&share, 2, now));
    for (; now < start + RTI_DISK_LINGER; now += RTI_DISK_LINGER / 1000) {
        rti_disk_share_came(&share, 2, now);
        assert_false(rti_disk_share_is_alone(&share, 2, now));
    }
    assert_true(rti_disk_share_is_alone(&share, 2, now));
    rti_disk_share_came(&share, 1, now);
    rti_disk_share_came(&share, 2, now);
    for (; now < start + RTI_DISK_LINGER * 3 + RTI_DISK_LINGER / 8; now += RTI_DISK_LINGER / 1000) {
        rti_disk_share_came(&share, 2, now);
    }
    assert_true(rti_disk_share_is_alone(&share, 2, now));
}

/* On threads */

static struct rti_disk_share shared;
static pthread_barrier_t all_there;

static void *work(void *arg)
{
    const uint64_t seed = (uintptr_t)arg;
    struct shard shard = { 0 };
    struct rand_state rand;

    rand_init(&rand, seed);
    rti_disk_part_init(&shard.part, &shared);
    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < THREAD_OPS; i++) {
        const uint64_t cost = 1 + rand_below(&rand, THREAD_COST);
        const bool want = shard.flying < FLYING_MAX && rand_chance(&rand, 600);

        if (want && rti_disk_part_take(&shard.part, cost, false)) {
            shard.costs[shard.flying++] = cost;
        } else if (shard.flying > 0) {
            put_any(&shard, &rand);
        } else {
            T_CHECK(!want); /* H3 */
        }
        if (rand_chance(&rand, 200)) {
            rti_disk_part_settle(&shard.part);
            rti_disk_part_weigh(&shard.part, rand_below(&rand, 1000));
            rti_disk_share_came(&shared, seed, (rt_time)i * RT_MILLISECONDS(1));
            (void)rti_disk_share_change(&shared, rti_disk_share_capacity(&shared),
                                        10000 + rand_below(&rand, 10000));
        }
        /* whoever gave back more than it held made this wrap */
        T_CHECK(rti_disk_share_in_flight(&shared) <= FLYING_MAX * THREADS * THREAD_COST);
    }
    while (shard.flying > 0) {
        put_any(&shard, &rand);
    }
    rti_disk_part_fini(&shard.part);
    return NULL;
}

static void threads_lose_nothing_and_are_never_refused_their_first(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    rti_disk_share_init(&shared, 20000);
    assert_int_equal(pthread_barrier_init(&all_there, NULL, THREADS), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    pthread_barrier_destroy(&all_there);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(rti_disk_share_in_flight(&shared), 0);
    assert_int_equal(shared.weight, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_take_what_is_theirs_or_is_there),
        cmocka_unit_test(who_came_second_gets_its_part_while_the_first_is_served_once),
        cmocka_unit_test(what_a_shard_does_not_use_another_borrows),
        cmocka_unit_test(a_change_that_others_made_first_counts),
        cmocka_unit_test(a_user_is_alone_from_the_start_or_a_while_after_the_others),
        cmocka_unit_test(threads_lose_nothing_and_are_never_refused_their_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
