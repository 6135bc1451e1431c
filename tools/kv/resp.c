/* SPDX-License-Identifier: MIT */
/* Requests out of a stream of bytes. */
#include "resp.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"

/* The shortest argument of an array is "$0\r\n\r\n". */
#define ARG_BYTES_MIN 6

static enum resp_result fail(struct resp_parser *parser, const char *error)
{
    (void)snprintf(parser->error, sizeof(parser->error), "%s", error);
    return RESP_ERROR;
}

static bool add(struct resp_parser *parser, size_t at, size_t len)
{
    if (parser->count == parser->capacity) {
        const uint32_t capacity = parser->capacity > 0 ? parser->capacity * 2 : 8;
        struct resp_arg *args = realloc(parser->args, capacity * sizeof(*args));

        if (args == NULL) {
            return false;
        }
        parser->args = args;
        parser->capacity = capacity;
    }
    parser->args[parser->count++] = (struct resp_arg){ (uint32_t)at, (uint32_t)len };
    return true;
}

/* The request is whole: the next one begins behind it. */
static enum resp_result finish(struct resp_parser *parser, size_t used_now, size_t *used)
{
    parser->at = 0;
    parser->expected = 0;
    parser->bulk = 0;
    *used = used_now;
    return RESP_REQUEST;
}

/*
 * A line that begins with a type, "*3\r\n": RESP_REQUEST when it is whole and was passed. As in
 * Redis the byte behind \r is not looked at.
 */
static enum resp_result read_header(struct resp_parser *parser, const char *data, size_t len,
                                    const char *too_long, struct slice *out)
{
    const char *line = data + parser->at;
    const size_t have = len - parser->at;
    const char *end = memchr(line, '\r', have < RESP_LINE_MAX ? have : RESP_LINE_MAX);

    if (end == NULL && have > RESP_LINE_MAX) {
        return fail(parser, too_long);
    }
    if (end == NULL || (size_t)(end - line) + 2 > have) {
        return RESP_MORE;
    }
    *out = (struct slice){ line, (size_t)(end - line) };
    parser->at += (uint32_t)out->len + 2;
    return RESP_REQUEST;
}

/* The length in a header, whose type was looked at. What is no number is above every limit. */
static int64_t length_of(struct slice header)
{
    int64_t length;

    return number_parse((struct slice){ header.data + 1, header.len - 1 }, &length) ? length
                                                                                    : INT64_MAX;
}

/* The header of the next argument, "$5\r\n". */
static enum resp_result read_bulk_header(struct resp_parser *parser, const char *data, size_t len)
{
    struct slice header;
    const enum resp_result result = read_header(parser, data, len, "too big bulk count string",
                                                &header);
    int64_t length;

    if (result != RESP_REQUEST) {
        return result;
    }
    if (header.data[0] != '$') {
        (void)snprintf(parser->error, sizeof(parser->error), "expected '$', got '%c'",
                       header.data[0]);
        return RESP_ERROR;
    }
    length = length_of(header);
    if (length < 0 || length > parser->bulk_max) {
        return fail(parser, "invalid bulk length");
    }
    if (length + 2 > (int64_t)parser->request_max - parser->at) {
        return fail(parser, "too big request");
    }
    parser->bulk = (uint32_t)length + 1;
    return RESP_REQUEST;
}

/* The header of an array, "*3\r\n". */
static enum resp_result read_array_header(struct resp_parser *parser, const char *data, size_t len)
{
    struct slice header;
    const enum resp_result result = read_header(parser, data, len, "too big mbulk count string",
                                                &header);
    int64_t length;

    if (result != RESP_REQUEST) {
        return result;
    }
    length = length_of(header);
    if (length > parser->request_max / ARG_BYTES_MIN) {
        return fail(parser, "invalid multibulk length");
    }
    parser->expected = length > 0 ? (uint32_t)length : 0;
    return RESP_REQUEST;
}

static enum resp_result read_array(struct resp_parser *parser, char *data, size_t len, size_t *used)
{
    enum resp_result result;

    if (parser->at == 0) {
        result = read_array_header(parser, data, len);
        if (result != RESP_REQUEST) {
            return result;
        }
    }
    while (parser->count < parser->expected) {
        if (parser->bulk == 0) {
            result = parser->at < len ? read_bulk_header(parser, data, len) : RESP_MORE;
            if (result != RESP_REQUEST) {
                return result;
            }
        }
        if (len - parser->at < (size_t)parser->bulk - 1 + 2) {
            return RESP_MORE;
        }
        if (!add(parser, parser->at, parser->bulk - 1)) {
            return RESP_NO_MEMORY;
        }
        parser->at += parser->bulk - 1 + 2;
        parser->bulk = 0;
    }
    return finish(parser, parser->at, used);
}

static unsigned hex_digit(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* One byte out of "...", behind the backslash if there is one. Moves *from past it. */
static char unescape(const char *data, size_t *from, size_t end)
{
    static const char names[] = "nrtba";
    static const char values[] = "\n\r\t\b\a";
    const char *name;
    char c = data[(*from)++];

    if (c != '\\' || *from == end) {
        return c;
    }
    c = data[(*from)++];
    if (c == 'x' && end - *from >= 2 && isxdigit((unsigned char)data[*from]) &&
        isxdigit((unsigned char)data[*from + 1])) {
        *from += 2;
        return (char)(hex_digit(data[*from - 2]) << 4 | hex_digit(data[*from - 1]));
    }
    name = c != '\0' ? strchr(names, c) : NULL;
    return name != NULL ? values[name - names] : c;
}

/*
 * Copy what stands in quotes down to *to; *from stands behind the opening quote and ends behind the
 * closing one. False when there is none, or a word goes on right behind it.
 */
static bool unquote(char *data, size_t *from, size_t end, size_t *to, char quote)
{
    while (*from < end) {
        if (data[*from] == quote) {
            (*from)++;
            return *from == end || isspace((unsigned char)data[*from]);
        }
        if (quote == '"') {
            data[(*to)++] = unescape(data, from, end);
            continue;
        }
        if (data[*from] == '\\' && *from + 1 < end && data[*from + 1] == '\'') {
            (*from)++;
        }
        data[(*to)++] = data[(*from)++];
    }
    return false;
}

static bool ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One word of a line, down to where it begins: unquoted it is never longer. False for a quote that
 * does not end. */
static bool read_word(struct resp_parser *parser, char *data, size_t *from, size_t end,
                      bool *no_memory)
{
    const size_t begin = *from;
    size_t to = begin;

    while (*from < end && !ends_word(data[*from])) {
        const char c = data[*from];

        if (c != '"' && c != '\'') {
            data[to++] = c;
            (*from)++;
            continue;
        }
        (*from)++;
        if (!unquote(data, from, end, &to, c)) {
            return false;
        }
        break;
    }
    *no_memory = !add(parser, begin, to - begin);
    return true;
}

static enum resp_result read_line(struct resp_parser *parser, char *data, size_t len, size_t *used)
{
    const char *newline = memchr(data, '\n', len < RESP_LINE_MAX ? len : RESP_LINE_MAX);
    const size_t end = newline != NULL ? (size_t)(newline - data) : len;
    bool no_memory = false;
    size_t from = 0;

    if (newline == NULL) {
        return len >= RESP_LINE_MAX ? fail(parser, "too big inline request") : RESP_MORE;
    }
    for (;;) {
        while (from < end && isspace((unsigned char)data[from])) {
            from++;
        }
        if (from == end) {
            return finish(parser, end + 1, used);
        }
        if (!read_word(parser, data, &from, end, &no_memory)) {
            return fail(parser, "unbalanced quotes in request");
        }
        if (no_memory) {
            return RESP_NO_MEMORY;
        }
    }
}

enum resp_result resp_next(struct resp_parser *parser, char *data, size_t len, size_t *used)
{
    if (len == 0) {
        return RESP_MORE;
    }
    if (parser->at == 0) {
        parser->count = 0;
    }
    return data[0] == '*' ? read_array(parser, data, len, used)
                          : read_line(parser, data, len, used);
}

void resp_free(struct resp_parser *parser)
{
    free(parser->args);
    parser->args = NULL;
    parser->count = 0;
    parser->capacity = 0;
}
