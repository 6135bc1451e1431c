/* SPDX-License-Identifier: MIT */
/* Waiters, as the program sees them; see waits.c. */
#ifndef RT_TEST_WAITS_WAITER_H
#define RT_TEST_WAITS_WAITER_H

#include "waits.h"

enum outcome { GOT, TIMED_OUT, CANCELLED, OTHER, OUTCOMES };

/* What all programs of one kind met together: a test of chance shows that it met everything. */
extern struct met {
    unsigned waits[WAYS][OUTCOMES];
    unsigned scoped;
    unsigned ended_by_scope;
    unsigned stops;
    unsigned joins_in_vain;
} met;

/* Now, soon, later or never. */
rt_time waits_some_deadline(struct run *run);

/* The ways to wait of fibers, or of futures that are tasks; how many there are. */
unsigned wait_ways_of(const struct kind *kind, bool fiber, enum way ways[WAYS]);

/* As of `now`: has the wait's deadline passed, or that of a scope that no shield holds off? */
bool wait_time_is_up(const struct waiter *waiter, rt_time now);

/* As of `now`: was its task or a scope cancelled, and no shield holds that off? */
bool wait_is_cancelled(const struct waiter *waiter, rt_time now);

void waiter_spawn(struct waiter *waiter);

/* A waiter ends, which is the last that it does. */
void waiter_ended(struct run *run);

#endif /* RT_TEST_WAITS_WAITER_H */
