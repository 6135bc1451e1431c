/* SPDX-License-Identifier: MIT */
/* Fork: see fork.h. */
#include "core/fork.h"

#include <pthread.h>
#include <stdint.h>

#include "core/current.h"
#include "os/sys.h"

bool rti_fork_is_child;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of `installed` */
static bool installed;
static uint32_t lives; /* runtimes; atomic */

/* On the only thread of the child, before fork() returns in it. */
static void mark_child(void)
{
    if (__atomic_load_n(&lives, __ATOMIC_RELAXED) > 0) {
        rti_fork_is_child = true;
        rti_current = NULL;
        rti_misuse_note = "in a child that fork() made while a runtime lived: such a child may "
                          "only exec";
    }
}

/* Stays for good: what the C library is told it does not forget. */
static int install(void)
{
    int r = 0;

    rti_sys_mutex_lock(&lock);
    if (!installed) {
        r = rti_sys_at_fork(mark_child);
        installed = r == 0;
    }
    rti_sys_mutex_unlock(&lock);
    return r;
}

int rti_fork_enter(void)
{
    const int r = install();

    if (r == 0) {
        (void)__atomic_add_fetch(&lives, 1, __ATOMIC_RELAXED);
    }
    return r;
}

void rti_fork_leave(void)
{
    (void)__atomic_sub_fetch(&lives, 1, __ATOMIC_RELAXED);
}
