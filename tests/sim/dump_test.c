/* SPDX-License-Identifier: MIT */
/*
 * Dumps of shards that work, stop and leave, in any order of steps.
 *
 * Method: one small program per seed on the simulated kernel. Tasks of all shards
 * and the launching thread ask for dumps, with deadlines from "now" to never, while
 * tasks are cancelled, others come and go, and the runtime is stopped at some
 * moment. Every dump that is made must have each shard exactly once, answered or
 * not; nobody may wait for a shard that has left; and nothing is left behind.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rt/rt.h"

#define FEW_MAX    4
#define TEXT_BYTES ((size_t)1 << 20)
#define TRIES_MAX  1000

struct program {
    struct rand_state rand;
    uint32_t shards;
    unsigned dumps;
    unsigned busy;      /* others were being made */
    unsigned cancelled; /* ended with their tasks */
    unsigned answers;   /* shards that did, in all dumps */
    unsigned silent;    /* and that did not */
    unsigned gone;      /* of these, because they had left */
};

static struct program program; /* one thread runs at a time */
static struct program sums;    /* over all seeds */
static char text[TEXT_BYTES];

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static unsigned count(const char *what)
{
    unsigned found = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        found++;
    }
    return found;
}

/* A dump has been made: each shard is in it. */
static void look_at(int file)
{
    const ssize_t n = pread(file, text, TEXT_BYTES - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    program.dumps++;
    T_CHECK(count("dump of '") == 1 && n > 0 && text[n - 1] == '\n');
    for (uint32_t i = 0; i < program.shards; i++) {
        char head[32];

        snprintf(head, sizeof(head), "\nshard %u '", i);
        T_CHECK(count(head) == 1);
    }
    T_CHECK(count("wait cycle") == 0); /* nobody waits for ever */
    program.silent += count("did not answer");
    program.gone += count("it has ended");
    program.answers += program.shards - count("did not answer");
}

/* Each asker has a file of its own. */
static void check(int r, int file)
{
    T_CHECK(r == 0 || r == -EBUSY || r == -ECANCELED);
    if (r == 0) {
        look_at(file);
    }
    program.busy += r == -EBUSY;
    program.cancelled += r == -ECANCELED;
    close(file);
}

static uint32_t draw_flags(void)
{
    return draw(4) == 0 ? 0 : RT_DUMP_BRIEF;
}

static int dump_all(void *arg)
{
    const rt_time deadlines[] = { 0, rt_in(draw(2000)), rt_in(draw(200000)), RT_NEVER };
    const int file = memfd_create("dump", MFD_CLOEXEC);

    (void)arg;
    check(rt_dump_all(file, draw_flags(), deadlines[draw(4)]), file);
    return 0;
}

static int answer(void *arg)
{
    (void)arg;
    if (draw(2) == 0) {
        rt_yield();
    }
    return 0;
}

/* Who calls and who is called look at their doorbells within tasks too. */
static void call_others(void)
{
    for (unsigned i = draw(4); i > 0; i--) {
        const int r = rt_call(draw(program.shards), answer, NULL, NULL, RT_NEVER);

        T_CHECK(r == 0 || r == -EAGAIN || r == -ECANCELED);
    }
}

static int wait_a_while(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(draw(100000)));
}

static void spawn(struct rt_group *group, rt_task_fn fn)
{
    const int r = rt_group_spawn(group, fn, NULL);

    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
}

static int live(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    const unsigned steps = 2 + draw(6);

    (void)arg;
    for (unsigned i = 0; i < steps; i++) {
        switch (draw(6)) {
        case 0:
            (void)dump_all(NULL);
            break;
        case 1:
            spawn(&group, dump_all);
            break;
        case 2:
            spawn(&group, wait_a_while);
            break;
        case 3:
            (void)rt_sleep_until(rt_in(draw(50000)));
            break;
        case 4:
            call_others();
            break;
        default:
            if (draw(8) == 0) {
                rt_stop(NULL);
            } else {
                rt_group_cancel(&group);
            }
        }
    }
    (void)rt_group_leave(&group, draw(2) == 0 ? 0 : RT_NEVER);
    return 0;
}

/* In the middle of a stop, and after it. A shard that is not asked, since it still writes for
 * somebody who has given up, is asked the next time or the one after that. */
static void await_whole_dump(struct rt_runtime *runtime)
{
    bool whole = false;

    for (unsigned i = 0; i < TRIES_MAX && !whole; i++) {
        const int file = memfd_create("dump", MFD_CLOEXEC);
        const int r = rt_runtime_dump(runtime, file, RT_DUMP_BRIEF, RT_NEVER);

        check(r, file);
        whole = r == 0 && count("did not answer") == count("it has ended");
        sim_sleep(1000); /* the kernel may take its time to wake who was asked */
    }
    T_CHECK(whole);
}

static void dump_from_outside(struct rt_runtime *runtime, void *arg)
{
    (void)arg;
    for (unsigned i = draw(6); i > 0; i--) {
        const int file = memfd_create("dump", MFD_CLOEXEC);
        const rt_time deadline = draw(3) == 0 ? 0 : RT_NEVER;

        check(rt_runtime_dump(runtime, file, draw_flags(), deadline), file);
    }
    if (draw(3) == 0) {
        rt_stop(runtime);
    }
    if (draw(2) == 0) {
        await_whole_dump(runtime);
    }
}

static bool run(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 1 + draw(FEW_MAX);
    shards_init(&shards, seed, program.shards);
    shards.outside = dump_from_outside;
    shards_run(&shards, live, NULL);
    T_CHECK(shards.faults == 0);
    T_CHECK(!shards.started || shards.result == 0);
    sums.dumps += program.dumps;
    sums.busy += program.busy;
    sums.cancelled += program.cancelled;
    sums.answers += program.answers;
    sums.silent += program.silent;
    sums.gone += program.gone;
    return t_failures() == 0;
}

static void every_dump_has_each_shard_once(void **state)
{
    const unsigned seeds = rt_test_seed_count(SHARDS_SEEDS);

    (void)state;
    for (unsigned i = 0; i < seeds; i++) {
        if (!run(rt_test_seed(i))) {
            fail_msg("failed: RT_SEED=%" PRIu64, rt_test_seed(i));
        }
    }
    print_message("%u dumps: %u answers, %u shards silent, %u of them gone; %u refused, %u "
                  "cancelled\n",
                  sums.dumps, sums.answers, sums.silent, sums.gone, sums.busy, sums.cancelled);
    if (seeds > 100) { /* a single seed need not have seen it all */
        assert_true(sums.dumps > seeds && sums.answers > seeds && sums.silent > sums.gone);
        assert_true(sums.gone > 0 && sums.busy > 0 && sums.cancelled > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dump_has_each_shard_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
