/* SPDX-License-Identifier: MIT */
/*
 * Two threads with a port between them: echo, call, post, and the wake of a
 * side that sleeps.
 *
 * X1 Who sees a tail sees the slots before it.
 * X2 A take drains up to a tail that it loads after the exchange of its doorbell, so nothing that
 *    was rung for before is left.
 * X3 Exactly the ring that finds SLEEPING alone in the word wakes.
 */
#include "xcore.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define PORT_ENTRIES   128 /* the runtime's default */
#define POSTS_MAX      64  /* the runtime's default */
#define FLUSH_MESSAGES 16  /* the contract's */

#define PORT_BIT UINT64_C(1) /* of a doorbell: the port needs a look */
#define MAP_BIT  (UINT64_C(1) << 62)
#define SLEEPING (UINT64_C(1) << 63)

#define MAP_LEVELS 3 /* the contract's: a bit per task, and two summaries */

/* Lines are fetched in pairs. */
#define ALONE __attribute__((aligned(128)))

struct request {
    union {
        int (*fn)(void *); /* NULL: `arg` is a number to be sent back */
        int (*with_instance)(void *instance, void *arg);
    };
    void *arg;
    struct limit_call *record; /* NULL: a post */
    uint32_t queue;            /* in which it would run; there is one */
    uint32_t service;          /* whose instance it runs with, from 1; 0: none */
};

struct reply {
    union {
        struct limit_call *record;
        uint64_t number; /* of an echo */
    };
    int32_t result;
    int32_t error;
};

/* Shared: each index is written by one side. */
struct port {
    _Atomic uint32_t request_tail ALONE;
    _Atomic uint32_t request_head ALONE;
    _Atomic uint32_t reply_tail ALONE;
    _Atomic uint32_t reply_head ALONE;
    struct request requests[PORT_ENTRIES] ALONE;
    struct reply replies[PORT_ENTRIES] ALONE;
};

/* One side's part of a service. */
struct part {
    void *instance;  /* NULL: there is none, calls are refused */
    uint64_t inside; /* functions that have not returned */
    uint64_t done;
    uint64_t object; /* the instance */
};

/* One thread; only its doorbell and its wake map are touched by the other. */
struct side {
    _Atomic uint64_t doorbell ALONE;
    _Atomic uint64_t wake_map[MAP_LEVELS] ALONE; /* of one task, so all levels lie in one line */
    struct side *other ALONE;
    struct port *port;
    struct limit_ring *ring; /* NULL: this side never sleeps */
    _Atomic uint32_t *shared_tail;
    uint32_t tail;       /* of what this side sends: requests or replies */
    uint32_t published;  /* of these, what the other side may see */
    uint32_t head;       /* of what it takes */
    uint64_t pending;    /* bits that were taken and not yet looked after */
    uint32_t other_head; /* how far the other side had taken it when last looked at */
    bool number_came;    /* side 0: a reply was an echo's, and this is it */
    uint64_t number;
    bool asks;                         /* this is side 0 */
    bool stop;                         /* side 1 */
    struct part parts[LIMIT_SERVICES]; /* side 1 */
};

struct pair {
    struct port port;
    struct side sides[2];
    pthread_barrier_t ready;
    enum limit_waiting waiting;
    bool failed[2];
    int (*fn)(void *);
    void *arg;
    int result;
};

/* The side of this thread, or NULL. */
static __thread struct side *current __attribute__((tls_model("initial-exec")));

static __attribute__((noreturn, cold, noinline)) void misuse(const char *what)
{
    fprintf(stderr, "limit: %s\n", what);
    abort();
}

static inline struct side *here(void)
{
    struct side *side = current;

    if (__builtin_expect(side == NULL || !side->asks, 0)) {
        misuse("called outside side 0 of limit_pair_run()");
    }
    return side;
}

/* The wake stands in the ring until this side enters the kernel, in rest(). */
static __attribute__((noinline)) void prepare_wake(struct side *side)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring->ring);

    if (sqe == NULL) {
        misuse("no room for a wake");
    }
    io_uring_prep_msg_ring(sqe, side->other->ring->ring.ring_fd, 0, 0, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* the sender needs no word of its own wake */
}

/* Pairs with the exchange of take_bits() and the CAS of rest() (X3). */
static inline void ring(struct side *side, uint64_t bit)
{
    const uint64_t old = atomic_fetch_or_explicit(&side->other->doorbell, bit,
                                                  memory_order_acq_rel);

    if (__builtin_expect(old == SLEEPING, 0)) {
        prepare_wake(side);
    }
}

/* Let the other side see what was sent. The tail pairs with serve() and take_replies() (X1). */
static inline void flush(struct side *side)
{
    if (side->published != side->tail) {
        side->published = side->tail;
        atomic_store_explicit(side->shared_tail, side->tail, memory_order_release);
        ring(side, PORT_BIT);
    }
}

static inline void take_bits(struct side *side)
{
    if (atomic_load_explicit(&side->doorbell, memory_order_relaxed) != 0) {
        /* pairs with the fetch_or of ring() */
        side->pending |= atomic_exchange_explicit(&side->doorbell, 0, memory_order_acq_rel);
    }
}

/* Whether the port needs a look (X2). */
static inline bool take(struct side *side)
{
    uint64_t bits;

    take_bits(side);
    bits = side->pending;
    side->pending = 0; /* a wake that nobody waits for is dropped too: whoever waits looks first */
    return (bits & PORT_BIT) != 0;
}

/* Take what the kernel says out of the way: a completion is a wake, no more. */
static void drop_completions(struct limit_ring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned seen = 0;

    io_uring_for_each_cqe(&ring->ring, head, cqe)
    {
        if (cqe->res < 0) {
            misuse("a wake failed");
        }
        seen++;
    }
    io_uring_cq_advance(&ring->ring, seen);
}

/* Nothing was taken: deliver a wake that is due, and sleep if nothing has come meanwhile. */
static void rest(struct side *side)
{
    uint64_t empty = 0;
    int r = 0;

    if (side->ring == NULL) {
        return;
    }
    /* pairs with the fetch_or of ring() */
    if (atomic_compare_exchange_strong_explicit(&side->doorbell, &empty, SLEEPING,
                                                memory_order_acq_rel, memory_order_relaxed)) {
        r = io_uring_submit_and_wait(&side->ring->ring, 1);
    } else if (io_uring_sq_ready(&side->ring->ring) > 0) {
        r = io_uring_submit(&side->ring->ring);
    }
    if (r < 0 && r != -EINTR) {
        misuse("io_uring_enter failed");
    }
    drop_completions(side->ring);
}

/* Side 0: hand replies to their records. */
static inline void take_replies(struct side *side)
{
    struct port *port = side->port;
    /* pairs with flush()'s store (X1) */
    uint32_t tail = atomic_load_explicit(&port->reply_tail, memory_order_acquire);

    for (; side->head != tail; side->head++) {
        const struct reply *reply = &port->replies[side->head % PORT_ENTRIES];

        if (reply->error != 0) { /* not an error here: it marks an echo */
            side->number = reply->number;
            side->number_came = true;
        } else {
            reply->record->result = reply->result;
            reply->record->done = true;
        }
    }
    /* pairs with send_reply()'s load */
    atomic_store_explicit(&port->reply_head, tail, memory_order_release);
}

static inline void look_for_replies(struct side *side)
{
    flush(side);
    if (take(side)) {
        take_replies(side);
    } else {
        rest(side);
    }
}

/* Wait until less than `most` requests have not started. */
static __attribute__((noinline)) void wait_for_room(struct side *side, uint32_t most)
{
    flush(side);
    do { /* pairs with serve()'s store: the slots before it were read */
        side->other_head = atomic_load_explicit(&side->port->request_head, memory_order_acquire);
    } while (side->tail - side->other_head >= most);
}

static inline void send_any(struct side *side, const struct request *request, uint32_t most)
{
    struct request *slot = &side->port->requests[side->tail % PORT_ENTRIES];

    if (__builtin_expect(side->tail - side->other_head >= most, 0)) {
        wait_for_room(side, most);
    }
    *slot = *request;
    side->tail++;
    if (side->tail - side->published >= FLUSH_MESSAGES) {
        flush(side);
    }
}

static inline void send_request(struct side *side, int (*fn)(void *), void *arg,
                                struct limit_call *record, uint32_t most)
{
    send_any(side, &(struct request){ .fn = fn, .arg = arg, .record = record }, most);
}

void limit_flush(void)
{
    if (current != NULL) {
        flush(current);
    }
}

/* Upwards, so that whatever the owner has passed already is set again. */
void limit_wake_other(void)
{
    struct side *side = current;

    for (int level = 0; level < MAP_LEVELS; level++) {
        /* pairs with the exchange of limit_wait_for_wake() */
        atomic_fetch_or_explicit(&side->other->wake_map[level], 1, memory_order_acq_rel);
    }
    ring(side, MAP_BIT);
}

void limit_wait_for_wake(void)
{
    struct side *side = current;

    flush(side);
    for (take_bits(side); (side->pending & MAP_BIT) == 0; take_bits(side)) {
        rest(side);
    }
    side->pending &= ~MAP_BIT;
    for (int level = MAP_LEVELS - 1; level >= 0; level--) {
        /* pairs with the fetch_or of limit_wake_other() */
        (void)atomic_exchange_explicit(&side->wake_map[level], 0, memory_order_acq_rel);
    }
}

void limit_call_begin(struct limit_call *call, int (*fn)(void *), void *arg)
{
    struct side *side = here();

    call->done = false;
    send_request(side, fn, arg, call, PORT_ENTRIES);
}

void limit_service_begin(struct limit_call *call, uint32_t service,
                         int (*fn)(void *instance, void *arg), void *arg)
{
    call->done = false;
    send_any(here(),
             &(struct request){
                 .with_instance = fn, .arg = arg, .record = call, .service = service + 1 },
             PORT_ENTRIES);
}

void limit_call_end(struct limit_call *call, int *result)
{
    struct side *side = here();

    while (!call->done) {
        look_for_replies(side);
    }
    *result = call->result;
}

void limit_call(int (*fn)(void *), void *arg, int *result)
{
    struct limit_call call;

    limit_call_begin(&call, fn, arg);
    limit_call_end(&call, result);
}

void limit_post(int (*fn)(void *), void *arg)
{
    send_request(here(), fn, arg, NULL, POSTS_MAX);
}

uint64_t limit_echo(uint64_t number)
{
    struct side *side = here();

    side->number_came = false;
    send_request(side, NULL, (void *)(uintptr_t)number, NULL, PORT_ENTRIES);
    while (!side->number_came) {
        look_for_replies(side);
    }
    return side->number;
}

static __attribute__((noinline)) void look_for_room(struct side *side)
{
    /* pairs with take_replies()'s store: the slots before it were read */
    side->other_head = atomic_load_explicit(&side->port->reply_head, memory_order_acquire);
    if (side->tail - side->other_head >= PORT_ENTRIES) {
        misuse("more calls in flight than slots");
    }
}

static inline void send_reply(struct side *side, struct reply reply)
{
    if (__builtin_expect(side->tail - side->other_head >= PORT_ENTRIES, 0)) {
        look_for_room(side);
    }
    side->port->replies[side->tail % PORT_ENTRIES] = reply;
    side->tail++;
    if (side->tail - side->published >= FLUSH_MESSAGES) {
        flush(side);
    }
}

static inline int run_with_instance(struct side *side, const struct request *request)
{
    struct part *part = &side->parts[request->service - 1];
    int result;

    if (part->instance == NULL) {
        misuse("the service has no instance");
    }
    part->inside++;
    result = request->with_instance(part->instance, request->arg);
    part->inside--;
    part->done++;
    return result;
}

/* Side 1: run what was asked for, and answer. */
static void serve(struct side *side)
{
    struct port *port = side->port;
    /* pairs with flush()'s store (X1) */
    uint32_t tail = atomic_load_explicit(&port->request_tail, memory_order_acquire);

    for (; side->head != tail; side->head++) {
        struct request request = port->requests[side->head % PORT_ENTRIES];

        if (request.fn == NULL) {
            send_reply(side, (struct reply){ .number = (uintptr_t)request.arg, .error = 1 });
        } else {
            int result = request.service == 0 ? request.fn(request.arg)
                                              : run_with_instance(side, &request);

            if (request.record != NULL) {
                send_reply(side, (struct reply){ .record = request.record, .result = result });
            }
        }
    }
    /* pairs with wait_for_room()'s load */
    atomic_store_explicit(&port->request_head, tail, memory_order_release);
    flush(side);
}

static int stop_side(void *arg)
{
    struct side *side = arg;

    side->stop = true;
    return 0;
}

/* A side that sleeps has a ring; both have theirs before either goes on. False: there is none. */
static bool begin_side(struct pair *pair, int number)
{
    struct side *side = &pair->sides[number];

    if (pair->waiting == LIMIT_SLEEPS) {
        side->ring = limit_ring_create();
        pair->failed[number] = side->ring == NULL;
    }
    pthread_barrier_wait(&pair->ready);
    return !pair->failed[0] && !pair->failed[1];
}

/* The rings go when nobody will wake anybody any more. */
static void end_side(struct pair *pair, int number)
{
    pthread_barrier_wait(&pair->ready);
    if (pair->sides[number].ring != NULL) {
        limit_ring_destroy(pair->sides[number].ring);
    }
}

static void *asking_thread(void *arg)
{
    struct pair *pair = arg;
    int ignored;

    pair->result = -ENOSYS; /* no ring, as was said */
    if (begin_side(pair, 0)) {
        current = &pair->sides[0];
        pair->result = pair->fn(pair->arg);
        limit_call(stop_side, &pair->sides[1], &ignored);
        current = NULL;
    }
    end_side(pair, 0);
    return NULL;
}

static void *serving_thread(void *arg)
{
    struct pair *pair = arg;
    struct side *side = &pair->sides[1];

    if (begin_side(pair, 1)) {
        current = side;
        while (!side->stop) {
            if (take(side)) {
                serve(side);
            } else {
                rest(side);
            }
        }
        if (side->ring != NULL && io_uring_submit(&side->ring->ring) < 0) {
            misuse("the wake that the last reply owes was not taken");
        }
    }
    end_side(pair, 1);
    return NULL;
}

static int start_thread(pthread_t *out, int cpu, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attributes;
    cpu_set_t set;
    int r;

    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE) {
        return EINVAL;
    }
    CPU_SET((size_t)cpu, &set);
    r = pthread_attr_init(&attributes);
    if (r == 0) {
        r = pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
        r = r == 0 ? pthread_create(out, &attributes, fn, arg) : r;
        pthread_attr_destroy(&attributes);
    }
    return r;
}

static int cannot_start(int cpu, int error)
{
    fprintf(stderr, "limit: cannot start a thread on CPU %d: %s\n", cpu, strerror(error));
    return -error;
}

/* Both threads meet at barriers, so when the second cannot start the first must not either. */
static int run_threads(struct pair *pair, const int cpus[2])
{
    pthread_t threads[2];
    int r = start_thread(&threads[1], cpus[1], serving_thread, pair);

    if (r != 0) {
        return cannot_start(cpus[1], r);
    }
    r = start_thread(&threads[0], cpus[0], asking_thread, pair);
    if (r != 0) {
        pair->failed[0] = true;
        pthread_barrier_wait(&pair->ready); /* in place of begin_side() */
        pthread_barrier_wait(&pair->ready); /* and of end_side() */
    } else {
        pthread_join(threads[0], NULL);
    }
    pthread_join(threads[1], NULL);
    return r == 0 ? pair->result : cannot_start(cpus[0], r);
}

int limit_pair_run(const int cpus[2], enum limit_waiting waiting, int (*fn)(void *), void *arg)
{
    struct pair *pair = aligned_alloc(_Alignof(struct pair), sizeof(*pair));
    int result;

    if (pair == NULL || pthread_barrier_init(&pair->ready, NULL, 2) != 0) {
        free(pair);
        fprintf(stderr, "limit: no memory for a pair\n");
        return -ENOMEM;
    }
    memset(&pair->port, 0, sizeof(pair->port));
    memset(pair->sides, 0, sizeof(pair->sides));
    memset(pair->failed, 0, sizeof(pair->failed));
    for (int i = 0; i < 2; i++) {
        pair->sides[i].port = &pair->port;
        pair->sides[i].other = &pair->sides[1 - i];
    }
    for (uint32_t i = 0; i < LIMIT_SERVICES; i++) {
        pair->sides[1].parts[i].instance = &pair->sides[1].parts[i].object;
    }
    pair->sides[0].asks = true;
    pair->sides[0].shared_tail = &pair->port.request_tail;
    pair->sides[1].shared_tail = &pair->port.reply_tail;
    pair->waiting = waiting;
    pair->fn = fn;
    pair->arg = arg;
    result = run_threads(pair, cpus);
    pthread_barrier_destroy(&pair->ready);
    free(pair);
    return result;
}
