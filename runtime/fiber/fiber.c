/* SPDX-License-Identifier: MIT */
/* Fiber: how one begins; see fiber.h, and switch_*.S for the frame written here. */
#include "fiber/fiber.h"

#include <stdint.h>

void rti_fiber_init(struct rti_fiber *fiber, struct rti_stack *stack, rti_fiber_entry entry,
                    void *arg)
{
    uintptr_t *frame = (uintptr_t *)rti_stack_top(stack) - RTI_FRAME_WORDS;

    rti_sanitize_init(&fiber->sanitizer, stack, &entry, &arg);
    frame[RTI_FRAME_ENTRY] = (uintptr_t)entry;
    frame[RTI_FRAME_ARGUMENT] = (uintptr_t)arg;
    frame[RTI_FRAME_FRAME_POINTER] = 0; /* the end of the chain of frame pointers */
    frame[RTI_FRAME_ADDRESS] = (uintptr_t)rti_fiber_start;
    fiber->stack_pointer = frame;
}

void rti_fiber_adopt(struct rti_fiber *fiber)
{
    fiber->stack_pointer = NULL;
    rti_sanitize_adopt(&fiber->sanitizer);
}

void rti_fiber_release(struct rti_fiber *fiber)
{
    fiber->stack_pointer = NULL;
}
