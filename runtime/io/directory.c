/* SPDX-License-Identifier: MIT */
/* Directories, and names in them: each call one operation on the ring, which has them all since
 * Linux 5.15. See rt/directory.h for the contract. */
#include "io/directory.h"

#include <fcntl.h>
#include <stdio.h>

#include "io/file.h"
#include "os/sys.h"

_Static_assert(sizeof(struct rt_directory) <= RTI_HANDLE_BYTES, "it lies in the pool of handles");
_Static_assert((unsigned)RT_RENAME_NOREPLACE == RENAME_NOREPLACE &&
                   (unsigned)RT_RENAME_EXCHANGE == RENAME_EXCHANGE,
               "flags are handed on");

int rti_directory_enter(struct rt_directory *directory, const char *call)
{
    if (directory == NULL) {
        (void)rti_executor_here(call);
        return AT_FDCWD;
    }
    (void)rti_handle_must_own(directory, call);
    if (directory->handle.closing) {
        rti_misuse("%s(): another task is closing the directory", call);
    }
    directory->handle.users++;
    return directory->handle.fd;
}

void rti_directory_leave(struct rt_directory *directory)
{
    if (directory != NULL) {
        directory->handle.users--;
    }
}

/* One operation on one name, or on two. */
struct name_op {
    struct rti_op op;
    struct io_uring_sqe *sqe; /* to be filled between begin() and end() */
    struct rt_directory *at;
    struct rt_directory *other; /* NULL where there is one name only */
    int fd;
    int other_fd;
};

static int begin(struct name_op *self, const char *call, const struct rti_wait_kind *kind,
                 struct rt_directory *at, struct rt_directory *other, rt_time deadline)
{
    int r;

    self->at = at;
    self->other = other;
    self->fd = rti_directory_enter(at, call);
    self->other_fd = rti_directory_enter(other, call);
    r = rti_op_begin(&self->op, kind, deadline, &self->sqe);
    if (r < 0) {
        rti_directory_leave(at);
        rti_directory_leave(other);
    }
    return r;
}

static int end(struct name_op *self, rt_time deadline)
{
    const int r = rti_op_await(&self->op, self->sqe, deadline);

    rti_directory_leave(self->at);
    rti_directory_leave(self->other);
    return r;
}

/* Directories */

static int open_fd(struct rt_directory *at, const char *path, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("open directory");
    struct name_op self;
    const int r = begin(&self, "rt_directory_open", &kind, at, NULL, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_openat(self.sqe, self.fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    return end(&self, deadline);
}

int rt_directory_open(struct rt_directory **out, struct rt_directory *at, const char *path,
                      rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_directory_open");
    struct rt_directory *directory;
    int r;

    RTI_ASSERT(out != NULL && path != NULL);
    directory = rti_handle_get(executor, sizeof(*directory));
    if (directory == NULL) {
        return -ENOMEM;
    }
    r = open_fd(at, path, deadline);
    if (r < 0) {
        rti_handle_put(directory);
        return r;
    }
    directory->handle.fd = r;
    *out = directory;
    return 0;
}

int rt_directory_close(struct rt_directory *directory)
{
    int r;

    if (directory == NULL) {
        return 0;
    }
    (void)rti_handle_must_own(directory, "rt_directory_close");
    if (directory->handle.users != 0 || directory->handle.closing) {
        rti_misuse("rt_directory_close(): another task is using the directory");
    }
    directory->handle.closing = true;
    r = rti_handle_close_fd(directory->handle.fd);
    rti_sys_free(directory->listing);
    rti_handle_put(directory);
    return r;
}

int rt_directory_sync(struct rt_directory *directory, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("sync directory");
    struct name_op self;
    int r;

    RTI_ASSERT(directory != NULL);
    r = begin(&self, "rt_directory_sync", &kind, directory, NULL, deadline);
    if (r < 0) {
        return r;
    }
    io_uring_prep_fsync(self.sqe, self.fd, 0);
    return end(&self, deadline);
}

int rt_directory_descriptor(const struct rt_directory *directory)
{
    return directory->handle.fd;
}

/* Names */

int rt_file_open_at(struct rt_file **out, struct rt_directory *at, const char *path, int flags,
                    mode_t mode, rt_time deadline)
{
    const int fd = rti_directory_enter(at, "rt_file_open_at");
    const int r = rti_file_open_in(out, fd, path, flags, mode, deadline);

    rti_directory_leave(at);
    return r;
}

int rt_make_directory(struct rt_directory *at, const char *path, mode_t mode, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("make directory");
    struct name_op self;
    const int r = begin(&self, "rt_make_directory", &kind, at, NULL, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_mkdirat(self.sqe, self.fd, path, mode);
    return end(&self, deadline);
}

static int remove_name(struct rt_directory *at, const char *path, int flags, const char *call,
                       rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("remove");
    struct name_op self;
    const int r = begin(&self, call, &kind, at, NULL, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_unlinkat(self.sqe, self.fd, path, flags);
    return end(&self, deadline);
}

int rt_remove(struct rt_directory *at, const char *path, rt_time deadline)
{
    return remove_name(at, path, 0, "rt_remove", deadline);
}

int rt_remove_directory(struct rt_directory *at, const char *path, rt_time deadline)
{
    return remove_name(at, path, AT_REMOVEDIR, "rt_remove_directory", deadline);
}

int rt_rename(struct rt_directory *from_at, const char *from, struct rt_directory *to_at,
              const char *to, unsigned flags, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("rename");
    struct name_op self;
    const int r = begin(&self, "rt_rename", &kind, from_at, to_at, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_renameat(self.sqe, self.fd, from, self.other_fd, to, flags);
    return end(&self, deadline);
}

static int link_name(struct rt_directory *from_at, const char *from, struct rt_directory *to_at,
                     const char *to, int flags, const char *call, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("link");
    struct name_op self;
    const int r = begin(&self, call, &kind, from_at, to_at, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_linkat(self.sqe, self.fd, from, self.other_fd, to, flags);
    return end(&self, deadline);
}

int rt_link(struct rt_directory *from_at, const char *from, struct rt_directory *to_at,
            const char *to, rt_time deadline)
{
    return link_name(from_at, from, to_at, to, 0, "rt_link", deadline);
}

/* By its name in /proc: to name it by its descriptor takes a privilege before Linux 6.10. */
int rt_file_link(struct rt_file *file, struct rt_directory *at, const char *path, rt_time deadline)
{
    char from[sizeof("/proc/self/fd/-2147483648")];
    int r;

    rti_file_enter(file, "rt_file_link");
    snprintf(from, sizeof(from), "/proc/self/fd/%d", file->handle.fd);
    r = link_name(NULL, from, at, path, AT_SYMLINK_FOLLOW, "rt_file_link", deadline);
    rti_file_leave(file);
    return r;
}

int rt_symlink(const char *target, struct rt_directory *at, const char *path, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("symlink");
    struct name_op self;
    const int r = begin(&self, "rt_symlink", &kind, at, NULL, deadline);

    if (r < 0) {
        return r;
    }
    io_uring_prep_symlinkat(self.sqe, target, self.fd, path);
    return end(&self, deadline);
}
