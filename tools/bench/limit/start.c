/* SPDX-License-Identifier: MIT */
/* Row start_stop. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "limit.h"
#include "ring.h"

#define THREADS 2

/* The queues that the runtime makes when nothing else is asked for. */
#define SQ_ENTRIES 256
#define CQ_ENTRIES 4096

struct thread {
    pthread_t id;
    int cpu;
    int result; /* valid when joined */
};

static int open_and_close_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE,
        .cq_entries = CQ_ENTRIES,
    };
    struct io_uring ring;
    int r = io_uring_queue_init_params(SQ_ENTRIES, &ring, &params);

    if (r < 0) {
        return r;
    }
    r = io_uring_register_ring_fd(&ring);
    io_uring_queue_exit(&ring);
    return r < 0 ? r : 0;
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET((size_t)thread->cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) {
        thread->result = -errno;
    } else {
        thread->result = open_and_close_ring();
    }
    return NULL;
}

int limit_start_stop(const int cpus[2])
{
    struct thread threads[THREADS] = { { .cpu = cpus[0] }, { .cpu = cpus[1] } };
    int made = 0;
    int r = 0;

    while (made < THREADS && r == 0) {
        r = -pthread_create(&threads[made].id, NULL, thread_main, &threads[made]);
        made += r == 0;
    }
    for (int i = 0; i < made; i++) {
        pthread_join(threads[i].id, NULL);
        r = r < 0 ? r : threads[i].result;
    }
    return r;
}
