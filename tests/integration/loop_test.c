/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a loop on the real kernel: readable whenever a turn is due, and else not.
 *
 * The test is the host, by poll(2) and by epoll(7), which the kernel wakes in different ways. It
 * sleeps without a limit of its own: what fails to make the descriptor readable hangs, and the
 * test is ended by its alarm.
 */
#include "support/harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/rt.h"

#define SECONDS_MAX 50
#define ROUNDS      2000

/* Hosts */

struct host {
    const char *name;
    void (*begin)(int loop_fd);
    void (*wait)(int milliseconds); /* -1: without a limit */
    void (*end)(void);
};

static _Thread_local struct pollfd polled;
static _Thread_local int epoll_fd;

static void poll_begin(int loop_fd)
{
    polled = (struct pollfd){ .fd = loop_fd, .events = POLLIN };
}

static void poll_wait(int milliseconds)
{
    T_CHECK(poll(&polled, 1, milliseconds) >= 0 || errno == EINTR);
}

static void poll_end(void)
{
}

static void epoll_begin(int loop_fd)
{
    struct epoll_event event = { .events = EPOLLIN };

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    T_CHECK(epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, loop_fd, &event) == 0);
}

static void epoll_sleep(int milliseconds)
{
    struct epoll_event event;

    T_CHECK(epoll_wait(epoll_fd, &event, 1, milliseconds) >= 0 || errno == EINTR);
}

static void epoll_end(void)
{
    T_CHECK(close(epoll_fd) == 0);
}

static const struct host hosts[] = {
    { "poll", poll_begin, poll_wait, poll_end },
    { "epoll", epoll_begin, epoll_sleep, epoll_end },
};

#define HOSTS (sizeof(hosts) / sizeof(hosts[0]))

static int milliseconds_until(rt_time next)
{
    const rt_time now = rt_now();

    if (next == RT_NEVER) {
        return -1;
    }
    return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

/* Turn until it has ended; how many turns that took. */
static unsigned drive(const struct host *host, struct rt_runtime *loop)
{
    unsigned turns = 1;
    rt_time next;

    host->begin(rt_loop_fd(loop));
    while (rt_loop_turn(loop, &next)) {
        host->wait(milliseconds_until(next));
        turns++;
    }
    host->end();
    return turns;
}

/* What a task waits for */

static int counter;

static int wait_for_all(void *arg)
{
    char byte = 'x';
    int ends[2];
    char got;

    (void)arg;
    T_CHECK(pipe(ends) == 0);
    for (int i = 0; i < 10; i++) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
        T_CHECK(rt_nop(RT_NEVER) == 0);
        T_CHECK(rt_fd_wait(ends[0], POLLIN, rt_in(RT_MICROSECONDS(100))) == -ETIME);
        T_CHECK(write(ends[1], &byte, 1) == 1);
        T_CHECK(rt_fd_wait(ends[0], POLLIN, RT_NEVER) == POLLIN);
        T_CHECK(read(ends[0], &got, 1) == 1);
    }
    T_CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return 5;
}

static void timers_and_io_of_tasks_go_on_in_a_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        struct rt_runtime *loop;

        assert_int_equal(rt_loop_open(&loop, NULL, wait_for_all, NULL), 0);
        (void)drive(&hosts[i], loop);
        assert_int_equal(rt_loop_close(loop), 5);
        assert_int_equal(t_failures(), 0);
    }
}

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static void a_loop_with_nothing_to_do_is_not_readable(void **state)
{
    struct rt_runtime *loop;
    rt_time next = 0;

    (void)state;
    assert_int_equal(rt_loop_open(&loop, NULL, wait_for_stop, NULL), 0);
    poll_begin(rt_loop_fd(loop));
    while (next != RT_NEVER) {
        assert_true(rt_loop_turn(loop, &next));
    }
    assert_int_equal(poll(&polled, 1, 0), 0);
    rt_stop(loop);
    assert_int_equal(poll(&polled, 1, -1), 1);
    assert_int_equal(polled.revents, POLLIN);
    (void)drive(&hosts[0], loop);
    assert_int_equal(rt_loop_close(loop), 0);
}

/* Other threads */

static unsigned sum; /* of the loop's thread */

static int add(void *arg)
{
    sum += *(unsigned *)arg;
    return 0;
}

/* Each round finds the host asleep, or on its way there, or in a turn. */
static void *submit_many(void *arg)
{
    struct rt_runtime *loop = arg;

    for (unsigned i = 1; i <= ROUNDS; i++) {
        struct rt_submission submission;

        if (rt_submit(loop, 0, &submission, add, &i) < 0 ||
            rt_submission_wait(&submission, NULL, RT_NEVER) < 0) {
            return arg;
        }
    }
    rt_stop(loop);
    return NULL;
}

static void no_submission_of_another_thread_is_missed(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        struct rt_runtime *loop;
        pthread_t thread;
        void *failed;
        unsigned turns;

        sum = 0;
        assert_int_equal(rt_loop_open(&loop, NULL, wait_for_stop, NULL), 0);
        assert_int_equal(pthread_create(&thread, NULL, submit_many, loop), 0);
        turns = drive(&hosts[i], loop);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        assert_int_equal(rt_loop_close(loop), 0);
        assert_int_equal(sum, ROUNDS * (ROUNDS + 1) / 2);
        /* Turns are made for a reason: one or two for a submission, none for nothing. In debug
         * builds tasks are woken for nothing, by turns that there are. */
        assert_in_range(turns, 1, 6 * ROUNDS);
        assert_int_equal(t_failures(), 0);
    }
}

static struct rt_waker waker;
static unsigned wakes; /* atomic */

static int count_wakes(void *arg)
{
    unsigned seen = 0;

    (void)arg;
    while (seen < ROUNDS) {
        const unsigned now = __atomic_load_n(&wakes, __ATOMIC_ACQUIRE);

        if (now == seen) {
            T_CHECK(rt_park(RT_NEVER) == 0);
        }
        seen = now;
        T_CHECK(eventfd_write(counter, 1) == 0); /* tells the other thread that it was seen */
    }
    return 0;
}

static int give_waker(void *arg)
{
    (void)arg;
    waker = rt_waker_self();
    return count_wakes(NULL);
}

static void *wake_many(void *arg)
{
    (void)arg;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        eventfd_t seen;

        __atomic_store_n(&wakes, i, __ATOMIC_RELEASE);
        rt_wake(waker);
        if (eventfd_read(counter, &seen) < 0) {
            return arg;
        }
    }
    return NULL;
}

static void no_wake_of_another_thread_is_missed(void **state)
{
    (void)state;
    for (size_t i = 0; i < HOSTS; i++) {
        struct rt_runtime *loop;
        pthread_t thread;
        rt_time next = 0;
        void *failed;

        counter = eventfd(0, EFD_CLOEXEC);
        assert_true(counter >= 0);
        __atomic_store_n(&wakes, 0, __ATOMIC_RELAXED);
        assert_int_equal(rt_loop_open(&loop, NULL, give_waker, NULL), 0);
        assert_true(rt_loop_turn(loop, &next)); /* it has given its waker */
        assert_int_equal(pthread_create(&thread, NULL, wake_many, &waker), 0);
        (void)drive(&hosts[i], loop);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        assert_int_equal(rt_loop_close(loop), 0);
        assert_int_equal(close(counter), 0);
        assert_int_equal(t_failures(), 0);
    }
}

/* Two hosts, each with a loop of its own, whose tasks wake each other */

struct side {
    const struct host *host;
    struct side *other;
    struct rt_runtime *loop;
    struct rt_waker waker;
    unsigned seen; /* atomic: wakes of the other that this side has answered */
};

static pthread_barrier_t both; /* have said their waker; need the other's no more */

static unsigned seen_by(struct side *side)
{
    return __atomic_load_n(&side->seen, __ATOMIC_ACQUIRE);
}

/* One side is ahead by one, in turn. */
static int go_back_and_forth(void *arg)
{
    struct side *side = arg;
    struct side *other = side->other;
    const unsigned ahead = side < other;

    side->waker = rt_waker_self();
    (void)pthread_barrier_wait(&both);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        while (seen_by(other) + ahead < i) {
            T_CHECK(rt_park(RT_NEVER) == 0);
        }
        __atomic_store_n(&side->seen, i, __ATOMIC_RELEASE);
        rt_wake(other->waker);
    }
    return 0;
}

static void *live(void *arg)
{
    struct side *side = arg;

    if (rt_loop_open(&side->loop, NULL, go_back_and_forth, side) < 0) {
        return arg;
    }
    (void)drive(side->host, side->loop);
    (void)pthread_barrier_wait(&both);
    return rt_loop_close(side->loop) == 0 ? NULL : arg;
}

static void loops_of_two_threads_wake_each_other(void **state)
{
    struct side sides[2] = { { .host = &hosts[0], .other = &sides[1] },
                             { .host = &hosts[1], .other = &sides[0] } };
    pthread_t threads[2];

    (void)state;
    assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, live, &sides[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
        assert_int_equal(seen_by(&sides[i]), ROUNDS);
    }
    (void)pthread_barrier_destroy(&both);
    assert_int_equal(t_failures(), 0);
}

/* Life */

static void nothing_is_left_of_a_loop(void **state)
{
    unsigned descriptors = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct rt_runtime *loop;

        assert_int_equal(rt_loop_open(&loop, NULL, wait_for_stop, NULL), 0);
        if (i % 2 == 0) {
            rt_stop(loop);
            (void)drive(&hosts[1], loop);
        }
        assert_int_equal(rt_loop_close(loop), 0);
        if (i == 1) {
            descriptors = t_open_descriptors();
        }
    }
    assert_int_equal(t_open_descriptors(), descriptors);
}

/* What the host does to the mask of its thread meanwhile stays; what the loop did is undone. */
static void a_close_leaves_the_hosts_mask_of_signals_as_it_is_now(void **state)
{
    struct rt_runtime *loop;
    sigset_t before;
    sigset_t set;

    (void)state;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGURG);
    (void)sigaddset(&set, SIGHUP);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    assert_int_equal(rt_loop_open(&loop, NULL, wait_for_stop, NULL), 0);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    assert_int_equal(rt_loop_close(loop), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &set), 0);
    assert_true(sigismember(&set, SIGURG) == 1 && sigismember(&set, SIGUSR2) == 1);
    assert_true(sigismember(&set, SIGHUP) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_and_io_of_tasks_go_on_in_a_host),
        cmocka_unit_test(a_loop_with_nothing_to_do_is_not_readable),
        cmocka_unit_test(no_submission_of_another_thread_is_missed),
        cmocka_unit_test(no_wake_of_another_thread_is_missed),
        cmocka_unit_test(loops_of_two_threads_wake_each_other),
        cmocka_unit_test(nothing_is_left_of_a_loop),
        cmocka_unit_test(a_close_leaves_the_hosts_mask_of_signals_as_it_is_now),
    };

    (void)alarm(SECONDS_MAX);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
