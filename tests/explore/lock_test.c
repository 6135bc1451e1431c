/* SPDX-License-Identifier: MIT */
/*
 * Mutex, semaphore and rwlock, in every order, beside one model.
 *
 * The three are one thing: so many units, which are given out in the order of
 * asking, and handed over in the step in which they become free. A mutex is one
 * unit; a writer takes all units of an rwlock, a reader takes one. The model keeps
 * who waits and who was granted. It is told each call, cancel and deadline, and
 * after each step all waits must stand as it says: so nobody barges in, nobody
 * waits for what is free, a grant is never lost, and who was granted before the
 * cancel came gets what was granted.
 */
#include "support/harness.h"

#include <errno.h>
#include <string.h>

#include "explore/world.h"

#define CLIENTS_MAX 4

enum standing { OUTSIDE, WAITING, GRANTED, ABORTED, HOLDING };

struct client {
    const char *name;
    unsigned units;
    rt_time patience; /* until its deadline; 0: none. Differs from those of the others */
    bool comes_late;  /* it asks when the explorer lets it; else at once, in the order of clients */
    bool stays;       /* it holds until the explorer lets it go on */
    bool closes;      /* instead of all that */

    bool asks; /* it is in the call that takes */
    enum standing standing;
    unsigned turn; /* when it began to wait, beside the others */
    int expected;  /* of the call */
    rt_time deadline;
    struct rt_task *task; /* NULL when it has ended */
};

struct object {
    void (*init)(void);
    int (*take)(const struct client *client);
    void (*give)(const struct client *client);
    void (*close)(void); /* NULL: it cannot be closed */
};

static const struct object *object;
static unsigned capacity; /* units in all */
static struct client clients[CLIENTS_MAX];
static unsigned client_count;
static unsigned turns;
static bool is_closed;

enum { TAKEN_AT_ONCE, TAKEN_AFTER_WAIT, CANCELLED, TIMED_OUT, CLOSED };

/* ---- the model ---- */

static bool fits(const struct client *client)
{
    unsigned taken = client->units;

    for (unsigned i = 0; i < client_count; i++) {
        if (clients[i].standing == GRANTED || clients[i].standing == HOLDING) {
            taken += clients[i].units;
        }
    }
    return taken <= capacity;
}

static struct client *first_waiting(void)
{
    struct client *first = NULL;

    for (unsigned i = 0; i < client_count; i++) {
        if (clients[i].standing == WAITING && (first == NULL || clients[i].turn < first->turn)) {
            first = &clients[i];
        }
    }
    return first;
}

static void serve(void)
{
    struct client *first;

    while ((first = first_waiting()) != NULL && fits(first)) {
        first->standing = GRANTED;
        first->expected = 0;
    }
}

/* Cancel, or the deadline. */
static void end_wait(struct client *client, int reason)
{
    if (client->standing == WAITING) {
        client->standing = ABORTED;
        client->expected = reason;
        serve();
    }
}

static void close_model(void)
{
    is_closed = true;
    for (unsigned i = 0; i < client_count; i++) {
        if (clients[i].standing == WAITING) {
            clients[i].standing = ABORTED;
            clients[i].expected = -EPIPE;
        }
    }
}

/* What a call must do that begins now. */
static void ask(struct client *client)
{
    client->asks = true;
    client->expected = 0;
    if (is_closed) {
        client->standing = ABORTED;
        client->expected = -EPIPE;
    } else if (first_waiting() == NULL && fits(client)) {
        client->standing = GRANTED;
    } else if (rt_cancelled()) {
        client->standing = ABORTED;
        client->expected = -ECANCELED;
    } else if (client->deadline <= rt_turn_time()) {
        client->standing = ABORTED;
        client->expected = -ETIME;
    } else {
        client->standing = WAITING;
        client->turn = ++turns;
    }
}

/* Real waits are what the model says. After each step. */
static void check_standings(void)
{
    for (unsigned i = 0; i < client_count; i++) {
        if (rt_now() >= clients[i].deadline) {
            end_wait(&clients[i], -ETIME);
        }
    }
    for (unsigned i = 0; i < client_count; i++) {
        const struct client *client = &clients[i];
        const struct rti_waiter *waiter = client->task != NULL ? client->task->waiter : NULL;

        if (client->asks && waiter != NULL) {
            EXPLORE_CHECK(waiter->done == (client->standing != WAITING));
            EXPLORE_CHECK(!waiter->done || waiter->result == client->expected);
        }
    }
}

/* ---- the tasks ---- */

static void note(const struct client *client, bool had_to_wait)
{
    switch (client->expected) {
    case 0:
        explore_met(had_to_wait ? TAKEN_AFTER_WAIT : TAKEN_AT_ONCE);
        break;
    case -EPIPE:
        explore_met(CLOSED);
        break;
    default:
        explore_met(client->expected == -ETIME ? TIMED_OUT : CANCELLED);
        break;
    }
}

static void use(struct client *client)
{
    bool had_to_wait;
    int r;

    ask(client);
    had_to_wait = client->standing == WAITING;
    r = object->take(client);
    client->asks = false;
    EXPLORE_CHECK(client->standing != WAITING && r == client->expected);
    note(client, had_to_wait);
    if (r == 0) {
        client->standing = HOLDING;
        if (client->stays) {
            world_gate();
        }
        object->give(client);
        client->standing = OUTSIDE;
        serve();
    }
    client->standing = OUTSIDE;
}

static int run_client(void *arg)
{
    struct client *client = arg;

    if (client->comes_late) {
        world_gate();
    }
    if (client->closes) {
        object->close();
        close_model();
    } else {
        use(client);
    }
    client->task = NULL;
    return 0;
}

static void spawn_clients(void)
{
    turns = 0;
    is_closed = false;
    object->init();
    for (unsigned i = 0; i < client_count; i++) {
        struct client *client = &clients[i];

        client->deadline = client->patience > 0 ? rt_now() + client->patience : RT_NEVER;
        client->standing = OUTSIDE;
        client->asks = false;
        world_spawn(&client->task, client->name, run_client, client);
        rt_detach(client->task);
    }
}

static void cancel(struct client *client)
{
    rti_task_cancel(client->task);
    end_wait(client, -ECANCELED);
}

static void cancel_second(void)
{
    cancel(&clients[1]);
}

static bool second_is_there(void)
{
    return clients[1].task != NULL;
}

static void cancel_third(void)
{
    cancel(&clients[2]);
}

static bool third_is_there(void)
{
    return clients[2].task != NULL;
}

struct plan {
    const char *name;
    const struct object *object;
    unsigned units; /* in all */
    const struct client *list;
    unsigned count;
    unsigned timeouts;
    unsigned spurious;
    const char *last_outcome;
};

static bool explore_clients(const struct plan *plan)
{
    object = plan->object;
    capacity = plan->units;
    client_count = plan->count;
    memcpy(clients, plan->list, plan->count * sizeof(*plan->list));
    return world_explore(&(struct world_program){
        .name = plan->name,
        .setup = spawn_clients,
        .check = check_standings,
        .events = { { "cancel of the second", cancel_second, second_is_there, 1 },
                    { "cancel of the third", cancel_third, third_is_there, 1 } },
        .settled = true,
        .timeouts = plan->timeouts,
        .spurious = plan->spurious,
        .runs_max = 100000,
        .outcomes = { "taken at once", "taken after a wait", "cancelled", "timed out",
                      plan->last_outcome } });
}

/* ---- the objects ---- */

static struct rt_mutex mutex;
static struct rt_semaphore semaphore;
static struct rt_rwlock rwlock;

static void mutex_init(void)
{
    const struct rt_mutex init = RT_MUTEX_INIT;

    mutex = init;
}

static int mutex_take(const struct client *client)
{
    return rt_mutex_lock(&mutex, client->deadline);
}

static void mutex_give(const struct client *client)
{
    (void)client;
    rt_mutex_unlock(&mutex);
}

static const struct object a_mutex = { mutex_init, mutex_take, mutex_give, NULL };

static void semaphore_init(void)
{
    const struct rt_semaphore init = RT_SEMAPHORE_INIT(2);

    semaphore = init;
}

static int semaphore_take(const struct client *client)
{
    return rt_semaphore_take(&semaphore, client->units, client->deadline);
}

static void semaphore_give(const struct client *client)
{
    rt_semaphore_put(&semaphore, client->units);
}

static void semaphore_close(void)
{
    rt_semaphore_close(&semaphore);
}

static const struct object a_semaphore = { semaphore_init, semaphore_take, semaphore_give,
                                           semaphore_close };

static void rwlock_init(void)
{
    const struct rt_rwlock init = RT_RWLOCK_INIT;

    rwlock = init;
}

static int rwlock_take(const struct client *client)
{
    return client->units == capacity ? rt_rwlock_write_lock(&rwlock, client->deadline)
                                     : rt_rwlock_read_lock(&rwlock, client->deadline);
}

static void rwlock_give(const struct client *client)
{
    if (client->units == capacity) {
        rt_rwlock_write_unlock(&rwlock);
    } else {
        rt_rwlock_read_unlock(&rwlock);
    }
}

static const struct object an_rwlock = { rwlock_init, rwlock_take, rwlock_give, NULL };

static void a_mutex_is_handed_over_in_the_order_of_asking(void **state)
{
    static const struct client list[] = {
        { .name = "first", .units = 1, .stays = true },
        { .name = "second", .units = 1, .patience = 2000, .comes_late = true },
        { .name = "third", .units = 1, .patience = 1000, .comes_late = true },
    };

    (void)state;
    assert_true(explore_clients(&(struct plan){ "mutex", &a_mutex, 1, list, 3, 2, 0, NULL }));
}

/* The second wants all there is, and the third, who comes later, would fit. */
static void a_large_request_is_not_starved_by_small_ones(void **state)
{
    static const struct client list[] = {
        { .name = "first", .units = 1, .stays = true },
        { .name = "second", .units = 2, .patience = 2000, .comes_late = true },
        { .name = "third", .units = 1, .patience = 1000, .comes_late = true },
    };

    (void)state;
    assert_true(
        explore_clients(&(struct plan){ "semaphore", &a_semaphore, 2, list, 3, 1, 0, NULL }));
}

static void a_closed_semaphore_turns_all_away(void **state)
{
    static const struct client list[] = {
        { .name = "first", .units = 2, .stays = true },
        { .name = "second", .units = 1, .patience = 1000 },
        { .name = "third", .units = 2, .comes_late = true },
        { .name = "closer", .closes = true, .comes_late = true },
    };

    (void)state;
    assert_true(explore_clients(
        &(struct plan){ "semaphore that is closed", &a_semaphore, 2, list, 4, 1, 0, "closed" }));
}

/* The second writes; the third reads. */
static void readers_share_and_do_not_pass_a_writer(void **state)
{
    static const struct client list[] = {
        { .name = "first", .units = 1, .stays = true },
        { .name = "second", .units = 3, .patience = 2000, .comes_late = true },
        { .name = "third", .units = 1, .patience = 1000, .comes_late = true },
    };

    (void)state;
    assert_true(explore_clients(&(struct plan){ "rwlock", &an_rwlock, 3, list, 3, 2, 0, NULL }));
}

/* A writer holds, and readers and a writer wait: those in front of the writer get in together. */
static void a_writer_is_followed_by_the_readers_before_the_next_writer(void **state)
{
    static const struct client list[] = {
        { .name = "writer", .units = 3, .stays = true },
        { .name = "reader", .units = 1 },
        { .name = "next writer", .units = 3, .patience = 1000, .stays = true },
        { .name = "last reader", .units = 1, .comes_late = true },
    };

    (void)state;
    assert_true(
        explore_clients(&(struct plan){ "rwlock of writers", &an_rwlock, 3, list, 4, 1, 0, NULL }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_is_handed_over_in_the_order_of_asking),
        cmocka_unit_test(a_large_request_is_not_starved_by_small_ones),
        cmocka_unit_test(a_closed_semaphore_turns_all_away),
        cmocka_unit_test(readers_share_and_do_not_pass_a_writer),
        cmocka_unit_test(a_writer_is_followed_by_the_readers_before_the_next_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
