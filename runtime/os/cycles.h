/* SPDX-License-Identifier: MIT */
/*
 * Cycles: the processor's counter, where there is one that runs at one rate in all power states.
 *
 * On aarch64 it is the system's: 1 GHz since ARMv8.6, and 20 to 120 MHz before that.
 */
#ifndef RTI_OS_CYCLES_H
#define RTI_OS_CYCLES_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <x86intrin.h>

/* CPUID 80000007h, EDX bit 8: "invariant TSC". */
static inline bool rti_cycles_are_invariant(void)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;

    return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
}

/* How many a ns has, as far as the processor tells; rather too few than too many. */
static inline double rti_cycles_per_ns(void)
{
    return 1.0;
}

static inline uint64_t rti_cycles(void)
{
    return __rdtsc();
}

/* Tell the processor that this is a loop that waits for another one. */
static inline void rti_cpu_relax(void)
{
    _mm_pause();
}

#elif defined(__aarch64__)

static inline bool rti_cycles_are_invariant(void)
{
    return true; /* so the architecture has it */
}

static inline double rti_cycles_per_ns(void)
{
    uint64_t hz;

    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    hz &= UINT32_MAX; /* what is above is reserved */
    return hz > 0 ? (double)hz / 1e9 : 1.0;
}

/* Without a barrier: it may be read some instructions early, far less than a tick. */
static inline uint64_t rti_cycles(void)
{
    uint64_t count;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
}

/* `yield` does nothing on most cores; this takes about as long as x86-64's `pause`. Rust's spin
 * loops do it, by figures from a Graviton 2 (rust-lang/rust, pull request 84725). */
static inline void rti_cpu_relax(void)
{
    __asm__ volatile("isb" ::: "memory");
}

#else

static inline bool rti_cycles_are_invariant(void)
{
    return false;
}

static inline double rti_cycles_per_ns(void)
{
    return 1.0;
}

static inline uint64_t rti_cycles(void)
{
    return 0;
}

static inline void rti_cpu_relax(void)
{
}

#endif

#endif /* RTI_OS_CYCLES_H */
