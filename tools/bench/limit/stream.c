/* SPDX-License-Identifier: MIT */
/* Rows reader_stream and writer_stream: see stream.h. */
#include "stream.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define BUFFERS_MAX  64u
#define BUFFER_ALIGN 4096u

struct limit_stream {
    struct limit_stream_config config;
    struct limit_ring *ring;
    char *memory;
    uint64_t offset;  /* of what is begun next */
    uint64_t busy;    /* a bit for each buffer that the kernel has */
    uint32_t current; /* the buffer in use */
    uint32_t filled;  /* bytes in it; of a writer */
    int error;        /* the first of a write */
    bool reads;       /* the buffers are filled ahead, from the first limit_stream_next() on */
    int results[BUFFERS_MAX];
};

static char *buffer_at(const struct limit_stream *stream, uint32_t slot)
{
    return stream->memory + (size_t)slot * stream->config.buffer_bytes;
}

/* The queue has more entries than there are buffers. */
static void begin(struct limit_stream *stream, uint32_t slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&stream->ring->ring);
    const struct limit_stream_config *config = &stream->config;
    char *buffer = buffer_at(stream, slot);

    if (stream->reads) {
        io_uring_prep_read(sqe, config->fd, buffer, config->buffer_bytes, stream->offset);
    } else {
        io_uring_prep_write(sqe, config->fd, buffer, config->buffer_bytes, stream->offset);
    }
    sqe->user_data = slot;
    stream->busy |= UINT64_C(1) << slot;
    stream->offset += config->buffer_bytes;
}

static void end(struct limit_stream *stream, const struct io_uring_cqe *cqe)
{
    const uint32_t slot = (uint32_t)cqe->user_data;
    const int whole = (int)stream->config.buffer_bytes;
    const int result = cqe->res == whole ? 0 : cqe->res < 0 ? cqe->res : -EIO;

    stream->busy &= ~(UINT64_C(1) << slot);
    stream->results[slot] = result;
    if (!stream->reads && stream->error == 0) {
        stream->error = result;
    }
}

/* Until the kernel has none of the buffers of `slots`. */
static void wait_for(struct limit_stream *stream, uint64_t slots)
{
    struct io_uring *ring = &stream->ring->ring;

    while ((stream->busy & slots) != 0) {
        const int r = io_uring_submit_and_wait(ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned seen = 0;

        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
            fprintf(stderr, "limit: io_uring_enter: %s\n", strerror(-r));
            abort(); /* nobody can take the buffers back from the kernel */
        }
        io_uring_for_each_cqe(ring, head, cqe)
        {
            end(stream, cqe);
            seen++;
        }
        io_uring_cq_advance(ring, seen);
    }
}

static uint64_t bit(const struct limit_stream *stream)
{
    return UINT64_C(1) << stream->current;
}

/* The device gets it at once: worth 5 % where it is waited for, and nothing elsewhere. */
static void pass_on(struct limit_stream *stream)
{
    begin(stream, stream->current);
    (void)io_uring_submit(&stream->ring->ring); /* what fails is submitted with the wait */
    stream->current = (stream->current + 1) % stream->config.buffers;
}

struct limit_stream *limit_stream_open(const struct limit_stream_config *config)
{
    struct limit_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL || config->buffers > BUFFERS_MAX) {
        free(stream);
        return NULL;
    }
    stream->config = *config;
    stream->offset = config->offset;
    stream->memory = aligned_alloc(BUFFER_ALIGN, (size_t)config->buffers * config->buffer_bytes);
    stream->ring = stream->memory == NULL ? NULL : limit_ring_create();
    if (stream->ring == NULL || limit_ring_keep_workers(stream->ring) < 0) {
        fprintf(stderr, "limit: no memory or no ring for a stream\n");
        if (stream->ring != NULL) {
            limit_ring_destroy(stream->ring);
        }
        free(stream->memory);
        free(stream);
        return NULL;
    }
    return stream;
}

int limit_stream_close(struct limit_stream *stream)
{
    int r;

    wait_for(stream, UINT64_MAX);
    r = stream->error;
    limit_ring_destroy(stream->ring);
    free(stream->memory);
    free(stream);
    return r;
}

int limit_stream_next(struct limit_stream *stream, const char **data)
{
    if (stream->reads) {
        pass_on(stream);
    } else {
        stream->reads = true;
        for (uint32_t slot = 0; slot < stream->config.buffers; slot++) {
            begin(stream, slot);
        }
    }
    wait_for(stream, bit(stream));
    *data = buffer_at(stream, stream->current);
    return stream->results[stream->current];
}

int limit_stream_write(struct limit_stream *stream, const char *data, uint32_t bytes)
{
    while (bytes > 0) {
        const uint32_t room = stream->config.buffer_bytes - stream->filled;
        const uint32_t part = bytes < room ? bytes : room;

        if (stream->filled == 0) {
            wait_for(stream, bit(stream));
        }
        memcpy(buffer_at(stream, stream->current) + stream->filled, data, part);
        stream->filled += part;
        data += part;
        bytes -= part;
        if (stream->filled == stream->config.buffer_bytes) {
            pass_on(stream);
            stream->filled = 0;
        }
    }
    return stream->error;
}

int limit_stream_flush(struct limit_stream *stream)
{
    wait_for(stream, UINT64_MAX);
    return stream->error;
}
