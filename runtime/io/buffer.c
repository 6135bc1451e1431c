/* SPDX-License-Identifier: MIT */
/* Buffers and slices of them, for users. The memory is in core/buffers.h. */
#include "io/buffer.h"

#include "core/executor.h"

void rti_buffer_must_own(const struct rt_buffer *buffer, const char *call)
{
    const struct rti_executor *owner;

    RTI_ASSERT(buffer != NULL);
    owner = RTI_CONTAINER_OF(buffer->arena->pool, const struct rti_executor, buffers);
    if (RTI_UNLIKELY(owner != rti_current)) {
        rti_executor_not_owner(owner, call, "the buffer");
    }
    if (RTI_UNLIKELY(buffer->refs == 0)) {
        rti_misuse("%s(): the buffer was put back before", call);
    }
}

void rti_buffer_must_hold(size_t room, size_t at, size_t bytes, const char *call)
{
    if (RTI_UNLIKELY(at > room || bytes > room - at)) {
        rti_misuse("%s(): %zu bytes from %zu on do not lie within %zu bytes", call, bytes, at,
                   room);
    }
}

int rt_buffer_get(struct rt_buffer **out, size_t bytes)
{
    RTI_ASSERT(out != NULL && rti_current != NULL);
    if (bytes == 0 || bytes > RTI_BUFFER_MAX) {
        return -EINVAL;
    }
    return rti_buffers_get(&rti_current->buffers, out, bytes);
}

void *rt_buffer_data(const struct rt_buffer *buffer)
{
    rti_buffer_must_own(buffer, "rt_buffer_data");
    return rti_buffer_memory(buffer);
}

size_t rt_buffer_bytes(const struct rt_buffer *buffer)
{
    rti_buffer_must_own(buffer, "rt_buffer_bytes");
    return rti_buffer_size(buffer);
}

struct rt_buffer *rt_buffer_keep(struct rt_buffer *buffer)
{
    rti_buffer_must_own(buffer, "rt_buffer_keep");
    buffer->refs++;
    return buffer;
}

void rt_buffer_put(struct rt_buffer *buffer)
{
    if (buffer != NULL) {
        rti_buffer_must_own(buffer, "rt_buffer_put");
        rti_buffer_release(buffer);
    }
}

struct rt_slice rt_slice_of(struct rt_buffer *buffer, size_t at, size_t bytes)
{
    rti_buffer_must_own(buffer, "rt_slice_of");
    rti_buffer_must_hold(rti_buffer_size(buffer), at, bytes, "rt_slice_of");
    buffer->refs++;
    return (struct rt_slice){ .buffer = buffer,
                              .data = rti_buffer_memory(buffer) + at,
                              .bytes = bytes };
}

struct rt_slice rt_slice_sub(struct rt_slice slice, size_t at, size_t bytes)
{
    rti_buffer_must_own(slice.buffer, "rt_slice_sub");
    rti_buffer_must_hold(slice.bytes, at, bytes, "rt_slice_sub");
    slice.buffer->refs++;
    slice.data = (char *)slice.data + at;
    slice.bytes = bytes;
    return slice;
}

void rt_slice_put(struct rt_slice slice)
{
    if (slice.buffer != NULL) {
        rti_buffer_must_own(slice.buffer, "rt_slice_put");
        rti_buffer_release(slice.buffer);
    }
}
