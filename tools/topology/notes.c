/* SPDX-License-Identifier: MIT */
/* Notes: see notes.h. */
#include "notes.h"

#include <stdio.h>
#include <stdlib.h>

void *or_exit(void *memory)
{
    if (memory == NULL) {
        fputs("rt-topology: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

__attribute__((format(printf, 1, 0))) static char *vtext_of(const char *format, va_list arguments)
{
    char *text;

    return or_exit(vasprintf(&text, format, arguments) < 0 ? NULL : text);
}

char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = vtext_of(format, arguments);
    va_end(arguments);
    return text;
}

void notes_vadd(struct notes *notes, enum level level, const char *about, char *cure,
                const char *format, va_list arguments)
{
    char *text = vtext_of(format, arguments);

    notes->array = or_exit(realloc(notes->array, (notes->count + 1) * sizeof(notes->array[0])));
    notes->array[notes->count++] = (struct note){ level, about, text, cure };
}

void notes_add(struct notes *notes, enum level level, const char *about, char *cure,
               const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    notes_vadd(notes, level, about, cure, format, arguments);
    va_end(arguments);
}

void notes_free(struct notes *notes)
{
    for (size_t i = 0; i < notes->count; i++) {
        free(notes->array[i].text);
        free(notes->array[i].cure);
    }
    free(notes->array);
    *notes = (struct notes){ 0 };
}
