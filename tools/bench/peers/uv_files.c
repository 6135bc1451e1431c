/* SPDX-License-Identifier: MIT */
/*
 * Peer libuv: rows of files, names and the pool of threads. A unit is a script of a few requests,
 * each begun by the callback of the one before; 16 scripts go on at a time, as 16 tasks in the
 * row, with names of their own in one folder.
 */
#include "uv_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define SLOTS      16u
#define FILE_BYTES 10000u
#define NAMES      1000u
#define PATH_BYTES 4096

enum step { END, OPEN, CREATE, STAT, READ, READ_END, CLOSE, MOVE, MOVE_BACK, REMOVE };

struct slot {
    uv_fs_t request;
    const enum step *step;
    uv_file opened; /* by a step */
    uv_file file;   /* open all the time */
    char first[PATH_BYTES + 32], second[PATH_BYTES + 32];
    char bytes[FILE_BYTES];
};

static struct {
    uv_loop_t loop;
    struct slot slots[SLOTS];
    char folder[PATH_BYTES];
    const enum step *steps;
    struct peer_run *run;
    uint64_t begun, ended, unmeasured, total;
} here;

static void must(const char *what, int64_t result)
{
    if (result < 0) {
        peer_fail("%s: %s", what, uv_strerror((int)result));
    }
}

/* The folder: where the rows of rt-bench make theirs. */
static void make_folder(void)
{
    const char *names[] = { getenv("RT_BENCH_DIR"), getenv("TMPDIR"), "/var/tmp" };
    size_t i = 0;

    while (names[i] == NULL || names[i][0] == '\0') {
        i++;
    }
    snprintf(here.folder, sizeof(here.folder), "%s/rt-bench-XXXXXX", names[i]);
    if (mkdtemp(here.folder) == NULL) {
        peer_fail("%s: no folder can be made there; name another one by RT_BENCH_DIR", names[i]);
    }
}

static void make_files(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &here.slots[i];

        snprintf(slot->first, sizeof(slot->first), "%s/file-%u", here.folder, i);
        snprintf(slot->second, sizeof(slot->second), "%s/other-%u", here.folder, i);
        slot->file = open(slot->first, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (slot->file < 0 ||
            pwrite(slot->file, slot->bytes, FILE_BYTES, 0) != (ssize_t)FILE_BYTES) {
            peer_fail("%s: cannot make it", slot->first);
        }
    }
}

static void remove_files(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        close(here.slots[i].file);
        (void)unlink(here.slots[i].first);
    }
    (void)rmdir(here.folder);
}

static void take(uv_fs_t *request);

static void begin_step(struct slot *slot)
{
    uv_buf_t buf = uv_buf_init(slot->bytes, FILE_BYTES);
    uv_fs_t *request = &slot->request;
    uv_loop_t *loop = &here.loop;
    int r = 0;

    switch (*slot->step) {
    case END:
        abort();
    case OPEN:
        r = uv_fs_open(loop, request, slot->first, O_RDONLY, 0, take);
        break;
    case CREATE:
        r = uv_fs_open(loop, request, slot->second, O_RDWR | O_CREAT | O_EXCL, 0600, take);
        break;
    case STAT:
        r = uv_fs_fstat(loop, request, slot->file, take);
        break;
    case READ:
        r = uv_fs_read(loop, request, slot->opened, &buf, 1, 0, take);
        break;
    case READ_END:
        r = uv_fs_read(loop, request, slot->opened, &buf, 1, FILE_BYTES, take);
        break;
    case CLOSE:
        r = uv_fs_close(loop, request, slot->opened, take);
        break;
    case MOVE:
        r = uv_fs_rename(loop, request, slot->first, slot->second, take);
        break;
    case MOVE_BACK:
        r = uv_fs_rename(loop, request, slot->second, slot->first, take);
        break;
    case REMOVE:
        r = uv_fs_unlink(loop, request, slot->second, take);
        break;
    }
    must("a request", r);
}

static void begin_script(struct slot *slot)
{
    if (here.begun < here.total) {
        here.begun++;
        slot->step = here.steps;
        begin_step(slot);
    }
}

static void end_script(void)
{
    here.ended++;
    if (here.ended == here.unmeasured) {
        peer_begin(here.run);
    } else if (here.ended == here.total) {
        peer_end(here.run, here.total - here.unmeasured);
    }
}

/* A step has ended. */
static void take(uv_fs_t *request)
{
    struct slot *slot = request->data;
    const ssize_t result = request->result;

    uv_fs_req_cleanup(request);
    must("a step", result);
    if (*slot->step == OPEN || *slot->step == CREATE) {
        slot->opened = (uv_file)result;
    } else if (*slot->step == READ && result != FILE_BYTES) {
        peer_fail("a file was read in part");
    }
    slot->step++;
    if (*slot->step != END) {
        begin_step(slot);
        return;
    }
    end_script();
    begin_script(slot);
}

static void count_units(struct peer_run *run, unsigned at_a_time)
{
    here.run = run;
    here.begun = 0;
    here.ended = 0;
    here.unmeasured = run->units / 10 + at_a_time;
    here.total = here.unmeasured + run->units;
}

static void run_scripts(struct peer_run *run, const enum step *steps)
{
    here.steps = steps;
    count_units(run, SLOTS);
    must("uv_loop_init", uv_loop_init(&here.loop));
    make_folder();
    make_files();
    for (unsigned i = 0; i < SLOTS; i++) {
        here.slots[i].request.data = &here.slots[i];
        begin_script(&here.slots[i]);
    }
    must("uv_run", uv_run(&here.loop, UV_RUN_DEFAULT));
    remove_files();
    must("uv_loop_close", uv_loop_close(&here.loop));
}

void uv_name_open(struct peer_run *run)
{
    run_scripts(run, (const enum step[]){ OPEN, CLOSE, END });
}

void uv_name_create(struct peer_run *run)
{
    run_scripts(run, (const enum step[]){ CREATE, CLOSE, REMOVE, END });
}

void uv_name_rename(struct peer_run *run)
{
    run_scripts(run, (const enum step[]){ MOVE, MOVE_BACK, END });
}

void uv_file_stat(struct peer_run *run)
{
    run_scripts(run, (const enum step[]){ STAT, END });
}

void uv_file_load(struct peer_run *run)
{
    run_scripts(run, (const enum step[]){ OPEN, READ, READ_END, CLOSE, END });
}

/* blocking: one after the other */

static void work(uv_work_t *request)
{
    ++*(int *)request->data;
}

static void worked(uv_work_t *request, int status)
{
    must("uv_queue_work", status);
    end_script();
    if (here.ended < here.total) {
        must("uv_queue_work", uv_queue_work(&here.loop, request, work, worked));
    }
}

void uv_blocking(struct peer_run *run)
{
    int number = 0;
    uv_work_t request = { .data = &number };

    count_units(run, 1);
    must("uv_loop_init", uv_loop_init(&here.loop));
    must("uv_queue_work", uv_queue_work(&here.loop, &request, work, worked));
    must("uv_run", uv_run(&here.loop, UV_RUN_DEFAULT));
    must("uv_loop_close", uv_loop_close(&here.loop));
    if ((uint64_t)number != here.total) {
        peer_fail("work was not done");
    }
}

/* list_1000: one after the other */

/* Links of one file, as in the row. Made and, with `remove`, removed. */
static void make_names(bool remove)
{
    char first[PATH_BYTES + 32];

    snprintf(first, sizeof(first), "%s/name-%06u", here.folder, 0u);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[PATH_BYTES + 32];
        int r;

        snprintf(name, sizeof(name), "%s/name-%06u", here.folder, i);
        if (remove) {
            r = unlink(name);
        } else {
            r = i == 0 ? mknod(name, S_IFREG | 0600, 0) : link(first, name);
        }
        if (r < 0) {
            peer_fail("%s: cannot make or remove it", name);
        }
    }
}

static void listed(uv_fs_t *request)
{
    uv_dirent_t entry;
    unsigned count = 0;

    must("uv_fs_scandir", request->result);
    while (uv_fs_scandir_next(request, &entry) == 0) {
        count++;
    }
    uv_fs_req_cleanup(request);
    if (count != NAMES) {
        peer_fail("a folder of %u names has %u", NAMES, count);
    }
    end_script();
    if (here.ended < here.total) {
        must("uv_fs_scandir", uv_fs_scandir(&here.loop, request, here.folder, 0, listed));
    }
}

void uv_list_1000(struct peer_run *run)
{
    uv_fs_t request;

    count_units(run, 1);
    must("uv_loop_init", uv_loop_init(&here.loop));
    make_folder();
    make_names(false);
    must("uv_fs_scandir", uv_fs_scandir(&here.loop, &request, here.folder, 0, listed));
    must("uv_run", uv_run(&here.loop, UV_RUN_DEFAULT));
    make_names(true);
    (void)rmdir(here.folder);
    must("uv_loop_close", uv_loop_close(&here.loop));
}
