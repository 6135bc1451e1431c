/* SPDX-License-Identifier: MIT */
/*
 * Wakes from other threads: the doorbell, the wake map and the sleep of a shard.
 *
 * Threads take turns at every atomic access of cross/ and at every call of the
 * system (tests/support/sim.h), and the explorer says who goes on. A thread that
 * waits is left for any other that can run. To leave one that could go on is a
 * preemption. The doorbell alone is explored with any number of them, so that is
 * every schedule. Whole runtimes are explored with all schedules of at most so
 * many preemptions as each program says: mistakes of this kind need one or two.
 *
 * A lost wake leaves all threads waiting, which the simulated kernel notices.
 * What weak memory does is not tried here; the models do that (tests/model).
 */
#include "support/harness.h"

#include <limits.h>
#include <semaphore.h>
#include <string.h>

#include "cross/doorbell.h"
#include "os/sys.h"
#include "rt/rt.h"
#include "support/explore.h"
#include "support/sim.h"
#include "threads.h"

#define UNBOUNDED UINT_MAX

/* ---- the doorbell ---- */

#define WORDS       2
#define SENDERS_MAX 2
#define RINGS_MAX   3

static struct rti_doorbell bell;
static sem_t wakes;
static unsigned senders;             /* threads */
static unsigned rings;               /* of all senders */
static uint32_t payloads[RINGS_MAX]; /* written before each ring, read by who takes it (D3) */
static unsigned slept;

static void ring(unsigned number, uint32_t sender)
{
    payloads[number] = 1;
    sim_point();
    if (rti_doorbell_ring_sender(&bell, sender)) {
        rti_sys_semaphore_post(&wakes); /* D2 */
    }
}

static void *ring_both_words(void *arg)
{
    (void)arg;
    ring(0, 0);
    ring(1, RTI_SENDERS_PER_WORD);
    return NULL;
}

static void *ring_second_word(void *arg)
{
    (void)arg;
    ring(2, RTI_SENDERS_PER_WORD + 1);
    return NULL;
}

static unsigned take_all(void)
{
    static const uint64_t bits[RINGS_MAX] = { 1, 1, 2 };
    unsigned count = 0;

    for (uint32_t word = 0; word < WORDS; word++) {
        uint64_t taken;

        sim_point();
        taken = rti_doorbell_take(&bell, word);
        for (unsigned i = word; i < (word == 0 ? 1 : RINGS_MAX); i++) {
            if ((taken & bits[i]) != 0) {
                EXPLORE_CHECK(payloads[i] == 1);
                count++;
            }
        }
    }
    return count;
}

static void ring_a_sleeper(void)
{
    static void *(*const entries[SENDERS_MAX])(void *) = { ring_both_words, ring_second_word };
    pthread_t threads[SENDERS_MAX] = { 0 };
    unsigned taken = 0;
    int value = 0;

    begin_run();
    slept = 0;
    memset(payloads, 0, sizeof(payloads));
    EXPLORE_CHECK(rti_doorbell_init(&bell, WORDS * RTI_SENDERS_PER_WORD) == 0);
    EXPLORE_CHECK(sem_init(&wakes, 0, 0) == 0);
    for (unsigned i = 0; i < SENDERS_MAX && i < senders; i++) {
        EXPLORE_CHECK(rti_sys_thread_create(&threads[i], entries[i], NULL) == 0);
    }
    is_open = true;
    while ((taken += take_all()) < rings) {
        if (rti_doorbell_try_sleep(&bell)) {
            slept++;
            rti_sys_semaphore_wait(&wakes);
        }
    }
    is_open = false;
    EXPLORE_CHECK(taken == rings);
    explore_met(slept);
    for (unsigned i = 0; i < SENDERS_MAX && i < senders; i++) {
        EXPLORE_CHECK(rti_sys_thread_join(threads[i]) == 0);
    }
    EXPLORE_CHECK(sem_getvalue(&wakes, &value) == 0 && value < WORDS); /* D2: one for each word */
    (void)sem_destroy(&wakes);
    rti_doorbell_fini(&bell);
    end_run();
}

/* Every schedule. */
static void a_ring_is_taken_whenever_it_comes(void **state)
{
    (void)state;
    senders = 1;
    rings = 2;
    preemptions_max = UNBOUNDED;
    assert_true(explore(
        &(struct explore){ .name = "doorbell",
                           .begin = stay_on_one_cpu,
                           .run = ring_a_sleeper,
                           .runs_max = 100000,
                           .outcomes = { "never asleep", "asleep once", "asleep each time" } }));
}

static void rings_of_two_senders_are_taken_whenever_they_come(void **state)
{
    (void)state;
    senders = 2;
    rings = 3;
    preemptions_max = 4;
    assert_true(explore(&(struct explore){
        .name = "doorbell of two",
        .begin = stay_on_one_cpu,
        .run = ring_a_sleeper,
        .runs_max = 100000,
        .outcomes = { "never asleep", "asleep once", "asleep twice", "asleep each time" } }));
}

/* ---- rt_wake() from threads that are no shard ---- */

#define PARKERS 2

struct parker {
    struct rt_waker waker;
    uint32_t flag; /* atomic */
};

static struct parker parkers[PARKERS];

static void park_for_flag(struct parker *parker)
{
    while (__atomic_load_n(&parker->flag, __ATOMIC_ACQUIRE) == 0) { /* pairs with wake() */
        EXPLORE_CHECK(rt_park(RT_NEVER) == 0);
    }
}

static int park(void *arg)
{
    struct parker *parker = arg;

    parker->waker = rt_waker_self();
    park_for_flag(parker);
    return 0;
}

static void wake(struct parker *parker)
{
    __atomic_store_n(&parker->flag, 1, __ATOMIC_RELEASE); /* pairs with park_for_flag() */
    sim_point();
    rt_wake(parker->waker);
}

static void *wake_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PARKERS; i++) {
        wake(&parkers[i]);
    }
    return NULL;
}

static void *wake_last_for_nothing(void *arg)
{
    (void)arg;
    rt_wake(parkers[PARKERS - 1].waker); /* sets the bit that the other may find set (M2) */
    return NULL;
}

static int be_woken_by_threads(void *arg)
{
    pthread_t threads[2];
    struct rt_task *other;

    (void)arg;
    parkers[0].waker = rt_waker_self();
    EXPLORE_CHECK(rt_spawn(&other, park, &parkers[1]) == 0);
    rt_yield();
    EXPLORE_CHECK(rti_sys_thread_create(&threads[0], wake_all, NULL) == 0);
    EXPLORE_CHECK(rti_sys_thread_create(&threads[1], wake_last_for_nothing, NULL) == 0);
    is_open = true;
    park_for_flag(&parkers[0]);
    EXPLORE_CHECK(rt_join(other, NULL, RT_NEVER) == 0);
    is_open = false;
    for (unsigned i = 0; i < 2; i++) {
        EXPLORE_CHECK(rti_sys_thread_join(threads[i]) == 0);
    }
    return 0;
}

static void wake_from_threads(void)
{
    memset(parkers, 0, sizeof(parkers));
    begin_run();
    EXPLORE_CHECK(rt_run(NULL, be_woken_by_threads, NULL) == 0);
    end_run();
}

static void a_wake_from_a_thread_is_never_lost(void **state)
{
    (void)state;
    preemptions_max = 3;
    assert_true(explore(&(struct explore){ .name = "wakes from threads",
                                           .begin = stay_on_one_cpu,
                                           .run = wake_from_threads,
                                           .runs_max = 100000 }));
}

/* ---- rt_wake() between shards ---- */

/* The second shard wakes the first one, which wakes it back. Both may be asleep. */
static int wake_each_other(void *arg)
{
    const uint32_t shard = rt_shard_index();
    struct parker *self = &parkers[shard];
    struct parker *other = &parkers[1 - shard];

    (void)arg;
    self->waker = rt_waker_self();
    while (other->waker.task == NULL) { /* both are there: not the question yet */
        EXPLORE_CHECK(rt_sleep_until(rt_in(1000)) == 0);
    }
    if (shard == 1) {
        is_open = true;
        wake(other);
    }
    park_for_flag(self);
    if (shard == 0) {
        wake(other);
    } else {
        is_open = false;
    }
    return 0;
}

static void wake_between_shards(void)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime;

    memset(parkers, 0, sizeof(parkers));
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    begin_run();
    EXPLORE_CHECK(rt_launch(&runtime, &config, wake_each_other, NULL) == 0);
    EXPLORE_CHECK(rt_wait(runtime) == 0);
    end_run();
}

static void a_wake_from_a_shard_is_never_lost(void **state)
{
    (void)state;
    preemptions_max = 4;
    assert_true(explore(&(struct explore){ .name = "wakes from shards",
                                           .begin = stay_on_one_cpu,
                                           .run = wake_between_shards,
                                           .runs_max = 100000 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_taken_whenever_it_comes),
        cmocka_unit_test(rings_of_two_senders_are_taken_whenever_they_come),
        cmocka_unit_test(a_wake_from_a_thread_is_never_lost),
        cmocka_unit_test(a_wake_from_a_shard_is_never_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
