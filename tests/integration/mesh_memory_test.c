/* SPDX-License-Identifier: MIT */
/*
 * What lies between shards takes no memory before it is used: 128 shards, with 16,256 pairs
 * of them, stay below 64 MiB with all that belongs to a shard.
 *
 * Method: the resident memory of the process, read before the runtime is started and when
 * all first tasks have begun; and once more when shard 0 has called every other, which makes
 * ports for 127 pairs and not for all.
 */
#include "support/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h" /* RTI_ASAN, RTI_TSAN */
#include "rt/rt.h"

#define SHARDS    128
#define LIMIT_KIB (64L * 1024)

static struct {
    uint32_t begun;
    struct rt_waker last; /* wakes shard 0 */
    bool waits;           /* atomic: `last` is set */
    long untouched_kib;
    long called_kib;
} seen;

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kib = -1;

    if (file == NULL) {
        return -1;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) {
            kib = strtol(line + 4, NULL, 10);
        }
    }
    (void)fclose(file);
    return kib;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void wait_for_all(void)
{
    seen.last = rt_waker_self();
    __atomic_store_n(&seen.waits, true, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&seen.begun, __ATOMIC_SEQ_CST) < SHARDS) {
        T_CHECK(rt_park(RT_NEVER) == 0);
    }
}

static int first(void *arg)
{
    (void)arg;
    if (__atomic_add_fetch(&seen.begun, 1, __ATOMIC_SEQ_CST) == SHARDS &&
        __atomic_load_n(&seen.waits, __ATOMIC_SEQ_CST)) {
        rt_wake(seen.last);
    }
    if (rt_shard_index() != 0) {
        return 0;
    }
    wait_for_all();
    seen.untouched_kib = resident_kib();
    for (uint32_t i = 1; i < SHARDS; i++) {
        T_CHECK(rt_call(i, nothing, NULL, NULL, RT_NEVER) == 0);
    }
    seen.called_kib = resident_kib();
    return 0;
}

static void a_mesh_of_128_shards_takes_little_until_it_is_used(void **state)
{
    const long before = resident_kib();
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    (void)state;
    if (before < 0) {
        print_message("skipped: /proc/self/smaps_rollup cannot be read\n");
        skip();
    }
    config.shards = SHARDS;
    config.place = RT_PLACE_UNBOUND;
    config.log_level = RT_LOG_ERROR; /* that they take turns is meant so */
    r = rt_start(&config, first, NULL);
    if (r == -ENOMEM && geteuid() != 0) {
        print_message("skipped: 128 rings take 11 MiB of locked memory (ulimit -l)\n");
        skip();
    }
    assert_int_equal(r, 0);
    assert_int_equal(t_failures(), 0);
    print_message("%d shards: %ld KiB, and %ld KiB when one has called all\n", SHARDS,
                  seen.untouched_kib - before, seen.called_kib - before);
    assert_true(seen.untouched_kib > before);
    if (!RTI_ASAN && !RTI_TSAN) { /* their own memory comes on top */
        assert_true(seen.called_kib - before < LIMIT_KIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mesh_of_128_shards_takes_little_until_it_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
