/* SPDX-License-Identifier: MIT */
/*
 * Fiber: a flow of control with a stack of its own, and the switch between two.
 *
 * A switch saves the callee-saved registers on the stack it leaves, stores the
 * stack pointer in the fiber it leaves, takes the one of the fiber it enters
 * and jumps to where that fiber left off. It saves no floating point control
 * words (they are per executor) and no signal mask. On x86-64 it leaves by
 * `jmp`: a `ret` would be mispredicted each time, since the return predictor
 * belongs to the other stack (3 against 10 ns).
 *
 * A fiber knows nothing of tasks or queues. Its entry function never returns;
 * it ends by switching away for the last time with rti_fiber_exit_to().
 *
 * All functions: on the thread that owns the fibers. None suspends in the
 * sense of the public headers.
 */
#ifndef RTI_FIBER_FIBER_H
#define RTI_FIBER_FIBER_H

#include "base/compiler.h"
#include "fiber/sanitize.h"
#include "fiber/stack.h"

struct rti_fiber {
    void *stack_pointer;           /* valid while the fiber is switched out */
    struct rti_sanitize sanitizer; /* empty but for sanitizer builds */
};

typedef void (*rti_fiber_entry)(void *arg);

/* Make `fiber` start in entry(arg) on `stack` at the first switch to it. Whatever ran on the stack
 * before is forgotten. */
void rti_fiber_init(struct rti_fiber *fiber, struct rti_stack *stack, rti_fiber_entry entry,
                    void *arg);

/* Adopt the flow of control that is running (a thread's own stack), so that it can be left and
 * switched back to. rti_fiber_release() ends that; both are cheap and need no memory. */
void rti_fiber_adopt(struct rti_fiber *fiber);
void rti_fiber_release(struct rti_fiber *fiber);

/* Leave `from` (the running one) and continue `to`, another one. Returns when somebody switches
 * to `from`. */
static inline void rti_fiber_switch(struct rti_fiber *from, struct rti_fiber *to);

/* As rti_fiber_switch(), but `from` (which was not adopted) will never be continued: its stack may
 * be used again as soon as `to` runs. `to` must have been switched away from or be new. */
static inline RTI_NORETURN void rti_fiber_exit_to(struct rti_fiber *from, struct rti_fiber *to);

#include "fiber/switch.h" /* the two inline functions, per processor and sanitizer */

#endif /* RTI_FIBER_FIBER_H */
