/* SPDX-License-Identifier: MIT */
/*
 * Signals: who owns them, who is told, and who is not.
 *
 * Method: real signals to this process, with handlers of the test's own before
 * and after. What the second signal does is tested with processes in
 * integration/start_test.
 */
#include "support/harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"
#include "shard/signals.h"

static volatile sig_atomic_t ours; /* signals that came to the test's own handler */

static void count_ours(int number)
{
    (void)number;
    ours++;
}

static int begin(void **state)
{
    struct sigaction action;

    (void)state;
    ours = 0;
    memset(&action, 0, sizeof(action));
    action.sa_handler = count_ours;
    return sigaction(SIGINT, &action, NULL) < 0 || sigaction(SIGTERM, &action, NULL) < 0;
}

static void signals_are_counted_while_they_are_owned(void **state)
{
    (void)state;
    assert_int_equal(rti_signals_own(), 0);
    assert_int_equal(rti_signals_own(), -EBUSY);
    assert_int_equal(rti_signals_count(), 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(rti_signals_count(), 1);
    rti_signals_await(); /* does not wait: something has happened since */
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(rti_signals_count(), 2);
    rti_signals_disown();
    assert_int_equal(ours, 0);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(ours, 2); /* the old actions are back */
    assert_int_equal(rti_signals_own(), 0);
    assert_int_equal(rti_signals_count(), 0); /* of an owner before: forgotten */
    rti_signals_disown();
}

static int be_stopped(void *arg)
{
    (void)arg;
    if (rt_shard_index() == 0) {
        T_CHECK(kill(getpid(), SIGINT) == 0);
    }
    return rt_sleep_until(RT_NEVER);
}

static int sleep_well(void *arg)
{
    (void)arg;
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(20))) == 0);
    return 0;
}

static void a_runtime_without_signals_is_not_stopped_by_one_that_came_before(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    assert_int_equal(rt_start(&config, be_stopped, NULL), 0);
    config.flags = RT_CONFIG_NO_SIGNALS;
    assert_int_equal(rt_start(&config, sleep_well, NULL), 0);
    config.flags = 0;
    assert_int_equal(rt_start(&config, sleep_well, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(ours, 0);
}

static int be_signalled(void *arg)
{
    (void)arg;
    if (rt_shard_index() == 0) {
        T_CHECK(kill(getpid(), SIGINT) == 0);
    }
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(20))) == 0);
    return 0;
}

static void a_runtime_without_signals_leaves_them_to_the_program(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.flags = RT_CONFIG_NO_SIGNALS;
    assert_int_equal(rt_start(&config, be_signalled, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(ours, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(signals_are_counted_while_they_are_owned, begin),
        cmocka_unit_test_setup(a_runtime_without_signals_is_not_stopped_by_one_that_came_before,
                               begin),
        cmocka_unit_test_setup(a_runtime_without_signals_leaves_them_to_the_program, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
