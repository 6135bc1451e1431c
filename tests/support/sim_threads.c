/* SPDX-License-Identifier: MIT */
/*
 * Sim, threads: real threads that run one at a time.
 *
 * There is one baton, and the thread that holds it runs. It is handed on when
 * its holder waits (in an enter, on a futex, for another thread) and, by chance,
 * at points where a switch may do harm: calls of the seam, and atomic accesses of
 * sources that are compiled for it (points.c). Who gets it is drawn from the seed.
 * So the threads have their own thread-local variables and stacks, as in earnest,
 * and yet every run can be repeated. Between two points memory is seen in order by
 * all: what weak memory does is not tried here.
 *
 * B1 Whoever touches the sim holds the baton.
 * B2 The clock moves past an event only when every thread waits; then it goes to
 *    whatever comes first, an event or the end of somebody's wait.
 * B3 When all wait and nothing will come, a wake was lost: all of it is printed.
 *
 * Locks go through the seam too: who waits for one hands the baton on.
 */
#include "sim_internal.h"

#include <errno.h>
#include <inttypes.h>

#include "os/sys.h"

#define STACK_BYTES ((size_t)512 * 1024) /* of a thread; sanitizers need most of it */
#define EARLY_MAX   RT_MICROSECONDS(100) /* interrupted so late at most */

int __real_rti_sys_thread_create(pthread_t *out, void *(*entry)(void *), void *arg);
int __wrap_rti_sys_thread_create(pthread_t *out, void *(*entry)(void *), void *arg);
int __real_rti_sys_thread_join(pthread_t thread);
int __wrap_rti_sys_thread_join(pthread_t thread);
int __real_rti_sys_thread_try_join(pthread_t thread);
int __wrap_rti_sys_thread_try_join(pthread_t thread);
int __real_rti_sys_futex_wait(uint32_t *word, uint32_t expected, rt_time deadline);
int __wrap_rti_sys_futex_wait(uint32_t *word, uint32_t expected, rt_time deadline);
int __real_rti_sys_futex_wake(uint32_t *word);
int __wrap_rti_sys_futex_wake(uint32_t *word);
void __real_rti_sys_semaphore_post(sem_t *semaphore);
void __wrap_rti_sys_semaphore_post(sem_t *semaphore);
void __real_rti_sys_semaphore_wait(sem_t *semaphore);
void __wrap_rti_sys_semaphore_wait(sem_t *semaphore);
void __real_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline);
void __wrap_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline);
void __real_rti_sys_mutex_lock(pthread_mutex_t *mutex);
void __wrap_rti_sys_mutex_lock(pthread_mutex_t *mutex);
void __real_rti_sys_mutex_unlock(pthread_mutex_t *mutex);
void __wrap_rti_sys_mutex_unlock(pthread_mutex_t *mutex);
void __real_rti_sys_pause(rt_time duration);
void __wrap_rti_sys_pause(rt_time duration);

static _Thread_local struct sim_thread *self;

struct sim_thread *sim_thread_self(void)
{
    RTI_ASSERT(self != NULL); /* a thread that the sim did not make (B1) */
    return self;
}

static void thread_init(struct sim_thread *thread)
{
    thread->number = sim.thread_numbers++;
    RTI_ASSERT(sem_init(&thread->baton, 0, 0) == 0);
    rti_list_push_back(&sim.threads, &thread->in_sim);
    sim.thread_count++;
}

/* It has ended, and its memory may go as soon as the real thread is gone. */
static int thread_join(struct sim_thread *thread)
{
    const pthread_t handle = thread->handle;
    int r;

    rti_list_remove(&thread->in_sim);
    sim.thread_count--;
    r = __real_rti_sys_thread_join(handle);
    (void)sem_destroy(&thread->baton);
    free(thread);
    return r;
}

void sim_threads_begin(void)
{
    rti_list_init(&sim.threads);
    rti_list_init(&sim.futexes);
    rti_list_init(&sim.locks);
    thread_init(&sim.main_thread);
    self = &sim.main_thread;
}

void sim_threads_end(unsigned *out_count)
{
    struct rti_list *node;

    *out_count = sim.thread_count - 1;
    while ((node = sim.threads.next->next) != &sim.threads) { /* behind the main thread */
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (!thread->has_ended) { /* its stack cannot be taken away */
            sim_report_waits("a thread is left at the end");
        }
        (void)thread_join(thread);
    }
}

/* ---- the baton ---- */

static void take_baton(struct sim_thread *thread)
{
    while (sem_wait(&thread->baton) != 0) {
        RTI_ASSERT(errno == EINTR);
    }
}

static void hand_baton(struct sim_thread *to)
{
    sim_hash_add(to->number);
    if (to != self) {
        RTI_ASSERT(sem_post(&to->baton) == 0);
        take_baton(self);
    }
}

static bool may_run(const struct sim_thread *thread)
{
    if (thread->has_ended) {
        return false;
    }
    return thread->wait == NULL || thread->wait->is_over(thread->wait->arg) ||
           thread->wait->deadline <= sim.now;
}

/* The test chooses. The thread that runs comes first, then the others in order of their birth. */
static struct sim_thread *choose_by_test(void)
{
    const bool stays = may_run(self);
    unsigned count = stays;
    unsigned left;

    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        count += thread != self && may_run(thread);
    }
    left = count > 1 ? sim.config.choose_thread(count, stays) : 0;
    if (stays && left-- == 0) {
        return self;
    }
    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (thread != self && may_run(thread) && left-- == 0) {
            return thread;
        }
    }
    return NULL;
}

/* One of those that can go on; NULL: nobody can. */
static struct sim_thread *choose(void)
{
    struct sim_thread *chosen = NULL;
    unsigned count = 0;

    if (sim.config.choose_thread != NULL) {
        return choose_by_test();
    }
    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (may_run(thread) && (++count == 1 || rand_below(&sim.rand, count) == 0)) {
            chosen = thread; /* each of the `count` so far is equally likely */
        }
    }
    return chosen;
}

void sim_point(void)
{
    if (sim.is_active && sim.thread_count > 1 && !sim.is_settling &&
        (sim.config.choose_thread != NULL || rand_chance(&sim.rand, sim.config.switch_per_mille))) {
        hand_baton(choose());
    }
}

/* ---- waiting ---- */

void sim_report_waits(const char *why)
{
    fprintf(stderr, "sim: %s\n", why);
    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        const struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (!thread->has_ended) {
            fprintf(stderr, "sim: thread%u %s %s", thread->number,
                    thread->wait != NULL ? "waits for" : "runs",
                    thread->wait != NULL ? thread->wait->what : "");
            sim_ring_report(thread);
        }
    }
    sim_print_in_flight();
    abort();
}

/* The clock goes to what comes first (B2). False: nothing will. */
static bool let_time_pass(void)
{
    rt_time first = sim_next_event();

    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        const struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (!thread->has_ended && thread->wait->deadline < first) {
            first = thread->wait->deadline;
        }
    }
    if (first == RT_NEVER) {
        return false;
    }
    sim.stats.jumps++;
    sim_trace("all wait: %" PRId64 " ns pass", first - sim.now);
    sim_move_to(first);
    return true;
}

/* Nothing will happen by itself (B3). True: the hook of the test has made something happen. */
static bool ask_deadlock_hook(void)
{
    sim_trace("deadlock");
    if (sim.config.deadlock == NULL) {
        sim_report_waits("all threads wait, and nothing is due");
    }
    sim.config.deadlock(sim.config.deadlock_arg);
    sim_settle();
    return choose() != NULL || sim.heap_count > 0;
}

/* A fault: the wait ends before its time, perhaps only after others have run. */
static int draw_early(struct sim_wait *wait)
{
    int early = 0;

    if (wait->may_be_interrupted && sim_fault(sim.config.faults.enter_eintr, "EINTR")) {
        early = -EINTR;
    } else if (wait->may_be_spurious &&
               sim_fault(sim.config.faults.spurious_wake, "spurious wake")) {
        early = SIM_SPURIOUS;
    }
    if (early != 0 && wait->deadline > sim.now) {
        const rt_time left = wait->deadline - sim.now;

        wait->deadline = sim.now + rand_range(&sim.rand, 0, left < EARLY_MAX ? left : EARLY_MAX);
    }
    return early;
}

int sim_thread_wait(struct sim_wait *wait)
{
    const int early = draw_early(wait);
    struct sim_thread *next;
    int r = 0;

    RTI_ASSERT(!sim.is_settling); /* a hook must not wait */
    sim.stats.waits++;
    self->wait = wait;
    while ((next = choose()) == NULL) {
        if (!let_time_pass() && !ask_deadlock_hook()) {
            r = -EDEADLK;
            break;
        }
    }
    if (next != NULL) {
        hand_baton(next);
    }
    self->wait = NULL;
    if (r == 0 && !wait->is_over(wait->arg)) {
        r = early != 0 ? early : -ETIME;
    }
    return r;
}

static bool is_never_over(void *arg)
{
    (void)arg;
    return false;
}

void sim_sleep(rt_time duration)
{
    struct sim_wait wait = { .what = "its sleep to end",
                             .is_over = is_never_over,
                             .deadline = sim.now + duration };

    RTI_ASSERT(sim_thread_wait(&wait) == -ETIME);
}

void __wrap_rti_sys_pause(rt_time duration)
{
    if (!sim.is_active) {
        __real_rti_sys_pause(duration);
        return;
    }
    sim_sleep(duration);
}

/* ---- the life of a thread ---- */

static void *thread_main(void *arg)
{
    struct sim_thread *thread = arg;
    struct sim_thread *next;
    void *result;

    take_baton(thread);
    self = thread;
    result = thread->entry(thread->arg);
    sim_trace("thread ends");
    self->has_ended = true;
    while ((next = choose()) == NULL) { /* somebody joins this thread, so time is all it takes */
        RTI_ASSERT(let_time_pass() || ask_deadlock_hook());
    }
    sim_hash_add(next->number);
    self = NULL;
    RTI_ASSERT(sem_post(&next->baton) == 0);
    return result;
}

int __wrap_rti_sys_thread_create(pthread_t *out, void *(*entry)(void *), void *arg)
{
    struct sim_thread *thread;
    pthread_attr_t attributes;

    if (!sim.is_active) {
        return __real_rti_sys_thread_create(out, entry, arg);
    }
    sim_point();
    if (sim.config.threads_max > 0 && sim.thread_count > sim.config.threads_max) {
        sim_trace("no more threads");
        return -EAGAIN;
    }
    thread = sim_alloc(sizeof(*thread));
    thread_init(thread);
    thread->entry = entry;
    thread->arg = arg;
    RTI_ASSERT(pthread_attr_init(&attributes) == 0);
    RTI_ASSERT(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    RTI_ASSERT(pthread_create(&thread->handle, &attributes, thread_main, thread) == 0);
    (void)pthread_attr_destroy(&attributes);
    *out = thread->handle;
    return 0;
}

static bool has_ended(void *thread)
{
    return ((const struct sim_thread *)thread)->has_ended;
}

static struct sim_thread *thread_of(pthread_t handle)
{
    for (struct rti_list *node = sim.threads.next; node != &sim.threads; node = node->next) {
        struct sim_thread *thread = RTI_CONTAINER_OF(node, struct sim_thread, in_sim);

        if (thread->entry != NULL && pthread_equal(thread->handle, handle)) {
            return thread;
        }
    }
    return NULL;
}

int __wrap_rti_sys_thread_join(pthread_t handle)
{
    struct sim_wait wait = { .what = "another to end", .is_over = has_ended, .deadline = RT_NEVER };
    struct sim_thread *thread;

    if (!sim.is_active) {
        return __real_rti_sys_thread_join(handle);
    }
    thread = thread_of(handle);
    RTI_ASSERT(thread != NULL); /* joined twice, or never made */
    wait.arg = thread;
    RTI_ASSERT(sim_thread_wait(&wait) == 0);
    return thread_join(thread);
}

int __wrap_rti_sys_thread_try_join(pthread_t handle)
{
    struct sim_thread *thread;

    if (!sim.is_active) {
        return __real_rti_sys_thread_try_join(handle);
    }
    sim_point();
    thread = thread_of(handle);
    RTI_ASSERT(thread != NULL);
    return has_ended(thread) ? thread_join(thread) : -EBUSY;
}

/* ---- futexes ---- */

struct futex_wait {
    struct rti_list in_sim;
    const uint32_t *word;
    bool is_woken;
};

static bool is_woken(void *futex)
{
    return ((const struct futex_wait *)futex)->is_woken;
}

int __wrap_rti_sys_futex_wait(uint32_t *word, uint32_t expected, rt_time deadline)
{
    struct futex_wait futex = { .word = word };
    struct sim_wait wait = { .what = "a futex",
                             .is_over = is_woken,
                             .arg = &futex,
                             .deadline = deadline,
                             .may_be_interrupted = true,
                             .may_be_spurious = true };
    int r;

    if (!sim.is_active) {
        return __real_rti_sys_futex_wait(word, expected, deadline);
    }
    sim_spend_step();
    sim_point();
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) {
        return -EAGAIN;
    }
    rti_list_push_back(&sim.futexes, &futex.in_sim);
    r = sim_thread_wait(&wait);
    rti_list_remove(&futex.in_sim);
    sim_trace("futex wait = %d", r);
    if (r == SIM_SPURIOUS) {
        return 0;
    }
    return r == -ETIME ? -ETIMEDOUT : r;
}

int __wrap_rti_sys_futex_wake(uint32_t *word)
{
    int count = 0;

    if (!sim.is_active) {
        return __real_rti_sys_futex_wake(word);
    }
    sim_point();
    for (struct rti_list *node = sim.futexes.next; node != &sim.futexes; node = node->next) {
        struct futex_wait *futex = RTI_CONTAINER_OF(node, struct futex_wait, in_sim);

        if (futex->word == word && !futex->is_woken) {
            futex->is_woken = true;
            count++;
        }
    }
    sim_trace("futex wake: %d", count);
    return count;
}

/* ---- semaphores: the real one counts, and nobody blocks in it while he has the baton ---- */

static bool is_posted(void *semaphore)
{
    int count = 0;

    (void)sem_getvalue(semaphore, &count);
    return count > 0;
}

static void wait_for_post(sem_t *semaphore, rt_time deadline)
{
    struct sim_wait wait = { .what = "a semaphore",
                             .is_over = is_posted,
                             .arg = semaphore,
                             .deadline = deadline,
                             .may_be_interrupted = true };

    sim_point();
    if (is_posted(semaphore) || sim_thread_wait(&wait) == 0) {
        (void)sem_trywait(semaphore);
    }
}

void __wrap_rti_sys_semaphore_wait(sem_t *semaphore)
{
    if (sim.is_active) {
        wait_for_post(semaphore, RT_NEVER);
    } else {
        __real_rti_sys_semaphore_wait(semaphore);
    }
}

void __wrap_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline)
{
    if (sim.is_active) {
        wait_for_post(semaphore, deadline);
    } else {
        __real_rti_sys_semaphore_wait_until(semaphore, deadline);
    }
}

void __wrap_rti_sys_semaphore_post(sem_t *semaphore)
{
    if (sim.is_active) {
        sim_point();
    }
    __real_rti_sys_semaphore_post(semaphore);
}

/* ---- locks ---- */

/* Those that are locked. The real one is locked as well, which then never blocks. */
struct lock {
    struct rti_list in_sim;
    const pthread_mutex_t *mutex;
    struct sim_thread *owner;
};

static struct lock *lock_of(const pthread_mutex_t *mutex)
{
    for (struct rti_list *node = sim.locks.next; node != &sim.locks; node = node->next) {
        struct lock *lock = RTI_CONTAINER_OF(node, struct lock, in_sim);

        if (lock->mutex == mutex) {
            return lock;
        }
    }
    return NULL;
}

static bool is_unlocked(void *mutex)
{
    return lock_of(mutex) == NULL;
}

void __wrap_rti_sys_mutex_lock(pthread_mutex_t *mutex)
{
    struct sim_wait wait = {
        .what = "a lock", .is_over = is_unlocked, .arg = mutex, .deadline = RT_NEVER
    };
    struct lock *lock;

    if (sim.is_active) {
        sim_point();
        lock = lock_of(mutex);
        RTI_ASSERT(lock == NULL || lock->owner != self); /* locked twice */
        if (lock != NULL) {
            RTI_ASSERT(sim_thread_wait(&wait) == 0);
        }
        lock = sim_alloc(sizeof(*lock));
        lock->mutex = mutex;
        lock->owner = self;
        rti_list_push_back(&sim.locks, &lock->in_sim);
    }
    __real_rti_sys_mutex_lock(mutex);
}

void __wrap_rti_sys_mutex_unlock(pthread_mutex_t *mutex)
{
    __real_rti_sys_mutex_unlock(mutex);
    if (sim.is_active) {
        struct lock *lock = lock_of(mutex);

        RTI_ASSERT(lock != NULL && lock->owner == self);
        rti_list_remove(&lock->in_sim);
        free(lock);
        sim_point();
    }
}

/* ---- for tests ---- */

unsigned sim_thread_count(void)
{
    return sim.thread_count;
}
