/* SPDX-License-Identifier: MIT */
/*
 * A set of calls: each part has its own shard, argument and end, and one deadline holds for all.
 *
 * Method: small programs on the simulated kernel, with four shards of which the first asks. Waits
 * that must end by themselves have no deadline: there an answer that is lost is a deadlock, which
 * the sim reports.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "rt/rt.h"
#include "support/shards.h"

#define SEED  11
#define COUNT 4 /* shards */
#define MANY  40

static rt_task_fn ask; /* what shard 0 does; the others serve until it has returned */

static int first(void *arg)
{
    return rt_shard_index() == 0 ? ask(arg) : 0;
}

static void run_with(rt_task_fn what, uint32_t tasks_max, uint32_t port_entries)
{
    struct shards shards;

    ask = what;
    shards_init(&shards, SEED, COUNT);
    shards.sim = (struct sim_config){ .seed = SEED, .step_max = 50, .switch_per_mille = 200 };
    shards.sim.enters_max = 100000;
    shards.runtime.ring_entries = 64;
    shards.runtime.cq_entries = 256;
    shards.runtime.tasks_max = tasks_max;
    shards.runtime.port_entries = port_entries;
    shards.runtime.spin = 0;
    shards_run(&shards, first, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

static void run(rt_task_fn what)
{
    run_with(what, 16, 8);
}

/* The arguments are numbers 0, 1, 2 ..., one for each shard in turn. */
static void fill(struct rt_call_part *parts, int *numbers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = (int)i;
        parts[i] = (struct rt_call_part){ .shard = i % COUNT, .arg = &numbers[i] };
    }
}

/* ---- results ---- */

static int square_there(void *arg)
{
    const int number = *(const int *)arg;

    T_CHECK(rt_shard_index() == (uint32_t)number % COUNT);
    if (number % 3 == 0) {
        rt_yield();
    }
    return number * number;
}

static int ask_squares(void *arg)
{
    struct rt_call_part parts[MANY];
    int numbers[MANY];

    (void)arg;
    fill(parts, numbers, MANY);
    T_CHECK(rt_call_each(parts, MANY, square_there, RT_NEVER) == 0);
    for (int i = 0; i < MANY; i++) {
        T_CHECK(parts[i].error == 0 && parts[i].result == i * i);
    }
    T_CHECK(rt_call_each(NULL, 0, square_there, RT_NEVER) == 0);
    return 0;
}

static void each_part_has_its_argument_and_its_result(void **state)
{
    (void)state;
    run_with(ask_squares, MANY, 8);
    run_with(ask_squares, MANY, 1); /* through ports of a single slot */
}

static int note_shard(void *arg)
{
    uint32_t *there = arg;

    there[rt_shard_index()]++;
    return -(int)rt_shard_index();
}

static int ask_all(void *arg)
{
    struct rt_call_part parts[COUNT];
    uint32_t there[COUNT] = { 0 };

    (void)arg;
    T_CHECK(rt_call_all(parts, note_shard, there, RT_NEVER) == 0); /* a result is no error */
    for (uint32_t i = 0; i < COUNT; i++) {
        T_CHECK(there[i] == 1 && parts[i].shard == i && parts[i].result == -(int)i);
    }
    return 0;
}

static void all_shards_run_the_function_once(void **state)
{
    (void)state;
    run(ask_all);
}

/* ---- at once ---- */

static struct rt_waker waiting[COUNT];
static uint32_t arrived;

/* Nobody returns before all have come: in one shard after the other they would wait for ever. */
static int meet(void *arg)
{
    (void)arg;
    waiting[arrived++] = rt_waker_self();
    if (arrived == COUNT) {
        for (uint32_t i = 0; i < COUNT; i++) {
            rt_wake(waiting[i]);
        }
    }
    while (arrived < COUNT) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    return 0;
}

static int ask_to_meet(void *arg)
{
    struct rt_call_part parts[COUNT];

    T_CHECK(rt_call_all(parts, meet, arg, RT_NEVER) == 0);
    return 0;
}

static void all_parts_are_under_way_at_once(void **state)
{
    (void)state;
    arrived = 0;
    run(ask_to_meet);
}

/* ---- deadline and cancel ---- */

static rt_time last_words; /* how long a function takes to say goodbye */

static int wait_for_end(void *arg)
{
    struct rt_scope shield;
    const int r = rt_sleep_until(RT_NEVER);

    (void)arg;
    rt_shield(&shield, RT_NEVER);
    T_CHECK(rt_sleep_until(rt_in(last_words)) == 0);
    T_CHECK(rt_scope_leave(&shield) == 0);
    return r;
}

/* The first one of the set is answered long before the deadline. */
static int wait_but_for_one(void *arg)
{
    return *(const int *)arg == 1 ? 7 : wait_for_end(arg);
}

static int ask_past_deadline(void *arg)
{
    struct rt_call_part parts[8];
    int numbers[8];
    const rt_time begin = rt_now();
    rt_time took;

    (void)arg;
    fill(parts, numbers, 8);
    for (uint32_t i = 0; i < 8; i++) {
        parts[i].shard = 1 + i % 3;
    }
    last_words = RT_MILLISECONDS(10);
    T_CHECK(rt_call_each(parts, 8, wait_but_for_one, rt_in(RT_MILLISECONDS(5))) == -ETIME);
    took = rt_now() - begin;
    for (uint32_t i = 0; i < 8; i++) {
        T_CHECK(parts[i].error == (i == 1 ? 0 : -ETIME));
        T_CHECK(parts[i].result == (i == 1 ? 7 : 0));
    }
    /* all say goodbye at the same time */
    T_CHECK(took >= RT_MILLISECONDS(15) && took < RT_MILLISECONDS(25));
    return 0;
}

static void one_deadline_ends_all_parts_at_once(void **state)
{
    (void)state;
    run(ask_past_deadline);
}

static int ask_and_be_cancelled(void *arg)
{
    struct rt_call_part parts[COUNT];

    last_words = 0;
    T_CHECK(rt_call_all(parts, wait_for_end, arg, RT_NEVER) == -ECANCELED);
    for (uint32_t i = 0; i < COUNT; i++) {
        T_CHECK(parts[i].error == -ECANCELED);
    }
    return 0;
}

/* Cancelled before it sends, and in the middle of it. */
static int cancel_asker(void *arg)
{
    struct rt_task *task;

    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(rt_spawn(&task, ask_and_be_cancelled, arg) == 0);
        if (i > 0) {
            T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(i))) == 0);
        }
        rt_cancel(task);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    }
    return 0;
}

static void a_cancelled_caller_ends_all_parts(void **state)
{
    (void)state;
    run(cancel_asker);
}

static int give_up(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

static int ask_who_gives_up(void *arg)
{
    struct rt_call_part parts[COUNT];

    T_CHECK(rt_call_all(parts, give_up, arg, RT_NEVER) == 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        T_CHECK(parts[i].error == 0 && parts[i].result == -ECANCELED);
    }
    return 0;
}

static void a_function_that_gives_up_by_itself_has_a_result(void **state)
{
    (void)state;
    run(ask_who_gives_up);
}

/* ---- errors ---- */

static int sleep_a_while(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
}

/* Shards 1 to 3 have room for two tasks each: what comes beyond that is refused, in order. */
static int ask_beyond_limit(void *arg)
{
    struct rt_call_part parts[MANY];
    int numbers[MANY];
    unsigned refused = 0;

    (void)arg;
    fill(parts, numbers, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        parts[i].shard = 1 + i % 3;
    }
    T_CHECK(rt_call_each(parts, MANY, sleep_a_while, RT_NEVER) == -EAGAIN);
    for (uint32_t i = 0; i < MANY; i++) {
        T_CHECK(parts[i].error == 0 || parts[i].error == -EAGAIN);
        T_CHECK(i >= 6 || parts[i].error == 0);
        refused += parts[i].error == -EAGAIN;
    }
    T_CHECK(refused > 0 && refused <= MANY - 6);
    return 0;
}

static void a_refused_part_leaves_the_others_alone(void **state)
{
    (void)state;
    run_with(ask_beyond_limit, 2, 64);
}

/* ---- the fold ---- */

static int answer_late(void *arg) /* the earlier in the order, the later */
{
    const int number = *(const int *)arg;

    (void)rt_sleep_until(rt_in(RT_MICROSECONDS((rt_time)(8 - number))));
    return number == 5 ? rt_sleep_until(RT_NEVER) : number + 1;
}

static void add_digit(void *into, const struct rt_call_part *part)
{
    long *digits = into;

    T_CHECK(part->error == 0);
    *digits = *digits * 10 + part->result;
}

static int reduce_digits(void *arg)
{
    struct rt_call_part parts[8];
    int numbers[8];
    long digits = 0;

    (void)arg;
    fill(parts, numbers, 8);
    for (uint32_t i = 0; i < 8; i++) {
        parts[i].shard = 1 + i % 3;
    }
    T_CHECK(rt_map_reduce(parts, 5, answer_late, add_digit, &digits, RT_NEVER) == 0);
    T_CHECK(digits == 12345);
    digits = 0;
    T_CHECK(rt_map_reduce(parts, 8, answer_late, add_digit, &digits, rt_in(RT_MILLISECONDS(1))) ==
            -ETIME);
    T_CHECK(digits == 1234578 && parts[5].error == -ETIME);
    return 0;
}

static void parts_are_folded_in_order_and_without_those_that_failed(void **state)
{
    (void)state;
    run(reduce_digits);
}

/* ---- the end of the runtime ---- */

static int ask_at_the_end(void *arg)
{
    struct rt_call_part parts[COUNT];
    struct rt_scope shield;
    uint32_t there[COUNT] = { 0 };

    (void)arg;
    rt_shield(&shield, RT_NEVER);
    while (rt_call_all(parts, note_shard, there, RT_NEVER) == 0) {
        rt_yield();
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        T_CHECK(parts[i].error == (i == 0 ? 0 : -ESHUTDOWN));
    }
    (void)rt_scope_leave(&shield);
    return 0;
}

static int leave_straggler(void *arg)
{
    T_CHECK(rt_spawn(NULL, ask_at_the_end, arg) == 0);
    rt_yield();
    return 0;
}

static void a_set_that_is_sent_while_the_runtime_drains_is_refused(void **state)
{
    (void)state;
    run(leave_straggler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_has_its_argument_and_its_result),
        cmocka_unit_test(all_shards_run_the_function_once),
        cmocka_unit_test(all_parts_are_under_way_at_once),
        cmocka_unit_test(one_deadline_ends_all_parts_at_once),
        cmocka_unit_test(a_cancelled_caller_ends_all_parts),
        cmocka_unit_test(a_function_that_gives_up_by_itself_has_a_result),
        cmocka_unit_test(a_refused_part_leaves_the_others_alone),
        cmocka_unit_test(parts_are_folded_in_order_and_without_those_that_failed),
        cmocka_unit_test(a_set_that_is_sent_while_the_runtime_drains_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
