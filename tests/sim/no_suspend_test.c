/* SPDX-License-Identifier: MIT */
/*
 * No-suspend sections: what suspends inside one aborts and names it, and nothing else does.
 *
 * Misuses run in a child each (support/death.h). What is allowed runs here.
 */
#include "support/death.h"

#include <fcntl.h>

#include "rt/rt.h"

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- what suspends ---- */

static struct rt_event event = RT_EVENT_INIT;

static int yield(void)
{
    rt_yield();
    return 0;
}

static int sleep_a_second(void)
{
    return rt_sleep_until(rt_in(RT_SECONDS(1)));
}

static int park(void)
{
    return rt_park(RT_NEVER);
}

static int wait_for_event(void)
{
    return rt_event_wait(&event, RT_NEVER);
}

static int wait_until(void)
{
    return rt_event_wait(&event, rt_in(RT_SECONDS(1)));
}

static int join(void)
{
    struct rt_task *task;

    T_CHECK(rt_spawn(&task, return_at_once, NULL) == 0);
    return rt_join(task, NULL, RT_NEVER);
}

static int open_file(void)
{
    struct rt_file *file;

    return rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER);
}

static int select_event(void)
{
    struct rt_case one = rt_case_event(&event);

    return rt_select(&one, 1, RT_NEVER);
}

static int shielded_sleep(void)
{
    struct rt_scope scope;
    int r;

    rt_shield(&scope, RT_NEVER);
    r = rt_sleep_until(rt_in(RT_SECONDS(1)));
    (void)rt_scope_leave(&scope);
    return r;
}

struct suspension {
    int (*suspend)(void);
    const char *what;
};

static const struct suspension suspensions[] = {
    { yield, "yield" },          { sleep_a_second, "sleep" }, { park, "park" },
    { wait_for_event, "event" }, { wait_until, "event" },     { join, "join" },
    { open_file, "open" },       { select_event, "select" },  { shielded_sleep, "sleep" },
};

#define SUSPENSIONS (sizeof(suspensions) / sizeof(suspensions[0]))

static int suspend_in_section(void *arg)
{
    const struct suspension *suspension = arg;
    struct rt_no_suspend section;

    rt_no_suspend_begin(&section, "here");
    return suspension->suspend();
}

static int run_suspension(void *arg)
{
    return rt_run(NULL, suspend_in_section, arg);
}

static void whatever_suspends_in_a_section_aborts_and_says_how(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUSPENSIONS; i++) {
        struct suspension suspension = suspensions[i];
        char text[128];

        snprintf(text, sizeof(text), "task 0 'first' suspends (%s) in a no-suspend section: here",
                 suspension.what);
        assert_misuse_in_run(run_suspension, &suspension, text);
    }
}

/* ---- nesting ---- */

static int suspend_in_the_inner(void *arg)
{
    struct rt_no_suspend outer;
    struct rt_no_suspend inner;

    (void)arg;
    rt_no_suspend_begin(&outer, "outer");
    rt_no_suspend_begin(&inner, "inner");
    return rt_sleep_until(rt_in(RT_SECONDS(1)));
}

static int suspend_in_the_outer(void *arg)
{
    struct rt_no_suspend outer;
    struct rt_no_suspend inner;

    (void)arg;
    rt_no_suspend_begin(&outer, "outer");
    rt_no_suspend_begin(&inner, "inner");
    rt_no_suspend_end(&inner);
    return rt_sleep_until(rt_in(RT_SECONDS(1)));
}

static int name_the_place(void *arg)
{
    struct rt_no_suspend section;

    (void)arg;
    rt_no_suspend_begin(&section, RT_HERE);
    return rt_sleep_until(rt_in(RT_SECONDS(1)));
}

static int end_the_outer_first(void *arg)
{
    struct rt_no_suspend outer;
    struct rt_no_suspend inner;

    (void)arg;
    rt_no_suspend_begin(&outer, "outer");
    rt_no_suspend_begin(&inner, "inner");
    rt_no_suspend_end(&outer);
    return 0;
}

static int end_twice(void *arg)
{
    struct rt_no_suspend section;

    (void)arg;
    rt_no_suspend_begin(&section, "once");
    rt_no_suspend_end(&section);
    rt_no_suspend_end(&section);
    return 0;
}

static int return_from_within(void *arg)
{
    struct rt_no_suspend section;

    (void)arg;
    rt_no_suspend_begin(&section, "never ended");
    return 0;
}

static void sections_nest_and_are_ended_in_reverse_order(void **state)
{
    (void)state;
    assert_misuse_in_task(suspend_in_the_inner, "in a no-suspend section: inner");
    assert_misuse_in_task(suspend_in_the_outer, "in a no-suspend section: outer");
    assert_misuse_in_task(name_the_place, "tests/sim/no_suspend_test.c:1");
    assert_misuse_in_task(end_the_outer_first, "rt_no_suspend_end(): not the innermost section");
    assert_misuse_in_task(end_twice, "rt_no_suspend_end(): not the innermost section");
    assert_misuse_in_task(return_from_within,
                          "returns from within a no-suspend section that it has not ended");
}

/* ---- calls of another shard, which run in a task of their own only once they wait ---- */

static int call_other(void *fn)
{
    if (rt_shard_index() == 1) {
        return 0;
    }
    return rt_call(1, *(const rt_task_fn *)fn, NULL, NULL, RT_NEVER);
}

static int run_call(void *fn)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    return rt_start(&config, call_other, fn);
}

static void a_call_keeps_to_its_sections(void **state)
{
    rt_task_fn suspends = suspend_in_the_inner;
    rt_task_fn returns = return_from_within;

    (void)state;
    assert_misuse_in_run(run_call, &suspends, "in a no-suspend section: inner");
    assert_misuse_in_run(run_call, &returns,
                         "returns from within a no-suspend section that it has not ended");
}

/* ---- functions that are sections by themselves ---- */

/* When task `*which` is spawned: the first by the loop, the second by the first. */
static void sleep_in_trace(void *which, const struct rt_trace_event *trace_event)
{
    if (trace_event->kind == RT_TRACE_SPAWN && trace_event->task == *(const uint32_t *)which) {
        T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(1))) == 0);
    }
}

static int spawn_one(void *arg)
{
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_spawn(&task, return_at_once, NULL) == 0);
    return rt_join(task, NULL, RT_NEVER);
}

static int run_traced(void *which)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.trace = sleep_in_trace;
    config.trace_arg = which;
    return rt_run(&config, spawn_one, NULL);
}

static void a_trace_function_must_not_suspend(void **state)
{
    uint32_t first = 0;
    uint32_t second = 1;

    (void)state;
    assert_misuse_in_run(run_traced, &first, "rt_sleep_until() was called outside a task");
    assert_misuse_in_run(run_traced, &second, "in a no-suspend section: the trace function");
}

/* ---- what is allowed ---- */

static unsigned runs;

static int count_run(void *arg)
{
    (void)arg;
    runs++;
    return 0;
}

/* Spawns, wakes and events that are set need no wait; after the section tasks run as ever. */
static int stay(void *arg)
{
    struct rt_event set = RT_EVENT_INIT;
    struct rt_no_suspend section;
    struct rt_no_suspend inner;

    (void)arg;
    rt_event_set(&set);
    rt_no_suspend_begin(&section, RT_HERE);
    T_CHECK(rt_spawn(NULL, count_run, NULL) == 0);
    for (unsigned i = 0; i < 100000; i++) { /* longer than any slice */
        T_CHECK(rt_event_wait(&set, RT_NEVER) == 0);
    }
    rt_no_suspend_begin(&inner, RT_HERE);
    rt_no_suspend_end(&inner);
    T_CHECK(runs == 0);
    rt_no_suspend_end(&section);
    rt_yield();
    T_CHECK(runs == 1);
    return rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
}

static void no_other_task_runs_within_a_section_and_after_it_they_do(void **state)
{
    (void)state;
    runs = 0;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rt_run(NULL, stay, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_suspends_in_a_section_aborts_and_says_how),
        cmocka_unit_test(sections_nest_and_are_ended_in_reverse_order),
        cmocka_unit_test(a_call_keeps_to_its_sections),
        cmocka_unit_test(a_trace_function_must_not_suspend),
        cmocka_unit_test(no_other_task_runs_within_a_section_and_after_it_they_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
