/* SPDX-License-Identifier: MIT */
/*
 * Files, by buffers of the pool: where the buffer's arena is registered, the kernel is told its
 * number and needs not look up and pin its pages.
 */
#include <errno.h>

#include "io/buffer.h"
#include "io/handle.h"

static const struct direction {
    struct rti_wait_kind kind;
    uint8_t plain; /* the operation on memory that is not registered */
    uint8_t fixed;
} reading = { RTI_OP_KIND("read"), IORING_OP_READ, IORING_OP_READ_FIXED },
  writing = { RTI_OP_KIND("write"), IORING_OP_WRITE, IORING_OP_WRITE_FIXED };

/* What one call moves. */
struct transfer {
    struct rt_buffer *buffer;
    size_t at;
    size_t bytes;
    uint64_t offset;
};

static void must_suit(struct rt_file *file, const struct transfer *transfer, const char *call)
{
    const struct rti_handle *handle = (const void *)file; /* that it begins with */

    (void)rti_handle_must_own(file, call);
    rti_buffer_must_own(transfer->buffer, call);
    rti_buffer_must_hold(rti_buffer_size(transfer->buffer), transfer->at, transfer->bytes, call);
    if (handle->closing) {
        rti_misuse("%s(): another task is closing the file", call);
    }
}

static void prepare(struct io_uring_sqe *sqe, const struct direction *direction, int fd,
                    const struct transfer *transfer)
{
    const int32_t place = transfer->buffer->arena->place;
    const uint8_t opcode = place < 0 ? direction->plain : direction->fixed;

    io_uring_prep_rw(opcode, sqe, fd, rti_buffer_memory(transfer->buffer) + transfer->at,
                     (unsigned)transfer->bytes, transfer->offset);
    sqe->buf_index = place < 0 ? 0 : (uint16_t)place;
}

RTI_RETURNS_AFTER_SWITCH
static ssize_t move(struct rt_file *file, const struct transfer *transfer,
                    const struct direction *direction, rt_time deadline)
{
    struct rti_handle *handle = (void *)file;
    struct io_uring_sqe *sqe;
    struct rti_op op;
    int r;

    if (transfer->offset > INT64_MAX) {
        return -EINVAL; /* all ones would be "the current position" to the kernel */
    }
    handle->users++;
    transfer->buffer->refs++; /* B4: whoever else has the buffer may put it at any time */
    r = rti_op_begin(&op, &direction->kind, deadline, &sqe);
    if (r == 0) {
        prepare(sqe, direction, handle->fd, transfer);
        r = rti_op_await(&op, sqe, deadline);
    }
    rti_buffer_release(transfer->buffer);
    handle->users--;
    return r;
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_read_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at, size_t bytes,
                            uint64_t offset, rt_time deadline)
{
    const struct transfer transfer = { buffer, at, bytes, offset };

    must_suit(file, &transfer, "rt_file_read_buffer");
    return move(file, &transfer, &reading, deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_write_buffer(struct rt_file *file, struct rt_buffer *buffer, size_t at,
                             size_t bytes, uint64_t offset, rt_time deadline)
{
    const struct transfer transfer = { buffer, at, bytes, offset };

    must_suit(file, &transfer, "rt_file_write_buffer");
    return move(file, &transfer, &writing, deadline);
}
