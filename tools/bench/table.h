/* SPDX-License-Identifier: MIT */
/* Results for people, on standard output: a line for each as it comes, then tables over all. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <jansson.h>

/* What was measured on, and the head of the lines. */
void table_begin(const json_t *machine);

/* `arg` is unused: it is a campaign's show. */
void table_result(json_t *result, void *arg);

/* Rows by core where there is more than one, with the cores that stand out; the matrix of each row
 * that was measured on several pairs; warnings. */
void table_end(const json_t *document);

#endif /* BENCH_TABLE_H */
