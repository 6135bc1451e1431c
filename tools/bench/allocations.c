/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the process is counted on its way to the C library's
 * allocator, by these definitions that the dynamic linker finds first. An
 * allocation costs one addition more; work that allocates nothing costs nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "counters.h"

/* The allocator of glibc under the names that it keeps for this. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static uint64_t allocations; /* atomic */

uint64_t allocations_count(void)
{
    return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

static void count_one(void)
{
    __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
    count_one();
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    count_one();
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count_one();
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count_one();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *memory = __libc_memalign(alignment, bytes);

    count_one();
    if (memory == NULL) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}
