/* SPDX-License-Identifier: MIT */
/*
 * Writers: a file from front to back, written behind the caller.
 *
 *     struct rt_writer *writer;
 *
 *     r = rt_writer_open(&writer, file, NULL);
 *     if (r == 0) {
 *         r = rt_writer_write(writer, text, bytes, NULL, RT_NEVER);
 *         r = r == 0 ? rt_writer_sync(writer, RT_NEVER) : r;
 *         closed = rt_writer_close(writer);
 *     }
 *
 * What is written is copied to buffers; each that is full goes to the kernel while the
 * caller fills the next. It waits only when options.behind of them are under way; and where the
 * device of a direct file rests it lets other tasks run once, so that its work begins. The file
 * gets exactly the bytes that were written, also where it was opened with O_DIRECT: then it
 * needs O_RDWR unless all begins and ends at whole blocks, for others are read and written back.
 * Its buffers are of the shard's pool then, as those of a reader are (rt/reader.h).
 *
 * The first error of a write is the last word of the writer: every later call returns it,
 * and what follows that place may be in the file or not.
 *
 * Space that is reserved in large parts lies together on the device, and a full one is noticed
 * before anything is written. The length of the file never says more than was written.
 */
#ifndef RT_WRITER_H
#define RT_WRITER_H

#include "rt/base.h"
#include "rt/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A writer. Belongs to the shard of its file, and is used by one task at a time. */
struct rt_writer;

/** How to write; start from RT_WRITER_OPTIONS_INIT. A field of 0 means the default. */
struct rt_writer_options {
    uint32_t size;         /* sizeof(struct rt_writer_options) */
    uint32_t buffer_bytes; /* 4096 .. 16 MiB, a multiple of 4096 and of a direct file's blocks;
                            * 128 KiB */
    uint32_t behind;       /* buffers that are written while another is filled, 1 .. 64; 4 */
    uint32_t reserved;
    uint64_t offset;        /* where to begin */
    uint64_t reserve_bytes; /* space on the device is taken so much at a time, ahead of what is
                             * written; 0: with each write. What is left goes back at the close; so
                             * nobody else may make the file longer meanwhile. */
};

#define RT_WRITER_OPTIONS_INIT { (uint32_t)sizeof(struct rt_writer_options), 0, 0, 0, 0, 0 }

/**
 * Make a writer of an open file. The file is not made shorter: open it with O_TRUNC for that.
 *
 * @param out      gets the writer, on success only; the caller closes it, before the file.
 * @param options  NULL = defaults.
 * @return 0; -EINVAL for options out of range; -E2BIG; -ENOMEM.
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_writer_open(struct rt_writer **out, struct rt_file *file,
                   const struct rt_writer_options *options);

/**
 * Take `bytes` from `buf`, which is the caller's again on return.
 *
 * @param done  gets how many were taken, in every case; may be NULL.
 * @return 0, all were taken; or -errno of a write; -EFBIG past INT64_MAX; -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_writer_write(struct rt_writer *writer, const void *buf, size_t bytes, size_t *done,
                    rt_time deadline);

/**
 * Write all that was taken, and wait for it. Readers of the file see it then.
 *
 * @return 0; -errno of a write; -ETIME, -ECANCELED: it goes on all the same.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_writer_flush(struct rt_writer *writer, rt_time deadline);

/**
 * Flush, and make durable what was taken, as rt_file_datasync().
 *
 * @return as rt_writer_flush(); or -errno of the sync, the last word of the writer too.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_writer_sync(struct rt_writer *writer, rt_time deadline);

/**
 * Where the next byte goes: the offset in the file.
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint64_t rt_writer_position(const struct rt_writer *writer);

/**
 * Up to where all is in the file: an offset at most the position.
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint64_t rt_writer_flushed(const struct rt_writer *writer);

/**
 * Up to where all is durable, by rt_writer_sync(): an offset at most that of rt_writer_flushed().
 *
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint64_t rt_writer_synced(const struct rt_writer *writer);

/**
 * Write what is left, wait for all of it, and free the writer. Nothing is synced. The file stays
 * open. Works in a cancelled task too: what was taken is written.
 *
 * @param writer  NULL does nothing.
 * @return 0, or the first error of the writer (it is freed all the same).
 * \context{In a task of the file's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_writer_close(struct rt_writer *writer);

#ifdef __cplusplus
}
#endif

#endif /* RT_WRITER_H */
