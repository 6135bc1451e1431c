/* SPDX-License-Identifier: MIT */
/*
 * Compare: is B slower than A? Two documents of `rt-bench --json`, row by row.
 *
 * A machine drifts by more from hour to hour than a change of the program makes,
 * but a limit that was measured in the same minute drifts along. So the ratio to
 * the limit decides where both documents have one, the figure itself elsewhere.
 *
 * A row is slower or faster when its whole interval lies beyond `threshold`. So
 * the change is certain, and matters. The threshold also stands for what no
 * interval knows: a program is in another mood in each run, such as by where its
 * memory came to lie (docs/performance/method.md has figures).
 *
 * Of many rows some would look certain by chance, so intervals are wider the more
 * rows there are: that all of them hold has a chance of 95 % (Bonferroni).
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

enum bench_compare_by {
    BENCH_BY_BEST = 0, /* the ratio where both have one, else the value */
    BENCH_BY_VALUE,
    BENCH_BY_RATIO, /* rows without a ratio have no verdict */
};

struct bench_compare_options {
    enum bench_compare_by by;
    double threshold; /* what a change must certainly be more than, 0.03 for 3 % */
    bool json;
};

#define BENCH_COMPARE_OPTIONS                                                                      \
    {                                                                                              \
        .by = BENCH_BY_BEST, .threshold = 0.03, .json = false,                                     \
    }

/* "value" or "ratio", as the user writes it. */
bool bench_compare_by_parse(enum bench_compare_by *out, const char *text);

/*
 * Print the comparison, as a table or as JSON. Returns the exit status: 0 when
 * no row of B is slower and none fails that did not in A, 1 when one is or
 * does, 2, and a message, when there is nothing to compare.
 */
int bench_compare(const char *path_a, const char *path_b,
                  const struct bench_compare_options *options, FILE *out);

#endif /* BENCH_COMPARE_H */
