/* SPDX-License-Identifier: MIT */
/* Disk queues: see disk_queue.h for the idea and the invariants. */
#include "io/disk_queue.h"

#include <stddef.h>

#include "base/assert.h"
#include "rt/taskq.h"

#define SCALE 16

const struct rti_disk_model rti_disk_guess = {
    .request_cost = { RTI_DISK_REQUEST_COST, RTI_DISK_REQUEST_COST },
    .byte_cost = { RTI_DISK_BYTE_COST, RTI_DISK_BYTE_COST },
};

static struct rti_disk_level *level_of(struct rti_disk *disk, struct rti_disk_queue *queue)
{
    return queue->parent != NULL ? &queue->parent->children : &disk->root;
}

static rti_disk_tag later(rti_disk_tag a, rti_disk_tag b)
{
    return a > b ? a : b;
}

static rti_disk_tag start_of(const struct rti_disk_level *level, const struct rti_disk_queue *queue)
{
    return later(level->now, queue->finish); /* Q1 */
}

/* Life */

static void init_level(struct rti_disk_level *level)
{
    *level = (struct rti_disk_level){ 0 };
    rti_list_init(&level->waiting);
}

void rti_disk_init(struct rti_disk *disk, struct rti_disk_share *share,
                   const struct rti_disk_model *model, rt_time now)
{
    *disk = (struct rti_disk){ .model = model != NULL ? *model : rti_disk_guess,
                               .learns = model == NULL };
    init_level(&disk->root);
    rti_disk_part_init(&disk->part, share);
    rti_disk_depth_init(&disk->depth, rti_disk_share_capacity(share), now);
}

void rti_disk_fini(struct rti_disk *disk)
{
    RTI_ASSERT(disk->root.busy == 0);
    rti_disk_part_fini(&disk->part);
}

void rti_disk_queue_init(struct rti_disk_queue *queue, struct rti_disk *disk,
                         struct rti_disk_queue *parent, uint32_t shares)
{
    RTI_ASSERT(parent == NULL || (parent->parent == NULL && rti_list_is_empty(&parent->requests)));
    RTI_ASSERT(shares >= RT_SHARES_MIN && shares <= RT_SHARES_MAX);
    *queue = (struct rti_disk_queue){ .parent = parent, .shares = shares };
    queue->finish = level_of(disk, queue)->now;
    init_level(&queue->children);
    rti_list_init(&queue->link);
    rti_list_init(&queue->requests);
    if (parent != NULL) {
        parent->members++;
    }
}

void rti_disk_queue_fini(struct rti_disk_queue *queue)
{
    RTI_ASSERT(queue->busy == 0 && queue->members == 0);
    if (queue->parent != NULL) {
        queue->parent->members--;
    }
}

void rti_disk_queue_set_shares(struct rti_disk *disk, struct rti_disk_queue *queue, uint32_t shares)
{
    struct rti_disk_level *level = level_of(disk, queue);

    RTI_ASSERT(shares >= RT_SHARES_MIN && shares <= RT_SHARES_MAX);
    if (queue->finish > level->now) {
        queue->finish = level->now + (queue->finish - level->now) * queue->shares / shares;
        level->finish_max = later(level->finish_max, queue->finish);
    }
    if (queue->parent == NULL && queue->busy > 0) {
        disk->weight = disk->weight - queue->shares + shares;
    }
    queue->shares = shares;
}

void rti_disk_queue_set_limits(struct rti_disk_queue *queue, uint64_t bytes_per_second,
                               uint64_t requests_per_second, rt_time now)
{
    rti_disk_limit_set(&queue->byte_limit, bytes_per_second, now);
    rti_disk_limit_set(&queue->request_limit, requests_per_second, now);
}

/* Coming and going */

static uint64_t cost_of(const struct rti_disk_model *model, bool write, uint32_t bytes)
{
    const uint64_t byte_costs = (uint64_t)bytes * model->byte_cost[write];
    const uint64_t request_cost = model->request_cost[write];

    if (byte_costs >= RTI_DISK_COST_MAX || request_cost >= RTI_DISK_COST_MAX - byte_costs) {
        return RTI_DISK_COST_MAX;
    }
    return request_cost + byte_costs > 0 ? request_cost + byte_costs : 1; /* nothing is for free */
}

static void join(struct rti_disk *disk, struct rti_disk_queue *leaf)
{
    for (struct rti_disk_queue *queue = leaf; queue != NULL; queue = queue->parent) {
        level_of(disk, queue)->busy++;
        queue->busy++;
        if (queue->parent == NULL && queue->busy == 1) {
            disk->weight += queue->shares;
        }
    }
}

static void leave(struct rti_disk *disk, struct rti_disk_queue *leaf)
{
    for (struct rti_disk_queue *queue = leaf; queue != NULL; queue = queue->parent) {
        struct rti_disk_level *level = level_of(disk, queue);

        level->busy--;
        queue->busy--;
        if (level->busy == 0) {
            level->now = level->finish_max; /* Q3 */
        }
        if (queue->parent == NULL && queue->busy == 0) {
            disk->weight -= queue->shares;
        }
    }
}

/* The queue has requests that wait, or a child that has. */
static bool has_waiting(const struct rti_disk_queue *queue)
{
    return !rti_list_is_empty(&queue->requests) || !rti_list_is_empty(&queue->children.waiting);
}

/* Where a request came or went: a queue stands in its level's list while something in it waits. */
static void line_up(struct rti_disk *disk, struct rti_disk_queue *leaf)
{
    for (struct rti_disk_queue *queue = leaf; queue != NULL; queue = queue->parent) {
        if (!has_waiting(queue)) {
            rti_list_remove(&queue->link);
        } else if (rti_list_is_empty(&queue->link)) {
            rti_list_push_back(&level_of(disk, queue)->waiting, &queue->link);
        }
    }
}

void rti_disk_enqueue(struct rti_disk *disk, struct rti_disk_queue *queue,
                      struct rti_disk_request *request, bool write, uint32_t bytes, rt_time now)
{
    RTI_ASSERT(request->state == RTI_DISK_IDLE && queue->members == 0);
    request->queue = queue;
    request->came = now;
    request->cost = cost_of(&disk->model, write, bytes);
    request->bytes = bytes;
    request->write = write;
    request->state = RTI_DISK_WAITS;
    rti_list_push_back(&queue->requests, &request->link);
    join(disk, queue);
    line_up(disk, queue);
    rti_disk_share_came(disk->part.share, (uintptr_t)queue, now);
}

bool rti_disk_cancel(struct rti_disk *disk, struct rti_disk_request *request)
{
    RTI_ASSERT(request->state != RTI_DISK_IDLE);
    if (request->state != RTI_DISK_WAITS) {
        return false;
    }
    rti_list_remove(&request->link);
    request->state = RTI_DISK_IDLE;
    line_up(disk, request->queue);
    leave(disk, request->queue);
    return true;
}

/* Choosing */

static rt_time opens_at(const struct rti_disk_queue *queue)
{
    const rt_time bytes = rti_disk_limit_opens(&queue->byte_limit);
    const rt_time requests = rti_disk_limit_opens(&queue->request_limit);

    return bytes > requests ? bytes : requests;
}

/* The queue of the level that may go and has the least start tag; of a parent, the child. */
static struct rti_disk_queue *choose(const struct rti_disk_level *level, rt_time now)
{
    const struct rti_disk_queue *best = NULL;
    struct rti_disk_queue *leaf = NULL;

    for (struct rti_list *link = level->waiting.next; link != &level->waiting; link = link->next) {
        struct rti_disk_queue *queue = RTI_CONTAINER_OF(link, struct rti_disk_queue, link);
        struct rti_disk_queue *candidate = queue;

        if (opens_at(queue) > now ||
            (best != NULL && start_of(level, queue) >= start_of(level, best))) {
            continue;
        }
        if (queue->members > 0) {
            candidate = choose(&queue->children, now); /* one level deeper, no more */
        }
        if (candidate != NULL) {
            best = queue;
            leaf = candidate;
        }
    }
    return leaf;
}

static void charge(struct rti_disk *disk, struct rti_disk_queue *queue,
                   const struct rti_disk_request *request, rt_time now)
{
    struct rti_disk_level *level = level_of(disk, queue);

    level->now = start_of(level, queue);
    queue->finish = level->now + ((request->cost << SCALE) + queue->shares - 1) / queue->shares;
    level->finish_max = later(level->finish_max, queue->finish);
    rti_disk_limit_charge(&queue->byte_limit, request->bytes, now);
    rti_disk_limit_charge(&queue->request_limit, 1, now);
    rti_list_remove(&queue->link); /* of those with equal tags the others go first */
    if (queue->parent != NULL) {
        charge(disk, queue->parent, request, now);
    }
}

static void begin(struct rti_disk *disk, struct rti_disk_request *request, rt_time now)
{
    struct rti_disk_queue *queue = request->queue;
    struct rti_disk_stats *stats = &queue->stats;

    rti_list_remove(&request->link);
    request->state = RTI_DISK_BEGUN;
    charge(disk, queue, request, now);
    line_up(disk, queue);
    stats->begun++;
    stats->bytes += request->bytes;
    stats->cost += request->cost;
    stats->waited += now - request->came;
}

/* In flight on the device: what this shard holds and does not use is not. */
static uint64_t in_use(const struct rti_disk *disk)
{
    return rti_disk_share_in_flight(disk->part.share) - (disk->part.held - disk->part.used);
}

/* Q5. Nobody has come for a while, and nobody has something that waits or is in flight still. */
static bool is_alone(const struct rti_disk *disk, const struct rti_disk_queue *queue, rt_time now)
{
    const struct rti_disk_queue *top = queue->parent != NULL ? queue->parent : queue;
    const struct rti_disk_share *share = disk->part.share;

    return top->busy == queue->busy && rti_disk_share_weight(share) == top->shares &&
           rti_disk_share_is_alone(share, (uintptr_t)queue, now);
}

bool rti_disk_has_others(const struct rti_disk *disk, const struct rti_disk_queue *queue,
                         rt_time now)
{
    const struct rti_disk_queue *top = queue->parent != NULL ? queue->parent : queue;
    const struct rti_disk_part *part = &disk->part;

    return top->busy != queue->busy || disk->weight != (top->busy > 0 ? top->shares : 0) ||
           rti_disk_share_weight(part->share) != part->weight ||
           !rti_disk_share_is_alone(part->share, (uintptr_t)queue, now);
}

struct rti_disk_request *rti_disk_next(struct rti_disk *disk, rt_time now)
{
    struct rti_disk_queue *queue = choose(&disk->root, now);
    struct rti_disk_request *request;
    bool is_first;

    rti_disk_part_weigh(&disk->part, disk->weight);
    if (queue == NULL) {
        return NULL;
    }
    request = RTI_CONTAINER_OF(rti_list_first(&queue->requests), struct rti_disk_request, link);
    is_first = in_use(disk) == 0;
    if (!rti_disk_part_take(&disk->part, request->cost, is_alone(disk, queue, now))) {
        return NULL;
    }
    request->alone = is_first;
    begin(disk, request, now);
    return request;
}

/* When the first of the level may go; `from`: when its parent may. */
static rt_time first_opening(const struct rti_disk_level *level, rt_time from)
{
    rt_time first = RT_NEVER;

    for (struct rti_list *link = level->waiting.next; link != &level->waiting; link = link->next) {
        const struct rti_disk_queue *queue = RTI_CONTAINER_OF(link, struct rti_disk_queue, link);
        rt_time opens = opens_at(queue);

        opens = opens > from ? opens : from;
        if (queue->members > 0) {
            opens = first_opening(&queue->children, opens); /* one level deeper, no more */
        }
        first = opens < first ? opens : first;
    }
    return first;
}

rt_time rti_disk_wakes_at(const struct rti_disk *disk, rt_time now)
{
    const rt_time first = first_opening(&disk->root, 0);

    return first > now ? first : RT_NEVER; /* else the device is full: Q4 */
}

void rti_disk_settle(struct rti_disk *disk)
{
    rti_disk_part_weigh(&disk->part, disk->weight);
    rti_disk_part_settle(&disk->part);
}

/* Completion */

static void learn(struct rti_disk *disk, const struct rti_disk_request *request, rt_time latency,
                  rt_time now)
{
    struct rti_disk_share *share = disk->part.share;
    struct rti_disk_depth *depth = &disk->depth;

    rti_disk_depth_note(depth, &(struct rti_disk_sample){
                                   .latency = latency,
                                   .cost = request->cost,
                                   .in_flight = in_use(disk),
                                   .bytes = request->bytes,
                                   .write = request->write,
                                   .alone = request->alone,
                               });
    if (rti_disk_depth_is_due(depth, now)) {
        (void)rti_disk_share_change(share, depth->capacity, rti_disk_depth_judge(depth)); /* H4 */
        rti_disk_depth_restart(depth, rti_disk_share_capacity(share), now);
    }
}

void rti_disk_complete(struct rti_disk *disk, struct rti_disk_request *request, rt_time latency,
                       rt_time now)
{
    const bool passed = request->state == RTI_DISK_PASSED;

    RTI_ASSERT(request->state == RTI_DISK_BEGUN || passed);
    request->queue->stats.served += latency;
    request->state = RTI_DISK_IDLE;
    if (passed) {
        return;
    }
    if (latency > 0 && disk->learns) {
        learn(disk, request, latency, now);
    }
    rti_disk_part_put(&disk->part, request->cost);
    leave(disk, request->queue);
}

/* Checks */

static void check_level(const struct rti_disk_level *level, const struct rti_disk_queue *parent)
{
    uint32_t busy = 0;

    for (struct rti_list *link = level->waiting.next; link != &level->waiting; link = link->next) {
        const struct rti_disk_queue *queue = RTI_CONTAINER_OF(link, struct rti_disk_queue, link);

        RTI_ASSERT(queue->parent == parent && has_waiting(queue) && queue->busy > 0);
        RTI_ASSERT(queue->finish <= level->finish_max);
        RTI_ASSERT(queue->members == 0 || queue->busy == queue->children.busy);
        check_level(&queue->children, queue);
        busy += queue->busy;
    }
    RTI_ASSERT(busy <= level->busy && level->now <= level->finish_max);
    RTI_ASSERT(level->busy > 0 || level->now == level->finish_max); /* Q3 */
}

void rti_disk_check(const struct rti_disk *disk)
{
    check_level(&disk->root, NULL);
    RTI_ASSERT(disk->part.used <= disk->part.held); /* H1 */
    RTI_ASSERT((disk->root.busy > 0) == (disk->weight > 0));
}
