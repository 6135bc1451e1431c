/* SPDX-License-Identifier: MIT */
/*
 * The calls that dump, their errors, and what they do when shards do not answer.
 *
 * What a dump says is read by dump_process_test.py. Here writes are wrapped: they
 * can be made short, interrupted or failing. A shard that shall not answer
 * computes until the test has seen that, so nothing depends on time.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/sys.h"
#include "rt/rt.h"

#define TEXT_BYTES ((size_t)1 << 20)

static char *text;      /* what was written last, and a terminator */
static char said[1024]; /* the last line of the log */
static unsigned lines;  /* atomic: of the log */
static int out = -1;    /* a file in memory */
static int busy;        /* atomic: shard 1 computes; 0: it may go on */

/* How writes go wrong. */
static struct {
    size_t bytes_max;    /* of one write; 0: no limit */
    unsigned interrupts; /* of every second write, so many in all */
    size_t room;         /* bytes until `error`; 0: no error */
    int error;
    unsigned calls;
} writes;

ssize_t __real_rti_sys_write(int fd, const void *memory, size_t bytes);
ssize_t __wrap_rti_sys_write(int fd, const void *memory, size_t bytes);
ssize_t __wrap_rti_sys_write(int fd, const void *memory, size_t bytes)
{
    ssize_t n;

    writes.calls++;
    if (writes.interrupts > 0 && writes.calls % 2 == 0) {
        writes.interrupts--;
        return -EINTR;
    }
    if (writes.error != 0 && writes.room == 0) {
        return writes.error;
    }
    if (writes.bytes_max > 0 && bytes > writes.bytes_max) {
        bytes = writes.bytes_max;
    }
    n = __real_rti_sys_write(fd, memory, bytes);
    writes.room -= writes.error != 0 && n > 0 ? (size_t)n : 0;
    return n;
}

static void hear(void *arg, enum rt_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    snprintf(said, sizeof(said), "%s", line);
    __atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
}

static struct rt_config config_of(uint32_t shards)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = shards;
    config.place = RT_PLACE_UNBOUND;
    config.name = "test";
    config.log = hear;
    config.log_level = RT_LOG_ERROR;
    return config;
}

static int setup(void **state)
{
    (void)state;
    memset(&writes, 0, sizeof(writes));
    said[0] = '\0';
    lines = 0;
    text = calloc(1, TEXT_BYTES);
    out = memfd_create("dump", MFD_CLOEXEC);
    return text == NULL || out < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    free(text);
    close(out);
    return 0;
}

/* What was written since the last time. */
static const char *read_back(void)
{
    const ssize_t n = pread(out, text, TEXT_BYTES - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    T_CHECK(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0);
    return text;
}

static unsigned count(const char *in, const char *what)
{
    unsigned found = 0;

    while ((in = strstr(in, what)) != NULL) {
        found++;
        in++;
    }
    return found;
}

static void set_busy(int value)
{
    __atomic_store_n(&busy, value, __ATOMIC_SEQ_CST);
}

static bool is_busy(void)
{
    return __atomic_load_n(&busy, __ATOMIC_SEQ_CST) != 0;
}

/* Runs `body` on shard 0 while shard 1 computes. */
static int beside_a_busy_shard(void *arg)
{
    int (*const *body)(void) = arg;

    if (rt_shard_index() == 1) {
        set_busy(1);
        while (is_busy()) {
        }
        return 0;
    }
    while (!is_busy()) {
        rt_yield();
    }
    return (*body)();
}

static int start_beside_a_busy_shard(int (*body)(void))
{
    const struct rt_config config = config_of(2);

    set_busy(0);
    return rt_start(&config, beside_a_busy_shard, &body);
}

/* Writing */

static int write_in_pieces(void *arg)
{
    size_t whole;

    (void)arg;
    T_CHECK(rt_dump(out, 0) == 0);
    whole = strlen(read_back());
    writes.bytes_max = 3;
    writes.interrupts = 20;
    T_CHECK(rt_dump(out, 0) == 0);
    T_CHECK(writes.interrupts == 0);
    T_CHECK(strlen(read_back()) >= whole);
    T_CHECK(count(text, "dump of 'test'") == 1);
    T_CHECK(count(text, "shard 0 'test'") == 1);
    T_CHECK(strcmp(text + strlen(text) - 2, "\n\n") == 0);
    return 0;
}

static void a_short_or_interrupted_write_goes_on(void **state)
{
    const struct rt_config config = config_of(1);

    (void)state;
    assert_int_equal(rt_run(&config, write_in_pieces, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int write_and_fail(void *arg)
{
    (void)arg;
    writes.bytes_max = 20;
    writes.room = 40;
    writes.error = -ENOSPC;
    T_CHECK(rt_dump(out, 0) == -ENOSPC);
    T_CHECK(strlen(read_back()) == 40);
    writes.error = 0;
    T_CHECK(rt_dump(-1, 0) == -EBADF);
    T_CHECK(rt_dump_all(-1, RT_DUMP_JSON, RT_NEVER) == -EBADF);
    T_CHECK(rt_dump_all(out, 0, RT_NEVER) == 0); /* an error leaves nothing behind */
    T_CHECK(count(read_back(), "\nshard 0 ") == 1);
    return 0;
}

static void a_write_that_fails_ends_the_dump_with_its_error(void **state)
{
    const struct rt_config config = config_of(1);

    (void)state;
    assert_int_equal(rt_run(&config, write_and_fail, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int use_wrong_flags(void *arg)
{
    (void)arg;
    T_CHECK(rt_dump(out, 1u << 7) == -EINVAL);
    T_CHECK(strcmp(said, "rt_dump(): flags is 128; its bits are those of enum rt_dump_flag, "
                         "together 3") == 0);
    T_CHECK(rt_dump_all(out, 4, RT_NEVER) == -EINVAL);
    T_CHECK(strlen(read_back()) == 0);
    return 0;
}

static void unknown_flags_are_refused_in_words(void **state)
{
    const struct rt_config config = config_of(1);

    (void)state;
    assert_int_equal(rt_run(&config, use_wrong_flags, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* The least stack there is. Frames of AddressSanitizer need more than the contract says. */
static int dump_on_a_small_stack(void *arg)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;
    int result = -1;

    options.stack_bytes = RTI_ASAN ? 64 * 1024 : 16 * 1024;
    T_CHECK(rt_spawn_with(&task, write_in_pieces, arg, &options) == 0);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static void a_task_with_a_small_stack_may_dump(void **state)
{
    const struct rt_config config = config_of(1);

    (void)state;
    assert_int_equal(rt_run(&config, dump_on_a_small_stack, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Shards that do not answer */

static int dump_until_now(void)
{
    T_CHECK(rt_dump_all(out, 0, 0) == 0);
    read_back();
    T_CHECK(count(text, "\nshard 0 'test-0' on any CPU: ") == 1);
    T_CHECK(count(text, "\nshard 1 'test-1' did not answer (thread ") == 1);
    T_CHECK(rt_dump_all(out, RT_DUMP_JSON, rt_in(RT_MILLISECONDS(5))) == 0);
    T_CHECK(count(read_back(), "\"answered\":false") == 1);
    set_busy(0);
    T_CHECK(rt_dump_all(out, RT_DUMP_JSON, RT_NEVER) == 0); /* it answers, or has ended */
    T_CHECK(count(read_back(), "\"shard\":1") == 1);
    return 0;
}

static void a_shard_that_computes_is_not_waited_for_beyond_the_deadline(void **state)
{
    (void)state;
    assert_int_equal(start_beside_a_busy_shard(dump_until_now), 0);
    assert_int_equal(t_failures(), 0);
}

static int dump_and_let_go(void *arg)
{
    (void)arg;
    return rt_dump_all(out, 0, RT_NEVER);
}

static int second_dump(void *arg)
{
    (void)arg;
    T_CHECK(rt_dump_all(out, 0, RT_NEVER) == -EBUSY);
    return 0;
}

static int cancel_a_dump(void)
{
    struct rt_task *dumper;
    struct rt_task *second;
    int result = 0;

    T_CHECK(rt_spawn(&dumper, dump_and_let_go, NULL) == 0);
    T_CHECK(rt_spawn(&second, second_dump, NULL) == 0);
    T_CHECK(rt_join(second, NULL, RT_NEVER) == 0); /* the first one waits for shard 1 by now */
    rt_cancel(dumper);
    T_CHECK(rt_join(dumper, &result, RT_NEVER) == 0);
    T_CHECK(result == -ECANCELED);
    T_CHECK(strlen(read_back()) == 0);
    rt_cancel_self();
    T_CHECK(rt_dump_all(out, 0, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_dump(out, 0) == 0); /* which waits for nobody */
    T_CHECK(count(read_back(), "  cancelled\n") == 1);
    set_busy(0);
    return 0;
}

static void a_dump_of_all_ends_with_its_task_and_one_at_a_time_is_made(void **state)
{
    (void)state;
    assert_int_equal(start_beside_a_busy_shard(cancel_a_dump), 0);
    assert_int_equal(t_failures(), 0);
}

/* Both shards dump all the time, and one of them gets -EBUSY, or each gets its dump. */
static int dump_often(void *arg)
{
    unsigned *dumps = arg;

    for (int i = 0; i < 50; i++) {
        const int r = rt_dump_all(out, RT_DUMP_JSON, RT_NEVER);

        T_CHECK(r == 0 || r == -EBUSY);
        __atomic_add_fetch(dumps, r == 0 ? 1 : 0, __ATOMIC_SEQ_CST);
        rt_yield();
    }
    return 0;
}

static void shards_that_dump_each_other_do_not_wait_for_each_other(void **state)
{
    const struct rt_config config = config_of(2);
    unsigned dumps = 0;

    (void)state;
    assert_int_equal(rt_start(&config, dump_often, &dumps), 0);
    assert_int_equal(t_failures(), 0);
    assert_true(dumps > 0);
    read_back();
    assert_int_equal(count(text, "\"shard_count\":2"), dumps);
}

/* From a thread that is no shard */

static int wait_for_the_stop(void *arg)
{
    (void)arg;
    while (rt_park(RT_NEVER) == 0) { /* a wake may be for nothing */
    }
    return 0;
}

static void a_thread_dumps_shards_that_sleep(void **state)
{
    const struct rt_config config = config_of(2);
    struct rt_runtime *runtime;

    (void)state;
    assert_int_equal(rt_launch(&runtime, &config, wait_for_the_stop, NULL), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rt_runtime_dump(runtime, out, RT_DUMP_JSON, RT_NEVER), 0);
        assert_int_equal(count(read_back(), "\"answered\":true"), 2);
    }
    assert_int_equal(rt_runtime_dump(runtime, out, 9, RT_NEVER), -EINVAL);
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
}

/* Until both threads have left: no dump waits for them, nor is any shard left out. */
static void shards_that_stop_are_dumped_and_then_said_to_have_ended(void **state)
{
    const struct rt_config config = config_of(2);
    struct rt_runtime *runtime;
    unsigned ended = 0;

    (void)state;
    assert_int_equal(rt_launch(&runtime, &config, wait_for_the_stop, NULL), 0);
    rt_stop(runtime);
    while (ended < 2) {
        assert_int_equal(rt_runtime_dump(runtime, out, 0, RT_NEVER), 0);
        read_back();
        ended = count(text, "it has ended");
        assert_int_equal(count(text, "\nshard "), 2);
    }
    assert_int_equal(rt_wait(runtime), 0);
}

/* The signal */

static int never(void *arg)
{
    (void)arg;
    T_CHECK(false);
    return 0;
}

static void a_signal_with_another_use_is_refused_in_words(void **state)
{
    const uint32_t numbers[] = { SIGKILL, SIGSEGV, SIGTERM, SIGINT, 65, 1000000 };

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct rt_config config = config_of(1);

        config.dump_signal = numbers[i];
        assert_int_equal(rt_run(&config, never, NULL), -EINVAL);
        assert_non_null(strstr(said, "it must be a signal that has no other use here, such as "
                                     "SIGUSR1 (10) or SIGQUIT (3)"));
        assert_int_equal(rt_start(&config, never, NULL), -EINVAL);
    }
    assert_int_equal(t_failures(), 0);
}

static void unknown_flags_of_the_signal_are_refused_in_words(void **state)
{
    struct rt_config config = config_of(1);

    (void)state;
    config.dump_signal = SIGUSR1;
    config.dump_flags = 4;
    assert_int_equal(rt_run(&config, never, NULL), -EINVAL);
    assert_non_null(strstr(said, "config.dump_flags is 4"));
}

static void only_one_runtime_at_a_time_has_the_signal(void **state)
{
    struct rt_config config = config_of(1);
    struct rt_runtime *first;
    struct rt_runtime *second;
    struct sigaction before;
    struct sigaction after;

    (void)state;
    config.dump_signal = SIGUSR1;
    assert_int_equal(sigaction(SIGUSR1, NULL, &before), 0);
    assert_int_equal(rt_launch(&first, &config, wait_for_the_stop, NULL), 0);
    assert_int_equal(rt_launch(&second, &config, wait_for_the_stop, NULL), -EBUSY);
    assert_non_null(strstr(said, "rt_runtime_dump()"));
    rt_stop(first);
    assert_int_equal(rt_wait(first), 0);
    assert_int_equal(rt_launch(&second, &config, wait_for_the_stop, NULL), 0);
    rt_stop(second);
    assert_int_equal(rt_wait(second), 0);
    assert_int_equal(sigaction(SIGUSR1, NULL, &after), 0);
    assert_true(before.sa_handler == after.sa_handler);
}

static int raise_and_hear(void *arg)
{
    (void)arg;
    T_CHECK(kill(getpid(), SIGUSR1) == 0);
    while (__atomic_load_n(&lines, __ATOMIC_SEQ_CST) == 0) { /* said by another thread */
        rt_yield();
    }
    return 0;
}

static void a_file_that_cannot_be_opened_is_named_in_the_log(void **state)
{
    struct rt_config config = config_of(1);

    (void)state;
    config.dump_signal = SIGUSR1;
    config.dump_path = "/dev/no/such/file";
    assert_int_equal(rt_run(&config, raise_and_hear, NULL), 0);
    assert_string_equal(said, "the dump of 'test' to /dev/no/such/file: No such file or directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_short_or_interrupted_write_goes_on),
        TEST(a_write_that_fails_ends_the_dump_with_its_error),
        TEST(unknown_flags_are_refused_in_words),
        TEST(a_task_with_a_small_stack_may_dump),
        TEST(a_shard_that_computes_is_not_waited_for_beyond_the_deadline),
        TEST(a_dump_of_all_ends_with_its_task_and_one_at_a_time_is_made),
        TEST(shards_that_dump_each_other_do_not_wait_for_each_other),
        TEST(a_thread_dumps_shards_that_sleep),
        TEST(shards_that_stop_are_dumped_and_then_said_to_have_ended),
        TEST(a_signal_with_another_use_is_refused_in_words),
        TEST(unknown_flags_of_the_signal_are_refused_in_words),
        TEST(only_one_runtime_at_a_time_has_the_signal),
        TEST(a_file_that_cannot_be_opened_is_named_in_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
