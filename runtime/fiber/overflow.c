/* SPDX-License-Identifier: MIT */
/*
 * Overflow: signal handlers of the process, an alternate stack per thread.
 *
 * The process-wide state below is written under a lock (a cold path), and read
 * by the handler without it. A handler runs only after sigaction() has returned
 * to whoever installed it, or later; `previous` is written before that call and
 * then stays, so the kernel orders the two.
 *
 * Why handlers are not simply put back: if somebody has installed a handler on
 * top of ours and keeps ours as his previous one, removing would cut him off,
 * and installing once more would make a circle. So a covered handler stays.
 */
#include "fiber/overflow.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/sys.h"

#define SIGNAL_STACK_BYTES_MIN ((size_t)64 << 10)

static const int signals[] = { SIGSEGV, SIGBUS };

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static atomic_flag locked = ATOMIC_FLAG_INIT; /* guards the three below */
static unsigned users;
static bool installed[SIGNALS];            /* our handler is the kernel's, or is covered */
static struct sigaction previous[SIGNALS]; /* valid when installed; read by the handler */

/* Innermost of this thread, or NULL. A handler reads it on the same thread. */
static _Thread_local struct rti_overflow_thread *current __attribute__((tls_model("initial-exec")));

/* Taken when an executor starts or ends, and held for four system calls: spinning will do. */
static void take_lock(void)
{
    /* pairs with the release in drop_lock() */
    while (atomic_flag_test_and_set_explicit(&locked, memory_order_acquire)) {
    }
}

static void drop_lock(void)
{
    /* pairs with the acquire in take_lock() */
    atomic_flag_clear_explicit(&locked, memory_order_release);
}

static size_t append(char *line, size_t used, size_t bytes, const char *text)
{
    while (*text != '\0' && used < bytes) {
        line[used++] = *text++;
    }
    return used;
}

static void report(const char *text)
{
    char line[RTI_OVERFLOW_TEXT_BYTES + 128];
    size_t used = 0;

    used = append(line, used, sizeof(line), "shardrt: stack overflow in ");
    used = append(line, used, sizeof(line), text);
    used = append(line, used, sizeof(line),
                  "; spawn it with a larger stack class or move large buffers to the heap\n");
    rti_sys_write_error(line, used); /* in a handler: no stdio */
}

/* Do what would have been done had our handler not been there. */
static void pass_on(int number, const struct sigaction *action, siginfo_t *info, void *context)
{
    const bool sent = info->si_code <= 0; /* by kill() or the like: it will not repeat by itself */

    if ((action->sa_flags & SA_SIGINFO) != 0) {
        action->sa_sigaction(number, info, context);
    } else if (action->sa_handler == SIG_IGN && sent) {
        return;
    } else if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
        (void)rti_sys_sigaction(number, action, NULL);
        if (sent) {
            rti_sys_raise(number); /* stays pending until this handler returns */
        }
    } else {
        action->sa_handler(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const int saved_errno = errno;
    const struct sigaction *action = &previous[number == SIGSEGV ? 0 : 1];
    const struct rti_overflow_thread *thread = current;
    char text[RTI_OVERFLOW_TEXT_BYTES] = "";

    if (thread != NULL && info->si_code > 0 &&
        thread->describe(thread->arg, info->si_addr, text, sizeof(text))) {
        text[sizeof(text) - 1] = '\0';
        report(text);
        (void)rti_sys_sigaction(number, action, NULL);
    } else {
        pass_on(number, action, info, context);
    }
    errno = saved_errno;
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == on_fault;
}

static int install_one(size_t i)
{
    struct sigaction action = { .sa_sigaction = on_fault };
    int r;

    if (installed[i]) {
        return 0;
    }
    r = rti_sys_sigaction(signals[i], NULL, &previous[i]);
    if (r < 0) {
        return r;
    }
    /* The previous handler is called under the mask and the rules that it was installed with. */
    action.sa_mask = previous[i].sa_mask;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous[i].sa_flags & (SA_NODEFER | SA_RESTART));
    r = rti_sys_sigaction(signals[i], &action, NULL);
    if (r < 0) {
        return r;
    }
    installed[i] = true;
    return 0;
}

static void remove_all(void)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction action;

        if (installed[i] && rti_sys_sigaction(signals[i], NULL, &action) == 0 && is_ours(&action) &&
            rti_sys_sigaction(signals[i], &previous[i], NULL) == 0) {
            installed[i] = false;
        }
    }
}

int rti_overflow_install(void)
{
    int r = 0;

    take_lock();
    for (size_t i = 0; users == 0 && i < SIGNALS && r == 0; i++) {
        r = install_one(i);
    }
    if (r == 0) {
        users++;
    } else {
        remove_all();
    }
    drop_lock();
    return r;
}

void rti_overflow_remove(void)
{
    take_lock();
    RTI_ASSERT(users > 0);
    users--;
    if (users == 0) {
        remove_all();
    }
    drop_lock();
}

/*
 * What the C library calls SIGSTKSZ: four times what the kernel needs to save the registers of
 * this processor (12 KiB with AMX). Not less than a chained handler may need to print its report.
 */
static size_t signal_stack_bytes(void)
{
    const size_t page = 4096;
    const size_t wanted = 4 * (size_t)getauxval(AT_MINSIGSTKSZ); /* 0 when the kernel is silent */

    return wanted < SIGNAL_STACK_BYTES_MIN ? SIGNAL_STACK_BYTES_MIN
                                           : (wanted + page - 1) & ~(page - 1);
}

int rti_overflow_thread_begin(struct rti_overflow_thread *thread, rti_overflow_describe describe,
                              void *arg)
{
    stack_t stack = { .ss_flags = 0 };
    int r;

    RTI_ASSERT(describe != NULL);
    *thread = (struct rti_overflow_thread){
        .describe = describe, .arg = arg, .outer = current, .bytes = signal_stack_bytes()
    };
    r = rti_sys_mmap(&thread->memory, thread->bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (r < 0) {
        return r;
    }
    stack.ss_sp = thread->memory;
    stack.ss_size = thread->bytes;
    r = rti_sys_sigaltstack(&stack, &thread->old_stack);
    if (r < 0) {
        (void)rti_sys_munmap(thread->memory, thread->bytes);
        return r;
    }
    atomic_signal_fence(memory_order_release); /* pairs with on_fault() */
    current = thread;
    return 0;
}

void rti_overflow_thread_end(struct rti_overflow_thread *thread)
{
    RTI_ASSERT(current == thread);
    current = thread->outer;
    atomic_signal_fence(memory_order_release); /* pairs with on_fault() */
    (void)rti_sys_sigaltstack(&thread->old_stack, NULL);
    (void)rti_sys_munmap(thread->memory, thread->bytes);
}
