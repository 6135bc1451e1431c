/* SPDX-License-Identifier: MIT */
/*
 * Zipf's distribution: rank k of 1 .. count comes in proportion to 1 / k^theta.
 *
 * Drawn by rejection-inversion (W. Hoermann and G. Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", ACM TOMACS 6(3), 1996): exact for every theta
 * above 0, in constant time, and without a sum over all ranks at the start.
 */
#ifndef STORAGE_ZIPF_H
#define STORAGE_ZIPF_H

#include <stdint.h>

struct zipf {
    uint64_t count;
    double theta;
    double first;  /* the integral of the density's hat up to the first rank */
    double last;   /* ... and up to the last */
    double accept; /* ranks so much below their x need no test */
};

/* `count` is 1 .. 2^52; `theta` is above 0. */
struct zipf zipf_make(uint64_t count, double theta);

/* A rank, counted from 0: the most frequent is 0. */
uint64_t zipf_draw(const struct zipf *zipf, uint64_t *state);

#endif /* STORAGE_ZIPF_H */
