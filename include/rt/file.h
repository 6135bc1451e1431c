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
 * Opened with O_DIRECT, a file is read and written past the page cache. What is
 * aligned as rt_file_stat() says goes straight between the device and your
 * memory, without a copy; any other offset, length and memory works too, through a
 * buffer of the library's. A misaligned write reads the blocks at its edges, so it
 * needs O_RDWR, and it has the file for itself: transfers by the same struct rt_file
 * wait meanwhile. It may be longer for a moment, and after a crash, than it should be.
 *
 * A buffer belongs to the kernel until the call returns, also when its
 * deadline passed or the task was cancelled: an operation that the device has
 * taken cannot be called back, so calls on files may outlast their deadline. Where the
 * device is polled (rt_file_options.polled) that is so of every transfer that has begun.
 */
#ifndef RT_FILE_H
#define RT_FILE_H

#include <sys/uio.h>

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
    int64_t modified_ns;      /* last change of the data, since 1970, UTC; INT64_MAX after 2262 */

    /* What goes straight to the device: memory, and offsets and lengths, that are multiples of
     * these. Both 0: the file is buffered, and there is no such thing. */
    uint32_t direct_memory_align;
    uint32_t direct_offset_align;
    uint32_t polled; /* 1: direct transfers are polled for, as far as is known (rt_file_options) */
};

/** How a file is opened; start from RT_FILE_OPTIONS_INIT. */
struct rt_file_options {
    uint32_t size;        /* sizeof(struct rt_file_options) */
    int flags;            /* as of open(2); O_CLOEXEC is added */
    mode_t mode;          /* permissions of a file that O_CREAT makes, as of open(2) */
    uint32_t buffered_ok; /* 1: without O_DIRECT where the file system has none */

    /* 1: ask the device whether direct transfers have ended, all the time while there are some,
     * rather than be interrupted by it (IORING_SETUP_IOPOLL). That takes the whole core meanwhile,
     * and less time for each of many small requests. A wish: few devices can, and a file's first
     * transfer shows whether its own does. Where it cannot, the transfer goes the usual way, as
     * those do that follow; the log says so once for a device, with what to do about it,
     * rt_file_stat() tells, and rt_stats.polls_refused counts. With O_DIRECT only. */
    uint32_t polled;
    uint32_t reserved; /* 0 */
};

#define RT_FILE_OPTIONS_INIT { (uint32_t)sizeof(struct rt_file_options), 0, 0, 0, 0, 0 }

/** What rt_file_readv_at() and rt_file_writev_at() take at most; of the kernel. */
#define RT_FILE_PARTS_MAX 1024

/**
 * Open a file.
 *
 * @param out    gets the file, on success only; the caller closes it.
 * @param path   relative to the working directory if it does not start with '/'.
 * @param flags  as of open(2); O_CLOEXEC is added.
 * @param mode   permissions of a file that O_CREAT makes, as of open(2); else 0.
 * @return 0, or what open(2) fails with; -EINVAL also when O_DIRECT is asked for on
 *         a file system that has none (a text says so); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_open(struct rt_file **out, const char *path, int flags, mode_t mode, rt_time deadline);

/**
 * Open a file as the options say: with `buffered_ok`, O_DIRECT is a wish, and
 * rt_file_stat() tells whether it was granted.
 *
 * @param out  gets the file, on success only; the caller closes it.
 * @return as rt_file_open(); -E2BIG for options of a newer library; -EINVAL also for `polled`
 *         without O_DIRECT.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_open_with(struct rt_file **out, const char *path, const struct rt_file_options *options,
                      rt_time deadline);

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
 *         was written. Of a misaligned write to a direct file also: -EBADF when it has
 *         to read and may not; -EINVAL with O_APPEND; when it ends within a block at the
 *         end of the file, the length is set right behind it, and when that fails, its
 *         error, and the file is too long by less than a block of zeroes.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_write_at(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                         rt_time deadline);

/**
 * Read into several parts of memory, one after the other.
 *
 * @param parts  need not outlive the call; `count` is at most RT_FILE_PARTS_MAX (-EINVAL).
 * @return as rt_file_read_at().
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_readv_at(struct rt_file *file, const struct iovec *parts, unsigned count,
                         uint64_t offset, rt_time deadline);

/**
 * Write several parts of memory, one after the other; others of this shard see all or none of
 * them only where the kernel says so.
 *
 * @param parts  as of rt_file_readv_at().
 * @return as rt_file_write_at().
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_writev_at(struct rt_file *file, const struct iovec *parts, unsigned count,
                          uint64_t offset, rt_time deadline);

/**
 * Read until `bytes` are there or the file ends.
 *
 * @param done  gets how many were read, also on failure; may be NULL.
 * @return how many were read, fewer than asked only where the file ends; or an error as of
 *         rt_file_read_at().
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_read_all(struct rt_file *file, void *buf, size_t bytes, uint64_t offset,
                         size_t *done, rt_time deadline);

/**
 * Write all of the bytes.
 *
 * @param done  gets how many were written, from the first on, also on failure; may be NULL.
 * @return `bytes`, or an error as of rt_file_write_at().
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_file_write_all(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                          size_t *done, rt_time deadline);

/**
 * As rt_file_read_at(), from a poll function. On a direct file what is not aligned is refused:
 * -EINVAL, and a text says so.
 *
 * @param buf  must live as long as the future.
 * @return RT_PENDING; as rt_file_read_at().
 * \context{In a poll function. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_poll_file_read_at(struct rt_future *future, struct rt_file *file, void *buf, size_t bytes,
                         uint64_t offset, rt_time deadline);

/**
 * As rt_file_write_at(), from a poll function; `buf` and alignment as of rt_poll_file_read_at().
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
 * Set the length, as ftruncate(2): what is beyond it is lost; a longer file reads as zeroes.
 *
 * Before Linux 6.9 a thread of the pool for blocking calls does it (rt/blocking.h).
 *
 * @return 0; -EFBIG above INT64_MAX; or -errno; -ETIME; -ECANCELED; of the pool also
 *         -EAGAIN and -ENOMEM.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_truncate(struct rt_file *file, uint64_t bytes, rt_time deadline);

/** What rt_file_allocate() does with a range. */
enum rt_file_space {
    RT_FILE_GROW,    /* take space on the device; a file that is shorter becomes so long */
    RT_FILE_RESERVE, /* take space on the device; the length stays, also for a range beyond it */
    RT_FILE_PUNCH,   /* give space back; the range reads as zeroes, the length stays */
    RT_FILE_ZERO,    /* the range reads as zeroes, and has space; the file may become longer */
};

/**
 * Take or give back space on the device, as fallocate(2).
 *
 * @param bytes  more than 0.
 * @return 0; -EFBIG; -EOPNOTSUPP on a file system that cannot; -ENOSPC; or -errno; -ETIME;
 *         -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_allocate(struct rt_file *file, enum rt_file_space space, uint64_t offset,
                     uint64_t bytes, rt_time deadline);

/** Until when rt_file_write_out() waits. */
enum rt_file_write_out {
    RT_FILE_WRITE_BEGUN, /* the device has been asked */
    RT_FILE_WRITE_ENDED, /* it has taken the data, and that of earlier calls */
};

/**
 * Have the page cache write data of a range to the device, as sync_file_range(2). This makes
 * nothing durable: neither the length nor what the device keeps in a cache of its own.
 * rt_file_datasync() has less to do after it.
 *
 * @param bytes  0 = to the end of the file.
 * @return 0; -EINVAL for a range above INT64_MAX; or -errno; -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_write_out(struct rt_file *file, enum rt_file_write_out until, uint64_t offset,
                      uint64_t bytes, rt_time deadline);

/** What rt_file_advise() says will happen with a range. */
enum rt_file_advice {
    RT_FILE_NORMAL,     /* nothing in particular */
    RT_FILE_RANDOM,     /* it is read here and there; of the whole file, whatever the range */
    RT_FILE_SEQUENTIAL, /* it is read from front to back; likewise */
    RT_FILE_WILL_NEED,  /* it is read soon: begin to */
    RT_FILE_DONT_NEED,  /* it is not read soon: what is clean may leave the page cache */
};

/**
 * Tell the page cache what a buffered file is used for, as posix_fadvise(3).
 *
 * @param bytes  0 = to the end of the file.
 * @return 0; -EINVAL for a range above INT64_MAX; or -errno; -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_advise(struct rt_file *file, enum rt_file_advice advice, uint64_t offset,
                   uint64_t bytes, rt_time deadline);

/** How long data of a file is expected to live, compared with other files on the device. */
enum rt_file_life {
    RT_FILE_LIFE_NOT_SET,
    RT_FILE_LIFE_NONE,
    RT_FILE_LIFE_SHORT,
    RT_FILE_LIFE_MEDIUM,
    RT_FILE_LIFE_LONG,
    RT_FILE_LIFE_EXTREME,
};

/**
 * Say how long the file's data will live (F_SET_RW_HINT), so that a device can put together what
 * will be deleted together. Of the file, for all who have it open.
 *
 * @return 0, or -errno.
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_file_set_life(struct rt_file *file, enum rt_file_life life);

/** Whom a lock of rt_file_try_lock() keeps out. */
enum rt_file_lock {
    RT_FILE_LOCK_SHARED,    /* those who want it exclusive; the file must be open to read */
    RT_FILE_LOCK_EXCLUSIVE, /* all others; the file must be open to write */
};

/**
 * Lock a range against other opens of the file, in this process and in others, as
 * fcntl(2) with F_OFD_SETLK. Advisory: only who asks for it is kept out. The lock is that of this
 * open and of its shares; a second one of the same replaces it. It goes with the last close.
 *
 * @param bytes  0 = to the end of the file, however long it becomes.
 * @return 0; -EAGAIN: somebody else has it; -EINVAL for a range above INT64_MAX; -EBADF for a file
 *         that is not open so; or -errno.
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_file_try_lock(struct rt_file *file, enum rt_file_lock lock, uint64_t offset, uint64_t bytes);

/**
 * End the locks of this open in a range.
 *
 * @return 0, or as rt_file_try_lock().
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
int rt_file_unlock(struct rt_file *file, uint64_t offset, uint64_t bytes);

/**
 * Copy a range from one file to another, or within one where the ranges do not overlap (which is
 * not noticed where the file was opened twice). It goes through memory of the library's, 256 KiB
 * at a time; many tasks with a part each are faster.
 *
 * @return how many bytes were copied, fewer than asked at the end of `from`, or when an error came
 *         after some; -EINVAL for ranges that overlap or end above INT64_MAX; -ENOMEM; or an error
 *         as of rt_file_read_at() and rt_file_write_at(), when nothing was copied.
 * \context{In a task of the shard of both files. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int64_t rt_file_copy_range(struct rt_file *from, uint64_t from_offset, struct rt_file *to,
                           uint64_t to_offset, uint64_t bytes, rt_time deadline);

/** An open file on its way to another shard: has a descriptor until it is adopted or dropped. */
struct rt_file_share {
    /* private */
    uint64_t device;
    int fd;
    int flags;
    uint32_t memory_align;
    uint32_t offset_align;
    uint32_t polls;
};

/**
 * Make a second handle of an open file, for another shard: each uses and closes its own.
 * Misaligned writes to a direct file wait for each other within a shard only: two shards
 * that write into one block need whole blocks, or an agreement of their own. So do two of
 * which one makes the file longer, anywhere, while the other writes a part of its last block:
 * that sets the length, and cuts off what the other has written behind it.
 *
 * @param out  filled on success only; to be given to rt_file_adopt() on any shard, or dropped.
 * @return 0, or -errno (-EMFILE).
 * \context{In a task of the file's shard. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_file_share(struct rt_file *file, struct rt_file_share *out);

/**
 * Make the share a file of this shard. The share is empty then; a second adoption aborts.
 *
 * @param out  gets the file, on success only; the caller closes it.
 * @return 0; -ENOMEM: then the share is as it was.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_file_adopt(struct rt_file **out, struct rt_file_share *share);

/**
 * Close a share that nobody adopts; one that was adopted, or dropped, is left alone.
 *
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
void rt_file_share_drop(struct rt_file_share *share);

/**
 * Make data and metadata durable, as fsync(2).
 *
 * @return 0, or -errno: then data written since the last success may be lost; -ETIME;
 *         -ECANCELED.
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
 * Aborts when another task is using the file.
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
 * @param file  NULL does nothing. Aborts when a task is using it.
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
