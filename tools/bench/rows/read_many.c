/* SPDX-License-Identifier: MIT */
/*
 * Rows read_many and read_many_direct: blocks of 4 KiB, 512 at a time, drawn out of 512 that
 * lie together, so that most have a neighbour; out of the page cache and from the device. A
 * unit is one block.
 *
 * The limit reads block by block, 16 at a time, as rt_read_many() has 16 operations under way:
 * what one would write who knows nothing of neighbours. So it is no minimum where merging
 * pays, and a row that is ahead of it shows what merging is worth; copying out of merged reads
 * is its price.
 *
 * The blocks are drawn before, from the seed: both sides read the same. Each begins with its
 * number; the runtime's side compares it while it warms up.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdlib.h>
#include <string.h>

#include "bench_file.h"
#include "limit.h"
#include "rows.h"

#define BLOCK     BENCH_FILE_BLOCK
#define TOGETHER  512u
#define IN_FLIGHT 16u
#define UNITS_MAX (1u << 18)

/* A repetition. */
struct many {
    struct rt_bench *bench;
    uint64_t *offsets; /* of the warm-up, then of what is measured */
    uint64_t next;
    char *buffers; /* TOGETHER */
    bool direct;
};

static int fail(const struct many *many, int error)
{
    return rt_bench_fail(many->bench, error, "reading: %s", rt_strerror(error));
}

static uint64_t whole_calls(uint64_t units)
{
    return (units + TOGETHER - 1) / TOGETHER * TOGETHER;
}

static uint64_t warm_up_of(const struct rt_bench *bench)
{
    return whole_calls(bench->units / 10 + 1);
}

static void draw_offsets(const struct many *many, uint64_t count)
{
    uint64_t state = many->bench->seed;
    uint64_t start = 0;

    for (uint64_t i = 0; i < count; i++) {
        if (i % TOGETHER == 0) {
            start = bench_draw(&state) % (bench_read_file.blocks - TOGETHER);
        }
        many->offsets[i] = (start + bench_draw(&state) % TOGETHER) * BLOCK;
    }
}

/* End with end_many(), also after a failure. */
static int begin_many(struct many *many, struct rt_bench *bench)
{
    const uint64_t count = warm_up_of(bench) + whole_calls(bench->units);
    const bool *direct = bench->arg;
    int r = bench_file_make(bench, &bench_read_file, BENCH_FILE_BYTES);

    *many = (struct many){ .bench = bench, .direct = *direct };
    r = r == 0 ? bench_file_cache(bench, &bench_read_file, !many->direct) : r;
    if (r < 0) {
        return r;
    }
    many->offsets = calloc(count, sizeof(*many->offsets));
    many->buffers = aligned_alloc(BLOCK, (size_t)TOGETHER * BLOCK);
    if (many->offsets == NULL || many->buffers == NULL) {
        return fail(many, -ENOMEM);
    }
    memset(many->buffers, 0, (size_t)TOGETHER * BLOCK); /* its pages are there */
    draw_offsets(many, count);
    return 0;
}

static void end_many(struct many *many)
{
    free(many->offsets);
    free(many->buffers);
}

/* The runtime's side */

/* 0, or -EIO: it is not the block that was asked for, or not all of it. */
static int check(const struct rt_read_range *range)
{
    uint64_t number;

    memcpy(&number, range->buf, sizeof(number));
    return range->result == BLOCK && number == range->offset / BLOCK ? 0 : -EIO;
}

static int read_together(struct many *many, struct rt_file *file, bool checks)
{
    struct rt_read_range ranges[TOGETHER];
    int r;

    for (uint32_t i = 0; i < TOGETHER; i++) {
        ranges[i] = (struct rt_read_range){ .offset = many->offsets[many->next++],
                                            .bytes = BLOCK,
                                            .buf = many->buffers + (size_t)i * BLOCK };
    }
    r = rt_read_many(file, ranges, TOGETHER, NULL, RT_NEVER);
    for (uint32_t i = 0; checks && r == 0 && i < TOGETHER; i++) {
        r = check(&ranges[i]);
    }
    return r;
}

static int measure_many(struct many *many, struct rt_file *file)
{
    const uint64_t warm_up = warm_up_of(many->bench);
    const uint64_t units = whole_calls(many->bench->units);
    int r = 0;

    while (r == 0 && many->next < warm_up) {
        r = read_together(many, file, true);
    }
    if (r == 0) {
        rt_bench_start(many->bench);
        while (r == 0 && many->next < warm_up + units) {
            r = read_together(many, file, false);
        }
        rt_bench_stop(many->bench, units);
    }
    return r < 0 ? fail(many, r) : 0;
}

static int many_run(struct rt_bench *bench)
{
    struct rt_file *file;
    struct many many;
    int r = begin_many(&many, bench);

    r = r == 0 ? bench_file_open(bench, &bench_read_file, many.direct, &file) : r;
    if (r == 0) {
        r = measure_many(&many, file);
        (void)rt_file_close(file);
    }
    end_many(&many);
    return r;
}

/* The limit's side */

static int read_alone(struct many *many, struct limit_ring *ring, uint64_t count)
{
    const struct limit_reads reads = {
        .fd = many->direct ? bench_read_file.direct : bench_read_file.plain,
        .bytes = BLOCK,
        .in_flight = IN_FLIGHT,
        .buffers = many->buffers,
        .offsets = many->offsets + many->next,
        .count = count,
    };

    many->next += count;
    return limit_ring_reads(ring, &reads);
}

static int many_limit(struct rt_bench *bench)
{
    struct limit_ring *ring = limit_ring_create();
    struct many many;
    int r;

    if (ring == NULL) {
        return rt_bench_fail(bench, -ENOSYS, "no ring; its message is on standard error");
    }
    r = begin_many(&many, bench);
    if (r == 0) {
        r = read_alone(&many, ring, warm_up_of(bench));
        rt_bench_start(bench);
        r = r == 0 ? read_alone(&many, ring, whole_calls(bench->units)) : r;
        rt_bench_stop(bench, whole_calls(bench->units));
        r = r < 0 ? fail(&many, r) : 0;
    }
    limit_ring_destroy(ring);
    end_many(&many);
    return r;
}

static const bool cached = false;
static const bool direct = true;

const struct rt_bench_row bench_rows_read_many[] = {
    {
        .name = "read_many",
        .summary = "a block of 4 KiB of 512 near each other, out of the page cache",
        .run = many_run,
        .limit = many_limit,
        .arg = &cached,
        .units_max = UNITS_MAX,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_RATE,
    },
    {
        .name = "read_many_direct",
        .summary = "a block of 4 KiB of 512 near each other, from the device",
        .run = many_run,
        .limit = many_limit,
        .arg = &direct,
        .units_max = UNITS_MAX,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_RATE,
    },
};
const size_t bench_rows_read_many_count = sizeof(bench_rows_read_many) /
                                          sizeof(bench_rows_read_many[0]);
