/* SPDX-License-Identifier: MIT */
/* Log: lines of text for the user, through the function that the configuration names. */
#ifndef RTI_BASE_LOG_H
#define RTI_BASE_LOG_H

#include "rt/executor.h"

struct rti_log {
    rt_log_fn write;
    void *arg;
    enum rt_log_level level; /* lines above it are dropped */
};

#define RTI_LOG_BYTES_MAX 512 /* a longer line is cut */

__attribute__((format(printf, 3, 4))) void
rti_log(const struct rti_log *log, enum rt_log_level level, const char *format, ...);

/* The log that is used when the user gave none: lines go to standard error. */
void rti_log_to_stderr(void *arg, enum rt_log_level level, const char *text);

#endif /* RTI_BASE_LOG_H */
