/* SPDX-License-Identifier: MIT */
/*
 * Select in every order: exactly one case wins, and nothing is lost of the others.
 *
 * What could happen at once when the select is called may win, by chance, which
 * is a choice here; else what comes first does. Of the others the handles are
 * still there, and nobody waits for them.
 */
#include "support/harness.h"

#include <errno.h>
#include <poll.h>

#include "explore/causes.h"
#include "explore/world.h"
#include "os/sys.h"

enum { FIRST, SECOND, TIME, CASES }; /* indices */

#define RESULT_FIRST  41
#define RESULT_SECOND 42

static struct rt_task *selector;
static struct rt_task *children[2];
static int results[2];
static struct rt_case cases[CASES];

enum { BY_CHANCE = CAUSES }; /* among the outcomes */

/* Let chance begin at a case of our choice: the generator's step, backwards. */
static void choose_chance(uint64_t count)
{
    const uint64_t multiplier = 6364136223846793005u;
    const uint64_t index = explore_choose((unsigned)count, "where chance lets the select begin");
    const uint64_t next = ((index << 32) / count + 1) << 32;
    uint64_t inverse = multiplier; /* of an odd number, to 3 bits; each step doubles them */

    for (int i = 0; i < 5; i++) {
        inverse *= 2 - multiplier * inverse;
    }
    world_executor.select_random = (next - 1442695040888963407u) * inverse;
}

static int end_first(void *arg)
{
    (void)arg;
    world_gate();
    came(HAPPENED);
    return RESULT_FIRST;
}

static int end_second(void *arg)
{
    (void)arg;
    world_gate();
    came(OTHER_HAPPENED);
    return RESULT_SECOND;
}

static int winner_of(enum cause cause)
{
    static const int winners[CAUSES] = {
        [HAPPENED] = FIRST, [OTHER_HAPPENED] = SECOND, [TIMED_OUT] = TIME, [CANCELLED] = -ECANCELED
    };

    return winners[cause];
}

static void begin(void)
{
    causes_begin();
    results[0] = 0;
    results[1] = 0;
    world_spawn(&children[0], "first", end_first, NULL);
    world_spawn(&children[1], "second", end_second, NULL);
    choose_chance(CASES);
}

static void make_cases(void)
{
    cases[FIRST] = rt_case_join(children[0], &results[0]);
    cases[SECOND] = rt_case_join(children[1], &results[1]);
    cases[TIME] = rt_case_at(deadline);
}

/* The winner's handle has ended, with its result; those of the others have not. */
static void check_children(int winner)
{
    static const int expected[2] = { RESULT_FIRST, RESULT_SECOND };

    for (int i = 0; i < 2; i++) {
        if (i == winner) {
            EXPLORE_CHECK(cases[i].result == 0 && results[i] == expected[i]);
        } else {
            EXPLORE_CHECK(results[i] == 0 && children[i]->awaiter == NULL);
            rt_detach(children[i]);
        }
        children[i] = NULL;
    }
    EXPLORE_CHECK(world_executor.wheel.armed == 0);
}

static void cancel(void)
{
    came(CANCELLED);
    rti_task_cancel(selector);
}

static bool is_there(void)
{
    return selector != NULL;
}

/* ---- by a fiber ---- */

static bool is_selecting;

/* It does not wait for more than one. After each step. */
static void check_selector(void)
{
    bool any = false;

    look_at_the_clock();
    for (int i = 0; i < CAUSES; i++) {
        any = any || has_come((enum cause)i);
    }
    if (is_selecting && any && selector->waiter != NULL) {
        EXPLORE_CHECK(selector->waiter->done);
    }
}

static int select_one(void *arg)
{
    bool ready[CASES] = { false };
    int r;

    (void)arg;
    world_gate(); /* both children and a cancel may come before */
    ready[FIRST] = has_come(HAPPENED);
    ready[SECOND] = has_come(OTHER_HAPPENED);
    make_cases();
    is_selecting = true;
    r = rt_select(cases, CASES, RT_NEVER);
    is_selecting = false;
    if (ready[FIRST] || ready[SECOND]) {
        EXPLORE_CHECK(r >= 0 && r < CASES && ready[r]);
        explore_met(BY_CHANCE + (unsigned)r);
    } else {
        EXPLORE_CHECK(r == winner_of(first_cause()));
    }
    check_children(r);
    selector = NULL;
    return 0;
}

static void setup_fiber(void)
{
    begin();
    world_spawn(&selector, "selector", select_one, NULL);
    rt_detach(selector);
}

static void exactly_one_case_wins(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "select",
                                 .setup = setup_fiber,
                                 .check = check_selector,
                                 .events = { { "cancel", cancel, is_there, 1 } },
                                 .settled = true,
                                 .timeouts = 1,
                                 .spurious = 1,
                                 .runs_max = 200000,
                                 .outcomes = { "first", "cancelled", "time", "second",
                                               "first by chance", "second by chance" } }));
}

/* ---- by a future ---- */

static struct rt_future future;
static int decided; /* what the select returned, to poll or to drop */

static int poll_select(struct rt_future *self)
{
    EXPLORE_CHECK(decided == RT_PENDING);
    decided = rt_poll_select(self, cases, CASES - 1, deadline);
    return decided;
}

static void drop_select(struct rt_future *self)
{
    const bool is_left = decided == RT_PENDING;

    if (is_left) {
        decided = rt_poll_select(self, cases, CASES - 1, deadline);
        EXPLORE_CHECK(decided != RT_PENDING);
    }
    if (decided < 0) {
        explore_met(decided == -ETIME ? TIMED_OUT : CANCELLED);
        EXPLORE_CHECK(has_come(decided == -ETIME ? TIMED_OUT : CANCELLED));
    } else {
        explore_met(decided == FIRST ? HAPPENED : OTHER_HAPPENED);
        if (is_left) {
            explore_met(BY_CHANCE);
        }
        if (!has_come(CANCELLED)) {
            EXPLORE_CHECK(decided == winner_of(first_cause()));
        }
    }
    check_children(decided);
    selector = NULL;
}

static void setup_future(void)
{
    begin();
    make_cases();
    decided = RT_PENDING;
    future = (struct rt_future)RT_FUTURE_INIT(poll_select, drop_select);
    world_spawn_future(&selector, "selector", &future);
    rt_detach(selector);
}

static void a_future_that_is_dropped_loses_nothing_that_its_select_has_won(void **state)
{
    (void)state;
    assert_true(world_explore(&(struct world_program){
        .name = "select of a future",
        .setup = setup_future,
        .check = look_at_the_clock,
        .events = { { "cancel", cancel, is_there, 1 } },
        .settled = true,
        .timeouts = 1,
        .spurious = 1,
        .runs_max = 200000,
        .outcomes = { "first", "cancelled", "timed out", "second", "found in the drop" } }));
}

/* ---- readiness: a leg that is an operation ---- */

static int counter; /* a descriptor */

/* After each step. */
static void check_kernel(void)
{
    look_at_the_clock();
    if (world_completion() == POLLIN) {
        came(OTHER_HAPPENED);
    }
}

/* What the kernel has found counts, though it was asked to end before (Q3). */
static int expected_of_ready(void)
{
    switch (first_cause()) {
    case HAPPENED:
        return FIRST;
    case OTHER_HAPPENED:
        return SECOND;
    case CANCELLED:
    case TIMED_OUT:
    case CAUSES:
    default:
        return has_come(OTHER_HAPPENED) ? SECOND : result_of(first_cause());
    }
}

static int select_ready(void *arg)
{
    struct rt_case two[2];
    int r;

    (void)arg;
    two[FIRST] = rt_case_join(children[FIRST], &results[FIRST]);
    two[SECOND] = rt_case_fd(counter, POLLIN);
    r = rt_select(two, 2, deadline);
    EXPLORE_CHECK(world_executor.reactor.in_flight == 0 && "the kernel has let go"); /* O1 */
    EXPLORE_CHECK(world_executor.wheel.armed == 0);
    EXPLORE_CHECK(r == expected_of_ready());
    EXPLORE_CHECK(r != SECOND || two[SECOND].result == POLLIN);
    if (r == FIRST) {
        EXPLORE_CHECK(results[FIRST] == RESULT_FIRST);
    } else {
        EXPLORE_CHECK(results[FIRST] == 0 && children[FIRST]->awaiter == NULL);
        rt_detach(children[FIRST]);
    }
    selector = NULL;
    return 0;
}

static void setup_ready(void)
{
    causes_begin();
    results[FIRST] = 0;
    counter = rti_sys_eventfd();
    EXPLORE_CHECK(counter >= 0);
    world_spawn(&children[FIRST], "first", end_first, NULL);
    world_spawn(&selector, "selector", select_ready, NULL);
    rt_detach(selector);
}

static void close_counter(void)
{
    EXPLORE_CHECK(rti_sys_close(counter) == 0);
}

static void a_leg_of_the_kernel_is_awaited_when_it_loses(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "select of readiness",
                                 .setup = setup_ready,
                                 .check = check_kernel,
                                 .finish = close_counter,
                                 .events = { { "cancel", cancel, is_there, 1 } },
                                 .settled = true,
                                 .kernel_result = POLLIN,
                                 .timeouts = 2,
                                 .spurious = 1,
                                 .runs_max = 200000,
                                 .outcomes = { "joined", "cancelled", "timed out", "ready" } }));
}

/* ---- channels ---- */

/* The selector would receive from two channels, or send into a third one, which is full. */
enum { LEFT, RIGHT, FULL, CHANNELS };

static struct rt_chan *channels[CHANNELS];
static unsigned lengths[CHANNELS]; /* as they must be */
static bool is_waiting;            /* the selector, undecided */

static void decide(int index)
{
    if (is_waiting) {
        is_waiting = false;
        decided = index;
    }
}

static void cancel_waiting(void)
{
    rti_task_cancel(selector);
    decide(-ECANCELED);
}

static int make_channels(void *arg)
{
    const uint64_t item = 7;

    (void)arg;
    for (int i = 0; i < CHANNELS; i++) {
        EXPLORE_CHECK(rt_chan_create(&channels[i], sizeof(uint64_t), 1) == 0);
    }
    EXPLORE_CHECK(rt_chan_send(channels[FULL], &item, 0) == 0);
    return 0;
}

static int send_item(void *arg)
{
    const int channel = *(const int *)arg;
    const uint64_t item = (uint64_t)channel + 1;

    world_gate();
    lengths[channel] += !is_waiting;
    decide(channel);
    EXPLORE_CHECK(rt_chan_send(channels[channel], &item, 0) == 0);
    return 0;
}

static int take_full(void *arg)
{
    uint64_t item;

    (void)arg;
    world_gate();
    EXPLORE_CHECK(rt_chan_recv(channels[FULL], &item, 0) == 0 && item == 7);
    lengths[FULL] = is_waiting; /* the selector's item moves in at once */
    decide(FULL);
    return 0;
}

/* One select: what it returns must be what the others have decided, or one that is ready. */
static int select_once(uint64_t items[CHANNELS])
{
    const bool ready[CHANNELS] = { lengths[LEFT] > 0, lengths[RIGHT] > 0, lengths[FULL] == 0 };
    struct rt_case three[CHANNELS] = {
        rt_case_chan_recv(channels[LEFT], &items[LEFT]),
        rt_case_chan_recv(channels[RIGHT], &items[RIGHT]),
        rt_case_chan_send(channels[FULL], &items[FULL]),
    };
    const bool any = ready[LEFT] || ready[RIGHT] || ready[FULL];
    int r;

    decided = -ECANCELED;
    is_waiting = !any && !rt_cancelled();
    choose_chance(any ? CHANNELS : 1);
    r = rt_select(three, CHANNELS, RT_NEVER);
    EXPLORE_CHECK(!is_waiting);
    EXPLORE_CHECK(any ? r >= 0 && r < CHANNELS && ready[r] : r == decided);
    EXPLORE_CHECK(r < 0 || three[r].result == 0);
    if (any && r >= 0) {
        lengths[r] += r == FULL ? 1u : -1u;
    }
    return r;
}

static int select_twice(void *arg)
{
    uint64_t items[CHANNELS] = { 0, 0, 9 };

    (void)arg;
    for (int i = 0; i < 2; i++) {
        const int r = select_once(items);

        if (r < 0) {
            explore_met(CHANNELS);
            break;
        }
        explore_met((unsigned)r);
        EXPLORE_CHECK(r == FULL || items[r] == (uint64_t)r + 1);
        for (int other = LEFT; other <= RIGHT; other++) {
            EXPLORE_CHECK(other == r || items[other] == 0); /* nothing is taken of a loser */
        }
        items[LEFT] = 0;
        items[RIGHT] = 0;
    }
    selector = NULL;
    return 0;
}

static int destroy_channels(void *arg)
{
    (void)arg;
    for (int i = 0; i < CHANNELS; i++) {
        EXPLORE_CHECK(rt_chan_length(channels[i]) == lengths[i]);
        rt_chan_destroy(channels[i]);
        channels[i] = NULL;
    }
    return 0;
}

static void spawn_last(void)
{
    world_spawn(NULL, "last", destroy_channels, NULL);
}

static bool all_have_ended(void)
{
    return channels[LEFT] != NULL && world_executor.tasks.used == 0;
}

/* It waits for more than will come. */
static bool release_selector(void)
{
    const bool is_left = is_waiting;

    if (is_left) {
        cancel_waiting();
    }
    return is_left;
}

static void setup_channels(void)
{
    static const int numbers[] = { LEFT, RIGHT };

    is_waiting = false;
    lengths[LEFT] = 0;
    lengths[RIGHT] = 0;
    lengths[FULL] = 1;
    world_spawn(NULL, "maker", make_channels, NULL);
    world_spawn(NULL, "left sender", send_item, (void *)(uintptr_t)&numbers[LEFT]);
    world_spawn(NULL, "right sender", send_item, (void *)(uintptr_t)&numbers[RIGHT]);
    world_spawn(NULL, "taker", take_full, NULL);
    world_spawn(&selector, "selector", select_twice, NULL);
    rt_detach(selector);
}

static void a_channel_that_loses_keeps_its_item(void **state)
{
    (void)state;
    assert_true(world_explore(
        &(struct world_program){ .name = "select of channels",
                                 .setup = setup_channels,
                                 .release = release_selector,
                                 .events = { { "cancel", cancel_waiting, is_there, 1 },
                                             { "the last look", spawn_last, all_have_ended, 1 } },
                                 .settled = true,
                                 .spurious = 1,
                                 .runs_max = 200000,
                                 .outcomes = { "left", "right", "sent", "cancelled" } }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_case_wins),
        cmocka_unit_test(a_leg_of_the_kernel_is_awaited_when_it_loses),
        cmocka_unit_test(a_channel_that_loses_keeps_its_item),
        cmocka_unit_test(a_future_that_is_dropped_loses_nothing_that_its_select_has_won),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
