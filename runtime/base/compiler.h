/* SPDX-License-Identifier: MIT */
/* Compiler: the few extensions of gcc and clang that the runtime uses, by name. */
#ifndef RTI_BASE_COMPILER_H
#define RTI_BASE_COMPILER_H

#include <stddef.h>
#include <stdint.h>

#define RTI_LIKELY(x)   __builtin_expect(!!(x), 1)
#define RTI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RTI_NOINLINE    __attribute__((noinline))
#define RTI_NORETURN    __attribute__((noreturn))
#define RTI_COLD        __attribute__((cold, noinline))
#define RTI_ALIGNED(n)  __attribute__((aligned(n)))

#define RTI_CACHE_LINE 64

/* The object of type `type` whose member `member` is at `pointer`. */
#define RTI_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#if defined(__SANITIZE_ADDRESS__)
#define RTI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RTI_ASAN 1
#endif
#endif
#ifndef RTI_ASAN
#define RTI_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define RTI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RTI_TSAN 1
#endif
#endif
#ifndef RTI_TSAN
#define RTI_TSAN 0
#endif

/*
 * For functions that return on another stack than they were called on last: the processor predicts
 * a `ret` from the calls made before it, which were made on the other stack, so it is mispredicted
 * each time (7 ns). Such a function ends in a jump to the address instead, which is predicted by
 * what happened the times before (runtime/fiber/switch_x86_64.S has the jump). gcc does this for
 * kernels; programs built for shadow stacks need their `ret`, and sanitizers know no other way.
 */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__CET__) && \
    !defined(__code_model_large__) && !RTI_ASAN && !RTI_TSAN
#define RTI_RETURNS_AFTER_SWITCH __attribute__((function_return("thunk-extern")))
#else
#define RTI_RETURNS_AFTER_SWITCH
#endif

/* Get the line for writing, without waiting for it. A hint: processors that do not know it do
 * nothing. (gcc's __builtin_prefetch() would get it for reading, or need -mprfchw.) */
static inline void rti_prefetch_write(const void *at)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
#endif
}

#endif /* RTI_BASE_COMPILER_H */
