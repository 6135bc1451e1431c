/* SPDX-License-Identifier: MIT */
/* Files before and after the jobs; by plain blocking calls, for no shard runs yet. */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <rt/rt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "block.h"

#define MARK          "user.rt-storage" /* of files that this program has made */
#define CHUNK_BYTES   (UINT32_C(1) << 20)
#define SHOWN_EVERY   RT_MILLISECONDS(250)
#define BYTES_PER_MIB 1048576.0

__attribute__((format(printf, 3, 4))) static int complain(const char *path, int error,
                                                          const char *format, ...)
{
    va_list args;

    fprintf(stderr, "rt-storage: %s: ", path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return error;
}

static struct layout_file *find(const struct layout *layout, const char *path)
{
    for (size_t i = 0; i < layout->count; i++) {
        if (strcmp(layout->files[i].path, path) == 0) {
            return &layout->files[i];
        }
    }
    return NULL;
}

/* The file's entry, new if need be; NULL: no memory. */
static struct layout_file *find_or_add(struct layout *layout, const char *path)
{
    struct layout_file *file = find(layout, path);
    struct layout_file *more;

    if (file != NULL) {
        return file;
    }
    more = realloc(layout->files, (layout->count + 1) * sizeof(*more));
    if (more == NULL) {
        return NULL;
    }
    layout->files = more;
    more[layout->count] = (struct layout_file){ .path = strdup(path) };
    return more[layout->count].path == NULL ? NULL : &more[layout->count++];
}

static int path_of(const struct job *job, uint32_t instance, size_t file, char path[PATH_MAX])
{
    return job_file(job, instance, file, path, PATH_MAX) < PATH_MAX
               ? 0
               : complain(path, -ENAMETOOLONG, "job %s: this path is too long", job->name);
}

static int add_file(struct layout *layout, const struct job *job, uint32_t instance, size_t number)
{
    char path[PATH_MAX];
    struct layout_file *file;
    const uint64_t wanted = job->size == 0 ? 0 : job->offset + job->size / job_file_count(job);
    const int r = path_of(job, instance, number, path);

    if (r < 0) {
        return r;
    }
    file = find_or_add(layout, path);
    if (file == NULL) {
        return complain(path, -ENOMEM, "no memory");
    }
    file->wanted = wanted > file->wanted ? wanted : file->wanted;
    file->user = file->user != NULL ? file->user : job;
    if (file->writer == NULL && (job_writes(job) || job->unlink)) {
        file->writer = job;
    }
    if (file->reader == NULL && job_reads(job)) {
        file->reader = job;
    }
    return 0;
}

static int collect(struct layout *layout, const struct job *job)
{
    const uint32_t instances = job->file_count > 0 ? 1 : job->instances;
    int r = 0;

    for (uint32_t instance = 0; r == 0 && instance < instances; instance++) {
        for (size_t file = 0; r == 0 && file < job_file_count(job); file++) {
            r = add_file(layout, job, instance, file);
        }
    }
    return r;
}

/* Filling */

static int write_all(int fd, const char *chunk, size_t bytes, uint64_t at)
{
    while (bytes > 0) {
        const ssize_t n = pwrite(fd, chunk, bytes, (off_t)at);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            chunk += n;
            bytes -= (size_t)n;
            at += (uint64_t)n;
        }
    }
    return 0;
}

static void show(const struct layout_file *file, uint64_t at, char end)
{
    fprintf(stderr, "\rlaying out %s: %3.0f %% of %.0f MiB \033[K%c", file->path,
            100.0 * (double)at / (double)file->wanted, (double)file->wanted / BYTES_PER_MIB, end);
}

/* From the end of the file on; the numbers at a place are the same whoever asks. */
static int fill(const struct layout_file *file, int fd, bool progress)
{
    char *chunk = malloc(CHUNK_BYTES);
    rt_time shown = rt_now();
    uint64_t at = file->bytes;
    int r = chunk == NULL ? -ENOMEM : 0;

    while (r == 0 && at < file->wanted) {
        const uint64_t left = file->wanted - at;
        const size_t bytes = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;

        block_randomise(chunk, bytes, at + 1);
        r = write_all(fd, chunk, bytes, at);
        at += bytes;
        if (progress && rt_now() - shown > SHOWN_EVERY) {
            shown = rt_now();
            show(file, at, ' ');
        }
    }
    free(chunk);
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    if (progress) {
        show(file, at, '\n');
    }
    return r;
}

/* Room, so that a full device is met now and not in the middle of a job. */
static int reserve(const struct layout_file *file, int fd)
{
    if (fallocate(fd, 0, 0, (off_t)file->wanted) == 0) {
        return 0;
    }
    if (errno != EOPNOTSUPP) {
        return -errno;
    }
    return ftruncate(fd, (off_t)file->wanted) < 0 ? -errno : 0;
}

static int grow(struct layout_file *file, int fd, bool progress)
{
    const int r = file->reader != NULL ? fill(file, fd, progress) : reserve(file, fd);

    if (r < 0) {
        return complain(file->path, r, "laying out %" PRIu64 " bytes: %s", file->wanted,
                        strerror(-r));
    }
    file->bytes = file->wanted;
    return 0;
}

static int create(struct layout_file *file, bool progress)
{
    int fd;
    int r;

    if (file->wanted == 0) {
        return complain(file->path, -ENOENT,
                        "does not exist, and job %s gives no size to make it with",
                        file->user->name);
    }
    fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        r = -errno;
        return complain(file->path, r, "making it for job %s: %s", file->user->name, strerror(-r));
    }
    /* Where there are no such attributes the next run asks to be allowed; nothing worse. */
    (void)fsetxattr(fd, MARK, "1", 1, 0);
    r = grow(file, fd, progress);
    if (r < 0) {
        (void)unlink(file->path);
    }
    close(fd);
    return r;
}

/* What is there already */

static bool is_ours(int fd)
{
    char mark;

    return fgetxattr(fd, MARK, &mark, sizeof(mark)) == 1;
}

static int check_regular(struct layout_file *file, int fd, bool may_change, bool progress)
{
    const bool allowed = may_change || is_ours(fd);

    if (file->writer != NULL && !allowed) {
        return complain(file->path, -EEXIST,
                        "exists, and job %s would write to it or remove it; give --allow-overwrite "
                        "if what it holds may go",
                        file->writer->name);
    }
    if (file->bytes >= file->wanted) {
        return 0;
    }
    if (!allowed) {
        return complain(file->path, -EFBIG,
                        "has %" PRIu64 " bytes, and job %s wants %" PRIu64
                        "; give a smaller size, or --allow-overwrite if it may be made longer",
                        file->bytes, file->user->name, file->wanted);
    }
    return grow(file, fd, progress);
}

static int check_device(struct layout_file *file, int fd, bool may_overwrite)
{
    if (ioctl(fd, BLKGETSIZE64, &file->bytes) < 0) {
        const int r = -errno;

        return complain(file->path, r, "asking for the size of the device: %s", strerror(-r));
    }
    if (file->writer != NULL && !may_overwrite) {
        return complain(file->path, -EEXIST,
                        "is a block device, and job %s would write to it; give --allow-overwrite "
                        "if what it holds may go",
                        file->writer->name);
    }
    return file->bytes >= file->wanted
               ? 0
               : complain(file->path, -EFBIG,
                          "the device has %" PRIu64 " bytes, and job %s wants %" PRIu64,
                          file->bytes, file->user->name, file->wanted);
}

static int check_there(struct layout_file *file, int fd, bool may_overwrite, bool progress)
{
    struct stat stat;

    if (fstat(fd, &stat) < 0) {
        return complain(file->path, -errno, "looking at it: %s", strerror(errno));
    }
    file->bytes = (uint64_t)stat.st_size;
    if (S_ISREG(stat.st_mode)) {
        return check_regular(file, fd, may_overwrite, progress);
    }
    return S_ISBLK(stat.st_mode)
               ? check_device(file, fd, may_overwrite)
               : complain(file->path, -EINVAL, "is neither a file nor a block device");
}

static int prepare(struct layout_file *file, bool may_overwrite, bool progress)
{
    int fd = open(file->path, (file->writer != NULL ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    int r;

    if (fd < 0 && errno == ENOENT) {
        return create(file, progress);
    }
    if (fd < 0) {
        r = -errno;
        return complain(file->path, r, "opening it for job %s: %s", file->user->name, strerror(-r));
    }
    r = check_there(file, fd, may_overwrite, progress);
    close(fd);
    return r;
}

int layout_make(struct layout *layout, const struct job *jobs, size_t count, bool may_overwrite,
                bool progress)
{
    int r = 0;

    *layout = (struct layout){ 0 };
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = collect(layout, &jobs[i]);
    }
    for (size_t i = 0; r == 0 && i < layout->count; i++) {
        r = prepare(&layout->files[i], may_overwrite, progress);
    }
    return r;
}

uint64_t layout_size(const struct layout *layout, const struct job *job, uint32_t instance)
{
    uint64_t least = UINT64_MAX;

    if (job->size > 0) {
        return job->size;
    }
    for (size_t i = 0; i < job_file_count(job); i++) {
        char path[PATH_MAX];
        const struct layout_file *file;
        uint64_t bytes;

        (void)job_file(job, instance, i, path, sizeof(path));
        file = find(layout, path);
        bytes = file != NULL && file->bytes > job->offset ? file->bytes - job->offset : 0;
        least = bytes < least ? bytes : least;
    }
    return least * job_file_count(job); /* files have equal parts */
}

/* Around the jobs */

static int each_file(const struct job *job, int (*act)(const char *path))
{
    const uint32_t instances = job->file_count > 0 ? 1 : job->instances;
    int r = 0;

    for (uint32_t instance = 0; r == 0 && instance < instances; instance++) {
        for (size_t file = 0; r == 0 && file < job_file_count(job); file++) {
            char path[PATH_MAX];

            (void)job_file(job, instance, file, path, sizeof(path));
            r = act(path);
        }
    }
    return r;
}

static int invalidate(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r;

    if (fd < 0) {
        r = -errno;
        return complain(path, r, "opening it to drop its page cache: %s", strerror(-r));
    }
    r = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return r == 0 ? 0 : complain(path, -r, "dropping its page cache: %s", strerror(r));
}

int layout_invalidate(const struct job *job)
{
    return each_file(job, invalidate);
}

/* Jobs may share a file: that another one has removed it is well. Devices stay. */
static int remove_file(const char *path)
{
    struct stat stat;

    if (lstat(path, &stat) == 0 && S_ISBLK(stat.st_mode)) {
        return 0;
    }
    if (unlink(path) == 0 || errno == ENOENT) {
        return 0;
    }
    return complain(path, -errno, "removing it: %s", strerror(errno));
}

int layout_unlink(const struct job *job)
{
    return each_file(job, remove_file);
}

void layout_fini(struct layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) {
        free(layout->files[i].path);
    }
    free(layout->files);
}
