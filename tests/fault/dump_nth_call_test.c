/* SPDX-License-Identifier: MIT */
/*
 * Every system call of a dump fails once: those of the thread that waits for the
 * signal, of the shards that answer, and of who writes.
 *
 * The same program is run again and again with the nth call failing, as in
 * shards_nth_call_test.c. It dumps by call, and by a signal whose dump goes to a
 * pipe of the test.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rt/rt.h"

#define TEXT_BYTES ((size_t)256 * 1024)

static unsigned dumped; /* atomic: dumps by call that were complete */
static unsigned errors; /* atomic: lines of the log */
static char text[TEXT_BYTES];

static void hear(void *arg, enum rt_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
    __atomic_add_fetch(&errors, 1, __ATOMIC_RELAXED);
}

static unsigned count(const char *what)
{
    unsigned found = 0;

    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        found++;
    }
    return found;
}

static int sleeper(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

/* Answered or not, both shards are in it. */
static int dump_all(void *arg)
{
    const int file = memfd_create("dump", MFD_CLOEXEC);
    ssize_t n;
    int r;

    (void)arg;
    r = rt_spawn(NULL, sleeper, NULL);
    if (rt_shard_index() > 0 || r < 0) {
        close(file);
        return r;
    }
    r = rt_dump_all(file, 0, RT_NEVER);
    n = pread(file, text, TEXT_BYTES - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(file);
    T_CHECK(r == 0 || r == -ENOMEM || r == -EIO);
    T_CHECK(r != 0 || count("\nshard ") == 2);
    __atomic_add_fetch(&dumped, r == 0 && count("did not answer") == 0, __ATOMIC_RELAXED);
    return r;
}

static struct rt_config config_of(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log = hear;
    config.log_level = RT_LOG_ERROR;
    return config;
}

static int run(void *arg)
{
    struct rt_config config = config_of();

    (void)arg;
    config.dump_signal = SIGUSR1;
    return rt_start(&config, dump_all, NULL);
}

static void any_call_may_fail_once(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    printf("%u dumps were whole\n", dumped);
    assert_true(runs.calls >= 100 && runs.failed > 30 && dumped > 30);
}

/* A dump by signal goes to a file, or a line of the log says why it does not. */
static int dump_by_signal(void *arg)
{
    const unsigned before = __atomic_load_n(&errors, __ATOMIC_RELAXED);
    const char *path = arg;

    (void)kill(getpid(), SIGUSR1);
    while (__atomic_load_n(&errors, __ATOMIC_RELAXED) == before) {
        FILE *file = fopen(path, "re");
        size_t n = 0;

        if (file != NULL) {
            n = fread(text, 1, TEXT_BYTES - 1, file);
            fclose(file);
        }
        text[n] = '\0';
        if (n > 2 && strcmp(text + n - 2, "\n\n") == 0) {
            T_CHECK(count("\nshard 0 ") == 1);
            return 1;
        }
        rt_yield();
    }
    return 0;
}

static void a_dump_by_signal_is_written_or_its_failure_is_told(void **state)
{
    char path[] = "/tmp/dump_nth_call_test.XXXXXX";
    unsigned written = 0;
    unsigned told = 0;
    unsigned n = 0;
    bool hit;

    (void)state;
    assert_true(mkstemp(path) >= 0);
    do {
        struct rt_config config = config_of();
        int r;

        config.dump_signal = SIGUSR1;
        config.dump_path = path;
        assert_int_equal(truncate(path, 0), 0);
        fault_begin(++n);
        r = rt_run(&config, dump_by_signal, path);
        hit = fault_end();
        written += r == 1;
        told += r == 0;
    } while (hit);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(t_failures(), 0);
    printf("%u calls: %u dumps written, %u failures told\n", n - 1, written, told);
    assert_true(written > 10 && told > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
        cmocka_unit_test(a_dump_by_signal_is_written_or_its_failure_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
