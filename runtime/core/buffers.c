/* SPDX-License-Identifier: MIT */
/* Buffers: see buffers.h for the invariants. */
#include "core/buffers.h"

#include <errno.h>

#include "base/assert.h"
#include "base/poison.h"
#include "os/explain.h"
#include "os/features.h"
#include "os/mem.h"
#include "os/sys.h"

#define BUDDIES   4u
#define TOP_CLASS (RTI_BUFFER_CLASSES - 1)

_Static_assert(RTI_BUFFER_PAGE << (2 * TOP_CLASS) == RTI_BUFFER_MAX, "the largest class");

uint32_t rti_buffers_arenas(uint64_t bytes_max)
{
    return (uint32_t)((bytes_max + RTI_ARENA_BYTES - 1) / RTI_ARENA_BYTES);
}

void rti_buffers_init(struct rti_buffers *buffers, uint64_t bytes_max, struct rti_uring *ring,
                      const struct rti_log *log)
{
    *buffers = (struct rti_buffers){ .ring = ring,
                                     .log = log,
                                     .arenas_max = rti_buffers_arenas(bytes_max) };
    for (unsigned c = 0; c < RTI_BUFFER_CLASSES; c++) {
        rti_list_init(&buffers->free[c]);
    }
}

void rti_buffers_fini(struct rti_buffers *buffers)
{
    while (buffers->arenas != NULL) {
        struct rti_buffer_arena *arena = buffers->arenas;

        buffers->arenas = arena->next;
        /* ASan does not forget by itself: the addresses may be mapped again. */
        rti_unpoison(arena->memory, RTI_ARENA_BYTES);
        (void)rti_mem_release(arena->memory, RTI_ARENA_BYTES); /* nothing left to undo */
        rti_sys_free(arena);
    }
}

static size_t pages_of(unsigned size_class)
{
    return (size_t)1 << (2 * size_class);
}

/* To the front: what was used last is in the cache. */
static void push_free(struct rti_buffers *buffers, struct rt_buffer *block, unsigned size_class)
{
    block->size_class = (uint8_t)size_class;
    rti_list_push_back(buffers->free[size_class].next, &block->link);
}

/* Memory that cannot be registered serves as well, but slower. */
static void register_arena(struct rti_buffers *buffers, struct rti_buffer_arena *arena)
{
    const uint32_t place = (uint32_t)(buffers->bytes / RTI_ARENA_BYTES);
    int r;

    arena->place = -1;
    if ((buffers->ring->features & RTI_FEATURE_FIXED_BUFFERS) != 0) {
        r = rti_uring_register_buffer(buffers->ring, place, arena->memory, RTI_ARENA_BYTES);
        if (r == 0) {
            arena->place = (int32_t)place;
            return;
        }
        if (!buffers->has_warned) {
            buffers->has_warned = true;
            rti_explain_unregistered(buffers->log, r);
        }
    }
    buffers->bytes_unregistered += RTI_ARENA_BYTES;
}

static int add_arena(struct rti_buffers *buffers)
{
    struct rti_buffer_arena *arena;
    void *memory;
    int r;

    if (buffers->bytes / RTI_ARENA_BYTES == buffers->arenas_max) {
        return -EAGAIN;
    }
    arena = rti_sys_alloc(sizeof(*arena));
    if (arena == NULL) {
        return -ENOMEM;
    }
    r = rti_mem_map(&memory, RTI_ARENA_BYTES);
    if (r < 0) {
        rti_sys_free(arena);
        return -ENOMEM;
    }
    arena->pool = buffers;
    arena->memory = memory;
    for (size_t i = 0; i < RTI_ARENA_PAGES; i++) {
        arena->pages[i].arena = arena;
    }
    register_arena(buffers, arena);
    rti_poison(memory, RTI_ARENA_BYTES);
    buffers->bytes += RTI_ARENA_BYTES;
    arena->next = buffers->arenas;
    buffers->arenas = arena;
    for (size_t i = RTI_ARENA_PAGES; i > 0; i -= pages_of(TOP_CLASS)) {
        push_free(buffers, &arena->pages[i - pages_of(TOP_CLASS)], TOP_CLASS);
    }
    return 0;
}

/* The block's first quarter; the others become free. */
static void split(struct rti_buffers *buffers, struct rt_buffer *block)
{
    const unsigned size_class = block->size_class - 1u;

    for (unsigned i = BUDDIES - 1; i > 0; i--) {
        push_free(buffers, block + i * pages_of(size_class), size_class);
    }
    block->size_class = (uint8_t)size_class;
}

/* A free block of this size or a larger one, taken out of its list; NULL: there is none. */
static struct rt_buffer *take_free(struct rti_buffers *buffers, unsigned size_class)
{
    for (unsigned c = size_class; c < RTI_BUFFER_CLASSES; c++) {
        struct rti_list *node = rti_list_first(&buffers->free[c]);

        if (node != NULL) {
            rti_list_remove(node);
            return RTI_CONTAINER_OF(node, struct rt_buffer, link);
        }
    }
    return NULL;
}

int rti_buffers_get(struct rti_buffers *buffers, struct rt_buffer **out, size_t bytes)
{
    struct rt_buffer *block;
    unsigned size_class = 0;

    RTI_DASSERT(bytes > 0 && bytes <= RTI_BUFFER_MAX);
    while (RTI_BUFFER_PAGE << (2 * size_class) < bytes) {
        size_class++;
    }
    block = take_free(buffers, size_class);
    if (block == NULL) {
        const int r = add_arena(buffers);

        if (r < 0) {
            buffers->refused++;
            return r;
        }
        block = take_free(buffers, size_class);
    }
    while (block->size_class > size_class) {
        split(buffers, block);
    }
    block->refs = 1;
    buffers->in_use++;
    rti_unpoison(rti_buffer_memory(block), rti_buffer_size(block));
    *out = block;
    return 0;
}

/* The first of the four, when the others are free; the caller's is in no list. A buddy that was
 * split stands for its own first quarter, which is of another size (B2). */
static struct rt_buffer *whole_parent(struct rt_buffer *block)
{
    struct rti_buffer_arena *arena = block->arena;
    const size_t pages = pages_of(block->size_class);
    const size_t index = (size_t)(block - arena->pages);
    struct rt_buffer *first = &arena->pages[index & ~(BUDDIES * pages - 1)];

    for (unsigned i = 0; i < BUDDIES; i++) {
        const struct rt_buffer *buddy = first + i * pages;

        if (buddy->refs > 0 || buddy->size_class != block->size_class) {
            return NULL;
        }
    }
    return first;
}

static void free_block(struct rti_buffers *buffers, struct rt_buffer *block)
{
    struct rt_buffer *parent;

    while (block->size_class < TOP_CLASS && (parent = whole_parent(block)) != NULL) {
        const unsigned size_class = block->size_class;

        for (unsigned i = 0; i < BUDDIES; i++) {
            struct rt_buffer *buddy = parent + i * pages_of(size_class);

            if (buddy != block) {
                rti_list_remove(&buddy->link);
            }
        }
        block = parent;
        block->size_class = (uint8_t)(size_class + 1);
    }
    push_free(buffers, block, block->size_class);
}

void rti_buffer_release(struct rt_buffer *buffer)
{
    struct rti_buffers *buffers = buffer->arena->pool;

    RTI_ASSERT(buffer->refs > 0);
    if (--buffer->refs > 0) {
        return;
    }
    rti_poison(rti_buffer_memory(buffer), rti_buffer_size(buffer));
    buffers->in_use--;
    free_block(buffers, buffer);
}
