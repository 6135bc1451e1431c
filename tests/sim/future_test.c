/* SPDX-License-Identifier: MIT */
/*
 * Futures as tasks: each way to end, and what came of their waits by then.
 *
 * Requests are held in the simulated kernel where a future is to end while one is in
 * flight.
 */
#include "future_probe.h"

#include <liburing.h>
#include <string.h>

static int results_first(void *arg)
{
    static const int results[] = { 0, 1, INT_MAX, -ETIME, -ECANCELED, INT_MIN + 1 };

    (void)arg;
    for (size_t i = 0; i < ALL_WAYS; i++) {
        struct probe *self = probe_new(all_ways[i]);
        struct rt_task *task;

        self->result = results[i % (sizeof(results) / sizeof(results[0]))];
        task = spawn_probe(self);
        T_CHECK(self->polls == 0); /* it is put behind all others */
        help(self);
        T_CHECK(join(task) == self->result);
        T_CHECK(self->waited == (self->way == BY_READ || self->way == BY_BOTH ? 4 : 0));
        T_CHECK(self->item == (self->chan != NULL ? 7 : 0));
        probe_free(self);
        T_CHECK(tasks_live() == 1);
    }
    return 0;
}

static void a_future_is_polled_until_it_has_a_result_and_then_dropped_once(void **state)
{
    (void)state;
    run_first(results_first);
}

static int unborn_first(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < ALL_WAYS; i++) {
        struct probe *self = probe_new(all_ways[i]);
        struct rt_task *task = spawn_probe(self);

        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED);
        T_CHECK(self->polls == 0);
        probe_free(self);
        T_CHECK(tasks_live() == 1);
    }
    return 0;
}

static void a_future_that_is_cancelled_before_its_first_poll_is_only_dropped(void **state)
{
    (void)state;
    run_first(unborn_first);
}

static int waiting_first(void *arg)
{
    (void)arg;
    for (size_t i = 1; i < ALL_WAYS; i++) {
        struct probe *self = probe_new(all_ways[i]);
        struct rt_task *task;
        unsigned polls;

        sim_hold(IORING_OP_READ, SIM_QUEUED);
        self->wants_in_drop = self->way != BY_WAKER && self->way != BY_BOTH;
        task = spawn_probe(self);
        let_all_run();
        polls = self->polls;
        T_CHECK(polls > 0 && self->waited == RT_PENDING);
        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED);
        sim_unhold();
        T_CHECK(self->polls == polls); /* not once more */
        T_CHECK(self->dropped == (self->wants_in_drop ? -ECANCELED : 0));
        probe_free(self);
        T_CHECK(tasks_live() == 1);
    }
    return 0;
}

static void a_future_that_is_cancelled_while_it_waits_is_not_polled_again(void **state)
{
    (void)state;
    run_first(waiting_first);
}

/* The kernel has the buffer, and a cancel does not reach the request. */
static int in_flight_first(void *arg)
{
    static const enum way ways[] = { BY_READ, BY_BOTH };

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct probe *self = probe_new(ways[i]);
        struct rt_task *task;

        sim_hold(IORING_OP_READ, SIM_RUNNING);
        self->wants_in_drop = self->way == BY_READ;
        task = spawn_probe(self);
        let_all_run();
        rt_cancel(task);
        T_CHECK(rt_join(task, NULL, rt_in(RT_MILLISECONDS(10))) == -ETIME);
        T_CHECK(self->drops == 0);
        T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
        T_CHECK(join(task) == -ECANCELED);
        sim_unhold();
        T_CHECK(memcmp(self->buf, "abcd", 4) == 0);
        T_CHECK(self->dropped == (self->wants_in_drop ? 4 : 0)); /* it was read, after all */
        probe_free(self);
    }
    return 0;
}

static void a_future_is_dropped_when_the_kernel_has_let_go_of_its_memory(void **state)
{
    (void)state;
    run_first(in_flight_first);
}

/* It came, and then the cancel, before the future was polled again. */
static int had_in_drop_first(void *arg)
{
    static const enum way ways[] = { BY_CHAN, BY_SELECT };
    const uint64_t item = 5;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct probe *self = probe_new(ways[i]);
        struct rt_task *task;

        self->wants_in_drop = true;
        task = spawn_probe(self);
        let_all_run();
        T_CHECK(rt_chan_send(self->chan, &item, 0) == 0);
        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED);
        T_CHECK(self->dropped == 0 && self->item == 5);
        T_CHECK(rt_chan_length(self->chan) == 0);
        probe_free(self);
    }
    return 0;
}

static void what_had_come_before_a_cancel_is_had_in_drop(void **state)
{
    (void)state;
    run_first(had_in_drop_first);
}

/* In drop with nothing begun: nothing begins, whoever uses the object. */
static int nothing_begins_first(void *arg)
{
    const uint64_t item = 5;

    (void)arg;
    for (size_t i = 0; i < ALL_WAYS; i++) {
        struct probe *self = probe_new(all_ways[i]);
        struct rt_task *task;

        if (self->way == NO_WAIT || self->way == BY_WAKER || self->way == BY_BOTH) {
            self->drops = 1;
            probe_free(self);
            continue;
        }
        if (self->chan != NULL) {
            T_CHECK(rt_chan_send(self->chan, &item, 0) == 0);
        }
        self->wants_in_drop = true;
        task = spawn_probe(self);
        rt_cancel(task);
        T_CHECK(join(task) == -ECANCELED);
        T_CHECK(self->polls == 0 && self->dropped == -ECANCELED && self->item == 0);
        probe_free(self);
    }
    return 0;
}

static void in_drop_nothing_begins(void **state)
{
    (void)state;
    run_first(nothing_begins_first);
}

/* The executor stops: the first task returns while futures wait. */

static struct probe *left[ALL_WAYS];

static void drop_with_channel(struct rt_future *future)
{
    struct rt_chan *chan = ((struct probe *)future)->chan;

    probe_drop(future);
    if (chan != NULL) {
        rt_chan_destroy(chan); /* after the first task has returned nobody else could */
    }
}

static int stop_first(void *arg)
{
    (void)arg;
    for (size_t i = 1; i < ALL_WAYS; i++) {
        left[i] = probe_new(all_ways[i]);
        if (left[i]->file != NULL) { /* the file is closed by nobody else */
            left[i]->drops = 1;
            probe_free(left[i]);
            left[i] = NULL;
            continue;
        }
        left[i]->future.drop = drop_with_channel;
        T_CHECK(rt_spawn_future(NULL, &left[i]->future) == 0);
    }
    let_all_run();
    return 0;
}

static void futures_end_with_the_executor(void **state)
{
    unsigned ended = 0;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    sim_file_put("data", "abcdefgh", 8);
    assert_int_equal(rt_run(NULL, stop_first, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    for (size_t i = 1; i < ALL_WAYS; i++) {
        if (left[i] != NULL) {
            assert_int_equal(left[i]->drops, 1);
            ended++;
            free(left[i]);
        }
    }
    assert_int_equal(ended, 4);
    assert_int_equal(t_failures(), 0);
}

/* Spawning */

static int spawn_first(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options),
                                              .name = "a future",
                                              .stack_bytes = 1 << 30 };
    const struct {
        struct rt_spawn_options options;
        uint64_t more;
    } newer = { { .size = sizeof(newer) }, 1 };
    struct probe *self = probe_new(BY_WAKER);
    struct probe *more = probe_new(NO_WAIT);
    struct rt_group group = RT_GROUP_INIT;
    struct rt_task *none = NULL;
    struct rt_stats stats;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn_future_with(&none, &self->future, &newer.options) == -E2BIG && none == NULL);
    T_CHECK(rt_spawn_future_with(&task, &self->future, &options) == 0); /* needs no stack */
    T_CHECK(strcmp(rt_task_name(task), "a future") == 0);
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.tasks_live == 2 && stats.stacks_in_use == 1);
    T_CHECK(rt_spawn_future(&none, &more->future) == -EAGAIN && none == NULL); /* tasks_max */
    T_CHECK(rt_group_spawn_future(&group, &more->future) == -EAGAIN);
    help(self);
    T_CHECK(join(task) == 42);
    T_CHECK(rt_group_spawn_future(&group, &more->future) == 0);
    T_CHECK(rt_group_live(&group) == 1);
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0);
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    probe_free(self);
    probe_free(more);
    return 0;
}

static void a_future_is_a_task_in_all_but_its_stack(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.tasks_max = 2;
    assert_int_equal(run_config(&config, spawn_first, NULL), 0);
}

static int group_first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct probe *probes[ALL_WAYS];

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    for (size_t i = 0; i < ALL_WAYS; i++) {
        probes[i] = probe_new(all_ways[i]);
        probes[i]->is_one_of_many = true;
        T_CHECK(rt_group_spawn_future(&group, &probes[i]->future) == 0);
    }
    let_all_run();
    T_CHECK(rt_group_live(&group) == ALL_WAYS - 1);
    T_CHECK(rt_group_leave(&group, rt_in(RT_MICROSECONDS(10))) == 0); /* cancelled: no failure */
    sim_unhold();
    for (size_t i = 0; i < ALL_WAYS; i++) {
        probe_free(probes[i]);
    }
    T_CHECK(tasks_live() == 1);
    return 0;
}

static void a_group_ends_its_futures(void **state)
{
    (void)state;
    run_first(group_first);
}

static struct probe *shut_out;

static int spawn_while_draining(void *arg)
{
    struct rt_task *task = NULL;

    (void)arg;
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    T_CHECK(rt_spawn_future(&task, &shut_out->future) == -ESHUTDOWN && task == NULL);
    return 0;
}

static int drain_first(void *arg)
{
    (void)arg;
    T_CHECK(rt_spawn(NULL, spawn_while_draining, NULL) == 0);
    rt_yield();
    return 0;
}

static void no_future_is_spawned_when_the_executor_stops(void **state)
{
    (void)state;
    shut_out = probe_new(NO_WAIT);
    run_first(drain_first);
    assert_int_equal(shut_out->polls + shut_out->drops, 0);
    free(shut_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_is_polled_until_it_has_a_result_and_then_dropped_once),
        cmocka_unit_test(a_future_that_is_cancelled_before_its_first_poll_is_only_dropped),
        cmocka_unit_test(a_future_that_is_cancelled_while_it_waits_is_not_polled_again),
        cmocka_unit_test(a_future_is_dropped_when_the_kernel_has_let_go_of_its_memory),
        cmocka_unit_test(what_had_come_before_a_cancel_is_had_in_drop),
        cmocka_unit_test(in_drop_nothing_begins),
        cmocka_unit_test(futures_end_with_the_executor),
        cmocka_unit_test(a_future_is_a_task_in_all_but_its_stack),
        cmocka_unit_test(a_group_ends_its_futures),
        cmocka_unit_test(no_future_is_spawned_when_the_executor_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
