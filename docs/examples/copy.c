/* SPDX-License-Identifier: MIT */
/*
 * copy [--force] FROM TO: copies a file, and shows how far it is.
 *
 * Eight tasks copy chunks side by side, so that the device always has work; a
 * ninth prints the progress line ten times a second when it goes to a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)256 * 1024)
#define COPIERS     8

struct copy {
    const char *from_path;
    const char *to_path;
    int force;
    struct rt_file *from;
    struct rt_file *to;
    uint64_t size;
    uint64_t next; /* where the next chunk begins */
    uint64_t done; /* bytes written */
    rt_time start;
};

static int copy_chunk(struct copy *copy, char *buf, uint64_t offset, size_t bytes)
{
    ssize_t n = rt_file_read_all(copy->from, buf, bytes, offset, NULL, RT_NEVER);

    if (n >= 0 && (size_t)n < bytes) {
        n = -EIO; /* the file became shorter while we read it */
    }
    if (n >= 0) {
        n = rt_file_write_all(copy->to, buf, bytes, offset, NULL, RT_NEVER);
    }
    if (n < 0) {
        return (int)n;
    }
    copy->done += bytes;
    return 0;
}

static int copier(void *arg)
{
    struct copy *copy = arg;
    char *buf = malloc(CHUNK_BYTES);
    int r = buf == NULL ? -ENOMEM : 0;

    while (r == 0 && copy->next < copy->size) {
        const uint64_t offset = copy->next;
        const uint64_t left = copy->size - offset;

        copy->next += CHUNK_BYTES;
        r = copy_chunk(copy, buf, offset, left < CHUNK_BYTES ? left : CHUNK_BYTES);
    }
    if (r < 0) {
        copy->next = copy->size; /* the other copiers stop too */
    }
    free(buf);
    return r;
}

static void show(const struct copy *copy, char end)
{
    const double seconds = (double)(rt_now() - copy->start) / 1e9;
    const double done = (double)copy->done;

    fprintf(stderr, "\r%5.1f %%  %.1f of %.1f MiB  %.0f MiB/s %c",
            copy->size > 0 ? 100.0 * done / (double)copy->size : 100.0, done / 1048576.0,
            (double)copy->size / 1048576.0, seconds > 0 ? done / 1048576.0 / seconds : 0.0, end);
}

static int progress(void *arg)
{
    while (rt_sleep_until(rt_in(RT_MILLISECONDS(100))) == 0) {
        show(arg, ' ');
    }
    return 0;
}

static int copy_all(struct copy *copy)
{
    struct rt_group copiers = RT_GROUP_INIT;
    struct rt_task *shower = NULL;
    int r = 0;

    if (isatty(STDERR_FILENO)) {
        r = rt_spawn(&shower, progress, copy);
    }
    for (int i = 0; r == 0 && i < COPIERS; i++) {
        r = rt_group_spawn(&copiers, copier, copy);
    }
    if (r < 0) {
        rt_group_cancel(&copiers);
    }
    if (r == 0) {
        r = rt_group_leave(&copiers, RT_NEVER);
    } else {
        (void)rt_group_leave(&copiers, RT_NEVER);
    }
    if (shower != NULL) {
        rt_cancel(shower);
        (void)rt_join(shower, NULL, RT_NEVER);
    }
    return r == 0 ? rt_file_sync(copy->to, RT_NEVER) : r;
}

static int complain(const char *what, const char *path, int r)
{
    fprintf(stderr, "copy: cannot %s %s: %s\n", what, path, rt_strerror(r));
    return r;
}

/* Whether TO is FROM by another name: to empty it would lose what is to be copied. */
static int is_same_file(struct copy *copy, const struct rt_file_stat *from)
{
    struct rt_file_stat stat;
    struct rt_file *to;
    int r = rt_file_open(&to, copy->to_path, O_WRONLY, 0, RT_NEVER);

    if (r < 0) {
        return 0; /* not there, or the real open will tell */
    }
    r = rt_file_stat(to, &stat, RT_NEVER);
    (void)rt_file_close(to);
    return r == 0 && stat.inode == from->inode && stat.device == from->device;
}

static int copy_opened(struct copy *copy)
{
    struct rt_file_stat stat;
    const int flags = O_WRONLY | O_CREAT | (copy->force ? O_TRUNC : O_EXCL);
    int r = rt_file_stat(copy->from, &stat, RT_NEVER);

    if (r < 0) {
        return complain("stat", copy->from_path, r);
    }
    if (copy->force && is_same_file(copy, &stat)) {
        return complain("copy onto itself", copy->to_path, -EINVAL);
    }
    copy->size = stat.size_bytes;
    r = rt_file_open(&copy->to, copy->to_path, flags, stat.mode & 0777, RT_NEVER);
    if (r < 0) {
        return complain(r == -EEXIST ? "overwrite without --force" : "create", copy->to_path, r);
    }
    r = copy_all(copy);
    if (r < 0) {
        complain("copy to", copy->to_path, r);
    }
    (void)rt_file_close(copy->to);
    if (r == 0) {
        show(copy, '\n');
    }
    return r;
}

static int first(void *arg)
{
    struct copy *copy = arg;
    int r = rt_file_open(&copy->from, copy->from_path, O_RDONLY, 0, RT_NEVER);

    copy->start = rt_now();
    if (r < 0) {
        return complain("open", copy->from_path, r);
    }
    r = copy_opened(copy);
    (void)rt_file_close(copy->from);
    return r;
}

static void usage(FILE *stream)
{
    fputs("usage: copy [--force] FROM TO\n"
          "\n"
          "Copies the file FROM to TO and makes it durable.\n"
          "\n"
          "  --force  overwrite TO if it exists\n"
          "  --help   this text\n",
          stream);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "force", no_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct copy copy = { 0 };
    int c;

    while ((c = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
        if (c == 'f') {
            copy.force = 1;
        } else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind + 2 != argc) {
        usage(stderr);
        return 2;
    }
    copy.from_path = argv[optind];
    copy.to_path = argv[optind + 1];
    return rt_run(NULL, first, &copy) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
