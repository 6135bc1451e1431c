/* SPDX-License-Identifier: MIT */
/* The parameters that CONFIG GET tells. */
#include "config.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>

#include "reply.h"
#include "server.h"

struct parameter {
    const char *name;
    const char *text; /* NULL: the number */
    uint64_t number;
};

#define PARAMETERS 12

static bool matches(const char *name, const struct slice *patterns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char pattern[64]; /* a longer one names nothing that is here */

        if (patterns[i].len < sizeof(pattern)) {
            memcpy(pattern, patterns[i].data, patterns[i].len);
            pattern[patterns[i].len] = '\0';
            if (fnmatch(pattern, name, FNM_CASEFOLD) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void reply_parameter(struct buffer *out, const struct parameter *parameter)
{
    char number[24];

    reply_word(out, parameter->name);
    if (parameter->text != NULL) {
        reply_word(out, parameter->text);
        return;
    }
    (void)snprintf(number, sizeof(number), "%" PRIu64, parameter->number);
    reply_word(out, number);
}

void config_reply(struct buffer *out, const struct shard *shard, const struct slice *patterns,
                  uint32_t count)
{
    const struct options *options = shard->server->options;
    const struct parameter parameters[PARAMETERS] = {
        { "appendonly", "no", 0 },
        { "bind", options->bind, 0 },
        { "databases", NULL, 1 },
        { "key-max", NULL, options->key_max },
        { "maxclients", NULL, options->connections_max },
        { "maxmemory", NULL, options->memory_max },
        { "maxmemory-policy", "noeviction", 0 },
        { "pipeline-max", NULL, options->pipeline_max },
        { "port", NULL, shard->port },
        { "proto-max-bulk-len", NULL, options->value_max },
        { "save", "", 0 },
        { "shards", NULL, shard->server->shard_count },
    };
    bool matched[PARAMETERS];
    size_t found = 0;

    for (size_t i = 0; i < PARAMETERS; i++) {
        matched[i] = matches(parameters[i].name, patterns, count);
        found += matched[i];
    }
    reply_array(out, found * 2);
    for (size_t i = 0; i < PARAMETERS; i++) {
        if (matched[i]) {
            reply_parameter(out, &parameters[i]);
        }
    }
}
