/* SPDX-License-Identifier: MIT */
/*
 * Rows of one's own for rt-bench: built as a shared object, and given to it.
 *
 *     rt-bench --load build/release/docs/examples/bench_rows.so --filter my_ --html mine.html
 *
 * my_hash beside memcpy: how much dearer is it to hash a page than to copy it?
 * my_ask: what does it cost to ask another shard for a counter?
 */
#include <errno.h>
#include <rt/bench.h>
#include <rt/rt.h>
#include <string.h>

#define PAGE 4096

static unsigned char page[PAGE];

/* FNV-1a, 64 bits: a multiplication for each byte. */
static uint64_t hash(const unsigned char *bytes, size_t count)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < count; i++) {
        value = (value ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return value;
}

/* Over the runtime: this is a task, and lets others run now and then, as a server would. */
static int hash_pages(struct rt_bench *bench)
{
    const uint64_t warm_up = bench->units / 10;
    volatile uint64_t sum = 0; /* so that the work is not left out */

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        page[0] = (unsigned char)i;
        sum = sum ^ hash(page, PAGE);
        rt_yield();
    }
    rt_bench_stop(bench, bench->units);
    return 0;
}

/* Beside it: a plain thread. */
static int copy_pages(struct rt_bench *bench)
{
    static unsigned char copy[PAGE];
    const uint64_t warm_up = bench->units / 10;
    volatile unsigned char last; /* so that the copy is not left out */

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        if (i == warm_up) {
            rt_bench_start(bench);
        }
        page[0] = (unsigned char)i;
        memcpy(copy, page, PAGE);
        last = copy[i % PAGE];
    }
    rt_bench_stop(bench, bench->units);
    (void)last;
    return 0;
}

static int get_counter(void *arg)
{
    static int counter; /* of the other shard: only functions that run there touch it */

    (void)arg;
    return counter++ & 0xff;
}

/* Of a pair: this is the first task of one shard, and the other one serves calls. */
static int ask(struct rt_bench *bench)
{
    const uint64_t warm_up = bench->units / 10;

    for (uint64_t i = 0; i < bench->units + warm_up; i++) {
        rt_time begun;
        int result;
        int r;

        if (i == warm_up) {
            rt_bench_start(bench);
        }
        begun = rt_now();
        r = rt_call(bench->other, get_counter, NULL, &result, RT_NEVER);
        if (r < 0) {
            return rt_bench_fail(bench, r, "rt_call: %s", rt_strerror(r));
        }
        if (bench->recording != 0) { /* these repetitions fill the histogram */
            rt_bench_record(bench, (uint64_t)(rt_now() - begun));
        }
    }
    rt_bench_stop(bench, bench->units);
    return 0;
}

static const struct rt_bench_row rows[] = {
    { .name = "my_hash",
      .summary = "hash a page of 4 KiB and yield, beside a copy of it",
      .run = hash_pages,
      .limit = copy_pages,
      .goal = 100 },
    { .name = "my_ask",
      .summary = "ask the other shard for a counter, clock read included",
      .run = ask,
      .kind = RT_BENCH_PAIR,
      .flags = RT_BENCH_RECORDS },
};
RT_BENCH_ROWS(rows);
