/* SPDX-License-Identifier: MIT */
/* Rows file_randread, file_randread_fixed and file_randread_buffered. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "ring.h"

/* One pass over the reads of `limit_ring_reads()`. */
struct pass {
    struct io_uring *ring;
    const struct limit_reads *reads;
    uint64_t next;      /* number of the read to begin */
    uint32_t in_flight; /* reads that the kernel has */
    int64_t begun_at[LIMIT_READS_MAX];
};

/* Buffer `slot` is free: begin the next read into it, if there is one. */
static void begin_read(struct pass *pass, uint32_t slot)
{
    const struct limit_reads *reads = pass->reads;
    char *buffer = reads->buffers + (size_t)slot * reads->bytes;
    struct io_uring_sqe *sqe;

    if (pass->next == reads->count) {
        return;
    }
    sqe = io_uring_get_sqe(pass->ring); /* there is one: the queue has more than LIMIT_READS_MAX */
    if (reads->fixed) {
        io_uring_prep_read_fixed(sqe, reads->fd, buffer, reads->bytes, reads->offsets[pass->next++],
                                 0);
    } else {
        io_uring_prep_read(sqe, reads->fd, buffer, reads->bytes, reads->offsets[pass->next++]);
    }
    sqe->user_data = slot;
    pass->in_flight++;
    if (reads->done != NULL) {
        pass->begun_at[slot] = limit_now();
    }
}

/* 0, or what the read failed with; -EIO for a short one. */
static int end_read(struct pass *pass, const struct io_uring_cqe *cqe)
{
    const struct limit_reads *reads = pass->reads;
    const uint32_t slot = (uint32_t)cqe->user_data;

    pass->in_flight--;
    if (cqe->res != (int)reads->bytes) {
        return cqe->res < 0 ? cqe->res : -EIO;
    }
    if (reads->done != NULL) {
        reads->done(reads->arg, limit_now() - pass->begun_at[slot]);
    }
    return 0;
}

/* Take what has completed; each makes room for the next. After a failure nothing is begun. */
static int reap(struct pass *pass, int result)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;

    io_uring_for_each_cqe(pass->ring, head, cqe)
    {
        const int r = end_read(pass, cqe);

        if (result == 0 && r == 0) {
            begin_read(pass, (uint32_t)cqe->user_data);
        }
        result = result < 0 ? result : r;
        seen++;
    }
    io_uring_cq_advance(pass->ring, seen);
    return result;
}

int limit_ring_register(struct limit_ring *ring, void *memory, size_t bytes)
{
    const struct iovec range = { .iov_base = memory, .iov_len = bytes };

    return io_uring_register_buffers(&ring->ring, &range, 1);
}

int limit_ring_reads(struct limit_ring *ring, const struct limit_reads *reads)
{
    struct pass pass = { .ring = &ring->ring, .reads = reads };
    int result = 0;

    for (uint32_t slot = 0; slot < reads->in_flight; slot++) {
        begin_read(&pass, slot);
    }
    while (pass.in_flight > 0) { /* the buffers are the kernel's until then, failure or not */
        int r = io_uring_submit_and_wait(pass.ring, 1);

        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
            fprintf(stderr, "limit: io_uring_enter: %s\n", strerror(-r));
            abort(); /* nobody can take the buffers back from the kernel */
        }
        result = reap(&pass, result);
    }
    return result;
}
