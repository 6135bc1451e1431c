/* SPDX-License-Identifier: MIT */
/* Quota: the CPU time that the cgroups of this process grant it. */
#ifndef RTI_OS_QUOTA_H
#define RTI_OS_QUOTA_H

#include "base/log.h"

/*
 * CPUs' worth of time, 1.5 say; 0 when there is no limit. The tightest of the
 * process's cgroup and those above it counts, as far as they can be seen from
 * here (cpu.max, or cpu.cfs_quota_us of the first version of cgroups). What
 * cannot be read is said in the log and counts as no limit.
 *
 * `root` stands before the names of all files; "" but for tests.
 */
double rti_quota_read(const char *root, const struct rti_log *log);

#endif /* RTI_OS_QUOTA_H */
