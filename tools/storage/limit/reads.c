/* SPDX-License-Identifier: MIT */
/*
 * The least that random reads of 4 KiB can cost: a loop on the ring, and nothing around it.
 *
 *     reads FILE DEPTH SECONDS CPU direct|cached [BATCH]
 *
 * One thread on one CPU; a registered file, registered buffers. What has completed is taken, each
 * makes room for the next read, and one call submits them all and waits for one. With BATCH, a call
 * submits whenever so many are ready, before the rest has been taken. It prints, in JSON, reads per
 * second, microseconds of CPU time and calls of io_uring_enter for each: what
 * tools/storage/fio_figures compares rt-storage with.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "draw.h"

#define BLOCK     4096u
#define DEPTH_MAX 4096u
#define ENTRIES   4096u /* as DEPTH_MAX: there is always room */
#define SECOND    INT64_C(1000000000)

struct load {
    struct io_uring ring;
    char *buffers;
    uint64_t blocks; /* of the file */
    uint64_t random;
    uint64_t done;
    uint64_t enters;
    uint32_t depth;
    uint32_t batch;
    uint32_t in_flight;
    int fd;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "reads: %s: %s\n", what, strerror(-error));
    exit(EXIT_FAILURE);
}

static void check(const char *what, int r)
{
    if (r < 0) {
        fail(what, r);
    }
}

static int64_t clock_of(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

static void begin(struct load *load, uint64_t slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&load->ring);

    io_uring_prep_read_fixed(sqe, 0, load->buffers + slot * BLOCK, BLOCK,
                             draw_below(&load->random, load->blocks) * BLOCK, 0);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = slot;
    load->in_flight++;
}

static void submit(struct load *load, unsigned wait)
{
    const int r = io_uring_submit_and_wait(&load->ring, wait);

    load->enters++;
    if (r != -EINTR) {
        check("io_uring_enter", r);
    }
}

/* All that are there; each makes room for the next one, unless it is over. */
static void take(struct load *load, bool over)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;

    io_uring_for_each_cqe(&load->ring, head, cqe)
    {
        if (cqe->res != (int)BLOCK) {
            fail("reading", cqe->res < 0 ? cqe->res : -EIO);
        }
        load->in_flight--;
        load->done++;
        seen++;
        if (over) {
            continue;
        }
        begin(load, cqe->user_data);
        if (io_uring_sq_ready(&load->ring) == load->batch) {
            submit(load, 0);
        }
    }
    io_uring_cq_advance(&load->ring, seen);
}

static void run(struct load *load, int64_t time)
{
    const int64_t cpu = clock_of(CLOCK_THREAD_CPUTIME_ID);
    const int64_t start = clock_of(CLOCK_MONOTONIC);
    int64_t took = 0;

    for (uint32_t slot = 0; slot < load->depth; slot++) {
        begin(load, slot);
    }
    while (load->in_flight > 0) {
        submit(load, 1);
        took = clock_of(CLOCK_MONOTONIC) - start;
        take(load, took >= time);
    }
    printf("{\"iops\": %.1f, \"cpu_us\": %.4f, \"enters\": %.5f}\n",
           (double)load->done * (double)SECOND / (double)took,
           (double)(clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1000.0 / (double)load->done,
           (double)load->enters / (double)load->done);
}

/* As the library opens its ring. */
static void open_ring(struct load *load)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    };
    struct iovec memory = { .iov_len = (size_t)load->depth * BLOCK };

    check("io_uring_setup (Linux 6.1 or later is needed)",
          io_uring_queue_init_params(ENTRIES, &load->ring, &params));
    check("registering the ring", io_uring_register_ring_fd(&load->ring));
    check("registering the file", io_uring_register_files(&load->ring, &load->fd, 1));
    load->buffers = aligned_alloc(BLOCK, memory.iov_len);
    if (load->buffers == NULL) {
        fail("buffers", -ENOMEM);
    }
    memset(load->buffers, 1, memory.iov_len);
    memory.iov_base = load->buffers;
    check("registering the buffers (ulimit -l?)",
          io_uring_register_buffers(&load->ring, &memory, 1));
}

static void open_file(struct load *load, const char *path, bool direct)
{
    struct stat stat;

    load->fd = open(path, O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (load->fd < 0 || fstat(load->fd, &stat) < 0) {
        fail(path, -errno);
    }
    load->blocks = (uint64_t)stat.st_size / BLOCK;
    if (load->blocks == 0) {
        fail(path, -EINVAL);
    }
}

/* 1..max, or 0 for another text. */
static unsigned long read_number(const char *text, unsigned long max)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);

    return *text >= '0' && *text <= '9' && *end == '\0' && number <= max ? number : 0;
}

static void pin(const char *text)
{
    char *end;
    const unsigned long cpu = strtoul(text, &end, 10);
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    if (*text != '\0' && *end == '\0' && cpu < CPU_SETSIZE) {
        CPU_SET(cpu, &cpus);
    }
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
        fail(text, -errno);
    }
}

int main(int argc, char **argv)
{
    struct load load = { .random = 1 };
    double seconds;
    char *end;

    if (argc < 6 || argc > 7 ||
        (strcmp(argv[5], "direct") != 0 && strcmp(argv[5], "cached") != 0)) {
        fputs("usage: reads FILE DEPTH SECONDS CPU direct|cached [BATCH]\n", stderr);
        return 2;
    }
    load.depth = (uint32_t)read_number(argv[2], DEPTH_MAX);
    load.batch = argc > 6 ? (uint32_t)read_number(argv[6], DEPTH_MAX) : DEPTH_MAX + 1;
    seconds = strtod(argv[3], &end);
    if (load.depth == 0 || load.batch == 0 || *end != '\0' || !(seconds > 0 && seconds < 1e6)) {
        fprintf(stderr, "reads: DEPTH and BATCH are 1 to %u, SECONDS above 0\n", DEPTH_MAX);
        return 2;
    }
    pin(argv[4]);
    open_file(&load, argv[1], strcmp(argv[5], "direct") == 0);
    open_ring(&load);
    run(&load, (int64_t)(seconds * (double)SECOND));
    io_uring_queue_exit(&load.ring);
    free(load.buffers);
    close(load.fd);
    return EXIT_SUCCESS;
}
