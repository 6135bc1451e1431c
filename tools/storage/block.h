/* SPDX-License-Identifier: MIT */
/*
 * Blocks that tell whether they are what was written: for verify=crc32c.
 *
 * A block begins with a stamp: where it lies, who wrote it, in which pass; and a CRC-32C over all
 * of the block behind that sum. The rest is random, from what the stamp says.
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_stamp {
    uint32_t crc;   /* of all that follows */
    uint32_t bytes; /* of the block */
    uint64_t magic;
    uint64_t offset; /* in the file */
    uint64_t seed;   /* of the instance that wrote it */
    uint64_t pass;
};

/* What a reader knows about a block. */
struct block_expected {
    uint64_t offset;
    uint64_t seed;       /* if `written_here` */
    uint64_t pass_first; /* the pass is one of these, if `written_here` */
    uint64_t pass_last;
    bool written_here; /* by this instance; else by somebody, some time */
};

/* The first thing that is wrong. */
struct block_fault {
    const char *what; /* "magic number", "crc32c" ... */
    uint64_t expected;
    uint64_t found;
};

/* CRC-32C (Castagnoli), as iSCSI and ext4 have it. */
uint32_t block_crc(const void *data, size_t bytes);

/* Make a block of 64 bytes or more. */
void block_fill(void *block, uint32_t bytes, uint64_t offset, uint64_t seed, uint64_t pass);

/* False: *fault says why. */
bool block_check(const void *block, uint32_t bytes, const struct block_expected *expected,
                 struct block_fault *fault);

/* Random bytes without a stamp, for writes that nobody verifies. */
void block_randomise(void *block, size_t bytes, uint64_t seed);

#endif /* STORAGE_BLOCK_H */
