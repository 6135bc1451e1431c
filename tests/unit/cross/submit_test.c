/* SPDX-License-Identifier: MIT */
/*
 * Submissions: each is run once, in order, or its submitter is told why not.
 *
 * Method: pushed and taken by hand on one shard, then from threads, on the real
 * kernel.
 */
#include "support/harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "cross/mesh.h"
#include "rt/rt.h"

#define COUNT   10
#define THREADS 4
#define EACH    500

static struct rt_submission submissions[COUNT];
static int order[COUNT];
static int runs;

static int note(void *arg)
{
    order[runs++] = (int)(intptr_t)arg;
    return (int)(intptr_t)arg * 2;
}

static void push_all(struct rti_submissions *list)
{
    for (intptr_t i = 0; i < COUNT; i++) {
        submissions[i] = (struct rt_submission){ .fn = note, .arg = (void *)i };
        rti_submissions_push(list, &submissions[i]);
    }
}

static int take_by_hand(void *arg)
{
    struct rti_submissions list = { NULL };
    struct rti_executor *executor = rti_mesh_here()->executor;
    const uint32_t live = executor->tasks.used;

    (void)arg;
    rti_submissions_take(&list, executor); /* of nothing */
    T_CHECK(executor->tasks.used == live);
    push_all(&list);
    T_CHECK(submissions[0].done == 0);
    rti_submissions_take(&list, executor);
    T_CHECK(list.newest == NULL && runs == 0);
    rt_yield();
    for (int i = 0; i < runs; i++) {
        T_CHECK(order[i] == i);
    }
    return 0;
}

/* The first task has a slot of its own. */
static void take_at_limit(uint32_t tasks_max, int expected_runs, int error)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.tasks_max = tasks_max;
    runs = 0;
    assert_int_equal(rt_run(&config, take_by_hand, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(runs, expected_runs);
    for (int i = 0; i < COUNT; i++) {
        int result = -1;
        const int r = rt_submission_wait(&submissions[i], &result, RT_NEVER);

        assert_int_equal(r, i < expected_runs ? 0 : error);
        assert_int_equal(result, i < expected_runs ? i * 2 : -1);
    }
}

static void what_was_pushed_runs_in_order_or_is_refused(void **state)
{
    (void)state;
    take_at_limit(100, COUNT, 0);
    take_at_limit(4, 3, -EAGAIN);
    take_at_limit(1, 0, -EAGAIN);
}

/* Threads */

static uint64_t sum[2]; /* each written by one shard only */

static int add(void *arg)
{
    sum[rt_shard_index()] += *(uint32_t *)arg;
    return 0;
}

struct submitter {
    struct rt_runtime *runtime;
    pthread_t thread;
};

static void *submit_many(void *arg)
{
    struct submitter *self = arg;

    for (uint32_t i = 1; i <= EACH; i++) {
        struct rt_submission submission;
        uint32_t number = i;

        if (rt_submit(self->runtime, i % 2, &submission, add, &number) < 0 ||
            rt_submission_wait(&submission, NULL, RT_NEVER) < 0) {
            return self; /* is seen in the sum */
        }
    }
    return NULL;
}

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static struct rt_runtime *launch(void)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime = NULL;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_launch(&runtime, &config, wait_for_stop, NULL), 0);
    return runtime;
}

static void what_threads_submit_runs_once_on_its_shard(void **state)
{
    struct submitter submitters[THREADS];
    struct rt_runtime *runtime = launch();

    (void)state;
    memset(sum, 0, sizeof(sum));
    for (unsigned i = 0; i < THREADS; i++) {
        submitters[i].runtime = runtime;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
    }
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
    assert_int_equal(sum[0], THREADS * (EACH / 2) * (EACH / 2 + 1)); /* even numbers */
    assert_int_equal(sum[1], THREADS * (EACH / 2) * (EACH / 2));
}

static int nap(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(RT_MILLISECONDS(50))) == 0 ? 5 : 6;
}

static void a_wait_that_gives_up_can_be_repeated(void **state)
{
    static const rt_time passed[] = { 0, 1, -1, INT64_MIN };
    struct rt_runtime *runtime = launch();
    struct rt_submission submission;
    int result = -1;

    (void)state;
    assert_int_equal(rt_submit(runtime, 1, &submission, nap, NULL), 0);
    for (unsigned i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        assert_int_equal(rt_submission_wait(&submission, &result, passed[i]), -ETIME);
    }
    assert_int_equal(result, -1);
    assert_int_equal(rt_submission_wait(&submission, &result, RT_NEVER), 0);
    assert_int_equal(result, 5);
    assert_int_equal(rt_submission_wait(&submission, NULL, 0), 0);
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
}

static void a_runtime_that_stops_takes_no_submission(void **state)
{
    struct rt_runtime *runtime = launch();
    struct rt_submission submission;

    (void)state;
    assert_int_equal(rt_submit(runtime, 2, &submission, nap, NULL), -EINVAL);
    rt_stop(runtime);
    assert_int_equal(rt_submit(runtime, 0, &submission, nap, NULL), -ESHUTDOWN);
    assert_int_equal(rt_wait(runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_pushed_runs_in_order_or_is_refused),
        cmocka_unit_test(what_threads_submit_runs_once_on_its_shard),
        cmocka_unit_test(a_wait_that_gives_up_can_be_repeated),
        cmocka_unit_test(a_runtime_that_stops_takes_no_submission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
