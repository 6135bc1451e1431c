/* SPDX-License-Identifier: MIT */
/* Numbers: see numbers.h. */
#include "numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notes.h"

#define NUMBERS_MAX 65536 /* more CPUs than any kernel can be built for */

/* The place of a number, or where it would stand. */
static size_t find(const struct numbers *numbers, int32_t number)
{
    size_t low = 0;
    size_t high = numbers->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (numbers->array[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool numbers_have(const struct numbers *numbers, int32_t number)
{
    const size_t place = find(numbers, number);

    return place < numbers->count && numbers->array[place] == number;
}

void numbers_add(struct numbers *numbers, int32_t number)
{
    const size_t place = find(numbers, number);

    if (place < numbers->count && numbers->array[place] == number) {
        return;
    }
    if (numbers->count == numbers->room) {
        numbers->room = numbers->room == 0 ? 64 : numbers->room * 2;
        numbers->array = or_exit(
            realloc(numbers->array, numbers->room * sizeof(numbers->array[0])));
    }
    memmove(&numbers->array[place + 1], &numbers->array[place],
            (numbers->count - place) * sizeof(numbers->array[0]));
    numbers->array[place] = number;
    numbers->count++;
}

void numbers_parse(struct numbers *numbers, const char *list)
{
    while (*list >= '0' && *list <= '9') {
        char *end;
        const long first = strtol(list, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;

        for (long number = first; number <= last && number < NUMBERS_MAX; number++) {
            numbers_add(numbers, (int32_t)number);
        }
        list = *end == ',' ? end + 1 : end;
    }
}

bool numbers_range(const struct numbers *numbers, size_t *i, int32_t *first, int32_t *last)
{
    if (*i == numbers->count) {
        return false;
    }
    *first = numbers->array[(*i)++];
    *last = *first;
    while (*i < numbers->count && numbers->array[*i] == *last + 1) {
        *last = numbers->array[(*i)++];
    }
    return true;
}

char *numbers_text(const struct numbers *numbers)
{
    char *text = NULL;
    size_t bytes;
    FILE *stream = or_exit(open_memstream(&text, &bytes));
    const char *comma = "";
    int32_t first;
    int32_t last;

    for (size_t i = 0; numbers_range(numbers, &i, &first, &last);) {
        fprintf(stream, first == last ? "%s%d" : "%s%d-%d", comma, first, last);
        comma = ",";
    }
    (void)fclose(stream); /* when it fails there is no text */
    return or_exit(text);
}

void numbers_free(struct numbers *numbers)
{
    free(numbers->array);
    *numbers = (struct numbers){ 0 };
}
