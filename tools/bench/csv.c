/* SPDX-License-Identifier: MIT */
/* Comma-separated values: see csv.h. */
#include "csv.h"

#include <stdio.h>
#include <string.h>

/* The keys of a result that are one value each, in the order of the columns. */
static const char *const keys[] = {
    "name",       "kind",         "unit",      "core",       "core2",       "value",
    "mad",        "low",          "high",      "limit",      "limit_mad",   "limit_low",
    "limit_high", "ratio",        "ratio_low", "ratio_high", "goal",        "over_goal",
    "bare",       "repetitions",  "repeated",  "units",      "cpu_ns",      "allocations",
    "enters",     "instructions", "cycles",    "disturbed",  "disturbance", "outlier",
    "error",
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* In quotes where it must be; a quote is doubled (RFC 4180). */
static void write_text(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        printf("%s", text);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            putchar('"');
        }
        putchar(*text);
    }
    putchar('"');
}

/* Nothing for what is not known. */
static void write_value(const json_t *value)
{
    if (json_is_string(value)) {
        write_text(json_string_value(value));
    } else if (json_is_boolean(value)) {
        printf("%d", json_is_true(value) ? 1 : 0);
    } else if (json_is_number(value)) {
        printf("%.9g", json_number_value(value));
    }
}

void csv_write(const json_t *document)
{
    size_t i;
    const json_t *one;

    for (size_t k = 0; k < KEYS; k++) {
        printf("%s%c", keys[k], k + 1 < KEYS ? ',' : '\n');
    }
    json_array_foreach (json_object_get(document, "results"), i, one) {
        for (size_t k = 0; k < KEYS; k++) {
            write_value(json_object_get(one, keys[k]));
            putchar(k + 1 < KEYS ? ',' : '\n');
        }
    }
}
