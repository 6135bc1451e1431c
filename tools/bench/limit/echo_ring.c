/* SPDX-License-Identifier: MIT */
/*
 * Echo server on a raw io_uring ring: see echo_ring.h for its shapes.
 *
 * A connection's memory belongs to the kernel while `in_flight` is above 0, so
 * it is freed with the last completion, not before.
 */
#include "echo_ring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"
#include "server.h"

/* Four per connection of the measured row (64), so that a pass never submits twice. */
#define SQ_ENTRIES 256

/* Two completions per connection for 4096 connections, before the kernel has to queue aside. */
#define CQ_ENTRIES 8192

/* Provided buffers: 4 MiB; four per connection of the measured row would be 256. */
#define BUFFERS      1024
#define BUFFER_GROUP 0

/* What an entry is about, in the low bits of user_data (a connection is aligned to 64). */
enum kind {
    KIND_RECV,
    KIND_SEND,
    KIND_ACCEPT,
    KIND_STOP,
    KIND_MASK = 7,
};

struct connection {
    int fd;
    uint32_t in_flight;  /* operations that the kernel has */
    uint32_t bytes;      /* of the message that is being sent */
    bool closing;        /* shut down; goes with its last completion */
    bool hungry;         /* multishot: without a RECV, for want of buffers */
    bool sending;        /* multishot: a SEND is in flight */
    int32_t first, last; /* multishot: received and not yet sent, by number of buffer; -1 = none */
    struct connection *next, **link; /* all connections */
    struct connection *next_hungry;
    char buf[] __attribute__((aligned(64))); /* SERVER_BUF_BYTES, unless multishot */
};

struct echo {
    struct io_uring ring;
    struct echo_shape shape;
    int listener, stop_fd;
    bool stop;
    uint16_t recv_flags; /* ioprio of a RECV */
    struct connection *all;

    /* multishot only */
    struct io_uring_buf_ring *buffers;
    char *memory;              /* of the buffers */
    int32_t next[BUFFERS];     /* the buffer received after this one, or -1 */
    uint32_t filled[BUFFERS];  /* bytes in it */
    uint32_t available;        /* buffers that the kernel has, as far as completions tell */
    struct connection *hungry; /* who waits for a buffer */
};

static struct io_uring_sqe *next_sqe(struct echo *echo)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&echo->ring);

    while (__builtin_expect(sqe == NULL, 0)) { /* full: SUBMIT_ALL takes them all */
        io_uring_submit(&echo->ring);
        sqe = io_uring_get_sqe(&echo->ring);
    }
    return sqe;
}

/* Say what a prepared entry is about. */
static void tag(struct io_uring_sqe *sqe, enum kind kind, struct connection *peer)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)peer | kind);
    if (peer != NULL) {
        peer->in_flight++;
    }
}

static void prepare_accept(struct echo *echo)
{
    struct io_uring_sqe *sqe = next_sqe(echo);

    io_uring_prep_accept(sqe, echo->listener, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, KIND_ACCEPT, NULL);
}

static void prepare_recv(struct echo *echo, struct connection *peer)
{
    struct io_uring_sqe *sqe = next_sqe(echo);

    if (echo->shape.multishot) {
        io_uring_prep_recv_multishot(sqe, peer->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUFFER_GROUP;
    } else {
        io_uring_prep_recv(sqe, peer->fd, peer->buf, SERVER_BUF_BYTES, 0);
    }
    sqe->ioprio |= echo->recv_flags;
    tag(sqe, KIND_RECV, peer);
}

/* MSG_WAITALL: the kernel sends on by itself when the socket takes a part only. */
static void prepare_send(struct echo *echo, struct connection *peer, const char *buf,
                         uint32_t bytes)
{
    struct io_uring_sqe *sqe;

    if (echo->shape.chain && io_uring_sq_space_left(&echo->ring) < 2) {
        io_uring_submit(&echo->ring); /* a link must not end with a submission */
    }
    sqe = next_sqe(echo);
    peer->bytes = bytes;
    io_uring_prep_send(sqe, peer->fd, buf, bytes, MSG_WAITALL | MSG_NOSIGNAL);
    tag(sqe, KIND_SEND, peer);
    if (echo->shape.chain) {
        sqe->flags |= IOSQE_IO_LINK;
        prepare_recv(echo, peer);
    }
}

static void free_connection(struct connection *peer)
{
    *peer->link = peer->next;
    if (peer->next != NULL) {
        peer->next->link = peer->link;
    }
    close(peer->fd);
    free(peer);
}

/* End a connection: a shutdown completes what the kernel still has of it. */
static void close_connection(struct connection *peer)
{
    if (!peer->closing) {
        peer->closing = true;
        shutdown(peer->fd, SHUT_RDWR);
    }
}

static char *buffer_at(const struct echo *echo, int32_t number)
{
    return echo->memory + (size_t)number * SERVER_BUF_BYTES;
}

/* Give a buffer back to the kernel; who found none gets its RECV again. */
static void recycle(struct echo *echo, int32_t number)
{
    struct connection *peer = echo->hungry;

    io_uring_buf_ring_add(echo->buffers, buffer_at(echo, number), SERVER_BUF_BYTES,
                          (unsigned short)number, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(echo->buffers, 1);
    echo->available++;
    if (__builtin_expect(peer != NULL, 0)) {
        echo->hungry = peer->next_hungry;
        peer->hungry = false;
        peer->in_flight--;        /* being hungry counted as one */
        prepare_recv(echo, peer); /* also when it closes: the end of this one frees it */
    }
}

/* A message came in a buffer of the ring; one SEND at a time keeps the order. */
static void received_buffer(struct echo *echo, struct connection *peer, int32_t number, int bytes)
{
    echo->available--;
    if (peer->closing) {
        recycle(echo, number);
        return;
    }
    echo->filled[number] = (uint32_t)bytes;
    echo->next[number] = -1;
    if (peer->last >= 0) {
        echo->next[peer->last] = number;
    } else {
        peer->first = number;
    }
    peer->last = number;
    if (!peer->sending) {
        peer->sending = true;
        prepare_send(echo, peer, buffer_at(echo, number), (uint32_t)bytes);
    }
}

static void on_recv_multishot(struct echo *echo, struct connection *peer,
                              const struct io_uring_cqe *cqe)
{
    bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;

    peer->in_flight += more ? 1 : 0; /* the caller took one off */
    if (cqe->res > 0) {
        received_buffer(echo, peer, (int32_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), cqe->res);
        if (!more && !peer->closing) {
            prepare_recv(echo, peer);
        }
    } else if (cqe->res == -ENOBUFS && echo->available > 0) { /* came back since: try again */
        prepare_recv(echo, peer);
    } else if (cqe->res == -ENOBUFS && !peer->closing) {
        peer->hungry = true;
        peer->in_flight++;
        peer->next_hungry = echo->hungry;
        echo->hungry = peer;
    } else {
        close_connection(peer);
    }
}

/* Take the oldest buffer of the connection off its list, and give it back. */
static void drop_first(struct echo *echo, struct connection *peer)
{
    int32_t number = peer->first;

    peer->first = echo->next[number];
    if (peer->first < 0) {
        peer->last = -1;
    }
    recycle(echo, number);
}

static void on_send_multishot(struct echo *echo, struct connection *peer)
{
    drop_first(echo, peer);
    while (peer->closing && peer->first >= 0) { /* will not be sent any more */
        drop_first(echo, peer);
    }
    peer->sending = peer->first >= 0;
    if (peer->sending) {
        prepare_send(echo, peer, buffer_at(echo, peer->first), echo->filled[peer->first]);
    }
}

static void on_recv(struct echo *echo, struct connection *peer, const struct io_uring_cqe *cqe)
{
    if (echo->shape.multishot) {
        on_recv_multishot(echo, peer, cqe);
    } else if (cqe->res > 0 && !peer->closing) {
        prepare_send(echo, peer, peer->buf, (uint32_t)cqe->res);
    } else {
        close_connection(peer);
    }
}

static void on_send(struct echo *echo, struct connection *peer, int result)
{
    if (result != (int)peer->bytes) {
        close_connection(peer);
    }
    if (echo->shape.multishot) {
        on_send_multishot(echo, peer);
    } else if (!echo->shape.chain && !peer->closing) {
        prepare_recv(echo, peer);
    }
}

static struct connection *new_connection(struct echo *echo, int fd)
{
    size_t bytes = sizeof(struct connection) + (echo->shape.multishot ? 0 : SERVER_BUF_BYTES);
    struct connection *peer = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

    if (peer == NULL) {
        return NULL;
    }
    memset(peer, 0, sizeof(*peer));
    peer->fd = fd;
    peer->first = -1;
    peer->last = -1;
    peer->next = echo->all;
    peer->link = &echo->all;
    if (peer->next != NULL) {
        peer->next->link = &peer->next;
    }
    echo->all = peer;
    return peer;
}

static void on_accept(struct echo *echo, int result)
{
    struct connection *peer = NULL;

    if (result >= 0) {
        peer = new_connection(echo, result);
        if (peer == NULL) {
            close(result);
        } else if (endpoint_no_delay(result)) {
            prepare_recv(echo, peer);
        } else {
            free_connection(peer);
        }
    } else if (result != -ECONNABORTED) {
        fprintf(stderr, "echo on io_uring: accept: %s\n", strerror(-result));
        echo->stop = true;
        return;
    }
    prepare_accept(echo);
}

static void complete(struct echo *echo, const struct io_uring_cqe *cqe)
{
    uint64_t data = io_uring_cqe_get_data64(cqe);
    struct connection *peer = (struct connection *)(uintptr_t)(data & ~(uint64_t)KIND_MASK);

    switch ((enum kind)(data & KIND_MASK)) {
    case KIND_RECV:
        peer->in_flight--;
        on_recv(echo, peer, cqe);
        break;
    case KIND_SEND:
        peer->in_flight--;
        on_send(echo, peer, cqe->res);
        break;
    case KIND_ACCEPT:
        if (!echo->stop) {
            on_accept(echo, cqe->res);
        }
        return;
    case KIND_STOP:
        echo->stop = true;
        return;
    case KIND_MASK: /* no kind, only the mask of them */
        return;
    }
    if (__builtin_expect(peer->closing && peer->in_flight == 0, 0)) {
        free_connection(peer);
    }
}

/* Handle every completion that stands in the queue. */
static void reap(struct echo *echo)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;

    io_uring_for_each_cqe(&echo->ring, head, cqe)
    {
        complete(echo, cqe);
        count++;
    }
    io_uring_cq_advance(&echo->ring, count);
}

static bool run(struct echo *echo)
{
    struct io_uring_sqe *sqe;

    prepare_accept(echo);
    sqe = next_sqe(echo);
    io_uring_prep_poll_add(sqe, echo->stop_fd, POLLIN);
    tag(sqe, KIND_STOP, NULL);
    while (!echo->stop) {
        int r = io_uring_submit_and_wait(&echo->ring, 1);

        if (__builtin_expect(r < 0 && r != -EINTR && r != -EBUSY, 0)) {
            fprintf(stderr, "echo on io_uring: io_uring_enter: %s\n", strerror(-r));
            return false;
        }
        reap(echo);
    }
    return true;
}

/* Take back what the kernel has, so that the port is free the moment the program has ended. */
static void drain(struct echo *echo)
{
    struct io_uring_sync_cancel_reg all = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = { .tv_sec = 1, .tv_nsec = 0 },
    };
    struct __kernel_timespec patience = { .tv_sec = 1, .tv_nsec = 0 };
    struct io_uring_cqe *cqe;

    for (struct connection *peer = echo->all; peer != NULL; peer = peer->next) {
        close_connection(peer);
    }
    (void)io_uring_submit(&echo->ring);
    (void)io_uring_register_sync_cancel(&echo->ring, &all);
    while (echo->all != NULL && io_uring_wait_cqe_timeout(&echo->ring, &cqe, &patience) == 0) {
        reap(echo);
    }
}

static bool set_up_buffers(struct echo *echo)
{
    size_t ring_bytes = BUFFERS * sizeof(struct io_uring_buf);
    struct io_uring_buf_reg reg = { .ring_entries = BUFFERS, .bgid = BUFFER_GROUP };
    int r;

    echo->buffers = aligned_alloc(4096, ring_bytes); /* the kernel wants a page's alignment */
    echo->memory = aligned_alloc(4096, (size_t)BUFFERS * SERVER_BUF_BYTES);
    if (echo->buffers == NULL || echo->memory == NULL) {
        fprintf(stderr, "echo on io_uring: no memory for %d buffers\n", BUFFERS);
        return false;
    }
    memset(echo->buffers, 0, ring_bytes);
    reg.ring_addr = (uintptr_t)echo->buffers;
    r = io_uring_register_buf_ring(&echo->ring, &reg, 0);
    if (r < 0) {
        fprintf(stderr, "echo on io_uring: buffer ring: %s (Linux 6.0 has it)\n", strerror(-r));
        return false;
    }
    io_uring_buf_ring_init(echo->buffers);
    for (int32_t i = 0; i < BUFFERS; i++) {
        recycle(echo, i);
    }
    return true;
}

static bool set_up_ring(struct echo *echo)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    int r = io_uring_queue_init_params(SQ_ENTRIES, &echo->ring, &params);

    if (r < 0) {
        fprintf(stderr,
                "echo on io_uring: io_uring_setup: %s (Linux 6.1 or later is needed, and "
                "/proc/sys/kernel/io_uring_disabled must be 0)\n",
                strerror(-r));
        return false;
    }
    r = io_uring_register_ring_fd(&echo->ring);
    if (r < 0) {
        fprintf(stderr, "echo on io_uring: registering the ring: %s; goes on without\n",
                strerror(-r));
    }
    echo->recv_flags = echo->shape.poll_first ? (uint16_t)IORING_RECVSEND_POLL_FIRST : 0;
    if (echo->shape.multishot && !set_up_buffers(echo)) {
        io_uring_queue_exit(&echo->ring);
        return false;
    }
    return true;
}

static void free_all(struct echo *echo)
{
    struct connection *next;

    for (struct connection *peer = echo->all; peer != NULL; peer = next) {
        next = peer->next;
        close(peer->fd);
        free(peer);
    }
    echo->all = NULL;
}

bool echo_ring_serve(int listener, int stop_fd, struct echo_shape shape)
{
    struct echo *echo = calloc(1, sizeof(*echo)); /* too large for the stack */
    bool ok;

    if (echo == NULL) {
        fprintf(stderr, "echo on io_uring: no memory\n");
        return false;
    }
    echo->shape = shape;
    echo->listener = listener;
    echo->stop_fd = stop_fd;
    ok = set_up_ring(echo);
    if (ok) {
        ok = run(echo);
        drain(echo);
        io_uring_queue_exit(&echo->ring);
        free_all(echo);
    }
    free(echo->buffers);
    free(echo->memory);
    free(echo);
    return ok;
}
