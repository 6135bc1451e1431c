/* SPDX-License-Identifier: MIT */
/*
 * Files: small files of /proc and /sys, read below a root.
 *
 * The root is "" but where --root names a copy, such as one that a test has made.
 * What is not there is no error: kernels differ in what they have.
 */
#ifndef TOPOLOGY_FILES_H
#define TOPOLOGY_FILES_H

#include <stdbool.h>

/* The whole file without its last newline, for the caller to free; NULL: it cannot be read. */
__attribute__((format(printf, 2, 3))) char *file_read(const char *root, const char *path, ...);

/* The number at the beginning of a file; `otherwise` when there is none. */
long file_number(const char *root, const char *path, long otherwise);

/* A field of /proc/self/status ("Seccomp"), for the caller to free; NULL: it has none. */
char *file_status(const char *root, const char *field);

#endif /* TOPOLOGY_FILES_H */
