/* SPDX-License-Identifier: MIT */
/*
 * The connections of the load client: one message in flight on each, every byte
 * of every echo compared.
 *
 * Message number n of connection c is filled from (c, n) alone, so an echo that
 * is late, doubled or another connection's does not compare equal. All sockets
 * are visited in turn without ever sleeping: the client's CPU is always full,
 * and the server never pays for waking it.
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "../histogram.h"
#include "endpoint.h"

struct load_connection;

struct load {
    /* set by the caller */
    struct endpoint server;
    const char *address; /* the text of `server`, for messages */
    uint32_t connections;
    uint32_t bytes;                         /* per message */
    int64_t timeout_ns;                     /* an echo that takes longer is a failure */
    void (*record)(void *arg, uint64_t ns); /* told each latency; NULL = nobody */
    void *record_arg;

    /* of load.c */
    struct load_connection *peers;
    char *memory;             /* of all messages, sent and received */
    char *scratch;            /* where echoes are received */
    uint64_t completed;       /* echoes since load_reset() */
    struct histogram latency; /* ns from before send() to after the last byte was compared */
};

/* CLOCK_MONOTONIC, in ns. */
int64_t load_now(void);

/* Connect all and send nothing yet. False, and a message, on failure; then load_close() too. */
bool load_open(struct load *load);

/* Send and receive until `until`, or until `enough` echoes are completed and some more, with one
 * message in flight on each connection at the end. False, and a message, on a mismatch, a lost
 * connection or an echo that is too late. */
bool load_run(struct load *load, int64_t until, uint64_t enough);

/* Receive what is in flight; nothing is after it. */
bool load_drain(struct load *load);

/* Begin to count anew. */
void load_reset(struct load *load);

void load_close(struct load *load);

#endif /* LOAD_LOAD_H */
