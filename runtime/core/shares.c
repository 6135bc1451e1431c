/* SPDX-License-Identifier: MIT */
/*
 * Shares: the controllers of rt/shares.h.
 *
 * By deadline. What is controlled is the pace, in units per nanosecond. The pace that
 * is needed is what is left divided by the time that is left, so whatever was
 * missed so far is in it. The error is
 *
 *     e = (needed - pace) / (needed + pace)
 *
 * which has no unit, is within -1..1 whatever the work is, and is half the logarithm
 * of needed / pace when that is near 1. The shares are corrected by a factor, which
 * is a PI controller of their logarithm, in the form that adds to what it gave last:
 *
 *     log shares += P * (e - e before) + I * e
 *
 * Its only memory of the past is the shares, one error and the pace. Shares that are
 * cut to their limits are cut in that memory too, so nothing winds up.
 *
 * The constants are derived. Let the queue have a part f of the core. If its shares
 * rise by 1 %, its pace rises by g % with g = 1 - f: between 0 and 1, whoever else is
 * there. The pace is smoothed, half of it new at each look: a lag with its pole
 * at 1/2. P = I puts the zero of the controller there, which takes the lag back. What
 * remains is one pole, at 1 - I * g / 2. With I = 1 that is within 1/2..1: no
 * overshoot at any load. If the shares took effect one look later, there would be two
 * poles, at most 0.71 from 0 where they swing.
 *
 * (Glommio's DeadlineQueue controls the progress itself. Its error compares what is
 * done with what is expected, and has no lower limit, so early work sets the shares
 * to 1; it adds to shares what is right for 1..1000 of them; and a look after a
 * long sleep counts as any other.)
 */
#include "rt/shares.h"

#include <errno.h>

#include "base/assert.h"
#include "base/sized.h"
#include "rt/taskq.h"

#define P 1.0
#define I 1.0
#define NEW_PART 0.5 /* of the pace at each look */

/* The scheduler looks this often, if it finds the queue runnable. */
#define LOOK ((double)RT_MILLISECONDS(250))

/* A look that is sooner says too little and one that is later says that the queue slept. */
#define LOOK_MIN (LOOK / 2)
#define LOOK_MAX (LOOK * 4)

/* The work is to end when this part of its time is left: an estimate may be wrong by as much, and
 * corrections need time. */
#define RESERVE_SHIFT 4

/* With 10 shares against three queues of 1000, a slice of 0.5 ms comes each 150 ms: each look sees
 * some work done. */
#define SHARES_MIN_DEFAULT 10u

static double bring_within(double value, double least, double most)
{
    if (value < least) {
        return least;
    }
    return value < most ? value : most;
}

int rt_deadline_controller_init(struct rt_deadline_controller *controller,
                                const struct rt_deadline_options *options)
{
    struct rt_deadline_options own;
    double start;
    int r = rti_sized_copy(&own, sizeof(own), options);

    if (r < 0) {
        return r;
    }
    own.shares_min = own.shares_min == 0 ? SHARES_MIN_DEFAULT : own.shares_min;
    own.shares_max = own.shares_max == 0 ? RT_SHARES_MAX : own.shares_max;
    start = bring_within(RT_SHARES_DEFAULT, own.shares_min, own.shares_max);
    start = own.shares_start == 0 ? start : own.shares_start;
    if (own.shares_max > RT_SHARES_MAX || start < own.shares_min || start > own.shares_max) {
        return -EINVAL;
    }
    *controller = (struct rt_deadline_controller){
        .shares_min = own.shares_min,
        .shares_max = own.shares_max,
        .shares = start,
        .pace = -1, /* not known yet */
    };
    return 0;
}

/* Work */

static double between(rt_time from, rt_time to) /* any two: the difference may not fit rt_time */
{
    return (double)to - (double)from;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

/* What points to the work, or the end of the list. */
static struct rt_deadline_work **place_of(struct rt_deadline_controller *controller,
                                          const struct rt_deadline_work *work)
{
    struct rt_deadline_work **link = &controller->first;

    while (*link != NULL && *link != work) {
        link = &(*link)->next;
    }
    return link;
}

void rt_deadline_work_begin(struct rt_deadline_controller *controller,
                            struct rt_deadline_work *work, uint64_t units, rt_time deadline,
                            rt_time now)
{
    struct rt_deadline_work **link = &controller->first;
    rt_time goal = deadline;

    if (*place_of(controller, work) != NULL) {
        rti_misuse("rt_deadline_work_begin(): the work is under way already");
    }
    if (deadline > now) {
        goal -= (rt_time)(((uint64_t)deadline - (uint64_t)now) >> RESERVE_SHIFT);
    }
    if (controller->first == NULL) {
        controller->since = now;
    }
    while (*link != NULL && (*link)->goal <= goal) {
        link = &(*link)->next;
    }
    *work = (struct rt_deadline_work){ *link, controller, units, deadline, goal };
    *link = work;
}

void rt_deadline_work_grow(struct rt_deadline_work *work, uint64_t units)
{
    work->left = add(work->left, units);
}

void rt_deadline_work_done(struct rt_deadline_work *work, uint64_t units)
{
    work->left -= units < work->left ? units : work->left;
    work->controller->done += (double)units;
}

void rt_deadline_work_end(struct rt_deadline_work *work, rt_time now)
{
    struct rt_deadline_controller *controller = work->controller;
    struct rt_deadline_work **link = place_of(controller, work);

    if (*link == NULL) {
        rti_misuse("rt_deadline_work_end(): the work is not under way");
    }
    *link = work->next;
    if (controller->first == NULL) { /* the time until more begins does not count */
        controller->busy += between(controller->since, now);
    }
}

/* The controller */

/* Take the pace since the last look. False when this look says nothing about it. */
static bool look(struct rt_deadline_controller *controller, rt_time now)
{
    const double passed = between(controller->since, now);
    const double time = controller->busy + passed;
    const bool slept = passed > LOOK_MAX;

    if (!slept && time < LOOK_MIN) {
        return false; /* let it become longer */
    }
    if (!slept) {
        const double pace = controller->done / time;

        controller->pace = controller->pace < 0 ? pace : controller->pace;
        controller->pace += (pace - controller->pace) * NEW_PART;
    }
    controller->since = now;
    controller->busy = 0;
    controller->done = 0;
    return !slept;
}

/* The pace at which all work is done when it should; below 0 when some is late. */
static double needed(const struct rt_deadline_controller *controller, rt_time now)
{
    double most = 0;
    double left = 0;

    for (const struct rt_deadline_work *work = controller->first; work != NULL; work = work->next) {
        const double time = between(now, work->goal);
        double pace;

        if (work->deadline <= now) {
            return -1;
        }
        left += (double)work->left; /* of this and what goes before it */
        pace = left / (time > LOOK ? time : LOOK);
        most = pace > most ? pace : most;
    }
    return most;
}

static void correct(struct rt_deadline_controller *controller, double error)
{
    const double change = P * (error - controller->error) + I * error;
    const double factor = change >= 0 ? 1 + change : 1 / (1 - change); /* e^change, roughly */

    controller->error = error;
    controller->shares = bring_within(controller->shares * factor, controller->shares_min,
                                      controller->shares_max);
}

uint32_t rt_deadline_shares(void *arg, rt_time now)
{
    struct rt_deadline_controller *controller = arg;
    const bool seen = controller->first != NULL && look(controller, now);
    const double pace = needed(controller, now);

    if (pace < 0) {
        controller->shares = controller->shares_max;
    } else if (seen && pace > 0) { /* with nothing left to do it goes on as it did */
        correct(controller, (pace - controller->pace) / (pace + controller->pace));
    }
    return (uint32_t)(controller->shares + 0.5);
}

/* By backlog */

int rt_backlog_controller_init(struct rt_backlog_controller *controller,
                               const struct rt_backlog_point *points, uint32_t count)
{
    if (count < 1 || count > RT_BACKLOG_POINTS_MAX) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (points[i].shares < RT_SHARES_MIN || points[i].shares > RT_SHARES_MAX ||
            (i > 0 && (points[i].backlog <= points[i - 1].backlog ||
                       points[i].shares < points[i - 1].shares))) {
            return -EINVAL;
        }
    }
    *controller = (struct rt_backlog_controller){ .count = count };
    for (uint32_t i = 0; i < count; i++) {
        controller->points[i] = points[i];
    }
    return 0;
}

void rt_backlog_controller_set(struct rt_backlog_controller *controller, uint64_t backlog)
{
    controller->backlog = backlog;
}

__extension__ typedef unsigned __int128 wide;

uint32_t rt_backlog_shares(void *arg, rt_time now)
{
    const struct rt_backlog_controller *controller = arg;
    const uint64_t backlog = controller->backlog;
    const struct rt_backlog_point *to = &controller->points[0];
    const struct rt_backlog_point *from = to;

    (void)now;
    for (uint32_t i = 1; i < controller->count && to->backlog < backlog; i++) {
        from = to;
        to = &controller->points[i];
    }
    if (backlog >= to->backlog || to == from) { /* after the last point, or before the first */
        return to->shares;
    }
    return from->shares + (uint32_t)((wide)(to->shares - from->shares) * (backlog - from->backlog) /
                                     (to->backlog - from->backlog));
}
