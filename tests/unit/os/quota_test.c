/* SPDX-License-Identifier: MIT */
/*
 * The quota of CPU time, read from made-up files below a folder of the test's
 * own, in the layouts that both versions of cgroups have.
 */
#include "os/quota.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "support/ear.h"
#include "support/folder.h"
#include "support/harness.h"

static const struct rti_log wide_ear = { .write = hear, .level = RT_LOG_INFO };

static int set_up(void **state)
{
    memset(&heard, 0, sizeof(heard));
    return folder_make(state);
}

static void assert_quota(double expected)
{
    const unsigned descriptors = t_open_descriptors();
    const double quota = rti_quota_read(folder_path, &wide_ear);

    assert_true(quota == expected);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static void without_cgroups_there_is_no_limit(void **state)
{
    (void)state;
    assert_quota(0);
    folder_put("proc/self/cgroup", "");
    assert_quota(0);
    folder_put("proc/self/cgroup", "0::/service\n");
    assert_quota(0);
    assert_int_equal(heard.lines, 0);
}

static void the_limit_is_quota_by_period(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "0::/service\n");
    folder_put("sys/fs/cgroup/service/cpu.max", "150000 100000\n");
    assert_quota(1.5);
    folder_put("sys/fs/cgroup/service/cpu.max", "max 100000\n");
    assert_quota(0);
    folder_put("sys/fs/cgroup/service/cpu.max", "10000 20000\n");
    assert_quota(0.5);
    assert_int_equal(heard.lines, 0);
}

static void the_tightest_cgroup_on_the_way_up_counts(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "0::/data/service/part\n");
    folder_put("sys/fs/cgroup/data/cpu.max", "200000 100000\n");
    folder_put("sys/fs/cgroup/data/service/cpu.max", "400000 100000\n");
    folder_put("sys/fs/cgroup/data/service/part/cpu.max", "max 100000\n");
    folder_put("sys/fs/cgroup/data/other/cpu.max", "1000 100000\n");
    assert_quota(2);
}

/* In a container the path is "/", or one that only the host can see. */
static void the_root_of_the_mount_counts_too(void **state)
{
    (void)state;
    folder_put("sys/fs/cgroup/cpu.max", "300000 100000\n");
    folder_put("proc/self/cgroup", "0::/\n");
    assert_quota(3);
    folder_put("proc/self/cgroup", "0::/run/of/the/host\n");
    assert_quota(3);
    folder_put("proc/self/cgroup", "0::/../..\n");
    assert_quota(3);
}

static void the_first_version_of_cgroups_has_two_files(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "12:pids:/service\n4:cpu,cpuacct:/service\n1:name=systemd:/x\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_quota_us", "250000\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_period_us", "100000\n");
    assert_quota(2.5);
    folder_put("proc/self/cgroup", "4:cpuacct,cpu:/service\n");
    assert_quota(2.5);
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_quota_us", "-1\n");
    assert_quota(0);
    assert_int_equal(heard.lines, 0);
}

static void other_controllers_have_no_say(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "4:cpuset:/service\n5:cpuacct:/service\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_quota_us", "250000\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_period_us", "100000\n");
    assert_quota(0);
}

static void of_both_versions_the_tighter_counts(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "4:cpu:/service\n0::/service\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_quota_us", "250000\n");
    folder_put("sys/fs/cgroup/cpu/service/cpu.cfs_period_us", "100000\n");
    folder_put("sys/fs/cgroup/service/cpu.max", "400000 100000\n");
    assert_quota(2.5);
}

static void what_makes_no_sense_is_no_limit(void **state)
{
    (void)state;
    folder_put("proc/self/cgroup", "no line of this kind\n0:nor this\n0::/service\n");
    folder_put("sys/fs/cgroup/service/cpu.max", "100000 0\n");
    assert_quota(0);
    folder_put("sys/fs/cgroup/service/cpu.max", "100000\n");
    assert_quota(0);
    folder_put("sys/fs/cgroup/service/cpu.max", "");
    assert_quota(0);
}

static void a_file_that_is_too_long_is_said(void **state)
{
    char text[129];

    (void)state;
    memset(text, ' ', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    folder_put("proc/self/cgroup", "0::/service\n");
    folder_put("sys/fs/cgroup/service/cpu.max", text);
    assert_quota(0);
    assert_int_equal(heard.lines, 1);
    assert_non_null(strstr(heard.text, "/cpu.max, which may limit CPU time, cannot be read: File "
                                       "too large"));
}

static void a_file_that_cannot_be_read_is_said(void **state)
{
    char expected[RTI_LOG_BYTES_MAX];

    (void)state;
    folder_put("proc/self/cgroup", "0::/service\n");
    folder_put("sys/fs/cgroup/service/cpu.max/folder", "");
    assert_quota(0);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    snprintf(expected, sizeof(expected),
             "%s/sys/fs/cgroup/service/cpu.max, which may limit CPU time, cannot be read: Is a "
             "directory",
             folder_path);
    assert_string_equal(heard.text, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_cgroups_there_is_no_limit),
        TEST(the_limit_is_quota_by_period),
        TEST(the_tightest_cgroup_on_the_way_up_counts),
        TEST(the_root_of_the_mount_counts_too),
        TEST(the_first_version_of_cgroups_has_two_files),
        TEST(other_controllers_have_no_say),
        TEST(of_both_versions_the_tighter_counts),
        TEST(what_makes_no_sense_is_no_limit),
        TEST(a_file_that_is_too_long_is_said),
        TEST(a_file_that_cannot_be_read_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
