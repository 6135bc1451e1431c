/* SPDX-License-Identifier: MIT */
/*
 * Campaign: all rows at all places, one after the other, or each row on all
 * cores at once; with progress and the time that is left. Results are a document
 * (docs/tools/bench.md): every form of output is made from that.
 */
#ifndef BENCH_CAMPAIGN_H
#define BENCH_CAMPAIGN_H

#include <jansson.h>
#include <stdbool.h>

#include "measure.h"
#include "rowset.h"

struct campaign {
    struct rowset rows;
    const int32_t *cpus;
    size_t cpu_count;
    bool pairs;           /* the rows of the matrix on every pair, in both directions */
    unsigned passes;      /* over all rows: a mood that lasts some seconds is in one of them */
    double quick_seconds; /* above 0: for all together; then settings.seconds is set by it */
    struct settings settings;
    void (*show)(json_t *result, void *arg); /* called with each result as it comes; or NULL */
    void *show_arg;
};

/* How many measurements there are in a pass; 0: no row has a place to run on. */
size_t campaign_count(const struct campaign *campaign);

/* Measure; adds to the array `results`. Texts about what is left out go to `machine`'s warnings.
 * False, and a message: it cannot go on. A row that fails is a result with an error. */
bool campaign_run(struct campaign *campaign, json_t *machine, json_t *results);

/* Name the cores that stand out: sets "outlier" in each result. */
void campaign_find_outliers(json_t *results);

#endif /* BENCH_CAMPAIGN_H */
