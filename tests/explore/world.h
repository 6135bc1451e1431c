/* SPDX-License-Identifier: MIT */
/*
 * World: a few tasks on the real executor, in every order of what may come.
 *
 * A program spawns tasks, and names events that may come from outside: a cancel,
 * a wake, a close. The explorer (support/explore.h) is the loop. Each step is a
 * turn of the executor in which one thing happens, and which one is its choice:
 *
 *     the first task of the queue has its run
 *     a task that stands at a gate is let through
 *     an event comes
 *     the kernel completes an operation: by its result, or, when it was asked, "cancelled"
 *     the clock reaches the next deadline
 *     a waiting task is woken for nothing
 *
 * So all orders of these are met, to the last one. The turn ends after one run,
 * and that is all that is not as in earnest: in a longer turn nothing else could
 * come between two runs, which is one of the orders.
 *
 * A run ends when nothing can happen any more. Then no task may be left: one that
 * waits has missed its wake, unless the program says that it is right to wait.
 * After each step the rules of the state word and of waits (T1 to T6 in
 * core/task.h, Q1 and Q2 in core/wait.h) are checked for every task, and the
 * program's own.
 */
#ifndef RT_TEST_EXPLORE_WORLD_H
#define RT_TEST_EXPLORE_WORLD_H

#include "core/executor.h"
#include "rt/rt.h"
#include "support/explore.h"

#define WORLD_TASKS_MAX  8
#define WORLD_EVENTS_MAX 8

struct world_event {
    const char *name; /* NULL ends the list */
    void (*fire)(void);
    bool (*ready)(void); /* whether it may come now; NULL: always */
    unsigned times;      /* at most; 0 means once */
};

struct world_program {
    const char *name;
    void (*setup)(void);   /* spawns the tasks */
    void (*check)(void);   /* after each step; may be NULL */
    void (*finish)(void);  /* all is over; may be NULL */
    bool (*release)(void); /* tasks wait, and nothing can happen: cancel those that are right to
                              wait; false: there is none. NULL: none ever is */
    struct world_event events[WORLD_EVENTS_MAX]; /* none needs to come */
    bool settled;                                /* tasks have had their first runs before */
    int kernel_result;                           /* of operations that are not cancelled */
    unsigned timeouts;                           /* times that the clock may reach a deadline */
    unsigned spurious;                           /* wakes for nothing */
    uint64_t runs_max;
    const char *outcomes[EXPLORE_OUTCOMES_MAX]; /* as in struct explore */
};

bool world_explore(const struct world_program *program);

/* The executor of the run. */
extern struct rti_executor world_executor;

/* A task of the program, from setup() or from an event; with a join handle if `out` is not NULL. */
void world_spawn(struct rt_task **out, const char *name, rt_task_fn fn, void *arg);

/* Likewise a future. */
void world_spawn_future(struct rt_task **out, const char *name, struct rt_future *future);

/* In a task: wait until the explorer lets it through. Neither cancel nor deadline end this wait,
 * so that they may come while the task is about to do something else. */
void world_gate(void);

/* In a task: an event may come here, while the task runs. */
void world_point(void);

/* The result of the last operation that the kernel has completed; RT_PENDING: none yet. */
int world_completion(void);

#endif /* RT_TEST_EXPLORE_WORLD_H */
