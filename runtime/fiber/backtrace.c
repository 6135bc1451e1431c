/* SPDX-License-Identifier: MIT */
/* Backtrace: see backtrace.h. */
#include "fiber/backtrace.h"

#include <errno.h>
#include <unwind.h>

#include "os/interrupted.h"

struct walk {
    uintptr_t *out;
    int count;
    int max;
    uintptr_t begin; /* the address at which the fiber goes on; frames before it are the walker's */
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    const uintptr_t address = _Unwind_GetIP(context);

    if (address == 0 || walk->count == walk->max) {
        return _URC_END_OF_STACK;
    }
    if (walk->count > 0 || address == walk->begin) {
        walk->out[walk->count++] = address;
    }
    return _URC_NO_REASON;
}

static void walk_on(void *arg)
{
    (void)_Unwind_Backtrace(visit, arg);
}

int rti_fiber_backtrace(const struct rti_fiber *fiber, const struct rti_stack *stack,
                        uintptr_t *out, int max)
{
    const uintptr_t *frame = fiber->stack_pointer;
    struct walk walk = { .out = out, .max = max, .begin = frame[RTI_FRAME_ADDRESS] };

    if (walk.begin == (uintptr_t)rti_fiber_start) {
        return 0;
    }
    if ((char *)fiber->stack_pointer - (char *)rti_stack_low(stack) < RTI_BACKTRACE_ROOM) {
        return -ENOBUFS;
    }
    rti_call_on(fiber->stack_pointer, walk_on, &walk);
    return walk.count;
}

int rti_signal_backtrace(const void *context, uintptr_t *out, int max)
{
    struct walk walk = { .out = out, .max = max, .begin = rti_interrupted_address(context) };

    if (RTI_UNWINDER_TAKES_NO_LOCK) {
        (void)_Unwind_Backtrace(visit, &walk);
    }
    if (walk.count == 0 && max > 0) {
        out[walk.count++] = walk.begin;
    }
    return walk.count;
}

void rti_signal_backtrace_prepare(void)
{
    struct walk walk = { .max = 0 };

    (void)_Unwind_Backtrace(visit, &walk);
}
