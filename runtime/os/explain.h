/* SPDX-License-Identifier: MIT */
/*
 * Explain: turns an error of the kernel at start into its cause and its cure.
 *
 * A bare "Operation not permitted" makes a user search for hours: io_uring may
 * be off by sysctl, by seccomp, or not built in. Each function writes one line
 * to the log, at level error, after having looked at the machine.
 */
#ifndef RTI_OS_EXPLAIN_H
#define RTI_OS_EXPLAIN_H

#include "base/log.h"

/* Opening a ring failed with `error` (-errno). */
void rti_explain_ring(const struct rti_log *log, int error);

/* Getting a stack or other memory at start failed with `error` (-errno). */
void rti_explain_memory(const struct rti_log *log, const char *what, int error);

/* Pages of another size than stacks and their guards are made for: -ENOTSUP, said in the log; else
 * 0. Kernels for aarch64 are built with 4, 16 or 64 KiB. */
int rti_explain_pages(const struct rti_log *log, size_t page_bytes);

/* Memory for I/O could not be registered with the ring; what works goes on: a warning. */
void rti_explain_unregistered(const struct rti_log *log, int error);

#endif /* RTI_OS_EXPLAIN_H */
