/* SPDX-License-Identifier: MIT */
/*
 * Limits: what the primitives of a runtime cost at least, as a shared library,
 * so that a limit is called exactly as a user calls the runtime.
 *
 * Two kinds of functions:
 *
 * limit_*  do a row's work with the bookkeeping that the contract of the runtime demands (state
 *          word, run queue, quota, generation, result, timer) and nothing else: no trace, no
 *          counters, no cancel, no I/O. These are the limits that a goal is a multiple of.
 * bare_*   loops inside this library with an inlined switch and no bookkeeping at all: what the
 *          processor can do. They show how far the machine is in the mood, and are no goal.
 *
 * Why each limit is a minimum:
 *
 * - A suspension is one switch, straight to the next fiber of the queue. The call that suspends
 *   ends in the switch, so what a resumed fiber runs next is its own code: no `ret` is left that
 *   the processor would mispredict (its return predictor belongs to the other stack; 3 ns against
 *   10). That needs whoever ends a wait to do all that is left to do: the ending fiber frees the
 *   joined slot, the waker disarms the timer.
 * - Fibers stand in a ring of pointers: one store to push, one load to pop.
 * - Stacks and slots are taken last in, first out: the next one is in the cache.
 * - Stack tops are spread over 16 cache lines; else 1000 fibers meet in a few sets of the cache.
 *
 * Everything belongs to the thread that calls limit_run(). Misuse aborts.
 */
#ifndef LIMIT_LIMIT_H
#define LIMIT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_API __attribute__((visibility("default")))

/* No deadline. */
#define LIMIT_NEVER INT64_MAX

/* A fiber; as a pointer from limit_spawn(), the right to join it. */
struct limit_task;

/* The right to wake a fiber: a value that knows which use of the slot it means. */
struct limit_waker {
    struct limit_task *task;
    uint32_t generation;
};

/*
 * Run fn(arg) as the first fiber, with room for `fibers` more, and return its result when it
 * returns. -1 when there is no memory. No other fiber may live at that moment.
 */
LIMIT_API int limit_run(uint32_t fibers, int (*fn)(void *), void *arg);

/*
 * Rows yield2 and yield1k: let the others run.
 *
 * Sets SCHEDULED, clears RUNNING, pushes, pops the next, clears its SCHEDULED, sets its RUNNING,
 * counts the run against the quota (cycle counter read every 16 runs), switches.
 */
LIMIT_API void limit_yield(void);

/*
 * Row spawn_join: make a fiber at the end of the run queue, wait for its end, take its result.
 *
 * Spawn takes a slot and a stack and pushes; the joiner becomes the awaiter and suspends; the
 * ending fiber gives its stack back, stores its result in the slot, wakes the awaiter and, there
 * being one, hands the result out, raises the slot's generation and frees it.
 */
LIMIT_API struct limit_task *limit_spawn(int (*fn)(void *), void *arg); /* NULL: no room */
LIMIT_API int limit_join(struct limit_task *task, int *result);         /* 0 */

/*
 * Row timer_arm as a user meets it: wait for a wake or a deadline. Arms the timer on a wheel that
 * keeps it to the nanosecond, suspends; limit_wake() disarms it and queues the fiber. Nothing here
 * ever expires: a deadline must lie so far ahead that the wake comes first. A wake of a fiber that
 * is not parked does nothing.
 */
LIMIT_API int limit_park(int64_t deadline); /* 0 */
LIMIT_API void limit_wake(struct limit_waker waker);
LIMIT_API struct limit_waker limit_waker_self(void);

/* CLOCK_MONOTONIC, in ns, read now; and `ns` after it. */
LIMIT_API int64_t limit_now(void);
LIMIT_API int64_t limit_in(int64_t ns);

/*
 * Row timer_arm alone: a hierarchical wheel (8 levels of 64 slots, ticks of 65 us) with intrusive
 * lists. Arm and disarm are a few instructions each, wherever the deadline lies; the deadline is
 * kept exactly. `limit_wheel_create` arms `others` timers spread over the next 10 s.
 */
struct limit_wheel;
struct limit_timer {
    struct limit_timer *next, **link; /* in its slot; `link` is NULL while not armed */
    int64_t deadline;
};
LIMIT_API struct limit_wheel *limit_wheel_create(uint32_t others, int64_t now);
LIMIT_API void limit_wheel_destroy(struct limit_wheel *wheel);
LIMIT_API void limit_timer_arm(struct limit_wheel *wheel, struct limit_timer *timer,
                               int64_t deadline);
LIMIT_API void limit_timer_disarm(struct limit_wheel *wheel, struct limit_timer *timer);

/*
 * Row uring_nop: `batch` NOPs prepared, submitted and waited for with one io_uring_enter(), then
 * reaped. The ring is as echo_uring's. Returns how many completed without an error.
 */
struct limit_ring;
LIMIT_API struct limit_ring *limit_ring_create(void); /* NULL, and a message: no io_uring here */
LIMIT_API void limit_ring_destroy(struct limit_ring *ring);
LIMIT_API uint32_t limit_ring_nops(struct limit_ring *ring, uint32_t batch);

/*
 * Rows file_randread and file_randread_buffered: read `bytes` at each of `count` offsets, in their
 * order, `in_flight` at a time.
 *
 * A pass enters the kernel once: it submits a read for each that has completed, and waits for at
 * least one. Neither the file nor the buffers are registered, for the runtime's calls take any.
 */
#define LIMIT_READS_MAX 128 /* in flight */

struct limit_reads {
    int fd;
    uint32_t bytes;
    uint32_t in_flight; /* at most LIMIT_READS_MAX */
    char *buffers;      /* in_flight * bytes */
    const uint64_t *offsets;
    uint64_t count;
    void (*done)(void *arg, int64_t ns); /* told what each read took; NULL = nobody */
    void *arg;
};
LIMIT_API int limit_ring_reads(struct limit_ring *ring, const struct limit_reads *reads); /* 0 */

/*
 * Row start_stop: two threads, made, each bound to its CPU, each opens the ring that a shard opens
 * and closes it; both are joined. 0, or -errno.
 */
LIMIT_API int limit_start_stop(const int cpus[2]);

/*
 * The processor alone: `fibers` (2 or more) that switch in a circle, `switches` in all; and `count`
 * times a fiber made on a warm stack, switched to, ended, switched back from. Return the
 * ns that the whole took; 0 when there is no memory. One thread at a time.
 */
LIMIT_API uint64_t bare_switches(uint32_t fibers, uint64_t switches);
LIMIT_API uint64_t bare_spawns(uint64_t count);

#endif /* LIMIT_LIMIT_H */
