/* SPDX-License-Identifier: MIT */
/* Text: see text.h. */
#include "core/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "os/sys.h"

#define FIRST_ROOM     4096
#define JSON_BYTES_MAX 200

/* Make room for `bytes` more and a terminator. */
static bool reserve(struct rti_text *text, size_t bytes)
{
    size_t room = text->room > 0 ? text->room : FIRST_ROOM;
    char *data;

    if (text->failed || text->used + bytes < text->room) {
        return !text->failed;
    }
    while (room <= text->used + bytes) {
        room *= 2;
    }
    data = rti_sys_alloc(room);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    if (text->data != NULL) {
        memcpy(data, text->data, text->used + 1);
        rti_sys_free(text->data);
    }
    text->data = data;
    text->room = room;
    return true;
}

static void add_bytes(struct rti_text *text, const char *bytes, size_t count)
{
    if (reserve(text, count)) {
        memcpy(text->data + text->used, bytes, count);
        text->used += count;
        text->data[text->used] = '\0';
    }
}

void rti_text_add(struct rti_text *text, const char *format, ...)
{
    va_list arguments;
    va_list again;
    int n;

    va_start(arguments, format);
    va_copy(again, arguments);
    n = vsnprintf(NULL, 0, format, arguments);
    if (n > 0 && reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->used, (size_t)n + 1, format, again);
        text->used += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

/* How many bytes at `at` are one character of UTF-8 (RFC 3629); 0: none. */
static size_t character_bytes(const unsigned char *at)
{
    static const struct {
        unsigned char first, last;               /* of the first byte */
        unsigned char second_first, second_last; /* of the second one */
        size_t bytes;
    } forms[] = {
        { 0x01, 0x7f, 0x00, 0xff, 1 }, { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (at[0] >= forms[i].first && at[0] <= forms[i].last) {
            bool fits = forms[i].bytes == 1 ||
                        (at[1] >= forms[i].second_first && at[1] <= forms[i].second_last);

            for (size_t k = 2; fits && k < forms[i].bytes; k++) {
                fits = (at[k] & 0xc0u) == 0x80u;
            }
            return fits ? forms[i].bytes : 0;
        }
    }
    return 0;
}

void rti_text_add_json(struct rti_text *text, const char *string)
{
    const unsigned char *at = (const unsigned char *)string;
    const unsigned char *begin = at;

    if (string == NULL) {
        rti_text_add(text, "null");
        return;
    }
    add_bytes(text, "\"", 1);
    while (*at != '\0' && at - begin < JSON_BYTES_MAX) {
        const size_t bytes = character_bytes(at);

        if (bytes == 0) {
            rti_text_add(text, "\\ufffd");
        } else if (*at < ' ' || *at == '"' || *at == '\\') {
            rti_text_add(text, "\\u%04x", *at);
        } else {
            add_bytes(text, (const char *)at, bytes);
        }
        at += bytes == 0 ? 1 : bytes;
    }
    add_bytes(text, "\"", 1);
}

void rti_text_add_name(struct rti_text *text, const char *string, int width, int max)
{
    int count = 0;

    for (; string != NULL && string[count] != '\0' && count < max; count++) {
        const bool shown = (unsigned char)string[count] >= ' ' && string[count] != 0x7f;

        add_bytes(text, shown ? &string[count] : "?", 1);
    }
    rti_text_add(text, "%*s", width > count ? width - count : 0, "");
}

void rti_text_fini(struct rti_text *text)
{
    rti_sys_free(text->data);
    *text = (struct rti_text){ .data = NULL };
}
