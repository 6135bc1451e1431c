/* SPDX-License-Identifier: MIT */
/* Files, by buffers of the pool: a transfer as any other, whose memory the ring may know. */
#include "io/buffer.h"
#include "io/file.h"

/* B4: whoever else has the buffer may put it at any time. */
RTI_RETURNS_AFTER_SWITCH
static ssize_t move(struct rt_file *file, struct rti_transfer *transfer, struct rt_buffer *buffer,
                    const char *call, rt_time deadline)
{
    ssize_t n;

    transfer->buffer = buffer;
    transfer->count = 1;
    buffer->refs++;
    n = rti_file_transfer(file, transfer, call, deadline);
    rti_buffer_release(buffer);
    return n;
}

static struct iovec part_of(const struct rt_buffer *buffer, size_t at, size_t bytes,
                            const char *call)
{
    rti_buffer_must_own(buffer, call);
    rti_buffer_must_hold(rti_buffer_size(buffer), at, bytes, call);
    return (struct iovec){ .iov_base = rti_buffer_memory(buffer) + at, .iov_len = bytes };
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_read_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at, size_t bytes,
                            uint64_t offset, rt_time deadline)
{
    const struct iovec part = part_of(buffer, at, bytes, "rt_file_read_buffer");
    struct rti_transfer read = { .iov = &part, .offset = offset };

    return move(file, &read, buffer, "rt_file_read_buffer", deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_write_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at,
                             size_t bytes, uint64_t offset, rt_time deadline)
{
    const struct iovec part = part_of(buffer, at, bytes, "rt_file_write_buffer");
    struct rti_transfer write = { .iov = &part, .offset = offset, .writes = true };

    return move(file, &write, buffer, "rt_file_write_buffer", deadline);
}

/* Of futures */

int rt_poll_file_read_buffer(struct rt_future *future, struct rt_file *file,
                             struct rt_buffer *buffer, size_t at, size_t bytes, uint64_t offset,
                             rt_time deadline)
{
    const struct iovec part = part_of(buffer, at, bytes, "rt_poll_file_read_buffer");
    const struct rti_transfer read = {
        .iov = &part, .buffer = buffer, .count = 1, .offset = offset
    };

    return rti_file_poll_transfer(future, file, "rt_poll_file_read_buffer", &read, deadline);
}

int rt_poll_file_write_buffer(struct rt_future *future, struct rt_file *file,
                              struct rt_buffer *buffer, size_t at, size_t bytes, uint64_t offset,
                              rt_time deadline)
{
    const struct iovec part = part_of(buffer, at, bytes, "rt_poll_file_write_buffer");
    const struct rti_transfer write = {
        .iov = &part, .buffer = buffer, .count = 1, .offset = offset, .writes = true
    };

    return rti_file_poll_transfer(future, file, "rt_poll_file_write_buffer", &write, deadline);
}
