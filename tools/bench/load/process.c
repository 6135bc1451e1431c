/* SPDX-License-Identifier: MIT */
/* CPU time and context switches of another process. */
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A status file of /proc has about 1500 bytes; what is looked for lies in its last lines. */
#define FILE_BYTES 8192

static bool read_file(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "re");
    size_t n;

    if (file == NULL) {
        return false;
    }
    n = fread(text, 1, bytes - 1, file);
    fclose(file);
    text[n] = '\0';
    return n > 0;
}

/* Read the number at *at, after spaces, and go past it. */
static bool next_number(const char **at, uint64_t *out)
{
    char *end;

    *out = strtoull(*at, &end, 10);
    if (end == *at) {
        return false;
    }
    *at = end;
    return true;
}

static uint64_t ns_of_ticks(uint64_t ticks)
{
    return ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool add_schedstat(const char *task, struct process_use *out)
{
    char path[128];
    char text[FILE_BYTES];
    const char *at = text;
    uint64_t ns;

    snprintf(path, sizeof(path), "%s/schedstat", task);
    if (!read_file(path, text, sizeof(text)) || !next_number(&at, &ns)) {
        return false;
    }
    out->cpu_ns += ns;
    return true;
}

/* Fields 14 and 15 of stat; the name in field 2 may hold anything, so they count from its ")". */
static bool add_stat(const char *task, struct process_use *out)
{
    char path[128];
    char text[FILE_BYTES];
    const char *at;
    uint64_t field = 0;
    uint64_t ticks = 0;

    snprintf(path, sizeof(path), "%s/stat", task);
    if (!read_file(path, text, sizeof(text))) {
        return false;
    }
    at = strrchr(text, ')');
    if (at == NULL || strlen(at) < 4) {
        return false;
    }
    at += 3; /* past ") " and field 3, a letter */
    for (int number = 4; number <= 15; number++) {
        if (!next_number(&at, &field)) {
            return false;
        }
        ticks += number >= 14 ? field : 0;
    }
    out->cpu_ns += ns_of_ticks(ticks);
    out->coarse = true;
    return true;
}

static uint64_t number_after(const char *text, const char *label)
{
    const char *at = strstr(text, label);

    return at == NULL ? 0 : strtoull(at + strlen(label), NULL, 10);
}

static bool add_switches(const char *task, struct process_use *out)
{
    char path[128];
    char text[FILE_BYTES];

    snprintf(path, sizeof(path), "%s/status", task);
    if (!read_file(path, text, sizeof(text))) {
        return false;
    }
    out->voluntary += number_after(text, "\nvoluntary_ctxt_switches:");
    out->involuntary += number_after(text, "\nnonvoluntary_ctxt_switches:");
    return true;
}

bool process_use_read(pid_t pid, struct process_use *out)
{
    char path[96];
    char task[96 + sizeof(((struct dirent *)NULL)->d_name)];
    struct dirent *entry;
    DIR *dir;
    unsigned threads = 0;

    memset(out, 0, sizeof(*out));
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (dir == NULL) {
        fprintf(stderr, "echo_load: --server-pid %d: %s: %s; has the server ended?\n", (int)pid,
                path, strerror(errno));
        return false;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(task, sizeof(task), "%s/%s", path, entry->d_name);
        /* A thread that ended since readdir() is no error. */
        if (add_schedstat(task, out) || add_stat(task, out)) {
            threads += add_switches(task, out) ? 1 : 0;
        }
    }
    closedir(dir);
    if (threads == 0) {
        fprintf(stderr, "echo_load: --server-pid %d: its threads cannot be read in %s\n", (int)pid,
                path);
    }
    return threads > 0;
}

bool iowait_read(uint64_t *out)
{
    char text[FILE_BYTES];
    const char *at = text + strlen("cpu ");
    uint64_t ticks = 0;
    bool ok = read_file("/proc/stat", text, sizeof(text)) && strncmp(text, "cpu ", 4) == 0;

    for (int i = 0; i < 5; i++) { /* user, nice, system, idle, iowait */
        ok = ok && next_number(&at, &ticks);
    }
    if (!ok) {
        fprintf(stderr, "echo_load: /proc/stat cannot be read\n");
        return false;
    }
    *out = ns_of_ticks(ticks);
    return true;
}
