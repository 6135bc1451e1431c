/* SPDX-License-Identifier: MIT */
/*
 * Causes: what may end a wait, and which of it came first.
 *
 * A program writes down the moment of each cause. What a call returns follows
 * from the first one, whatever came after it (Q3 in core/wait.h).
 */
#ifndef RT_TEST_EXPLORE_CAUSES_H
#define RT_TEST_EXPLORE_CAUSES_H

#include <errno.h>

#include "rt/rt.h"
#include "support/explore.h"

#define DEADLINE 1000 /* ns from the start of a run */

enum cause {
    HAPPENED, /* what was waited for */
    CANCELLED,
    TIMED_OUT,
    OTHER_HAPPENED, /* the other of two things */
    CAUSES,
};

static unsigned cause_moments[CAUSES]; /* 0: it has not come */
static unsigned moment;
static rt_time deadline;

static inline void causes_begin(void)
{
    for (int i = 0; i < CAUSES; i++) {
        cause_moments[i] = 0;
    }
    moment = 0;
    deadline = rt_now() + DEADLINE;
}

static inline void came(enum cause cause)
{
    if (cause_moments[cause] == 0) {
        cause_moments[cause] = ++moment;
    }
}

static inline bool has_come(enum cause cause)
{
    return cause_moments[cause] > 0;
}

/* After each step. */
static inline void look_at_the_clock(void)
{
    if (rt_now() >= deadline) {
        came(TIMED_OUT);
    }
}

/* Why a wait has ended that several causes may have met: the first counts. */
static inline enum cause first_cause(void)
{
    int first = -1;

    for (int i = 0; i < CAUSES; i++) {
        if (cause_moments[i] > 0 && (first < 0 || cause_moments[i] < cause_moments[first])) {
            first = i;
        }
    }
    EXPLORE_CHECK(first >= 0 && "a wait ends for some reason");
    explore_met((unsigned)first);
    return (enum cause)first;
}

static inline int result_of(enum cause cause)
{
    static const int results[CAUSES] = { [CANCELLED] = -ECANCELED, [TIMED_OUT] = -ETIME };

    return results[cause];
}

#endif /* RT_TEST_EXPLORE_CAUSES_H */
