/* SPDX-License-Identifier: MIT */
/*
 * Names: directories, and what makes, moves, removes and lists names in them.
 *
 *     struct rt_directory *spool;
 *
 *     if (rt_directory_open(&spool, NULL, "/var/spool/x", RT_NEVER) == 0) {
 *         r = rt_rename(spool, "new", spool, "done", 0, RT_NEVER);
 *         r = rt_directory_sync(spool, RT_NEVER);     the rename is durable
 *         rt_directory_close(spool);
 *     }
 *
 * Each call takes a directory and a path, as openat(2) does. A path that does not
 * start with '/' begins in that directory; NULL is the working directory. So a name
 * is looked up in the directory that was opened, also when that was moved since.
 *
 * No call blocks the shard: they go through the ring, or where it has no operation
 * for them to a thread of the pool (rt/blocking.h).
 *
 * A change of names is durable when the directory has been synced, not before.
 * After -ETIME and -ECANCELED nothing was changed; only where a file system can be
 * interrupted in the middle (network, FUSE) it may have been.
 */
#ifndef RT_DIRECTORY_H
#define RT_DIRECTORY_H

#include "rt/base.h"
#include "rt/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/** An open directory. Belongs to the shard that opened it. */
struct rt_directory;

/**
 * Open a directory.
 *
 * @param out  gets it, on success only; the caller closes it.
 * @param at   where `path` begins; NULL: the working directory.
 * @return 0, or what open(2) fails with (-ENOTDIR when it is none); -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_directory_open(struct rt_directory **out, struct rt_directory *at, const char *path,
                      rt_time deadline);

/**
 * Close the directory and free it. Works in a cancelled task too.
 *
 * Aborts when another task is using it.
 *
 * @param directory  NULL does nothing.
 * @return 0, or what close(2) failed with (it is closed all the same).
 * \context{In a task of the directory's shard. Suspends.}
 */
RT_API RT_SUSPENDS
int rt_directory_close(struct rt_directory *directory);

/**
 * Make the names in the directory durable, as fsync(2) of it.
 *
 * @return 0, or -errno: then changes since the last success may be lost; -ETIME; -ECANCELED.
 * \context{In a task of the directory's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_directory_sync(struct rt_directory *directory, rt_time deadline);

/**
 * The directory's descriptor, for calls that this library does not wrap. Stays the directory's.
 *
 * \context{Any thread. Does not suspend.}
 */
RT_API RT_ANY_THREAD
int rt_directory_descriptor(const struct rt_directory *directory);

/* Listing */

/** What a name stands for. */
enum rt_file_type {
    RT_TYPE_UNKNOWN = 0, /* the file system does not say: open it and ask */
    RT_TYPE_FILE,
    RT_TYPE_DIRECTORY,
    RT_TYPE_SYMLINK,
    RT_TYPE_OTHER, /* device, FIFO or socket */
};

/** A name in a directory. */
struct rt_directory_entry {
    const char *name;
    uint64_t inode;
    enum rt_file_type type;
};

/**
 * The next names of the directory, many at once (some hundred); "." and ".." are left out.
 *
 * In no order. Names that come or go meanwhile may be among them or not. One task at a time
 * reads; a second one aborts. The first call takes 64 KiB, until the directory is closed.
 *
 * @param entries  gets the first of them, on success only; valid until the next call on this
 *                 directory, or its close.
 * @return how many; 0 at the end; -ENOENT when the directory was removed, or another -errno;
 *         -EAGAIN (rt_blocking()); -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task of the directory's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_directory_read(struct rt_directory *directory, const struct rt_directory_entry **entries,
                          rt_time deadline);

/**
 * Let the next rt_directory_read() begin with the first names again.
 *
 * \context{In a task of the directory's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_directory_rewind(struct rt_directory *directory);

/* Names */

/**
 * As rt_file_open(), of a path that begins in a directory.
 *
 * @return as rt_file_open().
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_open_at(struct rt_file **out, struct rt_directory *at, const char *path, int flags,
                    mode_t mode, rt_time deadline);

/**
 * Make a directory.
 *
 * @param mode  its permissions, less the umask.
 * @return 0, or what mkdir(2) fails with (-EEXIST); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_make_directory(struct rt_directory *at, const char *path, mode_t mode, rt_time deadline);

/**
 * Remove a name that is no directory's. Who has the file open keeps it.
 *
 * @return 0, or what unlink(2) fails with (-ENOENT, -EISDIR); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_remove(struct rt_directory *at, const char *path, rt_time deadline);

/**
 * Remove a directory, which must be empty.
 *
 * @return 0, or what rmdir(2) fails with (-ENOTEMPTY, -ENOTDIR); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_remove_directory(struct rt_directory *at, const char *path, rt_time deadline);

enum rt_rename_flag {
    RT_RENAME_NOREPLACE = 1u << 0, /* -EEXIST when the new name is taken */
    RT_RENAME_EXCHANGE = 1u << 1,  /* both names are taken, and change what they stand for */
};

/**
 * Give what `from` names the name `to`, in one step: at no time is `to` missing if it was there.
 *
 * @param flags  0: what `to` named is replaced; or one of enum rt_rename_flag.
 * @return 0, or what rename(2) fails with (-EXDEV: the names are on different file systems;
 *         -EINVAL also where the file system does not know the flag); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_rename(struct rt_directory *from_at, const char *from, struct rt_directory *to_at,
              const char *to, unsigned flags, rt_time deadline);

/**
 * Give the file that `from` names a second name. A symbolic link is not followed.
 *
 * @return 0, or what link(2) fails with (-EEXIST, -EXDEV, -EPERM); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_link(struct rt_directory *from_at, const char *from, struct rt_directory *to_at,
            const char *to, rt_time deadline);

/**
 * Make a symbolic link.
 *
 * @param target  the text that it holds; need not exist.
 * @return 0, or what symlink(2) fails with (-EEXIST); -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_symlink(const char *target, struct rt_directory *at, const char *path, rt_time deadline);

/**
 * Read the text of a symbolic link.
 *
 * @param buf    gets it, with a terminator; written also on failure.
 * @param bytes  of `buf`.
 * @return the length of the text; -ERANGE when it does not fit with its terminator; or what
 *         readlink(2) fails with (-EINVAL: no symbolic link); -EAGAIN (rt_blocking());
 *         -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_readlink(struct rt_directory *at, const char *path, char *buf, size_t bytes,
                    rt_time deadline);

/* Temporary files */

/**
 * Make a file without a name, open to read and write by its owner only (0600). It is gone when it
 * is closed, also when the process dies; unless it has got a name by rt_file_link().
 *
 * @param path  the directory on whose file system it lies.
 * @return 0, or what open(2) fails with; -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_create_temporary(struct rt_file **out, struct rt_directory *at, const char *path,
                             rt_time deadline);

/**
 * Give an open file that rt_file_create_temporary() has made a name. Needs /proc.
 *
 * @return 0, or what link(2) fails with (-EEXIST, -EXDEV); -ENOENT also where the file
 *         system cannot make files without a name (no O_TMPFILE): use
 *         rt_file_create_unique() and rt_rename() there; -ETIME; -ECANCELED.
 * \context{In a task of the file's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_link(struct rt_file *file, struct rt_directory *at, const char *path, rt_time deadline);

/**
 * Make a file with a name that nobody has, open to read and write.
 *
 * @param path  ends with "XXXXXX", which becomes the part that is unique; changed also on failure.
 * @param mode  its permissions, less the umask.
 * @return 0, or what open(2) fails with; -EINVAL when `path` does not end so; -EEXIST when 100
 *         names in a row were taken; -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_file_create_unique(struct rt_file **out, struct rt_directory *at, char *path, mode_t mode,
                          rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_DIRECTORY_H */
