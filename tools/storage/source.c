/* SPDX-License-Identifier: MIT */
/* Source: see source.h. */
#include "source.h"

#include <stdarg.h>

#define MESSAGE_BYTES 512 /* a longer one is cut */

bool source_refuse(struct source *source, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    for (char *c = message; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            *c = '?';
        }
    }
    fprintf(source->errors, "%s:%u:%u: %s\n", source->path, source->line, source->column, message);
    source->error_count++;
    return false;
}
