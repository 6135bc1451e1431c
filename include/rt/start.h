/* SPDX-License-Identifier: MIT */
/*
 * Start: a runtime of many shards, one per core.
 *
 *     static int first(void *arg) { return 0; }     the first task of every shard
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct rt_config config = RT_CONFIG_INIT;
 *
 *         if (rt_config_parse(&config, &argc, argv) < 0) {
 *             return 2;
 *         }
 *         return rt_start(&config, first, NULL) < 0;
 *     }
 *
 * Stopping is a state machine over all shards; each step waits for all.
 *
 *     RUNNING    until every first task has returned. A shard whose own has
 *                returned goes on serving calls. The last one stops what services
 *                (rt/service.h) still run before it counts as returned.
 *     STOPPING   after rt_stop(), SIGINT, SIGTERM, or a first task that failed
 *                (result below 0): the first tasks are cancelled. Calls and
 *                posts between shards still work.
 *     DRAINING   all first tasks have returned: what still lives is cancelled,
 *                so that its waits, calls and posts give -ECANCELED; rt_spawn()
 *                and rt_try_post() give -ESHUTDOWN, as does what would be sent
 *                all the same.
 *     CLOSED     no task lives and no message is under way on any shard: the
 *                threads end.
 *
 * Tasks that live on after config.stop_timeout are printed, and the process
 * aborts.
 *
 * A child that fork() makes while a runtime lives may only exec: what else it
 * calls of this library aborts with a text.
 */
#ifndef RT_START_H
#define RT_START_H

#include "rt/base.h"
#include "rt/executor.h"
#include "rt/task.h"

#ifdef __cplusplus
extern "C" {
#endif

/** N shards and what is between them. */
struct rt_runtime;

/**
 * Start a runtime, run first(arg) as the first task of every shard, and wait until
 * all of it has ended.
 *
 * The calling thread is no shard: it waits. Meanwhile the process has handlers of
 * SIGINT and SIGTERM (RT_CONFIG_NO_SIGNALS: none): the first such signal stops the
 * runtime as rt_stop() does, the second one ends the process. config.dump_signal has one
 * too, if it is chosen. The old actions are back when the call returns. Threads of shards
 * block all signals but those of faults, and processes that tasks start inherit that.
 *
 * All or nothing: `first` runs on no shard before every shard is ready.
 *
 * @param config  read before `first` starts; the strings must stay valid. NULL = defaults:
 *                one shard on each core that the process may use.
 * @return 0; the first result below 0 in order of shards, if a first task failed (a first
 *         task that was cancelled and returned -ECANCELED has not failed); or, before
 *         `first` ran anywhere, an error as of rt_run(), -EBUSY when another runtime of
 *         the process handles signals or the caller is a shard. A text went to config.log.
 * \context{Any thread that is no shard.}
 */
RT_API RT_ANY_THREAD
int rt_start(const struct rt_config *config, rt_task_fn first, void *arg);

/**
 * As rt_start(), but return as soon as all shards run; installs no signal handler but that of
 * config.dump_signal.
 *
 * @param out  gets the runtime, on success only; ends with rt_wait().
 * @return 0, or an error as of rt_start() before `first` ran.
 * \context{Any thread that is no shard.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_launch(struct rt_runtime **out, const struct rt_config *config, rt_task_fn first, void *arg);

/**
 * Wait until the runtime has ended, and free it.
 *
 * @return as rt_start().
 * \context{Any thread that is no shard, once.}
 */
RT_API RT_ANY_THREAD
int rt_wait(struct rt_runtime *runtime);

/**
 * Ask a runtime to stop. Stopping twice is stopping once.
 *
 * @param runtime  NULL: that of the calling shard.
 * \context{Any thread. Must have returned before rt_wait() or rt_start() does.}
 */
RT_API RT_ANY_THREAD
void rt_stop(struct rt_runtime *runtime);

/**
 * The runtime of the calling shard, to be handed to threads that submit work.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
struct rt_runtime *rt_runtime_self(void);

/**
 * The number of the calling shard in its runtime, 0..rt_shard_count() - 1.
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_shard_index(void);

/**
 * How many shards the runtime of the calling shard has; 1 under rt_run().
 *
 * \context{In a task. Does not suspend.}
 */
RT_API RT_ON_SHARD
uint32_t rt_shard_count(void);

/**
 * Work that a thread which is no shard hands to one. Lies in the caller's memory and
 * must stay there until rt_submission_wait() has returned 0.
 */
struct rt_submission {
    /* private */
    struct rt_submission *next;
    rt_task_fn fn;
    void *arg;
    int32_t result;
    int32_t error;
    uint32_t done;
    uint32_t reserved;
};

/**
 * Run fn(arg) as a task of a shard. Needs no memory and never waits.
 *
 * @param submission  filled by this call; wait for it with rt_submission_wait().
 * @return 0; -EINVAL when there is no such shard; -ESHUTDOWN when the runtime is stopping:
 *         then there is nothing to wait for.
 * \context{Any thread, shard or not. Must have returned before rt_wait() or rt_start() does.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_submit(struct rt_runtime *runtime, uint32_t shard, struct rt_submission *submission,
              rt_task_fn fn, void *arg);

/**
 * Wait until the submitted function has returned. Blocks the thread, so it is not for shards.
 *
 * @param result  gets what the function returned, on success only; may be NULL.
 * @return 0; -ETIME when `deadline` passed: the submission is still under way and must be
 *         waited for again; -EAGAIN when the shard was at its limit of tasks, -ENOMEM,
 *         -ESHUTDOWN: then the function was not run, and the wait is over.
 * \context{Any thread that is no shard, one at a time.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_submission_wait(struct rt_submission *submission, int *result, rt_time deadline);

/**
 * Read the options that every program of this library has out of a command line, and
 * before that the environment variables of the same names (RT_CPUS for --cpus ...).
 *
 * What is understood is taken out of argv; the rest keeps its order. Options behind
 * "--" are not looked at. A field that neither sets is left as it was.
 *
 * @param config  to be filled; its `log` and `log_arg` get the text of an error.
 * @param argc    the number of arguments, lowered by what was taken.
 * @return 0, or -EINVAL for a value that cannot be read or is missing, having said so.
 * \context{Any thread. The strings of argv and of the environment must stay valid.}
 */
RT_API RT_MUST_CHECK RT_ANY_THREAD
int rt_config_parse(struct rt_config *config, int *argc, char **argv);

/**
 * The options of rt_config_parse() as lines for a program's --help.
 *
 * \context{Any thread.}
 */
RT_API RT_ANY_THREAD
const char *rt_config_help(void);

#ifdef __cplusplus
}
#endif

#endif /* RT_START_H */
