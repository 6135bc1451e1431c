/* SPDX-License-Identifier: MIT */
/*
 * A primitive that was slowed on purpose: loaded before the library (LD_PRELOAD),
 * its rt_yield() is called instead, loses some time, and then does what it should.
 */
#include <dlfcn.h>
#include <rt/task.h>

#define LOST 200 /* turns of an empty loop: some 50 ns or more */

void rt_yield(void)
{
    static void (*real)(void);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "rt_yield");
    }
    for (volatile int i = 0; i < LOST; i++) {
    }
    real();
}
