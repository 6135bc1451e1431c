/* SPDX-License-Identifier: MIT */
/* Cost: CPU time and switches between two moments, as the kernel counts them. */
#ifndef STORAGE_COST_H
#define STORAGE_COST_H

#include <sys/resource.h>

#include "result.h"

struct cost_mark {
    struct rusage usage;
    uint64_t enters;
};

/* Of the calling thread, which is a shard, with the calls that its ring took. */
void cost_mark_thread(struct cost_mark *mark);

/* What it took since. */
void cost_of_thread(struct result_cost *cost, const struct cost_mark *since);

/* Of the process with all of its threads. */
void cost_mark_process(struct cost_mark *mark);

void cost_of_process(struct result_cost *cost, const struct cost_mark *since);

#endif /* STORAGE_COST_H */
