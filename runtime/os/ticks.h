/* SPDX-License-Identifier: MIT */
/*
 * Ticks: a clock that is cheap enough to be read every few task runs.
 *
 * The processor's cycle counter costs 7 ns to read, the monotonic clock 16 or
 * more. How many ticks a ns has is measured against the monotonic clock 1 ms after
 * the start, and again each time that twice as long has passed, until 100 ms have.
 * Before the first ms it is what the processor says, and where it says nothing a tick
 * counts as one ns, so that spans come out too short, never too long.
 */
#ifndef RTI_OS_TICKS_H
#define RTI_OS_TICKS_H

#include <stdint.h>

#include "rt/base.h"

struct rti_ticks {
    uint64_t start_ticks;
    rt_time start;
    rt_time due; /* to be measured (again); RT_NEVER: it is known */
    double per_ns;
};

void rti_ticks_init(struct rti_ticks *ticks);

/* It is due. `now` and `at` were read together: the clock and the ticks. */
void rti_ticks_calibrate(struct rti_ticks *ticks, rt_time now, uint64_t at);

/* A length of time in ticks; saturates. */
static inline uint64_t rti_ticks_of(const struct rti_ticks *ticks, rt_time duration)
{
    const double count = (double)duration * ticks->per_ns;

    return count < 9e18 ? (uint64_t)count : (uint64_t)9000000000000000000;
}

#endif /* RTI_OS_TICKS_H */
