/* SPDX-License-Identifier: MIT */
/*
 * Noise and counters of rt-bench: what the kernel's files say is what is counted.
 *
 * Method: files of other machines as texts, in the kernel's format, with CPUs that
 * are missing and lines of another shape; on this machine, what must grow does.
 */
#include "noise.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "counters.h"
#include "read_file.h"
#include "support/harness.h"

/* rt-bench takes the place of the allocator for this, which a sanitizer does as well. */
uint64_t allocations_count(void)
{
    return 0;
}

static const char stat_text[] = "cpu  1 2 3 4 5 6 7 8 9 10\n"
                                "cpu0 10 0 10 100 0 0 0 5 0 0\n"
                                "cpu1 10 0 10 100 0 0 0 0 0 0\n"
                                "cpu10 10 0 10 100 0 0 0 70 0 0\n"
                                "intr 12345 1 2 3\n"
                                "ctxt 99\n";

static void stolen_time_is_that_of_the_cpus(void **state)
{
    const double tick_ms = 1000 / (double)sysconf(_SC_CLK_TCK);

    (void)state;
    assert_true(noise_steal_ms(stat_text, (int32_t[2]){ 0, -1 }) == 5 * tick_ms);
    assert_true(noise_steal_ms(stat_text, (int32_t[2]){ 1, -1 }) == 0);
    assert_true(noise_steal_ms(stat_text, (int32_t[2]){ 0, 10 }) == 75 * tick_ms);
    assert_true(isnan(noise_steal_ms(stat_text, (int32_t[2]){ 2, -1 })));
    assert_true(isnan(noise_steal_ms("", (int32_t[2]){ 0, -1 })));
}

static const char interrupts_text[] =
    "            CPU0       CPU2       CPU11\n"
    "   0:         10          0          1   IO-APIC   2-edge      timer\n"
    "  26:       1000       2000       3000   PCI-MSI 5-edge      CPU1 and CPU2\n"
    " NMI:          0          7          0   Non-maskable interrupts\n"
    " ERR:         99\n"
    " MIS:         99\n";

static void interrupts_are_those_of_the_columns_of_the_cpus(void **state)
{
    (void)state;
    assert_true(noise_interrupts(interrupts_text, (int32_t[2]){ 0, -1 }) == 1010 + 99 + 99);
    assert_true(noise_interrupts(interrupts_text, (int32_t[2]){ 2, -1 }) == 2007);
    assert_true(noise_interrupts(interrupts_text, (int32_t[2]){ 2, 11 }) == 2007 + 3001);
    assert_true(isnan(noise_interrupts(interrupts_text, (int32_t[2]){ 1, -1 })));
}

static void stolen_or_waited_time_disturbs_and_nothing_else(void **state)
{
    const struct noise quiet = { .switches = 9, .waited_us = 90, .interrupts = 99, .mhz = NAN };
    struct noise noise = quiet;

    (void)state;
    assert_false(noise_disturbs(&noise, 5e6));
    noise.waited_us = 110; /* of 5 ms: above 2 % */
    assert_true(noise_disturbs(&noise, 5e6));
    noise = quiet;
    noise.steal_ms = 10;
    assert_true(noise_disturbs(&noise, 5e6));
    noise.steal_ms = NAN; /* not known is no evidence */
    assert_false(noise_disturbs(&noise, 5e6));
}

static void what_runs_here_is_counted(void **state)
{
    const int32_t cpus[2] = { 0, -1 };
    struct noise_mark mark;
    struct noise noise;
    struct counters before;
    struct counters after;
    volatile unsigned work = 0;

    (void)state;
    noise_begin(&mark, cpus);
    counters_read(&before);
    while (work < 10000000) {
        work++;
    }
    counters_read(&after);
    noise_end(&noise, &mark, cpus);
    assert_true(after.cpu_ns > before.cpu_ns);
    assert_true(noise.switches >= 0 && noise.waited_us >= 0);
}

/* The counters of the processor may be missing; that of time on the CPU is always there. */
static void a_counter_of_perf_counts_what_this_thread_does(void **state)
{
    const int fd = counters_open_one(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
    volatile unsigned work = 0;
    double before;

    (void)state;
    if (fd < 0) {
        print_message("skipped: no perf events for this process (%d)\n", fd);
        skip();
    }
    before = counters_read_one(fd);
    while (work < 10000000) {
        work++;
    }
    assert_true(counters_read_one(fd) > before);
    close(fd);
    assert_true(isnan(counters_read_one(-1)));
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    char small[8];
    char *text = read_whole_file("/proc/self/smaps"); /* longer than the first try */
    size_t bytes = 0;

    (void)state;
    assert_non_null(text);
    while (text[bytes] != '\0') {
        bytes++;
    }
    assert_true(bytes > 16384);
    assert_int_equal(text[bytes - 1], '\n');
    free(text);
    assert_int_equal(read_file("/proc/self/stat", small, sizeof(small)), sizeof(small) - 1);
    assert_int_equal(small[sizeof(small) - 1], '\0');
    assert_int_equal(read_file("/proc/self/none", small, sizeof(small)), -1);
    assert_null(read_whole_file("/proc/self/none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stolen_time_is_that_of_the_cpus),
        cmocka_unit_test(interrupts_are_those_of_the_columns_of_the_cpus),
        cmocka_unit_test(stolen_or_waited_time_disturbs_and_nothing_else),
        cmocka_unit_test(what_runs_here_is_counted),
        cmocka_unit_test(a_counter_of_perf_counts_what_this_thread_does),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
