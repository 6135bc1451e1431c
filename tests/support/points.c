/* SPDX-License-Identifier: MIT */
/*
 * Points: in sources that are compiled for it, every atomic access is a point where the
 * simulated kernel may let another thread go on (sim_point()).
 *
 * The compiler's instrumentation for ThreadSanitizer calls a function at each
 * access to memory; here are functions of these names that do the access and,
 * before an atomic one, ask the sim. So all interleavings of atomic steps can be
 * reached without a line for it in the sources. tools/cmake/ShardrtTest.cmake
 * compiles the layers above core/ so for tests that say POINTS.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/sim.h"

/* Each step in the strongest order: weak memory is not tried here, see sim_threads.c. */
#define ORDER __ATOMIC_SEQ_CST

#define POINT_UPDATE(bits, name)                                                       \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at,           \
                                                uint##bits##_t value, int order);      \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *at,           \
                                                uint##bits##_t value, int order)       \
    {                                                                                  \
        (void)order;                                                                   \
        sim_point();                                                                   \
        return __atomic_##name(at, value, ORDER);                                      \
    }

#define POINT_COMPARE(bits, name)                                                         \
    bool __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, \
                                      uint##bits##_t value, int order, int order_failed); \
    bool __tsan_atomic##bits##_##name(volatile uint##bits##_t *at, uint##bits##_t *expected, \
                                      uint##bits##_t value, int order, int order_failed)  \
    {                                                                                     \
        (void)order;                                                                      \
        (void)order_failed;                                                               \
        sim_point();                                                                      \
        return __atomic_compare_exchange_n(at, expected, value, false, ORDER, ORDER);     \
    }

#define POINT_ATOMIC(bits)                                                                 \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order); \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *at, int order) \
    {                                                                                      \
        (void)order;                                                                       \
        sim_point();                                                                       \
        return __atomic_load_n(at, ORDER);                                                 \
    }                                                                                      \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value,    \
                                     int order);                                           \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *at, uint##bits##_t value,    \
                                     int order)                                            \
    {                                                                                      \
        (void)order;                                                                       \
        sim_point();                                                                       \
        __atomic_store_n(at, value, ORDER);                                                \
    }                                                                                      \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at,             \
                                                  uint##bits##_t value, int order);        \
    uint##bits##_t __tsan_atomic##bits##_exchange(volatile uint##bits##_t *at,             \
                                                  uint##bits##_t value, int order)         \
    {                                                                                      \
        (void)order;                                                                       \
        sim_point();                                                                       \
        return __atomic_exchange_n(at, value, ORDER);                                      \
    }                                                                                      \
    POINT_UPDATE(bits, fetch_add)                                                          \
    POINT_UPDATE(bits, fetch_sub)                                                          \
    POINT_UPDATE(bits, fetch_and)                                                          \
    POINT_UPDATE(bits, fetch_or)                                                           \
    POINT_UPDATE(bits, fetch_xor)                                                          \
    POINT_COMPARE(bits, compare_exchange_strong)                                           \
    POINT_COMPARE(bits, compare_exchange_weak)

POINT_ATOMIC(8)
POINT_ATOMIC(16)
POINT_ATOMIC(32)
POINT_ATOMIC(64)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    (void)order;
    sim_point();
}

/* Accesses that are not atomic are no points. */
#define NO_POINT(name)              \
    void __tsan_##name(void *at);   \
    void __tsan_##name(void *at)    \
    {                               \
        (void)at;                   \
    }

NO_POINT(read1)
NO_POINT(read2)
NO_POINT(read4)
NO_POINT(read8)
NO_POINT(read16)
NO_POINT(write1)
NO_POINT(write2)
NO_POINT(write4)
NO_POINT(write8)
NO_POINT(write16)
NO_POINT(unaligned_read2)
NO_POINT(unaligned_read4)
NO_POINT(unaligned_read8)
NO_POINT(unaligned_read16)
NO_POINT(unaligned_write2)
NO_POINT(unaligned_write4)
NO_POINT(unaligned_write8)
NO_POINT(unaligned_write16)
NO_POINT(func_entry)

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void __tsan_read_range(void *at, size_t bytes);
void __tsan_read_range(void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

void __tsan_write_range(void *at, size_t bytes);
void __tsan_write_range(void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
}

void __tsan_init(void);
void __tsan_init(void)
{
}
