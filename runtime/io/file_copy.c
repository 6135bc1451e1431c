/* SPDX-License-Identifier: MIT */
/* Files: copying a range. Through memory, for the ring has no copy of its own. */
#include "io/file.h"
#include "os/sys.h"

#define PIECE_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES  ((size_t)4096) /* so that aligned pieces of direct files go straight */

static bool overlap(uint64_t a, uint64_t b, uint64_t bytes)
{
    return a < b ? b - a < bytes : a - b < bytes;
}

/* Copy a piece. How many bytes, 0 at the end of `from`; an error when there were none. */
static ssize_t copy_piece(struct rt_file *from, uint64_t from_offset, struct rt_file *to,
                          uint64_t to_offset, char *buf, size_t bytes, rt_time deadline)
{
    size_t written;
    ssize_t n = rt_file_read_all(from, buf, bytes, from_offset, NULL, deadline);

    if (n <= 0) {
        return n;
    }
    n = rt_file_write_all(to, buf, (size_t)n, to_offset, &written, deadline);
    return written > 0 ? (ssize_t)written : n;
}

int64_t rt_file_copy_range(struct rt_file *from, uint64_t from_offset, struct rt_file *to,
                           uint64_t to_offset, uint64_t bytes, rt_time deadline)
{
    uint64_t done = 0;
    int64_t n = 0;
    char *memory;
    char *buf;

    rti_file_enter(from, "rt_file_copy_range");
    rti_file_enter(to, "rt_file_copy_range");
    if (from_offset > INT64_MAX || bytes > INT64_MAX - from_offset || to_offset > INT64_MAX ||
        bytes > INT64_MAX - to_offset || (from == to && overlap(from_offset, to_offset, bytes))) {
        n = -EINVAL;
        goto leave;
    }
    memory = rti_sys_alloc(PIECE_BYTES + PAGE_BYTES);
    if (memory == NULL) {
        n = -ENOMEM;
        goto leave;
    }
    buf = memory + (PAGE_BYTES - (uintptr_t)memory % PAGE_BYTES) % PAGE_BYTES;
    while (done < bytes) {
        const uint64_t left = bytes - done;

        n = copy_piece(from, from_offset + done, to, to_offset + done, buf,
                       left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, deadline);
        if (n <= 0) {
            break;
        }
        done += (uint64_t)n;
    }
    rti_sys_free(memory);
leave:
    rti_file_leave(to);
    rti_file_leave(from);
    return done > 0 ? (int64_t)done : n;
}
