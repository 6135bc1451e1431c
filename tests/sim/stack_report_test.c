/* SPDX-License-Identifier: MIT */
/*
 * What rt_stack_report() says of functions whose use of the stack is known: they
 * recurse through buffers of a page each.
 *
 * Sanitizers make frames larger; with them only the lower bounds hold.
 */
#include "support/first.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "os/symbol.h"
#include "rt/rt.h"
#include "support/ear.h"

#define KIB      1024
#define FRAME    (4 * KIB)
#define AROUND   (8 * KIB) /* what a fiber uses besides, in whole pages */
#define PLAIN    (!RTI_ASAN && !RTI_TSAN)
#define FIBERS   5
#define DEEP     10 /* frames */
#define DEEPEST  30
#define OF_FRAME 160 /* of each, beside the buffer, at most */

/* Written with zeros, as a page that nobody has touched reads: it must count all the same. */
static RTI_NOINLINE int
use_frames(int frames) /* NOLINT(misc-no-recursion): that is what is measured */
{
    volatile char buffer[FRAME];

    for (size_t i = 0; i < sizeof(buffer); i++) {
        buffer[i] = 0;
    }
    return frames <= 1 ? buffer[0] : use_frames(frames - 1) + buffer[FRAME - 1];
}

static int shallow(void *arg)
{
    (void)arg;
    return 0;
}

static int deep(void *arg)
{
    return use_frames(*(const int *)arg);
}

static int deep_and_suspends(void *arg)
{
    const int result = use_frames(*(const int *)arg);

    rt_yield();
    return result;
}

static void run_task(rt_task_fn fn, const int *frames, uint32_t stack_bytes)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;
    int result = -1;

    options.stack_bytes = stack_bytes;
    T_CHECK(rt_spawn_with(&task, fn, (void *)(uintptr_t)frames, &options) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
}

static char report[16 * KIB];

/* The number that the report, which is JSON, gives for the function; -1: none. */
static long figure_of(rt_task_fn fn, const char *key)
{
    char name[64];
    struct rti_symbol symbol;
    const char *found;

    rti_symbol_find(&symbol, (uintptr_t)fn);
    snprintf(name, sizeof(name), "\"module_offset\":\"0x%" PRIxPTR "\"", symbol.in_module);
    found = strstr(report, name);
    if (found == NULL) {
        return -1;
    }
    snprintf(name, sizeof(name), "\"%s\":", key);
    found = strstr(found, name);
    return found == NULL ? -1 : strtol(found + strlen(name), NULL, 10);
}

static void ask(void)
{
    const ssize_t n = rt_stack_report(report, sizeof(report), RT_STACK_REPORT_JSON);

    T_CHECK(n > 0 && (size_t)n == strlen(report));
    T_CHECK(strstr(report, "\"missed\":0,") != NULL);
}

static void check_depth(rt_task_fn fn, int frames)
{
    const long used = figure_of(fn, "bytes_max");

    T_CHECK(used >= (long)frames * FRAME);
    T_CHECK(!PLAIN || used <= (long)frames * (FRAME + OF_FRAME) + AROUND);
    T_CHECK(used % FRAME == 0);
}

static int depths_first(void *arg)
{
    const int frames = DEEP;
    const int most = DEEPEST;

    (void)arg;
    for (int i = 0; i < FIBERS; i++) { /* on the same stack, in turn */
        run_task(deep, i == 2 ? &frames : &(const int){ 2 }, 64 * KIB);
        run_task(shallow, NULL, 64 * KIB);
    }
    run_task(deep_and_suspends, &most, 256 * KIB);
    run_task(deep_and_suspends, &frames, 64 * KIB);
    ask();
    T_CHECK(figure_of(shallow, "fibers") == FIBERS && figure_of(deep, "fibers") == FIBERS);
    T_CHECK(figure_of(deep_and_suspends, "fibers") == 2);
    check_depth(shallow, 1);
    check_depth(deep, DEEP);
    check_depth(deep_and_suspends, DEEPEST);
    T_CHECK(figure_of(shallow, "stack_bytes") == 64 * KIB);
    T_CHECK(figure_of(deep_and_suspends, "stack_bytes") == 256 * KIB);
    T_CHECK(figure_of(deep_and_suspends, "advised_bytes") == 256 * KIB);
    T_CHECK(!PLAIN || figure_of(shallow, "advised_bytes") == 16 * KIB);
    T_CHECK(!PLAIN || figure_of(deep, "advised_bytes") == 64 * KIB);
    T_CHECK(figure_of(depths_first, "fibers") == -1); /* it has not ended */
    return 0;
}

static int run_measured(rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.flags = RT_CONFIG_STACK_MARKS;
    config.name = "measured";
    config.log = hear;
    return run_config(&config, first, NULL);
}

static void each_function_has_its_own_depth_and_a_size_that_is_enough(void **state)
{
    (void)state;
    assert_int_equal(run_measured(depths_first), 0);
}

static int text_first(void *arg)
{
    char cut[20];
    ssize_t n;

    (void)arg;
    run_task(deep, &(const int){ 2 }, 0);
    n = rt_stack_report(report, sizeof(report), 0);
    T_CHECK(n > 0 && (size_t)n == strlen(report));
    T_CHECK(strstr(report, "stacks of 'measured': 1 functions, 0 fibers not measured\n") == report);
    T_CHECK(strstr(report, " 64 KiB ") != NULL);
    T_CHECK(rt_stack_report(cut, sizeof(cut), 0) == n);
    T_CHECK(strlen(cut) == sizeof(cut) - 1 && strncmp(cut, report, sizeof(cut) - 1) == 0);
    T_CHECK(rt_stack_report(NULL, 0, 0) == n);
    T_CHECK(rt_stack_report(report, sizeof(report), 2) == -EINVAL);
    T_CHECK(strstr(heard.text, "flags are 2") != NULL);
    return 0;
}

static void the_text_is_cut_to_the_memory_that_is_there(void **state)
{
    (void)state;
    assert_int_equal(run_measured(text_first), 0);
}

static int unmeasured_first(void *arg)
{
    (void)arg;
    return (int)rt_stack_report(report, sizeof(report), 0);
}

static void without_the_flag_there_is_no_report_and_the_log_says_why(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    assert_int_equal(run_config(&config, unmeasured_first, NULL), -ENOENT);
    assert_non_null(strstr(heard.text, "RT_CONFIG_STACK_MARKS"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_function_has_its_own_depth_and_a_size_that_is_enough),
        cmocka_unit_test(the_text_is_cut_to_the_memory_that_is_there),
        cmocka_unit_test(without_the_flag_there_is_no_report_and_the_log_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
