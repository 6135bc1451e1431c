/* SPDX-License-Identifier: MIT */
/* Fault checks: a run, again and again with another call made to fail, and what must be so then. */
#ifndef RT_TEST_FAULT_CHECKS_H
#define RT_TEST_FAULT_CHECKS_H

#include "support/fault.h"
#include "support/harness.h"

#include "rt/executor.h"

static inline void check_nothing_is_left(unsigned n, unsigned descriptors)
{
    T_CHECK(fault_live_blocks() == 0);
    T_CHECK(fault_live_mapped() == 0);
    T_CHECK(t_open_descriptors() == descriptors);
    if (t_failure_count > 0) {
        fprintf(stderr, "with call %u (%s) made to fail\n", n, fault_name());
    }
    assert_int_equal(t_failures(), 0);
}

/* A log for runs in which every other line is one of a failure that was made. */
static inline void hear_nothing(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text;
}

struct fault_runs {
    unsigned calls;  /* each was made to fail once */
    unsigned failed; /* runs that ended with an error, below 0 */
};

/* Run as it is, which gives 0; then with each call made to fail in turn, until there is no more. */
static inline struct fault_runs fail_each_call(int (*run)(void *arg), void *arg)
{
    const unsigned descriptors = t_open_descriptors();
    struct fault_runs runs = { 0 };
    bool hit;

    assert_int_equal(run(arg), 0);
    check_nothing_is_left(0, descriptors);
    do {
        const unsigned n = runs.calls + 1;

        fault_begin(n);
        runs.failed += run(arg) < 0;
        hit = fault_end();
        runs.calls += hit;
        check_nothing_is_left(n, descriptors);
    } while (hit);
    printf("%u calls, each made to fail once; %u of the runs ended with an error\n", runs.calls,
           runs.failed);
    return runs;
}

#endif /* RT_TEST_FAULT_CHECKS_H */
