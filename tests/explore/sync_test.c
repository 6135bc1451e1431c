/* SPDX-License-Identifier: MIT */
/*
 * Condition, event, gate and once, in every order.
 *
 * A task waits, another one lets it go on, and a cancel and a deadline may come at
 * any moment: what came first counts. Whoever comes back from a condition holds
 * the mutex; whoever closes a gate is alone; what is done once is done once.
 */
#include "support/harness.h"

#include <errno.h>

#include "explore/causes.h"
#include "explore/world.h"

static struct rt_task *task;
static bool is_waiting; /* the task, for what the other one does */

static void cancel(void)
{
    came(CANCELLED);
    rti_task_cancel(task);
}

static bool is_there(void)
{
    return task != NULL;
}

/* What a wait that begins now must return: whether that is known already. */
static bool ends_at_once(int *expected)
{
    *expected = has_come(CANCELLED) ? -ECANCELED : -ETIME;
    return has_come(CANCELLED) || has_come(TIMED_OUT);
}

/* ---- condition ---- */

static struct rt_mutex mutex;
static struct rt_condition condition;
static bool flag; /* guarded by the mutex */

static int wait_for_flag(void *arg)
{
    int r = 0;

    (void)arg;
    if (rt_mutex_lock(&mutex, RT_NEVER) < 0) {
        EXPLORE_CHECK(has_come(CANCELLED));
        task = NULL;
        return 0;
    }
    while (r == 0 && !flag) {
        int expected;
        const bool is_known = ends_at_once(&expected);

        is_waiting = !is_known;
        r = rt_condition_wait(&condition, &mutex, deadline);
        EXPLORE_CHECK(mutex.owner == task && "it holds the mutex, whatever the result");
        EXPLORE_CHECK(r == (is_known ? expected : result_of(first_cause())));
    }
    EXPLORE_CHECK(r < 0 || flag);
    rt_mutex_unlock(&mutex);
    task = NULL;
    return 0;
}

static int set_flag(void *arg)
{
    (void)arg;
    world_gate();
    EXPLORE_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    flag = true;
    if (is_waiting) {
        came(HAPPENED);
    }
    if (explore_choose(2, "whether to signal or to broadcast") == 0) {
        rt_condition_signal(&condition);
    } else {
        rt_condition_broadcast(&condition);
    }
    world_gate(); /* all may come while the mutex is held */
    EXPLORE_CHECK(mutex.owner == world_executor.running);
    rt_mutex_unlock(&mutex);
    return 0;
}

static int hold_mutex(void *arg)
{
    (void)arg;
    world_gate();
    EXPLORE_CHECK(rt_mutex_lock(&mutex, RT_NEVER) == 0);
    rt_mutex_unlock(&mutex);
    return 0;
}

static void setup_condition(void)
{
    causes_begin();
    mutex = (struct rt_mutex)RT_MUTEX_INIT;
    condition = (struct rt_condition)RT_CONDITION_INIT;
    flag = false;
    is_waiting = false;
    world_spawn(&task, "waiter", wait_for_flag, NULL);
    rt_detach(task);
    world_spawn(NULL, "signaller", set_flag, NULL);
    world_spawn(NULL, "holder", hold_mutex, NULL);
}

static void who_comes_back_from_a_condition_holds_the_mutex(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "condition",
                                 .setup = setup_condition,
                                 .check = look_at_the_clock,
                                 .events = { { "cancel", cancel, is_there, 1 } },
                                 .timeouts = 1,
                                 .spurious = 1,
                                 .runs_max = 300000,
                                 .outcomes = { "signalled", "cancelled", "timed out" } }));
}

/* ---- event ---- */

static struct rt_event event;

static int wait_for_event(void *arg)
{
    int expected = 0;
    bool is_known;
    int r;

    (void)arg;
    world_gate();
    is_known = rt_event_is_set(&event) || ends_at_once(&expected);
    if (rt_event_is_set(&event)) {
        expected = 0;
    }
    is_waiting = !is_known;
    r = rt_event_wait(&event, deadline);
    EXPLORE_CHECK(r == (is_known ? expected : result_of(first_cause())));
    task = NULL;
    return 0;
}

static int set_event(void *arg)
{
    (void)arg;
    world_gate();
    if (is_waiting) {
        came(HAPPENED);
    }
    rt_event_set(&event);
    if (explore_choose(2, "whether the event is reset at once") == 1) {
        rt_event_reset(&event); /* who has waited goes on all the same */
    }
    return 0;
}

static void setup_event(void)
{
    causes_begin();
    event = (struct rt_event)RT_EVENT_INIT;
    is_waiting = false;
    world_spawn(&task, "waiter", wait_for_event, NULL);
    rt_detach(task);
    world_spawn(NULL, "setter", set_event, NULL);
}

/* It was set and reset before the task came. */
static bool release_waiter(void)
{
    if (task != NULL) {
        cancel();
        return true;
    }
    return false;
}

static void an_event_lets_all_go_who_wait(void **state)
{
    (void)state;
    assert_true(
        world_explore(&(struct world_program){ .name = "event",
                                               .setup = setup_event,
                                               .check = look_at_the_clock,
                                               .release = release_waiter,
                                               .events = { { "cancel", cancel, is_there, 1 } },
                                               .settled = true,
                                               .timeouts = 1,
                                               .spurious = 1,
                                               .runs_max = 100000,
                                               .outcomes = { "set", "cancelled", "timed out" } }));
}

/* ---- gate ---- */

static struct rt_gate gate;
static unsigned inside;
static bool is_closed;

static int pass_gate(void *arg)
{
    const bool *comes_late = arg;
    int r;

    if (*comes_late) {
        world_gate();
    }
    r = rt_gate_enter(&gate);
    EXPLORE_CHECK(r == (is_closed ? -EPIPE : 0));
    if (r == 0) {
        inside++;
        world_gate();
        inside--;
        if (inside == 0 && is_waiting) {
            came(HAPPENED);
        }
        rt_gate_leave(&gate);
    }
    return 0;
}

static int close_gate(void *arg)
{
    int r;

    (void)arg;
    world_gate();
    is_closed = true;
    if (inside == 0) {
        EXPLORE_CHECK(rt_gate_close(&gate, deadline) == 0);
    } else {
        const bool is_late = has_come(TIMED_OUT);

        is_waiting = !is_late;
        r = rt_gate_close(&gate, deadline);
        if (is_late) {
            EXPLORE_CHECK(r == -ETIME);
        } else { /* a cancel does not end it */
            cause_moments[CANCELLED] = 0;
            EXPLORE_CHECK(r == result_of(first_cause()));
        }
        if (r < 0) {
            is_waiting = false;
            EXPLORE_CHECK(rt_gate_close(&gate, RT_NEVER) == 0);
        }
    }
    EXPLORE_CHECK(inside == 0);
    task = NULL;
    return 0;
}

static void setup_gate(void)
{
    static const bool early = false;
    static const bool late = true;

    causes_begin();
    gate = (struct rt_gate)RT_GATE_INIT;
    inside = 0;
    is_closed = false;
    is_waiting = false;
    world_spawn(&task, "closer", close_gate, NULL);
    rt_detach(task);
    world_spawn(NULL, "early", pass_gate, (void *)(uintptr_t)&early);
    world_spawn(NULL, "late", pass_gate, (void *)(uintptr_t)&late);
}

static void a_gate_is_closed_when_the_last_has_left(void **state)
{
    (void)state;
    assert_true(
        world_explore(&(struct world_program){ .name = "gate",
                                               .setup = setup_gate,
                                               .check = look_at_the_clock,
                                               .events = { { "cancel", cancel, is_there, 1 } },
                                               .settled = true,
                                               .timeouts = 1,
                                               .runs_max = 200000 }));
}

/* ---- once ---- */

#define CALLERS 3

static struct rt_once once;
static struct rt_task *callers[CALLERS];
static bool is_running;
static bool is_done;
static unsigned runs;

enum { RAN, RAN_IN_VAIN, GOT_RESULT, GAVE_UP };

static int do_once(void *arg)
{
    int r = 5;

    (void)arg;
    EXPLORE_CHECK(!is_running && !is_done);
    is_running = true;
    runs++;
    world_gate();
    is_running = false;
    if (explore_choose(2, "whether it fails") == 1) {
        r = -EIO;
    }
    is_done = r >= 0;
    return r;
}

static int call_once(void *arg)
{
    struct rt_task **self = arg;
    unsigned before;
    bool was_done;
    int r;

    if (self == &callers[2]) {
        world_gate(); /* also between the failure of one and the run of the next */
    }
    before = runs;
    was_done = is_done;
    r = rt_once_run(&once, do_once, NULL, self == &callers[1] ? deadline : RT_NEVER);
    EXPLORE_CHECK(!was_done || (r == 5 && runs == before));
    if (r == -EIO) {
        explore_met(RAN_IN_VAIN);
    } else if (r < 0) {
        EXPLORE_CHECK(self == &callers[1]);
        EXPLORE_CHECK(r == -ECANCELED ? has_come(CANCELLED) : r == -ETIME && has_come(TIMED_OUT));
        explore_met(GAVE_UP);
    } else {
        EXPLORE_CHECK(r == 5 && is_done);
        explore_met(runs == before ? GOT_RESULT : RAN);
    }
    *self = NULL;
    return 0;
}

static void cancel_second(void)
{
    came(CANCELLED);
    rti_task_cancel(callers[1]);
}

static bool second_is_there(void)
{
    return callers[1] != NULL;
}

static void setup_once(void)
{
    static const char *const names[CALLERS] = { "first", "second", "third" };

    causes_begin();
    once = (struct rt_once)RT_ONCE_INIT;
    is_running = false;
    is_done = false;
    runs = 0;
    for (unsigned i = 0; i < CALLERS; i++) {
        world_spawn(&callers[i], names[i], call_once, &callers[i]);
        rt_detach(callers[i]);
    }
}

static void what_is_done_once_is_done_by_one_until_it_succeeds(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "once",
        .setup = setup_once,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel_second, second_is_there, 1 } },
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "ran", "ran in vain", "got the result", "gave up" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_back_from_a_condition_holds_the_mutex),
        cmocka_unit_test(an_event_lets_all_go_who_wait),
        cmocka_unit_test(a_gate_is_closed_when_the_last_has_left),
        cmocka_unit_test(what_is_done_once_is_done_by_one_until_it_succeeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
