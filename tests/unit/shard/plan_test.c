/* SPDX-License-Identifier: MIT */
/*
 * Plans as a user makes and shows them: the text to the letter, a plan of this
 * machine, and what is left behind when a system call fails (nothing).
 */
#include "rt/placement.h"

#include <errno.h>
#include <string.h>

#include "support/ear.h"
#include "support/fault.h"
#include "support/harness.h"

#define RECORDED(name) RT_TEST_DATA "/topology/" name
#define COLUMNS        80

static struct rt_config heard_config(enum rt_place place, uint32_t shards)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    config.place = place;
    config.shards = shards;
    return config;
}

static struct rt_plan *make_plan(enum rt_topology_source source, const char *text,
                                 enum rt_place place, uint32_t shards)
{
    const struct rt_config config = heard_config(place, shards);
    struct rt_topology *topology = NULL;
    struct rt_plan *made = NULL;

    assert_int_equal(rt_topology_read(&topology, source, text, &config), 0);
    assert_int_equal(rt_plan_create_on(&made, topology, &config), 0);
    rt_topology_destroy(topology);
    return made;
}

static void assert_format(const struct rt_plan *made, const char *expected)
{
    char text[8192];

    assert_int_equal(rt_plan_format(made, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
}

static void a_plan_is_a_few_lines_of_text(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:1 core:4 pu:1", RT_PLACE_CORE, 0);

    (void)state;
    assert_format(made, "4 shards by place core; usable: 4 CPUs on 4 cores, 1 memory node\n"
                        "CPU of each shard: 0-3\n");
    rt_plan_destroy(made);
    made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:1 core:1 pu:1", RT_PLACE_PACK, 1);
    assert_format(made, "1 shard by place pack; usable: 1 CPU on 1 core, 1 memory node\n"
                        "CPU of each shard: 0\n");
    rt_plan_destroy(made);
    made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:1 core:4 pu:2", RT_PLACE_UNBOUND, 2);
    assert_format(made, "2 shards by place unbound; usable: 8 CPUs on 4 cores, 1 memory node\n"
                        "not bound: the kernel moves them between CPUs\n");
    rt_plan_destroy(made);
}

static void shards_near_each_memory_node_are_named(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:2 numa:1 core:4 pu:2",
                                     RT_PLACE_SPREAD, 0);

    (void)state;
    assert_format(made, "8 shards by place spread; usable: 16 CPUs on 8 cores, 2 memory nodes\n"
                        "CPU of each shard: 0,8,2,10,4,12,6,14\n"
                        "near memory node 0: shards 0-6:2\n"
                        "near memory node 1: shards 1-7:2\n");
    rt_plan_destroy(made);
    made = make_plan(RT_TOPOLOGY_XML, RECORDED("asymmetric.xml"), RT_PLACE_CORE, 0);
    assert_format(made, "7 shards by place core; usable: 13 CPUs on 7 cores, 3 memory nodes\n"
                        "CPU of each shard: 0-8:2,17-18\n"
                        "near memory node 0: shards 0-4\n"
                        "near memory node 1: shards 5-6\n");
    rt_plan_destroy(made);
}

static void shared_cpus_and_a_quota_are_said(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "core:2 pu:1", RT_PLACE_CORE, 64);

    (void)state;
    assert_int_equal(made->shared, 1);
    made->cpu_quota = 1.25;
    assert_format(made, "64 shards by place core; usable: 2 CPUs on 2 cores, 1 memory node\n"
                        "CPU of each shard: 0-1, and again\n"
                        "more shards than CPUs: they take turns\n"
                        "the cgroup grants the time of 1.25 CPUs\n");
    rt_plan_destroy(made);
}

/* Cut at each length: terminated, a part of the whole, and the length of the whole is told. */
static void a_text_without_room_is_cut_and_counted_whole(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "core:2 pu:2", RT_PLACE_PACK, 0);
    char whole[256];
    char cut[256];
    size_t length;

    (void)state;
    length = rt_plan_format(made, whole, sizeof(whole));
    assert_true(length < sizeof(whole));
    assert_int_equal(rt_plan_format(made, NULL, 0), length);
    for (size_t bytes = 1; bytes <= length; bytes++) {
        memset(cut, 'x', sizeof(cut));
        assert_int_equal(rt_plan_format(made, cut, bytes), length);
        assert_memory_equal(cut, whole, bytes - 1);
        assert_int_equal(cut[bytes - 1], '\0');
        assert_int_equal(cut[bytes], 'x');
    }
    rt_plan_destroy(made);
}

static void lines_of_a_large_plan_are_wrapped(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:2 numa:1 core:512 pu:2",
                                     RT_PLACE_SPREAD, 0);
    char text[8192];
    size_t lines = 0;

    (void)state;
    assert_true(rt_plan_format(made, text, sizeof(text)) < sizeof(text));
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL; lines++) {
        assert_true(strlen(line) <= COLUMNS);
    }
    assert_true(lines > 50); /* 1024 numbers of up to four digits do not fit into less */
    rt_plan_destroy(made);
}

static void this_machine_gets_a_plan(void **state)
{
    struct rt_plan *made = NULL;
    struct rt_plan *pinned = NULL;
    struct rt_config config = RT_CONFIG_INIT;
    char cpu[16];

    (void)state;
    assert_int_equal(rt_plan_create(&made, NULL), 0);
    assert_int_equal(made->shard_count, made->cores);
    assert_true(made->cpus_allowed >= made->cores);
    assert_int_equal(made->shared, 0);
    snprintf(cpu, sizeof(cpu), "%d", made->shards[made->shard_count - 1].cpu);
    config.cpus = cpu;
    assert_int_equal(rt_plan_create(&pinned, &config), 0);
    assert_int_equal(pinned->shard_count, 1);
    assert_memory_equal(&pinned->shards[0], &made->shards[made->shard_count - 1],
                        sizeof(pinned->shards[0]));
    rt_plan_destroy(pinned);
    rt_plan_destroy(made);
    rt_plan_destroy(NULL);
}

static void a_wrong_configuration_makes_no_plan(void **state)
{
    struct rt_config config = heard_config(RT_PLACE_CORE, 0);
    struct rt_plan *made = NULL;

    (void)state;
    config.place = RT_PLACE_NEAR + 1;
    assert_int_equal(rt_plan_create(&made, &config), -EINVAL);
    assert_int_equal(heard.lines, 1);
    config = heard_config(RT_PLACE_CORE, 0);
    config.cpus = "none of them";
    assert_int_equal(rt_plan_create(&made, &config), -EINVAL);
    assert_int_equal(heard.lines, 1);
    assert_null(made);
}

/* What is found of the path depends on the machine: not that it is told, nor what cannot be. */
static void a_plan_near_a_path_says_what_was_found_there(void **state)
{
    struct rt_config config = heard_config(RT_PLACE_NEAR, 0);
    struct rt_plan *made = NULL;
    char text[4096];

    (void)state;
    config.near = "/proc";
    assert_int_equal(rt_plan_create(&made, &config), 0);
    assert_int_equal(made->near_node, -1);
    assert_memory_equal(made->near, "/proc: not known: proc has no block device of its own",
                        strlen("/proc: not known: proc has no block device of its own"));
    assert_true(rt_plan_format(made, text, sizeof(text)) < sizeof(text));
    assert_non_null(strstr(text, "\nnear /proc: not known: proc has no block device of its own"));
    rt_plan_destroy(made);
    made = NULL;
    config = heard_config(RT_PLACE_NEAR, 0);
    config.near = "gone_and_forgotten";
    assert_int_equal(rt_plan_create(&made, &config), -ENOENT);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_ERROR);
    config = heard_config(RT_PLACE_PACK, 0);
    config.near = "/";
    assert_int_equal(rt_plan_create(&made, &config), -EINVAL);
    assert_string_equal(heard.text,
                        "near \"/\" with another place than near: leave one of the two out");
    assert_null(made);
}

/* The text of a wide array is broken between words. */
static void a_long_reason_is_wrapped(void **state)
{
    struct rt_plan *made = make_plan(RT_TOPOLOGY_SYNTHETIC, "pack:1 core:4 pu:1", RT_PLACE_CORE, 0);

    (void)state;
    made->near = "/var/lib/a_service/data: md127 (nvme0n1, nvme1n1, nvme2n1, nvme3n1, nvme4n1, "
                 "nvme5n1 and 6 more) on node 0";
    assert_format(made, "4 shards by place core; usable: 4 CPUs on 4 cores, 1 memory node\n"
                        "near /var/lib/a_service/data: md127 (nvme0n1, nvme1n1, nvme2n1, nvme3n1,\n"
                        "    nvme4n1, nvme5n1 and 6 more) on node 0\n"
                        "CPU of each shard: 0-3\n");
    rt_plan_destroy(made);
}

/* A quota that cannot be read is a warning, and a disk whose node cannot be found is one without;
 * nothing else that fails is forgiven. */
static unsigned plan_with_each_call_failing(const struct rt_config *config)
{
    const unsigned descriptors = t_open_descriptors();
    const int64_t blocks = fault_live_blocks();
    unsigned failed = 0;

    for (unsigned n = 1;; n++) {
        struct rt_plan *made = NULL;
        int r;

        memset(&heard, 0, sizeof(heard));
        fault_begin(n);
        r = rt_plan_create(&made, config);
        if (!fault_end()) {
            assert_int_equal(r, 0);
            rt_plan_destroy(made);
            break;
        }
        failed++;
        if (strcmp(fault_name(), "rti_sys_alloc") == 0 ||
            strcmp(fault_name(), "rti_sys_stat") == 0) {
            assert_int_equal(r, strcmp(fault_name(), "rti_sys_stat") == 0 ? -EACCES : -ENOMEM);
            assert_null(made);
            assert_int_equal(heard.level, RT_LOG_ERROR);
        } else {
            assert_int_equal(r, 0);
            rt_plan_destroy(made);
        }
        assert_int_equal(fault_live_blocks(), blocks);
        assert_int_equal(t_open_descriptors(), descriptors);
    }
    return failed;
}

static void planning_leaves_nothing_behind_whatever_call_fails(void **state)
{
    struct rt_config config = heard_config(RT_PLACE_SPREAD, 0);
    const unsigned failed = plan_with_each_call_failing(&config);

    (void)state;
    assert_true(failed >= 8); /* the arrays of a topology, its head, those of a plan */
    config.place = RT_PLACE_NEAR;
    config.near = "/";
    assert_true(plan_with_each_call_failing(&config) > failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_a_few_lines_of_text),
        cmocka_unit_test(shards_near_each_memory_node_are_named),
        cmocka_unit_test(shared_cpus_and_a_quota_are_said),
        cmocka_unit_test(a_text_without_room_is_cut_and_counted_whole),
        cmocka_unit_test(lines_of_a_large_plan_are_wrapped),
        cmocka_unit_test(this_machine_gets_a_plan),
        cmocka_unit_test(a_wrong_configuration_makes_no_plan),
        cmocka_unit_test(a_plan_near_a_path_says_what_was_found_there),
        cmocka_unit_test(a_long_reason_is_wrapped),
        cmocka_unit_test(planning_leaves_nothing_behind_whatever_call_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
