/* SPDX-License-Identifier: MIT */
/*
 * The loops of the rows of two cores, written once and compiled twice by xcore.c: over
 * the limit and over the runtime. So both do the same by construction.
 *
 * Before including, define SIDE(name), which puts limit_ or rt_ before a name.
 * Beside the functions there must be a type SIDE(call) and SIDE(pipe), and
 * SIDE(go), SIDE(all), SIDE(fold), SIDE(begin), SIDE(end), SIDE(throw), SIDE(pipe_make), SIDE(put),
 * SIDE(take), SIDE(push), SIDE(put_end), SIDE(take_end) of one shape. No include
 * guard: it is meant to be included twice.
 *
 * each row runs on one shard and asks the other one. The first tenth is not timed.
 */

/* The unit: one call, the only one in flight. */
static int SIDE(call_row)(void *arg)
{
    struct rt_bench *bench = arg;
    const bool recording = bench->recording != 0;
    uint64_t wrong = 0;
    int64_t begun = 0;

    for (uint64_t i = 0; i < bench->units + bench->units / 10; i++) {
        int result;

        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        if (recording) {
            begun = limit_now();
        }
        SIDE(go)(add_one, (void *)(uintptr_t)(i & INT16_MAX), &result);
        if (recording && i >= bench->units / 10) {
            rt_bench_record(bench, (uint64_t)(limit_now() - begun));
        }
        wrong += result != (int)(i & INT16_MAX) + 1;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

/* The unit: one call, with 64 of one task in flight: 16 are ended, the oldest, and 16 begun. */
static int SIDE(calls_row)(void *arg)
{
    struct rt_bench *bench = arg;
    static struct SIDE(call) calls[IN_FLIGHT];
    const uint64_t groups = bench->units / GROUP + 1;
    uint64_t in_flight = IN_FLIGHT / GROUP;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < groups + groups / 10 + in_flight; i++) {
        struct SIDE(call) *group = &calls[i % in_flight * GROUP];
        int result;

        if (i == groups / 10 + in_flight) {
            rt_bench_start(bench);
        }
        for (int j = 0; j < GROUP && i >= in_flight; j++) {
            SIDE(end)(&group[j], &result);
            wrong += result != j + 1;
        }
        for (int j = 0; j < GROUP && i < groups + groups / 10; j++) {
            SIDE(begin)(&group[j], add_one, (void *)(uintptr_t)j);
        }
    }
    rt_bench_stop(bench, groups * GROUP);
    return wrong == 0 ? 0 : -EBADMSG;
}

/* The unit: a set of two calls of one function. */
static int SIDE(set_row)(void *arg)
{
    struct rt_bench *bench = arg;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < bench->units + bench->units / 10; i++) {
        const int number = (int)(i & INT16_MAX);
        int results[2];

        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        SIDE(all)(add_one, (void *)(intptr_t)number, results);
        wrong += results[0] != number + 1 || results[1] != number + 1;
    }
    rt_bench_stop(bench, bench->units);
    return wrong == 0 ? 0 : -EBADMSG;
}

/* The unit: a set of two calls with an argument each, and the sum of what they return. */
static int SIDE(reduce_row)(void *arg)
{
    struct rt_bench *bench = arg;
    uint64_t expected = 0;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < bench->units + bench->units / 10; i++) {
        const uint64_t number = i & INT16_MAX;
        void *args[2] = { (void *)(uintptr_t)number, (void *)(uintptr_t)(number + 1) };

        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        SIDE(fold)(add_one, args, &sum);
        expected += 2 * number + 3;
    }
    rt_bench_stop(bench, bench->units);
    return sum == expected ? 0 : -EBADMSG;
}

/* The unit: one post. The call at the end starts after all of them. */
static int SIDE(post_row)(void *arg)
{
    struct rt_bench *bench = arg;
    /* counted there, read when a call has come back from there */
    static uint64_t posts __attribute__((aligned(128)));
    uint64_t total = bench->units + bench->units / 10;
    int result;

    posts = 0;
    for (uint64_t i = 0; i < total; i++) {
        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        SIDE(throw)(count_post, &posts);
    }
    SIDE(go)(add_one, NULL, &result);
    rt_bench_stop(bench, bench->units);
    return posts == total ? 0 : -EBADMSG;
}

/* What a row lends to the other shard. Not on the stack: there it would share a line with what this
 * works on (measured: 65 ns an item for 6). */
static struct SIDE(stream) {
    struct SIDE(pipe) * there, *back;
    size_t batch;
    uint64_t sum, received; /* by the other shard, at its end */
} SIDE(lent) __attribute__((aligned(128)));

static int SIDE(sink)(void *arg)
{
    struct SIDE(stream) *stream = arg;
    struct SIDE(pipe) *there = stream->there;
    size_t batch = stream->batch;
    uint64_t items[BATCH_MAX];
    uint64_t sum = 0;
    uint64_t received = 0;
    size_t n;

    while ((n = SIDE(take)(there, items, batch)) > 0) {
        for (size_t i = 0; i < n; i++) {
            sum += items[i];
        }
        received += n;
    }
    SIDE(take_end)(there);
    stream->sum = sum;
    stream->received = received;
    return 0;
}

/* The unit: one item of 8 bytes, sent and received `batch` at a time. */
static int SIDE(stream_row)(void *arg)
{
    struct rt_bench *bench = arg;
    struct SIDE(pipe) *there = SIDE(pipe_make)(false);
    struct SIDE(call) call;
    uint64_t items[BATCH_MAX];
    const size_t batch = *(const size_t *)bench->arg;
    const uint64_t batches = bench->units / batch + 1;
    uint64_t sent = 0;
    int result;

    SIDE(lent) = (struct SIDE(stream)){ .there = there, .batch = batch };
    SIDE(begin)(&call, SIDE(sink), &SIDE(lent));
    for (uint64_t i = 0; i < batches + batches / 10; i++) {
        if (i == batches / 10) {
            rt_bench_start(bench);
        }
        for (size_t j = 0; j < batch; j++) {
            items[j] = sent++;
        }
        SIDE(put)(there, items, batch);
    }
    SIDE(put_end)(there);
    SIDE(end)(&call, &result);
    rt_bench_stop(bench, batches * batch);
    return SIDE(lent).received == sent && SIDE(lent).sum == sent * (sent - 1) / 2 ? 0 : -EBADMSG;
}

static int SIDE(mirror)(void *arg)
{
    struct SIDE(stream) *stream = arg;
    struct SIDE(pipe) *there = stream->there;
    struct SIDE(pipe) *back = stream->back;
    uint64_t item;

    while (SIDE(take)(there, &item, 1) == 1) {
        item++;
        SIDE(put)(back, &item, 1);
        SIDE(push)(back);
    }
    SIDE(take_end)(there);
    SIDE(put_end)(back);
    return 0;
}

/* The unit: one item through a channel, and one back through another. */
static int SIDE(channels_row)(void *arg)
{
    struct rt_bench *bench = arg;
    struct SIDE(pipe) *there = SIDE(pipe_make)(true);
    struct SIDE(pipe) *back = SIDE(pipe_make)(true);
    struct SIDE(call) call;
    uint64_t wrong = 0;
    int result;

    SIDE(lent) = (struct SIDE(stream)){ .there = there, .back = back };
    SIDE(begin)(&call, SIDE(mirror), &SIDE(lent));
    for (uint64_t i = 0; i < bench->units + bench->units / 10; i++) {
        uint64_t item = i;

        if (i == bench->units / 10) {
            rt_bench_start(bench);
        }
        SIDE(put)(there, &item, 1);
        SIDE(push)(there);
        wrong += SIDE(take)(back, &item, 1) != 1 || item != i + 1;
    }
    rt_bench_stop(bench, bench->units);
    SIDE(put_end)(there);
    SIDE(end)(&call, &result);
    SIDE(take_end)(back);
    return wrong == 0 ? 0 : -EBADMSG;
}

/* What a row lends to the other shard; as that of the streams. */
static struct SIDE(exchange) {
    struct SIDE(lane) here __attribute__((aligned(128)));
    struct SIDE(lane) there __attribute__((aligned(128)));
    uint64_t batches, sum __attribute__((aligned(128))); /* received by the other shard */
    size_t words;
} SIDE(exchanged);

/* Send `batches` batches of words 0, 1, 2 ... and receive as many; the sum of those. A batch is 64
 * words, in items of so many. What comes is received when it is BEHIND words behind what was sent:
 * so neither side waits for the other in each round. */
static uint64_t SIDE(trade)(struct SIDE(lane) * lane, uint64_t batches, size_t words,
                            struct rt_bench *bench)
{
    const size_t count = BATCH_MAX / words;
    uint64_t out[BATCH_MAX];
    uint64_t in[BATCH_MAX];
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t sum = 0;

    SIDE(lane_open)(lane);
    for (uint64_t i = 0; i <= batches; i++) {
        const uint64_t behind = i < batches ? BEHIND : 0;

        if (bench != NULL && i == batches / 11) {
            rt_bench_start(bench);
        }
        for (size_t j = 0; j < BATCH_MAX && i < batches; j++) {
            out[j] = sent++;
        }
        if (i < batches) {
            SIDE(lane_put)(lane, out, count, words);
        } else {
            SIDE(lane_close_sender)(lane);
        }
        while (sent - received > behind) {
            const size_t n = SIDE(lane_take)(lane, in, count, words);

            for (size_t j = 0; j < n; j++) {
                sum += in[j];
            }
            received += n;
        }
    }
    SIDE(lane_leave)(lane);
    return sum;
}

static int SIDE(trader)(void *arg)
{
    struct SIDE(exchange) *exchange = arg;

    exchange->sum = SIDE(trade)(&exchange->there, exchange->batches, exchange->words, NULL);
    return 0;
}

/* The unit: one item to the other shard, while one comes from there. */
static int SIDE(exchange_row)(void *arg)
{
    struct rt_bench *bench = arg;
    const size_t words = *(const size_t *)bench->arg;
    const uint64_t timed = bench->units * words / BATCH_MAX + 1;
    const uint64_t batches = timed + timed / 10;
    const uint64_t sent = batches * BATCH_MAX;
    struct SIDE(call) call;
    uint64_t sum;
    int result;

    SIDE(lanes_make)(&SIDE(exchanged).here, &SIDE(exchanged).there, words);
    SIDE(exchanged).batches = batches;
    SIDE(exchanged).words = words;
    SIDE(begin)(&call, SIDE(trader), &SIDE(exchanged));
    sum = SIDE(trade)(&SIDE(exchanged).here, batches, words, bench);
    SIDE(end)(&call, &result);
    rt_bench_stop(bench, (batches - batches / 11) * BATCH_MAX / words);
    SIDE(lanes_free)(&SIDE(exchanged).here);
    return sum == sent * (sent - 1) / 2 && SIDE(exchanged).sum == sum ? 0 : -EBADMSG;
}

/* The unit: from before a call until its function runs, on a shard that has slept for 200 us. The
 * caller does not sleep meanwhile: it is the wake that is measured, not its own. */
static int SIDE(wake_row)(void *arg)
{
    struct rt_bench *bench = arg;
    const uint64_t wakes = bench->units < WAKES_MAX ? bench->units : WAKES_MAX;
    static double late[WAKES_MAX];
    int64_t arrived;
    int result;

    rt_bench_start(bench);
    for (uint64_t i = 0; i < wakes; i++) {
        int64_t sent;
        int64_t until = limit_now() + ASLEEP_NS;

        while ((sent = limit_now()) < until) {
            continue; /* no yield: the shard is to stay as it is */
        }
        SIDE(go)(note_arrival, &arrived, &result);
        late[i] = (double)(arrived - sent);
        if (bench->recording != 0) {
            rt_bench_record(bench, (uint64_t)(arrived - sent));
        }
    }
    rt_bench_stop(bench, wakes);
    rt_bench_result(bench, bench_median(late, wakes));
    return 0;
}
