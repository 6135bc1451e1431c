/* SPDX-License-Identifier: MIT */
/*
 * Many threads that are no shards submit to many shards, also while the runtime stops.
 *
 * Method: each thread submits and waits, some with deadlines that pass, until the runtime refuses;
 * one of them stops it in the middle. What was taken has run once, or its submitter was told that
 * it did not; functions count on their shard, without atomics, so a second shard that ran one would
 * be a race for ThreadSanitizer. The runtime is launched again and again.
 */
#include "support/harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/compiler.h"
#include "rt/rt.h"

#define THREADS 6
#define SHARDS  4
#define STARTS  (RTI_ASAN || RTI_TSAN ? 40 : 100)
#define ROUNDS  300 /* of a thread at most; the first stops the runtime after half of them */

struct cell {
    unsigned runs;
    char apart[64 - sizeof(unsigned)];
};

static struct cell ran[SHARDS]; /* each written by its shard only */

static struct rt_runtime *runtime;

struct submitter {
    pthread_t thread;
    unsigned number;
    unsigned done[SHARDS]; /* functions that ran, as it was told */
    unsigned refused;      /* taken, and then told that they did not run */
    unsigned errors;       /* what must not be */
};

static int count_here(void *arg)
{
    const uint32_t shard = rt_shard_index();

    T_CHECK(shard == *(uint32_t *)arg);
    ran[shard].runs++;
    return (int)shard + 1;
}

static int count_and_wait(void *arg)
{
    const int result = count_here(arg);

    rt_yield();
    (void)rt_sleep_until(rt_in(RT_MICROSECONDS(20))); /* cut short by the stop */
    return result;
}

/* Until it is over: a wait whose deadline has passed is repeated. */
static int await(struct rt_submission *submission, int *result, rt_time patience)
{
    int r = rt_submission_wait(submission, result, rt_in(patience));

    while (r == -ETIME) {
        r = rt_submission_wait(submission, result, RT_NEVER);
    }
    return r;
}

/* False when the runtime takes no more. */
static bool submit_one(struct submitter *self, unsigned round)
{
    const rt_task_fn fn = round % 3 == 0 ? count_and_wait : count_here;
    uint32_t shard = (self->number + round) % SHARDS;
    struct rt_submission submission;
    int result = 0;
    int r = rt_submit(runtime, shard, &submission, fn, &shard);

    if (r < 0) {
        self->errors += r != -ESHUTDOWN;
        return false;
    }
    r = await(&submission, &result, RT_MICROSECONDS(round % 50));
    if (r == 0) {
        self->done[shard]++;
        self->errors += result != (int)shard + 1;
    } else {
        self->refused++;
        self->errors += r != -ESHUTDOWN;
    }
    return true;
}

static void *submit_many(void *arg)
{
    struct submitter *self = arg;

    for (unsigned round = 0; round < ROUNDS; round++) {
        if (self->number == 0 && round == ROUNDS / 2) {
            rt_stop(runtime);
        }
        if (!submit_one(self, round)) {
            break;
        }
    }
    return NULL;
}

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static void launch(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = SHARDS;
    config.place = RT_PLACE_UNBOUND;
    config.log_level = RT_LOG_ERROR;
    memset(ran, 0, sizeof(ran));
    assert_int_equal(rt_launch(&runtime, &config, wait_for_stop, NULL), 0);
}

/* The threads of one start; how many functions ran. */
static unsigned submit_from_all(void)
{
    struct submitter submitters[THREADS];
    unsigned sum = 0;

    memset(submitters, 0, sizeof(submitters));
    for (unsigned i = 0; i < THREADS; i++) {
        submitters[i].number = i;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
        assert_int_equal(submitters[i].errors, 0);
    }
    assert_int_equal(rt_wait(runtime), 0);
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        unsigned told = 0;

        for (unsigned i = 0; i < THREADS; i++) {
            told += submitters[i].done[shard];
        }
        assert_int_equal(ran[shard].runs, told);
        sum += told;
    }
    return sum;
}

static void what_threads_submit_while_it_stops_runs_once_or_is_refused(void **state)
{
    unsigned sum = 0;

    (void)state;
    for (int i = 0; i < STARTS; i++) {
        launch();
        sum += submit_from_all();
    }
    assert_true(sum >= STARTS * (ROUNDS / 2)); /* the one that stops it had so many */
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_threads_submit_while_it_stops_runs_once_or_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
