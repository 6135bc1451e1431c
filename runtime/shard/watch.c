/* SPDX-License-Identifier: MIT */
/* Watch: see watch.h. The variables are the process's, as the handler is. */
#include "shard/watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/sys.h"
#include "os/thread.h"
#include "shard/dump.h"
#include "shard/runtime.h"

/* A shard looks up every config.task_quota, 0.5 ms, or it is stuck. */
#define ANSWER_TIME RT_SECONDS(1)

static uint32_t owned; /* atomic: 1 while a runtime has the handler */
static uint32_t asked; /* atomic: a signal has come since the last dump began */
static struct sigaction old_action;
static sem_t signals; /* that have come; of the process, for a handler may be late. Zeroes are an
                         initialised one */

static void handle(int number)
{
    const int saved = errno;

    (void)number;
    /* pairs with the exchange in watch_main() */
    __atomic_store_n(&asked, 1, __ATOMIC_RELEASE);
    rti_sys_semaphore_post(&signals);
    errno = saved;
}

static void dump(struct rt_runtime *runtime)
{
    const char *path = runtime->config.dump_path;
    const int fd = path != NULL ? rti_sys_open_to_append(path) : STDERR_FILENO;
    int r = fd;

    if (r >= 0) {
        r = rt_runtime_dump(runtime, fd, runtime->config.dump_flags,
                            rti_time_add(rti_sys_now(), ANSWER_TIME));
    }
    if (path != NULL && fd >= 0) {
        (void)rti_sys_close(fd);
    }
    if (r < 0) {
        rti_log(&runtime->log, RT_LOG_ERROR, "the dump of '%s' to %s: %s", runtime->config.name,
                path != NULL ? path : "standard error", rt_strerror(r));
    }
}

static void look_and_wait(struct rt_runtime *runtime)
{
    const rt_time stalls = rti_stall_look(runtime);
    const rt_time cycles = rti_cycles_look(runtime);
    const rt_time deadline = stalls < cycles ? stalls : cycles;

    if (deadline == RT_NEVER) {
        rti_sys_semaphore_wait(runtime->watch.events);
    } else {
        rti_sys_semaphore_wait_until(runtime->watch.events, deadline);
    }
}

static void *watch_main(void *arg)
{
    struct rt_runtime *runtime = arg;

    (void)rti_sys_thread_set_name("rt-watch");
    /* pairs with the release in rti_watch_stop() */
    while (__atomic_load_n(&runtime->watch.stops, __ATOMIC_ACQUIRE) == 0) {
        look_and_wait(runtime);
        /* pairs with the release in handle() */
        if (runtime->watch.dumps && __atomic_exchange_n(&asked, 0, __ATOMIC_ACQUIRE) != 0 &&
            rti_runtime_runs(runtime)) {
            dump(runtime);
        }
    }
    return NULL;
}

/* What shards tell it */

static void unpark(struct rti_watcher *watcher)
{
    struct rti_watch *watch = RTI_CONTAINER_OF(watcher, struct rti_watch, watcher);

    /* one shard of several that wake at the same time; nothing else is told by it */
    if (__atomic_exchange_n(&watcher->parked, 0, __ATOMIC_RELAXED) != 0) {
        rti_sys_semaphore_post(watch->events);
    }
}

static void late(struct rti_watcher *watcher)
{
    struct rti_watch *watch = RTI_CONTAINER_OF(watcher, struct rti_watch, watcher);

    rti_cycles_hurry(&watch->cycles);
    rti_sys_semaphore_post(watch->events);
}

/* The signal */

static bool may_be_chosen(uint32_t number)
{
    static const uint32_t others[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                       SIGTRAP, SIGSYS,  SIGABRT, SIGINT, SIGTERM };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (number == others[i]) {
            return false;
        }
    }
    return number < (uint32_t)NSIG;
}

static int check(const struct rt_runtime *runtime)
{
    const uint32_t number = runtime->config.dump_signal;

    if (!may_be_chosen(number)) {
        rti_log(&runtime->log, RT_LOG_ERROR,
                "config.dump_signal is %u; it must be a signal that has no other use here, such "
                "as SIGUSR1 (%d) or SIGQUIT (%d)",
                number, SIGUSR1, SIGQUIT);
        return -EINVAL;
    }
    return rti_dump_check_flags(runtime->config.dump_flags, "config.dump_flags", &runtime->log);
}

static void give_back(void)
{
    /* pairs with the exchange in take_signal() */
    __atomic_store_n(&owned, 0, __ATOMIC_RELEASE);
}

static int take_signal(const struct rt_runtime *runtime)
{
    struct sigaction action;
    int r;

    /* pairs with the release in give_back() */
    if (__atomic_exchange_n(&owned, 1, __ATOMIC_ACQUIRE) != 0) {
        rti_log(&runtime->log, RT_LOG_ERROR,
                "config.dump_signal: another runtime of this process is dumped by signal; dump "
                "this one by rt_runtime_dump()");
        return -EBUSY;
    }
    __atomic_store_n(&asked, 0, __ATOMIC_RELAXED);
    memset(&action, 0, sizeof(action));
    action.sa_handler = handle;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    r = rti_sys_sigaction((int)runtime->config.dump_signal, &action, &old_action);
    if (r < 0) {
        rti_log(&runtime->log, RT_LOG_ERROR, "config.dump_signal: signal %u cannot be handled: %s",
                runtime->config.dump_signal, rt_strerror(r));
        give_back();
    }
    return r;
}

/* To be dumped by the signal, if one was chosen. */
static int begin_dumps(struct rt_runtime *runtime)
{
    int r;

    if (runtime->config.dump_signal == 0) {
        return 0;
    }
    r = check(runtime);
    if (r == 0) {
        r = take_signal(runtime);
    }
    if (r == 0) {
        runtime->watch.dumps = true;
        runtime->watch.events = &signals;
    }
    return r;
}

static void end_dumps(struct rt_runtime *runtime)
{
    if (runtime->watch.dumps) {
        (void)rti_sys_sigaction((int)runtime->config.dump_signal, &old_action, NULL);
        give_back();
        runtime->watch.dumps = false;
    }
}

static int start_thread(struct rt_runtime *runtime)
{
    sigset_t old_set;
    int r;

    rti_thread_block_signals(&old_set); /* the thread inherits it */
    r = rti_sys_thread_create(&runtime->watch.thread, watch_main, runtime);
    rti_thread_unblock_signals(&old_set);
    runtime->watch.runs = r == 0;
    if (r < 0) {
        rti_log(&runtime->log, RT_LOG_ERROR, "the thread that watches '%s': %s",
                runtime->config.name, rt_strerror(r));
    }
    return r;
}

static bool is_wanted(const struct rt_runtime *runtime)
{
    return runtime->watch.dumps || runtime->watch.stall.on ||
           runtime->config.wait_cycles != RT_WAIT_CYCLES_OFF;
}

int rti_watch_start(struct rt_runtime *runtime)
{
    struct rti_watch *watch = &runtime->watch;
    int r;

    watch->events = &watch->own_events; /* zeroes: an initialised one */
    watch->watcher = (struct rti_watcher){ .unpark = unpark, .late = late };
    r = begin_dumps(runtime);
    if (r == 0) {
        r = rti_stall_begin(runtime);
    }
    if (r == 0 && is_wanted(runtime)) {
        r = rti_cycles_begin(runtime);
        r = r == 0 ? start_thread(runtime) : r;
    }
    if (r < 0) {
        rti_cycles_end(runtime);
        rti_stall_end(runtime);
        end_dumps(runtime);
    }
    return r;
}

void rti_watch_stop(struct rt_runtime *runtime)
{
    struct rti_watch *watch = &runtime->watch;

    if (!watch->runs) {
        return;
    }
    /* pairs with the acquire in watch_main() */
    __atomic_store_n(&watch->stops, 1, __ATOMIC_RELEASE);
    rti_sys_semaphore_post(watch->events);
    (void)rti_sys_thread_join(watch->thread);
    rti_cycles_end(runtime);
    rti_stall_end(runtime);
    end_dumps(runtime);
}
