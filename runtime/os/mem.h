/* SPDX-License-Identifier: MIT */
/* Memory: address space by the arena, with guards, and what the kernel is told about it. */
#ifndef RTI_OS_MEM_H
#define RTI_OS_MEM_H

#include <stddef.h>

/* Linux 6.13; not in the headers of older C libraries, so under a name of our own. */
#define RTI_MADV_GUARD_INSTALL 102

/* Address space for stacks: readable and writable, without memory until it is touched, in small
 * pages (a huge page would give each stack more than it will use), left out of core dumps. */
int rti_mem_reserve(void **out, size_t bytes);
int rti_mem_release(void *address, size_t bytes);

/* Let the range appear in core dumps. Advice: a failure is of no consequence. */
void rti_mem_dump(void *address, size_t bytes);

/* Make every access to the range fault, for as long as it is mapped. The first way costs no
 * mapping of its own; -EINVAL when the kernel has it not, or not for locked memory. */
int rti_mem_guard_install(void *address, size_t bytes);
int rti_mem_guard_protect(void *address, size_t bytes);

/* Give the memory of the range back; it reads as zero afterwards. Guards in it stay. */
int rti_mem_discard(void *address, size_t bytes);

/* The lowest page of the range that is resident, which is at least where it was touched last; NULL
 * when there is none, or the kernel does not say. At most 256 KiB; both ends at pages. */
const void *rti_mem_lowest_touched(const void *address, size_t bytes);

/* Memory for I/O: in huge pages where the kernel has some, and from the node that this thread takes
 * memory from. Given back by rti_mem_release(). */
int rti_mem_map(void **out, size_t bytes);

/* Zeroed memory that another node's processor will read: it comes from `node` while that has some,
 * or from anywhere (below 0). NULL when there is none. Freed with the same arguments. */
void *rti_mem_alloc_near(size_t bytes, int node);
void rti_mem_free_near(void *memory, size_t bytes, int node);

#endif /* RTI_OS_MEM_H */
