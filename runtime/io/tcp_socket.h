/* SPDX-License-Identifier: MIT */
/* TCP sockets: what listening and connecting begin with. */
#ifndef RTI_IO_TCP_SOCKET_H
#define RTI_IO_TCP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "io/address.h"
#include "rt/tcp.h"

/*
 * Read the address and the options, and make a handle of `bytes` with a socket
 * for them. Returns 0; -EINVAL or -E2BIG, having said why; -ENOMEM; or an error
 * of socket or setsockopt.
 */
int rti_tcp_open_socket(void **out, size_t bytes, struct rti_address *address,
                        struct rt_tcp_options *complete, const char *text,
                        const struct rt_tcp_options *options);

int rti_tcp_set_option(int fd, int level, int option, uint32_t value);

#endif /* RTI_IO_TCP_SOCKET_H */
