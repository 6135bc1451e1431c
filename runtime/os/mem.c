/* SPDX-License-Identifier: MIT */
/* Memory: see mem.h. */
#include "os/mem.h"

#include <sys/mman.h>

#include "os/sys.h"

#define PAGE_BYTES ((size_t)4096)

int rti_mem_reserve(void **out, size_t bytes)
{
    void *address;
    int r = rti_sys_mmap(&address, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (r < 0) {
        return r;
    }
    /* Both may fail on a kernel built without the feature, which then needs no telling. */
    (void)rti_sys_madvise(address, bytes, MADV_NOHUGEPAGE);
    (void)rti_sys_madvise(address, bytes, MADV_DONTDUMP);
    *out = address;
    return 0;
}

int rti_mem_release(void *address, size_t bytes)
{
    return rti_sys_munmap(address, bytes);
}

void rti_mem_dump(void *address, size_t bytes)
{
    (void)rti_sys_madvise(address, bytes, MADV_DODUMP);
}

int rti_mem_guard_install(void *address, size_t bytes)
{
    return rti_sys_madvise(address, bytes, RTI_MADV_GUARD_INSTALL);
}

int rti_mem_guard_protect(void *address, size_t bytes)
{
    return rti_sys_mprotect(address, bytes, PROT_NONE);
}

int rti_mem_discard(void *address, size_t bytes)
{
    return rti_sys_madvise(address, bytes, MADV_DONTNEED);
}

const void *rti_mem_lowest_touched(const void *address, size_t bytes)
{
    unsigned char resident[((size_t)256 << 10) / PAGE_BYTES];

    if (bytes > (size_t)256 << 10 || rti_sys_mincore(address, bytes, resident) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < bytes / PAGE_BYTES; i++) {
        if ((resident[i] & 1) != 0) {
            return (const char *)address + i * PAGE_BYTES;
        }
    }
    return NULL;
}

int rti_mem_map(void **out, size_t bytes)
{
    const int r = rti_sys_mmap(out, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                               0);

    if (r == 0) {
        (void)rti_sys_madvise(*out, bytes, MADV_HUGEPAGE); /* advice; some kernels have none */
    }
    return r;
}

void *rti_mem_alloc_near(size_t bytes, int node)
{
    void *memory;

    if (node < 0) {
        return rti_sys_alloc(bytes);
    }
    if (rti_sys_mmap(&memory, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) <
        0) {
        return NULL;
    }
    /* A preference: where it cannot be had the memory comes from the writer's node, and works. */
    (void)rti_sys_mbind_near(memory, bytes, node);
    return memory;
}

void rti_mem_free_near(void *memory, size_t bytes, int node)
{
    if (node < 0) {
        rti_sys_free(memory);
    } else if (memory != NULL) {
        (void)rti_sys_munmap(memory, bytes);
    }
}
