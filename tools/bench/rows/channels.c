/* SPDX-License-Identifier: MIT */
/*
 * Rows of channels between tasks of one core: a stream, a round trip, a select
 * over two, and a oneshot as the answer to a question.
 */
#include <errno.h>
#include <rt/rt.h>

#include "limit.h"
#include "rows.h"
#include "sides.h"

#define CAPACITY 1024 /* of row chan_local: the limits page's */

/* The task that answers is to return. */
static bool stop;

/* The calls whose shapes differ, made alike. */
static inline int limit_chan_make(struct limit_chan **out, uint32_t capacity)
{
    *out = limit_chan_create(sizeof(uint64_t), capacity);
    return *out == NULL ? -ENOMEM : 0;
}

static inline struct limit_case limit_receive_case(struct limit_chan *chan, void *item)
{
    return limit_case_recv(chan, item);
}

static inline struct limit_oneshot limit_oneshot_made(void)
{
    return (struct limit_oneshot)LIMIT_ONESHOT_INIT;
}

static inline int rt_chan_make(struct rt_chan **out, uint32_t capacity)
{
    return rt_chan_create(out, sizeof(uint64_t), capacity);
}

static inline struct rt_case rt_receive_case(struct rt_chan *chan, void *item)
{
    return rt_case_chan_recv(chan, item);
}

static inline struct rt_oneshot rt_oneshot_made(void)
{
    return (struct rt_oneshot)RT_ONESHOT_INIT;
}

static int limit_enter(int (*fn)(void *), struct rt_bench *bench)
{
    return limit_run(1, fn, bench);
}

#define SIDE(name) limit_##name
#include "channels_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "channels_loops.h"
#undef SIDE

const struct rt_bench_row bench_rows_channels[] = {
    { .name = "chan_local",
      .summary = "an item of 8 bytes from one task to another, 1024 fit",
      .run = rt_chan_local,
      .limit = limit_chan_local },
    { .name = "pingpong_local",
      .summary = "an item to another task through a channel, and one back",
      .run = rt_pingpong_local,
      .limit = limit_pingpong_local },
    { .name = "select2",
      .summary = "wait for the first of two channels; another task sends into them in turn",
      .run = rt_select2,
      .limit = limit_select2 },
    { .name = "oneshot",
      .summary = "ask a task that waits, and receive its answer from a oneshot",
      .run = rt_oneshot_row,
      .limit = limit_oneshot_row },
};
const size_t bench_rows_channels_count = sizeof(bench_rows_channels) /
                                         sizeof(bench_rows_channels[0]);
