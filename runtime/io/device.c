/* SPDX-License-Identifier: MIT */
/* Device: see device.h for the idea and the invariants. */
#include "io/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/executor.h"
#include "os/sys.h"

/* One for each device that some shard of the process has met. */
struct rti_shared_device {
    struct rti_disk_share share;
    struct rti_shared_device *next;
    uint64_t number;
    struct rti_disk_model model;
    uint32_t shards;  /* that have met it, and not ended */
    bool is_measured; /* there is a model: that of the shard which met it first */
    bool is_governed; /* its capacity is known, or learned: else nobody waits but for limits */
};

/* More than can be in flight. */
#define NO_CAPACITY (1ull << 50)

/* All that this shard has met. */
struct devices {
    struct rti_devices seen_by_turn;
    struct rti_device *first;
    rt_time asked_at; /* `now` of the last rti_disk_next() of a turn's end */
};

/* The requests of one task queue to one device. */
struct rti_device_line {
    struct rti_disk_queue queue;
    struct rti_device *device;
    struct rti_device_line *next; /* of the same task queue */
};

/* ---- what shards have in common ---- */

static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rti_shared_device *shared_first; /* under the mutex, with all `next` and `shards` */

static struct rti_shared_device *find_shared(uint64_t number)
{
    struct rti_shared_device *device = shared_first;

    while (device != NULL && device->number != number) {
        device = device->next;
    }
    return device;
}

static void take_figures(struct rti_shared_device *device, const struct rti_disk_figures *figures)
{
    for (int i = 0; i < 2; i++) {
        device->model.request_cost[i] = figures->request_ns[i] * 1000;
        device->model.byte_cost[i] = (uint32_t)figures->byte_ps[i];
    }
    rti_disk_share_init(&device->share, figures->capacity_ns * 1000);
}

/* What its capacity is. */
static void init_shared(struct rti_shared_device *device, const struct rti_disk_models *models)
{
    const struct rti_disk_figures *figures = rti_disk_models_find(models, device->number);

    device->is_measured = figures != NULL || !models->learns;
    device->is_governed = figures != NULL || models->learns;
    if (figures != NULL) {
        take_figures(device, figures);
    } else {
        device->model = rti_disk_guess;
        rti_disk_share_init(&device->share, models->learns ? RTI_DISK_CAPACITY_FIRST : NO_CAPACITY);
    }
}

/* NULL for want of memory. */
static struct rti_shared_device *join_shared(uint64_t number, const struct rti_disk_models *models)
{
    struct rti_shared_device *device;

    rti_sys_mutex_lock(&shared_mutex);
    device = find_shared(number);
    if (device == NULL) {
        device = rti_sys_alloc(sizeof(*device));
        if (device != NULL) {
            device->number = number;
            init_shared(device, models);
            device->next = shared_first;
            shared_first = device;
        }
    }
    if (device != NULL) {
        device->shards++;
    }
    rti_sys_mutex_unlock(&shared_mutex);
    return device;
}

static void leave_shared(struct rti_shared_device *device)
{
    struct rti_shared_device **link = &shared_first;

    rti_sys_mutex_lock(&shared_mutex);
    device->shards--;
    if (device->shards == 0) {
        while (*link != device) {
            link = &(*link)->next;
        }
        *link = device->next;
        rti_sys_free(device);
    }
    rti_sys_mutex_unlock(&shared_mutex);
}

/* ---- devices of a shard ---- */

static const struct rti_devices_ops ops;

static struct devices *devices_of(struct rti_executor *executor)
{
    struct devices *devices = (struct devices *)executor->devices;

    if (devices == NULL) {
        devices = rti_sys_alloc(sizeof(*devices));
        if (devices != NULL) {
            devices->seen_by_turn.ops = &ops;
            executor->devices = &devices->seen_by_turn;
        }
    }
    return devices;
}

/* The first bytes of a small file; false when it cannot be read. */
static bool read_text(const char *path, char *text, size_t bytes)
{
    const int fd = rti_sys_open_to_read(path);
    ssize_t n;

    if (fd < 0) {
        return false;
    }
    n = rti_sys_read(fd, text, bytes - 1);
    (void)rti_sys_close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Of a text such as "254:0"; false when it is none. */
static bool read_number(const char *text, uint64_t *number)
{
    char *end = NULL;
    const unsigned long major = strtoul(text, &end, 10);

    if (*end != ':') {
        return false;
    }
    *number = (uint64_t)major << 32 | strtoul(end + 1, NULL, 10);
    return true;
}

/* The number of the disk that a partition is of; or of the device itself. */
static uint64_t disk_of(uint64_t number)
{
    uint64_t disk = number;
    char path[64];
    char text[32];

    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", (unsigned)(number >> 32),
             (unsigned)number);
    if (!read_text(path, text, sizeof(text))) {
        return number;
    }
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", (unsigned)(number >> 32),
             (unsigned)number);
    return read_text(path, text, sizeof(text)) && read_number(text, &disk) ? disk : number;
}

static struct rti_device *meet(struct devices *devices, uint64_t number,
                               const struct rti_disk_models *models)
{
    struct rti_device *device = rti_sys_alloc(sizeof(*device));

    if (device == NULL) {
        return NULL;
    }
    device->number = number;
    device->of = join_shared(disk_of(number), models);
    if (device->of == NULL) {
        rti_sys_free(device);
        return NULL;
    }
    rti_disk_init(&device->disk, &device->of->share,
                  device->of->is_measured ? &device->of->model : NULL, rti_sys_now());
    device->next = devices->first;
    devices->first = device;
    return device;
}

int rti_device_get(struct rti_executor *executor, uint64_t number, struct rti_device **out)
{
    struct devices *devices = devices_of(executor);
    struct rti_device *device = devices != NULL ? devices->first : NULL;

    while (device != NULL && device->number != number) {
        device = device->next;
    }
    if (device == NULL && devices != NULL) {
        device = meet(devices, number, &executor->disk_models);
    }
    *out = device;
    return device != NULL ? 0 : -ENOMEM;
}

uint64_t rti_device_number(const struct rti_device *device)
{
    return device != NULL ? device->number : 0;
}

static void close_all(struct rti_devices *seen_by_turn)
{
    struct devices *devices = (struct devices *)seen_by_turn;
    struct rti_device *device;

    while ((device = devices->first) != NULL) {
        devices->first = device->next;
        rti_disk_fini(&device->disk);
        leave_shared(device->of);
        rti_sys_free(device);
    }
    rti_sys_free(devices);
}

/* ---- lines of task queues ---- */

static struct rti_device_line *find_line(const struct rti_device *device,
                                         const struct rt_taskq *queue)
{
    struct rti_device_line *line = queue->device_lines;

    while (line != NULL && line->device != device) {
        line = line->next;
    }
    return line;
}

/* What has changed since the queue's last request: its shares and limits may at any time. */
static void update(struct rti_device_line *line, const struct rt_taskq *queue)
{
    struct rti_disk_queue *disk_queue = &line->queue;

    if (RTI_UNLIKELY(disk_queue->shares != queue->entity.shares)) {
        rti_disk_queue_set_shares(&line->device->disk, disk_queue, queue->entity.shares);
    }
    if (RTI_UNLIKELY(disk_queue->byte_limit.rate != queue->disk_bytes_per_second ||
                     disk_queue->request_limit.rate != queue->disk_requests_per_second)) {
        rti_disk_queue_set_limits(disk_queue, queue->disk_bytes_per_second,
                                  queue->disk_requests_per_second, rti_sys_now());
    }
}

/* NULL for want of memory. */
static struct rti_device_line *make_line(struct rti_device *device, struct rt_taskq *queue,
                                         struct rti_device_line *parent)
{
    struct rti_device_line *line = rti_sys_alloc(sizeof(*line));

    if (line != NULL) {
        rti_disk_queue_init(&line->queue, &device->disk, parent != NULL ? &parent->queue : NULL,
                            queue->entity.shares);
        line->device = device;
        line->next = queue->device_lines;
        queue->device_lines = line;
    }
    return line;
}

/* Of a queue without a parent, or which is one. */
static struct rti_device_line *top_line(struct rti_device *device, struct rt_taskq *queue)
{
    struct rti_device_line *line = find_line(device, queue);

    if (RTI_UNLIKELY(line == NULL)) {
        line = make_line(device, queue, NULL);
    }
    if (line != NULL) {
        update(line, queue);
    }
    return line;
}

static struct rti_device_line *line_of(struct rti_device *device, struct rt_taskq *queue)
{
    struct rti_device_line *parent;
    struct rti_device_line *line;

    if (RTI_LIKELY(queue->entity.parent == NULL)) {
        return top_line(device, queue);
    }
    parent = top_line(device, rti_taskq_of_entity(queue->entity.parent));
    line = find_line(device, queue);
    if (line == NULL && parent != NULL) {
        line = make_line(device, queue, parent);
    }
    if (line != NULL) {
        update(line, queue);
    }
    return line;
}

static void forget(struct rt_taskq *queue)
{
    struct rti_device_line *line;

    while ((line = queue->device_lines) != NULL) {
        queue->device_lines = line->next;
        rti_disk_queue_fini(&line->queue);
        rti_sys_free(line);
    }
}

static void count(const struct rt_taskq *queue, struct rt_taskq_stats *stats)
{
    for (const struct rti_device_line *line = queue->device_lines; line != NULL;
         line = line->next) {
        stats->disk_requests += line->queue.stats.begun;
        stats->disk_bytes += line->queue.stats.bytes;
        stats->disk_wait += line->queue.stats.waited;
        stats->disk_time += line->queue.stats.served;
    }
}

bool rti_device_is_shared(struct rti_device *device, struct rt_taskq *queue)
{
    const struct rti_device_line *line = line_of(device, queue);

    return line != NULL && device->of->is_governed &&
           rti_disk_has_others(&device->disk, &line->queue, rti_sys_now());
}

/* ---- tickets ---- */

static struct rti_ticket *ticket_of(const struct rti_waiter *waiter)
{
    return (struct rti_ticket *)waiter->object;
}

static struct rti_device *device_of(const struct rti_ticket *ticket)
{
    return RTI_CONTAINER_OF(ticket->request.queue, struct rti_device_line, queue)->device;
}

/* Disks often complete many requests at once. Then all tasks go on, and the disk would rest until
 * the last of them has asked for more. So what is pending is submitted once it is more than the
 * kernel has of the disk's: of a burst the first at once, then 2, 4, 8 (measured: decision 0020).
 * When no other task can run the turn ends, and submits. */
static bool should_submit(const struct rti_executor *executor, const struct rti_uring *ring,
                          uint32_t in_flight)
{
    return in_flight < 2 * rti_uring_pending(ring) && rti_executor_has_runnable(executor);
}

static void go(struct rti_ticket *ticket, struct io_uring_sqe *sqe)
{
    struct rti_executor *executor = ticket->op->waiter.task->executor;
    struct rti_polled *polled = executor->reactor.polled;
    struct rti_device *device = device_of(ticket);

    ticket->ops->fill(ticket, sqe);
    if (RTI_UNLIKELY(ticket->request.polled)) {
        rti_op_start_polled(ticket->op, sqe);
        if (should_submit(executor, &polled->ring, polled->in_flight)) {
            (void)rti_uring_submit(&polled->ring);
        }
        return;
    }
    rti_op_start(ticket->op, sqe);
    device->in_flight++;
    if (should_submit(executor, &executor->reactor.ring, device->in_flight)) {
        rti_reactor_submit(&executor->reactor);
    }
}

/* It is the ticket's turn. */
static void begin(struct rti_ticket *ticket, rt_time now)
{
    struct io_uring_sqe *sqe = RTI_UNLIKELY(ticket->request.polled)
                                   ? rti_op_begin_polled(ticket->op)
                                   : rti_op_begin_leg(ticket->op);

    ticket->begun = now;
    if (RTI_LIKELY(sqe != NULL)) {
        go(ticket, sqe);
    }
}

/* What may go now goes; `last` is the one to stop at, as nothing behind it can. */
static void let_go(struct rti_device *device, const struct rti_ticket *last, rt_time now)
{
    struct rti_disk_request *request;

    while ((request = rti_disk_next(&device->disk, now)) != NULL) {
        struct rti_ticket *ticket = RTI_CONTAINER_OF(request, struct rti_ticket, request);

        begin(ticket, now);
        if (ticket == last) {
            return;
        }
    }
}

int rti_ticket_take(struct rti_ticket *ticket, struct rti_device *device, bool writes,
                    uint32_t bytes)
{
    struct rti_device_line *line = line_of(device, ticket->op->waiter.task->queue);
    const rt_time now = rti_sys_now();

    if (line == NULL) {
        return -ENOMEM;
    }
    ticket->request.state = RTI_DISK_IDLE;
    ticket->op->state = RTI_OP_FREE;
    if (!device->of->is_governed && !rti_disk_queue_is_held(&line->queue)) {
        rti_disk_pass(&line->queue, &ticket->request, bytes);
        begin(ticket, now);
        return 0;
    }
    rti_disk_enqueue(&device->disk, &line->queue, &ticket->request, writes, bytes, now);
    let_go(device, ticket, now);
    return 0;
}

void rti_ticket_room(struct rti_waiter *waiter)
{
    struct rti_ticket *ticket = ticket_of(waiter);
    struct rti_reactor *reactor = &waiter->task->executor->reactor;

    go(ticket, ticket->request.polled ? rti_polled_granted_sqe(reactor->polled)
                                      : rti_reactor_granted_sqe(reactor));
}

/* V3 */
static rt_time latency_of(const struct rti_executor *executor, const struct rti_ticket *ticket)
{
    const rt_time until = executor->idled ? executor->turn_time : executor->looked_at;

    return until > ticket->begun ? until - ticket->begun : 0;
}

/* V4. A device without poll queues says -EOPNOTSUPP, one whose queues are full perhaps -EAGAIN: no
 * task need hear of either. */
static bool begins_again(struct rti_ticket *ticket, int32_t *result)
{
    if (RTI_LIKELY(!ticket->request.polled) || (*result != -EOPNOTSUPP && *result != -EAGAIN)) {
        return false;
    }
    ticket->request.polled = false;
    if (*result == -EOPNOTSUPP) {
        ticket->ops->refused(ticket);
    }
    if (ticket->op->waiter.reason != 0) {
        *result = -ECANCELED; /* it was to end, and can now */
        return false;
    }
    begin(ticket, rti_sys_now());
    return true;
}

bool rti_ticket_completed(struct rti_waiter *waiter, int32_t *result)
{
    const struct rti_executor *executor = waiter->task->executor;
    struct rti_ticket *ticket = ticket_of(waiter);
    struct rti_device *device = device_of(ticket);
    rt_time latency;

    device->in_flight -= !ticket->request.polled;
    if (begins_again(ticket, result)) {
        return false;
    }
    latency = *result >= 0 ? latency_of(executor, ticket) : 0;
    rti_disk_complete(&device->disk, &ticket->request, latency, executor->turn_time);
    if (rti_disk_has_waiting(&device->disk)) {
        let_go(device, NULL, rti_sys_now());
    }
    return true;
}

void rti_ticket_abort(struct rti_waiter *waiter, int reason)
{
    struct rti_ticket *ticket = ticket_of(waiter);
    struct rti_device *device = device_of(ticket);

    if (rti_disk_cancel(&device->disk, &ticket->request)) {
        rti_waiter_finish(waiter, reason);
        return;
    }
    if (ticket->op->state == RTI_OP_ROOM) { /* V2 */
        rti_disk_complete(&device->disk, &ticket->request, 0, waiter->task->executor->turn_time);
    }
    rti_op_abort(waiter, reason);
}

/* ---- the turn ---- */

static void turn_ends(struct rti_devices *seen_by_turn)
{
    struct devices *devices = (struct devices *)seen_by_turn;

    devices->asked_at = 0;
    for (struct rti_device *device = devices->first; device != NULL; device = device->next) {
        if (rti_disk_has_waiting(&device->disk)) {
            devices->asked_at = devices->asked_at != 0 ? devices->asked_at : rti_sys_now();
            let_go(device, NULL, devices->asked_at);
        }
        rti_disk_settle(&device->disk);
    }
}

static rt_time wakes_at(const struct rti_devices *seen_by_turn)
{
    const struct devices *devices = (const struct devices *)seen_by_turn;
    rt_time first = RT_NEVER;

    for (const struct rti_device *device = devices->first; device != NULL; device = device->next) {
        if (rti_disk_has_waiting(&device->disk)) {
            const rt_time at = rti_disk_wakes_at(&device->disk, devices->asked_at);

            first = at < first ? at : first;
        }
    }
    return first;
}

static const struct rti_devices_ops ops = {
    .turn_ends = turn_ends,
    .wakes_at = wakes_at,
    .count = count,
    .forget = forget,
    .close = close_all,
};
