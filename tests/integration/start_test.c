/* SPDX-License-Identifier: MIT */
/*
 * Starting many shards and stopping them, on the real kernel.
 *
 * Each case runs in a child, which may be sent signals and may die; the child
 * writes what it sees into memory that it shares with the test. Children wait
 * for each other's words there, by sleeping tasks, never for a length of time.
 */
#include "support/harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"

#define TEXT_BYTES        8192
#define CHILD_SECONDS_MAX 30
#define SHARDS            3

struct report {
    int result; /* of rt_start() */
    int starts; /* first tasks that began; atomic */
    int ends;   /* and that returned; atomic */
    bool flag;  /* a case's own; atomic */
    char names[SHARDS][16];
    int cpus[SHARDS];      /* allowed ones of each shard's thread */
    int cpu[SHARDS];       /* the one it ran on */
    bool blocked[SHARDS];  /* SIGTERM is blocked on its thread */
    int count;             /* rt_shard_count() as the shards saw it */
    char text[TEXT_BYTES]; /* every line of the log */
};

static struct report *report;
static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    size_t used;

    (void)arg;
    (void)level;
    pthread_mutex_lock(&text_lock); /* shards log at the same time */
    used = strlen(report->text);
    snprintf(report->text + used, TEXT_BYTES - used, "%s\n", text);
    pthread_mutex_unlock(&text_lock);
}

static struct rt_config config_of_child(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = SHARDS;
    config.name = "child";
    config.log = hear;
    config.log_level = RT_LOG_INFO;
    return config;
}

/* Run `body` in a child; its exit status, or minus the signal that ended it. `meanwhile`, if any,
 * is called in the test with the child's number. */
static int run_child(int (*body)(void), void (*meanwhile)(pid_t child))
{
    int status;
    pid_t child;

    memset(report, 0, sizeof(*report));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 };

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)alarm(CHILD_SECONDS_MAX);
        _exit(body());
    }
    if (meanwhile != NULL) {
        meanwhile(child);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int add(int *counter, int change)
{
    return __atomic_add_fetch(counter, change, __ATOMIC_SEQ_CST);
}

static int get(int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static void assert_said(const char *text)
{
    if (strstr(report->text, text) == NULL) {
        fail_msg("\"%s\" is not in the log: \"%s\"", text, report->text);
    }
}

/* Where shards run */

static int look_around(void *arg)
{
    const uint32_t index = rt_shard_index();
    cpu_set_t set;
    sigset_t blocked;

    (void)arg;
    pthread_getname_np(pthread_self(), report->names[index], sizeof(report->names[0]));
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        report->cpus[index] = CPU_COUNT(&set);
    }
    report->cpu[index] = sched_getcpu();
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    report->blocked[index] = sigismember(&blocked, SIGTERM) == 1;
    __atomic_store_n(&report->count, (int)rt_shard_count(), __ATOMIC_RELAXED);
    add(&report->starts, 1);
    return 0;
}

static int start_and_look(void)
{
    const struct rt_config config = config_of_child();

    report->result = rt_start(&config, look_around, NULL);
    return 0;
}

static void each_shard_has_a_named_thread_on_a_cpu_of_its_own_plan(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_plan *plan;

    (void)state;
    assert_int_equal(run_child(start_and_look, NULL), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->starts, SHARDS);
    assert_int_equal(report->count, SHARDS);
    config.shards = SHARDS;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_plan_create(&plan, &config), 0);
    for (int i = 0; i < SHARDS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "child-%d", i);
        assert_string_equal(report->names[i], name);
        assert_int_equal(report->cpus[i], 1);
        assert_int_equal(report->cpu[i], plan->shards[i].cpu);
        assert_true(report->blocked[i]);
        snprintf(name, sizeof(name), "'child-%d'", i);
        assert_said(name);
    }
    rt_plan_destroy(plan);
    assert_said("shard 0 of 'child' is on CPU ");
    assert_said("ring of 256 and 4096 entries, with "); /* whatever the kernel has */
}

/* Starts that fail */

static int start_on_a_cpu_that_is_not_there(void)
{
    struct rt_config config = config_of_child();

    config.cpus = "0,99999";
    report->result = rt_start(&config, look_around, NULL);
    return 0;
}

static void a_wrong_list_of_cpus_starts_nothing(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_on_a_cpu_that_is_not_there, NULL), 0);
    assert_int_equal(report->result, -EINVAL);
    assert_int_equal(report->starts, 0);
    assert_said("99999");
}

/* One descriptor more each time, until all shards find theirs. */
static int start_with_few_descriptors(void)
{
    const struct rt_config config = config_of_child();
    const unsigned open_before = t_open_descriptors();
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    limit.rlim_cur = STDERR_FILENO;
    do {
        limit.rlim_cur++;
        report->starts = 0;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return 2;
        }
        report->result = rt_start(&config, look_around, NULL);
        report->ends += report->result == -EMFILE;
        if (report->result < 0 && report->starts != 0) {
            return 3;
        }
    } while (report->result < 0);
    return t_open_descriptors() == open_before ? 0 : 4;
}

static void a_shard_that_cannot_start_lets_no_other_run(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_with_few_descriptors, NULL), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->starts, SHARDS);
    assert_true(report->ends >= SHARDS); /* each shard was the one that found none */
}

static int start_in_a_task(void *arg)
{
    const struct rt_config config = config_of_child();
    struct rt_runtime *runtime;

    (void)arg;
    if (rt_shard_index() == 0) {
        report->result = rt_start(&config, look_around, NULL);
        report->ends = rt_launch(&runtime, &config, look_around, NULL);
    }
    return 0;
}

static int start_twice(void)
{
    const struct rt_config config = config_of_child();

    return rt_start(&config, start_in_a_task, NULL) == 0 ? 0 : 1;
}

static void a_shard_cannot_start_a_runtime(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_twice, NULL), 0);
    assert_int_equal(report->result, -EBUSY);
    assert_int_equal(report->ends, -EBUSY);
    assert_int_equal(report->starts, 0);
    assert_said("rt_start() was called from one of its tasks");
}

/* Results */

static int fail_on_two(void *arg)
{
    (void)arg;
    add(&report->starts, 1);
    if (rt_shard_index() == 2) {
        return -EPROTO;
    }
    if (rt_shard_index() == 1) {
        const int r = rt_sleep_until(RT_NEVER); /* the failure of shard 2 ends it */

        add(&report->ends, 1);
        return r == -ECANCELED ? -EIO : 1;
    }
    return 5;
}

static int start_and_fail(void)
{
    const struct rt_config config = config_of_child();

    report->result = rt_start(&config, fail_on_two, NULL);
    return 0;
}

static void a_first_task_that_fails_stops_the_others_and_the_first_failure_counts(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_and_fail, NULL), 0);
    assert_int_equal(report->result, -EIO); /* in order of shards */
    assert_int_equal(report->ends, 1);
}

static int fail_at_once_but_for_one(void *arg)
{
    (void)arg;
    if (rt_shard_index() != 0) {
        return -EPROTO;
    }
    report->flag = rt_sleep_until(rt_in(RT_MILLISECONDS(20))) == 0; /* nobody cancels it */
    return 0;
}

static int start_and_keep(void)
{
    struct rt_config config = config_of_child();

    config.flags = RT_CONFIG_KEEP;
    report->result = rt_start(&config, fail_at_once_but_for_one, NULL);
    return 0;
}

static void a_failure_that_is_kept_stops_nobody(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_and_keep, NULL), 0);
    assert_int_equal(report->result, -EPROTO);
    assert_true(report->flag);
}

static int nothing(void *arg)
{
    (void)arg;
    return 7;
}

/* Shards 1 and 2 return at once and still answer shard 0. */
static int call_those_that_have_returned(void *arg)
{
    int result = 0;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    for (int i = 0; i < 20; i++) {
        if (rt_call(1 + (uint32_t)i % 2, nothing, NULL, &result, RT_NEVER) != 0 || result != 7) {
            return -EIO;
        }
        rt_sleep_until(rt_in(RT_MILLISECONDS(1)));
    }
    return 0;
}

static int start_and_call(void)
{
    const struct rt_config config = config_of_child();

    report->result = rt_start(&config, call_those_that_have_returned, NULL);
    return 0;
}

static void a_shard_whose_first_task_has_returned_serves_calls(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_and_call, NULL), 0);
    assert_int_equal(report->result, 0);
}

/* Signals */

static int wait_for_the_stop(void *arg)
{
    int r;

    (void)arg;
    add(&report->starts, 1);
    r = rt_sleep_until(RT_NEVER);
    add(&report->ends, 1);
    return r;
}

static int start_and_wait(void)
{
    const struct rt_config config = config_of_child();

    signal(SIGTERM, SIG_IGN); /* must be so again afterwards */
    report->result = rt_start(&config, wait_for_the_stop, NULL);
    return signal(SIGTERM, SIG_DFL) == SIG_IGN ? 0 : 1;
}

static void await_starts(void)
{
    while (get(&report->starts) < SHARDS) {
        (void)sched_yield();
    }
}

static void send_sigterm(pid_t child)
{
    await_starts();
    assert_int_equal(kill(child, SIGTERM), 0);
}

static void send_sigint(pid_t child)
{
    await_starts();
    assert_int_equal(kill(child, SIGINT), 0);
}

static void a_signal_stops_all_shards_and_the_old_action_is_back(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_and_wait, send_sigterm), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->ends, SHARDS);
    assert_int_equal(run_child(start_and_wait, send_sigint), 0);
    assert_int_equal(report->result, 0);
}

static int ignore_the_stop(void *arg)
{
    (void)arg;
    add(&report->starts, 1);
    while (rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0) {
    }
    __atomic_store_n(&report->flag, true, __ATOMIC_SEQ_CST);
    for (;;) {
        rt_yield();
    }
    return 0;
}

static int start_and_ignore(void)
{
    const struct rt_config config = config_of_child();

    report->result = rt_start(&config, ignore_the_stop, NULL);
    return 0;
}

static void send_two(pid_t child)
{
    send_sigterm(child);
    while (!__atomic_load_n(&report->flag, __ATOMIC_SEQ_CST)) {
        (void)sched_yield(); /* the first one has arrived */
    }
    assert_int_equal(kill(child, SIGTERM), 0);
}

static void a_second_signal_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_and_ignore, send_two), -SIGTERM);
}

static int start_with_a_short_patience(void)
{
    struct rt_config config = config_of_child();

    config.stop_timeout = RT_MILLISECONDS(100);
    (void)freopen("/dev/null", "w", stderr);
    report->result = rt_start(&config, ignore_the_stop, NULL);
    return 0;
}

static void a_stop_that_takes_too_long_names_the_tasks_of_every_shard(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_with_a_short_patience, send_sigterm), -SIGABRT);
    assert_said("child-0: task 0 'first'");
    assert_said("child-1: task 0 'first'");
    assert_said("child-2: task 0 'first'");
    assert_said("cancelled");
}

/* A signal at any moment of the start ends the program in an orderly way, or by its default action
 * where the runtime does not own signals yet, or not any more. */
static int start_and_signal_oneself(void)
{
    const struct rt_config config = config_of_child();

    report->result = rt_start(&config, wait_for_the_stop, NULL);
    return 0;
}

static unsigned delay;

static void send_early(pid_t child)
{
    for (volatile unsigned i = 0; i < delay; i++) {
    }
    assert_int_equal(kill(child, SIGTERM), 0);
}

static void a_signal_during_the_start_is_not_lost(void **state)
{
    unsigned orderly = 0;

    (void)state;
    for (delay = 1000; delay < 100000000 && orderly < 20; delay = delay * 5 / 4) {
        const int status = run_child(start_and_signal_oneself, send_early);

        assert_true(status == 0 || status == -SIGTERM);
        assert_true(status != 0 || report->result == 0);
        orderly += status == 0;
    }
    assert_true(orderly > 0);
}

/* Two runtimes in one process */

static int own_signals_twice(void)
{
    const struct rt_config config = config_of_child();
    struct rt_runtime *launched;
    struct rt_runtime *second;

    if (rt_launch(&launched, &config, wait_for_the_stop, NULL) != 0 ||
        rt_launch(&second, &config, wait_for_the_stop, NULL) != 0) {
        return 1;
    }
    report->result = rt_start(&config, nothing, NULL); /* a third one, which owns the signals */
    rt_stop(second);
    rt_stop(launched);
    rt_stop(launched); /* twice is once */
    return rt_wait(launched) == 0 && rt_wait(second) == 0 ? 0 : 2;
}

static void several_runtimes_live_in_one_process(void **state)
{
    (void)state;
    assert_int_equal(run_child(own_signals_twice, NULL), 0);
    assert_int_equal(report->result, 0);
    assert_int_equal(report->ends, 2 * SHARDS);
}

static int sleep_a_little(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(RT_MILLISECONDS(20))) == 0 ? 0 : -EIO;
}

static int start_deaf_after_a_signal(void)
{
    struct rt_config config = config_of_child();

    if (rt_start(&config, wait_for_the_stop, NULL) != 0) {
        return 1;
    }
    config.flags = RT_CONFIG_NO_SIGNALS;
    report->result = rt_start(&config, sleep_a_little, NULL);
    return 0;
}

static void a_runtime_without_signals_does_not_heed_those_of_another(void **state)
{
    (void)state;
    assert_int_equal(run_child(start_deaf_after_a_signal, send_sigterm), 0);
    assert_int_equal(report->result, 0);
}

static void *start_in_a_thread(void *arg)
{
    const struct rt_config config = config_of_child();

    (void)arg;
    (void)rt_start(&config, wait_for_the_stop, NULL);
    return NULL;
}

static int two_owners(void)
{
    const struct rt_config config = config_of_child();
    pthread_t thread;

    if (pthread_create(&thread, NULL, start_in_a_thread, NULL) != 0) {
        return 1;
    }
    await_starts();
    report->result = rt_start(&config, nothing, NULL);
    (void)raise(SIGTERM); /* for the first one */
    return pthread_join(thread, NULL);
}

static void only_one_runtime_owns_the_signals(void **state)
{
    (void)state;
    assert_int_equal(run_child(two_owners, NULL), 0);
    assert_int_equal(report->result, -EBUSY);
    assert_said("RT_CONFIG_NO_SIGNALS");
    assert_int_equal(report->ends, SHARDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_has_a_named_thread_on_a_cpu_of_its_own_plan),
        cmocka_unit_test(a_wrong_list_of_cpus_starts_nothing),
        cmocka_unit_test(a_shard_that_cannot_start_lets_no_other_run),
        cmocka_unit_test(a_shard_cannot_start_a_runtime),
        cmocka_unit_test(a_first_task_that_fails_stops_the_others_and_the_first_failure_counts),
        cmocka_unit_test(a_failure_that_is_kept_stops_nobody),
        cmocka_unit_test(a_shard_whose_first_task_has_returned_serves_calls),
        cmocka_unit_test(a_signal_stops_all_shards_and_the_old_action_is_back),
        cmocka_unit_test(a_second_signal_ends_the_process),
        cmocka_unit_test(a_stop_that_takes_too_long_names_the_tasks_of_every_shard),
        cmocka_unit_test(a_signal_during_the_start_is_not_lost),
        cmocka_unit_test(several_runtimes_live_in_one_process),
        cmocka_unit_test(a_runtime_without_signals_does_not_heed_those_of_another),
        cmocka_unit_test(only_one_runtime_owns_the_signals),
    };

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
