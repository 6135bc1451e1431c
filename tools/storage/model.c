/* SPDX-License-Identifier: MIT */
/* The fit, and whether to believe it. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PS_PER_NS 1000.0
#define NS        1e9 /* in a second */

/* Saturation */

static double best_of(const struct model_levels *levels, uint32_t count)
{
    double best = 0;

    for (uint32_t i = 0; i < count; i++) {
        best = levels->per_second[i] > best ? levels->per_second[i] : best;
    }
    return best;
}

bool model_is_saturated(const struct model_levels *levels)
{
    return levels->count >= 3 &&
           best_of(levels, levels->count) < best_of(levels, levels->count - 2) * MODEL_GAIN;
}

uint32_t model_saturation_depth(const struct model_levels *levels)
{
    const double best = best_of(levels, levels->count);
    uint32_t level = 0;

    while (levels->per_second[level] * MODEL_GAIN <= best) {
        level++;
    }
    return UINT32_C(1) << level;
}

/* The fit */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts them. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

static void summarise(struct model_point *point)
{
    double sorted[MODEL_REPEATS];
    double middle;

    memcpy(sorted, point->per_second, sizeof(sorted));
    middle = median(sorted, MODEL_REPEATS);
    point->ns = NS / middle;
    point->spread = (sorted[MODEL_REPEATS - 1] - sorted[0]) / middle;
}

/* Sums over all points, each by one over the square of its time. */
struct sums {
    double one, x, xx, y, xy;
};

static struct sums sum(const struct model_direction *direction)
{
    struct sums sums = { 0 };

    for (size_t i = 0; i < MODEL_SIZES; i++) {
        const double x = direction->points[i].bytes;
        const double y = direction->points[i].ns;
        const double weight = 1 / (y * y);

        sums.one += weight;
        sums.x += weight * x;
        sums.xx += weight * x * x;
        sums.y += weight * y;
        sums.xy += weight * x * y;
    }
    return sums;
}

/* Neither number is below 0: then the other one alone is fitted. */
static void fit_line(struct model_direction *direction)
{
    const struct sums s = sum(direction);
    const double divisor = s.one * s.xx - s.x * s.x;
    double request_ns = (s.y * s.xx - s.x * s.xy) / divisor;
    double byte_ns = (s.one * s.xy - s.x * s.y) / divisor;

    if (request_ns < 0) {
        request_ns = 0;
        byte_ns = s.xy / s.xx;
    } else if (byte_ns < 0) {
        byte_ns = 0;
        request_ns = s.y / s.one;
    }
    direction->request_ns = request_ns;
    direction->byte_ps = byte_ns * PS_PER_NS;
}

void model_fit(struct model_direction *direction)
{
    double in_flight_ns[MODEL_SIZES];

    direction->off = 0;
    direction->spread = 0;
    direction->cpu = 0;
    for (size_t i = 0; i < MODEL_SIZES; i++) {
        summarise(&direction->points[i]);
    }
    fit_line(direction);
    for (size_t i = 0; i < MODEL_SIZES; i++) {
        struct model_point *point = &direction->points[i];
        const double ns = direction->request_ns +
                          direction->byte_ps / PS_PER_NS * (double)point->bytes;

        point->off = ns / point->ns - 1;
        in_flight_ns[i] = ns * (double)point->depth;
        direction->off = fmax(direction->off, fabs(point->off));
        direction->spread = fmax(direction->spread, point->spread);
        direction->cpu = fmax(direction->cpu, point->cpu);
    }
    direction->capacity_ns = median(in_flight_ns, MODEL_SIZES);
}

/* Faults */

#define FAULTS_OF_DIRECTION 3

static bool direction_fault(const struct model_direction *direction, const char *name,
                            unsigned fault, char *text, size_t bytes)
{
    switch (fault) {
    case 0:
        snprintf(text, bytes,
                 "%s: it is off by %.0f %%; the device's time is not so much for each request and "
                 "so much for each byte, or it was busy with something else",
                 name, direction->off * 100);
        return direction->off > MODEL_OFF_MAX;
    case 1:
        snprintf(text, bytes,
                 "%s: repeats differ by %.0f %%; the device is noisy, or others use it", name,
                 direction->spread * 100);
        return direction->spread > MODEL_SPREAD_MAX;
    default:
        snprintf(text, bytes,
                 "%s: the shard took %.0f %% of its CPU, so it and not the device may be the limit",
                 name, direction->cpu * 100);
        return direction->cpu > MODEL_CPU_MAX;
    }
}

static bool has_fault(const struct model *model, unsigned fault, char *text, size_t bytes)
{
    static const char *const names[JOB_DIRECTIONS] = { "reads", "writes" };
    const unsigned direction = fault / FAULTS_OF_DIRECTION;

    if (direction == JOB_DIRECTIONS) {
        snprintf(text, bytes,
                 "%s is no block device: what was measured is a file system, maybe in memory or on "
                 "a network, and the library cannot find it by a device's number",
                 model->device);
        return model->name[0] == '\0';
    }
    return model->measured[direction] &&
           direction_fault(&model->directions[direction], names[direction],
                           fault % FAULTS_OF_DIRECTION, text, bytes);
}

bool model_fault(const struct model *model, unsigned i, char *text, size_t bytes)
{
    for (unsigned fault = 0; fault <= FAULTS_OF_DIRECTION * JOB_DIRECTIONS; fault++) {
        if (has_fault(model, fault, text, bytes) && i-- == 0) {
            return true;
        }
    }
    return false;
}
