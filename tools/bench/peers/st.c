/* SPDX-License-Identifier: MIT */
/* Peer: State Threads. It has no yield; so a task suspends on a condition that another signals. */
#include <st.h>
#include <stdlib.h>

#include "peer.h"

#define STACK_BYTES 65536 /* shardrt's default */
#define NS_PER_US   1000

static st_thread_t spawn(void *(*fn)(void *), void *arg, int stack_bytes)
{
    st_thread_t task = st_thread_create(fn, arg, 1, stack_bytes);

    if (task == NULL) {
        peer_fail("st_thread_create: no memory for a task");
    }
    return task;
}

static uint64_t join(st_thread_t task)
{
    void *result = NULL;

    if (st_thread_join(task, &result) < 0) {
        peer_fail("st_thread_join failed");
    }
    return (uintptr_t)result;
}

static void *give_back(void *arg)
{
    return arg;
}

/* The unit: a task made, its end waited for, its result taken. */
static void spawn_join(struct peer_run *run)
{
    uint64_t unmeasured = run->units / 10 + 1;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        sum += join(spawn(give_back, (void *)(uintptr_t)1, STACK_BYTES));
    }
    peer_end(run, run->units);
    if (sum != run->units + unmeasured) {
        peer_fail("spawn_join: a result is wrong");
    }
}

static st_cond_t gate, turn; /* for tasks to pass; for the first task to go on */
static uint64_t expected;    /* tasks that are not at the gate yet */

static void *pass_gate(void *unused)
{
    if (--expected == 0) {
        st_cond_signal(turn);
    }
    st_cond_wait(gate);
    return unused;
}

static void batch_once(void)
{
    static st_thread_t tasks[PEER_BATCH];

    expected = PEER_BATCH;
    for (uint64_t i = 0; i < PEER_BATCH; i++) {
        tasks[i] = spawn(pass_gate, NULL, PEER_STACK_BYTES);
    }
    st_cond_wait(turn);
    st_cond_broadcast(gate);
    for (uint64_t i = 0; i < PEER_BATCH; i++) {
        (void)join(tasks[i]);
    }
}

/* The unit: one of many tasks that are all made, suspend once each, and are all joined. */
static void spawn_batch(struct peer_run *run)
{
    batch_once(); /* the first use of a stack is the kernel's work */
    peer_begin(run);
    batch_once();
    peer_end(run, PEER_BATCH);
}

static st_cond_t wake; /* what the sleeper of timer_arm waits for */
static bool stop;

static void wait_until(st_cond_t condition, int64_t ns)
{
    if (st_cond_timedwait(condition, (st_utime_t)ns / NS_PER_US) < 0) {
        peer_fail("timer_arm: a deadline that lies far ahead has passed");
    }
}

static void *wait_at_gate(void *arg)
{
    expected--;
    wait_until(gate, PEER_OTHERS_NS + (int64_t)(uintptr_t)arg * 1000 * NS_PER_US);
    return arg;
}

static void *sleeper(void *unused)
{
    while (!stop) {
        st_cond_signal(turn);
        wait_until(wake, PEER_FAR_NS);
    }
    return unused;
}

/* The unit: a wait with a deadline, and a wake long before it; two switches. */
static void timer_arm(struct peer_run *run)
{
    static st_thread_t others[PEER_OTHERS];
    uint64_t unmeasured = run->units / 10 + 1;
    st_thread_t woken;

    stop = false;
    expected = PEER_OTHERS;
    for (uint64_t i = 0; i < PEER_OTHERS; i++) {
        others[i] = spawn(wait_at_gate, (void *)(uintptr_t)i, PEER_STACK_BYTES);
    }
    woken = spawn(sleeper, NULL, PEER_STACK_BYTES);
    st_cond_wait(turn); /* the sleeper was the last to run */
    if (expected != 0) {
        peer_fail("timer_arm: not all timers are armed");
    }
    for (uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        st_cond_signal(wake);
        st_cond_wait(turn);
    }
    peer_end(run, run->units);
    stop = true;
    st_cond_signal(wake);
    (void)join(woken);
    st_cond_broadcast(gate);
    for (uint64_t i = 0; i < PEER_OTHERS; i++) {
        (void)join(others[i]);
    }
}

static uint64_t slept;
static uint64_t lengths; /* where the random ones stand */

static void *sleep_on(void *unused)
{
    while (!stop) {
        (void)st_usleep((st_utime_t)(peer_sleep_ns(&lengths) / NS_PER_US));
        slept++;
    }
    return unused;
}

/* The unit: a sleep of 1 to 100 ms, of many. */
static void sleep_many(struct peer_run *run)
{
    st_thread_t *threads = peer_memory(PEER_SLEEPERS, sizeof(st_thread_t));
    uint64_t before;

    stop = false;
    lengths = 1;
    for (uint64_t i = 0; i < PEER_SLEEPERS; i++) {
        threads[i] = spawn(sleep_on, NULL, PEER_STACK_BYTES);
    }
    (void)st_usleep(PEER_WARM_UP_NS / NS_PER_US);
    before = slept;
    peer_cpu_begin(run);
    (void)st_usleep(PEER_WINDOW_NS / NS_PER_US);
    peer_cpu_end(run, slept - before);
    stop = true;
    for (uint64_t i = 0; i < PEER_SLEEPERS; i++) {
        (void)join(threads[i]);
    }
    free(threads);
}

/* The unit: a lock, an unlock, and nobody else. */
static void mutex1(struct peer_run *run)
{
    const uint64_t unmeasured = run->units / 10 + 1;
    st_mutex_t lock = st_mutex_new();

    if (lock == NULL) {
        peer_fail("st_mutex_new: no memory");
    }
    for (uint64_t i = 0; i < run->units + unmeasured; i++) {
        if (i == unmeasured) {
            peer_begin(run);
        }
        st_mutex_lock(lock);
        st_mutex_unlock(lock);
    }
    peer_end(run, run->units);
    st_mutex_destroy(lock);
}

static const struct peer_row rows[] = {
    { .name = "spawn_join", .run = spawn_join }, { .name = "spawn_batch", .run = spawn_batch },
    { .name = "timer_arm", .run = timer_arm },   { .name = "sleep_many", .run = sleep_many },
    { .name = "mutex1", .run = mutex1 },
};

int main(int argc, char **argv)
{
    if (st_init() < 0) {
        peer_fail("st_init failed");
    }
    gate = st_cond_new();
    turn = st_cond_new();
    wake = st_cond_new();
    if (gate == NULL || turn == NULL || wake == NULL) {
        peer_fail("st_cond_new: no memory");
    }
    return peer_main(argc, argv, "State Threads " ST_VERSION, rows, sizeof(rows) / sizeof(rows[0]));
}
