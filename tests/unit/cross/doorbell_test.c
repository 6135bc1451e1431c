/* SPDX-License-Identifier: MIT */
/*
 * Doorbell: who rings, who wakes, and that a ring is never lost.
 *
 * Method: each rule on one thread, step by step. Then three senders ring a word
 * each while the owner goes to sleep again and again; the sim lets them go on
 * between any two steps of it. Each ring must be taken, and each sleep be ended.
 */
#include "support/harness.h"

#include <inttypes.h>
#include <pthread.h>

#include "cross/doorbell.h"
#include "os/sys.h"
#include "support/rand.h"
#include "support/sim.h"

#define WORDS  3
#define SHARDS (WORDS * RTI_SENDERS_PER_WORD)
#define RINGS  30u
#define SEEDS  300

static void a_ring_is_taken_once_by_the_bit_of_its_sender(void **state)
{
    struct rti_doorbell doorbell;

    (void)state;
    assert_int_equal(rti_doorbell_init(&doorbell, SHARDS), 0);
    assert_int_equal(doorbell.count, WORDS);
    assert_false(rti_doorbell_is_rung(&doorbell));
    for (uint32_t sender = 0; sender < SHARDS; sender++) {
        assert_false(rti_doorbell_ring_sender(&doorbell, sender)); /* the owner is awake */
        assert_true(rti_doorbell_is_rung(&doorbell));
        for (uint32_t word = 0; word < WORDS; word++) {
            assert_true(rti_doorbell_take(&doorbell, word) ==
                        (word == sender / 62 ? 1ull << sender % 62 : 0));
        }
        assert_false(rti_doorbell_is_rung(&doorbell));
    }
    rti_doorbell_fini(&doorbell);
}

static void only_the_first_ring_of_a_sleeper_wakes(void **state)
{
    struct rti_doorbell doorbell;

    (void)state;
    assert_int_equal(rti_doorbell_init(&doorbell, 5), 0);
    assert_true(rti_doorbell_try_sleep(&doorbell));
    assert_true(rti_doorbell_ring_sender(&doorbell, 3)); /* D2 */
    assert_false(rti_doorbell_ring_sender(&doorbell, 4));
    assert_false(rti_doorbell_ring(&doorbell, 0, RTI_DOORBELL_CONTROL));
    assert_true(rti_doorbell_take(&doorbell, 0) == (RTI_DOORBELL_CONTROL | 1ull << 3 | 1ull << 4));
    assert_false(rti_doorbell_ring_sender(&doorbell, 3)); /* awake: taking ends the sleep */
    rti_doorbell_fini(&doorbell);
}

static void who_was_rung_does_not_sleep_and_says_so_in_no_word(void **state)
{
    struct rti_doorbell doorbell;

    (void)state;
    assert_int_equal(rti_doorbell_init(&doorbell, SHARDS), 0);
    (void)rti_doorbell_ring_sender(&doorbell, SHARDS - 1); /* in the last word */
    assert_false(rti_doorbell_try_sleep(&doorbell));
    assert_false(rti_doorbell_ring_sender(&doorbell, 0)); /* no word says SLEEPING any more */
    assert_true(rti_doorbell_take(&doorbell, WORDS - 1) == 1ull << 61);
    assert_false(rti_doorbell_try_sleep(&doorbell));
    assert_true(rti_doorbell_take(&doorbell, 0) == 1);
    assert_true(rti_doorbell_try_sleep(&doorbell)); /* D1 */
    rti_doorbell_fini(&doorbell);
}

static void bits_that_were_taken_back_are_pending_until_they_are_looked_at(void **state)
{
    struct rti_doorbell doorbell;

    (void)state;
    assert_int_equal(rti_doorbell_init(&doorbell, SHARDS), 0);
    doorbell.pending[1] = 6;
    assert_true(rti_doorbell_is_rung(&doorbell));
    assert_false(rti_doorbell_try_sleep(&doorbell));
    (void)rti_doorbell_ring_sender(&doorbell, 62);
    assert_true(rti_doorbell_take(&doorbell, 1) == 7);
    assert_true(rti_doorbell_take(&doorbell, 1) == 0);
    assert_false(rti_doorbell_is_rung(&doorbell));
    rti_doorbell_fini(&doorbell);
}

/* Each sender has a word of its own, so that one ring can come while another one keeps the owner
 * from its sleep. */
struct sender {
    uint32_t word;
    uint32_t rung;  /* written before each ring (D3) */
    uint32_t taken; /* rings that were taken; atomic */
};

static struct rti_doorbell bell;
static uint32_t wakes; /* atomic */

/* The next ring comes when the last one was taken: if one is lost, none comes. */
static void *ring_in_turn(void *arg)
{
    struct sender *self = arg;

    for (uint32_t i = 0; i < RINGS; i++) {
        self->rung = i + 1;
        if (rti_doorbell_ring_sender(&bell, self->word * RTI_SENDERS_PER_WORD + i % 62)) {
            __atomic_add_fetch(&wakes, 1, __ATOMIC_RELEASE); /* pairs with sleep_until_woken() */
        }
        /* pairs with the release in take_all() */
        while (__atomic_load_n(&self->taken, __ATOMIC_ACQUIRE) != i + 1) {
            sim_point();
        }
    }
    return NULL;
}

static void take_all(struct sender senders[])
{
    for (uint32_t i = 0; i < WORDS; i++) {
        const uint64_t bits = rti_doorbell_take(&bell, i);

        if (bits != 0) {
            T_CHECK(bits == 1ull << ((senders[i].rung - 1) % 62));      /* D3 */
            __atomic_add_fetch(&senders[i].taken, 1, __ATOMIC_RELEASE); /* pairs with the sender */
        }
    }
}

/* A wake that nobody sent would be waited for in vain: then this gives up. */
static bool sleep_until_woken(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        /* pairs with the release in ring_in_turn() */
        if (__atomic_load_n(&wakes, __ATOMIC_ACQUIRE) > 0) {
            __atomic_sub_fetch(&wakes, 1, __ATOMIC_RELAXED);
            return true;
        }
        sim_point();
    }
    return false;
}

static unsigned all_taken(const struct sender senders[])
{
    unsigned sum = 0;

    for (uint32_t i = 0; i < WORDS; i++) {
        sum += __atomic_load_n(&senders[i].taken, __ATOMIC_RELAXED);
    }
    return sum;
}

/* How often the owner slept; a run that loses a ring gives up. */
static unsigned ring_and_sleep(uint64_t seed)
{
    struct sender senders[WORDS] = { { .word = 0 }, { .word = 1 }, { .word = 2 } };
    pthread_t threads[WORDS];
    unsigned slept = 0;

    sim_begin(&(struct sim_config){ .seed = seed, .switch_per_mille = 400 });
    assert_int_equal(rti_doorbell_init(&bell, SHARDS), 0);
    wakes = 0;
    for (uint32_t i = 0; i < WORDS; i++) {
        assert_int_equal(rti_sys_thread_create(&threads[i], ring_in_turn, &senders[i]), 0);
    }
    while (all_taken(senders) < WORDS * RINGS) {
        take_all(senders);
        if (all_taken(senders) < WORDS * RINGS && rti_doorbell_try_sleep(&bell)) {
            if (!sleep_until_woken()) {
                fail_msg("a ring or its wake was lost: RT_SEED=%" PRIu64, seed);
            }
            slept++;
        }
        sim_point();
    }
    for (uint32_t i = 0; i < WORDS; i++) {
        assert_int_equal(rti_sys_thread_join(threads[i]), 0);
    }
    rti_doorbell_fini(&bell);
    assert_int_equal(sim_end(NULL), 0);
    return slept;
}

static void no_ring_is_lost_whenever_it_comes(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    unsigned slept = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        slept += ring_and_sleep(rt_test_seed(i));
        assert_int_equal(t_failures(), 0);
    }
    assert_true(slept >= count); /* else this has tested nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_taken_once_by_the_bit_of_its_sender),
        cmocka_unit_test(only_the_first_ring_of_a_sleeper_wakes),
        cmocka_unit_test(who_was_rung_does_not_sleep_and_says_so_in_no_word),
        cmocka_unit_test(bits_that_were_taken_back_are_pending_until_they_are_looked_at),
        cmocka_unit_test(no_ring_is_lost_whenever_it_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
