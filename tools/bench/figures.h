/* SPDX-License-Identifier: MIT */
/*
 * Figures: from the repetitions of a result to its medians, intervals and ratio.
 *
 * A result (docs/tools/bench.md) holds every repetition. So those of several
 * passes are put together first, and the figures are made from all of them.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <jansson.h>

/* Add the repetitions of a later pass, of the same row at the same place. */
void figures_add(json_t *result, const json_t *pass);

/* Make all figures of a result. Those of one that has failed are null. */
void figures_set(json_t *result);

#endif /* BENCH_FIGURES_H */
