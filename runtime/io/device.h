/* SPDX-License-Identifier: MIT */
/*
 * Device: a disk as one shard sees it, and the tickets of requests that wait for it.
 *
 * A transfer that a device has to do takes a ticket, in the line of its task queue
 * (io/disk_queue.h). Most go on at once; the others when a completion makes
 * room, a limit opens, or the turn ends. Then the ticket's function fills an entry of the ring, and
 * from there on it is an operation like any other.
 *
 *                 rti_ticket_take()      rti_disk_next()       an entry       completion
 *     (none) ---------------------> waits -----------> begun ---------> in flight -----> (none)
 *                                     |                  |                  |               ^
 *                                     | abort            | abort            | abort: asked  |
 *                                     +------------------+------------------+---------------+
 *
 * One struct rti_disk_share for each device is all that shards have in common. It lies in a list of
 * the process, as runtimes of one process use the same disks; the list's mutex is held while
 * a shard meets a device for the first time, and when its executor ends.
 *
 * V1 A ticket lies in memory that stays until its operation's waiter is done.
 * V2 Between rti_disk_next() and the completion the disk counts the request as in flight, also
 *    while it has no entry yet; whatever ends it then tells the disk so.
 * V3 A latency that is told to the disk is the device's: if the shard did not wait for completions
 *    since it looked last, the request had not ended at that look, and that is all that is known.
 * V4 A request that the polled ring refuses has moved nothing: it begins again in the ordinary one,
 *    and to the disk it is the same. Whether a file can be polled shows its first transfer.
 */
#ifndef RTI_IO_DEVICE_H
#define RTI_IO_DEVICE_H

#include "core/devices.h"
#include "core/op.h"
#include "io/disk_queue.h"

struct rti_executor;

/* One of each shard and device, until the executor ends. */
struct rti_device {
    struct rti_disk disk;
    struct rti_device *next;      /* of this shard */
    struct rti_shared_device *of; /* the same for all shards, and for partitions of one disk */
    uint64_t number;              /* what files say that they are on */
    uint32_t in_flight;           /* requests of the ordinary ring that have not completed */
    bool refusal_told;            /* the log says that it cannot be polled */
};

struct rti_ticket;

struct rti_ticket_ops {
    /* The turn has come. */
    void (*fill)(struct rti_ticket *ticket, struct io_uring_sqe *sqe);

    /* The device was to be polled for it, and cannot be. The ticket goes on without. */
    void (*refused)(struct rti_ticket *ticket);
};

struct rti_ticket {
    struct rti_disk_request request; /* `polled`: its entry is of the polled ring (core/polled.h) */
    struct rti_op *op;               /* whose turn it is to come */
    const struct rti_ticket_ops *ops;
    rt_time begun;
};

/* The device with that number (of statx(2): major in the upper half, minor in the lower), for this
 * shard. 0 or -ENOMEM. */
int rti_device_get(struct rti_executor *executor, uint64_t number, struct rti_device **out);

/* The number; 0 of NULL. */
uint64_t rti_device_number(const struct rti_device *device);

/* Whether the device is governed (config.disk_models), and others use it too, or have within the
 * last second: other task queues or shards. Then who asks for much at a time keeps them waiting. */
bool rti_device_is_shared(struct rti_device *device, struct rt_taskq *queue);

/*
 * The running task's operation waits for its turn at the device; perhaps it has come already. Its
 * waiter was made with a kind of RTI_TICKET_KIND, its object is the ticket, and `op`, `ops` and
 * `request.polled` of that are set.
 * 0; -ENOMEM: then nothing waits. Else the task has to wait for the operation next.
 */
int rti_ticket_take(struct rti_ticket *ticket, struct rti_device *device, bool writes,
                    uint32_t bytes);

void rti_ticket_abort(struct rti_waiter *waiter, int reason);
void rti_ticket_room(struct rti_waiter *waiter);
bool rti_ticket_completed(struct rti_waiter *waiter, int32_t *result);

#define RTI_TICKET_KIND(text)                                                       \
    .name = (text), .abort = rti_ticket_abort, .room = rti_ticket_room, \
    .completed = rti_ticket_completed

#endif /* RTI_IO_DEVICE_H */
