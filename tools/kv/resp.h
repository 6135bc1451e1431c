/* SPDX-License-Identifier: MIT */
/*
 * RESP: requests out of a stream of bytes.
 *
 * A request is an array of strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", or a line of
 * words as a person types it, "GET k\r\n". It may arrive in any pieces: the
 * parser keeps how far it came, and goes on from there when there is more.
 *
 * R1 Arguments are offsets from the first byte of the request, so the bytes may
 *    move between two calls as long as they stay in one piece.
 * R2 No byte of an argument is looked at twice, so a request in many pieces
 *    costs no more than one in a few. (A line's end is searched anew; a line
 *    has a limit.)
 * R3 What a client announces takes no memory; only what it sends does.
 */
#ifndef KV_RESP_H
#define KV_RESP_H

#include <stddef.h>
#include <stdint.h>

/* The longest line, of words or of a length: 64 KiB as in Redis. */
#define RESP_LINE_MAX 65536u

struct resp_arg {
    uint32_t at; /* from the first byte of the request */
    uint32_t len;
};

enum resp_result {
    RESP_MORE,      /* the request goes on in bytes that have not come yet */
    RESP_REQUEST,   /* args[0..count) are a request; a count of 0 asks for nothing */
    RESP_ERROR,     /* `error` says why; nothing after it makes sense */
    RESP_NO_MEMORY, /* for the list of arguments */
};

struct resp_parser {
    /* set by the caller */
    uint32_t bulk_max;    /* bytes of an argument */
    uint32_t request_max; /* bytes of a request, below 2^32 - RESP_LINE_MAX */

    /* of the parser; starts as zeroes */
    struct resp_arg *args;
    uint32_t count; /* arguments that are complete */
    uint32_t capacity;
    uint32_t expected; /* arguments of an array; 0 = its length has not come */
    uint32_t at;       /* first byte that was not understood yet, from the request's first */
    uint32_t bulk;     /* 1 + the length of the argument that goes on; 0 = it has not come */
    char error[64];
};

/*
 * Go on with the request that begins at data[0], of which `len` bytes have come.
 *
 * On RESP_REQUEST *used gets how long it is; the next call begins behind it. Words in quotes are
 * unquoted in place, so `data` is written to.
 */
enum resp_result resp_next(struct resp_parser *parser, char *data, size_t len, size_t *used);

void resp_free(struct resp_parser *parser);

#endif /* KV_RESP_H */
