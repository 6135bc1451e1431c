/* SPDX-License-Identifier: MIT */
/*
 * Rows file_randread, file_randread_fixed and file_randread_buffered: blocks of
 * 4 KiB at random offsets of one file, 32 in flight, past the page cache, the
 * same into registered buffers, and out of the page cache.
 *
 * Each block of the file (bench_file.h) begins with its number; the runtime's side
 * compares it while it warms up.
 *
 * The offsets are drawn before, from the seed: all sides read the same blocks in
 * the same order. 32 tasks take them in turn; the limit has 32 buffers.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_file.h"
#include "limit.h"
#include "rows.h"

#define BLOCK     BENCH_FILE_BLOCK
#define IN_FLIGHT 32u
#define UNITS_MAX (1u << 20) /* 8 MiB of offsets */

/* A repetition. */
struct reads {
    struct rt_bench *bench;
    uint64_t *offsets; /* of the warm-up, then of what is measured */
    uint64_t next, end;
    char *buffers;
    struct rt_file *file; /* of the runtime's side */
    bool warming_up;
};

static int fail(struct rt_bench *bench, int error, const char *what)
{
    return rt_bench_fail(bench, error, "%s: %s", what, rt_strerror(error));
}

struct kind {
    bool direct;
    bool fixed; /* into registered buffers */
};

static const struct kind *kind_of(const struct rt_bench *bench)
{
    return bench->arg;
}

static bool is_direct(const struct rt_bench *bench)
{
    return kind_of(bench)->direct;
}

static int descriptor(const struct rt_bench *bench)
{
    return is_direct(bench) ? bench_read_file.direct : bench_read_file.plain;
}

/* A repetition */

static void end_reads(struct reads *reads)
{
    free(reads->offsets);
    free(reads->buffers);
}

static uint64_t warm_up_of(const struct rt_bench *bench)
{
    return bench->units / 10 + IN_FLIGHT;
}

/* End with end_reads(), also after a failure. */
static int begin_reads(struct reads *reads, struct rt_bench *bench)
{
    const uint64_t count = bench->units + warm_up_of(bench);
    uint64_t state = bench->seed;
    int r = bench_file_make(bench, &bench_read_file, BENCH_FILE_BYTES);

    reads->bench = bench;
    if (r < 0) {
        return r;
    }
    r = bench_file_cache(bench, &bench_read_file, !is_direct(bench));
    if (r < 0) {
        return r;
    }
    reads->offsets = calloc(count, sizeof(*reads->offsets));
    reads->buffers = aligned_alloc(BLOCK, (size_t)IN_FLIGHT * BLOCK);
    if (reads->offsets == NULL || reads->buffers == NULL) {
        return fail(bench, -ENOMEM, "offsets and buffers");
    }
    for (uint64_t i = 0; i < count; i++) {
        reads->offsets[i] = bench_draw(&state) % bench_read_file.blocks * BLOCK;
    }
    return 0;
}

/* Warm up and measure by `pass`, which does the reads from `next` to `end`. */
static int measure(struct reads *reads, int (*pass)(struct reads *reads))
{
    struct rt_bench *bench = reads->bench;
    int r;

    reads->warming_up = true;
    reads->end = warm_up_of(bench);
    r = pass(reads);
    if (r == 0) {
        reads->warming_up = false;
        reads->end += bench->units;
        rt_bench_start(bench);
        r = pass(reads);
        rt_bench_stop(bench, bench->units);
    }
    return r < 0 ? fail(bench, r, "reading") : 0;
}

/* The runtime's side */

struct reader {
    struct reads *reads;
    char *buf;
    struct rt_buffer *buffer; /* that `buf` is in; NULL: an ordinary one */
};

static ssize_t read_block(const struct reader *reader, uint64_t offset)
{
    struct rt_file *file = reader->reads->file;

    return reader->buffer != NULL
               ? rt_file_read_buffer(file, reader->buffer, 0, BLOCK, offset, RT_NEVER)
               : rt_file_read_at(file, reader->buf, BLOCK, offset, RT_NEVER);
}

/* 0, or -EIO: it is not the block that was asked for, or not all of it. */
static int check(const struct reader *reader, uint64_t offset, ssize_t n)
{
    uint64_t number;

    if (n != BLOCK) {
        return n < 0 ? (int)n : -EIO;
    }
    memcpy(&number, reader->buf, sizeof(number));
    return !reader->reads->warming_up || number == offset / BLOCK ? 0 : -EIO;
}

static int reader_main(void *arg)
{
    const struct reader *reader = arg;
    struct reads *reads = reader->reads;
    const bool recording = reads->bench->recording != 0 && !reads->warming_up;
    int r = 0;

    while (r == 0 && reads->next < reads->end) {
        const uint64_t offset = reads->offsets[reads->next++];
        const rt_time start = recording ? rt_now() : 0;
        const ssize_t n = read_block(reader, offset);

        if (recording) {
            rt_bench_record(reads->bench, (uint64_t)(rt_now() - start));
        }
        r = check(reader, offset, n);
    }
    return r;
}

static int init_reader(struct reader *reader, struct reads *reads, uint32_t index)
{
    int r = 0;

    *reader = (struct reader){ .reads = reads, .buf = reads->buffers + (size_t)index * BLOCK };
    if (kind_of(reads->bench)->fixed) {
        r = rt_buffer_get(&reader->buffer, BLOCK);
        reader->buf = r == 0 ? rt_buffer_data(reader->buffer) : NULL;
    }
    return r;
}

static int runtime_pass(struct reads *reads)
{
    struct reader readers[IN_FLIGHT] = { 0 };
    struct rt_group group = RT_GROUP_INIT;
    int r = 0;
    int first_error;

    for (uint32_t i = 0; r == 0 && i < IN_FLIGHT; i++) {
        r = init_reader(&readers[i], reads, i);
        if (r == 0) {
            r = rt_group_spawn(&group, reader_main, &readers[i]);
        }
    }
    first_error = rt_group_leave(&group, r < 0 ? 0 : RT_NEVER);
    for (uint32_t i = 0; i < IN_FLIGHT; i++) {
        rt_buffer_put(readers[i].buffer);
    }
    return r < 0 ? r : first_error;
}

/* What was measured is what the row says. */
static int check_registered(struct rt_bench *bench)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    if (kind_of(bench)->fixed && stats.buffer_bytes_unregistered > 0) {
        return fail(bench, -ENOMEM,
                    "registering buffers; raise ulimit -l, and do not disable "
                    "fixed_buffers");
    }
    return 0;
}

static int file_run(struct rt_bench *bench)
{
    struct reads reads = { 0 };
    int r = begin_reads(&reads, bench);

    if (r == 0) {
        r = bench_file_open(bench, &bench_read_file, is_direct(bench), &reads.file);
    }
    if (r == 0) {
        r = measure(&reads, runtime_pass);
        r = r == 0 ? check_registered(bench) : r;
        (void)rt_file_close(reads.file);
    }
    end_reads(&reads);
    return r;
}

/* The limit's side */

struct limit_side {
    struct reads reads; /* first: a pass is given this */
    struct limit_ring *ring;
};

static void record(void *arg, int64_t ns)
{
    rt_bench_record(arg, (uint64_t)ns);
}

static int limit_pass(struct reads *reads)
{
    struct limit_side *side = (struct limit_side *)reads;
    const bool recording = reads->bench->recording != 0 && !reads->warming_up;
    const struct limit_reads limit = {
        .fd = descriptor(reads->bench),
        .bytes = BLOCK,
        .in_flight = IN_FLIGHT,
        .buffers = reads->buffers,
        .fixed = kind_of(reads->bench)->fixed,
        .offsets = reads->offsets + reads->next,
        .count = reads->end - reads->next,
        .done = recording ? record : NULL,
        .arg = reads->bench,
    };

    reads->next = reads->end;
    return limit_ring_reads(side->ring, &limit);
}

static int file_limit(struct rt_bench *bench)
{
    struct limit_side side = { .ring = limit_ring_create() };
    int r;

    if (side.ring == NULL) {
        return rt_bench_fail(bench, -ENOSYS, "no ring; its message is on standard error");
    }
    r = begin_reads(&side.reads, bench);
    if (r == 0 && kind_of(bench)->fixed) {
        r = limit_ring_register(side.ring, side.reads.buffers, (size_t)IN_FLIGHT * BLOCK);
        r = r < 0 ? fail(bench, r, "registering the limit's buffers") : 0;
    }
    if (r == 0) {
        r = measure(&side.reads, limit_pass);
    }
    limit_ring_destroy(side.ring);
    end_reads(&side.reads);
    return r;
}

static const struct kind direct = { .direct = true };
static const struct kind fixed = { .direct = true, .fixed = true };
static const struct kind buffered = { .direct = false };

const struct rt_bench_row bench_rows_file[] = {
    {
        .name = "file_randread",
        .summary = "a read of 4 KiB from the device, 32 in flight",
        .run = file_run,
        .limit = file_limit,
        .arg = &direct,
        .units_max = UNITS_MAX,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_RECORDS | RT_BENCH_RATE,
    },
    {
        .name = "file_randread_fixed",
        .summary = "a read of 4 KiB from the device into a registered buffer, 32 in flight",
        .run = file_run,
        .limit = file_limit,
        .arg = &fixed,
        .units_max = UNITS_MAX,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_RECORDS | RT_BENCH_RATE,
    },
    {
        .name = "file_randread_buffered",
        .summary = "a read of 4 KiB out of the page cache, 32 in flight",
        .run = file_run,
        .limit = file_limit,
        .arg = &buffered,
        .units_max = UNITS_MAX,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_RECORDS | RT_BENCH_RATE,
    },
};
const size_t bench_rows_file_count = sizeof(bench_rows_file) / sizeof(bench_rows_file[0]);
