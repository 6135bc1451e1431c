/* SPDX-License-Identifier: MIT */
/*
 * Peers: programs that do the work of a row with another library (peers/README.md),
 * taken in turn with the sides of the row.
 *
 * A peer is a child process: `peer-NAME --list` tells its rows, `peer-NAME ROW
 * CPU [CPU2]` answers each line of units with the ns that one of them took.
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEERS_MAX 16

struct peers;

/* Those that lie in `directory`, or beside this program when it is NULL. NULL, and a message: there
 * are none. */
struct peers *peers_find(const char *directory);
void peers_free(struct peers *peers);

/* Start those that have the row; how many they are. One that does not start is left out, and says
 * why itself. `cpus[1]` may be -1. */
size_t peers_start(struct peers *peers, const char *row, const int32_t cpus[2]);
void peers_stop(struct peers *peers);

/* Of those that were started: the name, with the version of its library; and one repetition, in ns
 * per unit. Below 0: it has failed, and is not asked again. */
const char *peers_name(const struct peers *peers, size_t i);
double peers_repeat(struct peers *peers, size_t i, uint64_t units);

#endif /* BENCH_PEERS_H */
