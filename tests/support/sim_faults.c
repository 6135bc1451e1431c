/* SPDX-License-Identifier: MIT */
/* Sim, faults: by chance (per mille of the config) and on purpose (targets and holds). */
#include "sim_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What each opcode may plausibly end with. */
struct plausible {
    uint8_t opcode;
    int errors[4]; /* up to the first 0 */
};

static const struct plausible plausible_errors[] = {
    { IORING_OP_READ, { -EIO, 0 } },
    { IORING_OP_WRITE, { -EIO, -ENOSPC, 0 } },
    { IORING_OP_READ_FIXED, { -EIO, 0 } },
    { IORING_OP_WRITE_FIXED, { -EIO, -ENOSPC, 0 } },
    { IORING_OP_READV, { -EIO, 0 } },
    { IORING_OP_WRITEV, { -EIO, -ENOSPC, 0 } },
    { IORING_OP_FSYNC, { -EIO, -ENOSPC, 0 } },
    { IORING_OP_OPENAT, { -EMFILE, -ENFILE, -EACCES, 0 } },
    { IORING_OP_RENAMEAT, { -EIO, -ENOSPC, 0 } },
    { IORING_OP_UNLINKAT, { -EIO, 0 } },
    { IORING_OP_STATX, { -ENOMEM, -EACCES, 0 } },
    { IORING_OP_CLOSE, { -EIO, -EINTR, 0 } },
    { IORING_OP_CONNECT, { -ETIMEDOUT, -ECONNREFUSED, -ENETUNREACH, 0 } },
    { IORING_OP_RECV, { -ECONNRESET, -ENOMEM, 0 } },
    { IORING_OP_SEND, { -ECONNRESET, -ENOBUFS, 0 } },
    { IORING_OP_MSG_RING, { -ENOMEM, -EOVERFLOW, 0 } },
    { IORING_OP_SOCKET, { -EMFILE, -ENFILE, 0 } },
};

static bool is_on_stream(const struct sim_request *request)
{
    return request->object != NULL && request->object->kind == SIM_KIND_SOCKET &&
           RTI_CONTAINER_OF(request->object, struct sim_socket, object)->state ==
               SIM_SOCKET_CONNECTED;
}

bool sim_fault(unsigned per_mille, const char *what)
{
    if (!rand_chance(&sim.rand, per_mille)) {
        return false;
    }
    sim.stats.faults++;
    sim_hash_add(sim.stats.faults);
    sim_trace("fault: %s", what);
    return true;
}

/* ---- on purpose ---- */

static void add_target(struct sim_target target)
{
    RTI_ASSERT(sim.is_active && sim.target_count < SIM_TARGETS_MAX);
    sim.targets[sim.target_count++] = target;
}

/* Takes the oldest target of the kind that fits the opcode. */
static bool take_target(unsigned kind, int opcode, int *out_value)
{
    for (unsigned i = 0; i < sim.target_count; i++) {
        const struct sim_target *target = &sim.targets[i];

        if (target->kind != kind || (target->opcode != SIM_ANY && target->opcode != opcode)) {
            continue;
        }
        *out_value = target->value;
        memmove(&sim.targets[i], &sim.targets[i + 1],
                (sim.target_count - i - 1) * sizeof(sim.targets[0]));
        sim.target_count--;
        sim.stats.faults++;
        sim_hash_add(sim.stats.faults);
        sim_trace("fault on purpose: %d", *out_value);
        return true;
    }
    return false;
}

void sim_fail_next(int opcode, int result)
{
    add_target((struct sim_target){ SIM_TARGET_RESULT, opcode, result });
}

void sim_short_next(int opcode, unsigned bytes)
{
    RTI_ASSERT(bytes > 0 && bytes <= INT_MAX);
    add_target((struct sim_target){ SIM_TARGET_SHORT, opcode, (int)bytes });
}

void sim_lose_next_cancel(int answer)
{
    RTI_ASSERT(answer == -EALREADY || answer == -ENOENT);
    add_target((struct sim_target){ SIM_TARGET_CANCEL, SIM_ANY, answer });
}

void sim_fail_next_enter(int result)
{
    add_target((struct sim_target){ SIM_TARGET_ENTER, SIM_ANY, result });
}

void sim_limit_next_submit(unsigned count)
{
    RTI_ASSERT(count <= INT_MAX);
    add_target((struct sim_target){ SIM_TARGET_SUBMIT, SIM_ANY, (int)count });
}

unsigned sim_faults_unused(void)
{
    return sim.target_count;
}

/* ---- requests ---- */

static void force(struct sim_request *request, int32_t result)
{
    request->is_forced = true;
    request->forced_result = result;
}

static bool draw_listed_error(struct sim_request *request)
{
    for (size_t i = 0; i < sim.config.faults.error_count; i++) {
        const struct sim_error *error = &sim.config.faults.errors[i];

        if (error->opcode == request->sqe.opcode && sim_fault(error->per_mille, "listed error")) {
            force(request, error->result);
            return true;
        }
    }
    return false;
}

static void draw_plausible_error(struct sim_request *request)
{
    for (size_t i = 0; i < sizeof(plausible_errors) / sizeof(plausible_errors[0]); i++) {
        const struct plausible *plausible = &plausible_errors[i];
        unsigned count = 0;

        if (plausible->opcode != request->sqe.opcode) {
            continue;
        }
        if (!sim_fault(sim.config.faults.error, "error")) {
            return;
        }
        while (count < 4 && plausible->errors[count] != 0) {
            count++;
        }
        force(request, plausible->errors[rand_below(&sim.rand, count)]);
        request->breaks_stream = request->forced_result == -ECONNRESET && is_on_stream(request);
        return;
    }
}

void sim_fault_plan(struct sim_request *request)
{
    int value;

    if (take_target(SIM_TARGET_RESULT, request->sqe.opcode, &value)) {
        force(request, value);
        return;
    }
    if (take_target(SIM_TARGET_SHORT, request->sqe.opcode, &value)) {
        request->limit = (uint32_t)value;
        return;
    }
    if (!draw_listed_error(request)) {
        draw_plausible_error(request);
    }
}

uint32_t sim_fault_length(const struct sim_request *request, uint32_t length)
{
    if (length > request->limit) {
        return request->limit;
    }
    if (length > 1 && sim_fault(sim.config.faults.short_count, "short count")) {
        return 1 + (uint32_t)rand_below(&sim.rand, length - 1);
    }
    return length;
}

rt_time sim_fault_delay(rt_time delay)
{
    if (!sim_fault(sim.config.faults.extra_delay, "extra delay")) {
        return delay;
    }
    return (delay > 1000 ? delay : 1000) * rand_range(&sim.rand, 10, 1000);
}

bool sim_fault_cancel(bool by_chance, int *out_answer)
{
    if (take_target(SIM_TARGET_CANCEL, SIM_ANY, out_answer)) {
        return true;
    }
    if (!by_chance || !sim_fault(sim.config.faults.cancel_loses, "cancel loses")) {
        return false;
    }
    *out_answer = rand_chance(&sim.rand, 500) ? -EALREADY : -ENOENT;
    return true;
}

/* ---- enter ---- */

/* Asked twice: for any enter (targets), then for one that submits (chance). */
bool sim_fault_enter(bool submits, int *out_result)
{
    if (!submits) {
        return take_target(SIM_TARGET_ENTER, SIM_ANY, out_result);
    }
    if (sim_fault(sim.config.faults.enter_eagain, "EAGAIN")) {
        *out_result = -EAGAIN;
        return true;
    }
    if (sim_fault(sim.config.faults.enter_ebusy, "EBUSY")) {
        *out_result = -EBUSY;
        return true;
    }
    return false;
}

unsigned sim_fault_submit(unsigned count)
{
    int limit;

    if (take_target(SIM_TARGET_SUBMIT, SIM_ANY, &limit)) {
        return count < (unsigned)limit ? count : (unsigned)limit;
    }
    if (count > 1 && sim_fault(sim.config.faults.partial_submit, "partial submit")) {
        return 1 + (unsigned)rand_below(&sim.rand, count - 1);
    }
    return count;
}

/* ---- holds ---- */

static bool rule_fits(const struct sim_hold_rule *rule, const struct sim_request *request)
{
    if (rule->by_user_data) {
        return rule->user_data == request->sqe.user_data;
    }
    return rule->opcode == SIM_ANY || rule->opcode == request->sqe.opcode;
}

bool sim_hold_applies(const struct sim_request *request, enum sim_stage *out_stage)
{
    for (unsigned i = 0; i < sim.rule_count; i++) {
        if (rule_fits(&sim.rules[i], request) && request->sqe.opcode != IORING_OP_ASYNC_CANCEL) {
            *out_stage = sim.rules[i].stage;
            return true;
        }
    }
    return false;
}

/* Calls `visit` for each request in flight, oldest first within a ring, until it says stop. */
static void each_request(bool (*visit)(struct sim_request *, void *), void *arg)
{
    struct rti_list *ring_node;

    for (ring_node = sim.rings.next; ring_node != &sim.rings; ring_node = ring_node->next) {
        struct sim_ring *ring = RTI_CONTAINER_OF(ring_node, struct sim_ring, in_sim);
        struct rti_list *node;

        for (node = ring->requests.next; node != &ring->requests; node = node->next) {
            if (!visit(RTI_CONTAINER_OF(node, struct sim_request, in_ring), arg)) {
                return;
            }
        }
    }
}

static bool hold_one(struct sim_request *request, void *arg)
{
    const struct sim_hold_rule *rule = arg;

    if (rule_fits(rule, request) &&
        (request->phase == SIM_PHASE_WORK || request->phase == SIM_PHASE_WAIT)) {
        sim_event_remove(&request->event);
        rti_list_remove(&request->in_waiters);
        request->phase = SIM_PHASE_HELD;
        request->held_at = rule->stage;
        sim_trace("ring%u #%" PRIu64 " held", request->ring->number, request->id);
    }
    return true;
}

static void add_rule(struct sim_hold_rule rule)
{
    RTI_ASSERT(sim.is_active && sim.rule_count < SIM_RULES_MAX);
    sim.rules[sim.rule_count++] = rule;
    each_request(hold_one, &rule);
}

void sim_hold(int opcode, enum sim_stage stage)
{
    add_rule((struct sim_hold_rule){ .opcode = opcode, .stage = stage });
}

void sim_hold_user_data(uint64_t user_data, enum sim_stage stage)
{
    add_rule((struct sim_hold_rule){
        .by_user_data = true, .opcode = SIM_ANY, .user_data = user_data, .stage = stage });
}

void sim_unhold(void)
{
    sim.rule_count = 0;
}

struct release {
    struct sim_hold_rule rule;
    unsigned count_max;
    unsigned count;
    int result;
};

static bool release_one(struct sim_request *request, void *arg)
{
    struct release *release = arg;

    if (release->count == release->count_max) {
        return false;
    }
    if (request->phase != SIM_PHASE_HELD || !rule_fits(&release->rule, request)) {
        return true;
    }
    release->count++;
    sim_trace("ring%u #%" PRIu64 " released", request->ring->number, request->id);
    if (release->result != SIM_NATURAL) {
        force(request, release->result);
    }
    sim_request_resume(request);
    return true;
}

unsigned sim_release(int opcode, unsigned count, int result)
{
    struct release release = { .rule = { .opcode = opcode }, .count_max = count, .result = result };

    each_request(release_one, &release);
    sim_settle();
    return release.count;
}

unsigned sim_release_user_data(uint64_t user_data, int result)
{
    struct release release = { .rule = { .by_user_data = true, .user_data = user_data },
                               .count_max = UINT_MAX,
                               .result = result };

    each_request(release_one, &release);
    sim_settle();
    return release.count;
}

struct held {
    int opcode;
    unsigned count;
};

static bool count_held(struct sim_request *request, void *arg)
{
    struct held *held = arg;

    if (request->phase == SIM_PHASE_HELD &&
        (held->opcode == SIM_ANY || held->opcode == request->sqe.opcode)) {
        held->count++;
    }
    return true;
}

unsigned sim_held(int opcode)
{
    struct held held = { opcode, 0 };

    each_request(count_held, &held);
    return held.count;
}

struct nth_held {
    unsigned left;
    uint64_t user_data;
};

static bool find_held(struct sim_request *request, void *arg)
{
    struct nth_held *nth = arg;

    if (request->phase != SIM_PHASE_HELD || nth->left-- > 0) {
        return true;
    }
    nth->user_data = request->sqe.user_data;
    return false;
}

uint64_t sim_held_user_data(unsigned index)
{
    struct nth_held nth = { index, 0 };

    each_request(find_held, &nth);
    return nth.user_data;
}
