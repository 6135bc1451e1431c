/* SPDX-License-Identifier: MIT */
/*
 * Switch: the inline half, included by fiber.h only.
 *
 * Both functions are inlined into the one that suspends. That saves a `ret`
 * on the new stack, which x86-64 always mispredicts, and TSan needs it: its hook
 * changes the stack of calls that it keeps, so no instrumented function may
 * be entered before the hook and left after the switch.
 */
#ifndef RTI_FIBER_SWITCH_H
#define RTI_FIBER_SWITCH_H

#ifndef RTI_FIBER_FIBER_H
#error "include fiber/fiber.h"
#endif

/* Where what C code writes and reads lies above the stack pointer of a suspended fiber, in words.
 * All that is there: switch_*.S. */
#if defined(__x86_64__)
enum rti_frame {
    RTI_FRAME_ARGUMENT = 3,      /* r12 */
    RTI_FRAME_ENTRY = 4,         /* rbx */
    RTI_FRAME_FRAME_POINTER = 5, /* rbp */
    RTI_FRAME_ADDRESS = 6,       /* rip: where it goes on */
    RTI_FRAME_WORDS = 7,
};
#elif defined(__aarch64__)
enum rti_frame {
    RTI_FRAME_ENTRY = 0,          /* x19 */
    RTI_FRAME_ARGUMENT = 1,       /* x20 */
    RTI_FRAME_FRAME_POINTER = 10, /* x29 */
    RTI_FRAME_ADDRESS = 11,       /* x30 */
    RTI_FRAME_WORDS = 20,
};
#else
#error "there is no context switch for this processor yet"
#endif

/* Save the registers on this stack and its pointer in *save, then continue what `load` is the
 * saved pointer of. */
__attribute__((visibility("hidden"))) void rti_switch(void **save, void *load);

/* Continue `load`; this stack is not continued. Not declared to never return: compilers would
 * call a sanitizer there, after the sanitizer was told that the stack has changed. */
__attribute__((visibility("hidden"))) void rti_switch_last(void *load);

/* Call fn(arg) on the stack that `load` is the saved pointer of, as if the fiber there had called
 * it, and come back. There must be room for it below `load`. */
__attribute__((visibility("hidden"))) void rti_call_on(void *load, void (*fn)(void *arg),
                                                       void *arg);

/* First instruction of a new fiber. No function that C code could call. */
extern __attribute__((visibility("hidden"))) const char rti_fiber_start[];

static inline __attribute__((always_inline)) void rti_fiber_switch(struct rti_fiber *from,
                                                                   struct rti_fiber *to)
{
    void *load = to->stack_pointer;

    rti_sanitize_leave(&from->sanitizer, &to->sanitizer);
    rti_switch(&from->stack_pointer, load);
    rti_sanitize_arrive(&from->sanitizer);
}

static inline __attribute__((always_inline)) RTI_NORETURN void
rti_fiber_exit_to(struct rti_fiber *from, struct rti_fiber *to)
{
    void *load = to->stack_pointer;

    rti_sanitize_leave_for_good(&from->sanitizer, &to->sanitizer, load);
    rti_switch_last(load);
    __builtin_unreachable();
}

#endif /* RTI_FIBER_SWITCH_H */
