/* SPDX-License-Identifier: MIT */
/* System calls: see sys.h. Nothing but the calls, so that nothing here needs a test of its own. */
#include "os/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/cycles.h"

/* The convention of the C library to ours. */
static int result_of(int r)
{
    return r < 0 ? -errno : r;
}

rt_time rti_sys_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (rt_time)now.tv_sec * RT_SECONDS(1) + now.tv_nsec;
}

rt_time rti_sys_thread_cpu(void)
{
    struct timespec used;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (rt_time)used.tv_sec * RT_SECONDS(1) + used.tv_nsec;
}

uint64_t rti_sys_ticks(void)
{
    static _Thread_local int8_t invariant; /* 0: not yet asked, else 1 or -1 */

    if (invariant == 0) {
        invariant = rti_cycles_are_invariant() ? 1 : -1;
    }
    return invariant > 0 ? rti_cycles() : (uint64_t)rti_sys_now();
}

size_t rti_sys_page_bytes(void)
{
    return (size_t)getauxval(AT_PAGESZ);
}

double rti_sys_ticks_per_ns(void)
{
    return rti_cycles_are_invariant() ? rti_cycles_per_ns() : 1.0;
}

void rti_sys_pause(rt_time duration)
{
    const struct timespec time = { .tv_sec = duration / RT_SECONDS(1),
                                   .tv_nsec = duration % RT_SECONDS(1) };

    (void)nanosleep(&time, NULL);
}

void rti_sys_write_error(const char *text, size_t bytes)
{
    const ssize_t written = write(STDERR_FILENO, text, bytes);

    (void)written; /* nobody is left to be told */
}

void rti_sys_raise(int number)
{
    (void)raise(number);
}

void rti_sys_kill_self(int number)
{
    (void)kill(getpid(), number);
}

/* liburing's bare calls return -errno already. */
int rti_sys_uring_setup(unsigned entries, struct io_uring_params *params)
{
    return io_uring_setup(entries, params);
}

int rti_sys_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                        void *arg, size_t arg_bytes)
{
    return io_uring_enter2((unsigned)fd, to_submit, min_complete, flags, arg, arg_bytes);
}

int rti_sys_uring_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
    return io_uring_register((unsigned)fd, opcode, arg, count);
}

int rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    void *address = mmap(NULL, bytes, protection, flags, fd, offset);

    if (address == MAP_FAILED) {
        return -errno;
    }
    *out = address;
    return 0;
}

int rti_sys_munmap(void *address, size_t bytes)
{
    return result_of(munmap(address, bytes));
}

int rti_sys_mprotect(void *address, size_t bytes, int protection)
{
    return result_of(mprotect(address, bytes, protection));
}

int rti_sys_madvise(void *address, size_t bytes, int advice)
{
    return result_of(madvise(address, bytes, advice));
}

int rti_sys_mincore(const void *address, size_t bytes, unsigned char *resident)
{
    return result_of(mincore((void *)(uintptr_t)address, bytes, resident));
}

void *rti_sys_alloc_unset(size_t bytes)
{
    const size_t line = 64;
    const size_t rounded = (bytes + line - 1) & ~(line - 1);

    return rounded < bytes ? NULL : aligned_alloc(line, rounded);
}

void *rti_sys_alloc(size_t bytes)
{
    void *memory = rti_sys_alloc_unset(bytes);

    if (memory != NULL) {
        memset(memory, 0, bytes);
    }
    return memory;
}

void rti_sys_free(void *memory)
{
    free(memory);
}

int rti_sys_close(int fd)
{
    return result_of(close(fd));
}

int rti_sys_open_to_read(const char *path)
{
    return result_of(open(path, O_RDONLY | O_CLOEXEC));
}

int rti_sys_duplicate(int fd)
{
    return result_of(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int rti_sys_truncate(int fd, off_t bytes)
{
    return result_of(ftruncate(fd, bytes));
}

int rti_sys_set_life_hint(int fd, uint64_t hint)
{
    return result_of(fcntl(fd, F_SET_RW_HINT, &hint));
}

int rti_sys_lock_range(int fd, short type, off_t offset, off_t bytes)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = bytes };

    return result_of(fcntl(fd, F_OFD_SETLK, &lock));
}

int rti_sys_open_to_append(const char *path)
{
    return result_of(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
}

ssize_t rti_sys_write(int fd, const void *memory, size_t bytes)
{
    const ssize_t n = write(fd, memory, bytes);

    return n < 0 ? -errno : n;
}

ssize_t rti_sys_read(int fd, void *memory, size_t bytes)
{
    const ssize_t n = read(fd, memory, bytes);

    return n < 0 ? -errno : n;
}

ssize_t rti_sys_seek(int fd, off_t offset)
{
    const off_t position = lseek(fd, offset, SEEK_SET);

    return position < 0 ? -errno : position;
}

ssize_t rti_sys_getdents(int fd, void *memory, size_t bytes)
{
    const ssize_t n = getdents64(fd, memory, bytes);

    return n < 0 ? -errno : n;
}

ssize_t rti_sys_readlink(int directory, const char *path, char *text, size_t bytes)
{
    const ssize_t n = readlinkat(directory, path, text, bytes);

    return n < 0 ? -errno : n;
}

int rti_sys_stat(const char *path, struct stat *out)
{
    return result_of(stat(path, out));
}

int rti_sys_statfs(const char *path, struct statfs *out)
{
    return result_of(statfs(path, out));
}

int rti_sys_unlink(int directory, const char *path)
{
    return result_of(unlinkat(directory, path, 0));
}

int rti_sys_watch_open(void)
{
    return result_of(inotify_init1(IN_CLOEXEC));
}

int rti_sys_watch_add(int fd, const char *path, uint32_t events)
{
    return result_of(inotify_add_watch(fd, path, events));
}

int rti_sys_watch_remove(int fd, int place)
{
    return result_of(inotify_rm_watch(fd, place));
}

int rti_sys_socket(int domain, int type, int protocol)
{
    return result_of(socket(domain, type, protocol));
}

int rti_sys_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
    return result_of(bind(fd, address, bytes));
}

int rti_sys_listen(int fd, int backlog)
{
    return result_of(listen(fd, backlog));
}

int rti_sys_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
    return result_of(setsockopt(fd, level, option, value, bytes));
}

int rti_sys_poll(int fd, unsigned events)
{
    struct pollfd one = { .fd = fd, .events = (short)events };
    const int r = result_of(poll(&one, 1, 0));

    if (r > 0 && (one.revents & POLLNVAL) != 0) {
        return -EBADF;
    }
    return r > 0 ? one.revents : r;
}

int rti_sys_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes)
{
    return result_of(getsockopt(fd, level, option, value, bytes));
}

int rti_sys_getsockname(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return result_of(getsockname(fd, address, bytes));
}

int rti_sys_getpeername(int fd, struct sockaddr *address, socklen_t *bytes)
{
    return result_of(getpeername(fd, address, bytes));
}

int rti_sys_eventfd(void)
{
    return result_of(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int rti_sys_eventfd_signal(int fd)
{
    return result_of(eventfd_write(fd, 1));
}

int rti_sys_futex_wait(uint32_t *word, uint32_t expected, rt_time deadline)
{
    const struct timespec until = { .tv_sec = deadline / RT_SECONDS(1),
                                    .tv_nsec = deadline % RT_SECONDS(1) };

    return result_of((int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
                                  deadline == RT_NEVER ? NULL : &until, NULL,
                                  FUTEX_BITSET_MATCH_ANY));
}

int rti_sys_futex_wake(uint32_t *word)
{
    return result_of((int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
}

int rti_sys_thread_create(pthread_t *out, void *(*entry)(void *), void *arg)
{
    return -pthread_create(out, NULL, entry, arg);
}

int rti_sys_thread_join(pthread_t thread)
{
    return -pthread_join(thread, NULL);
}

int rti_sys_thread_try_join(pthread_t thread)
{
    return -pthread_tryjoin_np(thread, NULL);
}

void rti_sys_semaphore_post(sem_t *semaphore)
{
    (void)sem_post(semaphore); /* fails only beyond 2^31 */
}

void rti_sys_semaphore_wait(sem_t *semaphore)
{
    (void)sem_wait(semaphore);
}

void rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline)
{
    const struct timespec until = { .tv_sec = deadline / RT_SECONDS(1),
                                    .tv_nsec = deadline % RT_SECONDS(1) };

    (void)sem_clockwait(semaphore, CLOCK_MONOTONIC, &until);
}

/* The kernel's name for the CPU clock of a thread (include/linux/posix-timers.h): pthread_t, by
 * which the C library would make it, must not be used once the thread was joined. */
rt_time rti_sys_thread_cpu_of(int thread_id)
{
    const clockid_t clock = (clockid_t)((~(unsigned)thread_id << 3) | 6u);
    struct timespec used;

    if (clock_gettime(clock, &used) < 0) {
        return -errno;
    }
    return (rt_time)used.tv_sec * RT_SECONDS(1) + used.tv_nsec;
}

int rti_sys_thread_signal(int thread_id, int number)
{
    return result_of((int)syscall(SYS_tgkill, getpid(), thread_id, number));
}

int rti_sys_fence_prepare(void)
{
    return result_of((int)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
}

int rti_sys_fence_all(void)
{
    return result_of((int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

/* A plain mutex that is used rightly never fails. */
void rti_sys_mutex_init(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_init(mutex, NULL);
}

void rti_sys_mutex_fini(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_destroy(mutex);
}

void rti_sys_mutex_lock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_lock(mutex);
}

void rti_sys_mutex_unlock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_unlock(mutex);
}

int rti_sys_at_fork(void (*in_child)(void))
{
    return -pthread_atfork(NULL, NULL, in_child);
}

int rti_sys_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

int rti_sys_process_id(void)
{
    return getpid();
}

int rti_sys_thread_set_name(const char *name)
{
    char text[16];

    snprintf(text, sizeof(text), "%s", name);
    return -pthread_setname_np(pthread_self(), text);
}

int rti_sys_sigmask(int how, const sigset_t *set, sigset_t *old_set)
{
    return -pthread_sigmask(how, set, old_set);
}

#define NODES_MAX 1024 /* MAX_NUMNODES of Linux */
#define NODE_BITS (8 * sizeof(unsigned long))

/* The set of one node; -EINVAL when there can be no such node. */
static int only_node(unsigned long nodes[NODES_MAX / NODE_BITS], int node)
{
    if (node < 0 || node >= NODES_MAX) {
        return -EINVAL;
    }
    memset(nodes, 0, NODES_MAX / 8);
    nodes[(unsigned)node / NODE_BITS] = 1ul << ((unsigned)node % NODE_BITS);
    return 0;
}

int rti_sys_mempolicy_near(int node)
{
    unsigned long nodes[NODES_MAX / NODE_BITS];
    const int r = only_node(nodes, node);

    return r < 0 ? r
                 : result_of((int)syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes, NODES_MAX + 1));
}

int rti_sys_mbind_near(void *address, size_t bytes, int node)
{
    unsigned long nodes[NODES_MAX / NODE_BITS];
    const int r = only_node(nodes, node);

    return r < 0 ? r
                 : result_of((int)syscall(SYS_mbind, address, bytes, MPOL_PREFERRED, nodes,
                                          NODES_MAX + 1, 0));
}

int rti_sys_getaffinity(size_t bytes, cpu_set_t *set)
{
    return result_of(sched_getaffinity(0, bytes, set));
}

int rti_sys_setaffinity(size_t bytes, const cpu_set_t *set)
{
    return result_of(sched_setaffinity(0, bytes, set));
}

int rti_sys_prctl(int option, unsigned long argument)
{
    return result_of(prctl(option, argument, 0UL, 0UL, 0UL));
}

int rti_sys_sigaltstack(const stack_t *new_stack, stack_t *old_stack)
{
    return result_of(sigaltstack(new_stack, old_stack));
}

int rti_sys_sigaction(int number, const struct sigaction *action, struct sigaction *old_action)
{
    return result_of(sigaction(number, action, old_action));
}
