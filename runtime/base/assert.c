/* SPDX-License-Identifier: MIT */
/* Assertions: print and abort. Standard error is the one place that needs no configuration. */
#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *rti_misuse_note;

RTI_NORETURN static void end_line_and_abort(void)
{
    if (rti_misuse_note != NULL) {
        fprintf(stderr, " (%s)", rti_misuse_note);
    }
    fputc('\n', stderr);
    abort();
}

void rti_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "shardrt: %s:%d: assertion failed: %s", file, line, condition);
    end_line_and_abort();
}

void rti_misuse(const char *format, ...)
{
    va_list arguments;

    fputs("shardrt: misuse: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    end_line_and_abort();
}
