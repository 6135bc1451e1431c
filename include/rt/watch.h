/* SPDX-License-Identifier: MIT */
/*
 * Watches: being told when files and names change.
 *
 *     struct rt_watch *watch;
 *     const struct rt_watch_event *events;
 *
 *     rt_watch_open(&watch);
 *     rt_watch_add(watch, NULL, "/etc/x", RT_WATCH_WRITTEN | RT_WATCH_MOVED_TO, NULL, RT_NEVER);
 *     while ((n = rt_watch_read(watch, &events, RT_NEVER)) > 0) {
 *         ... events[i].name has changed ...
 *     }
 *
 * The kernel's inotify(7), read through the ring. It sees what programs of this machine
 * do, not what comes over a network file system; a directory that is watched tells of the
 * names in it, not of those in directories below.
 */
#ifndef RT_WATCH_H
#define RT_WATCH_H

#include "rt/base.h"
#include "rt/directory.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Some watched places, and the events that have come from them. Belongs to its shard. */
struct rt_watch;

/** What has happened, or'ed; the numbers are those of inotify(7). */
enum rt_watch_what {
    RT_WATCH_MODIFIED = 1u << 1,      /* a file was written or cut */
    RT_WATCH_ATTRIBUTES = 1u << 2,    /* permissions, times, owner, number of names */
    RT_WATCH_WRITTEN = 1u << 3,       /* a file that was open to be written was closed */
    RT_WATCH_MOVED_FROM = 1u << 6,    /* a name left the directory, by a rename */
    RT_WATCH_MOVED_TO = 1u << 7,      /* a name came into it, by a rename */
    RT_WATCH_CREATED = 1u << 8,       /* a name was made in it */
    RT_WATCH_REMOVED = 1u << 9,       /* a name was removed from it */
    RT_WATCH_SELF_REMOVED = 1u << 10, /* what is watched itself was removed */
    RT_WATCH_SELF_MOVED = 1u << 11,   /* or renamed */

    /* not to be asked for: they come */
    RT_WATCH_UNMOUNTED = 1u << 13, /* its file system has gone; RT_WATCH_GONE follows */
    RT_WATCH_LOST = 1u << 14,      /* events were lost, for nobody read them: look at everything */
    RT_WATCH_GONE = 1u << 15,      /* the place is watched no more */
    RT_WATCH_DIRECTORY = 1u << 30, /* beside the others: it happened to a directory */
};

/** All that can be asked for. */
#define RT_WATCH_ALL 0xfceu

/** Something that has happened. */
struct rt_watch_event {
    const char *name; /* in the directory that is watched; "" for what is watched itself */
    int place;        /* as rt_watch_add() gave it; -1 with RT_WATCH_LOST */
    uint32_t what;    /* enum rt_watch_what, or'ed */
    uint32_t cookie;  /* the same in the two events of one rename; else 0 */
};

/**
 * Make a watch of no place.
 *
 * @param out  gets it, on success only; the caller closes it.
 * @return 0; -EMFILE, also at the user's limit of fs.inotify.max_user_instances; -ENFILE; -ENOMEM.
 * \context{In a task. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_watch_open(struct rt_watch **out);

/**
 * Watch a file or a directory.
 *
 * What is watched already gets the new `what`, and keeps its number.
 *
 * @param at     where `path` begins; NULL: the working directory. Else it needs /proc.
 * @param what   enum rt_watch_what, or'ed.
 * @param place  gets its number, on success only; may be NULL.
 * @return 0; -EINVAL when `what` asks for nothing, or for what cannot be asked for; -ENOENT and
 *         what else stands in inotify_add_watch(2), such as -ENOSPC at the user's limit
 *         fs.inotify.max_user_watches; -EAGAIN (rt_blocking()); -ENOMEM; -ETIME; -ECANCELED.
 * \context{In a task of the watch's shard. Suspends; may outlast its deadline.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_watch_add(struct rt_watch *watch, struct rt_directory *at, const char *path, uint32_t what,
                 int *place, rt_time deadline);

/**
 * Watch a place no more. Events that have come already are still read; RT_WATCH_GONE is the last.
 *
 * @return 0; -EINVAL when there is no such place (any more).
 * \context{In a task of the watch's shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
int rt_watch_remove(struct rt_watch *watch, int place);

/**
 * Wait for events. One task at a time reads; a second one aborts.
 *
 * @param events  gets the first of them, on success only; valid until the next read, or the close.
 * @return how many, above 0; -ETIME; -ECANCELED; or another -errno.
 * \context{In a task of the watch's shard. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
ssize_t rt_watch_read(struct rt_watch *watch, const struct rt_watch_event **events,
                      rt_time deadline);

/**
 * End the watch and free it. Works in a cancelled task too.
 *
 * Aborts when another task is using it.
 *
 * @param watch  NULL does nothing.
 * \context{In a task of the watch's shard. Suspends.}
 */
RT_API RT_SUSPENDS
void rt_watch_close(struct rt_watch *watch);

#ifdef __cplusplus
}
#endif

#endif /* RT_WATCH_H */
