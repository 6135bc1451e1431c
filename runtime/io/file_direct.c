/* SPDX-License-Identifier: MIT */
/*
 * Files, direct: any offset, length and memory on a file past the page cache.
 *
 *   offset          offset + bytes
 *     |                 |
 *  +--v-----+--------+--v-----+
 *  |..######|########|##......|    the window: whole blocks around a piece of the transfer
 *  +--------+--------+--------+
 *
 * What is aligned goes straight, from and to the caller's memory. Anything else
 * goes through a buffer, a window at a time. For a write the dots are read
 * before, and the window is written as a whole.
 *
 * D1 Between reading the dots and writing them back nobody else transfers (F1).
 * D2 A window that ends beyond the file's end makes the file longer than it
 *    should be; the length is set right before the lock is given back, also
 *    when the deadline has passed or the task was cancelled.
 * D3 What a call returns was moved; an error that came after some bytes is left
 *    to the next call, which will meet it again. But when D2 failed, that is
 *    the result.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "os/sys.h"
#include "sync/line.h"

/* As a window begins; large enough that the device's bandwidth is not lost to the number of
 * requests (a request of 128 KiB is one command on most devices). */
#define WINDOW_BYTES ((size_t)128 * 1024)

/* Where nobody tells: no logical block of a device in use is larger, and every smaller one divides
 * it. A probe by reading would learn nothing, for holes are read at any alignment. */
#define FALLBACK_ALIGN 4096u

/* A transfer on its way through a buffer. */
struct bounce {
    struct rt_file *file;
    const struct rti_transfer *transfer;
    size_t bytes; /* of the transfer */
    size_t done;  /* that were moved */
    size_t unit;  /* of the window's offset, length and memory */
    void *memory; /* the buffer is somewhere in it */
    char *buf;    /* aligned to `unit` */
    size_t room;  /* of the buffer */
    uint64_t end; /* writes: where the file ends, INT64_MAX for a device */
    rt_time deadline;
};

/* A piece of it. */
struct window {
    uint64_t start;
    size_t bytes; /* whole units */
    size_t head;  /* bytes before the piece */
    size_t len;   /* of the piece */
};

/* ---- alignment ---- */

static bool is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

int rti_file_learn_alignment(struct rt_file *file, rt_time deadline)
{
    struct statx answer;
    int r = rti_file_statx(file, STATX_DIOALIGN, &answer, deadline);

    if (r == 0) {
        r = rti_device_get(file->handle.executor,
                           (uint64_t)answer.stx_dev_major << 32 | answer.stx_dev_minor,
                           &file->device);
    }
    if (r < 0) {
        return r;
    }
    file->memory_align = FALLBACK_ALIGN;
    file->offset_align = FALLBACK_ALIGN;
    if ((answer.stx_mask & STATX_DIOALIGN) == 0) {
        return 0;
    }
    if (answer.stx_dio_mem_align == 0 || answer.stx_dio_offset_align == 0) {
        file->memory_align = 0; /* the kernel would go through the page cache all the same */
        return -EINVAL;
    }
    if (is_power_of_two(answer.stx_dio_mem_align) && is_power_of_two(answer.stx_dio_offset_align)) {
        file->memory_align = answer.stx_dio_mem_align;
        file->offset_align = answer.stx_dio_offset_align;
    }
    return 0;
}

bool rti_file_is_aligned(const struct rt_file *file, const struct rti_transfer *transfer)
{
    uint64_t offsets = transfer->offset;
    uintptr_t addresses = 0;

    for (unsigned i = 0; i < transfer->count; i++) {
        offsets |= transfer->iov[i].iov_len;
        addresses |= (uintptr_t)transfer->iov[i].iov_base;
    }
    return (offsets & (file->offset_align - 1)) == 0 && (addresses & (file->memory_align - 1)) == 0;
}

/* ---- the buffer ---- */

static uint64_t round_down(uint64_t n, size_t unit)
{
    return n & ~((uint64_t)unit - 1);
}

static uint64_t round_up(uint64_t n, size_t unit)
{
    return round_down(n + unit - 1, unit);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int bounce_init(struct bounce *bounce)
{
    const struct rt_file *file = bounce->file;
    const uint64_t offset = bounce->transfer->offset;
    const size_t most = WINDOW_BYTES;

    bounce->unit = file->memory_align > file->offset_align ? file->memory_align
                                                           : file->offset_align;
    bounce->room = (size_t)round_up(most, bounce->unit);
    if (bounce->bytes < most) {
        bounce->room = smaller(bounce->room,
                               (size_t)(round_up(offset + bounce->bytes, bounce->unit) -
                                        round_down(offset, bounce->unit)));
    }
    bounce->memory = rti_sys_alloc(bounce->room + bounce->unit);
    if (bounce->memory == NULL) {
        return -ENOMEM;
    }
    bounce->buf = (char *)(uintptr_t)round_up((uintptr_t)bounce->memory, bounce->unit);
    return 0;
}

static struct window next_window(const struct bounce *bounce)
{
    const uint64_t at = bounce->transfer->offset + bounce->done;
    struct window window = { .start = round_down(at, bounce->unit) };

    window.head = (size_t)(at - window.start);
    window.len = smaller(bounce->bytes - bounce->done, bounce->room - window.head);
    window.bytes = (size_t)round_up(window.head + window.len, bounce->unit);
    return window;
}

/* Between the buffer at `from` and the caller's memory from `done` on. */
static void copy(const struct bounce *bounce, char *buf, size_t bytes)
{
    const struct rti_transfer *transfer = bounce->transfer;
    size_t skip = bounce->done;

    for (unsigned i = 0; i < transfer->count && bytes > 0; i++) {
        const size_t part_bytes = transfer->iov[i].iov_len;
        char *part = transfer->iov[i].iov_base;
        size_t n;

        if (skip >= part_bytes) {
            skip -= part_bytes;
            continue;
        }
        n = smaller(part_bytes - skip, bytes);
        if (transfer->writes) {
            memcpy(buf, part + skip, n);
        } else {
            memcpy(part + skip, buf, n);
        }
        buf += n;
        bytes -= n;
        skip = 0;
    }
}

/* Move whole units between the buffer and the file, going on after short counts. Returns how many
 * bytes were moved; *error is what ended it early, 0 at the end of the file. */
static size_t move(const struct bounce *bounce, char *buf, size_t bytes, uint64_t start,
                   bool writes, int *error)
{
    size_t moved = 0;

    *error = 0;
    while (moved < bytes) {
        const struct iovec part = { .iov_base = buf + moved, .iov_len = bytes - moved };
        const struct rti_transfer once = {
            .iov = &part, .count = 1, .offset = start + moved, .writes = writes
        };
        const ssize_t n = rti_file_transfer_aligned(bounce->file, &once, bounce->deadline);

        if (n <= 0) {
            *error = (int)n;
            break;
        }
        moved += (size_t)n;
        if ((size_t)n % bounce->unit != 0) {
            break; /* a read that met the end of the file */
        }
    }
    return moved;
}

/* ---- reading ---- */

static int read_windows(struct bounce *bounce)
{
    int error = 0;

    while (bounce->done < bounce->bytes) {
        const struct window window = next_window(bounce);
        const size_t have = move(bounce, bounce->buf, window.bytes, window.start, false, &error);
        const size_t got = have > window.head ? smaller(have - window.head, window.len) : 0;

        copy(bounce, bounce->buf + window.head, got);
        bounce->done += got;
        if (got < window.len) {
            break;
        }
        error = 0; /* in the dots behind it, if at all */
    }
    return error;
}

/* ---- writing ---- */

static int find_end(struct bounce *bounce)
{
    struct statx answer;
    const int r = rti_file_statx(bounce->file, STATX_TYPE | STATX_SIZE, &answer, bounce->deadline);

    if (r == 0) {
        bounce->end = S_ISREG(answer.stx_mode) ? answer.stx_size : INT64_MAX;
    }
    return r;
}

/* Read a unit of the window that is changed in part; zeroes where the file has ended. */
static int read_edge(const struct bounce *bounce, const struct window *window, size_t at)
{
    char *edge = bounce->buf + at;
    const uint64_t start = window->start + at;
    size_t have = 0;
    int error = 0;

    if (start < bounce->end) {
        if ((bounce->file->flags & O_ACCMODE) == O_WRONLY) {
            rti_log(&bounce->file->handle.executor->log, RT_LOG_ERROR,
                    "a misaligned write to a direct file reads the blocks at its edges: open it "
                    "with O_RDWR, or write whole blocks of %zu bytes",
                    bounce->unit);
            return -EBADF;
        }
        have = move(bounce, edge, bounce->unit, start, false, &error);
        if (error == 0 && have < bounce->unit && start + have < bounce->end &&
            bounce->end != INT64_MAX) {
            error = -EIO; /* not the end: zeroes would be written over what could not be read */
        }
    }
    memset(edge + have, 0, bounce->unit - have);
    return error;
}

static int read_edges(const struct bounce *bounce, const struct window *window)
{
    const size_t last = window->bytes - bounce->unit;
    int r = 0;

    if (window->head != 0) {
        r = read_edge(bounce, window, 0);
    }
    if (r == 0 && window->head + window->len != window->bytes && (last != 0 || window->head == 0)) {
        r = read_edge(bounce, window, last);
    }
    return r;
}

/* D2 */
static int cut(struct bounce *bounce, uint64_t reached)
{
    if (reached <= bounce->end) {
        return 0;
    }
    return rti_file_set_length(bounce->file, bounce->end, true, RT_NEVER);
}

/* Write a window. 0 or an error; `done` tells how far it came. */
static int write_window(struct bounce *bounce, const struct window *window)
{
    const uint64_t at = window->start + window->head;
    size_t have;
    size_t got;
    int error = read_edges(bounce, window);
    int r;

    if (error < 0) {
        return error;
    }
    copy(bounce, bounce->buf + window->head, window->len);
    have = move(bounce, bounce->buf, window->bytes, window->start, true, &error);
    got = have > window->head ? smaller(have - window->head, window->len) : 0;
    if (got > 0 && at + got > bounce->end) {
        bounce->end = at + got;
    }
    bounce->done += got;
    r = cut(bounce, window->start + have);
    if (r < 0) {
        bounce->done = 0; /* D3 */
        return r;
    }
    if (error == 0 && got < window->len) {
        error = -EIO; /* a write of nothing, which is no progress */
    }
    return got < window->len ? error : 0;
}

/* What can be known before anything is written. */
static int check_write(struct bounce *bounce)
{
    const struct rt_file *file = bounce->file;

    if ((file->flags & O_APPEND) != 0) {
        rti_log(&file->handle.executor->log, RT_LOG_ERROR,
                "a misaligned write to a direct file with O_APPEND would append its whole blocks: "
                "open it without, and write at its end");
        return -EINVAL;
    }
    return find_end(bounce);
}

static int write_windows(struct bounce *bounce)
{
    int r = check_write(bounce);

    while (r == 0 && bounce->done < bounce->bytes) {
        const struct window window = next_window(bounce);

        r = write_window(bounce, &window);
    }
    return r;
}

/* ---- both ---- */

/* A future cannot stand in the lock's line; it tries again whenever a writer is done with it, also
 * one that has only waited. */
static int lock(struct bounce *bounce)
{
    struct rt_file *file = bounce->file;
    int r;

    if (!bounce->transfer->writes) {
        return rt_rwlock_read_lock(&file->direct_lock, bounce->deadline);
    }
    r = rt_rwlock_write_lock(&file->direct_lock, bounce->deadline);
    if (r < 0) {
        rti_line_let_all_go(&file->futures, 0);
    }
    return r;
}

static void unlock(struct bounce *bounce)
{
    struct rt_file *file = bounce->file;

    if (bounce->transfer->writes) {
        rt_rwlock_write_unlock(&file->direct_lock);
        rti_line_let_all_go(&file->futures, 0);
    } else {
        rt_rwlock_read_unlock(&file->direct_lock);
    }
}

static ssize_t transfer_bounced(struct bounce *bounce)
{
    int r = bounce_init(bounce);

    if (r < 0) {
        return r;
    }
    r = lock(bounce); /* D1 */
    if (r == 0) {
        r = bounce->transfer->writes ? write_windows(bounce) : read_windows(bounce);
        unlock(bounce);
    }
    rti_sys_free(bounce->memory);
    return bounce->done > 0 ? (ssize_t)bounce->done : r; /* D3 */
}

static ssize_t transfer_straight(struct rt_file *file, const struct rti_transfer *transfer,
                                 rt_time deadline)
{
    ssize_t n = rt_rwlock_read_lock(&file->direct_lock, deadline);

    if (n == 0) {
        n = rti_file_transfer_aligned(file, transfer, deadline);
        rt_rwlock_read_unlock(&file->direct_lock);
    }
    return n;
}

ssize_t rti_file_transfer_direct(struct rt_file *file, const struct rti_transfer *transfer,
                                 rt_time deadline)
{
    struct bounce bounce = { .file = file, .transfer = transfer, .deadline = deadline };

    if (rti_file_is_aligned(file, transfer)) {
        return transfer_straight(file, transfer, deadline);
    }
    for (unsigned i = 0; i < transfer->count; i++) {
        const size_t part_bytes = transfer->iov[i].iov_len;

        if (part_bytes > INT64_MAX - transfer->offset - bounce.bytes) {
            return -EINVAL; /* as the kernel says of what ends above INT64_MAX */
        }
        bounce.bytes += part_bytes;
    }
    bounce.bytes = smaller(bounce.bytes, RTI_TRANSFER_MAX);
    return bounce.bytes == 0 ? 0 : transfer_bounced(&bounce);
}
