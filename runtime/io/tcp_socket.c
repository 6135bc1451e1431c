/* SPDX-License-Identifier: MIT */
/* TCP sockets: see tcp_socket.h. */
#include "io/tcp_socket.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/sized.h"
#include "io/handle.h"
#include "os/sys.h"

#define BACKLOG 4096u

int rti_tcp_set_option(int fd, int level, int option, uint32_t value)
{
    const int number = (int)value;

    return rti_sys_setsockopt(fd, level, option, &number, sizeof(number));
}

/* The caller's options completed (base/sized.h), or -E2BIG, -EINVAL. */
static int read_options(struct rt_tcp_options *out, const struct rt_tcp_options *options,
                        const struct rti_log *log)
{
    int r = rti_sized_copy(out, sizeof(*out), options);

    if (out->backlog == 0) {
        out->backlog = BACKLOG;
    }
    if (r == 0 && (out->reserved != 0 || out->delay > 1 || out->backlog > INT_MAX ||
                   out->receive_buffer_bytes > INT_MAX || out->send_buffer_bytes > INT_MAX)) {
        r = -EINVAL;
    }
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR, "the options of a socket are wrong: %s",
                r == -E2BIG ? "they are of a newer library"
                            : "delay must be 0 or 1, reserved 0, the others below 2^31");
    }
    return r;
}

static int apply_options(int fd, const struct rt_tcp_options *options)
{
    int r = 0;

    if (options->delay == 0) {
        r = rti_tcp_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (r == 0 && options->receive_buffer_bytes != 0) {
        r = rti_tcp_set_option(fd, SOL_SOCKET, SO_RCVBUF, options->receive_buffer_bytes);
    }
    if (r == 0 && options->send_buffer_bytes != 0) {
        r = rti_tcp_set_option(fd, SOL_SOCKET, SO_SNDBUF, options->send_buffer_bytes);
    }
    return r;
}

/* A socket for the address with the options set, or -errno. */
static int make_socket(const struct rti_address *address, const struct rt_tcp_options *options)
{
    const int fd = rti_sys_socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC,
                                  IPPROTO_TCP);
    int r;

    if (fd < 0) {
        return fd;
    }
    r = apply_options(fd, options);
    if (r < 0) {
        (void)rti_sys_close(fd);
        return r;
    }
    return fd;
}

int rti_tcp_open_socket(void **out, size_t bytes, struct rti_address *address,
                        struct rt_tcp_options *complete, const char *text,
                        const struct rt_tcp_options *options)
{
    struct rti_executor *executor = rti_current;
    struct rti_handle *handle;
    int r = rti_address_parse(address, text, &executor->log);

    if (r < 0) {
        return r;
    }
    r = read_options(complete, options, &executor->log);
    if (r < 0) {
        return r;
    }
    handle = rti_handle_get(executor, bytes);
    if (handle == NULL) {
        return -ENOMEM;
    }
    r = make_socket(address, complete);
    if (r < 0) {
        rti_handle_put(handle);
        return r;
    }
    handle->fd = r;
    *out = handle;
    return 0;
}
