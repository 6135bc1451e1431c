/* SPDX-License-Identifier: MIT */
/*
 * What the echo programs and their client share: numeric addresses, numbers on
 * the command line, pinning. Each function that can fail prints why on stderr,
 * with the program's name, and says what to do about it.
 */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

/* Room for "[ADDRESS]:PORT" with the longest IPv6 address and its scope. */
#define ENDPOINT_TEXT_BYTES 96

struct endpoint {
    struct sockaddr_storage address;
    socklen_t bytes; /* used of `address` */
};

/* Read "127.0.0.1:7000" or "[::1]:7000". False, and a message, when it is neither. */
bool endpoint_parse(struct endpoint *out, const char *text);

/* A non-blocking listening socket on `where`, or -1 and a message. */
int endpoint_listen(const struct endpoint *where);

/* The address that a socket is bound to, as text; with the port that the kernel chose. */
bool endpoint_text_of(int fd, char *text, size_t bytes);

/* Switch off Nagle's algorithm: a message must not wait for the acknowledgement of the last. */
bool endpoint_no_delay(int fd);

/* Read a number of option `name` between `least` and `most`; false, and a message, otherwise. */
bool option_number(const char *name, const char *text, double least, double most, double *out);

/* Pin the calling thread to `cpu`; nothing when it is below 0. */
bool pin_to_cpu(int cpu);

/* Allow as many descriptors as the hard limit does, at least `wanted`. */
bool raise_descriptor_limit(unsigned wanted);

#endif /* BENCH_ENDPOINT_H */
