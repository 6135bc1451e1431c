/* SPDX-License-Identifier: MIT */
/*
 * Command: from the words of a request to the parts and replies of a round.
 *
 * One table names every command with its number of arguments and how it is
 * done: by parts on the shards that own its keys, or here and now.
 */
#ifndef KV_COMMAND_H
#define KV_COMMAND_H

#include <stdint.h>

#include "resp.h"
#include "round.h"

/* What a connection remembers between requests. */
struct client {
    uint64_t id;
    char name[128];
    bool quit; /* nothing more is read from it */
};

/* The words of a request: data + args[i].at is the ith one. At least one. */
struct words {
    const char *data;
    const struct resp_arg *args;
    uint32_t count;
};

static inline struct slice word_at(const struct words *words, uint32_t i)
{
    return (struct slice){ words->data + words->args[i].at, words->args[i].len };
}

/* Add a request to the round: its parts, or its reply. A request that is wrong gets its error. */
void command_add(struct round *round, struct client *client, const struct words *words);

/* Add an error that no command gave, as a reply. */
void command_add_protocol_error(struct round *round, const char *text);

#endif /* KV_COMMAND_H */
