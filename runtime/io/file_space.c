/* SPDX-License-Identifier: MIT */
/* Files: length and space. */
#include "io/file.h"
#include "os/uring_compat.h"

static const struct rti_wait_kind truncate_kind = RTI_OP_KIND("truncate");

bool rti_file_can_set_length(const struct rt_file *file)
{
    const struct rti_executor *executor = file->handle.executor;
    const bool can = executor->reactor.ring.last_operation >= RTI_OPCODE_FTRUNCATE;

    if (!can) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "the ring cannot set the length of a file before Linux 6.9; without that, direct "
                "writes must end at whole blocks");
    }
    return can;
}

int rti_file_set_length(struct rt_file *file, uint64_t bytes, bool exempt, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = 0;

    if (!rti_file_can_set_length(file)) {
        return -EOPNOTSUPP;
    }
    if (exempt) {
        rti_op_begin_exempt(&op, &truncate_kind, &sqe);
    } else {
        r = rti_op_begin(&op, &truncate_kind, deadline, &sqe);
    }
    if (r < 0) {
        return r;
    }
    io_uring_prep_rw(RTI_OPCODE_FTRUNCATE, sqe, file->handle.fd, NULL, 0, bytes);
    return rti_op_await(&op, sqe, deadline);
}

int rt_file_truncate(struct rt_file *file, uint64_t bytes, rt_time deadline)
{
    int r;

    rti_file_enter(file, "rt_file_truncate");
    r = rti_file_share_lock(file, deadline); /* F1 */
    if (r == 0) {
        r = bytes > INT64_MAX ? -EFBIG : rti_file_set_length(file, bytes, false, deadline);
        rti_file_share_unlock(file);
    }
    rti_file_leave(file);
    return r;
}
