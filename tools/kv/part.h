/* SPDX-License-Identifier: MIT */
/*
 * Part: what a request wants of one shard, with one key or none.
 *
 * A part is made on the shard of the connection and run on the shard that owns
 * the key, perhaps another one: it is lent like the argument of a call. Its
 * strings lie in the connection's receive buffer.
 *
 * What it answers goes into a buffer: a whole reply, or an element of one. What
 * is to be summed over many parts goes into `number` instead.
 */
#ifndef KV_PART_H
#define KV_PART_H

#include <stdint.h>

#include "buffer.h"
#include "shard.h"
#include "slice.h"

struct part;

typedef void (*part_fn)(struct shard *shard, struct part *part, struct buffer *reply);

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
    uint32_t reply_len; /* bytes that it answered; set on another shard only */
    int64_t number;
};

void part_get(struct shard *shard, struct part *part, struct buffer *reply);
void part_set(struct shard *shard, struct part *part, struct buffer *reply);
void part_increment(struct shard *shard, struct part *part, struct buffer *reply);

/* These answer `number`. */
void part_delete(struct shard *shard, struct part *part, struct buffer *reply);
void part_exists(struct shard *shard, struct part *part, struct buffer *reply);
void part_count(struct shard *shard, struct part *part, struct buffer *reply);

#endif /* KV_PART_H */
