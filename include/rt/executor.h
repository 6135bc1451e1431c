/* SPDX-License-Identifier: MIT */
/*
 * Executor: runs tasks on the calling thread, pinned to a core or not.
 *
 *     static int first(void *arg) { return 0; }
 *
 *     int main(void)
 *     {
 *         struct rt_config config = RT_CONFIG_INIT;
 *
 *         config.cpus = "0";
 *         return rt_run(&config, first, NULL) < 0;
 *     }
 *
 * rt_run() makes an executor (task queue, timers, io_uring ring, stacks), runs
 * first(arg) as its first task, cancels what still lives when that returns,
 * waits until nothing does, and takes everything down again.
 */
#ifndef RT_EXECUTOR_H
#define RT_EXECUTOR_H

#include "rt/base.h"
#include "rt/stall.h"
#include "rt/task.h"
#include "rt/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rt_log_level {
    RT_LOG_ERROR = 1, /* a call fails because of it */
    RT_LOG_WARNING,   /* something works worse than it could */
    RT_LOG_INFO,      /* what was granted and chosen */
};

/** Takes one line of text, without a newline. All shards of a runtime call it, at the same time,
 * and so may other threads of it: it must not ask which task or shard it is called on. */
typedef void (*rt_log_fn)(void *arg, enum rt_log_level level, const char *text);

/** How shards are laid on the machine, by rt_start(). */
enum rt_place {
    RT_PLACE_CORE = 0, /* one shard on each core, on the first of its CPUs */
    RT_PLACE_PU,       /* one shard on each CPU, also where two are threads of one core */
    RT_PLACE_SPREAD,   /* as far apart as can be: packages first, then caches, then cores */
    RT_PLACE_PACK,     /* as close together as can be: all CPUs of a core, then the next core */
    RT_PLACE_UNBOUND,  /* not bound: the kernel moves the threads */
    RT_PLACE_NEAR,     /* one shard on each core of the memory node that the disk below config.near
                          is at; more go to the next nodes by distance. As RT_PLACE_CORE when it is
                          not known (rt/placement.h) */
};

enum rt_config_flag {
    RT_CONFIG_KEEP = 1u << 0,        /* a first task that fails does not stop the others */
    RT_CONFIG_NO_SIGNALS = 1u << 1,  /* rt_start() leaves SIGINT and SIGTERM alone */
    RT_CONFIG_STACK_MARKS = 1u << 2, /* measure how deep stacks go (rt/memory.h); rt_run() too */
};

/** Where the kernel's threads for I/O that a ring cannot do itself run: buffered writes on most
 * file systems, fsync, most calls with names. A shard that is not pinned leaves it to the kernel.
 */
enum rt_io_worker_place {
    RT_IO_WORKER_SHARD = 0, /* on the shard's own CPU: what a shard asks for costs nobody else, and
                               nothing waits for another core to wake; tasks that compute share
                               their core with large copies */
    RT_IO_WORKER_OTHERS, /* on the other CPUs that the process may use, of other shards or idle */
};

/** Of config.spin: the default. */
#define RT_SPIN_OFF 0

/** Of config.wait_cycles: the default, and the least. */
#define RT_WAIT_CYCLES_OFF ((rt_time)-1)
#define RT_WAIT_CYCLES_MIN ((rt_time)1000000)

/** When a shard without work looks for some before it sleeps. */
enum rt_spin_policy {
    RT_SPIN_FIXED = 0, /* always, for config.spin */
    RT_SPIN_ADAPTIVE,  /* for config.spin (50 us if it is 0), as long as that finds something */
};

/**
 * How executors are made. Start from RT_CONFIG_INIT (or from zeroes with
 * `size` set); a field of 0 or NULL means the default named beside it. What only
 * rt_start() reads is marked with *.
 */
struct rt_config {
    uint32_t size;         /* sizeof(struct rt_config) */
    uint32_t tasks_max;    /* live tasks at most; 1..16777216; default 1048576 */
    const char *cpus;      /* rt_run(): the CPU to pin the thread to; default: not pinned.
                              rt_start(): the CPUs to use, such as "0-3,8"; default: all allowed */
    const char *name;      /* of the executor or runtime, shown in reports; default "shard" */
    uint32_t ring_entries; /* submission queue of the ring; 1..32768; default 256 */
    uint32_t cq_entries;   /* completion queue; 1..65536, raised to ring_entries; default 4096 */
    uint32_t stack_bytes;  /* of a task's stack, rounded up to 16, 64 or 256 KiB; default 64 */
    uint32_t log_level;    /* enum rt_log_level; default RT_LOG_WARNING */
    uint32_t io_workers;   /* kernel threads for I/O that the ring cannot do itself; 8 */
    uint32_t shards;      /* * how many; 1..4096; default: as many as config.place finds room for */
    rt_time task_quota;   /* tasks run so long before I/O and timers are looked at; 0.5 ms */
    rt_time stop_timeout; /* tasks may live so long after the first has returned; 30 s. A second
                                 later the process aborts. One that never waits nor yields is not
                                 noticed */
    const char *disable;  /* optional features to go without, as RT_DISABLE; default: none */
    rt_log_fn log;        /* default: to standard error */
    void *log_arg;        /* given to log */
    rt_trace_fn trace;    /* see rt/trace.h; default: none */
    void *trace_arg;      /* given to trace */
    uint32_t place;       /* * enum rt_place; default RT_PLACE_CORE */
    uint32_t port_entries; /* * slots for what one shard sends another; 1..65536, rounded up to a
                              power of two; default 128 */
    uint32_t posts_max;    /* * posts from one shard to another that have not started; 1..65536;
                              default 64 */
    uint32_t flags;        /* * enum rt_config_flag, or'ed */
    rt_time spin;          /* look for messages and I/O so long before sleeping; RT_SPIN_OFF */
    uint32_t dump_signal;  /* dump all tasks when this signal comes (rt/dump.h); default: none */
    uint32_t dump_flags;   /* enum rt_dump_flag, or'ed, for that */
    const char *dump_path; /* a file to add such dumps to; default: standard error */
    rt_time timer_slack;   /* a shard that sleeps may meet a deadline so much late, to meet several
                              by one wake-up; never early. Default 0: each in time */
    rt_time stall_threshold; /* a task that holds the core longer, in CPU time, is reported
                                (rt/stall.h); default 10 ms; RT_STALL_OFF */
    rt_time stall_pause;     /* of each shard one such report in so long; default 1 s */
    rt_stall_fn stall;       /* takes the reports; default: the log, as warnings */
    void *stall_arg;         /* given to stall */
    uint32_t stall_signal;   /* by which a thread is asked where it is; default SIGRTMAX - 2 */
    uint32_t stacks_warm;    /* free stacks of each size that keep their memory though they have not
                             been needed for 0.2 s; 1..16777216; default 1024 (rt/memory.h) */
    const char *near;        /* * with RT_PLACE_NEAR: a file or folder, or a block device */
    uint64_t buffer_bytes;   /* for buffers of I/O at most (rt/buffer.h), rounded up to 4 MiB; up to
                                64 GiB; default 64 MiB */
    uint32_t blocking_threads; /* threads of the pool for rt_blocking(), at most; 1..1024; 8 */
    uint32_t blocking_queue;   /* its calls that wait for a thread; 1..16777216; default 1024 */
    uint32_t io_worker_place;  /* enum rt_io_worker_place; default RT_IO_WORKER_SHARD */
    uint32_t spin_policy;      /* enum rt_spin_policy; default RT_SPIN_FIXED */
    const char *disk_models; /* by what task queues share disks (rt/taskq.h): a file of `rt-storage
                                calibrate --config`, or "learn"; default: they do not */
    rt_time wait_cycles;     /* look so often for tasks that wait for each other, on all shards, and
                            name them in the log; default RT_WAIT_CYCLES_OFF */
};

#define RT_CONFIG_INIT \
    { (uint32_t)sizeof(struct rt_config), 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, \
      NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, NULL, NULL, 0, 0, NULL, 0, 0, 0, 0, 0, \
      NULL, 0 }

/**
 * Run first(arg) as the first task of a new executor on this thread.
 *
 * While it runs, the thread is pinned if config.cpus says so, has an alternate
 * signal stack and a timer slack of 1 ns, and the process has handlers of SIGSEGV
 * and SIGBUS that name a task whose stack overflowed and pass everything else on,
 * and one of config.dump_signal; all is as before afterwards. What tasks opened and
 * did not close stays open.
 *
 * The ring takes locked memory of the user (84 KiB as it comes) if the process
 * has no CAP_IPC_LOCK, so RLIMIT_MEMLOCK bounds how many a user can have.
 * Buffers, once a program uses them, take it too, as far as there is any (rt/buffer.h).
 *
 * When `first` has returned, the tasks that still live are cancelled, and the call
 * returns when none lives. If some live on after config.stop_timeout, they are
 * printed and the process aborts.
 *
 * The environment variable RT_DISABLE names optional features to go without,
 * separated by commas: guard_install, no_sqarray, no_iowait, registered_ring,
 * defer_taskrun, iowq, fixed_buffers, registered_files, iopoll, or all.
 *
 * @param config  read before `first` starts; the strings must stay valid. NULL = defaults.
 * @return what `first` returned; or, before `first` was started, an error whose
 *         text went to config.log: -EINVAL (a wrong value in config, in RT_DISABLE or in
 *         the file config.disk_models, which may also give an error of reading it),
 *         -E2BIG (config of a newer library), -EBUSY (this thread runs an executor),
 *         -ENOMEM, -EMFILE, -EPERM (no io_uring, or called on an alternate signal
 *         stack), -ENOSYS or -EOPNOTSUPP (no io_uring, or one older than Linux 6.1).
 * \context{Any thread that runs no executor.}
 */
RT_API RT_ANY_THREAD
int rt_run(const struct rt_config *config, rt_task_fn first, void *arg);

/** What an executor counted so far, and how full it is. Grows at the end in later versions. */
struct rt_stats {
    uint32_t tasks_live;      /* tasks that have not ended, or whose handle has not */
    uint32_t stacks_in_use;   /* stacks of tasks that have not returned */
    uint32_t ops_in_flight;   /* operations that the kernel works on */
    uint32_t timers_armed;    /* deadlines of waits that go on */
    uint64_t turns;           /* passes of the loop */
    uint64_t runs;            /* times a task was started or continued */
    uint64_t spawns;          /* tasks made */
    uint64_t spawns_refused;  /* spawns that met config.tasks_max, or no memory */
    uint64_t enters;          /* io_uring_enter calls */
    uint64_t sleeps;          /* of these, those that waited */
    uint64_t submitted;       /* submission entries taken by the kernel */
    uint64_t completions;     /* completion entries seen */
    uint64_t stale;           /* completions of no known operation; above 0 is a kernel's fault */
    uint64_t overflows;       /* times the completion queue was found overflown */
    uint64_t cancels;         /* operations that the kernel was asked to cancel */
    uint64_t accept_backoffs; /* times accepting paused for want of descriptors or memory */
    uint64_t messages_sent;   /* requests and replies put into ports */
    uint64_t messages_taken;  /* requests and replies taken out of ports */
    uint64_t calls_refused;   /* calls answered -EAGAIN at the limit of tasks */
    uint64_t posts_delayed;   /* posts that waited here for a task to end */
    uint64_t room_waits;      /* times a task waited for a slot or a post's credit */
    uint64_t rings;           /* times another shard's doorbell was rung */
    uint64_t wakes_sent;      /* of these, the ones that woke a sleeper */
    uint64_t wakes_resent;    /* wakes that went by eventfd after the ring refused them */
    uint64_t wakes_received;  /* tasks woken by other shards and threads */
    uint64_t stalls;          /* times a task held the core too long (rt/stall.h) */
    uint64_t stacks_free;     /* free stacks that have memory */
    uint64_t stacks_trimmed;  /* times that a free stack gave its memory back */
    uint64_t buffers_in_use;  /* buffers that were got and not put back (rt/buffer.h) */
    uint64_t buffers_refused; /* gets that met config.buffer_bytes, or no memory; also those of
                                 readers and writers, which then do without */
    uint64_t buffer_bytes;    /* memory that was taken for buffers, in use or not */
    uint64_t buffer_bytes_unregistered; /* of that, what the ring does not know */
    uint64_t looks;             /* times it looked for work before it would sleep (config.spin) */
    uint64_t looks_found;       /* of these, those that found some */
    uint64_t objects_sent_home; /* given back to other shards (rt/home.h) */
    uint64_t objects_came_home; /* given back by others and freed here */
    uint64_t polled_transfers;  /* that devices were polled for (rt_file_options.polled) */
    uint64_t polls_refused;     /* files that asked for it, and are not polled for */
};

/**
 * The counters of this thread's executor.
 *
 * @param out    filled up to `bytes`.
 * @param bytes  sizeof(struct rt_stats) of the caller.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
void rt_stats_get(struct rt_stats *out, size_t bytes);

/**
 * The names of the optional kernel features that this thread's executor was granted, as
 * RT_DISABLE knows them, separated by spaces; "none" when there is none. Figures from two
 * machines can be compared only if these are the same.
 *
 * @param text  gets the names, cut to `bytes` with their terminator; NULL if `bytes` is 0.
 * @return how many bytes all names have, without a terminator.
 * \context{On a shard. Does not suspend.}
 */
RT_API RT_ON_SHARD
size_t rt_features_format(char *text, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* RT_EXECUTOR_H */
