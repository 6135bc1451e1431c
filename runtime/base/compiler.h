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

#endif /* RTI_BASE_COMPILER_H */
