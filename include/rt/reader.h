/* SPDX-License-Identifier: MIT */
/*
 * Readers: a file from front to back, read ahead.
 *
 *     struct rt_reader *reader;
 *     const void *data;
 *     ssize_t n;
 *
 *     r = rt_reader_open(&reader, file, NULL);
 *     while ((n = rt_reader_peek(reader, &data, RT_NEVER)) > 0) {
 *         use(data, (size_t)n);
 *         rt_reader_consume(reader, (size_t)n);
 *     }
 *     rt_reader_close(reader);
 *
 * While what was read is used, the next buffers are filled, each by an operation of its
 * own: none at first, and twice as many each time that the caller came too early, up to
 * options.ahead. So a reader that is slower than its disk takes no more than it needs.
 *
 * Buffers begin at multiples of their size and are aligned to 4096 bytes, so a file that
 * was opened with O_DIRECT can be read so too, at any position. Of such a file they are
 * buffers of the shard's pool (rt/buffer.h), up to 1 MiB each and as long as it has any:
 * that takes a third off the CPU time of a read of 128 KiB.
 */
#ifndef RT_READER_H
#define RT_READER_H

#include "rt/base.h"
#include "rt/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A reader. Belongs to the shard of its file, and is used by one task at a time. */
struct rt_reader;

/** How to read; start from RT_READER_OPTIONS_INIT. A field of 0 means the default. */
struct rt_reader_options {
    uint32_t size;         /* sizeof(struct rt_reader_options) */
    uint32_t buffer_bytes; /* 4096 .. 16 MiB, a multiple of 4096 and of a direct file's blocks;
                            * 128 KiB */
    uint32_t ahead;        /* buffers read ahead at most, 1 .. 64; 4 */
    uint32_t reserved;
    uint64_t offset; /* where to begin */
};

#define RT_READER_OPTIONS_INIT { (uint32_t)sizeof(struct rt_reader_options), 0, 0, 0, 0 }

/**
 * Make a reader of an open file. Nothing is read yet.
 *
 * @param out      gets the reader, on success only; the caller closes it, before the file.
 * @param options  NULL = defaults.
 * @return 0; -EINVAL for options out of range; -E2BIG; -ENOMEM.
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_reader_open(struct rt_reader **out, struct rt_file *file,
                   const struct rt_reader_options *options);

/**
 * What comes next, without a copy: wait until some of it is there.
 *
 * @param data  gets where it lies: valid until it is consumed, or the next seek or close.
 * @return how many bytes lie there, 1 or more; 0 at the end of the file; or -errno of the
 *         read (the next call tries it again); -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_reader_peek(struct rt_reader *reader, const void **data, rt_time deadline);

/**
 * Go on behind `bytes` of what was peeked: at most what the last peek returned, else aborts.
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_reader_consume(struct rt_reader *reader, size_t bytes);

/**
 * Copy what comes next to `buf`.
 *
 * @return how many bytes: all of them, or those before the end of the file or an error, if
 *         there are any; else 0 at the end, or -errno, -ETIME, -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_reader_read(struct rt_reader *reader, void *buf, size_t bytes, rt_time deadline);

/**
 * Go on at `offset`. What was read ahead is kept if it lies there, else given up; reads that the
 * device has taken are waited for.
 *
 * @return 0; -EINVAL for an offset above INT64_MAX.
 * \context{In a task of the file's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_reader_seek(struct rt_reader *reader, uint64_t offset);

/**
 * Where the next byte comes from: the offset in the file.
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint64_t rt_reader_position(const struct rt_reader *reader);

/**
 * How many buffers it reads ahead now: 0 .. options.ahead.
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_reader_ahead(const struct rt_reader *reader);

/**
 * End the reads that go on, wait for those that the device has taken, and free the reader. The
 * file stays open. Works in a cancelled task too.
 *
 * @param reader  NULL does nothing.
 * \context{In a task of the file's shard. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_reader_close(struct rt_reader *reader);

#ifdef __cplusplus
}
#endif

#endif /* RT_READER_H */
