/* SPDX-License-Identifier: MIT */
/*
 * Runner: all jobs of a file, stage by stage.
 *
 * The instances of a stage run side by side, each on its shard. Jobs that name the same CPUs and
 * the same placement, or none, share a runtime, which lays its shards there. The program's own
 * thread is no shard: it shows the progress, takes samples, and minds SIGINT and SIGTERM.
 */
#ifndef STORAGE_RUNNER_H
#define STORAGE_RUNNER_H

#include <rt/executor.h>

#include "result.h"

struct run_options {
    struct rt_config config; /* cpus and place are for jobs that say nothing of their own */
    bool allow_overwrite;    /* block devices and files that this program has not made */
    bool progress;           /* a line on standard error that is written over */
};

/*
 * Runs jobs that are sorted by stage. Returns 0, also when a job has failed: its result says so;
 * or negative errno after a message, when nothing could be run. *out is filled in both cases, and
 * ends with result_fini().
 */
int storage_run(const struct job *jobs, size_t count, const struct run_options *options,
                struct result *out);

#endif /* STORAGE_RUNNER_H */
