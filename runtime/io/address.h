/* SPDX-License-Identifier: MIT */
/* Address: between "HOST:PORT" and the kernel's socket addresses. Numeric only. */
#ifndef RTI_IO_ADDRESS_H
#define RTI_IO_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/log.h"

struct rti_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } socket;
    socklen_t bytes;
    bool every; /* the host was left out: every address, IPv6 and IPv4 */
};

/*
 * Read "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" or ":80" (every address of
 * this machine). Returns 0, or -EINVAL after having said in the log what is wrong.
 */
int rti_address_parse(struct rti_address *out, const char *text, const struct rti_log *log);

/* The reverse; -ENOSPC when `bytes` are too few. */
int rti_address_format(const struct rti_address *address, char *text, size_t bytes);

#endif /* RTI_IO_ADDRESS_H */
