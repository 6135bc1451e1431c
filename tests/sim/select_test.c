/* SPDX-License-Identifier: MIT */
/*
 * Select: each promise of rt/select.h.
 *
 * Cases are tasks, moments and channels, of which several are ready, or become so in one
 * step. After each select all that lost is looked at: items are counted, handles joined.
 * One case is of the test itself: it happens in the very step in which it is linked.
 */
#include "support/death.h"
#include "support/first.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/executor.h"
#include "core/select.h"
#include "os/sys.h"
#include "rt/rt.h"

#define MS(n)   RT_MILLISECONDS(n)
#define ROUNDS  10000
#define MANY    500

static uint32_t timers_armed(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.timers_armed;
}

static int return_it(void *arg)
{
    return (int)(intptr_t)arg;
}

static int sleep_then_return_it(void *arg)
{
    (void)rt_sleep_until(rt_in(MS(1)));
    return (int)(intptr_t)arg;
}

static struct rt_task *spawn(rt_task_fn fn, void *arg)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, fn, arg) == 0);
    return task;
}

static struct rt_task *spawn_value(rt_task_fn fn, intptr_t value)
{
    return spawn(fn, (void *)value); // NOLINT(performance-no-int-to-ptr)
}

static struct rt_chan *channel(size_t capacity)
{
    struct rt_chan *chan = NULL;

    T_CHECK(rt_chan_create(&chan, sizeof(uint64_t), capacity) == 0);
    return chan;
}

static void put(struct rt_chan *chan, uint64_t item)
{
    T_CHECK(rt_chan_send(chan, &item, 0) == 0);
}

/* Joins */

static int join_first(void *arg)
{
    static const int expected[2] = { -ETIME, 41 };

    (void)arg;
    for (int round = 0; round < 20; round++) {
        for (int waits = 0; waits < 2; waits++) {
            struct rt_task *tasks[2];
            int results[2] = { 99, 99 };
            int won;

            for (int i = 0; i < 2; i++) {
                tasks[i] = spawn_value(waits ? sleep_then_return_it : return_it, expected[i]);
            }
            if (!waits) {
                let_all_run();
            }
            struct rt_case cases[] = { rt_case_join(tasks[0], &results[0]),
                                       rt_case_join(tasks[1], &results[1]) };

            won = rt_select(cases, 2, RT_NEVER);
            T_CHECK((won == 0 || won == 1) && cases[won].result == 0);
            T_CHECK(results[won] == expected[won] && results[1 - won] == 99);
            T_CHECK(rt_join(tasks[1 - won], &results[1 - won], RT_NEVER) == 0);
            T_CHECK(results[1 - won] == expected[1 - won]);
            T_CHECK(tasks_live() == 1);
        }
    }
    return 0;
}

static void a_task_that_lost_keeps_its_handle(void **state)
{
    (void)state;
    run_first(join_first);
}

/* Channels */

static int keep_first(void *arg)
{
    struct rt_chan *from[2] = { channel(1), channel(1) };
    struct rt_chan *full = channel(1);
    uint64_t items[2] = { 0, 0 };
    const uint64_t out = 9;
    struct rt_case cases[] = { rt_case_chan_recv(from[0], &items[0]),
                               rt_case_chan_recv(from[1], &items[1]),
                               rt_case_chan_send(full, &out) };

    (void)arg;
    put(full, 1);
    for (int round = 0; round < 100; round++) {
        int won;

        put(from[0], 10);
        put(from[1], 11);
        items[0] = items[1] = 0;
        won = rt_select(cases, 3, RT_NEVER);
        T_CHECK((won == 0 || won == 1) && cases[won].result == 0);
        T_CHECK(items[won] == (uint64_t)(10 + won) && items[1 - won] == 0);
        T_CHECK(rt_chan_length(from[won]) == 0 && rt_chan_length(from[1 - won]) == 1);
        T_CHECK(rt_select(cases, 3, 0) == 1 - won); /* it is there at the next select */
        T_CHECK(rt_select(cases, 3, 0) == -ETIME);
        T_CHECK(rt_chan_length(full) == 1);
    }
    rt_chan_close(from[1]);
    T_CHECK(rt_select(cases, 3, RT_NEVER) == 1 && cases[1].result == -EPIPE);
    rt_chan_destroy(from[0]);
    rt_chan_destroy(from[1]);
    rt_chan_destroy(full);
    return 0;
}

static void a_channel_that_lost_keeps_its_item(void **state)
{
    (void)state;
    run_first(keep_first);
}

/* Two things happen in one step of another task, while it waits. */

struct both {
    struct rt_chan *chans[2];
};

static int send_to_both(void *arg)
{
    struct both *self = arg;

    put(self->chans[0], 20);
    put(self->chans[1], 21);
    return 0;
}

static int both_first(void *arg)
{
    struct both self = { { channel(4), channel(4) } };
    uint64_t items[2];
    struct rt_case cases[] = { rt_case_chan_recv(self.chans[0], &items[0]),
                               rt_case_chan_recv(self.chans[1], &items[1]) };

    (void)arg;
    for (unsigned round = 0; round < 1000; round++) { /* the same cases, again and again */
        struct rt_task *task = spawn(send_to_both, &self);
        int won = rt_select(cases, 2, RT_NEVER);

        T_CHECK(won == 0 && items[0] == 20); /* what came first */
        T_CHECK(rt_chan_length(self.chans[0]) == 0 && rt_chan_length(self.chans[1]) == 1);
        T_CHECK(rt_select(cases, 2, RT_NEVER) == 1 && items[1] == 21);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    }
    rt_chan_destroy(self.chans[0]);
    rt_chan_destroy(self.chans[1]);
    return 0;
}

static void of_two_things_that_happen_while_it_waits_the_second_is_not_lost(void **state)
{
    (void)state;
    run_first(both_first);
}

/* Chance */

static int fair_first(void *arg)
{
    struct rt_chan *chans[3] = { channel(1), channel(1), channel(1) };
    uint64_t item = 0;
    struct rt_case cases[] = { rt_case_chan_recv(chans[0], &item),
                               rt_case_chan_recv(chans[1], &item),
                               rt_case_chan_recv(chans[2], &item) };
    unsigned won[3] = { 0, 0, 0 };

    (void)arg;
    for (int i = 0; i < 3; i++) {
        put(chans[i], 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        const int i = rt_select(cases, 3, RT_NEVER);

        won[i]++;
        put(chans[i], 0); /* all are always ready */
    }
    for (int i = 0; i < 3; i++) { /* 47 is a standard deviation */
        T_CHECK(won[i] > ROUNDS / 3 - 300 && won[i] < ROUNDS / 3 + 300);
        rt_chan_destroy(chans[i]);
    }
    return 0;
}

static void where_all_could_happen_each_gets_its_share(void **state)
{
    (void)state;
    run_first(fair_first);
}

/* A busy channel, and a descriptor that only the kernel knows about. */
static int heard_first(void *arg)
{
    const int fd = rti_sys_eventfd();
    struct rt_chan *chan = channel(1);
    uint64_t item = 0;
    struct rt_case cases[] = { rt_case_chan_recv(chan, &item), rt_case_fd(fd, POLLIN) };
    unsigned won[2] = { 0, 0 };

    (void)arg;
    T_CHECK(rti_sys_eventfd_signal(fd) == 0);
    for (int round = 0; round < 1000; round++) {
        int i;

        if (rt_chan_length(chan) == 0) {
            put(chan, 0);
        }
        i = rt_select(cases, 2, RT_NEVER);
        T_CHECK(i == 0 || cases[1].result == POLLIN);
        won[i]++;
    }
    T_CHECK(won[0] > 400 && won[1] > 400); /* 16 is a standard deviation */
    rt_chan_destroy(chan);
    T_CHECK(rti_sys_close(fd) == 0);
    return 0;
}

static void a_busy_channel_does_not_keep_a_descriptor_from_being_heard(void **state)
{
    (void)state;
    run_first(heard_first);
}

/* Time */

static int at_first(void *arg)
{
    const rt_time begin = rt_now();
    struct rt_case cases[] = { rt_case_at(begin + MS(30)), rt_case_at(begin + MS(10)),
                               rt_case_at(begin + MS(20)), rt_case_at(RT_NEVER) };

    (void)arg;
    T_CHECK(rt_select(cases, 4, begin + MS(5)) == -ETIME);
    T_CHECK(rt_now() >= begin + MS(5));
    T_CHECK(rt_select(cases, 4, RT_NEVER) == 1 && cases[1].result == 0);
    T_CHECK(rt_now() >= begin + MS(10) && rt_now() < begin + MS(11));
    T_CHECK(rt_select(cases, 4, 0) == 1); /* it has come, and so has it still */
    cases[1] = rt_case_at(RT_NEVER);
    T_CHECK(rt_select(cases, 4, RT_NEVER) == 2);
    cases[2] = rt_case_at(RT_NEVER);
    T_CHECK(rt_select(cases, 4, RT_NEVER) == 0);
    T_CHECK(rt_now() >= begin + MS(30) && rt_now() < begin + MS(31));
    T_CHECK(rt_select(&cases[1], 3, rt_in(MS(1))) == -ETIME);
    T_CHECK(timers_armed() == 0);
    return 0;
}

static void a_moment_is_a_case(void **state)
{
    (void)state;
    run_first(at_first);
}

/* Cancel */

struct selecting {
    struct rt_chan *chan;
    struct rt_task *child;
    uint64_t item;
    int result;
    int won;
    int won_later;
};

static int select_two(void *arg)
{
    struct selecting *self = arg;
    struct rt_case cases[] = { rt_case_chan_recv(self->chan, &self->item),
                               rt_case_join(self->child, &self->result) };

    self->won = rt_select(cases, 2, RT_NEVER);
    self->won_later = rt_select(cases, 2, RT_NEVER);
    return 0;
}

static int cancel_first(void *arg)
{
    struct selecting self = { .chan = channel(4) };
    struct rt_task *task;

    (void)arg;
    for (int has_come = 0; has_come < 3; has_come++) {
        self.child = spawn_value(sleep_then_return_it, 6);
        self.item = 0;
        self.result = 99;
        task = spawn(select_two, &self);
        if (has_come == 2) { /* in a cancelled task what needs no wait is done */
            put(self.chan, 30);
            rt_cancel(task);
        } else {
            let_all_run();
            if (has_come == 1) { /* it came before the cancel */
                put(self.chan, 30);
            }
            rt_cancel(task);
        }
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
        T_CHECK(self.won == (has_come ? 0 : -ECANCELED) && self.won_later == -ECANCELED);
        T_CHECK(self.item == (has_come ? 30 : 0) && rt_chan_length(self.chan) == 0);
        T_CHECK(self.result == 99);
        T_CHECK(rt_join(self.child, &self.result, RT_NEVER) == 0 && self.result == 6);
        T_CHECK(tasks_live() == 1);
    }
    rt_chan_destroy(self.chan);
    return 0;
}

static void a_cancelled_select_has_taken_nothing(void **state)
{
    (void)state;
    run_first(cancel_first);
}

/* A case that happens when it is linked; those behind it are not even linked. */

struct sudden {
    unsigned links;
    unsigned taken;
    int leg_result;
};

static struct sudden sudden;

static bool not_now(struct rt_case *self)
{
    (void)self;
    return false;
}

static void never_abort(struct rti_waiter *waiter, int reason)
{
    (void)waiter;
    (void)reason;
    t_fail("a leg that is done is aborted", __FILE__, __LINE__);
}

static const struct rti_wait_kind sudden_kind = { .name = "sudden", .abort = never_abort };

static void finish_at_once(struct rt_case *self)
{
    sudden.links++;
    rti_waiter_finish(rti_case_leg(self, &sudden_kind, NULL), sudden.leg_result);
}

static void count_taken(struct rt_case *self)
{
    (void)self;
    sudden.taken++;
}

static const struct rti_case_ops sudden_ops = { not_now, finish_at_once, count_taken };

static int poll_sudden(struct rt_future *future)
{
    static struct rt_case cases[2];

    cases[0] = (struct rt_case){ .ops = &sudden_ops };
    cases[1] = cases[0];
    return rt_poll_select(future, cases, 2, 0);
}

static int sudden_first(void *arg)
{
    struct rt_chan *chan = channel(1);
    uint64_t item = 0;
    struct rt_case cases[] = { rt_case_chan_recv(chan, &item),
                               rt_case_at(rt_in(MS(10))),
                               { .ops = &sudden_ops },
                               { .ops = &sudden_ops } };
    struct rt_future future = RT_FUTURE_INIT(poll_sudden, NULL);

    (void)arg;
    for (int i = 0; i < 3; i++) {
        static const rt_time deadlines[] = { 0, MS(1000), RT_NEVER };

        sudden = (struct sudden){ .leg_result = 7 * i };
        T_CHECK(rt_select(cases, 4, i == 1 ? rt_in(deadlines[i]) : deadlines[i]) == 2);
        T_CHECK(cases[2].result == 7 * i && sudden.links == 1 && sudden.taken == 1);
        T_CHECK(timers_armed() == 0);
    }
    T_CHECK(rt_await(&future, RT_NEVER) == 0 && sudden.links == 2 && sudden.taken == 2);
    put(chan, 1); /* to nobody: the leg is not there any more */
    T_CHECK(rt_chan_length(chan) == 1 && item == 0);
    rt_chan_destroy(chan);
    return 0;
}

static void a_case_may_happen_while_it_is_linked(void **state)
{
    (void)state;
    run_first(sudden_first);
}

/* Many */

static int many_first(void *arg)
{
    struct rt_case *cases = calloc(MANY, sizeof(*cases));
    struct rt_chan *chans[MANY];
    uint64_t item = 0;

    (void)arg;
    for (int i = 0; i < MANY; i++) {
        chans[i] = channel(1);
        cases[i] = rt_case_chan_recv(chans[i], &item);
    }
    for (int i = 0; i < MANY; i += 83) {
        struct both last = { { chans[i], chans[MANY - 1 - i] } };
        struct rt_task *task = spawn(send_to_both, &last);

        T_CHECK(rt_select(cases, MANY, RT_NEVER) == i && item == 20);
        T_CHECK(rt_select(cases, MANY, RT_NEVER) == MANY - 1 - i && item == 21);
        T_CHECK(rt_select(cases, MANY, rt_in(MS(1))) == -ETIME);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    }
    for (int i = 0; i < MANY; i++) {
        rt_chan_destroy(chans[i]);
    }
    free(cases);
    return 0;
}

static void a_select_may_have_many_cases(void **state)
{
    (void)state;
    run_first(many_first);
}

/* Two tasks select over the same channels: items go to whoever waited first. */

static int take_ten(void *arg)
{
    struct both *self = arg;
    uint64_t items[2];
    struct rt_case cases[] = { rt_case_chan_recv(self->chans[0], &items[0]),
                               rt_case_chan_recv(self->chans[1], &items[1]) };
    int sum = 0;

    for (int i = 0; i < 10; i++) {
        const int won = rt_select(cases, 2, RT_NEVER);

        T_CHECK(won >= 0);
        sum += won >= 0 ? (int)items[won] : 0;
    }
    return sum;
}

static int rivals_first(void *arg)
{
    struct both self = { { channel(2), channel(2) } };
    struct rt_task *rivals[2] = { spawn(take_ten, &self), spawn(take_ten, &self) };
    int sums[2] = { 0, 0 };

    (void)arg;
    for (uint64_t i = 0; i < 20; i++) {
        T_CHECK(rt_chan_send(self.chans[i % 3 == 0], &i, RT_NEVER) == 0);
    }
    T_CHECK(rt_join(rivals[0], &sums[0], RT_NEVER) == 0);
    T_CHECK(rt_join(rivals[1], &sums[1], RT_NEVER) == 0);
    T_CHECK(sums[0] + sums[1] == 19 * 20 / 2); /* each item once */
    rt_chan_destroy(self.chans[0]);
    rt_chan_destroy(self.chans[1]);
    return 0;
}

static void tasks_that_select_over_the_same_things_share_them(void **state)
{
    (void)state;
    run_first(rivals_first);
}

/* From a poll function */

struct selector {
    struct rt_future future;
    struct rt_chan *chan;
    struct rt_task *child;
    struct rt_case cases[2];
    uint64_t item;
    int result;
    rt_time deadline;
    unsigned pendings;
    unsigned wins[2];
};

static int poll_selector(struct rt_future *future)
{
    struct selector *self = (struct selector *)future;

    for (;;) {
        const int r = rt_poll_select(future, self->cases, 2, self->deadline);

        if (r < 0) {
            self->pendings += r == RT_PENDING;
            return r;
        }
        self->wins[r]++;
        if (r == 1) {
            return self->result;
        }
    }
}

static int poll_first(void *arg)
{
    struct selector self = { .future = RT_FUTURE_INIT(poll_selector, NULL),
                             .chan = channel(1),
                             .deadline = RT_NEVER };
    struct rt_task *task;
    int result = 0;

    (void)arg;
    self.child = spawn_value(sleep_then_return_it, 44);
    self.cases[0] = rt_case_chan_recv(self.chan, &self.item);
    self.cases[1] = rt_case_join(self.child, &self.result);
    T_CHECK(rt_spawn_future(&task, &self.future) == 0);
    for (uint64_t i = 0; i < 5; i++) {
        T_CHECK(rt_chan_send(self.chan, &i, RT_NEVER) == 0);
        rt_yield();
    }
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 44);
    T_CHECK(self.wins[0] == 5 && self.wins[1] == 1 && self.pendings > 0);
    T_CHECK(tasks_live() == 1);

    self.deadline = 0;
    self.cases[1] = rt_case_at(RT_NEVER);
    T_CHECK(rt_await(&self.future, RT_NEVER) == -ETIME);
    self.deadline = rt_in(MS(1));
    T_CHECK(rt_await(&self.future, RT_NEVER) == -ETIME);
    put(self.chan, 1);
    T_CHECK(rt_await(&self.future, 0) == -ETIME && self.wins[0] == 6);
    rt_chan_destroy(self.chan);
    return 0;
}

static void a_future_selects_too(void **state)
{
    (void)state;
    run_first(poll_first);
}

/* Misuse */

static int no_case_misuse(void *arg)
{
    struct rt_case none = rt_case_at(0);

    (void)arg;
    return rt_select(&none, 0, 0);
}

static int itself_misuse(void *arg)
{
    struct rt_case cases[1];

    cases[0] = rt_case_join(*(struct rt_task **)arg, NULL);
    return rt_select(cases, 1, RT_NEVER);
}

static int join_itself_misuse(void *arg)
{
    struct rt_task *task = NULL;

    (void)arg;
    task = spawn(itself_misuse, &task);
    return rt_join(task, NULL, RT_NEVER);
}

static int twice_misuse(void *arg)
{
    struct rt_task *child = spawn_value(return_it, 0);
    struct rt_case cases[] = { rt_case_join(child, NULL) };

    (void)arg;
    T_CHECK(rt_select(cases, 1, RT_NEVER) == 0);
    return rt_select(cases, 1, RT_NEVER);
}

static int join_it(void *arg)
{
    return rt_join(arg, NULL, RT_NEVER);
}

static int joined_misuse(void *arg)
{
    struct rt_task *child = spawn_value(sleep_then_return_it, 0);
    struct rt_case cases[] = { rt_case_join(child, NULL) };

    (void)arg;
    (void)spawn(join_it, child);
    let_all_run();
    return rt_select(cases, 1, RT_NEVER);
}

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(no_case_misuse, "rt_select(): 0 cases");
    assert_misuse_in_task(join_itself_misuse, "a task cannot join itself");
    assert_misuse_in_task(twice_misuse, "rt_select(): not a join handle, or it has ended");
    assert_misuse_in_task(joined_misuse, "is being joined by another task");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_lost_keeps_its_handle),
        cmocka_unit_test(a_channel_that_lost_keeps_its_item),
        cmocka_unit_test(of_two_things_that_happen_while_it_waits_the_second_is_not_lost),
        cmocka_unit_test(where_all_could_happen_each_gets_its_share),
        cmocka_unit_test(a_busy_channel_does_not_keep_a_descriptor_from_being_heard),
        cmocka_unit_test(a_moment_is_a_case),
        cmocka_unit_test(a_cancelled_select_has_taken_nothing),
        cmocka_unit_test(a_case_may_happen_while_it_is_linked),
        cmocka_unit_test(a_select_may_have_many_cases),
        cmocka_unit_test(tasks_that_select_over_the_same_things_share_them),
        cmocka_unit_test(a_future_selects_too),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
