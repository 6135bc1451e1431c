/* SPDX-License-Identifier: MIT */
/* Interrupted: what a signal's handler is told of the processor. */
#ifndef RTI_OS_INTERRUPTED_H
#define RTI_OS_INTERRUPTED_H

#include <stdint.h>
#include <ucontext.h>

/* The address of the instruction before which the signal came. */
static inline uintptr_t rti_interrupted_address(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
#error "where does this processor's context have the address?"
#endif
}

#endif /* RTI_OS_INTERRUPTED_H */
