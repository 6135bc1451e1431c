/* SPDX-License-Identifier: MIT */
/*
 * Sanitize: tells ASan and TSan which stack runs. Empty in plain builds.
 *
 * ASan must know the bounds of the stack that is switched to before the
 * switch, and be told after it that the switch is done. It keeps a "fake
 * stack" per flow (for use after return), which is freed by the last leave
 * only. The bounds of an adopted flow are learnt when it is first left. A
 * stack that was left for good is poisoned by whoever arrives next.
 *
 * TSan keeps a stack of calls per flow, in an object that stays with the
 * pooled stack, as making one costs microseconds. That stack of calls must be
 * empty when the object is used again, but a fiber ends somewhere inside its
 * functions. So a fiber notes its beginning by setjmp, and its last leave is a
 * longjmp to there, which TSan follows. TSan allows about 8000 flows at a time.
 *
 * Order: init or adopt; then, for each switch, leave in the flow that is left
 * and arrive in the one that goes on (a new one arrives inside its hook).
 */
#ifndef RTI_FIBER_SANITIZE_H
#define RTI_FIBER_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/poison.h"

struct rti_stack;

#if RTI_ASAN

#include <sanitizer/common_interface_defs.h>

__extension__ struct rti_sanitize_stack {
};

struct rti_sanitize {
    const void *low; /* bounds of its stack; of an adopted flow: valid once it was left */
    size_t bytes;
    void *fake_stack;               /* valid while the flow is switched out */
    struct rti_sanitize *came_from; /* who switched to it last; NULL if that one left for good */
    void (*entry)(void *arg);       /* what the hook calls */
    void *arg;
};

/* Prepare a new flow. Replaces *entry and *arg by those of a hook that arrives, then calls them. */
void rti_sanitize_init(struct rti_sanitize *self, struct rti_stack *stack,
                       void (**entry)(void *arg), void **arg);

static inline void rti_sanitize_adopt(struct rti_sanitize *self)
{
    *self = (struct rti_sanitize){ .low = NULL };
}

static inline __attribute__((always_inline)) void rti_sanitize_leave(struct rti_sanitize *from,
                                                                     struct rti_sanitize *to)
{
    to->came_from = from;
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->bytes);
}

static inline __attribute__((always_inline)) void
rti_sanitize_leave_for_good(struct rti_sanitize *from, struct rti_sanitize *to, void *load)
{
    (void)from;
    (void)load;
    to->came_from = NULL;
    __sanitizer_start_switch_fiber(NULL, to->low, to->bytes);
}

void rti_sanitize_arrive(struct rti_sanitize *self);

static inline void rti_sanitize_stack_fini(struct rti_sanitize_stack *stack)
{
    (void)stack;
}

#elif RTI_TSAN

#include <sanitizer/tsan_interface.h>

struct rti_sanitize_stack {
    void *flow;  /* TSan's object; NULL until the stack is first used */
    bool in_use; /* its stack of calls is not empty: a fiber began and did not leave for good */
};

struct rti_sanitize {
    void *flow;                       /* TSan's object */
    struct rti_sanitize_stack *stack; /* NULL if the flow was adopted */
    void *beginning;                  /* jmp_buf in the hook's frame, valid once it runs */
    void *last_flow;                  /* for the hook: where to go at the end */
    void *last_load;
    void (*entry)(void *arg);
    void *arg;
};

void rti_sanitize_init(struct rti_sanitize *self, struct rti_stack *stack,
                       void (**entry)(void *arg), void **arg);

static inline void rti_sanitize_adopt(struct rti_sanitize *self)
{
    *self = (struct rti_sanitize){ .flow = __tsan_get_current_fiber() };
}

static inline __attribute__((always_inline)) void rti_sanitize_leave(struct rti_sanitize *from,
                                                                     struct rti_sanitize *to)
{
    (void)from;
    __tsan_switch_to_fiber(to->flow, 0);
}

/* Does not come back: the hook makes the switch. */
RTI_NORETURN void rti_sanitize_leave_for_good(struct rti_sanitize *from, struct rti_sanitize *to,
                                              void *load);

static inline void rti_sanitize_arrive(struct rti_sanitize *self)
{
    (void)self;
}

void rti_sanitize_stack_fini(struct rti_sanitize_stack *stack);

#else

__extension__ struct rti_sanitize_stack {
};

__extension__ struct rti_sanitize {
};

static inline void rti_sanitize_init(struct rti_sanitize *self, struct rti_stack *stack,
                                     void (**entry)(void *arg), void **arg)
{
    (void)self;
    (void)stack;
    (void)entry;
    (void)arg;
}

static inline void rti_sanitize_adopt(struct rti_sanitize *self)
{
    (void)self;
}

static inline void rti_sanitize_leave(struct rti_sanitize *from, struct rti_sanitize *to)
{
    (void)from;
    (void)to;
}

static inline void rti_sanitize_leave_for_good(struct rti_sanitize *from, struct rti_sanitize *to,
                                               void *load)
{
    (void)from;
    (void)to;
    (void)load;
}

static inline void rti_sanitize_arrive(struct rti_sanitize *self)
{
    (void)self;
}

static inline void rti_sanitize_stack_fini(struct rti_sanitize_stack *stack)
{
    (void)stack;
}

#endif

#endif /* RTI_FIBER_SANITIZE_H */
