/* SPDX-License-Identifier: MIT */
/* Machine: what a run was measured on, as an object of the results (docs/tools/bench.md). */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/* `no_counters`: why the processor's counters cannot be had, or NULL. NULL, and a message: no
 * executor can be started here. */
json_t *machine_describe(const char *no_counters, double clock_ns);

void machine_warn(json_t *machine, const char *text);

#endif /* BENCH_MACHINE_H */
