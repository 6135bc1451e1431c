/* SPDX-License-Identifier: MIT */
/* Counters: see counters.h. */
#include "counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int instructions_fd = -1;
static int cycles_fd = -1;

int counters_open_one(uint32_t type, uint64_t event)
{
    struct perf_event_attr attr;
    long fd;

    memset(&attr, 0, sizeof(attr));
    attr.size = sizeof(attr);
    attr.type = type;
    attr.config = event;
    attr.inherit = 1; /* the threads that are made later */
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

double counters_read_one(int fd)
{
    uint64_t value;

    return fd >= 0 && read(fd, &value, sizeof(value)) == sizeof(value) ? (double)value : NAN;
}

const char *counters_open(void)
{
    instructions_fd = counters_open_one(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
    cycles_fd = counters_open_one(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
    switch (instructions_fd < 0 ? -instructions_fd : 0) {
    case 0:
        return NULL;
    case ENOENT:
    case EOPNOTSUPP:
        return "this machine has none (a virtual machine without a virtual PMU?)";
    case EACCES:
    case EPERM:
        return "not permitted: kernel.perf_event_paranoid must be 2 or less "
               "(sysctl kernel.perf_event_paranoid=2), or seccomp forbids them";
    case ENOSYS:
        return "this kernel is built without perf events";
    default:
        return strerrordesc_np(-instructions_fd);
    }
}

void counters_read(struct counters *out)
{
    struct timespec used;

    out->cpu_ns = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0
                      ? (double)used.tv_sec * 1e9 + (double)used.tv_nsec
                      : NAN;
    out->allocations = (double)allocations_count();
    out->instructions = counters_read_one(instructions_fd);
    out->cycles = counters_read_one(cycles_fd);
}
