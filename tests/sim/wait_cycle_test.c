/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for each other in a ring are named in a dump, and by the watch without being
 * asked, whatever shards they are on; and nobody else is.
 *
 * Method: each task holds a mutex of its own. When all do, each locks the mutex of one other, on
 * the shard that has it; whose is drawn. So who waits for whom is a graph with one edge from each
 * task, and its rings are found by a plain walk. The dump must tell the same ones. It is made when
 * all tasks wait: the last that comes says so, and the dump finds it between two of its steps. The
 * watch is heard in the log, after some of its looks.
 */
#include "support/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cycle.h"
#include "core/executor.h"
#include "rt/rt.h"
#include "support/rand.h"
#include "support/shards.h"

#define SEEDS      1000
#define SHARDS     3
#define TASKS_MAX  12
#define TEXT_BYTES 65536
#define NOBODY     UINT32_MAX
#define PERIOD     RT_MILLISECONDS(20) /* of the watch */
#define LOOKS      6                   /* that it has time for */

struct holder {
    struct rt_mutex mutex;
    uint32_t shard;
    uint32_t wants; /* whose mutex; NOBODY: it sleeps */
    bool by_child;  /* a child wants it, and this one joins that */
    bool by_set;    /* it calls by rt_call_each() */
    char name[16];
};

/* Where tasks of all shards park until all have come. */
struct barrier {
    struct rt_waker wakers[TASKS_MAX + SHARDS];
    uint32_t parked;
    uint32_t count;
};

struct plan {
    struct holder holders[TASKS_MAX];
    struct barrier hold; /* those that have locked their own */
    struct barrier wait; /* and those that are about to wait for ever */
    uint32_t count;
    bool json;
    bool is_watched; /* no dump is made */
};

static struct plan plan; /* one thread runs at a time */
static char text[TEXT_BYTES];

static void count_up(struct barrier *barrier)
{
    barrier->count++;
    for (uint32_t i = 0; barrier->count == plan.count && i < barrier->parked; i++) {
        rt_wake(barrier->wakers[i]);
    }
}

static int await_all(struct barrier *barrier)
{
    int r = 0;

    barrier->wakers[barrier->parked++] = rt_waker_self();
    while (barrier->count < plan.count && r == 0) {
        r = rt_park(RT_NEVER);
    }
    return r;
}

/* ---- the tasks ---- */

static int lock_and_let_go(void *arg)
{
    struct holder *wanted = arg;
    int r;

    count_up(&plan.wait);
    r = rt_mutex_lock(&wanted->mutex, RT_NEVER);
    if (r == 0) {
        rt_mutex_unlock(&wanted->mutex);
    }
    return r;
}

static int sleep_on(void *arg)
{
    (void)arg;
    count_up(&plan.wait);
    return rt_sleep_until(RT_NEVER);
}

static int call_for(struct holder *wanted, bool by_set)
{
    struct rt_call_part part = { .shard = wanted->shard, .arg = wanted };

    return by_set ? rt_call_each(&part, 1, lock_and_let_go, RT_NEVER)
                  : rt_call(wanted->shard, lock_and_let_go, wanted, NULL, RT_NEVER);
}

static int want(void *arg)
{
    const struct holder *self = arg;

    return self->wants == NOBODY ? sleep_on(NULL)
                                 : call_for(&plan.holders[self->wants], self->by_set);
}

static int join_who_wants(void *arg)
{
    struct rt_task *child;
    int r;

    T_CHECK(rt_spawn(&child, want, arg) == 0);
    r = rt_join(child, NULL, RT_NEVER);
    if (r < 0) {
        rt_cancel(child);
        rt_detach(child);
    }
    return r;
}

static int hold_and_want(void *arg)
{
    struct holder *self = arg;
    int r;

    T_CHECK(rt_mutex_lock(&self->mutex, 0) == 0);
    count_up(&plan.hold);
    T_CHECK(await_all(&plan.hold) == 0);
    r = self->by_child ? join_who_wants(self) : want(self);
    T_CHECK(r == 0 || r == -ECANCELED);
    rt_mutex_unlock(&self->mutex);
    return 0;
}

/* ---- the dump ---- */

static void read_dump(void)
{
    const int file = memfd_create("dump", MFD_CLOEXEC);
    ssize_t n;

    T_CHECK(rt_dump_all(file, RT_DUMP_BRIEF | (plan.json ? (uint32_t)RT_DUMP_JSON : 0), RT_NEVER) ==
            0);
    n = pread(file, text, TEXT_BYTES - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(file);
}

static unsigned count_of(const char *what)
{
    unsigned found = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        found++;
    }
    return found;
}

/* Whether a walk from `first` comes back to it. */
static bool is_in_ring(uint32_t first)
{
    uint32_t at = plan.holders[first].wants;

    for (uint32_t steps = 0; at != NOBODY && steps < plan.count; steps++) {
        if (at == first) {
            return true;
        }
        at = plan.holders[at].wants;
    }
    return false;
}

static bool is_first_of_ring(uint32_t holder)
{
    uint32_t at = plan.holders[holder].wants;

    if (!is_in_ring(holder)) {
        return false;
    }
    for (; at != holder; at = plan.holders[at].wants) {
        if (at < holder) {
            return false;
        }
    }
    return true;
}

static unsigned rings; /* of all plans */

/* Who stands in a ring is told once; all others are not. */
static void check_text(unsigned expected)
{
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct holder *holder = &plan.holders[i];
        char who[64];

        snprintf(who, sizeof(who), "'%s' (shard %u) waits in", holder->name, holder->shard);
        T_CHECK(count_of(who) == is_in_ring(i));
    }
    T_CHECK(count_of("wait cycle: ") == expected);
}

static void check_json(unsigned expected)
{
    char *tail = strstr(text, "\"wait_cycles\":[");

    T_CHECK(tail != NULL && strstr(tail, "],\"wait_cycles_complete\":true}") != NULL);
    memmove(text, tail, strlen(tail) + 1);
    for (uint32_t i = 0; i < plan.count; i++) {
        char who[64];

        snprintf(who, sizeof(who), "\"name\":\"%s\",\"waits_for\"", plan.holders[i].name);
        T_CHECK(count_of(who) == is_in_ring(i));
    }
    T_CHECK(count_of("[{") == expected);
}

/* Lines of the watch are added to the text. */
static void hear(void *arg, enum rt_log_level level, const char *line)
{
    const size_t used = strlen(text);

    (void)arg;
    T_CHECK(level == RT_LOG_WARNING);
    snprintf(text + used, TEXT_BYTES - used, "%s\n", line);
}

static void check_watch(unsigned expected)
{
    T_CHECK(rt_sleep_until(rt_in(LOOKS * PERIOD)) == 0);
    for (uint32_t i = 0; i < plan.count; i++) {
        const struct holder *holder = &plan.holders[i];
        char who[64];

        snprintf(who, sizeof(who), "'%s' (shard %u) waits in", holder->name, holder->shard);
        T_CHECK(count_of(who) == is_in_ring(i));
    }
    T_CHECK(count_of(" tasks wait for each other\n") == expected);
}

static void check_dump(void)
{
    unsigned expected = 0;

    for (uint32_t i = 0; i < plan.count; i++) {
        expected += is_first_of_ring(i);
    }
    rings += expected;
    if (plan.is_watched) {
        check_watch(expected);
    } else {
        read_dump();
        (plan.json ? check_json : check_text)(expected);
    }
}

static int first(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (uint32_t i = 0; i < plan.count; i++) {
        struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;

        options.name = plan.holders[i].name;
        if (plan.holders[i].shard == rt_shard_index()) {
            T_CHECK(rt_group_spawn_with(&group, hold_and_want, &plan.holders[i], &options,
                                        RT_NEVER) == 0);
        }
    }
    if (rt_shard_index() == 0) {
        T_CHECK(await_all(&plan.wait) == 0);
        check_dump();
        rt_stop(rt_runtime_self());
    }
    (void)rt_sleep_until(RT_NEVER); /* until the stop */
    return rt_group_leave(&group, 0);
}

static void run(rt_task_fn what, uint64_t seed)
{
    struct shards shards;

    shards_init(&shards, seed, SHARDS);
    shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    if (plan.is_watched) {
        shards.runtime.wait_cycles = PERIOD;
        shards.runtime.log = hear;
        text[0] = '\0';
    }
    shards_run(&shards, what, NULL);
    T_CHECK(shards.started && shards.result == 0);
    T_CHECK(shards.faults == 0);
}

static void run_plan(uint64_t seed, bool is_watched)
{
    struct rand_state rand;

    memset(&plan, 0, sizeof(plan));
    rand_init(&rand, seed);
    plan.count = 2 + (uint32_t)rand_below(&rand, TASKS_MAX - 1);
    plan.json = rand_below(&rand, 3) == 0;
    plan.is_watched = is_watched;
    for (uint32_t i = 0; i < plan.count; i++) {
        struct holder *holder = &plan.holders[i];

        holder->shard = (uint32_t)rand_below(&rand, SHARDS);
        holder->wants = (uint32_t)rand_below(&rand, plan.count);
        holder->by_child = rand_below(&rand, 3) == 0;
        holder->by_set = rand_below(&rand, 3) == 0;
        if (holder->wants == i) { /* to lock what one holds aborts */
            holder->wants = NOBODY;
        }
        snprintf(holder->name, sizeof(holder->name), "h%u", i);
    }
    run(first, seed);
}

static void run_plans(unsigned seeds, bool is_watched)
{
    const unsigned count = rt_test_seed_count(seeds);

    rings = 0;
    for (unsigned i = 0; i < count; i++) {
        run_plan(rt_test_seed(i), is_watched);
        if (t_failures() > 0) {
            fail_msg("failed: RT_SEED=%" PRIu64 "\n%s", rt_test_seed(i), text);
        }
    }
    print_message("%u rings\n", rings);
    assert_true(count < seeds || rings > seeds / 2);
}

static void a_dump_tells_all_rings_of_tasks_and_nothing_else(void **state)
{
    (void)state;
    run_plans(SEEDS, false);
}

static void the_watch_tells_each_ring_once_and_nothing_else(void **state)
{
    (void)state;
    run_plans(SEEDS / 4, true);
    plan.is_watched = false;
}

/* ---- what looks cost ---- */

#define IDLE_LOOKS 100

static uint64_t turns_now(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.turns;
}

/* A debug build wakes a task for nothing now and then, after which the shard is asked once more. */
static int be_idle(void *arg)
{
    uint64_t turns;

    (void)arg;
    T_CHECK(rt_sleep_until(rt_in(2 * PERIOD)) == 0);
    turns = turns_now();
    T_CHECK(rt_sleep_until(rt_in(IDLE_LOOKS * PERIOD)) == 0);
    T_CHECK(turns_now() - turns < IDLE_LOOKS / 4);
    return 0;
}

static void a_shard_that_sleeps_is_not_asked_again_and_again(void **state)
{
    struct shards shards;

    (void)state;
    shards_init(&shards, 3, SHARDS);
    shards.runtime.spin = RT_SPIN_OFF;
    shards.runtime.spin_policy = RT_SPIN_FIXED;
    shards.runtime.wait_cycles = PERIOD;
    shards_run(&shards, be_idle, NULL);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(shards.result, 0);
}

/* ---- one ring, word by word ---- */

static struct rt_mutex account = RT_MUTEX_INIT;
static struct rt_waker watcher;
static bool is_locking;

static int audit(void *arg)
{
    (void)arg;
    rt_self_set_name("audit");
    is_locking = true;
    rt_wake(watcher); /* which runs when this one waits */
    return rt_mutex_lock(&account, RT_NEVER);
}

static int book(void *arg)
{
    rt_self_set_name("book");
    return rt_call(0, audit, arg, NULL, RT_NEVER);
}

static int pay(void *arg)
{
    int r;

    rt_self_set_name("pay");
    T_CHECK(rt_mutex_lock(&account, 0) == 0);
    r = rt_call(1, book, arg, NULL, RT_NEVER);
    rt_mutex_unlock(&account);
    return r;
}

static uint32_t links_asked_for(rt_time asked)
{
    struct rti_links links = { .links = NULL };
    uint32_t count;

    rti_links_collect(&links, rti_current, rt_shard_index(), asked);
    count = links.count;
    rti_links_fini(&links);
    return count;
}

static int watch(void *arg)
{
    struct rt_task *task;
    int result = 0;

    if (rt_shard_index() != 0) {
        return 0;
    }
    watcher = rt_waker_self();
    T_CHECK(rt_spawn(&task, pay, arg) == 0);
    while (!is_locking) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
    T_CHECK(links_asked_for(0) == 0 && links_asked_for(rt_now()) == 2); /* Y1: pay and audit */
    read_dump();
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED);
    return 0;
}

/* Without the numbers of tasks, which are not the same in each run. */
static void strip_numbers(char *at)
{
    char *out = at;

    while (*at != '\0') {
        if (strncmp(at, "task ", 5) == 0) {
            at += 5 + strspn(at + 5, "0123456789 ");
        } else {
            *out++ = *at++;
        }
    }
    *out = '\0';
}

static void a_ring_over_two_shards_names_its_tasks_in_order(void **state)
{
    char *told;

    (void)state;
    is_locking = false;
    plan.json = false;
    run(watch, 5);
    assert_int_equal(t_failures(), 0);
    told = strstr(text, "wait cycle: ");
    assert_non_null(told);
    strip_numbers(told);
    assert_string_equal(told, "wait cycle: none of these tasks can go on\n"
                              "  'pay' (shard 0) waits in call for 'book' (shard 1)\n"
                              "  'book' (shard 1) waits in call for 'audit' (shard 0)\n"
                              "  'audit' (shard 0) waits in mutex for 'pay' (shard 0)\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_over_two_shards_names_its_tasks_in_order),
        cmocka_unit_test(a_shard_that_sleeps_is_not_asked_again_and_again),
        cmocka_unit_test(the_watch_tells_each_ring_once_and_nothing_else),
        cmocka_unit_test(a_dump_tells_all_rings_of_tasks_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
