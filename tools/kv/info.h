/* SPDX-License-Identifier: MIT */
/* Info: what INFO tells, collected from every shard by the shard that was asked. */
#ifndef KV_INFO_H
#define KV_INFO_H

#include <rt/executor.h>

#include "buffer.h"
#include "part.h"
#include "server.h"
#include "slice.h"

/* What one shard tells about itself, as the bytes of a part's answer. */
struct info_shard {
    struct shard_counters counters;
    struct rt_stats runtime;
    uint64_t keys;
    uint64_t bytes;
};

/* The part that answers a struct info_shard. */
void info_part(struct shard *shard, const struct part *part, struct buffer *answer);

/* The text of the sections that are asked for, each name with a space behind it. `shards` holds one
 * of each shard. */
void info_print(struct buffer *out, const struct shard *shard, struct slice asked,
                const struct info_shard *shards);

#endif /* KV_INFO_H */
