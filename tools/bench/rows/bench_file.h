/* SPDX-License-Identifier: MIT */
/*
 * Files for rows of storage: made once, written to the device, and unlinked at once, so that they
 * go with the process. They lie in the folder that RT_BENCH_DIR names, else in TMPDIR, else in
 * /var/tmp, which is on a device where /tmp may be memory.
 */
#ifndef BENCH_ROWS_BENCH_FILE_H
#define BENCH_ROWS_BENCH_FILE_H

#include <rt/bench.h>
#include <rt/file.h>
#include <stdbool.h>
#include <stdint.h>

#define BENCH_FILE_BLOCK 4096u

/* Many times what a device has as a cache; and with less free space than four times that, less. */
#define BENCH_FILE_BYTES       ((uint64_t)256 << 20)
#define BENCH_FILE_BYTES_SMALL ((uint64_t)64 << 20)

/* Each block begins with its number; the rest is random, which no device can store in less. */
struct bench_file {
    uint64_t blocks;
    int direct; /* descriptor, opened with O_DIRECT */
    int plain;
    bool made;   /* by the first repetition that wants it */
    bool cached; /* all of it is in the page cache, or was */
};

/* What rows read, and do not change. */
extern struct bench_file bench_read_file;

/* Make the file if it is not there. 0, or -errno: the row has failed. */
int bench_file_make(struct rt_bench *bench, struct bench_file *file, uint64_t bytes);

/* Have the page cache as the row wants it: with all of the file, or without it. As make. */
int bench_file_cache(struct rt_bench *bench, struct bench_file *file, bool cached);

/* The runtime's side: open it once more. As make; the caller closes it. */
int bench_file_open(struct rt_bench *bench, const struct bench_file *file, bool direct,
                    struct rt_file **out);

/* Make an empty folder there, with a name: `path` gets it, of BENCH_FOLDER_BYTES at most. Its
 * descriptor, or -errno: the row has failed. The caller removes it. */
#define BENCH_FOLDER_BYTES 4096
int bench_folder_make(struct rt_bench *bench, char *path);

/* Splitmix64 (Steele, Lea, Flood, 2014): the next number of the sequence that `state` stands in. */
uint64_t bench_draw(uint64_t *state);

#endif /* BENCH_ROWS_BENCH_FILE_H */
