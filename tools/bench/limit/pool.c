/* SPDX-License-Identifier: MIT */
/* Rows blocking and list_1000: see pool.h. */
#include "pool.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

enum request { NONE, WORKER_SLEEPS, REQUESTED };
enum answer { UNDER_WAY, CALLER_SLEEPS, ANSWERED };

static struct {
    uint32_t request __attribute__((aligned(128))); /* enum request; a futex */
    int (*fn)(void *);                              /* NULL: the pool ends */
    void *arg;
    uint32_t answer __attribute__((aligned(128))); /* enum answer */
    int result;
    struct limit_ring *ring;
    cpu_set_t others;
    pthread_t thread;
    int counter; /* an eventfd */
} pool;

/* The thread */

/* Pairs with the exchange of ask(). */
static void wait_for_request(void)
{
    uint32_t seen = NONE;

    while (__atomic_load_n(&pool.request, __ATOMIC_ACQUIRE) != REQUESTED) {
        if (__atomic_compare_exchange_n(&pool.request, &seen, WORKER_SLEEPS, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE) ||
            seen == WORKER_SLEEPS) {
            (void)syscall(SYS_futex, &pool.request, FUTEX_WAIT_PRIVATE, WORKER_SLEEPS, NULL, NULL,
                          0);
        }
        seen = NONE;
    }
    __atomic_store_n(&pool.request, NONE,
                     __ATOMIC_RELAXED); /* the next one comes after the answer */
}

static void *worker_main(void *unused)
{
    (void)sched_setaffinity(0, sizeof(pool.others),
                            &pool.others); /* refused: there are no others */
    for (;;) {
        wait_for_request();
        if (pool.fn == NULL) {
            return unused;
        }
        pool.result = pool.fn(pool.arg);
        /* pairs with that of limit_pool_call() */
        if (__atomic_exchange_n(&pool.answer, ANSWERED, __ATOMIC_ACQ_REL) == CALLER_SLEEPS) {
            (void)eventfd_write(pool.counter, 1);
        }
    }
}

/* The caller */

static void ask(int (*fn)(void *), void *arg)
{
    pool.fn = fn;
    pool.arg = arg;
    if (__atomic_exchange_n(&pool.request, REQUESTED, __ATOMIC_ACQ_REL) == WORKER_SLEEPS) {
        (void)syscall(SYS_futex, &pool.request, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void poll_counter(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&pool.ring->ring);

    io_uring_prep_poll_multishot(sqe, pool.counter, POLLIN);
}

/* Until something comes. What came is not looked at: the answer tells. */
static void rest(void)
{
    struct io_uring *ring = &pool.ring->ring;
    struct io_uring_cqe *cqe;
    const int r = io_uring_submit_and_wait(ring, 1);

    if (r < 0 && r != -EINTR) {
        fprintf(stderr, "limit: io_uring_enter: %s\n", strerror(-r));
        abort();
    }
    while (io_uring_peek_cqe(ring, &cqe) == 0 && cqe != NULL) {
        if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
            poll_counter();
        }
        io_uring_cqe_seen(ring, cqe);
    }
}

int limit_pool_call(int (*fn)(void *), void *arg)
{
    uint32_t state = UNDER_WAY;

    __atomic_store_n(&pool.answer, UNDER_WAY, __ATOMIC_RELAXED); /* before the request is */
    ask(fn, arg);
    (void)__atomic_compare_exchange_n(&pool.answer, &state, CALLER_SLEEPS, false, __ATOMIC_ACQUIRE,
                                      __ATOMIC_ACQUIRE);
    while (__atomic_load_n(&pool.answer, __ATOMIC_ACQUIRE) != ANSWERED) {
        rest();
    }
    return pool.result;
}

/* All but those of the caller; which of them the process may use, the kernel knows. */
static int choose_cpus(void)
{
    cpu_set_t own;

    if (sched_getaffinity(0, sizeof(own), &own) < 0) {
        return -errno;
    }
    memset(&pool.others, 0xff, sizeof(pool.others));
    CPU_XOR(&pool.others, &pool.others, &own);
    return 0;
}

int limit_pool_begin(struct limit_ring *ring)
{
    int r = choose_cpus();

    if (r < 0) {
        return r;
    }
    pool.ring = ring;
    pool.request = NONE;
    pool.counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool.counter < 0) {
        return -errno;
    }
    r = -pthread_create(&pool.thread, NULL, worker_main, NULL);
    if (r < 0) {
        close(pool.counter);
        return r;
    }
    poll_counter();
    return 0;
}

void limit_pool_end(void)
{
    ask(NULL, NULL);
    pthread_join(pool.thread, NULL);
    close(pool.counter);
}
