/* SPDX-License-Identifier: MIT */
/* Closing: see closing.h. */
#include "cross/closing.h"

#include <errno.h>

#include "cross/call.h"
#include "cross/mesh.h"
#include "os/sys.h"

void rti_closing_init(struct rti_closing *closing, bool keeps)
{
    *closing = (struct rti_closing){ .keeps = keeps };
    rti_sys_mutex_init(&closing->gate);
}

void rti_closing_fini(struct rti_closing *closing)
{
    rti_sys_mutex_fini(&closing->gate);
}

/* The gate */

static void close_gate(struct rti_closing *closing)
{
    rti_sys_mutex_lock(&closing->gate);
    closing->gate_closed = true;
    rti_sys_mutex_unlock(&closing->gate);
}

int rti_closing_submit(struct rti_mesh *mesh, struct rti_mesh_shard *target,
                       struct rt_submission *submission)
{
    int r = -ESHUTDOWN;

    rti_sys_mutex_lock(&mesh->closing.gate);
    if (!mesh->closing.gate_closed) {
        rti_submissions_push(&target->submissions, submission);
        rti_mesh_ring_control(NULL, target);
        r = 0;
    }
    rti_sys_mutex_unlock(&mesh->closing.gate);
    return r;
}

/* The states */

static uint32_t state_of(const struct rti_mesh *mesh)
{
    /* pairs with the release in raise_state() */
    return __atomic_load_n(&mesh->closing.state, __ATOMIC_ACQUIRE);
}

/* False when the state was there, or further, already. */
static bool raise_state(struct rti_mesh *mesh, uint32_t state)
{
    uint32_t old = __atomic_load_n(&mesh->closing.state, __ATOMIC_RELAXED);

    while (old < state) {
        /* pairs with the acquire in state_of() */
        if (__atomic_compare_exchange_n(&mesh->closing.state, &old, state, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

/* Whether this made the count full. */
static bool count_full(const struct rti_mesh *mesh, uint32_t *count)
{
    /* pairs with itself and is_full(): who sees it full sees what all did before */
    return __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL) == mesh->shard_count;
}

static bool is_full(const struct rti_mesh *mesh, const uint32_t *count)
{
    /* pairs with count_full() */
    return __atomic_load_n(count, __ATOMIC_ACQUIRE) == mesh->shard_count;
}

void rti_closing_stop(struct rti_mesh *mesh)
{
    close_gate(&mesh->closing);
    if (raise_state(mesh, RTI_STOPPING)) {
        rti_mesh_ring_all(mesh, NULL);
    }
}

static void begin_to_stop(struct rti_mesh_shard *shard)
{
    struct rti_executor *executor = shard->executor;

    shard->closing.stops = true;
    rti_executor_expect_stop(executor);
    if (executor->first != NULL) {
        rti_task_cancel(executor->first);
    }
}

static void ack(struct rti_mesh_shard *shard)
{
    struct rti_mesh *mesh = shard->mesh;

    shard->closing.acked = true;
    rti_executor_drain(shard->executor); /* from here on nothing is sent but replies: */
    rti_call_turn_away(shard);           /* waits for room and credits end too */
    rti_mesh_flush(shard);
    if (count_full(mesh, &mesh->closing.acked)) {
        rti_mesh_ring_all(mesh, shard);
    }
}

void rti_closing_look(struct rti_mesh_shard *shard)
{
    const uint32_t state = state_of(shard->mesh);

    if (state >= RTI_STOPPING && !shard->closing.stops) {
        begin_to_stop(shard);
    }
    if (state >= RTI_DRAINING && !shard->closing.acked) {
        ack(shard);
    }
    if (shard->closing.arrived && is_full(shard->mesh, &shard->mesh->closing.arrived)) {
        shard->executor->closed = true;
    }
}

void rti_closing_first_returned(struct rti_mesh_shard *shard, int result)
{
    struct rti_mesh *mesh = shard->mesh;
    const bool gave_way = result == -ECANCELED &&
                          (shard->executor->first->state & RTI_TASK_CANCEL) != 0;

    shard->closing.result = gave_way ? 0 : result;
    if (shard->closing.result < 0 && !mesh->closing.keeps) {
        rti_closing_stop(mesh);
    }
    if (count_full(mesh, &mesh->closing.returned)) {
        close_gate(&mesh->closing);
        (void)raise_state(mesh, RTI_DRAINING);
        rti_mesh_ring_all(mesh, shard);
        rti_closing_look(shard);
    }
}

/* All shards have acked: every request is in a ring by now, rung for or not. */
static void look_at_all_rings(struct rti_mesh_shard *shard)
{
    for (uint32_t i = 0; i < shard->mesh->shard_count; i++) {
        /* pairs with the release in rti_mesh_port_to() */
        struct rti_port *port = __atomic_load_n(&shard->in[i], __ATOMIC_ACQUIRE);

        if (port != NULL) {
            rti_call_requests_came(shard, port);
        }
    }
    rti_call_need_pump(shard);
}

/* Wakes that were sent before this shard drained went by its ring, and may have been refused (N2):
 * it has to see their completions before it leaves. They come within the enter that submits. */
static bool wakes_may_be_under_way(struct rti_mesh_shard *shard)
{
    struct rti_reactor *reactor = &shard->executor->reactor;

    rti_reactor_poll(reactor);
    return rti_uring_pending(&reactor->ring) > 0 || rti_uring_ready(&reactor->ring) > 0 ||
           rti_reactor_has_work(reactor);
}

/* No task lives. */
void rti_closing_drained(struct rti_mesh_shard *shard)
{
    struct rti_mesh *mesh = shard->mesh;

    if (shard->closing.arrived || !is_full(mesh, &mesh->closing.acked)) {
        return;
    }
    rti_submissions_take(&shard->submissions, shard->executor); /* nobody passes the gate now */
    look_at_all_rings(shard);
    if (shard->executor->tasks.active > 0 || shard->replies_late > 0 ||
        !rti_list_is_empty(&shard->starved) || !rti_list_is_empty(&shard->work)) {
        return;
    }
    rti_mesh_flush(shard);
    shard->closing.again = wakes_may_be_under_way(shard);
    if (shard->closing.again) {
        return;
    }
    shard->closing.arrived = true;
    if (count_full(mesh, &mesh->closing.arrived)) {
        rti_mesh_ring_all(mesh, shard);
        shard->executor->closed = true;
    }
}
