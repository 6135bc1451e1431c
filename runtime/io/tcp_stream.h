/* SPDX-License-Identifier: MIT */
/* TCP stream: made by an accept or a connect; io/tcp.c says what K1 and K2 are. */
#ifndef RTI_IO_TCP_STREAM_H
#define RTI_IO_TCP_STREAM_H

#include "io/handle.h"
#include "rt/tcp.h"

struct rt_tcp_stream {
    struct rti_handle handle;
    bool drained;              /* the last receive left nothing in the socket */
    struct rti_op *reader;     /* K1 */
    struct rti_op *writer;     /* K1 */
    struct rti_waiter *closer; /* who waits for K2, or NULL */
};

#endif /* RTI_IO_TCP_STREAM_H */
