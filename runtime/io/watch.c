/* SPDX-License-Identifier: MIT */
/* Watches: inotify(7), read through the ring. See rt/watch.h for the contract. */
#include "rt/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "cross/blocking.h"
#include "io/directory.h"
#include "os/sys.h"

/* Of one read: 64 events with the longest names, or 1024 without. */
#define RAW_BYTES  16384
#define EVENTS_MAX (RAW_BYTES / sizeof(struct inotify_event))

_Static_assert((uint32_t)RT_WATCH_ALL ==
                   (IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE)),
               "the numbers are the kernel's");
_Static_assert((uint32_t)RT_WATCH_LOST == IN_Q_OVERFLOW && (uint32_t)RT_WATCH_GONE == IN_IGNORED &&
                   (uint32_t)RT_WATCH_DIRECTORY == IN_ISDIR,
               "the numbers are the kernel's");

struct events {
    struct rt_watch_event all[EVENTS_MAX];
    char raw[RAW_BYTES] __attribute__((aligned(8)));
};

struct rt_watch {
    struct rti_handle handle;
    struct events *events;
    bool is_read; /* a task reads */
};

_Static_assert(sizeof(struct rt_watch) <= RTI_HANDLE_BYTES, "it lies in the pool of handles");

int rt_watch_open(struct rt_watch **out)
{
    struct rti_executor *executor = rti_executor_here("rt_watch_open");
    struct rt_watch *watch = rti_handle_get(executor, sizeof(*watch));
    int r = -ENOMEM;

    RTI_ASSERT(out != NULL);
    if (watch == NULL) {
        return r;
    }
    watch->events = rti_sys_alloc(sizeof(*watch->events));
    if (watch->events != NULL) {
        r = rti_sys_watch_open();
    }
    if (r < 0) {
        rti_sys_free(watch->events);
        rti_handle_put(watch);
        return r;
    }
    watch->handle.fd = r;
    *out = watch;
    return 0;
}

static void enter(struct rt_watch *watch, const char *call)
{
    (void)rti_handle_must_own(watch, call);
    if (watch->handle.closing) {
        rti_misuse("%s(): another task is closing the watch", call);
    }
    watch->handle.users++;
}

/* Adding, on a thread of the pool: the path is looked up */

struct addition {
    const char *path;
    int fd;
    uint32_t what;
};

static int add(void *arg)
{
    const struct addition *addition = arg;

    return rti_sys_watch_add(addition->fd, addition->path, addition->what);
}

static int call_add(const struct addition *addition, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_BLOCKING_KIND("add watch");
    struct addition copy = *addition;
    int result;
    const int r = rti_blocking_call(&kind, add, &copy, &result, deadline);

    return r < 0 ? r : result;
}

/* inotify_add_watch(2) has no form that begins in a directory, but that has a name in /proc. */
static int add_in(struct addition *addition, int directory, const char *path, rt_time deadline)
{
    static const char format[] = "/proc/self/fd/%d/%s";
    const size_t bytes = sizeof(format) + 11 + strlen(path); /* digits of an int, and a sign */
    char *full = rti_sys_alloc(bytes);
    int r;

    if (full == NULL) {
        return -ENOMEM;
    }
    snprintf(full, bytes, format, directory, path);
    addition->path = full;
    r = call_add(addition, deadline);
    rti_sys_free(full);
    return r;
}

int rt_watch_add(struct rt_watch *watch, struct rt_directory *at, const char *path, uint32_t what,
                 int *place, rt_time deadline)
{
    struct addition addition = { .path = path, .what = what };
    int directory;
    int r;

    RTI_ASSERT(path != NULL);
    enter(watch, "rt_watch_add");
    directory = rti_directory_enter(at, "rt_watch_add");
    addition.fd = watch->handle.fd;
    if (what == 0 || (what & ~RT_WATCH_ALL) != 0) {
        r = -EINVAL;
    } else if (path[0] == '\0') {
        r = -ENOENT; /* as with all paths that begin in a directory */
    } else if (at == NULL || path[0] == '/') {
        r = call_add(&addition, deadline);
    } else {
        r = add_in(&addition, directory, path, deadline);
    }
    rti_directory_leave(at);
    watch->handle.users--;
    if (r >= 0 && place != NULL) {
        *place = r;
    }
    return r < 0 ? r : 0;
}

int rt_watch_remove(struct rt_watch *watch, int place)
{
    int r;

    enter(watch, "rt_watch_remove");
    r = rti_sys_watch_remove(watch->handle.fd, place);
    watch->handle.users--;
    return r;
}

/* Reading */

static int read_raw(struct rt_watch *watch, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_OP_KIND("read watch");
    struct rti_op op;
    struct io_uring_sqe *sqe;
    const int r = rti_op_begin(&op, &kind, deadline, &sqe);

    if (r < 0) {
        return r;
    }
    io_uring_prep_read(sqe, watch->handle.fd, watch->events->raw, RAW_BYTES, 0);
    return rti_op_await(&op, sqe, deadline);
}

static int make_events(struct events *events, size_t bytes)
{
    int count = 0;

    for (size_t at = 0; at < bytes;) {
        const struct inotify_event *raw = (const void *)(events->raw + at);

        events->all[count++] = (struct rt_watch_event){
            .name = raw->len > 0 ? raw->name : "",
            .place = raw->wd,
            .what = raw->mask,
            .cookie = raw->cookie,
        };
        at += sizeof(*raw) + raw->len;
    }
    return count;
}

ssize_t rt_watch_read(struct rt_watch *watch, const struct rt_watch_event **events,
                      rt_time deadline)
{
    int r;

    RTI_ASSERT(events != NULL);
    enter(watch, "rt_watch_read");
    if (watch->is_read) {
        rti_misuse("rt_watch_read(): another task is reading the watch");
    }
    watch->is_read = true;
    r = read_raw(watch, deadline);
    watch->is_read = false;
    watch->handle.users--;
    if (r < 0) {
        return r;
    }
    *events = watch->events->all;
    return make_events(watch->events, (size_t)r);
}

void rt_watch_close(struct rt_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    (void)rti_handle_must_own(watch, "rt_watch_close");
    if (watch->handle.users != 0 || watch->handle.closing) {
        rti_misuse("rt_watch_close(): another task is using the watch");
    }
    watch->handle.closing = true;
    (void)rti_handle_close_fd(watch->handle.fd);
    rti_sys_free(watch->events);
    rti_handle_put(watch);
}
