/* SPDX-License-Identifier: MIT */
/* Files: length, space, and what the page cache holds. */
#include <fcntl.h>
#include <linux/falloc.h>

#include "cross/blocking.h"
#include "io/file.h"
#include "os/sys.h"
#include "os/uring_compat.h"
#include "rt/scope.h"

static const struct rti_wait_kind truncate_kind = RTI_OP_KIND("truncate");
static const struct rti_wait_kind allocate_kind = RTI_OP_KIND("allocate");
static const struct rti_wait_kind write_out_kind = RTI_OP_KIND("write out");
static const struct rti_wait_kind advise_kind = RTI_OP_KIND("advise");

/* Before Linux 6.9 the ring has no such operation, and a thread of the pool makes the call. */

static const struct rti_wait_kind truncate_beside_kind = RTI_BLOCKING_KIND("truncate");

struct truncation {
    int fd;
    uint64_t bytes;
};

static int truncate_now(void *arg)
{
    const struct truncation *this = arg;

    return rti_sys_truncate(this->fd, (off_t)this->bytes);
}

static int truncate_beside(struct rt_file *file, uint64_t bytes, rt_time deadline)
{
    struct truncation truncation = { .fd = file->handle.fd, .bytes = bytes };
    int result = 0;
    const int r = rti_blocking_call(&truncate_beside_kind, truncate_now, &truncation, &result,
                                    deadline);

    return r < 0 ? r : result;
}

/* What must not be left undone is done here, if the pool takes no more: that is once in a while,
 * and holds the shard up for as long as a disk may take. */
static int truncate_beside_exempt(struct rt_file *file, uint64_t bytes)
{
    struct truncation truncation = { .fd = file->handle.fd, .bytes = bytes };
    struct rt_scope scope;
    int r;

    rt_shield(&scope, RT_NEVER);
    r = truncate_beside(file, bytes, RT_NEVER);
    (void)rt_scope_leave(&scope);
    return r == -EAGAIN || r == -ENOMEM || r == -ECANCELED ? truncate_now(&truncation) : r;
}

int rti_file_set_length(struct rt_file *file, uint64_t bytes, bool exempt, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r = 0;

    if (rti_current->reactor.ring.last_operation < RTI_OPCODE_FTRUNCATE) {
        return exempt ? truncate_beside_exempt(file, bytes)
                      : truncate_beside(file, bytes, deadline);
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

/* What an operation does with a range; the call has entered. */
struct range_op {
    const struct rti_wait_kind *kind;
    void (*prepare)(struct io_uring_sqe *sqe, int fd, uint64_t offset, uint64_t bytes, int how);
    int how;
};

static int range_once(struct rt_file *file, const struct range_op *range, uint64_t offset,
                      uint64_t bytes, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    const int r = rti_op_begin(&op, range->kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    range->prepare(sqe, file->handle.fd, offset, bytes, range->how);
    return rti_op_await(&op, sqe, deadline);
}

static void prepare_allocate(struct io_uring_sqe *sqe, int fd, uint64_t offset, uint64_t bytes,
                             int how)
{
    io_uring_prep_fallocate(sqe, fd, how, (off_t)offset, (off_t)bytes);
}

static void prepare_sync(struct io_uring_sqe *sqe, int fd, uint64_t offset, uint64_t bytes, int how)
{
    io_uring_prep_sync_file_range(sqe, fd, (unsigned)bytes, offset, how);
}

static void prepare_advise(struct io_uring_sqe *sqe, int fd, uint64_t offset, uint64_t bytes,
                           int how)
{
    io_uring_prep_fadvise(sqe, fd, offset, (off_t)bytes, how);
}

static bool is_range(uint64_t offset, uint64_t bytes)
{
    return offset <= INT64_MAX && bytes <= INT64_MAX - offset;
}

int rt_file_allocate(struct rt_file *file, enum rt_file_space space, uint64_t offset,
                     uint64_t bytes, rt_time deadline)
{
    static const int modes[] = {
        [RT_FILE_GROW] = 0,
        [RT_FILE_RESERVE] = FALLOC_FL_KEEP_SIZE,
        [RT_FILE_PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        [RT_FILE_ZERO] = FALLOC_FL_ZERO_RANGE,
    };
    struct range_op range = { .kind = &allocate_kind, .prepare = prepare_allocate };
    int r;

    rti_file_enter(file, "rt_file_allocate");
    RTI_ASSERT((unsigned)space < sizeof(modes) / sizeof(modes[0]));
    range.how = modes[space];
    r = is_range(offset, bytes) ? rti_file_share_lock(file, deadline) : -EFBIG;
    if (r == 0) {
        r = range_once(file, &range, offset, bytes, deadline);
        rti_file_share_unlock(file);
    }
    rti_file_leave(file);
    return r;
}

/* An entry has 32 bits for the length of these two, so a longer range is several operations. 0
 * bytes reach to the end of the file. */
static int range_in_pieces(struct rt_file *file, const struct range_op *range, uint64_t offset,
                           uint64_t bytes, rt_time deadline)
{
    const uint64_t most = UINT64_C(1) << 31;
    uint64_t done = 0;
    int r;

    if (!is_range(offset, bytes)) {
        return -EINVAL;
    }
    do {
        const uint64_t piece = bytes - done < most ? bytes - done : most;

        r = range_once(file, range, offset + done, piece, deadline);
        done += piece;
    } while (r == 0 && done < bytes);
    return r;
}

int rt_file_write_out(struct rt_file *file, enum rt_file_write_out until, uint64_t offset,
                      uint64_t bytes, rt_time deadline)
{
    static const int flags[] = {
        [RT_FILE_WRITE_BEGUN] = SYNC_FILE_RANGE_WRITE,
        [RT_FILE_WRITE_ENDED] = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                SYNC_FILE_RANGE_WAIT_AFTER,
    };
    struct range_op range = { .kind = &write_out_kind, .prepare = prepare_sync };
    int r;

    rti_file_enter(file, "rt_file_write_out");
    RTI_ASSERT((unsigned)until < sizeof(flags) / sizeof(flags[0]));
    range.how = flags[until];
    r = range_in_pieces(file, &range, offset, bytes, deadline);
    rti_file_leave(file);
    return r;
}

int rt_file_advise(struct rt_file *file, enum rt_file_advice advice, uint64_t offset,
                   uint64_t bytes, rt_time deadline)
{
    static const int advices[] = {
        [RT_FILE_NORMAL] = POSIX_FADV_NORMAL,         [RT_FILE_RANDOM] = POSIX_FADV_RANDOM,
        [RT_FILE_SEQUENTIAL] = POSIX_FADV_SEQUENTIAL, [RT_FILE_WILL_NEED] = POSIX_FADV_WILLNEED,
        [RT_FILE_DONT_NEED] = POSIX_FADV_DONTNEED,
    };
    struct range_op range = { .kind = &advise_kind, .prepare = prepare_advise };
    int r;

    rti_file_enter(file, "rt_file_advise");
    RTI_ASSERT((unsigned)advice < sizeof(advices) / sizeof(advices[0]));
    range.how = advices[advice];
    r = range_in_pieces(file, &range, offset, bytes, deadline);
    rti_file_leave(file);
    return r;
}
