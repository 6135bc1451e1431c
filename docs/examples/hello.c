/* SPDX-License-Identifier: MIT */
/* hello: the smallest program. One task that sleeps and prints. */
#include <rt/rt.h>
#include <stdio.h>

static int hello(void *arg)
{
    int r = rt_sleep_until(rt_in(RT_MILLISECONDS(10)));

    if (r == 0) {
        printf("hello, %s\n", (const char *)arg);
    }
    return r;
}

int main(void)
{
    char world[] = "world";

    return rt_run(NULL, hello, world) < 0;
}
