/* SPDX-License-Identifier: MIT */
/*
 * Stack marks: of each function that fibers are made of, how deep its stacks went.
 *
 * A page of a stack that was touched is resident. So a fiber that begins gives
 * all pages below its first frame back, and when its function has returned, the
 * lowest resident page says how deep it went: to a page, and whatever was
 * written there, be it zeros.
 *
 * Only with RT_CONFIG_STACK_MARKS. Fibers are then made on the long way, of an entry
 * function that measures (core/task.c); what makes them quickly knows nothing of it.
 */
#ifndef RTI_CORE_STACK_MARKS_H
#define RTI_CORE_STACK_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fiber/stack.h"
#include "rt/task.h"

struct rti_stack_mark {
    rt_task_fn fn; /* NULL: the place is free */
    uint64_t fibers;
    uint32_t bytes_max;   /* that one of them used */
    uint32_t stack_bytes; /* the largest class that one of them had */
};

struct rti_stack_marks {
    struct rti_stack_mark *marks; /* open addressing; NULL: none yet */
    uint32_t room;                /* a power of two, or 0 */
    uint32_t used;                /* at most half of it */
    uint64_t missed;              /* fibers that could not be measured, or found no memory here */
};

void rti_stack_marks_fini(struct rti_stack_marks *marks);

/* A fiber begins, and runs on the stack: forget what was touched before. */
bool rti_stack_marks_begin(const struct rti_stack *stack);

/* Its function has returned; `begun` as returned by the former. */
void rti_stack_marks_end(struct rti_stack_marks *marks, rt_task_fn fn,
                         const struct rti_stack *stack, bool begun);

#endif /* RTI_CORE_STACK_MARKS_H */
