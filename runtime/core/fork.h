/* SPDX-License-Identifier: MIT */
/*
 * Fork: a child that is made while a runtime lives may only exec.
 *
 * It has the memory of all shards and the thread of none; its rings are the
 * parent's, mutexes may be locked by threads that are not there. Nothing of that
 * can be used, or be put right. So the child is marked, and whatever it calls
 * aborts with a text: calls of tasks since no thread of it is a shard any more,
 * those for any thread since they ask rti_fork_check().
 *
 * posix_spawn(3), system(3) and popen(3) fork nothing in this sense.
 */
#ifndef RTI_CORE_FORK_H
#define RTI_CORE_FORK_H

#include <stdbool.h>

#include "base/assert.h"

/* A runtime lives between these: 0, or -ENOMEM. Any thread. */
int rti_fork_enter(void);
void rti_fork_leave(void);

/* This process is such a child. */
extern bool rti_fork_is_child;

static inline void rti_fork_check(const char *call)
{
    if (RTI_UNLIKELY(rti_fork_is_child)) {
        rti_misuse("%s() was called", call);
    }
}

#endif /* RTI_CORE_FORK_H */
