/* SPDX-License-Identifier: MIT */
/*
 * Backtrace: the calls that a fiber which is switched out is in.
 *
 * The compiler's unwinder (libgcc) can only start where it is called. So it is
 * called on the fiber's own stack, below the frame that the last switch saved
 * there, by a piece of assembly whose call frame information says that the fiber
 * had called it. That needs some room on that stack, and nothing else: no signal,
 * no memory, no frame pointers.
 */
#ifndef RTI_FIBER_BACKTRACE_H
#define RTI_FIBER_BACKTRACE_H

#include "fiber/fiber.h"

/* The least room on a fiber's stack for the unwinder. It was seen to take 1.5 KiB (gcc 12), and the
 * first time 4.6 KiB: the loader, which binds it then, saves the vector registers (Zen 5). */
#define RTI_BACKTRACE_ROOM 8192

/*
 * Where the fiber, which is switched out, will go on and what it returns to: addresses, innermost
 * first. Returns how many, at most `max`; 0 when it has never run; -ENOBUFS when too little room is
 * left on its stack. On the thread that owns the fiber.
 */
int rti_fiber_backtrace(const struct rti_fiber *fiber, const struct rti_stack *stack,
                        uintptr_t *out, int max);

#endif /* RTI_FIBER_BACKTRACE_H */
