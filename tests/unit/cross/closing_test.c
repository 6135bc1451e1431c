/* SPDX-License-Identifier: MIT */
/*
 * Closing: shards that send to each other until the last moment lose nothing.
 *
 * Method: on every shard, tasks call and post to all others and go on when the
 * first tasks have returned, until they are refused. So a shard drains while
 * others still send to it, which first tasks alone never do. Threads that are no
 * shards submit meanwhile. Whatever was accepted has run when the runtime ends,
 * and has ended by itself. One run per seed, on the simulated kernel, which lets
 * another thread go on at each atomic access.
 */
#include "support/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rt/rt.h"
#include "support/rand.h"
#include "support/shards.h"

#define SEEDS      3000
#define SHARDS_MAX 4
#define SENDERS    2 /* tasks of each shard */
#define SENDS_MAX  40

static struct {
    struct rand_state rand;
    uint32_t shards;
    unsigned accepted;
    unsigned started;
    unsigned ended;
    unsigned refused; /* because the runtime drained */
    unsigned stopped; /* submissions that came too late */
} program;            /* one thread runs at a time */

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static int work(void *arg)
{
    (void)arg;
    program.started++;
    if (draw(2) == 0) {
        (void)rt_sleep_until(rt_in(draw(5000))); /* becomes a task of its own */
    }
    for (unsigned i = draw(3); i > 0; i--) {
        rt_yield();
    }
    program.ended++;
    return 0;
}

/* A call is accepted if it says so, a post when it was sent. */
static int send_one(void)
{
    const uint32_t to = draw(program.shards);
    int r;

    switch (draw(3)) {
    case 0:
        r = rt_call(to, work, NULL, NULL, RT_NEVER);
        break;
    case 1:
        r = rt_try_post(to, work, NULL);
        break;
    default:
        r = rt_post(to, work, NULL, rt_in(draw(20000)));
        break;
    }
    T_CHECK(r == 0 || r == -EAGAIN || r == -ETIME || r == -ECANCELED || r == -ESHUTDOWN);
    program.accepted += r == 0;
    program.refused += r == -ECANCELED || r == -ESHUTDOWN;
    return r;
}

static int send_until_refused(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SENDS_MAX; i++) {
        const int r = send_one();

        if (r == -ESHUTDOWN || (r == -ECANCELED && draw(2) == 0)) {
            break;
        }
        if (draw(3) == 0) {
            rt_yield();
        }
    }
    return 0;
}

static int first(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SENDERS; i++) {
        const int r = rt_spawn(NULL, send_until_refused, NULL);

        T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    }
    (void)rt_sleep_until(rt_in(draw(30000)));
    if (draw(4) == 0) {
        rt_stop(NULL);
    }
    return (int)draw(2);
}

static void submit_some(struct rt_runtime *runtime, void *arg)
{
    (void)arg;
    for (unsigned i = draw(5); i > 0; i--) {
        struct rt_submission submission;
        int r = rt_submit(runtime, draw(program.shards), &submission, work, NULL);

        if (r == 0) {
            r = rt_submission_wait(&submission, NULL, RT_NEVER);
            T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
            program.accepted += r == 0;
        } else {
            T_CHECK(r == -ESHUTDOWN);
            program.stopped++;
        }
    }
}

static unsigned all_refused;
static unsigned all_stopped;

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(SHARDS_MAX);
    shards_init(&shards, seed, program.shards);
    shards.outside = submit_some;
    shards_run(&shards, first, NULL);
    T_CHECK(shards.result == 0 && shards.faults == 0);
    T_CHECK(program.started == program.accepted);
    T_CHECK(program.ended == program.accepted);
    all_refused += program.refused;
    all_stopped += program.stopped;
    return t_failures() == 0;
}

static void what_was_accepted_until_the_last_moment_has_run_and_ended(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);

    (void)state;
    for (unsigned i = 0; i < count; i++) {
        if (!run_seed(rt_test_seed(i))) {
            fail_msg("RT_SEED=%" PRIu64, rt_test_seed(i));
        }
    }
    if (count >= SEEDS) { /* else this has tested nothing */
        assert_true(all_refused > 0 && all_stopped > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_accepted_until_the_last_moment_has_run_and_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
