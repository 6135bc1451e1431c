/* SPDX-License-Identifier: MIT */
/* Sim, submission: what an SQE must look like, and how it becomes a request. */
#include "sim_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Fields of an SQE that an opcode needs to be 0. */
enum { Z_ADDR = 1, Z_OFF = 2, Z_LEN = 4, Z_FLAGS = 8, Z_BUF = 16, Z_INDEX = 32, Z_PRIO = 64 };

static const struct sim_opcode opcodes[SIM_OPCODES] = {
    [IORING_OP_NOP] = { "NOP", NO_OBJECT, 0, true },
    [IORING_OP_READV] = { "READV", FILE_OBJECT, 0, true },
    [IORING_OP_WRITEV] = { "WRITEV", FILE_OBJECT, 0, false },
    [IORING_OP_READ_FIXED] = { "READ_FIXED", FILE_OBJECT, 0, true },
    [IORING_OP_WRITE_FIXED] = { "WRITE_FIXED", FILE_OBJECT, 0, false },
    [IORING_OP_FSYNC] = { "FSYNC", ANY_OBJECT, Z_ADDR | Z_BUF | Z_INDEX, false },
    [IORING_OP_FALLOCATE] = { "FALLOCATE", FILE_OBJECT, Z_FLAGS | Z_BUF | Z_INDEX, false },
    [IORING_OP_POLL_ADD] = { "POLL_ADD", ANY_OBJECT, Z_BUF | Z_OFF | Z_ADDR, true },
    [IORING_OP_TIMEOUT] = { "TIMEOUT", NO_OBJECT, Z_BUF | Z_INDEX, false },
    [IORING_OP_ACCEPT] = { "ACCEPT", SOCKET_OBJECT, Z_LEN | Z_BUF, true },
    [IORING_OP_ASYNC_CANCEL] = { "ASYNC_CANCEL", NO_OBJECT, Z_OFF | Z_INDEX, true },
    [IORING_OP_CONNECT] = { "CONNECT", SOCKET_OBJECT, Z_LEN | Z_BUF | Z_FLAGS | Z_INDEX, false },
    [IORING_OP_OPENAT] = { "OPENAT", NO_OBJECT, Z_BUF, false },
    [IORING_OP_CLOSE] = { "CLOSE", NO_OBJECT, Z_OFF | Z_ADDR | Z_LEN | Z_FLAGS | Z_BUF, true },
    [IORING_OP_STATX] = { "STATX", NO_OBJECT, Z_BUF | Z_INDEX, false },
    [IORING_OP_READ] = { "READ", ANY_OBJECT, 0, true },
    [IORING_OP_WRITE] = { "WRITE", ANY_OBJECT, 0, false },
    [IORING_OP_SEND] = { "SEND", SOCKET_OBJECT, 0, true },
    [IORING_OP_RECV] = { "RECV", SOCKET_OBJECT, Z_INDEX, true },
    [IORING_OP_SHUTDOWN] = { "SHUTDOWN", SOCKET_OBJECT, Z_OFF | Z_ADDR | Z_FLAGS | Z_BUF | Z_INDEX,
                             false },
    [IORING_OP_RENAMEAT] = { "RENAMEAT", NO_OBJECT, Z_BUF | Z_INDEX, false },
    [IORING_OP_UNLINKAT] = { "UNLINKAT", NO_OBJECT, Z_OFF | Z_LEN | Z_BUF | Z_INDEX, false },
    [IORING_OP_MSG_RING] = { "MSG_RING", NO_OBJECT, Z_BUF, true },
    [SIM_OP_FTRUNCATE] = { "FTRUNCATE", FILE_OBJECT, Z_ADDR | Z_LEN | Z_FLAGS | Z_BUF | Z_INDEX,
                           false },
    [IORING_OP_SOCKET] = { "SOCKET", NO_OBJECT, Z_ADDR | Z_FLAGS | Z_BUF, true },
};

const char *sim_opcode_name(unsigned opcode)
{
    return opcode < SIM_OPCODES && opcodes[opcode].name != NULL ? opcodes[opcode].name : "?";
}

const struct sim_opcode *sim_request_opcode(const struct sim_request *request)
{
    return &opcodes[request->sqe.opcode];
}

static bool breaks_zero(const struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    const unsigned zero = sim_request_opcode(request)->zero;

    return ((zero & Z_ADDR) != 0 && sqe->addr != 0) || ((zero & Z_OFF) != 0 && sqe->off != 0) ||
           ((zero & Z_LEN) != 0 && sqe->len != 0) ||
           ((zero & Z_FLAGS) != 0 && sqe->rw_flags != 0) ||
           ((zero & Z_BUF) != 0 && sqe->buf_index != 0) ||
           ((zero & Z_INDEX) != 0 && sqe->file_index != 0);
}

static int check_flags(const struct sim_request *request)
{
    const unsigned flags = request->sqe.flags;
    const unsigned known = IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS;

    if ((flags & IOSQE_CQE_SKIP_SUCCESS) != 0 && sim.config.kernel == SIM_KERNEL_5_15) {
        return -EINVAL;
    }
    if ((flags & ~known) != 0) {
        fprintf(stderr, "sim: SQE flags %#x are not simulated\n", flags & ~known);
        return -EINVAL;
    }
    return 0;
}

/* Linux reads these parts of the user's memory at submission, not later. */
static int copy_arguments(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    const void *from = (const void *)(uintptr_t)sqe->addr;

    switch (sqe->opcode) {
    case IORING_OP_RENAMEAT:
        request->new_path = strdup((const char *)(uintptr_t)sqe->addr2);
        RTI_ASSERT(request->new_path != NULL);
        /* fall through */
    case IORING_OP_OPENAT:
    case IORING_OP_STATX:
    case IORING_OP_UNLINKAT:
        request->path = strdup(from != NULL ? from : "");
        RTI_ASSERT(request->path != NULL);
        return 0;
    case IORING_OP_CONNECT:
        return sim_address_read(&request->address, from, (socklen_t)sqe->addr2) ? 0 : -EINVAL;
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
        if (sqe->len > 1024) {
            return -EINVAL;
        }
        request->iov = sim_alloc(sqe->len * sizeof(struct iovec));
        memcpy(request->iov, from, sqe->len * sizeof(struct iovec));
        return 0;
    case IORING_OP_TIMEOUT:
        if (sqe->len != 1 || sqe->off > 1) { /* a count of CQEs is not simulated */
            return -EINVAL;
        }
        request->iov = sim_alloc(sizeof(struct __kernel_timespec));
        memcpy(request->iov, from, sizeof(struct __kernel_timespec));
        return 0;
    default:
        return 0;
    }
}

static bool may_be_polled(const struct sim_request *request)
{
    const uint8_t opcode = request->sqe.opcode;

    return opcode == IORING_OP_NOP || opcode == IORING_OP_READ || opcode == IORING_OP_WRITE ||
           opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV ||
           opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_WRITE_FIXED;
}

static int prepare(struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;
    int r;

    if (sqe->opcode >= SIM_OPCODES || !sim_kernel_has_opcode(sqe->opcode)) {
        return -EINVAL;
    }
    if (sim_request_opcode(request)->name == NULL) {
        fprintf(stderr, "sim: opcode %u is not simulated\n", sqe->opcode);
        return -EINVAL;
    }
    if (sim_ring_is_polled(request->ring) && !may_be_polled(request)) {
        return -EINVAL;
    }
    r = check_flags(request);
    if (r < 0) {
        return r;
    }
    if (breaks_zero(request)) {
        return -EINVAL;
    }
    if (sqe->opcode == IORING_OP_FSYNC && (sqe->fsync_flags & ~IORING_FSYNC_DATASYNC) != 0) {
        return -EINVAL;
    }
    if (sqe->opcode == IORING_OP_POLL_ADD &&
        ((sqe->len & ~IORING_POLL_ADD_MULTI) != 0 ||
         (sqe->len != 0 && (sqe->flags & IOSQE_CQE_SKIP_SUCCESS) != 0))) {
        return -EINVAL;
    }
    return copy_arguments(request);
}

/* What Linux can do and the sim cannot. */
static int check_simulated(const struct sim_request *request, const struct sim_object *object)
{
    static const char *const kinds[] = { [SIM_KIND_FILE] = "a file",
                                         [SIM_KIND_SOCKET] = "a socket",
                                         [SIM_KIND_COUNTER] = "an event counter",
                                         [SIM_KIND_DIRECTORY] = "a directory" };
    const struct sim_opcode *opcode = sim_request_opcode(request);
    const bool is_poll = request->sqe.opcode == IORING_OP_POLL_ADD;

    if ((opcode->object == FILE_OBJECT && object->kind != SIM_KIND_FILE) ||
        (object->kind == SIM_KIND_COUNTER && !is_poll) ||
        (object->kind == SIM_KIND_DIRECTORY && request->sqe.opcode != IORING_OP_FSYNC) ||
        (object->kind == SIM_KIND_FILE && is_poll && request->sqe.len != 0)) {
        fprintf(stderr, "sim: %s on %s is not simulated\n", opcode->name, kinds[object->kind]);
        return -EINVAL;
    }
    return 0;
}

/* A polled ring is for direct files. */
static int check_polled(const struct sim_request *request)
{
    const struct sim_object *object = request->object;

    if (!sim_ring_is_polled(request->ring)) {
        return 0;
    }
    if (object->kind != SIM_KIND_FILE) {
        return -EOPNOTSUPP;
    }
    return (RTI_CONTAINER_OF(object, const struct sim_open_file, object)->flags & O_DIRECT) != 0
               ? 0
               : -EINVAL;
}

/* An error that is no fault of the SQE: -EBADF, -ENOTSOCK, -EFAULT. */
static int find_object(struct sim_request *request)
{
    const struct sim_opcode *opcode = sim_request_opcode(request);
    struct sim_object *object;
    int r;

    if (opcode->object == NO_OBJECT) {
        return 0;
    }
    object = sim_fd_object(request->sqe.fd);
    if (object == NULL) {
        return -EBADF;
    }
    if (opcode->object == SOCKET_OBJECT && object->kind != SIM_KIND_SOCKET) {
        return -ENOTSOCK;
    }
    r = check_simulated(request, object);
    if (r < 0) {
        return r;
    }
    object->refs++;
    request->object = object;
    r = check_polled(request);
    return r < 0 ? r : sim_buffers_check(request);
}

/* Not at once: Linux tells the driver's refusal as any other completion. */
static void refuse_poll(struct sim_request *request)
{
    const struct sim_open_file *open_file;

    if (sim_ring_is_polled(request->ring) && request->object != NULL) {
        open_file = RTI_CONTAINER_OF(request->object, struct sim_open_file, object);
        if (open_file->file->refuses_polls) {
            request->is_forced = true;
            request->forced_result = -EOPNOTSUPP;
        }
    }
}

static void record_sqe(const struct sim_request *request)
{
    const struct io_uring_sqe *sqe = &request->sqe;

    sim.stats.sqes++;
    sim.stats.by_opcode[sqe->opcode < SIM_OPCODES ? sqe->opcode : SIM_OPCODES - 1]++;
    if (++sim.stats.in_flight > sim.stats.in_flight_max) {
        sim.stats.in_flight_max = sim.stats.in_flight;
    }
    sim_hash_add(request->id);
    sim_hash_add(((uint64_t)request->ring->number << 16) | sqe->opcode);
    sim_hash_add(sqe->fd >= SIM_FD_FIRST ? (uint64_t)sqe->fd : 0);
    sim_hash_add((uint64_t)sim.now);
    sim_trace("ring%u SQE #%" PRIu64 " %s fd %d len %u data %#llx", request->ring->number,
              request->id, sim_opcode_name(sqe->opcode), sqe->fd, sqe->len, sqe->user_data);
}

/* What a cancel would find while the request is at work. */
static int draw_cancel_answer(const struct sim_request *request)
{
    static const int answers[] = { 0, -EALREADY, -ENOENT };
    const uint8_t opcode = request->sqe.opcode;
    const bool has_device = opcode == IORING_OP_READ || opcode == IORING_OP_WRITE ||
                            opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_WRITE_FIXED;

    if (sim_request_waits_for_object(request) || opcode == IORING_OP_TIMEOUT) {
        return 0;
    }
    if (opcode == IORING_OP_NOP || opcode == IORING_OP_MSG_RING) {
        return -ENOENT;
    }
    /* only reads and writes reach a device; the others have a worker */
    return answers[rand_below(&sim.rand, has_device && !sim_request_is_on_socket(request) ? 3 : 2)];
}

void sim_request_submit(struct sim_ring *ring, const struct io_uring_sqe *sqe, bool *out_bad)
{
    struct sim_request *request = sim_request_new(ring);
    int r;

    request->sqe = *sqe;
    rti_list_push_back(&ring->requests, &request->in_ring);
    ring->request_count++;
    record_sqe(request);
    r = prepare(request);
    *out_bad = r < 0;
    if (r == 0) {
        r = find_object(request);
    }
    if (r < 0) {
        sim_request_end(request, r);
        return;
    }
    request->delay = sim_request_draw_delay();
    request->cancel_answer = draw_cancel_answer(request);
    sim_fault_plan(request);
    refuse_poll(request);
    sim_request_poison(request);
    if (sim_hold_applies(request, &request->held_at)) {
        request->phase = SIM_PHASE_HELD;
        sim_trace("ring%u #%" PRIu64 " held", ring->number, request->id);
    } else {
        sim_request_start(request);
    }
}
