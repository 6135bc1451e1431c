/* SPDX-License-Identifier: MIT */
/* Reports of a result. Each returns 0, or negative errno when it could not be made or written. */
#ifndef STORAGE_REPORT_H
#define STORAGE_REPORT_H

#include <stdio.h>

#include "result.h"

/* A text for people. */
int report_text(FILE *out, const struct result *result);

/*
 * A document in the layout of fio 3.33: its keys, with its units. What only we know stands in
 * objects with the key "shardrt"; what we do not know, such as iodepth_submit, is left out.
 */
int report_json(FILE *out, const struct result *result);

/* A page with plots that needs no other file; the document of report_json() is in it. */
int report_html(FILE *out, const struct result *result);

/* Microseconds of CPU time per operation; 0 when there was none. */
double report_cpu_us(const struct result_cost *cost, uint64_t operations);

static inline double report_per(uint64_t count, uint64_t operations)
{
    return operations > 0 ? (double)count / (double)operations : 0;
}

/* How often in a second. */
static inline double report_rate(uint64_t count, rt_time runtime)
{
    return runtime > 0 ? (double)count * 1e9 / (double)runtime : 0;
}

/* Instances by where they ran, and all together; as result_group(), ends with
 * result_groups_fini(). The last one is the total. */
int report_cores(struct result_groups *cores, const struct result *result);

#endif /* STORAGE_REPORT_H */
