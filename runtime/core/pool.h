/* SPDX-License-Identifier: MIT */
/*
 * Pool: objects of one size, got and put without the heap in steady state.
 *
 * Memory comes in blocks of 64 objects and is freed only with the pool. An
 * object is zeroed when it is got. Under ASan free objects are poisoned.
 */
#ifndef RTI_CORE_POOL_H
#define RTI_CORE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct rti_pool {
    size_t object_bytes; /* multiple of 16 */
    void *free;          /* list of free objects, last put first */
    void *blocks;        /* list of blocks */
    uint32_t in_use;
};

void rti_pool_init(struct rti_pool *pool, size_t object_bytes);
void rti_pool_fini(struct rti_pool *pool); /* also frees objects still in use */
void *rti_pool_get(struct rti_pool *pool); /* NULL when there is no memory */
void rti_pool_put(struct rti_pool *pool, void *object);

#endif /* RTI_CORE_POOL_H */
