/* SPDX-License-Identifier: MIT */
/* Files: each call one operation on the ring. See rt/file.h for the contract. */
#include "rt/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/future.h"
#include "io/handle.h"
#include "os/sys.h"

struct rt_file {
    struct rti_handle handle;
};

/* What one operation moves at most, so that its length fits the entry; a short count says so. */
#define TRANSFER_MAX (1u << 30)

static const struct rti_wait_kind open_kind = RTI_OP_KIND("open");
static void transfer_ended(struct rti_waiter *waiter);

static const struct rti_wait_kind read_kind = { .name = "read",
                                                .abort = rti_op_abort,
                                                .ended = transfer_ended };
static const struct rti_wait_kind write_kind = { .name = "write",
                                                 .abort = rti_op_abort,
                                                 .ended = transfer_ended };
static const struct rti_wait_kind stat_kind = RTI_OP_KIND("stat");
static const struct rti_wait_kind sync_kind = RTI_OP_KIND("sync");
static const struct rti_wait_kind datasync_kind = RTI_OP_KIND("datasync");

/* A call begins, with an entry for its operation; it ends in end(). */
static int begin(struct rt_file *file, struct rti_op *op, const struct rti_wait_kind *kind,
                 rt_time deadline, struct io_uring_sqe **sqe)
{
    int r;

    if (file->handle.closing) {
        rti_misuse("rt_file_%s(): another task is closing the file", kind->name);
    }
    file->handle.users++; /* from here on: the task may have to wait for room in the ring */
    r = rti_op_begin(op, kind, deadline, sqe);
    file->handle.users -= r < 0;
    return r;
}

static int end(struct rt_file *file, struct rti_op *op, struct io_uring_sqe *sqe, rt_time deadline)
{
    const int r = rti_op_await(op, sqe, deadline);

    file->handle.users--;
    return r;
}

static int open_fd(const char *path, int flags, mode_t mode, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = rti_op_begin(&op, &open_kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_openat(sqe, AT_FDCWD, path, flags | O_CLOEXEC, mode);
    return rti_op_await(&op, sqe, deadline);
}

int rt_file_open(struct rt_file **out, const char *path, int flags, mode_t mode, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_file_open");
    struct rt_file *file;
    int r;

    RTI_ASSERT(out != NULL && path != NULL);
    file = rti_handle_get(executor, sizeof(*file));
    if (file == NULL) {
        return -ENOMEM;
    }
    r = open_fd(path, flags, mode, deadline);
    if (r < 0) {
        rti_handle_put(file);
        return r;
    }
    file->handle.fd = r;
    *out = file;
    return 0;
}

static unsigned transfer_bytes(size_t bytes)
{
    return bytes < TRANSFER_MAX ? (unsigned)bytes : TRANSFER_MAX;
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_read_at(struct rt_file *file, void *buf, size_t bytes, uint64_t offset,
                        rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_handle_must_own(file, "rt_file_read_at");
    if (offset > INT64_MAX) {
        return -EINVAL; /* all ones would be "the current position" to the kernel */
    }
    r = begin(file, &op, &read_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_read(sqe, file->handle.fd, buf, transfer_bytes(bytes), offset);
    return end(file, &op, sqe, deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_write_at(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                         rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_handle_must_own(file, "rt_file_write_at");
    if (offset > INT64_MAX) {
        return -EINVAL;
    }
    r = begin(file, &op, &write_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_write(sqe, file->handle.fd, buf, transfer_bytes(bytes), offset);
    return end(file, &op, sqe, deadline);
}

/* Of futures */

static void transfer_ended(struct rti_waiter *waiter)
{
    ((struct rt_file *)waiter->object)->handle.users--;
}

static bool look(struct rt_future *future, struct rt_file *file, const struct rti_wait_kind *kind,
                 const char *call, uint64_t offset, struct io_uring_sqe **sqe, int *result)
{
    if (rti_future_look(future, kind, call, result)) {
        return true;
    }
    (void)rti_handle_must_own(file, call);
    if (file->handle.closing) {
        rti_misuse("%s(): another task is closing the file", call);
    }
    if (offset > INT64_MAX) {
        *result = -EINVAL; /* all ones would be "the current position" to the kernel */
        return true;
    }
    return rti_op_lacks_room(future, kind, sqe, result);
}

static int wait_for(struct rt_future *future, struct rt_file *file, struct io_uring_sqe *sqe,
                    rt_time deadline)
{
    rti_future_waiter(future)->object = file;
    file->handle.users++;
    return rti_op_wait(future, sqe, deadline);
}

int rt_poll_file_read_at(struct rt_future *future, struct rt_file *file, void *buf, size_t bytes,
                         uint64_t offset, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r;

    if (look(future, file, &read_kind, "rt_poll_file_read_at", offset, &sqe, &r)) {
        return r;
    }
    io_uring_prep_read(sqe, file->handle.fd, buf, transfer_bytes(bytes), offset);
    return wait_for(future, file, sqe, deadline);
}

int rt_poll_file_write_at(struct rt_future *future, struct rt_file *file, const void *buf,
                          size_t bytes, uint64_t offset, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r;

    if (look(future, file, &write_kind, "rt_poll_file_write_at", offset, &sqe, &r)) {
        return r;
    }
    io_uring_prep_write(sqe, file->handle.fd, buf, transfer_bytes(bytes), offset);
    return wait_for(future, file, sqe, deadline);
}

int rt_file_stat(struct rt_file *file, struct rt_file_stat *out, rt_time deadline)
{
    struct statx answer;
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    (void)rti_handle_must_own(file, "rt_file_stat");
    r = begin(file, &op, &stat_kind, deadline, &sqe);
    if (r < 0) {
        return r;
    }
    io_uring_prep_statx(sqe, file->handle.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &answer);
    r = end(file, &op, sqe, deadline);
    if (r < 0) {
        return r;
    }
    *out = (struct rt_file_stat){
        .size_bytes = answer.stx_size,
        .allocated_bytes = answer.stx_blocks * 512,
        .mode = answer.stx_mode,
        .block_bytes = answer.stx_blksize,
        .inode = answer.stx_ino,
        .device = (uint64_t)answer.stx_dev_major << 32 | answer.stx_dev_minor,
        .modified_ns = answer.stx_mtime.tv_sec * RT_SECONDS(1) + answer.stx_mtime.tv_nsec,
    };
    return 0;
}

static int sync_file(struct rt_file *file, const struct rti_wait_kind *kind, unsigned flags,
                     rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = begin(file, &op, kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_fsync(sqe, file->handle.fd, flags);
    return end(file, &op, sqe, deadline);
}

int rt_file_sync(struct rt_file *file, rt_time deadline)
{
    (void)rti_handle_must_own(file, "rt_file_sync");
    return sync_file(file, &sync_kind, 0, deadline);
}

int rt_file_datasync(struct rt_file *file, rt_time deadline)
{
    (void)rti_handle_must_own(file, "rt_file_datasync");
    return sync_file(file, &datasync_kind, IORING_FSYNC_DATASYNC, deadline);
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
    r = rti_sys_close(file->handle.fd);
    rti_handle_put(file);
    return r;
}

int rt_file_descriptor(const struct rt_file *file)
{
    return file->handle.fd;
}
