/* SPDX-License-Identifier: MIT */
/* Calls and posts: the caller's half; serve.c is the callee's. See call.h. */
#include "cross/call.h"

#include <errno.h>

#include "core/scope.h"
#include "cross/call_word.h"
#include "cross/look.h"
#include "cross/mesh.h"

/* Sending: a task that waits for a slot or a credit lends its request. */

struct send_waiter {
    struct rti_waiter waiter;
    struct rti_list link; /* in the port's room_waiters or credit_waiters */
    struct rti_request request;
    struct rti_port *port;
    bool has_credit;
};

static void send_abort(struct rti_waiter *waiter, int reason)
{
    struct send_waiter *self = RTI_CONTAINER_OF(waiter, struct send_waiter, waiter);

    rti_list_remove(&self->link);
    if (self->has_credit) {
        self->port->sender.posts_sent--;
    }
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind room_kind = { .name = "room in a port", .abort = send_abort };
static const struct rti_wait_kind credit_kind = { .name = "post credit", .abort = send_abort };

static void push(struct rti_mesh_shard *shard, struct rti_port *port,
                 const struct rti_request *request)
{
    struct rti_request *slot = &port->request_slots[rti_ring_push(&port->requests)];

    /* One by one: a copy of the whole would read parts back that were stored just now, and wait
     * until these have left the store buffer, behind all stores that miss. */
    slot->fn = request->fn;
    slot->arg = request->arg;
    slot->call = request->call;
    slot->terms = request->terms;
    rti_mesh_sent(shard, &port->sender.outlet);
}

static struct send_waiter *first_waiter(struct rti_list *list)
{
    struct rti_list *node = rti_list_first(list);

    return node == NULL ? NULL : RTI_CONTAINER_OF(node, struct send_waiter, link);
}

static void fill_room(struct rti_mesh_shard *shard, struct rti_port *port)
{
    struct send_waiter *self;

    while ((self = first_waiter(&port->sender.room_waiters)) != NULL &&
           rti_ring_room(&port->requests, 1) > 0) {
        rti_list_remove(&self->link);
        push(shard, port, &self->request);
        rti_waiter_finish(&self->waiter, 0);
    }
}

/* With its credit a post waits for room like a call. */
static void use_credits(struct rti_port *port)
{
    struct send_waiter *self;

    while ((self = first_waiter(&port->sender.credit_waiters)) != NULL &&
           rti_port_has_credit(port)) {
        rti_list_remove(&self->link);
        rti_port_use_credit(port);
        self->has_credit = true;
        rti_list_push_back(&port->sender.room_waiters, &self->link);
    }
}

/* Say what is waited for; false when the receiver knows. Room comes soon, but a credit may take as
 * long as a task lives: if it were asked for at each ring, two shards would ring each other until
 * then. */
static bool ask(struct rti_port *port)
{
    const bool wants_room = !rti_list_is_empty(&port->sender.room_waiters);
    const bool wants_credit = !rti_list_is_empty(&port->sender.credit_waiters) &&
                              !port->sender.credit_asked;

    if (wants_room) {
        rti_ring_want(&port->requests.want_room);
    }
    if (wants_credit) {
        port->sender.credit_asked = true;
        rti_ring_want(&port->requests.want_credit);
    }
    return wants_room || wants_credit;
}

void rti_call_serve_waiters(struct rti_mesh_shard *shard, struct rti_port *port)
{
    use_credits(port);
    fill_room(shard, port);
    if (RTI_LIKELY(rti_list_is_empty(&port->sender.room_waiters) &&
                   rti_list_is_empty(&port->sender.credit_waiters))) {
        return;
    }
    rti_mesh_publish(shard, &port->sender.outlet); /* else nobody makes room */
    if (ask(port)) {                               /* R1: first the flag, then the ring, */
        rti_mesh_ring(shard, port->to);
        use_credits(port); /* then a look */
        fill_room(shard, port);
    }
}

/* The ends of a list's waits: a shield keeps the cancel of a drain from them. */
static void turn_away(struct rti_list *list)
{
    struct send_waiter *self;

    while ((self = first_waiter(list)) != NULL) {
        rti_waiter_abort(&self->waiter, -ESHUTDOWN);
    }
}

void rti_call_turn_away(struct rti_mesh_shard *shard)
{
    for (uint32_t i = 0; i < shard->mesh->shard_count; i++) {
        struct rti_port *port = shard->out[i];

        if (port != NULL) {
            turn_away(&port->sender.room_waiters);
            turn_away(&port->sender.credit_waiters);
        }
    }
}

static int await_sent(struct rti_mesh_shard *shard, struct rti_port *port,
                      const struct rti_request *request, bool needs_credit, rt_time deadline)
{
    struct send_waiter self = { .request = *request, .port = port };

    shard->inbox.room_waits++;
    rti_waiter_init(&self.waiter, needs_credit ? &credit_kind : &room_kind);
    self.has_credit = request->call == NULL && !needs_credit;
    rti_list_push_back(needs_credit ? &port->sender.credit_waiters : &port->sender.room_waiters,
                       &self.link);
    rti_call_serve_waiters(shard, port);
    return rti_wait(&self.waiter, deadline);
}

static bool has_room(struct rti_port *port)
{
    return rti_list_is_empty(&port->sender.room_waiters) && rti_ring_room(&port->requests, 1) > 0;
}

/* Whether a message can go without a second thought: to another shard that was written to before,
 * with a slot, and nobody before it. NULL when it needs a closer look. */
static inline struct rti_port *open_port(const struct rti_mesh_shard *shard, uint32_t to)
{
    const struct rti_executor *executor = shard->executor;
    struct rti_port *port = shard->out[to];

    if (RTI_UNLIKELY(port == NULL || to == shard->index || executor->draining ||
                     rti_task_must_end(executor->running) || !has_room(port))) {
        return NULL;
    }
    return port;
}

/* The shard's end of its mesh, for a message to shard `to`; aborts when that is not there. */
static struct rti_mesh_shard *begin(const char *call, uint32_t to)
{
    struct rti_mesh_shard *shard = rti_mesh_of_task(call);

    if (RTI_UNLIKELY(to >= shard->mesh->shard_count)) {
        rti_misuse("%s(): there is no shard %u, there are %u", call, to, shard->mesh->shard_count);
    }
    return shard;
}

/* Calls */

bool rti_call_whom(const struct rti_waiter *waiter, struct rti_whom *out)
{
    const struct rt_call *call = waiter->object;

    out->call = call;
    out->shard = call->shard;
    return true;
}

static void call_abort(struct rti_waiter *waiter, int reason);
static const struct rti_wait_kind call_kind = { .name = "call",
                                                .abort = call_abort,
                                                .whom = rti_call_whom };

/* A task that has started a call. Not by rti_task_at(): the table may grow meanwhile, but the block
 * of this one was there before it said so. */
static struct rt_task *task_in_slot(const struct rti_mesh_shard *target, uint32_t slot)
{
    struct rti_task_block *block = target->executor->tasks.blocks[slot / RTI_TASKS_PER_BLOCK];

    return &block->tasks[slot % RTI_TASKS_PER_BLOCK];
}

void rti_call_ask_to_end(struct rt_call *call)
{
    const struct rti_mesh_shard *target = rti_mesh_here()->mesh->shards[call->shard];
    uint32_t slot;

    if (rti_call_cancel(call, &slot)) {
        rti_wake_task(task_in_slot(target, slot));
    }
}

static void call_abort(struct rti_waiter *waiter, int reason)
{
    (void)reason; /* stays in the waiter */
    rti_call_ask_to_end((struct rt_call *)waiter->object);
}

void rti_call_take_replies(struct rti_mesh_shard *shard, struct rti_port *port)
{
    uint32_t ready = rti_ring_readable(&port->replies, port->replies.consumer.capacity);

    shard->inbox.messages_taken += ready;
    for (; ready > 0; ready--) {
        const struct rti_reply *reply = &port->reply_slots[rti_ring_pop(&port->replies)];
        struct rt_call *call = reply->call;

        call->result = reply->result;
        call->error = reply->error;
        call->state = RTI_CALL_DONE;
        if (call->waiter != NULL) {
            rti_waiter_finish(call->waiter, 0);
        }
    }
    (void)rti_ring_release(&port->replies);
    if (rti_ring_wanted(&port->replies.want_room)) {
        rti_mesh_ring(shard, port->to);
    }
}

/* A call to the caller's own shard: a cancel of the caller is one of the function. */
static void run_here(struct rti_mesh_shard *shard, const struct rti_request *request,
                     rt_time deadline)
{
    struct rt_call *call = request->call;

    call->error = 0;
    call->result = rti_terms_have_deadline(request->terms)
                       ? rti_call_run_until(shard, request, false,
                                            rti_scope_end_at(rti_current->running, deadline),
                                            &call->error)
                       : rti_call_run(shard, request, false, &call->error);
    if (call->result == -ECANCELED && rti_scope_ends(rti_current->running)) {
        call->error = -ECANCELED;
    }
    call->state = RTI_CALL_DONE;
}

static RTI_NOINLINE int begin_with_care(struct rti_mesh_shard *shard,
                                        const struct rti_request *request, uint32_t to,
                                        rt_time deadline)
{
    struct rti_port *port;
    int r = rti_wait_allowed();

    if (r < 0) {
        return r;
    }
    if (to == shard->index) {
        run_here(shard, request, deadline);
        return 0;
    }
    if (shard->executor->draining) {
        return -ESHUTDOWN;
    }
    port = rti_mesh_port_to(shard, to);
    if (port == NULL) {
        return -ENOMEM;
    }
    if (!has_room(port)) {
        return await_sent(shard, port, request, false, deadline);
    }
    push(shard, port, request);
    return 0;
}

/* Not for posts: their sender is far ahead and waits for credits, and would get the lines back too
 * early (measured: 29 ns for 19). */
#define REQUESTS_AHEAD (RTI_RING_AHEAD_BYTES / sizeof(struct rti_request))

static inline __attribute__((always_inline)) int send_call(struct rti_mesh_shard *shard,
                                                           const struct rti_request *request,
                                                           uint32_t to, rt_time deadline)
{
    struct rti_port *port = open_port(shard, to);
    struct rt_call *call = request->call;

    call->waiter = NULL; /* the rest is written with the reply, or where it is used */
    call->word = 0;
    call->shard = (uint16_t)to;
    call->home = (uint16_t)shard->index;
    call->state = RTI_CALL_SENT;
    if (RTI_UNLIKELY(port == NULL)) {
        return begin_with_care(shard, request, to, deadline);
    }
    push(shard, port, request);
    rti_ring_fetch_ahead(&port->requests, port->request_slots, sizeof(*request), REQUESTS_AHEAD);
    return 0;
}

int rti_call_begin_request(struct rti_request *request, uint32_t to, rt_time deadline)
{
    struct rti_mesh_shard *shard = begin("rt_service_call_begin", to);

    request->terms |= shard->executor->active->id;
    return send_call(shard, request, to, deadline);
}

int rt_call_begin(struct rt_call *call, uint32_t to, rt_task_fn fn, void *arg, rt_time deadline)
{
    struct rti_mesh_shard *shard = begin("rt_call_begin", to);
    const struct rti_request request = {
        .fn = fn, .arg = arg, .call = call, .terms = shard->executor->active->id
    };

    return send_call(shard, &request, to, deadline);
}

static inline rt_time end_at(const struct rt_task *task, rt_time deadline)
{
    return RTI_UNLIKELY((task->state & RTI_TASK_SCOPED) != 0) ? rti_scope_end_at(task, deadline)
                                                              : deadline;
}

/* Its deadline goes along. */
static inline uint64_t terms_within(const struct rti_executor *executor, rt_time deadline)
{
    return rti_terms(executor->active->id, end_at(executor->running, deadline),
                     executor->turn_time);
}

int rti_call_begin_request_within(struct rti_request *request, uint32_t to, rt_time deadline)
{
    struct rti_mesh_shard *shard = begin("rt_service_call", to);

    request->terms |= terms_within(shard->executor, deadline);
    return send_call(shard, request, to, deadline);
}

int rti_call_begin_within(struct rt_call *call, uint32_t to, rt_task_fn fn, void *arg,
                          rt_time deadline)
{
    struct rti_mesh_shard *shard = begin("rt_call", to);
    const struct rti_request request = {
        .fn = fn,
        .arg = arg,
        .call = call,
        .terms = terms_within(shard->executor, deadline),
    };

    return send_call(shard, &request, to, deadline);
}

/* What else has come is taken by the way. */
void rti_call_look_for_reply(const struct rt_call *call, rt_time deadline)
{
    struct rti_mesh_shard *shard = rti_mesh_here();
    struct rti_look look;

    rti_look_begin(&look, shard, shard->mesh->shards[call->shard], deadline);
    while (call->state != RTI_CALL_DONE && rti_look_on(&look, 1)) {
        (void)rti_mesh_look_again(shard);
    }
}

static int await_reply(struct rti_executor *executor, struct rt_call *call, rt_time deadline)
{
    struct rti_waiter waiter;

    rti_waiter_init(&waiter, &call_kind);
    waiter.object = call;
    call->waiter = &waiter;
    if (rti_scope_ends(executor->running)) {
        rti_waiter_abort(&waiter, -ECANCELED);
    }
    (void)rti_wait(&waiter, deadline);
    call->waiter = NULL;
    return waiter.reason;
}

int rti_call_error(const struct rt_call *call, int reason, rt_time deadline)
{
    if (call->error != -ETIME) {
        return call->error;
    }
    return reason != 0 ? reason : rti_scope_ended_elsewhere(rti_current->running, deadline);
}

/* The reply comes to the shard that has begun the call. */
static void must_be_home(const struct rt_call *call)
{
    const struct rti_mesh_shard *here = rti_mesh_here();

    if (RTI_UNLIKELY(call->home != here->index)) {
        rti_executor_not_owner(here->mesh->shards[call->home]->executor, "rt_call_end", "the call");
    }
}

RTI_RETURNS_AFTER_SWITCH
int rt_call_end(struct rt_call *call, int *result, rt_time deadline)
{
    struct rti_executor *executor = rti_executor_here("rt_call_end");
    int reason = 0;

    if (call->state != RTI_CALL_DONE) {
        must_be_home(call);
        rti_call_look_for_reply(call, deadline);
    }
    if (call->state != RTI_CALL_DONE) {
        reason = await_reply(executor, call, deadline);
    } else {
        rti_yield_if_due(); /* a fast callee would never let this task wait */
    }
    if (RTI_UNLIKELY(call->error < 0)) {
        return rti_call_error(call, reason, deadline);
    }
    if (reason != 0 && call->result == -ECANCELED) {
        return reason;
    }
    if (result != NULL) {
        *result = call->result;
    }
    return 0;
}

RTI_RETURNS_AFTER_SWITCH
int rt_call(uint32_t to, rt_task_fn fn, void *arg, int *result, rt_time deadline)
{
    struct rt_call call;
    int r = rti_call_begin_within(&call, to, fn, arg, deadline);

    return r < 0 ? r : rt_call_end(&call, result, deadline);
}

int rti_call_taskless(uint32_t to, rt_task_fn fn, void *arg, int *result)
{
    struct rti_mesh_shard *shard = begin("rti_call_taskless", to);
    struct rt_call call;
    const struct rti_request request = {
        .fn = fn, .arg = arg, .call = &call, .terms = RTI_TERMS_TASKLESS
    };
    int value = 0;
    int r = 0;

    if (to == shard->index) {
        value = fn(arg);
    } else {
        r = send_call(shard, &request, to, RT_NEVER);
        r = r < 0 ? r : rt_call_end(&call, &value, RT_NEVER);
    }
    if (r == 0 && result != NULL) {
        *result = value;
    }
    return r;
}

/* Posts */

static bool has_credit(struct rti_port *port)
{
    return rti_list_is_empty(&port->sender.credit_waiters) && rti_port_has_credit(port);
}

int rt_try_post(uint32_t to, rt_task_fn fn, void *arg)
{
    struct rti_mesh_shard *shard = begin("rt_try_post", to);
    const struct rti_request request = { .fn = fn,
                                         .arg = arg,
                                         .terms = shard->executor->active->id };
    struct rti_port *port;

    if (RTI_UNLIKELY(shard->executor->draining)) {
        return -ESHUTDOWN;
    }
    port = rti_mesh_port_to(shard, to);
    if (RTI_UNLIKELY(port == NULL)) {
        return -ENOMEM;
    }
    if (!has_credit(port) || !has_room(port)) {
        return -EAGAIN;
    }
    rti_port_use_credit(port);
    push(shard, port, &request);
    return 0;
}

static RTI_NOINLINE int post_with_care(struct rti_mesh_shard *shard,
                                       const struct rti_request *request, uint32_t to,
                                       rt_time deadline)
{
    struct rti_port *port;
    bool needs_credit;
    int r = rti_wait_allowed();

    if (r == 0) {
        r = rt_try_post(to, request->fn, request->arg);
    }
    if (r != -EAGAIN) {
        return r;
    }
    port = shard->out[to];
    needs_credit = !has_credit(port);
    if (!needs_credit) {
        rti_port_use_credit(port);
    }
    return await_sent(shard, port, request, needs_credit, deadline);
}

RTI_RETURNS_AFTER_SWITCH
int rt_post(uint32_t to, rt_task_fn fn, void *arg, rt_time deadline)
{
    struct rti_mesh_shard *shard = begin("rt_post", to);
    const struct rti_request request = { .fn = fn,
                                         .arg = arg,
                                         .terms = shard->executor->active->id };
    struct rti_port *port = open_port(shard, to);

    if (RTI_UNLIKELY(port == NULL || !has_credit(port))) {
        return post_with_care(shard, &request, to, deadline);
    }
    rti_port_use_credit(port);
    push(shard, port, &request);
    if (RTI_UNLIKELY(rti_ring_unpublished(&port->requests) == 0)) {
        rti_yield_if_due(); /* a fast receiver would never let this task wait */
    }
    return 0;
}
