/* SPDX-License-Identifier: MIT */
/*
 * Memory: how much of its stack each task function uses, and which size is enough.
 *
 *     config.flags = RT_CONFIG_STACK_MARKS;          measure
 *     ...
 *     n = rt_stack_report(text, sizeof(text), 0);    and ask, in any task
 *
 * With the flag set, a shard looks at the stack of each fiber that ends, and
 * keeps, for each function that fibers were made of, how many there were and how
 * deep the deepest went, in pages. That costs each fiber two system calls, about 1 us,
 * and a page fault for each page below its first: it is for tests, or for one process of
 * many. What a stack costs, and when memory of stacks goes back,
 * is told in docs/guide/memory.md.
 *
 * The advised size is the smallest that has room for the deepest use, a quarter
 * of it and 4 KiB more. Another input may go deeper: what was not run was not
 * measured.
 */
#ifndef RT_MEMORY_H
#define RT_MEMORY_H

#include <sys/types.h>

#include "rt/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum rt_stack_report_flag {
    RT_STACK_REPORT_JSON = 1u << 0, /* one line of JSON, instead of a table for people */
};

/**
 * What the calling shard has measured so far: of each function its name as the loader
 * knows it (static functions have none: then the address, for addr2line), the
 * fibers of it that have ended, the most bytes that one has used, the size of its
 * stack, and the size advised.
 *
 * A call from another shard counts for the fiber that ran it, which is the
 * runtime's own. Sanitizers make frames larger: their figures hold for such builds.
 *
 * @param text   gets the report and a terminator, cut to `bytes`; NULL if `bytes` is 0.
 * @param flags  enum rt_stack_report_flag, or'ed.
 * @return how many bytes the whole report has, without a terminator; -ENOENT without
 *         RT_CONFIG_STACK_MARKS; -EINVAL for unknown flags; -ENOMEM.
 * \context{In a task whose stack has 4 KiB left. Does not suspend.}
 */
RT_API RT_MUST_CHECK RT_ON_SHARD
ssize_t rt_stack_report(char *text, size_t bytes, uint32_t flags);

#ifdef __cplusplus
}
#endif

#endif /* RT_MEMORY_H */
