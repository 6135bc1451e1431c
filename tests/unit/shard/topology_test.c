/* SPDX-License-Identifier: MIT */
/*
 * Topologies as they are read: from descriptions, from the recorded machines
 * in tests/data/topology, and this one, compared with what the kernel says.
 */
#include "shard/topology.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/ear.h"
#include "support/folder.h"
#include "support/harness.h"

#define RECORDED(name) RT_TEST_DATA "/topology/" name

static struct rt_config heard_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    return config;
}

static struct rt_topology *read_topology(enum rt_topology_source source, const char *text)
{
    const struct rt_config config = heard_config();
    struct rt_topology *topology = NULL;

    assert_int_equal(rt_topology_read(&topology, source, text, &config), 0);
    assert_int_equal(heard.lines, 0);
    return topology;
}

static void assert_cpu(const struct rt_topology *topology, uint32_t index,
                       struct rt_topology_cpu expected)
{
    assert_memory_equal(&topology->cpus[index], &expected, sizeof(expected));
}

static void assert_node(const struct rt_topology *topology, uint32_t index, int32_t number,
                        uint32_t cpus, uint64_t bytes)
{
    assert_int_equal(topology->nodes[index].number, number);
    assert_int_equal(topology->nodes[index].cpus, cpus);
    assert_int_equal(topology->nodes[index].bytes, bytes);
}

static void assert_cache(const struct rt_topology *topology, uint32_t index,
                         struct rt_topology_cache expected)
{
    assert_memory_equal(&topology->caches[index], &expected, sizeof(expected));
}

static void a_description_is_read_with_neighbours_together(void **state)
{
    struct rt_topology *machine = read_topology(
        RT_TOPOLOGY_SYNTHETIC, "pack:2 numa:1(memory=1GB) l3:2(size=1024) core:2 pu:2");

    (void)state;
    assert_int_equal(machine->cpu_count, 16);
    assert_int_equal(machine->core_count, 8);
    assert_int_equal(machine->package_count, 2);
    assert_int_equal(machine->node_count, 2);
    assert_int_equal(machine->device_count, 0);
    assert_true(machine->cpu_quota == 0);
    assert_cpu(machine, 0, (struct rt_topology_cpu){ 0, 0, 0, 0, 0, 0, RT_CPU_ALLOWED });
    assert_cpu(machine, 3, (struct rt_topology_cpu){ 3, 1, 1, 0, 0, 0, RT_CPU_ALLOWED });
    assert_cpu(machine, 4, (struct rt_topology_cpu){ 4, 2, 0, 1, 0, 0, RT_CPU_ALLOWED });
    assert_cpu(machine, 15, (struct rt_topology_cpu){ 15, 7, 1, 3, 1, 1, RT_CPU_ALLOWED });
    assert_int_equal(machine->cache_count, 1);
    assert_cache(machine, 0, (struct rt_topology_cache){ 3, RT_CACHE_UNIFIED, 4, 4, 1024 });
    assert_node(machine, 1, 1, 8, 1000000000);
    rt_topology_destroy(machine);
}

static void a_recorded_machine_has_its_caches_and_devices(void **state)
{
    struct rt_topology *machine = read_topology(RT_TOPOLOGY_XML, RECORDED("vm.xml"));

    (void)state;
    assert_int_equal(machine->cpu_count, 2);
    assert_int_equal(machine->cache_count, 4);
    assert_cache(machine, 0, (struct rt_topology_cache){ 3, RT_CACHE_UNIFIED, 1, 2, 503316480 });
    assert_cache(machine, 1, (struct rt_topology_cache){ 2, RT_CACHE_UNIFIED, 2, 1, 2097152 });
    assert_cache(machine, 2, (struct rt_topology_cache){ 1, RT_CACHE_DATA, 2, 1, 49152 });
    assert_cache(machine, 3, (struct rt_topology_cache){ 1, RT_CACHE_INSTRUCTION, 2, 1, 65536 });
    assert_int_equal(machine->device_count, 2);
    assert_string_equal(machine->devices[0].name, "vda");
    assert_int_equal(machine->devices[0].kind, RT_DEVICE_BLOCK);
    assert_int_equal(machine->devices[0].node, 0);
    assert_string_equal(machine->devices[1].name, "eth0");
    assert_int_equal(machine->devices[1].kind, RT_DEVICE_NETWORK);
    rt_topology_destroy(machine);
}

static void cores_of_a_machine_may_differ(void **state)
{
    struct rt_topology *machine = read_topology(RT_TOPOLOGY_XML, RECORDED("hybrid.xml"));

    (void)state;
    assert_int_equal(machine->cpu_count, 8);
    assert_int_equal(machine->core_count, 6);
    assert_cpu(machine, 3, (struct rt_topology_cpu){ 3, 1, 1, 0, 0, 0, RT_CPU_ALLOWED });
    assert_cpu(machine, 5, (struct rt_topology_cpu){ 6, 3, 0, 0, 0, 0, RT_CPU_ALLOWED });
    assert_int_equal(machine->cache_count, 3);
    assert_cache(machine, 1, (struct rt_topology_cache){ 2, RT_CACHE_UNIFIED, 2, 2, 1048576 });
    assert_cache(machine, 2, (struct rt_topology_cache){ 2, RT_CACHE_UNIFIED, 4, 1, 1048576 });
    rt_topology_destroy(machine);
}

static void cpus_that_cannot_be_used_stay_known(void **state)
{
    struct rt_topology *machine = read_topology(RT_TOPOLOGY_XML, RECORDED("asymmetric.xml"));

    (void)state;
    assert_int_equal(machine->cpu_count, 18);
    assert_int_equal(machine->core_count, 8);
    assert_cpu(machine, 10, (struct rt_topology_cpu){ 10, 5, 0, 0, 0, 0, RT_CPU_DISALLOWED });
    assert_cpu(machine, 11, (struct rt_topology_cpu){ 11, 5, 1, 0, 0, 0, RT_CPU_DISALLOWED });
    assert_cpu(machine, 12, (struct rt_topology_cpu){ 16, 6, 0, 1, 1, 1, RT_CPU_DISALLOWED });
    assert_cpu(machine, 13, (struct rt_topology_cpu){ 17, 6, 1, 1, 1, 1, RT_CPU_ALLOWED });
    assert_cpu(machine, 16, (struct rt_topology_cpu){ 12, -1, -1, -1, -1, -1, RT_CPU_OFFLINE });
    assert_cpu(machine, 17, (struct rt_topology_cpu){ 13, -1, -1, -1, -1, -1, RT_CPU_OFFLINE });
    rt_topology_destroy(machine);
}

static void a_memory_node_may_have_no_cpus(void **state)
{
    struct rt_topology *machine = read_topology(RT_TOPOLOGY_XML, RECORDED("asymmetric.xml"));

    (void)state;
    assert_int_equal(machine->node_count, 3);
    assert_node(machine, 0, 0, 12, 8000000000);
    assert_node(machine, 1, 1, 4, 8000000000);
    assert_node(machine, 2, 2, 0, 64000000000);
    rt_topology_destroy(machine);
}

static void distances_of_memory_nodes_are_those_that_were_recorded(void **state)
{
    static const uint32_t expected[] = { 10, 21, 31, 21, 10, 28, 31, 28, 10 };
    struct rt_topology *machine = read_topology(RT_TOPOLOGY_XML, RECORDED("asymmetric.xml"));

    (void)state;
    assert_non_null(machine->distances);
    assert_memory_equal(machine->distances, expected, sizeof(expected));
    rt_topology_destroy(machine);
    machine = read_topology(RT_TOPOLOGY_SYNTHETIC, "pack:2 [numa] core:2 pu:1");
    assert_null(machine->distances);
    rt_topology_destroy(machine);
}

static void this_machine_is_as_the_kernel_says(void **state)
{
    struct rt_topology *machine = NULL;
    cpu_set_t allowed;
    uint32_t usable = 0;
    uint32_t online = 0;

    (void)state;
    /* A quota of the machine under test may be unreadable, which is only a warning. */
    assert_int_equal(rt_topology_read(&machine, RT_TOPOLOGY_THIS, NULL, NULL), 0);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        rt_topology_destroy(machine);
        skip(); /* more CPUs than the C library's own set holds */
    }
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        const struct rt_topology_cpu *cpu = &machine->cpus[i];

        assert_true(cpu->number >= 0);
        online += cpu->state != RT_CPU_OFFLINE;
        usable += cpu->state == RT_CPU_ALLOWED;
        assert_int_equal(CPU_ISSET((size_t)cpu->number, &allowed) != 0,
                         cpu->state == RT_CPU_ALLOWED);
    }
    assert_int_equal(usable, CPU_COUNT(&allowed));
    assert_in_range(online, usable, sysconf(_SC_NPROCESSORS_ONLN));
    rt_topology_destroy(machine);
}

static void a_thread_that_is_pinned_may_use_one_cpu(void **state)
{
    struct rt_topology *machine = NULL;
    uint32_t usable = 0;
    uint32_t masked = 0;
    cpu_set_t before;
    cpu_set_t one;
    int cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    while (!CPU_ISSET((size_t)cpu, &before)) {
        cpu++;
    }
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(rti_topology_read(&machine, RT_TOPOLOGY_THIS, NULL, false, &ear), 0);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].state == RT_CPU_ALLOWED) {
            assert_int_equal(machine->cpus[i].number, cpu);
            usable++;
        }
        masked += machine->cpus[i].state == RT_CPU_MASKED;
    }
    assert_int_equal(usable, 1);
    /* It may have been masked before, so some more of its cpuset may be. */
    assert_in_range(masked, CPU_COUNT(&before) - 1, machine->cpu_count);
    rt_topology_destroy(machine);
}

static void reading_leaves_the_binding_of_the_thread_alone(void **state)
{
    struct rt_topology *machine = NULL;
    cpu_set_t before;
    cpu_set_t after;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    assert_int_equal(rti_topology_read(&machine, RT_TOPOLOGY_THIS, NULL, true, &ear), 0);
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    rt_topology_destroy(machine);
}

static void a_quota_is_read_below_any_root(void **state)
{
    const struct rt_config config = heard_config();

    assert_int_equal(folder_make(state), 0);
    assert_true(rt_topology_quota(folder_path, &config) == 0);
    folder_put("proc/self/cgroup", "0::/\n");
    folder_put("sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_true(rt_topology_quota(folder_path, &config) == 1.5);
    assert_int_equal(heard.lines, 0);
    assert_int_equal(folder_remove(state), 0);
}

static void assert_refused(uint32_t source, const char *text, int error, const char *why)
{
    const struct rt_config config = heard_config();
    struct rt_topology *topology = NULL;

    assert_int_equal(rt_topology_read(&topology, source, text, &config), error);
    assert_null(topology);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_ERROR);
    assert_string_equal(heard.text, why);
}

static void what_describes_no_machine_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused(RT_TOPOLOGY_SYNTHETIC, "sofa:2", -EINVAL,
                   "the description of a machine \"sofa:2\" cannot be read: Invalid argument");
    assert_refused(RT_TOPOLOGY_XML, "/proc/does/not/exist", -ENOENT,
                   "the file of a machine \"/proc/does/not/exist\" cannot be read: No such file or "
                   "directory");
    assert_refused(RT_TOPOLOGY_SYNTHETIC, NULL, -EINVAL,
                   "a topology is read from this machine or from a text, not from no text");
    assert_refused(RT_TOPOLOGY_THIS, "pu:1", -EINVAL,
                   "a topology is read from this machine or from a text, not from both");
    assert_refused(9, "pu:1", -EINVAL, "source 9 of a topology is unknown");
}

static void a_file_that_is_no_topology_is_refused(void **state)
{
    const struct rt_config config = heard_config();
    struct rt_topology *topology = NULL;

    (void)state;
    assert_true(rt_topology_read(&topology, RT_TOPOLOGY_XML, RECORDED("README.md"), &config) < 0);
    assert_null(topology);
    assert_int_equal(heard.lines, 1);
}

static void destroying_nothing_is_legal(void **state)
{
    (void)state;
    rt_topology_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_is_read_with_neighbours_together),
        cmocka_unit_test(a_recorded_machine_has_its_caches_and_devices),
        cmocka_unit_test(cores_of_a_machine_may_differ),
        cmocka_unit_test(cpus_that_cannot_be_used_stay_known),
        cmocka_unit_test(a_memory_node_may_have_no_cpus),
        cmocka_unit_test(distances_of_memory_nodes_are_those_that_were_recorded),
        cmocka_unit_test(this_machine_is_as_the_kernel_says),
        cmocka_unit_test(a_thread_that_is_pinned_may_use_one_cpu),
        cmocka_unit_test(reading_leaves_the_binding_of_the_thread_alone),
        cmocka_unit_test(a_quota_is_read_below_any_root),
        cmocka_unit_test(what_describes_no_machine_is_refused_with_its_reason),
        cmocka_unit_test(a_file_that_is_no_topology_is_refused),
        cmocka_unit_test(destroying_nothing_is_legal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
