/* SPDX-License-Identifier: MIT */
/* Progress: samples of what runs, and a line for who waits. */
#ifndef STORAGE_PROGRESS_H
#define STORAGE_PROGRESS_H

#include "instance.h"

#define PROGRESS_PERIOD RT_MILLISECONDS(500) /* as fio's bwavgtime */

struct progress {
    struct instance *instances; /* of the stage */
    size_t count;
    uint64_t *seen; /* for each instance and direction: operations and bytes at the last look */
    rt_time began;
    rt_time looked;
    rt_time later; /* how long stages to come take, as far as they say */
    uint32_t stage;
    uint32_t stages;
    bool shown;
};

/* 0 or -ENOMEM. */
int progress_init(struct progress *progress, struct instance *instances, size_t count);

/* A sample of each instance that is counting. With a line if it is to be shown. */
void progress_look(struct progress *progress, rt_time now);

/* Takes the line away. */
void progress_fini(struct progress *progress);

#endif /* STORAGE_PROGRESS_H */
