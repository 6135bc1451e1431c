/* SPDX-License-Identifier: MIT */
/*
 * Jobfile: reads job files, a subset of fio's.
 *
 * Sections in brackets are jobs, and lines in them options: NAME=VALUE, or NAME alone. [global]
 * sets what holds for the jobs behind it. What is behind ";" or "#" is a comment.
 *
 * Nothing is passed over: an option that is not known or not supported, a value out of its range
 * and options that contradict each other are errors, each with its line and column.
 */
#ifndef STORAGE_JOBFILE_H
#define STORAGE_JOBFILE_H

#include <stddef.h>
#include <stdio.h>

#include "job.h"
#include "memory.h"

#define JOBFILE_BYTES_MAX (1u << 20)
#define JOBFILE_JOBS_MAX  1024

struct jobfile {
    struct job *jobs; /* in the order of their sections; at least one */
    size_t count;
    struct memory memory; /* the jobs, and all that they point to */
};

/*
 * Reads the file. Errors are lines in `errors`, "PATH:LINE:COLUMN: ...".
 *
 * @return 0, then jobfile_free() frees it; -EINVAL when it is not right, or what reading it gave.
 */
int jobfile_read(struct jobfile *out, const char *path, FILE *errors);

/* The same for a text that is there; `path` is what errors name. */
int jobfile_parse(struct jobfile *out, const char *path, const char *text, size_t length,
                  FILE *errors);

void jobfile_free(struct jobfile *jobfile);

#endif /* STORAGE_JOBFILE_H */
