/* SPDX-License-Identifier: MIT */
/*
 * Call each: a set of calls as one wait; see rt/call.h.
 *
 * Each part is an ordinary call. They are sent first and awaited then, in order. What ends the
 * wait for one of them ends all: each function is asked before any answer is waited for. The
 * answers are awaited in any case (K3 of call.h).
 */
#include <errno.h>

#include "core/scope.h"
#include "cross/call.h"
#include "cross/call_word.h"
#include "cross/mesh.h"

struct set {
    struct rti_waiter waiter;
    struct rt_call_part *parts;
    uint32_t count;
    int reason; /* 0, or why all were asked to end */
    rt_time deadline;
};

static void set_abort(struct rti_waiter *waiter, int reason)
{
    const struct set *set = RTI_CONTAINER_OF(waiter, struct set, waiter);

    (void)reason; /* stays in the waiter */
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->parts[i].error == 0 && set->parts[i].call.state != RTI_CALL_DONE) {
            rti_call_ask_to_end(&set->parts[i].call);
        }
    }
}

static const struct rti_wait_kind set_kind = { .name = "calls",
                                               .abort = set_abort,
                                               .whom = rti_call_whom };

/* Once a part could not wait for a slot, none can. */
static bool sends_no_more(int error)
{
    return error == -ETIME || error == -ECANCELED;
}

static int send_parts(const struct set *set, rt_task_fn fn, bool here, int error)
{
    const uint32_t self = rti_mesh_here()->index;

    for (uint32_t i = 0; i < set->count; i++) {
        struct rt_call_part *part = &set->parts[i];

        if ((part->shard == self) != here) {
            continue;
        }
        part->result = 0;
        part->error = sends_no_more(error) ? error
                                           : rti_call_begin_within(&part->call, part->shard, fn,
                                                                   part->arg, set->deadline);
        if (part->error < 0) {
            error = part->error;
        }
    }
    return error;
}

/* All that go elsewhere are on their way before one runs here. */
static void send_all(const struct set *set, rt_task_fn fn)
{
    struct rti_mesh_shard *shard = rti_mesh_here();
    const int error = send_parts(set, fn, false, 0);

    if (shard->inbox.unsent) {
        rti_mesh_flush(shard);
    }
    (void)send_parts(set, fn, true, error);
}

static void await_reply(struct set *set, struct rt_call *call)
{
    rti_waiter_init(&set->waiter, &set_kind);
    set->waiter.object = call;
    call->waiter = &set->waiter;
    if (set->reason != 0) { /* all were asked: nothing can hurry them */
        set->waiter.mode = RTI_WAIT_EXEMPT;
        (void)rti_wait(&set->waiter, RT_NEVER);
    } else {
        if (rti_scope_ends(rti_current->running)) {
            rti_waiter_abort(&set->waiter, -ECANCELED);
        }
        (void)rti_wait(&set->waiter, set->deadline);
        set->reason = set->waiter.reason;
    }
    call->waiter = NULL;
}

static void end_part(struct set *set, struct rt_call_part *part)
{
    struct rt_call *call = &part->call;

    if (call->state != RTI_CALL_DONE && set->reason == 0) {
        rti_call_look_for_reply(call, set->deadline);
    }
    if (call->state != RTI_CALL_DONE) {
        await_reply(set, call);
    }
    part->error = rti_call_error(call, set->reason, set->deadline);
    if (part->error == 0 && call->result == -ECANCELED && rti_call_is_cancelled(call)) {
        part->error = set->reason; /* it gave way */
    }
    if (part->error == 0) {
        part->result = call->result;
    }
}

int rt_map_reduce(struct rt_call_part *parts, uint32_t count, rt_task_fn map, rt_reduce_fn reduce,
                  void *into, rt_time deadline)
{
    struct set set = { .parts = parts, .count = count, .deadline = deadline };
    int first_error = 0;

    (void)rti_mesh_of_task("rt_call_each");
    send_all(&set, map);
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].error == 0) {
            end_part(&set, &parts[i]);
        }
        if (parts[i].error == 0 && reduce != NULL) {
            reduce(into, &parts[i]);
        }
        if (first_error == 0) {
            first_error = parts[i].error;
        }
    }
    rti_yield_if_due(); /* fast callees would never let this task wait */
    return first_error;
}

int rt_call_each(struct rt_call_part *parts, uint32_t count, rt_task_fn fn, rt_time deadline)
{
    return rt_map_reduce(parts, count, fn, NULL, NULL, deadline);
}

int rt_call_all(struct rt_call_part *parts, rt_task_fn fn, void *arg, rt_time deadline)
{
    const uint32_t count = rti_mesh_of_task("rt_call_all")->mesh->shard_count;

    for (uint32_t i = 0; i < count; i++) {
        parts[i].shard = i;
        parts[i].arg = arg;
    }
    return rt_map_reduce(parts, count, fn, NULL, NULL, deadline);
}
