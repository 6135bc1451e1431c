/* SPDX-License-Identifier: MIT */
/*
 * Rows of files from front to back: reader_stream, reader_stream_direct, writer_stream,
 * writer_stream_direct, by buffers of 128 KiB with four of them under way; a unit is a MiB, so the
 * rate is MiB per second.
 *
 * A reader's buffers are used where they lie: of each, the number of its first block is compared,
 * on all sides. A writer is given pieces of 64 KiB, which it copies, over a file that is there
 * already; the clock stops when it is closed, and all is in the file. Nothing is synced: that is
 * the device's time. What was written last is read back, when the clock has stopped.
 *
 * The warm-up is the beginning of the same stream.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_file.h"
#include "rows.h"
#include "stream.h"

#define UNIT_BYTES   ((uint64_t)1 << 20)
#define BUFFER_BYTES 131072u
#define UNDER_WAY    4u
#define PIECE_BYTES  65536u
#define UNITS_MAX    56 /* with the warm-up they fit into the small file */

static struct bench_file written_file;

struct kind {
    bool direct;
    bool writes;
};

/* A repetition. */
struct stream {
    struct rt_bench *bench;
    struct bench_file *file;
    char *piece; /* what a writer writes, again and again; a reader has no use for it */
    uint64_t at; /* in the file */
    union {
        struct rt_reader *reader;
        struct rt_writer *writer;
        struct limit_stream *limit;
    } via;
};

static const struct kind *kind_of(const struct stream *stream)
{
    return stream->bench->arg;
}

static int descriptor(const struct stream *stream)
{
    return kind_of(stream)->direct ? stream->file->direct : stream->file->plain;
}

static int fail(const struct stream *stream, int error)
{
    return rt_bench_fail(stream->bench, error, "%s a file: %s",
                         kind_of(stream)->writes ? "writing" : "reading", rt_strerror(error));
}

/* End with end_stream(), also after a failure. */
static int begin_stream(struct stream *stream, struct rt_bench *bench)
{
    const struct kind *kind = bench->arg;
    uint64_t state = bench->seed;
    int r;

    *stream = (struct stream){ .bench = bench,
                               .file = kind->writes ? &written_file : &bench_read_file };
    r = bench_file_make(bench, stream->file,
                        kind->writes ? BENCH_FILE_BYTES_SMALL : BENCH_FILE_BYTES);
    r = r == 0 ? bench_file_cache(bench, stream->file, !kind->direct) : r;
    if (r < 0) {
        return r;
    }
    stream->piece = aligned_alloc(BENCH_FILE_BLOCK, PIECE_BYTES);
    if (stream->piece == NULL) {
        return fail(stream, -ENOMEM);
    }
    for (size_t i = 0; i < PIECE_BYTES; i += sizeof(state)) {
        const uint64_t number = bench_draw(&state);

        memcpy(stream->piece + i, &number, sizeof(number));
    }
    return 0;
}

static void end_stream(struct stream *stream)
{
    free(stream->piece);
}

/* Past the page cache or out of it, as it was written. */
static int read_back(const struct stream *stream)
{
    char *last = aligned_alloc(BENCH_FILE_BLOCK, PIECE_BYTES);
    ssize_t n;
    int r;

    if (last == NULL) {
        return -ENOMEM;
    }
    n = pread(descriptor(stream), last, PIECE_BYTES, (off_t)(stream->at - PIECE_BYTES));
    r = n < 0 ? -errno : 0;
    if (r == 0 && (n != PIECE_BYTES || memcmp(last, stream->piece, PIECE_BYTES) != 0)) {
        r = -EIO;
    }
    free(last);
    return r;
}

/* Warm up and measure by `pass`, which goes on until `end`; a stream is to have settled then. */
static int measure(struct stream *stream, int (*pass)(struct stream *stream, uint64_t end),
                   int (*settle)(struct stream *stream), int (*finish)(struct stream *stream))
{
    struct rt_bench *bench = stream->bench;
    const uint64_t warm_up = bench->units / 10 + 1;
    int closed;
    int r = pass(stream, warm_up * UNIT_BYTES);

    r = r == 0 ? settle(stream) : r;
    if (r == 0) {
        rt_bench_start(bench);
        r = pass(stream, (warm_up + bench->units) * UNIT_BYTES);
    }
    closed = finish(stream);
    r = r < 0 ? r : closed;
    if (r == 0) {
        rt_bench_stop(bench, bench->units);
        r = kind_of(stream)->writes ? read_back(stream) : 0;
    }
    return r < 0 ? fail(stream, r) : 0;
}

static int check(const struct stream *stream, const void *data)
{
    uint64_t number;

    memcpy(&number, data, sizeof(number));
    return number == stream->at / BENCH_FILE_BLOCK ? 0 : -EIO;
}

static int nothing_to_settle(struct stream *stream)
{
    (void)stream;
    return 0;
}

/* The runtime's side */

static int runtime_read(struct stream *stream, uint64_t end)
{
    while (stream->at < end) {
        const void *data;
        const ssize_t n = rt_reader_peek(stream->via.reader, &data, RT_NEVER);
        const int r = n > 0 ? check(stream, data) : n < 0 ? (int)n : -EIO;

        if (r < 0) {
            return r;
        }
        rt_reader_consume(stream->via.reader, (size_t)n);
        stream->at += (uint64_t)n;
    }
    return 0;
}

static int runtime_end_read(struct stream *stream)
{
    rt_reader_close(stream->via.reader);
    return 0;
}

static int runtime_write(struct stream *stream, uint64_t end)
{
    int r = 0;

    while (r == 0 && stream->at < end) {
        r = rt_writer_write(stream->via.writer, stream->piece, PIECE_BYTES, NULL, RT_NEVER);
        stream->at += PIECE_BYTES;
    }
    return r;
}

static int runtime_flush(struct stream *stream)
{
    return rt_writer_flush(stream->via.writer, RT_NEVER);
}

static int runtime_end_write(struct stream *stream)
{
    return rt_writer_close(stream->via.writer);
}

static int run_over(struct stream *stream, struct rt_file *file)
{
    struct rt_reader_options reading = RT_READER_OPTIONS_INIT;
    struct rt_writer_options writing = RT_WRITER_OPTIONS_INIT;
    int r;

    reading.buffer_bytes = writing.buffer_bytes = BUFFER_BYTES;
    reading.ahead = writing.behind = UNDER_WAY;
    if (kind_of(stream)->writes) {
        r = rt_writer_open(&stream->via.writer, file, &writing);
        return r < 0 ? fail(stream, r)
                     : measure(stream, runtime_write, runtime_flush, runtime_end_write);
    }
    r = rt_reader_open(&stream->via.reader, file, &reading);
    return r < 0 ? fail(stream, r)
                 : measure(stream, runtime_read, nothing_to_settle, runtime_end_read);
}

static int stream_run(struct rt_bench *bench)
{
    struct stream stream;
    struct rt_file *file;
    int r = begin_stream(&stream, bench);

    if (r == 0) {
        r = bench_file_open(bench, stream.file, kind_of(&stream)->direct, &file);
    }
    if (r == 0) {
        r = run_over(&stream, file);
        (void)rt_file_close(file);
    }
    end_stream(&stream);
    return r;
}

/* The limit's side */

static int limit_read(struct stream *stream, uint64_t end)
{
    while (stream->at < end) {
        const char *data;
        int r = limit_stream_next(stream->via.limit, &data);

        r = r == 0 ? check(stream, data) : r;
        if (r < 0) {
            return r;
        }
        stream->at += BUFFER_BYTES;
    }
    return 0;
}

static int limit_write(struct stream *stream, uint64_t end)
{
    int r = 0;

    while (r == 0 && stream->at < end) {
        r = limit_stream_write(stream->via.limit, stream->piece, PIECE_BYTES);
        stream->at += PIECE_BYTES;
    }
    return r;
}

static int limit_flush(struct stream *stream)
{
    return limit_stream_flush(stream->via.limit);
}

static int limit_end(struct stream *stream)
{
    return limit_stream_close(stream->via.limit);
}

static int stream_limit(struct rt_bench *bench)
{
    struct stream stream;
    int r = begin_stream(&stream, bench);

    if (r == 0) {
        const struct limit_stream_config config = { .fd = descriptor(&stream),
                                                    .buffer_bytes = BUFFER_BYTES,
                                                    .buffers = UNDER_WAY + 1 };

        stream.via.limit = limit_stream_open(&config);
        if (stream.via.limit == NULL) {
            r = rt_bench_fail(bench, -ENOSYS, "no stream; its message is on standard error");
        } else if (kind_of(&stream)->writes) {
            r = measure(&stream, limit_write, limit_flush, limit_end);
        } else {
            r = measure(&stream, limit_read, nothing_to_settle, limit_end);
        }
    }
    end_stream(&stream);
    return r;
}

static const struct kind reader = { .direct = false };
static const struct kind reader_direct = { .direct = true };
static const struct kind writer = { .writes = true };
static const struct kind writer_direct = { .direct = true, .writes = true };

#define ROW(of, text)                                                                              \
    .summary = (text), .run = stream_run, .limit = stream_limit, .arg = &(of),                     \
    .units_max = UNITS_MAX, .flags = RT_BENCH_SLEEPS | RT_BENCH_RATE | RT_BENCH_WORKERS

const struct rt_bench_row bench_rows_stream[] = {
    { .name = "reader_stream",
      ROW(reader, "a MiB out of the page cache, read ahead in buffers of 128 KiB") },
    { .name = "reader_stream_direct",
      ROW(reader_direct, "a MiB from the device, read ahead in buffers of 128 KiB") },
    { .name = "writer_stream",
      ROW(writer, "a MiB into the page cache, written behind in buffers of 128 KiB") },
    { .name = "writer_stream_direct",
      ROW(writer_direct, "a MiB to the device, written behind in buffers of 128 KiB") },
};
const size_t bench_rows_stream_count = sizeof(bench_rows_stream) / sizeof(bench_rows_stream[0]);
