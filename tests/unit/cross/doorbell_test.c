/* SPDX-License-Identifier: MIT */
/*
 * Doorbell: who rings, who wakes, and that a ring is never lost.
 *
 * Method: each rule on one thread, step by step. Then a sender on a thread of its
 * own rings words in turn while the owner goes to sleep between any two steps:
 * each ring must be taken, and each sleep be ended by who was told to.
 */
#include "support/harness.h"

#include <pthread.h>
#include <sched.h>

#include "cross/doorbell.h"

#define WORDS  3
#define SHARDS (WORDS * RTI_SENDERS_PER_WORD)
#define RINGS  20000u

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

/* Two threads */

static struct {
    struct rti_doorbell doorbell;
    uint32_t taken; /* rings that were taken; atomic */
    uint32_t wakes; /* atomic */
    uint32_t seen;  /* written before each ring (D3) */
} pair;

/* The next ring comes when the last one was taken: if one is lost, none comes. */
static void *ring_in_turn(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < RINGS; i++) {
        pair.seen = i + 1;
        if (rti_doorbell_ring_sender(&pair.doorbell, i % SHARDS)) {
            __atomic_add_fetch(&pair.wakes, 1,
                               __ATOMIC_RELEASE); /* pairs with sleep_until_woken() */
        }
        /* pairs with the release in take_all() */
        while (__atomic_load_n(&pair.taken, __ATOMIC_ACQUIRE) != i + 1) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void take_all(void)
{
    for (uint32_t word = 0; word < WORDS; word++) {
        const uint64_t bits = rti_doorbell_take(&pair.doorbell, word);

        if (bits != 0) {
            assert_true(bits == 1ull << ((pair.seen - 1) % SHARDS % RTI_SENDERS_PER_WORD)); /* D3 */
            __atomic_add_fetch(&pair.taken, 1, __ATOMIC_RELEASE); /* pairs with ring_in_turn() */
        }
    }
}

static void sleep_until_woken(void)
{
    /* pairs with the release in ring_in_turn() */
    while (__atomic_load_n(&pair.wakes, __ATOMIC_ACQUIRE) == 0) {
        (void)sched_yield();
    }
    __atomic_sub_fetch(&pair.wakes, 1, __ATOMIC_RELAXED);
}

static void no_ring_is_lost_between_two_threads(void **state)
{
    unsigned slept = 0;
    pthread_t sender;

    (void)state;
    assert_int_equal(rti_doorbell_init(&pair.doorbell, SHARDS), 0);
    assert_int_equal(pthread_create(&sender, NULL, ring_in_turn, NULL), 0);
    while (__atomic_load_n(&pair.taken, __ATOMIC_RELAXED) < RINGS) {
        take_all();
        if (__atomic_load_n(&pair.taken, __ATOMIC_RELAXED) < RINGS &&
            rti_doorbell_try_sleep(&pair.doorbell)) {
            sleep_until_woken();
            slept++;
        }
    }
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(pair.wakes, 0); /* D2: one sender, so no sleep has two wakes */
    assert_true(slept > 0);
    rti_doorbell_fini(&pair.doorbell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_taken_once_by_the_bit_of_its_sender),
        cmocka_unit_test(only_the_first_ring_of_a_sleeper_wakes),
        cmocka_unit_test(who_was_rung_does_not_sleep_and_says_so_in_no_word),
        cmocka_unit_test(bits_that_were_taken_back_are_pending_until_they_are_looked_at),
        cmocka_unit_test(no_ring_is_lost_between_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
