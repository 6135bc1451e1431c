/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of blocking calls and of what is built upon them.
 *
 * The scenario is run again and again, and the nth call of the seam to the system
 * fails, until a run has fewer than n calls. Each run must end, with or without an
 * error, and leave no block of the heap, mapping or descriptor behind.
 */
#include "support/fault_checks.h"

#include <errno.h>

#include "rt/rt.h"

static int count_run(void *arg)
{
    ++*(int *)arg;
    return *(int *)arg;
}

static int use_pool(void)
{
    int runs = 0;
    int result = 0;
    int r = 0;

    for (int i = 0; r == 0 && i < 3; i++) {
        r = rt_blocking(count_run, &runs, &result, RT_NEVER);
        T_CHECK(r == 0 ? runs == i + 1 && result == runs : runs == i);
    }
    T_CHECK(r == 0 || r == -EAGAIN || r == -ENOMEM);
    return r;
}

static int scenario(void *arg)
{
    (void)arg;
    return use_pool();
}

static void hear_nothing(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text;
}

static int run(void)
{
    struct rt_config config = RT_CONFIG_INIT;
    int32_t cpus[2] = { -1, -1 };
    char text[16];

    t_first_cpus(cpus); /* pinned: then the pool's threads are put elsewhere */
    snprintf(text, sizeof(text), "%d", cpus[0]);
    config.cpus = text;
    config.log = hear_nothing;
    return rt_run(&config, scenario, NULL);
}

static void any_call_may_fail_once(void **state)
{
    unsigned descriptors;
    unsigned failed = 0;
    unsigned n = 0;
    bool hit;

    (void)state;
    assert_int_equal(run(), 0);
    descriptors = t_open_descriptors();
    do {
        fault_begin(++n);
        failed += run() < 0;
        hit = fault_end();
        check_nothing_is_left(n, descriptors);
    } while (hit);
    printf("%u calls, each made to fail once; %u of the runs ended with an error\n", n - 1, failed);
    assert_true(n > 50 && failed > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
