/* SPDX-License-Identifier: MIT */
/* The processors alone: how long a line takes from one to the other and back. */
#include <stdatomic.h>

#include "xcore.h"

/* A line that both write: odd numbers by side 0, the even ones after them by side 1. */
static _Atomic uint64_t bounced __attribute__((aligned(128))); /* lines are fetched in pairs */

#define LAST_BOUNCE UINT64_MAX

static int bounce(void *unused)
{
    uint64_t now;

    (void)unused;
    do {
        now = atomic_load_explicit(&bounced, memory_order_acquire); /* pairs with bare_bounces() */
        if (now % 2 == 1 && now != LAST_BOUNCE) {
            /* pairs with bare_bounces()' load */
            atomic_store_explicit(&bounced, now + 1, memory_order_release);
        }
    } while (now != LAST_BOUNCE);
    return 0;
}

uint64_t bare_bounces(uint64_t count)
{
    struct limit_call call;
    int64_t start;
    int ignored;

    (void)limit_echo(0); /* side 1 is there */
    atomic_store_explicit(&bounced, 0, memory_order_relaxed);
    limit_call_begin(&call, bounce, NULL);
    limit_flush();
    start = limit_now();
    for (uint64_t i = 0; i < count; i++) {
        atomic_store_explicit(&bounced, 2 * i + 1, memory_order_release); /* pairs with bounce() */
        while (atomic_load_explicit(&bounced, memory_order_acquire) != 2 * i + 2) {
            continue; /* pairs with bounce() */
        }
    }
    start = limit_now() - start;
    atomic_store_explicit(&bounced, LAST_BOUNCE, memory_order_relaxed);
    limit_call_end(&call, &ignored);
    return (uint64_t)start;
}
