/* SPDX-License-Identifier: MIT */
/*
 * Calls and posts: see rt/call.h for the contract, port.h for the way.
 *
 * On the callee's shard requests are started by one task, the pump. It runs
 * their functions inline, one after the other, each under an identity of its
 * own (generation, name, cancel). A function that suspends keeps the fiber and
 * the slot: it is an ordinary task from then on, and the shard makes another
 * pump. So a function that only computes costs no task and no switch. The pump
 * stands outside the limit of tasks; when it cannot be had either, requests are
 * refused without one (P1).
 *
 * Where shards share task queues a request starts in the queue that has the number
 * of its caller's. No pump is made then: each request gets a task at once, while
 * the limit has room, and runs in it as it would in the pump.
 *
 * Cancel needs no message. The caller's record has one word:
 *
 *     caller   old = fetch_or(word, CANCEL)          STARTED in old: wake the callee's task
 *     callee   old = fetch_or(word, STARTED | slot)  CANCEL in old: cancel my own task
 *              (only when the function first suspends)
 *
 * K1 If both did it, exactly one found the other's bit.
 * K2 A caller that cancels is answered, also by a function that would wait for ever.
 * K3 The record is touched by the callee only until it answers, so while the
 *    caller's frame lives: the caller waits for the answer in any case.
 * K4 A task that is woken through the map reads the word of the call it runs.
 *
 * Nor does a deadline need one. It goes along in the request, and the function runs in a scope of
 * it, so its waits end by its own shard's clock, and a function whose time is over before it has
 * begun is not run. The caller's own timer cancels the call all the same: the scope ends waits, the
 * cancel also a function that only computes.
 *
 * K5 An answer -ETIME says that the deadline which went along has passed, on the callee's clock
 *    and so on the caller's, and that the function gave way or has not run.
 */
#ifndef RTI_CROSS_CALL_H
#define RTI_CROSS_CALL_H

#include "core/wait.h"
#include "cross/mesh.h"
#include "cross/port.h"

struct rti_inbox;
struct rti_mesh_shard;

/* A request that has a task of its own, until that runs. */
struct rti_served {
    struct rti_mesh_shard *shard;
    struct rti_port *port;
    struct rti_request request;
};

/* The sender has rung: requests may be in the port's ring. */
void rti_call_requests_came(struct rti_mesh_shard *shard, struct rti_port *port);

/* Make the pump, or tasks, if there is work; refuse the requests if none can be had. */
void rti_call_need_pump(struct rti_mesh_shard *shard);

enum rti_call_state {
    RTI_CALL_SENT, /* the callee's shard has the record, or will have it */
    RTI_CALL_DONE, /* result and error are valid */
};

/* Ask the function's task to end; the call stays until it has answered (K2, K3). */
void rti_call_ask_to_end(struct rt_call *call);

/* rti_wait_kind.whom of a wait whose object is the call. */
bool rti_call_whom(const struct rti_waiter *waiter, struct rti_whom *out);

/* A shard that is awake and not busy answers soon: look for its reply for a moment. */
void rti_call_look_for_reply(const struct rt_call *call, rt_time deadline);

/* As rt_call_begin(), of a call that is ended before the current scopes are left, and with the same
 * deadline: that goes along, and is the function's (K5). */
int rti_call_begin_within(struct rt_call *call, uint32_t to, rt_task_fn fn, void *arg,
                          rt_time deadline);

/* The same two, of a service: `request` has call, function and argument, and terms that name the
 * service only. */
int rti_call_begin_request(struct rti_request *request, uint32_t to, rt_time deadline);
int rti_call_begin_request_within(struct rti_request *request, uint32_t to, rt_time deadline);

/* Run a request's function, in a task that `is_own` or the caller's. `error` gets -ESHUTDOWN when a
 * service was not there to run it; else it stays. */
static inline int rti_call_run(struct rti_mesh_shard *shard, const struct rti_request *request,
                               bool is_own, int *error)
{
    if (RTI_LIKELY(rti_terms_service(request->terms) == 0)) {
        return request->fn(request->arg);
    }
    return shard->mesh->service_ops->run(shard, request, is_own, error);
}

/* The same until a deadline. `error` gets -ETIME when that has passed and the function has not run,
 * or gave way. */
int rti_call_run_until(struct rti_mesh_shard *shard, const struct rti_request *request, bool is_own,
                       rt_time deadline, int *error);

/* The error of a call that has ended so. -ETIME is that of `deadline` or of a scope of the
 * caller's, unless the caller had a reason of its own before, which is not 0 then. */
int rti_call_error(const struct rt_call *call, int reason, rt_time deadline);

/* As rt_call(), of a function that does not wait: it runs without a task, and is never refused. */
int rti_call_taskless(uint32_t to, rt_task_fn fn, void *arg, int *result);

/* The receiver has rung: replies may have come, and room or credits. */
void rti_call_take_replies(struct rti_mesh_shard *shard, struct rti_port *port);
void rti_call_serve_waiters(struct rti_mesh_shard *shard, struct rti_port *port);

/* The shard sends no requests any more: tasks that wait to send get -ESHUTDOWN. */
void rti_call_turn_away(struct rti_mesh_shard *shard);

/* The sender has rung: there may be room for replies that wait (P3). */
void rti_call_send_late(struct rti_mesh_shard *shard, struct rti_port *port);

/* rti_inbox_ops.detach */
void rti_call_detach(struct rti_inbox *inbox, struct rt_task *task);

/* The task was woken through the map: if it runs a call, its caller may have cancelled it (K4). */
void rti_call_woken(struct rt_task *task);

#endif /* RTI_CROSS_CALL_H */
