/* SPDX-License-Identifier: MIT */
/*
 * Readiness as a case of a select: what loses, what comes too late, and who is first.
 *
 * Poll requests are held in the kernel where a case is to lose, or to win, while one is
 * in flight, or are kept out of the ring; after each select the runtime must have none left.
 */
#include "peer_stream.h"

#include <poll.h>

#define ROUNDS 10000

/* Losers */

static struct rt_chan *chan;

static void send_item(void)
{
    const uint64_t item = 5;

    T_CHECK(rt_chan_send(chan, &item, 0) == 0);
}

static const struct deed sending_item = { send_item };

static int lose_first(void *arg)
{
    uint64_t item = 0;
    struct rt_case cases[3];
    struct rt_task *task;

    (void)arg;
    open_stream();
    T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
    cases[0] = rt_case_readable(stream);
    cases[1] = rt_case_chan_recv(chan, &item);
    cases[2] = rt_case_acceptable(listener);
    task = later(&sending_item);
    T_CHECK(rt_select(cases, 3, RT_NEVER) == 1 && item == 5);
    T_CHECK(in_flight() == 0); /* the polls are cancelled, and over */
    T_CHECK(join(task) == 0);
    send_text();
    T_CHECK(rt_select(cases, 3, RT_NEVER) == 0);
    stream_has("text");
    rt_chan_destroy(chan);
    close_all(); /* nothing uses the stream any more */
    return 0;
}

static void a_case_that_lost_is_cancelled_in_the_kernel(void **state)
{
    (void)state;
    run_streams(NULL, lose_first);
}

/* The cancel of the loser is too late once: it is sent again. */
static int lost_cancel_first(void *arg)
{
    uint64_t item = 0;
    struct rt_case cases[2];
    struct rt_task *task;

    (void)arg;
    open_stream();
    T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
    cases[0] = rt_case_readable(stream);
    cases[1] = rt_case_chan_recv(chan, &item);
    task = later(&sending_item);
    sim_lose_next_cancel(-EALREADY);
    T_CHECK(rt_select(cases, 2, RT_NEVER) == 1 && item == 5);
    T_CHECK(join(task) == 0 && in_flight() == 0);
    rt_chan_destroy(chan);
    close_all();
    return 0;
}

static void a_cancel_that_misses_a_case_is_sent_again(void **state)
{
    (void)state;
    run_streams(NULL, lost_cancel_first);
}

/* From now on a cancel does not reach polls. The doorbell's is not meant. */
static void hold_polls(void)
{
    sim_hold(IORING_OP_POLL_ADD, SIM_RUNNING);
    T_CHECK(sim_release(IORING_OP_POLL_ADD, 1, SIM_NATURAL) == 1);
    T_CHECK(sim_held(IORING_OP_POLL_ADD) == 0);
}

/* The kernel lets go of the poll. */
static void release_poll(void *arg)
{
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_POLL_ADD, 1, *(const int *)arg) == 1);
}

/* A cancel does not reach the poll; while it is awaited its stream becomes readable. */
static int late_loser_first(void *arg)
{
    static const int results[] = { SIM_NATURAL, -ECANCELED };
    uint64_t item = 0;
    struct rt_case cases[2];

    (void)arg;
    for (int i = 0; i < 2; i++) {
        struct rt_task *tasks[2];
        rt_time begin;

        open_stream();
        T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
        begin = rt_now();
        cases[0] = rt_case_readable(stream);
        cases[1] = rt_case_chan_recv(chan, &item);
        item = 0;
        hold_polls();
        sim_at(begin + MS(5), release_poll, (void *)&results[i]);
        tasks[0] = later(&sending_item);
        tasks[1] = later(&sending);
        T_CHECK(rt_select(cases, 2, RT_NEVER) == 1 && item == 5);
        T_CHECK(rt_now() >= begin + MS(5)); /* not before */
        T_CHECK(in_flight() == 0);
        T_CHECK(join(tasks[0]) == 0 && join(tasks[1]) == 0);
        stream_has("text");
        rt_chan_destroy(chan);
        close_all();
    }
    return 0;
}

static void a_select_outlasts_its_loser_and_the_winner_stays(void **state)
{
    (void)state;
    run_streams(NULL, late_loser_first);
}

/* The select is asked to end, and the poll says that it has happened nevertheless. */

static int select_readable(void *arg)
{
    struct rt_case cases[] = { rt_case_readable(stream), rt_case_at(RT_NEVER) };
    const int r = rt_select(cases, 2, *(const rt_time *)arg);

    return r == 0 ? cases[0].result : r;
}

static int happened_first(void *arg)
{
    (void)arg;
    for (int late = 0; late < 2; late++) {
        const rt_time deadline = late ? rt_in(MS(1)) : RT_NEVER;
        static const int natural = SIM_NATURAL;
        struct rt_task *task;

        open_stream();
        hold_polls();
        T_CHECK(rt_spawn(&task, select_readable, (void *)&deadline) == 0);
        pause_for(MS(2));
        rt_cancel(task);
        pause_for(RT_MICROSECONDS(1500)); /* between two cancels, which would find it otherwise */
        T_CHECK(!rt_is_finished(task));   /* the kernel still has its case */
        send_text();
        release_poll((void *)&natural);
        T_CHECK(join(task) == POLLIN);
        stream_has("text");
        close_all();
    }
    return 0;
}

static void what_has_happened_counts_although_the_select_was_to_end(void **state)
{
    (void)state;
    run_streams(NULL, happened_first);
}

static int cancelled_first(void *arg)
{
    const rt_time deadline = RT_NEVER;
    struct rt_task *task;

    (void)arg;
    open_stream();
    T_CHECK(rt_spawn(&task, select_readable, (void *)&deadline) == 0);
    pause_for(MS(1));
    rt_cancel(task);
    T_CHECK(join(task) == -ECANCELED);
    close_all();
    return 0;
}

static void a_cancel_ends_a_select_over_a_stream(void **state)
{
    (void)state;
    run_streams(NULL, cancelled_first);
}

/* A receive of another task may be there first: readiness promises nothing. */
static int compete_first(void *arg)
{
    const rt_time deadline = RT_NEVER;
    struct rt_task *task;
    char buf[8];

    (void)arg;
    open_stream();
    T_CHECK(rt_spawn(&task, select_readable, (void *)&deadline) == 0);
    T_CHECK(rt_tcp_recv(stream, buf, sizeof(buf), rt_in(MS(1))) == -ETIME);
    send_text();
    T_CHECK(rt_tcp_recv(stream, buf, sizeof(buf), rt_in(MS(1))) == 4);
    T_CHECK(join(task) == POLLIN);
    close_all();
    return 0;
}

static void a_stream_may_be_used_while_a_task_selects_over_it(void **state)
{
    (void)state;
    run_streams(NULL, compete_first);
}

/* Fairness: a channel that always has an item, and a stream that always has a byte. */
static int fair_first(void *arg)
{
    const uint64_t out = 5;
    uint64_t in;
    unsigned won[2] = { 0, 0 };
    struct rt_case cases[2];

    (void)arg;
    open_stream();
    T_CHECK(rt_chan_create(&chan, sizeof(in), 1) == 0);
    cases[0] = rt_case_readable(stream);
    cases[1] = rt_case_chan_recv(chan, &in);
    T_CHECK(rt_chan_send(chan, &out, 0) == 0);
    send_text();
    for (int i = 0; i < ROUNDS; i++) {
        const int r = rt_select(cases, 2, 0);

        T_CHECK(r == 0 || r == 1);
        won[r != 0]++;
        if (r == 1) {
            T_CHECK(rt_chan_send(chan, &out, 0) == 0);
        }
    }
    T_CHECK(won[0] > ROUNDS / 3 && won[1] > ROUNDS / 3);
    stream_has("text");
    rt_chan_destroy(chan);
    close_all();
    return 0;
}

static void a_busy_channel_does_not_keep_a_stream_from_being_heard(void **state)
{
    (void)state;
    run_streams(NULL, fair_first);
}

/* The ring has less room than a select has cases. */

#define CROWD        16
#define RING_ENTRIES 4

static int crowd_first(void *arg)
{
    struct rt_case cases[CROWD + 1];
    uint64_t polls;
    uint64_t item = 0;
    struct rt_task *task;

    (void)arg;
    open_stream();
    T_CHECK(rt_chan_create(&chan, sizeof(item), 1) == 0);
    for (int i = 0; i < CROWD; i++) {
        cases[i] = rt_case_readable(stream);
    }
    cases[CROWD] = rt_case_chan_recv(chan, &item);

    polls = polls_seen();
    sim_fail_next_enter(-EBUSY); /* so most have to wait for room */
    T_CHECK(rt_select(cases, CROWD, rt_in(MS(1))) == -ETIME);
    T_CHECK(polls_seen() == polls + CROWD && in_flight() == 0); /* each came to its turn */

    polls = polls_seen();
    for (int i = 0; i < CROWD; i++) {
        sim_fail_next_enter(-EBUSY);
    }
    T_CHECK(rt_select(cases, CROWD, 0) == -ETIME);
    T_CHECK(polls_seen() == polls + RING_ENTRIES); /* the others still waited for room */
    T_CHECK(in_flight() == 0);

    task = later(&sending_item);
    T_CHECK(rt_select(cases, CROWD + 1, RT_NEVER) == CROWD && item == 5);
    T_CHECK(join(task) == 0 && in_flight() == 0);

    task = later(&sending);
    T_CHECK(rt_select(cases, CROWD + 1, RT_NEVER) < CROWD);
    T_CHECK(join(task) == 0 && in_flight() == 0);
    stream_has("text");
    rt_chan_destroy(chan);
    close_all();
    return 0;
}

static void a_full_ring_is_borne(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.ring_entries = RING_ENTRIES;
    run_streams(&config, crowd_first);
}

/* Futures */

struct selector {
    struct rt_future future;
    struct rt_case cases[2];
    unsigned dropped;
};

static int poll_select(struct rt_future *future)
{
    struct selector *self = (struct selector *)future;
    const int r = rt_poll_select(future, self->cases, 2, RT_NEVER);

    return r >= 0 ? self->cases[r].result : r;
}

static void drop_stream(struct rt_future *future)
{
    ((struct selector *)future)->dropped++;
    rt_tcp_drop(stream); /* aborts when anything uses it */
}

static int future_first(void *arg)
{
    (void)arg;
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        struct selector self = { .future = RT_FUTURE_INIT(poll_select, drop_stream) };
        struct rt_task *task;

        open_stream();
        self.cases[0] = rt_case_at(RT_NEVER);
        self.cases[1] = rt_case_readable(stream);
        T_CHECK(rt_spawn_future(&task, &self.future) == 0);
        pause_for(MS(1));
        if (is_cancelled) {
            rt_cancel(task);
        } else {
            send_text();
        }
        T_CHECK(join(task) == (is_cancelled ? -ECANCELED : POLLIN));
        T_CHECK(self.dropped == 1);
        sim_peer_close(peer);
        close_listener();
    }
    return 0;
}

static void a_future_selects_over_a_stream_and_may_close_it_in_drop(void **state)
{
    (void)state;
    run_streams(NULL, future_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_that_lost_is_cancelled_in_the_kernel),
        cmocka_unit_test(a_cancel_that_misses_a_case_is_sent_again),
        cmocka_unit_test(a_select_outlasts_its_loser_and_the_winner_stays),
        cmocka_unit_test(what_has_happened_counts_although_the_select_was_to_end),
        cmocka_unit_test(a_cancel_ends_a_select_over_a_stream),
        cmocka_unit_test(a_stream_may_be_used_while_a_task_selects_over_it),
        cmocka_unit_test(a_busy_channel_does_not_keep_a_stream_from_being_heard),
        cmocka_unit_test(a_full_ring_is_borne),
        cmocka_unit_test(a_future_selects_over_a_stream_and_may_close_it_in_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
