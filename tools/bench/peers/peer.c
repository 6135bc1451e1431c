/* SPDX-License-Identifier: MIT */
/* The frame of a peer: its command line, and the protocol with rt-bench. */
#include "peer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define CPU_MAX    1023 /* of cpu_set_t */
#define LINE_BYTES 64

extern char **environ;

void peer_fail(const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

int64_t peer_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void peer_begin(struct peer_run *run)
{
    run->start = peer_now();
}

void peer_end(struct peer_run *run, uint64_t units)
{
    run->ns = (double)(peer_now() - run->start) / (double)units;
}

static int64_t cpu_now(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

void peer_cpu_begin(struct peer_run *run)
{
    run->start = cpu_now();
}

void peer_cpu_end(struct peer_run *run, uint64_t units)
{
    if (units == 0) {
        peer_fail("nothing was done in the time that is measured");
    }
    run->ns = (double)(cpu_now() - run->start) / (double)units;
}

int64_t peer_sleep_ns(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return INT64_C(1000000) + (int64_t)(*random >> 33) % INT64_C(99000000);
}

void *peer_memory(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);

    if (memory == NULL) {
        peer_fail("no memory for %zu times %zu bytes; give fewer units", count, bytes);
    }
    return memory;
}

/* What a new thread needs to know; freed by it. */
struct start {
    int cpu;
    void *(*fn)(void *);
    void *arg;
};

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    if (!pin_to_cpu(start.cpu)) {
        exit(1);
    }
    return start.fn(start.arg);
}

pthread_t peer_thread(int cpu, void *(*fn)(void *), void *arg)
{
    struct start *start = peer_memory(1, sizeof(*start));
    pthread_t thread;
    int r;

    *start = (struct start){ .cpu = cpu, .fn = fn, .arg = arg };
    r = pthread_create(&thread, NULL, thread_main, start);
    if (r != 0) {
        peer_fail("pthread_create: %s", strerror(r));
    }
    return thread;
}

void peer_join(pthread_t thread)
{
    int r = pthread_join(thread, NULL);

    if (r != 0) {
        peer_fail("pthread_join: %s", strerror(r));
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

void peer_wakes(struct peer_run *run, int64_t *arrived, void (*send)(void *arg), void *arg)
{
    uint64_t unmeasured = run->units / 10 + 1;
    int64_t *late = peer_memory(run->units, sizeof(*late));
    uint64_t middle;

    for (uint64_t i = 0; i < unmeasured + run->units; i++) {
        int64_t sent;
        int64_t until = peer_now() + PEER_ASLEEP_NS;
        int64_t came = 0;

        __atomic_store_n(arrived, 0, __ATOMIC_RELAXED);
        while ((sent = peer_now()) < until) {
            continue; /* no sleep of our own: it is the receiver's wake that is measured */
        }
        send(arg);
        while (came == 0) { /* acquire: what the receiver did before it stored is done */
            came = __atomic_load_n(arrived, __ATOMIC_ACQUIRE);
        }
        if (i >= unmeasured) {
            late[i - unmeasured] = came - sent;
        }
    }
    qsort(late, run->units, sizeof(*late), by_size);
    middle = run->units / 2;
    run->ns = (double)(late[middle] + late[run->units - 1 - middle]) / 2;
    free(late);
}

/* A line "UNITS\n". False at the end of input. */
static bool read_units(uint64_t *out)
{
    char line[LINE_BYTES];
    char *end = line;

    if (fgets(line, sizeof(line), stdin) == NULL) {
        if (ferror(stdin)) {
            peer_fail("standard input: %s", strerror(errno));
        }
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    errno = 0;
    *out = strtoull(line, &end, 10);
    if (line[0] < '0' || line[0] > '9' || *end != '\0' || errno != 0 || *out == 0) {
        peer_fail("\"%s\" is no number of units; give one above 0 on each line", line);
    }
    return true;
}

void peer_answer(struct peer_run *run, void (*repeat)(struct peer_run *run))
{
    while (read_units(&run->units)) {
        run->ns = 0;
        repeat(run);
        if (!(run->ns > 0)) {
            peer_fail("%" PRIu64 " units took no time at all; give more", run->units);
        }
        printf("%.4f\n", run->ns);
        if (fflush(stdout) != 0) {
            peer_fail("standard output: %s", strerror(errno));
        }
    }
}

static void say_ready(const char *version)
{
    printf("ready %s\n", version);
    fflush(stdout);
}

/* Start the client, which lies beside this program and takes over its input and output. */
static pid_t start_client(const char *address, int cpu)
{
    char path[PATH_MAX];
    char cpu_text[16];
    char *const arguments[] = { path, (char *)address, cpu_text, NULL };
    const char *name = "echo-client";
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - strlen(name) - 1);
    char *slash;
    pid_t client;
    int r;

    if (length < 0) {
        peer_fail("/proc/self/exe: %s", strerror(errno));
    }
    path[length] = '\0';
    slash = strrchr(path, '/');
    memcpy(slash + 1, name, strlen(name) + 1);
    snprintf(cpu_text, sizeof(cpu_text), "%d", cpu);
    r = posix_spawn(&client, path, NULL, NULL, arguments, environ);
    if (r != 0) {
        peer_fail("%s: %s; build it, it belongs beside this program", path, strerror(r));
    }
    return client;
}

/* Ends the process as the client ended. */
static void *watch_client(void *arg)
{
    pid_t client = *(const pid_t *)arg;
    int status = 0;

    while (waitpid(client, &status, 0) < 0) {
        if (errno != EINTR) {
            peer_fail("waitpid: %s", strerror(errno));
        }
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1); /* the server still runs: no exit() */
}

static void echo(const struct peer_row *row, const char *version, const int cpus[2])
{
    static pid_t client;
    char text[ENDPOINT_TEXT_BYTES];
    struct endpoint where;
    int listener;

    if (!endpoint_parse(&where, "127.0.0.1:0")) {
        exit(1);
    }
    listener = endpoint_listen(&where);
    if (listener < 0 || !endpoint_text_of(listener, text, sizeof(text))) {
        exit(1);
    }
    say_ready(version);
    client = start_client(text, cpus[1]);
    (void)peer_thread(cpus[0], watch_client, &client);
    row->serve(listener);
    peer_fail("the server ended before its client");
}

static int usage(const char *text)
{
    fprintf(stderr, "%s: %s\nusage: %s --list\n       %s ROW CPU [CPU2]\n",
            program_invocation_short_name, text, program_invocation_short_name,
            program_invocation_short_name);
    return 2;
}

int peer_main(int argc, char **argv, const char *version, const struct peer_row *rows, size_t count)
{
    struct peer_run run = { .cpus = { -1, -1 } };
    const struct peer_row *row = rows;
    double number;

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < count; i++) {
            puts(rows[i].name);
        }
        return 0;
    }
    if (argc < 3) {
        return usage("which row, and where?");
    }
    while (row < rows + count && strcmp(row->name, argv[1]) != 0) {
        row++;
    }
    if (row == rows + count) {
        return usage("there is no such row here; --list prints them");
    }
    if (argc != (row->pair ? 4 : 3)) {
        return usage(row->pair ? "this row needs two CPUs" : "this row needs one CPU");
    }
    for (int i = 0; i < argc - 2; i++) {
        if (!option_number("cpu", argv[2 + i], 0, CPU_MAX, &number)) {
            return 2;
        }
        run.cpus[i] = (int)number;
    }
    if (run.cpus[0] == run.cpus[1]) {
        return usage("the two CPUs must differ");
    }
    if (!pin_to_cpu(run.cpus[0])) {
        return 1;
    }
    if (row->serve != NULL) {
        echo(row, version, run.cpus);
    }
    say_ready(version);
    peer_answer(&run, row->run);
    return 0;
}
