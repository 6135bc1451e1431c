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
 * - A fiber waits for one thing at a time, so what stands for it in a list of waiters lies in its
 *   slot, beside its timer. Such a list runs in a circle through the object: whoever leaves it,
 *   from where ever (a deadline must be able to), has two loads, two stores and no branch.
 * - Stacks and slots are taken last in, first out: the next one is in the cache.
 * - Stack tops are spread over 16 cache lines; else 1000 fibers meet in a few sets of the cache.
 *
 * Everything belongs to the thread that calls limit_run(). Misuse aborts.
 */
#ifndef LIMIT_LIMIT_H
#define LIMIT_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
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
 * Rows future_wake and spawn_join_future: tasks without a stack, joined as fibers are.
 *
 * A future stands in the run queue like a fiber, and is polled when its turn comes. Returning
 * LIMIT_PENDING it waits for a wake; any other result ends it, after its `drop`.
 *
 * Polls run on the stack of limit_run(): a poll function may need more than is left of the stack of
 * whatever fiber happens to suspend. So between a fiber and a future there is one switch, between
 * futures none. A wake sets SCHEDULED, and pushes unless the future runs; a poll clears it, sets
 * RUNNING, counts against the quota, calls, clears RUNNING.
 */
#define LIMIT_PENDING INT32_MIN

struct limit_future {
    int (*poll)(struct limit_future *self);
    void (*drop)(struct limit_future *self); /* NULL: nothing is to be done */
};
LIMIT_API struct limit_task *limit_spawn_future(struct limit_future *future); /* NULL: no room */

/*
 * Row group_spawn_wait: fibers that a scope owns, which have no handle.
 *
 * Spawn is as above, with the group's limit looked at and the fiber linked into its list; its end
 * unlinks it, keeps the first failure, frees the slot, and wakes who waits when it was the last.
 */
struct limit_group {
    struct limit_task *first;  /* of those that live */
    struct limit_task *waiter; /* who waits until none lives, or NULL */
    uint32_t live;
    uint32_t tasks_max;
    int32_t first_error;
};
#define LIMIT_GROUP_INIT { .tasks_max = UINT32_MAX }

LIMIT_API int limit_group_spawn(struct limit_group *group, int (*fn)(void *), void *arg);
LIMIT_API int limit_group_wait(struct limit_group *group, int64_t deadline); /* 0 */

/*
 * What fibers of one thread wait for in turn. What all of these have in common:
 *
 * - A call that need not wait is a compare or two and a store.
 * - Else the fiber links itself behind the others, arms its timer if there is a deadline, and
 *   suspends. As with limit_park(), no deadline passes here.
 * - What is given back goes to the first who waits, in the same step: it unlinks it, disarms its
 *   timer, and queues it. It is never free in between.
 * - They return 0, or -EPIPE when a channel is closed and empty.
 */
struct limit_link { /* one of a circle */
    struct limit_link *next, *previous;
};

/* Who waits; the members are the library's. */
struct limit_waiter {
    struct limit_link link;      /* in the list of what is waited for */
    void *item;                  /* where an item goes or comes from; or what is wanted */
    struct limit_task *selector; /* of a leg of a select: its fiber; else NULL */
};

/* Rows mutex and mutex1. It knows who holds it: to unlock what another one holds aborts. */
struct limit_mutex {
    struct limit_link waiters;
    struct limit_task *holder; /* NULL: nobody */
};
#define LIMIT_MUTEX_INIT(self) { { &(self)->waiters, &(self)->waiters }, NULL }

LIMIT_API int limit_mutex_lock(struct limit_mutex *mutex, int64_t deadline);
LIMIT_API void limit_mutex_unlock(struct limit_mutex *mutex);

/* Row semaphore: who wants many units is served before those behind it, who want few. */
struct limit_semaphore {
    struct limit_link waiters;
    uint32_t free;
};
#define LIMIT_SEMAPHORE_INIT(self, units) { { &(self)->waiters, &(self)->waiters }, (units) }

LIMIT_API int limit_semaphore_take(struct limit_semaphore *semaphore, uint32_t units,
                                   int64_t deadline);
LIMIT_API void limit_semaphore_put(struct limit_semaphore *semaphore, uint32_t units);

/* Row rwlock: a reader that comes after a waiting writer waits behind it. To unlock what nobody
 * holds so aborts. */
struct limit_rwlock {
    struct limit_link waiters;
    int32_t holders; /* readers; or -1: a writer */
};
#define LIMIT_RWLOCK_INIT(self) { { &(self)->waiters, &(self)->waiters }, 0 }

LIMIT_API int limit_rwlock_read_lock(struct limit_rwlock *lock, int64_t deadline);
LIMIT_API int limit_rwlock_write_lock(struct limit_rwlock *lock, int64_t deadline);
LIMIT_API void limit_rwlock_read_unlock(struct limit_rwlock *lock);
LIMIT_API void limit_rwlock_write_unlock(struct limit_rwlock *lock);

/*
 * Rows chan_local and pingpong_local: a channel within a thread, of any number of senders and
 * receivers. An item goes straight into the memory of a receiver that waits; room goes to the
 * sender that waits first, with its item. Items of 8 bytes are copied as a number.
 */
struct limit_chan;
LIMIT_API struct limit_chan *limit_chan_create(uint32_t item_bytes,
                                               uint32_t capacity); /* or NULL */
LIMIT_API void limit_chan_destroy(struct limit_chan *chan);        /* nobody waits for it */
LIMIT_API int limit_chan_send(struct limit_chan *chan, const void *item, int64_t deadline);
LIMIT_API int limit_chan_recv(struct limit_chan *chan, void *item, int64_t deadline);
LIMIT_API void limit_chan_close(struct limit_chan *chan); /* who waits gets -EPIPE */

/*
 * Row select2: receive from the first of several channels that has something; which one, and
 * `result` of that case. It looks at each, beginning with another one each time so that none is
 * served always first, and then links a leg into each. Whoever sends to one unlinks them all.
 */
struct limit_case {
    struct limit_waiter leg;
    struct limit_chan *chan;
    struct limit_case *next; /* case of the same select */
    int result;              /* of the one that happened: 0 or -EPIPE */
};
static inline struct limit_case limit_case_recv(struct limit_chan *chan, void *item)
{
    return (struct limit_case){ .leg.item = item, .chan = chan };
}
LIMIT_API int limit_select(struct limit_case *cases, uint32_t count, int64_t deadline);

/* Row oneshot: one value, sent once, received once. */
struct limit_oneshot {
    struct limit_task *receiver; /* who waits, or NULL */
    void *value;
    bool sent;
};
#define LIMIT_ONESHOT_INIT { NULL, NULL, false }

LIMIT_API void limit_oneshot_send(struct limit_oneshot *oneshot, void *value);
LIMIT_API int limit_oneshot_recv(struct limit_oneshot *oneshot, void **value, int64_t deadline);

/*
 * Row queue_switch: task queues that divide the core by shares.
 *
 * Each has a run queue. A wake of a fiber whose queue is not runnable makes that runnable, at the
 * mean of the others or ahead of it. Whoever parks last in its queue reads the cycle counter,
 * charges the queue, takes it off the runnable ones and goes on with the one of these that is owed
 * time and has the earliest deadline. Not there: goals, parents, statistics.
 *
 * In limit_run_in_queue() a fiber parks, wakes and spawns by the calls below only; the first one
 * is in a queue of 1000 shares. A fiber of a queue is joined when it has ended.
 */
struct limit_taskq;
LIMIT_API int limit_run_in_queue(uint32_t fibers, int (*fn)(void *), void *arg);
LIMIT_API struct limit_taskq *limit_taskq_create(uint32_t shares); /* NULL: no memory */
LIMIT_API void limit_taskq_destroy(struct limit_taskq *queue);
LIMIT_API struct limit_task *limit_spawn_in(struct limit_taskq *queue, int (*fn)(void *),
                                            void *arg); /* NULL: no room */
LIMIT_API int limit_taskq_park(int64_t deadline);       /* 0 */
LIMIT_API void limit_taskq_wake(struct limit_waker waker);

/*
 * Row should_yield: counts down, and reads the cycle counter in every 16th call. True when the
 * quota is used, until limit_yield().
 */
LIMIT_API bool limit_should_yield(void);

/* Read the cycle counter so many times; the last value. */
LIMIT_API uint64_t bare_counter_reads(uint64_t count);

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

/* Row timer_arm_1m: as timer_arm, beside `count` timers of no fiber, armed over 10 s in a minute
 * from now; until limit_others_end(). -1: no memory. */
LIMIT_API int limit_others_begin(uint32_t count);
LIMIT_API void limit_others_end(void);

/*
 * Rows sleep_many and late_sleep: sleep until the deadline has passed, never shorter. Who sleeps is
 * woken when the quota is used, or when nobody can run; then the thread sleeps in the ring until
 * the earliest deadline, and `slack` ns longer. Between begin (-1: no memory, or no ring) and end.
 */
LIMIT_API int limit_sleeps_begin(int64_t slack);
LIMIT_API void limit_sleeps_end(void);
LIMIT_API int limit_sleep_until(int64_t deadline); /* 0 */

/*
 * Row uring_nop: `batch` NOPs prepared, submitted and waited for with one io_uring_enter(), then
 * reaped. The ring is as echo_uring's. Returns how many completed without an error.
 */
struct limit_ring;
LIMIT_API struct limit_ring *limit_ring_create(void); /* NULL, and a message: no io_uring here */
LIMIT_API void limit_ring_destroy(struct limit_ring *ring);

/* The kernel's threads for I/O are as the runtime has them: where the caller is, and 8 at most of
 * either kind. 0, or -errno. */
LIMIT_API int limit_ring_keep_workers(struct limit_ring *ring);
LIMIT_API uint32_t limit_ring_nops(struct limit_ring *ring, uint32_t batch);

/*
 * Rows file_randread, file_randread_fixed and file_randread_buffered: read `bytes` at each of
 * `count` offsets, in their order, `in_flight` at a time.
 *
 * A pass enters the kernel once: it submits a read for each that has completed, and waits for at
 * least one. The buffers are registered, as one, where the runtime's are; the file is not, for the
 * runtime's calls take any.
 */
#define LIMIT_READS_MAX 128 /* in flight */

struct limit_reads {
    int fd;
    uint32_t bytes;
    uint32_t in_flight; /* at most LIMIT_READS_MAX */
    char *buffers;      /* in_flight * bytes */
    bool fixed;         /* they lie in what limit_ring_register() was given */
    const uint64_t *offsets;
    uint64_t count;
    void (*done)(void *arg, int64_t ns); /* told what each read took; NULL = nobody */
    void *arg;
};
LIMIT_API int limit_ring_register(struct limit_ring *ring, void *memory, size_t bytes);   /* once */
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
