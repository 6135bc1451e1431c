/* SPDX-License-Identifier: MIT */
/*
 * The ring: room in its queue, when entries go to the kernel, and completions
 * that come in bulk.
 *
 * A trace hook notes in which turn each operation was handed to the ring, so
 * that a promise on the order is checked together with one on the time. Where
 * room is short, the ring has one entry and enters fail.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

#include "core/executor.h"
#include "core/op.h"
#include "rt/rt.h"

#define YIELDS_MAX 10000

static uint64_t cancels_seen(void)
{
    return sim_stats()->by_opcode[IORING_OP_ASYNC_CANCEL];
}

static uint64_t turns(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.turns;
}

static struct rt_file *file;

static void open_file(void)
{
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
}

static void close_file(void)
{
    T_CHECK(rt_file_close(file) == 0);
}

static int read_for_ever(void *arg)
{
    char buf[4];

    (void)arg;
    return (int)rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER);
}

/* What happened to operations, and when */

#define STEPS_MAX 64

static struct step {
    uint64_t turn;
    uint32_t task;
} submits[STEPS_MAX];

static unsigned submit_count;
static uint64_t woke_in[STEPS_MAX]; /* by task: the turn in which it was woken last, or 0 */

static void note(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->task >= STEPS_MAX) {
        return;
    }
    if (event->kind == RT_TRACE_SUBMIT && submit_count < STEPS_MAX) {
        submits[submit_count++] = (struct step){ rti_current->turns, event->task };
    }
    if (event->kind == RT_TRACE_WAKE) {
        woke_in[event->task] = rti_current->turns;
    }
}

static void note_anew(void)
{
    submit_count = 0;
    memset(woke_in, 0, sizeof(woke_in));
}

static uint32_t ids[8]; /* of tasks that have begun to run, in this order */
static unsigned id_count;

static int tell_id_and_read(void *arg)
{
    ids[id_count++] = rt_self_id();
    return read_for_ever(arg);
}

/* The occupant has the entry, and `count` tasks wait for room, since enters fail so often. */
static void fill_the_ring(struct rt_task **occupant, struct rt_task **waiters, unsigned count,
                          unsigned enters)
{
    open_file();
    for (unsigned i = 0; i < enters; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    note_anew();
    id_count = 0;
    T_CHECK(rt_spawn(occupant, tell_id_and_read, NULL) == 0);
    for (unsigned i = 0; i < count; i++) {
        T_CHECK(rt_spawn(&waiters[i], tell_id_and_read, NULL) == 0);
    }
}

static void join_read(struct rt_task *task)
{
    int result = 0;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 4);
}

static void run_tiny(rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;
    const struct sim_config sim = { .seed = 1, .step_max = 2000 };

    config.ring_entries = 1;
    config.trace = note;
    assert_int_equal(run_sim(&sim, &config, first, NULL), 0);
}

/* A queue of one entry serves one task a turn, and none of the turns is left out. */
static int wait_in_line(void *arg)
{
    struct rt_task *occupant;
    struct rt_task *waiters[3];

    (void)arg;
    fill_the_ring(&occupant, waiters, 3, 3);
    join_read(occupant);
    for (unsigned i = 0; i < 3; i++) {
        join_read(waiters[i]);
    }
    T_CHECK(submit_count == 4);
    for (unsigned i = 0; i < 4; i++) {
        T_CHECK(submits[i].task == ids[i]);
        T_CHECK(i < 2 || submits[i].turn == submits[i - 1].turn + 1);
    }
    close_file();
    return 0;
}

static void tasks_get_room_in_the_order_in_which_they_came_one_a_turn(void **state)
{
    (void)state;
    run_tiny(wait_in_line);
}

/* None of the operations ends, so nothing but room keeps the loop awake. */
static int wait_in_a_line_of_held(void *arg)
{
    struct rt_task *tasks[4];

    (void)arg;
    fill_the_ring(&tasks[0], &tasks[1], 3, 2);
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 4);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 4, SIM_NATURAL) == 4);
    for (unsigned i = 0; i < 4; i++) {
        join_read(tasks[i]);
    }
    close_file();
    return 0;
}

static void the_loop_does_not_sleep_while_a_task_waits_for_room(void **state)
{
    (void)state;
    run_tiny(wait_in_a_line_of_held);
}

/* The submission of the second task fails, that of the third makes room. */
static int come_when_others_wait(void *arg)
{
    struct rt_task *occupant;
    struct rt_task *waiters[2];

    (void)arg;
    fill_the_ring(&occupant, waiters, 2, 1);
    rt_yield();
    T_CHECK(submit_count == 1);
    join_read(occupant);
    join_read(waiters[0]);
    join_read(waiters[1]);
    T_CHECK(submit_count == 3 && submits[1].task == ids[1] && submits[2].task == ids[2]);
    close_file();
    return 0;
}

static void a_task_that_comes_later_does_not_overtake_those_that_wait_for_room(void **state)
{
    (void)state;
    run_tiny(come_when_others_wait);
}

/* Until waiter 0 has room but has not run: this task stands before it in the queue. */
static void await_grant(void)
{
    for (unsigned i = 0; i < YIELDS_MAX && woke_in[ids[1]] == 0; i++) {
        rt_yield();
    }
    T_CHECK(woke_in[ids[1]] != 0 && submit_count == 1);
}

static int come_when_room_is_promised(void *arg)
{
    struct rt_task *occupant;
    struct rt_task *waiter;

    fill_the_ring(&occupant, &waiter, 1, 4);
    rt_yield();
    await_grant();
    T_CHECK(read_for_ever(arg) == 4); /* the entry is there, but not for this one */
    T_CHECK(submit_count == 3 && submits[1].task == ids[1] && submits[2].task == rt_self_id());
    join_read(occupant);
    join_read(waiter);
    close_file();
    return 0;
}

static void room_that_was_promised_is_taken_by_nobody_else(void **state)
{
    (void)state;
    run_tiny(come_when_room_is_promised);
}

static int cancel_the_granted(void *arg)
{
    struct rt_task *occupant;
    struct rt_task *waiters[3];
    uint64_t turn;
    int result = 0;

    (void)arg;
    fill_the_ring(&occupant, waiters, 3, 6);
    rt_yield();
    await_grant();
    turn = turns();
    rt_cancel(waiters[0]);
    T_CHECK(rt_join(waiters[0], &result, RT_NEVER) == 0 && result == -ECANCELED);
    join_read(occupant);
    join_read(waiters[1]);
    join_read(waiters[2]);
    T_CHECK(submit_count == 3);
    T_CHECK(submits[1].task == ids[2] && submits[1].turn == turn); /* at once */
    T_CHECK(submits[2].task == ids[3] && submits[2].turn == turn + 1);
    close_file();
    return 0;
}

static void room_that_is_not_wanted_any_more_goes_to_the_next_at_once(void **state)
{
    (void)state;
    run_tiny(cancel_the_granted);
}

/* A cancel that has no room, since `enters` fail: one read is with the kernel, another one on the
 * way there, and neither ends by itself. */
static void cancel_in_a_full_ring(unsigned enters, uint64_t turns_max)
{
    const uint64_t before = cancels_seen();
    struct rt_task *reader;
    struct rt_task *occupant;
    rt_time start;
    uint64_t turn;
    int result = 0;

    sim_hold(IORING_OP_READ, SIM_QUEUED);
    T_CHECK(rt_spawn(&reader, read_for_ever, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_READ) == 1);
    T_CHECK(rt_spawn(&occupant, read_for_ever, NULL) == 0);
    rt_yield(); /* its entry is in the queue */
    for (unsigned i = 0; i < enters; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    start = rt_now();
    turn = turns();
    rt_cancel(reader);
    T_CHECK(cancels_seen() == before);
    T_CHECK(rt_join(reader, &result, RT_NEVER) == 0 && result == -ECANCELED);
    T_CHECK(rt_now() - start < RT_MILLISECONDS(1)); /* without being asked again */
    T_CHECK(turns() <= turn + turns_max);
    T_CHECK(cancels_seen() == before + 1);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    join_read(occupant);
}

static int cancel_without_room(void *arg)
{
    (void)arg;
    open_file();
    cancel_in_a_full_ring(5, 8);
    cancel_in_a_full_ring(0, 1); /* the queue is emptied for it, in the same turn */
    close_file();
    return 0;
}

static void a_cancel_that_finds_no_room_is_sent_when_there_is_some(void **state)
{
    (void)state;
    run_tiny(cancel_without_room);
}

/* When entries are submitted */

#define BATCH 80
#define FLUSH 64

static uint64_t sqes_before;
static uint64_t enters_before;

static uint64_t sqes_since(void)
{
    return sim_stats()->sqes - sqes_before;
}

static void count_anew(void)
{
    sqes_before = sim_stats()->sqes;
    enters_before = sim_stats()->enters;
}

static int look_in_the_same_turn(void *arg)
{
    T_CHECK(turns() == *(const uint64_t *)arg);
    T_CHECK(sqes_since() == FLUSH);
    T_CHECK(sim_stats()->enters == enters_before + 1);
    return 0;
}

static int submit_many(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    uint64_t turn;

    (void)arg;
    open_file();
    count_anew();
    for (unsigned i = 0; i < BATCH; i++) {
        T_CHECK(rt_group_spawn(&group, read_for_ever, NULL) == 0);
    }
    turn = turns();
    T_CHECK(rt_group_spawn(&group, look_in_the_same_turn, &turn) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(sqes_since() == BATCH);
    close_file();
    return 0;
}

/* Time stands still here, so that nothing else can cause a submission. */
static void entries_are_submitted_in_the_middle_of_a_turn_when_they_are_many(void **state)
{
    (void)state;
    assert_int_equal(run_config(NULL, submit_many, NULL), 0);
}

static void yield_without_time(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rt_yield();
    }
}

/* Yield, 4 us each time, until the pending entry is with the kernel; how long that took. */
static rt_time yield_until_submitted(void)
{
    const rt_time start = rt_now();

    for (unsigned i = 0; i < 100 && sqes_since() == 0; i++) {
        sim_advance(RT_MICROSECONDS(4));
        rt_yield();
    }
    return rt_now() - start;
}

static int submit_late(void *arg)
{
    struct rt_task *tasks[2];
    uint64_t turn;

    (void)arg;
    open_file();
    turn = turns();
    for (unsigned i = 0; i < 100; i++) { /* 400 us in which nothing is pending */
        sim_advance(RT_MICROSECONDS(4));
        rt_yield();
    }
    for (unsigned i = 0; i < 2; i++) {
        count_anew();
        T_CHECK(rt_spawn(&tasks[i], read_for_ever, NULL) == 0);
        yield_without_time(100);
        T_CHECK(sqes_since() == 0); /* it has not waited yet */
        T_CHECK(yield_until_submitted() <= RT_MICROSECONDS(50 + 2 * 16 * 4));
        T_CHECK(sqes_since() == 1 && sim_stats()->enters == enters_before + 1);
    }
    T_CHECK(turns() == turn);
    join_read(tasks[0]);
    join_read(tasks[1]);
    close_file();
    return 0;
}

static void an_entry_does_not_wait_long_for_company(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.task_quota = RT_SECONDS(1);
    assert_int_equal(run_config(&config, submit_late, NULL), 0);
}

/* Completions in bulk */

#define READERS   60
#define TURNS_MAX 20 /* 8 are enough: a turn enters 8 times more for what overflowed */

static int overflow_beside_a_busy_task(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_stats stats;
    uint64_t before;

    (void)arg;
    open_file();
    for (unsigned i = 0; i < READERS; i++) {
        T_CHECK(rt_group_spawn(&group, read_for_ever, NULL) == 0);
    }
    while (sim_stats()->by_opcode[IORING_OP_READ] < READERS && turns() < 1000) {
        rt_yield(); /* one goes to the kernel in each turn */
    }
    T_CHECK(sim_stats()->in_flight == READERS + 1) /* and the poll of the counter */;
    sim_advance(RT_MILLISECONDS(2)); /* all are done */
    before = turns();
    while (rt_group_live(&group) > 0 && turns() < before + TURNS_MAX) {
        rt_yield(); /* the loop never sleeps, which would bring them all */
    }
    T_CHECK(rt_group_live(&group) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.overflows > 0 && stats.stale == 0);
    T_CHECK(sim_stats()->overflows > 0);
    close_file();
    return 0;
}

static void completions_that_overflowed_reach_a_loop_that_never_sleeps(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    const struct sim_config sim = {
        .seed = 1, .step_max = 100, .delay_min = RT_MILLISECONDS(1), .delay_max = RT_MILLISECONDS(1)
    };

    (void)state;
    config.ring_entries = 1;
    config.cq_entries = 1;
    config.task_quota = 1; /* a turn lasts some 16 runs */
    assert_int_equal(run_sim(&sim, &config, overflow_beside_a_busy_task, NULL), 0);
}

/* Generations */

#define OPS_TASKS 20
#define OPS_EACH  3500 /* 70,000 in all, more than a generation can count */

static uint64_t ops_seen;
static uint64_t ops_unmarked; /* of generation 0 */

static void look_at_user_data(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_WAIT && strcmp(event->what, "read") == 0) {
        const struct rti_waiter *waiter = rti_current->running->waiter;
        const struct rti_op *op = RTI_CONTAINER_OF(waiter, struct rti_op, waiter);
        const uint64_t user_data = rti_op_user_data(op);

        ops_seen++;
        ops_unmarked += user_data >> 48 == 0;
        if (rti_op_of_user_data(user_data) != op) {
            ops_unmarked++;
        }
    }
}

static int read_many_times(void *arg)
{
    for (unsigned i = 0; i < OPS_EACH; i++) {
        T_CHECK(read_for_ever(arg) == 4);
    }
    return 0;
}

static int read_past_the_last_generation(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_stats stats;

    (void)arg;
    open_file();
    for (unsigned i = 0; i < OPS_TASKS; i++) {
        T_CHECK(rt_group_spawn(&group, read_many_times, NULL) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.stale == 0 && stats.ops_in_flight == 0);
    close_file();
    return 0;
}

static void no_operation_has_generation_zero(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.trace = look_at_user_data;
    ops_seen = 0;
    ops_unmarked = 0;
    assert_int_equal(run_config(&config, read_past_the_last_generation, NULL), 0);
    assert_int_equal(ops_seen, OPS_TASKS * OPS_EACH);
    assert_int_equal(ops_unmarked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_get_room_in_the_order_in_which_they_came_one_a_turn),
        cmocka_unit_test(the_loop_does_not_sleep_while_a_task_waits_for_room),
        cmocka_unit_test(a_task_that_comes_later_does_not_overtake_those_that_wait_for_room),
        cmocka_unit_test(room_that_was_promised_is_taken_by_nobody_else),
        cmocka_unit_test(room_that_is_not_wanted_any_more_goes_to_the_next_at_once),
        cmocka_unit_test(a_cancel_that_finds_no_room_is_sent_when_there_is_some),
        cmocka_unit_test(entries_are_submitted_in_the_middle_of_a_turn_when_they_are_many),
        cmocka_unit_test(an_entry_does_not_wait_long_for_company),
        cmocka_unit_test(completions_that_overflowed_reach_a_loop_that_never_sleeps),
        cmocka_unit_test(no_operation_has_generation_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
