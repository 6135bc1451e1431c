/* SPDX-License-Identifier: MIT */
/*
 * Many shards: random programs on the simulated kernel, one per seed.
 *
 * Method: on each of a few shards the first task and some others post, call one or
 * many, nest calls, sleep, park until another shard wakes them, cancel and stop, as chance
 * has it; so do functions that were called or posted. Sizes are tiny: ports of
 * one slot, one post on the way, limits of one or two tasks. Which kinds of step
 * a seed may take is drawn too, so that some seeds have no timer at all: there a
 * lost wake has nothing to hide behind. Whatever happens:
 *
 *   - what a call says is what has happened: run once with this result, or never run;
 *   - a post that was sent runs, once, on its shard;
 *   - what one shard sends to another starts in the order sent;
 *   - the result of the runtime is that of the first shard that failed;
 *   - nobody hangs, and nothing is left.
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"

#include <inttypes.h>
#include <string.h>

#include "shards_program.h"
#include "support/rand.h"
#include "support/shards.h"

#define WIDE_EVERY 50 /* a wide program for so many narrow ones: it takes that much longer */

static int key;

/* ---- runs ---- */

/* The first failure in order of shards. One that was cancelled has not failed. */
static int expected_result(void)
{
    for (uint32_t i = 0; i < program.shards; i++) {
        if (program.first_results[i] < 0 && program.first_results[i] != -ECANCELED) {
            return program.first_results[i];
        }
    }
    return 0;
}

static void program_init(uint64_t seed, bool is_wide)
{
    static const uint32_t few[FEW_MAX] = { 0, 1, 2, 3 };
    static const uint32_t wide[FEW_MAX] = { 0, 61, 62, 65 }; /* the ends of both words */

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.active_count = is_wide ? FEW_MAX : 1 + draw(FEW_MAX);
    program.shards = is_wide ? WIDE : program.active_count;
    memcpy(program.active, is_wide ? wide : few, sizeof(program.active));
    program.kinds = (uint32_t)rand_next(&program.rand) & ((1U << STEP_MAKE_QUEUE) - 1);
    program.has_deadlines = draw(2) == 0;
    program.may_fail = draw(4) == 0;
    program.steps_left = STEPS_MAX;
    program.key = key;
}

static bool run_seed(uint64_t seed, bool is_wide)
{
    struct shards shards;

    program_init(seed, is_wide);
    shards_init(&shards, seed, program.shards);
    shards.outside = be_outside;
    program.has_room = shards.runtime.tasks_max == SHARDS_TASKS_MANY;
    program.outside_releases = program.has_room && draw(2) == 0;
    if (program.may_fail && draw(2) == 0) {
        shards.runtime.flags |= RT_CONFIG_KEEP;
    }
    shards_run(&shards, first_task, NULL);
    program.hash = shards.hash;
    T_CHECK(shards.started);
    T_CHECK(shards.result == expected_result());
    T_CHECK(program.posts_sent == program.posts_run);
    T_CHECK(shards.faults == 0);
    return t_failures() == 0;
}

/* What the programs of all seeds have met. A path that none of them takes is not tested. */
struct totals {
    uint64_t posts;
    uint64_t calls;
    uint64_t folded;
    uint64_t meetings;
    uint64_t refused;
    uint64_t delayed;
    uint64_t room_waits;
    uint64_t wakes;
    uint64_t resent;
    uint64_t submissions;
};

static void add_up(struct totals *totals)
{
    totals->posts += program.posts_run;
    totals->calls += program.calls_run;
    totals->folded += program.folded;
    totals->meetings += program.meetings;
    totals->submissions += program.submissions;
    for (uint32_t i = 0; i < program.shards; i++) {
        const struct rt_stats *stats = &program.stats[i];

        totals->refused += stats->calls_refused;
        totals->delayed += stats->posts_delayed;
        totals->room_waits += stats->room_waits;
        totals->wakes += stats->wakes_sent;
        totals->resent += stats->wakes_resent;
    }
}

static unsigned run_seeds(unsigned count, bool is_wide, struct totals *totals)
{
    unsigned failures = 0;

    for (unsigned i = 0; i < count && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i), is_wide)) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
        add_up(totals);
    }
    return failures;
}

static void random_programs_keep_the_promises(void **state)
{
    const unsigned count = rt_test_seed_count(SHARDS_SEEDS);
    struct totals totals = { 0 };

    (void)state;
    assert_int_equal(run_seeds(count, false, &totals), 0);
    print_message(
        "%" PRIu64 " posts (%" PRIu64 " delayed), %" PRIu64 " calls, %" PRIu64 " folded, %" PRIu64
        " refused, %" PRIu64 " meetings, %" PRIu64 " waits for room, %" PRIu64 " wakes, %" PRIu64
        " sent again, %" PRIu64 " submissions\n",
        totals.posts, totals.delayed, totals.calls, totals.folded, totals.refused, totals.meetings,
        totals.room_waits, totals.wakes, totals.resent, totals.submissions);
    if (count >= SHARDS_SEEDS) {
        assert_true(totals.delayed > 0 && totals.refused > 0 && totals.meetings > 0);
        assert_true(totals.room_waits > 0 && totals.wakes > 0 && totals.resent > 0);
        assert_true(totals.submissions > 0 && totals.folded > 0);
    }
}

static void they_do_so_when_doorbells_have_two_words(void **state)
{
    struct totals totals = { 0 };

    (void)state;
    assert_int_equal(run_seeds(1 + rt_test_seed_count(SHARDS_SEEDS) / WIDE_EVERY, true, &totals),
                     0);
    assert_true(totals.calls > 0 && totals.wakes > 0);
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t seed = rt_test_seed(i);
        uint64_t first;

        assert_true(run_seed(seed, false));
        first = program.hash;
        assert_true(run_seed(seed, false));
        assert_int_equal(first, program.hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_keep_the_promises),
        cmocka_unit_test(they_do_so_when_doorbells_have_two_words),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };

    key = rt_local_create();
    return key < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
