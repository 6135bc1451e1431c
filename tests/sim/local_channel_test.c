/* SPDX-License-Identifier: MIT */
/*
 * Channels of one shard: random programs beside a naive model.
 *
 * Method: one small program per seed. Fibers and futures send and
 * receive, plainly and by select, with and without deadlines; the first task
 * cancels them, wakes them for nothing and closes channels. On one shard
 * nothing runs between a step and what the test notes about it, and the trace
 * hook is told of each deadline that passes; so the model (local_channel_model.h)
 * knows exactly what each call must return, and which item it gets. Memory that
 * was given to a call is spoilt when it returns.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <inttypes.h>

#include "base/compiler.h"
#include "rt/rt.h"
#include "sim/local_channel_model.h"

#define SEEDS          (RTI_ASAN || RTI_TSAN ? 2000U : 10000U)
#define STEPS_MAX      20 /* requests of an actor */
#define ITEM_BYTES_MAX 4096
#define TASKS_MAX      64
#define UNTOUCHED      0x5e
#define SPOILT         0xa1

struct actor {
    struct rt_future future;
    struct rt_task *task;
    struct rt_waker waker; /* task NULL: it has not run yet */
    struct model_request *request;
    rt_time deadline;
    unsigned steps; /* left */
    bool is_future;
    bool under_way; /* a future's request */
    bool cancelled;
    char items[MODEL_LEGS_MAX][ITEM_BYTES_MAX];
};

struct program {
    struct rand_state rand;
    struct model model;
    struct rt_chan *channels[MODEL_CHANNELS_MAX];
    size_t item_bytes[MODEL_CHANNELS_MAX];
    struct actor actors[MODEL_ACTORS_MAX];
    unsigned actor_count;
    struct actor *by_task[TASKS_MAX];
    uint64_t numbers; /* sent, or to be sent */
    bool has_deadlines;
    bool has_cancels;
    bool has_closes;
};

static struct program program;

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

/* Items */

/* Every byte depends on the number. */
static void write_item(char *item, size_t bytes, uint64_t number)
{
    for (size_t i = 0; i < bytes; i += sizeof(number)) {
        const uint64_t word = number + i;

        memcpy(item + i, &word, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
    }
}

static bool is_item(const char *item, size_t bytes, uint64_t number)
{
    static char expected[ITEM_BYTES_MAX];

    write_item(expected, bytes, number);
    return memcmp(item, expected, bytes) == 0;
}

static bool is_untouched(const char *item, size_t bytes)
{
    size_t i = 0;

    while (i < bytes && item[i] == UNTOUCHED) {
        i++;
    }
    return i == bytes;
}

static unsigned channel_index(const struct model_leg *leg)
{
    return (unsigned)(leg->channel - program.model.channels);
}

static struct rt_chan *channel_of(const struct model_leg *leg)
{
    return program.channels[channel_index(leg)];
}

static size_t bytes_of(const struct model_leg *leg)
{
    return program.item_bytes[channel_index(leg)];
}

/* Requests */

static rt_time some_deadline(void)
{
    if (!program.has_deadlines) {
        return RT_NEVER;
    }
    switch (draw(3)) {
    case 0:
        return 0;
    case 1:
        return rt_in(draw(20000));
    default:
        return RT_NEVER;
    }
}

static void draw_request(struct actor *actor, unsigned leg_count)
{
    struct model_request *request = actor->request;

    *request = (struct model_request){ .leg_count = leg_count, .won = -1 };
    for (unsigned i = 0; i < leg_count; i++) {
        struct model_leg *leg = &request->legs[i];

        leg->channel = &program.model.channels[draw(MODEL_CHANNELS_MAX)];
        leg->sends = draw(2) == 0;
        memset(actor->items[i], UNTOUCHED, bytes_of(leg));
        if (leg->sends) {
            leg->number = ++program.numbers;
            write_item(actor->items[i], bytes_of(leg), leg->number);
        }
    }
    actor->deadline = some_deadline();
}

/* What the model says about a request that has one leg, or that cannot be served at once. */
static void begin_in_model(struct actor *actor)
{
    if (actor->cancelled && !model_any_ready(actor->request)) {
        actor->request->result = -ECANCELED;
    } else {
        model_begin(&program.model, actor->request);
    }
}

/* A call has returned: the model says what, and what must be where. */
static void check_returned(struct actor *actor, int result)
{
    const struct model_request *request = actor->request;

    T_CHECK(!request->waits);
    T_CHECK(result == request->result);
    for (unsigned i = 0; i < request->leg_count; i++) {
        const struct model_leg *leg = &request->legs[i];
        const size_t bytes = bytes_of(leg);

        if (leg->sends || (request->won == (int)i && result == 0)) {
            T_CHECK(is_item(actor->items[i], bytes, leg->number));
        } else {
            T_CHECK(is_untouched(actor->items[i], bytes));
        }
        memset(actor->items[i], SPOILT, bytes);
    }
}

static void call_plainly(struct actor *actor)
{
    const struct model_leg *leg = &actor->request->legs[0];

    draw_request(actor, 1);
    begin_in_model(actor);
    if (leg->sends) {
        check_returned(actor, rt_chan_send(channel_of(leg), actor->items[0], actor->deadline));
    } else {
        check_returned(actor, rt_chan_recv(channel_of(leg), actor->items[0], actor->deadline));
    }
}

static void call_select(struct actor *actor)
{
    struct model_request *request = actor->request;
    const unsigned count = 1 + draw(MODEL_LEGS_MAX);
    struct rt_case cases[MODEL_LEGS_MAX];
    bool any_ready;
    int r;

    draw_request(actor, count);
    for (unsigned i = 0; i < count; i++) {
        struct rt_chan *channel = channel_of(&request->legs[i]);

        cases[i] = request->legs[i].sends ? rt_case_chan_send(channel, actor->items[i])
                                          : rt_case_chan_recv(channel, actor->items[i]);
    }
    any_ready = model_any_ready(request);
    if (!any_ready) {
        begin_in_model(actor);
    }
    r = rt_select(cases, count, actor->deadline);
    T_CHECK(r < (int)count);
    if (any_ready && r >= 0) { /* it has not suspended, so nobody came between */
        T_CHECK(model_is_ready(&request->legs[r]));
        model_begin_leg(&program.model, request, r);
    }
    T_CHECK(r < 0 ? request->won < 0 : r == request->won);
    check_returned(actor, r < 0 ? r : cases[r].result);
}

/* Actors */

static int act(void *arg)
{
    struct actor *actor = arg;

    actor->waker = rt_waker_self();
    for (; actor->steps > 0; actor->steps--) {
        if (draw(3) == 0) {
            call_select(actor);
        } else {
            call_plainly(actor);
        }
        if (draw(3) == 0) {
            rt_yield();
        } else if (draw(6) == 0) {
            (void)rt_sleep_until(rt_in(draw(10000)));
        }
    }
    return 0;
}

static struct actor *actor_of(struct rt_future *future)
{
    return RTI_CONTAINER_OF(future, struct actor, future);
}

static int poll_request(struct actor *actor)
{
    const struct model_leg *leg = &actor->request->legs[0];
    struct rt_chan *channel = channel_of(leg);

    return leg->sends
               ? rt_poll_chan_send(&actor->future, channel, actor->items[0], actor->deadline)
               : rt_poll_chan_recv(&actor->future, channel, actor->items[0], actor->deadline);
}

static int poll_actor(struct rt_future *future)
{
    struct actor *actor = actor_of(future);

    actor->waker = rt_waker_self();
    while (actor->steps > 0) {
        int r;

        if (!actor->under_way) {
            draw_request(actor, 1);
            begin_in_model(actor);
            actor->under_way = true;
        }
        r = poll_request(actor);
        if (r == RT_PENDING) {
            T_CHECK(actor->request->waits);
            return r;
        }
        actor->under_way = false;
        check_returned(actor, r);
        actor->steps--;
    }
    return 0;
}

/* What was handed over before is not lost. */
static void drop_actor(struct rt_future *future)
{
    struct actor *actor = actor_of(future);

    if (actor->under_way) {
        model_abort(actor->request, -ECANCELED);
        check_returned(actor, poll_request(actor));
    }
}

/* The first task, which troubles the others */

static void spawn_actors(void)
{
    for (unsigned i = 0; i < program.actor_count; i++) {
        struct actor *actor = &program.actors[i];
        uint32_t id;

        actor->request = &program.model.requests[i];
        actor->steps = 1 + draw(STEPS_MAX);
        actor->is_future = draw(3) == 0;
        if (actor->is_future) {
            actor->future = (struct rt_future)RT_FUTURE_INIT(poll_actor, drop_actor);
            T_CHECK(rt_spawn_future(&actor->task, &actor->future) == 0);
        } else {
            T_CHECK(rt_spawn(&actor->task, act, actor) == 0);
        }
        id = rt_task_id(actor->task);
        T_CHECK(id < TASKS_MAX);
        program.by_task[id] = actor;
    }
}

static void on_trace(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_TIMEOUT && program.by_task[event->task] != NULL) {
        model_abort(program.by_task[event->task]->request, -ETIME);
    }
}

static void cancel(struct actor *actor)
{
    rt_cancel(actor->task);
    actor->cancelled = true;
    if (!actor->is_future) { /* it ends at once; a future when it runs next, and says so */
        model_abort(actor->request, -ECANCELED);
    }
}

static void close_channel(unsigned index)
{
    rt_chan_close(program.channels[index]);
    model_close(&program.model, &program.model.channels[index]);
}

static void trouble(void)
{
    struct actor *actor = &program.actors[draw(program.actor_count)];

    switch (draw(8)) {
    case 0:
        if (program.has_cancels && draw(3) == 0) {
            cancel(actor);
        }
        break;
    case 1:
        if (actor->waker.task != NULL) {
            rt_wake(actor->waker);
        }
        break;
    case 2:
        if (program.has_closes && draw(8) == 0) {
            close_channel(draw(MODEL_CHANNELS_MAX));
        }
        break;
    case 3:
    case 4:
        T_CHECK(rt_sleep_until(rt_in(draw(10000))) == 0);
        break;
    default:
        rt_yield();
        break;
    }
}

static void check_lengths(void)
{
    for (unsigned i = 0; i < MODEL_CHANNELS_MAX; i++) {
        T_CHECK(rt_chan_length(program.channels[i]) == program.model.channels[i].count);
    }
}

/* What nobody has received is still there, in order. */
static void drain(unsigned index)
{
    const struct model_channel *channel = &program.model.channels[index];
    static char item[ITEM_BYTES_MAX];

    for (unsigned i = 0; i < channel->count; i++) {
        T_CHECK(rt_chan_recv(program.channels[index], item, 0) == 0);
        T_CHECK(is_item(item, program.item_bytes[index], channel->numbers[i]));
    }
    T_CHECK(rt_chan_recv(program.channels[index], item, 0) == -EPIPE);
    rt_chan_destroy(program.channels[index]);
}

static int first_task(void *arg)
{
    static const size_t capacities[] = { 1, 1, 2, 3, 5, MODEL_CAPACITY_MAX };
    static const size_t sizes[] = { 1, 8, 8, 24, ITEM_BYTES_MAX };
    const unsigned troubles = draw(100);

    (void)arg;
    for (unsigned i = 0; i < MODEL_CHANNELS_MAX; i++) {
        const size_t capacity = capacities[draw(sizeof(capacities) / sizeof(capacities[0]))];

        program.item_bytes[i] = sizes[draw(sizeof(sizes) / sizeof(sizes[0]))];
        program.model.channels[i].capacity = (unsigned)capacity;
        T_CHECK(rt_chan_create(&program.channels[i], program.item_bytes[i], capacity) == 0);
    }
    spawn_actors();
    for (unsigned i = 0; i < troubles; i++) {
        trouble();
        check_lengths();
    }
    for (unsigned i = 0; i < MODEL_CHANNELS_MAX; i++) {
        close_channel(i);
    }
    for (unsigned i = 0; i < program.actor_count; i++) {
        T_CHECK(rt_join(program.actors[i].task, NULL, RT_NEVER) == 0);
    }
    for (unsigned i = 0; i < MODEL_CHANNELS_MAX; i++) {
        drain(i);
    }
    return 0;
}

static bool run_seed(uint64_t seed)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.actor_count = 2 + draw(MODEL_ACTORS_MAX - 1);
    program.has_deadlines = draw(2) == 0;
    program.has_cancels = draw(2) == 0;
    program.has_closes = draw(2) == 0;
    config.tasks_max = TASKS_MAX;
    config.trace = on_trace;
    sim_begin(&(struct sim_config){ .seed = seed, .step_max = draw(2) == 0 ? 2000 : 0 });
    T_CHECK(rt_run(&config, first_task, NULL) == 0);
    T_CHECK(sim_end(NULL) == 0);
    return t_failures() == 0;
}

static void random_programs_do_what_the_model_does(void **state)
{
    uint64_t transfers = 0;
    uint64_t parked = 0;
    unsigned failures = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        transfers += program.model.transfers;
        parked += program.model.parked;
    }
    assert_int_equal(failures, 0);
    assert_true(transfers > 0 && parked > 0);
    print_message("%" PRIu64 " items received, %" PRIu64 " requests waited\n", transfers, parked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_do_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
