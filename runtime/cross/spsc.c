/* SPDX-License-Identifier: MIT */
/* Channel between two shards: see spsc.h. */
#include "cross/spsc.h"

#include <errno.h>
#include <string.h>

#include "cross/channel_mesh.h"
#include "cross/look.h"
#include "cross/mesh.h"
#include "os/mem.h"
#include "os/sys.h"
#include "rt/spsc.h"

enum {
    CONSUMER_WAITS = 1u << 0,
    PRODUCER_WAITS = 1u << 1,
    SENDER_CLOSED = 1u << 2, /* nothing comes after what was published */
    RECEIVER_CLOSED = 1u << 3,
    SENDER_GONE = 1u << 4, /* touches the channel no more (C3) */
    RECEIVER_GONE = 1u << 5,
    ANY_WAITS = 1u << 6, /* who receives from any source rests this one (cross/channel_mesh.h) */
};

#define ITEM_BYTES_MAX 65536u
#define BYTES_MAX      (1ull << 31)

/* Pauses between two looks (cross/look.h). In a stream the receiver makes them longer: a line that
 * is looked at too often travels with each item, and the sender never gets ahead (measured, batches
 * of 8: 11 ns an item for 6). */
#define PAUSES_FIRST 4u
#define PAUSES_MOST  64u

/* Who uses an end, and how the other side wakes it. */
struct end {
    struct rti_executor *executor; /* NULL: nobody did yet */
    struct rt_task *waiting;       /* who waits, or waited last; atomic */
    bool in_use;                   /* a task is in a call on this end */
};

struct rt_spsc {
    struct rti_ring ring;
    uint32_t word; /* atomic: W */
    char apart[RTI_APART - sizeof(uint32_t)];

    struct {
        struct end end;
        struct rti_list unsent; /* in rti_mesh_shard.unsent_channels while something is */
        bool others_closed;     /* the receiver has closed, as was seen by the way */
    } producer;
    char apart1[RTI_APART];

    struct {
        struct end end;
        uint32_t pauses; /* between two looks */
    } consumer;
    char apart2[RTI_APART];

    /* read-only */
    const struct rti_mesh *mesh; /* of the shards at its ends */
    size_t item_bytes;
    char *items;
    struct rti_inlet *inlet; /* of a mesh, to which this is the source so numbered; or NULL */
    uint32_t source;
    uint32_t capacity;
    uint32_t ahead; /* items (RTI_RING_AHEAD_BYTES), but not what the consumer may not have read */
    int node;       /* that the items were asked from */
};

/* Making */

int rti_spsc_check_sizes(size_t item_bytes, size_t capacity)
{
    if (item_bytes >= 1 && item_bytes <= ITEM_BYTES_MAX && capacity >= 1 &&
        capacity <= BYTES_MAX / item_bytes) {
        return 0;
    }
    rti_log(&rti_current->log, RT_LOG_ERROR,
            "a channel of %zu items of %zu bytes was asked for; an item has 1 to %u bytes, and all "
            "of them at most %llu",
            capacity, item_bytes, ITEM_BYTES_MAX, BYTES_MAX);
    return -EINVAL;
}

struct rt_spsc *rti_spsc_make(const struct rti_spsc_plan *plan)
{
    struct rt_spsc *channel = rti_sys_alloc(sizeof(*channel));
    uint32_t entries = 1;

    if (channel == NULL) {
        return NULL;
    }
    while (entries < plan->capacity) {
        entries *= 2;
    }
    channel->items = rti_mem_alloc_near(entries * plan->item_bytes, plan->node);
    if (channel->items == NULL) {
        rti_sys_free(channel);
        return NULL;
    }
    channel->word = plan->inlet != NULL ? ANY_WAITS : 0;
    channel->mesh = rti_mesh_here()->mesh;
    channel->item_bytes = plan->item_bytes;
    channel->inlet = plan->inlet;
    channel->source = plan->source;
    channel->capacity = entries;
    channel->node = plan->node;
    channel->ahead = (uint32_t)(RTI_RING_AHEAD_BYTES / plan->item_bytes);
    channel->ahead = channel->ahead < entries / 4 ? channel->ahead : entries / 4;
    rti_ring_init(&channel->ring, entries);
    rti_list_init(&channel->producer.unsent);
    channel->consumer.pauses = PAUSES_FIRST;
    return channel;
}

void rti_spsc_destroy(struct rt_spsc *channel)
{
    rti_mem_free_near(channel->items, channel->capacity * channel->item_bytes, channel->node);
    rti_sys_free(channel);
}

int rt_spsc_create(struct rt_spsc **out, size_t item_bytes, size_t capacity)
{
    struct rti_spsc_plan plan = { .item_bytes = item_bytes, .node = -1 };
    struct rt_spsc *channel;
    int r;

    (void)rti_executor_here("rt_spsc_create");
    r = rti_spsc_check_sizes(item_bytes, capacity);
    if (r < 0) {
        return r;
    }
    plan.capacity = (uint32_t)capacity;
    channel = rti_spsc_make(&plan);
    if (channel == NULL) {
        return -ENOMEM;
    }
    *out = channel;
    return 0;
}

/* The ends */

/* The end is used for the first time, or on another shard. */
static RTI_NOINLINE void use_first(const struct rt_spsc *channel, struct end *end,
                                   struct rti_executor *executor, const char *call)
{
    if (end->executor != NULL) {
        rti_executor_not_owner(end->executor, call, "this end of the channel");
    }
    if (rti_mesh_here()->mesh != channel->mesh) {
        rti_misuse("%s(): the channel belongs to another runtime", call);
    }
    end->executor = executor;
}

static inline __attribute__((always_inline)) struct rti_executor *
use(const struct rt_spsc *channel, struct end *end, const char *call)
{
    struct rti_executor *executor = rti_executor_here(call);

    if (RTI_UNLIKELY(end->executor != executor)) {
        use_first(channel, end, executor, call);
    }
    if (RTI_UNLIKELY(end->in_use)) {
        rti_misuse("%s(): another task is in it, on the same channel", call);
    }
    return executor;
}

/* Take `bits` out of the word; wake the end that waits if they say so. What came before in this
 * thread is seen by who sets a bit later (C1, H1). Returns what was in the word. */
static uint32_t clear_and_wake(struct rt_spsc *channel, uint32_t bits, struct end *end)
{
    /* pairs with the fetch_or in say_waits() and in rti_spsc_rest() */
    const uint32_t old = __atomic_fetch_and(&channel->word, ~bits, __ATOMIC_ACQ_REL);
    const uint32_t set = old & bits;

    if ((set & (CONSUMER_WAITS | PRODUCER_WAITS)) != 0) {
        /* a task that waits anew since then has looked after our fetch_and */
        rti_wake_task(__atomic_load_n(&end->waiting, __ATOMIC_RELAXED));
    }
    if ((set & ANY_WAITS) != 0) {
        rti_inlet_ring(channel->inlet, channel->source);
    }
    return old;
}

static void publish(struct rt_spsc *channel)
{
    rti_list_remove(&channel->producer.unsent);
    if (rti_ring_publish(&channel->ring)) {
        const uint32_t old = clear_and_wake(channel, CONSUMER_WAITS | ANY_WAITS,
                                            &channel->consumer.end);

        channel->producer.others_closed = (old & RECEIVER_CLOSED) != 0;
    }
}

void rti_spsc_publish_node(struct rti_list *node)
{
    publish(RTI_CONTAINER_OF(node, struct rt_spsc, producer.unsent));
}

static void release(struct rt_spsc *channel)
{
    if (rti_ring_release(&channel->ring)) {
        (void)clear_and_wake(channel, PRODUCER_WAITS, &channel->producer.end);
    }
}

/* Say that this end waits: the word as it is then. The caller looks once more and parks (C1). */
static uint32_t say_waits(struct rt_spsc *channel, uint32_t bit, struct end *end)
{
    __atomic_store_n(&end->waiting, rti_current->running, __ATOMIC_RELAXED);
    /* pairs with the fetch_and in clear_and_wake() */
    return __atomic_fetch_or(&channel->word, bit, __ATOMIC_ACQ_REL);
}

static bool look_for_room(struct rt_spsc *channel, rt_time deadline)
{
    struct rti_look look;

    rti_look_begin(&look, rti_mesh_here(), NULL, deadline);
    while (rti_look_on(&look, PAUSES_FIRST)) {
        if (rti_ring_room(&channel->ring, 1) > 0) {
            return true;
        }
    }
    return false;
}

/* Several items at the first look are a stream: the next look comes later. */
static bool look_for_items(struct rt_spsc *channel, rt_time deadline)
{
    const uint32_t pauses = channel->consumer.pauses;
    struct rti_look look;

    channel->consumer.pauses = PAUSES_FIRST;
    rti_look_begin(&look, rti_mesh_here(), NULL, deadline);
    while (rti_look_on(&look, pauses)) {
        const uint32_t readable = rti_ring_readable(&channel->ring, 1);

        if (readable > 1 && look.pauses_left == RTI_LOOK_PAUSES - pauses) {
            channel->consumer.pauses = pauses * 2 < PAUSES_MOST ? pauses * 2 : PAUSES_MOST;
        }
        if (readable > 0) {
            return true;
        }
    }
    return false;
}

static int park(struct end *end, rt_time deadline)
{
    int r;

    end->in_use = true;
    r = rt_park(deadline);
    end->in_use = false;
    return r;
}

/* Sending */

/* Most items are a pointer or a number. */
static void copy(char *to, const char *from, size_t bytes)
{
    if (RTI_LIKELY(bytes == sizeof(uint64_t))) {
        memcpy(to, from, sizeof(uint64_t));
    } else {
        memcpy(to, from, bytes);
    }
}

static inline void fetch_ahead(const struct rt_spsc *channel)
{
    rti_ring_fetch_ahead(&channel->ring, channel->items, channel->item_bytes, channel->ahead);
}

/* Copy up to `count` items in; how many. */
static size_t put(struct rt_spsc *channel, const char *items, size_t count)
{
    const uint32_t enough = count < channel->capacity ? (uint32_t)count : channel->capacity;
    const uint32_t room = rti_ring_room(&channel->ring, enough);
    const uint32_t n = room < enough ? room : enough;
    const uint32_t first = channel->ring.producer.next & (channel->capacity - 1);
    const uint32_t straight = n < channel->capacity - first ? n : channel->capacity - first;

    copy(channel->items + first * channel->item_bytes, items, straight * channel->item_bytes);
    if (RTI_UNLIKELY(straight < n)) {
        memcpy(channel->items, items + straight * channel->item_bytes,
               (n - straight) * channel->item_bytes);
    }
    channel->ring.producer.next += n;
    fetch_ahead(channel);
    return n;
}

/* Wait until there may be room: 0, or why not. */
static int await_room(struct rt_spsc *channel, rt_time deadline)
{
    publish(channel); /* else the consumer makes none */
    if (look_for_room(channel, deadline)) {
        return 0;
    }
    if ((say_waits(channel, PRODUCER_WAITS, &channel->producer.end) & RECEIVER_CLOSED) != 0) {
        channel->producer.others_closed = true;
        return -EPIPE;
    }
    return rti_ring_room(&channel->ring, 1) > 0 ? 0 : park(&channel->producer.end, deadline);
}

/* Items that were sent alone wait for company until the turn ends. */
static inline void sent(struct rti_executor *executor, struct rt_spsc *channel, size_t count)
{
    struct rti_mesh_shard *shard = (struct rti_mesh_shard *)(void *)executor->inbox;

    if (count > 1 || rti_ring_unpublished(&channel->ring) >= RTI_MESSAGES_PER_FLUSH) {
        publish(channel);
        rti_yield_if_due(); /* a fast receiver would never let this task wait */
    } else if (rti_list_is_empty(&channel->producer.unsent)) {
        rti_list_push_back(&shard->unsent_channels, &channel->producer.unsent);
        shard->inbox.unsent = true;
    }
}

static RTI_NOINLINE int send_all(struct rti_executor *executor, struct rt_spsc *channel,
                                 const char *items, size_t count, size_t *done, rt_time deadline)
{
    size_t total = 0;
    int r = channel->producer.others_closed ? -EPIPE : 0;

    if ((__atomic_load_n(&channel->word, __ATOMIC_RELAXED) & SENDER_CLOSED) != 0) {
        rti_misuse("rt_spsc_send(): this end was closed");
    }
    while (r == 0 && total < count) {
        const size_t n = put(channel, items + total * channel->item_bytes, count - total);

        total += n;
        if (n == 0) {
            r = await_room(channel, deadline);
        }
    }
    sent(executor, channel, total);
    if (done != NULL) {
        *done = total;
    }
    return r;
}

/* One item with room for it takes few stores: a store into a line that the receiver has is slow,
 * those behind it wait in order, and the fewer they are, the more items are under way at once. */
int rt_spsc_send(struct rt_spsc *channel, const void *items, size_t count, size_t *done,
                 rt_time deadline)
{
    struct rti_executor *executor = use(channel, &channel->producer.end, "rt_spsc_send");
    struct rti_ring *ring = &channel->ring;

    if (RTI_UNLIKELY(count != 1 || done != NULL || channel->producer.others_closed ||
                     ring->producer.next - ring->producer.head_seen == channel->capacity)) {
        return send_all(executor, channel, items, count, done, deadline);
    }
    copy(channel->items + rti_ring_push(ring) * channel->item_bytes, items, channel->item_bytes);
    fetch_ahead(channel);
    sent(executor, channel, 1);
    return 0;
}

void rt_spsc_flush(struct rt_spsc *channel)
{
    (void)use(channel, &channel->producer.end, "rt_spsc_flush");
    publish(channel);
}

/* Receiving */

/* Copy up to `count` items out; how many. */
static inline size_t get(struct rt_spsc *channel, char *items, size_t count)
{
    const uint32_t readable = rti_ring_readable(&channel->ring, 1);
    const uint32_t n = readable < count ? readable : (uint32_t)count;
    const uint32_t first = channel->ring.consumer.next & (channel->capacity - 1);
    const uint32_t straight = n < channel->capacity - first ? n : channel->capacity - first;

    copy(items, channel->items + first * channel->item_bytes, straight * channel->item_bytes);
    if (RTI_UNLIKELY(straight < n)) {
        memcpy(items + straight * channel->item_bytes, channel->items,
               (n - straight) * channel->item_bytes);
    }
    channel->ring.consumer.next += n;
    return n;
}

/* `n` items were read. A quarter of the capacity is worth a trip of the line; less is released
 * before waiting. */
static inline void received(struct rt_spsc *channel, size_t n)
{
    const uint32_t next = channel->ring.consumer.next;

    if ((uint64_t)(next - channel->ring.consumer.released) * 4 >= channel->capacity) {
        release(channel);
    }
    if (next / RTI_MESSAGES_PER_FLUSH != (next - (uint32_t)n) / RTI_MESSAGES_PER_FLUSH) {
        rti_yield_if_due(); /* a fast sender would never let this task wait */
    }
}

/* Wait until there may be items: 1; 0 when none will come any more; or why not. */
static int await_items(struct rt_spsc *channel, rt_time deadline)
{
    uint32_t word;
    int r;

    if (look_for_items(channel, deadline)) {
        return 1;
    }
    release(channel); /* the producer may wait for that much */
    word = say_waits(channel, CONSUMER_WAITS, &channel->consumer.end);
    if (rti_ring_readable(&channel->ring, 1) > 0) {
        return 1;
    }
    if ((word & SENDER_CLOSED) != 0) {
        return 0;
    }
    r = park(&channel->consumer.end, deadline);
    return r < 0 ? r : 1;
}

ssize_t rt_spsc_recv(struct rt_spsc *channel, void *items, size_t count, rt_time deadline)
{
    int r = 1;

    (void)use(channel, &channel->consumer.end, "rt_spsc_recv");
    RTI_ASSERT(count > 0);
    while (r > 0) {
        const size_t n = get(channel, items, count);

        if (n > 0) {
            received(channel, n);
            return (ssize_t)n;
        }
        r = await_items(channel, deadline);
    }
    return r;
}

/* What rti_inlet has of a channel */

size_t rti_spsc_take(struct rt_spsc *channel, void *items, size_t count)
{
    size_t n;

    (void)use(channel, &channel->consumer.end, "rt_mesh_recv_any");
    n = get(channel, items, count);
    if (n > 0) {
        received(channel, n);
    }
    return n;
}

enum rti_source rti_spsc_rest(struct rt_spsc *channel)
{
    /* Nothing is released: less than a quarter of the capacity is not (received()), so the producer
     * has room. The bit pairs with the fetch_and in clear_and_wake(). */
    const uint32_t word = __atomic_fetch_or(&channel->word, ANY_WAITS, __ATOMIC_ACQ_REL);

    if (rti_ring_readable(&channel->ring, 1) > 0) {
        return RTI_SOURCE_HAS_ITEMS;
    }
    return (word & SENDER_CLOSED) != 0 ? RTI_SOURCE_ENDED : RTI_SOURCE_RESTS;
}

void rti_spsc_close_before_use(struct rt_spsc *channel, bool sender, bool receiver)
{
    channel->word |= (sender ? SENDER_CLOSED | SENDER_GONE : 0) |
                     (receiver ? RECEIVER_CLOSED | RECEIVER_GONE : 0);
    channel->producer.others_closed = sender || receiver;
}

bool rti_spsc_is_in_use(const struct rt_spsc *channel)
{
    /* pairs with the fetch_or in close_end() */
    const uint32_t word = __atomic_load_n(&channel->word, __ATOMIC_ACQUIRE);

    return ((word & SENDER_GONE) == 0 && channel->producer.end.executor != NULL) ||
           ((word & RECEIVER_GONE) == 0 && channel->consumer.end.executor != NULL);
}

/* Closing */

static bool is_closed(const struct rt_spsc *channel, uint32_t closed)
{
    return (__atomic_load_n(&channel->word, __ATOMIC_RELAXED) & closed) != 0;
}

/* First closed, then woken, then gone: the other side may free the channel only after the last.
 * One of a mesh stays until that is destroyed. */
static void close_end(struct rt_spsc *channel, uint32_t closed, uint32_t gone, uint32_t others_gone,
                      uint32_t waits, struct end *other)
{
    const bool stays = channel->inlet != NULL;

    /* pairs with the fetch_or in say_waits(), and with each other (C3) */
    (void)__atomic_fetch_or(&channel->word, closed, __ATOMIC_ACQ_REL);
    (void)clear_and_wake(channel, waits, other);
    /* pairs with the same of the other side, and with rti_spsc_is_in_use() */
    if ((__atomic_fetch_or(&channel->word, gone, __ATOMIC_ACQ_REL) & others_gone) != 0 && !stays) {
        rti_spsc_destroy(channel);
    }
}

void rt_spsc_close_sender(struct rt_spsc *channel)
{
    if (is_closed(channel, SENDER_CLOSED)) {
        return; /* one of a mesh, by itself and then with all */
    }
    (void)use(channel, &channel->producer.end, "rt_spsc_close_sender");
    publish(channel);
    channel->producer.others_closed = true; /* what is sent now aborts */
    close_end(channel, SENDER_CLOSED, SENDER_GONE, RECEIVER_GONE, CONSUMER_WAITS | ANY_WAITS,
              &channel->consumer.end);
}

void rt_spsc_close_receiver(struct rt_spsc *channel)
{
    if (is_closed(channel, RECEIVER_CLOSED)) {
        return;
    }
    (void)use(channel, &channel->consumer.end, "rt_spsc_close_receiver");
    if (channel->inlet != NULL) {
        rti_inlet_end(channel->inlet, channel->source);
    }
    close_end(channel, RECEIVER_CLOSED, RECEIVER_GONE, SENDER_GONE, PRODUCER_WAITS,
              &channel->producer.end);
}
