/* SPDX-License-Identifier: MIT */
/*
 * Threads of the simulated kernel: one at a time, chosen by the seed.
 *
 * Method: small programs of two or three threads that meet in the ways in which
 * shards meet: rings, messages, counters, futexes. The last tests break a
 * protocol of sleep and wake on purpose, and the simulation has to find it.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "sim_fixture.h"

#define THREADS 3

static pthread_t make_thread(void *(*entry)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(rti_sys_thread_create(&thread, entry, arg), 0);
    return thread;
}

/* ---- order ---- */

static struct {
    char order[64];
    unsigned length;
} steps;

static void *take_steps(void *name)
{
    for (unsigned i = 0; i < 5; i++) {
        steps.order[steps.length++] = *(const char *)name;
        sim_point();
    }
    return NULL;
}

static uint64_t run_steps(uint64_t seed, char *out_order)
{
    static char names[] = "abc";
    pthread_t threads[THREADS];
    uint64_t hash;

    memset(&steps, 0, sizeof(steps));
    sim_begin(&(struct sim_config){ .seed = seed, .switch_per_mille = 500 });
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = make_thread(take_steps, &names[i]);
    }
    assert_int_equal(sim_thread_count(), THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(rti_sys_thread_join(threads[i]), 0);
    }
    hash = sim_trace_hash();
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(steps.length, 5 * THREADS);
    memcpy(out_order, steps.order, sizeof(steps.order));
    return hash;
}

static void the_seed_decides_who_runs(void **state)
{
    unsigned different = 0;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        char first[sizeof(steps.order)];
        char again[sizeof(steps.order)];
        char other[sizeof(steps.order)];

        assert_int_equal(run_steps(i, first), run_steps(i, again));
        assert_string_equal(first, again);
        (void)run_steps(i + 1000, other);
        different += strcmp(first, other) != 0;
    }
    assert_true(different > 10);
}

/* ---- time ---- */

static void *sleep_a_second(void *arg)
{
    struct driver mine;
    rt_time *woke_at = arg;

    T_CHECK(driver_open(&mine, 8, 0, DEFER) >= 0);
    T_CHECK(driver_enter_for(&mine, 1, RT_SECONDS(1), GETEVENTS) == -ETIME);
    *woke_at = sim_now();
    driver_close(&mine);
    return NULL;
}

static void the_clock_jumps_only_when_all_wait(void **state)
{
    rt_time woke_at = 0;
    pthread_t thread;
    rt_time start;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1, .switch_per_mille = 1000, .step_max = 10 });
    start = sim_now();
    thread = make_thread(sleep_a_second, &woke_at);
    for (unsigned i = 0; i < 1000; i++) {
        (void)rti_sys_now();
    }
    assert_true(sim_now() < start + RT_MILLISECONDS(1)); /* it slept meanwhile: no jump */
    assert_int_equal(woke_at, 0);
    sim_sleep(RT_SECONDS(2));
    assert_in_range(woke_at, start + RT_SECONDS(1), start + RT_SECONDS(1) + 20000);
    assert_true(sim_now() >= start + RT_SECONDS(2));
    assert_int_equal(rti_sys_thread_join(thread), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* ---- what ends a wait ---- */

static struct {
    int ring_fd;
    uint32_t word;
    int results[4];
} meeting;

static void *wait_in_ring(void *arg)
{
    struct driver mine;

    (void)arg;
    T_CHECK(driver_open(&mine, 8, 0, DEFER) >= 0);
    meeting.ring_fd = mine.fd;
    T_CHECK(driver_wait(&mine, 1) == 0);
    T_CHECK(driver_take(&mine).user_data == 4711);
    driver_close(&mine);
    return NULL;
}

static void a_message_wakes_a_thread_in_its_ring(void **state)
{
    pthread_t thread;

    (void)state;
    begin_plain();
    thread = make_thread(wait_in_ring, NULL);
    sim_sleep(100);
    driver_io(&ring, IORING_OP_MSG_RING, meeting.ring_fd, NULL, 0, 1)->off = 4711;
    assert_int_equal(driver_result(&ring), 0);
    assert_int_equal(rti_sys_thread_join(thread), 0);
    end();
    assert_int_equal(t_failures(), 0);
}

static void *wait_for_others(void *arg)
{
    (void)arg;
    meeting.results[0] = rti_sys_futex_wait(&meeting.word, 1, RT_NEVER);
    meeting.results[1] = rti_sys_futex_wait(&meeting.word, 0, RT_NEVER);
    meeting.results[2] = rti_sys_futex_wait(&meeting.word, 1, sim_now() + 500);
    return NULL;
}

static void a_futex_wakes_threads(void **state)
{
    pthread_t thread;

    (void)state;
    memset(&meeting, 0, sizeof(meeting));
    sim_begin(&(struct sim_config){ .seed = 1 });
    thread = make_thread(wait_for_others, NULL);
    sim_sleep(100);
    __atomic_store_n(&meeting.word, 1, __ATOMIC_SEQ_CST);
    assert_int_equal(rti_sys_futex_wake(&meeting.word), 1);
    assert_int_equal(rti_sys_futex_wake(&meeting.word), 0);
    sim_sleep(1000);
    assert_int_equal(meeting.results[0], -EAGAIN); /* the word was another */
    assert_int_equal(meeting.results[1], 0);
    assert_int_equal(meeting.results[2], -ETIMEDOUT);
    assert_int_equal(rti_sys_thread_join(thread), 0);
    assert_int_equal(sim_end(NULL), 0);
}

/* ---- what threads have of their own, and limits ---- */

static void *use_own_slot(void *arg)
{
    struct driver mine;
    struct io_uring_rsrc_update update = { .offset = UINT32_MAX };

    T_CHECK(driver_open(&mine, 8, 0, DEFER) >= 0);
    update.data = (uint32_t)mine.fd;
    T_CHECK(rti_sys_uring_register(mine.fd, IORING_REGISTER_RING_FDS, &update, 1) == 1);
    T_CHECK(update.offset == 0); /* the first of this thread's */
    sim_sleep(100);
    driver_sqe(&mine, IORING_OP_NOP, *(uint64_t *)arg);
    T_CHECK(driver_submit(&mine) == 1);
    T_CHECK(rti_sys_uring_enter(0, 0, 1, GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0) == 0);
    T_CHECK(driver_take(&mine).user_data == *(uint64_t *)arg);
    T_CHECK(rti_sys_uring_enter(ring.fd, 0, 0, GETEVENTS, NULL, 0) == -EEXIST);
    driver_close(&mine);
    return NULL;
}

static void each_thread_registers_its_own_rings(void **state)
{
    uint64_t numbers[2] = { 1, 2 };
    pthread_t threads[2];

    (void)state;
    begin_plain();
    for (unsigned i = 0; i < 2; i++) {
        threads[i] = make_thread(use_own_slot, &numbers[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rti_sys_thread_join(threads[i]), 0);
    }
    end();
    assert_int_equal(t_failures(), 0);
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void threads_and_rings_have_limits(void **state)
{
    struct sim_leaks leaks;
    struct driver other;
    pthread_t thread;

    (void)state;
    begin(&(struct sim_config){ .seed = 1, .threads_max = 1, .rings_max = 1 });
    (void)make_thread(do_nothing, NULL);
    assert_int_equal(rti_sys_thread_create(&thread, do_nothing, NULL), -EAGAIN);
    assert_int_equal(driver_open(&other, 8, 0, DEFER), -ENOMEM);
    sim_sleep(100);
    driver_close(&ring);
    assert_int_equal(sim_end(&leaks), 1);
    assert_int_equal(leaks.threads, 1); /* it was not joined */
}

/* ---- lost wakes ---- */

/*
 * The protocol of a doorbell in miniature: one ring of the bell, and a receiver that sleeps in its
 * ring. With `broken`, the receiver looks and then says that it sleeps, in two steps. A held
 * request of the receiver is what the hook can end a lost sleep with.
 */
#define RUNG     1U
#define SLEEPING 2U

static struct {
    uint32_t word;
    bool broken;
    int ring_fd;
    unsigned lost;
} bell;

static bool go_to_sleep(void)
{
    uint32_t expected = 0;

    if (!bell.broken) {
        return __atomic_compare_exchange_n(&bell.word, &expected, SLEEPING, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE);
    }
    if (__atomic_load_n(&bell.word, __ATOMIC_ACQUIRE) != 0) {
        return false;
    }
    sim_point();
    __atomic_store_n(&bell.word, SLEEPING, __ATOMIC_RELEASE);
    return true;
}

static void *receive(void *arg)
{
    struct driver mine;

    (void)arg;
    T_CHECK(driver_open(&mine, 8, 0, DEFER) >= 0);
    driver_sqe(&mine, IORING_OP_NOP, 1);
    T_CHECK(driver_submit(&mine) == 1);
    bell.ring_fd = mine.fd;
    sim_point();
    if (go_to_sleep()) {
        T_CHECK(driver_wait(&mine, 1) == 0);
    }
    (void)sim_release(IORING_OP_NOP, 1, 0);
    while (driver_result(&mine) != 0) { /* until the NOP has ended */
    }
    driver_close(&mine);
    return NULL;
}

static void note_lost_wake(void *arg)
{
    (void)arg;
    bell.lost++;
    (void)sim_release(IORING_OP_NOP, 1, 0);
}

/* Rings the bell, and tells how many wakes were lost. */
static unsigned ring_bell(uint64_t seed, bool broken)
{
    struct sim_config config = { .seed = seed,
                                 .switch_per_mille = 500,
                                 .deadlock = note_lost_wake };
    pthread_t thread;

    memset(&bell, 0, sizeof(bell));
    bell.broken = broken;
    bell.ring_fd = -1;
    begin(&config);
    sim_hold(IORING_OP_NOP, SIM_QUEUED);
    thread = make_thread(receive, NULL);
    while (bell.ring_fd < 0) {
        sim_point();
    }
    if (__atomic_fetch_or(&bell.word, RUNG, __ATOMIC_ACQ_REL) == SLEEPING) {
        driver_io(&ring, IORING_OP_MSG_RING, bell.ring_fd, NULL, 1, 1);
        assert_int_equal(driver_result(&ring), 0);
    }
    assert_int_equal(rti_sys_thread_join(thread), 0);
    end();
    return bell.lost;
}

static void a_lost_wake_is_found(void **state)
{
    unsigned lost = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        lost += ring_bell(i, true);
    }
    assert_in_range(lost, 5, 95);
    assert_int_equal(t_failures(), 0);
}

static void a_sound_protocol_loses_no_wake(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(ring_bell(i, false), 0);
    }
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_decides_who_runs),
        cmocka_unit_test(the_clock_jumps_only_when_all_wait),
        cmocka_unit_test(a_message_wakes_a_thread_in_its_ring),
        cmocka_unit_test(a_futex_wakes_threads),
        cmocka_unit_test(each_thread_registers_its_own_rings),
        cmocka_unit_test(threads_and_rings_have_limits),
        cmocka_unit_test(a_lost_wake_is_found),
        cmocka_unit_test(a_sound_protocol_loses_no_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
