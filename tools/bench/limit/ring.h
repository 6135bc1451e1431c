/* SPDX-License-Identifier: MIT */
/* The ring of the limits, from the inside. */
#ifndef LIMIT_RING_H
#define LIMIT_RING_H

#include <liburing.h>

struct limit_ring {
    struct io_uring ring;
};

/* The kernel's threads for I/O run where the caller does, which is where the runtime has them. 0, or
 * -errno. */
int limit_ring_keep_workers(struct limit_ring *ring);

#endif /* LIMIT_RING_H */
