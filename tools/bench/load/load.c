/* SPDX-License-Identifier: MIT */
/* The connections of the load client. */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Rounds over all connections between two looks at the clock for the end and for late echoes: a
 * round of 64 misses takes about 15 us, so the end is met within 0.25 ms. */
#define ROUNDS_PER_LOOK 16

struct load_connection {
    char *message; /* the message in flight; load->bytes long */
    int fd;
    uint32_t sent;     /* bytes of it that are out */
    uint32_t received; /* bytes of its echo that came and were equal */
    uint32_t number;   /* of the connection */
    uint64_t sequence; /* of the message, from 1; 0 = none was sent yet */
    int64_t sent_at;   /* when its first byte was about to be sent */
};

int64_t load_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Fill a message from (connection, sequence): splitmix64's additive step and its finaliser's first
 * multiplier spread the two over all bytes (Steele, Lea, Flood, 2014). */
static void fill(struct load_connection *peer, uint32_t bytes)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = (((uint64_t)peer->number << 40) ^ peer->sequence) * UINT64_C(0xbf58476d1ce4e5b9);
    uint32_t at = 0;

    x ^= x >> 32;
    for (; at + sizeof(x) <= bytes; at += (uint32_t)sizeof(x)) {
        x += step;
        memcpy(peer->message + at, &x, sizeof(x));
    }
    x += step;
    memcpy(peer->message + at, &x, bytes - at);
}

static bool fail(const struct load *load, const struct load_connection *peer, const char *what)
{
    fprintf(stderr,
            "%s: %s: connection %" PRIu32 ", message %" PRIu64 " (byte %" PRIu32 " of %" PRIu32
            "): %s\n",
            program_invocation_short_name, load->address, peer->number, peer->sequence,
            peer->received, load->bytes, what);
    return false;
}

/* Send as much of the message as the socket takes. */
static bool send_rest(const struct load *load, struct load_connection *peer)
{
    ssize_t n = send(peer->fd, peer->message + peer->sent, load->bytes - peer->sent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        return errno == EAGAIN || fail(load, peer, strerror(errno));
    }
    peer->sent += (uint32_t)n;
    return true;
}

static bool send_next(const struct load *load, struct load_connection *peer, int64_t now)
{
    peer->sequence++;
    peer->sent = 0;
    peer->received = 0;
    peer->sent_at = now;
    fill(peer, load->bytes);
    return send_rest(load, peer);
}

static bool report_mismatch(const struct load *load, struct load_connection *peer, size_t bytes)
{
    uint32_t end = (uint32_t)bytes;
    char text[96];

    for (uint32_t i = 0; i < end; i++, peer->received++) {
        unsigned wanted = (unsigned char)peer->message[peer->received];
        unsigned came = (unsigned char)load->scratch[i];

        if (wanted != came) {
            snprintf(text, sizeof(text), "mismatch: sent 0x%02x, came back as 0x%02x", wanted,
                     came);
            return fail(load, peer, text);
        }
    }
    return fail(load, peer, "mismatch");
}

/*
 * Receive of one connection what has come; go on to its next message when the
 * echo is complete, unless `last`. One byte more is asked for than is owed, so
 * that a server that sends too much is found out.
 */
static bool visit(struct load *load, struct load_connection *peer, bool last)
{
    size_t owed = load->bytes - peer->received;
    ssize_t n = recv(peer->fd, load->scratch, owed + 1, MSG_DONTWAIT);
    int64_t now;

    if (n < 0 && errno == EAGAIN) {
        return peer->sent == load->bytes || send_rest(load, peer);
    }
    if (n <= 0) {
        return fail(load, peer, n == 0 ? "the server closed the connection" : strerror(errno));
    }
    if ((size_t)n > owed || peer->received + (uint32_t)n > peer->sent) {
        return fail(load, peer, "more came back than was sent");
    }
    if (memcmp(load->scratch, peer->message + peer->received, (size_t)n) != 0) {
        return report_mismatch(load, peer, (size_t)n);
    }
    peer->received += (uint32_t)n;
    if (peer->received < load->bytes) {
        return peer->sent == load->bytes || send_rest(load, peer);
    }
    now = load_now();
    histogram_record(&load->latency, (uint64_t)(now - peer->sent_at));
    if (load->record != NULL) {
        load->record(load->record_arg, (uint64_t)(now - peer->sent_at));
    }
    load->completed++;
    return last || send_next(load, peer, now);
}

static bool none_is_late(const struct load *load, int64_t now)
{
    for (uint32_t i = 0; i < load->connections; i++) {
        struct load_connection *peer = &load->peers[i];

        if (peer->received < load->bytes && now - peer->sent_at > load->timeout_ns) {
            return fail(
                load, peer,
                "no echo in time; does the server run, and echo? (--timeout sets how long)");
        }
    }
    return true;
}

bool load_run(struct load *load, int64_t until, uint64_t enough)
{
    int64_t now = load_now();

    for (uint32_t i = 0; i < load->connections; i++) {
        if (load->peers[i].sequence == 0 && !send_next(load, &load->peers[i], now)) {
            return false;
        }
    }
    while (now < until && load->completed < enough) {
        for (uint32_t round = 0; round < ROUNDS_PER_LOOK; round++) {
            for (uint32_t i = 0; i < load->connections; i++) {
                if (!visit(load, &load->peers[i], false)) {
                    return false;
                }
            }
        }
        now = load_now();
        if (!none_is_late(load, now)) {
            return false;
        }
    }
    return true;
}

bool load_drain(struct load *load)
{
    uint32_t open;

    do {
        open = 0;
        for (uint32_t i = 0; i < load->connections; i++) {
            struct load_connection *peer = &load->peers[i];

            if (peer->sequence > 0 && peer->received < load->bytes) {
                open++;
                if (!visit(load, peer, true)) {
                    return false;
                }
            }
        }
    } while (open > 0 && none_is_late(load, load_now()));
    return open == 0;
}

void load_reset(struct load *load)
{
    load->completed = 0;
    memset(&load->latency, 0, sizeof(load->latency));
}

/* Wait until a connection in progress is made. 0, or an errno value. */
static int await_connection(int fd, int64_t timeout_ns)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT, .revents = 0 };
    socklen_t length = sizeof(int);
    int error = 0;
    int r = poll(&ready, 1, (int)(timeout_ns / 1000000));

    if (r < 0) {
        return errno;
    }
    if (r == 0) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

static bool connect_one(const struct load *load, struct load_connection *peer)
{
    const struct endpoint *server = &load->server;
    int error = 0;

    peer->fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0) {
        error = errno;
    } else if (connect(peer->fd, (const struct sockaddr *)&server->address, server->bytes) < 0) {
        error = errno == EINPROGRESS ? await_connection(peer->fd, load->timeout_ns) : errno;
    }
    if (error != 0) {
        fprintf(stderr,
                "%s: cannot connect to %s (connection %" PRIu32 " of %" PRIu32
                "): %s; does the server run there?\n",
                program_invocation_short_name, load->address, peer->number + 1, load->connections,
                strerror(error));
        return false;
    }
    return endpoint_no_delay(peer->fd);
}

bool load_open(struct load *load)
{
    load->peers = calloc(load->connections, sizeof(*load->peers));
    load->memory = calloc(load->connections, load->bytes);
    load->scratch = calloc(1, (size_t)load->bytes + 1);
    if (load->peers == NULL || load->memory == NULL || load->scratch == NULL) {
        fprintf(stderr, "%s: no memory for %" PRIu32 " messages of %" PRIu32 " bytes\n",
                program_invocation_short_name, load->connections, load->bytes);
        return false;
    }
    for (uint32_t i = 0; i < load->connections; i++) {
        load->peers[i].fd = -1;
        load->peers[i].number = i;
        load->peers[i].message = load->memory + (size_t)i * load->bytes;
    }
    for (uint32_t i = 0; i < load->connections; i++) {
        if (!connect_one(load, &load->peers[i])) {
            return false;
        }
    }
    load_reset(load);
    return true;
}

void load_close(struct load *load)
{
    for (uint32_t i = 0; load->peers != NULL && i < load->connections; i++) {
        if (load->peers[i].fd >= 0) {
            close(load->peers[i].fd);
        }
    }
    free(load->peers);
    free(load->memory);
    free(load->scratch);
}
