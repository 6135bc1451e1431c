/* SPDX-License-Identifier: MIT */
/*
 * Dump: what every task does at this moment, as text or as JSON.
 *
 *     rt_dump(STDERR_FILENO, 0);                                  this shard, as text
 *     rt_dump_all(fd, RT_DUMP_JSON, rt_in(RT_SECONDS(1)));        all shards, as JSON
 *     config.dump_signal = SIGUSR1;                               all shards, when it comes
 *
 * A dump says of each task: its number and name, its queue and state, whether
 * it was cancelled, what it waits for and since when, its group, whom it joins
 * and who joins it, and the calls that it is in. Nothing has to be turned on
 * for it, and it works in release builds.
 *
 * At the end it names wait cycles: tasks that wait for each other in a ring, by joins,
 * mutexes and calls, on one shard or over several. None of them can go on.
 *
 * Each shard looks at its own tasks, on its own thread and between two of
 * them. A shard that is busy in one task cannot; the dump then says so, and
 * what its thread does as far as the kernel tells.
 *
 * A dump lists the first 1000 tasks of a shard (running, runnable, waiting and
 * completed ones, in this order), and counts all. docs/guide/dump.md shows the
 * text and describes the JSON.
 */
#ifndef RT_DUMP_H
#define RT_DUMP_H

#include "rt/base.h"
#include "rt/start.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rt_dump_flag {
    RT_DUMP_JSON = 1u << 0,  /* one line of JSON, instead of text for people */
    RT_DUMP_BRIEF = 1u << 1, /* without the calls that tasks are in */
};

/**
 * Dump the tasks of the calling shard. Works in a cancelled task too.
 *
 * @param fd     written to as by write(2): this blocks the shard if that blocks, and a
 *               pipe that nobody reads raises SIGPIPE where it is not blocked.
 * @param flags  enum rt_dump_flag, or'ed.
 * @return 0; -EINVAL for unknown flags, with a text in config.log; -ENOMEM; or the error
 *         of write(2), after which a part may have been written.
 * \context{In a task whose stack has 8 KiB left. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
int rt_dump(int fd, uint32_t flags);

/**
 * Dump the tasks of every shard of the runtime. Shards that have not answered at
 * `deadline` are reported as such.
 *
 * @return as rt_dump(); -EBUSY while another dump of this runtime is made; -ECANCELED: then
 *         nothing was written.
 * \context{In a task whose stack has 8 KiB left. Suspends.}
 */
RT_API RT_MUST_CHECK RT_SUSPENDS
int rt_dump_all(int fd, uint32_t flags, rt_time deadline);

/**
 * As rt_dump_all(), for a thread that is no shard, which waits meanwhile.
 *
 * @param runtime  of rt_launch() or rt_runtime_self().
 * @return as rt_dump_all().
 * \context{Any thread that is no shard. Must have returned before rt_wait() or rt_start() does.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_runtime_dump(struct rt_runtime *runtime, int fd, uint32_t flags, rt_time deadline);

#ifdef __cplusplus
}
#endif

#endif /* RT_DUMP_H */
