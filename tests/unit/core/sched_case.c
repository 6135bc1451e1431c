/* SPDX-License-Identifier: MIT */
/* Case: see sched_case.h. */
#include "sched_case.h"

#include <inttypes.h>
#include <string.h>

#define SLICE       500000u /* 0.5 ms, if a tick is a ns */
#define SHARES_MAX  10000u
#define SHRINKS_MAX 20000u

/* Drawing */

/* 1..limit, of each order of magnitude as often. */
static uint32_t draw_log(struct rand_state *rand, uint32_t limit)
{
    uint32_t bits = 1;

    while (limit >> bits > 0) {
        bits++;
    }
    limit >>= rand_below(rand, bits);
    return 1 + (uint32_t)rand_below(rand, limit);
}

static uint32_t draw_shares(struct rand_state *rand)
{
    return draw_log(rand, SHARES_MAX);
}

/* What all queues of a case have in common. */
struct habits {
    unsigned goals; /* per mille, of queues that have one */
    unsigned busy;
    unsigned rude;
    unsigned children;
    bool focus; /* a quick queue sleeps and wakes all the time, the others are busy */
};

static struct case_queue draw_queue(struct rand_state *rand, const struct sched_case *the_case,
                                    const struct habits *habits)
{
    struct case_queue queue = { .shares = draw_shares(rand), .parent = -1, .hold = SLICE };

    queue.busy = rand_chance(rand, habits->busy);
    if (rand_chance(rand, habits->goals)) {
        queue.goal = (uint32_t)rand_range(rand, SLICE / 20, SLICE * 4);
    }
    if (the_case->parents > 0 && rand_chance(rand, habits->children)) {
        queue.parent = (int)rand_below(rand, the_case->parents);
    }
    if (rand_chance(rand, habits->rude)) {
        queue.hold = (uint32_t)rand_range(rand, SLICE, SLICE * 20);
    } else if (rand_chance(rand, 300)) {
        queue.hold = (uint32_t)rand_range(rand, SLICE / 50, SLICE);
    }
    return queue;
}

static struct case_step draw_step(struct rand_state *rand, uint32_t queues, unsigned changes,
                                  bool focus)
{
    struct case_step step = { .queue = focus ? 0 : (uint32_t)rand_below(rand, queues) };

    if (rand_chance(rand, changes)) {
        step.shares = draw_shares(rand);
    } else {
        step.work = focus ? (uint32_t)rand_range(rand, 1, SLICE) : draw_log(rand, SLICE * 8);
    }
    step.run = focus ? (uint32_t)rand_range(rand, 1, SLICE * 3) : draw_log(rand, SLICE * 8);
    return step;
}

void case_draw(struct sched_case *the_case, uint64_t seed)
{
    static const unsigned per_mille[] = { 0, 0, 300, 1000 };
    const uint32_t few = 6;
    struct habits habits;
    struct rand_state rand;
    unsigned changes;

    rand_init(&rand, seed);
    *the_case = (struct sched_case){ .slice = SLICE };
    habits.goals = per_mille[rand_below(&rand, 3)];
    habits.busy = per_mille[rand_below(&rand, 4)];
    habits.rude = per_mille[rand_below(&rand, 3)] / 2;
    habits.children = 600;
    habits.focus = rand_chance(&rand, 300);
    changes = per_mille[rand_below(&rand, 3)] / 2;
    the_case->queues = (uint32_t)rand_range(&rand, 1, rand_chance(&rand, 850) ? few : 40);
    the_case->parents = rand_chance(&rand, 700) ? 0 : (uint32_t)rand_range(&rand, 1, 3);
    for (uint32_t p = 0; p < the_case->parents; p++) {
        the_case->parent_shares[p] = draw_shares(&rand);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        the_case->queue[i] = draw_queue(&rand, the_case, &habits);
        if (habits.focus) {
            the_case->queue[i].busy = i > 0;
            the_case->queue[i].goal = i > 0 ? 0 : SLICE;
        }
    }
    the_case->steps = (uint32_t)rand_range(&rand, 1, CASE_STEPS_MAX);
    for (uint32_t i = 0; i < the_case->steps; i++) {
        the_case->step[i] = draw_step(&rand, the_case->queues, changes, habits.focus);
    }
}

/* Text */

void case_print(const struct sched_case *the_case, FILE *to)
{
    fprintf(to, "slice %" PRIu32 "\n", the_case->slice);
    for (uint32_t p = 0; p < the_case->parents; p++) {
        fprintf(to, "parent %" PRIu32 "\n", the_case->parent_shares[p]);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        const struct case_queue *queue = &the_case->queue[i];

        fprintf(to, "queue %" PRIu32 " %" PRIu32 " %d %" PRIu32 " %d\n", queue->shares, queue->goal,
                queue->parent, queue->hold, queue->busy);
    }
    for (uint32_t i = 0; i < the_case->steps; i++) {
        const struct case_step *step = &the_case->step[i];

        fprintf(to, "step %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 "\n", step->queue,
                step->work, step->shares, step->run);
    }
}

static bool read_line(struct sched_case *the_case, const char *line)
{
    struct case_queue queue;
    struct case_step step;
    int busy;

    if (sscanf(line, "slice %" SCNu32, &the_case->slice) == 1) {
        return true;
    }
    if (the_case->parents < CASE_PARENTS_MAX &&
        sscanf(line, "parent %" SCNu32, &the_case->parent_shares[the_case->parents]) == 1) {
        the_case->parents++;
        return true;
    }
    if (the_case->queues < CASE_QUEUES_MAX &&
        sscanf(line, "queue %" SCNu32 " %" SCNu32 " %d %" SCNu32 " %d", &queue.shares, &queue.goal,
               &queue.parent, &queue.hold, &busy) == 5 &&
        queue.parent < (int)the_case->parents) {
        queue.busy = busy != 0;
        the_case->queue[the_case->queues++] = queue;
        return true;
    }
    if (the_case->steps < CASE_STEPS_MAX &&
        sscanf(line, "step %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, &step.queue, &step.work,
               &step.shares, &step.run) == 4 &&
        step.queue < the_case->queues) {
        the_case->step[the_case->steps++] = step;
        return true;
    }
    return false;
}

bool case_read(struct sched_case *the_case, FILE *from)
{
    char line[128];

    *the_case = (struct sched_case){ 0 };
    while (fgets(line, sizeof(line), from) != NULL) {
        if (!read_line(the_case, line)) {
            fprintf(stderr, "not a line of a case: %s", line);
            return false;
        }
    }
    return the_case->slice > 0 && the_case->queues > 0;
}

/* Shrinking */

static void drop_steps(struct sched_case *the_case, uint32_t first, uint32_t count)
{
    count = count < the_case->steps - first ? count : the_case->steps - first;
    the_case->steps -= count;
    memmove(&the_case->step[first], &the_case->step[first + count],
            (the_case->steps - first) * sizeof(the_case->step[0]));
}

/* The queue goes; time that its steps let pass still passes. */
static void drop_queue(struct sched_case *the_case, uint32_t victim)
{
    the_case->queues--;
    memmove(&the_case->queue[victim], &the_case->queue[victim + 1],
            (the_case->queues - victim) * sizeof(the_case->queue[0]));
    for (uint32_t i = 0; i < the_case->steps; i++) {
        struct case_step *step = &the_case->step[i];

        if (step->queue == victim) {
            *step = (struct case_step){ .run = step->run };
        } else if (step->queue > victim) {
            step->queue--;
        }
    }
}

/* One of the ways to make the case smaller, by its number; false: there are no more. */
static bool simplify(struct sched_case *the_case, uint32_t way)
{
    const uint32_t sizes[] = { 16, 4, 1 };

    if (way < the_case->queues) {
        if (the_case->queues > 1) {
            drop_queue(the_case, way);
        }
        return true;
    }
    way -= the_case->queues;
    for (unsigned s = 0; s < 3; s++) {
        const uint32_t chunks = (the_case->steps + sizes[s] - 1) / sizes[s];

        if (way < chunks) {
            drop_steps(the_case, way * sizes[s], sizes[s]);
            return true;
        }
        way -= chunks;
    }
    if (way < the_case->queues * 3) {
        struct case_queue *queue = &the_case->queue[way / 3];

        queue->parent = way % 3 == 0 ? -1 : queue->parent;
        queue->goal = way % 3 == 1 ? 0 : queue->goal;
        queue->hold = way % 3 == 2 ? the_case->slice : queue->hold;
        return true;
    }
    way -= the_case->queues * 3;
    if (way < the_case->steps * 3) {
        struct case_step *step = &the_case->step[way / 3];

        step->work /= way % 3 == 0 ? 2 : 1;
        step->run /= way % 3 == 1 ? 2 : 1;
        step->shares = way % 3 == 2 ? 0 : step->shares;
        return true;
    }
    return false;
}

/* What a shrink makes smaller. */
static uint64_t size_of(const struct sched_case *the_case)
{
    uint64_t size = the_case->queues + the_case->steps;

    for (uint32_t i = 0; i < the_case->queues; i++) {
        const struct case_queue *queue = &the_case->queue[i];

        size += queue->parent >= 0 ? 1 : 0;
        size += queue->goal != 0 ? 1 : 0;
        size += queue->hold != the_case->slice ? 1 : 0;
    }
    for (uint32_t i = 0; i < the_case->steps; i++) {
        const struct case_step *step = &the_case->step[i];

        size += (step->shares != 0 ? 1u : 0u) + (uint64_t)step->work + step->run;
    }
    return size;
}

void case_shrink(struct sched_case *the_case, case_run_fn run)
{
    unsigned tries = 0;
    bool again = true;

    while (again) {
        struct sched_case smaller = *the_case;

        again = false;
        for (uint32_t way = 0; tries < SHRINKS_MAX && simplify(&smaller, way); way++) {
            tries++;
            if (size_of(&smaller) < size_of(the_case) && run(&smaller) != NULL) {
                *the_case = smaller;
                again = true;
            }
            smaller = *the_case;
        }
    }
}
