/* SPDX-License-Identifier: MIT */
/* What both reports show. */
#include "report.h"

#include <errno.h>
#include <stdlib.h>

double report_cpu_us(const struct result_cost *cost, uint64_t operations)
{
    return operations > 0 ? (double)(cost->user + cost->system) / 1e3 / (double)operations : 0;
}

static struct result_job *core_of(const struct result_groups *cores, int32_t cpu)
{
    for (size_t i = 0; i < cores->count; i++) {
        if (cores->jobs[i].cpu == cpu) {
            return &cores->jobs[i];
        }
    }
    return NULL;
}

int report_cores(struct result_groups *cores, const struct result *result)
{
    struct result_job *total;
    int r = 0;

    cores->count = 0;
    cores->jobs = calloc(result->count + 1, sizeof(*cores->jobs));
    if (cores->jobs == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < result->count; i++) {
        struct result_job *core = core_of(cores, result->jobs[i].cpu);

        if (result->jobs[i].cpu < 0) {
            continue; /* it has not run */
        }
        if (core == NULL) {
            core = &cores->jobs[cores->count++];
            *core = (struct result_job){ .job = result->jobs[i].job };
        }
        r = result_merge(core, &result->jobs[i]);
    }
    total = &cores->jobs[cores->count++];
    for (size_t i = 0; r == 0 && i < result->count; i++) {
        total->job = result->jobs[i].job;
        r = result_merge(total, &result->jobs[i]);
    }
    return r;
}
