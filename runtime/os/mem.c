/* SPDX-License-Identifier: MIT */
/* Memory: see mem.h. */
#include "os/mem.h"

#include <sys/mman.h>

#include "os/sys.h"

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
