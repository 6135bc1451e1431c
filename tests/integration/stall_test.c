/* SPDX-License-Identifier: MIT */
/*
 * The watch for stalls on the real clock, with real signals. Nothing is measured:
 * a task that is to be found computes until it was, for twenty seconds of CPU time
 * at most, and one that is not to be found takes far less than the threshold, in CPU
 * time, however busy the machine is.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <rt/rt.h>

#include "base/poison.h"
#include "support/harness.h"

#define GIVE_UP   RT_SECONDS(20)
#define THRESHOLD RT_MILLISECONDS(4)
#define LONG      RT_SECONDS(3600)

/* What the watch has said; written by its thread, read by tasks. */
static struct {
    unsigned found;  /* atomic */
    unsigned ended;  /* atomic */
    unsigned shards; /* atomic: a bit each */
    bool named;      /* these are valid once `found` is seen */
    bool has_calls;
    bool is_short; /* less than the threshold */
} said;

static rt_time cpu_time(void)
{
    struct timespec used;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (rt_time)used.tv_sec * RT_SECONDS(1) + used.tv_nsec;
}

static unsigned load(const unsigned *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE); /* pairs with note() */
}

/* Not inlined, so that its frame is there to be found. */
static __attribute__((noinline)) void compute_until_found(unsigned count)
{
    const rt_time end = cpu_time() + GIVE_UP;

    while (load(&said.found) < count && cpu_time() < end) {
    }
}

static __attribute__((noinline)) void compute(rt_time length)
{
    const rt_time end = cpu_time() + length;

    while (cpu_time() < end) {
    }
}

static void note(void *arg, const struct rt_stall *stall)
{
    (void)arg;
    if (stall->ended) {
        __atomic_add_fetch(&said.ended, 1, __ATOMIC_RELEASE);
        return;
    }
    said.named = strcmp(stall->name, "hog") == 0 && strcmp(stall->queue, "default") == 0;
    said.is_short = stall->age < stall->threshold;
    said.has_calls = false;
    for (uint32_t i = 0; i < stall->frame_count; i++) {
        said.has_calls |= stall->frames[i] - (uintptr_t)compute_until_found < 512;
    }
    __atomic_or_fetch(&said.shards, 1u << stall->shard, __ATOMIC_RELEASE);
    __atomic_add_fetch(&said.found, 1, __ATOMIC_RELEASE);
}

static struct rt_config watched(rt_time threshold)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&said, 0, sizeof(said));
    config.stall_threshold = threshold;
    config.stall_pause = 1;
    config.stall = note;
    return config;
}

static int hog(void *arg)
{
    compute_until_found(1);
    (void)arg;
    return 0;
}

static int run_hog(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options),
                                              .name = "hog",
                                              .stack_bytes = 16384 };
    struct rt_task *task;

    T_CHECK(rt_spawn_with(&task, hog, arg, &options) == 0);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    return 0;
}

static uint64_t stalls(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.stalls;
}

static int find_one(void *arg)
{
    struct rt_taskq_stats queue;

    (void)run_hog(arg);
    while (load(&said.ended) < 1) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    T_CHECK(load(&said.found) >= 1);
    T_CHECK(said.named && said.has_calls && !said.is_short);
    T_CHECK(stalls() == 1);
    rt_taskq_stats(rt_taskq_self(), &queue, sizeof(queue));
    T_CHECK(queue.stalls == 1);
    return 0;
}

static void a_task_that_holds_its_core_is_found_with_its_name_and_calls(void **state)
{
    const struct rt_config config = watched(THRESHOLD);

    (void)state;
    assert_int_equal(rt_run(&config, find_one, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 400; i++) {
        compute(RT_MICROSECONDS(100));
        rt_yield();
    }
    T_CHECK(stalls() == 0);
    return 0;
}

/* 40 ms in all: the countdown of runs must not make one run of several. */
static void a_task_that_yields_is_not_found(void **state)
{
    const struct rt_config config = watched(RT_MILLISECONDS(10));

    (void)state;
    assert_int_equal(rt_run(&config, yield_often, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(load(&said.found), 0);
}

static int change_threshold(void *arg)
{
    T_CHECK(rt_stall_set_threshold(RT_STALL_MIN - 1) == -EINVAL);
    compute(RT_MILLISECONDS(20));
    T_CHECK(load(&said.found) == 0);
    T_CHECK(rt_stall_set_threshold(THRESHOLD) == 0);
    (void)run_hog(arg);
    T_CHECK(load(&said.found) >= 1);
    T_CHECK(rt_stall_set_threshold(RT_STALL_OFF) == 0);
    return 0;
}

static void the_threshold_can_be_changed(void **state)
{
    struct rt_config config = watched(LONG);

    (void)state;
    config.log_level = RT_LOG_ERROR;
    assert_int_equal(rt_run(&config, change_threshold, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int has_no_watch(void *arg)
{
    (void)arg;
    T_CHECK(rt_stall_set_threshold(THRESHOLD) == -EOPNOTSUPP);
    return 0;
}

static void without_a_watch_there_is_no_threshold_to_change(void **state)
{
    const struct rt_config config = watched(RT_STALL_OFF);

    (void)state;
    assert_int_equal(rt_run(&config, has_no_watch, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int stall_twice(void *arg)
{
    const rt_time end = cpu_time() + GIVE_UP;

    (void)run_hog(arg);
    rt_yield();
    while (stalls() < 2 && cpu_time() < end) {
    }
    T_CHECK(stalls() == 2);
    rt_yield();
    return 0;
}

static void a_second_stall_within_the_pause_is_counted_and_not_reported(void **state)
{
    struct rt_config config = watched(THRESHOLD);
    unsigned first;

    (void)state;
    config.stall_pause = LONG;
    assert_int_equal(rt_run(&config, stall_twice, NULL), 0);
    assert_int_equal(t_failures(), 0);
    first = load(&said.found); /* the first one may have been reported at twice its age too */
    assert_true(first >= 1);
    assert_true(said.named);
}

static int stall_in_turn(void *arg)
{
    const unsigned before = load(&said.found);

    (void)arg;
    compute_until_found(before + 1);
    T_CHECK(load(&said.found) > before);
    return 0;
}

/* Both run within one countdown of runs, so nothing but the probe tells them apart. */
static int two_in_turn(void *arg)
{
    struct rt_task *tasks[2];

    T_CHECK(rt_spawn(&tasks[0], stall_in_turn, arg) == 0);
    T_CHECK(rt_spawn(&tasks[1], stall_in_turn, arg) == 0);
    T_CHECK(rt_join(tasks[0], NULL, RT_NEVER) == 0);
    T_CHECK(rt_join(tasks[1], NULL, RT_NEVER) == 0);
    for (int i = 0; i < 10000 && load(&said.ended) < 2; i++) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
    }
    T_CHECK(load(&said.ended) == 2);
    return 0;
}

static void the_end_of_a_stall_is_reported_also_when_the_next_task_stalls(void **state)
{
    const struct rt_config config = watched(THRESHOLD);

    (void)state;
    assert_int_equal(rt_run(&config, two_in_turn, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int stall_again(void *arg)
{
    (void)run_hog(arg);
    return stall_in_turn(arg);
}

static void a_stall_that_outlasts_the_pause_is_reported(void **state)
{
    struct rt_config config = watched(THRESHOLD);

    (void)state;
    config.stall_pause = RT_MILLISECONDS(100);
    assert_int_equal(rt_run(&config, stall_again, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void every_shard_is_watched(void **state)
{
    struct rt_config config = watched(THRESHOLD);

    (void)state;
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.flags = RT_CONFIG_NO_SIGNALS;
    for (int i = 0; i < 20 && load(&said.shards) != 3; i++) { /* each waits for one report only */
        __atomic_store_n(&said.found, 0, __ATOMIC_RELEASE);
        assert_int_equal(rt_start(&config, run_hog, NULL), 0);
    }
    assert_int_equal(t_failures(), 0);
    assert_int_equal(load(&said.shards), 3);
}

/* How often the watch has gone to sleep so far; -1: it is not there. */
static long sleeps_of_the_watch(void)
{
    DIR *threads = opendir("/proc/self/task");
    const struct dirent *thread;
    long sleeps = -1;

    while (threads != NULL && sleeps < 0 && (thread = readdir(threads)) != NULL) {
        char path[300];
        char line[128];
        bool is_watch = false;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread->d_name);
        file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
            is_watch = is_watch || strcmp(line, "Name:\trt-watch\n") == 0;
            if (is_watch && strncmp(line, "voluntary_ctxt_switches:", 24) == 0) {
                sleeps = strtol(line + 24, NULL, 10);
            }
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    if (threads != NULL) {
        closedir(threads);
    }
    return sleeps;
}

/* It sleeps once all shards have for a while; this one wakes it each time that it looks. */
static int sleep_long(void *arg)
{
    long before;
    long after = -10;

    (void)arg;
    for (int i = 0; i < 50; i++) {
        before = after;
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(400))) == 0);
        after = sleeps_of_the_watch();
        T_CHECK(after >= 0);
        if (after - before <= 2 + 100 / 25) {
            break; /* a tenth of a second of looks, each 25 ms, and then none */
        }
    }
    T_CHECK(after - before <= 2 + 100 / 25);
    return 0;
}

static void while_all_sleep_the_watch_does_too(void **state)
{
    const struct rt_config config = watched(RT_MILLISECONDS(100));

    (void)state;
    assert_int_equal(rt_run(&config, sleep_long, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static size_t first_cpu(void)
{
    cpu_set_t set;
    size_t cpu = 0;

    (void)sched_getaffinity(0, sizeof(set), &set);
    while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &set)) {
        cpu++;
    }
    return cpu;
}

static pid_t burner(size_t cpu)
{
    const pid_t child = fork();

    if (child == 0) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
        for (;;) {
        }
    }
    return child;
}

static int compute_some(void *arg)
{
    (void)arg;
    compute(RT_MILLISECONDS(20));
    T_CHECK(stalls() == 0);
    return 0;
}

/* 20 ms of CPU time take 100 ms or more here. */
static void a_task_that_does_not_get_the_core_is_not_found(void **state)
{
    struct rt_config config = watched(RT_MILLISECONDS(60));
    const size_t cpu = first_cpu();
    pid_t burners[4];
    char cpus[16];

    (void)state;
    snprintf(cpus, sizeof(cpus), "%zu", cpu);
    config.cpus = cpus;
    for (int i = 0; i < 4; i++) {
        burners[i] = burner(cpu);
    }
    assert_int_equal(rt_run(&config, compute_some, NULL), 0);
    for (int i = 0; i < 4; i++) {
        (void)kill(burners[i], SIGKILL);
        (void)waitpid(burners[i], NULL, 0);
    }
    assert_int_equal(t_failures(), 0);
    assert_int_equal(load(&said.found), 0);
}

static void is_mine(int number)
{
    (void)number;
}

static void a_signal_that_the_program_handles_is_not_taken(void **state)
{
    struct rt_config config = watched(THRESHOLD);
    struct sigaction mine = { .sa_handler = is_mine };
    struct sigaction old;

    (void)state;
    config.log_level = RT_LOG_ERROR;
    config.stall_signal = (uint32_t)SIGRTMIN + 3;
    (void)sigaction(SIGRTMIN + 3, &mine, &old);
    assert_int_equal(rt_run(&config, has_no_watch, NULL), -EBUSY);
    (void)sigaction(SIGRTMIN + 3, &old, &mine);
    assert_ptr_equal(mine.sa_handler, is_mine);
    config.stall_signal = SIGTERM;
    assert_int_equal(rt_run(&config, has_no_watch, NULL), -EINVAL);

    config.stall_signal = 0; /* nobody has chosen: so it starts without a watch */
    (void)sigaction(SIGRTMAX - 2, &mine, &old);
    assert_int_equal(rt_run(&config, has_no_watch, NULL), 0);
    assert_int_equal(t_failures(), 0);
    (void)sigaction(SIGRTMAX - 2, &old, &mine);
    assert_ptr_equal(mine.sa_handler, is_mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_holds_its_core_is_found_with_its_name_and_calls),
        cmocka_unit_test(a_task_that_yields_is_not_found),
        cmocka_unit_test(the_threshold_can_be_changed),
        cmocka_unit_test(without_a_watch_there_is_no_threshold_to_change),
        cmocka_unit_test(a_second_stall_within_the_pause_is_counted_and_not_reported),
        cmocka_unit_test(the_end_of_a_stall_is_reported_also_when_the_next_task_stalls),
        cmocka_unit_test(a_stall_that_outlasts_the_pause_is_reported),
        cmocka_unit_test(every_shard_is_watched),
        cmocka_unit_test(while_all_sleep_the_watch_does_too),
        cmocka_unit_test(a_task_that_does_not_get_the_core_is_not_found),
        cmocka_unit_test(a_signal_that_the_program_handles_is_not_taken),
    };

    unsetenv("RT_STALL");
    if (RTI_TSAN) {
        puts("ThreadSanitizer holds signals back until a system call: no task can be asked");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
