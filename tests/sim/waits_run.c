/* SPDX-License-Identifier: MIT */
/*
 * Waits: the program that waits_test.c and waits_shards_test.c run with each kind of wait.
 *
 * The first task spawns waiters and acts upon them, by chance. A keeper outlives all of
 * them, whether the first task has joined them or has returned before, and looks at
 * what they left behind.
 */
#include "waits_waiter.h"

#include <errno.h>
#include <string.h>

#define ACTIONS_MAX 10
#define KINDS_MAX   64

void waits_fail(const char *condition, const char *file, int line)
{
    t_fail(condition, file, line);
}

/* Who lives */

static void keep_abort(struct rti_waiter *waiter, int reason)
{
    rti_waiter_finish(waiter, reason);
}

static const struct rti_wait_kind keep_kind = { .name = "the end of others", .abort = keep_abort };

static void await_none(struct run *run, const unsigned *live)
{
    while (*live > 0) {
        struct rti_waiter waiter;

        rti_waiter_init(&waiter, &keep_kind);
        waiter.mode = RTI_WAIT_EXEMPT; /* the keeper is cancelled by a stop like all others */
        run->keeper = &waiter;
        (void)rti_wait(&waiter, RT_NEVER);
    }
}

static void ended(struct run *run, unsigned *live)
{
    struct rti_waiter *keeper = run->keeper;

    T_CHECK(*live > 0);
    if (--*live == 0 && keeper != NULL) {
        run->keeper = NULL;
        rti_waiter_finish(keeper, 0);
    }
}

void waiter_ended(struct run *run)
{
    ended(run, &run->waiters_live);
}

void helper_begins(struct run *run)
{
    run->helpers_live++;
}

void helper_ended(struct run *run)
{
    ended(run, &run->helpers_live);
}

/* The first task */

/* Often so short that operations are under way after it. */
static rt_time some_while(struct run *run)
{
    return (rt_time)rand_below(&run->rand, rand_chance(&run->rand, 600) ? 60000 : 1500000);
}

static void spawn_one(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        if (!run->waiters[i].spawned) {
            waiter_spawn(&run->waiters[i]);
            return;
        }
    }
}

static void cancel_one(struct waiter *waiter)
{
    if (waiter->task != NULL) {
        waiter->cancelled = true;
        rt_cancel(waiter->task);
    }
}

static void cancel_scope(struct waiter *waiter)
{
    if (waiter->scope_count > 0) {
        struct test_scope
            *scope = &waiter->scopes[rand_below(&waiter->run->rand, waiter->scope_count)];

        if (!scope->shield) {
            scope->cancelled = true;
            rt_scope_cancel(&scope->scope);
        }
    }
}

static void join_one(struct waiter *waiter, rt_time deadline)
{
    int result = 0;
    int r;

    if (waiter->task == NULL) {
        return;
    }
    r = rt_join(waiter->task, &result, deadline);
    if (r == 0) {
        waiter->task = NULL;
        T_CHECK(result == (int)waiter->number || (result == -ECANCELED && waiter->cancelled));
        T_CHECK(!waiter->waiting);
    }
    T_CHECK(r == 0 || (r == -ETIME && rt_now() >= deadline));
    met.joins_in_vain += r != 0;
}

static void wake_for_nothing(struct waiter *waiter)
{
    if (waiter->started) {
        waiter->woken++;
        rt_wake(waiter->waker); /* possibly stale: allowed */
    }
}

static void act(struct run *run)
{
    switch (rand_below(&run->rand, 14)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (run->kind->happen != NULL) {
            run->kind->happen(run);
        }
        break;
    case 4:
    case 5:
        cancel_one(some_waiter(run));
        break;
    case 6:
        cancel_scope(some_waiter(run));
        break;
    case 7:
        join_one(some_waiter(run), rt_in((rt_time)rand_below(&run->rand, 200000)));
        break;
    case 8:
        wake_for_nothing(some_waiter(run));
        break;
    case 9:
    case 10:
        T_CHECK(rt_sleep_until(rt_in(some_while(run))) == 0);
        break;
    case 11:
        spawn_one(run);
        break;
    default:
        rt_yield();
        break;
    }
}

static void let_go(struct run *run)
{
    if (run->kind->let_go != NULL) {
        run->kind->let_go(run);
    }
}

/* The first task returns: whoever lives is cancelled. */
static void stop(struct run *run, struct rt_task *keeper)
{
    met.stops++;
    run->stopped = true;
    let_go(run);
    for (unsigned i = 0; i < run->waiter_count; i++) {
        rt_detach(run->waiters[i].task);
    }
    rt_detach(keeper);
    waiter_ended(run);
}

static void check_nothing_goes_on_in_vain(const struct run *run)
{
    const rt_time then = rt_now() - RT_MILLISECONDS(1);

    for (unsigned i = 0; i < run->waiter_count; i++) {
        const struct waiter *waiter = &run->waiters[i];

        if (waiter->waiting) {
            T_CHECK(run->kind->exempt || !wait_time_is_up(waiter, then));
            T_CHECK(run->kind->exempt || !wait_is_cancelled(waiter, then));
            T_CHECK(run->kind->is_there == NULL || !run->kind->is_there(waiter));
        }
    }
}

static void cancel_all(struct run *run)
{
    for (unsigned i = 0; i < run->waiter_count; i++) {
        cancel_one(&run->waiters[i]);
    }
}

/* All deadlines pass, and all that is to come comes: before those are cancelled who wait on, or,
 * where something is kept back, after that. */
static void settle(struct run *run, struct rt_task *keeper)
{
    const bool late = rand_chance(&run->rand, 400);
    struct rt_stats stats;

    if (!late) {
        let_go(run);
    }
    T_CHECK(rt_sleep_until(rt_in(RT_SECONDS(2))) == 0);
    if (!late) {
        check_nothing_goes_on_in_vain(run);
    }
    cancel_all(run);
    if (late) {
        T_CHECK(rt_sleep_until(rt_in(some_while(run))) == 0);
        let_go(run);
    }
    for (unsigned i = 0; i < run->waiter_count; i++) {
        join_one(&run->waiters[i], RT_NEVER);
    }
    waiter_ended(run);
    T_CHECK(rt_join(keeper, NULL, RT_NEVER) == 0);
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.tasks_live == run->tasks_before && stats.stacks_in_use == run->tasks_before);
    T_CHECK(stats.ops_in_flight == 0 && stats.timers_armed == 0 && stats.stale == 0);
}

static int keep(void *arg)
{
    struct run *run = arg;

    await_none(run, &run->waiters_live);
    if (run->kind->wind_up != NULL) {
        run->kind->wind_up(run);
    }
    await_none(run, &run->helpers_live);
    if (run->kind->unmake != NULL) {
        run->kind->unmake(run);
    }
    run->kept = true;
    return 0;
}

int waits_first(void *arg)
{
    struct run *run = arg;
    const unsigned actions = (unsigned)rand_below(&run->rand, ACTIONS_MAX + 1);
    const bool stops = rand_chance(&run->rand, 150);
    struct rt_task *keeper;
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    run->tasks_before = stats.tasks_live;
    run->waiters_live = 1; /* this one */
    if (run->kind->make != NULL) {
        run->kind->make(run);
    }
    for (unsigned i = 0; i < run->waiter_count; i++) {
        run->waiters[i].run = run;
        run->waiters[i].number = i;
        if (run->kind->make_waiter != NULL) {
            run->kind->make_waiter(&run->waiters[i]);
        }
    }
    T_CHECK(rt_spawn(&keeper, keep, run) == 0);
    for (uint64_t n = 1 + rand_below(&run->rand, run->waiter_count); n > 0; n--) {
        spawn_one(run);
    }
    for (unsigned i = 0; i < actions; i++) {
        act(run);
    }
    if (stops) {
        stop(run, keeper);
    } else {
        settle(run, keeper);
    }
    return 0;
}

/* Reports */

static void print_what_was_met(const struct kind *kind, unsigned seeds)
{
    static const char *const names[WAYS] = { "call",         "select", "await",
                                             "await select", "poll",   "poll select" };

    printf("%s: %u seeds, %u stops, %u joins in vain, %u waits in scopes, %u ended by one\n",
           kind->name, seeds, met.stops, met.joins_in_vain, met.scoped, met.ended_by_scope);
    for (unsigned way = 0; way < WAYS; way++) {
        const unsigned *n = met.waits[way];

        if (n[GOT] + n[TIMED_OUT] + n[CANCELLED] + n[OTHER] > 0) {
            printf("    %-12s %6u got, %6u timed out, %6u cancelled, %6u other\n", names[way],
                   n[GOT], n[TIMED_OUT], n[CANCELLED], n[OTHER]);
        }
    }
}

/* Every way of every kind ends in every way that it can. */
static void check_what_was_met(const struct kind *kind, unsigned seeds)
{
    for (unsigned fiber = 0; fiber < 2; fiber++) {
        enum way ways[WAYS];
        const unsigned n = wait_ways_of(kind, fiber != 0, ways);

        for (unsigned i = 0; i < n; i++) {
            const unsigned *waits = met.waits[ways[i]];

            assert_true(waits[GOT] > seeds / 50);
            assert_true(kind->exempt || waits[CANCELLED] > seeds / 50);
            assert_true(kind->exempt || kind->deadline_is_event || waits[TIMED_OUT] > seeds / 50);
        }
    }
    assert_true(met.stops > 0 && met.joins_in_vain > 0 && met.scoped > seeds / 4);
    assert_true(kind->exempt || met.ended_by_scope > seeds / 50);
}

/* Runs */

void waits_begin(struct run *run, const struct kind *kind, uint64_t seed)
{
    const unsigned most = kind->waiters_max > 0 ? kind->waiters_max : WAITERS_MAX;

    memset(run, 0, sizeof(*run));
    run->kind = kind;
    run->seed = seed;
    rand_init(&run->rand, seed * 2654435761u + 29);
    run->waiter_count = 1 + (unsigned)rand_below(&run->rand, most);
}

unsigned waits_end(const struct run *run)
{
    unsigned failures;

    T_CHECK(run->kept && run->waiters_live == 0 && run->helpers_live == 0);
    failures = t_failures();
    if (failures > 0) {
        fprintf(stderr, "%u checks failed; replay with RT_WAIT='%s' RT_SEED=%llu\n", failures,
                run->kind->name, (unsigned long long)run->seed);
    }
    return failures;
}

static unsigned (*run_one)(const struct kind *kind, uint64_t seed);
static unsigned seeds_of_each;

static void every_wait_has_one_outcome_and_the_right_one(void **state)
{
    const struct kind *kind = *state;
    const char *only = getenv("RT_WAIT");
    const unsigned count = rt_test_seed_count(seeds_of_each);
    unsigned failed = 0;

    if (only != NULL && strcmp(only, kind->name) != 0) {
        skip();
    }
    memset(&met, 0, sizeof(met));
    for (unsigned i = 0; i < count && failed < 3; i++) {
        failed += run_one(kind, rt_test_seed(i)) > 0;
    }
    print_what_was_met(kind, count);
    assert_int_equal(failed, 0);
    if (count >= 1000) {
        check_what_was_met(kind, count);
    }
}

int waits_run(const struct kind *const *const *lists, unsigned seeds,
              unsigned (*run)(const struct kind *kind, uint64_t seed))
{
    static struct CMUnitTest tests[KINDS_MAX];
    size_t n = 0;

    run_one = run;
    seeds_of_each = seeds;
    for (; *lists != NULL; lists++) {
        for (const struct kind *const *kind = *lists; *kind != NULL && n < KINDS_MAX; kind++) {
            tests[n++] = (struct CMUnitTest){ (*kind)->name,
                                              every_wait_has_one_outcome_and_the_right_one, NULL,
                                              NULL, (void *)(uintptr_t)*kind };
        }
    }
    return _cmocka_run_group_tests("every_wait_has_one_outcome_and_the_right_one", tests, n, NULL,
                                   NULL);
}
