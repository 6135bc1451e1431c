/* SPDX-License-Identifier: MIT */
/*
 * Oneshot: one value from one task to another.
 *
 *            send              recv
 *     OPEN --------> SENT ------------> TAKEN
 *      | |                                ^
 *      | +--------------------------------+
 *      |   send, to a receiver that waits
 *      +--------> CLOSED
 *         close
 *
 * A receiver waits only while it is OPEN. What takes it out of that state, so that
 * the wait ends, is the sender's last touch of the struct: the receiver may free it.
 */
#include "rt/oneshot.h"

#include <errno.h>

#include "core/executor.h"
#include "core/select.h"

enum {
    OPEN = 0, /* of RT_ONESHOT_INIT */
    SENT,     /* `value` is there */
    TAKEN,    /* the receiver has it */
    CLOSED,   /* no value will come */
};

#define MUST_WAIT 1 /* of try_recv(), beside 0 and -EPIPE */

struct receiver {
    struct rti_waiter waiter;
    void **value; /* where it shall go */
};

_Static_assert(sizeof(struct receiver) <= RTI_CASE_LEG_BYTES, "a select can receive");

/* Of one that is OPEN: who waits, or NULL. In any other state nobody does. */
static struct receiver *receiver_of(const struct rt_oneshot *oneshot, const char *call)
{
    struct receiver *receiver = oneshot->waiter;

    if (receiver != NULL) {
        rti_executor_must_own(receiver->waiter.task->executor, call);
    }
    return receiver;
}

void rt_oneshot_send(struct rt_oneshot *oneshot, void *value)
{
    struct receiver *receiver;

    (void)rti_executor_here("rt_oneshot_send");
    if (RTI_UNLIKELY(oneshot->state != OPEN)) {
        rti_misuse("rt_oneshot_send(): the oneshot was sent or closed already");
    }
    receiver = receiver_of(oneshot, "rt_oneshot_send");
    if (receiver == NULL) {
        oneshot->value = value;
        oneshot->state = SENT;
        return;
    }
    oneshot->state = TAKEN;
    *receiver->value = value;
    rti_waiter_finish(&receiver->waiter, 0);
}

void rt_oneshot_close(struct rt_oneshot *oneshot)
{
    struct receiver *receiver;

    (void)rti_executor_here("rt_oneshot_close");
    if (oneshot->state != OPEN) {
        return;
    }
    receiver = receiver_of(oneshot, "rt_oneshot_close");
    oneshot->state = CLOSED;
    if (receiver != NULL) {
        rti_waiter_finish(&receiver->waiter, -EPIPE);
    }
}

/* 0, -EPIPE, or MUST_WAIT. */
static int try_recv(struct rt_oneshot *oneshot, void **value, const char *call)
{
    (void)rti_executor_here(call);
    if (RTI_LIKELY(oneshot->state == SENT)) {
        oneshot->state = TAKEN;
        *value = oneshot->value;
        return 0;
    }
    if (oneshot->state == CLOSED) {
        return -EPIPE;
    }
    if (RTI_UNLIKELY(oneshot->state == TAKEN)) {
        rti_misuse("%s(): the value of the oneshot was taken already", call);
    }
    return MUST_WAIT;
}

static void recv_abort(struct rti_waiter *waiter, int reason)
{
    ((struct rt_oneshot *)waiter->object)->waiter = NULL;
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind recv_kind = { .name = "oneshot", .abort = recv_abort };

static void begin_wait(struct rt_oneshot *oneshot, struct receiver *receiver, void **value)
{
    if (RTI_UNLIKELY(oneshot->waiter != NULL)) {
        rti_misuse("two tasks wait for one oneshot, or a select has it twice");
    }
    receiver->waiter.object = oneshot;
    receiver->value = value;
    oneshot->waiter = receiver;
}

RTI_RETURNS_AFTER_SWITCH
int rt_oneshot_recv(struct rt_oneshot *oneshot, void **value, rt_time deadline)
{
    struct receiver receiver;
    int r = try_recv(oneshot, value, "rt_oneshot_recv");

    if (r != MUST_WAIT) {
        return r;
    }
    r = rti_wait_allowed();
    if (r < 0) {
        return r;
    }
    rti_waiter_init(&receiver.waiter, &recv_kind);
    begin_wait(oneshot, &receiver, value);
    return rti_wait(&receiver.waiter, deadline);
}

static bool recv_now(struct rt_case *self)
{
    self->result = try_recv(self->object, self->argument, "rt_select");
    return self->result != MUST_WAIT;
}

static void recv_link(struct rt_case *self)
{
    (void)rti_case_leg(self, &recv_kind, self->object);
    begin_wait(self->object, rti_case_memory(self), self->argument);
}

static const struct rti_case_ops recv_ops = { .take_now = recv_now, .link = recv_link };

struct rt_case rt_case_oneshot(struct rt_oneshot *oneshot, void **value)
{
    return (struct rt_case){ .ops = &recv_ops, .object = oneshot, .argument = value };
}
