/* SPDX-License-Identifier: MIT */
/* Poison: tells ASan that memory of ours must not be touched; nothing in other builds. */
#ifndef RTI_BASE_POISON_H
#define RTI_BASE_POISON_H

#include <stddef.h>

#include "base/compiler.h"

#if RTI_ASAN
#include <sanitizer/asan_interface.h>

static inline void rti_poison(void *memory, size_t bytes)
{
    __asan_poison_memory_region(memory, bytes);
}

static inline void rti_unpoison(void *memory, size_t bytes)
{
    __asan_unpoison_memory_region(memory, bytes);
}
#else
static inline void rti_poison(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

static inline void rti_unpoison(void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}
#endif

#endif /* RTI_BASE_POISON_H */
