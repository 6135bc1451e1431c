/* SPDX-License-Identifier: MIT */
/*
 * Sim, ASYNC_CANCEL: what a cancel finds and what it answers.
 *
 * As in Linux: the oldest request that matches and can be found. Waiting for a
 * socket or in a worker's queue: it ends with -ECANCELED, the answer is 0. In
 * the hands of a worker: -EALREADY. With the device, or done: not found. With
 * ALL or ANY the answer is how many were found.
 */
#include "sim_internal.h"

#include <errno.h>
#include <inttypes.h>

#define CANCEL_KNOWN \
    (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY | \
     SIM_CANCEL_USERDATA | SIM_CANCEL_OP)

static bool matches(const struct sim_request *cancel, const struct sim_request *request,
                    const struct sim_object *object)
{
    const uint32_t flags = cancel->sqe.cancel_flags;
    bool by_user_data = (flags & SIM_CANCEL_USERDATA) != 0;

    if (request == cancel) {
        return false;
    }
    if ((flags & IORING_ASYNC_CANCEL_ANY) != 0) {
        return true;
    }
    if ((flags & (IORING_ASYNC_CANCEL_FD | SIM_CANCEL_OP)) == 0) {
        by_user_data = true;
    }
    if ((flags & IORING_ASYNC_CANCEL_FD) != 0 && request->object != object) {
        return false;
    }
    if ((flags & SIM_CANCEL_OP) != 0 && request->sqe.opcode != cancel->sqe.len) {
        return false;
    }
    return !by_user_data || request->sqe.user_data == cancel->sqe.addr;
}

static int answer_for(const struct sim_request *request)
{
    static const int held_answers[] = {
        [SIM_QUEUED] = 0, [SIM_RUNNING] = -EALREADY, [SIM_DONE] = -ENOENT
    };

    switch (request->phase) {
    case SIM_PHASE_HELD:
        return held_answers[request->held_at];
    case SIM_PHASE_OWED:
        /* a socket request moves its bytes only when its CQE is generated: still to be stopped */
        return sim_request_waits_for_object(request) && !request->is_forced ? 0 : -ENOENT;
    case SIM_PHASE_WORK:
    case SIM_PHASE_WAIT:
    default:
        return request->is_forced ? -ENOENT : request->cancel_answer;
    }
}

static int cancel_one(struct sim_request *request)
{
    int answer = answer_for(request);

    if (answer != 0) {
        return answer;
    }
    /* One that waits for its object is lost on purpose only: missed, it might wait for ever. */
    if (sim_fault_cancel(request->phase != SIM_PHASE_WAIT && !sim_request_is_multishot(request),
                         &answer)) {
        sim.stats.cancels_lost++;
        return answer;
    }
    sim_trace("ring%u #%" PRIu64 " cancelled", request->ring->number, request->id);
    request->is_forced = true;
    request->forced_result = request->done > 0 ? (int32_t)request->done : -ECANCELED;
    if (request->phase != SIM_PHASE_OWED) {
        sim_request_owe(request);
    }
    return 0;
}

int32_t sim_cancel_run(struct sim_request *cancel)
{
    const uint32_t flags = cancel->sqe.cancel_flags;
    const bool all = (flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)) != 0;
    const struct sim_object *object = NULL;
    struct rti_list *node;
    int32_t count = 0;

    if ((flags & ~CANCEL_KNOWN) != 0 ||
        ((flags & IORING_ASYNC_CANCEL_FD) != 0 && (flags & IORING_ASYNC_CANCEL_ANY) != 0)) {
        return -EINVAL;
    }
    if ((flags & IORING_ASYNC_CANCEL_FD) != 0) {
        object = sim_fd_object(cancel->sqe.fd);
        if (object == NULL) {
            return -EBADF;
        }
    }
    for (node = cancel->ring->requests.next; node != &cancel->ring->requests; node = node->next) {
        struct sim_request *request = RTI_CONTAINER_OF(node, struct sim_request, in_ring);
        int r;

        if (!matches(cancel, request, object)) {
            continue;
        }
        r = cancel_one(request);
        if (r == -ENOENT) {
            continue;
        }
        if (!all) {
            return r;
        }
        count++;
    }
    return all ? count : -ENOENT;
}
