/* SPDX-License-Identifier: MIT */
/*
 * Model: what a request costs a device that is saturated.
 *
 * A request of so many bytes takes the device `request` + bytes * `byte` of its time, and the
 * saturated device does nothing else: so the time of a request is one over the requests per second.
 * Two numbers are fitted to some sizes by least squares, of the errors in proportion to the time,
 * else a percent of the largest requests would outweigh all of the small ones.
 *
 * It needs no device: what was measured comes in, and a model goes out.
 */
#ifndef STORAGE_MODEL_H
#define STORAGE_MODEL_H

#include <stdint.h>
#include <stdio.h>

#include "job.h"

#define MODEL_SIZES       5
#define MODEL_REPEATS     3
#define MODEL_GAIN        1.05 /* what is less than that is none */
#define MODEL_OFF_MAX     0.25 /* a model that is farther off a size is bad */
#define MODEL_SPREAD_MAX  0.25 /* and so is one of repeats that differ by more */
#define MODEL_CPU_MAX     0.9  /* of a CPU: beyond that it is not the device that was measured */
#define MODEL_TEXT_BYTES  64
#define MODEL_LEVELS_MAX  16

/* Requests of one size. */
struct model_point {
    double per_second[MODEL_REPEATS]; /* at `depth` */
    double cpu;                       /* the largest part of a CPU that a repeat took */
    uint32_t bytes;
    uint32_t depth; /* the least that saturates the device */

    /* Of model_fit(). */
    double ns;     /* of the device, by the median of the repeats */
    double off;    /* of the model from that, 0.1 for 10 % more */
    double spread; /* between the most and the least of the repeats, in parts of the median */
};

/* Reads, or writes. */
struct model_direction {
    struct model_point points[MODEL_SIZES]; /* sizes rise */
    double request_ns;
    double byte_ps;
    double capacity_ns; /* device time in flight that saturates it: of the sizes the median, for
                           what a single one wants is told by small gains, and so by chance */
    double off;         /* of all points, without sign, */
    double spread;      /* and here, */
    double cpu;         /* and here: the largest */
};

struct model {
    char device[MODEL_TEXT_BYTES]; /* MAJOR:MINOR, of the disk and not of a partition */
    char name[MODEL_TEXT_BYTES];   /* as in /sys/block; "" if it is no block device */
    struct model_direction directions[JOB_DIRECTIONS];
    bool measured[JOB_DIRECTIONS];
};

/* Depths 1, 2, 4 ... and what was done per second at each. */
struct model_levels {
    double per_second[MODEL_LEVELS_MAX];
    uint32_t count;
};

/* Whether the last two doublings brought nothing: one alone may be bad luck. */
bool model_is_saturated(const struct model_levels *levels);

/* The least depth that is less than MODEL_GAIN below the best. */
uint32_t model_saturation_depth(const struct model_levels *levels);

/* From points with bytes, depth and repeats. */
void model_fit(struct model_direction *direction);

/* What is wrong with it, one after the other: writes number `i` to `text`, or returns false. */
bool model_fault(const struct model *model, unsigned i, char *text, size_t bytes);

/* As text for people; as JSON; as the lines that the library reads. 0 or -errno. */
int model_print_text(const struct model *model, FILE *out);
int model_print_json(const struct model *model, FILE *out);
int model_print_config(const struct model *model, FILE *out);

#endif /* STORAGE_MODEL_H */
