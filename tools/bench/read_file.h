/* SPDX-License-Identifier: MIT */
/* Files of /proc and /sys, read whole. */
#ifndef BENCH_READ_FILE_H
#define BENCH_READ_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Up to bytes - 1 bytes and a terminator. How many; below 0: it cannot be read. */
ssize_t read_file(const char *name, char *text, size_t bytes);

/* All of it, in memory of its own; NULL: it cannot be read, or there is no memory. */
char *read_whole_file(const char *name);

#endif /* BENCH_READ_FILE_H */
