/* SPDX-License-Identifier: MIT */
/* Thread: pinning and what is put back afterwards, on the CPUs that this machine has. */
#include "os/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

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
        char text[16];

        if (!CPU_ISSET(cpu, &before)) {
            continue;
        }
        snprintf(text, sizeof(text), "%u", cpu);
        assert_int_equal(rti_thread_begin(&thread, text, &ear), 0);
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
    cpu_set_t others;
    char text[16];

    (void)state;
    snprintf(text, sizeof(text), "%u", cpu);
    assert_int_equal(rti_thread_begin(&thread, text, &ear), 0);
    assert_int_equal(rti_thread_other_cpus(&thread, &others), CPU_COUNT(&before) - 1);
    assert_int_equal(CPU_COUNT(&others), CPU_COUNT(&before) - 1);
    assert_false(CPU_ISSET(cpu, &others));
    CPU_SET(cpu, &others);
    assert_true(CPU_EQUAL(&others, &before));
    rti_thread_end(&thread);
}

static void a_thread_without_a_list_is_not_pinned(void **state)
{
    const cpu_set_t before = affinity();
    struct rti_thread thread;
    cpu_set_t others;
    cpu_set_t now;

    (void)state;
    assert_int_equal(rti_thread_begin(&thread, NULL, &ear), 0);
    now = affinity();
    assert_true(CPU_EQUAL(&now, &before));
    assert_int_equal(thread.cpu, -1);
    assert_int_equal(rti_thread_other_cpus(&thread, &others), 0);
    rti_thread_end(&thread);
    now = affinity();
    assert_true(CPU_EQUAL(&now, &before));
}

static void timers_fire_to_the_nanosecond_and_later_as_before(void **state)
{
    struct rti_thread thread;

    (void)state;
    assert_int_equal(prctl(PR_SET_TIMERSLACK, 12345UL, 0UL, 0UL, 0UL), 0);
    assert_int_equal(rti_thread_begin(&thread, NULL, &ear), 0);
    assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 1);
    rti_thread_end(&thread);
    assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 12345);
}

static void a_wrong_list_is_refused_in_words_and_changes_nothing(void **state)
{
    static const char *const lists[] = { "",      " ",          "x",
                                         "0x0",   "-1",         "+0",
                                         "0-1",   "0,1",        "0 ",
                                         " 0",    "0a",         "1024",
                                         "99999", "4294967296", "18446744073709551616",
                                         "all" };
    const cpu_set_t before = affinity();

    (void)state;
    assert_int_equal(prctl(PR_SET_TIMERSLACK, 12345UL, 0UL, 0UL, 0UL), 0);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct rti_thread thread;
        char quoted[40];
        cpu_set_t after;

        memset(&heard, 0, sizeof(heard));
        assert_int_equal(rti_thread_begin(&thread, lists[i], &ear), -EINVAL);
        snprintf(quoted, sizeof(quoted), "\"%s\"", lists[i]);
        assert_int_equal(heard.lines, 1);
        assert_non_null(strstr(heard.text, quoted));
        assert_non_null(strstr(heard.text, "number of one CPU"));
        after = affinity();
        assert_true(CPU_EQUAL(&after, &before));
        assert_int_equal(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL), 12345);
    }
}

static void a_cpu_that_this_process_may_not_use_is_refused_by_its_number(void **state)
{
    const cpu_set_t before = affinity();
    struct rti_thread thread;
    char count[32];
    cpu_set_t after;

    (void)state;
    if (CPU_ISSET(1023, &before)) {
        skip();
    }
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(rti_thread_begin(&thread, "1023", &ear), -EINVAL);
    snprintf(count, sizeof(count), "one of the %d ", CPU_COUNT(&before));
    assert_int_equal(heard.lines, 1);
    assert_non_null(strstr(heard.text, "CPU 1023"));
    assert_non_null(strstr(heard.text, count));
    after = affinity();
    assert_true(CPU_EQUAL(&after, &before));
}

/* A CPU that exists, but that the affinity of this thread leaves out. */
static void a_cpu_outside_the_affinity_is_refused(void **state)
{
    const cpu_set_t before = affinity();
    const unsigned cpu = last_cpu(&before);
    struct rti_thread thread;
    cpu_set_t fewer = before;
    char text[16];
    int r;

    (void)state;
    if (CPU_COUNT(&before) < 2) {
        skip();
    }
    CPU_CLR(cpu, &fewer);
    assert_int_equal(sched_setaffinity(0, sizeof(fewer), &fewer), 0);
    memset(&heard, 0, sizeof(heard));
    snprintf(text, sizeof(text), "%u", cpu);
    r = rti_thread_begin(&thread, text, &ear);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(r, -EINVAL);
    assert_int_equal(heard.lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_is_pinned_to_its_cpu_and_back_to_all),
        cmocka_unit_test(the_other_cpus_are_those_it_was_allowed_less_its_own),
        cmocka_unit_test(a_thread_without_a_list_is_not_pinned),
        cmocka_unit_test(timers_fire_to_the_nanosecond_and_later_as_before),
        cmocka_unit_test(a_wrong_list_is_refused_in_words_and_changes_nothing),
        cmocka_unit_test(a_cpu_that_this_process_may_not_use_is_refused_by_its_number),
        cmocka_unit_test(a_cpu_outside_the_affinity_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
