/* SPDX-License-Identifier: MIT */
/* Assertions: print and abort. Standard error is the one place that needs no configuration. */
#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void rti_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "shardrt: %s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}

void rti_misuse(const char *format, ...)
{
    va_list arguments;

    fputs("shardrt: misuse: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
