/* SPDX-License-Identifier: MIT */
/*
 * Case: a set of task queues and what happens to them, to be drawn by chance,
 * printed, read again, and made smaller while it still fails.
 *
 * Written out, a case is a line for each thing, all numbers in ticks:
 *
 *     slice 500000
 *     parent <shares>
 *     queue <shares> <goal> <parent, or -1> <hold> <busy>
 *     step <queue> <work> <shares> <run>
 */
#ifndef RT_TEST_SCHED_CASE_H
#define RT_TEST_SCHED_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sched_fluid.h"
#include "support/rand.h"

#define CASE_QUEUES_MAX 40u
#define CASE_STEPS_MAX  120u
#define CASE_PARENTS_MAX FLUID_PARENTS_MAX

struct case_queue {
    uint32_t shares;
    uint32_t goal; /* 0 = none */
    int parent;    /* below 0: none */
    uint32_t hold; /* it yields after so long; longer than a slice: it does not look at the time */
    bool busy;     /* it has more work than it will ever do */
};

/* First work comes to the queue, then its shares change, then time passes. */
struct case_step {
    uint32_t queue;
    uint32_t work;   /* 0 = none */
    uint32_t shares; /* 0 = they stay */
    uint32_t run;
};

struct sched_case {
    uint32_t slice;
    uint32_t parents;
    uint32_t queues;
    uint32_t steps;
    uint32_t parent_shares[CASE_PARENTS_MAX];
    struct case_queue queue[CASE_QUEUES_MAX];
    struct case_step step[CASE_STEPS_MAX];
};

/* What is wrong with a run of the case, or NULL. */
typedef const char *(*case_run_fn)(const struct sched_case *the_case);

void case_draw(struct sched_case *the_case, uint64_t seed);
void case_print(const struct sched_case *the_case, FILE *to);
bool case_read(struct sched_case *the_case, FILE *from);

/* Drop queues, parents and steps, halve what is left, as long as `run` finds something wrong. */
void case_shrink(struct sched_case *the_case, case_run_fn run);

#endif /* RT_TEST_SCHED_CASE_H */
