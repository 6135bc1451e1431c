/* SPDX-License-Identifier: MIT */
/* Results as comma-separated values: a line for each, and the names of the columns above. */
#ifndef BENCH_CSV_H
#define BENCH_CSV_H

#include <jansson.h>

/* On standard output. */
void csv_write(const json_t *document);

#endif /* BENCH_CSV_H */
