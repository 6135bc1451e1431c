/* SPDX-License-Identifier: MIT */
/* Log: see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void rti_log(const struct rti_log *log, enum rt_log_level level, const char *format, ...)
{
    char text[RTI_LOG_BYTES_MAX];
    va_list arguments;

    if (level > log->level) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log->write(log->arg, level, text);
}

void rti_log_to_stderr(void *arg, enum rt_log_level level, const char *text)
{
    static const char *const names[] = { "", "error", "warning", "info" };

    (void)arg;
    fprintf(stderr, "shardrt: %s: %s\n", names[level], text);
}
