/* SPDX-License-Identifier: MIT */
/* Signals: see signals.h. The variables are the process's, as the handlers are. */
#include "shard/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "os/sys.h"

static const int numbers[] = { SIGINT, SIGTERM };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static uint32_t owned; /* atomic: 1 while a runtime owns them */
static uint32_t count; /* atomic: signals */
static int last;       /* atomic: the number of the last signal */
static struct sigaction old_actions[NUMBERS];
static sem_t events; /* signals and notifications; zeroes are an initialised one */

void rti_signals_notify(void)
{
    rti_sys_semaphore_post(&events);
}

static void handle(int number)
{
    const int saved = errno;

    __atomic_store_n(&last, number, __ATOMIC_RELAXED);
    /* pairs with the acquire in rti_signals_count() */
    __atomic_add_fetch(&count, 1, __ATOMIC_RELEASE);
    rti_signals_notify();
    errno = saved;
}

void rti_signals_await(void)
{
    rti_sys_semaphore_wait(&events);
}

static void put_back(size_t actions)
{
    for (size_t i = 0; i < actions; i++) {
        (void)rti_sys_sigaction(numbers[i], &old_actions[i], NULL);
    }
    /* pairs with the exchange in rti_signals_own() */
    __atomic_store_n(&owned, 0, __ATOMIC_RELEASE);
}

int rti_signals_own(void)
{
    struct sigaction action;

    /* pairs with the release in put_back() */
    if (__atomic_exchange_n(&owned, 1, __ATOMIC_ACQUIRE) != 0) {
        return -EBUSY;
    }
    __atomic_store_n(&count, 0, __ATOMIC_RELAXED);
    memset(&action, 0, sizeof(action));
    action.sa_handler = handle;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < NUMBERS; i++) {
        const int r = rti_sys_sigaction(numbers[i], &action, &old_actions[i]);

        if (r < 0) {
            put_back(i);
            return r;
        }
    }
    return 0;
}

void rti_signals_disown(void)
{
    put_back(NUMBERS);
}

uint32_t rti_signals_count(void)
{
    return __atomic_load_n(&count, __ATOMIC_ACQUIRE); /* pairs with the release in handle() */
}

void rti_signals_raise(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    (void)rti_sys_sigaction(__atomic_load_n(&last, __ATOMIC_RELAXED), &action, NULL);
    rti_sys_kill_self(__atomic_load_n(&last, __ATOMIC_RELAXED));
}
