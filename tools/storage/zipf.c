/* SPDX-License-Identifier: MIT */
/* Names as in the paper: h is the density, H its integral. */
#include "zipf.h"

#include <math.h>

#include "draw.h"

/* Where a quotient of the form 0 / 0 is near, its series is used. */
#define NEAR_ZERO 1e-8

static double h(double theta, double x)
{
    return exp(-theta * log(x));
}

/* (x^(1 - theta) - 1) / (1 - theta), which is log(x) for theta = 1. */
static double integral(double theta, double x)
{
    const double log_x = log(x);
    const double t = (1 - theta) * log_x;

    return log_x * (fabs(t) > NEAR_ZERO ? expm1(t) / t : 1 + t / 2);
}

static double integral_inverse(double theta, double y)
{
    /* Rounding may take it below -1, where there is no logarithm. */
    const double t = fmax(y * (1 - theta), -1);

    return exp(y * (fabs(t) > NEAR_ZERO ? log1p(t) / t : 1 - t / 2));
}

struct zipf zipf_make(uint64_t count, double theta)
{
    return (struct zipf){
        .count = count,
        .theta = theta,
        .first = integral(theta, 1.5) - 1,
        .last = integral(theta, (double)count + 0.5),
        .accept = 2 - integral_inverse(theta, integral(theta, 2.5) - h(theta, 2)),
    };
}

uint64_t zipf_draw(const struct zipf *zipf, uint64_t *state)
{
    for (;;) {
        const double y = zipf->last + draw_fraction(state) * (zipf->first - zipf->last);
        const double x = integral_inverse(zipf->theta, y);
        const double rank = fmin(fmax(floor(x + 0.5), 1), (double)zipf->count);

        if (rank - x <= zipf->accept ||
            y >= integral(zipf->theta, rank + 0.5) - h(zipf->theta, rank)) {
            return (uint64_t)rank - 1;
        }
    }
}
