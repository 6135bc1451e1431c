/* SPDX-License-Identifier: MIT */
/* What is read from a histogram. */
#include "histogram.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* HdrHistogram's plots have as many lines per halving of the distance to 1. */
#define TICKS 5

_Static_assert(HISTOGRAM_MAX < (uint64_t)HISTOGRAM_SUB_BUCKETS << (HISTOGRAM_BUCKETS - 1),
               "the last counter stands for an hour");

struct histogram *histogram_create(void)
{
    return calloc(1, sizeof(struct histogram));
}

void histogram_destroy(struct histogram *histogram)
{
    free(histogram);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        into->counters[i] += from->counters[i];
    }
    into->count += from->count;
    if (from->max > into->max) {
        into->max = from->max;
    }
}

uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram->count;
}

uint64_t histogram_max(const struct histogram *histogram)
{
    return histogram->max;
}

/* The bits that counter `index` does not tell apart. */
static unsigned shift_of(uint32_t index)
{
    return index < HISTOGRAM_SUB_BUCKETS ? 0 : index / HISTOGRAM_STEPS - 1;
}

static uint64_t least_of(uint32_t index)
{
    unsigned shift = shift_of(index);

    return (uint64_t)(index - shift * HISTOGRAM_STEPS) << shift;
}

static double middle_of(uint32_t index)
{
    uint64_t half = (UINT64_C(1) << shift_of(index)) / 2;

    return (double)(least_of(index) + half);
}

uint64_t histogram_next(const struct histogram *histogram, uint32_t *index, uint64_t *value)
{
    while (*index < HISTOGRAM_COUNTERS) {
        uint32_t i = (*index)++;

        if (histogram->counters[i] > 0) {
            uint64_t last = least_of(i) + (UINT64_C(1) << shift_of(i)) - 1;

            *value = last < histogram->max ? last : histogram->max;
            return histogram->counters[i];
        }
    }
    return 0;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    /* Slightly less, so that 0.55 of 100 is the 55th although the product is a bit above 55. */
    double wanted = ceil(nextafter(quantile, 0) * (double)histogram->count);
    uint64_t value = 0;
    uint64_t seen = 0;
    uint64_t count;
    uint32_t index = 0;

    while ((count = histogram_next(histogram, &index, &value)) > 0) {
        seen += count;
        if ((double)seen >= wanted) {
            break;
        }
    }
    return value;
}

double histogram_mean(const struct histogram *histogram)
{
    double sum = 0;

    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        sum += (double)histogram->counters[i] * middle_of(i);
    }
    return histogram->count > 0 ? sum / (double)histogram->count : 0;
}

double histogram_stddev(const struct histogram *histogram)
{
    double mean = histogram_mean(histogram);
    double sum = 0;

    for (uint32_t i = 0; i < HISTOGRAM_COUNTERS; i++) {
        sum += (double)histogram->counters[i] * (middle_of(i) - mean) * (middle_of(i) - mean);
    }
    return histogram->count > 0 ? sqrt(sum / (double)histogram->count) : 0;
}

/* How far the percentiles are apart after `percentile`: TICKS steps from 0 to 50, as many from 50
 * to 75, and so on. */
static double step_after(double percentile)
{
    return 100 / (TICKS * exp2(floor(log2(100 / (100 - percentile))) + 1));
}

/*
 * A line for each percentile that is due, with the value that reaches it. The
 * greatest value gets one line, and one more for 100 %, whose last column would
 * be infinite. Percentiles are added up in percent, as HdrHistogram does: their
 * roundings are part of the format.
 */
static void print_percentiles(const struct histogram *histogram, FILE *out, double unit_ns)
{
    double percentile = 0;
    uint64_t value = 0;
    uint64_t seen = 0;
    uint64_t count;
    uint32_t index = 0;

    while ((count = histogram_next(histogram, &index, &value)) > 0) {
        seen += count;
        while (100 * (double)seen / (double)histogram->count >= percentile) {
            fprintf(out, "%12.3f %2.12f %10" PRIu64 " %14.2f\n", (double)value / unit_ns,
                    percentile / 100, seen, 1 / (1 - percentile / 100));
            percentile += step_after(percentile);
            if (seen == histogram->count) {
                fprintf(out, "%12.3f %2.12f %10" PRIu64 "\n", (double)value / unit_ns, 1.0, seen);
                return;
            }
        }
    }
}

void histogram_print(const struct histogram *histogram, FILE *out, double unit_ns)
{
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    print_percentiles(histogram, out, unit_ns);
    fprintf(out,
            "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n"
            "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n"
            "#[Buckets = %12u, SubBuckets     = %12u]\n",
            histogram_mean(histogram) / unit_ns, histogram_stddev(histogram) / unit_ns,
            (double)histogram->max / unit_ns, histogram->count, HISTOGRAM_BUCKETS,
            HISTOGRAM_SUB_BUCKETS);
}
