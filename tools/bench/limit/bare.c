/* SPDX-License-Identifier: MIT */
/*
 * The processor alone: an inlined switch that keeps the stack pointer, the
 * frame pointer and where to go on, and lets the compiler save what else lives.
 *
 * This file is compiled without a red zone: the switch pushes.
 */
#include <stdlib.h>

#include "limit.h"
#include "switch.h"

/* Leave `save` for `to`. Everything but rsp and rbp is given up, so the compiler keeps only what
 * it needs afterwards. */
static inline __attribute__((always_inline)) void switch_inline(void **save, void *to)
{
    __asm__ volatile("pushq %%rbp\n\t"
                     "leaq 1f(%%rip), %%rdx\n\t"
                     "pushq %%rdx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rsi, %%rsp\n\t"
                     "popq %%rdx\n\t"
                     "jmp *%%rdx\n"
                     "1:\n\t"
                     "popq %%rbp"
                     : "+D"(save), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
}

/* A flow of control; number 0 is the caller's own. */
struct bare {
    void *stack_pointer;
} __attribute__((aligned(64)));

static struct bare *flows;
static uint32_t flow_count;
static uint32_t flows_entered; /* besides number 0; they are entered in order */
static uint64_t switches_left;

static void *start_frame(char *stack, uint32_t number, void (*entry)(void))
{
    void **at = limit_stack_top(stack, number);

    *--at = NULL; /* in place of a return address, which aligns the stack as a call does */
    *--at = (void *)(uintptr_t)entry;
    return at;
}

/* Each flow switches to the next one, until no switch is left. */
static inline __attribute__((always_inline)) void go_round(struct bare *self)
{
    struct bare *next = self + 1 < flows + flow_count ? self + 1 : flows;

    while (switches_left > 0) {
        switches_left--;
        switch_inline(&self->stack_pointer, next->stack_pointer);
    }
}

static void circle_main(void)
{
    go_round(&flows[++flows_entered]);
    abort(); /* a whole number of rounds ends in flow 0 */
}

uint64_t bare_switches(uint32_t fibers, uint64_t switches)
{
    char *stacks = aligned_alloc(4096, (size_t)fibers * LIMIT_STACK_BYTES);
    int64_t start = 0;
    int64_t end = 0;

    flows = aligned_alloc(64, fibers * sizeof(struct bare));
    if (stacks != NULL && flows != NULL) {
        flow_count = fibers;
        flows_entered = 0;
        for (uint32_t i = 1; i < fibers; i++) {
            flows[i].stack_pointer = start_frame(stacks + (size_t)i * LIMIT_STACK_BYTES, i,
                                                 circle_main);
        }
        switches_left = fibers; /* once round, to start them all */
        go_round(&flows[0]);
        switches_left = switches - switches % fibers;
        start = limit_now();
        go_round(&flows[0]);
        end = limit_now();
    }
    free(stacks);
    free(flows);
    return (uint64_t)(end - start);
}

static void *spawner; /* stack pointer of bare_spawns() */

static void ends_at_once(void)
{
    void *forgotten;

    switch_inline(&forgotten, spawner);
    abort();
}

uint64_t bare_spawns(uint64_t count)
{
    char *stack = aligned_alloc(4096, LIMIT_STACK_BYTES);
    int64_t start;

    if (stack == NULL) {
        return 0;
    }
    start = limit_now();
    for (uint64_t i = 0; i < count; i++) {
        switch_inline(&spawner, start_frame(stack, 0, ends_at_once));
    }
    start = limit_now() - start;
    free(stack);
    return (uint64_t)start;
}
