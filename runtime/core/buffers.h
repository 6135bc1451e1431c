/* SPDX-License-Identifier: MIT */
/*
 * Buffers: an executor's memory for I/O, in blocks of 4, 16, 64, 256 and 1024 KiB.
 *
 * Memory comes in arenas of 4 MiB, each registered with the ring as one piece. A
 * block is split into four of the next smaller size when one of these is wanted,
 * and four free ones become their parent again: so free memory never lies in
 * pieces that nobody wants, and what is in use is close together.
 *
 *     page        0       4       8       12      16
 *     16 KiB      |       |       |       |       |     four buddies; their parent
 *      4 KiB      | | | | |       | | | | |             begins at page 0
 *
 * B1 Each page has a struct rt_buffer; that of a block's first page stands for
 *    the block, the others mean nothing.
 * B2 A block begins at a multiple of its size, counted from its arena.
 * B3 A free block has no reference and stands in the list of its size; not all
 *    four buddies are free.
 * B4 An operation holds a reference from before it is submitted to after its own
 *    completion: a block that the kernel may touch is not free.
 */
#ifndef RTI_CORE_BUFFERS_H
#define RTI_CORE_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "os/uring.h"

#define RTI_BUFFER_CLASSES 5
#define RTI_BUFFER_PAGE    ((size_t)4096)
#define RTI_BUFFER_MAX     ((size_t)1 << 20)
#define RTI_ARENA_BYTES    ((size_t)4 << 20)
#define RTI_ARENA_PAGES    (RTI_ARENA_BYTES / RTI_BUFFER_PAGE)

struct rti_buffers {
    struct rti_list free[RTI_BUFFER_CLASSES]; /* B3 */
    struct rti_buffer_arena *arenas;          /* last made first */
    struct rti_uring *ring;
    const struct rti_log *log;
    uint64_t arenas_max;
    uint64_t bytes; /* of all arenas */
    uint64_t bytes_unregistered;
    uint64_t in_use; /* blocks */
    uint64_t refused;
    bool has_warned;
};

struct rt_buffer {
    struct rti_list link;           /* of a free block */
    struct rti_buffer_arena *arena; /* the same for good */
    uint32_t refs;                  /* 0: the block is free */
    uint8_t size_class;             /* of the block: 4 KiB << (2 * size_class) */
};

struct rti_buffer_arena {
    struct rti_buffer_arena *next;
    struct rti_buffers *pool;
    char *memory;
    int32_t place; /* in the ring's table; below 0: not registered */
    struct rt_buffer pages[RTI_ARENA_PAGES];
};

/* How many arenas such a limit allows. */
uint32_t rti_buffers_arenas(uint64_t bytes_max);

/* Nothing is taken before the first get. */
void rti_buffers_init(struct rti_buffers *buffers, uint64_t bytes_max, struct rti_uring *ring,
                      const struct rti_log *log);

/* Also gives back what is in use; the ring is closed. */
void rti_buffers_fini(struct rti_buffers *buffers);

/* A block of at least so many bytes (1 to RTI_BUFFER_MAX), with one reference. Returns 0; -EAGAIN
 * at the limit; -ENOMEM. */
int rti_buffers_get(struct rti_buffers *buffers, struct rt_buffer **out, size_t bytes);

/* Drop a reference; the last one frees the block. */
void rti_buffer_release(struct rt_buffer *buffer);

static inline size_t rti_buffer_size(const struct rt_buffer *buffer)
{
    return RTI_BUFFER_PAGE << (2 * buffer->size_class);
}

static inline char *rti_buffer_memory(const struct rt_buffer *buffer)
{
    return buffer->arena->memory + (size_t)(buffer - buffer->arena->pages) * RTI_BUFFER_PAGE;
}

#endif /* RTI_CORE_BUFFERS_H */
