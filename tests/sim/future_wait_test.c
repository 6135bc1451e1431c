/* SPDX-License-Identifier: MIT */
/*
 * Waits of futures: begun once, looked at after that, with time, joins and the ring.
 */
#include "future_probe.h"

#include <liburing.h>

/* Waits: begun once, looked at after that */

static int time_first(void *arg)
{
    struct probe *self = probe_new(BY_SLEEP);
    const rt_time begin = rt_now();

    (void)arg;
    T_CHECK(join(spawn_probe(self)) == 42);
    T_CHECK(rt_now() >= begin + RT_MILLISECONDS(1)); /* never shorter */
    T_CHECK(rt_now() < begin + RT_MILLISECONDS(2));
    probe_free(self);
    return 0;
}

struct late {
    struct rt_future future;
    struct rt_waker waker;
    unsigned polls;
    rt_time ended;
};

/* Each poll asks for a later moment: the first one counts. */
static int poll_late(struct rt_future *future)
{
    struct late *self = (struct late *)future;
    int r;

    self->polls++;
    self->waker = rt_waker_self();
    r = rt_poll_sleep(future, rt_in(RT_MILLISECONDS(10)));
    self->ended = rt_now();
    return r;
}

static int late_first(void *arg)
{
    struct late late = { .future = RT_FUTURE_INIT(poll_late, NULL) };
    const rt_time begin = rt_now();
    struct rt_task *task;
    unsigned wakes = 0;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &late.future) == 0);
    rt_yield();
    while (!rt_is_finished(task)) {
        rt_wake(late.waker); /* polled for nothing */
        wakes++;
        pause_for(RT_MILLISECONDS(1));
    }
    T_CHECK(join(task) == 0);
    T_CHECK(wakes >= 9 && late.polls > wakes);
    T_CHECK(late.ended >= begin + RT_MILLISECONDS(10) && late.ended < begin + RT_MILLISECONDS(13));
    return 0;
}

static void a_sleep_is_as_long_as_it_was_first_asked_for(void **state)
{
    (void)state;
    run_first(time_first);
    run_first(late_first);
}

/* A wake while it runs is not lost, and others run before the next poll. */

struct yielder {
    struct rt_future future;
    unsigned left;
    unsigned *others;
    unsigned seen;
};

static int poll_yielder(struct rt_future *future)
{
    struct yielder *self = (struct yielder *)future;

    T_CHECK(self->left == 10 || *self->others > self->seen);
    self->seen = *self->others;
    if (self->left-- == 0) {
        return 0;
    }
    rt_wake(rt_waker_self());
    return RT_PENDING;
}

static int yield_first(void *arg)
{
    unsigned others = 0;
    struct yielder yielder = { .future = RT_FUTURE_INIT(poll_yielder, NULL),
                               .left = 10,
                               .others = &others };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &yielder.future) == 0);
    while (!rt_is_finished(task)) {
        others++;
        rt_yield();
    }
    T_CHECK(join(task) == 0 && others <= 13);
    return 0;
}

static void a_future_yields_by_a_wake_of_its_own(void **state)
{
    (void)state;
    run_first(yield_first);
}

/* Joins */

struct joining {
    struct rt_future future;
    struct rt_task *task;
    rt_time deadline;
    int joined;
    int result;
};

static struct rt_task *left_task;

static int poll_joining(struct rt_future *future)
{
    struct joining *self = (struct joining *)future;

    self->joined = rt_poll_join(future, self->task, &self->result, self->deadline);
    return self->joined;
}

static int sleep_then_9(void *arg)
{
    (void)arg;
    (void)rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    return 9;
}

static int join_first(void *arg)
{
    struct joining self = { .future = RT_FUTURE_INIT(poll_joining, NULL), .deadline = 0 };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&self.task, sleep_then_9, NULL) == 0);
    T_CHECK(rt_await(&self.future, RT_NEVER) == -ETIME && self.result == 0);
    self.deadline = rt_in(RT_MICROSECONDS(10));
    T_CHECK(rt_await(&self.future, RT_NEVER) == -ETIME && self.result == 0);
    self.deadline = RT_NEVER;
    T_CHECK(rt_spawn_future(&task, &self.future) == 0);
    let_all_run();
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED && !rt_is_finished(self.task)); /* the handle is left */
    T_CHECK(rt_spawn_future(&task, &self.future) == 0);
    T_CHECK(join(task) == 0 && self.result == 9);
    T_CHECK(tasks_live() == 1);

    T_CHECK(rt_spawn(&self.task, sleep_then_9, NULL) == 0);
    while (!rt_is_finished(self.task)) {
        pause_for(RT_MILLISECONDS(1));
    }
    self.deadline = 0;
    T_CHECK(rt_await(&self.future, 0) == 0 && self.result == 9); /* nothing to wait for */
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_future_joins_as_a_fiber_does(void **state)
{
    (void)state;
    run_first(join_first);
}

/* Each poll names another task; the one that the wait was begun with counts. */
static int poll_changing(struct rt_future *future)
{
    struct joining *self = (struct joining *)future;
    struct rt_task *task = self->joined++ == 0 ? self->task : left_task;

    return rt_poll_join(future, task, &self->result, RT_NEVER);
}

static int changing_first(void *arg)
{
    struct joining self = { .future = RT_FUTURE_INIT(poll_changing, NULL) };

    (void)arg;
    T_CHECK(rt_spawn(&left_task, sleep_then_9, NULL) == 0);
    pause_for(RT_MICROSECONDS(10));
    T_CHECK(rt_spawn(&self.task, sleep_then_9, NULL) == 0);
    T_CHECK(rt_await(&self.future, RT_NEVER) == 0 && self.result == 9);
    T_CHECK(tasks_live() == 2); /* one handle has ended */
    T_CHECK(join(left_task) == 9);
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void what_a_wait_was_begun_with_counts(void **state)
{
    (void)state;
    run_first(changing_first);
}

static int poll_nops(struct rt_future *future)
{
    struct late *self = (struct late *)future;

    while (self->polls < 10) {
        const int r = rt_poll_nop(future, RT_NEVER);

        if (r != 0) {
            return r;
        }
        self->polls++;
    }
    return 3;
}

static int nop_first(void *arg)
{
    struct late late = { .future = RT_FUTURE_INIT(poll_nops, NULL) };
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future(&task, &late.future) == 0);
    T_CHECK(join(task) == 3);
    T_CHECK(sim_stats()->by_opcode[IORING_OP_NOP] == 10);
    return 0;
}

static void each_round_through_the_ring_is_one_request(void **state)
{
    (void)state;
    run_first(nop_first);
}

/* More futures than the queue of the ring has entries: those without wait for room. */

#define CROWD 20

static int crowd_first(void *arg)
{
    struct late crowd[CROWD];
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct late){ .future = RT_FUTURE_INIT(poll_nops, NULL) };
        T_CHECK(rt_group_spawn_future(&group, &crowd[i].future) == 0);
    }
    for (int i = 0; i < 10; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0);
    T_CHECK(sim_stats()->by_opcode[IORING_OP_NOP] == 10 * CROWD);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    return 0;
}

static void futures_bear_a_full_ring(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.ring_entries = 1;
    assert_int_equal(run_config(&config, crowd_first, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleep_is_as_long_as_it_was_first_asked_for),
        cmocka_unit_test(a_future_yields_by_a_wake_of_its_own),
        cmocka_unit_test(a_future_joins_as_a_fiber_does),
        cmocka_unit_test(what_a_wait_was_begun_with_counts),
        cmocka_unit_test(each_round_through_the_ring_is_one_request),
        cmocka_unit_test(futures_bear_a_full_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
