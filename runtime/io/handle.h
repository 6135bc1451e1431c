/* SPDX-License-Identifier: MIT */
/* Handle: what files, streams and listeners have in common, a descriptor and its executor. */
#ifndef RTI_IO_HANDLE_H
#define RTI_IO_HANDLE_H

#include "core/executor.h"
#include "core/op.h"

struct rti_handle {
    struct rti_executor *executor; /* that owns it */
    int fd;
    uint32_t users; /* what goes on with it and forbids a close: calls on a file, selects */
    bool closing;   /* a task is closing it */
};

/* A zeroed object that starts with a struct rti_handle, or NULL for want of memory. */
void *rti_handle_get(struct rti_executor *executor, size_t bytes);
void rti_handle_put(void *object);

/* Close the descriptor through the ring; the result of close(2). Exempt from cancel. */
int rti_handle_close_fd(int fd);

/* Abort unless `object` (NULL too) is owned by this shard and a task is running. */
static inline struct rti_executor *rti_handle_must_own(const void *object, const char *call)
{
    const struct rti_handle *handle = object;
    struct rti_executor *executor = rti_executor_here(call);

    RTI_ASSERT(object != NULL);
    rti_executor_must_own(handle->executor, call);
    return executor;
}

#endif /* RTI_IO_HANDLE_H */
