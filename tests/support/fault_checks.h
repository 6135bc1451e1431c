/* SPDX-License-Identifier: MIT */
/* Fault checks: what must be so after each run in which a call was made to fail. */
#ifndef RT_TEST_FAULT_CHECKS_H
#define RT_TEST_FAULT_CHECKS_H

#include "support/fault.h"
#include "support/harness.h"

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

#endif /* RT_TEST_FAULT_CHECKS_H */
