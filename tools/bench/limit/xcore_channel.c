/* SPDX-License-Identifier: MIT */
/*
 * The channel of the limits: a ring of 8-byte items with cached indices.
 *
 * Each end keeps its own index and what it last saw of the other's in a line that nobody else
 * touches. Publishing an index is a store-release and one read-modify-write of the word of wait
 * bits; the contract demands it, since the other end may be about to wait.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xcore.h"

#define CAPACITY    1024
#define FLUSH_ITEMS 16 /* the contract's, for single items */

/* A quarter keeps the sender going, and costs the line a transfer per 256 items. It need not be
 * published before waiting: whoever finds nothing has left three quarters free. */
#define FLUSH_ROOM (CAPACITY / 4)

/* Of the processor, between two looks. The sender gets ahead meanwhile, so that more is found and
 * the lines move less often: 16 ns an item without, 4 with 64, in batches of 8. */
#define PAUSES 64

#define SENDER_WAITS   1u
#define RECEIVER_WAITS 2u

#define ALONE __attribute__((aligned(128)))

struct limit_channel {
    _Atomic uint32_t tail ALONE;
    _Atomic uint32_t head ALONE;
    _Atomic uint32_t waits ALONE; /* who waits; the sender never does */
    _Atomic uint32_t closed ALONE;
    _Atomic uint32_t ends_open; /* the last one to close frees */
    struct {
        uint32_t tail;
        uint32_t published;
        uint32_t head; /* as last seen */
    } sender ALONE;
    struct {
        uint32_t head;
        uint32_t published;
        uint32_t tail; /* as last seen */
    } receiver ALONE;
    bool waits_for_wake ALONE; /* the receiver does; otherwise it looks again and again */
    uint64_t items[CAPACITY] ALONE;
};

struct limit_channel *limit_channel_create(bool waits_for_wake)
{
    struct limit_channel *channel = aligned_alloc(_Alignof(struct limit_channel), sizeof(*channel));

    if (channel != NULL) {
        memset(channel, 0, sizeof(*channel));
        atomic_store_explicit(&channel->ends_open, 2, memory_order_relaxed);
        channel->waits_for_wake = waits_for_wake;
    }
    return channel;
}

static inline void publish(struct limit_channel *channel, _Atomic uint32_t *index, uint32_t value,
                           uint32_t waits)
{
    /* pairs with the loads of wait_for_room() and look() */
    atomic_store_explicit(index, value, memory_order_release);
    /* pairs with the fetch_or of wait_for_items() */
    if ((atomic_fetch_and_explicit(&channel->waits, ~waits, memory_order_acq_rel) & waits) != 0) {
        limit_wake_other();
    }
}

static inline void publish_items(struct limit_channel *channel)
{
    if (channel->sender.published != channel->sender.tail) {
        channel->sender.published = channel->sender.tail;
        publish(channel, &channel->tail, channel->sender.tail, RECEIVER_WAITS);
    }
}

static inline void publish_room(struct limit_channel *channel)
{
    if (channel->receiver.published != channel->receiver.head) {
        channel->receiver.published = channel->receiver.head;
        publish(channel, &channel->head, channel->receiver.head, SENDER_WAITS);
    }
}

void limit_channel_flush(struct limit_channel *channel)
{
    publish_items(channel);
}

static __attribute__((noinline)) void wait_for_room(struct limit_channel *channel)
{
    publish_items(channel);
    limit_flush();
    do { /* pairs with publish() */
        channel->sender.head = atomic_load_explicit(&channel->head, memory_order_acquire);
    } while (channel->sender.tail - channel->sender.head == CAPACITY);
}

/* How many of `count` items from `index` on lie in one piece. */
static inline size_t until_wrap(uint32_t index, size_t count)
{
    size_t left = CAPACITY - index % CAPACITY;

    return count < left ? count : left;
}

/* Several items, or no room for one. */
static __attribute__((noinline)) void send_all(struct limit_channel *channel, const uint64_t *items,
                                               size_t count)
{
    size_t sent = 0;

    while (sent < count) {
        uint32_t room = CAPACITY - (channel->sender.tail - channel->sender.head);
        size_t n = until_wrap(channel->sender.tail, count - sent < room ? count - sent : room);

        if (__builtin_expect(room == 0, 0)) {
            wait_for_room(channel);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            channel->items[channel->sender.tail % CAPACITY + i] = items[sent + i];
        }
        channel->sender.tail += (uint32_t)n;
        sent += n;
    }
    if (count > 1 || channel->sender.tail - channel->sender.published >= FLUSH_ITEMS) {
        publish_items(channel);
    }
}

/* A single item takes few stores: those behind a store that misses wait in order, and the fewer
 * they are, the more items wait at once. */
void limit_channel_send(struct limit_channel *channel, const uint64_t *items, size_t count)
{
    uint32_t tail = channel->sender.tail;

    if (__builtin_expect(count != 1 || tail - channel->sender.head == CAPACITY, 0)) {
        send_all(channel, items, count);
        return;
    }
    channel->items[tail % CAPACITY] = *items;
    channel->sender.tail = tail + 1;
    if (tail + 1 - channel->sender.published >= FLUSH_ITEMS) {
        publish_items(channel);
    }
}

enum found { NOTHING, ITEMS, END };

static inline enum found look(struct limit_channel *channel)
{
    /* pairs with limit_channel_close_sender(): its last tail is seen after it */
    uint32_t closed = atomic_load_explicit(&channel->closed, memory_order_acquire);

    /* pairs with publish() */
    channel->receiver.tail = atomic_load_explicit(&channel->tail, memory_order_acquire);
    if (channel->receiver.tail != channel->receiver.head) {
        return ITEMS;
    }
    return closed != 0 ? END : NOTHING;
}

static void wait_a_while(struct limit_channel *channel)
{
    if (!channel->waits_for_wake) {
        limit_flush();
        for (int i = 0; i < PAUSES; i++) {
            __builtin_ia32_pause();
        }
        return;
    }
    /* pairs with the fetch_and of publish() */
    atomic_fetch_or_explicit(&channel->waits, RECEIVER_WAITS, memory_order_acq_rel);
    if (look(channel) == NOTHING) {
        limit_wait_for_wake();
    }
}

/* False: closed, and everything was received. */
static __attribute__((noinline)) bool wait_for_items(struct limit_channel *channel)
{
    enum found found;

    while ((found = look(channel)) == NOTHING) {
        wait_a_while(channel);
    }
    return found == ITEMS;
}

size_t limit_channel_recv(struct limit_channel *channel, uint64_t *items, size_t count)
{
    uint32_t head = channel->receiver.head;
    size_t n;

    if (channel->receiver.tail == head && !wait_for_items(channel)) {
        return 0;
    }
    n = channel->receiver.tail - head;
    n = until_wrap(head, count < n ? count : n);
    for (size_t i = 0; i < n; i++) {
        items[i] = channel->items[head % CAPACITY + i];
    }
    channel->receiver.head = head + (uint32_t)n;
    if (channel->receiver.head - channel->receiver.published >= FLUSH_ROOM) {
        publish_room(channel);
    }
    return n;
}

static void close_end(struct limit_channel *channel)
{
    /* pairs with itself: the last one sees all that the other has done */
    if (atomic_fetch_sub_explicit(&channel->ends_open, 1, memory_order_acq_rel) == 1) {
        free(channel);
    }
}

void limit_channel_close_sender(struct limit_channel *channel)
{
    publish_items(channel);
    /* pairs with look() */
    atomic_store_explicit(&channel->closed, 1, memory_order_release);
    publish(channel, &channel->tail, channel->sender.tail, RECEIVER_WAITS);
    close_end(channel);
}

void limit_channel_close_receiver(struct limit_channel *channel)
{
    close_end(channel);
}
