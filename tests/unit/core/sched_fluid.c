/* SPDX-License-Identifier: MIT */
/* Fluid: see sched_fluid.h. Time goes in steps; in each the same queues have work. */
#include "sched_fluid.h"

/* Work that is left by rounding only. */
#define NOTHING 1e-3

struct rates {
    double root;                         /* shares of those that have work and no parent */
    double of_parent[FLUID_PARENTS_MAX]; /* of each one's children that have work */
};

static struct rates rates_of(const struct fluid *fluid)
{
    struct rates rates = { 0 };

    for (uint32_t i = 0; i < fluid->queue_count; i++) {
        const struct fluid_queue *queue = &fluid->queues[i];

        if (queue->work > 0 && queue->parent >= 0) {
            rates.of_parent[queue->parent] += queue->shares;
        } else if (queue->work > 0) {
            rates.root += queue->shares;
        }
    }
    for (uint32_t p = 0; p < fluid->parent_count; p++) {
        rates.root += rates.of_parent[p] > 0 ? fluid->parent_shares[p] : 0;
    }
    return rates;
}

/* The part of the core that a queue with work has. */
static double rate_of(const struct fluid *fluid, const struct rates *rates,
                      const struct fluid_queue *queue)
{
    if (queue->parent < 0) {
        return queue->shares / rates->root;
    }
    return queue->shares / rates->of_parent[queue->parent] *
           (fluid->parent_shares[queue->parent] / rates->root);
}

void fluid_advance(struct fluid *fluid, double ticks)
{
    const double end = fluid->now + ticks;

    fluid->now = end;
    while (ticks > 0) {
        const struct rates rates = rates_of(fluid);
        double step = ticks;

        if (rates.root <= 0) {
            return; /* idle */
        }
        for (uint32_t i = 0; i < fluid->queue_count; i++) { /* until the first has no work left */
            const struct fluid_queue *queue = &fluid->queues[i];

            if (queue->work > 0) {
                const double ends = queue->work / rate_of(fluid, &rates, queue);

                step = ends < step ? ends : step;
            }
        }
        for (uint32_t i = 0; i < fluid->queue_count; i++) {
            struct fluid_queue *queue = &fluid->queues[i];

            if (queue->work > 0) {
                const double part = step * rate_of(fluid, &rates, queue);

                queue->served += part;
                queue->work = queue->work - part > NOTHING ? queue->work - part : 0;
                queue->done = end - ticks + step;
            }
        }
        ticks -= step;
    }
}
