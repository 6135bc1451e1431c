/* SPDX-License-Identifier: MIT */
/* Case: see disk_case.h. */
#include "disk_case.h"

#include <inttypes.h>
#include <string.h>

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

static struct case_queue draw_queue(struct rand_state *rand, unsigned limited, uint32_t parents)
{
    struct case_queue queue = { .shares = draw_log(rand, SHARES_MAX), .parent = -1 };

    if (rand_chance(rand, limited)) {
        queue.bytes_limit = draw_log(rand, 2000000000u);
    }
    if (rand_chance(rand, limited)) {
        queue.requests_limit = draw_log(rand, 1000000u);
    }
    if (parents > 0 && rand_chance(rand, 600)) {
        queue.parent = (int)rand_below(rand, parents);
    }
    return queue;
}

static struct case_step draw_step(struct rand_state *rand, uint32_t queues, unsigned changes)
{
    struct case_step step = { .queue = (uint32_t)rand_below(rand, queues) };

    step.run = rand_chance(rand, 200) ? 0 : draw_log(rand, 3000000);
    if (rand_chance(rand, 5)) {
        step.run = 1200000000u; /* long enough that who was there is forgotten */
    }
    step.count = 1 + (uint32_t)rand_below(rand, CASE_COUNT_MAX);
    if (rand_chance(rand, changes)) {
        step.shares = draw_log(rand, SHARES_MAX);
    } else if (rand_chance(rand, changes)) {
        step.cancel = true;
    } else {
        step.bytes = draw_log(rand, 2097152);
        step.write = rand_chance(rand, 400);
    }
    return step;
}

void case_draw(struct disk_case *the_case, uint64_t seed)
{
    static const unsigned per_mille[] = { 0, 0, 300, 1000 };
    struct rand_state rand;
    unsigned limited;
    unsigned changes;

    rand_init(&rand, seed);
    *the_case = (struct disk_case){ .learns = rand_chance(&rand, 500) };
    limited = per_mille[rand_below(&rand, 4)] / 2;
    changes = per_mille[rand_below(&rand, 3)] / 2;
    the_case->capacity = draw_log(&rand, 5000000);
    the_case->servers = 1 + (uint32_t)rand_below(&rand, 16);
    the_case->request_ns = draw_log(&rand, 10000000);
    the_case->queues = 1 + (uint32_t)rand_below(&rand, CASE_QUEUES_MAX);
    the_case->parents = rand_chance(&rand, 600) ? 0
                                                : 1 + (uint32_t)rand_below(&rand, CASE_PARENTS_MAX);
    for (uint32_t i = 0; i < the_case->parents; i++) {
        the_case->parent[i] = draw_queue(&rand, limited / 2, 0);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        the_case->queue[i] = draw_queue(&rand, limited, the_case->parents);
    }
    the_case->steps = 1 + (uint32_t)rand_below(&rand, CASE_STEPS_MAX);
    for (uint32_t i = 0; i < the_case->steps; i++) {
        the_case->step[i] = draw_step(&rand, the_case->queues, changes);
    }
}

/* Text */

static void print_queue(const char *what, const struct case_queue *queue, FILE *to)
{
    fprintf(to, "%s: shares %" PRIu32 ", %" PRIu32 " B/s, %" PRIu32 " requests/s, parent %d\n",
            what, queue->shares, queue->bytes_limit, queue->requests_limit, queue->parent);
}

void case_print(const struct disk_case *the_case, FILE *to)
{
    fprintf(to, "capacity %" PRIu64 ", %s, %" PRIu32 " servers, %" PRIu32 " ns\n",
            the_case->capacity, the_case->learns ? "learned" : "fixed", the_case->servers,
            the_case->request_ns);
    for (uint32_t i = 0; i < the_case->parents; i++) {
        print_queue("parent", &the_case->parent[i], to);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        print_queue("queue", &the_case->queue[i], to);
    }
    for (uint32_t i = 0; i < the_case->steps; i++) {
        const struct case_step *step = &the_case->step[i];

        if (step->shares != 0) {
            fprintf(to, "queue %" PRIu32 " has %" PRIu32 " shares", step->queue, step->shares);
        } else if (step->cancel) {
            fprintf(to, "queue %" PRIu32 " takes back %" PRIu32, step->queue, step->count);
        } else {
            fprintf(to, "queue %" PRIu32 " %s %" PRIu32 " times %" PRIu32 " bytes", step->queue,
                    step->write ? "writes" : "reads", step->count, step->bytes);
        }
        fprintf(to, "; then %" PRIu64 " ns pass\n", step->run);
    }
}

/* Shrinking */

static void drop_steps(struct disk_case *the_case, uint32_t first, uint32_t count)
{
    count = count < the_case->steps - first ? count : the_case->steps - first;
    the_case->steps -= count;
    memmove(&the_case->step[first], &the_case->step[first + count],
            (the_case->steps - first) * sizeof(the_case->step[0]));
}

/* Make one number of a step or a queue less; which, says `what`. */
static void simplify_step(struct case_step *step, uint32_t what)
{
    step->run = what == 0 ? step->run / 2 : step->run;
    step->count = what == 1 ? (step->count + 1) / 2 : step->count;
    step->bytes = what == 2 ? (step->bytes + 1) / 2 : step->bytes;
    step->write = what != 3 && step->write;
}

static void simplify_queue(struct case_queue *queue, uint32_t what)
{
    queue->parent = what == 0 ? -1 : queue->parent;
    queue->bytes_limit = what == 1 ? 0 : queue->bytes_limit;
    queue->requests_limit = what == 2 ? 0 : queue->requests_limit;
    queue->shares = what == 3 ? (queue->shares + 1) / 2 : queue->shares;
}

/* One of the ways to make the case smaller, by its number; false: there are no more. */
static bool simplify(struct disk_case *the_case, uint32_t way)
{
    const uint32_t sizes[] = { 16, 4, 1 };

    for (unsigned s = 0; s < 3; s++) {
        const uint32_t chunks = (the_case->steps + sizes[s] - 1) / sizes[s];

        if (way < chunks) {
            drop_steps(the_case, way * sizes[s], sizes[s]);
            return true;
        }
        way -= chunks;
    }
    if (way < the_case->queues * 4) {
        simplify_queue(&the_case->queue[way / 4], way % 4);
        return true;
    }
    way -= the_case->queues * 4;
    if (way < the_case->parents * 4) {
        simplify_queue(&the_case->parent[way / 4], way % 4);
        return true;
    }
    way -= the_case->parents * 4;
    if (way < the_case->steps * 4) {
        simplify_step(&the_case->step[way / 4], way % 4);
        return true;
    }
    return false;
}

static uint64_t size_of_queue(const struct case_queue *queue)
{
    return queue->shares + (queue->parent >= 0 ? 1u : 0u) + (queue->bytes_limit != 0 ? 1u : 0u) +
           (queue->requests_limit != 0 ? 1u : 0u);
}

/* What a shrink makes smaller. */
static uint64_t size_of(const struct disk_case *the_case)
{
    uint64_t size = the_case->steps;

    for (uint32_t i = 0; i < the_case->queues; i++) {
        size += size_of_queue(&the_case->queue[i]);
    }
    for (uint32_t i = 0; i < the_case->parents; i++) {
        size += size_of_queue(&the_case->parent[i]);
    }
    for (uint32_t i = 0; i < the_case->steps; i++) {
        const struct case_step *step = &the_case->step[i];

        size += step->run + step->count + step->bytes + (step->write ? 1u : 0u);
    }
    return size;
}

void case_shrink(struct disk_case *the_case, case_run_fn run)
{
    unsigned tries = 0;
    bool again = true;

    while (again) {
        struct disk_case smaller = *the_case;

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
