/* SPDX-License-Identifier: MIT */
/*
 * Calibrate: measure what requests cost a device, for the model that the library's disk queues can
 * be given.
 *
 * For sizes from 4 KiB to 1 MiB, random requests past the page cache, first one at a time, then
 * two, four ... until more in flight bring no more per second. What the saturated device then does
 * is measured some times more, in turns of the sizes, for devices drift. See model.h for the rest.
 */
#ifndef STORAGE_CALIBRATE_H
#define STORAGE_CALIBRATE_H

#include <rt/executor.h>

#include "model.h"

struct calibrate_options {
    const char *path; /* a file, a block device, or a folder in which a file is made and removed */
    struct rt_config config;
    rt_time time;         /* of each measurement; doubled where that is too short */
    bool write;           /* writes too */
    bool allow_overwrite; /* writes to a device, or a file that is not ours */
    bool progress;        /* what is done, on standard error */
};

/* 0, or negative errno after a message. */
int calibrate(struct model *model, const struct calibrate_options *options);

#endif /* STORAGE_CALIBRATE_H */
