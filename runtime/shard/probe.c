/* SPDX-License-Identifier: MIT */
/* Probe: see probe.h. */
#include "shard/probe.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/executor.h"
#include "fiber/backtrace.h"
#include "os/sys.h"

/* A thread that runs answers within microseconds; one that does not run can wait. */
#define ANSWER_TIME RT_MILLISECONDS(50)

enum { IDLE, ASKED, ANSWERING, ANSWERED };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the three below */
static uint32_t users;
static int number;
static struct sigaction old_action;

/* In the handler */

static void copy_name(char *out, const char *name)
{
    size_t i;

    for (i = 0; name != NULL && name[i] != '\0' && i + 1 < RT_TASKQ_NAME_BYTES; i++) {
        out[i] = name[i] >= ' ' && name[i] != '"' ? name[i] : '?'; /* so that tools can read it */
    }
    out[i] = '\0';
}

static void see_run(struct rti_probed_run *run, const struct rti_executor *executor)
{
    const struct rt_task *task = executor->running;

    *run = (struct rti_probed_run){ .turns = executor->turns,
                                    .read_at = executor->runs_left.read_at,
                                    .left = executor->runs_left.left,
                                    .task = task,
                                    .index = task != NULL ? task->index : 0,
                                    .cpu = rti_sys_thread_cpu() };
}

static bool is_same_run(const struct rti_probed_run *a, const struct rti_probed_run *b)
{
    return a->turns == b->turns && a->read_at == b->read_at && a->left == b->left &&
           a->task == b->task;
}

static void count(struct rti_executor *executor)
{
    executor->stalls++;
    executor->active->stalls++;
}

static void answer(struct rti_executor *executor, struct rti_probe *probe, const void *context)
{
    const struct rt_task *task = executor->running;

    see_run(&probe->run, executor);
    probe->is_expected = is_same_run(&probe->run, &probe->expected);
    if (!probe->is_expected || !probe->wants_calls) {
        return;
    }
    copy_name(probe->name, task != NULL ? task->name : NULL);
    copy_name(probe->queue, executor->active->name);
    probe->call_count = (uint32_t)rti_signal_backtrace(context, probe->calls, RT_STALL_FRAMES);
    if (probe->counts) {
        count(executor);
    }
}

static void on_signal(int received, siginfo_t *info, void *context)
{
    const int saved = errno;
    struct rti_executor *executor = rti_current;
    struct rti_probe *probe = executor != NULL ? executor->watched.probe : NULL;
    uint32_t asked = ASKED;

    (void)received;
    (void)info;
    /* pairs with the release in rti_probe_ask(); B1 */
    if (probe != NULL && __atomic_compare_exchange_n(&probe->state, &asked, ANSWERING, false,
                                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        answer(executor, probe, context);
        /* pairs with the acquire in rti_probe_ask() */
        __atomic_store_n(&probe->state, ANSWERED, __ATOMIC_RELEASE);
        rti_sys_semaphore_post(&probe->answered);
    }
    errno = saved;
}

/* The asker */

static bool take_back(struct rti_probe *probe)
{
    uint32_t asked = ASKED;

    /* one of the two gets the word, and nothing is told by it (B1) */
    return __atomic_compare_exchange_n(&probe->state, &asked, IDLE, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

bool rti_probe_ask(struct rti_probe *probe, int thread_id)
{
    const rt_time deadline = rti_sys_now() + ANSWER_TIME;

    /* pairs with the acquire in on_signal() */
    __atomic_store_n(&probe->state, ASKED, __ATOMIC_RELEASE);
    if (rti_sys_thread_signal(thread_id, number) < 0 && take_back(probe)) {
        return false; /* it has ended */
    }
    /* pairs with the release in on_signal() */
    while (__atomic_load_n(&probe->state, __ATOMIC_ACQUIRE) != ANSWERED) {
        if (rti_sys_now() < deadline) {
            rti_sys_semaphore_wait_until(&probe->answered, deadline);
        } else if (take_back(probe)) {
            return false;
        } else {
            rti_sys_semaphore_wait(&probe->answered);
        }
    }
    return true;
}

/* The handler's life */

static int install(uint32_t wanted, const struct rti_log *log, enum rt_log_level level)
{
    struct sigaction action = { .sa_sigaction = on_signal,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
    int r;

    (void)sigfillset(&action.sa_mask);
    r = rti_sys_sigaction((int)wanted, &action, &old_action);
    if (r < 0) {
        rti_log(log, level, "config.stall_signal: signal %u cannot be handled: %s", wanted,
                rt_strerror(r));
        return r;
    }
    if ((old_action.sa_flags & SA_SIGINFO) != 0 || old_action.sa_handler != SIG_DFL) {
        (void)rti_sys_sigaction((int)wanted, &old_action, NULL);
        rti_log(log, level,
                "config.stall_signal: signal %u is handled by the program already; choose another "
                "one, or RT_STALL_OFF for config.stall_threshold",
                wanted);
        return -EBUSY;
    }
    number = (int)wanted;
    return 0;
}

int rti_probe_begin(uint32_t signal_number, const struct rti_log *log, enum rt_log_level level)
{
    int r = 0;

    rti_sys_mutex_lock(&lock);
    if (users == 0) {
        r = install(signal_number, log, level);
    } else if (signal_number != (uint32_t)number) {
        rti_log(log, level,
                "config.stall_signal is %u; another runtime of this process uses %d: it is one for "
                "all",
                signal_number, number);
        r = -EBUSY;
    }
    if (r == 0 && users++ == 0) {
        rti_signal_backtrace_prepare();
    }
    rti_sys_mutex_unlock(&lock);
    return r;
}

void rti_probe_end(void)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    rti_sys_mutex_lock(&lock);
    if (--users == 0) {
        (void)rti_sys_sigaction(number, &ignore, NULL); /* what is pending still is dropped */
        (void)rti_sys_sigaction(number, &old_action, NULL);
    }
    rti_sys_mutex_unlock(&lock);
}
