/* SPDX-License-Identifier: MIT */
/* The switch of the limit fibers, called; see switch_x86_64.S. */
#ifndef LIMIT_SWITCH_H
#define LIMIT_SWITCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Leave the running flow of control, its stack pointer kept in *save, for the one whose stack
 * pointer is `to`; there the call that left it returns `value`.
 */
int limit_switch(void **save, void *to, int value);

/* What lies at a stack pointer of a flow of control that is switched out. */
struct limit_frame {
    uint64_t r15, r14, r13, r12, rbx, rbp;
    void (*resume)(void); /* where to go on */
    uint64_t no_return;   /* a new fiber: 0, in place of a return address */
};

/* Bytes of a limit fiber's stack: enough for the rows' functions, and for a printf in one. */
#define LIMIT_STACK_BYTES 16384

/* Tops are spread over 16 lines of 64 bytes (measured: more lines add nothing, fewer cost). */
static inline void *limit_stack_top(char *stack, size_t number)
{
    return stack + LIMIT_STACK_BYTES - (number % 16) * 64 - 64;
}

/* A flow of control that starts in `entry`; its stack pointer. */
static inline void *limit_frame_make(void *top, void (*entry)(void))
{
    struct limit_frame *frame = (struct limit_frame *)top - 1;

    frame->rbp = 0; /* ends the chain of frame pointers */
    frame->resume = entry;
    frame->no_return = 0;
    return frame;
}

#endif /* LIMIT_SWITCH_H */
