/* SPDX-License-Identifier: MIT */
/*
 * Channel of one shard: a ring of items, and two lines of tasks.
 *
 *     send   a receiver waits: into its memory | room: into the ring | else stand in line
 *     recv   an item: take it, and the item of the first in line moves in | else stand in line
 *
 * H1 A sender stands in line only while the channel is full and open, a receiver
 *    only while it is empty and open. So whoever comes late finds nothing that
 *    somebody in line could have had.
 * H2 An item is copied out of a waiting sender's memory, or into a waiting
 *    receiver's, in the step that finishes the wait, and in no other.
 * H3 `room` is the capacity, or 0 when closed: one comparison finds both.
 */
#include "rt/channel.h"

#include <errno.h>
#include <string.h>

#include "core/executor.h"
#include "core/future.h"
#include "core/select.h"
#include "core/waiters.h"
#include "os/sys.h"

#define ITEM_BYTES_MAX 65536u
#define BYTES_MAX      (1ull << 31)

#define NUMBER_BYTES sizeof(uint64_t) /* a pointer or a number: what most items are */

#define MUST_WAIT 1 /* of try_send() and try_recv(), beside 0 and -EPIPE */

struct rt_chan {
    uint32_t head; /* of the oldest item; runs free */
    uint32_t tail; /* of the next one to come; tail - head items are there */
    uint32_t room; /* H3 */
    uint32_t mask; /* slots - 1, a power of two: the capacity rounded up */
    uint32_t item_bytes;
    uint32_t closed;
    struct rt_waiters senders; /* H1 */
    struct rt_waiters receivers;
    struct rti_executor *executor; /* whose it is */
    char items[];
};

_Static_assert(sizeof(struct rt_chan) == RTI_CACHE_LINE, "one line beside the items");

_Static_assert(sizeof(struct rti_placed) <= RTI_CASE_LEG_BYTES, "a select can stand in line");
_Static_assert(sizeof(struct rti_placed) <= RTI_FUTURE_WAIT_BYTES, "a future can stand in line");

/* Making */

static int check_sizes(size_t item_bytes, size_t capacity)
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

int rt_chan_create(struct rt_chan **out, size_t item_bytes, size_t capacity)
{
    struct rti_executor *executor = rti_executor_here("rt_chan_create");
    struct rt_chan *chan;
    size_t slots = 1;
    int r = check_sizes(item_bytes, capacity);

    if (r < 0) {
        return r;
    }
    while (slots < capacity) {
        slots *= 2;
    }
    chan = rti_sys_alloc(sizeof(*chan) + slots * item_bytes);
    if (chan == NULL) {
        return -ENOMEM;
    }
    chan->room = (uint32_t)capacity;
    chan->mask = (uint32_t)(slots - 1);
    chan->item_bytes = (uint32_t)item_bytes;
    chan->executor = executor;
    *out = chan;
    return 0;
}

void rt_chan_destroy(struct rt_chan *chan)
{
    if (chan == NULL) {
        return;
    }
    rti_executor_must_own(chan->executor, "rt_chan_destroy");
    if (!rti_waiters_is_empty(&chan->senders) || !rti_waiters_is_empty(&chan->receivers)) {
        rti_misuse("rt_chan_destroy(): a task waits for the channel: close it first, and wait for "
                   "the task");
    }
    rti_sys_free(chan);
}

/* Without waiting */

static inline bool is_empty(const struct rt_chan *chan)
{
    return chan->head == chan->tail;
}

/* H3: also when it is closed. */
static inline bool has_no_room(const struct rt_chan *chan)
{
    return chan->tail - chan->head >= chan->room;
}

static inline char *slot(struct rt_chan *chan, uint32_t index)
{
    return chan->items + (size_t)(index & chan->mask) * chan->item_bytes;
}

static inline void copy(void *to, const void *from, uint32_t bytes)
{
    if (RTI_LIKELY(bytes == NUMBER_BYTES)) {
        memcpy(to, from, NUMBER_BYTES);
    } else {
        memcpy(to, from, bytes);
    }
}

/* H2: an item from a sender to the receiver that waits first. */
static void hand_over(struct rt_chan *chan, const void *item)
{
    struct rti_queued *receiver = rti_waiters_pop(&chan->receivers);

    copy(rti_placed_of(receiver)->item, item, chan->item_bytes);
    rti_waiter_finish(&receiver->waiter, 0);
}

/* H1, H2: one item was taken, so there is room for that of the sender that waits first. */
static void let_sender_in(struct rt_chan *chan)
{
    struct rti_queued *sender = rti_waiters_pop(&chan->senders);

    copy(slot(chan, chan->tail++), rti_placed_of(sender)->item, chan->item_bytes);
    rti_waiter_finish(&sender->waiter, 0);
}

/* Asked first, as the rest needs registers that a wait would have to save. */
static inline bool must_wait_to_send(const struct rt_chan *chan)
{
    return has_no_room(chan) && chan->closed == 0 && rti_waiters_is_empty(&chan->receivers);
}

static inline bool must_wait_to_recv(const struct rt_chan *chan)
{
    return is_empty(chan) && chan->closed == 0;
}

/* 0, -EPIPE, or MUST_WAIT. */
static RTI_NOINLINE int try_send(struct rt_chan *chan, const void *item)
{
    if (!rti_waiters_is_empty(&chan->receivers)) {
        hand_over(chan, item);
        return 0;
    }
    if (has_no_room(chan)) {
        return chan->closed != 0 ? -EPIPE : MUST_WAIT;
    }
    copy(slot(chan, chan->tail++), item, chan->item_bytes);
    return 0;
}

/* 0, -EPIPE, or MUST_WAIT. */
static RTI_NOINLINE int try_recv(struct rt_chan *chan, void *item)
{
    if (is_empty(chan)) {
        return chan->closed != 0 ? -EPIPE : MUST_WAIT;
    }
    copy(item, slot(chan, chan->head++), chan->item_bytes);
    if (!rti_waiters_is_empty(&chan->senders)) {
        let_sender_in(chan);
    }
    return 0;
}

/* Waiting */

static void send_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_chan *)waiter->object)->senders, rti_queued_of(waiter));
}

static void recv_leave(struct rti_waiter *waiter)
{
    rti_waiters_remove(&((struct rt_chan *)waiter->object)->receivers, rti_queued_of(waiter));
}

static const struct rti_wait_kind send_kind = { .name = "channel send", .leave = send_leave };
static const struct rti_wait_kind recv_kind = { .name = "channel recv", .leave = recv_leave };

/* Stand in line, in memory that is given. */
static void stand_in_line(struct rt_chan *chan, struct rt_waiters *line, struct rti_placed *place,
                          void *item)
{
    place->queued.waiter.object = chan;
    place->item = item;
    rti_waiters_push(line, &place->queued);
}

/* A sender's item is only read. */
static inline void *read_only(const void *item)
{
    return (void *)(uintptr_t)item;
}

static RTI_NOINLINE int send_any(struct rt_chan *chan, const void *item, rt_time deadline)
{
    return must_wait_to_send(chan)
               ? rti_wait_in_line(&chan->senders, &send_kind, chan, (uintptr_t)item, deadline)
               : try_send(chan, item);
}

static RTI_NOINLINE int recv_any(struct rt_chan *chan, void *item, rt_time deadline)
{
    return must_wait_to_recv(chan)
               ? rti_wait_in_line(&chan->receivers, &recv_kind, chan, (uintptr_t)item, deadline)
               : try_recv(chan, item);
}

/* A number, room, and nobody in line: a few instructions, without a frame. */
int rt_chan_send(struct rt_chan *chan, const void *item, rt_time deadline)
{
    rti_executor_must_own(chan->executor, "rt_chan_send");
    if (RTI_UNLIKELY(has_no_room(chan) || chan->item_bytes != NUMBER_BYTES ||
                     !rti_waiters_is_empty(&chan->receivers))) {
        return send_any(chan, item, deadline);
    }
    memcpy(chan->items + (size_t)(chan->tail++ & chan->mask) * NUMBER_BYTES, item, NUMBER_BYTES);
    return 0;
}

int rt_chan_recv(struct rt_chan *chan, void *item, rt_time deadline)
{
    rti_executor_must_own(chan->executor, "rt_chan_recv");
    if (RTI_UNLIKELY(is_empty(chan) || chan->item_bytes != NUMBER_BYTES ||
                     !rti_waiters_is_empty(&chan->senders))) {
        return recv_any(chan, item, deadline);
    }
    memcpy(item, chan->items + (size_t)(chan->head++ & chan->mask) * NUMBER_BYTES, NUMBER_BYTES);
    return 0;
}

size_t rt_chan_length(const struct rt_chan *chan)
{
    rti_executor_must_own(chan->executor, "rt_chan_length");
    return chan->tail - chan->head;
}

/* Closing */

static void send_all_away(struct rt_waiters *line)
{
    struct rti_queued *oldest;

    while ((oldest = rti_waiters_pop(line)) != NULL) {
        rti_waiter_finish(&oldest->waiter, -EPIPE);
    }
}

void rt_chan_close(struct rt_chan *chan)
{
    rti_executor_must_own(chan->executor, "rt_chan_close");
    chan->closed = 1;
    chan->room = 0;
    send_all_away(&chan->senders);
    send_all_away(&chan->receivers); /* H1: it is empty then */
}

/* Cases of a select */

static bool send_now(struct rt_case *self)
{
    struct rt_chan *chan = self->object;

    rti_executor_must_own(chan->executor, "rt_select");
    if (must_wait_to_send(chan)) {
        return false;
    }
    self->result = try_send(chan, self->argument);
    return true;
}

static bool recv_now(struct rt_case *self)
{
    struct rt_chan *chan = self->object;

    rti_executor_must_own(chan->executor, "rt_select");
    if (must_wait_to_recv(chan)) {
        return false;
    }
    self->result = try_recv(chan, self->argument);
    return true;
}

static void send_link(struct rt_case *self)
{
    struct rt_chan *chan = self->object;

    (void)rti_case_leg(self, &send_kind, chan);
    stand_in_line(chan, &chan->senders, rti_case_memory(self), self->argument);
}

static void recv_link(struct rt_case *self)
{
    struct rt_chan *chan = self->object;

    (void)rti_case_leg(self, &recv_kind, chan);
    stand_in_line(chan, &chan->receivers, rti_case_memory(self), self->argument);
}

static const struct rti_case_ops send_ops = { .take_now = send_now, .link = send_link };
static const struct rti_case_ops recv_ops = { .take_now = recv_now, .link = recv_link };

struct rt_case rt_case_chan_send(struct rt_chan *chan, const void *item)
{
    return rti_case(&send_ops, chan, read_only(item));
}

struct rt_case rt_case_chan_recv(struct rt_chan *chan, void *item)
{
    return rti_case(&recv_ops, chan, item);
}

/* Waits of a future */

static int begin_wait(struct rt_future *future, struct rt_chan *chan, struct rt_waiters *line,
                      const struct rti_wait_kind *kind, void *item, rt_time deadline)
{
    rti_waiter_init(rti_future_waiter(future), kind);
    stand_in_line(chan, line, rti_future_memory(future), item);
    return rti_future_wait(future, deadline);
}

int rt_poll_chan_send(struct rt_future *future, struct rt_chan *chan, const void *item,
                      rt_time deadline)
{
    int r;

    rti_executor_must_own(chan->executor, "rt_poll_chan_send");
    if (rti_future_look(future, &send_kind, "rt_poll_chan_send", &r)) {
        return r;
    }
    r = try_send(chan, item);
    return r != MUST_WAIT
               ? r
               : begin_wait(future, chan, &chan->senders, &send_kind, read_only(item), deadline);
}

int rt_poll_chan_recv(struct rt_future *future, struct rt_chan *chan, void *item, rt_time deadline)
{
    int r;

    rti_executor_must_own(chan->executor, "rt_poll_chan_recv");
    if (rti_future_look(future, &recv_kind, "rt_poll_chan_recv", &r)) {
        return r;
    }
    r = try_recv(chan, item);
    return r != MUST_WAIT ? r
                          : begin_wait(future, chan, &chan->receivers, &recv_kind, item, deadline);
}
