/* SPDX-License-Identifier: MIT */
/* Ticks: see ticks.h. */
#include "os/ticks.h"

#include "os/sys.h"

#define FIRST_CALIBRATION RT_MILLISECONDS(1)
#define LAST_CALIBRATION  RT_MILLISECONDS(100)

/* No processor's counter runs slower or faster: 1 MHz (aarch64) to 10 GHz. */
#define PER_NS_MIN 0.001
#define PER_NS_MAX 10.0

void rti_ticks_init(struct rti_ticks *ticks)
{
    const rt_time now = rti_sys_now();

    *ticks = (struct rti_ticks){
        .start_ticks = rti_sys_ticks(), .start = now, .due = now, .per_ns = rti_sys_ticks_per_ns()
    };
}

void rti_ticks_calibrate(struct rti_ticks *ticks, rt_time now, uint64_t at)
{
    const rt_time elapsed = now - ticks->start;

    if (elapsed < FIRST_CALIBRATION) {
        ticks->due = ticks->start + FIRST_CALIBRATION;
        return;
    }
    ticks->due = elapsed < LAST_CALIBRATION ? now + elapsed : RT_NEVER;
    ticks->per_ns = (double)(at - ticks->start_ticks) / (double)elapsed;
    if (ticks->per_ns < PER_NS_MIN || ticks->per_ns > PER_NS_MAX) { /* the counter was set back */
        *ticks = (struct rti_ticks){
            .start_ticks = at, .start = now, .due = now, .per_ns = rti_sys_ticks_per_ns()
        };
    }
}
