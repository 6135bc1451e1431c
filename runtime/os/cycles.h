/* SPDX-License-Identifier: MIT */
/* Cycles: the processor's counter, where there is one that runs at one rate in all power states. */
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

static inline uint64_t rti_cycles(void)
{
    return __rdtsc();
}

/* Tell the processor that this is a loop that waits for another one. */
static inline void rti_cpu_relax(void)
{
    _mm_pause();
}

#else

static inline bool rti_cycles_are_invariant(void)
{
    return false;
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
