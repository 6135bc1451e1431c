/* SPDX-License-Identifier: MIT */
/* Thread: pinning and what is put back afterwards, on the CPUs that this machine has. */
#include "os/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "os/sys.h"
#include "support/fault.h"
#include "support/harness.h"

static struct {
    char text[RTI_LOG_BYTES_MAX];
    unsigned lines;
} heard;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    assert_int_equal(level, RT_LOG_ERROR);
    snprintf(heard.text, sizeof(heard.text), "%s", text);
    heard.lines++;
}

static const struct rti_log ear = { .write = hear, .level = RT_LOG_INFO };

static cpu_set_t affinity(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    return set;
}

/* The last CPU that this thread may use; pinning to it is seldom what happens by chance. */
static unsigned last_cpu(const cpu_set_t *set)
{
    unsigned last = 0;

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, set)) {
            last = cpu;
        }
    }
    return last;
}

static void a_thread_is_pinned_to_its_cpu_and_back_to_all(void **state)
{
    const cpu_set_t before = affinity();

    (void)state;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        struct rti_thread thread;
        cpu_set_t pinned;
        cpu_set_t after;

        if (!CPU_ISSET(cpu, &before)) {
            continue;
        }
        assert_int_equal(rti_thread_begin(&thread, (int)cpu, &ear), 0);
        pinned = affinity();
        assert_int_equal(thread.cpu, cpu);
        assert_int_equal(CPU_COUNT(&pinned), 1);
        assert_true(CPU_ISSET(cpu, &pinned));
        assert_int_equal(sched_getcpu(), cpu);
        rti_thread_end(&thread);
        after = affinity();
        assert_true(CPU_EQUAL(&after, &before));
    }
}

static void the_other_cpus_are_those_it_was_allowed_less_its_own(void **state)
{
    const cpu_set_t before = affinity();
    const unsigned cpu = last_cpu(&before);
    struct rti_thread thread;

    (void)state;
    assert_int_equal(rti_thread_begin(&thread, (int)cpu, &ear), 0);
    assert_int_equal(CPU_COUNT_S(thread.set_bytes, thread.own), 1);
    assert_true(CPU_ISSET_S(cpu, thread.set_bytes, thread.own));
    if (CPU_COUNT(&before) == 1) {
        assert_null(thread.others);
    } else {
        assert_int_equal(CPU_COUNT_S(thread.set_bytes, thread.others), CPU_COUNT(&before) - 1);
        assert_false(CPU_ISSET_S(cpu, thread.set_bytes, thread.others));
        for (unsigned other = 0; other < CPU_SETSIZE; other++) {
            assert_true(other == cpu || !!CPU_ISSET_S(other, thread.set_bytes, thread.others) ==
                                            !!CPU_ISSET(other, &before));
        }
    }
    rti_thread_end(&thread);
}

static void a_thread_without_a_cpu_is_not_pinned(void **state)
{
    const cpu_set_t before = affinity();
    struct rti_thread thread;
    cpu_set_t now;

    (void)state;
    assert_int_equal(rti_thread_begin(&thread, -1, &ear), 0);
    now = affinity();
    assert_true(CPU_EQUAL(&now, &before));
    assert_int_equal(thread.cpu, -1);
    assert_null(thread.own);
    assert_null(thread.others);
    rti_thread_end(&thread);
    now = affinity();
    assert_true(CPU_EQUAL(&now, &before));
}

static void timers_fire_to_the_nanosecond_and_later_as_before(void **state)
{
    struct rti_thread thread;

    (void)state;
    assert_int_equal(prctl(PR_SET_TIMERSLACK, 12345UL, 0UL, 0UL, 0UL), 0);
    assert_int_equal(rti_thread_begin(&thread, -1, &ear), 0);
    assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 1);
    rti_thread_end(&thread);
    assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 12345);
}

static void a_text_is_the_number_of_one_cpu_or_none(void **state)
{
    int cpu = 7;

    (void)state;
    assert_int_equal(rti_thread_parse_cpu(NULL, &cpu, &ear), 0);
    assert_int_equal(cpu, -1);
    assert_int_equal(rti_thread_parse_cpu("0", &cpu, &ear), 0);
    assert_int_equal(cpu, 0);
    assert_int_equal(rti_thread_parse_cpu("1024", &cpu, &ear), 0);
    assert_int_equal(cpu, 1024);
    assert_int_equal(rti_thread_parse_cpu("2147483647", &cpu, &ear), 0);
    assert_int_equal(cpu, 2147483647);
}

static void any_other_text_is_refused_in_words(void **state)
{
    static const char *const lists[] = { "",           " ",          "x",
                                         "0x0",        "-1",         "+0",
                                         "0-1",        "0,1",        "0 ",
                                         " 0",         "0a",         "2147483648",
                                         "4294967296", "4294967297", "18446744073709551616",
                                         "all" };

    (void)state;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char quoted[40];
        int cpu = 7;

        memset(&heard, 0, sizeof(heard));
        assert_int_equal(rti_thread_parse_cpu(lists[i], &cpu, &ear), -EINVAL);
        assert_int_equal(cpu, 7);
        snprintf(quoted, sizeof(quoted), "\"%s\"", lists[i]);
        assert_int_equal(heard.lines, 1);
        assert_non_null(strstr(heard.text, quoted));
        assert_non_null(strstr(heard.text, "number of one CPU"));
    }
}

/* Also far above what a cpu_set_t holds. Nothing is changed, timers neither. */
static void a_cpu_that_this_process_may_not_use_is_refused_by_its_number(void **state)
{
    static const int cpus[] = { 1023, 1024, 1000000, 2147483647 };
    const cpu_set_t before = affinity();
    char count[32];

    (void)state;
    if (CPU_ISSET(1023, &before)) {
        skip();
    }
    snprintf(count, sizeof(count), "one of the %d ", CPU_COUNT(&before));
    assert_int_equal(prctl(PR_SET_TIMERSLACK, 12345UL, 0UL, 0UL, 0UL), 0);
    for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
        struct rti_thread thread;
        char number[32];
        cpu_set_t after;

        memset(&heard, 0, sizeof(heard));
        snprintf(number, sizeof(number), "CPU %d ", cpus[i]);
        assert_int_equal(rti_thread_begin(&thread, cpus[i], &ear), -EINVAL);
        assert_int_equal(heard.lines, 1);
        assert_non_null(strstr(heard.text, number));
        assert_non_null(strstr(heard.text, count));
        after = affinity();
        assert_true(CPU_EQUAL(&after, &before));
        assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 12345);
    }
}

/* A CPU that exists, but that the affinity of this thread leaves out. */
static void a_cpu_outside_the_affinity_is_refused(void **state)
{
    const cpu_set_t before = affinity();
    const unsigned cpu = last_cpu(&before);
    struct rti_thread thread;
    cpu_set_t fewer = before;
    int r;

    (void)state;
    if (CPU_COUNT(&before) < 2) {
        skip();
    }
    CPU_CLR(cpu, &fewer);
    assert_int_equal(sched_setaffinity(0, sizeof(fewer), &fewer), 0);
    memset(&heard, 0, sizeof(heard));
    r = rti_thread_begin(&thread, (int)cpu, &ear);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(r, -EINVAL);
    assert_int_equal(heard.lines, 1);
}

/* As on a machine with more than 1024 CPUs: its kernel refuses a set of no more than these. */
static void a_set_that_is_too_small_for_the_kernel_grows(void **state)
{
    const cpu_set_t before = affinity();
    const unsigned cpu = last_cpu(&before);
    struct rti_thread thread;
    cpu_set_t now;

    (void)state;
    fault_begin(2);
    assert_int_equal(rti_thread_begin(&thread, (int)cpu, &ear), 0);
    assert_true(fault_end());
    assert_string_equal(fault_name(), "rti_sys_getaffinity");
    assert_int_equal(thread.set_bytes, 2 * sizeof(cpu_set_t));
    now = affinity();
    assert_int_equal(CPU_COUNT(&now), 1);
    assert_true(CPU_ISSET(cpu, &now));
    rti_thread_end(&thread);
    now = affinity();
    assert_true(CPU_EQUAL(&now, &before));
}

static void a_call_that_fails_is_said_and_changes_nothing(void **state)
{
    const cpu_set_t before = affinity();
    bool hit = true;

    (void)state;
    for (unsigned n = 1; hit; n++) {
        const int64_t blocks = fault_live_blocks();
        struct rti_thread thread;
        cpu_set_t after;
        int r;

        memset(&heard, 0, sizeof(heard));
        fault_begin(n);
        r = rti_thread_begin(&thread, (int)last_cpu(&before), &ear);
        hit = fault_end();
        if (r == 0) {
            rti_thread_end(&thread);
        }
        assert_int_equal(heard.lines, r < 0 ? 1 : 0);
        after = affinity();
        assert_true(CPU_EQUAL(&after, &before));
        assert_int_equal(fault_live_blocks(), blocks);
    }
}

static void a_thread_that_asks_about_itself_runs(void **state)
{
    (void)state;
    assert_int_equal(rti_thread_state(rti_sys_thread_id()), 'R');
    assert_int_equal(rti_thread_state(-1), '?');
}

static void only_faults_are_not_blocked(void **state)
{
    sigset_t before;
    sigset_t during;
    sigset_t after;

    (void)state;
    rti_thread_block_signals(&before);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &during), 0);
    assert_true(sigismember(&during, SIGINT) && sigismember(&during, SIGTERM));
    assert_true(sigismember(&during, SIGALRM) && sigismember(&during, SIGUSR1));
    assert_false(sigismember(&during, SIGSEGV) || sigismember(&during, SIGBUS));
    assert_false(sigismember(&during, SIGABRT));
    rti_thread_unblock_signals(&before);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &after), 0);
    assert_false(sigismember(&after, SIGINT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_faults_are_not_blocked),
        cmocka_unit_test(a_thread_is_pinned_to_its_cpu_and_back_to_all),
        cmocka_unit_test(the_other_cpus_are_those_it_was_allowed_less_its_own),
        cmocka_unit_test(a_thread_without_a_cpu_is_not_pinned),
        cmocka_unit_test(timers_fire_to_the_nanosecond_and_later_as_before),
        cmocka_unit_test(a_text_is_the_number_of_one_cpu_or_none),
        cmocka_unit_test(any_other_text_is_refused_in_words),
        cmocka_unit_test(a_cpu_that_this_process_may_not_use_is_refused_by_its_number),
        cmocka_unit_test(a_cpu_outside_the_affinity_is_refused),
        cmocka_unit_test(a_set_that_is_too_small_for_the_kernel_grows),
        cmocka_unit_test(a_call_that_fails_is_said_and_changes_nothing),
        cmocka_unit_test(a_thread_that_asks_about_itself_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
