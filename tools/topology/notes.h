/* SPDX-License-Identifier: MIT */
/*
 * Notes: sentences about a machine or a plan, shown as text and as JSON alike.
 *
 * A step of an explanation, a warning and a check of the doctor are all notes:
 * what it is about, what was found, and the command that cures it.
 */
#ifndef TOPOLOGY_NOTES_H
#define TOPOLOGY_NOTES_H

#include <stdarg.h>
#include <stddef.h>

enum level {
    LEVEL_OK,
    LEVEL_WARNING, /* it works, but worse than it could */
    LEVEL_BAD,     /* no runtime can start so */
};

struct note {
    enum level level;
    const char *about; /* one word */
    char *text;
    char *cure; /* NULL: none, or none is needed */
};

/* Zeroes are no notes. */
struct notes {
    struct note *array;
    size_t count;
};

/* `cure` is what text_of() gave, or NULL. It belongs to the notes then. */
__attribute__((format(printf, 5, 6))) void notes_add(struct notes *notes, enum level level,
                                                     const char *about, char *cure,
                                                     const char *format, ...);
__attribute__((format(printf, 5, 0))) void notes_vadd(struct notes *notes, enum level level,
                                                      const char *about, char *cure,
                                                      const char *format, va_list arguments);
void notes_free(struct notes *notes);

/* As printf(), into memory that the caller frees. */
__attribute__((format(printf, 1, 2))) char *text_of(const char *format, ...);

/* Of memory that was asked for: there is some, or the program ends and says so. */
void *or_exit(void *memory);

#endif /* TOPOLOGY_NOTES_H */
