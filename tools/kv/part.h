/* SPDX-License-Identifier: MIT */
/*
 * Part: what a request wants of one shard, with one key or none.
 *
 * A part is made on the shard of the connection and run on the shard that owns
 * the key, perhaps another one: it is lent like the argument of a call. Its
 * strings lie in the connection's receive buffer.
 *
 * What it answers goes into a buffer: a whole reply, an element of one, or a
 * number that is to be summed. The part itself stays as it was made: what one
 * shard only reads need not travel back to the other's cache.
 */
#ifndef KV_PART_H
#define KV_PART_H

#include <stdint.h>

#include "buffer.h"
#include "shard.h"
#include "slice.h"

struct part;

typedef void (*part_fn)(struct shard *shard, const struct part *part, struct buffer *answer);

enum part_flag {
    PART_IF_ABSENT = 1u << 0,  /* SET ... NX */
    PART_IF_PRESENT = 1u << 1, /* SET ... XX */
};

struct part {
    part_fn run;
    const char *key;
    const char *value;
    uint64_t hash;
    uint32_t key_len;
    uint32_t value_len;
    uint32_t flags;
};

void part_get(struct shard *shard, const struct part *part, struct buffer *answer);
void part_set(struct shard *shard, const struct part *part, struct buffer *answer);
void part_increment(struct shard *shard, const struct part *part, struct buffer *answer);

/* These answer the bytes of an int64_t. */
void part_delete(struct shard *shard, const struct part *part, struct buffer *answer);
void part_exists(struct shard *shard, const struct part *part, struct buffer *answer);
void part_count(struct shard *shard, const struct part *part, struct buffer *answer);

#endif /* KV_PART_H */
