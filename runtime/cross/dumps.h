/* SPDX-License-Identifier: MIT */
/*
 * Dumps: how one asker gets the dumps of all shards of a mesh.
 *
 * Each shard has a slot. The asker marks it and rings; the shard, which sees the
 * mark when it looks at its doorbell, writes its dump into memory and leaves it
 * in the slot; the asker takes it and writes it out. So no shard waits for a
 * slow descriptor of another, and the asker waits for none longer than it wants:
 *
 *            ask             the shard begins            it is done
 *     IDLE -------> ASKED --------------------> WRITING ------------> DONE
 *      ^              |                            |                    |
 *      +--------------+ given up                   v given up           |
 *      +------------------------------------- ABANDONED (when done)     |
 *      +----------------------------------------------------------------+ taken
 *
 *     GONE: the shard's thread has left, and says nothing any more.
 *
 * There are two sets of slots, and each has one asker at a time: who wants a dump, and the
 * watch for wait cycles (shard/cycles.h), which wants links only and is in nobody's way so.
 *
 * U1 One asker at a time has a set's slots; only it leaves IDLE, DONE and ASKED.
 * U2 What lies in a slot is the asker's in IDLE and DONE, the shard's in WRITING
 *    and ABANDONED; the state's release and acquire hand it over.
 */
#ifndef RTI_CROSS_DUMPS_H
#define RTI_CROSS_DUMPS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dump.h"
#include "rt/task.h"

struct rti_mesh;
struct rti_mesh_shard;

enum rti_dump_set {
    RTI_DUMPS_WANTED,
    RTI_DUMPS_OF_WATCH,
    RTI_DUMPS_SETS,
};

enum rti_dump_state {
    RTI_DUMP_IDLE,
    RTI_DUMP_ASKED,
    RTI_DUMP_WRITING,
    RTI_DUMP_ABANDONED,
    RTI_DUMP_DONE,
    RTI_DUMP_GONE,
};

struct rti_dump_slot {
    uint32_t state; /* enum rti_dump_state; atomic */
    struct rti_dump_request request;
    struct rt_waker asker; /* to be woken; of no task: a thread waits for `answers` */
    struct rti_dump dump;  /* valid when DONE */
};

struct rti_dumps {
    uint32_t busy;    /* atomic: somebody asks (U1) */
    uint32_t answers; /* atomic, a futex: rises with each */
};

/* Begin: 0, or -EBUSY. Then ask a shard, any number of them; `here` is the asker's own end, NULL
 * for a thread that is no shard. A shard that still writes for an earlier asker is not asked. */
int rti_dumps_begin(struct rti_mesh *mesh, enum rti_dump_set set);
void rti_dumps_ask(struct rti_mesh_shard *here, struct rti_mesh_shard *target,
                   enum rti_dump_set set, struct rt_waker asker,
                   const struct rti_dump_request *request);

/* Whether nobody who was asked still has to answer. */
bool rti_dumps_answered(const struct rti_mesh *mesh, enum rti_dump_set set);

/* Wait for that on a thread that is no shard, until the deadline. */
void rti_dumps_await(struct rti_mesh *mesh, enum rti_dump_set set, rt_time deadline);

/* Take a shard's answer, which the caller frees, or give it up: RTI_DUMP_DONE, RTI_DUMP_GONE, or
 * RTI_DUMP_ASKED when it has not answered. Once for each shard, before the end. */
enum rti_dump_state rti_dumps_take(struct rti_mesh_shard *target, enum rti_dump_set set,
                                   struct rti_dump *out);
void rti_dumps_end(struct rti_mesh *mesh, enum rti_dump_set set);

/* The shard's part: the control bit was taken; a turn has begun and it is owed; the thread
 * leaves. */
void rti_dumps_look(struct rti_mesh_shard *shard);
void rti_dumps_leave(struct rti_mesh_shard *shard);

#endif /* RTI_CROSS_DUMPS_H */
