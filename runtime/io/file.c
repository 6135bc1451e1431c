/* SPDX-License-Identifier: MIT */
/* Files: opened, asked, synced and closed. See rt/file.h for the contract. */
#include "io/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sized.h"
#include "os/sys.h"

_Static_assert(sizeof(struct rt_file) <= RTI_HANDLE_BYTES, "a file lies in the pool of handles");

#define WRONG_OPTIONS \
    "the options of a file are of a newer library, or not from RT_FILE_OPTIONS_INIT"

static const struct rti_wait_kind open_kind = RTI_OP_KIND("open");
static const struct rti_wait_kind stat_kind = RTI_OP_KIND("stat");
static const struct rti_wait_kind sync_kind = RTI_OP_KIND("sync");
static const struct rti_wait_kind datasync_kind = RTI_OP_KIND("datasync");

/* ---- opening ---- */

static int open_fd(int directory, const char *path, int flags, mode_t mode, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = rti_op_begin(&op, &open_kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_openat(sqe, directory, path, flags | O_CLOEXEC, mode);
    return rti_op_await(&op, sqe, deadline);
}

/* The file system may refuse O_DIRECT after it has made the file, so what is opened again is there
 * already: it must still be the same one, and no link that somebody has put in its place. */
static int buffered_flags(int flags)
{
    if ((flags & O_EXCL) != 0) {
        flags = (flags & ~O_EXCL) | O_NOFOLLOW;
    }
    return flags & ~O_DIRECT;
}

static int open_file(struct rt_file *file, int directory, const char *path, int flags, mode_t mode,
                     rt_time deadline)
{
    int r = open_fd(directory, path, flags, mode, deadline);

    if (r < 0) {
        return r;
    }
    file->handle.fd = r;
    file->flags = flags;
    r = (flags & O_DIRECT) != 0 ? rti_file_learn_alignment(file, deadline) : 0;
    if (r < 0) {
        (void)rti_handle_close_fd(file->handle.fd);
    }
    return r;
}

static int open_as_allowed(struct rt_file *file, int directory, const char *path,
                           const struct rt_file_options *options, rt_time deadline)
{
    int r = open_file(file, directory, path, options->flags, options->mode, deadline);

    if (r == -EINVAL && (options->flags & O_DIRECT) != 0 && options->buffered_ok != 0) {
        r = open_file(file, directory, path, buffered_flags(options->flags), options->mode,
                      deadline);
    } else if (r == -EINVAL && (options->flags & O_DIRECT) != 0) {
        rti_log(&file->handle.executor->log, RT_LOG_ERROR,
                "cannot open %s with O_DIRECT: its file system has no direct I/O for it (or the "
                "flags %#x do not go together); open it without, or allow that by "
                "rt_file_options.buffered_ok",
                path, (unsigned)options->flags);
    }
    return r;
}

static int open_in(struct rt_file **out, int directory, const char *path,
                   const struct rt_file_options *options, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_file_open");
    struct rt_file *file;
    int r;

    RTI_ASSERT(out != NULL && path != NULL);
    file = rti_handle_get(executor, sizeof(*file));
    if (file == NULL) {
        return -ENOMEM;
    }
    r = open_as_allowed(file, directory, path, options, deadline);
    if (r < 0) {
        rti_handle_put(file);
        return r;
    }
    if (options->polled != 0) {
        rti_file_want_polls(file);
    }
    *out = file;
    return 0;
}

static int check_options(const struct rti_executor *executor, const struct rt_file_options *options)
{
    if (options->reserved != 0) {
        rti_log(&executor->log, RT_LOG_ERROR, WRONG_OPTIONS);
        return -EINVAL;
    }
    if (options->polled != 0 && (options->flags & O_DIRECT) == 0) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "rt_file_options.polled is for direct files: add O_DIRECT to the flags");
        return -EINVAL;
    }
    return 0;
}

int rt_file_open_with(struct rt_file **out, const char *path, const struct rt_file_options *options,
                      rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here("rt_file_open_with");
    struct rt_file_options complete;
    int r;

    RTI_ASSERT(out != NULL && path != NULL && options != NULL);
    r = rti_sized_copy(&complete, sizeof(complete), options);
    if (r < 0) {
        rti_log(&executor->log, RT_LOG_ERROR, WRONG_OPTIONS);
        return r;
    }
    r = check_options(executor, &complete);
    if (r < 0) {
        return r;
    }
    return open_in(out, AT_FDCWD, path, &complete, deadline);
}

int rti_file_open_in(struct rt_file **out, int directory, const char *path, int flags, mode_t mode,
                     rt_time deadline)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;

    options.flags = flags;
    options.mode = mode;
    return open_in(out, directory, path, &options, deadline);
}

int rt_file_open(struct rt_file **out, const char *path, int flags, mode_t mode, rt_time deadline)
{
    return rti_file_open_in(out, AT_FDCWD, path, flags, mode, deadline);
}

/* ---- asking ---- */

int rti_file_statx(struct rt_file *file, unsigned mask, struct statx *answer, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    const int r = rti_op_begin(&op, &stat_kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_statx(sqe, file->handle.fd, "", AT_EMPTY_PATH, mask, answer);
    return rti_op_await(&op, sqe, deadline);
}

int rti_file_share_lock(struct rt_file *file, rt_time deadline)
{
    return rti_file_is_direct(file) ? rt_rwlock_read_lock(&file->direct_lock, deadline) : 0;
}

void rti_file_share_unlock(struct rt_file *file)
{
    if (rti_file_is_direct(file)) {
        rt_rwlock_read_unlock(&file->direct_lock);
    }
}

/* A file may bear any time; what is beyond 1677 or 2262 is the last that can be said. */
static int64_t ns_of(const struct statx_timestamp *time)
{
    int64_t ns;

    return __builtin_mul_overflow(time->tv_sec, RT_SECONDS(1), &ns) ||
                   __builtin_add_overflow(ns, (int64_t)time->tv_nsec, &ns)
               ? (time->tv_sec < 0 ? INT64_MIN : INT64_MAX)
               : ns;
}

int rt_file_stat(struct rt_file *file, struct rt_file_stat *out, rt_time deadline)
{
    struct statx answer;
    int r;

    rti_file_enter(file, "rt_file_stat");
    r = rti_file_share_lock(file, deadline); /* F1: the size is not one that will be taken back */
    if (r == 0) {
        r = rti_file_statx(file, STATX_BASIC_STATS, &answer, deadline);
        rti_file_share_unlock(file);
    }
    rti_file_leave(file);
    if (r != 0) {
        return r;
    }
    *out = (struct rt_file_stat){
        .size_bytes = answer.stx_size,
        .allocated_bytes = answer.stx_blocks * 512,
        .mode = answer.stx_mode,
        .block_bytes = answer.stx_blksize,
        .inode = answer.stx_ino,
        .device = (uint64_t)answer.stx_dev_major << 32 | answer.stx_dev_minor,
        .modified_ns = ns_of(&answer.stx_mtime),
        .direct_memory_align = file->memory_align,
        .direct_offset_align = rti_file_is_direct(file) ? file->offset_align : 0,
        .polled = file->polls,
    };
    return 0;
}

static int sync_file(struct rt_file *file, const struct rti_wait_kind *kind, unsigned flags,
                     rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = rti_op_begin(&op, kind, deadline, &sqe);

    if (r == 0) {
        io_uring_prep_fsync(sqe, file->handle.fd, flags);
        r = rti_op_await(&op, sqe, deadline);
    }
    rti_file_leave(file);
    return r;
}

int rt_file_sync(struct rt_file *file, rt_time deadline)
{
    rti_file_enter(file, "rt_file_sync");
    return sync_file(file, &sync_kind, 0, deadline);
}

int rt_file_datasync(struct rt_file *file, rt_time deadline)
{
    rti_file_enter(file, "rt_file_datasync");
    return sync_file(file, &datasync_kind, IORING_FSYNC_DATASYNC, deadline);
}

/* ---- closing ---- */

/* Before the close, which would else not be the last one, and leave locks behind. */
static void leave_place(struct rt_file *file)
{
    if (file->place != 0) {
        rti_uring_unregister_file(&rti_current->reactor.ring, file->place - 1u);
    }
}

int rt_file_close(struct rt_file *file)
{
    int r;

    if (file == NULL) {
        return 0;
    }
    (void)rti_handle_must_own(file, "rt_file_close");
    if (file->handle.users != 0 || file->handle.closing) {
        rti_misuse("rt_file_close(): another task is using the file");
    }
    file->handle.closing = true;
    leave_place(file);
    r = rti_handle_close_fd(file->handle.fd);
    rti_handle_put(file);
    return r;
}

int rt_file_drop(struct rt_file *file)
{
    int r;

    if (file == NULL) {
        return 0;
    }
    (void)rti_handle_must_own(file, "rt_file_drop");
    if (file->handle.users != 0 || file->handle.closing) {
        rti_misuse("rt_file_drop(): a task is using the file");
    }
    leave_place(file);
    r = rti_sys_close(file->handle.fd);
    rti_handle_put(file);
    return r;
}

int rt_file_descriptor(const struct rt_file *file)
{
    return file->handle.fd;
}
