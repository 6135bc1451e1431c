/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls: each promise of rt/blocking.h, and random programs of several shards.
 *
 * Method: the pool's threads are real, but run one at a time under the simulated
 * kernel, which also owns the clock: it moves only when all wait. So a sleep of a
 * task by a millisecond lets every thread come as far as it can. Functions nap, or
 * wait at a gate, by the seam. The random programs hold for every seed that a
 * function has run once if its call returned 0, and else never.
 */
#include "sim/caller.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "os/sys.h"
#include "rt/blocking.h"
#include "rt/group.h"
#include "support/death.h"
#include "support/rand.h"
#include "support/shards.h"

struct gate {
    struct rt_waker waker; /* of the task that called last */
    uint32_t open;         /* atomic, a futex */
    unsigned begun;
    int value;
};

static int wait_at_gate(void *arg)
{
    struct gate *gate = arg;

    gate->begun++;
    while (__atomic_load_n(&gate->open, __ATOMIC_ACQUIRE) == 0) { /* pairs with open_gate() */
        (void)rti_sys_futex_wait(&gate->open, 0, RT_NEVER);
    }
    return gate->value;
}

static void open_gate(struct gate *gate)
{
    __atomic_store_n(&gate->open, 1, __ATOMIC_RELEASE); /* pairs with wait_at_gate() */
    (void)rti_sys_futex_wake(&gate->open);
}

/* What the call returned, or else what the function did. */
static int call_gate(void *object, rt_time deadline)
{
    struct gate *gate = object;
    int result = 99;
    int r;

    gate->waker = rt_waker_self();
    r = rt_blocking(wait_at_gate, gate, &result, deadline);
    T_CHECK(r == 0 || result == 99);
    return r < 0 ? r : result;
}

static void let_threads_run(void)
{
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
}

static struct rt_blocking_stats stats(void)
{
    struct rt_blocking_stats now;

    rt_blocking_stats_get(&now, sizeof(now));
    return now;
}

/* With at most so many threads and calls that wait. */
static void run_with(uint32_t threads, uint32_t queue, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.blocking_threads = threads;
    config.blocking_queue = queue;
    sim_begin(&(struct sim_config){ .seed = 1 });
    T_CHECK(rt_run(&config, first, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* The call and its result */

static int call_while_another_runs(void *arg)
{
    struct gate gate = { .value = 42 };
    struct caller caller;

    (void)arg;
    caller_start(&caller, call_gate, &gate, RT_NEVER);
    let_threads_run();
    T_CHECK(gate.begun == 1 && caller_waits(&caller));
    open_gate(&gate);
    T_CHECK(caller_end(&caller) == 42);
    T_CHECK(rt_blocking(wait_at_gate, &gate, NULL, RT_NEVER) == 0 && gate.begun == 2);
    gate.value = -EIO; /* of the function, not of the call */
    T_CHECK(call_gate(&gate, RT_NEVER) == -EIO);
    return 0;
}

static void only_the_calling_task_waits_until_the_function_has_returned(void **state)
{
    (void)state;
    run_with(2, 8, call_while_another_runs);
}

/* The end of a wait */

static int let_deadlines_pass(void *arg)
{
    struct gate gates[2] = { { .value = 1 }, { .value = 2 } };
    struct caller runs;
    struct caller waits;
    rt_time begin;

    (void)arg;
    caller_start(&runs, call_gate, &gates[0], rt_in(RT_MILLISECONDS(2)));
    let_threads_run();
    begin = rt_now();
    caller_start(&waits, call_gate, &gates[1], rt_in(RT_MILLISECONDS(5)));
    T_CHECK(caller_end(&waits) == -ETIME && rt_now() == begin + RT_MILLISECONDS(5));
    T_CHECK(caller_waits(&runs)); /* its deadline has passed too */
    T_CHECK(call_gate(&gates[1], 0) == -ETIME);
    open_gate(&gates[0]);
    T_CHECK(caller_end(&runs) == 1);
    T_CHECK(gates[1].begun == 0);
    T_CHECK(stats().done == 1 && stats().withdrawn == 2 && stats().waiting == 0);
    T_CHECK(stats().wait_max < RT_MILLISECONDS(1)); /* those that were taken back had no thread */
    return 0;
}

static void a_deadline_ends_the_wait_for_a_thread_and_not_the_function(void **state)
{
    (void)state;
    run_with(1, 8, let_deadlines_pass);
}

static int cancel_both(void *arg)
{
    struct gate gates[2] = { { .value = 1 }, { .value = 2 } };
    struct caller runs;
    struct caller waits;

    (void)arg;
    caller_start(&runs, call_gate, &gates[0], RT_NEVER);
    let_threads_run();
    caller_start(&waits, call_gate, &gates[1], RT_NEVER);
    rt_cancel(runs.task);
    rt_cancel(waits.task);
    T_CHECK(caller_end(&waits) == -ECANCELED);
    let_threads_run();
    T_CHECK(caller_waits(&runs));
    open_gate(&gates[0]);
    T_CHECK(caller_end(&runs) == 1);
    T_CHECK(gates[1].begun == 0);
    rt_cancel_self();
    T_CHECK(call_gate(&gates[1], RT_NEVER) == -ECANCELED);
    T_CHECK(gates[1].begun == 0 && stats().withdrawn == 1);
    return 0;
}

static void a_cancel_ends_the_wait_for_a_thread_and_not_the_function(void **state)
{
    (void)state;
    run_with(1, 8, cancel_both);
}

/* A task that is woken for nothing goes on waiting, in each of its two waits. */
static int wake_for_nothing(void *arg)
{
    struct gate gate = { .value = 7 };
    struct caller caller;

    (void)arg;
    caller_start(&caller, call_gate, &gate, RT_NEVER);
    let_threads_run();
    for (int i = 0; i < 3; i++) {
        rt_wake(gate.waker);
        let_threads_run();
        T_CHECK(caller_waits(&caller));
        if (i == 1) {
            rt_cancel(caller.task);
        }
    }
    open_gate(&gate);
    T_CHECK(caller_end(&caller) == 7);
    return 0;
}

static void a_spurious_wake_ends_nothing(void **state)
{
    (void)state;
    run_with(1, 8, wake_for_nothing);
}

/* Limits */

static int fill_the_queue(void *arg)
{
    struct gate gate = { .value = 5 };
    struct caller callers[5];

    (void)arg;
    for (int i = 0; i < 2; i++) { /* both threads are at work */
        caller_start(&callers[i], call_gate, &gate, RT_NEVER);
        let_threads_run();
    }
    for (int i = 2; i < 5; i++) {
        caller_start(&callers[i], call_gate, &gate, RT_NEVER);
    }
    T_CHECK(gate.begun == 2 && stats().waiting == 3 && stats().threads == 2);
    T_CHECK(call_gate(&gate, RT_NEVER) == -EAGAIN);
    T_CHECK(stats().refused == 1);
    let_threads_run();
    open_gate(&gate);
    for (int i = 0; i < 5; i++) {
        T_CHECK(caller_end(&callers[i]) == 5);
    }
    T_CHECK(gate.begun == 5 && stats().done == 5);
    T_CHECK(stats().waiting == 0 && stats().waiting_max == 3 && stats().threads_max == 2);
    T_CHECK(stats().wait_max == RT_MILLISECONDS(1));
    return 0;
}

static void a_call_beyond_the_queue_is_refused_and_counted(void **state)
{
    (void)state;
    run_with(2, 3, fill_the_queue);
}

static int note_order(void *arg)
{
    static unsigned count;
    unsigned *place = arg;

    *place = ++count;
    return 0;
}

static int call_note(void *object, rt_time deadline)
{
    return rt_blocking(note_order, object, NULL, deadline);
}

static int call_in_order(void *arg)
{
    struct gate gate = { .value = 0 };
    struct caller first;
    struct caller callers[4];
    unsigned places[4] = { 0 };

    (void)arg;
    caller_start(&first, call_gate, &gate, RT_NEVER);
    let_threads_run();
    for (int i = 0; i < 4; i++) {
        caller_start(&callers[i], call_note, &places[i], RT_NEVER);
    }
    open_gate(&gate);
    T_CHECK(caller_end(&first) == 0);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(caller_end(&callers[i]) == 0);
        T_CHECK(places[i] == i + 1);
    }
    return 0;
}

static void calls_that_wait_are_begun_in_their_order(void **state)
{
    (void)state;
    run_with(1, 8, call_in_order);
}

/* Threads */

static int let_threads_idle(void *arg)
{
    struct gate gate = { .open = 1, .value = 3 };

    (void)arg;
    T_CHECK(stats().threads == 0);
    for (int i = 0; i < 3; i++) { /* the third finds a place whose thread has ended */
        T_CHECK(call_gate(&gate, RT_NEVER) == 3);
        T_CHECK(stats().threads == 1);
        T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(4))) == 0);
        T_CHECK(call_gate(&gate, RT_NEVER) == 3); /* its idle time begins anew */
        T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(4))) == 0);
        T_CHECK(stats().threads == 1 && sim_thread_count() == 2);
        T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(2))) == 0);
        T_CHECK(stats().threads == 0);
    }
    T_CHECK(stats().threads_max == 1 && stats().done == 6);
    return 0;
}

static void a_thread_that_idles_for_long_ends_and_is_made_anew(void **state)
{
    (void)state;
    run_with(4, 8, let_threads_idle);
}

static int call_without_threads(void *arg)
{
    struct gate gate = { .open = 1 };

    (void)arg;
    T_CHECK(call_gate(&gate, RT_NEVER) == -EAGAIN);
    T_CHECK(gate.begun == 0 && stats().refused == 1 && stats().threads_failed == 1);
    return 0;
}

static int call_with_one_thread(void *arg)
{
    struct gate gate = { .value = 6 };
    struct caller callers[3];

    (void)arg;
    for (int i = 0; i < 3; i++) {
        caller_start(&callers[i], call_gate, &gate, RT_NEVER);
        let_threads_run();
    }
    T_CHECK(gate.begun == 1 && stats().threads == 1 && stats().threads_failed == 2);
    open_gate(&gate);
    for (int i = 0; i < 3; i++) {
        T_CHECK(caller_end(&callers[i]) == 6);
    }
    return 0;
}

static void run_with_threads_of_the_machine(unsigned threads, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.stall_threshold = RT_STALL_OFF;
    sim_begin(&(struct sim_config){ .seed = 1, .threads_max = threads });
    T_CHECK(rt_run(&config, first, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* A limit of 0 would be none, so another thread takes the one that there is. */
static void *just_end(void *arg)
{
    return arg;
}

static int call_beside_a_thread(void *arg)
{
    pthread_t other;
    int r;

    T_CHECK(rti_sys_thread_create(&other, just_end, NULL) == 0);
    r = call_without_threads(arg);
    T_CHECK(rti_sys_thread_join(other) == 0);
    return r;
}

static void where_no_thread_can_be_made_a_call_is_refused(void **state)
{
    (void)state;
    run_with_threads_of_the_machine(1, call_beside_a_thread);
}

static void where_no_more_can_be_made_those_that_there_are_do_all(void **state)
{
    (void)state;
    run_with_threads_of_the_machine(1, call_with_one_thread);
}

/* Stop */

static int nap(void *arg)
{
    unsigned *runs = arg;

    rti_sys_pause(RT_MILLISECONDS(10));
    __atomic_add_fetch(runs, 1, __ATOMIC_RELAXED);
    return 0;
}

static unsigned stopped_runs[2];
static int stopped_results[2];

static int nap_and_note(void *arg)
{
    unsigned *runs = arg;

    stopped_results[runs - stopped_runs] = rt_blocking(nap, runs, NULL, RT_NEVER);
    return 0;
}

static int return_at_once(void *arg)
{
    (void)arg;
    T_CHECK(rt_spawn(NULL, nap_and_note, &stopped_runs[0]) == 0);
    let_threads_run();
    T_CHECK(rt_spawn(NULL, nap_and_note, &stopped_runs[1]) == 0);
    rt_yield();
    T_CHECK(stats().waiting == 1);
    return 0;
}

static void a_stop_awaits_what_runs_and_takes_back_what_waits(void **state)
{
    (void)state;
    memset(stopped_runs, 0, sizeof(stopped_runs));
    run_with(1, 8, return_at_once);
    assert_int_equal(stopped_runs[0], 1);
    assert_int_equal(stopped_results[0], 0);
    assert_int_equal(stopped_runs[1], 0);
    assert_int_equal(stopped_results[1], -ECANCELED);
}

/* Misuse */

static int call_from_a_thread(void *arg)
{
    return rt_blocking(nap, arg, NULL, RT_NEVER);
}

static int call_a_call(void *arg)
{
    unsigned runs = 0;

    (void)arg;
    return rt_blocking(call_from_a_thread, &runs, NULL, RT_NEVER);
}

static void a_function_that_makes_a_blocking_call_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(call_a_call, "rt_blocking() was called outside a task");
}

/* Random programs */

#define PROGRAM_TASKS 5
#define PROGRAM_CALLS 4

struct program {
    struct rand_state rand;
    uint64_t calls_ran; /* that returned 0 */
    uint64_t withdrawn;
    uint64_t refused;
    uint64_t functions; /* that have run */
    bool may_refuse;
};

static struct program program;

struct errand {
    struct rt_waker waker; /* of who waits for it */
    rt_time nap;
    unsigned runs;
    int value;
    bool wakes; /* it wakes its task in the middle, for nothing */
};

static int run_errand(void *arg)
{
    struct errand *errand = arg;

    if (errand->wakes) {
        rt_wake(errand->waker);
    }
    if (errand->nap > 0) {
        rti_sys_pause(errand->nap);
    }
    errand->runs++;
    program.functions++;
    return errand->value;
}

static rt_time draw_deadline(void)
{
    switch (rand_below(&program.rand, 4)) {
    case 0:
        return 0;
    case 1:
        return rt_in((rt_time)rand_below(&program.rand, RT_MICROSECONDS(100)));
    default:
        return RT_NEVER;
    }
}

static int run_errands(void *arg)
{
    (void)arg;
    for (int i = 0; i < PROGRAM_CALLS; i++) {
        struct errand errand = {
            .nap = (rt_time)rand_below(&program.rand, 2) *
                   (rt_time)rand_below(&program.rand, RT_MICROSECONDS(100)),
            .value = (int)rand_below(&program.rand, 1000) - 500,
            .wakes = rand_chance(&program.rand, 300),
            .waker = rt_waker_self(),
        };
        int result = 1000;
        const int r = rt_blocking(run_errand, &errand, &result, draw_deadline());

        if (r == 0) {
            T_CHECK(errand.runs == 1 && result == errand.value);
            program.calls_ran++;
        } else {
            T_CHECK(errand.runs == 0 && result == 1000);
            T_CHECK(r == -ETIME || r == -ECANCELED || (r == -EAGAIN && program.may_refuse));
            program.withdrawn += r != -EAGAIN;
            program.refused += r == -EAGAIN;
        }
    }
    return 0;
}

/* Some are left to the end of the runtime, some cancelled, some waited for. */
static int run_program(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (uint64_t n = 1 + rand_below(&program.rand, PROGRAM_TASKS); n > 0; n--) {
        T_CHECK(rt_spawn(NULL, run_errands, NULL) == 0);
        T_CHECK(rt_group_spawn(&group, run_errands, NULL) == 0);
    }
    if (rand_chance(&program.rand, 500)) {
        (void)rt_sleep_until(rt_in((rt_time)rand_below(&program.rand, RT_MICROSECONDS(200))));
        rt_group_cancel(&group);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    return 0;
}

static void draw_program(struct shards *shards, uint64_t seed)
{
    const uint32_t count = 1 + (uint32_t)(seed % 3);

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    shards_init(shards, seed, count);
    shards->runtime.tasks_max = SHARDS_TASKS_MANY;
    shards->runtime.stall_threshold = RT_STALL_OFF;
    shards->elapsed_max = RT_SECONDS(
        1); /* less than a thread idles: a stop does not wait for that */
    shards->runtime.blocking_threads = 1 + (uint32_t)rand_below(&program.rand, 3);
    if (rand_chance(&program.rand, 300)) {
        shards->runtime.blocking_queue = 1 + (uint32_t)rand_below(&program.rand, 4);
        program.may_refuse = true;
    }
    if (rand_chance(&program.rand, 300)) {
        shards->sim.threads_max = count + (unsigned)rand_below(&program.rand, 3);
        program.may_refuse = true;
    }
}

static void each_function_runs_once_or_never_as_its_call_says(void **state)
{
    const unsigned count = rt_test_seed_count(SHARDS_SEEDS / 10);
    uint64_t withdrawn = 0;
    uint64_t refused = 0;
    uint64_t ran = 0;

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        struct shards shards;

        draw_program(&shards, rt_test_seed(i));
        shards_run(&shards, run_program, NULL);
        T_CHECK(shards.started && shards.result == 0 && shards.faults == 0);
        T_CHECK(program.functions == program.calls_ran);
        if (t_failures() != 0) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            fail();
        }
        ran += program.calls_ran;
        withdrawn += program.withdrawn;
        refused += program.refused;
    }
    print_message("%" PRIu64 " ran, %" PRIu64 " taken back, %" PRIu64 " refused\n", ran, withdrawn,
                  refused);
    if (count > 1) {
        assert_true(ran > 0 && withdrawn > 0 && refused > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_calling_task_waits_until_the_function_has_returned),
        cmocka_unit_test(a_deadline_ends_the_wait_for_a_thread_and_not_the_function),
        cmocka_unit_test(a_cancel_ends_the_wait_for_a_thread_and_not_the_function),
        cmocka_unit_test(a_spurious_wake_ends_nothing),
        cmocka_unit_test(a_call_beyond_the_queue_is_refused_and_counted),
        cmocka_unit_test(calls_that_wait_are_begun_in_their_order),
        cmocka_unit_test(a_thread_that_idles_for_long_ends_and_is_made_anew),
        cmocka_unit_test(where_no_thread_can_be_made_a_call_is_refused),
        cmocka_unit_test(where_no_more_can_be_made_those_that_there_are_do_all),
        cmocka_unit_test(a_stop_awaits_what_runs_and_takes_back_what_waits),
        cmocka_unit_test(a_function_that_makes_a_blocking_call_aborts),
        cmocka_unit_test(each_function_runs_once_or_never_as_its_call_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
