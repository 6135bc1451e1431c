/* SPDX-License-Identifier: MIT */
/* Config: the parameters that CONFIG GET tells, under the names of Redis where it has them. */
#ifndef KV_CONFIG_H
#define KV_CONFIG_H

#include "buffer.h"
#include "shard.h"
#include "slice.h"

/* The reply to CONFIG GET: names and values of what one of the patterns matches, each once. */
void config_reply(struct buffer *out, const struct shard *shard, const struct slice *patterns,
                  uint32_t count);

#endif /* KV_CONFIG_H */
