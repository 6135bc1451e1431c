/* SPDX-License-Identifier: MIT */
/*
 * Fluid: a core that is divided at will, the ideal that the scheduler comes near to.
 *
 * Every queue that has work gets its part of each moment: its shares by those of all that have
 * work; the children of a parent divide the parent's part so. (Parekh and Gallager, "Generalized
 * Processor Sharing", 1993.) It knows nothing of virtual time, lags or deadlines: only work that
 * came, and work that was served.
 */
#ifndef RT_TEST_SCHED_FLUID_H
#define RT_TEST_SCHED_FLUID_H

#include <stdint.h>

struct fluid_queue {
    double shares;
    double work;   /* that came and was not served */
    double served; /* ticks of CPU time, ever */
    double done;   /* when it was left without work last */
    int parent;    /* index among the parents; below 0: none */
};

struct fluid {
    double now;
    struct fluid_queue *queues;
    uint32_t queue_count;
    const double *parent_shares;
    uint32_t parent_count;
};

#define FLUID_PARENTS_MAX 4u

/* So much time passes. */
void fluid_advance(struct fluid *fluid, double ticks);

#endif /* RT_TEST_SCHED_FLUID_H */
