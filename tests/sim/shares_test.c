/* SPDX-License-Identifier: MIT */
/*
 * The controller by deadline steers a queue whose core is shared with others.
 *
 * The core is the real scheduler, without tasks: entities that run for slices of
 * 0.5 ms of a clock that the test moves. One of them is the queue under control. It
 * turns CPU time into units of work, at a cost that the controller is not told; the
 * others only take time. The controller is asked every 250 ms while the queue is
 * runnable, as the executor does it.
 */
#include "rt/shares.h"

#include "core/sched.h"
#include "rt/taskq.h"
#include "support/death.h"
#include "support/harness.h"
#include "support/rand.h"

#define SLICE      RT_MICROSECONDS(500)
#define LOOK       RT_MILLISECONDS(250)
#define RIVALS_MAX 4
#define WORKS_MAX  3

struct core {
    struct rti_sched sched;
    struct rti_sched_entity queue;
    struct rti_sched_entity rivals[RIVALS_MAX];
    struct rt_deadline_controller controller;
    struct rt_deadline_work works[WORKS_MAX]; /* done one after the other */
    uint64_t units[WORKS_MAX];                /* left, as the core knows them */
    rt_time ends[WORKS_MAX];                  /* RT_NEVER: not yet */
    uint32_t work;                            /* the one that runs */
    uint32_t work_count;
    uint32_t chunk; /* units that are reported at once */
    uint32_t unreported;
    rt_time unit_cost; /* CPU time */
    rt_time credit;    /* CPU time that is not a unit yet */
    rt_time now;
    rt_time looked_at;
    rt_time used; /* CPU time of the queue */
};

static void core_init(struct core *core)
{
    *core = (struct core){ .chunk = 1, .unit_cost = RT_MICROSECONDS(100), .now = RT_SECONDS(1000) };
    rti_sched_init(&core->sched, (uint64_t)SLICE);
    core->queue.shares = RT_SHARES_DEFAULT;
    assert_int_equal(rti_sched_add(&core->sched, &core->queue, NULL), 0);
    for (int i = 0; i < RIVALS_MAX; i++) {
        core->rivals[i].shares = RT_SHARES_DEFAULT;
        assert_int_equal(rti_sched_add(&core->sched, &core->rivals[i], NULL), 0);
    }
    assert_int_equal(rt_deadline_controller_init(&core->controller, NULL), 0);
}

static void set_busy(struct core *core, struct rti_sched_entity *entity, bool busy)
{
    if (busy && !rti_sched_is_runnable(entity)) {
        rti_sched_wake(&core->sched, entity, (uint64_t)core->now);
    } else if (!busy && rti_sched_is_runnable(entity)) {
        rti_sched_sleep(&core->sched, entity);
    }
}

static void core_fini(struct core *core)
{
    set_busy(core, &core->queue, false);
    rti_sched_remove(&core->sched, &core->queue);
    for (int i = 0; i < RIVALS_MAX; i++) {
        set_busy(core, &core->rivals[i], false);
        rti_sched_remove(&core->sched, &core->rivals[i]);
    }
    rti_sched_fini(&core->sched);
}

/* Rivals that are always busy, with these shares in all. */
static void set_rivals(struct core *core, uint32_t count, uint32_t shares)
{
    for (uint32_t i = 0; i < RIVALS_MAX; i++) {
        if (i < count) {
            rti_sched_set_shares(&core->sched, &core->rivals[i], shares / count);
        }
        set_busy(core, &core->rivals[i], i < count);
    }
}

/* Announce work that takes this part of the core until its deadline. */
static void begin(struct core *core, rt_time time, unsigned per_mille)
{
    const uint32_t i = core->work_count++;

    core->units[i] = (uint64_t)(time / 1000 * per_mille / core->unit_cost);
    core->ends[i] = RT_NEVER;
    rt_deadline_work_begin(&core->controller, &core->works[i], core->units[i], core->now + time,
                           core->now);
    set_busy(core, &core->queue, true);
}

static bool is_done(const struct core *core)
{
    return core->work == core->work_count;
}

/* The queue ran for a slice. */
static void work(struct core *core)
{
    core->used += SLICE;
    core->credit += SLICE;
    while (!is_done(core) && core->credit >= core->unit_cost) {
        const uint32_t i = core->work;

        core->credit -= core->unit_cost;
        core->units[i]--;
        core->unreported++;
        if (core->unreported == core->chunk || core->units[i] == 0) {
            rt_deadline_work_done(&core->works[i], core->unreported);
            core->unreported = 0;
        }
        if (core->units[i] == 0) {
            rt_deadline_work_end(&core->works[i], core->now);
            core->ends[i] = core->now;
            core->work++;
        }
    }
    set_busy(core, &core->queue, !is_done(core));
}

static void step(struct core *core)
{
    struct rti_sched_entity *entity;

    if (core->now - core->looked_at >= LOOK) {
        core->looked_at = core->now;
        if (rti_sched_is_runnable(&core->queue)) {
            rti_sched_set_shares(&core->sched, &core->queue,
                                 rt_deadline_shares(&core->controller, core->now));
        }
    }
    entity = rti_sched_pick(&core->sched);
    core->now += SLICE;
    if (entity != NULL) {
        rti_sched_charge(&core->sched, entity, (uint64_t)SLICE);
    }
    if (entity == &core->queue) {
        work(core);
    }
}

static void run(struct core *core, rt_time time)
{
    const rt_time end = core->now + time;

    while (core->now < end) {
        step(core);
    }
}

static void run_to_the_end(struct core *core)
{
    while (!is_done(core)) {
        step(core);
    }
}

/* How late work i ended, in thousandths of its time; below 0: early. */
static int64_t late(const struct core *core, uint32_t i, rt_time time)
{
    return (core->ends[i] - core->works[i].deadline) / (time / 1000);
}

static uint32_t shares_now(const struct core *core)
{
    return core->queue.shares;
}

/* The work that core_random() announces. */
#define WHOLE(core) ((core)->works[0].deadline - RT_SECONDS(1000))

/* Work of any size, in units of any cost, that takes up to a half of the core. */
static unsigned core_random(struct core *core, struct rand_state *rand)
{
    const rt_time time = rand_range(rand, RT_SECONDS(5), RT_SECONDS(60));
    const unsigned per_mille = (unsigned)rand_range(rand, 5, 500);

    core_init(core);
    core->unit_cost = rand_range(rand, RT_MICROSECONDS(1), RT_MILLISECONDS(2));
    core->chunk = (uint32_t)rand_range(rand, 1, 20);
    begin(core, time, per_mille);
    return per_mille;
}

static void random_rivals(struct core *core, struct rand_state *rand)
{
    set_rivals(core, (uint32_t)rand_range(rand, 0, RIVALS_MAX),
               (uint32_t)rand_range(rand, 100, 4000));
}

static void fail_of_seed(uint64_t seed, int64_t is_late)
{
    fail_msg("seed %llu: the work ended %lld thousandths of its time after its deadline",
             (unsigned long long)seed, (long long)is_late);
}

static void work_of_any_size_and_cost_ends_in_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        const uint64_t seed = rt_test_seed(i);
        struct rand_state rand;
        struct core core;

        rand_init(&rand, seed);
        core_random(&core, &rand);
        random_rivals(&core, &rand);
        run_to_the_end(&core);
        if (late(&core, 0, WHOLE(&core)) > 0) {
            fail_of_seed(seed, late(&core, 0, WHOLE(&core)));
        }
        core_fini(&core);
    }
}

/* A sixteenth is kept in reserve, which is 62; in 3000 runs the earliest was 101 early. Work that
 * the least shares do sooner than that cannot take its time. */
static void work_takes_the_time_that_it_has(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        const uint64_t seed = rt_test_seed(i);
        struct rand_state rand;
        struct core core;
        unsigned per_mille;

        rand_init(&rand, seed);
        per_mille = core_random(&core, &rand);
        set_rivals(&core, (uint32_t)rand_range(&rand, 1, RIVALS_MAX),
                   (uint32_t)rand_range(&rand, 500, 4000));
        run_to_the_end(&core);
        if (per_mille >= 100 && late(&core, 0, WHOLE(&core)) < -120) {
            fail_of_seed(seed, late(&core, 0, WHOLE(&core)));
        }
        core_fini(&core);
    }
}

/* Others come and go, all of them at once, up to three times a second. Of 3000 runs ten were late,
 * the latest by 27. */
static void work_ends_in_time_while_the_load_changes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        const uint64_t seed = rt_test_seed(i);
        struct rand_state rand;
        struct core core;

        rand_init(&rand, seed);
        core_random(&core, &rand);
        while (!is_done(&core)) {
            random_rivals(&core, &rand);
            run(&core, rand_range(&rand, RT_MILLISECONDS(300), WHOLE(&core) / 3));
        }
        if (late(&core, 0, WHOLE(&core)) > 50) {
            fail_of_seed(seed, late(&core, 0, WHOLE(&core)));
        }
        core_fini(&core);
    }
}

/* Looks see nothing done, and then much. Too few lumps make it early, not late. */
static void work_that_is_reported_in_lumps_ends_in_time(void **state)
{
    static const uint32_t lumps[] = { 5, 10, 20 };

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        const uint64_t seed = rt_test_seed(i);
        struct rand_state rand;
        struct core core;

        rand_init(&rand, seed);
        core_random(&core, &rand);
        core.chunk = (uint32_t)(core.units[0] / lumps[i % 3]) + 1;
        random_rivals(&core, &rand);
        run_to_the_end(&core);
        if (late(&core, 0, WHOLE(&core)) > 0) {
            fail_of_seed(seed, late(&core, 0, WHOLE(&core)));
        }
        core_fini(&core);
    }
}

static void work_whose_units_become_dearer_ends_in_time(void **state)
{
    struct core core;
    uint32_t before;

    (void)state;
    core_init(&core);
    set_rivals(&core, 2, 2000);
    begin(&core, RT_SECONDS(20), 150);
    run(&core, RT_SECONDS(10));
    before = shares_now(&core);
    core.unit_cost *= 3;
    run(&core, RT_SECONDS(3));
    assert_true(shares_now(&core) > before * 3);
    run_to_the_end(&core);
    assert_true(late(&core, 0, RT_SECONDS(20)) <= 0);
    core_fini(&core);
}

/* For a while the queue has the core for itself. When the others come back, it asks for little. */
static void a_queue_that_is_ahead_gives_shares_back(void **state)
{
    struct core core;
    rt_time used;
    uint32_t before;

    (void)state;
    core_init(&core);
    set_rivals(&core, 2, 4000);
    begin(&core, RT_SECONDS(30), 300);
    run(&core, RT_SECONDS(10));
    before = shares_now(&core);
    assert_true(before > 1000);
    set_rivals(&core, 0, 0);
    run(&core, RT_SECONDS(3));
    assert_true(shares_now(&core) < before / 4);
    set_rivals(&core, 2, 4000);
    run(&core, RT_SECONDS(5));
    used = core.used;
    run(&core, RT_SECONDS(5));
    assert_true((core.used - used) / 5 < RT_SECONDS(1) * 30 / 100); /* less than at first */
    run_to_the_end(&core);
    assert_true(late(&core, 0, RT_SECONDS(30)) <= 0);
    core_fini(&core);
}

/* At the limit it has a fortieth of the core and needs a tenth, for 20 s. Then it can have half of
 * it, and 180 shares would do. */
static void a_queue_that_starves_winds_nothing_up(void **state)
{
    struct rt_deadline_options options = RT_DEADLINE_OPTIONS_INIT;
    struct core core;

    (void)state;
    core_init(&core);
    options.shares_max = 1000;
    assert_int_equal(rt_deadline_controller_init(&core.controller, &options), 0);
    set_rivals(&core, 4, 40000);
    begin(&core, RT_SECONDS(60), 100);
    run(&core, RT_SECONDS(20));
    assert_int_equal(shares_now(&core), 1000);
    set_rivals(&core, 1, 1000);
    run(&core, RT_SECONDS(2)); /* eight looks */
    assert_true(shares_now(&core) < 300);
    run_to_the_end(&core);
    assert_true(late(&core, 0, RT_SECONDS(60)) <= 0);
    core_fini(&core);
}

/* The work waits for something, and the controller is not asked meanwhile. */
static void a_queue_that_sleeps_keeps_its_shares(void **state)
{
    struct core core;
    uint32_t before;

    (void)state;
    core_init(&core);
    set_rivals(&core, 2, 2000);
    begin(&core, RT_SECONDS(60), 100);
    run(&core, RT_SECONDS(20));
    before = shares_now(&core);
    set_busy(&core, &core.queue, false);
    run(&core, RT_SECONDS(10));
    set_busy(&core, &core.queue, true);
    run(&core, LOOK);
    assert_int_equal(shares_now(&core), before);
    run_to_the_end(&core);
    assert_true(late(&core, 0, RT_SECONDS(60)) <= 0);
    core_fini(&core);
}

/* The second piece is large: it must not wait until the first is done. */
static void each_of_several_pieces_ends_by_its_own_deadline(void **state)
{
    struct core core;

    (void)state;
    core_init(&core);
    set_rivals(&core, 2, 2000);
    begin(&core, RT_SECONDS(10), 200);
    begin(&core, RT_SECONDS(15), 400);
    begin(&core, RT_SECONDS(60), 100);
    run_to_the_end(&core);
    assert_true(late(&core, 0, RT_SECONDS(10)) <= 0);
    assert_true(late(&core, 1, RT_SECONDS(15)) <= 0);
    assert_true(late(&core, 2, RT_SECONDS(60)) <= 0);
    core_fini(&core);
}

/* What was learned from one piece serves the next: no start from nothing. */
static void pieces_one_after_the_other_end_in_time(void **state)
{
    struct core core;

    (void)state;
    core_init(&core);
    set_rivals(&core, 4, 4000);
    for (uint32_t i = 0; i < WORKS_MAX; i++) {
        begin(&core, RT_SECONDS(5), 400);
        run_to_the_end(&core);
        assert_true(late(&core, i, RT_SECONDS(5)) <= 0);
        run(&core, RT_SECONDS(7));
    }
    core_fini(&core);
}

/* Misuse */

static int begin_twice(void *arg)
{
    struct rt_deadline_controller controller;
    struct rt_deadline_work work;

    (void)arg;
    if (rt_deadline_controller_init(&controller, NULL) == 0) {
        rt_deadline_work_begin(&controller, &work, 1, RT_SECONDS(2), 0);
        rt_deadline_work_begin(&controller, &work, 1, RT_SECONDS(1), 0);
    }
    return 0;
}

static int end_twice(void *arg)
{
    struct rt_deadline_controller controller;
    struct rt_deadline_work work;

    (void)arg;
    if (rt_deadline_controller_init(&controller, NULL) == 0) {
        rt_deadline_work_begin(&controller, &work, 1, RT_SECONDS(2), 0);
        rt_deadline_work_end(&work, 0);
        rt_deadline_work_end(&work, 0);
    }
    return 0;
}

static void work_is_begun_once_and_ended_once(void **state)
{
    (void)state;
    assert_misuse_in_task(begin_twice, "rt_deadline_work_begin(): the work is under way already");
    assert_misuse_in_task(end_twice, "rt_deadline_work_end(): the work is not under way");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_of_any_size_and_cost_ends_in_time),
        cmocka_unit_test(work_takes_the_time_that_it_has),
        cmocka_unit_test(work_ends_in_time_while_the_load_changes),
        cmocka_unit_test(work_that_is_reported_in_lumps_ends_in_time),
        cmocka_unit_test(work_whose_units_become_dearer_ends_in_time),
        cmocka_unit_test(a_queue_that_is_ahead_gives_shares_back),
        cmocka_unit_test(a_queue_that_starves_winds_nothing_up),
        cmocka_unit_test(a_queue_that_sleeps_keeps_its_shares),
        cmocka_unit_test(each_of_several_pieces_ends_by_its_own_deadline),
        cmocka_unit_test(pieces_one_after_the_other_end_in_time),
        cmocka_unit_test(work_is_begun_once_and_ended_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
