/* SPDX-License-Identifier: MIT */
/* Chunk: see chunk.h for the idea. */
#include "io/chunk.h"

#include <errno.h>

#include "base/assert.h"
#include "base/list.h"
#include "core/executor.h"
#include "io/file.h"
#include "os/sys.h"
#include "rt/scope.h"

#define BUFFER_DEFAULT ((uint32_t)128 * 1024)
#define BUFFER_MAX     ((uint32_t)16 * 1024 * 1024)
#define BESIDE_DEFAULT 4u
#define BESIDE_MAX     64u

/* Where the next operation begins, counted from the chunk's start. */
static size_t next_start(const struct rti_chunk *chunk)
{
    return chunk->writes ? chunk->moved : chunk->moved - chunk->moved % chunk->unit;
}

/* An operation from `start` has moved `n` bytes, or failed. Whether there is more to do. */
static bool goes_on(struct rti_chunk *chunk, size_t start, ssize_t n)
{
    const size_t before = chunk->moved;

    chunk->moved = start + (n > 0 ? (size_t)n : 0); /* what was read twice may be lost */
    if (n < 0 || chunk->moved <= before) {          /* an error, or the end of the file */
        chunk->result = n < 0 ? (int)n : chunk->writes ? -EIO : 0;
        return false;
    }
    if (chunk->moved < chunk->bytes) {
        chunk->result = -ECANCELED; /* if it is not polled any more */
        return true;
    }
    chunk->result = 0;
    return false;
}

static const char *call_of(const struct rti_chunk *chunk)
{
    return chunk->writes ? "rt_writer_write" : "rt_reader_peek";
}

static struct rti_transfer transfer_from(const struct rti_chunk *chunk, size_t start,
                                         struct iovec *part)
{
    *part = (struct iovec){ .iov_base = chunk->buf + start, .iov_len = chunk->bytes - start };
    return (struct rti_transfer){ .iov = part,
                                  .buffer = chunk->buffer,
                                  .count = 1,
                                  .offset = chunk->offset + start,
                                  .writes = chunk->writes };
}

static int poll_chunk(struct rt_future *future)
{
    struct rti_chunk *chunk = RTI_CONTAINER_OF(future, struct rti_chunk, future);
    size_t start;
    int n;

    do {
        struct rti_transfer transfer;
        struct iovec part;

        start = next_start(chunk);
        transfer = transfer_from(chunk, start, &part);
        n = rti_file_poll_transfer(future, chunk->file, call_of(chunk), &transfer, RT_NEVER);
        if (n == RT_PENDING) {
            return RT_PENDING;
        }
    } while (goes_on(chunk, start, n));
    return chunk->result;
}

static void drop_chunk(struct rt_future *future)
{
    struct rti_chunk *chunk = RTI_CONTAINER_OF(future, struct rti_chunk, future);

    rt_event_set(&chunk->ended); /* C1 */
}

static void prepare(struct rti_chunk *chunk, uint64_t offset, size_t bytes)
{
    RTI_DASSERT(rt_event_is_set(&chunk->ended));
    chunk->future = (struct rt_future)RT_FUTURE_INIT(poll_chunk, drop_chunk);
    chunk->offset = offset;
    chunk->bytes = bytes;
    chunk->moved = 0;
    chunk->result = -ECANCELED; /* if it is never polled to its end */
}

int rti_chunk_begin(struct rti_chunk *chunk, struct rt_group *group, uint64_t offset, size_t bytes)
{
    int r;

    prepare(chunk, offset, bytes);
    rt_event_reset(&chunk->ended);
    r = rt_group_spawn_future(group, &chunk->future);
    if (r < 0) {
        rt_event_set(&chunk->ended);
    }
    return r;
}

void rti_chunk_run(struct rti_chunk *chunk, uint64_t offset, size_t bytes)
{
    struct rt_scope shield;
    size_t start;
    ssize_t n;

    prepare(chunk, offset, bytes);
    rt_shield(&shield, RT_NEVER); /* as the task of its own would not be cancelled either */
    do {
        struct rti_transfer transfer;
        struct iovec part;

        start = next_start(chunk);
        transfer = transfer_from(chunk, start, &part);
        n = rti_file_transfer(chunk->file, &transfer, call_of(chunk), RT_NEVER);
    } while (goes_on(chunk, start, n));
    rt_scope_leave(&shield);
}

static uint32_t unit_of(const struct rt_file *file)
{
    return rti_file_is_direct(file) ? file->offset_align : 1;
}

bool rti_chunk_fits(size_t buffer_bytes, const struct rt_file *file)
{
    return buffer_bytes % RTI_CHUNK_ALIGN == 0 && buffer_bytes % unit_of(file) == 0 &&
           file->memory_align <= RTI_CHUNK_ALIGN;
}

int rti_chunks_options(uint32_t *buffer_bytes, uint32_t *beside, const struct rt_file *file)
{
    *buffer_bytes = *buffer_bytes == 0 ? BUFFER_DEFAULT : *buffer_bytes;
    *beside = *beside == 0 ? BESIDE_DEFAULT : *beside;
    return *buffer_bytes <= BUFFER_MAX && *beside <= BESIDE_MAX &&
                   rti_chunk_fits(*buffer_bytes, file)
               ? 0
               : -EINVAL;
}

/* Of the pool; where that has none, and for a file in the page cache, where it would save nothing,
 * of the heap. */
static bool take_buffer(struct rti_chunk *chunk, size_t buffer_bytes)
{
    if (!rti_file_is_direct(chunk->file) || buffer_bytes > RTI_BUFFER_MAX ||
        rti_buffers_get(&rti_current->buffers, &chunk->buffer, buffer_bytes) < 0) {
        return false;
    }
    chunk->buf = rti_buffer_memory(chunk->buffer);
    return true;
}

static bool take_memory(struct rti_chunk *chunk, size_t buffer_bytes)
{
    chunk->memory = rti_sys_alloc_unset(buffer_bytes + RTI_CHUNK_ALIGN - 1);
    chunk->buf = (char *)(((uintptr_t)chunk->memory + RTI_CHUNK_ALIGN - 1) &
                          ~(uintptr_t)(RTI_CHUNK_ALIGN - 1));
    return chunk->memory != NULL;
}

struct rti_chunk *rti_chunks_create(uint32_t count, size_t buffer_bytes, struct rt_file *file,
                                    bool writes)
{
    struct rti_chunk *chunks = rti_sys_alloc(count * sizeof(*chunks));

    for (uint32_t i = 0; chunks != NULL && i < count; i++) {
        chunks[i] = (struct rti_chunk){
            .ended = RT_EVENT_INIT, .file = file, .writes = writes, .unit = unit_of(file)
        };
        rt_event_set(&chunks[i].ended);
        if (!take_buffer(&chunks[i], buffer_bytes) && !take_memory(&chunks[i], buffer_bytes)) {
            rti_chunks_destroy(chunks, i);
            return NULL;
        }
    }
    return chunks;
}

void rti_chunks_destroy(struct rti_chunk *chunks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (chunks[i].buffer != NULL) {
            rti_buffer_release(chunks[i].buffer);
        } else {
            rti_sys_free(chunks[i].memory);
        }
    }
    rti_sys_free(chunks);
}
