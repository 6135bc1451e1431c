/* SPDX-License-Identifier: MIT */
/*
 * pipeline FILE...: counts the lines and bytes of files.
 *
 *     4 readers --- blocks ---> 1 counter --- a oneshot per file ---> first, which prints
 *         ^                        |
 *         +------- buffers --------+
 *
 * Readers fill buffers, the counter gives them back: however large the files are,
 * eight buffers are all the memory, and whoever is faster waits for the other. Files
 * are read side by side, and printed in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)64 * 1024)
#define BUFFERS      8
#define READERS      4

struct file {
    const char *path;
    uint64_t lines;
    uint64_t bytes;
    int error;                 /* why it could not be read, when `counted` was closed */
    struct rt_oneshot counted; /* carries the file itself */
};

struct block {
    struct file *file;
    char *buf; /* NULL: the file ends here */
    ssize_t n; /* bytes in buf; below 0 at the end: why it is not the whole file */
};

struct work {
    struct file *files;
    int count;
    int next;                /* the first file that no reader has taken */
    struct rt_chan *buffers; /* of char *: the free ones */
    struct rt_chan *blocks;  /* of struct block */
    char *memory;            /* of all buffers */
};

/* Send the file block by block; the result is the last block's. */
static ssize_t read_blocks(struct work *work, struct file *file, struct rt_file *from)
{
    struct block block = { .file = file, .n = 1 };
    uint64_t offset = 0;

    for (;;) {
        int r = rt_chan_recv(work->buffers, &block.buf, RT_NEVER);

        if (r < 0) {
            return r;
        }
        block.n = rt_file_read_at(from, block.buf, BUFFER_BYTES, offset, RT_NEVER);
        if (block.n <= 0) {
            r = rt_chan_send(work->buffers, &block.buf, 0); /* there is room: it came from there */
            return r < 0 ? r : block.n;
        }
        r = rt_chan_send(work->blocks, &block, RT_NEVER);
        if (r < 0) {
            return r;
        }
        offset += (uint64_t)block.n;
    }
}

static int reader(void *arg)
{
    struct work *work = arg;
    int r = 0;

    while (r == 0 && work->next < work->count) {
        struct block end = { .file = &work->files[work->next++] };
        struct rt_file *from;

        end.n = rt_file_open(&from, end.file->path, O_RDONLY, 0, RT_NEVER);
        if (end.n == 0) {
            end.n = read_blocks(work, end.file, from);
            (void)rt_file_close(from);
        }
        r = rt_chan_send(work->blocks, &end, RT_NEVER);
    }
    return r;
}

static void count(struct block *block)
{
    const char *end = block->buf + block->n;

    block->file->bytes += (uint64_t)block->n;
    for (const char *at = block->buf; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        block->file->lines++;
    }
}

static int counter(void *arg)
{
    struct work *work = arg;
    struct block block;
    int r;

    while ((r = rt_chan_recv(work->blocks, &block, RT_NEVER)) == 0) {
        if (block.buf != NULL) {
            count(&block);
            r = rt_chan_send(work->buffers, &block.buf, RT_NEVER);
            if (r < 0) {
                return r;
            }
        } else if (block.n == 0) {
            rt_oneshot_send(&block.file->counted, block.file);
        } else {
            block.file->error = (int)block.n;
            rt_oneshot_close(&block.file->counted);
        }
    }
    return r == -EPIPE ? 0 : r; /* closed: there are no more files */
}

/* In the order of the command line, each as soon as it is counted. */
static int print_all(const struct work *work)
{
    int result = 0;

    for (int i = 0; i < work->count; i++) {
        struct file *file = &work->files[i];
        void *counted;
        const int r = rt_oneshot_recv(&file->counted, &counted, RT_NEVER);

        if (r == 0) {
            file = counted;
            printf("%" PRIu64 " %" PRIu64 " %s\n", file->lines, file->bytes, file->path);
        } else if (r == -EPIPE) {
            result = file->error;
            fprintf(stderr, "pipeline: cannot read %s: %s\n", file->path, rt_strerror(result));
        } else {
            return r;
        }
    }
    return result;
}

static int open_channels(struct work *work)
{
    int r = rt_chan_create(&work->blocks, sizeof(struct block), BUFFERS);

    if (r == 0) {
        r = rt_chan_create(&work->buffers, sizeof(char *), BUFFERS);
    }
    work->memory = malloc(BUFFERS * BUFFER_BYTES);
    if (r == 0 && work->memory == NULL) {
        r = -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < BUFFERS; i++) {
        char *buf = work->memory + i * BUFFER_BYTES;

        r = rt_chan_send(work->buffers, &buf, 0);
    }
    return r;
}

static int run(struct work *work)
{
    struct rt_group stages = RT_GROUP_INIT;
    int r = rt_group_spawn(&stages, counter, work);
    int left;

    for (int i = 0; r == 0 && i < READERS; i++) {
        r = rt_group_spawn(&stages, reader, work);
    }
    if (r == 0) {
        r = print_all(work);
    }
    rt_chan_close(work->blocks); /* the counter has nothing more to do */
    left = rt_group_leave(&stages, rt_in(RT_SECONDS(1)));
    return r < 0 ? r : left;
}

static int first(void *arg)
{
    struct work *work = arg;
    int r = open_channels(work);

    r = r == 0 ? run(work) : r;
    rt_chan_destroy(work->buffers);
    rt_chan_destroy(work->blocks);
    free(work->memory);
    return r;
}

static void usage(FILE *stream)
{
    fputs("usage: pipeline FILE...\n"
          "\n"
          "Prints the number of lines and of bytes of each FILE.\n"
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
    struct work work = { 0 };
    const int c = getopt_long(argc, argv, "h", options, NULL);
    int r;

    if (c != -1 || optind == argc) {
        usage(c == 'h' ? stdout : stderr);
        return c == 'h' ? 0 : 2;
    }
    work.count = argc - optind;
    work.files = calloc((size_t)work.count, sizeof(*work.files));
    if (work.files == NULL) {
        fputs("pipeline: no memory\n", stderr);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < work.count; i++) {
        work.files[i] = (struct file){ .path = argv[optind + i], .counted = RT_ONESHOT_INIT };
    }
    r = rt_run(NULL, first, &work);
    free(work.files);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
