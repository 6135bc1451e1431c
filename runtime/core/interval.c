/* SPDX-License-Identifier: MIT */
/* Interval: a sleep until the next moment, and which one comes after it. */
#include "rt/interval.h"

#include <errno.h>

#include "core/executor.h"
#include "os/sys.h"
#include "rt/timer.h"

_Static_assert(sizeof(struct rt_interval) == 24, "as its header says");

int rt_interval_init(struct rt_interval *interval, rt_time first, rt_time period, uint32_t policy)
{
    const struct rti_executor *executor = rti_executor_here("rt_interval_init");

    if (first < 0 || period <= 0 || policy > RT_MISSED_DELAY) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "an interval from %lld on, every %lld ns, with policy %u: the first moment must "
                "not be below 0, the period be above 0, the policy be one of enum rt_missed",
                (long long)first, (long long)period, policy);
        return -EINVAL;
    }
    *interval = (struct rt_interval){ .next = first, .period = period, .policy = policy };
    return 0;
}

/* The moment after one at which the task came back when `missed` more had passed. */
static rt_time after(const struct rt_interval *interval, rt_time now, rt_time missed)
{
    if (missed > 0 && interval->policy == RT_MISSED_SKIP) { /* not after now: no overflow yet */
        return rti_time_add(interval->next + missed * interval->period, interval->period);
    }
    if (missed > 0 && interval->policy == RT_MISSED_DELAY) {
        return rti_time_add(now, interval->period);
    }
    return rti_time_add(interval->next, interval->period);
}

int rt_interval_wait(struct rt_interval *interval, uint64_t *missed, rt_time deadline)
{
    const rt_time next = interval->next;
    rt_time now;
    rt_time passed;
    int r;

    (void)rti_executor_here("rt_interval_wait");
    r = rt_sleep_until(next < deadline ? next : deadline);
    if (r < 0) {
        return r;
    }
    now = rti_sys_now();
    if (now < next) {
        return -ETIME;
    }
    passed = (now - next) / interval->period;
    interval->next = after(interval, now, passed);
    if (missed != NULL) {
        *missed = (uint64_t)passed;
    }
    return 0;
}
