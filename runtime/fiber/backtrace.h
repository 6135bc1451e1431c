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

#include <features.h>

#include "fiber/fiber.h"

/* The least room on a fiber's stack for the unwinder. It was seen to take 1.5 KiB (gcc 12), and the
 * first time 4.6 KiB: the loader, which binds it then, saves the vector registers (Zen 5); on
 * aarch64 6.4 KiB. */
#define RTI_BACKTRACE_ROOM 9216

/*
 * Where the fiber, which is switched out, will go on and what it returns to: addresses, innermost
 * first. Returns how many, at most `max`; 0 when it has never run; -ENOBUFS when too little room is
 * left on its stack. On the thread that owns the fiber.
 */
int rti_fiber_backtrace(const struct rti_fiber *fiber, const struct rti_stack *stack,
                        uintptr_t *out, int max);

/* The unwinder finds its tables by _dl_find_object(). */
#if __GLIBC_PREREQ(2, 35)
#define RTI_UNWINDER_TAKES_NO_LOCK 1
#else
#define RTI_UNWINDER_TAKES_NO_LOCK 0
#endif

/* In a handler that got `context` (ucontext_t) of its signal: what it has interrupted, and the
 * calls that this is in. All but the first are return addresses. Takes no lock with glibc 2.35 or
 * newer; with an older one it gives the interrupted address only. */
int rti_signal_backtrace(const void *context, uintptr_t *out, int max);

/* Before the first of these: the unwinder prepares itself, under a lock, when it is first used. */
void rti_signal_backtrace_prepare(void);

#endif /* RTI_FIBER_BACKTRACE_H */
