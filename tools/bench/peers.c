/* SPDX-License-Identifier: MIT */
/* Peers: see peers.h. */
#include "peers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFIX      "peer-"
#define NAME_BYTES  64
#define PATH_BYTES  4096
#define LINE_BYTES  256
#define ROWS_BYTES  2048
#define ARGUMENTS   5
#define NUMBER_TEXT 16
#define PATIENCE_MS 60000 /* a peer that answers later hangs */

/* A process, and the two ends of what it reads and writes. */
struct child {
    pid_t pid;
    FILE *in, *out;
};

struct program {
    char path[PATH_BYTES];
    char rows[ROWS_BYTES]; /* "\nyield2\nyield1k\n": each between two ends of a line */
};

struct running {
    const struct program *program;
    char name[NAME_BYTES];
    struct child child;
};

struct peers {
    struct program programs[PEERS_MAX];
    struct running running[PEERS_MAX];
    size_t program_count, running_count;
};

static bool start(struct child *child, char *const arguments[])
{
    posix_spawn_file_actions_t actions;
    int in[2] = { -1, -1 };
    int out[2] = { -1, -1 };
    bool ok = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
              posix_spawn_file_actions_init(&actions) == 0;

    if (ok) {
        ok = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO) == 0 &&
             posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO) == 0 &&
             posix_spawn(&child->pid, arguments[0], &actions, NULL, arguments, environ) == 0;
        posix_spawn_file_actions_destroy(&actions);
    }
    close(in[0]);
    close(out[1]);
    if (!ok) {
        fprintf(stderr, "rt-bench: cannot start %s: %s\n", arguments[0], strerror(errno));
        close(in[1]);
        close(out[0]);
        return false;
    }
    child->in = fdopen(in[1], "w");
    child->out = fdopen(out[0], "r");
    return child->in != NULL && child->out != NULL;
}

/* One line, for which it has some time. False: there is none. */
static bool read_line(struct child *child, char line[LINE_BYTES])
{
    struct pollfd ready = { .fd = fileno(child->out), .events = POLLIN };

    if (poll(&ready, 1, PATIENCE_MS) != 1) {
        fprintf(stderr, "rt-bench: a peer has said nothing for %d s\n", PATIENCE_MS / 1000);
        (void)kill(child->pid, SIGKILL);
        return false;
    }
    return fgets(line, LINE_BYTES, child->out) != NULL; /* what is there is a line at a time */
}

/* End of its input is the end of the process. */
static void end(struct child *child)
{
    if (child->in != NULL) {
        fclose(child->in);
    }
    if (child->out != NULL) {
        fclose(child->out);
    }
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        continue;
    }
    *child = (struct child){ .pid = 0 };
}

static bool list_rows(struct program *program)
{
    char option[] = "--list";
    char *arguments[] = { program->path, option, NULL };
    struct child child;
    size_t bytes;

    if (!start(&child, arguments)) {
        return false;
    }
    program->rows[0] = '\n';
    bytes = fread(program->rows + 1, 1, ROWS_BYTES - 2, child.out);
    program->rows[1 + bytes] = '\0';
    end(&child);
    return bytes > 0;
}

static bool has_row(const struct program *program, const char *row)
{
    char line[LINE_BYTES];

    snprintf(line, sizeof(line), "\n%s\n", row);
    return strstr(program->rows, line) != NULL;
}

/* "DIRECTORY OF THIS PROGRAM/peers", as it lies in a build tree and installed. */
static bool beside_us(char *path)
{
    const ssize_t bytes = readlink("/proc/self/exe", path, PATH_BYTES - sizeof("/peers"));
    char *slash;

    if (bytes <= 0) {
        return false;
    }
    path[bytes] = '\0';
    slash = strrchr(path, '/');
    memcpy(slash, "/peers", sizeof("/peers"));
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct program *)a)->path, ((const struct program *)b)->path);
}

static void find_in(struct peers *peers, const char *path)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;

    while (directory != NULL && peers->program_count < PEERS_MAX &&
           (entry = readdir(directory)) != NULL) {
        struct program *program = &peers->programs[peers->program_count];
        const int bytes = snprintf(program->path, PATH_BYTES, "%s/%s", path, entry->d_name);

        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && bytes < PATH_BYTES &&
            access(program->path, X_OK) == 0 && list_rows(program)) {
            peers->program_count++;
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    qsort(peers->programs, peers->program_count, sizeof(struct program), by_name);
}

struct peers *peers_find(const char *directory)
{
    struct peers *peers = calloc(1, sizeof(*peers));
    char path[PATH_BYTES] = "";

    if (peers == NULL) {
        return NULL;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* of a peer that has ended: its next repetition fails */
    if (directory != NULL) {
        snprintf(path, sizeof(path), "%s", directory);
    } else if (!beside_us(path)) {
        path[0] = '\0';
    }
    find_in(peers, path);
    if (peers->program_count == 0) {
        fprintf(stderr,
                "rt-bench: --peers: no peer programs in %s; tools/dev/setup --peers installs their "
                "libraries, then build again\n",
                path);
        free(peers);
        return NULL;
    }
    return peers;
}

void peers_free(struct peers *peers)
{
    free(peers);
}

/* Start one, and wait until it says that it is ready, and what it is. */
static bool start_running(struct running *running, const struct program *program, const char *row,
                          const int32_t cpus[2])
{
    char first[NUMBER_TEXT];
    char second[NUMBER_TEXT];
    char row_text[NAME_BYTES];
    char line[LINE_BYTES];
    char path[PATH_BYTES];
    char *arguments[ARGUMENTS] = { path, row_text, first, cpus[1] < 0 ? NULL : second, NULL };

    snprintf(path, sizeof(path), "%s", program->path);
    snprintf(row_text, sizeof(row_text), "%s", row);
    snprintf(first, sizeof(first), "%" PRId32, cpus[0]);
    snprintf(second, sizeof(second), "%" PRId32, cpus[1]);
    if (!start(&running->child, arguments)) {
        return false;
    }
    if (!read_line(&running->child, line) || sscanf(line, "ready %63[^\n]", running->name) != 1) {
        fprintf(stderr, "rt-bench: %s %s did not get ready\n", program->path, row);
        end(&running->child);
        return false;
    }
    running->program = program;
    return true;
}

size_t peers_start(struct peers *peers, const char *row, const int32_t cpus[2])
{
    peers->running_count = 0;
    for (size_t i = 0; i < peers->program_count; i++) {
        struct running *running = &peers->running[peers->running_count];

        if (has_row(&peers->programs[i], row) &&
            start_running(running, &peers->programs[i], row, cpus)) {
            peers->running_count++;
        }
    }
    return peers->running_count;
}

void peers_stop(struct peers *peers)
{
    for (size_t i = 0; i < peers->running_count; i++) {
        end(&peers->running[i].child);
    }
    peers->running_count = 0;
}

const char *peers_name(const struct peers *peers, size_t i)
{
    return peers->running[i].name;
}

double peers_repeat(struct peers *peers, size_t i, uint64_t units)
{
    struct running *running = &peers->running[i];
    char line[LINE_BYTES];
    double ns = NAN;

    if (fprintf(running->child.in, "%" PRIu64 "\n", units) > 0 && fflush(running->child.in) == 0 &&
        read_line(&running->child, line)) {
        ns = strtod(line, NULL);
    }
    if (ns > 0 && isfinite(ns)) {
        return ns;
    }
    fprintf(stderr, "rt-bench: %s has ended, or answered with no figure\n", running->program->path);
    return -1;
}
