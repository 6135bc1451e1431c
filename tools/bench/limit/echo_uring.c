/* SPDX-License-Identifier: MIT */
/* The echo server of echo_ring.h as a program. */
#include <stdio.h>

#include "echo_ring.h"
#include "server.h"

int main(int argc, char **argv)
{
    struct echo_shape shape = { false, false, false };
    const struct server_flag flags[] = {
        { "multishot", "one RECV per connection, buffers picked by the kernel", &shape.multishot },
        { "chain", "the next RECV linked to the SEND", &shape.chain },
        { "poll-first", "a RECV waits without trying first", &shape.poll_first },
        { NULL, NULL, NULL },
    };
    struct server server;
    bool ok;
    int status;

    if (!server_start(&server, argc, argv,
                      "Echo server on a raw io_uring ring: the limit of the runtime's echo.", flags,
                      &status)) {
        return status;
    }
    /* With POLL_FIRST a multishot RECV stayed armed for ever on about a third of the connections
     * that their peer had reset (Linux 6.18; not explained). */
    if (shape.multishot && (shape.chain || shape.poll_first)) {
        fprintf(stderr, "echo_uring: --multishot goes with no other shape; choose one\n");
        return 2;
    }
    ok = echo_ring_serve(server.listener, server.signal_fd, shape);
    server_stop(&server);
    return ok ? 0 : 1;
}
