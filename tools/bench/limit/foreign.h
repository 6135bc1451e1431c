/* SPDX-License-Identifier: MIT */
/*
 * Limits of a thread that hands work to a shard and waits for it: rows foreign_submit and
 * foreign_submit64.
 *
 * Two threads: the caller's, and one that serves, on a CPU of its own. Between them lies
 * what the contract demands, and nothing else:
 *
 *     list      nodes in the caller's memory: pushed by a CAS, taken all at once
 *     doorbell  one word. Ring: fetch_or; take: exchange; sleep: CAS(0 -> SLEEPING)
 *     to wake the server   an eventfd. It sleeps in a ring, since it has I/O to wait for as
 *               well, and the caller has none: so the ring polls the eventfd, multishot
 *     to wake the caller   a futex, and only when it sleeps
 *
 * Not there: a task for each function (it runs in the server's loop), the end of the runtime
 * (nobody is refused), other shards, timers.
 */
#ifndef LIMIT_FOREIGN_H
#define LIMIT_FOREIGN_H

#include "limit.h"

struct limit_submission {
    struct limit_submission *next;
    int (*fn)(void *);
    void *arg;
    int32_t result;
    uint32_t done;
};

/* 0; or -errno, and there is nothing to be ended. */
LIMIT_API int limit_server_begin(int cpu);
LIMIT_API void limit_server_end(void);

LIMIT_API void limit_submit(struct limit_submission *submission, int (*fn)(void *), void *arg);
LIMIT_API int limit_submission_wait(struct limit_submission *submission); /* the result */

#endif /* LIMIT_FOREIGN_H */
