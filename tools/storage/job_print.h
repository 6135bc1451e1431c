/* SPDX-License-Identifier: MIT */
/* Print: a job as text. */
#ifndef STORAGE_JOB_PRINT_H
#define STORAGE_JOB_PRINT_H

#include <stdio.h>

#include "job.h"

/*
 * Writes the job as a section of a job file that leaves nothing to a default; `stonewall`: it is
 * the first of its stage. When it is read again, it is the same job.
 */
void job_print(const struct job *job, bool stonewall, FILE *stream);

#endif /* STORAGE_JOB_PRINT_H */
