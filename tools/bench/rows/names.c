/* SPDX-License-Identifier: MIT */
/*
 * Rows of names and of whole files: what a file system is asked to do beside moving data.
 *
 * A repetition has a folder of its own, in the one of bench_file.h, with a file for each of 16
 * tasks; it is removed at the end. Each task goes through the steps of its unit again and
 * again, with names of its own, in the same folder. Only file_replace is done by one task:
 * what it takes is the device's time to make three things durable, one after the other.
 *
 * The limit does the same steps over a bare ring (names.h); bare are plain system calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_file.h"
#include "names.h"
#include "rows.h"

#define SLOTS          16u
#define FILE_BYTES     10000u
#define NAME_BYTES     16
#define REPLACED_MAX   16 /* a device needs milliseconds for one */
#define PATH_BYTES     (BENCH_FOLDER_BYTES + NAME_BYTES)

struct slot {
    struct repetition *repetition;
    char first[NAME_BYTES], second[NAME_BYTES];
    char path[PATH_BYTES]; /* of the first */
    char buf[FILE_BYTES];
    struct rt_file *file; /* of the runtime's side, where units want one */
    int fd;
};

/* A row. */
struct kind {
    int (*unit)(struct slot *slot); /* the runtime's side */
    uint32_t tasks;
    uint32_t bytes; /* that a unit reads or writes */
    bool opened;    /* each task has its file open, all the time */
    bool by_path;   /* the call takes no folder */
    enum limit_step steps[8];
};

struct repetition {
    struct rt_bench *bench;
    const struct kind *kind;
    struct rt_directory *directory; /* of the runtime's side */
    int folder;
    char path[BENCH_FOLDER_BYTES]; /* of the folder */
    uint64_t next, end;            /* units */
    struct slot *slots;            /* SLOTS */
};

static int fail(const struct repetition *repetition, int error, const char *what)
{
    return rt_bench_fail(repetition->bench, error, "%s: %s", what, rt_strerror(error));
}

/* The folder */

static int make_file(struct repetition *repetition, struct slot *slot)
{
    ssize_t n;

    slot->fd = openat(repetition->folder, slot->first, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (slot->fd < 0) {
        return -errno;
    }
    n = pwrite(slot->fd, slot->buf, sizeof(slot->buf), 0);
    return n == (ssize_t)sizeof(slot->buf) ? 0 : n < 0 ? -errno : -ENOSPC;
}

static int make_files(struct repetition *repetition)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < SLOTS; i++) {
        struct slot *slot = &repetition->slots[i];

        slot->repetition = repetition;
        slot->fd = -1;
        snprintf(slot->first, sizeof(slot->first), "file-%u", i);
        snprintf(slot->second, sizeof(slot->second), "other-%u", i);
        snprintf(slot->path, sizeof(slot->path), "%s/%s", repetition->path, slot->first);
        memset(slot->buf, (int)i + 1, sizeof(slot->buf));
        r = make_file(repetition, slot);
    }
    return r;
}

static void end_repetition(struct repetition *repetition)
{
    free(repetition->slots);
    free(repetition);
}

/* Also of a repetition that has ended in the middle. */
static void remove_folder(struct repetition *repetition)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &repetition->slots[i];

        (void)unlinkat(repetition->folder, slot->first, 0);
        (void)unlinkat(repetition->folder, slot->second, 0);
        if (slot->repetition != NULL && slot->fd >= 0) {
            close(slot->fd);
        }
    }
    close(repetition->folder);
    (void)rmdir(repetition->path);
    end_repetition(repetition);
}

/* NULL: the row has failed. */
static struct repetition *make_folder(struct rt_bench *bench)
{
    struct repetition *repetition = calloc(1, sizeof(*repetition));
    int r;

    if (repetition == NULL || (repetition->slots = calloc(SLOTS, sizeof(struct slot))) == NULL) {
        free(repetition);
        (void)rt_bench_fail(bench, -ENOMEM, "no memory for a repetition");
        return NULL;
    }
    repetition->bench = bench;
    repetition->kind = bench->arg;
    repetition->folder = bench_folder_make(bench, repetition->path);
    if (repetition->folder < 0) {
        end_repetition(repetition);
        return NULL;
    }
    r = make_files(repetition);
    if (r < 0) {
        (void)fail(repetition, r, "making files");
        remove_folder(repetition);
        return NULL;
    }
    return repetition;
}

/* Warm up, and measure by `pass`, which runs so many units. */
static int measure(struct repetition *repetition,
                   int (*pass)(struct repetition *repetition, uint64_t units, void *arg), void *arg)
{
    struct rt_bench *bench = repetition->bench;
    int r = pass(repetition, bench->units / 10 + repetition->kind->tasks, arg);

    if (r == 0) {
        rt_bench_start(bench);
        r = pass(repetition, bench->units, arg);
        rt_bench_stop(bench, bench->units);
    }
    return r < 0 ? fail(repetition, r, "a step of a unit") : 0;
}

/* The runtime's side */

static int open_and_close(struct slot *slot)
{
    struct rt_file *file;
    int r = rt_file_open_at(&file, slot->repetition->directory, slot->first, O_RDONLY, 0, RT_NEVER);

    return r < 0 ? r : rt_file_close(file);
}

static int ask(struct slot *slot)
{
    struct rt_file_stat stat;
    int r = rt_file_stat(slot->file, &stat, RT_NEVER);

    return r < 0 ? r : stat.size_bytes == FILE_BYTES ? 0 : -EIO;
}

static int create_and_remove(struct slot *slot)
{
    struct rt_directory *directory = slot->repetition->directory;
    struct rt_file *file;
    int r = rt_file_open_at(&file, directory, slot->second, O_RDWR | O_CREAT | O_EXCL, 0600,
                            RT_NEVER);

    r = r < 0 ? r : rt_file_close(file);
    return r < 0 ? r : rt_remove(directory, slot->second, RT_NEVER);
}

static int move_and_back(struct slot *slot)
{
    struct rt_directory *directory = slot->repetition->directory;
    int r = rt_rename(directory, slot->first, directory, slot->second, 0, RT_NEVER);

    return r < 0 ? r : rt_rename(directory, slot->second, directory, slot->first, 0, RT_NEVER);
}

static int load(struct slot *slot)
{
    void *memory;
    size_t bytes;
    int r = rt_file_load(slot->path, FILE_BYTES, &memory, &bytes, RT_NEVER);

    if (r == 0) {
        r = bytes == FILE_BYTES && memcmp(memory, slot->buf, 1) == 0 ? 0 : -EIO;
        rt_file_unload(memory);
    }
    return r;
}

static int replace(struct slot *slot)
{
    return rt_file_replace(slot->path, slot->buf, FILE_BYTES, 0600, RT_NEVER);
}

static int task_main(void *arg)
{
    struct slot *slot = arg;
    struct repetition *repetition = slot->repetition;
    int r = 0;

    while (r == 0 && repetition->next < repetition->end) {
        repetition->next++;
        r = repetition->kind->unit(slot);
    }
    return r;
}

static int runtime_pass(struct repetition *repetition, uint64_t units, void *unused)
{
    struct rt_group group = RT_GROUP_INIT;
    int first_error;
    int r = 0;

    (void)unused;
    repetition->end += units;
    for (uint32_t i = 0; r == 0 && i < repetition->kind->tasks; i++) {
        r = rt_group_spawn(&group, task_main, &repetition->slots[i]);
    }
    first_error = rt_group_leave(&group, r < 0 ? 0 : RT_NEVER);
    return r < 0 ? r : first_error;
}

static int open_files(struct repetition *repetition)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && repetition->kind->opened && i < SLOTS; i++) {
        struct slot *slot = &repetition->slots[i];

        r = rt_file_open(&slot->file, slot->path, O_RDONLY, 0, RT_NEVER);
    }
    return r;
}

static void close_files(struct repetition *repetition)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        (void)rt_file_close(repetition->slots[i].file);
    }
}

static int names_run(struct rt_bench *bench)
{
    struct repetition *repetition = make_folder(bench);
    int r;

    if (repetition == NULL) {
        return -EIO;
    }
    r = rt_directory_open(&repetition->directory, NULL, repetition->path, RT_NEVER);
    r = r == 0 ? open_files(repetition) : r;
    r = r == 0 ? measure(repetition, runtime_pass, NULL) : fail(repetition, r, "opening");
    close_files(repetition);
    (void)rt_directory_close(repetition->directory);
    remove_folder(repetition);
    return r;
}

/* The other sides */

struct other_side {
    struct limit_ring *ring; /* NULL: by plain calls */
    struct limit_names_slot slots[SLOTS];
};

static int other_pass(struct repetition *repetition, uint64_t units, void *arg)
{
    const struct other_side *side = arg;
    const struct limit_names names = {
        .steps = repetition->kind->steps,
        .slots = side->slots,
        .slot_count = repetition->kind->tasks,
        .folder = repetition->folder,
        .count = units,
    };

    return side->ring == NULL ? bare_names_run(&names) : limit_names_run(side->ring, &names);
}

static int other_run(struct rt_bench *bench, struct limit_ring *ring)
{
    struct repetition *repetition = make_folder(bench);
    struct other_side side = { .ring = ring };
    int r;

    if (repetition == NULL) {
        return -EIO;
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &repetition->slots[i];

        side.slots[i] = (struct limit_names_slot){ .first = repetition->kind->by_path ? slot->path
                                                                                      : slot->first,
                                                   .second = slot->second,
                                                   .buf = slot->buf,
                                                   .bytes = repetition->kind->bytes,
                                                   .fd = slot->fd };
    }
    r = measure(repetition, other_pass, &side);
    remove_folder(repetition);
    return r;
}

static int names_limit(struct rt_bench *bench)
{
    struct limit_ring *ring = limit_ring_create();
    int r;

    if (ring == NULL) {
        return rt_bench_fail(bench, -ENOSYS, "no ring; its message is on standard error");
    }
    r = limit_ring_keep_workers(ring);
    r = r < 0 ? rt_bench_fail(bench, r, "placing the kernel's threads: %s", rt_strerror(r))
              : other_run(bench, ring);
    limit_ring_destroy(ring);
    return r;
}

static int names_bare(struct rt_bench *bench)
{
    return other_run(bench, NULL);
}

static const struct kind opening = { .unit = open_and_close,
                                     .tasks = SLOTS,
                                     .steps = { LIMIT_STEP_OPEN, LIMIT_STEP_CLOSE } };
static const struct kind creating = {
    .unit = create_and_remove,
    .tasks = SLOTS,
    .steps = { LIMIT_STEP_CREATE, LIMIT_STEP_CLOSE, LIMIT_STEP_REMOVE },
};
static const struct kind moving = { .unit = move_and_back,
                                    .tasks = SLOTS,
                                    .steps = { LIMIT_STEP_MOVE, LIMIT_STEP_RENAME } };
static const struct kind asking = {
    .unit = ask, .tasks = SLOTS, .opened = true, .steps = { LIMIT_STEP_STAT }
};
static const struct kind loading = {
    .unit = load,
    .tasks = SLOTS,
    .by_path = true,
    .bytes = FILE_BYTES,
    .steps = { LIMIT_STEP_OPEN, LIMIT_STEP_READ, LIMIT_STEP_READ_END, LIMIT_STEP_CLOSE },
};
static const struct kind replacing = {
    .unit = replace,
    .tasks = 1,
    .bytes = FILE_BYTES,
    .steps = { LIMIT_STEP_CREATE, LIMIT_STEP_WRITE, LIMIT_STEP_DATASYNC, LIMIT_STEP_CLOSE,
               LIMIT_STEP_RENAME, LIMIT_STEP_SYNC_FOLDER },
};

#define ROW(of, text)                                                                              \
    .summary = (text), .run = names_run, .limit = names_limit, .bare = names_bare, .arg = &(of),   \
    .flags = RT_BENCH_SLEEPS | RT_BENCH_WORKERS

const struct rt_bench_row bench_rows_names[] = {
    { .name = "name_open", ROW(opening, "a file opened and closed, 16 tasks side by side") },
    { .name = "name_create",
      ROW(creating, "a file made, closed and removed, 16 tasks in one folder") },
    { .name = "name_rename", ROW(moving, "a file renamed, and back, 16 tasks in one folder") },
    { .name = "file_stat", ROW(asking, "what is known of an open file, 16 tasks side by side") },
    { .name = "file_load",
      ROW(loading, "a file of 10,000 bytes read whole, 16 tasks side by side") },
    { .name = "file_replace",
      ROW(replacing, "a file of 10,000 bytes replaced, and durable, one after the other"),
      .units_max = REPLACED_MAX },
};
const size_t bench_rows_names_count = sizeof(bench_rows_names) / sizeof(bench_rows_names[0]);
