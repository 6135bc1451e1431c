/* SPDX-License-Identifier: MIT */
/*
 * Disk queues against what they promise, in many random cases and in virtual time.
 *
 * Method: queues with shares, limits and parents send requests to a device that serves some at a
 * time. Each begin, each refusal and each end is judged by rules that know nothing of tags or
 * levels:
 *
 *   R1 No delay: while a request waits that no limit holds, the device is full, by the sum of
 *      what is in flight; and always something is. Who is alone is not held back even then.
 *   R2 No excess: what begins finds room, or nothing in flight, or was alone.
 *   R3 Shares: an ideal device serves any two queues of a level, as long as both wait, equally by
 *      shares, however little it has. Here they differ by the largest request of each and not by
 *      more. So the poor starve no more than that, and who slept gains nothing and owes nothing.
 *   R4 Limits: nothing begins before its limit allows, and what waits for it only begins at that
 *      very nanosecond.
 *   R5 A queue's requests begin in order, each once, those that were taken back never; and all end.
 *
 * A case that fails is made smaller and printed. RT_SEED=<seed> replays it.
 */
#include "io/disk_queue.h"

#include <inttypes.h>
#include <string.h>

#include "disk_case.h"
#include "support/harness.h"

#define REQUESTS_MAX (CASE_STEPS_MAX * CASE_COUNT_MAX)
#define ENTITIES_MAX (CASE_QUEUES_MAX + CASE_PARENTS_MAX)

__extension__ typedef __int128 wide;

/* A limit, told otherwise: by the most that the rate has ever been ahead of what began. */
struct oracle {
    uint64_t rate;
    wide begun; /* units * 10^9 */
    wide ahead_max;
};

struct entity {
    struct rti_disk_queue queue;
    struct oracle bytes;
    struct oracle requests;
    int parent; /* index of an entity, or below 0 */
    uint32_t shares;
    uint32_t first; /* of its requests that wait, in the run's order of coming */
    uint32_t waits; /* requests; of a parent, its children's */
    uint64_t cost_max;
    wide given;
    uint64_t begun;
    rt_time came; /* when a request came last */
};

/* Of two entities since both wait. */
struct pair {
    bool both;
    uint64_t begun; /* requests of the two */
    wide least;
    wide most;
};

struct request {
    struct rti_disk_request node;
    uint32_t entity;
    bool taken_back;
    bool begun;
    rt_time ends;
};

static struct run {
    struct rti_disk_share share;
    struct rti_disk disk;
    struct entity entities[ENTITIES_MAX];
    struct pair pairs[ENTITIES_MAX][ENTITIES_MAX];
    const struct disk_case *the_case;
    const char *wrong;
    uint64_t cost; /* in flight */
    rt_time now;
    rt_time servers[16]; /* when each is free */
    struct request requests[REQUESTS_MAX];
    uint32_t in_flight[REQUESTS_MAX]; /* indices of requests */
    uint32_t flying;
    uint32_t count;
    uint32_t leaves;
    char text[160];
} run;

static void fails(const char *rule, uint32_t entity)
{
    if (run.wrong == NULL) {
        snprintf(run.text, sizeof(run.text), "%s: queue %" PRIu32 " at %" PRId64, rule, entity,
                 run.now);
        run.wrong = run.text;
    }
}

/* Limits: R4 */

static bool is_open_at(const struct oracle *oracle, rt_time when)
{
    const wide cap = (wide)oracle->rate * RTI_DISK_LIMIT_SPARE;
    const wide ahead = (wide)oracle->rate * when - oracle->begun;
    const wide lost = (ahead > oracle->ahead_max ? ahead : oracle->ahead_max) - cap;

    return oracle->rate == 0 || ahead - (lost > 0 ? lost : 0) >= 0;
}

static void oracle_begin(struct oracle *oracle, uint64_t units)
{
    const wide ahead = (wide)oracle->rate * run.now - oracle->begun;

    oracle->ahead_max = ahead > oracle->ahead_max ? ahead : oracle->ahead_max;
    oracle->begun += (wide)units * RT_SECONDS(1);
}

static bool own_limits_are_open(const struct entity *entity, rt_time when)
{
    return is_open_at(&entity->bytes, when) && is_open_at(&entity->requests, when);
}

/* Whether no limit holds it, of a parent, no limit holds all its children. */
static bool may_go(uint32_t index, rt_time when)
{
    const struct entity *entity = &run.entities[index];
    bool child = index < run.leaves;

    for (uint32_t i = 0; i < run.leaves && !child; i++) {
        child = run.entities[i].parent == (int)index && run.entities[i].waits > 0 &&
                own_limits_are_open(&run.entities[i], when);
    }
    return entity->waits > 0 && child && own_limits_are_open(entity, when);
}

/* As may_go(), and the parent's limits do not either. */
static bool leaf_may_go(uint32_t leaf, rt_time when)
{
    const int parent = run.entities[leaf].parent;

    return may_go(leaf, when) && (parent < 0 || own_limits_are_open(&run.entities[parent], when));
}

static bool any_may_go(rt_time when)
{
    for (uint32_t i = 0; i < run.leaves; i++) {
        if (leaf_may_go(i, when)) {
            return true;
        }
    }
    return false;
}

/* Shares: R3 */

static wide difference_of(uint32_t a, uint32_t b)
{
    return run.entities[a].given * run.entities[b].shares -
           run.entities[b].given * run.entities[a].shares;
}

/* Before something may begin: which pairs both wait, and since when. */
static void look_at_pairs(void)
{
    const uint32_t count = run.leaves + run.the_case->parents;

    for (uint32_t a = 0; a < count; a++) {
        const bool a_may = may_go(a, run.now);

        for (uint32_t b = a + 1; b < count; b++) {
            struct pair *pair = &run.pairs[a][b];

            if (run.entities[a].parent != run.entities[b].parent || !a_may || !may_go(b, run.now)) {
                pair->both = false;
            } else if (!pair->both) {
                *pair = (struct pair){ .both = true };
                pair->least = pair->most = difference_of(a, b);
            }
        }
    }
}

static void judge_pair(uint32_t a, uint32_t b)
{
    const struct entity *one = &run.entities[a];
    const struct entity *other = &run.entities[b];
    struct pair *pair = &run.pairs[a][b];
    const wide product = (wide)one->shares * other->shares;
    const wide allowed = (wide)one->cost_max * other->shares + (wide)other->cost_max * one->shares;
    const wide difference = difference_of(a, b);

    pair->begun++;
    pair->least = difference < pair->least ? difference : pair->least;
    pair->most = difference > pair->most ? difference : pair->most;
    /* a tag is rounded up to 2^-16 */
    if (pair->most - pair->least > allowed + (wide)(pair->begun + 2) * product / 65536 + 1) {
        fails("R3 shares", a);
    }
}

static void judge_pairs(uint32_t index)
{
    for (uint32_t a = 0; a < run.leaves + run.the_case->parents; a++) {
        if (a < index && run.pairs[a][index].both) {
            judge_pair(a, index);
        } else if (a > index && run.pairs[index][a].both) {
            judge_pair(index, a);
        }
    }
}

/* Capacity: R1, R2 */

static bool others_came_lately(uint32_t leaf, rt_time lately)
{
    for (uint32_t i = 0; i < run.leaves; i++) {
        if (i != leaf && run.entities[i].came > run.now - lately) {
            return true;
        }
    }
    return false;
}

static void judge_refusal(void)
{
    const uint64_t capacity = rti_disk_share_capacity(&run.share);

    for (uint32_t i = 0; i < run.leaves; i++) {
        if (leaf_may_go(i, run.now) &&
            (run.cost < capacity || !others_came_lately(i, INT64_MAX / 2))) {
            fails("R1 delay", i);
        }
    }
}

static void judge_begin(const struct request *request)
{
    const uint32_t leaf = request->entity;

    if (!leaf_may_go(leaf, run.now)) {
        fails("R4 limit", leaf);
    }
    if (run.flying > 0 && run.cost >= rti_disk_share_capacity(&run.share) &&
        others_came_lately(leaf, RTI_DISK_LINGER / 8 * 7)) {
        fails("R2 excess", leaf);
    }
    if (request->taken_back || request->begun) {
        fails("R5 once", leaf);
    }
    for (const struct request *other = run.requests; other < request; other++) {
        if (other->entity == leaf && !other->begun && !other->taken_back) {
            fails("R5 order", leaf);
        }
    }
}

/* The device */

static void serve(struct request *request)
{
    rt_time *server = &run.servers[0];

    for (uint32_t i = 1; i < run.the_case->servers; i++) {
        server = run.servers[i] < *server ? &run.servers[i] : server;
    }
    *server = (*server > run.now ? *server : run.now) + run.the_case->request_ns +
              request->node.bytes / 4;
    request->ends = *server;
    run.in_flight[run.flying++] = (uint32_t)(request - run.requests);
    run.cost += request->node.cost;
}

static void note_begin(struct request *request)
{
    int index = (int)request->entity;

    request->begun = true;
    while (index >= 0) {
        struct entity *entity = &run.entities[index];

        entity->given += request->node.cost;
        entity->waits--;
        entity->cost_max = request->node.cost > entity->cost_max ? request->node.cost
                                                                 : entity->cost_max;
        oracle_begin(&entity->bytes, request->node.bytes);
        oracle_begin(&entity->requests, 1);
        judge_pairs((uint32_t)index);
        index = entity->parent;
    }
}

static void pump(void)
{
    for (;;) {
        struct rti_disk_request *node;
        struct request *request;

        look_at_pairs();
        node = rti_disk_next(&run.disk, run.now);
        if (node == NULL) {
            break;
        }
        request = RTI_CONTAINER_OF(node, struct request, node);
        judge_begin(request);
        note_begin(request);
        serve(request);
    }
    judge_refusal();
    rti_disk_settle(&run.disk);
    rti_disk_check(&run.disk);
    if (rti_disk_share_in_flight(&run.share) != run.cost) {
        fails("H1 in flight", 0);
    }
}

/* Index in `in_flight` of what ends first. */
static uint32_t first_to_end(void)
{
    uint32_t first = 0;

    for (uint32_t i = 1; i < run.flying; i++) {
        if (run.requests[run.in_flight[i]].ends < run.requests[run.in_flight[first]].ends) {
            first = i;
        }
    }
    return first;
}

static void complete(uint32_t place)
{
    struct request *request = &run.requests[run.in_flight[place]];

    run.in_flight[place] = run.in_flight[--run.flying];
    run.cost -= request->node.cost;
    rti_disk_complete(&run.disk, &request->node, run.now - request->node.came + 1, run.now);
}

/* What the disk says must come next, judged: R4. */
static rt_time limit_opens(void)
{
    const rt_time when = rti_disk_wakes_at(&run.disk, run.now);

    if (when != RT_NEVER && (any_may_go(when - 1) || !any_may_go(when))) {
        fails("R4 wake", 0);
    }
    if (when == RT_NEVER && rti_disk_has_waiting(&run.disk) && run.flying == 0) {
        fails("R1 hangs", 0);
    }
    return when;
}

static void pass_time(rt_time until)
{
    while (run.wrong == NULL) {
        const rt_time opens = limit_opens();
        const uint32_t place = first_to_end();
        const rt_time ends = run.flying > 0 ? run.requests[run.in_flight[place]].ends : RT_NEVER;
        const rt_time next = ends < opens ? ends : opens;

        if (next > until || next == RT_NEVER) {
            break;
        }
        run.now = next;
        if (ends == next) {
            complete(place);
        }
        pump();
    }
    run.now = until == RT_NEVER ? run.now : until;
}

/* Steps */

static void come(const struct case_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        struct request *request = &run.requests[run.count++];
        struct entity *entity = &run.entities[step->queue];

        request->entity = step->queue;
        rti_disk_enqueue(&run.disk, &entity->queue, &request->node, step->write, step->bytes,
                         run.now);
        entity->came = run.now;
        entity->waits++;
        if (entity->parent >= 0) {
            run.entities[entity->parent].waits++;
        }
    }
}

static void take_back(const struct case_step *step)
{
    struct entity *entity = &run.entities[step->queue];
    uint32_t left = step->count;

    for (uint32_t i = run.count; i-- > 0 && left > 0;) {
        struct request *request = &run.requests[i];

        if (request->entity != step->queue || request->taken_back ||
            request->node.state == RTI_DISK_IDLE) {
            continue;
        }
        left--;
        request->taken_back = rti_disk_cancel(&run.disk, &request->node);
        if (request->taken_back == request->begun) {
            fails("R5 taken back", step->queue);
        }
        if (request->taken_back) {
            entity->waits--;
            run.entities[entity->parent >= 0 ? entity->parent : 0].waits -= entity->parent >= 0;
        }
    }
}

static void change_shares(const struct case_step *step)
{
    run.entities[step->queue].shares = step->shares;
    rti_disk_queue_set_shares(&run.disk, &run.entities[step->queue].queue, step->shares);
    for (uint32_t i = 0; i < ENTITIES_MAX; i++) {
        run.pairs[i][step->queue].both = false;
        run.pairs[step->queue][i].both = false;
    }
}

static void do_step(const struct case_step *step)
{
    if (step->shares != 0) {
        change_shares(step);
    } else if (step->cancel) {
        take_back(step);
    } else {
        come(step);
    }
    pump();
    pass_time(run.now + (rt_time)step->run);
}

/* A run */

static void set_up_entity(uint32_t index, const struct case_queue *plan)
{
    struct entity *entity = &run.entities[index];

    entity->parent = plan->parent < 0 ? -1 : (int)run.leaves + plan->parent;
    entity->shares = plan->shares;
    entity->came = INT64_MIN / 2;
    entity->bytes = (struct oracle){ .rate = plan->bytes_limit };
    entity->bytes.ahead_max = (wide)plan->bytes_limit * RTI_DISK_LIMIT_SPARE;
    entity->requests = (struct oracle){ .rate = plan->requests_limit };
    entity->requests.ahead_max = (wide)plan->requests_limit * RTI_DISK_LIMIT_SPARE;
    rti_disk_queue_init(&entity->queue, &run.disk,
                        plan->parent < 0 ? NULL : &run.entities[entity->parent].queue,
                        plan->shares);
    rti_disk_queue_set_limits(&entity->queue, plan->bytes_limit, plan->requests_limit, 0);
}

static void set_up(const struct disk_case *the_case)
{
    static const struct rti_disk_model model = { .request_cost = { 1000, 9000 },
                                                 .byte_cost = { 3, 4 } };

    memset(&run, 0, sizeof(run));
    run.the_case = the_case;
    run.leaves = the_case->queues;
    rti_disk_share_init(&run.share, the_case->capacity);
    rti_disk_init(&run.disk, &run.share, the_case->learns ? NULL : &model, 0);
    for (uint32_t i = 0; i < the_case->parents; i++) {
        set_up_entity(run.leaves + i, &the_case->parent[i]);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        set_up_entity(i, &the_case->queue[i]);
    }
}

/* R5: all end, and then nothing is left. */
static void drain(void)
{
    pass_time(RT_NEVER);
    for (uint32_t i = 0; i < run.count && run.wrong == NULL; i++) {
        if (run.requests[i].begun == run.requests[i].taken_back) {
            fails("R5 never begun", run.requests[i].entity);
        }
    }
    if (run.wrong == NULL) {
        for (uint32_t i = 0; i < run.leaves + run.the_case->parents; i++) {
            rti_disk_queue_fini(&run.entities[i].queue);
        }
        rti_disk_fini(&run.disk);
        if (rti_disk_share_in_flight(&run.share) != 0 || run.share.weight != 0) {
            fails("H1 left over", 0);
        }
    }
}

static const char *run_case(const struct disk_case *the_case)
{
    set_up(the_case);
    for (uint32_t i = 0; i < the_case->steps && run.wrong == NULL; i++) {
        do_step(&the_case->step[i]);
    }
    drain();
    return run.wrong;
}

static void disk_queues_keep_what_they_promise(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(10000); i++) {
        struct disk_case the_case;

        case_draw(&the_case, rt_test_seed(i));
        if (run_case(&the_case) != NULL) {
            case_shrink(&the_case, run_case);
            fprintf(stderr, "RT_SEED=%" PRIu64 " fails; made smaller: %s\n", rt_test_seed(i),
                    run_case(&the_case));
            case_print(&the_case, stderr);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disk_queues_keep_what_they_promise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
