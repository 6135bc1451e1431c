/* SPDX-License-Identifier: MIT */
/*
 * Switch for aarch64: leave one stack, continue another (fiber.h, switch.h).
 *
 * A suspended fiber is its stack pointer. At that address lie, upwards, what a
 * callee must keep (AAPCS64):
 *
 *     x19 .. x28  x29 (frame pointer)  x30 (address to continue at)  d8 .. d15
 *
 * which is what RTI_FRAME_* in switch.h and tools/gdb/shardrt-gdb.py know too. Of
 * v8..v15 a callee keeps the lower halves only. FPCR is per executor, as MXCSR is
 * (fiber.h). x18 is the platform's and stays: a shadow call stack in it, or one by
 * GCS, would have to be one per fiber.
 *
 * The call frame information is right at each instruction: a debugger or a
 * profiler that stops in mid-switch sees one fiber or the other, whole.
 *
 * Leaving by `ret`, where x86-64 jumps. A jump into the middle of a function would
 * need a landing pad there, which compilers do not put (BTI); and no compiler has a
 * return by jump for the functions above, so that their returns are better off when
 * the predictor has as many returns as calls. Not measured: nobody had the machine.
 *
 * `bti c`, as a hint that old processors skip, begins what can be called through a
 * pointer, and the object is marked for BTI. Nothing is signed (PAC) here: C code
 * writes a new fiber's frame, and debuggers read an old one's. Functions of C may
 * sign; their stack pointer, which they sign with, is the same when they go on.
 */

    .macro bti_c
    hint #34
    .endm

    .macro where_saved              /* in terms of the frame, which ends at the CFA */
    .cfi_offset x19, -160
    .cfi_offset x20, -152
    .cfi_offset x21, -144
    .cfi_offset x22, -136
    .cfi_offset x23, -128
    .cfi_offset x24, -120
    .cfi_offset x25, -112
    .cfi_offset x26, -104
    .cfi_offset x27, -96
    .cfi_offset x28, -88
    .cfi_offset x29, -80
    .cfi_offset x30, -72
    .cfi_offset d8, -64
    .cfi_offset d9, -56
    .cfi_offset d10, -48
    .cfi_offset d11, -40
    .cfi_offset d12, -32
    .cfi_offset d13, -24
    .cfi_offset d14, -16
    .cfi_offset d15, -8
    .endm

    .macro load_all from            /* the stack pointer last: until then it is the old fiber */
    ldp x19, x20, [\from]
    ldp x21, x22, [\from, #16]
    ldp x23, x24, [\from, #32]
    ldp x25, x26, [\from, #48]
    ldp x27, x28, [\from, #64]
    ldp x29, x30, [\from, #80]
    ldp d8, d9, [\from, #96]
    ldp d10, d11, [\from, #112]
    ldp d12, d13, [\from, #128]
    ldp d14, d15, [\from, #144]
    add sp, \from, #160
    .cfi_def_cfa sp, 0
    .irp register, x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29, x30
    .cfi_restore \register
    .endr
    .irp register, d8, d9, d10, d11, d12, d13, d14, d15
    .cfi_restore \register
    .endr
    .endm

    .text

/* void rti_switch(void **save, void *load) */
    .globl rti_switch
    .hidden rti_switch
    .type rti_switch, %function
    .p2align 6
rti_switch:
    .cfi_startproc
    bti_c
    sub sp, sp, #160
    .cfi_def_cfa_offset 160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    where_saved                     /* the registers hold the same until the next instruction */
    load_all x1
    ret
    .cfi_endproc
    .size rti_switch, . - rti_switch

/* void rti_switch_last(void *load): as above, but nothing is saved. */
    .globl rti_switch_last
    .hidden rti_switch_last
    .type rti_switch_last, %function
    .p2align 6
rti_switch_last:
    .cfi_startproc
    .cfi_def_cfa x0, 160            /* from here on it is the other fiber that is seen */
    where_saved
    bti_c
    load_all x0
    ret
    .cfi_endproc
    .size rti_switch_last, . - rti_switch_last

/*
 * Where a new fiber starts, by the first switch to it: x19 holds the entry
 * function, x20 its argument, x29 is 0.
 *
 * It is the outermost frame: the return address is undefined for unwinders by
 * call frame information, x29 = 0 ends a walk along frame pointers. Unwinders
 * look up the instruction before a return address, so before the first switch
 * they look at the nop, which must belong to this function.
 */
    .globl rti_fiber_trampoline
    .hidden rti_fiber_trampoline
    .type rti_fiber_trampoline, %function
    .globl rti_fiber_start
    .hidden rti_fiber_start
    .p2align 6
rti_fiber_trampoline:
    .cfi_startproc
    .cfi_undefined x30
    nop
rti_fiber_start:
    mov x0, x20
    blr x19
    udf #0                          /* the entry function must not return */
    .cfi_endproc
    .size rti_fiber_trampoline, . - rti_fiber_trampoline

/*
 * void rti_call_on(void *load, void (*fn)(void *arg), void *arg)
 *
 * Calls fn(arg) below the frame of the suspended fiber that `load` is the saved
 * pointer of, then comes back to this stack. Unwinders that start in fn see it
 * as called by the fiber: while sp is on its stack, the frame is the fiber's.
 */
    .globl rti_call_on
    .hidden rti_call_on
    .type rti_call_on, %function
    .p2align 6
rti_call_on:
    .cfi_startproc
    bti_c
    stp x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    stp x19, x20, [sp, #16]
    .cfi_offset x19, -16
    .cfi_offset x20, -8
    mov x19, x0                     /* kept by fn: what unwinders find the fiber by */
    mov x20, sp                     /* and what this stack is found by */
    mov sp, x0
    .cfi_remember_state
    .cfi_def_cfa x19, 160
    where_saved
    mov x0, x2
    blr x1
    mov sp, x20
    .cfi_restore_state
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #32
    .cfi_def_cfa_offset 0
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size rti_call_on, . - rti_call_on

    .section .note.GNU-stack, "", %progbits

    .section .note.gnu.property, "a", %note
    .p2align 3
    .long 4                         /* bytes of the name */
    .long 16                        /* bytes of the descriptor */
    .long 5                         /* NT_GNU_PROPERTY_TYPE_0 */
    .asciz "GNU"
    .long 0xc0000000                /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
    .long 4
    .long 1                         /* BTI */
    .long 0
