/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping many shards again and again leaves nothing behind.
 *
 * Method: 64 shards start, each calls some others, all end; 50 times. Descriptors
 * and mappings are counted at the second start and at the last; AddressSanitizer
 * counts the memory. The same where the stop comes from outside at once, and where
 * the runtime idles, in which time none of its threads may run.
 */
#include "support/harness.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "os/sys.h"
#include "rt/rt.h"

#define SHARDS 64
#define TIMES  50

static struct rt_config many_shards(uint32_t shards)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = shards;
    config.log_level = RT_LOG_ERROR;
    return config;
}

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

static int call_some(void *arg)
{
    const uint32_t count = rt_shard_count();

    (void)arg;
    for (uint32_t distance = 1; distance < count; distance *= 2) {
        int result = 0;
        int number = (int)distance;

        T_CHECK(rt_call((rt_shard_index() + distance) % count, add_one, &number, &result,
                        RT_NEVER) == 0);
        T_CHECK(result == number + 1);
    }
    return 0;
}

static void nothing_is_left_of_64_shards(void **state)
{
    const struct rt_config config = many_shards(SHARDS);
    unsigned descriptors = 0;
    unsigned mappings = 0;

    (void)state;
    for (int i = 0; i < TIMES; i++) {
        assert_int_equal(rt_start(&config, call_some, NULL), 0);
        if (i == 1) { /* what the C library keeps of the first threads is there by now */
            descriptors = t_open_descriptors();
            mappings = t_mappings();
        }
    }
    assert_int_equal(t_open_descriptors(), descriptors);
    /* A mapping left by each start would be as many; the C library's caches differ by some. The
     * sanitizers map for themselves, some 200 more or less. */
    if (!RTI_ASAN && !RTI_TSAN) {
        assert_in_range(t_mappings(), 0, mappings + TIMES - 10);
    }
    assert_int_equal(t_failures(), 0);
}

static int wait_for_cancel(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static void a_stop_right_after_the_start_stops(void **state)
{
    const struct rt_config config = many_shards(16);

    (void)state;
    for (int i = 0; i < TIMES; i++) {
        struct rt_runtime *runtime;

        assert_int_equal(rt_launch(&runtime, &config, wait_for_cancel, NULL), 0);
        rt_stop(runtime);
        assert_int_equal(rt_wait(runtime), 0);
    }
}

/* Of one thread: how often it was put to sleep or off its CPU; 0 for one that is no shard. Adds to
 * `awake` if it is one that does not sleep. */
static long switches_of(const char *thread, unsigned *awake)
{
    char path[300];
    char line[200];
    long sum = 0;
    bool is_shard = false;
    bool sleeps = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%s/status", thread);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':');

        is_shard = is_shard || strncmp(line, "Name:\tshard-", strlen("Name:\tshard-")) == 0;
        sleeps = sleeps || strncmp(line, "State:\tS", strlen("State:\tS")) == 0;
        if (colon != NULL && strstr(line, "ctxt_switches") != NULL) {
            sum += strtol(colon + 1, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    *awake += is_shard && !sleeps;
    return is_shard ? sum : 0;
}

/* Of all threads of shards, and how many of them do not sleep. */
static long switches(unsigned *awake)
{
    DIR *directory = opendir("/proc/self/task");
    const struct dirent *entry;
    long sum = 0;

    assert_non_null(directory);
    *awake = 0;
    while ((entry = readdir(directory)) != NULL) {
        sum += switches_of(entry->d_name, awake);
    }
    closedir(directory);
    assert_true(sum > 0); /* else no shard was found */
    return sum;
}

static int say_asleep(void *arg)
{
    (void)arg;
    return 0;
}

/* The shards of an idle runtime sleep in the kernel: nothing wakes them. */
static void an_idle_runtime_does_not_wake_up(void **state)
{
    static const uint32_t counts[] = { 2, 64 };

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const struct rt_config config = many_shards(counts[i]);
        struct rt_runtime *runtime;
        unsigned awake;
        long before;

        assert_int_equal(rt_launch(&runtime, &config, wait_for_cancel, NULL), 0);
        for (uint32_t shard = 0; shard < counts[i]; shard++) { /* each has started and run */
            struct rt_submission submission;

            assert_int_equal(rt_submit(runtime, shard, &submission, say_asleep, NULL), 0);
            assert_int_equal(rt_submission_wait(&submission, NULL, RT_NEVER), 0);
        }
        do { /* a shard goes to sleep after it has answered */
            before = switches(&awake);
        } while (awake > 0 && sched_yield() == 0);
        rti_sys_pause(RT_SECONDS(2)); /* the time that is measured */
        assert_int_equal(switches(&awake) - before, 0);
        rt_stop(runtime);
        assert_int_equal(rt_wait(runtime), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_64_shards),
        cmocka_unit_test(a_stop_right_after_the_start_stops),
        cmocka_unit_test(an_idle_runtime_does_not_wake_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
