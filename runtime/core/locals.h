/* SPDX-License-Identifier: MIT */
/*
 * Task-locals: a block of values that tasks share until one of them sets a value.
 *
 * Blocks are the executor's and counted without atomics: only its tasks have them.
 */
#ifndef RTI_CORE_LOCALS_H
#define RTI_CORE_LOCALS_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "rt/local.h"

struct rti_executor;

struct rti_locals {
    uint64_t tasks; /* that share it, 1 at least */
    void *values[RT_LOCALS_MAX];
};

/* For one more task; NULL stays NULL. */
static inline struct rti_locals *rti_locals_get(struct rti_locals *locals)
{
    if (RTI_UNLIKELY(locals != NULL)) {
        locals->tasks++;
    }
    return locals;
}

/* A task has ended that had it. */
void rti_locals_put(struct rti_executor *executor, struct rti_locals *locals);

#endif /* RTI_CORE_LOCALS_H */
