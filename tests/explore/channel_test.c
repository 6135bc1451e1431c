/* SPDX-License-Identifier: MIT */
/*
 * Local channels and oneshots, in every order, beside a model.
 *
 * Parties send and receive, and one closes. The model keeps what lies in the
 * channel and who waits at which end. It is told each call, cancel, deadline and
 * close; after each step all waits must stand as it says, and each item that is
 * received must be the one that it names. So no item is lost or comes twice, their
 * order is kept, and both ends are served in the order of asking.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "explore/world.h"

#define PARTIES_MAX 4
#define ITEMS_MAX   8

enum role { SENDS, RECEIVES, CLOSES };
enum standing { OUTSIDE, WAITING, DONE };

struct party {
    const char *name;
    enum role role;
    unsigned items;   /* sent or received one after the other */
    rt_time patience; /* until its deadline; 0: none. Differs from those of the others */
    bool comes_late;  /* it begins when the explorer lets it */

    bool calls; /* it is in a call */
    enum standing standing;
    unsigned turn; /* when it began to wait, beside the others */
    int expected;  /* of the call */
    uint64_t item; /* that it sends, or must get */
    rt_time deadline;
    struct rt_task *task; /* NULL when it has ended */
};

static struct rt_chan *chan;
static unsigned capacity;
static struct party parties[PARTIES_MAX];
static unsigned party_count;
static unsigned turns;

/* the model's channel */
static uint64_t content[ITEMS_MAX];
static unsigned content_count;
static bool is_closed;

enum { DONE_AT_ONCE, DONE_AFTER_WAIT, CANCELLED, TIMED_OUT, CLOSED, LEFT_IN_CHANNEL };

/* ---- the model ---- */

static void settle(struct party *party, int result)
{
    party->standing = DONE;
    party->expected = result;
}

static struct party *first_waiting(enum role role)
{
    struct party *first = NULL;

    for (unsigned i = 0; i < party_count; i++) {
        if (parties[i].role == role && parties[i].standing == WAITING &&
            (first == NULL || parties[i].turn < first->turn)) {
            first = &parties[i];
        }
    }
    return first;
}

static void put(uint64_t item)
{
    EXPLORE_CHECK(content_count < capacity);
    content[content_count++] = item;
}

static uint64_t take(void)
{
    const uint64_t item = content[0];

    memmove(&content[0], &content[1], --content_count * sizeof(content[0]));
    return item;
}

/* Nothing to be had at once. */
static void begin_wait(struct party *party)
{
    if (is_closed) {
        settle(party, -EPIPE);
    } else if (rt_cancelled()) {
        settle(party, -ECANCELED);
    } else if (party->deadline <= rt_turn_time()) {
        settle(party, -ETIME);
    } else {
        party->standing = WAITING;
        party->turn = ++turns;
    }
}

static void begin_send(struct party *party)
{
    struct party *receiver = first_waiting(RECEIVES);

    if (receiver != NULL) {
        receiver->item = party->item;
        settle(receiver, 0);
        settle(party, 0);
    } else if (!is_closed && content_count < capacity) {
        put(party->item);
        settle(party, 0);
    } else {
        begin_wait(party);
    }
}

static void begin_receive(struct party *party)
{
    struct party *sender = first_waiting(SENDS);

    if (content_count == 0) {
        begin_wait(party);
        return;
    }
    party->item = take();
    settle(party, 0);
    if (sender != NULL) {
        put(sender->item);
        settle(sender, 0);
    }
}

static void end_wait(struct party *party, int reason)
{
    if (party->standing == WAITING) {
        settle(party, reason);
    }
}

static void model_close(void)
{
    is_closed = true;
    for (unsigned i = 0; i < party_count; i++) {
        end_wait(&parties[i], -EPIPE);
    }
}

/* Real waits are what the model says. After each step. */
static void check_standings(void)
{
    for (unsigned i = 0; i < party_count; i++) {
        if (rt_now() >= parties[i].deadline) {
            end_wait(&parties[i], -ETIME);
        }
    }
    for (unsigned i = 0; i < party_count; i++) {
        const struct party *party = &parties[i];
        const struct rti_waiter *waiter = party->task != NULL ? party->task->waiter : NULL;

        if (party->calls && waiter != NULL) {
            EXPLORE_CHECK(waiter->done == (party->standing != WAITING));
            EXPLORE_CHECK(!waiter->done || waiter->result == party->expected);
        }
    }
}

/* ---- the tasks ---- */

static void note(const struct party *party, bool had_to_wait)
{
    switch (party->expected) {
    case 0:
        explore_met(had_to_wait ? DONE_AFTER_WAIT : DONE_AT_ONCE);
        break;
    case -EPIPE:
        explore_met(CLOSED);
        break;
    default:
        explore_met(party->expected == -ETIME ? TIMED_OUT : CANCELLED);
        break;
    }
}

/* One call; false when it has failed. */
static bool call(struct party *party)
{
    uint64_t item = party->item;
    bool had_to_wait;
    int r;

    party->calls = true;
    if (party->role == SENDS) {
        begin_send(party);
    } else {
        begin_receive(party);
    }
    had_to_wait = party->standing == WAITING;
    r = party->role == SENDS ? rt_chan_send(chan, &item, party->deadline)
                             : rt_chan_recv(chan, &item, party->deadline);
    party->calls = false;
    EXPLORE_CHECK(party->standing == DONE && r == party->expected);
    EXPLORE_CHECK(r < 0 || item == party->item);
    note(party, had_to_wait);
    party->standing = OUTSIDE;
    return r == 0;
}

static int run_party(void *arg)
{
    struct party *party = arg;
    const uint64_t number = (uint64_t)(party - parties) * 100;

    if (party->comes_late) {
        world_gate();
    }
    if (party->role == CLOSES) {
        rt_chan_close(chan);
        model_close();
    }
    for (unsigned i = 0; i < party->items; i++) {
        party->item = number + i;
        if (!call(party)) {
            break;
        }
    }
    party->task = NULL;
    return 0;
}

/* The first task makes the channel, the last one looks at what is left in it. */
static int make_channel(void *arg)
{
    (void)arg;
    EXPLORE_CHECK(rt_chan_create(&chan, sizeof(uint64_t), capacity) == 0);
    return 0;
}

static bool all_have_ended(void)
{
    return chan != NULL && world_executor.tasks.used == 0;
}

static int empty_channel(void *arg)
{
    uint64_t item;

    (void)arg;
    if (content_count > 0) {
        explore_met(LEFT_IN_CHANNEL);
    }
    while (content_count > 0) {
        EXPLORE_CHECK(rt_chan_recv(chan, &item, 0) == 0 && item == take());
    }
    EXPLORE_CHECK(rt_chan_recv(chan, &item, 0) == (is_closed ? -EPIPE : -ETIME));
    rt_chan_destroy(chan);
    chan = NULL;
    return 0;
}

static void spawn_last(void)
{
    world_spawn(NULL, "last", empty_channel, NULL);
}

static void spawn_parties(void)
{
    turns = 0;
    content_count = 0;
    is_closed = false;
    chan = NULL;
    world_spawn(NULL, "maker", make_channel, NULL);
    for (unsigned i = 0; i < party_count; i++) {
        struct party *party = &parties[i];

        party->deadline = party->patience > 0 ? rt_now() + party->patience : RT_NEVER;
        party->standing = OUTSIDE;
        party->calls = false;
        world_spawn(&party->task, party->name, run_party, party);
        rt_detach(party->task);
    }
}

static void cancel(struct party *party)
{
    rti_task_cancel(party->task);
    end_wait(party, -ECANCELED);
}

/* Who waits as the model does has nobody to wait for. */
static bool release_waiting(void)
{
    bool any = false;

    for (unsigned i = 0; i < party_count; i++) {
        if (parties[i].standing == WAITING) {
            cancel(&parties[i]);
            any = true;
        }
    }
    return any;
}

static void cancel_first(void)
{
    cancel(&parties[0]);
}

static bool first_is_there(void)
{
    return parties[0].task != NULL;
}

static void cancel_second(void)
{
    cancel(&parties[1]);
}

static bool second_is_there(void)
{
    return parties[1].task != NULL;
}

struct plan {
    const char *name;
    const struct party *list;
    unsigned count;
    unsigned timeouts;
    unsigned spurious;
    const char *outcomes[EXPLORE_OUTCOMES_MAX];
};

static bool explore_parties(const struct plan *plan)
{
    struct world_program program = {
        .name = plan->name,
        .setup = spawn_parties,
        .check = check_standings,
        .release = release_waiting,
        .events = { { "cancel of the first", cancel_first, first_is_there, 1 },
                    { "cancel of the second", cancel_second, second_is_there, 1 },
                    { "the last look", spawn_last, all_have_ended, 1 } },
        .settled = true,
        .timeouts = plan->timeouts,
        .spurious = plan->spurious,
        .runs_max = 200000,
    };

    capacity = 1;
    party_count = plan->count;
    memcpy(parties, plan->list, plan->count * sizeof(*plan->list));
    memcpy(program.outcomes, plan->outcomes, sizeof(program.outcomes));
    return world_explore(&program);
}

/* A full channel: the sender waits, and those who receive come late. */
static void what_waits_to_be_sent_is_sent_in_its_order(void **state)
{
    static const struct party list[] = {
        { .name = "sender", .role = SENDS, .items = 3, .patience = 1000 },
        { .name = "receiver", .role = RECEIVES, .items = 1, .comes_late = true },
        { .name = "other receiver", .role = RECEIVES, .items = 1, .comes_late = true },
    };

    (void)state;
    assert_true(explore_parties(&(struct plan){
        "full channel", list, 3, 1, 1, { "at once", "after a wait", "cancelled", "timed out" } }));
}

/* An empty one: two wait to receive, one of them in vain. */
static void an_item_never_goes_to_a_receiver_that_has_given_up(void **state)
{
    static const struct party list[] = {
        { .name = "receiver", .role = RECEIVES, .items = 1, .patience = 1000 },
        { .name = "other receiver", .role = RECEIVES, .items = 1, .patience = 2000 },
        { .name = "sender", .role = SENDS, .items = 2, .comes_late = true },
    };

    (void)state;
    assert_true(explore_parties(&(struct plan){
        "empty channel", list, 3, 2, 1, { "at once", "after a wait", "cancelled", "timed out" } }));
}

static void a_close_ends_all_waits_and_loses_nothing(void **state)
{
    static const struct party list[] = {
        { .name = "sender", .role = SENDS, .items = 2 },
        { .name = "other sender", .role = SENDS, .items = 1, .patience = 1000 },
        { .name = "receiver", .role = RECEIVES, .items = 2, .comes_late = true },
        { .name = "closer", .role = CLOSES, .comes_late = true },
    };

    (void)state;
    assert_true(
        explore_parties(&(struct plan){ "close",
                                        list,
                                        4,
                                        1,
                                        0,
                                        { "at once", "after a wait", "cancelled", "timed out",
                                          "closed", "left in the channel" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_to_be_sent_is_sent_in_its_order),
        cmocka_unit_test(an_item_never_goes_to_a_receiver_that_has_given_up),
        cmocka_unit_test(a_close_ends_all_waits_and_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
