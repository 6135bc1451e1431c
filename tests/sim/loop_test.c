/* SPDX-License-Identifier: MIT */
/*
 * A loop that is turned from outside: what a turn does, and when it wants the next.
 *
 * The test is the host. It owns the clock and looks, after each turn, at the moment that the turn
 * asked for; whether the descriptor tells the truth is for integration/loop_test, since the
 * simulated kernel has nothing to poll a ring with.
 */
#include "support/death.h"
#include "support/first.h"
#include "support/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "rt/rt.h"

#define MS(n) RT_MILLISECONDS(n)

static struct rt_runtime *loop;
static struct rt_waker waker;
static int steps;

static void begin(rt_task_fn first)
{
    steps = 0;
    sim_begin(&(struct sim_config){ .seed = 1, .delay_min = MS(1), .delay_max = MS(1) });
    sim_file_put("data", "abcd", 4);
    assert_int_equal(rt_loop_open(&loop, NULL, first, NULL), 0);
}

static void end(int result)
{
    assert_int_equal(rt_loop_close(loop), result);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Turns that have something to do; the moment that the last one asked for. RT_NEVER also when it
 * has ended. */
static rt_time turn_while_due(void)
{
    rt_time next = 0;

    while (rt_loop_turn(loop, &next)) {
        if (next > sim_now()) {
            return next;
        }
    }
    return RT_NEVER;
}

/* The kernel has worked on, and there is a completion to be taken: the descriptor of a real ring
 * would be readable. */
static bool is_readable(void)
{
    sim_advance(MS(1));
    return sim_ring_owed(rt_loop_fd(loop)) > 0;
}

static bool has_ended(void)
{
    rt_time next;

    return !rt_loop_turn(loop, &next);
}

static int sleep_twice(void *arg)
{
    (void)arg;
    for (steps = 1; steps <= 2; steps++) {
        T_CHECK(rt_sleep_until(rt_in(MS(5))) == 0);
    }
    return 7;
}

static void a_turn_tells_when_the_next_timer_is_due_and_never_sleeps(void **state)
{
    rt_time start;

    (void)state;
    begin(sleep_twice);
    start = sim_now();
    assert_int_equal(steps, 0); /* no turn, no task */
    assert_true(turn_while_due() == start + MS(5));
    assert_true(sim_now() == start);
    assert_int_equal(steps, 1);
    sim_advance(MS(4));
    assert_true(turn_while_due() == start + MS(5)); /* one too many does no harm */
    assert_int_equal(steps, 1);
    sim_advance(MS(1));
    assert_true(turn_while_due() == start + MS(10));
    assert_int_equal(steps, 2);
    sim_advance(MS(5));
    (void)turn_while_due();
    assert_true(has_ended());
    assert_true(has_ended()); /* as often as one likes */
    end(7);
}

static int read_file(void *arg)
{
    struct rt_file *file;
    char buf[4];

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    steps = 1;
    T_CHECK(rt_file_read_at(file, buf, 4, 0, RT_NEVER) == 4);
    steps = 2;
    return rt_file_close(file);
}

static void read_in_three_sleeps(void)
{
    for (int i = 0; i < 3; i++) { /* open, read, close */
        assert_true(turn_while_due() == RT_NEVER);
        assert_int_equal(steps, i);
        assert_false(has_ended());
        sim_advance(MS(1)); /* the kernel works on, without an enter */
    }
    (void)turn_while_due();
    assert_true(has_ended());
    end(0);
}

static void what_a_task_wants_is_with_the_kernel_when_the_turn_returns(void **state)
{
    (void)state;
    begin(read_file);
    read_in_three_sleeps();
}

/* Refused, or taken in part, it is handed over again before the host may sleep. */
static void what_the_kernel_did_not_take_at_once_is_with_it_when_the_host_sleeps(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        steps = 0;
        sim_begin(&(struct sim_config){
            .seed = rt_test_seed(i),
            .delay_min = MS(1),
            .delay_max = MS(1),
            .faults = { .enter_eagain = 300, .enter_ebusy = 100, .partial_submit = 300 } });
        sim_file_put("data", "abcd", 4);
        assert_int_equal(rt_loop_open(&loop, NULL, read_file, NULL), 0);
        read_in_three_sleeps();
    }
}

static rt_time disk_time;

static int read_directly(void *arg)
{
    static char buf[4096] __attribute__((aligned(4096)));
    struct rt_taskq_stats stats;
    struct rt_file *file;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY | O_DIRECT, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER) == 4);
    rt_taskq_stats(rt_taskq_self(), &stats, sizeof(stats));
    T_CHECK(stats.disk_requests == 1);
    disk_time = stats.disk_time;
    return rt_file_close(file);
}

/* The capacity of a disk, of all shards, is learnt from how long it takes. */
static void a_disk_is_not_charged_for_a_host_that_comes_late(void **state)
{
    rt_time next;

    (void)state;
    disk_time = -1;
    begin(read_directly);
    while (rt_loop_turn(loop, &next)) {
        sim_advance(MS(50)); /* a request takes 1 */
    }
    assert_in_range(disk_time, 0, MS(1));
    end(0);
}

static int busy(void *arg)
{
    (void)arg;
    while (steps < 3) {
        sim_advance(MS(1)); /* its quota is used */
        steps++;
        rt_yield();
    }
    return 0;
}

static void a_task_that_goes_on_has_the_next_turn_at_once(void **state)
{
    rt_time next = RT_NEVER;

    (void)state;
    begin(busy);
    while (rt_loop_turn(loop, &next)) {
        assert_true(steps == 3 || next <= sim_now());
    }
    end(0);
}

static int wait_for_wake(void *arg)
{
    (void)arg;
    waker = rt_waker_self();
    while (steps == 0) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

/* Between turns the host is a thread like others: what it does there must not get lost. */
static void a_wake_between_turns_is_seen_by_the_next(void **state)
{
    (void)state;
    begin(wait_for_wake);
    assert_true(turn_while_due() == RT_NEVER);
    assert_false(is_readable());
    steps = 1;
    rt_wake(waker);
    assert_true(is_readable());
    (void)turn_while_due();
    assert_true(has_ended());
    end(0);
}

static int note(void *arg)
{
    steps++;
    return *(int *)arg + 1;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static void a_host_submits_to_its_own_loop(void **state)
{
    struct rt_submission submission;
    int question = 41;
    int answer = 0;

    (void)state;
    begin(sleep_for_ever);
    assert_true(turn_while_due() == RT_NEVER);
    assert_int_equal(rt_submit(loop, 0, &submission, note, &question), 0);
    assert_true(is_readable());
    assert_int_equal(rt_submission_wait(&submission, &answer, 0), -ETIME); /* not by itself */
    assert_true(turn_while_due() == RT_NEVER);
    assert_int_equal(rt_submission_wait(&submission, &answer, 0), 0);
    assert_int_equal(answer, 42);
    rt_stop(loop);
    (void)turn_while_due();
    assert_true(has_ended());
    assert_int_equal(rt_submit(loop, 0, &submission, note, &question), -ESHUTDOWN);
    end(0);
}

static int close_at_the_end(void *arg)
{
    struct rt_file *file;
    int r;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    steps = 1;
    r = rt_sleep_until(RT_NEVER);
    T_CHECK(rt_file_close(file) == 0); /* waits for the kernel */
    steps = 2;
    return r;
}

static void a_close_stops_what_still_runs_and_waits_for_it(void **state)
{
    (void)state;
    begin(close_at_the_end);
    assert_true(turn_while_due() == RT_NEVER);
    sim_advance(MS(1));
    assert_true(turn_while_due() == RT_NEVER);
    assert_int_equal(steps, 1);
    end(0); /* it gave way to the stop */
    assert_int_equal(steps, 2);
}

static void a_loop_that_was_never_turned_can_be_closed(void **state)
{
    (void)state;
    begin(sleep_for_ever);
    end(0);
}

static int run_inner(void *arg)
{
    (void)arg;
    return 3;
}

/* As any thread that is no shard may. */
static void between_turns_the_host_may_run_an_executor_to_its_end(void **state)
{
    struct rt_runtime *second;

    (void)state;
    begin(sleep_for_ever);
    assert_true(turn_while_due() == RT_NEVER);
    assert_int_equal(rt_run(NULL, run_inner, NULL), 3);
    assert_int_equal(rt_loop_open(&second, NULL, run_inner, NULL), -EBUSY);
    assert_true(turn_while_due() == RT_NEVER);
    end(0);
}

static int open_in_task(void *arg)
{
    struct rt_runtime *inner;

    (void)arg;
    T_CHECK(rt_loop_open(&inner, NULL, run_inner, NULL) == -EBUSY);
    return 0;
}

static void a_task_cannot_open_a_loop(void **state)
{
    (void)state;
    run_first(open_in_task);
}

/* Misuse */

static int turn_from_task(void *arg)
{
    rt_time next;

    (void)arg;
    return rt_loop_turn(rt_runtime_self(), &next);
}

static int close_from_task(void *arg)
{
    (void)arg;
    return rt_loop_close(rt_runtime_self());
}

static void *turn_it(void *arg)
{
    rt_time next;

    (void)!rt_loop_turn(arg, &next);
    return NULL;
}

/* The runtime is no loop, and the thread has none: either is enough. */
static int turn_on_another_thread(void *arg)
{
    pthread_t thread;

    (void)arg;
    return -pthread_create(&thread, NULL, turn_it, rt_runtime_self()) ||
           -pthread_join(thread, NULL);
}

static void a_turn_on_another_thread_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(turn_on_another_thread,
                          "rt_loop_turn() was called on a thread that has not opened this loop");
}

static void a_turn_within_a_turn_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(turn_from_task, "rt_loop_turn() was called from a task");
    assert_misuse_in_task(close_from_task, "rt_loop_close() was called from a task");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_tells_when_the_next_timer_is_due_and_never_sleeps),
        cmocka_unit_test(what_a_task_wants_is_with_the_kernel_when_the_turn_returns),
        cmocka_unit_test(what_the_kernel_did_not_take_at_once_is_with_it_when_the_host_sleeps),
        cmocka_unit_test(a_disk_is_not_charged_for_a_host_that_comes_late),
        cmocka_unit_test(a_task_that_goes_on_has_the_next_turn_at_once),
        cmocka_unit_test(a_wake_between_turns_is_seen_by_the_next),
        cmocka_unit_test(a_host_submits_to_its_own_loop),
        cmocka_unit_test(a_close_stops_what_still_runs_and_waits_for_it),
        cmocka_unit_test(a_loop_that_was_never_turned_can_be_closed),
        cmocka_unit_test(between_turns_the_host_may_run_an_executor_to_its_end),
        cmocka_unit_test(a_task_cannot_open_a_loop),
        cmocka_unit_test(a_turn_within_a_turn_aborts),
        cmocka_unit_test(a_turn_on_another_thread_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
