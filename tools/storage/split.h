/* SPDX-License-Identifier: MIT */
/* Split: blocks of several sizes, and how many percent of all have each. */
#ifndef STORAGE_SPLIT_H
#define STORAGE_SPLIT_H

#include "job.h"
#include "source.h"

/*
 * Read "BYTES/PERCENT:BYTES/PERCENT...", the value of `option` for one direction. What is missing
 * to 100 percent is shared by those that leave it open. False after an error; `out` is untouched.
 */
bool split_read(struct source *source, const char *option, const char *value,
                struct job_blocks *out);

#endif /* STORAGE_SPLIT_H */
