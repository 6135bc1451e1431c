/* SPDX-License-Identifier: MIT */
/*
 * The planner, on machines that nobody here has: golden plans for each policy,
 * then what holds for every plan (P1, P2 of shard/place.h) on all of the
 * machines. A machine is a description that hwloc understands, a "2p" of two
 * packages for short; CPUs are turned off or forbidden by hand.
 */
#include "shard/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/sys.h"
#include "shard/topology.h"
#include "support/ear.h"
#include "support/harness.h"

#define RECORDED(name) RT_TEST_DATA "/topology/" name

/* The second CPUs of all cores are numbered after the first ones, as PCs do it. */
#define LAPTOP      "pack:1 l3:1 core:4 pu:2(indexes=2*4:4*1)"
#define SERVER_2P   "pack:2 numa:1 l3:2 core:2 pu:2"
#define NO_SMT_4P   "pack:4 numa:1 l3:1 core:2 pu:1"
#define SUB_NUMA    "pack:2 numa:2 l3:1 core:2 pu:1"
#define NO_CORES    "pu:4"
#define LARGE       "pack:4 numa:2 l3:4 core:64 pu:2"
#define LARGE_CPUS  4096
#define SHARDS_MORE 5 /* than CPUs, to see them share */

static const char *const machines[] = { LAPTOP, SERVER_2P, NO_SMT_4P, SUB_NUMA, NO_CORES };

static const struct rti_log wide_ear = { .write = hear, .level = RT_LOG_INFO };

static struct rt_topology *read_machine(const char *description)
{
    struct rt_topology *machine = NULL;

    assert_int_equal(
        rti_topology_read(&machine, RT_TOPOLOGY_SYNTHETIC, description, false, &wide_ear), 0);
    return machine;
}

static void set_state(struct rt_topology *machine, int32_t number, enum rt_cpu_state cpu_state)
{
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].number == number) {
            machine->cpus[i].state = cpu_state;
            return;
        }
    }
    fail_msg("there is no CPU %d", number);
}

static struct rt_plan *make_plan(const struct rt_topology *machine, enum rt_place place,
                                 const char *cpus, uint32_t shards)
{
    const struct rt_config config = { .place = place, .cpus = cpus, .shards = shards };
    struct rt_plan *made = NULL;

    memset(&heard, 0, sizeof(heard));
    assert_int_equal(rti_place(&made, machine, &config, NULL, &wide_ear), 0);
    return made;
}

/* The CPUs of all shards, in order of the shards, are those of the text. */
static void assert_order(const struct rt_plan *made, const char *expected)
{
    char text[512] = "";
    size_t length = 0;

    for (uint32_t i = 0; i < made->shard_count; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, i == 0 ? "%d" : " %d",
                                   made->shards[i].cpu);
        assert_true(length < sizeof(text));
    }
    assert_string_equal(text, expected);
}

static void assert_cpus(const struct rt_topology *machine, enum rt_place place, const char *cpus,
                        uint32_t shards, const char *expected)
{
    struct rt_plan *made = make_plan(machine, place, cpus, shards);

    assert_order(made, expected);
    rt_plan_destroy(made);
}

/* As if a disk "d" of that node, or of an unknown one (-1), were below "/p". */
static struct rt_plan *make_near(const struct rt_topology *machine, int32_t node, const char *cpus,
                                 uint32_t shards)
{
    const struct rt_config config = {
        .place = RT_PLACE_NEAR, .near = "/p", .cpus = cpus, .shards = shards
    };
    struct rti_near near = { .node = node, .text = "no reason", .disks = "d e" };
    struct rt_plan *made = NULL;

    if (node >= 0) {
        snprintf(near.text, sizeof(near.text), "d on node %d", node);
    }
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(rti_place(&made, machine, &config, &near, &wide_ear), 0);
    assert_int_equal(made->place, RT_PLACE_NEAR);
    assert_string_equal(made->near_disks, "d e");
    return made;
}

static void assert_near(const struct rt_topology *machine, int32_t node, const char *cpus,
                        uint32_t shards, const char *expected, const char *why)
{
    struct rt_plan *made = make_near(machine, node, cpus, shards);

    assert_order(made, expected);
    assert_string_equal(made->near, why);
    assert_int_equal(made->near_node, node);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_INFO);
    rt_plan_destroy(made);
}

static void core_takes_the_first_cpu_of_each_core(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);
    struct rt_topology *server = read_machine(SERVER_2P);

    (void)state;
    assert_cpus(laptop, RT_PLACE_CORE, NULL, 0, "0 1 2 3");
    assert_cpus(server, RT_PLACE_CORE, NULL, 0, "0 2 4 6 8 10 12 14");
    assert_cpus(server, RT_PLACE_CORE, NULL, 3, "0 2 4");
    assert_int_equal(heard.lines, 0);
    rt_topology_destroy(server);
    rt_topology_destroy(laptop);
}

static void core_goes_on_with_second_cpus_before_any_is_shared(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_cpus(laptop, RT_PLACE_CORE, NULL, 6, "0 1 2 3 4 5");
    assert_cpus(laptop, RT_PLACE_CORE, NULL, 8, "0 1 2 3 4 5 6 7");
    assert_int_equal(heard.lines, 0);
    rt_topology_destroy(laptop);
}

static void pu_takes_every_cpu_by_number(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_cpus(laptop, RT_PLACE_PU, NULL, 0, "0 1 2 3 4 5 6 7");
    assert_cpus(laptop, RT_PLACE_PU, NULL, 5, "0 1 2 3 4");
    rt_topology_destroy(laptop);
}

static void spread_changes_the_package_then_the_node_then_the_cache(void **state)
{
    struct rt_topology *server = read_machine(SERVER_2P);
    struct rt_topology *many = read_machine(NO_SMT_4P);
    struct rt_topology *nodes = read_machine(SUB_NUMA);

    (void)state;
    assert_cpus(server, RT_PLACE_SPREAD, NULL, 0, "0 8 4 12 2 10 6 14");
    assert_cpus(server, RT_PLACE_SPREAD, NULL, 16, "0 8 4 12 2 10 6 14 1 9 5 13 3 11 7 15");
    assert_cpus(many, RT_PLACE_SPREAD, NULL, 0, "0 2 4 6 1 3 5 7");
    assert_cpus(nodes, RT_PLACE_SPREAD, NULL, 0, "0 4 2 6 1 5 3 7");
    rt_topology_destroy(nodes);
    rt_topology_destroy(many);
    rt_topology_destroy(server);
}

static void pack_fills_a_core_before_the_next(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_cpus(laptop, RT_PLACE_PACK, NULL, 0, "0 4 1 5 2 6 3 7");
    assert_cpus(laptop, RT_PLACE_PACK, NULL, 3, "0 4 1");
    rt_topology_destroy(laptop);
}

static void unbound_shards_have_no_cpu_and_are_as_many_as_cpus(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);
    struct rt_plan *made;

    (void)state;
    set_state(laptop, 7, RT_CPU_DISALLOWED);
    assert_cpus(laptop, RT_PLACE_UNBOUND, NULL, 0, "-1 -1 -1 -1 -1 -1 -1");
    made = make_plan(laptop, RT_PLACE_UNBOUND, NULL, 1);
    assert_int_equal(made->shards[0].core, -1);
    assert_int_equal(made->shards[0].package, -1);
    assert_int_equal(made->shards[0].node, -1);
    rt_plan_destroy(made);
    rt_topology_destroy(laptop);
}

static void a_list_is_the_order_of_the_shards(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_cpus(laptop, RT_PLACE_CORE, "7,0-2", 0, "7 0 1 2");
    assert_cpus(laptop, RT_PLACE_CORE, "7,0-2", 2, "7 0");
    assert_cpus(laptop, RT_PLACE_CORE, "0,4", 0, "0 4"); /* two CPUs of one core */
    rt_topology_destroy(laptop);
}

static void another_policy_orders_the_cpus_of_a_list(void **state)
{
    struct rt_topology *server = read_machine(SERVER_2P);

    (void)state;
    assert_cpus(server, RT_PLACE_PU, "9,8,1,0", 0, "0 1 8 9");
    assert_cpus(server, RT_PLACE_PACK, "9,2,1,0", 0, "0 1 2 9");
    assert_cpus(server, RT_PLACE_SPREAD, "0-3,8-11", 0, "0 8 2 10");
    rt_topology_destroy(server);
}

static void cpus_that_are_off_or_forbidden_get_no_shard(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);
    struct rt_plan *made;

    (void)state;
    set_state(laptop, 0, RT_CPU_DISALLOWED);
    set_state(laptop, 1, RT_CPU_OFFLINE);
    set_state(laptop, 5, RT_CPU_OFFLINE);
    assert_cpus(laptop, RT_PLACE_CORE, NULL, 0, "4 2 3"); /* core 0 has CPU 4 left, core 1 none */
    assert_cpus(laptop, RT_PLACE_PU, NULL, 0, "2 3 4 6 7");
    assert_cpus(laptop, RT_PLACE_PACK, NULL, 0, "4 2 6 3 7");
    made = make_plan(laptop, RT_PLACE_CORE, "2", 0);
    assert_int_equal(made->cpus_allowed, 5); /* the list does not count here */
    assert_int_equal(made->cores, 3);
    rt_plan_destroy(made);
    rt_topology_destroy(laptop);
}

static void a_cpu_without_a_core_is_a_core(void **state)
{
    struct rt_topology *machine = read_machine(NO_CORES);

    (void)state;
    assert_cpus(machine, RT_PLACE_CORE, NULL, 0, "0 1 2 3");
    rt_topology_destroy(machine);
}

static void more_shards_than_cpus_take_turns_and_it_is_said(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);
    struct rt_plan *made;

    (void)state;
    assert_cpus(laptop, RT_PLACE_CORE, "3,1", 5, "3 1 3 1 3");
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_string_equal(heard.text, "5 shards on 2 CPUs: they take turns");
    made = make_plan(laptop, RT_PLACE_UNBOUND, NULL, 9);
    assert_int_equal(made->shared, 1);
    assert_string_equal(heard.text, "9 shards on 8 CPUs: they take turns");
    rt_plan_destroy(made);
    assert_cpus(laptop, RT_PLACE_PU, "2", 2, "2 2");
    assert_string_equal(heard.text, "2 shards on 1 CPU: they take turns");
    rt_topology_destroy(laptop);
}

static void a_quota_below_the_shards_is_warned_about_and_changes_no_plan(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);
    struct rt_plan *made;

    (void)state;
    laptop->cpu_quota = 1.5;
    made = make_plan(laptop, RT_PLACE_CORE, NULL, 0);
    assert_int_equal(made->shard_count, 4);
    assert_true(made->cpu_quota == 1.5);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_string_equal(heard.text, "4 shards, but the cgroup grants the time of 1.50 CPUs "
                                    "(cpu.max): the kernel will stop them now and then");
    rt_plan_destroy(made);
    rt_plan_destroy(make_plan(laptop, RT_PLACE_CORE, NULL, 1));
    assert_int_equal(heard.lines, 0);
    rt_topology_destroy(laptop);
}

static void assert_refused(const struct rt_topology *machine, enum rt_place place, const char *cpus,
                           const char *why)
{
    const struct rt_config config = { .place = place, .cpus = cpus };
    struct rt_plan *made = NULL;

    memset(&heard, 0, sizeof(heard));
    assert_int_equal(rti_place(&made, machine, &config, NULL, &ear), -EINVAL);
    assert_null(made);
    assert_int_equal(heard.lines, 1);
    assert_string_equal(heard.text, why);
}

static void what_cannot_be_planned_is_refused_with_its_reason(void **state)
{
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_refused(laptop, RT_PLACE_CORE, "0-8",
                   "cpus \"0-8\": there is no CPU 8; this process may use 0-7");
    assert_refused(laptop, RT_PLACE_UNBOUND, "0-3",
                   "cpus \"0-3\" with place unbound: shards that are not bound run on any CPU; "
                   "leave one of the two out, or run the program under taskset");
    assert_refused(laptop, RT_PLACE_NEAR, NULL,
                   "place near: near what? Set config.near (--near PATH)");
    for (int32_t cpu = 0; cpu < 8; cpu++) {
        set_state(laptop, cpu, RT_CPU_DISALLOWED);
    }
    assert_refused(laptop, RT_PLACE_PU, NULL, "this process may use none of the 8 CPUs");
    rt_topology_destroy(laptop);
}

static void near_takes_the_cores_of_the_node_and_then_those_of_others(void **state)
{
    struct rt_topology *server = read_machine(SERVER_2P);
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_near(laptop, 0, NULL, 6, "0 1 2 3 4 5", "/p: d on node 0"); /* there are no others */
    rt_topology_destroy(laptop);
    assert_near(server, 0, NULL, 0, "0 2 4 6", "/p: d on node 0");
    assert_near(server, 1, NULL, 0, "8 10 12 14", "/p: d on node 1");
    assert_near(server, 1, NULL, 3, "8 10 12", "/p: d on node 1");
    assert_near(server, 1, NULL, 6, "8 10 12 14 0 2",
                "/p: d on node 1, which has 4 cores to choose from; then the others by distance");
    assert_near(server, 1, NULL, 13, "8 10 12 14 0 2 4 6 9 11 13 15 1",
                "/p: d on node 1, which has 4 cores to choose from; then the others by distance");
    rt_topology_destroy(server);
}

static void a_list_is_what_near_chooses_from(void **state)
{
    struct rt_topology *server = read_machine(SERVER_2P);

    (void)state;
    assert_near(server, 1, "0-3,8-9", 0, "8", "/p: d on node 1");
    assert_near(server, 1, "0-3,8-9", 4, "8 0 2 9",
                "/p: d on node 1, which has 1 core to choose from; then the others by distance");
    assert_near(server, 1, "0-3", 0, "0 2",
                "/p: d on node 1, which has no CPU to choose from: the others by distance, from "
                "node 0 on");
    rt_topology_destroy(server);
}

/* Node 3, then that of the same package; or as the firmware has it, also against the packages. */
static void the_next_node_is_the_nearest_one(void **state)
{
    static const uint32_t told[] = {
        10, 20, 30, 21, /* by row: from that node */
        20, 10, 30, 11, /* to this one */
        30, 30, 10, 31, /* the way back may be longer */
        21, 11, 31, 10,
    };
    struct rt_topology *nodes = read_machine(SUB_NUMA);
    const char *why = "/p: d on node 3, which has 2 cores to choose from; then the others by "
                      "distance";

    (void)state;
    assert_null(nodes->distances);
    assert_near(nodes, 3, NULL, 8, "6 7 4 5 0 1 2 3", why);
    assert_near(nodes, 0, NULL, 0, "0 1", "/p: d on node 0");
    nodes->distances = rti_sys_alloc(sizeof(told));
    assert_non_null(nodes->distances);
    memcpy(nodes->distances, told, sizeof(told));
    assert_near(nodes, 3, NULL, 8, "6 7 2 3 0 1 4 5", why);
    rt_topology_destroy(nodes);
}

/* Node 2 of this machine has memory only: 31 to node 0, 28 to node 1. */
static void a_recorded_machine_has_distances_and_a_node_without_cpus(void **state)
{
    struct rt_topology *machine = NULL;

    (void)state;
    assert_int_equal(
        rti_topology_read(&machine, RT_TOPOLOGY_XML, RECORDED("asymmetric.xml"), false, &wide_ear),
        0);
    assert_near(machine, 0, NULL, 0, "0 2 4 6 8", "/p: d on node 0");
    assert_near(machine, 1, NULL, 0, "17 18", "/p: d on node 1");
    assert_near(machine, 2, NULL, 0, "17 18",
                "/p: d on node 2, which has no CPU to choose from: the others by distance, from "
                "node 1 on");
    assert_near(machine, 2, NULL, 4, "17 18 0 2",
                "/p: d on node 2, which has no CPU to choose from: the others by distance, from "
                "node 1 on");
    rt_topology_destroy(machine);
}

static void assert_like_core(const struct rt_topology *machine, int32_t node, const char *cpus,
                             const char *why, enum rt_log_level level)
{
    for (uint32_t shards = 0; shards < machine->cpu_count + SHARDS_MORE; shards++) {
        struct rt_plan *core = make_plan(machine, RT_PLACE_CORE, cpus, shards);
        struct rt_plan *made = make_near(machine, node, cpus, shards);

        if (made->shared == 0) { /* else this is warned about as well, and later */
            assert_int_equal(heard.lines, 1);
            assert_int_equal(heard.level, level);
        }
        assert_string_equal(made->near, why);
        assert_int_equal(made->near_node, -1);
        assert_int_equal(made->shard_count, core->shard_count);
        assert_memory_equal(made->shards, core->shards,
                            core->shard_count * sizeof(core->shards[0]));
        rt_plan_destroy(made);
        rt_plan_destroy(core);
    }
}

static void near_without_a_known_node_is_core_and_says_why(void **state)
{
    struct rt_topology *server = read_machine(SERVER_2P);
    struct rt_topology *laptop = read_machine(LAPTOP);

    (void)state;
    assert_like_core(server, -1, NULL, "/p: not known: no reason; placed as by core",
                     RT_LOG_WARNING);
    assert_like_core(server, -1, "8,3,0", "/p: not known: no reason; placed as by core",
                     RT_LOG_WARNING);
    assert_like_core(server, 2, NULL,
                     "/p: not known: d on node 2, which this machine does not show; placed as by "
                     "core",
                     RT_LOG_WARNING);
    assert_like_core(laptop, -1, NULL,
                     "/p: not known: no reason; but this machine has one node only", RT_LOG_INFO);
    rt_topology_destroy(laptop);
    rt_topology_destroy(server);
}

static const struct rt_topology_cpu *find_cpu(const struct rt_topology *machine, int32_t number)
{
    for (uint32_t i = 0; i < machine->cpu_count; i++) {
        if (machine->cpus[i].number == number) {
            return &machine->cpus[i];
        }
    }
    return NULL;
}

/* A bound plan against its definition, without a look at how it was made. */
static void check_plan(const struct rt_topology *machine, const struct rt_plan *made)
{
    uint32_t *used = calloc(machine->cpu_count, sizeof(*used)); /* shards of each CPU */

    assert_non_null(used);
    for (uint32_t i = 0; i < made->shard_count; i++) {
        const struct rt_plan_shard *shard = &made->shards[i];
        const struct rt_topology_cpu *cpu = find_cpu(machine, shard->cpu);

        assert_non_null(cpu);
        assert_int_equal(cpu->state, RT_CPU_ALLOWED);
        assert_int_equal(shard->core, cpu->core);
        assert_int_equal(shard->package, cpu->package);
        assert_int_equal(shard->node, cpu->node);
        used[cpu - machine->cpus]++;
    }
    for (uint32_t i = 0; i < machine->cpu_count; i++) { /* P2 */
        if (machine->cpus[i].state == RT_CPU_ALLOWED) {
            assert_in_range(used[i], made->shard_count / made->cpus_allowed,
                            (made->shard_count - 1) / made->cpus_allowed + 1);
        }
    }
    assert_int_equal(made->shared, made->shard_count > made->cpus_allowed);
    free(used);
}

/* Plans of every size against the largest; `node` counts for near only. */
static void check_sizes(const struct rt_topology *machine, enum rt_place place, int32_t node)
{
    const uint32_t most = machine->cpu_count + SHARDS_MORE;
    struct rt_plan *largest = NULL;

    for (uint32_t shards = most; shards >= 1; shards--) {
        struct rt_plan *made = place == RT_PLACE_NEAR ? make_near(machine, node, NULL, shards)
                                                      : make_plan(machine, place, NULL, shards);

        check_plan(machine, made);
        largest = largest == NULL ? made : largest;
        assert_memory_equal(made->shards, largest->shards,
                            shards * sizeof(made->shards[0])); /* P1 */
        if (made != largest) {
            rt_plan_destroy(made);
        }
    }
    rt_plan_destroy(largest);
}

static void every_plan_is_fair_repeatable_and_begins_like_a_larger_one(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof(machines) / sizeof(machines[0]); m++) {
        struct rt_topology *machine = read_machine(machines[m]);

        for (unsigned place = RT_PLACE_CORE; place < RT_PLACE_UNBOUND; place++) {
            check_sizes(machine, (enum rt_place)place, -1);
        }
        for (uint32_t n = 0; n < machine->node_count; n++) {
            check_sizes(machine, RT_PLACE_NEAR, machine->nodes[n].number);
        }
        rt_topology_destroy(machine);
    }
}

/* On a machine of equal parts, no package has more than one shard more than another, ever. */
static void spread_keeps_the_packages_even_at_every_number_of_shards(void **state)
{
    struct rt_topology *machine = read_machine(SERVER_2P);

    (void)state;
    for (uint32_t shards = 1; shards <= machine->cpu_count; shards++) {
        struct rt_plan *made = make_plan(machine, RT_PLACE_SPREAD, NULL, shards);
        uint32_t on[2] = { 0, 0 };

        for (uint32_t i = 0; i < shards; i++) {
            assert_in_range(made->shards[i].package, 0, 1);
            on[made->shards[i].package]++;
        }
        assert_in_range(on[0], on[1], on[1] + 1);
        rt_plan_destroy(made);
    }
    rt_topology_destroy(machine);
}

static void a_machine_of_thousands_of_cpus_is_planned(void **state)
{
    struct rt_topology *machine = read_machine(LARGE);
    struct rt_plan *made = make_plan(machine, RT_PLACE_PU, NULL, 0);

    (void)state;
    assert_int_equal(made->shard_count, LARGE_CPUS);
    assert_int_equal(made->shards[LARGE_CPUS - 1].cpu, LARGE_CPUS - 1);
    assert_int_equal(made->shards[LARGE_CPUS - 1].node, 7);
    assert_int_equal(made->nodes, 8);
    check_plan(machine, made);
    rt_plan_destroy(made);
    made = make_plan(machine, RT_PLACE_SPREAD, NULL, 0);
    assert_int_equal(made->shard_count, LARGE_CPUS / 2);
    for (uint32_t i = 0; i < 8; i++) { /* eight memory nodes before one is visited again */
        assert_int_equal(made->shards[i].node, (i % 4) * 2 + i / 4);
    }
    rt_plan_destroy(made);
    assert_cpus(machine, RT_PLACE_CORE, "1024-4095:1024", 0, "1024 2048 3072");
    made = make_near(machine, 5, NULL, 0);
    assert_int_equal(made->shard_count, LARGE_CPUS / 16);
    assert_int_equal(made->shards[0].cpu, LARGE_CPUS / 8 * 5);
    rt_plan_destroy(made);
    rt_topology_destroy(machine);
}

static void a_machine_with_more_room_than_shards_are_allowed_gets_the_limit(void **state)
{
    struct rt_topology *machine = read_machine("pack:8 l3:32 core:32 pu:1");
    struct rt_plan *made = make_plan(machine, RT_PLACE_CORE, NULL, 0);

    (void)state;
    assert_int_equal(made->shard_count, 4096);
    assert_int_equal(made->shared, 0);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_string_equal(heard.text, "there is room for 8192 shards, but 4096 is the limit");
    rt_plan_destroy(made);
    rt_topology_destroy(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(core_takes_the_first_cpu_of_each_core),
        cmocka_unit_test(core_goes_on_with_second_cpus_before_any_is_shared),
        cmocka_unit_test(pu_takes_every_cpu_by_number),
        cmocka_unit_test(spread_changes_the_package_then_the_node_then_the_cache),
        cmocka_unit_test(pack_fills_a_core_before_the_next),
        cmocka_unit_test(unbound_shards_have_no_cpu_and_are_as_many_as_cpus),
        cmocka_unit_test(a_list_is_the_order_of_the_shards),
        cmocka_unit_test(another_policy_orders_the_cpus_of_a_list),
        cmocka_unit_test(cpus_that_are_off_or_forbidden_get_no_shard),
        cmocka_unit_test(a_cpu_without_a_core_is_a_core),
        cmocka_unit_test(more_shards_than_cpus_take_turns_and_it_is_said),
        cmocka_unit_test(a_quota_below_the_shards_is_warned_about_and_changes_no_plan),
        cmocka_unit_test(what_cannot_be_planned_is_refused_with_its_reason),
        cmocka_unit_test(near_takes_the_cores_of_the_node_and_then_those_of_others),
        cmocka_unit_test(a_list_is_what_near_chooses_from),
        cmocka_unit_test(the_next_node_is_the_nearest_one),
        cmocka_unit_test(a_recorded_machine_has_distances_and_a_node_without_cpus),
        cmocka_unit_test(near_without_a_known_node_is_core_and_says_why),
        cmocka_unit_test(every_plan_is_fair_repeatable_and_begins_like_a_larger_one),
        cmocka_unit_test(spread_keeps_the_packages_even_at_every_number_of_shards),
        cmocka_unit_test(a_machine_of_thousands_of_cpus_is_planned),
        cmocka_unit_test(a_machine_with_more_room_than_shards_are_allowed_gets_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
