/* SPDX-License-Identifier: MIT */
/* Source: the place in a job file that is being read, and errors that name it. */
#ifndef STORAGE_SOURCE_H
#define STORAGE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct source {
    const char *path;
    FILE *errors;
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1 */
    uint32_t error_count;
};

/* Writes "PATH:LINE:COLUMN: ..." to `errors`, counts it, and returns false. What cannot be printed
 * becomes "?". */
__attribute__((format(printf, 2, 3))) bool source_refuse(struct source *source, const char *format,
                                                         ...);

#endif /* STORAGE_SOURCE_H */
