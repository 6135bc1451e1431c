/* SPDX-License-Identifier: MIT */
/*
 * Writers: see rt/writer.h for the contract.
 *
 * The chunks are a ring. Those from `head` on, `begun` of them, are being written, or were and
 * are not yet looked at; the one after them is filled. They follow each other in the file
 * without a gap.
 *
 * B1 flushed + what the begun ones hold + filled = position.
 * B2 No buffer goes over a multiple of its size in the file, so that after an odd flush the
 *    next ones are whole blocks again.
 */
#include "rt/writer.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/sized.h"
#include "io/chunk.h"
#include "io/handle.h"
#include "os/sys.h"
#include "rt/scope.h"
#include "rt/task.h"

struct rt_writer {
    struct rti_executor *executor; /* whose it is */
    struct rt_file *file;
    struct rti_chunk *chunks; /* behind + 1 */
    uint32_t count;
    uint32_t head;
    uint32_t begun;
    int error; /* the first */
    size_t buffer_bytes;
    size_t filled;
    uint64_t position;
    uint64_t flushed;
    uint64_t synced;
    uint64_t reserve; /* 0: none, or the file system cannot */
    uint64_t reserved;
    struct rt_group group;
};

static int read_options(struct rt_writer_options *out, const struct rt_writer_options *options,
                        const struct rt_file *file)
{
    const int r = rti_sized_copy(out, sizeof(*out), options);

    if (r < 0) {
        return r;
    }
    if (out->offset > INT64_MAX || out->reserve_bytes > INT64_MAX || out->reserved != 0) {
        return -EINVAL;
    }
    return rti_chunks_options(&out->buffer_bytes, &out->behind, file);
}

int rt_writer_open(struct rt_writer **out, struct rt_file *file,
                   const struct rt_writer_options *options)
{
    struct rt_writer_options read;
    struct rti_executor *executor;
    struct rt_writer *writer;
    int r;

    RTI_ASSERT(out != NULL && file != NULL);
    executor = rti_handle_must_own(file, "rt_writer_open");
    r = read_options(&read, options, file);
    if (r < 0) {
        return r;
    }
    writer = rti_sys_alloc(sizeof(*writer));
    if (writer == NULL) {
        return -ENOMEM;
    }
    *writer = (struct rt_writer){ .executor = executor,
                                  .file = file,
                                  .count = read.behind + 1,
                                  .buffer_bytes = read.buffer_bytes,
                                  .position = read.offset,
                                  .flushed = read.offset,
                                  .synced = read.offset,
                                  .reserve = read.reserve_bytes,
                                  .reserved = read.offset,
                                  .group = RT_GROUP_INIT };
    writer->chunks = rti_chunks_create(writer->count, writer->buffer_bytes, file, true);
    if (writer->chunks == NULL) {
        rti_sys_free(writer);
        return -ENOMEM;
    }
    *out = writer;
    return 0;
}

static struct rti_chunk *chunk_at(const struct rt_writer *writer, uint32_t n)
{
    return &writer->chunks[(writer->head + n) % writer->count];
}

/* Look at those that have ended, in order. Only the end of the shard cancels their tasks, and what
 * was taken is written then too: by this one. */
static void take_ended(struct rt_writer *writer)
{
    while (writer->begun > 0 && rt_event_is_set(&chunk_at(writer, 0)->ended)) {
        struct rti_chunk *chunk = chunk_at(writer, 0);

        if (writer->error == 0 && chunk->result == -ECANCELED) {
            rti_chunk_run(chunk, chunk->offset, chunk->bytes);
        }
        if (writer->error == 0 && chunk->result < 0) {
            writer->error = chunk->result;
        }
        if (writer->error == 0) {
            writer->flushed += chunk->moved;
        }
        writer->head = (writer->head + 1) % writer->count;
        writer->begun--;
    }
}

/* At most `most` are under way. */
static int wait_for_room(struct rt_writer *writer, uint32_t most, rt_time deadline)
{
    int r = 0;

    take_ended(writer);
    while (r == 0 && writer->begun > most) {
        r = rt_event_wait(&chunk_at(writer, 0)->ended, deadline);
        take_ended(writer);
    }
    return writer->error != 0 ? writer->error : r;
}

/* What is filled goes to the kernel. There is room for one more behind it, or will be. */
static void begin_write(struct rt_writer *writer)
{
    struct rti_chunk *chunk = chunk_at(writer, writer->begun);
    const uint64_t offset = writer->position - writer->filled;

    const bool part_of_block = (offset | writer->filled) % chunk->unit != 0;

    /* at the limit of tasks this one writes too */
    if (part_of_block || rti_chunk_begin(chunk, &writer->group, offset, writer->filled) < 0) {
        rti_chunk_run(chunk, offset, writer->filled);
    }
    writer->begun++;
    writer->filled = 0;
}

/* The device rested, as after a burst of completions: it gets its write before more is copied. Else
 * all that are copied now would go to it as one, and end as one, again and again. */
static void start_device(const struct rt_writer *writer)
{
    if (writer->begun == 1 && chunk_at(writer, 0)->unit > 1) {
        rt_yield(); /* the chunk's task makes the request, and as the device rests that goes */
    }
}

/* There is space for what is filled, where the file system lets us reserve it. */
static int reserve(struct rt_writer *writer, rt_time deadline)
{
    int r = 0;

    while (r == 0 && writer->reserve > 0 && writer->reserved < writer->position &&
           writer->reserved <= INT64_MAX - writer->reserve) {
        r = rt_file_allocate(writer->file, RT_FILE_RESERVE, writer->reserved, writer->reserve,
                             deadline);
        if (r == -EOPNOTSUPP) {
            writer->reserve = 0; /* space comes with each write, as without the option */
            return 0;
        }
        writer->reserved += r == 0 ? writer->reserve : 0;
    }
    if (r < 0 && r != -ETIME && r != -ECANCELED) {
        writer->error = r;
        writer->reserved += writer->reserve; /* some of it may be there */
    }
    return r;
}

/* What was reserved and not used: setting the length, to what it is, gives back what lies beyond.
 * Where that cannot be (before Linux 6.9) the space stays the file's. */
static void give_back(struct rt_writer *writer)
{
    struct rt_file_stat stat;
    int r;

    if (writer->reserve == 0 || writer->reserved <= writer->flushed) {
        return;
    }
    r = rt_file_stat(writer->file, &stat, RT_NEVER);
    if (r == 0 && stat.size_bytes < writer->reserved) {
        r = rt_file_truncate(writer->file, stat.size_bytes, RT_NEVER);
    }
    (void)r;
}

/* How much the buffer that is filled still takes (B2). */
static size_t room(const struct rt_writer *writer)
{
    const size_t left = writer->buffer_bytes - (size_t)(writer->position % writer->buffer_bytes);

    return writer->position < INT64_MAX - left ? left : (size_t)(INT64_MAX - writer->position);
}

int rt_writer_write(struct rt_writer *writer, const void *buf, size_t bytes, size_t *done,
                    rt_time deadline)
{
    size_t taken = 0;
    int r;

    rti_executor_must_own(writer->executor, "rt_writer_write");
    r = wait_for_room(writer, writer->count, deadline); /* an error that has come */
    while (r == 0 && taken < bytes) {
        size_t part = room(writer);

        if (part == 0) {
            r = -EFBIG;
            break;
        }
        r = wait_for_room(writer, writer->count - 1, deadline);
        if (r < 0) {
            break;
        }
        part = part < bytes - taken ? part : bytes - taken;
        memcpy(chunk_at(writer, writer->begun)->buf + writer->filled, (const char *)buf + taken,
               part);
        taken += part;
        writer->filled += part;
        writer->position += part;
        if (writer->position % writer->buffer_bytes == 0) {
            r = reserve(writer, deadline);
            if (writer->error == 0) {
                begin_write(writer);
                start_device(writer);
            }
        }
    }
    if (done != NULL) {
        *done = taken;
    }
    return r;
}

int rt_writer_flush(struct rt_writer *writer, rt_time deadline)
{
    int r;

    rti_executor_must_own(writer->executor, "rt_writer_flush");
    r = wait_for_room(writer, writer->count, deadline);
    if (r == 0 && writer->filled > 0) {
        begin_write(writer);
    }
    return r == 0 ? wait_for_room(writer, 0, deadline) : r;
}

int rt_writer_sync(struct rt_writer *writer, rt_time deadline)
{
    int r;

    rti_executor_must_own(writer->executor, "rt_writer_sync");
    r = rt_writer_flush(writer, deadline);
    if (r < 0) {
        return r;
    }
    r = rt_file_datasync(writer->file, deadline);
    if (r == 0) {
        writer->synced = writer->flushed;
    } else if (r != -ETIME && r != -ECANCELED) {
        writer->error = r;
    }
    return r;
}

uint64_t rt_writer_position(const struct rt_writer *writer)
{
    rti_executor_must_own(writer->executor, "rt_writer_position");
    return writer->position;
}

uint64_t rt_writer_flushed(const struct rt_writer *writer)
{
    rti_executor_must_own(writer->executor, "rt_writer_flushed");
    return writer->flushed;
}

uint64_t rt_writer_synced(const struct rt_writer *writer)
{
    rti_executor_must_own(writer->executor, "rt_writer_synced");
    return writer->synced;
}

int rt_writer_close(struct rt_writer *writer)
{
    struct rt_scope shield;
    int r;

    if (writer == NULL) {
        return 0;
    }
    rti_executor_must_own(writer->executor, "rt_writer_close");
    rt_shield(&shield, RT_NEVER); /* a cancel loses nothing that was taken */
    r = rt_writer_flush(writer, RT_NEVER);
    (void)rt_group_leave(&writer->group, RT_NEVER); /* after an error: those under way still */
    give_back(writer);
    rt_scope_leave(&shield);
    rti_chunks_destroy(writer->chunks, writer->count);
    rti_sys_free(writer);
    return r;
}
