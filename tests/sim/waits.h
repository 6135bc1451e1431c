/* SPDX-License-Identifier: MIT */
/*
 * Waits: what the kinds of waits give to the random programs of waits_test.c.
 *
 * A kind says how one waits for it, what makes it happen, which results are a
 * success, and what must be so when all is over: every item, unit and lock that was
 * given is taken by exactly one wait that said so, or is still there.
 */
#ifndef RT_TEST_WAITS_H
#define RT_TEST_WAITS_H

#include "support/harness.h"
#include "support/rand.h"

#include "core/wait.h"
#include "rt/rt.h"

/* The harness counts per source file: the failures of all parts of this test are one sum. */
#undef T_CHECK
#define T_CHECK(condition) ((condition) ? (void)0 : waits_fail(#condition, __FILE__, __LINE__))
void waits_fail(const char *condition, const char *file, int line);

#define WAITERS_MAX      4
#define WAITS_MAX        4 /* of one waiter, one after the other */
#define ITEM_BYTES_MAX   32
#define TEST_SCOPES_MAX  2
#define TEST_CASES_MAX   3

struct run;
struct waiter;

struct kind {
    const char *name;
    unsigned waiters_max;        /* 0: WAITERS_MAX */
    unsigned stream_bytes;       /* room of a simulated stream; 0: the sim's default */
    bool deadline_is_event;      /* a sleep */
    bool exempt;                 /* from cancel and scopes, and from deadlines ... */
    bool exempt_but_of_deadline; /* ... or not from those */
    bool selected_twice;         /* two cases of one select may wait for the same object */

    /* The objects; those of one waiter. In the first task, before waiters run. */
    void (*make)(struct run *run);
    void (*make_waiter)(struct waiter *waiter);

    /* The ways to wait; NULL: there is none. */
    int (*call)(struct waiter *waiter, rt_time deadline);
    struct rt_case (*make_case)(struct waiter *waiter, unsigned index);
    int (*poll)(struct waiter *waiter, struct rt_future *future, rt_time deadline);

    /* The wait ended so, for another reason than a deadline or a cancel: keep what was got. False:
     * that is no result of this kind. Must not suspend. */
    bool (*got)(struct waiter *waiter, int result);

    /* The wait has ended, in any way; NULL: nothing is to be done. Must not suspend. */
    void (*over)(struct waiter *waiter, int result);

    /* After a success, where the waiter is a fiber: give back what is held. May suspend. */
    void (*after)(struct waiter *waiter);

    /* Make it happen, for one or for all. In the first task; may suspend. */
    void (*happen)(struct run *run);

    /* What this waiter, which waits, waits for is there: it should not wait. */
    bool (*is_there)(const struct waiter *waiter);

    /* Let go of what keeps waits from ending: requests held in the kernel. Must not suspend. */
    void (*let_go)(struct run *run);

    /* No waiter lives any more: end helper tasks. In a task that may be cancelled. */
    void (*wind_up)(struct run *run);

    /* Nothing but one task lives any more: check what is left, give all back. The task may be
     * cancelled. */
    void (*unmake)(struct run *run);
};

/* How a wait is made. */
enum way {
    WAY_CALL,         /* by a call that suspends */
    WAY_SELECT,       /* as a case of a select */
    WAY_AWAIT,        /* a fiber awaits a future that polls */
    WAY_AWAIT_SELECT, /* a fiber awaits a future that selects */
    WAY_POLL,         /* a future that is a task polls */
    WAY_POLL_SELECT,  /* such a future selects */
    WAYS,
};

struct test_scope {
    struct rt_scope scope;
    rt_time deadline;
    bool shield;
    bool cancelled;
};

struct wait_future {
    struct rt_future future;
    struct waiter *waiter;
};

struct waiter {
    struct run *run;
    struct rt_task *task; /* its handle; NULL: it has ended, or was not spawned yet */
    struct rt_waker waker;
    unsigned number;
    unsigned waits_left;
    unsigned woken; /* times rt_wake() was called */
    bool spawned;
    bool started;
    bool cancelled; /* rt_cancel() was called */
    bool waiting;   /* in the current wait */
    struct wait_future future;

    /* The current wait. */
    rt_time deadline;
    rt_time await_deadline;
    rt_time other_time; /* of a case rt_case_at() beside; 0: there is none */
    uint64_t ticket;    /* waits begin in this order */
    struct test_scope scopes[TEST_SCOPES_MAX];
    struct rt_case cases[TEST_CASES_MAX];
    unsigned scope_count;
    unsigned case_count;
    int other_place;
    enum way way;
    int polled; /* what came of it in the future that is awaited; RT_PENDING: nothing yet */

    /* The kind's. */
    int result; /* of what is joined */
    unsigned count;
    struct rt_task *child;
    struct rt_waker helpers[2];
    struct rt_group group;
    uint64_t item;
    void *pointer;
    unsigned char bytes[ITEM_BYTES_MAX];
    bool flag;
};

struct grant {
    uint64_t ticket;
    uint64_t order;
};

struct run {
    const struct kind *kind;
    uint64_t seed;
    struct rand_state rand;
    struct waiter waiters[WAITERS_MAX];
    unsigned waiter_count;     /* that there will be */
    unsigned waiters_live;     /* and one more, while the first task acts */
    unsigned helpers_live;     /* tasks of the kind */
    struct rti_waiter *keeper; /* waits until none of these lives */
    uint64_t tickets;
    struct grant grants[WAITERS_MAX * WAITS_MAX];
    unsigned grant_count;
    bool stopped;          /* the first task has returned, so all others are cancelled */
    uint32_t tasks_before; /* that the executor had when it began */
    bool kept;             /* the keeper has checked everything */
};

/* A run: begin it with a seed, make waits_first() the first task of a shard, end it: how many
 * checks have failed. */
void waits_begin(struct run *run, const struct kind *kind, uint64_t seed);
int waits_first(void *run);
unsigned waits_end(const struct run *run);

/* A test of each kind in the lists, ended by NULL, with so many seeds: what main() returns. */
int waits_run(const struct kind *const *const *lists, unsigned seeds,
              unsigned (*run)(const struct kind *kind, uint64_t seed));

/* A task of the kind begins, is to be spawned; it ends, which is the last that it does. */
void helper_begins(struct run *run);
void helper_ended(struct run *run);

/* A wait was granted item number `order`: those who began to wait first got the first. */
void check_order(struct waiter *waiter, uint64_t order);

/* The waiter waits, and what it waits for has not come. */
bool stands_in_line(const struct waiter *waiter);

/* A wait was granted: nobody who began to wait before stands in line still. */
void check_nobody_was_passed(const struct waiter *waiter);

/* A waiter, waiting or not. */
struct waiter *some_waiter(struct run *run);

extern const struct kind *const waits_tasks[];
extern const struct kind *const waits_io[];
extern const struct kind *const waits_streams[];
extern const struct kind *const waits_channels[];
extern const struct kind *const waits_locks[];
extern const struct kind *const waits_events[];

#endif /* RT_TEST_WAITS_H */
