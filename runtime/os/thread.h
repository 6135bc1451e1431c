/* SPDX-License-Identifier: MIT */
/* Thread: pinning the calling thread, and putting things back as they were. */
#ifndef RTI_OS_THREAD_H
#define RTI_OS_THREAD_H

#include <sched.h>

#include "base/log.h"

/* What rti_thread_begin() changed. */
struct rti_thread {
    cpu_set_t old_affinity; /* valid when pinned */
    int cpu;                /* that the thread is pinned to, or -1 */
    int old_timer_slack;    /* ns, or below 0 when it could not be read */
};

/*
 * Pin the calling thread to the one CPU that `cpus` names (NULL: do not pin)
 * and let its timers fire to the nanosecond. Returns 0, or -EINVAL for a list
 * that cannot be read, names several CPUs, or one that this process may not
 * use, having said so in the log.
 */
int rti_thread_begin(struct rti_thread *thread, const char *cpus, const struct rti_log *log);
void rti_thread_end(struct rti_thread *thread);

/* The CPUs that the thread might use before it was pinned, less that one. Returns how many. */
int rti_thread_other_cpus(const struct rti_thread *thread, cpu_set_t *others);

#endif /* RTI_OS_THREAD_H */
