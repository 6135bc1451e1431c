/* SPDX-License-Identifier: MIT */
/* Thread: pinning the calling thread, and putting things back as they were. */
#ifndef RTI_OS_THREAD_H
#define RTI_OS_THREAD_H

#include <sched.h>
#include <signal.h>

#include "base/log.h"

/* What rti_thread_begin() changed. The sets have room for every CPU that the kernel counts. */
struct rti_thread {
    cpu_set_t *old_affinity; /* NULL when not pinned */
    cpu_set_t *own;          /* only `cpu`; in the same block of memory, or NULL */
    cpu_set_t *others;       /* old_affinity without `cpu`; as `own`. NULL: there are none */
    size_t set_bytes;        /* of each of the three */
    int cpu;                 /* that the thread is pinned to, or -1 */
    int old_timer_slack;     /* ns, or below 0 when it could not be read */
};

/*
 * The CPU that config.cpus of rt_run() names: *out = its number, or -1 when
 * `cpus` is NULL. Returns 0, or -EINVAL for anything but one number, having
 * said so in the log.
 */
int rti_thread_parse_cpu(const char *cpus, int *out, const struct rti_log *log);

/*
 * Pin the calling thread to a CPU (below 0: do not pin) and let its timers
 * fire to the nanosecond. Returns 0; or, having said so in the log, -EINVAL
 * for a CPU that this thread may not use, or -ENOMEM.
 */
int rti_thread_begin(struct rti_thread *thread, int cpu, const struct rti_log *log);
void rti_thread_end(struct rti_thread *thread);

/* Block every signal that comes from outside on this thread; faults of its own still reach it. */
void rti_thread_block_signals(sigset_t *old_set);
void rti_thread_unblock_signals(const sigset_t *old_set);

/* What a thread of this process, known by its number in the kernel, does: 'R' it runs, 'S' it
 * sleeps, and more as in proc_pid_stat(5); '?' when that cannot be read. Any thread. */
char rti_thread_state(int thread_id);

#endif /* RTI_OS_THREAD_H */
