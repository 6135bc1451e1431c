/* SPDX-License-Identifier: MIT */
/*
 * File, inside: what the sources of files share.
 *
 * A transfer on a buffered file is one operation. On a direct file it is one
 * when memory, offset and lengths are aligned; any other goes through an
 * aligned buffer of ours (io/file_direct.c), which for a write means: read the
 * blocks at its edges, change them, write them back.
 *
 * F1 While blocks are read, changed and written back nobody else transfers:
 *    a misaligned write holds `direct_lock` to write, all other transfers hold
 *    it to read. So it can undo no other write, and nobody reads past the end
 *    while the file is longer than it will be.
 * F3 A transfer that a device does takes its turn there (io/device.h); what goes through the page
 *    cache does not: when the kernel writes that, or whether it reads it, nobody knows here.
 * F2 `users` counts a call from its check to its end, also while it waits for
 *    the lock, so that nobody closes the file under it.
 */
#ifndef RTI_IO_FILE_H
#define RTI_IO_FILE_H

#include <sys/uio.h>

#include "io/device.h"
#include "io/handle.h"
#include "rt/file.h"
#include "rt/rwlock.h"

struct rt_file {
    struct rti_handle handle;
    struct rt_rwlock direct_lock; /* F1; not used when the file is buffered */
    struct rt_waiters futures;    /* that wait for a misaligned write, to try again after it */
    uint32_t memory_align;        /* of direct transfers, a power of two; 0: the file is buffered */
    uint32_t offset_align;        /* of their offsets and lengths, likewise */
    struct rti_device *device;    /* that direct transfers wait for; NULL: the file is buffered */
    int flags;                    /* of open(2) */
    uint16_t place;               /* among the ring's registered files, + 1; 0: it is in none */
    uint8_t transfers;            /* up to RTI_FILE_TRANSFERS_BEFORE_PLACE, then it gets a place */
    bool polls;                   /* direct transfers go to the polled ring (core/polled.h) */
};

/* What a place saves per transfer (12 ns of 180, reads of 512 bytes from the page cache) must pay
 * for two system calls; a file that is read once or twice is not worth them. */
#define RTI_FILE_TRANSFERS_BEFORE_PLACE 8

/* What one operation moves at most, so that its length fits the entry; a short count says so. */
#define RTI_TRANSFER_MAX (1u << 30)

/* What one transfer gives a device at a time while others use that too: so nobody waits for more.
 * Disks reach half of their bandwidth or more with it. */
#define RTI_FILE_SHARED_BYTES (64u << 10)

/* A transfer; the kinds of wait that tell a read from a write are in io/file_transfer.c. */
struct rti_transfer {
    const struct iovec *iov;
    struct rt_buffer *buffer; /* that its one part lies in; NULL: other memory */
    uint64_t offset;
    unsigned count; /* of parts */
    bool writes;
};

static inline bool rti_file_is_direct(const struct rt_file *file)
{
    return file->memory_align != 0;
}

/* `file` is this shard's, and nobody closes it: its descriptor may be another file's by then. */
static inline void rti_file_must_be_open(const struct rt_file *file, const char *call)
{
    (void)rti_handle_must_own(file, call);
    if (RTI_UNLIKELY(file->handle.closing)) {
        rti_misuse("%s(): another task is closing the file", call);
    }
}

/* A call begins: nobody closes the file until rti_file_leave() (F2). */
static inline void rti_file_enter(struct rt_file *file, const char *call)
{
    rti_file_must_be_open(file, call);
    file->handle.users++;
}

static inline void rti_file_leave(struct rt_file *file)
{
    file->handle.users--;
}

/* rt_file_open(), of a path that begins at a descriptor. */
int rti_file_open_in(struct rt_file **out, int directory, const char *path, int flags, mode_t mode,
                     rt_time deadline);

/* F1, for calls that are no transfers; nothing is locked where the file is buffered. */
int rti_file_share_lock(struct rt_file *file, rt_time deadline);
void rti_file_share_unlock(struct rt_file *file);

/* A whole call. */
ssize_t rti_file_transfer(struct rt_file *file, const struct rti_transfer *transfer,
                          const char *call, rt_time deadline);

/* The same of a future, for a call rt_poll_*(). */
int rti_file_poll_transfer(struct rt_future *future, struct rt_file *file, const char *call,
                           const struct rti_transfer *transfer, rt_time deadline);

/* One on a direct file that is aligned as that wants it (F3); a short count is possible. */
ssize_t rti_file_transfer_aligned(struct rt_file *file, const struct rti_transfer *transfer,
                                  rt_time deadline);

/* Any transfer on a direct file. */
ssize_t rti_file_transfer_direct(struct rt_file *file, const struct rti_transfer *transfer,
                                 rt_time deadline);
bool rti_file_is_aligned(const struct rt_file *file, const struct rti_transfer *transfer);

/* Learn the alignment of a file that was opened with O_DIRECT. 0; -EINVAL: there is no direct I/O
 * on it; -ETIME; -ECANCELED; or an error of statx(2). */
int rti_file_learn_alignment(struct rt_file *file, rt_time deadline);

/* The file was to be polled for: see to it that there is a ring for that, or say in the log why
 * there is none. Never fails: the file works without. */
void rti_file_want_polls(struct rt_file *file);

/* A transfer has shown that the file's device, or its file system, cannot be polled. */
void rti_file_polls_refused(struct rt_file *file);

/* statx(2) of the descriptor. */
struct statx;
int rti_file_statx(struct rt_file *file, unsigned mask, struct statx *answer, rt_time deadline);

/* Set the length. Exempt: neither deadline nor cancel ends it. */
int rti_file_set_length(struct rt_file *file, uint64_t bytes, bool exempt, rt_time deadline);

#endif /* RTI_IO_FILE_H */
