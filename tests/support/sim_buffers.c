/* SPDX-License-Identifier: MIT */
/*
 * Sim, registered buffers: the table of a ring, and what READ_FIXED and WRITE_FIXED may touch.
 *
 * As in Linux: a table is made once, with empty places; a place is filled or emptied by an
 * update; an operation may use what lies within the place that it names, else -EFAULT. What
 * is registered counts as locked memory until its place is emptied or the table goes.
 */
#include "sim_internal.h"

#include <errno.h>

#define PLACES_MAX  (1U << 14)
#define PLACE_BYTES (1U << 30)

static int make_table(struct sim_ring *ring, const struct io_uring_rsrc_register *places,
                      unsigned bytes)
{
    if (sim.config.no_fixed_buffers || places == NULL || bytes != sizeof(*places)) {
        return -EINVAL;
    }
    if (places->resv2 != 0 || places->nr == 0 ||
        (places->flags & ~IORING_RSRC_REGISTER_SPARSE) != 0) {
        return -EINVAL;
    }
    if (places->flags == 0 || places->data != 0 || places->tags != 0) {
        fprintf(stderr, "sim: a table that is not empty at first is not simulated\n");
        return -EINVAL;
    }
    if (ring->buffers != NULL) {
        return -EBUSY;
    }
    if (places->nr > PLACES_MAX) {
        return -EINVAL;
    }
    ring->buffers = sim_alloc(places->nr * sizeof(struct iovec));
    ring->buffer_count = places->nr;
    return 0;
}

static int fill_place(struct iovec *place, const struct iovec *from)
{
    uint64_t locked = sim.locked_bytes - place->iov_len;

    if (from->iov_base == NULL && from->iov_len == 0) {
        sim.locked_bytes = locked;
        *place = *from;
        return 0;
    }
    if (from->iov_base == NULL || from->iov_len == 0 || from->iov_len > PLACE_BYTES) {
        return -EFAULT;
    }
    locked += from->iov_len;
    if (sim.config.locked_bytes_max > 0 && locked > sim.config.locked_bytes_max) {
        return -ENOMEM;
    }
    sim.locked_bytes = locked;
    *place = *from;
    return 0;
}

/* How many places were filled, or why not even the first. */
static int update_table(struct sim_ring *ring, const struct io_uring_rsrc_update2 *update,
                        unsigned bytes)
{
    const struct iovec *from;

    if (update == NULL || bytes != sizeof(*update) || update->resv != 0 || update->resv2 != 0 ||
        update->nr == 0) {
        return -EINVAL;
    }
    if (ring->buffers == NULL) {
        return -ENXIO;
    }
    if (update->offset > ring->buffer_count || update->nr > ring->buffer_count - update->offset) {
        return -EINVAL;
    }
    if (update->tags != 0) {
        fprintf(stderr, "sim: tags of buffers are not simulated\n");
        return -EINVAL;
    }
    from = (const void *)(uintptr_t)update->data;
    for (unsigned i = 0; i < update->nr; i++) {
        const int r = fill_place(&ring->buffers[update->offset + i], &from[i]);

        if (r < 0) {
            return i > 0 ? (int)i : r;
        }
    }
    return (int)update->nr;
}

void sim_buffers_forget(struct sim_ring *ring)
{
    for (unsigned i = 0; i < ring->buffer_count; i++) {
        sim.locked_bytes -= ring->buffers[i].iov_len;
    }
    free(ring->buffers);
    ring->buffers = NULL;
    ring->buffer_count = 0;
}

int sim_buffers_register(struct sim_ring *ring, unsigned opcode, const void *arg, unsigned count)
{
    switch (opcode) {
    case IORING_REGISTER_BUFFERS2:
        return make_table(ring, arg, count);
    case IORING_REGISTER_BUFFERS_UPDATE:
        return update_table(ring, arg, count);
    case IORING_UNREGISTER_BUFFERS:
    default:
        if (arg != NULL || count != 0) {
            return -EINVAL;
        }
        if (ring->buffers == NULL) {
            return -ENXIO;
        }
        sim_buffers_forget(ring);
        return 0;
    }
}

int sim_buffers_check(const struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    const struct sim_ring *ring = request->ring;
    const struct iovec *place;
    uint64_t first;

    if (sqe->opcode != IORING_OP_READ_FIXED && sqe->opcode != IORING_OP_WRITE_FIXED) {
        return 0;
    }
    if (sqe->buf_index >= ring->buffer_count) {
        return -EFAULT;
    }
    place = &ring->buffers[sqe->buf_index];
    first = (uintptr_t)place->iov_base;
    if (sqe->addr < first || sqe->addr - first > place->iov_len ||
        sqe->len > place->iov_len - (sqe->addr - first)) {
        return -EFAULT;
    }
    return 0;
}

uint64_t sim_locked_bytes(void)
{
    return sim.locked_bytes;
}
