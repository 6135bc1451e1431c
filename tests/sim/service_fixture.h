/* SPDX-License-Identifier: MIT */
/*
 * A service to be tested, and a run in which a test does with it what it wants.
 *
 * Three shards on the simulated kernel; shard 0's first task does what the test is about, the
 * others' return at once and serve. Each service writes a line of letters: a large one when an
 * instance is destroyed, so "CBA" is an orderly stop, and a dot when a call ends that was told to
 * stay. Instances lie on the heap, so a use after a destroy is found by AddressSanitizer too. After
 * each run as many were destroyed as were made.
 */
#ifndef RT_TEST_SERVICE_FIXTURE_H
#define RT_TEST_SERVICE_FIXTURE_H

#include "support/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"
#include "support/shards.h"

#define SEEDS  20
#define SHARDS 3

struct object {
    uint32_t shard;
    int value;
};

/* One thread runs at a time. */
static struct {
    char letters[64];
    size_t count;
    int fails[SHARDS]; /* what create returns there */
    unsigned live;
    unsigned inside;
    bool may_go; /* calls that wait for it */
} seen;

static rt_task_fn what;

static inline int first_of_shards(void *arg)
{
    return rt_shard_index() == 0 ? what(arg) : 0;
}

static inline void note(char letter)
{
    T_CHECK(seen.count < sizeof(seen.letters) - 1);
    seen.letters[seen.count++] = letter;
}

/* What was written since the last look. */
static inline bool wrote(const char *expected)
{
    const bool same = strcmp(seen.letters, expected) == 0;

    if (!same) {
        print_error("expected \"%s\", got \"%s\"\n", expected, seen.letters);
    }
    memset(seen.letters, 0, sizeof(seen.letters));
    seen.count = 0;
    return same;
}

/* The service has written `letters` when all has ended; NULL: whatever it was. */
static inline void run_to_the_letters(rt_task_fn fn, const char *letters)
{
    what = fn;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        struct shards shards;

        memset(&seen, 0, sizeof(seen));
        shards_init(&shards, seed, SHARDS);
        shards.runtime.tasks_max = SHARDS_TASKS_MANY;
        shards.runtime.log_level = RT_LOG_WARNING;
        shards_run(&shards, first_of_shards, NULL);
        assert_int_equal(shards.result, 0);
        assert_int_equal(shards.faults, 0);
        assert_int_equal(seen.live, 0);
        assert_true(letters == NULL || wrote(letters));
        assert_int_equal(t_failures(), 0);
    }
}

static inline void run_sharded(rt_task_fn fn)
{
    run_to_the_letters(fn, NULL);
}

/* ---- a service ---- */

static inline int create(void **instance, void *arg)
{
    const uint32_t shard = rt_shard_index();
    struct object *object;

    if (seen.fails[shard] < 0) {
        return seen.fails[shard];
    }
    object = malloc(sizeof(*object));
    T_CHECK(object != NULL);
    *object = (struct object){ .shard = shard, .value = arg != NULL ? *(int *)arg : 0 };
    *instance = object;
    seen.live++;
    return 0;
}

static inline void destroy(void *instance)
{
    struct object *object = instance;

    T_CHECK(object->shard == rt_shard_index());
    rt_yield(); /* it may wait */
    note((char)('A' + object->shard));
    free(object);
    seen.live--;
}

static inline struct rt_service_options options_of(const char *name)
{
    struct rt_service_options options = RT_SERVICE_OPTIONS_INIT;

    options.name = name;
    options.create = create;
    options.destroy = destroy;
    return options;
}

static inline struct rt_service *start(const char *name)
{
    const struct rt_service_options options = options_of(name);
    struct rt_service *service = NULL;

    T_CHECK(rt_service_start(&service, &options, NULL, 0, RT_NEVER) == 0);
    return service;
}

static inline int read_value(void *instance, void *arg)
{
    const struct object *object = instance;

    T_CHECK(object->shard == rt_shard_index());
    return arg != NULL ? *(int *)arg + object->value : object->value;
}

/* Until the test says so, or a cancel comes. */
static inline int stay_inside(void *instance, void *arg)
{
    const struct object *object = instance;
    int r = 0;

    seen.inside++;
    while (!seen.may_go && r == 0) {
        r = rt_sleep_until(rt_in(RT_MICROSECONDS(5)));
    }
    note('.');
    T_CHECK(object->shard == rt_shard_index()); /* it is still there */
    seen.inside--;
    return r < 0 ? r : *(int *)arg;
}

static inline void await_inside(unsigned count)
{
    while (seen.inside < count) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(1))) == 0);
    }
}

#endif /* RT_TEST_SERVICE_FIXTURE_H */
