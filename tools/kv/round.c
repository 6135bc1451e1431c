/* SPDX-License-Identifier: MIT */
/* The requests that one receive brought, answered in their order. */
#include "round.h"

#include <errno.h>
#include <stdlib.h>

#include "info.h"
#include "reply.h"

#define REPLY_BYTES_ENOUGH ((size_t)1024 * 1024) /* N3; a value of the default --value-max */
#define OUT_BYTES_LONG     ((size_t)64 * 1024)   /* N3; of a longer send most is copying */
#define BUFFER_BYTES_KEPT  ((size_t)256 * 1024)  /* of a buffer between rounds */
#define PARTS_KEPT         4096u                 /* of a batch between rounds */
#define PREFETCH_AHEAD     8u                    /* parts; together the latency of memory */
#define SEND_TIMEOUT       RT_SECONDS(10)        /* a peer that takes nothing is dropped */

/* Make room for one more element in an array that doubles. False without memory. */
static bool reserve(void **array, uint32_t count, uint32_t *capacity, size_t element_bytes)
{
    const uint32_t more = *capacity > 0 ? *capacity * 2 : 32;
    void *grown;

    if (count < *capacity) {
        return true;
    }
    grown = realloc(*array, more * element_bytes);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = more;
    return true;
}

static struct round *round_make(struct shard *shard)
{
    const uint32_t shard_count = shard->server->shard_count;
    const size_t bytes = sizeof(struct round) + shard_count * sizeof(struct batch);
    struct round *round = aligned_alloc(_Alignof(struct round), bytes);

    if (round == NULL) {
        return NULL;
    }
    memset(round, 0, bytes);
    round->used = calloc(shard_count, sizeof(*round->used));
    if (round->used == NULL) {
        free(round);
        return NULL;
    }
    round->shard = shard;
    for (uint32_t i = 0; i < shard_count; i++) {
        round->batches[i].index = i;
    }
    return round;
}

static void batch_free_parts(struct batch *batch)
{
    free(batch->parts);
    free(batch->answer_lens);
    batch->parts = NULL;
    batch->answer_lens = NULL;
    batch->capacity = 0;
}

static void round_free(struct round *round)
{
    for (uint32_t i = 0; i < round->shard->server->shard_count; i++) {
        buffer_free(&round->batches[i].reply);
        batch_free_parts(&round->batches[i]);
    }
    buffer_free(&round->local);
    buffer_free(&round->out);
    buffer_free(&round->answers);
    free(round->requests);
    free(round->routes);
    free(round->used);
    free(round);
}

struct round *round_take(struct shard *shard, struct rt_tcp_stream *peer)
{
    struct round *round = shard->rounds;

    if (round != NULL) {
        shard->rounds = round->next;
    } else {
        round = round_make(shard);
    }
    if (round != NULL) {
        round->peer = peer;
        round->error = 0;
    }
    return round;
}

static void batch_clear(struct batch *batch)
{
    batch->count = 0;
    batch->done = 0;
    batch->walked = 0;
    batch->reply_at = 0;
    batch->error = 0;
    buffer_clear(&batch->reply, BUFFER_BYTES_KEPT);
    if (batch->capacity > PARTS_KEPT) {
        batch_free_parts(batch);
    }
}

static void round_clear(struct round *round)
{
    for (uint32_t i = 0; i < round->used_count; i++) {
        batch_clear(&round->batches[round->used[i]]);
    }
    round->request_count = 0;
    round->route_count = 0;
    round->route_walked = 0;
    round->used_count = 0;
    round->local_at = 0;
    buffer_clear(&round->local, BUFFER_BYTES_KEPT);
    buffer_clear(&round->out, BUFFER_BYTES_KEPT);
    buffer_clear(&round->answers, BUFFER_BYTES_KEPT);
}

void round_give(struct round *round)
{
    round_clear(round);
    round->next = round->shard->rounds;
    round->shard->rounds = round;
}

void round_free_all(struct shard *shard)
{
    while (shard->rounds != NULL) {
        struct round *round = shard->rounds;

        shard->rounds = round->next;
        round_free(round);
    }
}

/* Room for one more part, and for the length of its answer. */
static bool batch_reserve(struct batch *batch)
{
    uint32_t capacity = batch->capacity;

    if (!reserve((void **)&batch->answer_lens, batch->count, &capacity,
                 sizeof(*batch->answer_lens))) {
        return false;
    }
    return reserve((void **)&batch->parts, batch->count, &batch->capacity, sizeof(*batch->parts));
}

static void add_part(struct round *round, uint32_t shard, const struct part *part)
{
    struct batch *batch = &round->batches[shard];

    if (!batch_reserve(batch) || !reserve((void **)&round->routes, round->route_count,
                                          &round->route_capacity, sizeof(*round->routes))) {
        round->error = -ENOMEM;
        return;
    }
    if (batch->count == 0) {
        round->used[round->used_count++] = shard;
    }
    batch->parts[batch->count++] = *part;
    round->routes[round->route_count++] = shard;
}

void round_add_key(struct round *round, part_fn run, struct slice key, struct slice value,
                   uint32_t flags)
{
    const struct server *server = round->shard->server;
    const uint64_t hash = siphash(&server->key, key);
    const uint32_t shard = rt_service_owner_of(server->service, hash);

    if (shard == round->shard->index) {
        store_prefetch_list(&round->shard->store, hash);
    }
    add_part(round, shard,
             &(struct part){
                 .run = run,
                 .key = key.data,
                 .value = value.data,
                 .hash = hash,
                 .key_len = (uint32_t)key.len,
                 .value_len = (uint32_t)value.len,
                 .flags = flags,
             });
}

void round_add_shard(struct round *round, part_fn run, uint32_t shard)
{
    add_part(round, shard, &(struct part){ .run = run });
}

void round_add_request(struct round *round, enum join join, uint32_t parts, uint32_t local_len)
{
    if (!reserve((void **)&round->requests, round->request_count, &round->request_capacity,
                 sizeof(*round->requests))) {
        round->error = -ENOMEM;
        return;
    }
    round->requests[round->request_count++] = (struct request){ join, parts, local_len };
}

/*
 * A part waits for memory longer than it computes: for the begin of its key's list, then for the
 * entry. So both are loaded ahead, while parts before it run.
 */
static void prefetch_lists(const struct shard *shard, const struct batch *batch, uint32_t from,
                           uint32_t to)
{
    for (; from < to && from < batch->count; from++) {
        store_prefetch_list(&shard->store, batch->parts[from].hash);
        __builtin_prefetch(batch->parts[from].key); /* the kernel wrote it, on another CPU */
        __builtin_prefetch(batch->parts[from].value);
    }
}

static void prefetch_entries(const struct shard *shard, const struct batch *batch, uint32_t from,
                             uint32_t to)
{
    for (; from < to && from < batch->count; from++) {
        store_prefetch_entry(&shard->store, batch->parts[from].hash);
    }
}

/* The function that is called on another shard: runs the batch there, or as much as N3 allows. */
static int batch_run(void *instance, void *arg)
{
    struct shard *shard = instance;
    struct batch *batch = arg;

    shard->counters.batches_run++;
    prefetch_lists(shard, batch, batch->done, batch->done + 2 * PREFETCH_AHEAD);
    prefetch_entries(shard, batch, batch->done, batch->done + PREFETCH_AHEAD);
    while (batch->done < batch->count && batch->reply.len < REPLY_BYTES_ENOUGH) {
        const uint32_t i = batch->done++;
        const size_t before = batch->reply.len;

        prefetch_lists(shard, batch, batch->done + 2 * PREFETCH_AHEAD - 1,
                       batch->done + 2 * PREFETCH_AHEAD);
        prefetch_entries(shard, batch, batch->done + PREFETCH_AHEAD - 1,
                         batch->done + PREFETCH_AHEAD);
        batch->parts[i].run(shard, &batch->parts[i], &batch->reply);
        batch->answer_lens[i] = (uint32_t)(batch->reply.len - before);
    }
    return batch->reply.failed ? -ENOMEM : 0;
}

static void begin_call(struct round *round, struct batch *batch)
{
    batch->error = rt_service_call_begin(&batch->call, round->shard->server->service, batch->index,
                                         batch_run, batch, RT_NEVER);
    batch->under_way = batch->error == 0;
    round->shard->counters.batches_sent += batch->under_way;
}

/* Send the batches of other shards, all before one is waited for. */
static void begin_calls(struct round *round)
{
    for (uint32_t i = 0; i < round->used_count; i++) {
        if (round->used[i] != round->shard->index) {
            begin_call(round, &round->batches[round->used[i]]);
        }
    }
}

static void end_call(struct batch *batch)
{
    int result = 0;
    int r;

    batch->under_way = false;
    r = rt_call_end(&batch->call, &result, RT_NEVER);
    batch->error = r < 0 ? r : result;
}

/* Wait until the next part of the batch was run. 0, or why it cannot be. */
static int await_part(struct round *round, struct batch *batch)
{
    while (batch->under_way || (batch->walked == batch->done && batch->error == 0)) {
        if (batch->under_way) {
            end_call(batch); /* only then the batch may be looked into */
            continue;
        }
        /* It stopped for the length of its replies (N3). These were taken: call again. */
        buffer_clear(&batch->reply, BUFFER_BYTES_KEPT);
        batch->reply_at = 0;
        begin_call(round, batch);
    }
    return batch->error;
}

/* The answer of the next part is appended to `answer`. 0, or why there is none. */
static int take_answer(struct round *round, struct buffer *answer)
{
    const uint32_t shard = round->routes[round->route_walked++];
    struct batch *batch = &round->batches[shard];
    uint32_t len;
    uint32_t i;
    int r;

    if (shard == round->shard->index) {
        i = batch->walked++;
        prefetch_entries(round->shard, batch, i + PREFETCH_AHEAD, i + PREFETCH_AHEAD + 1);
        batch->parts[i].run(round->shard, &batch->parts[i], answer);
        return 0;
    }
    r = await_part(round, batch);
    i = batch->walked++;
    if (r < 0) {
        return r;
    }
    len = batch->answer_lens[i];
    buffer_append(answer, batch->reply.bytes + batch->reply_at, len);
    batch->reply_at += len;
    return 0;
}

/* The answers of the next parts, one behind the other, to round->answers. 0, or why not all. */
static int take_answers(struct round *round, uint32_t parts)
{
    int error = 0;

    buffer_clear(&round->answers, BUFFER_BYTES_KEPT);
    for (uint32_t i = 0; i < parts; i++) {
        const int r = take_answer(round, &round->answers);

        error = error == 0 ? r : error;
    }
    return error == 0 && round->answers.failed ? -ENOMEM : error;
}

static void reply_failure(struct buffer *out, int r)
{
    reply_error(out, "TRYAGAIN the shard of the key cannot answer: %s", rt_strerror(r));
}

static void flush(struct round *round)
{
    if (round->out.failed && round->error == 0) {
        round->error = -ENOMEM;
    }
    if (round->error == 0 && round->peer != NULL && round->out.len > 0) {
        const ssize_t n = rt_tcp_send_all(round->peer, round->out.bytes, round->out.len, NULL,
                                          rt_turn_time() + SEND_TIMEOUT);

        round->error = n < 0 ? (int)n : 0;
    }
    buffer_clear(&round->out, BUFFER_BYTES_KEPT);
}

static void join_sum(struct round *round, uint32_t parts)
{
    const int r = take_answers(round, parts);
    int64_t sum = 0;

    if (r < 0) {
        reply_failure(&round->out, r);
        return;
    }
    for (uint32_t i = 0; i < parts; i++) {
        int64_t number;

        memcpy(&number, round->answers.bytes + i * sizeof(number), sizeof(number));
        sum += number;
    }
    reply_integer(&round->out, sum);
}

static void join_array(struct round *round, uint32_t parts)
{
    for (uint32_t i = 0; i < parts; i++) {
        const int r = take_answer(round, &round->out);

        if (r < 0) {
            reply_failure(&round->out, r);
        }
        if (round->out.len >= OUT_BYTES_LONG) {
            flush(round);
        }
    }
}

static struct slice take_local(struct round *round, size_t len)
{
    const struct slice text = { round->local.bytes + round->local_at, len };

    round->local_at += len;
    return text;
}

static void join_info(struct round *round, const struct request *request)
{
    const struct slice sections = take_local(round, request->local_len);
    struct buffer text = { 0 };
    int r = take_answers(round, request->parts);

    if (r == 0) {
        info_print(&text, round->shard, sections, (const struct info_shard *)round->answers.bytes);
        r = text.failed ? -ENOMEM : 0;
    }
    if (r < 0) {
        reply_failure(&round->out, r);
    } else {
        reply_bulk(&round->out, (struct slice){ text.bytes, text.len });
    }
    buffer_free(&text);
}

static void walk(struct round *round, const struct request *request)
{
    struct slice text;

    switch (request->join) {
    case JOIN_LOCAL:
        text = take_local(round, request->local_len);
        buffer_append(&round->out, text.data, text.len);
        break;
    case JOIN_ONE:
        join_array(round, 1);
        break;
    case JOIN_ARRAY:
        reply_array(&round->out, request->parts);
        join_array(round, request->parts);
        break;
    case JOIN_SUM:
        join_sum(round, request->parts);
        break;
    case JOIN_INFO:
        join_info(round, request);
        break;
    }
}

/*
 * Let other sessions run while the lists of own keys are loaded, and again for the entries. Many
 * sessions with a request each thus wait for memory together; one that is alone goes on at once.
 */
static void await_memory(struct round *round)
{
    const struct batch *own = &round->batches[round->shard->index];

    if (own->count > 0) {
        rt_yield();
        prefetch_entries(round->shard, own, 0, PREFETCH_AHEAD);
        rt_yield();
    }
}

int round_run(struct round *round)
{
    if (round->local.failed) {
        round->error = -ENOMEM;
    }
    if (round->error < 0) {
        return round->error; /* not all requests are here, so none is run */
    }
    round->shard->counters.requests += round->request_count;
    begin_calls(round);
    await_memory(round);
    for (uint32_t i = 0; i < round->request_count; i++) {
        walk(round, &round->requests[i]);
        if (round->out.len >= OUT_BYTES_LONG) {
            flush(round);
        }
    }
    flush(round);
    return round->error;
}
