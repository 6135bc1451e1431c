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

_Static_assert(sizeof(struct rti_brought) <= RTI_CASE_LEG_BYTES, "a select can receive");

/* Of one that is OPEN: who waits, or NULL. In any other state nobody does. */
static struct rti_brought *receiver_of(const struct rt_oneshot *oneshot, const char *call)
{
    struct rti_brought *receiver = oneshot->waiter;

    if (receiver != NULL) {
        rti_executor_must_own(receiver->waiter.task->executor, call);
    }
    return receiver;
}

void rt_oneshot_send(struct rt_oneshot *oneshot, void *value)
{
    struct rti_brought *receiver;

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
    *(void **)receiver->item = value;
    rti_waiter_finish(&receiver->waiter, 0);
}

void rt_oneshot_close(struct rt_oneshot *oneshot)
{
    struct rti_brought *receiver;

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

static void recv_leave(struct rti_waiter *waiter)
{
    ((struct rt_oneshot *)waiter->object)->waiter = NULL;
}

static const struct rti_wait_kind recv_kind = { .name = "oneshot", .leave = recv_leave };

static void check_alone(const struct rt_oneshot *oneshot)
{
    if (RTI_UNLIKELY(receiver_of(oneshot, "rt_oneshot_recv") != NULL)) {
        rti_misuse("two tasks wait for one oneshot, or a select has it twice");
    }
}

RTI_RETURNS_AFTER_SWITCH
int rt_oneshot_recv(struct rt_oneshot *oneshot, void **value, rt_time deadline)
{
    const int r = try_recv(oneshot, value, "rt_oneshot_recv");

    if (r != MUST_WAIT) {
        return r;
    }
    check_alone(oneshot);
    return rti_wait_alone(&oneshot->waiter, &recv_kind, oneshot, (uintptr_t)value, deadline);
}

static bool recv_now(struct rt_case *self)
{
    self->result = try_recv(self->object, self->argument, "rt_select");
    return self->result != MUST_WAIT;
}

static void recv_link(struct rt_case *self)
{
    struct rt_oneshot *oneshot = self->object;
    struct rti_brought *receiver = rti_case_memory(self);

    check_alone(oneshot);
    (void)rti_case_leg(self, &recv_kind, oneshot);
    receiver->item = self->argument;
    oneshot->waiter = receiver;
}

static const struct rti_case_ops recv_ops = { .take_now = recv_now, .link = recv_link };

struct rt_case rt_case_oneshot(struct rt_oneshot *oneshot, void **value)
{
    return rti_case(&recv_ops, oneshot, value);
}
