/* SPDX-License-Identifier: MIT */
/* What a request wants of one shard. */
#include "part.h"

#include <errno.h>

#include "number.h"
#include "reply.h"

static struct slice key_of(const struct part *part)
{
    return (struct slice){ part->key, part->key_len };
}

/* Store a value; false, and the error as reply, when there is no room. */
static bool put(struct shard *shard, const struct part *part, struct slice value,
                struct buffer *reply)
{
    const int r = store_set(&shard->store, part->hash, key_of(part), value);

    if (r == -EDQUOT) {
        reply_error(reply, "OOM command not allowed when used memory > 'maxmemory'.");
    } else if (r < 0) {
        reply_error(reply, "OOM the server is out of memory");
    }
    return r == 0;
}

void part_get(struct shard *shard, const struct part *part, struct buffer *answer)
{
    struct slice value;

    if (store_find(&shard->store, part->hash, key_of(part), &value)) {
        shard->counters.hits++;
        reply_bulk(answer, value);
    } else {
        shard->counters.misses++;
        reply_nil(answer);
    }
}

void part_set(struct shard *shard, const struct part *part, struct buffer *answer)
{
    if (part->flags != 0) {
        const bool present = store_find(&shard->store, part->hash, key_of(part), NULL);

        if (present != ((part->flags & PART_IF_PRESENT) != 0)) {
            reply_nil(answer);
            return;
        }
    }
    if (put(shard, part, (struct slice){ part->value, part->value_len }, answer)) {
        reply_ok(answer);
    }
}

void part_increment(struct shard *shard, const struct part *part, struct buffer *answer)
{
    char text[NUMBER_BYTES_MAX];
    struct slice value;
    int64_t number = 0;

    if (store_find(&shard->store, part->hash, key_of(part), &value) &&
        !number_parse(value, &number)) {
        reply_error(answer, "ERR value is not an integer or out of range");
        return;
    }
    if (number == INT64_MAX) {
        reply_error(answer, "ERR increment or decrement would overflow");
        return;
    }
    number++;
    if (put(shard, part, (struct slice){ text, number_print(text, number) }, answer)) {
        reply_integer(answer, number);
    }
}

static void answer_number(struct buffer *answer, int64_t number)
{
    buffer_append(answer, &number, sizeof(number));
}

void part_delete(struct shard *shard, const struct part *part, struct buffer *answer)
{
    answer_number(answer, store_delete(&shard->store, part->hash, key_of(part)));
}

void part_exists(struct shard *shard, const struct part *part, struct buffer *answer)
{
    answer_number(answer, store_find(&shard->store, part->hash, key_of(part), NULL));
}

void part_count(struct shard *shard, const struct part *part, struct buffer *answer)
{
    (void)part;
    answer_number(answer, (int64_t)shard->store.count);
}
