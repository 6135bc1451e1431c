/* SPDX-License-Identifier: MIT */
/* Explain: see explain.h. Cold code; reads /proc and the limits directly. */
#include "os/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define PAGE_BYTES 4096u

/* The first number in a file, or `otherwise` when it cannot be read. */
static long read_number(const char *path, long otherwise)
{
    FILE *file = fopen(path, "re");
    long value = otherwise;

    if (file != NULL) {
        char line[32];

        if (fgets(line, sizeof(line), file) != NULL) {
            value = strtol(line, NULL, 10);
        }
        fclose(file);
    }
    return value;
}

static void explain_refused(const struct rti_log *log, int error)
{
    const long disabled = read_number("/proc/sys/kernel/io_uring_disabled", 0);

    if (disabled > 0) {
        rti_log(log, RT_LOG_ERROR,
                "io_uring is turned off on this machine (kernel.io_uring_disabled = %ld); turn it "
                "on with: sysctl kernel.io_uring_disabled=0%s",
                disabled,
                disabled == 1 ? ", or run with CAP_SYS_ADMIN or in kernel.io_uring_group" : "");
        return;
    }
    rti_log(log, RT_LOG_ERROR,
            "io_uring_setup was refused (%s) although kernel.io_uring_disabled is 0: a seccomp "
            "filter forbids it, as container runtimes do by default; allow io_uring_setup, "
            "io_uring_enter and io_uring_register in the filter (with Docker: --security-opt "
            "seccomp=PROFILE)",
            strerrorname_np(-error));
}

static void explain_missing(const struct rti_log *log)
{
    struct utsname name;

    if (uname(&name) < 0) {
        name.release[0] = '?', name.release[1] = 0;
    }
    rti_log(log, RT_LOG_ERROR,
            "this kernel (%s) has no io_uring, or a seccomp filter hides it (ENOSYS): shardrt "
            "needs Linux 6.1 or newer, built with CONFIG_IO_URING",
            name.release);
}

static void explain_too_old(const struct rti_log *log)
{
    struct utsname name;

    if (uname(&name) < 0) {
        name.release[0] = '?', name.release[1] = 0;
    }
    rti_log(log, RT_LOG_ERROR,
            "the io_uring of this kernel (%s) is too old: shardrt needs Linux 6.1 or newer",
            name.release);
}

static void explain_descriptors(const struct rti_log *log, int error)
{
    struct rlimit limit = { 0, 0 };

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (error == -ENFILE) {
        rti_log(log, RT_LOG_ERROR,
                "no file descriptor is free on this machine (ENFILE); raise "
                "the sysctl fs.file-max");
        return;
    }
    rti_log(log, RT_LOG_ERROR,
            "no file descriptor is free for the ring (EMFILE): the limit of this process is %llu; "
            "raise it with: ulimit -n NUMBER",
            (unsigned long long)limit.rlim_cur);
}

static void explain_no_memory(const struct rti_log *log)
{
    struct rlimit limit = { 0, 0 };

    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    rti_log(log, RT_LOG_ERROR,
            "the kernel has no memory for the ring (ENOMEM): raise the memory limit of the cgroup, "
            "the limit of locked memory (now %llu KiB; ulimit -l), or the limit of the address "
            "space (ulimit -v), or set smaller config.ring_entries and config.cq_entries",
            (unsigned long long)limit.rlim_cur / 1024);
}

void rti_explain_ring(const struct rti_log *log, int error)
{
    switch (error) {
    case -EPERM:
    case -EACCES:
        explain_refused(log, error);
        break;
    case -ENOSYS:
        explain_missing(log);
        break;
    case -EOPNOTSUPP:
        explain_too_old(log);
        break;
    case -EMFILE:
    case -ENFILE:
        explain_descriptors(log, error);
        break;
    case -ENOMEM:
        explain_no_memory(log);
        break;
    default:
        rti_log(log, RT_LOG_ERROR, "io_uring cannot be set up: %s", rt_strerror(error));
        break;
    }
}

void rti_explain_memory(const struct rti_log *log, const char *what, int error)
{
    const char *name = strerrorname_np(-error);

    rti_log(log, RT_LOG_ERROR,
            "no memory for %s (%s): raise the memory limit of the cgroup or the limit of the "
            "address space (ulimit -v), or lower config.tasks_max",
            what, name != NULL ? name : "unknown error");
}

int rti_explain_pages(const struct rti_log *log, size_t page_bytes)
{
    if (page_bytes == PAGE_BYTES) {
        return 0;
    }
    rti_log(log, RT_LOG_ERROR,
            "the pages of this kernel have %zu bytes: stacks and their guards are made for %u; "
            "boot a kernel that is built for pages of 4 KiB",
            page_bytes, PAGE_BYTES);
    return -ENOTSUP;
}

void rti_explain_unregistered(const struct rti_log *log, int error)
{
    struct rlimit limit = { 0, 0 };

    if (error != -ENOMEM) {
        rti_log(log, RT_LOG_WARNING,
                "the kernel registers no buffers for I/O: %s; file I/O goes on without, and each "
                "operation costs more",
                rt_strerror(error));
        return;
    }
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    rti_log(log, RT_LOG_WARNING,
            "the kernel registers no more buffers for I/O (ENOMEM): all that a user registers "
            "counts as locked memory, whose limit is %llu KiB; raise it with: ulimit -l NUMBER (or "
            "LimitMEMLOCK= of systemd), or lower config.buffer_bytes; file I/O goes on without, "
            "and each operation costs more",
            (unsigned long long)limit.rlim_cur / 1024);
}
