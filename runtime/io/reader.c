/* SPDX-License-Identifier: MIT */
/*
 * Readers: see rt/reader.h for the contract.
 *
 * The chunks are a ring. Those from `head` on, `begun` of them, hold the file from the start of
 * the head's buffer without a gap, read or being read.
 *
 * A1 The position lies in the head, or at its end; or nothing is begun.
 * A2 What is behind the head's end was asked for, and is kept, only while the head was whole: at
 *    the end of the file (a short chunk) all else is given up.
 */
#include "rt/reader.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/sized.h"
#include "io/chunk.h"
#include "io/handle.h"
#include "os/sys.h"
#include "rt/task.h"

struct rt_reader {
    struct rti_executor *executor; /* whose it is */
    struct rti_chunk *chunks;      /* ahead_max + 1 */
    uint32_t count;
    uint32_t head;
    uint32_t begun;
    uint32_t ahead; /* wanted beside the head */
    size_t buffer_bytes;
    size_t peeked; /* what may be consumed */
    uint64_t position;
    struct rt_group group;
};

static int read_options(struct rt_reader_options *out, const struct rt_reader_options *options,
                        const struct rt_file *file)
{
    const int r = rti_sized_copy(out, sizeof(*out), options);

    if (r < 0) {
        return r;
    }
    if (out->offset > INT64_MAX || out->reserved != 0) {
        return -EINVAL;
    }
    return rti_chunks_options(&out->buffer_bytes, &out->ahead, file);
}

int rt_reader_open(struct rt_reader **out, struct rt_file *file,
                   const struct rt_reader_options *options)
{
    struct rt_reader_options read;
    struct rti_executor *executor;
    struct rt_reader *reader;
    int r;

    RTI_ASSERT(out != NULL && file != NULL);
    executor = rti_handle_must_own(file, "rt_reader_open");
    r = read_options(&read, options, file);
    if (r < 0) {
        return r;
    }
    reader = rti_sys_alloc(sizeof(*reader));
    if (reader == NULL) {
        return -ENOMEM;
    }
    *reader = (struct rt_reader){ .executor = executor,
                                  .count = read.ahead + 1,
                                  .buffer_bytes = read.buffer_bytes,
                                  .position = read.offset,
                                  .group = RT_GROUP_INIT };
    reader->chunks = rti_chunks_create(reader->count, reader->buffer_bytes, file, false);
    if (reader->chunks == NULL) {
        rti_sys_free(reader);
        return -ENOMEM;
    }
    *out = reader;
    return 0;
}

/* The n-th of those that are begun. */
static struct rti_chunk *chunk_at(const struct rt_reader *reader, uint32_t n)
{
    return &reader->chunks[(reader->head + n) % reader->count];
}

static uint64_t head_start(const struct rt_reader *reader)
{
    return reader->position - reader->position % reader->buffer_bytes;
}

/* What the file has of the head from the position on; below 0: why there is none. */
static ssize_t left_in_head(const struct rt_reader *reader)
{
    const struct rti_chunk *head = chunk_at(reader, 0);
    const uint64_t end = head->offset + head->moved;

    if (end > reader->position) {
        return (ssize_t)(end - reader->position);
    }
    return head->result;
}

/* End all reads; nothing is begun. */
static void give_up(struct rt_reader *reader)
{
    if (reader->begun > 0) {
        (void)rt_group_leave(&reader->group, 0);
        reader->group = (struct rt_group)RT_GROUP_INIT;
        reader->begun = 0;
    }
    reader->peeked = 0;
}

/* What begins at `offset` ends at INT64_MAX at the latest, of a direct file after whole blocks: the
 * kernel refuses more. */
static size_t bytes_from(const struct rt_reader *reader, uint64_t offset)
{
    const uint64_t left = INT64_MAX - offset;

    return left < reader->buffer_bytes ? (size_t)(left - left % reader->chunks[0].unit)
                                       : reader->buffer_bytes;
}

/* Read the head if it is not being read, and what is wanted ahead of it. */
static void begin_reads(struct rt_reader *reader)
{
    const uint64_t start = head_start(reader);

    while (reader->begun <= reader->ahead) {
        const uint64_t offset = start + (uint64_t)reader->begun * reader->buffer_bytes;
        struct rti_chunk *chunk = chunk_at(reader, reader->begun);
        size_t bytes;

        if (offset > INT64_MAX) {
            break;
        }
        bytes = bytes_from(reader, offset);
        if (rti_chunk_begin(chunk, &reader->group, offset, bytes) < 0) {
            if (reader->begun == 0) { /* at the limit of tasks: this one reads */
                rti_chunk_run(chunk, offset, bytes);
                reader->begun = 1;
            }
            break;
        }
        reader->begun++;
    }
}

/* The caller is faster than the reads. */
static void want_more(struct rt_reader *reader)
{
    const uint32_t most = reader->count - 1;
    const uint32_t more = reader->ahead == 0 ? 1 : reader->ahead * 2;

    reader->ahead = more < most ? more : most;
}

static int wait_for_head(struct rt_reader *reader, rt_time deadline)
{
    const bool was_begun = reader->begun > 0;
    struct rti_chunk *head;

    begin_reads(reader);
    head = chunk_at(reader, 0);
    if (!rt_event_is_set(&head->ended) && was_begun) {
        want_more(reader);
        begin_reads(reader);
    }
    return rt_event_wait(&head->ended, deadline);
}

/* The head is used up, and whole: the next one is the head. */
static void pass_head(struct rt_reader *reader)
{
    reader->head = (reader->head + 1) % reader->count;
    reader->begun--;
    if (reader->begun == 0) {
        want_more(reader); /* nothing was ahead */
    }
}

ssize_t rt_reader_peek(struct rt_reader *reader, const void **data, rt_time deadline)
{
    const struct rti_chunk *head;
    ssize_t n;
    int r;

    rti_executor_must_own(reader->executor, "rt_reader_peek");
    reader->peeked = 0;
    if (reader->begun > 0 &&
        reader->position == chunk_at(reader, 0)->offset + reader->buffer_bytes) {
        pass_head(reader);
    }
    r = wait_for_head(reader, deadline);
    if (r < 0) {
        return r;
    }
    head = chunk_at(reader, 0);
    n = left_in_head(reader);
    if (n <= 0) {
        give_up(reader); /* A2; tried again by the next call */
        if (n == -ECANCELED && !rt_cancelled()) {
            return rt_reader_peek(reader, data, deadline); /* the shard ends, not a shielded task */
        }
        return n;
    }
    *data = head->buf + (reader->position - head->offset);
    reader->peeked = (size_t)n;
    return n;
}

void rt_reader_consume(struct rt_reader *reader, size_t bytes)
{
    rti_executor_must_own(reader->executor, "rt_reader_consume");
    if (bytes > reader->peeked) {
        rti_misuse("rt_reader_consume(): %zu bytes of %zu that were peeked", bytes, reader->peeked);
    }
    reader->peeked -= bytes;
    reader->position += bytes;
}

ssize_t rt_reader_read(struct rt_reader *reader, void *buf, size_t bytes, rt_time deadline)
{
    size_t done = 0;

    rti_executor_must_own(reader->executor, "rt_reader_read");
    while (done < bytes) {
        const void *data;
        const ssize_t n = rt_reader_peek(reader, &data, deadline);
        const size_t part = n > 0 && (size_t)n < bytes - done ? (size_t)n : bytes - done;

        if (n <= 0) {
            return n == 0 || done > 0 ? (ssize_t)done : n; /* an error comes again */
        }
        memcpy((char *)buf + done, data, part);
        rt_reader_consume(reader, part);
        done += part;
    }
    return (ssize_t)done;
}

int rt_reader_seek(struct rt_reader *reader, uint64_t offset)
{
    rti_executor_must_own(reader->executor, "rt_reader_seek");
    if (offset > INT64_MAX) {
        return -EINVAL;
    }
    reader->peeked = 0;
    while (reader->begun > 1 && offset >= chunk_at(reader, 1)->offset &&
           rt_event_is_set(&chunk_at(reader, 0)->ended)) {
        reader->head = (reader->head + 1) % reader->count;
        reader->begun--;
    }
    if (reader->begun > 0 && (offset < chunk_at(reader, 0)->offset ||
                              offset >= chunk_at(reader, 0)->offset + reader->buffer_bytes)) {
        give_up(reader);
        reader->ahead = 0; /* what was learned was of another place */
    }
    reader->position = offset;
    return 0;
}

uint64_t rt_reader_position(const struct rt_reader *reader)
{
    rti_executor_must_own(reader->executor, "rt_reader_position");
    return reader->position;
}

uint32_t rt_reader_ahead(const struct rt_reader *reader)
{
    rti_executor_must_own(reader->executor, "rt_reader_ahead");
    return reader->ahead;
}

void rt_reader_close(struct rt_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    rti_executor_must_own(reader->executor, "rt_reader_close");
    give_up(reader);
    rti_chunks_destroy(reader->chunks, reader->count);
    rti_sys_free(reader);
}
