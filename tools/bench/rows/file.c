/* SPDX-License-Identifier: MIT */
/*
 * Rows file_randread, file_randread_fixed and file_randread_buffered: blocks of
 * 4 KiB at random offsets of one file, 32 in flight, past the page cache, the
 * same into registered buffers, and out of the page cache.
 *
 * The file is made once, written to the device, and unlinked at once; it goes
 * with the process. It lies in the folder that RT_BENCH_DIR names, else in
 * TMPDIR, else in /var/tmp, which is on a device where /tmp may be memory. Each
 * block begins with its number; the runtime's side compares it while it warms up.
 *
 * The offsets are drawn before, from the seed: all sides read the same blocks in
 * the same order. 32 tasks take them in turn; the limit has 32 buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "limit.h"
#include "rows.h"

#define BLOCK       4096u
#define IN_FLIGHT   32u
#define CHUNK_BYTES (1u << 20)

/* Many times what a device has as a cache; and with less free space than four times that, less. */
#define FILE_BYTES       (256u << 20)
#define FILE_BYTES_SMALL (64u << 20)

#define FILE_SYSTEM_IN_MEMORY 0x01021994 /* TMPFS_MAGIC: there is no device under it */

#define UNITS_MAX (1u << 20) /* 8 MiB of offsets */
#define PATH_MAX_BYTES 4096

/* The file of the process, made by the first repetition that wants it. */
static struct {
    bool made;
    bool cached; /* all of it is in the page cache, or was */
    int direct;  /* descriptor, opened with O_DIRECT */
    int plain;
    uint64_t blocks;
} the_file;

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

/* The folder cannot be used. */
static int refuse(struct rt_bench *bench, int error, const char *where, const char *what)
{
    return rt_bench_fail(bench, error, "%s: %s: %s; name another folder by RT_BENCH_DIR", where,
                         what, rt_strerror(error));
}

/* The file */

static const char *folder(void)
{
    const char *names[] = { getenv("RT_BENCH_DIR"), getenv("TMPDIR") };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i] != NULL && names[i][0] != '\0') {
            return names[i];
        }
    }
    return "/var/tmp";
}

/* Splitmix64 (Steele, Lea, Flood, 2014): the next number of the sequence that `state` stands in. */
static uint64_t draw(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Random numbers, which no device can store in less, and the number of each block at its begin. */
static void fill_chunk(uint64_t *chunk, uint64_t first_block, uint64_t *state)
{
    for (size_t i = 0; i < CHUNK_BYTES / sizeof(*chunk); i++) {
        const size_t at = i % (BLOCK / sizeof(*chunk));

        chunk[i] = at == 0 ? first_block + i * sizeof(*chunk) / BLOCK : draw(state);
    }
}

/* Past the page cache, so that none of it is there. */
static int write_file(int fd, uint64_t bytes)
{
    uint64_t *chunk = aligned_alloc(BLOCK, CHUNK_BYTES);
    uint64_t state = 1;
    int r = chunk == NULL ? -ENOMEM : 0;

    for (uint64_t at = 0; r == 0 && at < bytes; at += CHUNK_BYTES) {
        ssize_t n;

        fill_chunk(chunk, at / BLOCK, &state);
        n = pwrite(fd, chunk, CHUNK_BYTES, (off_t)at);
        if (n != (ssize_t)CHUNK_BYTES) {
            r = n < 0 ? -errno : -ENOSPC;
        }
    }
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    free(chunk);
    return r;
}

/* A file without a name, open twice. The name is there for a moment only. */
static int open_twice(const char *where, int *direct, int *plain)
{
    char path[PATH_MAX_BYTES];
    int r = 0;

    if (snprintf(path, sizeof(path), "%s/rt-bench-XXXXXX", where) >= (int)sizeof(path)) {
        return -ENAMETOOLONG;
    }
    *plain = mkostemp(path, O_CLOEXEC);
    if (*plain < 0) {
        return -errno;
    }
    *direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (*direct < 0) {
        r = -errno;
        close(*plain);
    }
    (void)unlink(path);
    return r;
}

/* Make the file smaller when there is little room. */
static int choose_size(struct rt_bench *bench, const char *where, uint64_t *bytes)
{
    struct statfs system;

    if (statfs(where, &system) < 0) {
        return refuse(bench, -errno, where, "looking at the folder");
    }
    if (system.f_type == FILE_SYSTEM_IN_MEMORY) {
        return rt_bench_fail(bench, -EINVAL,
                             "%s is in memory; name a folder on a device by RT_BENCH_DIR", where);
    }
    if ((uint64_t)system.f_bavail * (uint64_t)system.f_bsize < UINT64_C(4) * FILE_BYTES) {
        *bytes = FILE_BYTES_SMALL;
    }
    return 0;
}

static int make_file(struct rt_bench *bench)
{
    const char *where = folder();
    uint64_t bytes = FILE_BYTES;
    int direct = -1;
    int plain = -1;
    int r = the_file.made ? 0 : choose_size(bench, where, &bytes);

    if (the_file.made || r < 0) {
        return r;
    }
    r = open_twice(where, &direct, &plain);
    if (r < 0) {
        return refuse(bench, r, where, "a file with O_DIRECT");
    }
    r = write_file(direct, bytes);
    if (r < 0) {
        close(direct);
        close(plain);
        return refuse(bench, r, where, "writing 64 or 256 MiB");
    }
    the_file.direct = direct;
    the_file.plain = plain;
    the_file.blocks = bytes / BLOCK;
    the_file.made = true;
    return 0;
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
    return is_direct(bench) ? the_file.direct : the_file.plain;
}

/* Have the page cache as the row wants it: without the file, or with all of it. */
static int set_cache(struct rt_bench *bench)
{
    char *chunk;
    int r = 0;

    if (is_direct(bench) == !the_file.cached) {
        return 0;
    }
    if (is_direct(bench)) {
        the_file.cached = false;
        return -posix_fadvise(the_file.plain, 0, 0, POSIX_FADV_DONTNEED);
    }
    chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL) {
        return -ENOMEM;
    }
    for (uint64_t at = 0; r == 0 && at < the_file.blocks * BLOCK; at += CHUNK_BYTES) {
        ssize_t n = pread(the_file.plain, chunk, CHUNK_BYTES, (off_t)at);

        r = n == (ssize_t)CHUNK_BYTES ? 0 : n < 0 ? -errno : -EIO;
    }
    free(chunk);
    the_file.cached = r == 0;
    return r;
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
    int r = make_file(bench);

    reads->bench = bench;
    if (r < 0) {
        return r;
    }
    r = set_cache(bench);
    if (r < 0) {
        return fail(bench, r, "reading the file into the page cache, or dropping it from there");
    }
    reads->offsets = calloc(count, sizeof(*reads->offsets));
    reads->buffers = aligned_alloc(BLOCK, (size_t)IN_FLIGHT * BLOCK);
    if (reads->offsets == NULL || reads->buffers == NULL) {
        return fail(bench, -ENOMEM, "offsets and buffers");
    }
    for (uint64_t i = 0; i < count; i++) {
        reads->offsets[i] = draw(&state) % the_file.blocks * BLOCK;
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

/* The file has no name any more: /proc has one for each descriptor. */
static int open_again(struct reads *reads)
{
    char path[64];
    const int flags = O_RDONLY | (is_direct(reads->bench) ? O_DIRECT : 0);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", descriptor(reads->bench));
    return rt_file_open(&reads->file, path, flags, 0, RT_NEVER);
}

static int file_run(struct rt_bench *bench)
{
    struct reads reads = { 0 };
    int r = begin_reads(&reads, bench);

    if (r == 0) {
        r = open_again(&reads);
        if (r < 0) {
            r = fail(bench, r, "opening the file by its descriptor in /proc");
        } else {
            r = measure(&reads, runtime_pass);
            r = r == 0 ? check_registered(bench) : r;
            (void)rt_file_close(reads.file);
        }
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
