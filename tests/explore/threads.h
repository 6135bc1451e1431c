/* SPDX-License-Identifier: MIT */
/*
 * Threads: the explorer says which of them goes on.
 *
 *     preemptions_max = 2;                     in the test function
 *
 *     begin_run();                             in the program
 *     ...                                      what is not the question
 *     is_open = true;
 *     ...
 *     end_run();
 *
 * A thread that waits is left for any other that can run. To leave one that could
 * go on is a preemption, and a run has at most so many.
 */
#ifndef RT_TEST_EXPLORE_THREADS_H
#define RT_TEST_EXPLORE_THREADS_H

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "support/explore.h"
#include "support/sim.h"

static unsigned preemptions_max;
static unsigned preemptions_left;
static bool is_open; /* else the first that can run does: what happens then is not the question */

static unsigned choose_thread(unsigned count, bool stays)
{
    unsigned chosen;

    if (!is_open || (stays && preemptions_left == 0)) {
        return 0;
    }
    chosen = explore_choose(count, stays ? "whether another thread goes on" : "who goes on");
    preemptions_left -= stays && chosen > 0;
    return chosen;
}

static void begin_run(void)
{
    preemptions_left = preemptions_max;
    is_open = false;
    sim_begin(&(struct sim_config){ .seed = 1, .choose_thread = choose_thread });
}

static void end_run(void)
{
    is_open = false;
    EXPLORE_CHECK(sim_end(NULL) == 0);
}

/* One thread runs at a time: on one CPU the baton is handed without waking another one. */
static void stay_on_one_cpu(void)
{
    cpu_set_t one;
    int cpu = sched_getcpu();

    CPU_ZERO(&one);
    CPU_SET((size_t)(cpu >= 0 ? cpu : 0), &one);
    (void)sched_setaffinity(0, sizeof(one), &one);
    (void)setenv("RT_SPURIOUS", "0", 1);
}

#endif /* RT_TEST_EXPLORE_THREADS_H */
