/* SPDX-License-Identifier: MIT */
/* What INFO tells. Names that Redis has mean what they mean there. */
#include "info.h"

#include <inttypes.h>
#include <unistd.h>

void info_part(struct shard *shard, const struct part *part, struct buffer *answer)
{
    struct info_shard info = {
        .counters = shard->counters,
        .keys = shard->store.count,
        .bytes = shard->store.bytes,
    };

    (void)part;
    rt_stats_get(&info.runtime, sizeof(info.runtime));
    buffer_append(answer, &info, sizeof(info));
}

static struct info_shard sum_of(const struct server *server, const struct info_shard *shards)
{
    struct info_shard sum = { 0 };

    for (uint32_t i = 0; i < server->shard_count; i++) {
        sum.keys += shards[i].keys;
        sum.bytes += shards[i].bytes;
        sum.counters.connections += shards[i].counters.connections;
        sum.counters.connections_accepted += shards[i].counters.connections_accepted;
        sum.counters.connections_refused += shards[i].counters.connections_refused;
        sum.counters.requests += shards[i].counters.requests;
        sum.counters.hits += shards[i].counters.hits;
        sum.counters.misses += shards[i].counters.misses;
    }
    return sum;
}

static void print_server(struct buffer *out, const struct shard *shard,
                         const struct info_shard *sum)
{
    (void)sum;
    buffer_print(out, "# Server\r\nserver_name:rt-kv\r\nserver_version:%s\r\n", RT_VERSION);
    buffer_print(out, "process_id:%ld\r\ntcp_port:%" PRIu32 "\r\n", (long)getpid(), shard->port);
    buffer_print(out, "uptime_in_seconds:%" PRId64 "\r\nshards:%" PRIu32 "\r\n",
                 (rt_now() - shard->server->started) / RT_SECONDS(1), shard->server->shard_count);
}

static void print_clients(struct buffer *out, const struct shard *shard,
                          const struct info_shard *sum)
{
    buffer_print(out, "# Clients\r\nconnected_clients:%" PRIu64 "\r\nmaxclients:%" PRIu32 "\r\n",
                 sum->counters.connections, shard->server->options->connections_max);
}

static void print_memory(struct buffer *out, const struct shard *shard,
                         const struct info_shard *sum)
{
    buffer_print(out, "# Memory\r\nused_memory:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\n",
                 sum->bytes, shard->server->options->memory_max);
}

static void print_stats(struct buffer *out, const struct shard *shard, const struct info_shard *sum)
{
    (void)shard;
    buffer_print(out, "# Stats\r\ntotal_connections_received:%" PRIu64 "\r\n",
                 sum->counters.connections_accepted + sum->counters.connections_refused);
    buffer_print(out,
                 "rejected_connections:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64 "\r\n",
                 sum->counters.connections_refused, sum->counters.requests);
    buffer_print(out, "keyspace_hits:%" PRIu64 "\r\nkeyspace_misses:%" PRIu64 "\r\n",
                 sum->counters.hits, sum->counters.misses);
}

static void print_keyspace(struct buffer *out, const struct shard *shard,
                           const struct info_shard *sum)
{
    (void)shard;
    buffer_print(out, "# Keyspace\r\n");
    if (sum->keys > 0) {
        buffer_print(out, "db0:keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", sum->keys);
    }
}

static void print_shards(struct buffer *out, const struct shard *shard,
                         const struct info_shard *shards)
{
    buffer_print(out, "# Shards\r\n");
    for (uint32_t i = 0; i < shard->server->shard_count; i++) {
        const struct shard_counters *counters = &shards[i].counters;
        const struct rt_stats *runtime = &shards[i].runtime;

        buffer_print(out,
                     "shard%" PRIu32 ":keys=%" PRIu64 ",bytes=%" PRIu64 ",connections=%" PRIu64
                     ",accepted=%" PRIu64 ",requests=%" PRIu64 ",hits=%" PRIu64 ",misses=%" PRIu64,
                     i, shards[i].keys, shards[i].bytes, counters->connections,
                     counters->connections_accepted, counters->requests, counters->hits,
                     counters->misses);
        buffer_print(out,
                     ",batches_sent=%" PRIu64 ",batches_run=%" PRIu64 ",tasks=%" PRIu32
                     ",turns=%" PRIu64 ",runs=%" PRIu64 ",enters=%" PRIu64 ",sleeps=%" PRIu64,
                     counters->batches_sent, counters->batches_run, runtime->tasks_live,
                     runtime->turns, runtime->runs, runtime->enters, runtime->sleeps);
        buffer_print(out,
                     ",messages_sent=%" PRIu64 ",messages_taken=%" PRIu64 ",rings=%" PRIu64
                     ",wakes_sent=%" PRIu64 "\r\n",
                     runtime->messages_sent, runtime->messages_taken, runtime->rings,
                     runtime->wakes_sent);
    }
}

/* Whether a section is among the names that were asked for, each of which ends with a space. */
static bool wants(struct slice asked, const char *section)
{
    while (asked.len > 0) {
        const char *end = memchr(asked.data, ' ', asked.len);
        const struct slice name = { asked.data, (size_t)(end - asked.data) };

        if (slice_is(name, section) || slice_is(name, "all") || slice_is(name, "default") ||
            slice_is(name, "everything")) {
            return true;
        }
        asked.data += name.len + 1;
        asked.len -= name.len + 1;
    }
    return false;
}

void info_print(struct buffer *out, const struct shard *shard, struct slice asked,
                const struct info_shard *shards)
{
    static const struct {
        const char *name;
        void (*print)(struct buffer *out, const struct shard *shard, const struct info_shard *sum);
    } sections[] = {
        { "server", print_server }, { "clients", print_clients },   { "memory", print_memory },
        { "stats", print_stats },   { "keyspace", print_keyspace },
    };
    const struct info_shard sum = sum_of(shard->server, shards);

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (wants(asked, sections[i].name)) {
            buffer_append(out, "\r\n", out->len > 0 ? 2 : 0); /* an empty line between two */
            sections[i].print(out, shard, &sum);
        }
    }
    if (wants(asked, "shards")) {
        buffer_append(out, "\r\n", out->len > 0 ? 2 : 0);
        print_shards(out, shard, shards);
    }
}
