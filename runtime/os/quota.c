/* SPDX-License-Identifier: MIT */
/* Quota: see quota.h. */
#include "os/quota.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/sys.h"

/* Where the kernel's two versions of cgroups keep the limit of CPU time. */
struct version {
    const char *folder; /* usual place of the mount */
    const char *quota;  /* file with the microseconds per period, and the period if it is one */
    const char *period; /* file with the period, or NULL */
};

static const struct version unified = { "/sys/fs/cgroup", "cpu.max", NULL };
static const struct version legacy = { "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us",
                                       "cpu.cfs_period_us" };

/* The whole of a small file as a string, or -EFBIG. */
static int read_file(const char *path, char *text, size_t bytes)
{
    const int fd = rti_sys_open_to_read(path);
    size_t length = 0;
    ssize_t n = fd < 0 ? fd : 1;

    while (n > 0 && length < bytes) {
        n = rti_sys_read(fd, text + length, bytes - length);
        length += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        (void)rti_sys_close(fd);
    }
    if (n < 0) {
        return (int)n;
    }
    if (length == bytes) {
        return -EFBIG;
    }
    text[length] = '\0';
    return 0;
}

/* A file that is not there is an empty one: most cgroups have no limit of their own. */
static int read_text(const char *path, char *text, size_t bytes, const struct rti_log *log)
{
    const int r = read_file(path, text, bytes);

    if (r == -ENOENT || r == -ENOTDIR) {
        text[0] = '\0';
        return 0;
    }
    if (r < 0) {
        rti_log(log, RT_LOG_WARNING, "%s, which may limit CPU time, cannot be read: %s", path,
                strerrordesc_np(-r));
    }
    return r;
}

/* The limit of one cgroup; 0: none. */
static double read_limit(const struct version *version, const char *root, const char *group,
                         const struct rti_log *log)
{
    char path[PATH_MAX];
    char text[64];
    char *end;
    double quota;
    double period;

    (void)snprintf(path, sizeof(path), "%s%s%s/%s", root, version->folder, group, version->quota);
    if (read_text(path, text, sizeof(text), log) < 0) {
        return 0;
    }
    quota = strtod(text, &end); /* "max" and "-1" are no limit */
    if (version->period != NULL) {
        (void)snprintf(path, sizeof(path), "%s%s%s/%s", root, version->folder, group,
                       version->period);
        if (read_text(path, text, sizeof(text), log) < 0) {
            return 0;
        }
        end = text;
    }
    period = strtod(end, NULL);
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The tightest limit of a cgroup and of those above it. Changes `group`. */
static double tightest(const struct version *version, const char *root, char *group,
                       const struct rti_log *log)
{
    double limit = 0;

    for (;;) {
        const double own = read_limit(version, root, group, log);
        char *slash = strrchr(group, '/');

        if (own > 0 && (limit == 0 || own < limit)) {
            limit = own;
        }
        if (slash == NULL) {
            return limit;
        }
        *slash = '\0';
    }
}

/* Does the list of controllers, "cpu,cpuacct" say, name that of CPU time? */
static bool names_cpu(const char *list, size_t bytes)
{
    for (const char *word = list; word < list + bytes;) {
        const size_t len = strcspn(word, ",:");

        if (len == 3 && memcmp(word, "cpu", 3) == 0) {
            return true;
        }
        word += len + 1;
    }
    return false;
}

/* A line is "number:controllers:path"; the unified version has number 0 and no controllers. */
static double read_line(char *line, const char *root, const struct rti_log *log)
{
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    const struct version *version = NULL;

    if (path == NULL) {
        return 0;
    }
    if (path == controllers + 1) {
        version = &unified;
    } else if (names_cpu(controllers + 1, (size_t)(path - controllers - 1))) {
        version = &legacy;
    }
    return version == NULL ? 0 : tightest(version, root, path + 1, log);
}

double rti_quota_read(const char *root, const struct rti_log *log)
{
    char path[PATH_MAX];
    char text[8192]; /* a line for each hierarchy, and there are about a dozen */
    char *rest = text;
    char *line;
    double limit = 0;

    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    if (read_text(path, text, sizeof(text), log) < 0) {
        return 0;
    }
    while ((line = strsep(&rest, "\n")) != NULL) {
        const double own = read_line(line, root, log);

        if (own > 0 && (limit == 0 || own < limit)) {
            limit = own;
        }
    }
    return limit;
}
