/* SPDX-License-Identifier: MIT */
/* Thread: see thread.h. */
#include "os/thread.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "os/explain.h"
#include "os/sys.h"

/* The kernel refuses a set smaller than its own, so sets double from what a cpu_set_t holds (1024
 * CPUs) up to here (524288 CPUs; NR_CPUS of today's kernels is at most 8192). */
#define SET_BYTES_MAX ((size_t)64 * 1024)

int rti_thread_parse_cpu(const char *cpus, int *out, const struct rti_log *log)
{
    char *end = NULL;
    unsigned long cpu = ULONG_MAX;

    if (cpus == NULL) {
        *out = -1;
        return 0;
    }
    if (*cpus >= '0' && *cpus <= '9') {
        cpu = strtoul(cpus, &end, 10);
    }
    if (cpu > INT_MAX || *end != '\0') {
        rti_log(log, RT_LOG_ERROR,
                "cpus \"%s\" must be the number of one CPU, such as \"0\": rt_run() runs one "
                "executor",
                cpus);
        return -EINVAL;
    }
    *out = (int)cpu;
    return 0;
}

/* Room for all sets, and the first of them. */
static int read_affinity(struct rti_thread *thread, const struct rti_log *log)
{
    int r = -EINVAL;

    for (size_t bytes = sizeof(cpu_set_t); r == -EINVAL && bytes <= SET_BYTES_MAX; bytes *= 2) {
        cpu_set_t *sets = rti_sys_alloc(3 * bytes);

        if (sets == NULL) {
            rti_explain_memory(log, "the set of CPUs", -ENOMEM);
            return -ENOMEM;
        }
        r = rti_sys_getaffinity(bytes, sets);
        if (r >= 0) {
            thread->old_affinity = sets;
            thread->own = (cpu_set_t *)(void *)((char *)sets + bytes);
            thread->others = (cpu_set_t *)(void *)((char *)sets + 2 * bytes);
            thread->set_bytes = bytes;
            return 0;
        }
        rti_sys_free(sets);
    }
    rti_log(log, RT_LOG_ERROR, "the CPUs of this thread cannot be read: %s", strerrordesc_np(-r));
    return r;
}

static void free_affinity(struct rti_thread *thread)
{
    rti_sys_free(thread->old_affinity);
    thread->old_affinity = NULL;
    thread->own = NULL;
    thread->others = NULL;
}

static int pin(struct rti_thread *thread, int cpu, const struct rti_log *log)
{
    const size_t number = (size_t)cpu;
    int r = read_affinity(thread, log);

    if (r < 0) {
        return r;
    }
    r = -EINVAL;
    if (CPU_ISSET_S(number, thread->set_bytes, thread->old_affinity)) {
        CPU_SET_S(number, thread->set_bytes, thread->own);
        r = rti_sys_setaffinity(thread->set_bytes, thread->own);
    }
    if (r < 0) {
        rti_log(log, RT_LOG_ERROR,
                "CPU %d is not one of the %d that this process may use (see taskset -p or "
                "cpuset.cpus)",
                cpu, CPU_COUNT_S(thread->set_bytes, thread->old_affinity));
        free_affinity(thread);
        return r;
    }
    memcpy(thread->others, thread->old_affinity, thread->set_bytes);
    CPU_CLR_S(number, thread->set_bytes, thread->others);
    if (CPU_COUNT_S(thread->set_bytes, thread->others) == 0) {
        thread->others = NULL;
    }
    thread->cpu = cpu;
    return 0;
}

int rti_thread_begin(struct rti_thread *thread, int cpu, const struct rti_log *log)
{
    *thread = (struct rti_thread){ .cpu = -1 };
    if (cpu >= 0) {
        const int r = pin(thread, cpu, log);

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
    if (thread->old_affinity != NULL) {
        (void)rti_sys_setaffinity(thread->set_bytes, thread->old_affinity);
        free_affinity(thread);
    }
}

void rti_thread_block_signals(sigset_t *old_set)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigset_t set;

    (void)sigfillset(&set);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        (void)sigdelset(&set, faults[i]);
    }
    (void)rti_sys_sigmask(SIG_BLOCK, &set, old_set);
}

void rti_thread_unblock_signals(const sigset_t *old_set)
{
    (void)rti_sys_sigmask(SIG_SETMASK, old_set, NULL);
}

char rti_thread_state(int thread_id)
{
    char path[64];
    char text[256];
    const char *name_end;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread_id);
    fd = rti_sys_open_to_read(path);
    if (fd < 0) {
        return '?';
    }
    n = rti_sys_read(fd, text, sizeof(text) - 1);
    (void)rti_sys_close(fd);
    text[n > 0 ? n : 0] = '\0';
    name_end = strrchr(text, ')'); /* the name may hold anything, ')' too */
    return name_end != NULL && name_end[1] == ' ' ? name_end[2] : '?';
}
