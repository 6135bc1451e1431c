/* SPDX-License-Identifier: MIT */
/* Address: see address.h. */
#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX 64

/* 0..65535 from all of `text`, or -EINVAL. */
static int parse_number(const char *text, unsigned long max, uint32_t *out)
{
    char *end;
    unsigned long value;

    if (*text < '0' || *text > '9') {
        return -EINVAL;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > max) {
        return -EINVAL;
    }
    *out = (uint32_t)value;
    return 0;
}

static int parse_v4(struct rti_address *out, const char *host, uint32_t port)
{
    out->socket.v4.sin_family = AF_INET;
    out->socket.v4.sin_port = htons((uint16_t)port);
    out->bytes = sizeof(out->socket.v4);
    return inet_pton(AF_INET, host, &out->socket.v4.sin_addr) == 1 ? 0 : -EINVAL;
}

static int parse_v6(struct rti_address *out, char *host, uint32_t port)
{
    char *scope = strchr(host, '%');

    out->socket.v6.sin6_family = AF_INET6;
    out->socket.v6.sin6_port = htons((uint16_t)port);
    out->bytes = sizeof(out->socket.v6);
    if (scope != NULL) {
        *scope++ = '\0';
        if (parse_number(scope, UINT32_MAX, &out->socket.v6.sin6_scope_id) < 0) {
            return -EINVAL;
        }
    }
    return inet_pton(AF_INET6, host, &out->socket.v6.sin6_addr) == 1 ? 0 : -EINVAL;
}

static int parse(struct rti_address *out, const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[HOST_BYTES_MAX];
    uint32_t port;
    size_t length;

    if (colon == NULL || parse_number(colon + 1, 65535, &port) < 0) {
        return -EINVAL;
    }
    length = (size_t)(colon - text);
    if (length >= sizeof(host)) {
        return -EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    if (length == 0) {
        strncpy(host, "::", sizeof(host));
        out->every = true;
        return parse_v6(out, host, port);
    }
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        return parse_v6(out, host + 1, port);
    }
    return parse_v4(out, host, port);
}

int rti_address_parse(struct rti_address *out, const char *text, const struct rti_log *log)
{
    int r;

    memset(out, 0, sizeof(*out));
    r = text == NULL ? -EINVAL : parse(out, text);
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR,
                "address \"%.100s\" cannot be read: it must be a numeric HOST:PORT such as "
                "127.0.0.1:7000 or [::1]:7000, or :7000 for every address",
                text != NULL ? text : "(null)");
    }
    return r;
}

int rti_address_format(const struct rti_address *address, char *text, size_t bytes)
{
    char host[INET6_ADDRSTRLEN];
    int n;

    if (address->socket.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->socket.v4.sin_addr, host, sizeof(host));
        n = snprintf(text, bytes, "%s:%u", host, ntohs(address->socket.v4.sin_port));
    } else {
        const uint32_t scope = address->socket.v6.sin6_scope_id;
        char suffix[16] = "";

        inet_ntop(AF_INET6, &address->socket.v6.sin6_addr, host, sizeof(host));
        if (scope != 0) {
            snprintf(suffix, sizeof(suffix), "%%%u", scope);
        }
        n = snprintf(text, bytes, "[%s%s]:%u", host, suffix, ntohs(address->socket.v6.sin6_port));
    }
    return n >= 0 && (size_t)n < bytes ? 0 : -ENOSPC;
}
