/* SPDX-License-Identifier: MIT */
/*
 * Oneshots: random senders and receivers, and each promise of rt/oneshot.h.
 *
 * Method of the former: one small program per seed, of some pairs. A receiver
 * waits for ever, for a while or not at all, plainly or in a select over two, and is
 * cancelled at times; a sender comes sooner or later, and sends or gives up. The struct
 * is the receiver's memory of the heap, freed the moment its call says that it may be: a
 * sender that touched it once more would be found by AddressSanitizer.
 */
#include "support/death.h"
#include "support/rand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "rt/rt.h"

#define SEEDS     (RTI_ASAN || RTI_TSAN ? 2000U : 10000U)
#define PAIRS_MAX 5
#define PAUSES    4

struct pair {
    struct rt_oneshot *oneshot; /* NULL: the receiver has freed it */
    char value;                 /* its address is what is sent */
    bool gives_up;
    bool sent;
    bool closed;
    bool received;
    struct rt_task *receiver;
    struct rt_task *sender;
};

struct program {
    struct rand_state rand;
    struct pair pairs[PAIRS_MAX];
    unsigned count;
    bool has_cancels;
    unsigned received;
    unsigned waited;
};

static struct program program;

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static void pause_a_while(void)
{
    for (unsigned i = draw(PAUSES); i > 0; i--) {
        if (draw(2) == 0) {
            rt_yield();
        } else {
            (void)rt_sleep_until(rt_in(draw(10000)));
        }
    }
}

/* By select, beside a oneshot that nobody sends: that one must stay as it is. */
static int recv_by_select(struct rt_oneshot *oneshot, void **value, rt_time deadline)
{
    struct rt_oneshot never = RT_ONESHOT_INIT;
    void *nothing = &never;
    struct rt_case cases[] = { rt_case_oneshot(&never, &nothing), rt_case_oneshot(oneshot, value) };
    const int r = rt_select(cases, 2, deadline);

    T_CHECK(r < 0 || r == 1);
    T_CHECK(never.waiter == NULL && nothing == &never);
    rt_oneshot_close(&never);
    T_CHECK(rt_oneshot_recv(&never, &nothing, RT_NEVER) == -EPIPE);
    return r < 0 ? r : cases[r].result;
}

static int recv_somehow(struct pair *pair, void **value)
{
    rt_time deadline = RT_NEVER;

    if (draw(3) == 0) {
        deadline = draw(2) == 0 ? 0 : rt_in(draw(20000));
    }
    program.waited += !pair->sent && !pair->closed;
    return draw(3) == 0 ? recv_by_select(pair->oneshot, value, deadline)
                        : rt_oneshot_recv(pair->oneshot, value, deadline);
}

static int receive(void *arg)
{
    struct pair *pair = arg;
    void *value = &program; /* as a mark */
    int r;

    pause_a_while();
    do {
        r = recv_somehow(pair, &value);
        T_CHECK(r == 0 ? pair->sent && value == &pair->value : value == &program);
        T_CHECK(r != -EPIPE || pair->closed);
        T_CHECK(r == 0 || r == -EPIPE || r == -ETIME || (r == -ECANCELED && program.has_cancels));
    } while (r == -ETIME);
    pair->received = r == 0;
    if (r != -ECANCELED) { /* else the sender may still have to send */
        free(pair->oneshot);
        pair->oneshot = NULL;
    }
    return 0;
}

static int send_or_close(void *arg)
{
    struct pair *pair = arg;

    pause_a_while();
    if (pair->gives_up) {
        pair->closed = true;
        rt_oneshot_close(pair->oneshot);
    } else {
        pair->sent = true;
        rt_oneshot_send(pair->oneshot, &pair->value);
    }
    return 0;
}

static void end_pair(struct pair *pair)
{
    void *value = NULL;

    T_CHECK(rt_join(pair->sender, NULL, RT_NEVER) == 0);
    T_CHECK(rt_join(pair->receiver, NULL, RT_NEVER) == 0);
    if (pair->oneshot != NULL) { /* a cancelled receiver has left the value where it was */
        T_CHECK(program.has_cancels && !pair->received);
        T_CHECK(rt_oneshot_recv(pair->oneshot, &value, 0) == (pair->sent ? 0 : -EPIPE));
        T_CHECK(value == (pair->sent ? &pair->value : NULL));
        free(pair->oneshot);
    } else {
        T_CHECK(pair->received == pair->sent);
    }
    program.received += pair->received;
}

static int first_task(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < program.count; i++) {
        struct pair *pair = &program.pairs[i];

        pair->oneshot = malloc(sizeof(*pair->oneshot));
        T_CHECK(pair->oneshot != NULL);
        *pair->oneshot = (struct rt_oneshot)RT_ONESHOT_INIT;
        pair->gives_up = draw(4) == 0;
        T_CHECK(rt_spawn(&pair->receiver, receive, pair) == 0);
        T_CHECK(rt_spawn(&pair->sender, send_or_close, pair) == 0);
    }
    pause_a_while();
    for (unsigned i = 0; program.has_cancels && i < program.count; i++) {
        if (draw(2) == 0) {
            rt_cancel(program.pairs[i].receiver);
            pause_a_while();
        }
    }
    for (unsigned i = 0; i < program.count; i++) {
        end_pair(&program.pairs[i]);
    }
    return 0;
}

static int run_first(rt_task_fn first, uint64_t seed)
{
    int r;

    sim_begin(&(struct sim_config){ .seed = seed, .step_max = seed % 2 == 0 ? 2000 : 0 });
    r = rt_run(NULL, first, NULL);
    T_CHECK(sim_end(NULL) == 0);
    return r;
}

static bool run_seed(uint64_t seed)
{
    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.count = 1 + draw(PAIRS_MAX);
    program.has_cancels = draw(2) == 0;
    T_CHECK(run_first(first_task, seed) == 0);
    return t_failures() == 0;
}

static void what_is_sent_is_received_once_or_stays(void **state)
{
    unsigned failures = 0;
    unsigned received = 0;
    unsigned waited = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        received += program.received;
        waited += program.waited;
    }
    assert_int_equal(failures, 0);
    assert_true(received > 0 && waited > 0);
    print_message("%u values received, %u waits\n", received, waited);
}

/* One promise at a time */

static void run(rt_task_fn first)
{
    assert_int_equal(run_first(first, 1), 0);
    assert_int_equal(t_failures(), 0);
}

struct call {
    struct rt_oneshot oneshot;
    void *value;
    int result;
};

static int recv_once(void *arg)
{
    struct call *call = arg;

    call->result = rt_oneshot_recv(&call->oneshot, &call->value, RT_NEVER);
    return 0;
}

/* The task waits when this returns. */
static struct rt_task *start(struct call *call)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn(&task, recv_once, call) == 0);
    rt_yield();
    T_CHECK(!rt_is_finished(task));
    return task;
}

static int send_then_cancel(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };
    struct rt_task *task = start(&call);

    (void)arg;
    rt_oneshot_send(&call.oneshot, &call);
    T_CHECK(call.value == &call); /* it is there before its receiver runs */
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(call.result == 0);
    return 0;
}

static void a_cancel_after_the_send_takes_nothing_back(void **state)
{
    (void)state;
    run(send_then_cancel);
}

static int cancel_then_send(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };
    struct rt_task *task = start(&call);

    (void)arg;
    rt_cancel(task);
    rt_oneshot_send(&call.oneshot, &call);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(call.result == -ECANCELED && call.value == NULL);
    T_CHECK(rt_oneshot_recv(&call.oneshot, &call.value, 0) == 0 && call.value == &call);
    return 0;
}

static void a_send_after_the_cancel_keeps_its_value(void **state)
{
    (void)state;
    run(cancel_then_send);
}

static int close_in_turn(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };
    struct rt_task *task = start(&call);

    (void)arg;
    rt_oneshot_close(&call.oneshot);
    rt_oneshot_close(&call.oneshot);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0 && call.result == -EPIPE);
    T_CHECK(rt_oneshot_recv(&call.oneshot, &call.value, RT_NEVER) == -EPIPE);

    call.oneshot = (struct rt_oneshot)RT_ONESHOT_INIT;
    rt_oneshot_send(&call.oneshot, NULL);
    rt_oneshot_close(&call.oneshot); /* nothing: it was sent */
    call.value = &call;
    T_CHECK(rt_oneshot_recv(&call.oneshot, &call.value, 0) == 0 && call.value == NULL);
    return 0;
}

static void a_close_ends_the_wait_and_harms_no_value_that_was_sent(void **state)
{
    (void)state;
    run(close_in_turn);
}

static int select_of_two_sent(void *arg)
{
    struct rt_oneshot both[2] = { RT_ONESHOT_INIT, RT_ONESHOT_INIT };
    void *values[2] = { NULL, NULL };
    struct rt_case cases[2];
    int won;

    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        rt_oneshot_send(&both[i], &both[i]);
        cases[i] = rt_case_oneshot(&both[i], &values[i]);
    }
    won = rt_select(cases, 2, RT_NEVER);
    T_CHECK(won == 0 || won == 1);
    T_CHECK(values[won] == &both[won] && values[1 - won] == NULL);
    T_CHECK(rt_oneshot_recv(&both[1 - won], &values[1 - won], 0) == 0);
    T_CHECK(values[1 - won] == &both[1 - won]);
    return 0;
}

static void a_select_takes_one_of_two_values(void **state)
{
    (void)state;
    run(select_of_two_sent);
}

/* Misuse */

static int send_twice(void *arg)
{
    struct rt_oneshot oneshot = RT_ONESHOT_INIT;

    (void)arg;
    rt_oneshot_send(&oneshot, NULL);
    rt_oneshot_send(&oneshot, NULL);
    return 0;
}

static int send_twice_to_a_receiver(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };

    (void)arg;
    (void)start(&call);
    rt_oneshot_send(&call.oneshot, NULL);
    rt_oneshot_send(&call.oneshot, NULL);
    return 0;
}

static int send_when_closed(void *arg)
{
    struct rt_oneshot oneshot = RT_ONESHOT_INIT;

    (void)arg;
    rt_oneshot_close(&oneshot);
    rt_oneshot_send(&oneshot, NULL);
    return 0;
}

static void a_second_send_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(send_twice, "rt_oneshot_send(): the oneshot was sent or closed already");
    assert_misuse_in_task(send_twice_to_a_receiver, "rt_oneshot_send(): the oneshot was sent");
    assert_misuse_in_task(send_when_closed, "rt_oneshot_send(): the oneshot was sent or closed");
}

static int recv_twice(void *arg)
{
    struct rt_oneshot oneshot = RT_ONESHOT_INIT;
    void *value;

    (void)arg;
    rt_oneshot_send(&oneshot, NULL);
    return rt_oneshot_recv(&oneshot, &value, 0) + rt_oneshot_recv(&oneshot, &value, 0);
}

static int recv_after_the_receiver(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };
    struct rt_task *task = start(&call);

    (void)arg;
    rt_oneshot_send(&call.oneshot, NULL);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    return rt_oneshot_recv(&call.oneshot, &call.value, 0);
}

static void a_second_receive_of_the_value_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(recv_after_the_receiver, "the value of the oneshot was taken already");
    assert_misuse_in_task(recv_twice, "rt_oneshot_recv(): the value of the oneshot was taken");
}

static int recv_side_by_side(void *arg)
{
    struct call call = { RT_ONESHOT_INIT, NULL, 1 };

    (void)arg;
    (void)start(&call);
    return rt_oneshot_recv(&call.oneshot, &call.value, RT_NEVER);
}

static int select_one_twice(void *arg)
{
    struct rt_oneshot oneshot = RT_ONESHOT_INIT;
    void *value;
    struct rt_case cases[] = { rt_case_oneshot(&oneshot, &value),
                               rt_case_oneshot(&oneshot, &value) };

    (void)arg;
    return rt_select(cases, 2, RT_NEVER);
}

static void two_receivers_at_once_abort(void **state)
{
    (void)state;
    assert_misuse_in_task(recv_side_by_side, "two tasks wait for one oneshot");
    assert_misuse_in_task(select_one_twice, "two tasks wait for one oneshot");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_received_once_or_stays),
        cmocka_unit_test(a_cancel_after_the_send_takes_nothing_back),
        cmocka_unit_test(a_send_after_the_cancel_keeps_its_value),
        cmocka_unit_test(a_close_ends_the_wait_and_harms_no_value_that_was_sent),
        cmocka_unit_test(a_select_takes_one_of_two_values),
        cmocka_unit_test(a_second_send_aborts),
        cmocka_unit_test(a_second_receive_of_the_value_aborts),
        cmocka_unit_test(two_receivers_at_once_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
