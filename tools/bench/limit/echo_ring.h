/* SPDX-License-Identifier: MIT */
/*
 * Echo server on a raw io_uring ring, one thread, no runtime around it: what
 * the same work costs when nobody schedules anything.
 *
 * The default shape is that of a task that receives, sends, and receives again:
 *
 *     RECV --completed--> SEND --completed--> RECV ...
 *
 * so a message is two operations, one after the other. One io_uring_enter() per
 * pass submits what the last pass prepared and waits for at least one
 * completion; then all completions that stand in the queue are handled.
 *
 * The ring is SINGLE_ISSUER | DEFER_TASKRUN (the kernel's half of a completion
 * runs inside our enter, not in an interrupt of our code), SUBMIT_ALL and a
 * registered descriptor.
 */
#ifndef BENCH_ECHO_RING_H
#define BENCH_ECHO_RING_H

#include <stdbool.h>

/* All false is the default. `multishot` goes with no other. */
struct echo_shape {
    /* One RECV per connection that completes once per message, into buffers that the kernel picks
     * from a ring of them. */
    bool multishot;

    /* The next RECV is prepared together with the SEND, linked, as soon as a message came: half the
     * passes, for whoever never looks at the result of a send before receiving. */
    bool chain;

    /* IORING_RECVSEND_POLL_FIRST: a RECV waits without trying first. It spares the try that fails,
     * and loses when the next message is there already: 6 % (2 to 9 in 9 rounds) with 64
     * connections and a client that never sleeps. */
    bool poll_first;
};

/*
 * Serve on the calling thread whoever connects to `listener`, until `stop_fd`
 * can be read; then end all connections. Both descriptors stay the caller's.
 * False, and a message, on failure.
 */
bool echo_ring_serve(int listener, int stop_fd, struct echo_shape shape);

#endif /* BENCH_ECHO_RING_H */
