/* SPDX-License-Identifier: MIT */
/*
 * System calls: every one that the runtime makes, a thin function each.
 *
 * This is the seam to the kernel. A function here adds nothing to its system
 * call but the convention of results: 0 or a count, or -errno. So tests can
 * put another kernel behind it (tests/support/sim.h) or make the nth call fail
 * (tests/support/fault.h), by linking with --wrap for the names below.
 *
 * Memory of the heap goes through here too, for the same reason.
 */
#ifndef RTI_OS_SYS_H
#define RTI_OS_SYS_H

#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include "rt/base.h"

/* clock */
size_t rti_sys_page_bytes(void);

rt_time rti_sys_now(void); /* CLOCK_MONOTONIC, ns */

/* CPU time that the calling thread has used, ns; a system call. */
rt_time rti_sys_thread_cpu(void);

/* The processor's cycle counter if it runs at one rate always, else the clock in ns. */
uint64_t rti_sys_ticks(void);

/* Ticks in a ns as far as is known without measuring; rather too few than too many. */
double rti_sys_ticks_per_ns(void);

/* `time` + `duration`, RT_NEVER when that would overflow. */
static inline rt_time rti_time_add(rt_time time, rt_time duration)
{
    rt_time sum;

    return __builtin_add_overflow(time, duration, &sum) ? RT_NEVER : sum;
}

/* Sleep for real; only at start, where nothing runs yet. */
void rti_sys_pause(rt_time duration);

/* For the handler of a fatal signal. */
void rti_sys_write_error(const char *text, size_t bytes); /* to standard error, once */
void rti_sys_raise(int number);

/* io_uring: arguments as in io_uring_setup(2), io_uring_enter2(2), io_uring_register(2) */
int rti_sys_uring_setup(unsigned entries, struct io_uring_params *params);
int rti_sys_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                        void *arg, size_t arg_bytes);
int rti_sys_uring_register(int fd, unsigned opcode, const void *arg, unsigned count);

/* memory */
int rti_sys_mmap(void **out, size_t bytes, int protection, int flags, int fd, off_t offset);
int rti_sys_munmap(void *address, size_t bytes);
int rti_sys_mprotect(void *address, size_t bytes, int protection);
int rti_sys_madvise(void *address, size_t bytes, int advice);
int rti_sys_mincore(const void *address, size_t bytes, unsigned char *resident);
int rti_sys_mbind_near(void *address, size_t bytes, int node); /* while it has some */
void *rti_sys_alloc(size_t bytes);       /* zeroed, aligned to 64 bytes; NULL when there is none */
void *rti_sys_alloc_unset(size_t bytes); /* the same, not zeroed: for what is filled before it is
                                          * read; its pages are not touched */
void rti_sys_free(void *memory);

/* descriptors and sockets */
int rti_sys_close(int fd);
int rti_sys_duplicate(int fd);                    /* the new descriptor, closed by exec */
int rti_sys_truncate(int fd, off_t bytes);        /* ftruncate(2) */
int rti_sys_set_life_hint(int fd, uint64_t hint); /* F_SET_RW_HINT */
/* F_OFD_SETLK, which does not wait; `type` is F_RDLCK, F_WRLCK or F_UNLCK. */
int rti_sys_lock_range(int fd, short type, off_t offset, off_t bytes);
int rti_sys_open_to_read(const char *path);   /* the new descriptor; for files of /proc and /sys */
int rti_sys_open_to_append(const char *path); /* the same; makes the file if there is none */
ssize_t rti_sys_read(int fd, void *memory, size_t bytes);
ssize_t rti_sys_getdents(int fd, void *memory, size_t bytes); /* names as struct dirent64; 0: end */
int rti_sys_stat(const char *path, struct stat *out);
int rti_sys_statfs(const char *path, struct statfs *out);
ssize_t rti_sys_write(int fd, const void *memory, size_t bytes);
ssize_t rti_sys_seek(int fd, off_t offset); /* from the start; the new position */
ssize_t rti_sys_readlink(int directory, const char *path, char *text,
                         size_t bytes); /* not terminated */
int rti_sys_unlink(int directory, const char *path);
int rti_sys_watch_open(void); /* inotify(7): the new descriptor, which blocks */
int rti_sys_watch_add(int fd, const char *path, uint32_t events); /* the number of the place */
int rti_sys_watch_remove(int fd, int place);
int rti_sys_socket(int domain, int type, int protocol); /* the new descriptor */
int rti_sys_bind(int fd, const struct sockaddr *address, socklen_t bytes);
int rti_sys_listen(int fd, int backlog);
int rti_sys_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
/* The events of poll(2) that the descriptor is ready for now; 0: none. */
int rti_sys_poll(int fd, unsigned events);
int rti_sys_getsockopt(int fd, int level, int option, void *value, socklen_t *bytes);
int rti_sys_getsockname(int fd, struct sockaddr *address, socklen_t *bytes);
int rti_sys_getpeername(int fd, struct sockaddr *address, socklen_t *bytes);

/* event counters, by which a thread wakes another that sleeps in the kernel */
int rti_sys_eventfd(void);          /* the new descriptor, not blocking and closed by exec */
int rti_sys_eventfd_signal(int fd); /* add 1; async-signal-safe */

/* this process */
int rti_sys_process_id(void);
void rti_sys_kill_self(int number); /* any thread that does not block the signal gets it */

/* threads */
int rti_sys_futex_wait(uint32_t *word, uint32_t expected, rt_time deadline);
int rti_sys_futex_wake(uint32_t *word); /* all that wait */
int rti_sys_thread_create(pthread_t *out, void *(*entry)(void *), void *arg);
int rti_sys_thread_join(pthread_t thread);
int rti_sys_thread_try_join(pthread_t thread); /* -EBUSY while it has not ended */
void rti_sys_semaphore_post(sem_t *semaphore); /* async-signal-safe */
void rti_sys_semaphore_wait(sem_t *semaphore); /* returns early after a signal */
void rti_sys_semaphore_wait_until(sem_t *semaphore, rt_time deadline); /* likewise */

/* a thread of this process, known by its number in the kernel */
rt_time rti_sys_thread_cpu_of(int thread_id); /* CPU time that it has used, ns; or -errno */
int rti_sys_thread_signal(int thread_id, int number);

/* Make every other thread of the process run through a fence; -errno where the kernel cannot.
 * Prepared once per process. */
int rti_sys_fence_prepare(void);
int rti_sys_fence_all(void);
void rti_sys_mutex_init(pthread_mutex_t *mutex);
void rti_sys_mutex_fini(pthread_mutex_t *mutex);
void rti_sys_mutex_lock(pthread_mutex_t *mutex);
void rti_sys_mutex_unlock(pthread_mutex_t *mutex);

/* this thread */
int rti_sys_at_fork(void (*in_child)(void));
int rti_sys_thread_id(void);                   /* as in /proc/self/task */
int rti_sys_thread_set_name(const char *name); /* cut to 15 bytes */
int rti_sys_sigmask(int how, const sigset_t *set, sigset_t *old_set);
int rti_sys_mempolicy_near(int node); /* take memory from this node while it has some */
int rti_sys_getaffinity(size_t bytes, cpu_set_t *set);
int rti_sys_setaffinity(size_t bytes, const cpu_set_t *set);
int rti_sys_prctl(int option, unsigned long argument);
int rti_sys_sigaltstack(const stack_t *new_stack, stack_t *old_stack);
int rti_sys_sigaction(int number, const struct sigaction *action, struct sigaction *old_action);

#endif /* RTI_OS_SYS_H */
