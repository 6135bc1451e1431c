/* SPDX-License-Identifier: MIT */
/* Serve: the callee's half of calls and posts; call.c is the caller's. See call.h. */
#include <errno.h>

#include "core/scope.h"
#include "cross/call.h"
#include "cross/call_word.h"
#include "cross/mesh.h"

/* Replies */

#define REPLIES_AHEAD (RTI_RING_AHEAD_BYTES / sizeof(struct rti_reply))

/* The oldest late reply gets a slot; false when there is none. */
static bool send_oldest_late(struct rti_mesh_shard *shard, struct rti_port *port)
{
    struct rt_call *call = port->receiver.late;

    if (rti_ring_room(&port->replies, 1) == 0) {
        return false;
    }
    port->receiver.late = call->link;
    if (port->receiver.late == NULL) {
        port->receiver.late_end = &port->receiver.late;
    }
    shard->replies_late--;
    port->reply_slots[rti_ring_push(&port->replies)] = (struct rti_reply){ .call = call,
                                                                           .result = call->result,
                                                                           .error = call->error };
    rti_mesh_sent(shard, &port->receiver.outlet);
    return true;
}

void rti_call_send_late(struct rti_mesh_shard *shard, struct rti_port *port)
{
    while (port->receiver.late != NULL && send_oldest_late(shard, port)) {
    }
    if (RTI_LIKELY(port->receiver.late == NULL)) {
        return;
    }
    rti_mesh_publish(shard, &port->receiver.outlet); /* else nobody makes room */
    rti_ring_want(&port->replies.want_room);         /* R1: first the flag, then the ring, */
    rti_mesh_ring(shard, port->from);
    while (port->receiver.late != NULL && send_oldest_late(shard, port)) { /* then a look */
    }
}

static void answer(struct rti_mesh_shard *shard, struct rti_port *port, struct rt_call *call,
                   int result, int error)
{
    if (call == NULL) {
        return; /* a post */
    }
    if (RTI_LIKELY(port->receiver.late == NULL && rti_ring_room(&port->replies, 1) > 0)) {
        port->reply_slots[rti_ring_push(&port->replies)] = (struct rti_reply){ .call = call,
                                                                               .result = result,
                                                                               .error = error };
        rti_ring_fetch_ahead(&port->replies, port->reply_slots, sizeof(struct rti_reply),
                             REPLIES_AHEAD);
        rti_mesh_sent(shard, &port->receiver.outlet);
        return;
    }
    call->result = result;
    call->error = error;
    call->link = NULL;
    *port->receiver.late_end = call;
    port->receiver.late_end = &call->link;
    shard->replies_late++;
    if (port->receiver.late == call) {
        rti_call_send_late(shard, port);
    }
}

/* Requests */

/* Every request was taken, and the ring was looked at after the doorbell: what the sender waits
 * for is there now, or known to be wanted (R1, P2). A post may have started between the sender's
 * look and its ring, hence the ring back; it may be in vain, so the next start is told too. */
static void requests_are_taken(struct rti_mesh_shard *shard, struct rti_port *port)
{
    (void)rti_ring_release(&port->requests);
    rti_port_return_credits(port);
    port->receiver.burst = 0;
    if (rti_ring_wanted(&port->requests.want_credit)) {
        port->receiver.credit_wanted = true;
        if (rti_port_posts_waiting(port) < port->posts_max) {
            rti_mesh_ring(shard, port->from);
        }
    }
    if (rti_ring_wanted(&port->requests.want_room)) {
        rti_mesh_ring(shard, port->from);
    }
}

void rti_call_requests_came(struct rti_mesh_shard *shard, struct rti_port *port)
{
    if (!rti_list_is_empty(&port->receiver.work_link)) {
        return;
    }
    if (rti_ring_readable(&port->requests, 1) > 0) {
        rti_list_push_back(&shard->work, &port->receiver.work_link);
    } else {
        requests_are_taken(shard, port);
    }
}

static void start_post(struct rti_mesh_shard *shard, struct rti_port *port)
{
    port->receiver.posts_started++;
    if (RTI_UNLIKELY(port->receiver.credit_wanted)) {
        port->receiver.credit_wanted = false;
        rti_port_return_credits(port);
        rti_mesh_ring(shard, port->from);
    }
}

/* The port whose oldest waiting post is the next to start, or NULL. */
static struct rti_port *first_starved(struct rti_mesh_shard *shard)
{
    struct rti_list *node = rti_list_first(&shard->starved);

    return RTI_LIKELY(node == NULL)
               ? NULL
               : RTI_CONTAINER_OF(node, struct rti_port, receiver.starved_link);
}

static const struct rti_request *oldest_waiting(const struct rti_port *port)
{
    return &port->posts[port->receiver.posts_head & port->posts_mask];
}

static void start_waiting_post(struct rti_mesh_shard *shard, struct rti_port *port)
{
    port->receiver.posts_head++;
    rti_list_remove(&port->receiver.starved_link);
    if (rti_port_posts_waiting(port) > 0) {
        rti_list_push_back(&shard->starved, &port->receiver.starved_link); /* each port in turn */
    }
    start_post(shard, port);
    rti_port_return_credits(port);
}

/* A request out of the rings. The slot is copied; it is given back after a few, or when the ring is
 * empty, which it is at the latest when the function of a ring's last request waits. */
static struct rti_port *next_in_rings(struct rti_mesh_shard *shard, struct rti_request *out)
{
    struct rti_list *node;

    while ((node = rti_list_first(&shard->work)) != NULL) {
        struct rti_port *port = RTI_CONTAINER_OF(node, struct rti_port, receiver.work_link);

        if (rti_ring_readable(&port->requests, 1) == 0) {
            rti_list_remove(node);
            requests_are_taken(shard, port);
            continue;
        }
        *out = port->request_slots[rti_ring_pop(&port->requests)];
        shard->inbox.messages_taken++;
        if (++port->receiver.burst == RTI_MESSAGES_PER_FLUSH) {
            port->receiver.burst = 0;
            (void)rti_ring_release(&port->requests);
            rti_port_return_credits(port);
            rti_list_remove(node);
            rti_list_push_back(&shard->work, node);
        }
        if (RTI_UNLIKELY(out->terms == RTI_TERMS_TASKLESS)) {
            answer(shard, port, out->call, out->fn(out->arg), 0);
            continue;
        }
        return port;
    }
    return NULL;
}

static struct rti_port *next_request(struct rti_mesh_shard *shard, struct rti_request *out)
{
    struct rti_port *port = first_starved(shard);

    if (RTI_UNLIKELY(port != NULL)) {
        *out = *oldest_waiting(port);
        start_waiting_post(shard, port);
        return port;
    }
    port = next_in_rings(shard, out);
    if (port != NULL && out->call == NULL) {
        start_post(shard, port);
    }
    return port;
}

/* It finds no task, and waits as the youngest. */
static void delay_post(struct rti_mesh_shard *shard, struct rti_port *port,
                       const struct rti_request *request)
{
    shard->inbox.posts_delayed++;
    RTI_ASSERT(rti_port_posts_waiting(port) < port->posts_max); /* P2 */
    port->posts[port->receiver.posts_tail++ & port->posts_mask] = *request;
    if (rti_list_is_empty(&port->receiver.starved_link)) {
        rti_list_push_back(&shard->starved, &port->receiver.starved_link);
    }
}

static void refuse_call(struct rti_mesh_shard *shard, struct rti_port *port, struct rt_call *call)
{
    shard->inbox.calls_refused++;
    answer(shard, port, call, 0, -EAGAIN);
}

/* Without a pump: nothing stays at the head of a ring (P1). */
static void refuse(struct rti_mesh_shard *shard)
{
    struct rti_request request;
    struct rti_port *port;

    while ((port = next_in_rings(shard, &request)) != NULL) {
        if (request.call != NULL) {
            refuse_call(shard, port, request.call);
        } else {
            delay_post(shard, port, &request);
        }
    }
}

/* Running a function */

/* Whether a function that was asked to end has done so. */
static bool gave_way(int result)
{
    return result == -ETIME || result == -ECANCELED;
}

RTI_NOINLINE int rti_call_run_until(struct rti_mesh_shard *shard, const struct rti_request *request,
                                    bool is_own, rt_time deadline, int *error)
{
    const struct rti_executor *executor = rti_current;
    struct rt_task *self = executor->running;
    struct rt_scope scope;
    int result;

    if (deadline <= executor->turn_time) { /* nobody waits for it any more */
        *error = -ETIME;
        return 0;
    }
    rt_scope_enter(&scope, deadline);
    result = rti_call_run(shard, request, is_own, error);
    if (RTI_UNLIKELY((self->state & RTI_TASK_SCOPED) == 0 || self->scope != &scope)) {
        rti_task_has_not_left(self);
    }
    if (rt_scope_leave(&scope) == -ETIME && gave_way(result)) {
        *error = -ETIME;
    }
    return result;
}

/* One request in the pump's flow. True when its function has suspended: then this fiber is the
 * function's own task, and ends with it. */
static inline __attribute__((always_inline)) bool run_inline(struct rti_mesh_shard *shard,
                                                             struct rt_task *self,
                                                             struct rti_port *port,
                                                             const struct rti_request *request)
{
    bool suspended;
    int result;
    int error = 0;

    self->call = request->call;
    self->state |= RTI_TASK_INLINE | (shard->executor->draining ? RTI_TASK_CANCEL : 0);
    if (RTI_LIKELY(!rti_terms_have_deadline(request->terms))) {
        result = rti_call_run(shard, request, true, &error);
    } else {
        result = rti_call_run_until(shard, request, true,
                                    rti_terms_deadline(request->terms, shard->executor->turn_time),
                                    &error);
    }
    suspended = (self->state & RTI_TASK_INLINE) == 0;
    self->call = NULL;
    if (!suspended) { /* the next one gets a clean identity */
        if (RTI_UNLIKELY((self->state & RTI_TASK_MUST_LEAVE) != 0)) {
            rti_task_has_not_left(self);
        }
        if (RTI_UNLIKELY(self->locals != NULL)) {
            rti_task_put_locals(self);
        }
        self->state &= ~(uint32_t)(RTI_TASK_INLINE | RTI_TASK_CANCEL | RTI_TASK_SCHEDULED);
        self->generation++;
        self->name = "calls";
    }
    answer(shard, port, request->call, result, error);
    return suspended;
}

/* The pump */

/* Each request gets a task of its own, in its caller's queue: none has to wait until another queue,
 * with few shares, lets a pump run. While the executor drains no task is made, but the pump. */
static bool serves_in_tasks(const struct rti_mesh_shard *shard)
{
    return RTI_UNLIKELY(shard->executor->shared_count > 0) && !shard->executor->draining;
}

static int pump(void *arg)
{
    struct rti_mesh_shard *shard = arg;
    struct rt_task *self = shard->executor->running;
    struct rti_request request;
    struct rti_port *port;

    do { /* who sends much gets it done in one go, without a turn for each few messages */
        while (!serves_in_tasks(shard) && (port = next_request(shard, &request)) != NULL) {
            if (run_inline(shard, self, port, &request)) {
                return 0;
            }
            rti_yield_if_due();
        }
        rti_mesh_flush(shard); /* the answers */
    } while (!serves_in_tasks(shard) && rti_mesh_look_again(shard));
    shard->pump = NULL;
    shard->executor->tasks.extra--;
    rti_call_need_pump(shard); /* to serve in tasks from now on */
    return 0;
}

static RTI_NOINLINE void make_pump(struct rti_mesh_shard *shard)
{
    if (rti_task_spawn_extra(shard->executor, &shard->pump, pump, shard, "calls") < 0) {
        refuse(shard);
    }
}

/* A task for each */

static int serve(void *arg)
{
    const struct rti_served served = *(struct rti_served *)arg;

    rti_pool_put(&served.shard->served, arg);
    (void)run_inline(served.shard, served.shard->executor->running, served.port, &served.request);
    return 0;
}

/* The caller's, if this shard has it and it is no parent here: those have no tasks. */
static struct rt_taskq *queue_of(struct rti_executor *executor, const struct rti_request *request)
{
    struct rt_taskq *queue = rti_taskq_of_id(executor, rti_terms_queue(request->terms));

    return queue != NULL && queue->entity.children.members == 0 ? queue : &executor->queue;
}

static int start_in_task(struct rti_mesh_shard *shard, struct rti_port *port,
                         const struct rti_request *request)
{
    struct rti_served *served = rti_pool_get(&shard->served);
    int r = -ENOMEM;

    if (served != NULL) {
        *served = (struct rti_served){ .shard = shard, .port = port, .request = *request };
        r = rti_task_spawn_served(queue_of(shard->executor, request), serve, served, "call");
    }
    if (r < 0 && served != NULL) {
        rti_pool_put(&shard->served, served);
    }
    return r;
}

/* Posts that wait; false when one has to wait on: it stays the first of all. */
static bool start_waiting_posts(struct rti_mesh_shard *shard)
{
    struct rti_port *port;

    while ((port = first_starved(shard)) != NULL) {
        if (start_in_task(shard, port, oldest_waiting(port)) < 0) {
            return false;
        }
        start_waiting_post(shard, port);
    }
    return true;
}

static bool start_requests(struct rti_mesh_shard *shard)
{
    struct rti_request request;
    struct rti_port *port;

    while ((port = next_in_rings(shard, &request)) != NULL) {
        const int r = start_in_task(shard, port, &request);

        if (request.call != NULL && r < 0) {
            refuse_call(shard, port, request.call);
        } else if (request.call == NULL && r == 0) {
            start_post(shard, port);
        } else if (request.call == NULL) {
            delay_post(shard, port, &request);
        }
        if (r < 0) {
            return false;
        }
    }
    return true;
}

static RTI_NOINLINE void start_in_tasks(struct rti_mesh_shard *shard)
{
    if (!start_waiting_posts(shard) || !start_requests(shard)) {
        refuse(shard);
    }
}

void rti_call_need_pump(struct rti_mesh_shard *shard)
{
    if (shard->pump != NULL ||
        (rti_list_is_empty(&shard->work) && rti_list_is_empty(&shard->starved))) {
        return;
    }
    if (serves_in_tasks(shard)) {
        start_in_tasks(shard);
    } else {
        make_pump(shard);
    }
}

void rti_call_detach(struct rti_inbox *inbox, struct rt_task *task)
{
    struct rti_mesh_shard *shard = RTI_CONTAINER_OF(inbox, struct rti_mesh_shard, inbox);

    task->state &= ~(uint32_t)RTI_TASK_INLINE;
    if (shard->inside != NULL) {
        shard->mesh->service_ops->suspends(shard->inside);
        shard->inside = NULL;
    }
    if (task == shard->pump) {
        shard->pump = NULL;
        shard->executor->tasks.extra--;
    }
    if (task->call != NULL && rti_call_started(task->call, task->index)) {
        rti_task_cancel(task); /* K1 */
    }
    rti_call_need_pump(shard);
}

void rti_call_woken(struct rt_task *task)
{
    if (task->call != NULL && (task->state & RTI_TASK_INLINE) == 0 &&
        rti_call_is_cancelled(task->call)) {
        rti_task_cancel(task);
    }
}
