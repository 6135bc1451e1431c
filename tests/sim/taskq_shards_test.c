/* SPDX-License-Identifier: MIT */
/*
 * Many shards that share task queues: random programs on the simulated kernel, one per seed.
 *
 * Method: the programs of shards_test.c, whose tasks also make and drop queues on all shards, live
 * in them, and give one a child on some shard. Ports of one slot, one post on the way, limits of
 * one or two tasks, as there. Besides what is promised there:
 *
 *   - for one sender, receiver and queue, functions start in the order sent;
 *   - a function runs in the queue with its caller's number; in the default one if there is none;
 *   - it inherits no task-local value;
 *   - when all is over no request waits, and no task stands outside the limit.
 *
 * Each of these mistakes was made in runtime/cross/ on purpose, and this test, or
 * taskq_all_test.c, has found it:
 *   waiting_to_back     a post that finds no task goes behind those of other senders
 *   unstarted_taken     a post that finds no task is taken all the same
 *   waiting_last        posts that wait start after what is in the rings
 *   no_refuse           requests stay in the rings when no task can be had
 *   queue_ignored       all run in the default queue
 *   post_no_queue       rt_post() sends no number; rt_try_post() and calls do
 *   parent_taken        a queue that is a parent gets a task
 *   pump_stays          the pump goes on when the first shared queue has come
 *   pump_looks_again    it leaves, but for one more look at the doorbell
 *   detach_any          any function that waits counts as the pump
 *   extra_kept          the pump that leaves still stands outside the limit
 *   post_unstarted      a post that got a task gives no credit back
 *   served_leaks        what was to be started is not given back when it was not
 *   no_limit            the limit of tasks is not asked
 *   locals_kept         a function inherits from the task that happens to run
 *   number_kept, number_shared, busy_ignored, no_shield    in making and dropping queues
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"

#include <inttypes.h>
#include <string.h>

#include "cross/mesh.h"
#include "shards_program.h"
#include "support/rand.h"
#include "support/shards.h"

#define SHARED_MAX 4 /* queues that are there from the start */

static int key;

/* Its shard's part of the program; shard 0 makes the first queues, while others may run already. */
static int first_in_queues(void *arg)
{
    int r = 0;

    for (unsigned left = rt_shard_index() == 0 ? 1 + draw(SHARED_MAX) : 0; left > 0; left--) {
        r = make_queue();
    }
    for (unsigned left = draw(3); left > 0 && r != -ECANCELED; left--) {
        r = step_spawn(0, false);
    }
    r = first_task(arg);
    T_CHECK(rti_mesh_here()->executor->tasks.extra <= 1);
    return r;
}

static void program_init(uint64_t seed)
{
    static const uint32_t few[FEW_MAX] = { 0, 1, 2, 3 };

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.active_count = 2 + draw(FEW_MAX - 1);
    program.shards = program.active_count;
    memcpy(program.active, few, sizeof(program.active));
    program.kinds = ((uint32_t)rand_next(&program.rand) & ((1U << STEP_KINDS) - 1)) |
                    1U << STEP_POST | 1U << STEP_SPAWN;
    program.has_deadlines = draw(2) == 0;
    program.steps_left = STEPS_MAX;
    program.has_queues = true;
    program.key = key;
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    program_init(seed);
    shards_init(&shards, seed, program.shards);
    shards.outside = be_outside;
    shards.runtime.port_entries = 1U << draw(4);
    shards.runtime.posts_max = 1 + draw(4);
    program.has_room = shards.runtime.tasks_max == SHARDS_TASKS_MANY;
    program.outside_releases = program.has_room && draw(2) == 0;
    shards_run(&shards, first_in_queues, NULL);
    program.hash = shards.hash;
    T_CHECK(shards.started);
    T_CHECK(shards.result == 0);
    T_CHECK(program.posts_sent == program.posts_run);
    T_CHECK(shards.faults == 0);
    return t_failures() == 0;
}

/* What the programs of all seeds have met. A path that none of them takes is not tested. */
struct totals {
    uint64_t posts;
    uint64_t calls;
    uint64_t refused;
    uint64_t delayed;
    uint64_t in_queues;
    uint64_t elsewhere;
    uint64_t made;
    uint64_t dropped;
    uint64_t busy;
};

static void add_up(struct totals *totals)
{
    totals->posts += program.posts_run;
    totals->calls += program.calls_run;
    totals->in_queues += program.in_queues;
    totals->elsewhere += program.elsewhere;
    totals->made += program.queues_made;
    totals->dropped += program.queues_dropped;
    totals->busy += program.queues_busy;
    for (uint32_t i = 0; i < program.shards; i++) {
        totals->refused += program.stats[i].calls_refused;
        totals->delayed += program.stats[i].posts_delayed;
    }
}

static void random_programs_keep_the_promises(void **state)
{
    const unsigned count = rt_test_seed_count(SHARDS_SEEDS);
    struct totals totals = { 0 };
    unsigned failures = 0;

    (void)state;
    for (unsigned i = 0; i < count && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        add_up(&totals);
    }
    assert_int_equal(failures, 0);
    print_message("%" PRIu64 " posts (%" PRIu64 " delayed), %" PRIu64 " calls, %" PRIu64
                  " refused; %" PRIu64 " in their queue, %" PRIu64 " elsewhere; %" PRIu64
                  " queues made, %" PRIu64 " dropped, %" PRIu64 " busy\n",
                  totals.posts, totals.delayed, totals.calls, totals.refused, totals.in_queues,
                  totals.elsewhere, totals.made, totals.dropped, totals.busy);
    if (count >= SHARDS_SEEDS) {
        assert_true(totals.delayed > 0 && totals.refused > 0);
        assert_true(totals.in_queues > 0 && totals.elsewhere > 0);
        assert_true(totals.made > 0 && totals.dropped > 0 && totals.busy > 0);
    }
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t seed = rt_test_seed(i);
        uint64_t first;

        assert_true(run_seed(seed));
        first = program.hash;
        assert_true(run_seed(seed));
        assert_int_equal(first, program.hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_keep_the_promises),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };

    key = rt_local_create();
    return key < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
