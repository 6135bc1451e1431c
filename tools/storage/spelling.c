/* SPDX-License-Identifier: MIT */
/* Spelling: see spelling.h. The distance is Levenshtein's, with one row of the table. */
#include "spelling.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int lower(char letter)
{
    return tolower((unsigned char)letter);
}

size_t spelling_distance(const char *from, const char *to)
{
    size_t row[SPELLING_BYTES_MAX + 1];
    const size_t length = strlen(to);

    if (length > SPELLING_BYTES_MAX || strlen(from) > SPELLING_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i <= length; i++) {
        row[i] = i;
    }
    for (size_t i = 0; from[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < length; k++) {
            const size_t changed = diagonal + (lower(from[i]) != lower(to[k]));

            diagonal = row[k + 1];
            row[k + 1] = least(changed, least(row[k], diagonal) + 1);
        }
    }
    return row[length];
}
