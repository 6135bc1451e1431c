/* SPDX-License-Identifier: MIT */
/* The ring of the limits, from the inside. */
#ifndef LIMIT_RING_H
#define LIMIT_RING_H

#include <liburing.h>

struct limit_ring {
    struct io_uring ring;
};

#endif /* LIMIT_RING_H */
