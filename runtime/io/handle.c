/* SPDX-License-Identifier: MIT */
/* Handle: see handle.h. */
#include "io/handle.h"

#include "os/sys.h"

static const struct rti_wait_kind close_kind = RTI_OP_KIND("close");

void *rti_handle_get(struct rti_executor *executor, size_t bytes)
{
    struct rti_handle *handle;

    RTI_ASSERT(bytes <= RTI_HANDLE_BYTES);
    handle = rti_pool_get(&executor->handles);
    if (handle != NULL) {
        handle->executor = executor;
        handle->fd = -1;
    }
    return handle;
}

void rti_handle_put(void *object)
{
    struct rti_handle *handle = object;
    struct rti_executor *executor = handle->executor;

    handle->executor = NULL; /* so that a use after the close is recognised */
    rti_pool_put(&executor->handles, object);
}

int rti_handle_close_fd(int fd)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    rti_op_begin_exempt(&op, &close_kind, &sqe);
    io_uring_prep_close(sqe, fd);
    r = rti_op_await(&op, sqe, RT_NEVER);
    return r == -EAGAIN ? rti_sys_close(fd) : r; /* it needed a worker, and there was none */
}
