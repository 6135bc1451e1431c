/* SPDX-License-Identifier: MIT */
/*
 * Rows of services: a call to the other shard's instance, beside a call of the limit that looks an
 * instance up and counts who is inside. What the function does is next to nothing.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>

#include "rows.h"
#include "xcore.h"

#define WINDOW_MAX 64
#define GROUP      16 /* messages of one flush: the contract's */

static _Noreturn void give_up(const char *what, int result)
{
    fprintf(stderr, "rt-bench: %s: %s\n", what, rt_strerror(result));
    exit(1);
}

static inline void must(const char *what, int result)
{
    if (__builtin_expect(result < 0, 0)) {
        give_up(what, result);
    }
}

/* What is called: touches the instance. */
static int add_one(void *instance, void *arg)
{
    ++*(uint64_t *)instance;
    return (int)(uintptr_t)arg + 1;
}

/* The two sides, made alike. */
struct limit_service_record {
    struct limit_call call;
};

static inline void limit_ask(struct limit_service_record *record, void *arg)
{
    limit_service_begin(&record->call, 1, add_one, arg);
}

static inline int limit_answer(struct limit_service_record *record)
{
    int result;

    limit_call_end(&record->call, &result);
    return result;
}

static struct rt_service *service; /* set when a row begins */
static uint32_t other;             /* the shard that serves: likewise */

struct rt_service_record {
    struct rt_call call;
};

static inline void rt_ask(struct rt_service_record *record, void *arg)
{
    must("rt_service_call_begin",
         rt_service_call_begin(&record->call, service, other, add_one, arg, RT_NEVER));
}

static inline int rt_answer(struct rt_service_record *record)
{
    int result = 0;

    must("rt_call_end", rt_call_end(&record->call, &result, RT_NEVER));
    return result;
}

#define SIDE(name) limit_##name
#include "service_loops.h"
#undef SIDE
#define SIDE(name) rt_##name
#include "service_loops.h"
#undef SIDE

static int create(void **instance, void *arg)
{
    (void)arg;
    *instance = aligned_alloc(64, 64);
    if (*instance == NULL) {
        return -ENOMEM;
    }
    *(uint64_t *)*instance = 0;
    return 0;
}

static int rt_service_side(struct rt_bench *bench)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    int r;

    options.name = "bench";
    options.create = create;
    options.destroy = free;
    r = rt_service_start(&service, &options, NULL, 0, RT_NEVER);
    if (r < 0) {
        return r;
    }
    other = bench->other;
    r = rt_service_row(bench);
    must("rt_service_stop", rt_service_stop(service, RT_NEVER));
    return r;
}

static int limit_service_side(struct rt_bench *bench)
{
    return limit_pair_run(bench->cpus, LIMIT_SPINS, limit_service_row, bench);
}

static const uint64_t one = 1;
static const uint64_t many = WINDOW_MAX;

const struct rt_bench_row bench_rows_service[] = {
    { .name = "service_call",
      .summary = "a call of a service on another shard and its result, one in flight",
      .run = rt_service_side,
      .limit = limit_service_side,
      .arg = &one,
      .kind = RT_BENCH_PAIR },
    { .name = "service_call64",
      .summary = "a call of a service on another shard and its result, 64 of one task in flight",
      .run = rt_service_side,
      .limit = limit_service_side,
      .arg = &many,
      .kind = RT_BENCH_PAIR },
};
const size_t bench_rows_service_count = sizeof(bench_rows_service) / sizeof(bench_rows_service[0]);
