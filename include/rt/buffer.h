/* SPDX-License-Identifier: MIT */
/*
 * Buffers: aligned memory for I/O, known to the kernel beforehand.
 *
 *     struct rt_buffer *buffer;
 *     ssize_t n;
 *
 *     if (rt_buffer_get(&buffer, 65536) == 0) {
 *         n = rt_file_read_buffer(file, buffer, 0, 65536, 0, RT_NEVER);
 *         use(rt_buffer_data(buffer), n);
 *         rt_buffer_put(buffer);
 *     }
 *
 * Each shard has a pool of its own, on its memory node. Memory is taken on
 * demand, 4 MiB at a time, up to config.buffer_bytes, and is kept until the
 * executor ends. It is registered with the ring where the limit of locked memory
 * allows it (ulimit -l): then reads and writes of files need not look up and pin
 * the pages each time. Where not, they work all the same; rt_stats counts it, and
 * the log says it once.
 *
 * A buffer belongs to its shard and has a plain count of references: a call with
 * a buffer of another shard, or with one that was put back and that nobody has got
 * again since, aborts.
 */
#ifndef RT_BUFFER_H
#define RT_BUFFER_H

#include "rt/base.h"
#include "rt/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The largest buffer, in bytes. */
#define RT_BUFFER_BYTES_MAX (1u << 20)

/** Memory for I/O, with a count of references. */
struct rt_buffer;

/**
 * Get a buffer.
 *
 * Sizes are 4, 16, 64, 256 KiB and 1 MiB: it has the smallest that holds `bytes`. It starts at a
 * multiple of 4096. What is in it is left from its last use: clear it before it goes out
 * unwritten.
 *
 * @param out    gets the buffer with one reference, on success only; the caller puts it back.
 * @param bytes  1..RT_BUFFER_BYTES_MAX.
 * @return 0; -EAGAIN when all that config.buffer_bytes allows is in use, or what is free is in
 *         pieces too small; -ENOMEM; -EINVAL for a size that no buffer has.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_buffer_get(struct rt_buffer **out, size_t bytes);

/**
 * Its memory, rt_buffer_bytes() long. While an operation is under way, what it reads into is the
 * kernel's.
 *
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void *rt_buffer_data(const struct rt_buffer *buffer);

/**
 * How large it is: at least what was asked for.
 *
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
size_t rt_buffer_bytes(const struct rt_buffer *buffer);

/**
 * Take one more reference; it is given up by rt_buffer_put().
 *
 * @return `buffer`.
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_buffer *rt_buffer_keep(struct rt_buffer *buffer);

/**
 * Give up a reference. With the last one the memory goes back to the pool.
 *
 * An operation under way has a reference of its own, so this is allowed at any time: the memory is
 * not given out again before the kernel has done with it.
 *
 * @param buffer  NULL does nothing.
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_buffer_put(struct rt_buffer *buffer);

/** A part of a buffer, with a reference to it. A value: pass it on, and put it once. */
struct rt_slice {
    struct rt_buffer *buffer;
    void *data;
    size_t bytes;
};

/**
 * The part of the buffer that begins at byte `at`, with a new reference.
 *
 * Aborts when it does not lie within rt_buffer_bytes().
 *
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
struct rt_slice rt_slice_of(struct rt_buffer *buffer, size_t at, size_t bytes);

/**
 * The part of a slice that begins at its byte `at`, with a new reference: `slice` is kept.
 *
 * Aborts when it does not lie within the slice.
 *
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
struct rt_slice rt_slice_sub(struct rt_slice slice, size_t at, size_t bytes);

/**
 * Give up the slice's reference. An empty slice (all zero) does nothing.
 *
 * \context{On the buffer's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_slice_put(struct rt_slice slice);

/**
 * Read from a file into the buffer, from its byte `at` on: as rt_file_read_at().
 *
 * The operation keeps the buffer until its own completion. On a file that was opened with
 * O_DIRECT, `at`, `bytes` and `offset` decide whether it goes straight between the device and
 * the buffer. Aborts when the part does not lie within the buffer.
 *
 * @return as rt_file_read_at().
 * \context{In a task of the shard of file and buffer. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_read_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at, size_t bytes,
                            uint64_t offset, rt_time deadline);

/**
 * Write from the buffer, from its byte `at` on, to a file: as rt_file_write_at().
 *
 * The buffer as in rt_file_read_buffer().
 *
 * @return as rt_file_write_at().
 * \context{In a task of the shard of file and buffer. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_write_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at,
                             size_t bytes, uint64_t offset, rt_time deadline);

/**
 * As rt_file_read_buffer(), from a poll function.
 *
 * Each poll names the buffer, so the future keeps a reference until it has the result, or until its
 * drop. On a direct file what is not aligned is refused, as by rt_poll_file_read_at().
 *
 * @return RT_PENDING; as rt_file_read_buffer(); -ENOMEM.
 * \context{In a poll function, on the shard of file and buffer. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_file_read_buffer(struct rt_future *future, struct rt_file *file,
                             struct rt_buffer *buffer, size_t at, size_t bytes, uint64_t offset,
                             rt_time deadline);

/**
 * As rt_file_write_buffer(), from a poll function; the buffer as in rt_poll_file_read_buffer().
 *
 * @return RT_PENDING; as rt_file_write_buffer(); -ENOMEM.
 * \context{In a poll function, on the shard of file and buffer. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_file_write_buffer(struct rt_future *future, struct rt_file *file,
                              struct rt_buffer *buffer, size_t at, size_t bytes, uint64_t offset,
                              rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_BUFFER_H */
