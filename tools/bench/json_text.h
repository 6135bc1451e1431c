/* SPDX-License-Identifier: MIT */
/* Texts that come from outside as JSON, which takes UTF-8 only. */
#ifndef BENCH_JSON_TEXT_H
#define BENCH_JSON_TEXT_H

#include <jansson.h>
#include <stdio.h>

#define JSON_TEXT_BYTES 1024

/* The text. Where it is no UTF-8 it is cut, and '?' stands for each byte that is no ASCII. */
static inline json_t *json_text(const char *text)
{
    char plain[JSON_TEXT_BYTES];
    json_t *json = json_string(text);

    if (json != NULL) {
        return json;
    }
    snprintf(plain, sizeof(plain), "%s", text);
    for (char *p = plain; *p != '\0'; p++) {
        *p = (unsigned char)*p < 0x80 ? *p : '?';
    }
    return json_string(plain);
}

#endif /* BENCH_JSON_TEXT_H */
