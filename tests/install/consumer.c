/* SPDX-License-Identifier: MIT */
/* The smallest user of an installed shardrt: runs one task and prints the version. */
#include <rt/rt.h>

#include <errno.h>
#include <stdio.h>

#define ANSWER 42
#define SKIP   77

static int first(void *arg)
{
    (void)arg;
    return ANSWER;
}

int main(void)
{
    const int result = rt_run(NULL, first, NULL);

    printf("shardrt %s: %d\n", RT_VERSION, result);
    if (result == -EPERM || result == -ENOSYS || result == -EOPNOTSUPP) {
        return SKIP; /* no io_uring here; the library's own text says why */
    }
    return result == ANSWER ? 0 : 1;
}
