/* SPDX-License-Identifier: MIT */
/*
 * Document: what `rt-bench --json` has written, read back and checked.
 *
 * Only what a comparison needs is taken and checked: keys may be added within a
 * schema. The texts are the document's.
 */
#ifndef BENCH_DOCUMENT_H
#define BENCH_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOCUMENT_SCHEMA "rt-bench/1"

/* A row at a place. Without `values`: it has failed, or has no side in the runtime. */
struct document_row {
    const char *name;
    const char *unit;  /* "ns" or "per_s" */
    const char *error; /* NULL: it has not failed */
    int64_t core;
    int64_t core2;  /* -1: a row of one core */
    double *values; /* one per repetition, above 0 */
    double *limits; /* those of the limit, each beside its neighbour in time; NULL: no limit */
    size_t count;   /* of either */
    bool disturbed;
};

struct document {
    const char *path;
    json_t *root;
    struct document_row *rows; /* as in the file */
    size_t count;
};

/* Read and check. False, and a message that names file and place: *out needs no closing. */
bool document_open(struct document *out, const char *path);

void document_close(struct document *document);

#endif /* BENCH_DOCUMENT_H */
