/* SPDX-License-Identifier: MIT */
/*
 * Case: queues of a device and what comes to them, to be drawn by chance, printed, and made
 * smaller while it still fails.
 */
#ifndef RT_TEST_DISK_CASE_H
#define RT_TEST_DISK_CASE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "support/rand.h"

#define CASE_QUEUES_MAX  8u
#define CASE_PARENTS_MAX 2u
#define CASE_STEPS_MAX   40u
#define CASE_COUNT_MAX   12u

struct case_queue {
    uint32_t shares;
    uint32_t bytes_limit;    /* a second; 0 = none */
    uint32_t requests_limit; /* a second; 0 = none */
    int parent;              /* below 0: none */
};

/* Requests come, shares change or the youngest that wait are taken back; then time passes. */
struct case_step {
    uint64_t run; /* ns */
    uint32_t queue;
    uint32_t count; /* of requests, or of those taken back */
    uint32_t bytes;
    uint32_t shares; /* 0 = they stay */
    bool write;
    bool cancel;
};

struct disk_case {
    uint64_t capacity;
    uint32_t queues;
    uint32_t parents;
    uint32_t steps;
    uint32_t servers;    /* requests that the device serves at a time */
    uint32_t request_ns; /* that each takes at least */
    bool learns;         /* no model, and the capacity changes */
    struct case_queue queue[CASE_QUEUES_MAX];
    struct case_queue parent[CASE_PARENTS_MAX];
    struct case_step step[CASE_STEPS_MAX];
};

/* What is wrong with a run of the case, or NULL. */
typedef const char *(*case_run_fn)(const struct disk_case *the_case);

void case_draw(struct disk_case *the_case, uint64_t seed);
void case_print(const struct disk_case *the_case, FILE *to);
void case_shrink(struct disk_case *the_case, case_run_fn run);

#endif /* RT_TEST_DISK_CASE_H */
