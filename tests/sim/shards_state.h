/* SPDX-License-Identifier: MIT */
/*
 * A random program for many shards: what is known of a run, and what chance decides.
 *
 * shards_program.h puts the parts together.
 */
#ifndef RT_TEST_SHARDS_STATE_H
#define RT_TEST_SHARDS_STATE_H

#include "support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/executor.h"
#include "core/taskq.h"
#include "rt/rt.h"
#include "support/rand.h"
#include "support/sim.h"

#define FEW_MAX    4  /* shards of a program that do something */
#define WIDE       66 /* shards of a wide program: doorbells have two words */
#define BURST 40 /* posts in a row: more than are published, or taken, at a time */
#define DEPTH_MAX  4
#define CALLS_MAX  3 /* under way in one task */
#define PARTS_MAX  6 /* of a set of calls */
#define STEPS_MAX  120 /* of all tasks of a program together */
#define QUEUES_MAX (1 + STEPS_MAX) /* numbers of task queues that all shards share */

enum step {
    STEP_POST,
    STEP_TRY_POST,
    STEP_BURST,
    STEP_CALL,
    STEP_CALLS,
    STEP_EACH,
    STEP_ALL,
    STEP_MEET,
    STEP_YIELD,
    STEP_SPAWN,
    STEP_CANCEL,
    STEP_SLEEP,
    STEP_STOP,
    STEP_MAKE_QUEUE, /* from here on: of programs that share task queues */
    STEP_DROP_QUEUE,
    STEP_ADOPT,
    STEP_KINDS
};

/* A number of task queues that all shards share. It may serve one after the other. */
struct number {
    unsigned life; /* rises when a queue is made */
    bool is_gone;  /* that one; the next is not made, or not yet on all shards */
    bool is_there; /* made, and nobody is about to drop it */
};

/* What was sent from one shard to another by tasks of one queue. */
struct flow {
    unsigned life; /* of the queue's number */
    uint64_t newest_begun;
};

struct program {
    struct rand_state rand;
    uint32_t shards;
    uint32_t active[FEW_MAX]; /* those that do something; the others only serve */
    uint32_t active_count;
    uint32_t kinds;     /* bits of enum step that it may take */
    bool has_deadlines; /* else every wait is for ever */
    bool has_room;      /* for all tasks that there can be */
    bool may_fail;      /* first tasks */
    unsigned steps_left;
    uint64_t clock; /* of events: 1, 2, 3 ... */
    struct flow flows[WIDE][WIDE];
    struct flow queue_flows[FEW_MAX][FEW_MAX][QUEUES_MAX]; /* where queues are shared */
    struct number numbers[QUEUES_MAX];
    bool has_queues;    /* task queues are shared */
    bool has_adopted;   /* a shared one was the parent of another one, on some shard */
    int key;            /* of a task-local value: what is called does not inherit it */
    uint64_t in_queues; /* functions that ran in a queue of their caller's number */
    uint64_t elsewhere; /* and in the default one, as there was none */
    uint64_t queues_made;
    uint64_t queues_dropped;
    uint64_t queues_busy; /* that could not be dropped */
    int first_results[WIDE];
    bool outside_releases; /* first tasks wait until the launching thread lets them go */
    struct rt_waker waiting[WIDE];
    bool is_waiting[WIDE];
    bool is_released[WIDE];
    uint64_t submissions;
    uint64_t posts_sent;
    uint64_t posts_run;
    uint64_t calls_run;
    uint64_t folded; /* parts of sets of calls */
    uint64_t meetings;
    struct rt_stats stats[WIDE]; /* when the first tasks ended */
    uint64_t hash;               /* of the run */
};

static struct program program; /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static uint32_t some_shard(void)
{
    return program.active[draw(program.active_count)];
}

static rt_time some_deadline(void)
{
    if (!program.has_deadlines) {
        return RT_NEVER;
    }
    switch (draw(4)) {
    case 0:
        return 0;
    case 1:
        return rt_in(draw(20000));
    case 2:
        return rt_in(draw(2000000));
    default:
        return RT_NEVER;
    }
}

/* Of a post. Where tasks are few, all may wait for each other's posts to start: not for ever. */
static rt_time post_deadline(void)
{
    return program.has_room ? some_deadline() : rt_in(draw(100000));
}

/* By shards_program.h: steps that chance decides; 0, or -ECANCELED. `depth` is of messages sent by
 * messages. */
static int take_steps(unsigned count, unsigned depth);

#endif /* RT_TEST_SHARDS_STATE_H */
