/* SPDX-License-Identifier: MIT */
/*
 * The scheduler beside a core that can be divided at will, for random sets of queues.
 *
 * A case (sched_case.h) has 1 to 40 queues: shares 1 to 10000, goals, parents, some always busy,
 * some that sleep between bursts and are woken at any moment, some that hold the core for 20
 * slices; and shares that change. The real scheduler runs it in virtual time, as the executor
 * would drive it, and beside it an ideal one divides the same work (sched_fluid.h), which knows
 * nothing of how the scheduler thinks. After each step:
 *
 *   R1 Work conserving: a queue is chosen whenever one has work, and only one that has.
 *   R2 Nobody is left behind: no queue is further behind its ideal than `behind_max()` says. So
 *      busy queues get their shares, the poor run as soon as theirs allow, and whoever slept, owes
 *      or changed its shares takes nothing from the others.
 *   R3 Nobody gets ahead: no queue is further ahead of its ideal than `ahead_max()` says.
 *   R4 A queue with a goal that wakes without debts waits for those that have none for no longer
 *      than one of them holds the core.
 *   R5 Of such queues, the one whose goal ends first runs first.
 *
 * A case that fails is made smaller and printed. It is replayed by RT_SEED=<seed>, or from its
 * listing by RT_SCHED_CASE=<file>.
 *
 * That these rules find mistakes is shown by tests/explore/mutants.py, which makes sixteen in the
 * scheduler and says which of R1 to R5 finds each.
 */
#include "core/sched.h"

#include <inttypes.h>
#include <string.h>

#include "base/list.h"
#include "sched_case.h"
#include "sched_fluid.h"
#include "support/harness.h"

#define FOREVER 1e15 /* work of a queue that is always busy */

/* A run */

struct actual {
    struct rti_sched_entity entity;
    double work;
    double served;
    double others; /* time of queues without a goal since it woke */
    bool waits;    /* woken without debts, and has not run since */
};

struct run {
    const struct sched_case *the_case;
    struct rti_sched sched;
    struct rti_sched_entity parents[CASE_PARENTS_MAX];
    struct actual actual[CASE_QUEUES_MAX];
    struct fluid_queue ideal[CASE_QUEUES_MAX];
    double parent_shares[CASE_PARENTS_MAX];
    struct fluid fluid;
    struct actual *current; /* whose slice it is, or NULL */
    double held;            /* so long already */
    uint64_t now;
    uint32_t goals; /* queues that have one */
    uint32_t sleepers;
    bool changes; /* of shares */
    double hold_max;
    const char *wrong;
    char text[160];
};

static double strictness = 1.0; /* limits are divided by this */

static struct run run;

static uint32_t index_of(const struct actual *actual)
{
    return (uint32_t)(actual - run.actual);
}

static const struct case_queue *plan_of(const struct actual *actual)
{
    return &run.the_case->queue[index_of(actual)];
}

static void fails(const char *rule, const struct actual *actual, double is, double limit)
{
    if (run.wrong == NULL) {
        snprintf(run.text, sizeof(run.text),
                 "%s: queue %" PRIu32 " at %" PRIu64 ": %.0f, and %.0f is allowed", rule,
                 index_of(actual), run.now, is, limit);
        run.wrong = run.text;
    }
}

/* Limits */

/*
 * Slices that end at their deadlines would keep queues that are always busy less than one slice
 * behind (Stoica and Abdel-Wahab, theorem 1). Here one may end a little before its deadline and be
 * followed by another: 2.6 slices at most in a million seeds.
 * A queue that has slept in debt leaves the others that much behind until it has paid, one with a
 * goal goes before the deadlines of others once, and new shares make new deadlines. Nobody who is
 * ahead begins to run, but where others have slept in debt. What a parent is behind or ahead, its
 * children may be in addition.
 */
static double behind_max(uint32_t i)
{
    const uint32_t levels = run.the_case->queue[i].parent >= 0 ? 2 : 1;

    return run.hold_max * (3 + run.goals + run.sleepers + run.changes) * levels / strictness + 100;
}

static double ahead_max(uint32_t i)
{
    const uint32_t levels = run.the_case->queue[i].parent >= 0 ? 2 : 1;

    return run.hold_max * (1 + run.sleepers + run.changes) * levels / strictness + 100;
}

static void check_all(void)
{
    for (uint32_t i = 0; i < run.the_case->queues; i++) {
        const double ahead = run.actual[i].served - run.ideal[i].served;

        if (-ahead > behind_max(i)) {
            fails("R2 behind", &run.actual[i], -ahead, behind_max(i));
        }
        if (ahead > ahead_max(i)) {
            fails("R3 ahead", &run.actual[i], ahead, ahead_max(i));
        }
    }
}

/* Setting up */

static void set_up_queue(uint32_t i)
{
    const struct case_queue *plan = &run.the_case->queue[i];
    struct actual *actual = &run.actual[i];

    actual->entity.shares = plan->shares;
    actual->entity.goal = plan->goal;
    assert_int_equal(rti_sched_add(&run.sched, &actual->entity,
                                   plan->parent < 0 ? NULL : &run.parents[plan->parent]),
                     0);
    run.ideal[i] = (struct fluid_queue){ .shares = plan->shares, .parent = plan->parent };
    run.goals += plan->goal != 0;
    run.sleepers += !plan->busy;
    run.hold_max = plan->hold > run.hold_max ? plan->hold : run.hold_max;
}

static void set_up(const struct sched_case *the_case)
{
    memset(&run, 0, sizeof(run));
    run.the_case = the_case;
    rti_sched_init(&run.sched, the_case->slice);
    for (uint32_t p = 0; p < the_case->parents; p++) {
        run.parent_shares[p] = the_case->parent_shares[p];
        run.parents[p].shares = the_case->parent_shares[p];
        assert_int_equal(rti_sched_add(&run.sched, &run.parents[p], NULL), 0);
    }
    for (uint32_t i = 0; i < the_case->queues; i++) {
        set_up_queue(i);
    }
    run.fluid = (struct fluid){ .queues = run.ideal,
                                .queue_count = the_case->queues,
                                .parent_shares = run.parent_shares,
                                .parent_count = the_case->parents };
    for (uint32_t i = 0; i < the_case->steps; i++) {
        run.changes = run.changes || the_case->step[i].shares != 0;
    }
}

static void tear_down(void)
{
    for (uint32_t i = 0; i < run.the_case->queues; i++) {
        if (rti_sched_is_runnable(&run.actual[i].entity)) {
            rti_sched_sleep(&run.sched, &run.actual[i].entity);
        }
        rti_sched_remove(&run.sched, &run.actual[i].entity);
    }
    for (uint32_t p = 0; p < run.the_case->parents; p++) {
        rti_sched_remove(&run.sched, &run.parents[p]);
    }
    rti_sched_fini(&run.sched);
}

/* Goals: R4, R5 */

/* The ideal has done all its work long ago, or it never had any. A debt of a microsecond may keep
 * a queue with one share waiting for ten thousand of them: what is nearly paid is a debt. */
static bool has_paid(uint32_t i)
{
    const struct fluid_queue *ideal = &run.ideal[i];

    return ideal->work <= 0 &&
           (ideal->served <= 0 || run.fluid.now - ideal->done > ahead_max(i) + behind_max(i));
}

/* Nor does its parent owe anything. */
static bool is_without_debts(uint32_t i)
{
    const int parent = run.the_case->queue[i].parent;

    for (uint32_t j = 0; j < run.the_case->queues && parent >= 0; j++) {
        if (run.the_case->queue[j].parent == parent && (run.actual[j].work > 0 || !has_paid(j))) {
            return false;
        }
    }
    return has_paid(i);
}

static void note_run(struct actual *runner)
{
    for (uint32_t i = 0; i < run.the_case->queues; i++) {
        struct actual *other = &run.actual[i];

        if (other->waits && other != runner && runner->waits &&
            other->entity.due < runner->entity.due) {
            fails("R5 a goal that ended later went first", other, (double)other->entity.due,
                  (double)runner->entity.due);
        }
        if (plan_of(runner)->parent >= 0 && plan_of(runner)->parent == plan_of(other)->parent) {
            other->waits = false; /* its parent owes something from now on */
        }
    }
    runner->waits = false;
}

static void note_time(const struct actual *runner, double ticks)
{
    for (uint32_t i = 0; i < run.the_case->queues; i++) {
        struct actual *other = &run.actual[i];

        if (other->waits && plan_of(runner)->goal == 0) {
            other->others += ticks;
            if (other->others > run.hold_max / strictness) {
                fails("R4 late", other, other->others, run.hold_max / strictness);
            }
        }
    }
}

/* Driving, as the executor does */

static bool has_work(void)
{
    for (uint32_t i = 0; i < run.the_case->queues; i++) {
        if (run.actual[i].work > 0) {
            return true;
        }
    }
    return false;
}

static void choose(void)
{
    struct rti_sched_entity *entity = rti_sched_pick(&run.sched);

    run.held = 0;
    run.current = entity == NULL ? NULL : RTI_CONTAINER_OF(entity, struct actual, entity);
    if (entity == NULL ? has_work() : run.current->work <= 0) {
        run.wrong = "R1: the core is idle though a queue has work, or one without was chosen";
        run.current = NULL;
    } else if (entity != NULL) {
        note_run(run.current);
    }
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* The current queue runs until `until`, its work is done, or it yields. */
static void go_on(uint64_t until)
{
    struct actual *current = run.current;
    double ticks = least((double)(until - run.now), plan_of(current)->hold - run.held);

    ticks = least(ticks, current->work);
    run.now += (uint64_t)ticks;
    run.held += ticks;
    current->work -= ticks;
    current->served += ticks;
    rti_sched_charge(&run.sched, &current->entity, (uint64_t)ticks);
    fluid_advance(&run.fluid, ticks);
    note_time(current, ticks);
    if (current->work <= 0) {
        rti_sched_sleep(&run.sched, &current->entity);
    }
    if (current->work <= 0 || run.held >= plan_of(current)->hold) {
        run.current = NULL;
    }
}

static void pass_time(uint64_t ticks)
{
    const uint64_t until = run.now + ticks;

    while (run.now < until && run.wrong == NULL) {
        if (run.current == NULL) {
            choose();
        }
        if (run.current == NULL) {
            fluid_advance(&run.fluid, (double)(until - run.now));
            run.now = until;
        } else {
            go_on(until);
        }
        check_all();
    }
}

/* A running queue that looks at the time stops for one that has a goal. */
static void wake(struct actual *actual)
{
    const bool debts = !is_without_debts(index_of(actual));

    rti_sched_wake(&run.sched, &actual->entity, run.now);
    actual->waits = plan_of(actual)->goal != 0 && !debts;
    actual->others = 0;
    if (run.current != NULL && plan_of(run.current)->hold <= run.the_case->slice &&
        rti_sched_preempts(&run.sched, &actual->entity, &run.current->entity)) {
        run.current = NULL;
    }
}

static void add_work(uint32_t i, double work)
{
    struct actual *actual = &run.actual[i];

    if (actual->work <= 0) {
        wake(actual);
    }
    actual->work += work;
    run.ideal[i].work += work;
}

static void do_step(const struct case_step *step)
{
    if (step->work > 0 && !run.the_case->queue[step->queue].busy) {
        add_work(step->queue, step->work);
    }
    if (step->shares > 0) {
        rti_sched_set_shares(&run.sched, &run.actual[step->queue].entity, step->shares);
        run.ideal[step->queue].shares = step->shares;
    }
    rti_sched_check(&run.sched);
    pass_time(step->run);
    rti_sched_check(&run.sched);
}

static const char *run_case(const struct sched_case *the_case)
{
    set_up(the_case);
    for (uint32_t i = 0; i < the_case->queues; i++) {
        if (the_case->queue[i].busy) {
            add_work(i, FOREVER);
        }
    }
    for (uint32_t i = 0; i < the_case->steps && run.wrong == NULL; i++) {
        do_step(&the_case->step[i]);
    }
    tear_down();
    return run.wrong;
}

/* Against the ideal */

static void report(struct sched_case *the_case, const char *origin)
{
    case_shrink(the_case, run_case);
    fprintf(stderr, "%s fails; made smaller: %s\n", origin, run_case(the_case));
    case_print(the_case, stderr);
    fail();
}

static void run_listing(const char *path)
{
    struct sched_case the_case;
    FILE *from = fopen(path, "re");

    assert_non_null(from);
    assert_true(case_read(&the_case, from));
    (void)fclose(from);
    if (run_case(&the_case) != NULL) {
        report(&the_case, path);
    }
}

static void the_scheduler_stays_near_an_ideal_division_of_the_core(void **state)
{
    const char *listing = getenv("RT_SCHED_CASE");
    struct sched_case the_case;

    (void)state;
    if (listing != NULL) {
        run_listing(listing);
        return;
    }
    for (unsigned i = 0; i < rt_test_seed_count(10000); i++) {
        char origin[32];

        case_draw(&the_case, rt_test_seed(i));
        if (run_case(&the_case) != NULL) {
            snprintf(origin, sizeof(origin), "RT_SEED=%" PRIu64, rt_test_seed(i));
            report(&the_case, origin);
        }
    }
}

/* With limits that no scheduler keeps each case fails: the smallest has two queues and one step. */
static void a_case_that_fails_is_made_small_and_can_be_read_from_its_listing(void **state)
{
    struct sched_case the_case = { .queues = 0 };
    struct sched_case read;
    char text[sizeof(run.text)];
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    strictness = 1000;
    for (uint64_t seed = 1; the_case.queues < 10 || run_case(&the_case) == NULL; seed++) {
        case_draw(&the_case, seed);
    }
    case_shrink(&the_case, run_case);
    assert_int_equal(the_case.queues, 2);
    assert_in_range(the_case.steps, 1, 3);

    snprintf(text, sizeof(text), "%s", run_case(&the_case));
    case_print(&the_case, file);
    rewind(file);
    assert_true(case_read(&read, file));
    (void)fclose(file);
    assert_string_equal(run_case(&read), text);
    strictness = 1;
    assert_null(run_case(&read));
}

/* As users would say it: sets of queues without parents, whose parts can be told by a division */

#define SET_MAX    10u
#define SET_SLICE  500000u
#define SET_SHARES 100u /* of the richest: a window of 300 slices of the poorest is short enough */

static struct set {
    struct rti_sched sched;
    struct rti_sched_entity entities[SET_MAX];
    double served[SET_MAX];
    uint32_t count;
    uint32_t weight;
    uint32_t poorest;
    uint64_t now;
} set;

static void set_begin(struct rand_state *rand)
{
    set = (struct set){ .count = (uint32_t)rand_range(rand, 2, SET_MAX), .poorest = SET_SHARES };
    rti_sched_init(&set.sched, SET_SLICE);
    for (uint32_t i = 0; i < set.count; i++) {
        const uint32_t shares = (uint32_t)rand_range(rand, 1, SET_SHARES);

        set.entities[i].shares = shares;
        set.entities[i].goal = rand_chance(rand, 200) ? SET_SLICE : 0;
        set.weight += shares;
        set.poorest = shares < set.poorest ? shares : set.poorest;
        assert_int_equal(rti_sched_add(&set.sched, &set.entities[i], NULL), 0);
        rti_sched_wake(&set.sched, &set.entities[i], 0);
    }
}

static void set_end(void)
{
    for (uint32_t i = 0; i < set.count; i++) {
        if (rti_sched_is_runnable(&set.entities[i])) {
            rti_sched_sleep(&set.sched, &set.entities[i]);
        }
        rti_sched_remove(&set.sched, &set.entities[i]);
    }
    rti_sched_fini(&set.sched);
}

/* The chosen one runs for up to a slice. */
static uint32_t set_run(struct rand_state *rand, uint64_t ticks_max)
{
    struct rti_sched_entity *entity = rti_sched_pick(&set.sched);
    const uint64_t ticks = 1 + rand_below(rand, ticks_max);
    uint32_t i = 0;

    assert_non_null(entity);
    while (entity != &set.entities[i]) {
        i++;
    }
    rti_sched_charge(&set.sched, entity, ticks);
    set.served[i] += (double)ticks;
    set.now += ticks;
    return i;
}

static void busy_queues_get_their_shares_within_one_per_cent(void **state)
{
    const unsigned seeds = (rt_test_seed_count(10000) + 499) / 500;

    (void)state;
    for (unsigned run_index = 0; run_index < seeds; run_index++) {
        struct rand_state rand;
        double window;

        rand_init(&rand, rt_test_seed(run_index));
        set_begin(&rand);
        window = 300.0 * SET_SLICE * set.weight / set.poorest;
        while ((double)set.now < window) {
            (void)set_run(&rand, SET_SLICE);
        }
        for (uint32_t i = 0; i < set.count; i++) {
            const double part = (double)set.now * set.entities[i].shares / set.weight;

            if (set.served[i] < part * 0.99 || set.served[i] > part * 1.01) {
                fail_msg("RT_SEED=%" PRIu64 ": queue %" PRIu32 " of %" PRIu32 " got %.0f of %.0f",
                         rt_test_seed(run_index), i, set.count, set.served[i], part);
            }
        }
        set_end();
    }
}

/* Queue 0 sleeps and wakes at random. The others are busy, so the ideal is a product. */
static void one_that_sleeps_gets_no_more_than_its_part_since_it_woke_and_a_slice(void **state)
{
    const unsigned seeds = (rt_test_seed_count(10000) + 99) / 100;

    (void)state;
    for (unsigned run_index = 0; run_index < seeds; run_index++) {
        struct rti_sched_entity *sleeper = &set.entities[0];
        struct rand_state rand;
        double since = 0;

        rand_init(&rand, rt_test_seed(run_index));
        set_begin(&rand);
        for (unsigned step = 0; step < 2000; step++) {
            const bool ran = set_run(&rand, SET_SLICE) == 0;
            const double part = ((double)set.now - since) * sleeper->shares / set.weight;

            if (set.served[0] > part + SET_SLICE) {
                fail_msg("RT_SEED=%" PRIu64 ": the sleeper got %.0f, its part is %.0f",
                         rt_test_seed(run_index), set.served[0], part);
            }
            if (ran && rand_chance(&rand, 500)) {
                rti_sched_sleep(&set.sched, sleeper);
            } else if (!rti_sched_is_runnable(sleeper) && rand_chance(&rand, 100)) {
                rti_sched_wake(&set.sched, sleeper, set.now);
                since = (double)set.now;
                set.served[0] = 0;
            }
        }
        set_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scheduler_stays_near_an_ideal_division_of_the_core),
        cmocka_unit_test(a_case_that_fails_is_made_small_and_can_be_read_from_its_listing),
        cmocka_unit_test(busy_queues_get_their_shares_within_one_per_cent),
        cmocka_unit_test(one_that_sleeps_gets_no_more_than_its_part_since_it_woke_and_a_slice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
