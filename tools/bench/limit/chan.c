/* SPDX-License-Identifier: MIT */
/*
 * Limit channels between fibers, and the select over them.
 *
 * C1 Receivers wait only for an empty channel, senders only for a full one. An
 *    item that is sent to a waiting receiver goes into its memory; room goes to the
 *    sender that waits first, with its item. So nobody barges in.
 * C2 A leg of a select stands in a channel's list like a receiver. Whoever hands it
 *    an item takes the other legs off their lists in the same step.
 */
#include <errno.h>
#include <string.h>

#include "fiber.h"

struct limit_chan {
    uint32_t head, tail; /* run free; tail - head items are there */
    uint32_t room;       /* items that fit; 0 when closed, so that sending asks one thing only */
    uint32_t mask;       /* slots - 1 */
    uint32_t item_bytes;
    bool closed;
    struct limit_link receivers, senders; /* C1 */
    union {
        char *slots;
        uint64_t *numbers; /* items of 8 bytes, which are copied so; others by memcpy() */
    };
};

struct limit_chan *limit_chan_create(uint32_t item_bytes, uint32_t capacity)
{
    struct limit_chan *chan = calloc(1, sizeof(*chan));
    size_t slots = 1;

    if (chan == NULL) {
        return NULL;
    }
    while (slots < capacity) {
        slots *= 2;
    }
    chan->slots = calloc(slots, item_bytes);
    if (chan->slots == NULL) {
        free(chan);
        return NULL;
    }
    chan->room = capacity;
    chan->mask = (uint32_t)(slots - 1);
    chan->item_bytes = item_bytes;
    chan->receivers = (struct limit_link){ &chan->receivers, &chan->receivers };
    chan->senders = (struct limit_link){ &chan->senders, &chan->senders };
    return chan;
}

void limit_chan_destroy(struct limit_chan *chan)
{
    if (!fiber_nobody_waits(&chan->receivers) || !fiber_nobody_waits(&chan->senders)) {
        fiber_misuse("a channel is destroyed, and a fiber waits for it");
    }
    free(chan->slots);
    free(chan);
}

/* What a call need not do that neither waits nor ends a wait; so its registers stay free. */
#define ASIDE __attribute__((noinline))

static inline void copy_item(const struct limit_chan *chan, void *to, const void *from)
{
    if (__builtin_expect(chan->item_bytes == sizeof(uint64_t), 1)) {
        memcpy(to, from, sizeof(uint64_t));
    } else {
        memcpy(to, from, chan->item_bytes);
    }
}

static inline void *slot(const struct limit_chan *chan, uint32_t index)
{
    return chan->slots + (size_t)(index & chan->mask) * chan->item_bytes;
}

static ASIDE void put_other(struct limit_chan *chan, const void *item)
{
    memcpy(slot(chan, chan->tail++), item, chan->item_bytes);
}

static ASIDE void take_other(struct limit_chan *chan, void *item)
{
    memcpy(item, slot(chan, chan->head++), chan->item_bytes);
}

/* C2: the legs are taken off, all of them; the fiber that selects. */
static inline struct limit_task *win(struct limit_case *winner)
{
    struct limit_task *task = winner->leg.selector;
    struct limit_case *first = task->waiting.item;

    for (struct limit_case *leg = first; leg != NULL; leg = leg->next) {
        fiber_unlink(&leg->leg.link);
    }
    task->value = (int)(winner - first);
    return task;
}

/* Take the first receiver off, and out of everything else it waits for. */
static inline struct limit_task *pop_receiver(struct limit_waiter *first)
{
    if (first->selector != NULL) {
        return win((struct limit_case *)first);
    }
    fiber_unlink(&first->link);
    return fiber_of(first);
}

/* There is a receiver, so the channel is empty (C1): an item goes right through, or the end. */
static ASIDE void hand_over(struct limit_chan *chan, const void *item)
{
    struct limit_waiter *first = (struct limit_waiter *)chan->receivers.next;

    copy_item(chan, first->item, item);
    fiber_finish(fiber_here(), pop_receiver(first));
}

static ASIDE int wait_with(struct limit_link *waiters, void *item, int64_t deadline)
{
    fiber_here()->running->waiting.item = item;
    return fiber_wait_in(waiters, deadline);
}

int limit_chan_send(struct limit_chan *chan, const void *item, int64_t deadline)
{
    if (!fiber_nobody_waits(&chan->receivers)) {
        hand_over(chan, item);
        return 0;
    }
    if (chan->tail - chan->head < chan->room) {
        if (__builtin_expect(chan->item_bytes == sizeof(uint64_t), 1)) {
            memcpy(&chan->numbers[chan->tail++ & chan->mask], item, sizeof(uint64_t));
        } else {
            put_other(chan, item);
        }
        return 0;
    }
    if (chan->closed) {
        return -EPIPE;
    }
    return wait_with(&chan->senders, (void *)(uintptr_t)item, deadline);
}

/* There is room again: for the item of the first that waits for it (C1). */
static ASIDE void let_sender_in(struct limit_chan *chan)
{
    struct limit_task *sender = fiber_pop(&chan->senders);

    copy_item(chan, slot(chan, chan->tail), sender->waiting.item);
    chan->tail++;
    fiber_finish(fiber_here(), sender);
}

static inline bool is_empty(const struct limit_chan *chan)
{
    return chan->tail == chan->head;
}

static inline void take(struct limit_chan *chan, void *item)
{
    if (__builtin_expect(chan->item_bytes == sizeof(uint64_t), 1)) {
        memcpy(item, &chan->numbers[chan->head++ & chan->mask], sizeof(uint64_t));
    } else {
        take_other(chan, item);
    }
    if (!fiber_nobody_waits(&chan->senders)) {
        let_sender_in(chan);
    }
}

int limit_chan_recv(struct limit_chan *chan, void *item, int64_t deadline)
{
    if (!is_empty(chan)) {
        take(chan, item);
        return 0;
    }
    if (chan->closed) {
        return -EPIPE;
    }
    return wait_with(&chan->receivers, item, deadline);
}

/* Who waits is told: nothing comes any more, and nothing is taken. */
void limit_chan_close(struct limit_chan *chan)
{
    struct fiber_executor *executor = fiber_here();

    chan->closed = true;
    chan->room = 0;
    while (!fiber_nobody_waits(&chan->senders)) {
        struct limit_task *sender = fiber_pop(&chan->senders);

        sender->value = -EPIPE;
        fiber_finish(executor, sender);
    }
    while (!fiber_nobody_waits(&chan->receivers)) {
        struct limit_waiter *first = (struct limit_waiter *)chan->receivers.next;
        struct limit_task *receiver = pop_receiver(first);

        if (first->selector != NULL) {
            ((struct limit_case *)first)->result = -EPIPE;
        } else {
            receiver->value = -EPIPE;
        }
        fiber_finish(executor, receiver);
    }
}

/* Whether the case happens now, without waiting. */
static inline bool try_case(struct limit_case *one)
{
    struct limit_chan *chan = one->chan;

    one->result = 0;
    if (!is_empty(chan)) {
        take(chan, one->leg.item);
        return true;
    }
    if (chan->closed) {
        one->result = -EPIPE;
    }
    return chan->closed;
}

/* The cases are looked at from another one each time, so that none is served always first. */
int limit_select(struct limit_case *cases, uint32_t count, int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;
    uint32_t at = executor->selects + 1 < count ? executor->selects + 1 : 0;

    executor->selects = at;
    for (uint32_t i = 0; i < count; i++) {
        if (try_case(&cases[at])) {
            return (int)at;
        }
        at = at + 1 < count ? at + 1 : 0;
    }
    self->waiting.item = cases;
    for (uint32_t i = 0; i < count; i++) {
        cases[i].leg.selector = self;
        cases[i].next = i + 1 < count ? &cases[i + 1] : NULL;
        fiber_link(&cases[i].chan->receivers, &cases[i].leg.link);
    }
    return fiber_wait(executor, self, deadline);
}

void limit_oneshot_send(struct limit_oneshot *oneshot, void *value)
{
    struct limit_task *receiver = oneshot->receiver;

    oneshot->value = value;
    oneshot->sent = true;
    if (receiver != NULL) { /* F1 */
        *(void **)receiver->waiting.item = value;
        fiber_finish(fiber_here(), receiver);
    }
}

int limit_oneshot_recv(struct limit_oneshot *oneshot, void **value, int64_t deadline)
{
    struct fiber_executor *executor = fiber_here();
    struct limit_task *self = executor->running;

    if (oneshot->sent) {
        *value = oneshot->value;
        return 0;
    }
    oneshot->receiver = self;
    self->waiting.item = value;
    return fiber_wait(executor, self, deadline);
}
