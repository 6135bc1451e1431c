/* SPDX-License-Identifier: MIT */
/* Rows: those that rt-bench has, those of shared objects (--load), and which of them are wanted. */
#ifndef BENCH_ROWSET_H
#define BENCH_ROWSET_H

#include <rt/bench.h>
#include <stdbool.h>
#include <stddef.h>

struct rowset {
    const struct rt_bench_row **rows;
    size_t count;
};

/* Starts with the built-in ones. False, and a message: no memory. */
bool rowset_create(struct rowset *set);
void rowset_destroy(struct rowset *set);

/* Add the rows of a shared object, which stays loaded. False, and a message: it cannot be loaded,
 * has no rows, or one that cannot be taken. */
bool rowset_load(struct rowset *set, const char *file);

/* Drop the rows whose names the extended regular expression does not match. False, and a message:
 * it is none, or none is left. */
bool rowset_filter(struct rowset *set, const char *pattern);

/* Drop the rows that are only run when they are named. */
void rowset_drop_long(struct rowset *set);

#endif /* BENCH_ROWSET_H */
