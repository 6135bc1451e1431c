/* SPDX-License-Identifier: MIT */
/*
 * Many parts of a file, read together.
 *
 *     struct rt_read_range ranges[] = {
 *         { .offset = 4096, .bytes = sizeof(index), .buf = &index },
 *         { .offset = 81920, .bytes = sizeof(entry), .buf = &entry },
 *     };
 *
 *     r = rt_read_many(file, ranges, 2, NULL, RT_NEVER);
 *
 * Ranges that lie near each other are read by one operation, a long one by several, and some
 * operations are under way at once, in no order. Ranges may come in any order and overlap; their
 * memory may not.
 *
 * What lies in one range goes straight to its memory; of a file that was opened with O_DIRECT only
 * if that is aligned as rt_file_stat() says. All else goes through memory of the library's: at
 * most options.parallel times options.read_bytes, and 8 bytes for each range.
 */
#ifndef RT_READ_MANY_H
#define RT_READ_MANY_H

#include "rt/base.h"
#include "rt/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A part of the file. */
struct rt_read_range {
    uint64_t offset;
    size_t bytes; /* 0: nothing is read */
    void *buf;    /* gets them; what is beyond `result` may be changed too */
    /* Set by the call: how many bytes were read, fewer than asked only where the file ends; or
     * -errno: then `buf` has nothing that counts. */
    ssize_t result;
};

/** How to read; start from RT_READ_MANY_OPTIONS_INIT. A field of 0 means the default. */
struct rt_read_many_options {
    uint32_t size;       /* sizeof(struct rt_read_many_options) */
    uint32_t parallel;   /* operations under way at most, 1 .. 256; 16 */
    uint32_t read_bytes; /* of one operation at most, 4096 .. 16 MiB, a multiple of 4096 and of a
                          * direct file's blocks; 128 KiB */
    uint32_t gap_bytes;  /* read along between two ranges at most, 1 .. 1 MiB; 4096 */
};

#define RT_READ_MANY_OPTIONS_INIT { (uint32_t)sizeof(struct rt_read_many_options), 0, 0, 0 }

/**
 * Read ranges of a file, and wait until all are done: each has its own result.
 *
 * Each operation is a task's; the caller is one of them, and at the limit of tasks the only one.
 * When the deadline passes or the caller is cancelled, no further operation begins, and those that
 * the device has taken are waited for. Ranges that were not read get the reason as their result.
 *
 * @param ranges   stay in their order; they and their memory belong to the call until it returns.
 * @param count    0 does nothing.
 * @param options  NULL = defaults.
 * @return 0: all results are 0 or more; -ETIME or -ECANCELED: it was ended (the results tell what
 *         was read all the same); or the error of the first of the ranges that has one: of the
 *         read, -ENOMEM, -EINVAL where it ends above INT64_MAX. -EINVAL for options out of range
 *         and -E2BIG for those of a newer library: then no result is set.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_read_many(struct rt_file *file, struct rt_read_range *ranges, size_t count,
                 const struct rt_read_many_options *options, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_READ_MANY_H */
