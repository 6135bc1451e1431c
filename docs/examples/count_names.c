/* SPDX-License-Identifier: MIT */
/*
 * How many names there are below a directory: a task for each directory.
 *
 *     count_names /usr/share
 *
 * Shows lists of directories, which no task waits for alone: many directories are
 * read side by side, by the threads for blocking calls. A semaphore bounds how many
 * are open at a time, and a group waits for all tasks, however many they make.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MAX_AT_A_TIME 64

struct count {
    struct rt_group tasks;
    struct rt_semaphore open; /* directories that may still be opened */
    uint64_t names[RT_TYPE_OTHER + 1];
    unsigned failed; /* directories that could not be read */
};

/* A directory that is to be read. */
struct visit {
    struct count *count;
    char path[];
};

static int complain(const char *path, int error)
{
    fprintf(stderr, "count_names: cannot read %s: %s\n", path, rt_strerror(error));
    return error;
}

static int visit(void *arg);

/* A task of its own, for `name` in the directory `path`. */
static int visit_later(struct count *count, const char *path, const char *name)
{
    const size_t bytes = strlen(path) + 1 + strlen(name) + 1;
    struct visit *next = malloc(sizeof(*next) + bytes);
    int r;

    if (next == NULL) {
        return -ENOMEM;
    }
    next->count = count;
    snprintf(next->path, bytes, "%s/%s", path, name);
    r = rt_group_spawn(&count->tasks, visit, next);
    if (r < 0) {
        free(next);
    }
    return r;
}

static int count_entry(struct count *count, const char *path,
                       const struct rt_directory_entry *entry)
{
    count->names[entry->type]++;
    return entry->type == RT_TYPE_DIRECTORY ? visit_later(count, path, entry->name) : 0;
}

static int read_all(struct count *count, const char *path)
{
    const struct rt_directory_entry *entries;
    struct rt_directory *directory;
    ssize_t n = 1;
    int r = rt_directory_open(&directory, NULL, path, RT_NEVER);

    if (r < 0) {
        return r;
    }
    while (r == 0 && n > 0) {
        n = rt_directory_read(directory, &entries, RT_NEVER);
        for (ssize_t i = 0; r == 0 && i < n; i++) {
            r = count_entry(count, path, &entries[i]);
        }
    }
    (void)rt_directory_close(directory);
    return n < 0 ? (int)n : r;
}

static int visit(void *arg)
{
    struct visit *self = arg;
    struct count *count = self->count;
    int r = rt_semaphore_take(&count->open, 1, RT_NEVER);

    if (r == 0) {
        r = read_all(count, self->path);
        rt_semaphore_put(&count->open, 1);
    }
    if (r < 0) {
        count->failed++;
        (void)complain(self->path, r);
    }
    free(self);
    return 0; /* the others go on */
}

static int first(void *arg)
{
    struct count count = { .tasks = RT_GROUP_INIT, .open = RT_SEMAPHORE_INIT(OPEN_MAX_AT_A_TIME) };
    int r = read_all(&count, arg);

    if (r < 0) {
        (void)complain(arg, r);
    }
    (void)rt_group_wait(&count.tasks, RT_NEVER); /* not left yet: tasks make more of them */
    (void)rt_group_leave(&count.tasks, RT_NEVER);
    if (r < 0) {
        return r;
    }
    printf("%" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " links, %" PRIu64 " others\n",
           count.names[RT_TYPE_FILE], count.names[RT_TYPE_DIRECTORY], count.names[RT_TYPE_SYMLINK],
           count.names[RT_TYPE_OTHER] + count.names[RT_TYPE_UNKNOWN]);
    return count.failed == 0 ? 0 : -1;
}

static void usage(FILE *stream)
{
    fputs("usage: count_names DIRECTORY\n"
          "\n"
          "Counts the names below DIRECTORY, by what they stand for. Links are not followed.\n"
          "\n"
          "  --help  this text\n",
          stream);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        usage(c == 'h' ? stdout : stderr);
        return c == 'h' ? 0 : 2;
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    return rt_run(NULL, first, argv[optind]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
