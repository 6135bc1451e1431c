/* SPDX-License-Identifier: MIT */
/* Blocking pool: see blocking.h for the states of a job and the invariants. */
#include "cross/blocking.h"

#include <errno.h>
#include <string.h>

#include "cross/mesh.h"
#include "os/sys.h"
#include "os/thread.h"

/* A thread that had nothing to do for so long ends, as rt/blocking.h says. So calls that come now
 * and then find one, and do not wait until it is made. */
#define IDLE_TIME RT_SECONDS(5)

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_DONE };

struct job {
    struct rti_list link; /* while WAITING */
    rt_blocking_fn fn;
    void *arg;
    struct rt_task *task;
    rt_time since; /* when it was pushed */
    int result;    /* valid when DONE */
    enum job_state state;
};

struct rti_worker {
    struct rti_blocking *pool;
    struct rti_list link; /* while it idles */
    pthread_t thread;
    uint32_t woken; /* atomic, a futex: 0 while it idles; changed under the mutex */
    bool made;      /* there is a thread to be joined */
    bool lives;     /* and it has not ended; counted in stats.threads */
};

/* The pool's threads */

/* The mutex is held, but not while the function runs. */
static void run(struct rti_blocking *pool, struct job *job)
{
    struct rt_task *task = job->task; /* the job is gone when it is DONE (G2) */
    const rt_time waited = rti_sys_now() - job->since;
    int result;

    rti_list_remove(&job->link);
    job->state = JOB_RUNNING;
    pool->stats.waiting--;
    if (waited > pool->stats.wait_max) {
        pool->stats.wait_max = waited;
    }
    rti_sys_mutex_unlock(&pool->mutex);
    result = job->fn(job->arg);
    rti_sys_mutex_lock(&pool->mutex);
    job->result = result;
    job->state = JOB_DONE;
    pool->stats.done++;
    rti_sys_mutex_unlock(&pool->mutex);
    rti_wake_task(task); /* G3 */
    rti_sys_mutex_lock(&pool->mutex);
}

/* Until there may be a job. False: there was none for long. The mutex is held, not meanwhile. */
static bool idle(struct rti_blocking *pool, struct rti_worker *self)
{
    const rt_time until = rti_time_add(rti_sys_now(), IDLE_TIME);
    int r = 0;

    __atomic_store_n(&self->woken, 0, __ATOMIC_RELAXED);
    rti_list_push_back(&pool->idle, &self->link);
    while (r != -ETIMEDOUT && __atomic_load_n(&self->woken, __ATOMIC_RELAXED) == 0) {
        rti_sys_mutex_unlock(&pool->mutex);
        r = rti_sys_futex_wait(&self->woken, 0, until);
        rti_sys_mutex_lock(&pool->mutex);
    }
    if (__atomic_load_n(&self->woken, __ATOMIC_RELAXED) != 0) {
        return true; /* who woke it has taken it out of the list */
    }
    rti_list_remove(&self->link);
    return false;
}

static void settle(const struct rti_blocking *pool)
{
    int r;

    (void)rti_sys_thread_set_name("rt-block");
    if (pool->cpus == NULL) {
        return;
    }
    r = rti_sys_setaffinity(pool->cpus_bytes, pool->cpus);
    if (r < 0) {
        rti_log(&pool->log, RT_LOG_WARNING,
                "a thread for blocking calls cannot leave the CPU of the shard that made it: %s",
                rt_strerror(r));
    }
}

static void *worker_main(void *arg)
{
    struct rti_worker *self = arg;
    struct rti_blocking *pool = self->pool;

    settle(pool);
    rti_sys_mutex_lock(&pool->mutex);
    do {
        struct rti_list *first;

        while ((first = rti_list_first(&pool->jobs)) != NULL) { /* G1 */
            run(pool, RTI_CONTAINER_OF(first, struct job, link));
        }
    } while (!pool->stops && idle(pool, self));
    self->lives = false;
    pool->stats.threads--;
    rti_sys_mutex_unlock(&pool->mutex);
    return NULL;
}

/* The mutex is held. The word is for rti_sys_futex_wake(), once it is not. */
static uint32_t *take_idle(struct rti_blocking *pool)
{
    struct rti_worker *worker;

    if (rti_list_is_empty(&pool->idle)) {
        return NULL;
    }
    worker = RTI_CONTAINER_OF(pool->idle.prev, struct rti_worker, link);
    rti_list_remove(&worker->link);
    __atomic_store_n(&worker->woken, 1, __ATOMIC_RELAXED);
    return &worker->woken;
}

/* Making threads, on a shard that has a job for one. The mutex is held. */

/* Twice the threads: one that ends may take a while, by what its functions have left to do then. */
static uint32_t slots(const struct rti_blocking *pool)
{
    return 2 * pool->threads_limit;
}

/* Room for a thread; NULL: too many are about to end. */
static struct rti_worker *free_worker(struct rti_blocking *pool)
{
    for (uint32_t i = 0; i < slots(pool); i++) {
        struct rti_worker *worker = &pool->workers[i];

        if (worker->made && !worker->lives && rti_sys_thread_try_join(worker->thread) == 0) {
            worker->made = false;
        }
        if (!worker->made) {
            return worker;
        }
    }
    return NULL;
}

static int make_thread(struct rti_blocking *pool)
{
    struct rti_worker *worker = free_worker(pool);
    sigset_t old_set;
    int r;

    if (worker == NULL) {
        return -EAGAIN;
    }
    worker->pool = pool;
    rti_thread_block_signals(&old_set); /* threads inherit the mask */
    r = rti_sys_thread_create(&worker->thread, worker_main, worker);
    rti_thread_unblock_signals(&old_set);
    worker->made = r == 0;
    worker->lives = r == 0;
    if (r < 0) {
        pool->stats.threads_failed++;
        return r;
    }
    pool->stats.threads++;
    if (pool->stats.threads > pool->stats.threads_max) {
        pool->stats.threads_max = pool->stats.threads;
    }
    return 0;
}

/* The CPUs that this shard was started on, less those of all shards; where there are no others all
 * of them, for the thread begins with the one of the shard that makes it. 0 or -ENOMEM. */
static int choose_cpus(struct rti_blocking *pool, const struct rti_mesh_shard *shard)
{
    const struct rti_thread *own = &shard->executor->thread;

    if (own->old_affinity == NULL) {
        return 0; /* not bound */
    }
    pool->cpus_bytes = own->set_bytes;
    pool->cpus = rti_sys_alloc(own->set_bytes);
    if (pool->cpus == NULL) {
        return -ENOMEM;
    }
    memcpy(pool->cpus, own->old_affinity, own->set_bytes);
    for (uint32_t i = 0; i < shard->mesh->shard_count; i++) {
        const int cpu = shard->mesh->shards[i]->executor->thread.cpu;

        if (cpu >= 0) {
            CPU_CLR_S((size_t)cpu, own->set_bytes, pool->cpus);
        }
    }
    if (CPU_COUNT_S(own->set_bytes, pool->cpus) == 0) {
        memcpy(pool->cpus, own->old_affinity, own->set_bytes);
    }
    return 0;
}

/* Before the first job. */
static int prepare(struct rti_blocking *pool, const struct rti_mesh_shard *shard)
{
    struct rti_worker *workers = rti_sys_alloc(slots(pool) * sizeof(*workers));
    int r = workers == NULL ? -ENOMEM : choose_cpus(pool, shard);

    if (r < 0) {
        rti_sys_free(workers);
        return r;
    }
    pool->log = shard->executor->log;
    pool->workers = workers;
    return 0;
}

/* A thread will come for the job that is pushed next (G1): 0, with the word of one to be woken or
 * NULL; or -errno. */
static int need_thread(struct rti_blocking *pool, uint32_t **wake)
{
    int r = 0;

    *wake = take_idle(pool);
    if (*wake == NULL && pool->stats.threads < pool->threads_limit) {
        r = make_thread(pool);
    }
    return pool->stats.threads > 0 ? 0 : r;
}

static int push_locked(struct rti_blocking *pool, const struct rti_mesh_shard *shard,
                       struct job *job, uint32_t **wake)
{
    int r = pool->workers == NULL ? prepare(pool, shard) : 0;

    if (r < 0) {
        return r;
    }
    if (pool->stats.waiting >= pool->queue_limit || need_thread(pool, wake) < 0) {
        pool->stats.refused++;
        return -EAGAIN;
    }
    rti_list_push_back(&pool->jobs, &job->link);
    pool->stats.waiting++;
    if (pool->stats.waiting > pool->stats.waiting_max) {
        pool->stats.waiting_max = pool->stats.waiting;
    }
    return 0;
}

static int push(struct rti_blocking *pool, const struct rti_mesh_shard *shard, struct job *job)
{
    uint32_t *wake = NULL;
    int r;

    job->since = rti_sys_now();
    rti_sys_mutex_lock(&pool->mutex);
    r = push_locked(pool, shard, job, &wake);
    rti_sys_mutex_unlock(&pool->mutex);
    if (wake != NULL) {
        (void)rti_sys_futex_wake(wake);
    }
    return r;
}

/* The task that waits */

void rti_blocking_leave(struct rti_waiter *waiter)
{
    (void)waiter; /* the task takes the job back itself, if it still can */
}

static bool is_done(struct rti_blocking *pool, const struct job *job)
{
    bool done;

    rti_sys_mutex_lock(&pool->mutex);
    done = job->state == JOB_DONE;
    rti_sys_mutex_unlock(&pool->mutex);
    return done;
}

/* False: a thread has it. */
static bool take_back(struct rti_blocking *pool, struct job *job)
{
    bool waits;

    rti_sys_mutex_lock(&pool->mutex);
    waits = job->state == JOB_WAITING;
    if (waits) {
        rti_list_remove(&job->link);
        pool->stats.waiting--;
        pool->stats.withdrawn++;
    }
    rti_sys_mutex_unlock(&pool->mutex);
    return waits;
}

/* One wait for a wake: 0, or why it has ended. */
static int wait_for_wake(const struct rti_wait_kind *kind, enum rti_wait_mode mode,
                         rt_time deadline)
{
    struct rti_waiter waiter;

    rti_waiter_init(&waiter, kind);
    waiter.mode = (uint8_t)mode;
    return rti_wait(&waiter, deadline);
}

/* 0 when the job is DONE, or why it was taken back. */
static int await(struct rti_blocking *pool, const struct rti_wait_kind *kind, struct job *job,
                 rt_time deadline)
{
    for (;;) {
        int r = rti_wait_allowed(); /* may let others run, so a wake may be missed: look then */

        if (is_done(pool, job)) {
            return 0;
        }
        if (r == 0) {
            r = wait_for_wake(kind, RTI_WAIT_PLAIN, deadline);
        }
        if (r < 0) {
            if (take_back(pool, job)) {
                return r;
            }
            break;
        }
    }
    while (!is_done(pool, job)) {
        (void)wait_for_wake(kind, RTI_WAIT_EXEMPT, RT_NEVER);
    }
    return 0;
}

int rti_blocking_call(const struct rti_wait_kind *kind, rt_blocking_fn fn, void *arg, int *result,
                      rt_time deadline)
{
    struct rti_mesh_shard *shard = rti_mesh_here();
    struct rti_blocking *pool = &shard->mesh->blocking;
    struct job job = { .fn = fn, .arg = arg, .task = rti_current->running };
    int r = rti_wait_allowed();

    if (r == 0) {
        r = push(pool, shard, &job);
    }
    if (r == 0) {
        r = await(pool, kind, &job, deadline);
    }
    if (r == 0 && result != NULL) {
        *result = job.result;
    }
    return r;
}

/* Life */

void rti_blocking_init(struct rti_blocking *pool, const struct rt_config *config)
{
    *pool = (struct rti_blocking){ .threads_limit = config->blocking_threads,
                                   .queue_limit = config->blocking_queue };
    rti_sys_mutex_init(&pool->mutex);
    rti_list_init(&pool->jobs);
    rti_list_init(&pool->idle);
}

void rti_blocking_stop(struct rti_blocking *pool)
{
    uint32_t *wake;

    rti_sys_mutex_lock(&pool->mutex);
    RTI_ASSERT(rti_list_is_empty(&pool->jobs)); /* each is a task that lives */
    pool->stops = true;
    while ((wake = take_idle(pool)) != NULL) {
        (void)rti_sys_futex_wake(wake);
    }
    rti_sys_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; pool->workers != NULL && i < slots(pool); i++) {
        if (pool->workers[i].made) {
            (void)rti_sys_thread_join(pool->workers[i].thread);
        }
    }
}

void rti_blocking_fini(struct rti_blocking *pool)
{
    rti_sys_free(pool->cpus);
    rti_sys_free(pool->workers);
    rti_sys_mutex_fini(&pool->mutex);
}

/* Public */

int rt_blocking(rt_blocking_fn fn, void *arg, int *result, rt_time deadline)
{
    static const struct rti_wait_kind kind = RTI_BLOCKING_KIND("blocking call");

    (void)rti_mesh_of_task("rt_blocking");
    RTI_ASSERT(fn != NULL);
    return rti_blocking_call(&kind, fn, arg, result, deadline);
}

void rt_blocking_stats_get(struct rt_blocking_stats *out, size_t bytes)
{
    struct rti_blocking *pool = &rti_mesh_of_task("rt_blocking_stats_get")->mesh->blocking;
    struct rt_blocking_stats stats;

    rti_sys_mutex_lock(&pool->mutex);
    stats = pool->stats;
    rti_sys_mutex_unlock(&pool->mutex);
    memset(out, 0, bytes);
    memcpy(out, &stats, bytes < sizeof(stats) ? bytes : sizeof(stats));
}
