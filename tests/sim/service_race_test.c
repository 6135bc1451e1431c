/* SPDX-License-Identifier: MIT */
/*
 * Services under races: tasks of all shards start, call and stop three services, one of which
 * depends on another, while the runtime may stop.
 *
 * Method: a random program per seed on the simulated kernel. Instances lie on the heap, and the
 * test keeps its own book of them. What must be true:
 *
 *   - a function runs with its shard's instance, which is there until it has returned;
 *   - a call that says so has run its function once; one that was refused, never;
 *   - a call is refused only if the service did not run all the time;
 *   - a start that failed has left no instance, and one that did not has made all;
 *   - a stop destroys from the highest shard, and no service before what depends on it;
 *   - when all is over as many instances were destroyed as were made.
 *
 * The mistakes that it must find stand in tests/explore/mutants.py.
 *
 * RT_SEED=<seed> replays one seed, RT_SEEDS=<n> runs that many.
 */
#include "support/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"
#include "support/rand.h"
#include "support/shards.h"

#define FEW_MAX   4
#define NAMES     3
#define BASE      0 /* UPPER depends on it */
#define UPPER     1
#define STEPS_MAX 60
#define DEPTH_MAX 3
#define MAGIC     0x5e41ce
#define SEEDS     (SHARDS_SEEDS / 5) /* a short run; RT_SEEDS=10000 is the long one */

struct object {
    int magic;
    unsigned name;
    uint32_t shard;
};

/* One service, as the test knows it. */
struct book {
    struct rt_service *handle; /* of its first start */
    struct object *live[FEW_MAX];
    unsigned inside[FEW_MAX];
    unsigned changes;   /* starts and stops that were tried */
    bool is_running;    /* a start has returned, and no stop was tried since */
    uint32_t destroyed; /* the last one of this stop */
};

static struct {
    struct rand_state rand;
    uint32_t shards;
    unsigned steps_left;
    unsigned firsts; /* that have not returned */
    bool has_stop;   /* somebody stops the runtime */
    struct book books[NAMES];
    uint64_t hash;
} program;

/* What the programs of all seeds have met. A path that none of them takes is not tested. */
static struct {
    uint64_t starts;
    uint64_t undone;
    uint64_t stops;
    uint64_t busy;
    uint64_t calls;
    uint64_t refused;
    uint64_t cancelled;
    uint64_t left; /* for the end of the first tasks */
} totals;

static unsigned draw(unsigned limit)
{
    return (unsigned)rand_below(&program.rand, limit);
}

static rt_time some_deadline(void)
{
    switch (draw(4)) {
    case 0:
        return 0;
    case 1:
        return rt_in(draw(20000));
    case 2:
        return rt_in(draw(500000));
    default:
        return RT_NEVER;
    }
}

static int wait_a_little(void)
{
    if (draw(2) == 0) {
        rt_yield();
        return 0;
    }
    return rt_sleep_until(rt_in(draw(20000)));
}

static int take_steps(unsigned count, unsigned depth);

/* ---- an instance ---- */

static int create(void **instance, void *arg)
{
    const unsigned name = *(unsigned *)arg;
    const uint32_t shard = rt_shard_index();
    struct object *object;

    T_CHECK(program.books[name].live[shard] == NULL);
    for (unsigned waits = draw(3); waits > 0; waits--) {
        const int r = wait_a_little();

        if (r < 0) {
            return r;
        }
    }
    if (draw(10) == 0) {
        return -1000 - (int)shard;
    }
    object = malloc(sizeof(*object));
    T_CHECK(object != NULL);
    *object = (struct object){ .magic = MAGIC, .name = name, .shard = shard };
    program.books[name].live[shard] = object;
    *instance = object;
    return 0;
}

static bool is_stopping(const struct book *book)
{
    struct rt_service_stats stats = { .state = RT_SERVICE_STARTING };

    if (book->handle != NULL) {
        rt_service_stats(book->handle, 0, &stats, sizeof(stats));
    }
    return stats.state == RT_SERVICE_STOPPING;
}

static unsigned live_of(const struct book *book)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < program.shards; i++) {
        count += book->live[i] != NULL;
    }
    return count;
}

/* From the highest shard, and no call is inside anywhere. */
static void check_stop(struct book *book, uint32_t shard)
{
    if (live_of(book) == program.shards) {
        book->destroyed = program.shards;
    }
    T_CHECK(shard == book->destroyed - 1);
    book->destroyed = shard;
    for (uint32_t i = 0; i < program.shards; i++) {
        T_CHECK(book->inside[i] == 0);
    }
}

static void destroy(void *instance)
{
    struct object *object = instance;
    struct book *book = &program.books[object->name];

    T_CHECK(object->magic == MAGIC && object->shard == rt_shard_index());
    T_CHECK(object->name != BASE || live_of(&program.books[UPPER]) == 0);
    T_CHECK(book->inside[object->shard] == 0);
    if (is_stopping(book)) {
        check_stop(book, object->shard);
    }
    for (unsigned waits = draw(3); waits > 0; waits--) {
        T_CHECK(wait_a_little() == 0 || !is_stopping(book)); /* nobody cancels it */
    }
    T_CHECK(book->inside[object->shard] == 0 && book->live[object->shard] == object);
    book->live[object->shard] = NULL;
    object->magic = 0;
    free(object);
}

/* ---- calls ---- */

struct message {
    unsigned name;
    unsigned depth;
    unsigned starts; /* by all shards; one thread runs at a time */
};

static void check_instance(const struct object *object, unsigned name)
{
    const uint32_t shard = rt_shard_index();

    T_CHECK(object == program.books[name].live[shard]);
    T_CHECK(object != NULL && object->magic == MAGIC && object->shard == shard);
}

static int serve(void *instance, void *arg)
{
    struct message *message = arg;
    struct book *book = &program.books[message->name];
    const uint32_t shard = rt_shard_index();
    int r = 0;

    message->starts++;
    book->inside[shard]++;
    for (unsigned waits = draw(4); waits > 0 && r == 0; waits--) {
        check_instance(instance, message->name);
        r = draw(3) == 0 ? take_steps(1, message->depth + 1) : wait_a_little();
    }
    check_instance(instance, message->name);
    book->inside[shard]--;
    totals.cancelled += r == -ECANCELED;
    return r == -ECANCELED ? r : (int)shard;
}

/* It cannot have been refused by a service that ran all the time. */
static void check_error(const struct book *book, int r, bool ran, unsigned changes)
{
    T_CHECK(r == 0 || r == -ETIME || r == -ECANCELED || r == -EAGAIN || r == -ESHUTDOWN);
    if (r == -ESHUTDOWN) {
        T_CHECK(!ran || book->changes != changes || program.firsts == 0);
        totals.refused++;
    }
}

static int call_one(unsigned depth)
{
    struct message message = { .name = draw(NAMES), .depth = depth };
    struct book *book = &program.books[message.name];
    const uint32_t shard = draw(program.shards);
    const bool ran = book->is_running;
    const unsigned changes = book->changes;
    int result = -1;
    int r;

    if (book->handle == NULL) {
        return 0;
    }
    r = rt_service_call(book->handle, shard, serve, &message, &result, some_deadline());
    check_error(book, r, ran, changes);
    T_CHECK(message.starts <= 1);
    T_CHECK(r != 0 || (message.starts == 1 && (result == (int)shard || result == -ECANCELED)));
    T_CHECK((r != -ESHUTDOWN && r != -EAGAIN) || message.starts == 0);
    totals.calls += r == 0;
    return r;
}

static void add_one(void *into, const struct rt_call_part *part)
{
    T_CHECK(part->error == 0);
    ++*(unsigned *)into;
}

static int call_all(unsigned depth)
{
    struct message message = { .name = draw(NAMES), .depth = depth };
    struct book *book = &program.books[message.name];
    const bool ran = book->is_running;
    const unsigned changes = book->changes;
    struct rt_call_part parts[FEW_MAX];
    unsigned answers = 0;
    int r;

    if (book->handle == NULL) {
        return 0;
    }
    r = rt_service_map_reduce(book->handle, parts, serve, &message, 0, add_one, &answers,
                              some_deadline());
    check_error(book, r, ran, changes);
    T_CHECK(answers <= message.starts && message.starts <= program.shards);
    T_CHECK(r != 0 || answers == program.shards);
    for (uint32_t i = 0; i < program.shards; i++) {
        answers -= parts[i].error == 0;
    }
    T_CHECK(answers == 0);
    return r;
}

/* ---- starts and stops ---- */

static int start_one(void)
{
    static const char *const names[NAMES] = { "base", "upper", "other" };
    static const unsigned numbers[NAMES] = { BASE, UPPER, 2 };
    const unsigned name = draw(NAMES);
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;
    struct book *book = &program.books[name];
    struct rt_service *service = NULL;
    struct rt_service *base;
    const unsigned change = ++book->changes;
    int r;

    if (rt_service_find(names[name]) != NULL ||
        (name == UPPER && !program.books[BASE].is_running)) {
        return 0;
    }
    base = program.books[BASE].handle;
    options.name = names[name];
    options.create = create;
    options.destroy = destroy;
    options.depends_on = &base;
    options.depends_count = name == UPPER;
    options.grace = draw(2) * draw(100000);
    r = rt_service_start(&service, &options, (void *)(uintptr_t)&numbers[name], 0, some_deadline());
    if (r == -EEXIST || r == -EINVAL) {
        return 0; /* another task was faster */
    }
    if (r < 0) {
        T_CHECK(service == NULL);
        T_CHECK(r == -ETIME || r == -ECANCELED || r == -EAGAIN || r == -ESHUTDOWN ||
                (r <= -1000 && r > -1000 - (int)program.shards));
        T_CHECK(r != -ESHUTDOWN || program.firsts == 0);
        totals.undone++;
        return r == -ECANCELED ? r : 0;
    }
    T_CHECK(program.books[name].handle == NULL || program.books[name].handle == service);
    book->handle = service;
    book->is_running = book->changes == change;
    T_CHECK(!book->is_running || program.firsts == 0 || live_of(book) == program.shards);
    totals.starts++;
    return 0;
}

static int stop_one(void)
{
    const unsigned name = draw(NAMES);
    struct book *book = &program.books[name];
    const unsigned change = ++book->changes;
    int r;

    if (book->handle == NULL) {
        return 0;
    }
    book->is_running = false;
    r = rt_service_stop(book->handle, some_deadline());
    T_CHECK(r == 0 || r == -EBUSY || r == -EALREADY);
    book->is_running = r == -EBUSY && book->changes == change;
    totals.stops += r == 0;
    totals.busy += r == -EBUSY;
    return 0;
}

/* ---- tasks ---- */

static int work(void *arg)
{
    (void)arg;
    return take_steps(1 + draw(4), 0);
}

/* A task that may outlive all first tasks, and is cancelled then. */
static int spawn(void)
{
    struct rt_task *task;
    const int r = rt_spawn(&task, work, NULL);

    T_CHECK(r == 0 || r == -EAGAIN || r == -ESHUTDOWN);
    if (r == 0) {
        rt_detach(task);
    }
    return 0;
}

static int take_step(unsigned depth)
{
    switch (draw(12)) {
    case 0:
    case 1:
        return depth == 0 ? start_one() : 0; /* in no call: a stop would wait for its own */
    case 2:
        return depth == 0 ? stop_one() : 0;
    case 3:
        return call_all(depth);
    case 4:
    case 5:
    case 6:
    case 7:
        return call_one(depth);
    case 8:
        return spawn();
    case 9:
        if (program.has_stop && draw(10) == 0) {
            rt_stop(NULL);
        }
        return 0;
    default:
        return wait_a_little();
    }
}

static int take_steps(unsigned count, unsigned depth)
{
    int r = 0;

    while (count-- > 0 && depth <= DEPTH_MAX && program.steps_left > 0 && r != -ECANCELED) {
        program.steps_left--;
        r = take_step(depth);
    }
    return r == -ECANCELED ? r : 0;
}

static int first(void *arg)
{
    int r;

    (void)arg;
    r = take_steps(draw(30), 0);
    if (--program.firsts == 0) {
        for (unsigned name = 0; name < NAMES; name++) {
            totals.left += live_of(&program.books[name]) > 0;
        }
    }
    return r;
}

/* A dependency may stop while a start is about to look: that is told. */
static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    T_CHECK(level != RT_LOG_ERROR || strstr(text, "which does not run") != NULL);
}

static bool run_seed(uint64_t seed)
{
    struct shards shards;

    memset(&program, 0, sizeof(program));
    rand_init(&program.rand, seed);
    program.shards = 2 + draw(FEW_MAX - 1);
    program.firsts = program.shards;
    program.steps_left = STEPS_MAX;
    program.has_stop = draw(2) == 0;
    shards_init(&shards, seed, program.shards);
    if (draw(4) > 0) {
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
    }
    shards.runtime.log = hear;
    shards_run(&shards, first, NULL);
    program.hash = shards.hash;
    T_CHECK(shards.started);
    T_CHECK(shards.result == 0);
    T_CHECK(shards.faults == 0);
    for (unsigned name = 0; name < NAMES; name++) {
        T_CHECK(live_of(&program.books[name]) == 0);
    }
    return t_failures() == 0;
}

static void random_programs_keep_the_promises(void **state)
{
    const unsigned count = rt_test_seed_count(SEEDS);
    unsigned failures = 0;

    (void)state;
    for (unsigned i = 0; i < count && failures < 3; i++) {
        if (!run_seed(rt_test_seed(i))) {
            print_error("failed: RT_SEED=%" PRIu64 "\n", rt_test_seed(i));
            failures++;
        }
    }
    assert_int_equal(failures, 0);
    print_message("%" PRIu64 " starts, %" PRIu64 " undone, %" PRIu64 " stops, %" PRIu64
                  " busy, %" PRIu64 " left for the end; %" PRIu64 " calls, %" PRIu64
                  " refused, %" PRIu64 " cancelled\n",
                  totals.starts, totals.undone, totals.stops, totals.busy, totals.left,
                  totals.calls, totals.refused, totals.cancelled);
    if (count >= SEEDS) {
        assert_true(totals.undone > 0 && totals.stops > 0 && totals.busy > 0 && totals.left > 0);
        assert_true(totals.calls > 0 && totals.refused > 0 && totals.cancelled > 0);
    }
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        const uint64_t seed = rt_test_seed(i);
        uint64_t hash;

        assert_true(run_seed(seed));
        hash = program.hash;
        assert_true(run_seed(seed));
        assert_int_equal(hash, program.hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_programs_keep_the_promises),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
