/* SPDX-License-Identifier: MIT */
/*
 * Spin: whether a shard without work looks for some before it sleeps.
 *
 * To sleep and be woken costs some microseconds of CPU time, and tens of them in a
 * virtual machine. Who looks for so long first (the window, config.spin) pays at most
 * twice what the best choice would have cost, whatever comes: the old problem of
 * renting skis or buying them. Over many waits one can do better, since waits resemble
 * each other: the adaptive policy looks where looking has found something.
 *
 * It is a counter, like those by which processors foresee branches. A look that finds
 * work is worth two that do not: +2, -1, from 0 to 8. At 0 the shard sleeps at once,
 * but for one wait in 17, in which it looks how things are. So
 *
 *     looks in vain <= 2 * looks that found + waits / 17 + 1
 *
 * at any time since the start; and a shard that is left alone looks in vain 8 times
 * and then sleeps. It makes no wake-ups of its own: a look comes before a sleep only.
 * 17 is odd since waits may alternate: a caller waits for its answer, then for its
 * next tick, and must not look at the same one each time.
 *
 * haltpoll of Linux (drivers/cpuidle/governors/haltpoll.c) does the like for guests, but
 * learns from how long sleeps lasted. A sleep lasts as long as waking takes, too: where
 * that is longer than the window, no sleep is ever short, and it would never begin.
 *
 * Pure: no clock, no kernel.
 */
#ifndef RTI_CORE_SPIN_H
#define RTI_CORE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define RTI_SPIN_CREDIT_MAX 8u
#define RTI_SPIN_FOUND      2u  /* what a look that finds is worth */
#define RTI_SPIN_PROBE      17u /* without credit, each so manieth wait looks */

struct rti_spin {
    uint64_t window; /* how long a look takes at most, in ticks; 0: never look */
    bool adaptive;
    uint32_t credit;
    uint32_t slept; /* waits without a look since the last one */
    uint64_t looks;
    uint64_t found;
};

/* A wait begins: whether to look. */
static inline bool rti_spin_looks(struct rti_spin *spin)
{
    bool looks = spin->window > 0;

    if (looks && spin->adaptive && spin->credit == 0) {
        spin->slept++;
        looks = spin->slept == RTI_SPIN_PROBE;
    }
    if (looks) {
        spin->slept = 0;
    }
    return looks;
}

/* The look has ended. Not called when there was something before it began: nothing was learnt. */
static inline void rti_spin_looked(struct rti_spin *spin, bool found)
{
    spin->looks++;
    if (found) {
        spin->found++;
        spin->credit += RTI_SPIN_FOUND;
        spin->credit = spin->credit < RTI_SPIN_CREDIT_MAX ? spin->credit : RTI_SPIN_CREDIT_MAX;
    } else if (spin->credit > 0) {
        spin->credit--;
    }
}

#endif /* RTI_CORE_SPIN_H */
