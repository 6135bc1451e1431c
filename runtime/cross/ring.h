/* SPDX-License-Identifier: MIT */
/*
 * Ring: the indices of a bounded queue with one producer and one consumer, each
 * on a thread of its own. The slots lie with whoever has the ring.
 *
 *     consumer.next        producer.next
 *          v                    v
 *     -----[ taken? | readable | written, not published ]-----
 *          ^        ^          ^
 *         head   (released)   tail: what the other side knows
 *
 * Either side works on indices of its own and publishes them when it pays: a
 * store into a line that the other one reads costs a trip of that line. What it
 * knows of the other's index is a copy, renewed when it seems to be at its end.
 *
 * R3 A slot is written again only after it was read: room is counted from head,
 *    which is released after the slots were copied out.
 *
 * Indices run free and wrap; capacity is a power of two.
 */
#ifndef RTI_CROSS_RING_H
#define RTI_CROSS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Lines are fetched in pairs by the processor's prefetcher, so what two sides write lies 128 bytes
 * apart. */
#define RTI_APART 128

/*
 * How far ahead of what it writes a producer fetches the lines. The consumer has read them, so a
 * store into one has to get it back first, some 100 ns, and all later stores wait behind that one.
 * Fetched ahead, several come at once (measured: an item of 8 bytes 9.8 ns, then 6.1; a call of 64
 * in flight 33.7, then 28.1). Six lines are enough, sixteen are no better. A message alone is not
 * worth it: its receiver waits (a call and its answer 550 ns, then 610).
 */
#define RTI_RING_AHEAD_BYTES 384u

struct rti_ring {
    /* written by the producer; the consumer clears the flags */
    uint32_t tail;
    uint32_t want_room;   /* the producer waits for room */
    uint32_t want_credit; /* the producer waits for a credit (cross/port.h) */
    char apart1[RTI_APART - 3 * sizeof(uint32_t)];

    /* written by the consumer */
    uint32_t head;
    uint32_t started; /* posts that were started (cross/port.h) */
    char apart2[RTI_APART - 2 * sizeof(uint32_t)];

    struct {
        uint32_t next;      /* slot to be written next */
        uint32_t published; /* tail, as stored last */
        uint32_t head_seen;
        uint32_t capacity;
    } producer;
    char apart3[RTI_APART - 4 * sizeof(uint32_t)];

    struct {
        uint32_t next; /* slot to be read next */
        uint32_t released;
        uint32_t tail_seen;
        uint32_t capacity;
    } consumer;
    char apart4[RTI_APART - 4 * sizeof(uint32_t)];
};

/* `ring` is zeroed. */
static inline void rti_ring_init(struct rti_ring *ring, uint32_t capacity)
{
    ring->producer.capacity = capacity;
    ring->consumer.capacity = capacity;
}

/* Slots that the producer may write; looks at the head when it knows of fewer than `enough`. */
static inline uint32_t rti_ring_room(struct rti_ring *ring, uint32_t enough)
{
    uint32_t room = ring->producer.capacity - (ring->producer.next - ring->producer.head_seen);

    if (RTI_UNLIKELY(room < enough)) {
        /* pairs with the release in rti_ring_release() */
        ring->producer.head_seen = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        room = ring->producer.capacity - (ring->producer.next - ring->producer.head_seen);
    }
    return room;
}

/* The slot to write next, by its place among `capacity`. There must be room. */
static inline uint32_t rti_ring_push(struct rti_ring *ring)
{
    return ring->producer.next++ & (ring->producer.capacity - 1);
}

static inline uint32_t rti_ring_unpublished(const struct rti_ring *ring)
{
    return ring->producer.next - ring->producer.published;
}

/* A slot was written that is not alone: there will be more. Fetch the one `ahead` of it. */
static inline void rti_ring_fetch_ahead(const struct rti_ring *ring, const void *slots,
                                        size_t slot_bytes, uint32_t ahead)
{
    const uint32_t slot = (ring->producer.next + ahead) & (ring->producer.capacity - 1);

    if (rti_ring_unpublished(ring) > 1) {
        rti_prefetch_write((const char *)slots + slot * slot_bytes);
    }
}

/* Let the consumer see what was written. False when it does already. */
static inline bool rti_ring_publish(struct rti_ring *ring)
{
    if (ring->producer.next == ring->producer.published) {
        return false;
    }
    ring->producer.published = ring->producer.next;
    /* pairs with the acquire in rti_ring_readable() */
    __atomic_store_n(&ring->tail, ring->producer.next, __ATOMIC_RELEASE);
    return true;
}

/* Slots that the consumer may read; looks at the tail when it knows of fewer than `enough`. */
static inline uint32_t rti_ring_readable(struct rti_ring *ring, uint32_t enough)
{
    uint32_t readable = ring->consumer.tail_seen - ring->consumer.next;

    if (RTI_UNLIKELY(readable < enough)) {
        /* pairs with the release in rti_ring_publish() */
        ring->consumer.tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        readable = ring->consumer.tail_seen - ring->consumer.next;
    }
    return readable;
}

/* The slot to read next. */
static inline uint32_t rti_ring_pop(struct rti_ring *ring)
{
    return ring->consumer.next++ & (ring->consumer.capacity - 1);
}

/* Let the producer have the slots that were read. False when it has them already. */
static inline bool rti_ring_release(struct rti_ring *ring)
{
    if (ring->consumer.next == ring->consumer.released) {
        return false;
    }
    ring->consumer.released = ring->consumer.next;
    /* pairs with the acquire in rti_ring_room() */
    __atomic_store_n(&ring->head, ring->consumer.next, __ATOMIC_RELEASE);
    return true;
}

/* A flag that the producer sets before it rings, and the consumer reads after it took the ring. It
 * needs no order of its own: the doorbell's read-modify-writes give it (R1). */
static inline void rti_ring_want(uint32_t *flag)
{
    __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
}

/* Whether it was set; clears it. */
static inline bool rti_ring_wanted(uint32_t *flag)
{
    if (RTI_LIKELY(__atomic_load_n(flag, __ATOMIC_RELAXED) == 0)) {
        return false;
    }
    __atomic_store_n(flag, 0, __ATOMIC_RELAXED);
    return true;
}

#endif /* RTI_CROSS_RING_H */
