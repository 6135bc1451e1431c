/* SPDX-License-Identifier: MIT */
/* Dumps: see dumps.h. */
#include "cross/dumps.h"

#include <errno.h>

#include "cross/mesh.h"
#include "os/sys.h"

/* One step of a slot's state; false when it is another by now. */
static bool step(struct rti_dump_slot *slot, uint32_t from, uint32_t to)
{
    /* pairs with itself and state_of(): what lies in the slot goes over with the state (U2) */
    return __atomic_compare_exchange_n(&slot->state, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

static uint32_t state_of(const struct rti_dump_slot *slot)
{
    return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE); /* pairs with step() */
}

/* The asker */

int rti_dumps_begin(struct rti_mesh *mesh, enum rti_dump_set set)
{
    /* pairs with the release in rti_dumps_end() */
    return __atomic_exchange_n(&mesh->dumps[set].busy, 1, __ATOMIC_ACQUIRE) == 0 ? 0 : -EBUSY;
}

void rti_dumps_end(struct rti_mesh *mesh, enum rti_dump_set set)
{
    __atomic_store_n(&mesh->dumps[set].busy, 0,
                     __ATOMIC_RELEASE); /* pairs with rti_dumps_begin() */
}

void rti_dumps_ask(struct rti_mesh_shard *here, struct rti_mesh_shard *target,
                   enum rti_dump_set set, struct rt_waker asker,
                   const struct rti_dump_request *request)
{
    struct rti_dump_slot *slot = &target->dumps[set];

    if (state_of(slot) != RTI_DUMP_IDLE) {
        return;
    }
    slot->request = *request;
    slot->asker = asker;
    if (step(slot, RTI_DUMP_IDLE, RTI_DUMP_ASKED)) { /* else it has just left */
        rti_mesh_ring_control(here, target);
    }
}

bool rti_dumps_answered(const struct rti_mesh *mesh, enum rti_dump_set set)
{
    for (uint32_t i = 0; i < mesh->shard_count; i++) {
        const uint32_t state = state_of(&mesh->shards[i]->dumps[set]);

        if (state == RTI_DUMP_ASKED || state == RTI_DUMP_WRITING) {
            return false;
        }
    }
    return true;
}

void rti_dumps_await(struct rti_mesh *mesh, enum rti_dump_set set, rt_time deadline)
{
    const rt_time until = deadline < 0 ? 0 : deadline; /* the kernel refuses moments below 0 */
    int r = 0;

    while (r != -ETIMEDOUT) {
        /* pairs with the release in answer() */
        const uint32_t answers = __atomic_load_n(&mesh->dumps[set].answers, __ATOMIC_ACQUIRE);

        if (rti_dumps_answered(mesh, set)) {
            return;
        }
        r = rti_sys_futex_wait(&mesh->dumps[set].answers, answers, until);
    }
}

enum rti_dump_state rti_dumps_take(struct rti_mesh_shard *target, enum rti_dump_set set,
                                   struct rti_dump *out)
{
    struct rti_dump_slot *slot = &target->dumps[set];

    for (;;) {
        switch (state_of(slot)) {
        case RTI_DUMP_DONE:
            *out = slot->dump;
            slot->dump = (struct rti_dump){ .text.data = NULL };
            (void)step(slot, RTI_DUMP_DONE, RTI_DUMP_IDLE); /* fails when it has just left */
            return RTI_DUMP_DONE;
        case RTI_DUMP_ASKED:
            if (step(slot, RTI_DUMP_ASKED, RTI_DUMP_IDLE)) {
                return RTI_DUMP_ASKED;
            }
            break;
        case RTI_DUMP_WRITING:
            if (step(slot, RTI_DUMP_WRITING, RTI_DUMP_ABANDONED)) {
                return RTI_DUMP_ASKED;
            }
            break;
        case RTI_DUMP_GONE: /* it may have answered before it left */
            *out = slot->dump;
            slot->dump = (struct rti_dump){ .text.data = NULL };
            return out->turn > 0 ? RTI_DUMP_DONE : RTI_DUMP_GONE;
        default: /* not asked: it still writes for an earlier asker, or did until now */
            return RTI_DUMP_ASKED;
        }
    }
}

/* The shard */

static void tell(struct rti_mesh *mesh, enum rti_dump_set set, struct rt_waker asker)
{
    if (asker.task != NULL) {
        rt_wake(asker);
        return;
    }
    /* pairs with the acquire in rti_dumps_await() */
    __atomic_add_fetch(&mesh->dumps[set].answers, 1, __ATOMIC_RELEASE);
    (void)rti_sys_futex_wake(&mesh->dumps[set].answers);
}

static void look_at_slot(struct rti_mesh_shard *shard, enum rti_dump_set set)
{
    struct rti_dump_slot *slot = &shard->dumps[set];
    struct rt_waker asker;

    if (state_of(slot) != RTI_DUMP_ASKED) {
        return;
    }
    if (shard->executor->running != NULL) { /* on a task's stack, which may be small */
        shard->owed = true;
        return;
    }
    if (!step(slot, RTI_DUMP_ASKED, RTI_DUMP_WRITING)) {
        return; /* given up */
    }
    asker = slot->asker;
    rti_dump_shard(&slot->dump, shard->executor, shard->index, &slot->request);
    if (step(slot, RTI_DUMP_WRITING, RTI_DUMP_DONE)) {
        tell(shard->mesh, set, asker);
    } else {
        rti_dump_fini(&slot->dump);
        (void)step(slot, RTI_DUMP_ABANDONED, RTI_DUMP_IDLE);
    }
}

void rti_dumps_look(struct rti_mesh_shard *shard)
{
    for (int set = 0; set < RTI_DUMPS_SETS; set++) {
        look_at_slot(shard, (enum rti_dump_set)set);
    }
}

/* No task lives on any shard, so who asks is a thread. */
void rti_dumps_leave(struct rti_mesh_shard *shard)
{
    for (int set = 0; set < RTI_DUMPS_SETS; set++) {
        /* pairs with step() and state_of() */
        const uint32_t left = __atomic_exchange_n(&shard->dumps[set].state, RTI_DUMP_GONE,
                                                  __ATOMIC_ACQ_REL);

        if (left == RTI_DUMP_ASKED) {
            tell(shard->mesh, (enum rti_dump_set)set, (struct rt_waker){ .task = NULL });
        }
    }
}
