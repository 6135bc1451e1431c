/* SPDX-License-Identifier: MIT */
/*
 * Rows blocking and list_1000: what goes to a thread of the pool and comes back, one after the
 * other. Most of it is two wakes of sleepers.
 *
 * Listing goes there for the ring has no operation for it: a unit is one pass over a folder of
 * 1000 names, made for the repetition: a batch with all of them, and one that says that it was
 * the last. Both sides compare how many there were. Bare is the same on the spot: it blocks
 * its thread where the file system does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_file.h"
#include "pool.h"
#include "rows.h"

#define NAMES      1000u
#define NAME_BYTES 16
#define RAW_BYTES  32768 /* read at once: as the runtime and the C library do */

static int fail(struct rt_bench *bench, int error, const char *what)
{
    return rt_bench_fail(bench, error, "%s: %s", what, rt_strerror(error));
}

/* Warm up, and measure unit by unit. */
static int measure(struct rt_bench *bench, int (*unit)(void *arg), void *arg)
{
    int r = 0;

    for (uint64_t i = 0; r == 0 && i <= bench->units / 10; i++) {
        r = unit(arg);
    }
    if (r == 0) {
        rt_bench_start(bench);
        for (uint64_t i = 0; r == 0 && i < bench->units; i++) {
            r = unit(arg);
        }
        rt_bench_stop(bench, bench->units);
    }
    return r < 0 ? fail(bench, r, "a unit") : 0;
}

/* With a pool of the limit's. */
static int measure_by_pool(struct rt_bench *bench, int (*unit)(void *arg), void *arg)
{
    struct limit_ring *ring = limit_ring_create();
    int r;

    if (ring == NULL) {
        return rt_bench_fail(bench, -ENOSYS, "no ring; its message is on standard error");
    }
    r = limit_pool_begin(ring);
    if (r < 0) {
        r = fail(bench, r, "a thread and an eventfd");
    } else {
        r = measure(bench, unit, arg);
        limit_pool_end();
    }
    limit_ring_destroy(ring);
    return r;
}

/* blocking */

static int add_one(void *arg)
{
    return ++*(int *)arg;
}

static int runtime_call(void *arg)
{
    int *number = arg;
    const int expected = *number + 1;
    int result;
    const int r = rt_blocking(add_one, number, &result, RT_NEVER);

    return r < 0 ? r : result == expected ? 0 : -EIO;
}

static int limit_call(void *arg)
{
    int *number = arg;
    const int expected = *number + 1;

    return limit_pool_call(add_one, number) == expected ? 0 : -EIO;
}

static int blocking_run(struct rt_bench *bench)
{
    int number = 0;

    return measure(bench, runtime_call, &number);
}

static int blocking_limit(struct rt_bench *bench)
{
    int number = 0;

    return measure_by_pool(bench, limit_call, &number);
}

/* list_1000 */

struct listing {
    struct rt_directory *directory; /* of the runtime's side */
    int fd;                         /* of the others */
    bool again;                     /* the next batch is the first */
    uint32_t count;
    char path[BENCH_FOLDER_BYTES];
    char raw[RAW_BYTES] __attribute__((aligned(8)));
};

static void name_of(char *name, uint32_t i)
{
    snprintf(name, NAME_BYTES, "name-%06u", i);
}

/* Links of one file: there is no cheaper name. */
static int make_names(const struct listing *listing)
{
    char first[NAME_BYTES];
    int fd;

    name_of(first, 0);
    fd = openat(listing->fd, first, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        return -errno;
    }
    close(fd);
    for (uint32_t i = 1; i < NAMES; i++) {
        char name[NAME_BYTES];

        name_of(name, i);
        if (linkat(listing->fd, first, listing->fd, name, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}

static void remove_names(struct listing *listing)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        char name[NAME_BYTES];

        name_of(name, i);
        (void)unlinkat(listing->fd, name, 0);
    }
    close(listing->fd);
    (void)rmdir(listing->path);
    free(listing);
}

/* NULL: the row has failed. */
static struct listing *begin_listing(struct rt_bench *bench)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    int r;

    if (listing == NULL) {
        (void)fail(bench, -ENOMEM, "a listing");
        return NULL;
    }
    listing->fd = bench_folder_make(bench, listing->path);
    if (listing->fd < 0) {
        free(listing);
        return NULL;
    }
    r = make_names(listing);
    if (r < 0) {
        (void)fail(bench, r, "making 1000 names");
        remove_names(listing);
        return NULL;
    }
    return listing;
}

static int runtime_list(void *arg)
{
    const struct listing *listing = arg;
    const struct rt_directory_entry *entries;
    uint32_t count = 0;
    ssize_t n;

    rt_directory_rewind(listing->directory);
    while ((n = rt_directory_read(listing->directory, &entries, RT_NEVER)) > 0) {
        count += (uint32_t)n;
    }
    return n < 0 ? (int)n : count == NAMES ? 0 : -EIO;
}

static int list_run(struct rt_bench *bench)
{
    struct listing *listing = begin_listing(bench);
    int r;

    if (listing == NULL) {
        return -EIO;
    }
    r = rt_directory_open(&listing->directory, NULL, listing->path, RT_NEVER);
    r = r < 0 ? fail(bench, r, "opening the folder") : measure(bench, runtime_list, listing);
    (void)rt_directory_close(listing->directory);
    remove_names(listing);
    return r;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* On the pool's thread, or on the spot: what the kernel gave, or -errno. */
static int read_batch(void *arg)
{
    struct listing *listing = arg;
    ssize_t n;

    if (listing->again && lseek(listing->fd, 0, SEEK_SET) < 0) {
        return -errno;
    }
    listing->again = false;
    n = getdents64(listing->fd, listing->raw, sizeof(listing->raw));
    for (ssize_t at = 0; at < n;) {
        const struct dirent64 *record = (const void *)(listing->raw + at);

        listing->count += is_dots(record->d_name) ? 0 : 1;
        at += record->d_reclen;
    }
    return n < 0 ? -errno : (int)n;
}

static int list_by(struct listing *listing, int (*batch)(struct listing *listing))
{
    int r;

    listing->again = true;
    listing->count = 0;
    do {
        r = batch(listing);
    } while (r > 0);
    return r < 0 ? r : listing->count == NAMES ? 0 : -EIO;
}

static int batch_by_pool(struct listing *listing)
{
    return limit_pool_call(read_batch, listing);
}

static int batch_here(struct listing *listing)
{
    return read_batch(listing);
}

static int limit_list(void *arg)
{
    return list_by(arg, batch_by_pool);
}

static int bare_list(void *arg)
{
    return list_by(arg, batch_here);
}

static int list_limit(struct rt_bench *bench)
{
    struct listing *listing = begin_listing(bench);
    int r;

    if (listing == NULL) {
        return -EIO;
    }
    r = measure_by_pool(bench, limit_list, listing);
    remove_names(listing);
    return r;
}

static int list_bare(struct rt_bench *bench)
{
    struct listing *listing = begin_listing(bench);
    int r;

    if (listing == NULL) {
        return -EIO;
    }
    r = measure(bench, bare_list, listing);
    remove_names(listing);
    return r;
}

const struct rt_bench_row bench_rows_blocking[] = {
    {
        .name = "blocking",
        .summary = "a function on a thread of the pool, and back, one after the other",
        .run = blocking_run,
        .limit = blocking_limit,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_WORKERS,
    },
    {
        .name = "list_1000",
        .summary = "a folder of 1000 names listed, by a thread of the pool",
        .run = list_run,
        .limit = list_limit,
        .bare = list_bare,
        .flags = RT_BENCH_SLEEPS | RT_BENCH_WORKERS,
    },
};
const size_t bench_rows_blocking_count = sizeof(bench_rows_blocking) /
                                         sizeof(bench_rows_blocking[0]);
