/* SPDX-License-Identifier: MIT */
/* Files for rows of storage: see bench_file.h. */
#include "bench_file.h"

#include <errno.h>
#include <fcntl.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <unistd.h>

#define CHUNK_BYTES    (1u << 20)
#define PATH_MAX_BYTES 4096
#define FOLDER_PATTERN "%s/rt-bench-XXXXXX"

#define FILE_SYSTEM_IN_MEMORY 0x01021994 /* TMPFS_MAGIC: there is no device under it */

struct bench_file bench_read_file;

/* The folder cannot be used. */
static int refuse(struct rt_bench *bench, int error, const char *where, const char *what)
{
    return rt_bench_fail(bench, error, "%s: %s: %s; name another folder by RT_BENCH_DIR", where,
                         what, rt_strerror(error));
}

static const char *choose_folder(void)
{
    const char *names[] = { getenv("RT_BENCH_DIR"), getenv("TMPDIR") };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i] != NULL && names[i][0] != '\0') {
            return names[i];
        }
    }
    return "/var/tmp";
}

/* 0, and the bytes that are free. */
static int look_at(struct rt_bench *bench, const char *where, uint64_t *free_bytes)
{
    struct statfs system;

    if (statfs(where, &system) < 0) {
        return refuse(bench, -errno, where, "looking at the folder");
    }
    if (system.f_type == FILE_SYSTEM_IN_MEMORY) {
        return rt_bench_fail(bench, -EINVAL,
                             "%s is in memory; name a folder on a device by RT_BENCH_DIR", where);
    }
    *free_bytes = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
    return 0;
}

int bench_folder_make(struct rt_bench *bench, char *path)
{
    const char *where = choose_folder();
    uint64_t free_bytes;
    int fd = look_at(bench, where, &free_bytes);

    if (fd < 0) {
        return fd;
    }
    if (snprintf(path, BENCH_FOLDER_BYTES, FOLDER_PATTERN, where) >= BENCH_FOLDER_BYTES) {
        return refuse(bench, -ENAMETOOLONG, where, "a folder in it");
    }
    if (mkdtemp(path) == NULL) {
        return refuse(bench, -errno, where, "a folder in it");
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fd = refuse(bench, -errno, path, "opening it");
        (void)rmdir(path);
    }
    return fd;
}

uint64_t bench_draw(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void fill_chunk(uint64_t *chunk, uint64_t first_block, uint64_t *state)
{
    for (size_t i = 0; i < CHUNK_BYTES / sizeof(*chunk); i++) {
        const size_t at = i % (BENCH_FILE_BLOCK / sizeof(*chunk));

        chunk[i] = at == 0 ? first_block + i * sizeof(*chunk) / BENCH_FILE_BLOCK
                           : bench_draw(state);
    }
}

/* Past the page cache, so that none of it is there. */
static int write_file(int fd, uint64_t bytes)
{
    uint64_t *chunk = aligned_alloc(BENCH_FILE_BLOCK, CHUNK_BYTES);
    uint64_t state = 1;
    int r = chunk == NULL ? -ENOMEM : 0;

    for (uint64_t at = 0; r == 0 && at < bytes; at += CHUNK_BYTES) {
        ssize_t n;

        fill_chunk(chunk, at / BENCH_FILE_BLOCK, &state);
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

    if (snprintf(path, sizeof(path), FOLDER_PATTERN, where) >= (int)sizeof(path)) {
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

int bench_file_make(struct rt_bench *bench, struct bench_file *file, uint64_t bytes)
{
    const char *where = choose_folder();
    uint64_t free_bytes = 0;
    int direct = -1;
    int plain = -1;
    int r = file->made ? 0 : look_at(bench, where, &free_bytes);

    if (file->made || r < 0) {
        return r;
    }
    if (free_bytes < 4 * bytes) {
        bytes = BENCH_FILE_BYTES_SMALL;
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
    *file = (struct bench_file){
        .made = true, .direct = direct, .plain = plain, .blocks = bytes / BENCH_FILE_BLOCK
    };
    return 0;
}

static int fill_cache(const struct bench_file *file)
{
    char *chunk = malloc(CHUNK_BYTES);
    int r = chunk == NULL ? -ENOMEM : 0;

    for (uint64_t at = 0; r == 0 && at < file->blocks * BENCH_FILE_BLOCK; at += CHUNK_BYTES) {
        ssize_t n = pread(file->plain, chunk, CHUNK_BYTES, (off_t)at);

        r = n == (ssize_t)CHUNK_BYTES ? 0 : n < 0 ? -errno : -EIO;
    }
    free(chunk);
    return r;
}

int bench_file_cache(struct rt_bench *bench, struct bench_file *file, bool cached)
{
    int r;

    if (cached == file->cached) {
        return 0;
    }
    file->cached = false;
    r = cached ? fill_cache(file) : -posix_fadvise(file->plain, 0, 0, POSIX_FADV_DONTNEED);
    if (r < 0) {
        return rt_bench_fail(bench, r,
                             "reading the file into the page cache, or dropping it from there: %s",
                             rt_strerror(r));
    }
    file->cached = cached;
    return 0;
}

/* The file has no name any more: /proc has one for each descriptor. */
int bench_file_open(struct rt_bench *bench, const struct bench_file *file, bool direct,
                    struct rt_file **out)
{
    char path[64];
    int r;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file->plain);
    r = rt_file_open(out, path, O_RDWR | (direct ? O_DIRECT : 0), 0, RT_NEVER);
    if (r < 0) {
        return rt_bench_fail(bench, r, "opening the file by its descriptor in /proc: %s",
                             rt_strerror(r));
    }
    return 0;
}
