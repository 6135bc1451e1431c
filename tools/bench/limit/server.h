/* SPDX-License-Identifier: MIT */
/*
 * The frame of an echo server: options, listening socket, end on SIGTERM or
 * SIGINT. What is measured lies in the programs' own loops, not here.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>

/* Bytes per connection: the same for both servers, so that they fill the caches alike. */
#define SERVER_BUF_BYTES 4096

/* One option without a value that a server has of its own. */
struct server_flag {
    const char *name; /* "multishot", given as --multishot */
    const char *help;
    bool *value;
};

struct server {
    int listener;  /* listening, non-blocking */
    int signal_fd; /* readable when the program is to end */
};

/*
 * Read the command line, pin, listen, and print "listening on HOST:PORT".
 *
 * `flags` ends with a name of NULL. Returns true to go on; false to leave main()
 * with *status, after --help or a message.
 */
bool server_start(struct server *server, int argc, char **argv, const char *summary,
                  const struct server_flag *flags, int *status);

/* Close the two descriptors. */
void server_stop(struct server *server);

#endif /* BENCH_SERVER_H */
