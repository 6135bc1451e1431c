/* SPDX-License-Identifier: MIT */
/*
 * Explore: a small program in every order, one run for each sequence of choices.
 *
 * Wherever the order of things is open, the program asks explore_choose(). The
 * first run gets 0 each time; each later one repeats the run before it up to the
 * last choice that had another alternative, and takes that. So all sequences are
 * met, each once, and nothing is remembered of a run but its choices:
 *
 *     static void run(void)
 *     {
 *         if (explore_choose(2, "the cancel comes first") == 1) {
 *             ...
 *         }
 *         EXPLORE_CHECK(...);
 *     }
 *
 *     explore(&(struct explore){ .name = "cancel beside join", .run = run, .runs_max = 1000 });
 *
 * An exploration is a process of its own, for a mistake that it finds may have
 * left anything behind. A check that fails ends that process where it stands, so
 * it may stand anywhere: in a task, in a thread, in a hook. Aborts, crashes and
 * loops without end are failures too. The run that failed is then told step by
 * step, and can be had again, in a debugger too, by
 *
 *     RT_EXPLORE=<name> RT_CHOICES=<choices> <the test>
 *
 * X1 Complete or failed: an exploration that needs more than runs_max runs fails.
 * X2 A run depends on its choices only; one that is not the same when it is run
 *    again fails.
 * X3 Not by luck: each outcome that the program names is met in some run.
 */
#ifndef RT_TEST_EXPLORE_H
#define RT_TEST_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_OUTCOMES_MAX 16

struct explore {
    const char *name;
    void (*begin)(void); /* before the first run; may be NULL */
    void (*run)(void);
    void (*end)(void);                          /* after the last one; may be NULL */
    uint64_t runs_max;                          /* X1 */
    const char *outcomes[EXPLORE_OUTCOMES_MAX]; /* X3; NULL ends them */
};

/* Do it; false when it has failed, which was said. True without a run when RT_EXPLORE in the
 * environment names another one. */
bool explore(const struct explore *program);

/* One of 0..count - 1; count > 0. `what` says what is open, when the run is told. */
unsigned explore_choose(unsigned count, const char *what);

/* Outcome number `outcome` was met (X3). From any run, as often as it happens. */
void explore_met(unsigned outcome);

/* Tell what happens, in the words of printf, when a run is told. */
__attribute__((format(printf, 1, 2))) void explore_tell(const char *format, ...);

/* The run fails here. */
__attribute__((noreturn)) void explore_fail(const char *condition, const char *file, int line);

#define EXPLORE_CHECK(condition) \
    ((condition) ? (void)0 : explore_fail(#condition, __FILE__, __LINE__))

#endif /* RT_TEST_EXPLORE_H */
