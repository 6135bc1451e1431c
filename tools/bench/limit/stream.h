/* SPDX-License-Identifier: MIT */
/*
 * Rows reader_stream, writer_stream and their direct kin: a file from front to back, by buffers of
 * one size that are read ahead or written behind.
 *
 * The buffers are a ring. A read or write is submitted as soon as its buffer is free or full. Not
 * there, of what the runtime does: a task for each buffer, a deadline, a cancel,
 * short counts, an adaptive depth, positions inside of buffers, and odd ends.
 *
 * The kernel's threads, which do buffered writes on most file systems, run on the caller's CPU, as
 * the runtime places them.
 */
#ifndef LIMIT_STREAM_H
#define LIMIT_STREAM_H

#include "limit.h"

struct limit_stream_config {
    int fd;
    uint32_t buffer_bytes;
    uint32_t buffers; /* all of them: one in use, the others under way */
    uint64_t offset;  /* where to begin */
};

/* NULL, and a message: no memory, or no io_uring here. */
struct limit_stream;
LIMIT_API struct limit_stream *limit_stream_open(const struct limit_stream_config *config);

/* Waits for all that is under way. 0, or -errno of a write. */
LIMIT_API int limit_stream_close(struct limit_stream *stream);

/* The next buffer of the file, whole, until the next call. 0, or -errno; -EIO: a short one. */
LIMIT_API int limit_stream_next(struct limit_stream *stream, const char **data);

/* Copies `bytes`, and writes what is full. 0, or -errno of an earlier write. */
LIMIT_API int limit_stream_write(struct limit_stream *stream, const char *data, uint32_t bytes);

/* Waits until all full buffers are written. As write. */
LIMIT_API int limit_stream_flush(struct limit_stream *stream);

#endif /* LIMIT_STREAM_H */
