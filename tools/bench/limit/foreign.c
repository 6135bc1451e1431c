/* SPDX-License-Identifier: MIT */
/* Rows foreign_submit and foreign_submit64: see foreign.h. */
#include "foreign.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

#define RUNG     1u
#define SLEEPING 2u

enum { UNDER_WAY, AWAITED, DONE };

static struct {
    struct limit_submission *newest __attribute__((aligned(128)));
    uint32_t doorbell __attribute__((aligned(128)));
    int counter; /* an eventfd */
    int cpu;
    int result; /* of the server's beginning: 0, or -errno; valid once it is ready */
    bool over;  /* the server's own */
    pthread_barrier_t ready;
    pthread_t thread;
} server;

static void futex_wait(uint32_t *word, uint32_t expected)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The server */

static struct limit_submission *take(void)
{
    struct limit_submission *newest = __atomic_exchange_n(&server.newest, NULL, __ATOMIC_ACQUIRE);
    struct limit_submission *oldest = NULL;

    while (newest != NULL) {
        struct limit_submission *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void run_all(struct limit_submission *submission)
{
    while (submission != NULL) {
        struct limit_submission *next = submission->next;
        uint32_t *done = &submission->done;

        submission->result = submission->fn(submission->arg);
        if (__atomic_exchange_n(done, DONE, __ATOMIC_ACQ_REL) == AWAITED) {
            futex_wake(done);
        }
        submission = next;
    }
}

static void poll_counter(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    if (sqe != NULL) { /* the queue is empty: there is one */
        io_uring_prep_poll_multishot(sqe, server.counter, POLLIN);
    }
}

/* Until something comes. What came is not looked at: the doorbell tells. */
static void rest(struct io_uring *ring)
{
    uint32_t nothing = 0;
    struct io_uring_cqe *cqe;

    if (!__atomic_compare_exchange_n(&server.doorbell, &nothing, SLEEPING, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        return;
    }
    (void)io_uring_submit_and_wait(ring, 1);
    while (io_uring_peek_cqe(ring, &cqe) == 0 && cqe != NULL) {
        if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
            poll_counter(ring);
        }
        io_uring_cqe_seen(ring, cqe);
    }
}

static int bind_to(int cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    return sched_setaffinity(0, sizeof(cpus), &cpus) < 0 ? -errno : 0;
}

static void serve(struct io_uring *ring)
{
    while (!server.over) {
        if (__atomic_load_n(&server.doorbell, __ATOMIC_RELAXED) != 0) {
            __atomic_exchange_n(&server.doorbell, 0, __ATOMIC_ACQ_REL);
            run_all(take());
        } else {
            rest(ring);
        }
    }
}

static void *serving_thread(void *unused)
{
    struct limit_ring *ring = limit_ring_create();

    server.result = ring == NULL ? -ENOSYS : bind_to(server.cpu);
    pthread_barrier_wait(&server.ready);
    if (ring == NULL) {
        return unused;
    }
    if (server.result == 0) {
        poll_counter(&ring->ring);
        serve(&ring->ring);
    }
    limit_ring_destroy(ring);
    return unused;
}

/* The caller */

void limit_submit(struct limit_submission *submission, int (*fn)(void *), void *arg)
{
    struct limit_submission *newest = __atomic_load_n(&server.newest, __ATOMIC_RELAXED);

    *submission = (struct limit_submission){ .fn = fn, .arg = arg };
    do {
        submission->next = newest;
    } while (!__atomic_compare_exchange_n(&server.newest, &newest, submission, true,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (__atomic_fetch_or(&server.doorbell, RUNG, __ATOMIC_ACQ_REL) == SLEEPING) {
        (void)eventfd_write(server.counter, 1);
    }
}

static bool is_done(struct limit_submission *submission)
{
    uint32_t state = UNDER_WAY;

    return !__atomic_compare_exchange_n(&submission->done, &state, AWAITED, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_ACQUIRE) &&
           state == DONE;
}

int limit_submission_wait(struct limit_submission *submission)
{
    while (!is_done(submission)) {
        futex_wait(&submission->done, AWAITED);
    }
    return submission->result;
}

int limit_server_begin(int cpu)
{
    int r;

    server.cpu = cpu;
    server.over = false;
    server.doorbell = 0;
    server.counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server.counter < 0) {
        return -errno;
    }
    (void)pthread_barrier_init(&server.ready, NULL, 2);
    r = -pthread_create(&server.thread, NULL, serving_thread, NULL);
    if (r == 0) {
        pthread_barrier_wait(&server.ready);
        r = server.result;
        if (r < 0) {
            pthread_join(server.thread, NULL);
        }
    }
    if (r < 0) {
        close(server.counter);
    }
    return r;
}

static int stop_serving(void *unused)
{
    (void)unused;
    server.over = true;
    return 0;
}

void limit_server_end(void)
{
    struct limit_submission stop;

    limit_submit(&stop, stop_serving, NULL);
    (void)limit_submission_wait(&stop);
    pthread_join(server.thread, NULL);
    (void)pthread_barrier_destroy(&server.ready);
    close(server.counter);
}
