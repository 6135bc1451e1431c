/* SPDX-License-Identifier: MIT */
/* Sim, files: the table of descriptors, and files in memory under flat paths. */
#include "sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (UINT64_C(1) << 30) /* of a test; more is a mistake */
#define BLOCK_BYTES    4096

/* ---- descriptors ---- */

int sim_fd_install(struct sim_object *object)
{
    for (unsigned i = 0; i < sim.fd_limit; i++) { /* the lowest free one, as in Linux */
        if (sim.fds[i] == NULL) {
            sim.fds[i] = object;
            if (++sim.stats.descriptors > sim.stats.descriptors_max) {
                sim.stats.descriptors_max = sim.stats.descriptors;
            }
            return SIM_FD_FIRST + (int)i;
        }
    }
    sim_object_put(object);
    return -EMFILE;
}

struct sim_object *sim_fd_object(int fd)
{
    if (fd < SIM_FD_FIRST || (unsigned)(fd - SIM_FD_FIRST) >= sim.fd_limit) {
        return NULL;
    }
    return sim.fds[fd - SIM_FD_FIRST];
}

int sim_fd_close(int fd)
{
    struct sim_object *object = sim_fd_object(fd);

    if (object == NULL) {
        return -EBADF;
    }
    sim.fds[fd - SIM_FD_FIRST] = NULL;
    sim.stats.descriptors--;
    sim_object_put(object);
    return 0;
}

/* ---- files ---- */

static struct sim_file *file_find(const char *path)
{
    struct rti_list *node;

    for (node = sim.files.next; node != &sim.files; node = node->next) {
        struct sim_file *file = RTI_CONTAINER_OF(node, struct sim_file, in_sim);

        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

static struct sim_file *file_create(const char *path, unsigned mode)
{
    struct sim_file *file = sim_alloc(sizeof(*file));

    file->path = strdup(path);
    RTI_ASSERT(file->path != NULL);
    file->refs = 1;
    file->inode = ++sim.inodes;
    file->mode = mode;
    rti_list_init(&file->changes);
    rti_list_push_back(&sim.files, &file->in_sim);
    sim_disk_named(path, file);
    return file;
}

void sim_file_unref(struct sim_file *file)
{
    if (--file->refs == 0) {
        sim_disk_forget(file);
        free(file->path);
        free(file->bytes);
        free(file);
    }
}

static void file_resize(struct sim_file *file, size_t size)
{
    uint8_t *bytes;

    if (size == 0) {
        free(file->bytes);
        file->bytes = NULL;
    } else {
        bytes = realloc(file->bytes, size);
        RTI_ASSERT(bytes != NULL);
        if (size > file->size) {
            memset(bytes + file->size, 0, size - file->size);
        }
        file->bytes = bytes;
    }
    file->size = size;
}

void sim_object_put(struct sim_object *object)
{
    RTI_ASSERT(object->refs > 0);
    if (--object->refs > 0) {
        return;
    }
    if (object->kind == SIM_KIND_FILE) {
        struct sim_open_file *open_file = RTI_CONTAINER_OF(object, struct sim_open_file, object);

        sim_file_unref(open_file->file);
        free(open_file);
    } else if (object->kind == SIM_KIND_SOCKET) {
        sim_socket_released(RTI_CONTAINER_OF(object, struct sim_socket, object));
    } else if (object->kind == SIM_KIND_COUNTER) {
        free(RTI_CONTAINER_OF(object, struct sim_counter, object));
    } else {
        free(object);
    }
}

unsigned sim_object_poll(const struct sim_object *object)
{
    if (object->kind == SIM_KIND_SOCKET) {
        return sim_socket_poll(RTI_CONTAINER_OF(object, const struct sim_socket, object));
    }
    if (object->kind == SIM_KIND_COUNTER) {
        const struct sim_counter *counter = RTI_CONTAINER_OF(object, const struct sim_counter,
                                                             object);

        return (counter->count > 0 ? POLLIN : 0U) | POLLOUT;
    }
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; /* a file is always ready */
}

void sim_file_put(const char *path, const void *bytes, size_t count)
{
    struct sim_file *file = file_find(path);

    RTI_ASSERT(sim.is_active);
    if (file == NULL) {
        file = file_create(path, 0644);
    }
    file_resize(file, count);
    if (count > 0) {
        memcpy(file->bytes, bytes, count);
    }
    (void)sim_disk_sync(file);
    (void)sim_disk_sync_names(); /* what a test puts there is durable */
}

const void *sim_file_get(const char *path, size_t *out_count)
{
    struct sim_file *file = file_find(path);

    if (file == NULL) {
        return NULL;
    }
    *out_count = file->size;
    return file->size > 0 ? (const void *)file->bytes : "";
}

static void remove_name(struct sim_file *file)
{
    rti_list_remove(&file->in_sim);
    sim_disk_named(file->path, NULL);
    sim_file_unref(file);
}

void sim_file_remove(const char *path)
{
    struct sim_file *file = file_find(path);

    RTI_ASSERT(file != NULL);
    remove_name(file);
}

void sim_file_refuse_polls(const char *path)
{
    struct sim_file *file = file_find(path);

    RTI_ASSERT(file != NULL);
    file->refuses_polls = true;
}

unsigned sim_file_count(void)
{
    unsigned count = 0;

    for (struct rti_list *node = sim.files.next; node != &sim.files; node = node->next) {
        count++;
    }
    return count;
}

static int32_t directory_open(void)
{
    struct sim_object *directory = sim_alloc(sizeof(*directory));

    directory->kind = SIM_KIND_DIRECTORY;
    directory->refs = 1;
    rti_list_init(&directory->waiters);
    return sim_fd_install(directory);
}

int32_t sim_file_open(struct sim_request *request)
{
    const int flags = (int)request->sqe.open_flags;
    struct sim_file *file = file_find(request->path);
    struct sim_open_file *open_file;

    sim_disk_operation();
    if (strcmp(request->path, ".") == 0 && (flags & O_DIRECTORY) != 0) {
        return directory_open();
    }
    if ((flags & O_DIRECT) != 0 && sim.config.no_o_direct) {
        return -EINVAL;
    }
    if (request->path[0] == '\0') {
        return -ENOENT;
    }
    if (file == NULL && (flags & O_CREAT) == 0) {
        return -ENOENT;
    }
    if (file != NULL && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        return -EEXIST;
    }
    if (file != NULL && (flags & O_DIRECTORY) != 0) {
        return -ENOTDIR;
    }
    if (sim.stats.descriptors >= sim.fd_limit) {
        return -EMFILE;
    }
    if (file == NULL) {
        file = file_create(request->path, request->sqe.len & 07777);
    }
    if ((flags & O_TRUNC) != 0 && (flags & O_ACCMODE) != O_RDONLY) {
        file_resize(file, 0);
        sim_disk_resized(file);
    }
    file->refs++;
    open_file = sim_alloc(sizeof(*open_file));
    open_file->object.kind = SIM_KIND_FILE;
    open_file->object.refs = 1;
    rti_list_init(&open_file->object.waiters);
    open_file->file = file;
    open_file->flags = flags;
    return sim_fd_install(&open_file->object);
}

/* ---- names ---- */

int32_t sim_file_unlink(struct sim_request *request)
{
    struct sim_file *file = file_find(request->path);

    sim_disk_operation();
    if (file == NULL) {
        return -ENOENT;
    }
    if ((request->sqe.unlink_flags & AT_REMOVEDIR) != 0) {
        return -ENOTDIR;
    }
    remove_name(file);
    return 0;
}

/* For the disk two changes, of which a cut may leave either: harsher than any file system. */
int32_t sim_file_rename(struct sim_request *request)
{
    struct sim_file *file = file_find(request->path);
    struct sim_file *old = file_find(request->new_path);

    sim_disk_operation();
    if ((request->sqe.rename_flags & ~(unsigned)RENAME_NOREPLACE) != 0) {
        fprintf(stderr, "sim: RENAMEAT with flags %#x is not simulated\n",
                request->sqe.rename_flags);
        return -EINVAL;
    }
    if (file == NULL) {
        return -ENOENT;
    }
    if (old != NULL && (request->sqe.rename_flags & RENAME_NOREPLACE) != 0) {
        return -EEXIST;
    }
    if (old == file) {
        return 0;
    }
    if (old != NULL) {
        rti_list_remove(&old->in_sim);
        sim_file_unref(old);
    }
    sim_disk_named(request->new_path, file);
    sim_disk_named(request->path, NULL);
    free(file->path);
    file->path = strdup(request->new_path);
    RTI_ASSERT(file->path != NULL);
    return 0;
}

/* ---- reading and writing ---- */

/* One READ or WRITE, or the parts of a READV or WRITEV. */
struct transfer {
    struct sim_open_file *open_file;
    struct iovec single;
    const struct iovec *iov;
    unsigned iov_count;
    uint64_t total;
    uint64_t offset;
    bool uses_position;
};

static bool is_aligned(uint64_t value)
{
    return value % SIM_DIRECT_ALIGN == 0;
}

/* 0, or why nothing can be transferred. */
static int transfer_init(struct transfer *transfer, struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    struct sim_open_file *open_file = RTI_CONTAINER_OF(request->object, struct sim_open_file,
                                                       object);
    bool aligned;

    memset(transfer, 0, sizeof(*transfer));
    transfer->open_file = open_file;
    transfer->single.iov_base = (void *)(uintptr_t)sqe->addr;
    transfer->single.iov_len = sqe->len;
    transfer->iov = request->iov != NULL ? request->iov : &transfer->single;
    transfer->iov_count = request->iov != NULL ? sqe->len : 1;
    transfer->uses_position = sqe->off == UINT64_MAX;
    transfer->offset = transfer->uses_position ? open_file->position : sqe->off;
    if (transfer->offset > INT64_MAX) {
        return -EINVAL;
    }
    aligned = is_aligned(transfer->offset);
    for (unsigned i = 0; i < transfer->iov_count; i++) {
        transfer->total += transfer->iov[i].iov_len;
        aligned = aligned && is_aligned((uintptr_t)transfer->iov[i].iov_base) &&
                  is_aligned(transfer->iov[i].iov_len);
    }
    return (open_file->flags & O_DIRECT) != 0 && !aligned ? -EINVAL : 0;
}

/* How much the faults leave of `length`; O_DIRECT stops at blocks. */
static uint64_t shorten(const struct transfer *transfer, const struct sim_request *request,
                        uint64_t length)
{
    uint32_t left = length > INT_MAX ? INT_MAX : (uint32_t)length;

    if (left == 0) {
        return 0;
    }
    left = sim_fault_length(request, left);
    if ((transfer->open_file->flags & O_DIRECT) != 0 && left < length) {
        left -= left % SIM_DIRECT_ALIGN;
        left = left > 0 || length < SIM_DIRECT_ALIGN ? left : SIM_DIRECT_ALIGN;
    }
    return left > 0 ? left : length;
}

static void transfer_end(struct transfer *transfer, uint64_t count)
{
    if (transfer->uses_position) {
        transfer->open_file->position = transfer->offset + count;
    }
}

int32_t sim_file_read(struct sim_request *request)
{
    struct transfer transfer;
    const struct sim_file *file;
    uint64_t left;
    uint64_t at;
    int r = transfer_init(&transfer, request);

    if ((transfer.open_file->flags & O_ACCMODE) == O_WRONLY) {
        return -EBADF;
    }
    if (r < 0) {
        return r;
    }
    if (sim.config.poison && request->iov == NULL && request->sqe.len > 0) {
        memset(transfer.single.iov_base, 0xa5, transfer.single.iov_len);
    }
    file = transfer.open_file->file;
    left = transfer.offset < file->size ? file->size - transfer.offset : 0;
    left = shorten(&transfer, request, left < transfer.total ? left : transfer.total);
    at = transfer.offset;
    for (unsigned i = 0; i < transfer.iov_count && left > 0; i++) {
        size_t part = transfer.iov[i].iov_len < left ? transfer.iov[i].iov_len : left;

        memcpy(transfer.iov[i].iov_base, file->bytes + at, part);
        at += part;
        left -= part;
    }
    transfer_end(&transfer, at - transfer.offset);
    return (int32_t)(at - transfer.offset);
}

int32_t sim_file_write(struct sim_request *request)
{
    struct transfer transfer;
    struct sim_file *file;
    uint64_t left;
    uint64_t at;
    int r = transfer_init(&transfer, request);

    if ((transfer.open_file->flags & O_ACCMODE) == O_RDONLY) {
        return -EBADF;
    }
    if (r < 0) {
        return r;
    }
    file = transfer.open_file->file;
    if ((transfer.open_file->flags & O_APPEND) != 0) {
        transfer.offset = file->size;
    }
    left = shorten(&transfer, request, transfer.total);
    if (left > FILE_BYTES_MAX || transfer.offset > FILE_BYTES_MAX - left) {
        return -EFBIG;
    }
    sim_disk_operation();
    if (left > 0 && transfer.offset + left > file->size) {
        file_resize(file, transfer.offset + left);
        sim_disk_resized(file);
    }
    at = transfer.offset;
    for (unsigned i = 0; i < transfer.iov_count && left > 0; i++) {
        size_t part = transfer.iov[i].iov_len < left ? transfer.iov[i].iov_len : left;

        memcpy(file->bytes + at, transfer.iov[i].iov_base, part);
        at += part;
        left -= part;
    }
    sim_disk_wrote(file, transfer.offset, at - transfer.offset);
    transfer_end(&transfer, at - transfer.offset);
    return (int32_t)(at - transfer.offset);
}

int32_t sim_file_sync(struct sim_request *request)
{
    sim_disk_operation();
    if (request->object->kind == SIM_KIND_DIRECTORY) {
        return sim_disk_sync_names();
    }
    return sim_disk_sync(RTI_CONTAINER_OF(request->object, struct sim_open_file, object)->file);
}

int32_t sim_file_truncate(struct sim_request *request)
{
    const struct sim_open_file *open_file = RTI_CONTAINER_OF(request->object, struct sim_open_file,
                                                             object);

    if ((open_file->flags & O_ACCMODE) == O_RDONLY) {
        return -EINVAL;
    }
    if (request->sqe.off > FILE_BYTES_MAX) {
        return -EFBIG;
    }
    sim_disk_operation();
    file_resize(open_file->file, request->sqe.off);
    open_file->file->reserved = 0;
    sim_disk_resized(open_file->file);
    return 0;
}

/* Space of the device is no part of what a power cut leaves. */
int32_t sim_file_reserve(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    const struct sim_open_file *open_file = RTI_CONTAINER_OF(request->object, struct sim_open_file,
                                                             object);
    struct sim_file *file = open_file->file;

    if (sqe->len != FALLOC_FL_KEEP_SIZE) {
        fprintf(stderr, "sim: FALLOCATE with mode %#x is not simulated\n", sqe->len);
        return -EOPNOTSUPP;
    }
    if ((open_file->flags & O_ACCMODE) == O_RDONLY) {
        return -EBADF;
    }
    if (sqe->off > INT64_MAX || sqe->addr == 0 || sqe->addr > INT64_MAX) {
        return -EINVAL;
    }
    if (sqe->off > FILE_BYTES_MAX || sqe->addr > FILE_BYTES_MAX - sqe->off) {
        return -EFBIG;
    }
    if (sqe->off + sqe->addr > file->reserved) {
        file->reserved = sqe->off + sqe->addr;
    }
    return 0;
}

/* ftruncate(2), of a file that is open here. */
int __wrap_rti_sys_truncate(int fd, off_t bytes);
int __real_rti_sys_truncate(int fd, off_t bytes);

int __wrap_rti_sys_truncate(int fd, off_t bytes)
{
    struct sim_request request = { 0 };

    if (!sim.is_active || fd < SIM_FD_FIRST) {
        return __real_rti_sys_truncate(fd, bytes);
    }
    request.object = sim_fd_object(fd);
    if (request.object == NULL) {
        return -EBADF;
    }
    if (request.object->kind != SIM_KIND_FILE) {
        return -EINVAL;
    }
    request.sqe.off = (uint64_t)bytes;
    return sim_file_truncate(&request);
}

/* ---- stat ---- */

int32_t sim_file_stat(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    struct statx *out = (struct statx *)(uintptr_t)sqe->addr2;
    const struct sim_file *file = NULL;
    const struct sim_object *object = NULL;

    if (request->path[0] != '\0') {
        file = file_find(request->path);
    } else if ((sqe->statx_flags & AT_EMPTY_PATH) != 0) {
        object = sim_fd_object(sqe->fd);
        if (object == NULL) {
            return -EBADF;
        }
        if (object->kind == SIM_KIND_FILE) {
            file = RTI_CONTAINER_OF(object, const struct sim_open_file, object)->file;
        }
    }
    if (file == NULL && object == NULL) {
        return -ENOENT;
    }
    memset(out, 0, sizeof(*out));
    out->stx_mask = STATX_BASIC_STATS;
    out->stx_blksize = BLOCK_BYTES;
    out->stx_nlink = 1;
    out->stx_mode = file != NULL                         ? (uint16_t)(S_IFREG | file->mode)
                    : object->kind == SIM_KIND_DIRECTORY ? S_IFDIR | 0755
                                                         : S_IFSOCK | 0777;
    if (file != NULL) {
        const uint64_t space = file->reserved > file->size ? file->reserved : file->size;

        out->stx_ino = file->inode;
        out->stx_size = file->size;
        out->stx_blocks = (space + BLOCK_BYTES - 1) / BLOCK_BYTES * (BLOCK_BYTES / 512);
#ifdef STATX_DIOALIGN
        if ((sqe->len & STATX_DIOALIGN) != 0 && !sim.config.no_o_direct &&
            !sim.config.no_alignment) {
            out->stx_mask |= STATX_DIOALIGN;
            out->stx_dio_mem_align = SIM_DIRECT_ALIGN;
            out->stx_dio_offset_align = SIM_DIRECT_ALIGN;
        }
#endif
    }
    return 0;
}
