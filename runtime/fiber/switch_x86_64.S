/* SPDX-License-Identifier: MIT */
/*
 * Switch for x86-64: leave one stack, continue another (fiber.h, switch.h).
 *
 * A suspended fiber is its stack pointer. At that address lie, upwards,
 *
 *     r15 r14 r13 r12 rbx rbp  address to continue at
 *
 * which is what RTI_FRAME_* in switch.h and tools/gdb/shardrt-gdb.py know too.
 * The call frame information is right at each instruction: a debugger or a
 * profiler that stops in mid-switch sees one fiber or the other, whole.
 *
 * Registers are saved by pushes and loaded by moves that do not name rsp. On
 * Zen 5 loads by pop, or relative to the new rsp, cost 6.9 instead of 3.2 ns
 * with 1000 fibers: the processor guesses which store such a load reads, from
 * what it did on the other stack. Saving by moves costs 0.6 ns more with two.
 *
 * Leaving by `jmp`: a `ret` would be predicted from the calls made on the
 * other stack, and miss. `notrack`, as the target is the middle of a function.
 *
 * The object is marked for IBT, not for shadow stacks: those would need one
 * shadow stack per fiber. So a linker never marks a program with it SHSTK.
 */

    .text

/* void rti_switch(void **save, void *load) */
    .globl rti_switch
    .hidden rti_switch
    .type rti_switch, @function
    .p2align 6
rti_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    pushq %rbx
    .cfi_def_cfa_offset 24
    .cfi_offset %rbx, -24
    pushq %r12
    .cfi_def_cfa_offset 32
    .cfi_offset %r12, -32
    pushq %r13
    .cfi_def_cfa_offset 40
    .cfi_offset %r13, -40
    pushq %r14
    .cfi_def_cfa_offset 48
    .cfi_offset %r14, -48
    pushq %r15
    .cfi_def_cfa_offset 56
    .cfi_offset %r15, -56
    movq %rsp, (%rdi)
    movq 48(%rsi), %rcx
    movq 40(%rsi), %rbp
    movq 32(%rsi), %rbx
    movq 24(%rsi), %r12
    movq 16(%rsi), %r13
    movq 8(%rsi), %r14
    movq 0(%rsi), %r15
    leaq 56(%rsi), %rsp
    .cfi_def_cfa %rsp, 0
    .cfi_register 16, %rcx          /* 16 is the return address */
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    notrack jmp *%rcx
    .cfi_endproc
    .size rti_switch, . - rti_switch

/* void rti_switch_last(void *load): as above, but nothing is saved. */
    .globl rti_switch_last
    .hidden rti_switch_last
    .type rti_switch_last, @function
    .p2align 6
rti_switch_last:
    .cfi_startproc
    endbr64
    .cfi_def_cfa %rdi, 56           /* from here on it is the other fiber that is seen */
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    movq 48(%rdi), %rcx
    movq 40(%rdi), %rbp
    movq 32(%rdi), %rbx
    movq 24(%rdi), %r12
    movq 16(%rdi), %r13
    movq 8(%rdi), %r14
    movq 0(%rdi), %r15
    leaq 56(%rdi), %rsp
    .cfi_def_cfa %rsp, 0
    .cfi_register 16, %rcx          /* 16 is the return address */
    .cfi_restore %rbp
    .cfi_restore %rbx
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    .cfi_restore %r15
    notrack jmp *%rcx
    .cfi_endproc
    .size rti_switch_last, . - rti_switch_last

/*
 * Where a new fiber starts, by the first switch to it: rbx holds the entry
 * function, r12 its argument, rbp is 0 and rsp is aligned to 16.
 *
 * It is the outermost frame: the return address is undefined for unwinders by
 * call frame information, rbp = 0 ends a walk along frame pointers. Unwinders
 * look up the instruction before a return address, so before the first switch
 * they look at the nop, which must belong to this function.
 */
    .globl rti_fiber_trampoline
    .hidden rti_fiber_trampoline
    .type rti_fiber_trampoline, @function
    .globl rti_fiber_start
    .hidden rti_fiber_start
    .p2align 6
rti_fiber_trampoline:
    .cfi_startproc
    .cfi_undefined 16
    .cfi_def_cfa_offset 0
    nop
rti_fiber_start:
    endbr64
    movq %r12, %rdi
    callq *%rbx
    ud2                             /* the entry function must not return */
    .cfi_endproc
    .size rti_fiber_trampoline, . - rti_fiber_trampoline

/*
 * void rti_call_on(void *load, void (*fn)(void *arg), void *arg)
 *
 * Calls fn(arg) below the frame of the suspended fiber that `load` is the saved
 * pointer of, then comes back to this stack. Unwinders that start in fn see it
 * as called by the fiber: while rsp is on its stack, the frame is the fiber's.
 */
    .globl rti_call_on
    .hidden rti_call_on
    .type rti_call_on, @function
    .p2align 6
rti_call_on:
    .cfi_startproc
    endbr64
    pushq %rbx
    .cfi_def_cfa_offset 16
    .cfi_offset %rbx, -16
    pushq %r12
    .cfi_def_cfa_offset 24
    .cfi_offset %r12, -24
    movq %rdi, %rbx                 /* kept by fn: what unwinders find the fiber by */
    movq %rsp, %r12                 /* and what this stack is found by */
    movq %rdi, %rsp
    .cfi_remember_state
    .cfi_def_cfa %rbx, 56
    .cfi_offset %rbp, -16
    .cfi_offset %rbx, -24
    .cfi_offset %r12, -32
    .cfi_offset %r13, -40
    .cfi_offset %r14, -48
    .cfi_offset %r15, -56
    andq $-16, %rsp
    movq %rdx, %rdi
    callq *%rsi
    movq %r12, %rsp
    .cfi_restore_state
    popq %r12
    .cfi_def_cfa_offset 16
    .cfi_restore %r12
    popq %rbx
    .cfi_def_cfa_offset 8
    .cfi_restore %rbx
    ret
    .cfi_endproc
    .size rti_call_on, . - rti_call_on

/* How functions marked RTI_RETURNS_AFTER_SWITCH return; the name is the compiler's. Weak: a program
 * that is compiled with -mfunction-return=thunk brings one of its own, which does as well. */
    .weak __x86_return_thunk
    .hidden __x86_return_thunk
    .type __x86_return_thunk, @function
    .p2align 6
__x86_return_thunk:
    .cfi_startproc
    popq %rcx
    .cfi_def_cfa_offset 0
    .cfi_register 16, %rcx
    notrack jmp *%rcx
    .cfi_endproc
    .size __x86_return_thunk, . - __x86_return_thunk

    .section .note.GNU-stack, "", @progbits

    .section .note.gnu.property, "a", @note
    .p2align 3
    .long 4                         /* bytes of the name */
    .long 16                        /* bytes of the descriptor */
    .long 5                         /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000002                /* GNU_PROPERTY_X86_FEATURE_1_AND */
    .long 4
    .long 1                         /* IBT */
    .long 0
