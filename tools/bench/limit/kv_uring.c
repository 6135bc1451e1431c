/* SPDX-License-Identifier: MIT */
/*
 * Key-value server that stores nothing, on a raw io_uring ring, one thread: it
 * finds out how many commands it got, and answers each with +OK. What the same
 * requests cost when nobody looks at them.
 *
 *     RECV --completed--> SEND of as many "+OK\r\n" --completed--> RECV ...
 *
 * A connection has one operation in flight, so all commands that one RECV
 * brought are answered by one SEND. One io_uring_enter() per pass submits what
 * the last pass prepared and waits for at least one completion. The ring is
 * SINGLE_ISSUER | DEFER_TASKRUN, SUBMIT_ALL, with a registered descriptor.
 *
 * As the runtime does, a RECV after one that emptied its socket waits for more
 * without trying first (POLL_FIRST; --try-first always tries), and what the
 * kernel still has to complete is taken before anything is submitted: an enter
 * completes about 20 at a time.
 *
 * Commands are RESP arrays: "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n". Only the lengths
 * are read; what they announce is stepped over. Anything else ends the
 * connection.
 */
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

#define CONNECTIONS_MAX 1024

/* One operation per connection, and the two that wait for connections and signals. */
#define SQ_ENTRIES 2048

/* The shortest command has 11 bytes ("*1\r\n$1\r\nx\r\n"), and one may have begun before. */
#define ANSWERS_MAX  (SERVER_BUF_BYTES / 11 + 1)
#define ANSWER_BYTES 5 /* "+OK\r\n" */

/* A number of a length has nine digits at most. */
#define NUMBER_MAX 999999999

/* Completions are taken so many times before an enter that submits: 64 connections and some. */
#define TAKES_MAX 8

/* What of a command was seen so far. */
struct parser {
    int64_t skip;      /* bytes to step over */
    int64_t arguments; /* that are still to come; 0: a command begins */
    int64_t number;    /* of the line that is being read; -1: its first byte is to come */
};

struct connection {
    int fd; /* -1: free */
    bool sending;
    bool drained;   /* the last RECV left nothing in the socket */
    uint32_t bytes; /* that are being sent */
    struct parser parser;
    char buf[SERVER_BUF_BYTES] __attribute__((aligned(64)));
};

enum tag { TAG_ACCEPT = CONNECTIONS_MAX, TAG_SIGNAL };

static struct {
    struct connection connections[CONNECTIONS_MAX];
    struct io_uring ring;
    struct server server;
    uint32_t open;
    bool stop;
    bool try_first;
    char answers[ANSWERS_MAX * ANSWER_BYTES];
} kv; /* one per process; too large for the stack */

/* A length was read to its end. "*0" is no command, and gets no answer. */
static void end_line(struct parser *parser)
{
    if (parser->arguments == 0) {
        parser->arguments = parser->number;
    } else {
        parser->arguments--;
        parser->skip = parser->number + 2; /* and its own end of line */
    }
    parser->number = -1;
}

/* One byte of a line that holds a length. False: it cannot be one. */
static bool read_byte(struct parser *parser, char byte)
{
    if (parser->number < 0) {
        parser->number = 0;
        return byte == (parser->arguments == 0 ? '*' : '$');
    }
    if (byte >= '0' && byte <= '9') {
        parser->number = parser->number * 10 + (byte - '0');
        return parser->number <= NUMBER_MAX;
    }
    if (byte == '\n') {
        end_line(parser);
        return true;
    }
    return byte == '\r';
}

/* How many commands end in `bytes` more; -1: what came is no command. */
static int count_commands(struct parser *parser, const char *buf, int64_t bytes)
{
    int64_t at = 0;
    int commands = 0;

    while (at < bytes) {
        if (parser->skip > 0) {
            int64_t n = parser->skip < bytes - at ? parser->skip : bytes - at;

            parser->skip -= n;
            at += n;
            commands += parser->skip == 0 && parser->arguments == 0 ? 1 : 0;
        } else if (!read_byte(parser, buf[at++])) {
            return -1;
        }
    }
    return commands;
}

static struct io_uring_sqe *next_sqe(uint64_t tag)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&kv.ring);

    while (__builtin_expect(sqe == NULL, 0)) { /* full: SUBMIT_ALL takes them all */
        io_uring_submit(&kv.ring);
        sqe = io_uring_get_sqe(&kv.ring);
    }
    sqe->user_data = tag; /* the prep functions of liburing 2.3 leave it alone */
    return sqe;
}

static void prepare_accept(void)
{
    io_uring_prep_accept(next_sqe(TAG_ACCEPT), kv.server.listener, NULL, NULL, SOCK_CLOEXEC);
}

static void prepare_recv(struct connection *peer)
{
    struct io_uring_sqe *sqe = next_sqe((uint64_t)(peer - kv.connections));

    peer->sending = false;
    io_uring_prep_recv(sqe, peer->fd, peer->buf, SERVER_BUF_BYTES, 0);
    if (peer->drained && !kv.try_first) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
}

/* MSG_WAITALL: the kernel sends on by itself when the socket takes a part only. */
static void prepare_send(struct connection *peer, int answers)
{
    peer->sending = true;
    peer->bytes = (uint32_t)answers * ANSWER_BYTES;
    io_uring_prep_send(next_sqe((uint64_t)(peer - kv.connections)), peer->fd, kv.answers,
                       peer->bytes, MSG_WAITALL | MSG_NOSIGNAL);
}

/* Its only operation has completed, so nothing of it is the kernel's any more. */
static void end_connection(struct connection *peer)
{
    close(peer->fd);
    peer->fd = -1;
    kv.open--;
}

static void on_connection(struct connection *peer, int result, uint32_t flags)
{
    int answers = 0;

    if (kv.stop || result <= 0 || (peer->sending && result != (int)peer->bytes)) {
        end_connection(peer);
        return;
    }
    if (!peer->sending) {
        peer->drained = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
        answers = count_commands(&peer->parser, peer->buf, result);
    }
    if (answers < 0) {
        end_connection(peer);
    } else if (answers > 0) {
        prepare_send(peer, answers);
    } else {
        prepare_recv(peer);
    }
}

/* Too many connections: the new one is closed. */
static void begin_connection(int fd)
{
    struct connection *peer = kv.connections;

    while (peer < kv.connections + CONNECTIONS_MAX && peer->fd >= 0) {
        peer++;
    }
    if (peer == kv.connections + CONNECTIONS_MAX || !endpoint_no_delay(fd)) {
        close(fd);
        return;
    }
    peer->fd = fd;
    peer->drained = false;
    peer->parser = (struct parser){ .number = -1 };
    kv.open++;
    prepare_recv(peer);
}

static void on_accept(int result)
{
    if (kv.stop) {
        return;
    }
    if (result >= 0) {
        begin_connection(result);
    } else if (result != -ECONNABORTED) {
        fprintf(stderr, "kv_uring: accept: %s\n", strerror(-result));
        kv.stop = true;
        return;
    }
    prepare_accept();
}

/* Handle every completion that stands in the queue. False: there was none. */
static bool reap(void)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;

    io_uring_for_each_cqe(&kv.ring, head, cqe)
    {
        if (cqe->user_data < CONNECTIONS_MAX) {
            on_connection(&kv.connections[cqe->user_data], cqe->res, cqe->flags);
        } else if (cqe->user_data == TAG_ACCEPT) {
            on_accept(cqe->res);
        } else {
            kv.stop = true;
        }
        count++;
    }
    io_uring_cq_advance(&kv.ring, count);
    return count > 0;
}

/* Whether an enter would complete more without waiting; may be said too often. */
static bool has_more(void)
{
    return (IO_URING_READ_ONCE(*kv.ring.sq.kflags) & IORING_SQ_TASKRUN) != 0;
}

static bool run(void)
{
    prepare_accept();
    io_uring_prep_poll_add(next_sqe(TAG_SIGNAL), kv.server.signal_fd, POLLIN);
    while (!kv.stop) {
        int r = io_uring_submit_and_wait(&kv.ring, 1);

        if (__builtin_expect(r < 0 && r != -EINTR && r != -EBUSY, 0)) {
            fprintf(stderr, "kv_uring: io_uring_enter: %s\n", strerror(-r));
            return false;
        }
        for (int i = 1; reap() && i < TAKES_MAX && has_more(); i++) {
            (void)io_uring_get_events(&kv.ring);
        }
    }
    return true;
}

/* Take back what the kernel has, so that the port is free the moment the program has ended. */
static void drain(void)
{
    struct io_uring_sync_cancel_reg all = {
        .fd = -1,
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = { .tv_sec = 1, .tv_nsec = 0 },
    };
    struct __kernel_timespec patience = { .tv_sec = 1, .tv_nsec = 0 };
    struct io_uring_cqe *cqe;

    kv.stop = true;
    (void)io_uring_submit(&kv.ring);
    (void)io_uring_register_sync_cancel(&kv.ring, &all);
    while (kv.open > 0 && io_uring_wait_cqe_timeout(&kv.ring, &cqe, &patience) == 0) {
        (void)reap();
    }
}

static bool set_up_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
    };
    int r = io_uring_queue_init_params(SQ_ENTRIES, &kv.ring, &params);

    if (r < 0) {
        fprintf(stderr,
                "kv_uring: io_uring_setup: %s (Linux 6.1 or later is needed, and "
                "/proc/sys/kernel/io_uring_disabled must be 0)\n",
                strerror(-r));
        return false;
    }
    r = io_uring_register_ring_fd(&kv.ring);
    printf("shape: one RECV, %s, one SEND of all its answers; SINGLE_ISSUER, DEFER_TASKRUN, "
           "%s descriptor\n",
           kv.try_first ? "which tries first" : "POLL_FIRST when the last one emptied the socket",
           r < 0 ? "plain" : "registered");
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    static const struct server_flag flags[] = {
        { "try-first", "a RECV always tries before it waits", &kv.try_first },
        { NULL, NULL, NULL },
    };
    bool ok;
    int status;

    if (!server_start(&kv.server, argc, argv,
                      "Answers +OK to every command: the limit of a key-value server.", flags,
                      &status)) {
        return status;
    }
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        memcpy(&kv.answers[i * ANSWER_BYTES], "+OK\r\n", ANSWER_BYTES);
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        kv.connections[i].fd = -1;
    }
    if (!raise_descriptor_limit(CONNECTIONS_MAX + 16) || !set_up_ring()) {
        return 1;
    }
    ok = run();
    drain();
    io_uring_queue_exit(&kv.ring);
    server_stop(&kv.server);
    return ok ? 0 : 1;
}
