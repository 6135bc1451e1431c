/* SPDX-License-Identifier: MIT */
/* Fault: see fault.h. */
#include "support/fault.h"

#include <errno.h>
#include <stddef.h>

#include "os/sys.h"

/* Read and written by all threads of the runtime under test, hence atomic where they can meet. */
static struct {
    bool counting; /* changes while no thread but the test's runs */
    bool hit;
    unsigned calls;
    unsigned nth;
    const char *name;
    int64_t live_blocks;
    int64_t live_mapped;
    uint64_t allocations;
} fault;

static void count(int64_t *counter, int64_t change)
{
    __atomic_add_fetch(counter, change, __ATOMIC_RELAXED);
}

void fault_begin(unsigned n)
{
    fault.counting = true;
    fault.hit = false;
    fault.calls = 0;
    fault.nth = n;
    fault.name = "none";
}

bool fault_end(void)
{
    fault.counting = false;
    return fault.hit;
}

const char *fault_name(void)
{
    return fault.name;
}

unsigned fault_calls(void)
{
    return fault.calls;
}

int64_t fault_live_blocks(void)
{
    return fault.live_blocks;
}

int64_t fault_live_mapped(void)
{
    return fault.live_mapped;
}

uint64_t fault_allocations(void)
{
    return fault.allocations;
}

/* Whether this call is the one that fails. */
static bool fails(const char *name)
{
    if (!fault.counting || __atomic_add_fetch(&fault.calls, 1, __ATOMIC_RELAXED) != fault.nth) {
        return false;
    }
    fault.hit = true;
    fault.name = name;
    return true;
}

/* A wrapped function that fails without doing anything. */
#define WRAP(type, name, parameters, arguments, error) \
    type __real_##name parameters;                     \
    type __wrap_##name parameters;                     \
    type __wrap_##name parameters                      \
    {                                                  \
        return fails(#name) ? (error) : __real_##name arguments; \
    }

WRAP(int, rti_sys_uring_setup, (unsigned entries, struct io_uring_params *params),
     (entries, params), -ENOMEM)
WRAP(int, rti_sys_uring_enter,
     (int fd, unsigned to_submit, unsigned wait, unsigned flags, void *arg, size_t bytes),
     (fd, to_submit, wait, flags, arg, bytes), -EAGAIN)
WRAP(int, rti_sys_uring_register, (int fd, unsigned opcode, const void *arg, unsigned count),
     (fd, opcode, arg, count), -ENOMEM)
WRAP(int, rti_sys_mprotect, (void *address, size_t bytes, int protection),
     (address, bytes, protection), -ENOMEM)
WRAP(int, rti_sys_madvise, (void *address, size_t bytes, int advice), (address, bytes, advice),
     -ENOMEM)
WRAP(int, rti_sys_mincore, (const void *address, size_t bytes, unsigned char *resident),
     (address, bytes, resident), -ENOMEM)
WRAP(int, rti_sys_socket, (int domain, int type, int protocol), (domain, type, protocol), -EMFILE)
WRAP(int, rti_sys_bind, (int fd, const struct sockaddr *address, socklen_t bytes),
     (fd, address, bytes), -EADDRNOTAVAIL)
WRAP(int, rti_sys_listen, (int fd, int backlog), (fd, backlog), -EADDRINUSE)
WRAP(int, rti_sys_setsockopt, (int fd, int level, int option, const void *value, socklen_t bytes),
     (fd, level, option, value, bytes), -ENOPROTOOPT)
WRAP(int, rti_sys_poll, (int fd, unsigned events), (fd, events), -ENOMEM)
WRAP(int, rti_sys_getsockopt, (int fd, int level, int option, void *value, socklen_t *bytes),
     (fd, level, option, value, bytes), -ENOBUFS)
WRAP(int, rti_sys_getsockname, (int fd, struct sockaddr *address, socklen_t *bytes),
     (fd, address, bytes), -ENOBUFS)
WRAP(int, rti_sys_getpeername, (int fd, struct sockaddr *address, socklen_t *bytes),
     (fd, address, bytes), -ENOTCONN)
WRAP(int, rti_sys_duplicate, (int fd), (fd), -EMFILE)
WRAP(int, rti_sys_truncate, (int fd, off_t bytes), (fd, bytes), -EIO)
WRAP(int, rti_sys_set_life_hint, (int fd, uint64_t hint), (fd, hint), -EINVAL)
WRAP(int, rti_sys_lock_range, (int fd, short type, off_t offset, off_t bytes),
     (fd, type, offset, bytes), -ENOLCK)
WRAP(int, rti_sys_open_to_read, (const char *path), (path), -EMFILE)
WRAP(int, rti_sys_open_to_append, (const char *path), (path), -EMFILE)
WRAP(ssize_t, rti_sys_read, (int fd, void *memory, size_t bytes), (fd, memory, bytes), -EIO)
WRAP(ssize_t, rti_sys_write, (int fd, const void *memory, size_t bytes), (fd, memory, bytes), -EIO)
WRAP(ssize_t, rti_sys_seek, (int fd, off_t offset), (fd, offset), -EIO)
WRAP(ssize_t, rti_sys_getdents, (int fd, void *memory, size_t bytes), (fd, memory, bytes), -EIO)
WRAP(ssize_t, rti_sys_readlink, (int directory, const char *path, char *text, size_t bytes),
     (directory, path, text, bytes), -EIO)
WRAP(int, rti_sys_stat, (const char *path, struct stat *out), (path, out), -EACCES)
WRAP(int, rti_sys_statfs, (const char *path, struct statfs *out), (path, out), -EACCES)
WRAP(int, rti_sys_unlink, (int directory, const char *path), (directory, path), -EIO)
WRAP(int, rti_sys_watch_open, (void), (), -EMFILE)
WRAP(int, rti_sys_watch_add, (int fd, const char *path, uint32_t events), (fd, path, events),
     -ENOSPC)
WRAP(int, rti_sys_watch_remove, (int fd, int place), (fd, place), -EINVAL)
WRAP(int, rti_sys_eventfd, (void), (), -EMFILE)
WRAP(int, rti_sys_futex_wait, (uint32_t * word, uint32_t expected, rt_time deadline),
     (word, expected, deadline), -EINTR)
WRAP(int, rti_sys_thread_create, (pthread_t * out, void *(*entry)(void *), void *arg),
     (out, entry, arg), -EAGAIN)
WRAP(int, rti_sys_at_fork, (void (*in_child)(void)), (in_child), -ENOMEM)
WRAP(int, rti_sys_thread_set_name, (const char *name), (name), -ENOENT)
WRAP(int, rti_sys_mempolicy_near, (int node), (node), -ENOSYS)
WRAP(int, rti_sys_mbind_near, (void *address, size_t bytes, int node), (address, bytes, node),
     -ENOSYS)
WRAP(int, rti_sys_getaffinity, (size_t bytes, cpu_set_t *set), (bytes, set), -EINVAL)
WRAP(int, rti_sys_setaffinity, (size_t bytes, const cpu_set_t *set), (bytes, set), -EINVAL)
WRAP(int, rti_sys_prctl, (int option, unsigned long argument), (option, argument), -EINVAL)
WRAP(int, rti_sys_sigaltstack, (const stack_t *new_stack, stack_t *old_stack),
     (new_stack, old_stack), -ENOMEM)
WRAP(int, rti_sys_sigaction,
     (int number, const struct sigaction *action, struct sigaction *old_action),
     (number, action, old_action), -EINVAL)

/* These do not fail when used rightly: a signal of a counter, which only says that it is full, the
 * wake of a futex, the join of a thread, a mask, numbers, and a mutex. */
#define PASS(type, name, parameters, arguments) \
    type __real_##name parameters;              \
    type __wrap_##name parameters;              \
    type __wrap_##name parameters               \
    {                                           \
        return __real_##name arguments;         \
    }

PASS(int, rti_sys_eventfd_signal, (int fd), (fd))
PASS(int, rti_sys_futex_wake, (uint32_t * word), (word))
PASS(int, rti_sys_thread_join, (pthread_t thread), (thread))
WRAP(int, rti_sys_thread_try_join, (pthread_t thread), (thread), -EBUSY)
PASS(int, rti_sys_thread_id, (void), ())
PASS(int, rti_sys_process_id, (void), ())
PASS(int, rti_sys_sigmask, (int how, const sigset_t *set, sigset_t *old_set), (how, set, old_set))

void __real_rti_sys_semaphore_post(sem_t *semaphore);
void __wrap_rti_sys_semaphore_post(sem_t *semaphore);
void __wrap_rti_sys_semaphore_post(sem_t *semaphore)
{
    __real_rti_sys_semaphore_post(semaphore);
}

void __real_rti_sys_semaphore_wait(sem_t *semaphore);
void __wrap_rti_sys_semaphore_wait(sem_t *semaphore);
void __wrap_rti_sys_semaphore_wait(sem_t *semaphore)
{
    if (!fails("rti_sys_semaphore_wait")) { /* as after a signal */
        __real_rti_sys_semaphore_wait(semaphore);
    }
}

void __real_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline);
void __wrap_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline);
void __wrap_rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline)
{
    if (!fails("rti_sys_semaphore_wait_until")) { /* as after a signal */
        __real_rti_sys_semaphore_wait_until(semaphore, deadline);
    }
}

PASS(rt_time, rti_sys_thread_cpu_of, (int thread_id), (thread_id))
PASS(int, rti_sys_thread_signal, (int thread_id, int number), (thread_id, number))
PASS(int, rti_sys_fence_prepare, (void), ())
PASS(int, rti_sys_fence_all, (void), ())

#define PASS_MUTEX(name)                           \
    void __real_##name(pthread_mutex_t *mutex);    \
    void __wrap_##name(pthread_mutex_t *mutex);    \
    void __wrap_##name(pthread_mutex_t *mutex)     \
    {                                              \
        __real_##name(mutex);                      \
    }

PASS_MUTEX(rti_sys_mutex_init)
PASS_MUTEX(rti_sys_mutex_fini)
PASS_MUTEX(rti_sys_mutex_lock)
PASS_MUTEX(rti_sys_mutex_unlock)

/* These cannot fail; a pause is none here, for nothing gets better by waiting. */
void __wrap_rti_sys_pause(rt_time duration);
void __wrap_rti_sys_pause(rt_time duration)
{
    (void)duration;
}

void __real_rti_sys_write_error(const char *text, size_t bytes);
void __wrap_rti_sys_write_error(const char *text, size_t bytes);
void __wrap_rti_sys_write_error(const char *text, size_t bytes)
{
    __real_rti_sys_write_error(text, bytes);
}

void __real_rti_sys_raise(int number);
void __wrap_rti_sys_raise(int number);
void __wrap_rti_sys_raise(int number)
{
    __real_rti_sys_raise(number);
}

void __real_rti_sys_kill_self(int number);
void __wrap_rti_sys_kill_self(int number);
void __wrap_rti_sys_kill_self(int number)
{
    __real_rti_sys_kill_self(number);
}

/* The clock cannot fail. */
rt_time __real_rti_sys_now(void);
rt_time __wrap_rti_sys_now(void);
rt_time __wrap_rti_sys_now(void)
{
    return __real_rti_sys_now();
}

rt_time __real_rti_sys_thread_cpu(void);
rt_time __wrap_rti_sys_thread_cpu(void);
rt_time __wrap_rti_sys_thread_cpu(void)
{
    return __real_rti_sys_thread_cpu();
}

size_t __real_rti_sys_page_bytes(void);
size_t __wrap_rti_sys_page_bytes(void);
size_t __wrap_rti_sys_page_bytes(void)
{
    return __real_rti_sys_page_bytes();
}

double __real_rti_sys_ticks_per_ns(void);
double __wrap_rti_sys_ticks_per_ns(void);
double __wrap_rti_sys_ticks_per_ns(void)
{
    return __real_rti_sys_ticks_per_ns();
}

uint64_t __real_rti_sys_ticks(void);
uint64_t __wrap_rti_sys_ticks(void);
uint64_t __wrap_rti_sys_ticks(void)
{
    return __real_rti_sys_ticks();
}

/* Memory is counted. */
int __real_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    int r;

    if (fails("rti_sys_mmap")) {
        return -ENOMEM;
    }
    r = __real_rti_sys_mmap(out, bytes, protection, flags, fd, offset);
    count(&fault.live_mapped, r == 0 ? (int64_t)bytes : 0);
    return r;
}

int __real_rti_sys_munmap(void *address, size_t bytes);
int __wrap_rti_sys_munmap(void *address, size_t bytes);
int __wrap_rti_sys_munmap(void *address, size_t bytes)
{
    const int r = __real_rti_sys_munmap(address, bytes);

    count(&fault.live_mapped, r == 0 ? -(int64_t)bytes : 0);
    return fails("rti_sys_munmap") ? -ENOMEM : r;
}

void *__real_rti_sys_alloc(size_t bytes);
void *__wrap_rti_sys_alloc(size_t bytes);
void *__wrap_rti_sys_alloc(size_t bytes)
{
    void *memory = fails("rti_sys_alloc") ? NULL : __real_rti_sys_alloc(bytes);

    if (memory != NULL) {
        count(&fault.live_blocks, 1);
        __atomic_add_fetch(&fault.allocations, 1, __ATOMIC_RELAXED);
    }
    return memory;
}

void *__real_rti_sys_alloc_unset(size_t bytes);
void *__wrap_rti_sys_alloc_unset(size_t bytes);
void *__wrap_rti_sys_alloc_unset(size_t bytes)
{
    void *memory = fails("rti_sys_alloc_unset") ? NULL : __real_rti_sys_alloc_unset(bytes);

    if (memory != NULL) {
        count(&fault.live_blocks, 1);
        __atomic_add_fetch(&fault.allocations, 1, __ATOMIC_RELAXED);
    }
    return memory;
}

void __real_rti_sys_free(void *memory);
void __wrap_rti_sys_free(void *memory);
void __wrap_rti_sys_free(void *memory)
{
    count(&fault.live_blocks, memory != NULL ? -1 : 0);
    __real_rti_sys_free(memory);
}

/* Closed in any case: close(2). */
int __real_rti_sys_close(int fd);
int __wrap_rti_sys_close(int fd);
int __wrap_rti_sys_close(int fd)
{
    const int r = __real_rti_sys_close(fd);

    return fails("rti_sys_close") ? -EIO : r;
}
