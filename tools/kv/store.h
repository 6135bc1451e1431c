/* SPDX-License-Identifier: MIT */
/*
 * Store: the keys and values of one shard. No other shard touches it.
 *
 * A table of lists, one allocation per key. When there are as many keys as
 * lists, a table of twice the size is begun, and every insertion moves two
 * lists there: the old table is empty before the new one is full, and no
 * insertion waits for a whole table to be moved.
 *
 * S1 The list of a hash is in the new table if its number in the old one is
 *    below `moved`, else in the old one: a key is looked for in one list only.
 * S2 `bytes` is what the heap gave out for entries and tables. It stays at or
 *    below `bytes_max`: what would exceed it is refused, and changes nothing.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdint.h>

#include "slice.h"

struct store_entry;

struct store_table {
    struct store_entry **lists;
    uint64_t mask; /* lists - 1; they are a power of two */
};

struct store {
    struct store_table table;
    struct store_table old; /* .lists is NULL when nothing is being moved */
    uint64_t moved;         /* lists of `old` that are empty because they were moved */
    uint64_t count;         /* keys */
    uint64_t bytes;
    uint64_t bytes_max;
};

/* 0, or -ENOMEM. */
int store_init(struct store *store, uint64_t bytes_max);
void store_fini(struct store *store);

/* Start loading where the list of a hash begins; and, when that has come, its first entry. What a
 * store_find() or store_set() soon after would else wait for is memory, most of its time. */
void store_prefetch_list(const struct store *store, uint64_t hash);
void store_prefetch_entry(const struct store *store, uint64_t hash);

/* Whether the key is there. *value, if not NULL, points into the store until its next change. */
bool store_find(const struct store *store, uint64_t hash, struct slice key, struct slice *value);

/* Set the value of a new key or of one that is there. 0; -EDQUOT when it would exceed bytes_max;
 * -ENOMEM. The value before stays then. `value` must not lie in the store. */
int store_set(struct store *store, uint64_t hash, struct slice key, struct slice value);

/* Whether the key was there. */
bool store_delete(struct store *store, uint64_t hash, struct slice key);

#endif /* KV_STORE_H */
