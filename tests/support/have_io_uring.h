/* SPDX-License-Identifier: MIT */
/* Whether tests of the real kernel can run: what their main() asks first. */
#ifndef RT_TEST_HAVE_IO_URING_H
#define RT_TEST_HAVE_IO_URING_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include <rt/rt.h>

static inline int have_returned(void *arg)
{
    (void)arg;
    return 0;
}

/* A text says why not; the test then ends with T_EXIT_SKIPPED. */
static inline bool have_io_uring(void)
{
    const int r = rt_run(NULL, have_returned, NULL);
    const bool lacks = r == -ENOSYS || r == -EOPNOTSUPP || r == -EPERM;

    if (lacks) {
        fprintf(stderr, "skipped: no io_uring here: %s\n", rt_strerror(r));
    }
    return !lacks;
}

#endif /* RT_TEST_HAVE_IO_URING_H */
