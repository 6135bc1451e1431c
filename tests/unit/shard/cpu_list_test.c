/* SPDX-License-Identifier: MIT */
/*
 * CPU lists: which texts are understood, and what is said of the others. The
 * machine is made up, with 8 CPUs of which 5 is offline and 6 is not allowed.
 */
#include "shard/cpu_list.h"

#include <errno.h>
#include <string.h>

#include "support/ear.h"
#include "support/harness.h"

#define CPUS 8

static struct rt_topology_cpu cpus[CPUS];
static const struct rt_topology machine = { .cpus = cpus, .cpu_count = CPUS };

static int set_up(void **state)
{
    (void)state;
    memset(&heard, 0, sizeof(heard));
    for (int32_t i = 0; i < CPUS; i++) {
        cpus[i] = (struct rt_topology_cpu){ .number = i };
    }
    cpus[5].state = RT_CPU_OFFLINE;
    cpus[6].state = RT_CPU_DISALLOWED;
    return 0;
}

static void assert_reads(const char *text, int count, const uint32_t *expected)
{
    uint32_t indices[CPUS];

    assert_int_equal(rti_cpu_list_read(&machine, text, indices, &ear), count);
    assert_memory_equal(indices, expected, (size_t)count * sizeof(*expected));
    assert_int_equal(heard.lines, 0);
}

static void assert_refused(const char *text, const char *why)
{
    uint32_t indices[CPUS];

    heard.lines = 0;
    assert_int_equal(rti_cpu_list_read(&machine, text, indices, &ear), -EINVAL);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_ERROR);
    assert_string_equal(heard.text, why);
}

static void numbers_ranges_and_steps_are_read_in_their_order(void **state)
{
    (void)state;
    assert_reads("3", 1, (const uint32_t[]){ 3 });
    assert_reads("4,0", 2, (const uint32_t[]){ 4, 0 });
    assert_reads("2-4,7,0-1", 6, (const uint32_t[]){ 2, 3, 4, 7, 0, 1 });
    assert_reads("0-4:2", 3, (const uint32_t[]){ 0, 2, 4 });
    assert_reads("1-4:3", 2, (const uint32_t[]){ 1, 4 });
    assert_reads("0-3:2147483647", 1, (const uint32_t[]){ 0 });
    assert_reads("7-7", 1, (const uint32_t[]){ 7 });
    assert_reads("0-4,7", 6, (const uint32_t[]){ 0, 1, 2, 3, 4, 7 });
}

static void a_list_names_cpus_by_number_and_gets_their_places(void **state)
{
    (void)state;
    for (int32_t i = 0; i < CPUS; i++) { /* CPU 0 is the last of the array */
        cpus[i] = (struct rt_topology_cpu){ .number = CPUS - 1 - i };
    }
    assert_reads("0-1", 2, (const uint32_t[]){ 7, 6 });
}

#define CURE ": write numbers and ranges, such as \"0-3,8\" or \"0-14:2\""

static void what_is_no_list_is_refused_where_it_goes_wrong(void **state)
{
    (void)state;
    assert_refused("", "cpus \"\" cannot be read at \"\"" CURE);
    assert_refused("0,", "cpus \"0,\" cannot be read at \"\"" CURE);
    assert_refused("0,,1", "cpus \"0,,1\" cannot be read at \",1\"" CURE);
    assert_refused("all", "cpus \"all\" cannot be read at \"all\"" CURE);
    assert_refused("0 1", "cpus \"0 1\" cannot be read at \" 1\"" CURE);
    assert_refused(" 0", "cpus \" 0\" cannot be read at \" 0\"" CURE);
    assert_refused("-1", "cpus \"-1\" cannot be read at \"-1\"" CURE);
    assert_refused("0-", "cpus \"0-\" cannot be read at \"\"" CURE);
    assert_refused("0--1", "cpus \"0--1\" cannot be read at \"-1\"" CURE);
    assert_refused("0x1", "cpus \"0x1\" cannot be read at \"x1\"" CURE);
    assert_refused("1:2", "cpus \"1:2\" cannot be read at \":2\"" CURE);
    assert_refused("0-3:", "cpus \"0-3:\" cannot be read at \"\"" CURE);
    assert_refused("4294967296", "cpus \"4294967296\" cannot be read at \"4294967296\"" CURE);
    assert_refused("3-1", "cpus \"3-1\": the range 3-1 runs backwards");
    assert_refused("0-3:0", "cpus \"0-3:0\": the range 0-3 has a step of 0");
}

static void each_cpu_that_cannot_be_had_has_its_own_text(void **state)
{
    (void)state;
    assert_refused("0,8", "cpus \"0,8\": there is no CPU 8; this process may use 0-4,7");
    assert_refused("5", "cpus \"5\": CPU 5 is offline; this process may use 0-4,7");
    assert_refused("6", "cpus \"6\": CPU 6 exists, but this process may not use it (see taskset -p "
                        "or cpuset.cpus); it may use 0-4,7");
    assert_refused("1,0-3", "cpus \"1,0-3\": CPU 1 is named twice");
    assert_refused("0-2147483647", "cpus \"0-2147483647\": CPU 5 is offline; this process may use "
                                   "0-4,7");
}

static void assert_format(enum rt_cpu_state wanted, const char *expected)
{
    char text[64];

    rti_cpu_list_format(&machine, wanted, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void cpus_are_listed_by_number_and_state(void **state)
{
    (void)state;
    assert_format(RT_CPU_ALLOWED, "0-4,7");
    assert_format(RT_CPU_OFFLINE, "5");
    cpus[6].state = RT_CPU_ALLOWED;
    assert_format(RT_CPU_DISALLOWED, "none");
    assert_format(RT_CPU_ALLOWED, "0-4,6-7");
}

/* The whole list is "0-4,7": each cut is its beginning, and nothing is written behind. */
static void a_list_without_room_is_cut_and_terminated(void **state)
{
    static const char whole[] = "0-4,7";

    (void)state;
    for (size_t bytes = 1; bytes <= sizeof(whole); bytes++) {
        char text[16];

        memset(text, 'x', sizeof(text));
        rti_cpu_list_format(&machine, RT_CPU_ALLOWED, text, bytes);
        assert_memory_equal(text, whole, bytes - 1);
        assert_int_equal(text[bytes - 1], '\0');
        assert_int_equal(text[bytes], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(numbers_ranges_and_steps_are_read_in_their_order, set_up),
        cmocka_unit_test_setup(a_list_names_cpus_by_number_and_gets_their_places, set_up),
        cmocka_unit_test_setup(what_is_no_list_is_refused_where_it_goes_wrong, set_up),
        cmocka_unit_test_setup(each_cpu_that_cannot_be_had_has_its_own_text, set_up),
        cmocka_unit_test_setup(cpus_are_listed_by_number_and_state, set_up),
        cmocka_unit_test_setup(a_list_without_room_is_cut_and_terminated, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
