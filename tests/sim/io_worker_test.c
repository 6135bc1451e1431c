/* SPDX-License-Identifier: MIT */
/*
 * The kernel is told where its threads for I/O run: on the shard's CPU, on all others that
 * the process may use, or nothing when the shard is not pinned.
 *
 * Method: rt_run() on the simulated kernel, which keeps the set that the ring registered.
 * The CPUs are those of the machine. tests/integration/io_worker_test.c looks at the threads.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/executor.h"
#include "rt/rt.h"
#include "support/ear.h"

static cpu_set_t allowed; /* to this process */

static unsigned first_cpu(void)
{
    unsigned cpu = 0;

    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    while (!CPU_ISSET(cpu, &allowed)) {
        cpu++;
    }
    return cpu;
}

static int ask(void *arg)
{
    cpu_set_t *set = arg;

    *set = sim_ring_worker_cpus(rti_current->reactor.ring.fd);
    return 0;
}

/* What was registered by a shard on `cpu` (below 0: not pinned), which logs from `level` on. */
static cpu_set_t registered(int cpu, enum rt_io_worker_place place, bool refused,
                            enum rt_log_level level)
{
    struct rt_config config = RT_CONFIG_INIT;
    char text[16];
    cpu_set_t set;

    memset(&heard, 0, sizeof(heard));
    snprintf(text, sizeof(text), "%d", cpu);
    config.cpus = cpu < 0 ? NULL : text;
    config.io_worker_place = place;
    config.log = hear;
    config.log_level = level;
    sim_begin(&(struct sim_config){ .seed = 1, .no_worker_cpus = refused });
    assert_int_equal(rt_run(&config, ask, &set), 0);
    assert_int_equal(sim_end(NULL), 0);
    return set;
}

static void they_run_on_the_shards_cpu_unless_told_otherwise(void **state)
{
    const unsigned cpu = first_cpu();
    const cpu_set_t set = registered((int)cpu, RT_IO_WORKER_SHARD, false, RT_LOG_INFO);
    char text[64];

    (void)state;
    assert_int_equal(CPU_COUNT(&set), 1);
    assert_true(CPU_ISSET(cpu, &set));
    snprintf(text, sizeof(text), "; threads for I/O on CPU %u", cpu);
    assert_non_null(strstr(heard.text, text));
}

static void they_run_on_all_other_cpus_that_the_process_may_use(void **state)
{
    const unsigned cpu = first_cpu();
    cpu_set_t others = allowed;
    cpu_set_t set;

    (void)state;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) == 0) {
        skip();
    }
    set = registered((int)cpu, RT_IO_WORKER_OTHERS, false, RT_LOG_INFO);
    assert_true(CPU_EQUAL(&set, &others));
    assert_non_null(strstr(heard.text, "; threads for I/O on the other CPUs"));
}

static void without_other_cpus_they_share_the_shards_and_a_warning_says_so(void **state)
{
    const unsigned cpu = first_cpu();
    const cpu_set_t all = allowed;
    cpu_set_t one;
    cpu_set_t set;

    (void)state;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    set = registered((int)cpu, RT_IO_WORKER_OTHERS, false, RT_LOG_WARNING);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    assert_true(CPU_EQUAL(&set, &one));
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_non_null(strstr(heard.text, "config.io_worker_place"));
}

static void a_shard_that_is_not_pinned_leaves_it_to_the_kernel(void **state)
{
    (void)state;
    for (unsigned place = RT_IO_WORKER_SHARD; place <= RT_IO_WORKER_OTHERS; place++) {
        const cpu_set_t set = registered(-1, (enum rt_io_worker_place)place, false, RT_LOG_INFO);

        assert_int_equal(CPU_COUNT(&set), 0);
        assert_non_null(strstr(heard.text, "; threads for I/O on any CPU"));
    }
}

static void a_kernel_that_refuses_the_cpus_is_named_and_the_shard_runs(void **state)
{
    const cpu_set_t set = registered((int)first_cpu(), RT_IO_WORKER_SHARD, true, RT_LOG_WARNING);

    (void)state;
    assert_int_equal(CPU_COUNT(&set), 0);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_non_null(strstr(heard.text, "cpuset.cpus"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_run_on_the_shards_cpu_unless_told_otherwise),
        cmocka_unit_test(they_run_on_all_other_cpus_that_the_process_may_use),
        cmocka_unit_test(without_other_cpus_they_share_the_shards_and_a_warning_says_so),
        cmocka_unit_test(a_shard_that_is_not_pinned_leaves_it_to_the_kernel),
        cmocka_unit_test(a_kernel_that_refuses_the_cpus_is_named_and_the_shard_runs),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take away the call */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
