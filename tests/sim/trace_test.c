/* SPDX-License-Identifier: MIT */
/*
 * The trace, step by step: a first task spawns a second one, which opens,
 * reads and closes a file, and joins it. Under the simulated kernel, so the
 * sequence is the same in each run and is compared as a text, one line a step:
 *
 *     schedule 1           the kind of the step, and the number of the task
 *     spawn 1 by 0         the other task, if there is one
 *     complete 1 read 5    of what, and the value if the kind has one
 *
 * Each variation says with its expected text what the change of the program
 * changes in the life of the tasks, and that it changes nothing else.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

#include "rt/rt.h"

#define TEXT_BYTES 4096

static char steps[TEXT_BYTES];
static size_t steps_used;

static bool has_value(uint32_t kind)
{
    return kind == RT_TRACE_COMPLETE || kind == RT_TRACE_RETURN || kind == RT_TRACE_JOINED ||
           kind == RT_TRACE_SLEEP || kind == RT_TRACE_AWAKE;
}

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add(const char *format, ...)
{
    const size_t left = sizeof(steps) - steps_used;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(steps + steps_used, left, format, arguments);
    va_end(arguments);
    T_CHECK(n >= 0 && (size_t)n < left);
    steps_used += n >= 0 && (size_t)n < left ? (size_t)n : 0;
}

static void record(void *arg, const struct rt_trace_event *event)
{
    rt_time *last = arg;

    T_CHECK(event->time >= *last && event->time == sim_now());
    *last = event->time;
    T_CHECK((event->task != RT_TRACE_NO_TASK) ==
            (event->kind != RT_TRACE_SLEEP && event->kind != RT_TRACE_AWAKE));
    add("%s", rt_trace_kind_name(event->kind));
    if (event->task != RT_TRACE_NO_TASK) {
        add(" %u", event->task);
    }
    if (event->other != RT_TRACE_NO_TASK) {
        add(" %s %u", event->kind == RT_TRACE_WAIT ? "for" : "by", event->other);
    }
    if (event->what != NULL) {
        add(" %s", event->what);
    }
    if (has_value(event->kind)) {
        add(" %lld", (long long)event->value);
    }
    add("\n");
}

/* The program and its variations */

struct program {
    bool spawn_third;
    bool cancel_second; /* before it has run */
    bool fail_read;
    rt_time patience; /* of the read; 0: it has no deadline */
};

static int second(void *arg)
{
    const struct program *program = arg;
    const rt_time deadline = program->patience > 0 ? rt_in(program->patience) : RT_NEVER;
    struct rt_file *file;
    char buf[8];
    ssize_t n;
    int r = rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER);

    if (r < 0) {
        return r;
    }
    n = rt_file_read_at(file, buf, sizeof(buf), 0, deadline);
    T_CHECK(rt_file_close(file) == 0);
    return (int)n;
}

static int third(void *arg)
{
    (void)arg;
    rt_yield();
    return 3;
}

static int first(void *arg)
{
    struct program *program = arg;
    struct rt_task *task;
    int result;

    T_CHECK(rt_spawn(&task, second, program) == 0);
    if (program->spawn_third) {
        T_CHECK(rt_spawn(NULL, third, NULL) == 0);
    }
    if (program->cancel_second) {
        rt_cancel(task);
    }
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* Requests to the kernel take 1 ms, so each one is waited for. */
static int run(struct program *program)
{
    struct rt_config config = RT_CONFIG_INIT;
    rt_time last = 0;
    int r;

    steps_used = 0;
    steps[0] = '\0';
    config.trace = record;
    config.trace_arg = &last;
    sim_begin(&(struct sim_config){
        .seed = 1, .delay_min = RT_MILLISECONDS(1), .delay_max = RT_MILLISECONDS(1) });
    sim_file_put("data", "hello", 5);
    if (program->fail_read) {
        sim_fail_next(IORING_OP_READ, -EIO);
    }
    if (program->patience > 0) {
        sim_hold(IORING_OP_READ, SIM_QUEUED);
    }
    r = rt_run(&config, first, program);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    return r;
}

/* What is expected, in the parts that the variations share */

#define FIRST_STARTS \
    "spawn 0\n" \
    "schedule 0\n" \
    "run 0\n"

#define SECOND_IS_MADE \
    "spawn 1 by 0\n" \
    "schedule 1\n"

#define FIRST_WAITS "wait 0 for 1 join\n"

#define OPEN_BEGINS \
    "run 1\n" \
    "submit 1 open\n" \
    "wait 1 open\n"

#define OPEN_ENDS \
    "sleep -1\n" \
    "awake 1\n" \
    "complete 1 open 1048577\n" /* SIM_FD_FIRST */ \
    "wake 1\n" \
    "schedule 1\n"

#define READ_BEGINS \
    "run 1\n" \
    "submit 1 read\n" \
    "wait 1 read\n"

#define READ_ENDS(value) \
    "sleep -1\n" READ_COMPLETES(value)

#define READ_COMPLETES(value) \
    "awake 1\n" \
    "complete 1 read " value "\n" \
    "wake 1\n" \
    "schedule 1\n"

#define CLOSE \
    "run 1\n" \
    "submit 1 close\n" \
    "wait 1 close\n" \
    "sleep -1\n" \
    "awake 1\n" \
    "complete 1 close 0\n" \
    "wake 1\n" \
    "schedule 1\n" \
    "run 1\n"

#define BOTH_END(value) \
    "return 1 " value "\n" \
    "wake 0 by 1\n" \
    "schedule 0\n" \
    "run 0\n" \
    "joined 1 by 0 " value "\n" \
    "free 1\n" \
    "return 0 " value "\n"

static void each_step_of_two_tasks_is_told_in_order(void **state)
{
    struct program program = { 0 };

    (void)state;
    assert_int_equal(run(&program), 5);
    assert_string_equal(steps, FIRST_STARTS SECOND_IS_MADE FIRST_WAITS OPEN_BEGINS OPEN_ENDS
                                   READ_BEGINS READ_ENDS("5") CLOSE BOTH_END("5"));
}

/* The third runs while the second waits for its file, goes on after its yield since nobody else is
 * runnable, and is gone before the executor sleeps: nobody joins it. */
#define THIRD_IS_MADE \
    "spawn 2 by 0\n" \
    "schedule 2\n"

#define THIRD_RUNS \
    "run 2\n" \
    "yield 2\n" \
    "schedule 2\n" \
    "run 2\n" \
    "return 2 3\n" \
    "free 2\n"

static void a_third_task_runs_while_the_second_one_waits(void **state)
{
    struct program program = { .spawn_third = true };

    (void)state;
    assert_int_equal(run(&program), 5);
    assert_string_equal(steps,
                        FIRST_STARTS SECOND_IS_MADE THIRD_IS_MADE FIRST_WAITS OPEN_BEGINS THIRD_RUNS
                            OPEN_ENDS READ_BEGINS READ_ENDS("5") CLOSE BOTH_END("5"));
}

static void a_read_that_fails_is_told_with_its_error(void **state)
{
    struct program program = { .fail_read = true };

    (void)state;
    _Static_assert(EIO == 5, "in the text below");
    assert_int_equal(run(&program), -EIO);
    assert_string_equal(steps, FIRST_STARTS SECOND_IS_MADE FIRST_WAITS OPEN_BEGINS OPEN_ENDS
                                   READ_BEGINS READ_ENDS("-5") CLOSE BOTH_END("-5"));
}

/* A cancelled task still starts; its first wait ends before it begins: the kernel sees nothing. */
static void a_task_cancelled_early_hands_nothing_to_the_kernel(void **state)
{
    struct program program = { .cancel_second = true };

    (void)state;
    _Static_assert(ECANCELED == 125, "in the text below");
    assert_int_equal(run(&program), -ECANCELED);
    assert_string_equal(steps, FIRST_STARTS SECOND_IS_MADE "cancel 1 by 0\n" FIRST_WAITS
                                                           "run 1\n" BOTH_END("-125"));
}

/* The open has used 1 ms of the 3. When the deadline passes the kernel is asked to cancel, and the
 * task stays until the completion says that it did: -ECANCELED there, -ETIME for the caller. The
 * loop sleeps for 1 ms at most meanwhile: then it would ask again. */
#define READ_TIMES_OUT \
    "sleep 2000000\n" \
    "awake 0\n" \
    "timeout 1 read\n" \
    "sleep 1000000\n"

static void a_deadline_is_told_before_the_completion_that_it_caused(void **state)
{
    struct program program = { .patience = RT_MILLISECONDS(3) };

    (void)state;
    _Static_assert(ECANCELED == 125 && ETIME == 62, "in the text below");
    assert_int_equal(run(&program), -ETIME);
    assert_string_equal(steps,
                        FIRST_STARTS SECOND_IS_MADE FIRST_WAITS OPEN_BEGINS OPEN_ENDS READ_BEGINS
                            READ_TIMES_OUT READ_COMPLETES("-125") CLOSE BOTH_END("-62"));
}

/* Names */

static void every_kind_of_step_has_a_name(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < RT_TRACE_KINDS; kind++) {
        assert_string_not_equal(rt_trace_kind_name(kind), "unknown");
        for (uint32_t other = 0; other < kind; other++) {
            assert_string_not_equal(rt_trace_kind_name(kind), rt_trace_kind_name(other));
        }
    }
    assert_string_equal(rt_trace_kind_name(RT_TRACE_KINDS), "unknown");
    assert_string_equal(rt_trace_kind_name(UINT32_MAX), "unknown");
}

static const char *seen_names[8];

static void keep_name(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_RETURN && event->task < 8) {
        seen_names[event->task] = event->task_name;
    }
    if (event->kind == RT_TRACE_SPAWN && event->task == 1) {
        T_CHECK(strcmp(event->other_name, "first") == 0);
    }
}

static int rename_itself(void *arg)
{
    rt_self_set_name(arg);
    return 0;
}

static int spawn_named(void *arg)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    static char name[] = "renamed";

    options.name = "named";
    T_CHECK(rt_spawn_with(NULL, third, arg, &options) == 0);
    T_CHECK(rt_spawn_with(NULL, rename_itself, name, &options) == 0);
    T_CHECK(rt_spawn(NULL, third, arg) == 0);
    return 0;
}

static void the_names_of_tasks_are_told(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    memset(seen_names, 0, sizeof(seen_names));
    config.trace = keep_name;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_int_equal(rt_run(&config, spawn_named, NULL), 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_string_equal(seen_names[0], "first");
    assert_string_equal(seen_names[1], "named");
    assert_string_equal(seen_names[2], "renamed");
    assert_null(seen_names[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_of_two_tasks_is_told_in_order),
        cmocka_unit_test(a_third_task_runs_while_the_second_one_waits),
        cmocka_unit_test(a_read_that_fails_is_told_with_its_error),
        cmocka_unit_test(a_task_cancelled_early_hands_nothing_to_the_kernel),
        cmocka_unit_test(a_deadline_is_told_before_the_completion_that_it_caused),
        cmocka_unit_test(every_kind_of_step_has_a_name),
        cmocka_unit_test(the_names_of_tasks_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
