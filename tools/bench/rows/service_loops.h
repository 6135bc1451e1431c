/* SPDX-License-Identifier: MIT */
/*
 * The loop of the rows of service.c, compiled over the limit and over the runtime: SIDE(name)
 * puts limit_ or rt_ before a name. There must be a type SIDE(service_record), SIDE(ask) and
 * SIDE(answer). No include guard: it is meant to be included twice.
 *
 * The unit: one call, with `window` in flight, of which as many as one flush has are ended, the
 * oldest, and begun anew. The first tenth is not timed.
 */
static int SIDE(service_row)(void *arg)
{
    struct rt_bench *bench = arg;
    static struct SIDE(service_record) calls[WINDOW_MAX];
    const uint64_t window = *(const uint64_t *)bench->arg;
    const uint64_t group = window < GROUP ? window : GROUP;
    const uint64_t groups = bench->units / group + 1;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < groups + groups / 10 + window / group; i++) {
        struct SIDE(service_record) *oldest = &calls[i % (window / group) * group];

        if (i == groups / 10 + window / group) {
            rt_bench_start(bench);
        }
        for (uint64_t j = 0; j < group && i >= window / group; j++) {
            wrong += SIDE(answer)(&oldest[j]) != (int)j + 1;
        }
        for (uint64_t j = 0; j < group && i < groups + groups / 10; j++) {
            SIDE(ask)(&oldest[j], (void *)(uintptr_t)j);
        }
    }
    rt_bench_stop(bench, groups * group);
    return wrong == 0 ? 0 : -EBADMSG;
}
