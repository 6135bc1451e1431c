/* SPDX-License-Identifier: MIT */
/* Row timer_arm alone. */
#include "wheel.h"

#include <time.h>

#include "fiber.h"

/* The other timers lie within so many ns from now, as the deadlines of many connections do. */
#define OTHERS_SPAN INT64_C(10000000000)

/* And those of row timer_arm_1m, from a minute ahead on. */
#define OTHERS_AHEAD INT64_C(60000000000)

struct limit_wheel *limit_wheel_create(uint32_t others, int64_t now)
{
    struct limit_wheel *wheel = calloc(1, sizeof(*wheel));
    uint64_t random = 1;

    if (wheel == NULL) {
        return NULL;
    }
    wheel->others = calloc(others > 0 ? others : 1, sizeof(*wheel->others));
    if (wheel->others == NULL) {
        free(wheel);
        return NULL;
    }
    wheel->tick = (uint64_t)now >> WHEEL_TICK_BITS;
    for (uint32_t i = 0; i < others; i++) {
        /* Knuth's MMIX generator: the same deadlines every time. */
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        wheel_arm(wheel, &wheel->others[i], now + (int64_t)(random >> 33) % OTHERS_SPAN);
    }
    return wheel;
}

void limit_wheel_destroy(struct limit_wheel *wheel)
{
    free(wheel->others);
    free(wheel);
}

int limit_others_begin(uint32_t count)
{
    struct limit_wheel *wheel = &fiber_here()->wheel;
    const int64_t first = limit_in(OTHERS_AHEAD);

    wheel->others = calloc(count, sizeof(*wheel->others));
    if (wheel->others == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        wheel_arm(wheel, &wheel->others[i], first + i * (OTHERS_SPAN / count));
    }
    return 0;
}

void limit_others_end(void)
{
    struct limit_wheel *wheel = &fiber_here()->wheel;

    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            wheel->slots[level][slot] = NULL;
        }
    }
    free(wheel->others);
    wheel->others = NULL;
}

void limit_timer_arm(struct limit_wheel *wheel, struct limit_timer *timer, int64_t deadline)
{
    wheel_arm(wheel, timer, deadline);
}

void limit_timer_disarm(struct limit_wheel *wheel, struct limit_timer *timer)
{
    (void)wheel; /* a wheel that counts its timers would need it; the contract wants no count */
    wheel_disarm(timer);
}

int64_t limit_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t limit_in(int64_t ns)
{
    int64_t deadline;

    return __builtin_add_overflow(limit_now(), ns, &deadline) ? LIMIT_NEVER : deadline;
}
