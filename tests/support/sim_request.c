/* SPDX-License-Identifier: MIT */
/*
 * Sim, requests: from the SQE to the CQE.
 *
 *   submit --+--> end                          bad, or done inside the submission
 *            +--> HELD --resume--> WAIT / OWED
 *            +--> WORK --due-----> OWED        files, and sockets that became ready
 *            +--> WAIT --changed-> WORK        sockets and counters that are not ready
 *   OWED --run--> end, or WAIT when somebody else took what it waited for
 *
 * A multishot poll goes back to WAIT after each CQE. All the while it stands
 * among the waiters of its object, so that no wake is missed: wakes that come
 * before the CQE of the first is generated make one CQE together, as in Linux.
 *
 * An attempt (sim_run.c) is the only place that touches objects and the user's
 * memory. It runs in the submission when nothing delays the request, else when
 * its CQE is generated.
 */
#include "sim_internal.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>

/* What the buffer of a READ or RECV holds until it is read into. */
#define POISON 0xa5

struct sim_request *sim_request_new(struct sim_ring *ring)
{
    struct sim_request *request = sim_alloc(sizeof(*request));

    request->ring = ring;
    request->id = sim.request_ids++;
    request->event.index = SIM_NOT_QUEUED;
    request->limit = UINT32_MAX;
    request->phase = SIM_PHASE_WORK;
    rti_list_init(&request->in_ring);
    rti_list_init(&request->in_owed);
    rti_list_init(&request->in_waiters);
    return request;
}

bool sim_request_is_on_socket(const struct sim_request *request)
{
    return request->object != NULL && request->object->kind == SIM_KIND_SOCKET;
}

struct sim_socket *sim_request_socket(const struct sim_request *request)
{
    return RTI_CONTAINER_OF(request->object, struct sim_socket, object);
}

bool sim_request_waits_for_object(const struct sim_request *request)
{
    if (request->object != NULL && request->object->kind == SIM_KIND_COUNTER) {
        return true;
    }
    return sim_request_is_on_socket(request) && request->sqe.opcode != IORING_OP_SHUTDOWN &&
           request->sqe.opcode != IORING_OP_FSYNC;
}

bool sim_request_is_multishot(const struct sim_request *request)
{
    return request->sqe.opcode == IORING_OP_POLL_ADD && request->sqe.len != 0;
}

/* Gives -EAGAIN where another request waits. */
bool sim_request_is_nowait(const struct sim_request *request)
{
    const uint8_t opcode = request->sqe.opcode;

    if (!sim_request_is_on_socket(request) || opcode == IORING_OP_POLL_ADD) {
        return false;
    }
    return sim_request_socket(request)->is_nonblock ||
           ((opcode == IORING_OP_RECV || opcode == IORING_OP_SEND) &&
            (request->sqe.msg_flags & MSG_DONTWAIT) != 0);
}

/* ---- the end of a request ---- */

static void request_free(struct sim_request *request)
{
    sim_event_remove(&request->event);
    rti_list_remove(&request->in_waiters);
    if (request->phase == SIM_PHASE_OWED) {
        rti_list_remove(&request->in_owed);
        request->ring->owed_count--;
    }
    if (!request->is_message) {
        rti_list_remove(&request->in_ring);
        request->ring->request_count--;
        sim.stats.in_flight--;
    }
    if (request->object != NULL) {
        sim_object_put(request->object);
    }
    free(request->path);
    free(request->new_path);
    free(request->iov);
    free(request);
}

void sim_request_abandon(struct sim_request *request)
{
    request_free(request);
}

/* Linux counts a short READ or WRITE as a failure here, so that its CQE is seen. */
static bool is_skipped(const struct sim_request *request, int32_t result)
{
    const uint8_t opcode = request->sqe.opcode;

    if ((request->sqe.flags & IOSQE_CQE_SKIP_SUCCESS) == 0 || result < 0) {
        return false;
    }
    return (opcode != IORING_OP_READ && opcode != IORING_OP_WRITE &&
            opcode != IORING_OP_READ_FIXED && opcode != IORING_OP_WRITE_FIXED) ||
           (uint32_t)result == request->sqe.len;
}

static void record_cqe(const struct sim_request *request, int32_t result, uint32_t flags)
{
    sim_hash_add(request->id);
    sim_hash_add((uint64_t)(int64_t)result);
    sim_hash_add(flags);
    sim_trace("ring%u CQE #%" PRIu64 " %s = %d flags %#x data %#llx", request->ring->number,
              request->id, request->is_message ? "message" : sim_opcode_name(request->sqe.opcode),
              result, flags, request->sqe.user_data);
}

void sim_request_end(struct sim_request *request, int32_t result)
{
    struct sim_ring *ring = request->ring;
    uint32_t flags = 0;

    if (request->is_message) {
        flags = request->message_flags;
    } else if (request->sqe.opcode == IORING_OP_RECV && result >= 0 &&
               sim_request_is_on_socket(request) &&
               sim_request_socket(request)->inbound_count > 0) {
        flags = IORING_CQE_F_SOCK_NONEMPTY;
    }
    record_cqe(request, result, flags);
    if (request->is_message || !is_skipped(request, result)) {
        sim_ring_post(ring, request->sqe.user_data, result, flags);
    }
    request_free(request);
}

void sim_request_owe(struct sim_request *request)
{
    struct sim_ring *ring = request->ring;

    RTI_ASSERT(request->phase != SIM_PHASE_OWED);
    sim_event_remove(&request->event);
    if (!sim_request_is_multishot(request)) {
        rti_list_remove(&request->in_waiters);
    }
    request->phase = SIM_PHASE_OWED;
    if (ring->owed_count > 0 && sim_fault(sim.config.faults.reorder, "reorder")) {
        rti_list_push_back(ring->owed.next, &request->in_owed); /* before the first */
    } else {
        rti_list_push_back(&ring->owed, &request->in_owed);
    }
    ring->owed_count++;
    sim_ring_update_flags(ring);
}

/* ---- working and waiting ---- */

static void request_due(struct sim_event *event)
{
    sim_request_owe(RTI_CONTAINER_OF(event, struct sim_request, event));
}

static void work(struct sim_request *request, rt_time delay)
{
    request->phase = SIM_PHASE_WORK;
    sim_event_queue(&request->event, sim.now + delay, request_due);
}

rt_time sim_request_draw_delay(void)
{
    rt_time delay = sim.config.delay_min;

    if (sim.config.delay_max > delay) {
        delay = rand_range(&sim.rand, delay, sim.config.delay_max);
    }
    return sim_fault_delay(delay);
}

static unsigned poll_mask(const struct sim_request *request)
{
    return sim_object_poll(request->object) & (request->sqe.poll32_events | POLLERR | POLLHUP);
}

static bool is_ready(const struct sim_request *request)
{
    const unsigned mask = sim_object_poll(request->object);

    switch (request->sqe.opcode) {
    case IORING_OP_ACCEPT:
        return (mask & POLLIN) != 0 || sim_request_socket(request)->state != SIM_SOCKET_LISTENING;
    case IORING_OP_RECV:
    case IORING_OP_READ:
        return (mask & (POLLIN | POLLERR | POLLHUP)) != 0;
    case IORING_OP_SEND:
    case IORING_OP_WRITE:
        return (mask & (POLLOUT | POLLERR | POLLHUP)) != 0;
    case IORING_OP_POLL_ADD:
        return poll_mask(request) != 0;
    default: /* CONNECT: look again, it goes back to waiting if need be */
        return true;
    }
}

/* Its object is ready: a CQE is due. A multishot poll that owes one already counts the wake. */
static void wake(struct sim_request *request, rt_time delay)
{
    if (!sim_request_is_multishot(request)) {
        rti_list_remove(&request->in_waiters);
    } else if (request->wakes++ == 0) {
        request->wake_mask = poll_mask(request);
    } else {
        return;
    }
    request->delay = delay;
    work(request, delay);
}

static void wait_for_object(struct sim_request *request)
{
    struct sim_object *object = request->object;
    bool is_connect = request->sqe.opcode == IORING_OP_CONNECT;

    if (is_connect) { /* not its own socket: the backlog of somebody's listener */
        object = &sim.backlog_room;
    }
    request->phase = SIM_PHASE_WAIT;
    request->was_tried = true;
    rti_list_push_back(&object->waiters, &request->in_waiters);
    if (!is_connect && is_ready(request)) {
        wake(request, request->delay);
    }
}

/* Something about the object is new: let those who wait look at it, in their order. */
void sim_object_changed(struct sim_object *object)
{
    struct rti_list *node = object->waiters.next;

    while (node != &object->waiters) {
        struct sim_request *request = RTI_CONTAINER_OF(node, struct sim_request, in_waiters);

        node = node->next;
        if (is_ready(request)) {
            wake(request, sim_request_draw_delay());
        }
    }
}

/*
 * One CQE for all wakes since the last one: after one wake it says what was so then, after more
 * what is so now, which may be nothing. Without room in the CQ it is the last one, as in Linux.
 */
static void run_multishot(struct sim_request *request)
{
    const unsigned mask = request->wakes == 1 ? request->wake_mask : poll_mask(request);
    struct sim_ring *ring = request->ring;

    if (mask != 0 && (!sim_ring_has_room(ring) ||
                      sim_fault(sim.config.faults.multishot_ends, "multishot ends"))) {
        sim_request_end(request, (int32_t)mask);
        return;
    }
    if (mask != 0) {
        record_cqe(request, (int32_t)mask, IORING_CQE_F_MORE);
        sim_ring_post(ring, request->sqe.user_data, (int32_t)mask, IORING_CQE_F_MORE);
    }
    request->phase = SIM_PHASE_WAIT;
    request->wakes = 0;
}

void sim_request_run(struct sim_request *request)
{
    int32_t result;

    if (request->phase == SIM_PHASE_OWED) {
        rti_list_remove(&request->in_owed);
        request->ring->owed_count--;
        request->phase = SIM_PHASE_WORK;
    }
    if (request->is_forced) {
        if (request->breaks_stream) {
            sim_stream_break(sim_request_socket(request));
        }
        if (!request->is_message && request->sqe.opcode == IORING_OP_CLOSE &&
            request->sqe.fd >= SIM_FD_FIRST && request->forced_result != -ECANCELED) {
            (void)sim_fd_close(request->sqe.fd); /* as in Linux, also when it fails, if it ran */
        }
        sim_request_end(request, request->forced_result);
    } else if (sim_request_is_multishot(request)) {
        run_multishot(request);
    } else if (sim_request_attempt(request, &result)) {
        sim_request_end(request, result);
    } else {
        wait_for_object(request);
    }
}

void sim_request_resume(struct sim_request *request)
{
    RTI_ASSERT(request->phase == SIM_PHASE_HELD);
    request->delay = 0;
    if (!request->is_forced && sim_request_waits_for_object(request) &&
        !sim_request_is_nowait(request) && request->sqe.opcode != IORING_OP_CONNECT) {
        wait_for_object(request);
    } else {
        sim_request_owe(request);
    }
}

static bool polls_first(const struct sim_request *request)
{
    const uint8_t opcode = request->sqe.opcode;

    return (opcode == IORING_OP_RECV || opcode == IORING_OP_SEND) &&
           (request->sqe.ioprio & IORING_RECVSEND_POLL_FIRST) != 0;
}

static rt_time timeout_length(const struct sim_request *request)
{
    const struct __kernel_timespec *ts = (const void *)request->iov;
    rt_time ns = RT_SECONDS(ts->tv_sec) + (rt_time)ts->tv_nsec;

    if ((request->sqe.timeout_flags & IORING_TIMEOUT_ABS) != 0) {
        ns -= sim.now;
    }
    return ns > 0 ? ns : 0;
}

void sim_request_start(struct sim_request *request)
{
    const bool waits = sim_request_waits_for_object(request);
    const bool is_immediate = request->sqe.opcode == IORING_OP_ASYNC_CANCEL ||
                              request->sqe.opcode == IORING_OP_MSG_RING;
    const bool is_direct = request->object != NULL && request->object->kind == SIM_KIND_FILE &&
                           (RTI_CONTAINER_OF(request->object, struct sim_open_file, object)->flags &
                            O_DIRECT) != 0;
    bool may_be_inline = sim_request_opcode(request)->may_be_inline && !is_direct;

    if (request->sqe.opcode == IORING_OP_TIMEOUT && !request->is_forced) {
        work(request, timeout_length(request));
        return;
    }
    if (request->sqe.opcode == IORING_OP_OPENAT) { /* what changes a directory goes to a worker */
        may_be_inline = (request->sqe.open_flags & (O_CREAT | O_TRUNC)) == 0;
    }
    if (waits && request->sqe.opcode == IORING_OP_WRITE) {
        may_be_inline = true;
    }
    if ((polls_first(request) && !sim_request_is_nowait(request)) ||
        (sim_request_is_multishot(request) && !request->is_forced)) {
        may_be_inline = false;
    }
    if (is_immediate || (request->delay == 0 && may_be_inline)) {
        sim_request_run(request);
    } else if (waits && !request->is_forced && !sim_request_is_nowait(request) &&
               request->sqe.opcode != IORING_OP_CONNECT) {
        wait_for_object(request);
    } else {
        work(request, request->delay);
    }
}

void sim_request_poison(const struct sim_request *request)
{
    const uint8_t opcode = request->sqe.opcode;

    if (sim.config.poison &&
        (opcode == IORING_OP_READ || opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_RECV) &&
        request->sqe.len > request->done) {
        memset((uint8_t *)(uintptr_t)request->sqe.addr + request->done, POISON,
               request->sqe.len - request->done);
    }
}

/* ---- for tests ---- */

void sim_print_in_flight(void)
{
    static const char *const phases[] = { "at work", "waits for its object", "held", "owed" };

    for (struct rti_list *ring_node = sim.rings.next; ring_node != &sim.rings;
         ring_node = ring_node->next) {
        struct sim_ring *ring = RTI_CONTAINER_OF(ring_node, struct sim_ring, in_sim);

        for (struct rti_list *node = ring->requests.next; node != &ring->requests;
             node = node->next) {
            struct sim_request *request = RTI_CONTAINER_OF(node, struct sim_request, in_ring);

            fprintf(stderr, "sim: ring%u #%" PRIu64 " %s fd %d len %u data %#llx: %s\n",
                    ring->number, request->id, sim_request_opcode(request)->name, request->sqe.fd,
                    request->sqe.len, request->sqe.user_data, phases[request->phase]);
        }
    }
}
