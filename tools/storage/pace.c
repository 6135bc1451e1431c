/* SPDX-License-Identifier: MIT */
/* Doors before and behind each operation. */
#include "pace.h"

void pace_init(struct pace *pace, const struct job *job)
{
    *pace = (struct pace){
        .start_max = job->batch_submit < job->batch_complete_max ? job->batch_submit
                                                                 : job->batch_complete_max,
        .complete_min = job->batch_complete_min,
        .depth = job->depth,
        .next_turn = RT_EVENT_INIT,
        .taken = RT_EVENT_INIT,
    };
}

static bool is_full(struct pace *pace)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    if (stats.turns != pace->turn) {
        pace->turn = stats.turns;
        pace->started = 0;
    }
    return pace->started == pace->start_max;
}

/* What a ring is asked for is submitted at the end of a turn, and seen complete in a later one. One
 * task asks, and the others wait for it. */
static int wait_for_turn(struct pace *pace)
{
    int r;

    if (pace->turning) {
        return rt_event_wait(&pace->next_turn, RT_NEVER);
    }
    pace->turning = true;
    rt_event_reset(&pace->next_turn);
    r = rt_nop(RT_NEVER);
    pace->turning = false;
    rt_event_set(&pace->next_turn);
    return r;
}

int pace_start(struct pace *pace)
{
    bool waited = false;

    if (pace->start_max == pace->depth) {
        return 0; /* never full */
    }
    while (is_full(pace)) {
        const int r = wait_for_turn(pace);

        if (r < 0) {
            return r;
        }
        waited = true;
    }
    pace->started++;
    return waited;
}

int pace_end(struct pace *pace, uint32_t in_flight)
{
    pace->gathered++;
    if (pace->gathered >= pace->complete_min || in_flight == 0) {
        pace->gathered = 0;
        rt_event_set(&pace->taken);
        return 0;
    }
    rt_event_reset(&pace->taken); /* of the batch before */
    return rt_event_wait(&pace->taken, RT_NEVER);
}
