/* SPDX-License-Identifier: MIT */
/*
 * Rows of two cores: what two shards do together, beside its limits (limit/xcore.h):
 * calls, sets of calls, posts, channels, a mesh, and the wake of a shard that sleeps. A tenth of
 * the units is not timed.
 */
#include <errno.h>
#include <rt/call.h>
#include <rt/mesh.h>
#include <rt/spsc.h>
#include <rt/start.h>
#include <rt/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../stats.h"
#include "rows.h"
#include "xcore.h"

#define IN_FLIGHT 64 /* of row xcore_call64 */
#define GROUP     16 /* messages of one flush: the contract's */
#define BATCH_MAX 64
#define CAPACITY  1024 /* of a channel: the limits page's */
#define BEHIND    512  /* words that may be on their way, of the mesh's rows */
#define WAKES_MAX 1000
#define ASLEEP_NS RT_MICROSECONDS(200) /* the limits page's */

/* In the middle of a row that two threads work on there is no way back. */
static _Noreturn void give_up(const char *what, int result)
{
    fprintf(stderr, "rt-bench: %s: %s\n", what, rt_strerror(result));
    exit(1);
}

/* What is called on the other shard. */
static int add_one(void *arg)
{
    return (int)(uintptr_t)arg + 1;
}

static int count_post(void *arg)
{
    uint64_t *posts = arg;

    (*posts)++;
    return 0;
}

static int note_arrival(void *arg)
{
    int64_t *arrived = arg;

    *arrived = limit_now();
    return 0;
}

/* The calls whose shapes differ, made alike. */
#define limit_go       limit_call
#define limit_begin    limit_call_begin
#define limit_end      limit_call_end
#define limit_throw    limit_post
#define limit_pipe     limit_channel
#define limit_put      limit_channel_send
#define limit_take     limit_channel_recv
#define limit_push     limit_channel_flush
#define limit_put_end  limit_channel_close_sender
#define limit_take_end limit_channel_close_receiver

static struct limit_channel *limit_pipe_make(bool waits)
{
    struct limit_channel *channel = limit_channel_create(waits);

    if (channel == NULL) {
        give_up("limit_channel_create", -ENOMEM);
    }
    return channel;
}

static inline void must(const char *what, int result)
{
    if (__builtin_expect(result < 0, 0)) {
        give_up(what, result);
    }
}

static uint32_t other; /* the shard that serves: set when a row begins */

static inline void rt_go(rt_task_fn fn, void *arg, int *result)
{
    must("rt_call", rt_call(other, fn, arg, result, RT_NEVER));
}

static inline void rt_begin(struct rt_call *call, rt_task_fn fn, void *arg)
{
    must("rt_call_begin", rt_call_begin(call, other, fn, arg, RT_NEVER));
}

static inline void rt_end(struct rt_call *call, int *result)
{
    must("rt_call_end", rt_call_end(call, result, RT_NEVER));
}

static inline void rt_throw(rt_task_fn fn, void *arg)
{
    must("rt_post", rt_post(other, fn, arg, RT_NEVER));
}

/* A set of two calls, one on each side: the caller's own runs while the other is under way. */
static inline void limit_all(rt_task_fn fn, void *arg, int results[2])
{
    struct limit_call call;

    limit_call_begin(&call, fn, arg);
    results[0] = fn(arg);
    limit_call_end(&call, &results[1]);
}

static inline void limit_fold(rt_task_fn fn, void *args[2], uint64_t *sum)
{
    struct limit_call call;
    int result;

    limit_call_begin(&call, fn, args[1]);
    *sum += (uint64_t)fn(args[0]);
    limit_call_end(&call, &result);
    *sum += (uint64_t)result;
}

static void rt_all(rt_task_fn fn, void *arg, int results[2])
{
    struct rt_call_part parts[2];

    must("rt_call_all", rt_call_all(parts, fn, arg, RT_NEVER));
    results[0] = parts[0].result;
    results[1] = parts[1].result;
}

static void add_part(void *into, const struct rt_call_part *part)
{
    *(uint64_t *)into += (uint64_t)part->result;
}

static void rt_fold(rt_task_fn fn, void *args[2], uint64_t *sum)
{
    struct rt_call_part parts[2] = { { .shard = 1 - other, .arg = args[0] },
                                     { .shard = other, .arg = args[1] } };

    must("rt_map_reduce", rt_map_reduce(parts, 2, fn, add_part, sum, RT_NEVER));
}

#define rt_pipe     rt_spsc
#define rt_push     rt_spsc_flush
#define rt_put_end  rt_spsc_close_sender
#define rt_take_end rt_spsc_close_receiver

static struct rt_spsc *rt_pipe_make(bool waits)
{
    struct rt_spsc *channel = NULL;

    (void)waits; /* a task always does */
    must("rt_spsc_create", rt_spsc_create(&channel, sizeof(uint64_t), CAPACITY));
    return channel;
}

static inline void rt_put(struct rt_spsc *channel, const uint64_t *items, size_t count)
{
    must("rt_spsc_send", rt_spsc_send(channel, items, count, NULL, RT_NEVER));
}

static inline size_t rt_take(struct rt_spsc *channel, uint64_t *items, size_t count)
{
    ssize_t n = rt_spsc_recv(channel, items, count, RT_NEVER);

    must("rt_spsc_recv", (int)n);
    return (size_t)n;
}

/* A side's ends of a mesh of two. Its items are of one word or more; the limit's channels carry
 * words, as many of them. */
struct limit_lane {
    struct limit_channel *to;
    struct limit_channel *from;
};

static void limit_lanes_make(struct limit_lane *here, struct limit_lane *there, size_t words)
{
    (void)words;
    *here = (struct limit_lane){ .to = limit_pipe_make(false), .from = limit_pipe_make(false) };
    *there = (struct limit_lane){ .to = here->from, .from = here->to };
}

static void limit_lane_open(struct limit_lane *lane)
{
    (void)lane;
}

static inline void limit_lane_put(struct limit_lane *lane, const uint64_t *items, size_t count,
                                  size_t words)
{
    limit_channel_send(lane->to, items, count * words);
}

static inline size_t limit_lane_take(struct limit_lane *lane, uint64_t *items, size_t count,
                                     size_t words)
{
    return limit_channel_recv(lane->from, items, count * words);
}

static void limit_lane_close_sender(struct limit_lane *lane)
{
    limit_channel_close_sender(lane->to);
}

static void limit_lane_leave(struct limit_lane *lane)
{
    limit_channel_close_receiver(lane->from);
}

static void limit_lanes_free(struct limit_lane *here)
{
    (void)here;
}

struct rt_lane {
    struct rt_mesh *mesh;
    struct rt_spsc *to;
    uint32_t peer;
};

static void rt_lanes_make(struct rt_lane *here, struct rt_lane *there, size_t words)
{
    const uint32_t pair[] = { rt_shard_index(), other };
    struct rt_mesh_options options = RT_MESH_OPTIONS_INIT;
    struct rt_mesh *mesh = NULL;

    options.item_bytes = words * sizeof(uint64_t);
    options.capacity = (uint32_t)(CAPACITY / words);
    options.producers = options.consumers = pair;
    options.producer_count = options.consumer_count = 2;
    must("rt_mesh_create", rt_mesh_create(&mesh, &options));
    *here = (struct rt_lane){ .mesh = mesh, .peer = other };
    *there = (struct rt_lane){ .mesh = mesh, .peer = rt_shard_index() };
}

static void rt_lane_open(struct rt_lane *lane)
{
    must("rt_mesh_sender", rt_mesh_sender(&lane->to, lane->mesh, lane->peer));
}

static inline void rt_lane_put(struct rt_lane *lane, const uint64_t *items, size_t count,
                               size_t words)
{
    (void)words; /* the mesh knows */
    must("rt_spsc_send", rt_spsc_send(lane->to, items, count, NULL, RT_NEVER));
}

static inline size_t rt_lane_take(struct rt_lane *lane, uint64_t *items, size_t count, size_t words)
{
    const ssize_t n = rt_mesh_recv_any(lane->mesh, items, count, NULL, RT_NEVER);

    must("rt_mesh_recv_any", (int)n);
    return (size_t)n * words;
}

static void rt_lane_close_sender(struct rt_lane *lane)
{
    rt_mesh_close_senders(lane->mesh);
}

static void rt_lane_leave(struct rt_lane *lane)
{
    rt_mesh_leave(lane->mesh, rt_shard_index());
}

static void rt_lanes_free(struct rt_lane *here)
{
    rt_mesh_destroy(here->mesh);
}

#define SIDE(name) limit_##name
#include "xcore_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "xcore_loops.h"
#undef SIDE

/* The limit of row xcore_rtt: the port alone. The runtime's is a call. */
static int echo_row(void *arg)
{
    struct rt_bench *bench = arg;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < bench->units + bench->units / 10; i++) {
        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        wrong += limit_echo(i) != i;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

static int bounce_row(void *arg)
{
    struct rt_bench *bench = arg;
    uint64_t ns;

    (void)bare_bounces(bench->units / 10);
    rt_bench_start(bench);
    ns = bare_bounces(bench->units);
    rt_bench_stop(bench, bench->units);
    rt_bench_result(bench, (double)ns / (double)bench->units);
    return 0;
}

/* The limit of a row, as a side of it: its loop on side 0 of a pair. */
#define LIMIT_SIDE(name, waiting, loop)                                                            \
    static int name(struct rt_bench *bench)                                                        \
    {                                                                                              \
        return limit_pair_run(bench->cpus, waiting, loop, bench);                                  \
    }
#define RT_SIDE(name, loop)                                                                        \
    static int name(struct rt_bench *bench)                                                        \
    {                                                                                              \
        other = bench->other;                                                                      \
        return loop(bench);                                                                        \
    }

LIMIT_SIDE(limit_rtt, LIMIT_SPINS, echo_row)
LIMIT_SIDE(limit_call1, LIMIT_SPINS, limit_call_row)
LIMIT_SIDE(limit_call64, LIMIT_SPINS, limit_calls_row)
LIMIT_SIDE(limit_set, LIMIT_SPINS, limit_set_row)
LIMIT_SIDE(limit_reduce, LIMIT_SPINS, limit_reduce_row)
LIMIT_SIDE(limit_posts, LIMIT_SPINS, limit_post_row)
LIMIT_SIDE(limit_stream_side, LIMIT_SPINS, limit_stream_row)
LIMIT_SIDE(limit_channels, LIMIT_SPINS, limit_channels_row)
LIMIT_SIDE(limit_mesh, LIMIT_SPINS, limit_exchange_row)
LIMIT_SIDE(limit_wakes, LIMIT_SLEEPS, limit_wake_row)
LIMIT_SIDE(bare_bounce, LIMIT_SPINS, bounce_row)
RT_SIDE(rt_call1, rt_call_row)
RT_SIDE(rt_call64, rt_calls_row)
RT_SIDE(rt_set, rt_set_row)
RT_SIDE(rt_reduce, rt_reduce_row)
RT_SIDE(rt_posts, rt_post_row)
RT_SIDE(rt_stream_side, rt_stream_row)
RT_SIDE(rt_channels, rt_channels_row)
RT_SIDE(rt_meshes, rt_exchange_row)
RT_SIDE(rt_wakes, rt_wake_row)

static const size_t one = 1;
static const size_t eight = 8;
static const size_t many = BATCH_MAX;

const struct rt_bench_row bench_rows_xcore[] = {
    { .name = "xcore_rtt",
      .summary = "a call, beside a number through the port and back",
      .run = rt_call1,
      .limit = limit_rtt,
      .bare = bare_bounce,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_MATRIX },
    { .name = "xcore_rtt_spsc",
      .summary = "an item through a channel, and one back, between two tasks",
      .run = rt_channels,
      .limit = limit_channels,
      .kind = RT_BENCH_PAIR },
    { .name = "xcore_call1",
      .summary = "a call and its result, one in flight",
      .run = rt_call1,
      .limit = limit_call1,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RECORDS },
    { .name = "xcore_call64",
      .summary = "a call and its result, 64 of one task in flight",
      .run = rt_call64,
      .limit = limit_call64,
      .kind = RT_BENCH_PAIR },
    { .name = "xcore_post",
      .summary = "a call without a reply",
      .run = rt_posts,
      .limit = limit_posts,
      .kind = RT_BENCH_PAIR },
    { .name = "call_all",
      .summary = "a function on both shards at once, and its two results",
      .run = rt_set,
      .limit = limit_set,
      .kind = RT_BENCH_PAIR },
    { .name = "map_reduce",
      .summary = "a function on both shards, with an argument each, and the fold of the results",
      .run = rt_reduce,
      .limit = limit_reduce,
      .kind = RT_BENCH_PAIR },
    { .name = "xcore_stream",
      .summary = "an item of 8 bytes through a channel, one by one",
      .run = rt_stream_side,
      .limit = limit_stream_side,
      .arg = &one,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RATE | RT_BENCH_MATRIX },
    { .name = "xcore_stream8",
      .summary = "an item of 8 bytes through a channel, 8 at a time",
      .run = rt_stream_side,
      .limit = limit_stream_side,
      .arg = &eight,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RATE },
    { .name = "xcore_stream64",
      .summary = "an item of 8 bytes through a channel, 64 at a time",
      .run = rt_stream_side,
      .limit = limit_stream_side,
      .arg = &many,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RATE },
    { .name = "mesh_stream",
      .summary = "an item of 8 bytes through a mesh while one comes back, 64 at a time, from any",
      .run = rt_meshes,
      .limit = limit_mesh,
      .arg = &one,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RATE },
    { .name = "mesh_stream_64b",
      .summary = "the same with items of 64 bytes, 8 at a time",
      .run = rt_meshes,
      .limit = limit_mesh,
      .arg = &eight,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RATE },
    { .name = "xcore_wake",
      .summary = "from a call until its function runs, its shard having slept for 200 us",
      .run = rt_wakes,
      .limit = limit_wakes,
      .units_max = WAKES_MAX,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_SLEEPS | RT_BENCH_RECORDS },
};
const size_t bench_rows_xcore_count = sizeof(bench_rows_xcore) / sizeof(bench_rows_xcore[0]);
