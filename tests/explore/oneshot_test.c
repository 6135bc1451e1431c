/* SPDX-License-Identifier: MIT */
/* Oneshots in every order: the value comes once, and a receiver that gave up may come again. */
#include "support/harness.h"

#include <errno.h>

#include "explore/causes.h"
#include "explore/world.h"

static struct rt_task *receiver;
static struct rt_oneshot oneshot;
static bool is_closing; /* the sender gives up */
static char thing;      /* what is sent */

/* What the receiver gets when the sender has done its part. */
static int expected(void)
{
    return is_closing ? -EPIPE : 0;
}

static int send_or_close(void *arg)
{
    (void)arg;
    world_gate();
    is_closing = explore_choose(2, "whether the sender closes") == 1;
    came(HAPPENED);
    if (is_closing) {
        rt_oneshot_close(&oneshot);
    } else {
        rt_oneshot_send(&oneshot, &thing);
    }
    return 0;
}

static int receive(void *arg)
{
    void *value = NULL;
    bool is_before;
    int r;

    (void)arg;
    world_gate();
    is_before = has_come(HAPPENED);
    r = rt_oneshot_recv(&oneshot, &value, deadline);
    if (is_before) {
        EXPLORE_CHECK(r == expected());
    } else {
        const enum cause cause = first_cause();

        EXPLORE_CHECK(r == (cause == HAPPENED ? expected() : result_of(cause)));
    }
    if (r == -ETIME) {
        r = rt_oneshot_recv(&oneshot, &value, RT_NEVER); /* the sender still can send */
        EXPLORE_CHECK(r == -ECANCELED ? has_come(CANCELLED) : r == expected());
    }
    EXPLORE_CHECK((r == 0) == (value == &thing));
    receiver = NULL;
    return 0;
}

static void cancel(void)
{
    came(CANCELLED);
    rti_task_cancel(receiver);
}

static bool is_there(void)
{
    return receiver != NULL;
}

static void setup(void)
{
    causes_begin();
    oneshot = (struct rt_oneshot)RT_ONESHOT_INIT;
    is_closing = false;
    world_spawn(&receiver, "receiver", receive, NULL);
    rt_detach(receiver);
    world_spawn(NULL, "sender", send_or_close, NULL);
}

static void a_value_is_received_once_or_is_still_there(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "oneshot",
                                 .setup = setup,
                                 .check = look_at_the_clock,
                                 .events = { { "cancel", cancel, is_there, 1 } },
                                 .settled = true,
                                 .timeouts = 1,
                                 .spurious = 1,
                                 .runs_max = 100000,
                                 .outcomes = { "received", "cancelled", "timed out" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_received_once_or_is_still_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
