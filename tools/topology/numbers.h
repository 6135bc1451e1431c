/* SPDX-License-Identifier: MIT */
/* Numbers: a set of CPUs or memory nodes, gathered in any order and written as "0-3,8". */
#ifndef TOPOLOGY_NUMBERS_H
#define TOPOLOGY_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroes are an empty set. */
struct numbers {
    int32_t *array; /* rising, without doubles */
    size_t count;
    size_t room;
};

void numbers_add(struct numbers *numbers, int32_t number);
bool numbers_have(const struct numbers *numbers, int32_t number);

/* Add what a list of the kernel's names; a text that is none ends the reading. */
void numbers_parse(struct numbers *numbers, const char *list);

/* The range of neighbours that begins at place *i; moves *i behind it. False at the end. */
bool numbers_range(const struct numbers *numbers, size_t *i, int32_t *first, int32_t *last);

/* The text, which the caller frees. */
char *numbers_text(const struct numbers *numbers);

void numbers_free(struct numbers *numbers);

#endif /* TOPOLOGY_NUMBERS_H */
