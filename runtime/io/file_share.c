/* SPDX-License-Identifier: MIT */
/* Files: a handle for another shard, locks, and hints. Quick calls, past the ring. */
#include <fcntl.h>

#include "io/file.h"
#include "os/sys.h"

int rt_file_share(struct rt_file *file, struct rt_file_share *out)
{
    int fd;

    rti_file_must_be_open(file, "rt_file_share");
    RTI_ASSERT(out != NULL);
    fd = rti_sys_duplicate(file->handle.fd);
    if (fd < 0) {
        return fd;
    }
    *out = (struct rt_file_share){ .device = rti_device_number(file->device),
                                   .fd = fd,
                                   .flags = file->flags,
                                   .memory_align = file->memory_align,
                                   .offset_align = file->offset_align,
                                   .polls = file->polls };
    return 0;
}

int rt_file_adopt(struct rt_file **out, struct rt_file_share *share)
{
    struct rti_executor *executor = rti_executor_here("rt_file_adopt");
    struct rt_file *file;

    RTI_ASSERT(out != NULL && share != NULL);
    if (share->fd < 0) {
        rti_misuse("rt_file_adopt(): the share was adopted or dropped before");
    }
    file = rti_handle_get(executor, sizeof(*file));
    if (file == NULL) {
        return -ENOMEM;
    }
    if (share->memory_align != 0 && rti_device_get(executor, share->device, &file->device) < 0) {
        rti_handle_put(file);
        return -ENOMEM;
    }
    file->handle.fd = share->fd;
    file->flags = share->flags;
    file->memory_align = share->memory_align;
    file->offset_align = share->offset_align;
    if (share->polls != 0) {
        rti_file_want_polls(file);
    }
    share->fd = -1;
    *out = file;
    return 0;
}

void rt_file_share_drop(struct rt_file_share *share)
{
    RTI_ASSERT(share != NULL);
    if (share->fd >= 0) {
        (void)rti_sys_close(share->fd);
        share->fd = -1;
    }
}

int rt_file_set_life(struct rt_file *file, enum rt_file_life life)
{
    rti_file_must_be_open(file, "rt_file_set_life");
    return rti_sys_set_life_hint(file->handle.fd, (uint64_t)life); /* numbered as the kernel does */
}

_Static_assert(RT_FILE_LIFE_NOT_SET == RWH_WRITE_LIFE_NOT_SET &&
                   RT_FILE_LIFE_SHORT == RWH_WRITE_LIFE_SHORT &&
                   RT_FILE_LIFE_EXTREME == RWH_WRITE_LIFE_EXTREME,
               "kernel ABI");

static int lock_range(struct rt_file *file, short type, uint64_t offset, uint64_t bytes)
{
    if (offset > INT64_MAX || bytes > INT64_MAX - offset) {
        return -EINVAL;
    }
    return rti_sys_lock_range(file->handle.fd, type, (off_t)offset, (off_t)bytes);
}

int rt_file_try_lock(struct rt_file *file, enum rt_file_lock lock, uint64_t offset, uint64_t bytes)
{
    int r;

    rti_file_must_be_open(file, "rt_file_try_lock");
    r = lock_range(file, lock == RT_FILE_LOCK_SHARED ? F_RDLCK : F_WRLCK, offset, bytes);
    return r == -EACCES ? -EAGAIN : r; /* some file systems say it so */
}

int rt_file_unlock(struct rt_file *file, uint64_t offset, uint64_t bytes)
{
    rti_file_must_be_open(file, "rt_file_unlock");
    return lock_range(file, F_UNLCK, offset, bytes);
}
