/* SPDX-License-Identifier: MIT */
/* Sanitize: the functions for ASan and TSan that are not inline; see sanitize.h. */
#include "fiber/sanitize.h"

#include "fiber/fiber.h"

#if RTI_ASAN

void rti_sanitize_arrive(struct rti_sanitize *self)
{
    const void *low = NULL;
    size_t bytes = 0;

    __sanitizer_finish_switch_fiber(self->fake_stack, &low, &bytes);
    if (self->came_from == NULL) {
        rti_poison((void *)low, bytes);
    } else {
        self->came_from->low = low;
        self->came_from->bytes = bytes;
    }
}

/* First function of a new flow; its frame has no fake stack, as ASan has none for it yet. */
static void begin(void *arg)
{
    struct rti_sanitize *self = arg;

    rti_sanitize_arrive(self);
    self->entry(self->arg);
}

void rti_sanitize_init(struct rti_sanitize *self, struct rti_stack *stack,
                       void (**entry)(void *arg), void **arg)
{
    char *low = rti_stack_low(stack);
    const size_t bytes = (size_t)((char *)rti_stack_top(stack) - low);

    /* What the last user left on it: poison between the variables of frames never returned from. */
    rti_unpoison(low, bytes);
    *self = (struct rti_sanitize){ .low = low, .bytes = bytes, .entry = *entry, .arg = *arg };
    *entry = begin;
    *arg = self;
}

#elif RTI_TSAN

#include <setjmp.h>

/* A function without the calls to TSan at its begin and end, which clang keeps for
 * no_sanitize_thread: it is entered and left on different stacks of calls. */
#if defined(__clang__)
#define NOT_INSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define NOT_INSTRUMENTED __attribute__((no_sanitize_thread, noinline))
#endif

void rti_sanitize_leave_for_good(struct rti_sanitize *from, struct rti_sanitize *to, void *load)
{
    from->last_flow = to->flow;
    from->last_load = load;
    longjmp(*(jmp_buf *)from->beginning, 1);
}

NOT_INSTRUMENTED static void begin(void *arg)
{
    struct rti_sanitize *volatile self = arg; /* a register would be stale after longjmp */
    jmp_buf beginning;

    self->beginning = &beginning;
    self->stack->in_use = true;
    if (setjmp(beginning) == 0) {
        self->entry(self->arg);
    }
    self->stack->in_use = false;
    __tsan_switch_to_fiber(self->last_flow, 0);
    rti_switch_last(self->last_load);
}

void rti_sanitize_init(struct rti_sanitize *self, struct rti_stack *stack,
                       void (**entry)(void *arg), void **arg)
{
    struct rti_sanitize_stack *kept = &stack->sanitizer;

    if (kept->in_use) {
        rti_sanitize_stack_fini(kept);
    }
    if (kept->flow == NULL) {
        kept->flow = __tsan_create_fiber(0);
    }
    *self = (struct rti_sanitize){
        .flow = kept->flow, .stack = kept, .entry = *entry, .arg = *arg
    };
    *entry = begin;
    *arg = self;
}

void rti_sanitize_stack_fini(struct rti_sanitize_stack *stack)
{
    if (stack->flow != NULL) {
        __tsan_destroy_fiber(stack->flow);
        *stack = (struct rti_sanitize_stack){ .flow = NULL };
    }
}

#endif
