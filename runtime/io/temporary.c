/* SPDX-License-Identifier: MIT */
/* Temporary files: without a name where the file system has such (O_TMPFILE), else with one that
 * nobody has, which is removed at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "io/directory.h"
#include "io/file.h"
#include "os/sys.h"

#define PLACES "XXXXXX"
#define TRIES  100 /* so many names are taken only where somebody takes them on purpose */

/* Nobody else may open it before its name is gone. */
#define PRIVATE 0600

/* Not to be met by chance; whoever guesses it on purpose makes one try fail. */
static void draw_name(uint64_t *random, char places[sizeof(PLACES) - 1])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < sizeof(PLACES) - 1; i++) {
        places[i] = letters[rti_random_below(random, sizeof(letters) - 1)];
    }
}

static int create_unique(struct rt_file **out, int directory, char *path, mode_t mode,
                         rt_time deadline)
{
    char *places = path + strlen(path) - (sizeof(PLACES) - 1);
    uint64_t random = rti_sys_ticks() + (uint64_t)rti_sys_process_id();
    int r = -EEXIST;

    for (int i = 0; i < TRIES && r == -EEXIST; i++) {
        draw_name(&random, places);
        r = rti_file_open_in(out, directory, path, O_RDWR | O_CREAT | O_EXCL, mode, deadline);
    }
    return r;
}

int rt_file_create_unique(struct rt_file **out, struct rt_directory *at, char *path, mode_t mode,
                          rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here("rt_file_create_unique");
    const size_t length = strlen(path);
    int fd;
    int r;

    if (length < sizeof(PLACES) - 1 || strcmp(path + length - (sizeof(PLACES) - 1), PLACES) != 0) {
        rti_log(&executor->log, RT_LOG_ERROR,
                "rt_file_create_unique(): the path \"%s\" must end with \"" PLACES "\", the part "
                "that becomes unique",
                path);
        return -EINVAL;
    }
    fd = rti_directory_enter(at, "rt_file_create_unique");
    r = create_unique(out, fd, path, mode, deadline);
    rti_directory_leave(at);
    return r;
}

/* Exempt from cancel and deadline: the file is to have no name. */
static int remove_exempt(int directory, const char *path)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("remove");
    struct rti_op op;
    struct io_uring_sqe *sqe;
    int r;

    rti_op_begin_exempt(&op, &kind, &sqe);
    io_uring_prep_unlinkat(sqe, directory, path, 0);
    r = rti_op_await(&op, sqe, RT_NEVER);
    return r == -EAGAIN ? rti_sys_unlink(directory, path) : r; /* there was no worker for it */
}

static int create_and_remove(struct rt_file **out, int directory, const char *path,
                             rt_time deadline)
{
    static const char name[] = "/.shardrt-" PLACES;
    const size_t bytes = strlen(path) + sizeof(name);
    char *full = rti_sys_alloc(bytes);
    struct rt_file *file;
    int r;

    if (full == NULL) {
        return -ENOMEM;
    }
    snprintf(full, bytes, "%s%s", path, name);
    r = create_unique(&file, directory, full, PRIVATE, deadline);
    if (r == 0) {
        r = remove_exempt(directory, full);
        if (r < 0) {
            (void)rt_file_close(file);
        } else {
            *out = file;
        }
    }
    rti_sys_free(full);
    return r;
}

int rt_file_create_temporary(struct rt_file **out, struct rt_directory *at, const char *path,
                             rt_time deadline)
{
    const int fd = rti_directory_enter(at, "rt_file_create_temporary");
    int r = rti_file_open_in(out, fd, path, O_RDWR | O_TMPFILE, PRIVATE, deadline);

    if (r == -EOPNOTSUPP) {
        r = create_and_remove(out, fd, path, deadline);
    }
    rti_directory_leave(at);
    return r;
}
