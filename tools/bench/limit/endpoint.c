/* SPDX-License-Identifier: MIT */
/* Addresses, numbers and pinning for the echo programs and their client. */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Connections that wait to be accepted: the most that Linux grants by default (somaxconn). */
#define BACKLOG 4096

static const char *program(void)
{
    return program_invocation_short_name;
}

/* Cut "[HOST]:PORT" or "HOST:PORT" in two; `host` holds the copy. False when there is no port. */
static bool split_address(const char *text, char *host, size_t host_bytes, const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t length;

    if (colon == NULL || colon == text) {
        return false;
    }
    length = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= host_bytes) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

bool endpoint_parse(struct endpoint *out, const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;
    char host[INET6_ADDRSTRLEN];
    const char *port_text = "";
    char *end = NULL;
    unsigned long port = 0;
    bool ok = split_address(text, host, sizeof(host), &port_text);

    memset(out, 0, sizeof(*out));
    if (ok) {
        errno = 0;
        port = strtoul(port_text, &end, 10);
        ok = errno == 0 && end != port_text && *end == '\0' && port <= UINT16_MAX;
    }
    if (ok && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        out->bytes = sizeof(*v4);
        return true;
    }
    if (ok && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        out->bytes = sizeof(*v6);
        return true;
    }
    fprintf(stderr,
            "%s: \"%s\" is no address; give it as 127.0.0.1:7000 or [::1]:7000, in numbers\n",
            program(), text);
    return false;
}

bool endpoint_no_delay(int fd)
{
    int one = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0) {
        return true;
    }
    fprintf(stderr, "%s: TCP_NODELAY: %s\n", program(), strerror(errno));
    return false;
}

int endpoint_listen(const struct endpoint *where)
{
    int fd = socket(where->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const char *step = "socket";
    int one = 1;

    if (fd < 0) {
        goto fail;
    }
    step = "SO_REUSEADDR";
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) {
        goto fail;
    }
    step = "bind (is the port in use? port 0 takes a free one)";
    if (bind(fd, (const struct sockaddr *)&where->address, where->bytes) < 0) {
        goto fail;
    }
    step = "listen";
    if (listen(fd, BACKLOG) == 0) {
        return fd;
    }

fail:
    fprintf(stderr, "%s: %s: %s\n", program(), step, strerror(errno));
    return -1;
}

bool endpoint_text_of(int fd, char *text, size_t bytes)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    char host[ENDPOINT_TEXT_BYTES];
    char port[8]; /* "65535" */
    int r;

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        fprintf(stderr, "%s: getsockname: %s\n", program(), strerror(errno));
        return false;
    }
    r = getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV);
    if (r != 0) {
        fprintf(stderr, "%s: getnameinfo: %s\n", program(), gai_strerror(r));
        return false;
    }
    snprintf(text, bytes, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

bool option_number(const char *name, const char *text, double least, double most, double *out)
{
    char *end = NULL;
    double value;

    errno = 0;
    value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || isnan(value) || value < least ||
        value > most) {
        fprintf(stderr, "%s: --%s %s: expected a number from %g to %g\n", program(), name, text,
                least, most);
        return false;
    }
    *out = value;
    return true;
}

bool pin_to_cpu(int cpu)
{
    cpu_set_t set;

    if (cpu < 0) {
        return true;
    }
    CPU_ZERO(&set);
    if (cpu < CPU_SETSIZE) {
        CPU_SET((size_t)cpu, &set);
    }
    if (sched_setaffinity(0, sizeof(set), &set) == 0) {
        return true;
    }
    fprintf(stderr, "%s: cannot run on CPU %d: %s; see Cpus_allowed_list in /proc/self/status\n",
            program(), cpu, strerror(errno));
    return false;
}

bool raise_descriptor_limit(unsigned wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted) {
            return true;
        }
    }
    fprintf(stderr, "%s: %u descriptors are needed; raise the hard limit (ulimit -Hn)\n", program(),
            wanted);
    return false;
}
