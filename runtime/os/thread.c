/* SPDX-License-Identifier: MIT */
/* Thread: see thread.h. */
#include "os/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "os/sys.h"

/* The one CPU that the text names, or -EINVAL. */
static int parse_cpu(const char *cpus)
{
    char *end;
    unsigned long cpu;

    if (*cpus < '0' || *cpus > '9') {
        return -EINVAL;
    }
    errno = 0;
    cpu = strtoul(cpus, &end, 10);
    if (errno != 0 || *end != '\0' || cpu >= CPU_SETSIZE) {
        return -EINVAL;
    }
    return (int)cpu;
}

static int pin(struct rti_thread *thread, const char *cpus, const struct rti_log *log)
{
    const int cpu = parse_cpu(cpus);
    cpu_set_t wanted;
    int r;

    if (cpu < 0) {
        rti_log(log, RT_LOG_ERROR,
                "cpus \"%s\" must be the number of one CPU, such as \"0\": rt_run() runs one "
                "executor",
                cpus);
        return -EINVAL;
    }
    r = rti_sys_getaffinity(sizeof(thread->old_affinity), &thread->old_affinity);
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR, "the CPUs of this thread cannot be read: %s",
                strerrordesc_np(-r));
        return r;
    }
    CPU_ZERO(&wanted);
    CPU_SET((size_t)cpu, &wanted);
    r = CPU_ISSET((size_t)cpu, &thread->old_affinity) ? rti_sys_setaffinity(sizeof(wanted), &wanted)
                                                      : -EINVAL;
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR,
                "CPU %d is not one of the %d that this process may use (see taskset -p or "
                "cpuset.cpus)",
                cpu, CPU_COUNT(&thread->old_affinity));
        return r;
    }
    thread->cpu = cpu;
    return 0;
}

int rti_thread_begin(struct rti_thread *thread, const char *cpus, const struct rti_log *log)
{
    int r;

    thread->cpu = -1;
    if (cpus != NULL) {
        r = pin(thread, cpus, log);
        if (r < 0) {
            return r;
        }
    }
    /* The default slack lets a sleep last 50 us longer than asked. */
    thread->old_timer_slack = rti_sys_prctl(PR_GET_TIMERSLACK, 0);
    (void)rti_sys_prctl(PR_SET_TIMERSLACK, 1);
    return 0;
}

void rti_thread_end(struct rti_thread *thread)
{
    if (thread->old_timer_slack > 0) {
        (void)rti_sys_prctl(PR_SET_TIMERSLACK, (unsigned long)thread->old_timer_slack);
    }
    if (thread->cpu >= 0) {
        (void)rti_sys_setaffinity(sizeof(thread->old_affinity), &thread->old_affinity);
    }
}

int rti_thread_other_cpus(const struct rti_thread *thread, cpu_set_t *others)
{
    if (thread->cpu < 0) {
        return 0;
    }
    *others = thread->old_affinity;
    CPU_CLR((size_t)thread->cpu, others);
    return CPU_COUNT(others);
}
