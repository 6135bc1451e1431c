/* SPDX-License-Identifier: MIT */
/* Rows of names and whole files: see names.h. */
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"

#define CREATE_FLAGS (O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC)

/* A script at work. */
struct script {
    const struct limit_names_slot *slot;
    uint32_t step;
    int fd; /* of the file that it has opened */
    struct statx stat;
};

struct pass {
    struct limit_ring *ring;
    const struct limit_names *names;
    uint64_t begun;
    uint32_t at_work;
    struct script scripts[LIMIT_NAMES_MAX];
};

static enum limit_step step_of(const struct limit_names *names, const struct script *script)
{
    return names->steps[script->step];
}

/* What a step has returned. 0: the next one may be done. */
static int take_result(const struct limit_names *names, struct script *script, int result)
{
    const enum limit_step step = step_of(names, script);

    if (step == LIMIT_STEP_OPEN || step == LIMIT_STEP_CREATE) {
        script->fd = result;
    }
    if ((step == LIMIT_STEP_READ || step == LIMIT_STEP_WRITE) &&
        (uint32_t)result != script->slot->bytes) {
        return result < 0 ? result : -EIO;
    }
    if (step == LIMIT_STEP_READ_END && result > 0) {
        return -EIO;
    }
    script->step++;
    return result < 0 ? result : 0;
}

/* By a ring */

static void prepare(struct pass *pass, struct script *script)
{
    const struct limit_names_slot *slot = script->slot;
    const int folder = pass->names->folder;
    struct io_uring_sqe *sqe = io_uring_get_sqe(
        &pass->ring->ring); /* there are more than scripts */

    switch (step_of(pass->names, script)) {
    case LIMIT_STEP_END:
        abort();
    case LIMIT_STEP_OPEN:
        io_uring_prep_openat(sqe, folder, slot->first, O_RDONLY | O_CLOEXEC, 0);
        break;
    case LIMIT_STEP_CREATE:
        io_uring_prep_openat(sqe, folder, slot->second, CREATE_FLAGS, 0600);
        break;
    case LIMIT_STEP_STAT:
        io_uring_prep_statx(sqe, slot->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &script->stat);
        break;
    case LIMIT_STEP_READ:
        io_uring_prep_read(sqe, script->fd, slot->buf, slot->bytes, 0);
        break;
    case LIMIT_STEP_READ_END:
        io_uring_prep_read(sqe, script->fd, slot->buf, slot->bytes, slot->bytes);
        break;
    case LIMIT_STEP_WRITE:
        io_uring_prep_write(sqe, script->fd, slot->buf, slot->bytes, 0);
        break;
    case LIMIT_STEP_DATASYNC:
        io_uring_prep_fsync(sqe, script->fd, IORING_FSYNC_DATASYNC);
        break;
    case LIMIT_STEP_CLOSE:
        io_uring_prep_close(sqe, script->fd);
        break;
    case LIMIT_STEP_RENAME:
        io_uring_prep_renameat(sqe, folder, slot->second, folder, slot->first, 0);
        break;
    case LIMIT_STEP_MOVE:
        io_uring_prep_renameat(sqe, folder, slot->first, folder, slot->second, 0);
        break;
    case LIMIT_STEP_REMOVE:
        io_uring_prep_unlinkat(sqe, folder, slot->second, 0);
        break;
    case LIMIT_STEP_SYNC_FOLDER:
        io_uring_prep_fsync(sqe, folder, 0);
        break;
    }
    io_uring_sqe_set_data(sqe, script);
    pass->at_work++;
}

static void begin_script(struct pass *pass, struct script *script)
{
    if (pass->begun < pass->names->count) {
        pass->begun++;
        script->step = 0;
        prepare(pass, script);
    }
}

/* Take what has ended, and prepare what comes next. After a failure nothing is begun. */
static int reap(struct pass *pass, int result)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;

    io_uring_for_each_cqe(&pass->ring->ring, head, cqe)
    {
        struct script *script = io_uring_cqe_get_data(cqe);
        const int r = take_result(pass->names, script, cqe->res);

        pass->at_work--;
        result = result < 0 ? result : r;
        if (result == 0 && step_of(pass->names, script) != LIMIT_STEP_END) {
            prepare(pass, script);
        } else if (result == 0) {
            begin_script(pass, script);
        }
        seen++;
    }
    io_uring_cq_advance(&pass->ring->ring, seen);
    return result;
}

int limit_names_run(struct limit_ring *ring, const struct limit_names *names)
{
    struct pass pass = { .ring = ring, .names = names };
    int result = 0;

    for (uint32_t i = 0; result == 0 && i < names->slot_count; i++) {
        pass.scripts[i].slot = &names->slots[i];
        begin_script(&pass, &pass.scripts[i]);
    }
    while (pass.at_work > 0) {
        const int r = io_uring_submit_and_wait(&ring->ring, 1);

        if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
            fprintf(stderr, "limit: io_uring_enter: %s\n", strerror(-r));
            abort(); /* nobody can take names and buffers back from the kernel */
        }
        result = reap(&pass, result);
    }
    return result;
}

/* By plain calls */

static ssize_t call(const struct limit_names *names, struct script *script)
{
    const struct limit_names_slot *slot = script->slot;

    switch (step_of(names, script)) {
    case LIMIT_STEP_END:
        abort();
    case LIMIT_STEP_OPEN:
        return openat(names->folder, slot->first, O_RDONLY | O_CLOEXEC);
    case LIMIT_STEP_CREATE:
        return openat(names->folder, slot->second, CREATE_FLAGS, 0600);
    case LIMIT_STEP_STAT:
        return statx(slot->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &script->stat);
    case LIMIT_STEP_READ:
        return pread(script->fd, slot->buf, slot->bytes, 0);
    case LIMIT_STEP_READ_END:
        return pread(script->fd, slot->buf, slot->bytes, (off_t)slot->bytes);
    case LIMIT_STEP_WRITE:
        return pwrite(script->fd, slot->buf, slot->bytes, 0);
    case LIMIT_STEP_DATASYNC:
        return fdatasync(script->fd);
    case LIMIT_STEP_CLOSE:
        return close(script->fd);
    case LIMIT_STEP_RENAME:
        return renameat(names->folder, slot->second, names->folder, slot->first);
    case LIMIT_STEP_MOVE:
        return renameat(names->folder, slot->first, names->folder, slot->second);
    case LIMIT_STEP_REMOVE:
        return unlinkat(names->folder, slot->second, 0);
    case LIMIT_STEP_SYNC_FOLDER:
        return fsync(names->folder);
    }
    return -1;
}

int bare_names_run(const struct limit_names *names)
{
    int r = 0;

    for (uint64_t i = 0; r == 0 && i < names->count; i++) {
        struct script script = { .slot = &names->slots[i % names->slot_count] };

        while (r == 0 && step_of(names, &script) != LIMIT_STEP_END) {
            const ssize_t result = call(names, &script);

            r = take_result(names, &script, result < 0 ? -errno : (int)result);
        }
    }
    return r;
}
