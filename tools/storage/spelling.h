/* SPDX-License-Identifier: MIT */
/* Spelling: how far one word is from another. */
#ifndef STORAGE_SPELLING_H
#define STORAGE_SPELLING_H

#include <stddef.h>

#define SPELLING_BYTES_MAX 48 /* of a word; a longer one is far from all */

/* How many letters must be added, left out or changed, in any case, to come from one to the other;
 * SIZE_MAX if one is too long. */
size_t spelling_distance(const char *from, const char *to);

#endif /* STORAGE_SPELLING_H */
