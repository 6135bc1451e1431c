/* SPDX-License-Identifier: MIT */
/*
 * Pool: see pool.h. The last word of a free object links to the next free one: the first one of an
 * object of io/ says whose it is, and of a closed one that it is nobody's.
 */
#include "core/pool.h"

#include <string.h>

#include "base/assert.h"
#include "base/poison.h"
#include "os/sys.h"

#define OBJECTS_PER_BLOCK 64
#define BLOCK_HEADER      64 /* keeps objects aligned to a cache line when their size is */

void rti_pool_init(struct rti_pool *pool, size_t object_bytes)
{
    *pool = (struct rti_pool){ .object_bytes = (object_bytes + 15) & ~(size_t)15 };
}

void rti_pool_fini(struct rti_pool *pool)
{
    while (pool->blocks != NULL) {
        void *block = pool->blocks;

        memcpy(&pool->blocks, block, sizeof(void *));
        rti_unpoison(block, BLOCK_HEADER + OBJECTS_PER_BLOCK * pool->object_bytes);
        rti_sys_free(block);
    }
    pool->free = NULL;
}

static char *link_of(const struct rti_pool *pool, void *object)
{
    return (char *)object + pool->object_bytes - sizeof(void *);
}

static void push_free(struct rti_pool *pool, void *object)
{
    memcpy(link_of(pool, object), &pool->free, sizeof(void *));
    pool->free = object;
    rti_poison(object, pool->object_bytes);
}

static int add_block(struct rti_pool *pool)
{
    char *block = rti_sys_alloc(BLOCK_HEADER + OBJECTS_PER_BLOCK * pool->object_bytes);

    if (block == NULL) {
        return -1;
    }
    memcpy(block, &pool->blocks, sizeof(void *));
    pool->blocks = block;
    for (size_t i = OBJECTS_PER_BLOCK; i > 0; i--) {
        push_free(pool, block + BLOCK_HEADER + (i - 1) * pool->object_bytes);
    }
    return 0;
}

void *rti_pool_get(struct rti_pool *pool)
{
    void *object;

    if (pool->free == NULL && add_block(pool) < 0) {
        return NULL;
    }
    object = pool->free;
    rti_unpoison(object, pool->object_bytes);
    memcpy(&pool->free, link_of(pool, object), sizeof(void *));
    memset(object, 0, pool->object_bytes);
    pool->in_use++;
    return object;
}

void rti_pool_put(struct rti_pool *pool, void *object)
{
    RTI_DASSERT(pool->in_use > 0);
    pool->in_use--;
    push_free(pool, object);
}
