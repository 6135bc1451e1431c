/* SPDX-License-Identifier: MIT */
/* Files: reading and writing. One operation each, but for what io/file_direct.c says. */
#include "core/future.h"
#include "core/waiters.h"
#include "io/file.h"
#include "sync/rwlock.h"

static void transfer_ended(struct rti_waiter *waiter);
static void direct_ended(struct rti_waiter *waiter);
static void buffer_ended(struct rti_waiter *waiter);

static const struct rti_wait_kind read_kind = { .name = "read",
                                                .abort = rti_op_abort,
                                                .ended = transfer_ended };
static const struct rti_wait_kind write_kind = { .name = "write",
                                                 .abort = rti_op_abort,
                                                 .ended = transfer_ended };

static const struct rti_wait_kind direct_read_kind = { RTI_TICKET_KIND("read"),
                                                       .ended = direct_ended };
static const struct rti_wait_kind direct_write_kind = { RTI_TICKET_KIND("write"),
                                                        .ended = direct_ended };

/* Of a future, with a buffer of the pool. */
static const struct rti_wait_kind buffer_read_kind = { .name = "read",
                                                       .abort = rti_op_abort,
                                                       .ended = buffer_ended };
static const struct rti_wait_kind buffer_write_kind = { .name = "write",
                                                        .abort = rti_op_abort,
                                                        .ended = buffer_ended };

static const struct rti_wait_kind *kind_of(const struct rti_transfer *transfer)
{
    return transfer->writes ? &write_kind : &read_kind;
}

static const struct rti_wait_kind *direct_kind_of(const struct rti_transfer *transfer)
{
    return transfer->writes ? &direct_write_kind : &direct_read_kind;
}

static const struct rti_wait_kind *buffer_kind_of(const struct rti_transfer *transfer)
{
    return transfer->writes ? &buffer_write_kind : &buffer_read_kind;
}

static unsigned transfer_bytes(size_t bytes)
{
    return bytes < RTI_TRANSFER_MAX ? (unsigned)bytes : RTI_TRANSFER_MAX;
}

/* What is inlined here has many callers, each of which knows when it is compiled what the transfer
 * is: 25 instructions fewer for a read of a buffered file. */

static inline __attribute__((always_inline)) void
prepare(struct io_uring_sqe *sqe, const struct rt_file *file, const struct rti_transfer *transfer)
{
    const int fd = file->handle.fd;

    if (transfer->count != 1) {
        io_uring_prep_rw(transfer->writes ? IORING_OP_WRITEV : IORING_OP_READV, sqe, fd,
                         transfer->iov, transfer->count, transfer->offset);
    } else if (transfer->buffer != NULL && transfer->buffer->arena->place >= 0) {
        io_uring_prep_rw(transfer->writes ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED, sqe, fd,
                         transfer->iov->iov_base, (unsigned)transfer->iov->iov_len,
                         transfer->offset);
        sqe->buf_index = (uint16_t)transfer->buffer->arena->place;
    } else {
        io_uring_prep_rw(transfer->writes ? IORING_OP_WRITE : IORING_OP_READ, sqe, fd,
                         transfer->iov->iov_base, transfer_bytes(transfer->iov->iov_len),
                         transfer->offset);
    }
    if (file->place != 0) {
        sqe->fd = file->place - 1;
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

/* A file that is used often gets a place among those that the kernel need not look up. Without
 * one, and when all are taken, transfers work all the same. */
static RTI_NOINLINE void take_place(struct rt_file *file)
{
    const int place = rti_uring_register_file(&rti_current->reactor.ring, file->handle.fd);

    file->place = place < 0 ? 0 : (uint16_t)(place + 1);
}

static inline void note_transfer(struct rt_file *file)
{
    if (RTI_UNLIKELY(file->transfers < RTI_FILE_TRANSFERS_BEFORE_PLACE) &&
        ++file->transfers == RTI_FILE_TRANSFERS_BEFORE_PLACE) {
        take_place(file);
    }
}

RTI_RETURNS_AFTER_SWITCH
static inline __attribute__((always_inline)) ssize_t
transfer_once(struct rt_file *file, const struct rti_transfer *transfer, rt_time deadline)
{
    struct rti_op op;
    struct io_uring_sqe *sqe;
    const int r = rti_op_begin(&op, kind_of(transfer), deadline, &sqe);

    if (r < 0) {
        return r;
    }
    prepare(sqe, file, transfer);
    return rti_op_await(&op, sqe, deadline);
}

/* A transfer that waits for its turn at the file's device, or has been given to it. */
struct turn {
    struct rti_ticket ticket;
    struct rt_file *file;
    struct rti_transfer transfer;
};

/* Files and buffers are registered with the ordinary ring only. */
static void prepare_polled(struct io_uring_sqe *sqe, const struct turn *turn)
{
    struct rti_transfer plain = turn->transfer;

    plain.buffer = NULL;
    prepare(sqe, turn->file, &plain);
    sqe->fd = turn->file->handle.fd;
    sqe->flags = 0;
}

static void fill(struct rti_ticket *ticket, struct io_uring_sqe *sqe)
{
    const struct turn *turn = RTI_CONTAINER_OF(ticket, const struct turn, ticket);

    if (RTI_UNLIKELY(ticket->request.polled)) {
        prepare_polled(sqe, turn);
    } else {
        prepare(sqe, turn->file, &turn->transfer);
    }
}

static void refused(struct rti_ticket *ticket)
{
    rti_file_polls_refused(RTI_CONTAINER_OF(ticket, struct turn, ticket)->file);
}

static const struct rti_ticket_ops turn_ops = { .fill = fill, .refused = refused };

static uint32_t bytes_of(const struct rti_transfer *transfer)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < transfer->count && bytes < RTI_TRANSFER_MAX; i++) {
        bytes += transfer_bytes(transfer->iov[i].iov_len);
    }
    return transfer_bytes(bytes);
}

/* From here on O1, of core/op.h, holds for the turn too. */
static int take_turn(struct turn *turn, struct rti_op *op, struct rt_file *file,
                     const struct rti_transfer *transfer)
{
    rti_waiter_init(&op->waiter, direct_kind_of(transfer));
    op->waiter.object = &turn->ticket;
    turn->ticket.op = op;
    turn->ticket.ops = &turn_ops;
    turn->ticket.request.polled = file->polls;
    turn->file = file;
    turn->transfer = *transfer;
    return rti_ticket_take(&turn->ticket, file->device, transfer->writes, bytes_of(transfer));
}

RTI_RETURNS_AFTER_SWITCH
static ssize_t transfer_in_turn(struct rt_file *file, const struct rti_transfer *transfer,
                                rt_time deadline)
{
    struct rti_op op;
    struct turn turn;
    int r = rti_wait_allowed();

    if (r == 0) {
        r = take_turn(&turn, &op, file, transfer);
    }
    return r < 0 ? r : rti_wait(&op.waiter, deadline);
}

/* Much at a time, in parts that others need not wait long for. */
static ssize_t transfer_in_parts(struct rt_file *file, const struct rti_transfer *transfer,
                                 rt_time deadline)
{
    const size_t part_bytes = file->offset_align > RTI_FILE_SHARED_BYTES ? file->offset_align
                                                                         : RTI_FILE_SHARED_BYTES;
    const size_t bytes = transfer_bytes(transfer->iov->iov_len);
    struct rti_transfer part = *transfer;
    struct iovec memory = *transfer->iov;
    size_t done = 0;
    ssize_t n;

    part.iov = &memory;
    part.count = 1; /* it is; clang-analyzer does not see that */
    do {
        memory.iov_base = (char *)transfer->iov->iov_base + done;
        memory.iov_len = bytes - done;
        if (memory.iov_len > part_bytes &&
            rti_device_is_shared(file->device, rti_current->running->queue)) {
            memory.iov_len = part_bytes;
        }
        part.offset = transfer->offset + done;
        n = transfer_in_turn(file, &part, deadline);
        done += n > 0 ? (size_t)n : 0;
    } while (n == (ssize_t)memory.iov_len && done < bytes);
    return done > 0 ? (ssize_t)done : n;
}

ssize_t rti_file_transfer_aligned(struct rt_file *file, const struct rti_transfer *transfer,
                                  rt_time deadline)
{
    if (transfer->count == 1 && transfer->iov->iov_len > RTI_FILE_SHARED_BYTES) {
        return transfer_in_parts(file, transfer, deadline);
    }
    return transfer_in_turn(file, transfer, deadline);
}

RTI_RETURNS_AFTER_SWITCH
static inline __attribute__((always_inline)) ssize_t
transfer_entered(struct rt_file *file, const struct rti_transfer *transfer, const char *call,
                 rt_time deadline)
{
    ssize_t n;

    rti_file_enter(file, call);
    note_transfer(file);
    if (RTI_UNLIKELY(transfer->offset > INT64_MAX)) {
        n = -EINVAL; /* all ones would be "the current position" to the kernel */
    } else if (RTI_UNLIKELY(rti_file_is_direct(file))) {
        n = rti_file_transfer_direct(file, transfer, deadline);
    } else {
        n = transfer_once(file, transfer, deadline);
    }
    rti_file_leave(file);
    return n;
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rti_file_transfer(struct rt_file *file, const struct rti_transfer *transfer,
                          const char *call, rt_time deadline)
{
    return transfer_entered(file, transfer, call, deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_read_at(struct rt_file *file, void *buf, size_t bytes, uint64_t offset,
                        rt_time deadline)
{
    const struct iovec part = { .iov_base = buf, .iov_len = bytes };
    const struct rti_transfer read = { .iov = &part, .count = 1, .offset = offset };

    return transfer_entered(file, &read, "rt_file_read_at", deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_write_at(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                         rt_time deadline)
{
    const struct iovec part = { .iov_base = (void *)(uintptr_t)buf, .iov_len = bytes };
    const struct rti_transfer write = {
        .iov = &part, .count = 1, .offset = offset, .writes = true
    };

    return transfer_entered(file, &write, "rt_file_write_at", deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_readv_at(struct rt_file *file, const struct iovec *parts, unsigned count,
                         uint64_t offset, rt_time deadline)
{
    const struct rti_transfer read = { .iov = parts, .count = count, .offset = offset };

    RTI_ASSERT(parts != NULL || count == 0);
    return count > RT_FILE_PARTS_MAX ? -EINVAL
                                     : transfer_entered(file, &read, "rt_file_readv_at", deadline);
}

RTI_RETURNS_AFTER_SWITCH
ssize_t rt_file_writev_at(struct rt_file *file, const struct iovec *parts, unsigned count,
                          uint64_t offset, rt_time deadline)
{
    const struct rti_transfer write = {
        .iov = parts, .count = count, .offset = offset, .writes = true
    };

    RTI_ASSERT(parts != NULL || count == 0);
    return count > RT_FILE_PARTS_MAX
               ? -EINVAL
               : transfer_entered(file, &write, "rt_file_writev_at", deadline);
}

/* All of the bytes */

ssize_t rt_file_read_all(struct rt_file *file, void *buf, size_t bytes, uint64_t offset,
                         size_t *done, rt_time deadline)
{
    size_t have = 0;
    ssize_t n = 0;

    while (have < bytes) {
        n = rt_file_read_at(file, (char *)buf + have, bytes - have, offset + have, deadline);
        if (n <= 0) {
            break;
        }
        have += (size_t)n;
    }
    if (done != NULL) {
        *done = have;
    }
    return n < 0 ? n : (ssize_t)have;
}

ssize_t rt_file_write_all(struct rt_file *file, const void *buf, size_t bytes, uint64_t offset,
                          size_t *done, rt_time deadline)
{
    size_t written = 0;
    ssize_t n = 0;

    while (written < bytes) {
        n = rt_file_write_at(file, (const char *)buf + written, bytes - written, offset + written,
                             deadline);
        if (n <= 0) {
            n = n < 0 ? n : -EIO; /* no file system should; not to be tried for ever */
            break;
        }
        written += (size_t)n;
    }
    if (done != NULL) {
        *done = written;
    }
    return n < 0 ? n : (ssize_t)written;
}

/* Of futures */

/* A future has no room for it, and perhaps its caller's frame is gone when the turn comes. With a
 * buffered file it says only whose buffer is kept. */
struct future_turn {
    struct turn turn;
    struct iovec part;
};

_Static_assert(sizeof(struct future_turn) <= RTI_HANDLE_BYTES, "it lies in the pool of handles");

static void transfer_ended(struct rti_waiter *waiter)
{
    rti_file_leave((struct rt_file *)waiter->object);
}

/* NULL for want of memory. The buffer is kept as long as the transfer (B4). */
static struct future_turn *make_turn(struct rt_file *file, const struct rti_transfer *transfer)
{
    struct future_turn *turn = rti_pool_get(&file->handle.executor->handles);

    if (turn != NULL) {
        turn->part = *transfer->iov;
        turn->turn.file = file;
        turn->turn.transfer.buffer = transfer->buffer;
        if (transfer->buffer != NULL) {
            transfer->buffer->refs++;
        }
    }
    return turn;
}

static void end_turn(struct future_turn *turn)
{
    if (turn->turn.transfer.buffer != NULL) {
        rti_buffer_release(turn->turn.transfer.buffer);
    }
    rti_pool_put(&turn->turn.file->handle.executor->handles, turn);
}

static void buffer_ended(struct rti_waiter *waiter)
{
    struct future_turn *turn = (struct future_turn *)waiter->object;
    struct rt_file *file = turn->turn.file;

    end_turn(turn);
    rti_file_leave(file);
}

static void direct_ended(struct rti_waiter *waiter)
{
    struct future_turn *turn = (struct future_turn *)waiter->object;

    rti_rwlock_end_read(&turn->turn.file->direct_lock);
    buffer_ended(waiter);
}

/* A future's wait for the end of a misaligned write (F1), before that for its own transfer. */

static void turn_leave(struct rti_waiter *waiter)
{
    struct rt_file *file = (struct rt_file *)waiter->object;

    rti_waiters_remove(&file->futures, rti_queued_of(waiter));
}

/* Where the turn has come the file stays entered until the next poll, or until there will be none
 * (F2): who made room may close files too. */
static void turn_ended(struct rti_waiter *waiter)
{
    if (waiter->result != 0) {
        rti_file_leave((struct rt_file *)waiter->object);
    }
}

static void turn_unheard(struct rti_waiter *waiter)
{
    if (waiter->result == 0) {
        rti_file_leave((struct rt_file *)waiter->object);
    }
}

static const struct rti_wait_kind turn_kind = {
    .name = "direct file", .leave = turn_leave, .ended = turn_ended, .unheard = turn_unheard
};

/* From here on the file is entered until the wait has ended, as for a transfer (F2). */
static int wait_for_turn(struct rt_future *future, struct rt_file *file, rt_time deadline)
{
    struct rti_waiter *waiter = rti_future_waiter(future);

    rti_waiter_init(waiter, &turn_kind);
    waiter->object = file;
    rti_waiters_push(&file->futures, rti_future_memory(future));
    return rti_future_wait(future, deadline);
}

static int check(const struct rt_file *file, const struct rti_transfer *transfer)
{
    if (transfer->offset > INT64_MAX) {
        return -EINVAL; /* all ones would be "the current position" to the kernel */
    }
    if (rti_file_is_direct(file) && !rti_file_is_aligned(file, transfer)) {
        rti_log(&file->handle.executor->log, RT_LOG_ERROR,
                "a future's transfer on a direct file must be aligned: memory to %u bytes, offset "
                "and length to %u",
                file->memory_align, file->offset_align);
        return -EINVAL;
    }
    return 0;
}

/* Of a file that this shard may transfer on now (F1); the lock is let go when it has ended. */
static int begin_direct(struct rt_future *future, struct rt_file *file,
                        const struct rti_transfer *transfer, rt_time deadline)
{
    struct future_turn *turn = make_turn(file, transfer);
    struct rti_transfer kept = *transfer;
    int r;

    if (turn == NULL) {
        r = -ENOMEM;
        goto unlock;
    }
    kept.iov = &turn->part;
    r = take_turn(&turn->turn, rti_future_memory(future), file, &kept);
    if (r < 0) {
        goto end;
    }
    return rti_future_wait(future, deadline);

end:
    end_turn(turn);
unlock:
    rti_rwlock_end_read(&file->direct_lock);
    rti_file_leave(file);
    return r;
}

static int begin_buffered(struct rt_future *future, struct rt_file *file,
                          const struct rti_transfer *transfer, rt_time deadline)
{
    struct io_uring_sqe *sqe;
    int r;

    if (rti_op_lacks_room(future, kind_of(transfer), &sqe, &r)) {
        rti_file_leave(file);
        return r;
    }
    prepare(sqe, file, transfer);
    rti_future_waiter(future)->object = file; /* what transfer_ended() lets go of */
    return rti_op_wait(future, sqe, deadline);
}

static int begin_with_buffer(struct rt_future *future, struct rt_file *file,
                             const struct rti_transfer *transfer, rt_time deadline)
{
    struct future_turn *turn = make_turn(file, transfer);
    struct io_uring_sqe *sqe;
    int r = -ENOMEM;

    if (turn == NULL) {
        goto leave;
    }
    if (rti_op_lacks_room(future, buffer_kind_of(transfer), &sqe, &r)) {
        goto end;
    }
    prepare(sqe, file, transfer);
    rti_future_waiter(future)->object = turn;
    return rti_op_wait(future, sqe, deadline);

end:
    end_turn(turn);
leave:
    rti_file_leave(file);
    return r;
}

/* The file is entered; left again when the transfer has ended, or was not begun. */
static int begin_poll(struct rt_future *future, struct rt_file *file,
                      const struct rti_transfer *transfer, rt_time deadline)
{
    int r = check(file, transfer);

    if (r < 0) {
        rti_file_leave(file);
        return r;
    }
    if (!rti_file_is_direct(file)) {
        return transfer->buffer != NULL ? begin_with_buffer(future, file, transfer, deadline)
                                        : begin_buffered(future, file, transfer, deadline);
    }
    if (!rti_rwlock_try_read(&file->direct_lock)) {
        return wait_for_turn(future, file, deadline);
    }
    return begin_direct(future, file, transfer, deadline);
}

static const struct rti_wait_kind *future_kind_of(const struct rt_file *file,
                                                  const struct rti_transfer *transfer)
{
    if (rti_file_is_direct(file)) {
        return direct_kind_of(transfer);
    }
    return transfer->buffer != NULL ? buffer_kind_of(transfer) : kind_of(transfer);
}

int rti_file_poll_transfer(struct rt_future *future, struct rt_file *file, const char *call,
                           const struct rti_transfer *transfer, rt_time deadline)
{
    int r;

    if (rti_future_waits_by(future, &turn_kind)) {
        if (rti_future_look(future, &turn_kind, call, &r) && r != 0) {
            return r;
        }
        rti_file_leave((struct rt_file *)rti_future_waiter(future)->object);
    } else if (rti_future_look(future, future_kind_of(file, transfer), call, &r)) {
        return r;
    }
    rti_file_enter(file, call);
    note_transfer(file);
    return begin_poll(future, file, transfer, deadline);
}

int rt_poll_file_read_at(struct rt_future *future, struct rt_file *file, void *buf, size_t bytes,
                         uint64_t offset, rt_time deadline)
{
    const struct iovec part = { .iov_base = buf, .iov_len = bytes };
    const struct rti_transfer read = { .iov = &part, .count = 1, .offset = offset };

    return rti_file_poll_transfer(future, file, "rt_poll_file_read_at", &read, deadline);
}

int rt_poll_file_write_at(struct rt_future *future, struct rt_file *file, const void *buf,
                          size_t bytes, uint64_t offset, rt_time deadline)
{
    const struct iovec part = { .iov_base = (void *)(uintptr_t)buf, .iov_len = bytes };
    const struct rti_transfer write = {
        .iov = &part, .count = 1, .offset = offset, .writes = true
    };

    return rti_file_poll_transfer(future, file, "rt_poll_file_write_at", &write, deadline);
}
