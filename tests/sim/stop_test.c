/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping many shards: all or nothing, and no race between those who end.
 *
 * Method: one small program per seed on the simulated kernel. Each first task
 * ends in its own way: at once, late, only when cancelled, with a failure, while it
 * calls and posts, or while others wait for its answer. Meanwhile the launching thread
 * and some tasks ask for a stop, once or twice, at random moments. Other tests
 * let the kernel refuse a thread or a ring in the middle of the start.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rt/call.h"
#include "rt/rt.h"
#include "rt/start.h"

#define FEW_MAX     5
#define FAILURE     (-1000)
#define TALKS       20
#define STOP_CHANCE 3 /* of 10 */

enum way {
    WAY_AT_ONCE,
    WAY_LATE,
    WAY_WHEN_CANCELLED,
    WAY_FAILS,
    WAY_TALKS,  /* calls and posts until it is cancelled or tired */
    WAY_LEAVES, /* a task behind that only a cancel ends */
    WAY_STOPS,
    WAYS
};

struct program {
    struct rand_state rand;
    uint32_t shards;
    uint32_t ways; /* bits of enum way */
    bool stops;    /* somebody asks for it */
    unsigned started;
    int results[FEW_MAX];
    unsigned left_behind;
    uint64_t posts_sent;
    uint64_t posts_run;
};

static struct program program; /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

/* ---- what first tasks do ---- */

static int wait_for_cancel(void *arg)
{
    unsigned *ended = arg;

    while (!rt_cancelled()) {
        (void)rt_park(RT_NEVER);
    }
    for (unsigned i = draw(3); i > 0; i--) {
        rt_yield(); /* takes its time */
    }
    if (ended != NULL) {
        --*ended;
    }
    return -ECANCELED;
}

static int answer(void *arg)
{
    if (draw(3) == 0) {
        rt_yield();
    }
    return *(int *)arg;
}

static int note_post(void *arg)
{
    (void)arg;
    if (draw(3) == 0) {
        (void)rt_park(rt_in(draw(5000)));
    }
    program.posts_run++;
    return 0;
}

/* As long as a first task lives nobody drains: calls and posts work, also during a stop. */
static int talk(void)
{
    for (unsigned i = 0; i < TALKS; i++) {
        int value = (int)draw(1000);
        int result = -1;
        int r = rt_call(draw(program.shards), answer, &value, &result, RT_NEVER);

        T_CHECK((r == 0 && result == value) || r == -EAGAIN || r == -ECANCELED);
        if (r == -ECANCELED && draw(2) == 0) {
            return r;
        }
        r = rt_try_post(draw(program.shards), note_post, NULL);
        T_CHECK(r == 0 || r == -EAGAIN);
        program.posts_sent += r == 0;
    }
    return 0;
}

static int leave_one_behind(void)
{
    const int r = rt_spawn(NULL, wait_for_cancel, &program.left_behind);

    T_CHECK(r == 0 || r == -EAGAIN);
    program.left_behind += r == 0;
    return 0;
}

static int go_one_way(enum way way)
{
    switch (way) {
    case WAY_LATE:
        return rt_sleep_until(rt_in(draw(300000)));
    case WAY_WHEN_CANCELLED: /* somebody has to: by a stop or a failure */
        return program.stops ? wait_for_cancel(NULL) : 0;
    case WAY_FAILS:
        return FAILURE - (int)rt_shard_index();
    case WAY_TALKS:
        return talk();
    case WAY_LEAVES:
        return leave_one_behind();
    case WAY_STOPS:
        rt_stop(NULL);
        return (int)draw(2);
    case WAY_AT_ONCE:
    case WAYS:
    default:
        return 0;
    }
}

static int first_task(void *arg)
{
    const uint32_t shard = rt_shard_index();
    enum way way;
    int r;

    (void)arg;
    program.started++;
    do {
        way = (enum way)draw(WAYS);
    } while ((program.ways & (1U << way)) == 0);
    r = go_one_way(way);
    program.results[shard] = r;
    return r;
}

/* ---- runs ---- */

static void stop_from_outside(struct rt_runtime *runtime, void *arg)
{
    (void)arg;
    if (!program.stops) {
        return;
    }
    if (draw(2) == 0) {
        sim_sleep(draw(200000));
    }
    rt_stop(runtime);
    if (draw(2) == 0) {
        sim_sleep(draw(20000));
        rt_stop(runtime);
    }
}

static int expected_result(void)
{
    for (uint32_t i = 0; i < program.shards; i++) {
        if (program.results[i] < 0 && program.results[i] != -ECANCELED) {
            return program.results[i];
        }
    }
    return 0;
}

static void program_init(uint64_t seed)
{
    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(FEW_MAX);
    program.ways = 1U << draw(WAYS) | 1U << draw(WAYS);
    program.stops = draw(10) < STOP_CHANCE;
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    program_init(seed);
    shards_init(&shards, seed, program.shards);
    shards.outside = stop_from_outside;
    shards.by_start = !program.stops && draw(2) == 0;
    shards_run(&shards, first_task, NULL);
    T_CHECK(shards.started);
    T_CHECK(program.started == program.shards);
    T_CHECK(shards.result == expected_result());
    T_CHECK(program.left_behind == 0);
    T_CHECK(program.posts_sent == program.posts_run);
    T_CHECK(shards.faults == 0);
    return t_failures() == 0;
}

static void every_way_to_stop_comes_to_an_end(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SHARDS_SEEDS) && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* ---- a start that fails ---- */

static void refuse_thread(struct shards *shards, unsigned nth)
{
    shards->sim.threads_max = nth;
}

static void refuse_ring(struct shards *shards, unsigned nth)
{
    shards->sim.rings_max = nth;
}

static void refuse_descriptor(struct shards *shards, unsigned nth)
{
    shards->sim.fd_limit = nth;
}

/* Succeeds with enough of what is limited; with less, no first task runs and nothing is left. */
static void run_limited(void (*limit)(struct shards *shards, unsigned nth), int error)
{
    unsigned refused = 0;

    for (unsigned nth = 1; nth < 20; nth++) {
        struct shards shards;

        program_init(nth);
        program.shards = 4;
        program.ways = 1U << WAY_AT_ONCE;
        shards_init(&shards, nth, program.shards);
        limit(&shards, nth);
        shards_run(&shards, first_task, NULL);
        assert_int_equal(shards.faults, 0);
        if (shards.started) {
            assert_int_equal(shards.result, 0);
            assert_int_equal(program.started, 4);
            break;
        }
        assert_int_equal(shards.result, error);
        assert_int_equal(program.started, 0);
        assert_true(shards.errors > 0); /* it was said why */
        refused++;
    }
    assert_in_range(refused, 3, 18);
    assert_int_equal(t_failures(), 0);
}

static void a_thread_that_cannot_be_made_undoes_the_start(void **state)
{
    (void)state;
    run_limited(refuse_thread, -EAGAIN);
}

static void a_ring_that_cannot_be_made_undoes_the_start(void **state)
{
    (void)state;
    run_limited(refuse_ring, -ENOMEM);
}

static void a_descriptor_that_is_missing_undoes_the_start(void **state)
{
    (void)state;
    run_limited(refuse_descriptor, -EMFILE);
}

/* ---- tasks that do not end ---- */

static int stay_cancelled(void *arg)
{
    (void)arg;
    while (rt_sleep_until(rt_in(RT_SECONDS(1))) == -ECANCELED && program.started < 1000) {
        program.started++;
        rt_yield();
    }
    return 0;
}

static int leave_stubborn(void *arg)
{
    (void)arg;
    return rt_spawn(NULL, stay_cancelled, NULL);
}

static void a_task_that_takes_long_to_end_is_awaited(void **state)
{
    struct shards shards;

    (void)state;
    program_init(1);
    shards_init(&shards, 1, 2);
    shards.runtime.tasks_max = 8;
    shards_run(&shards, leave_stubborn, NULL);
    assert_int_equal(shards.result, 0);
    assert_int_equal(program.started, 1000);
    assert_int_equal(shards.faults, 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_stop_comes_to_an_end),
        cmocka_unit_test(a_thread_that_cannot_be_made_undoes_the_start),
        cmocka_unit_test(a_ring_that_cannot_be_made_undoes_the_start),
        cmocka_unit_test(a_descriptor_that_is_missing_undoes_the_start),
        cmocka_unit_test(a_task_that_takes_long_to_end_is_awaited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
