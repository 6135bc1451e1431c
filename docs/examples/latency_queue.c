/* SPDX-License-Identifier: MIT */
/*
 * latency_queue [WAKES]: a task that must be quick, beside tasks that compute.
 *
 * A ticker sleeps for 2 to 4 ms, works for some tens of microseconds, and sleeps again,
 * so many times (100). Beside it, four batch tasks compute without end. The program says
 * how late the ticker came after its sleeps, and how fast the batch was:
 *
 *     one queue     all stand in line, and each batch task runs for 5 ms at a time
 *     own queue     the ticker's queue has a latency goal of 1 ms; batch tasks ask
 *                   between two steps whether they are to yield
 *
 * The batch loses little by that: what the ticker uses, and the switches.
 */
#include <errno.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_TASKS  4
#define TICKER_STEPS 5 /* of work after a sleep */
#define WAKES        100
#define WAKES_MAX    10000

struct scene {
    bool own_queue;
    bool stop; /* the batch is to end */
    struct rt_taskq *latency;
    struct rt_taskq *batch;
    uint64_t steps; /* of the batch */
    uint32_t wakes;
    rt_time late[WAKES_MAX]; /* of each wake */
};

/* Some 10 us of arithmetic. */
static void compute(void)
{
    static volatile uint32_t result;
    uint32_t x = result;

    for (int i = 0; i < 8000; i++) {
        x = x * 1664525u + 1013904223u;
    }
    result = x;
}

static int compute_until_stopped(void *arg)
{
    struct scene *scene = arg;
    rt_time since = rt_now();

    while (!scene->stop) {
        compute();
        scene->steps++;
        if (scene->own_queue) {
            rt_yield_if_due();
        } else if (rt_now() - since >= RT_MILLISECONDS(5)) {
            rt_yield();
            since = rt_now();
        }
    }
    return 0;
}

static int tick(void *arg)
{
    struct scene *scene = arg;

    for (uint32_t i = 0; i < scene->wakes; i++) {
        const rt_time moment = rt_in(RT_MICROSECONDS(2000 + i * 617 % 2000));
        const int r = rt_sleep_until(moment);

        if (r < 0) {
            return r;
        }
        scene->late[i] = rt_now() - moment;
        for (int step = 0; step < TICKER_STEPS; step++) {
            compute();
        }
    }
    return 0;
}

static int compare_times(const void *a, const void *b)
{
    const rt_time left = *(const rt_time *)a;
    const rt_time right = *(const rt_time *)b;

    return (left > right) - (left < right);
}

/* Of the sorted times, in us, the one that so many percent do not exceed. */
static double late_us(const struct scene *scene, uint32_t percent)
{
    const uint32_t place = (scene->wakes - 1) * percent / 100;

    return (double)scene->late[place] / 1000;
}

static double percent_of(const struct rt_taskq *queue, rt_time elapsed)
{
    struct rt_taskq_stats stats;

    rt_taskq_stats(queue, &stats, sizeof(stats));
    return 100.0 * (double)stats.run / (double)elapsed;
}

static void report(struct scene *scene, rt_time elapsed)
{
    qsort(scene->late, scene->wakes, sizeof(scene->late[0]), compare_times);
    printf("%s queue: late by %.1f us in the middle, %.1f us at 99 %%, %.1f us at most; "
           "batch %" PRIu64 " steps/s\n",
           scene->own_queue ? "own" : "one", late_us(scene, 50), late_us(scene, 99),
           late_us(scene, 100), (uint64_t)((double)scene->steps * RT_SECONDS(1) / (double)elapsed));
    if (scene->own_queue) {
        printf("own queue: the ticker had %.1f %% of the time, the batch %.1f %%\n",
               percent_of(scene->latency, elapsed), percent_of(scene->batch, elapsed));
    }
}

/* The ticker to its end, with the batch beside it. In NULL queues: all in the caller's. */
static int play(struct scene *scene)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_group batch = RT_GROUP_INIT;
    const rt_time begin = rt_now();
    struct rt_task *ticker;
    int result = 0;
    int r = 0;

    options.queue = scene->batch;
    for (int i = 0; r == 0 && i < BATCH_TASKS; i++) {
        r = rt_group_spawn_with(&batch, compute_until_stopped, scene, &options, 0);
    }
    options.queue = scene->latency;
    if (r == 0) {
        r = rt_spawn_with(&ticker, tick, scene, &options);
    }
    if (r == 0) {
        r = rt_join(ticker, &result, RT_NEVER); /* nobody cancels */
    }
    scene->stop = true;
    if (r == 0 && result == 0) {
        report(scene, rt_now() - begin);
    }
    (void)rt_group_leave(&batch, RT_NEVER);
    return r < 0 ? r : result;
}

static int play_in_one_queue(void *arg)
{
    return play(arg);
}

static int play_in_own_queues(void *arg)
{
    struct rt_taskq_options options = RT_TASKQ_OPTIONS_INIT;
    struct scene *scene = arg;
    int r;

    scene->own_queue = true;
    options.name = "batch";
    r = rt_taskq_create(&scene->batch, &options);
    if (r < 0) {
        return r;
    }
    options.name = "latency";
    options.latency = RT_MILLISECONDS(1);
    r = rt_taskq_create(&scene->latency, &options);
    if (r < 0) {
        return r; /* the other queue goes with the runtime */
    }
    return play(scene);
}

/* In a runtime of its own, so that no queue is left from another one. */
static int run(rt_task_fn first, uint32_t wakes)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    int r = -ENOMEM;

    if (scene != NULL) {
        scene->wakes = wakes;
        r = rt_run(NULL, first, scene);
    }
    free(scene);
    return r;
}

int main(int argc, char *argv[])
{
    char *end = "";
    const long wakes = argc > 1 ? strtol(argv[1], &end, 10) : WAKES;
    int r;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: latency_queue [WAKES]\n\n"
               "A task that sleeps and is woken so many times (%d) beside tasks that compute.\n",
               WAKES);
        return 0;
    }
    if (argc > 2 || *end != '\0' || wakes < 1 || wakes > WAKES_MAX) {
        fprintf(stderr, "usage: latency_queue [WAKES, 1..%d]\n", WAKES_MAX);
        return 2;
    }
    r = run(play_in_one_queue, (uint32_t)wakes);
    if (r == 0) {
        r = run(play_in_own_queues, (uint32_t)wakes);
    }
    if (r < 0) {
        fprintf(stderr, "latency_queue: %s\n", rt_strerror(r));
    }
    return r < 0;
}
