/* SPDX-License-Identifier: MIT */
/* Rows uring_nop and uring_nop1, and the ring of all limits. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit.h"
#include "ring.h"

/* The largest batch. */
#define ENTRIES 256

/* Of either kind; the runtime's default. */
#define WORKERS 8

struct limit_ring *limit_ring_create(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
    };
    struct limit_ring *ring = calloc(1, sizeof(*ring));
    int r;

    if (ring == NULL) {
        return NULL;
    }
    r = io_uring_queue_init_params(ENTRIES, &ring->ring, &params);
    if (r < 0) {
        fprintf(stderr, "limit: io_uring_setup: %s (Linux 6.1 or later is needed)\n", strerror(-r));
        free(ring);
        return NULL;
    }
    (void)io_uring_register_ring_fd(&ring->ring); /* only spares the descriptor's look-up */
    return ring;
}

int limit_ring_keep_workers(struct limit_ring *ring)
{
    unsigned most[2] = { WORKERS, WORKERS };
    cpu_set_t own;
    int r;

    if (sched_getaffinity(0, sizeof(own), &own) < 0) {
        return -errno;
    }
    r = io_uring_register_iowq_aff(&ring->ring, sizeof(own), &own);
    return r < 0 ? r : io_uring_register_iowq_max_workers(&ring->ring, most);
}

void limit_ring_destroy(struct limit_ring *ring)
{
    io_uring_queue_exit(&ring->ring);
    free(ring);
}

uint32_t limit_ring_nops(struct limit_ring *ring, uint32_t batch)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;
    uint32_t good = 0;

    for (uint32_t i = 0; i < batch; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

        if (sqe == NULL) {
            return 0;
        }
        io_uring_prep_nop(sqe);
        sqe->user_data = i;
    }
    if (io_uring_submit_and_wait(&ring->ring, batch) != (int)batch) {
        return 0;
    }
    io_uring_for_each_cqe(&ring->ring, head, cqe)
    {
        good += cqe->res == 0 ? 1 : 0;
        seen++;
    }
    io_uring_cq_advance(&ring->ring, seen);
    return good;
}
