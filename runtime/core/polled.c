/* SPDX-License-Identifier: MIT */
/* Polled: see polled.h for the invariants. */
#include "core/polled.h"

#include <errno.h>

#include "base/assert.h"
#include "core/op.h"
#include "os/features.h"
#include "os/sys.h"

int rti_polled_open(struct rti_reactor *reactor)
{
    const struct rti_uring_config config = {
        .sq_entries = RTI_POLLED_ENTRIES,
        .cq_entries = 2 * RTI_POLLED_ENTRIES, /* P3 */
        .disabled = reactor->disabled,
    };
    struct rti_polled *polled;
    int r;

    if (reactor->polled != NULL) {
        return 0;
    }
    if ((reactor->disabled & RTI_FEATURE_IOPOLL) != 0) {
        return -EOPNOTSUPP;
    }
    polled = rti_sys_alloc(sizeof(*polled));
    if (polled == NULL) {
        return -ENOMEM;
    }
    r = rti_uring_open_polled(&polled->ring, &config);
    if (r < 0) {
        rti_sys_free(polled);
        return r;
    }
    rti_list_init(&polled->room_waiters);
    reactor->polled = polled;
    return 0;
}

void rti_polled_close(struct rti_reactor *reactor)
{
    struct rti_polled *polled = reactor->polled;

    if (polled != NULL) {
        RTI_ASSERT(polled->in_flight == 0);
        reactor->polled = NULL;
        rti_uring_close(&polled->ring);
        rti_sys_free(polled);
    }
}

static bool has_room(const struct rti_polled *polled)
{
    return polled->in_flight < polled->ring.sq_entries; /* P3 */
}

struct io_uring_sqe *rti_polled_sqe(struct rti_polled *polled)
{
    if (!has_room(polled) || !rti_list_is_empty(&polled->room_waiters)) {
        return NULL;
    }
    return rti_uring_sqe(&polled->ring);
}

struct io_uring_sqe *rti_polled_granted_sqe(struct rti_polled *polled)
{
    struct io_uring_sqe *sqe = rti_uring_sqe(&polled->ring);

    RTI_ASSERT(sqe != NULL);
    return sqe;
}

void rti_polled_enter(struct rti_polled *polled)
{
    (void)rti_uring_enter(&polled->ring, 0, -1);
}

static void complete(struct rti_reactor *reactor, const struct io_uring_cqe *cqe)
{
    struct rti_op *op = rti_op_of_user_data(cqe->user_data);

    if (RTI_UNLIKELY(op == NULL)) {
        reactor->stale++;
        return;
    }
    reactor->in_flight--;
    reactor->polled->in_flight--;
    reactor->polled->transfers += cqe->res != -EOPNOTSUPP && cqe->res != -EAGAIN;
    rti_op_complete(op, cqe->res, cqe->flags);
}

void rti_polled_reap(struct rti_reactor *reactor)
{
    struct rti_polled *polled = reactor->polled;
    const uint32_t ready = rti_uring_ready(&polled->ring);
    struct rti_list *node;

    for (uint32_t i = 0; i < ready; i++) {
        complete(reactor, rti_uring_cqe(&polled->ring, i));
    }
    if (ready > 0) {
        rti_uring_advance(&polled->ring, ready);
        polled->completions += ready;
    }
    while (has_room(polled) && (node = rti_list_first(&polled->room_waiters)) != NULL) {
        rti_op_room_came(node);
    }
}
