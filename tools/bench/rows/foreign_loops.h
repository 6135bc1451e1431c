/* SPDX-License-Identifier: MIT */
/* The loop of the rows of foreign.c, for SIDE(): so many in flight, then all are waited for. */

static int SIDE(hand_over)(struct rt_bench *bench)
{
    struct SIDE(submission) submissions[IN_FLIGHT];
    const uint64_t batch = *(const unsigned *)bench->arg;
    const uint64_t batches = (bench->units + batch - 1) / batch;
    const uint64_t untimed = batches / 10 + 1;
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < untimed + batches; i++) {
        if (i == untimed) {
            rt_bench_start(bench);
        }
        for (uint64_t k = 0; k < batch; k++) {
            SIDE(hand)(&submissions[k], (void *)(uintptr_t)k);
        }
        for (uint64_t k = 0; k < batch; k++) {
            wrong += SIDE(get)(&submissions[k]) != (int)k + 1;
        }
    }
    rt_bench_stop(bench, batches * batch);
    return wrong == 0 ? 0 : -EBADMSG;
}
