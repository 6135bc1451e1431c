/* SPDX-License-Identifier: MIT */
/* Whole files: see rt/whole_file.h for the contract. Made of the calls of rt/file.h and
 * rt/directory.h, in the order that a power cut at any moment forgives: content, name,
 * directory. */
#include "rt/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/assert.h"
#include "core/executor.h"
#include "os/sys.h"
#include "rt/directory.h"
#include "rt/file.h"
#include "rt/scope.h"

/* Loading */

#define FIRST_BYTES ((size_t)16384) /* to begin with: most files that are read whole are smaller */

struct load {
    char *memory;
    size_t have;
    size_t room; /* for content; the zero behind it comes on top */
    size_t limit;
};

/* Room for `room` bytes, or for one more than the limit: then it shows when the file is longer. */
static int make_room(struct load *load, size_t room)
{
    const size_t most = load->limit + 1;
    char *memory;

    room = room < most ? room : most;
    memory = rti_sys_alloc_unset(room + 1);
    if (memory == NULL) {
        return -ENOMEM;
    }
    if (load->have > 0) {
        memcpy(memory, load->memory, load->have);
    }
    rti_sys_free(load->memory);
    load->memory = memory;
    load->room = room;
    return 0;
}

/* There is more than there was room for: all that the file says, and one byte more. When that stays
 * free, the end was met. */
static int make_more_room(struct load *load, struct rt_file *file, rt_time deadline)
{
    struct rt_file_stat info;
    const int r = rt_file_stat(file, &info, deadline);

    if (r < 0) {
        return r;
    }
    if (info.size_bytes > load->limit) {
        return -EFBIG;
    }
    return make_room(load, info.size_bytes >= load->room ? (size_t)info.size_bytes + 1
                                                         : 2 * load->room); /* it does not say */
}

/* A small file is not asked for its size: that takes a thread of the kernel, reading does not. */
static int load_content(struct load *load, struct rt_file *file, rt_time deadline)
{
    int r = make_room(load, FIRST_BYTES);

    while (r == 0) {
        size_t done;
        const ssize_t n = rt_file_read_all(file, load->memory + load->have, load->room - load->have,
                                           load->have, &done, deadline);

        if (n < 0) {
            return (int)n;
        }
        load->have += done;
        if (load->have > load->limit) {
            return -EFBIG;
        }
        if (load->have < load->room) {
            load->memory[load->have] = 0;
            return 0;
        }
        r = make_more_room(load, file, deadline);
    }
    return r;
}

int rt_file_load(const char *path, size_t limit, void **memory, size_t *bytes, rt_time deadline)
{
    struct load load = { .limit = limit < INT64_MAX / 4 ? limit : INT64_MAX / 4 };
    struct rt_file *file;
    int r;

    RTI_ASSERT(path != NULL && memory != NULL && bytes != NULL);
    r = rt_file_open(&file, path, O_RDONLY, 0, deadline);
    if (r < 0) {
        return r;
    }
    r = load_content(&load, file, deadline);
    (void)rt_file_close(file); /* it was only read */
    if (r < 0) {
        rti_sys_free(load.memory);
        return r;
    }
    *memory = load.memory;
    *bytes = load.have;
    return 0;
}

void rt_file_unload(void *memory)
{
    rti_sys_free(memory);
}

/* Replacing */

#define TEMPORARY ".shardrt-XXXXXX"

struct content {
    const void *buf;
    size_t bytes;
    mode_t mode;
};

/* Fill a file that was just made, and close it. */
static int fill(struct rt_file *file, const struct content *content, rt_time deadline)
{
    ssize_t n = rt_file_write_all(file, content->buf, content->bytes, 0, NULL, deadline);
    int closed;

    if (n >= 0) {
        n = rt_file_datasync(file, deadline);
    }
    closed = rt_file_close(file);
    return n < 0 ? (int)n : closed;
}

/* Also in a task that was cancelled: nothing is to be left. */
static void remove_temporary(struct rt_directory *directory, const char *name, const char *call)
{
    struct rt_scope shield;
    int r;

    rt_shield(&shield, RT_NEVER);
    r = rt_remove(directory, name, RT_NEVER);
    rt_scope_leave(&shield);
    if (r < 0) {
        rti_log(&rti_executor_here(call)->log, RT_LOG_ERROR,
                "%s(): failed, and the temporary file \"%s\" could not be removed: %s; remove it",
                call, name, rt_strerror(r));
    }
}

/* The name is the new file's: whether that is durable is worth waiting for. */
static int sync_names(struct rt_directory *directory)
{
    struct rt_scope shield;
    int r;

    rt_shield(&shield, RT_NEVER);
    r = rt_directory_sync(directory, RT_NEVER);
    rt_scope_leave(&shield);
    return r;
}

static int put_in(struct rt_directory *directory, const char *name, const struct content *content,
                  unsigned rename_flags, const char *call, rt_time deadline)
{
    char temporary[] = TEMPORARY;
    struct rt_file *file;
    int r = rt_file_create_unique(&file, directory, temporary, content->mode, deadline);

    if (r < 0) {
        return r;
    }
    r = fill(file, content, deadline);
    if (r == 0) {
        r = rt_rename(directory, temporary, directory, name, rename_flags, deadline);
    }
    if (r < 0) {
        remove_temporary(directory, temporary, call);
        return r;
    }
    return sync_names(directory);
}

/* The directory that the path's last name lies in. */
static int open_parent(struct rt_directory **out, const char *path, size_t bytes, rt_time deadline)
{
    char *parent;
    int r;

    if (bytes == 0) {
        return rt_directory_open(out, NULL, ".", deadline);
    }
    parent = rti_sys_alloc(bytes + 1);
    if (parent == NULL) {
        return -ENOMEM;
    }
    memcpy(parent, path, bytes); /* the slash too, so "/x" lies in "/" */
    r = rt_directory_open(out, NULL, parent, deadline);
    rti_sys_free(parent);
    return r;
}

static int put(const char *path, const struct content *content, unsigned rename_flags,
               const char *call, rt_time deadline)
{
    const struct rti_executor *executor = rti_executor_here(call);
    const char *slash;
    const char *name;
    struct rt_directory *directory;
    int r;

    RTI_ASSERT(path != NULL && (content->buf != NULL || content->bytes == 0));
    slash = strrchr(path, '/');
    name = slash == NULL ? path : slash + 1;
    if (name[0] == '\0') {
        rti_log(&executor->log, RT_LOG_ERROR,
                "%s(): the path \"%s\" must end with the name of a file", call, path);
        return -EINVAL;
    }
    r = open_parent(&directory, path, (size_t)(name - path), deadline);
    if (r < 0) {
        return r;
    }
    r = put_in(directory, name, content, rename_flags, call, deadline);
    (void)rt_directory_close(directory); /* nothing is written through it */
    return r;
}

int rt_file_store(const char *path, const void *buf, size_t bytes, mode_t mode, rt_time deadline)
{
    const struct content content = { buf, bytes, mode };

    return put(path, &content, RT_RENAME_NOREPLACE, "rt_file_store", deadline);
}

int rt_file_replace(const char *path, const void *buf, size_t bytes, mode_t mode, rt_time deadline)
{
    const struct content content = { buf, bytes, mode };

    return put(path, &content, 0, "rt_file_replace", deadline);
}
