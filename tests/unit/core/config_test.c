/* SPDX-License-Identifier: MIT */
/* Configuration: defaults, sizes of older and newer programs, what is refused, in which words. */
#include "core/config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "support/ear.h"
#include "support/harness.h"

#define NEWER_BYTES 64u

/* The struct of a newer library, which has fields after those that this one knows. */
struct newer_config {
    struct rt_config known;
    unsigned char tail[NEWER_BYTES];
};

static struct rt_config heard_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    config.log_arg = &heard;
    return config;
}

static void assert_default(const struct rt_config *config)
{
    assert_int_equal(config->size, sizeof(*config));
    assert_int_equal(config->tasks_max, 1048576);
    assert_null(config->cpus);
    assert_string_equal(config->name, "shard");
    assert_int_equal(config->ring_entries, 256);
    assert_int_equal(config->cq_entries, 4096);
    assert_int_equal(config->stack_bytes, 64 * 1024);
    assert_int_equal(config->io_workers, 8);
    assert_int_equal(config->task_quota, RT_MICROSECONDS(500));
    assert_int_equal(config->stop_timeout, RT_SECONDS(30));
    assert_int_equal(config->shards, 0); /* as many as the plan has */
    assert_int_equal(config->place, RT_PLACE_CORE);
    assert_int_equal(config->port_entries, 128);
    assert_int_equal(config->posts_max, 64);
    assert_int_equal(config->flags, 0);
    assert_int_equal(config->stacks_warm, 1024);
    assert_int_equal(config->buffer_bytes, 64 << 20);
    assert_int_equal(config->blocking_threads, 8);
    assert_int_equal(config->blocking_queue, 1024);
    assert_int_equal(config->io_worker_place, RT_IO_WORKER_SHARD);
    assert_int_equal(config->spin_policy, RT_SPIN_FIXED);
    assert_int_equal(config->spin, RT_SPIN_OFF);
    assert_int_equal(config->timer_slack, 0);
    assert_int_equal(config->stall_threshold, RT_MILLISECONDS(10));
    assert_int_equal(config->wait_cycles, RT_WAIT_CYCLES_OFF);
    assert_int_equal(config->stall_pause, RT_SECONDS(1));
    assert_int_equal(config->stall_signal, SIGRTMAX - 2);
    assert_null(config->disable);
    assert_null(config->trace);
}

static void no_configuration_means_every_default(void **state)
{
    struct rt_config read;
    struct rti_log log;

    (void)state;
    assert_int_equal(rti_config_read(&read, &log, NULL), 0);
    assert_default(&read);
    assert_true(log.write == rti_log_to_stderr);
    assert_int_equal(log.level, RT_LOG_WARNING);
}

static void a_zeroed_struct_and_the_initializer_mean_every_default(void **state)
{
    const struct rt_config zeroed = { 0 };
    const struct rt_config initial = RT_CONFIG_INIT;
    struct rt_config read;
    struct rti_log log;

    (void)state;
    assert_int_equal(initial.size, sizeof(initial));
    assert_int_equal(rti_config_read(&read, &log, &zeroed), 0);
    assert_default(&read);
    assert_int_equal(rti_config_read(&read, &log, &initial), 0);
    assert_default(&read);
    assert_int_equal(log.level, RT_LOG_WARNING);
}

static void what_is_set_is_kept(void **state)
{
    struct rt_config config = heard_config();
    struct rt_config read;
    struct rti_log log;
    int trace_arg;

    (void)state;
    config.tasks_max = 7;
    config.cpus = "3";
    config.name = "fast";
    config.ring_entries = 32;
    config.cq_entries = 64;
    config.stack_bytes = 16 * 1024;
    config.log_level = RT_LOG_INFO;
    config.io_workers = 1;
    config.task_quota = 1;
    config.stop_timeout = 2;
    config.disable = "iowq";
    config.trace_arg = &trace_arg;
    config.shards = 5;
    config.place = RT_PLACE_PACK;
    config.port_entries = 16;
    config.posts_max = 3;
    config.flags = RT_CONFIG_KEEP | RT_CONFIG_NO_SIGNALS | RT_CONFIG_STACK_MARKS;
    config.spin = 4;
    config.timer_slack = 5;
    config.stall_threshold = RT_STALL_OFF;
    config.stall_pause = 6;
    config.stall_signal = SIGURG;
    config.stacks_warm = 7;
    config.buffer_bytes = 8;
    config.blocking_threads = 9;
    config.blocking_queue = 10;
    config.io_worker_place = RT_IO_WORKER_OTHERS;
    config.spin_policy = RT_SPIN_ADAPTIVE;
    config.wait_cycles = RT_WAIT_CYCLES_MIN;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_memory_equal(&read, &config, sizeof(config));
    assert_true(log.write == hear);
    assert_ptr_equal(log.arg, &heard);
    assert_int_equal(log.level, RT_LOG_INFO);
    assert_int_equal(heard.lines, 0);
}

static void an_adaptive_spin_has_a_length_of_its_own(void **state)
{
    struct rt_config config = heard_config();
    struct rt_config read;
    struct rti_log log;

    (void)state;
    config.spin_policy = RT_SPIN_ADAPTIVE;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_int_equal(read.spin, RT_MICROSECONDS(50));
    config.spin = 7;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_int_equal(read.spin, 7);
}

static void the_completion_queue_is_never_smaller_than_the_submission_queue(void **state)
{
    struct rt_config config = heard_config();
    struct rt_config read;
    struct rti_log log;

    (void)state;
    config.ring_entries = 32768;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_true(read.cq_entries >= read.ring_entries);
    config.cq_entries = 1;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_true(read.cq_entries >= read.ring_entries);
}

/* An older program gives a smaller size: what lies behind it is not its and must not be read. */
static void fields_beyond_the_size_of_an_older_program_are_not_read(void **state)
{
    struct rt_config config;
    struct rt_config read;
    struct rti_log log;

    (void)state;
    memset(&config, 0xff, sizeof(config));
    config.size = offsetof(struct rt_config, cpus);
    config.tasks_max = 12;
    assert_int_equal(rti_config_read(&read, &log, &config), 0);
    assert_int_equal(read.tasks_max, 12);
    read.tasks_max = 1048576;
    assert_default(&read);
}

/* Whatever the size, memory at and beyond it is not touched: ASan sees it if it is. */
static void no_byte_beyond_the_size_is_touched(void **state)
{
    (void)state;
    for (uint32_t size = sizeof(uint32_t); size <= sizeof(struct newer_config); size++) {
        struct rt_config *config = test_calloc(1, size);
        struct rt_config read;
        struct rti_log log;

        memcpy(config, &size, sizeof(size));
        assert_int_equal(rti_config_read(&read, &log, config), 0);
        assert_default(&read);
        test_free(config);
    }
}

static void a_newer_program_that_uses_nothing_new_is_accepted(void **state)
{
    struct newer_config config = { .known = heard_config() };
    struct rt_config read;
    struct rti_log log;

    (void)state;
    config.known.size = sizeof(config);
    config.known.tasks_max = 9;
    assert_int_equal(rti_config_read(&read, &log, &config.known), 0);
    assert_int_equal(read.tasks_max, 9);
    assert_int_equal(read.size, sizeof(read));
    assert_true(log.write == hear);
}

static void a_newer_program_that_uses_something_new_is_refused(void **state)
{
    struct rt_config read;
    struct rti_log log;

    (void)state;
    for (uint32_t i = 0; i < NEWER_BYTES; i++) {
        struct newer_config config = { .known = heard_config() };

        config.known.size = sizeof(config);
        config.tail[i] = 1;
        assert_int_equal(rti_config_read(&read, &log, &config.known), -E2BIG);
    }
}

/* The log lies within what both know, so the text goes where the program wants it. */
static void the_refusal_of_a_newer_program_is_logged_where_it_says(void **state)
{
    struct newer_config config = { .known = heard_config(), .tail = { 1 } };
    struct rt_config read;
    struct rti_log log;

    (void)state;
    config.known.size = sizeof(config);
    assert_int_equal(rti_config_read(&read, &log, &config.known), -E2BIG);
    assert_int_equal(heard.lines, 1);
    assert_ptr_equal(heard.arg, &heard);
    assert_non_null(strstr(heard.text, "config.size"));
}

static void assert_refused(const struct rt_config *config, const char *field, long long value)
{
    struct rt_config read;
    struct rti_log log;
    char number[32];

    heard.lines = 0;
    snprintf(number, sizeof(number), "%lld", value);
    assert_int_equal(rti_config_read(&read, &log, config), -EINVAL);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_ERROR);
    assert_non_null(strstr(heard.text, field));
    assert_non_null(strstr(heard.text, number));
}

static void assert_accepted(const struct rt_config *config)
{
    struct rt_config read;
    struct rti_log log;

    assert_int_equal(rti_config_read(&read, &log, config), 0);
    assert_int_equal(heard.lines, 0);
}

static void a_number_above_its_bound_is_refused_by_name_and_value(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
        uint32_t max;
    } rows[] = {
        { "config.tasks_max", offsetof(struct rt_config, tasks_max), 16777216 },
        { "config.ring_entries", offsetof(struct rt_config, ring_entries), 32768 },
        { "config.cq_entries", offsetof(struct rt_config, cq_entries), 65536 },
        { "config.stack_bytes", offsetof(struct rt_config, stack_bytes), 256 * 1024 },
        { "config.io_workers", offsetof(struct rt_config, io_workers), 4096 },
        { "config.log_level", offsetof(struct rt_config, log_level), RT_LOG_INFO },
        { "config.shards", offsetof(struct rt_config, shards), 4096 },
        { "config.place", offsetof(struct rt_config, place), RT_PLACE_NEAR },
        { "config.port_entries", offsetof(struct rt_config, port_entries), 65536 },
        { "config.posts_max", offsetof(struct rt_config, posts_max), 65536 },
        { "config.flags", offsetof(struct rt_config, flags), 7 },
        { "config.stacks_warm", offsetof(struct rt_config, stacks_warm), 16777216 },
        { "config.blocking_threads", offsetof(struct rt_config, blocking_threads), 1024 },
        { "config.blocking_queue", offsetof(struct rt_config, blocking_queue), 16777216 },
        { "config.io_worker_place", offsetof(struct rt_config, io_worker_place),
          RT_IO_WORKER_OTHERS },
        { "config.spin_policy", offsetof(struct rt_config, spin_policy), RT_SPIN_ADAPTIVE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint32_t wrong[] = { rows[i].max + 1, UINT32_MAX };
        const uint32_t right[] = { 0, 1, rows[i].max };
        struct rt_config config = heard_config();
        char *field = (char *)&config + rows[i].offset;

        for (size_t j = 0; j < 3; j++) {
            memcpy(field, &right[j], sizeof(right[j]));
            assert_accepted(&config);
        }
        for (size_t j = 0; j < 2; j++) {
            memcpy(field, &wrong[j], sizeof(wrong[j]));
            assert_refused(&config, rows[i].field, wrong[j]);
        }
    }
}

static void more_memory_for_buffers_than_the_ring_has_places_is_refused(void **state)
{
    struct rt_config config = heard_config();

    (void)state;
    config.buffer_bytes = UINT64_C(64) << 30;
    assert_accepted(&config);
    config.buffer_bytes++;
    assert_refused(&config, "config.buffer_bytes", 68719476737);
}

static void looks_for_wait_cycles_are_off_or_not_too_close(void **state)
{
    struct rt_config config = heard_config();

    (void)state;
    config.wait_cycles = RT_WAIT_CYCLES_OFF;
    assert_accepted(&config);
    config.wait_cycles = RT_WAIT_CYCLES_MIN;
    assert_accepted(&config);
    config.wait_cycles--;
    assert_refused(&config, "config.wait_cycles", RT_WAIT_CYCLES_MIN - 1);
    config.wait_cycles = RT_WAIT_CYCLES_OFF - 1;
    assert_refused(&config, "config.wait_cycles", -2);
}

static void a_time_below_zero_is_refused_by_name_and_value(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
    } rows[] = {
        { "config.task_quota", offsetof(struct rt_config, task_quota) },
        { "config.stop_timeout", offsetof(struct rt_config, stop_timeout) },
        { "config.spin", offsetof(struct rt_config, spin) },
        { "config.timer_slack", offsetof(struct rt_config, timer_slack) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const rt_time wrong[] = { -1, INT64_MIN };
        const rt_time right[] = { 0, 1, RT_SECONDS(86400) };
        struct rt_config config = heard_config();
        char *field = (char *)&config + rows[i].offset;

        for (size_t j = 0; j < 3; j++) {
            memcpy(field, &right[j], sizeof(right[j]));
            assert_accepted(&config);
        }
        for (size_t j = 0; j < 2; j++) {
            memcpy(field, &wrong[j], sizeof(wrong[j]));
            assert_refused(&config, rows[i].field, wrong[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_configuration_means_every_default),
        cmocka_unit_test(a_zeroed_struct_and_the_initializer_mean_every_default),
        cmocka_unit_test(what_is_set_is_kept),
        cmocka_unit_test(an_adaptive_spin_has_a_length_of_its_own),
        cmocka_unit_test(the_completion_queue_is_never_smaller_than_the_submission_queue),
        cmocka_unit_test(fields_beyond_the_size_of_an_older_program_are_not_read),
        cmocka_unit_test(no_byte_beyond_the_size_is_touched),
        cmocka_unit_test(a_newer_program_that_uses_nothing_new_is_accepted),
        cmocka_unit_test(a_newer_program_that_uses_something_new_is_refused),
        cmocka_unit_test(the_refusal_of_a_newer_program_is_logged_where_it_says),
        cmocka_unit_test(a_number_above_its_bound_is_refused_by_name_and_value),
        cmocka_unit_test(more_memory_for_buffers_than_the_ring_has_places_is_refused),
        cmocka_unit_test(looks_for_wait_cycles_are_off_or_not_too_close),
        cmocka_unit_test(a_time_below_zero_is_refused_by_name_and_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
