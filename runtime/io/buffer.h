/* SPDX-License-Identifier: MIT */
/* Buffer: the check that every call with one begins with. */
#ifndef RTI_IO_BUFFER_H
#define RTI_IO_BUFFER_H

#include "rt/buffer.h"

/* Abort unless the buffer is this shard's and in use; the message names the call and the shards. */
void rti_buffer_must_own(const struct rt_buffer *buffer, const char *call);

/* The same, and the part must lie within its `room` bytes. */
void rti_buffer_must_hold(size_t room, size_t at, size_t bytes, const char *call);

#endif /* RTI_IO_BUFFER_H */
