/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls on the real kernel: where their threads run, what reaches them, and that shards
 * go on meanwhile.
 *
 * Method: functions look at their own thread. Those that must run side by side meet at a barrier
 * that only all of them together can pass.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "rt/rt.h"

static void run_on(uint32_t shards, rt_task_fn first, void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;
    const unsigned descriptors = t_open_descriptors();

    config.shards = shards;
    config.place = shards > 1 ? RT_PLACE_UNBOUND : RT_PLACE_CORE;
    assert_int_equal(rt_start(&config, first, arg), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

struct sight {
    char name[16];
    sigset_t mask;
    cpu_set_t cpus;
    pthread_t thread;
};

static int look_around(void *arg)
{
    struct sight *sight = arg;

    sight->thread = pthread_self();
    return prctl(PR_GET_NAME, sight->name) < 0 || pthread_sigmask(SIG_BLOCK, NULL, &sight->mask) ||
                   sched_getaffinity(0, sizeof(sight->cpus), &sight->cpus) < 0
               ? -errno
               : 0;
}

static int look_from_a_thread(void *arg)
{
    struct sight *sight = arg;
    int result = -1;

    T_CHECK(rt_blocking(look_around, sight, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(!pthread_equal(sight->thread, pthread_self()));
    T_CHECK(strcmp(sight->name, "rt-block") == 0);
    return 0;
}

static void a_function_runs_on_a_thread_of_the_pool(void **state)
{
    struct sight sight;

    (void)state;
    assert_int_equal(rt_run(NULL, look_from_a_thread, &sight), 0);
    assert_int_equal(t_failures(), 0);
}

static void no_signal_from_outside_reaches_it(void **state)
{
    struct sight sight;

    (void)state;
    run_on(1, look_from_a_thread, &sight);
    for (int number = 1; number < SIGRTMAX; number++) {
        const bool is_fault = number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
                              number == SIGILL || number == SIGTRAP || number == SIGSYS ||
                              number == SIGABRT;
        const bool cannot_be = number == SIGKILL || number == SIGSTOP ||
                               (number > SIGSYS && number < SIGRTMIN);

        assert_true(cannot_be || sigismember(&sight.mask, number) == !is_fault);
    }
}

static void it_runs_on_the_cpus_of_no_shard_where_there_are_others(void **state)
{
    cpu_set_t allowed;
    int32_t cpus[2] = { -1, -1 };
    struct sight sight;
    char text[16];
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    t_first_cpus(cpus);
    snprintf(text, sizeof(text), "%d", cpus[0]);
    config.cpus = text;
    assert_int_equal(rt_run(&config, look_from_a_thread, &sight), 0);
    assert_int_equal(t_failures(), 0);
    if (cpus[1] >= 0) {
        CPU_CLR((size_t)cpus[0], &allowed);
    }
    assert_true(CPU_EQUAL(&sight.cpus, &allowed));
}

static int look_on_the_first_shard(void *arg)
{
    return rt_shard_index() == 0 ? look_from_a_thread(arg) : 0;
}

static void it_may_run_on_all_cpus_where_shards_have_them_all(void **state)
{
    cpu_set_t allowed;
    struct sight sight;
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.place = RT_PLACE_PU;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    assert_int_equal(rt_start(&config, look_on_the_first_shard, &sight), 0);
    assert_int_equal(t_failures(), 0);
    assert_true(CPU_EQUAL(&sight.cpus, &allowed));
}

/* Side by side */

#define SIDE_BY_SIDE 8 /* the default of config.blocking_threads */

static pthread_barrier_t barrier;

static int meet(void *arg)
{
    (void)arg;
    (void)pthread_barrier_wait(&barrier);
    return 1;
}

static int call_meet(void *arg)
{
    int result = 0;
    const int r = rt_blocking(meet, arg, &result, RT_NEVER);

    T_CHECK(r == 0 && result == 1);
    return r;
}

static int meet_all(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_blocking_stats stats;

    (void)arg;
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        T_CHECK(rt_group_spawn(&group, call_meet, NULL) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    rt_blocking_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.done == SIDE_BY_SIDE && stats.threads == SIDE_BY_SIDE);
    return 0;
}

static void as_many_run_side_by_side_as_there_may_be_threads(void **state)
{
    (void)state;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, SIDE_BY_SIDE), 0);
    run_on(1, meet_all, NULL);
    (void)pthread_barrier_destroy(&barrier);
}

static sem_t posted;

static int wait_for_post(void *arg)
{
    (void)arg;
    while (sem_wait(&posted) != 0) {
    }
    return 0;
}

static int post(void *arg)
{
    (void)arg;
    return sem_post(&posted);
}

/* Which only a shard that runs on can end. */
static int wait_for_another_task(void *arg)
{
    struct rt_task *task;
    int result = -1;

    (void)arg;
    T_CHECK(rt_spawn(&task, post, NULL) == 0);
    T_CHECK(rt_blocking(wait_for_post, NULL, NULL, RT_NEVER) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 0);
    return 0;
}

static void other_tasks_of_each_shard_run_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&posted, 0, 0), 0);
    run_on(2, wait_for_another_task, NULL);
    (void)sem_destroy(&posted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_runs_on_a_thread_of_the_pool),
        cmocka_unit_test(no_signal_from_outside_reaches_it),
        cmocka_unit_test(it_runs_on_the_cpus_of_no_shard_where_there_are_others),
        cmocka_unit_test(it_may_run_on_all_cpus_where_shards_have_them_all),
        cmocka_unit_test(as_many_run_side_by_side_as_there_may_be_threads),
        cmocka_unit_test(other_tasks_of_each_shard_run_meanwhile),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
