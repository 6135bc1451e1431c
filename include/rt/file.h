/* SPDX-License-Identifier: MIT */
/*
 * Files: opened, read, written and synced through the ring.
 *
 *     struct rt_file *file;
 *     char buf[4096];
 *     ssize_t n;
 *
 *     if (rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0) {
 *         n = rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER);
 *         rt_file_close(file);
 *     }
 *
 * Opened with O_DIRECT, a file is read and written past the page cache;
 * buffers, offsets and lengths must then be aligned as the device wants it
 * (a multiple of rt_file_stat.block_bytes does); else the kernel answers -EINVAL
 * wherever it has to go to the device.
 *
 * A buffer belongs to the kernel until the call returns, also when its
 * deadline passed or the task was cancelled: an operation that the device has
 * taken cannot be called back, so calls on files may outlast their deadline.
 */
#ifndef RT_FILE_H
#define RT_FILE_H

#include "rt/base.h"
#include "rt/future.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open file. Belongs to the shard that opened it. */
struct rt_file;

/** What rt_file_stat() tells. */
struct rt_file_stat {
    uint64_t size_bytes;
    uint64_t allocated_bytes; /* what the file takes on the device */
    uint32_t mode;            /* type and permissions, as st_mode of stat(2) */
    uint32_t block_bytes;     /* preferred size of I/O, as st_blksize */
    uint64_t inode;           /* with device: the same for all names of one file */
    uint64_t device;          /* major number in the upper half, minor in the lower */
    int64_t modified_ns;      /* last change of the data, since 1970, UTC */
};

/**
 * Open a file.
 *
 * @param out    gets the file, on success only; the caller closes it.
 * @param path   relative to the working directory if it does not start with '/'.
 * @param flags  as of open(2); O_CLOEXEC is added.
 * @param mode   permissions of a file that O_CREAT makes, as of open(2); else 0.
 * @return 0, or what open(2) fails with; -EINVAL also when O_DIRECT is asked for on
 *         a file system that has none; -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_open(struct rt_file **out, const char *path, int flags, mode_t mode, rt_time deadline);

/**
 * Read up to `bytes` at `offset`.
 *
 * @return how many bytes were read: fewer than asked at the end of the file, 0 past
 *         it, and fewer also where the kernel gives a short count; or -errno (-EINVAL
 *         for an offset above INT64_MAX); -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_read_at(struct rt_file *file, void *buf, size_t bytes, uint64_t offset,
                        rt_time deadline);

/**
 * Write up to `bytes` at `offset`.
 *
 * @return how many bytes were written, possibly fewer than asked (a signal, a full
 *         device); or -errno; -ETIME; -ECANCELED. After -ETIME or -ECANCELED nothing
 *         was written.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_write_at(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                         rt_time deadline);

/**
 * As rt_file_read_at(), from a poll function. The buffer must live as long as the future.
 *
 * @return RT_PENDING; as rt_file_read_at().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_file_read_at(struct rt_future *future, struct rt_file *file, void *buf, size_t bytes,
                         uint64_t offset, rt_time deadline);

/**
 * As rt_file_write_at(), from a poll function.
 *
 * @return RT_PENDING; as rt_file_write_at().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_file_write_at(struct rt_future *future, struct rt_file *file, const void *buf,
                          size_t bytes, uint64_t offset, rt_time deadline);

/**
 * Ask for the file's size, mode and times.
 *
 * @param out  filled on success only.
 * @return 0, or -errno; -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_stat(struct rt_file *file, struct rt_file_stat *out, rt_time deadline);

/**
 * Make data and metadata durable, as fsync(2).
 *
 * @return 0, or -errno: then data written since the last success may be lost.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_sync(struct rt_file *file, rt_time deadline);

/**
 * Make data durable, and the metadata needed to read it, as fdatasync(2).
 *
 * @return as rt_file_sync().
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_datasync(struct rt_file *file, rt_time deadline);

/**
 * Close the file and free it. Works in a cancelled task too.
 *
 * No other task may be using the file: aborts.
 *
 * @param file  NULL does nothing.
 * @return 0, or what close(2) failed with (the file is closed all the same).
 * \context{In a task of the file's shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_file_close(struct rt_file *file);

/**
 * Close the file and free it without waiting for the ring, by close(2): for the drop function of
 * a future that owns it. Where a close may take long (a network file system), so does this.
 *
 * @param file  NULL does nothing. No task may be using it.
 * @return 0 or an error of close(2); the file is gone in every case.
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
int rt_file_drop(struct rt_file *file);

/**
 * The file's descriptor, for calls that this library does not wrap. Stays the file's.
 *
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
int rt_file_descriptor(const struct rt_file *file);

#ifdef __cplusplus
}
#endif

#endif /* RT_FILE_H */
