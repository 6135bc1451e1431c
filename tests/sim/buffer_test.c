/* SPDX-License-Identifier: MIT */
/*
 * Buffers with files: registered where that is possible, and the kernel's until it is done.
 *
 * Method: the simulated kernel checks that a registered operation stays within what was
 * registered, keeps operations at a stage, and limits locked memory. Under ASan a buffer that
 * was put is poisoned, so it would see the kernel write into one. Each run also proves that
 * no locked memory is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "io/handle.h"
#include "rt/rt.h"
#include "support/death.h"
#include "support/ear.h"
#include "support/first.h"

#define MS(n) RT_MILLISECONDS(n)

static struct rt_stats stats(void)
{
    struct rt_stats now;

    rt_stats_get(&now, sizeof(now));
    return now;
}

static struct rt_buffer *get(size_t bytes)
{
    struct rt_buffer *buffer = NULL;

    T_CHECK(rt_buffer_get(&buffer, bytes) == 0);
    return buffer;
}

static struct rt_file *open_data(int flags)
{
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open(&file, "data", flags | O_CREAT, 0600, RT_NEVER) == 0);
    return file;
}

static uint64_t requests(int opcode)
{
    return sim_stats()->by_opcode[opcode];
}

/* Reads and writes "abcdefgh" at both ends of a buffer, and once in the middle of the file. */
static int use_file(size_t bytes)
{
    struct rt_file *file = open_data(O_RDWR);
    struct rt_buffer *buffer = get(bytes);
    char *data = rt_buffer_data(buffer);
    const size_t end = rt_buffer_bytes(buffer) - 8;
    size_t count;

    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, 0, RT_NEVER) == 8);
    T_CHECK(memcmp(data, "abcdefgh", 8) == 0);
    T_CHECK(rt_file_read_buffer(file, buffer, end, 8, 6, RT_NEVER) == 2);
    T_CHECK(memcmp(data + end, "gh", 2) == 0);
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, 8, RT_NEVER) == 0);
    memcpy(data + end, "WXYZ", 4);
    T_CHECK(rt_file_write_buffer(file, buffer, end, 4, 2, RT_NEVER) == 4);
    T_CHECK(memcmp(sim_file_get("data", &count), "abWXYZgh", 8) == 0 && count == 8);
    T_CHECK(rt_file_write_buffer(file, buffer, 0, 8, 0, RT_NEVER) == 8);
    T_CHECK(memcmp(sim_file_get("data", &count), "abcdefgh", 8) == 0 && count == 8);
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, UINT64_MAX, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_write_buffer(file, buffer, 0, 8, (uint64_t)INT64_MAX + 1, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_close(file) == 0);
    rt_buffer_put(buffer);
    T_CHECK(stats().buffers_in_use == 0);
    return 0;
}

/* Registered or not */

static int use_registered(void *arg)
{
    (void)arg;
    for (size_t bytes = 4096; bytes <= RT_BUFFER_BYTES_MAX; bytes *= 4) {
        (void)use_file(bytes);
    }
    T_CHECK(requests(IORING_OP_READ_FIXED) == 15 && requests(IORING_OP_WRITE_FIXED) == 10);
    T_CHECK(requests(IORING_OP_READ) == 0 && requests(IORING_OP_WRITE) == 0);
    T_CHECK(stats().buffer_bytes == 4u << 20 && stats().buffer_bytes_unregistered == 0);
    T_CHECK(sim_locked_bytes() == 4u << 20);
    return 0;
}

static void a_buffer_is_read_into_and_written_from_by_its_number(void **state)
{
    (void)state;
    run_first(use_registered);
}

static int use_unregistered(void *arg)
{
    (void)arg;
    (void)use_file(1);
    T_CHECK(requests(IORING_OP_READ) == 3 && requests(IORING_OP_WRITE) == 2);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 0 && requests(IORING_OP_WRITE_FIXED) == 0);
    T_CHECK(stats().buffer_bytes == 4u << 20 && stats().buffer_bytes_unregistered == 4u << 20);
    T_CHECK(sim_locked_bytes() == 0);
    return 0;
}

static struct rt_config heard_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    memset(&heard, 0, sizeof(heard));
    config.log = hear;
    return config;
}

static void without_the_feature_files_work_by_address(void **state)
{
    struct rt_config config = heard_config();

    (void)state;
    assert_int_equal(run_sim(&(struct sim_config){ .seed = 1, .no_fixed_buffers = true }, &config,
                             use_unregistered, NULL),
                     0);
    config.disable = "fixed_buffers";
    assert_int_equal(run_config(&config, use_unregistered, NULL), 0);
    assert_int_equal(heard.lines, 0); /* the list of what was granted says it */
}

static void read_one(struct rt_buffer *buffer)
{
    struct rt_file *file = open_data(O_RDONLY);

    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, 0, RT_NEVER) == 8);
    T_CHECK(rt_file_close(file) == 0);
}

/* There is locked memory for one arena of three. */
static int go_over_the_limit(void *arg)
{
    struct rt_buffer *held[12];

    (void)arg;
    for (int i = 0; i < 12; i++) {
        held[i] = get(RT_BUFFER_BYTES_MAX);
    }
    T_CHECK(stats().buffer_bytes == 12u << 20 && stats().buffer_bytes_unregistered == 8u << 20);
    T_CHECK(sim_locked_bytes() == 4u << 20);
    read_one(held[0]); /* of the first arena */
    T_CHECK(requests(IORING_OP_READ) == 0 && requests(IORING_OP_READ_FIXED) == 1);
    read_one(held[11]); /* of the last */
    T_CHECK(requests(IORING_OP_READ) == 1 && requests(IORING_OP_READ_FIXED) == 1);
    return 0; /* what is still in use goes with the executor */
}

static void
at_the_limit_of_locked_memory_the_rest_stays_unregistered_and_it_is_said_once(void **state)
{
    const struct sim_config limited = { .seed = 1, .locked_bytes_max = (4u << 20) + 4096 };
    struct rt_config config = heard_config();

    (void)state;
    sim_begin(&limited);
    sim_file_put("data", "abcdefgh", 8);
    assert_int_equal(rt_run(&config, go_over_the_limit, NULL), 0);
    assert_int_equal(sim_locked_bytes(), 0);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_WARNING);
    assert_non_null(strstr(heard.text, "ulimit -l"));
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Limits */

static int fill_up(void *arg)
{
    struct rt_buffer *held[8];
    struct rt_buffer *none = NULL;

    (void)arg;
    T_CHECK(rt_buffer_get(&none, 0) == -EINVAL);
    T_CHECK(rt_buffer_get(&none, RT_BUFFER_BYTES_MAX + 1) == -EINVAL);
    T_CHECK(stats().buffer_bytes == 0); /* nothing is taken before it is needed */
    for (int i = 0; i < 8; i++) {
        held[i] = get(RT_BUFFER_BYTES_MAX);
    }
    T_CHECK(rt_buffer_get(&none, 1) == -EAGAIN && none == NULL);
    T_CHECK(stats().buffers_in_use == 8 && stats().buffers_refused == 1);
    T_CHECK(stats().buffer_bytes == 8u << 20);
    for (int i = 0; i < 8; i++) {
        rt_buffer_put(held[i]);
    }
    T_CHECK(stats().buffers_in_use == 0 && stats().buffer_bytes == 8u << 20);
    rt_buffer_put(get(1));
    rt_buffer_put(NULL);
    return 0;
}

static void a_shard_has_as_much_as_its_configuration_allows(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.buffer_bytes = (4u << 20) + 1; /* rounded up */
    assert_int_equal(run_config(&config, fill_up, NULL), 0);
}

/* B4: the kernel has the buffer */

struct call {
    struct rt_file *file;
    struct rt_buffer *buffer;
    bool writes;
    rt_time deadline;
    ssize_t result;
};

static int make_call(void *arg)
{
    struct call *call = arg;

    call->result = call->writes
                       ? rt_file_write_buffer(call->file, call->buffer, 0, 4, 0, call->deadline)
                       : rt_file_read_buffer(call->file, call->buffer, 0, 4, 0, call->deadline);
    return 0;
}

/* Every buffer that can be had: how many, and whether `memory` is one of them. All are put back. */
static bool is_given_out(const void *memory, unsigned *count)
{
    static struct rt_buffer *all[1024];
    bool found = false;

    for (*count = 0; rt_buffer_get(&all[*count], 1) == 0; (*count)++) {
        found = found || rt_buffer_data(all[*count]) == memory;
    }
    for (unsigned i = 0; i < *count; i++) {
        rt_buffer_put(all[i]);
    }
    return found;
}

/* The only reference but the operation's is put while the kernel has the buffer at `stage`. */
static void meet(enum sim_stage stage, bool writes, bool by_deadline)
{
    const int opcode = writes ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
    struct call call = { .file = open_data(O_RDWR),
                         .buffer = get(1),
                         .writes = writes,
                         .deadline = by_deadline ? rt_in(MS(1)) : RT_NEVER };
    char *memory = rt_buffer_data(call.buffer);
    struct rt_task *task;
    unsigned count;

    memset(memory, 'w', 4);
    sim_hold(opcode, stage);
    T_CHECK(rt_spawn(&task, make_call, &call) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1) / 2)) == 0);
    T_CHECK(sim_held(opcode) == 1);
    if (!by_deadline) {
        rt_cancel(task);
    }
    rt_buffer_put(call.buffer);
    T_CHECK(rt_sleep_until(rt_in(MS(2))) == 0); /* the kernel was asked to cancel it */
    T_CHECK(!rt_is_finished(task));
    T_CHECK(!is_given_out(memory, &count) && count == 1023);
    sim_unhold();
    T_CHECK(sim_release(opcode, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(call.result == 4);
    T_CHECK(is_given_out(memory, &count) && count == 1024);
    T_CHECK(rt_file_close(call.file) == 0);
}

static int meet_at_each_stage(void *arg)
{
    static const enum sim_stage stages[] = { SIM_RUNNING, SIM_DONE };

    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        meet(stages[i % 2], (i & 2) != 0, (i & 4) != 0);
    }
    return 0;
}

static void a_buffer_that_was_put_is_not_given_out_while_the_kernel_has_it(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.buffer_bytes = 1; /* one arena: a test can have all of it */
    assert_int_equal(run_sim(&(struct sim_config){ .seed = 1, .poison = true }, &config,
                             meet_at_each_stage, NULL),
                     0);
}

/* One that the kernel gives up gives the buffer up as well. */
static int cancel_in_time(void *arg)
{
    struct call call = { .file = open_data(O_RDWR), .buffer = get(1), .deadline = RT_NEVER };
    const void *memory = rt_buffer_data(call.buffer);
    struct rt_task *task;
    unsigned count;

    (void)arg;
    sim_hold(IORING_OP_READ_FIXED, SIM_QUEUED);
    T_CHECK(rt_spawn(&task, make_call, &call) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    rt_cancel(task);
    rt_buffer_put(call.buffer);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(call.result == -ECANCELED);
    T_CHECK(is_given_out(memory, &count) && count == 1024);
    sim_unhold();
    T_CHECK(rt_file_close(call.file) == 0);
    return 0;
}

static void a_cancel_that_comes_in_time_gives_the_buffer_back(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.buffer_bytes = 1;
    assert_int_equal(run_config(&config, cancel_in_time, NULL), 0);
}

/* Errors of the device, and counts that are short, come through. */
static int meet_errors(void *arg)
{
    struct rt_file *file = open_data(O_RDWR);
    struct rt_buffer *buffer = get(1);

    (void)arg;
    sim_fail_next(IORING_OP_READ_FIXED, -EIO);
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, 0, RT_NEVER) == -EIO);
    sim_fail_next(IORING_OP_WRITE_FIXED, -ENOSPC);
    T_CHECK(rt_file_write_buffer(file, buffer, 0, 8, 0, RT_NEVER) == -ENOSPC);
    sim_short_next(IORING_OP_READ_FIXED, 3);
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 8, 0, RT_NEVER) == 3);
    T_CHECK(memcmp(rt_buffer_data(buffer), "abc", 3) == 0);
    rt_buffer_put(buffer);
    T_CHECK(stats().buffers_in_use == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void errors_and_short_counts_come_through(void **state)
{
    (void)state;
    run_first(meet_errors);
}

/* Direct files */

static int write_misaligned(void *arg)
{
    return rt_file_write_at(arg, "WXYZ", 4, 1, RT_NEVER) == 4 ? 0 : -EIO;
}

static int read_block(void *arg)
{
    struct call *call = arg;

    call->result = rt_file_read_buffer(call->file, call->buffer, 0, 512, 0, RT_NEVER);
    return 0;
}

static int meet_a_misaligned_write(void *arg)
{
    struct call call = { .file = open_data(O_RDWR | O_DIRECT), .buffer = get(1) };
    struct rt_task *writer;
    struct rt_task *reader;
    int r = -EIO;

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&writer, write_misaligned, call.file) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(sim_held(IORING_OP_WRITE) == 1);
    T_CHECK(rt_spawn(&reader, read_block, &call) == 0);
    T_CHECK(rt_sleep_until(rt_in(MS(1))) == 0);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_join(writer, &r, RT_NEVER) == 0 && r == 0);
    T_CHECK(rt_join(reader, NULL, RT_NEVER) == 0);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 1);
    T_CHECK(call.result == 8 && memcmp(rt_buffer_data(call.buffer), "aWXYZfgh", 8) == 0);
    rt_buffer_put(call.buffer);
    T_CHECK(rt_file_close(call.file) == 0);
    return 0;
}

static void a_buffer_waits_for_a_misaligned_write_to_its_direct_file(void **state)
{
    (void)state;
    run_first(meet_a_misaligned_write);
}

static int use_direct_at_any_place(void *arg)
{
    struct rt_file *file = open_data(O_RDWR | O_DIRECT);
    struct rt_buffer *buffer = get(1);
    char *data = rt_buffer_data(buffer);
    size_t count;

    (void)arg;
    T_CHECK(rt_file_read_buffer(file, buffer, 3, 4, 2, RT_NEVER) == 4);
    T_CHECK(memcmp(data + 3, "cdef", 4) == 0);
    T_CHECK(rt_file_write_buffer(file, buffer, 4, 3, 5, RT_NEVER) == 3);
    T_CHECK(memcmp(sim_file_get("data", &count), "abcdedef", 8) == 0 && count == 8);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 0 && requests(IORING_OP_WRITE_FIXED) == 0);
    rt_buffer_put(buffer);
    T_CHECK(stats().buffers_in_use == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_direct_file_takes_any_part_of_a_buffer(void **state)
{
    (void)state;
    run_first(use_direct_at_any_place);
}

/* Slices */

static int slice(void *arg)
{
    struct rt_buffer *buffer = get(1);
    char *data = rt_buffer_data(buffer);
    struct rt_slice line = rt_slice_of(buffer, 100, 50);
    struct rt_slice word = rt_slice_sub(line, 10, 5);
    struct rt_slice end = rt_slice_sub(word, 5, 0);

    (void)arg;
    rt_buffer_put(buffer);
    T_CHECK(line.buffer == buffer && line.data == data + 100 && line.bytes == 50);
    T_CHECK(word.buffer == buffer && word.data == data + 110 && word.bytes == 5);
    T_CHECK(end.data == data + 115 && end.bytes == 0);
    rt_slice_put(line);
    rt_slice_put(end);
    T_CHECK(stats().buffers_in_use == 1);
    memcpy(word.data, "alive", 5); /* as ASan sees too */
    T_CHECK(rt_buffer_keep(buffer) == buffer);
    rt_slice_put(word);
    T_CHECK(stats().buffers_in_use == 1);
    rt_buffer_put(buffer);
    T_CHECK(stats().buffers_in_use == 0);
    rt_slice_put((struct rt_slice){ NULL, NULL, 0 });
    return 0;
}

static void each_slice_keeps_the_buffer(void **state)
{
    (void)state;
    run_first(slice);
}

/* Misuse */

static int put_twice(void *arg)
{
    struct rt_buffer *buffer = get(1);

    (void)arg;
    rt_buffer_put(buffer);
    rt_buffer_put(buffer);
    return 0;
}

static int slice_too_far(void *arg)
{
    (void)arg;
    rt_slice_put(rt_slice_of(get(1), 4000, 97));
    return 0;
}

static int cut_too_far(void *arg)
{
    (void)arg;
    rt_slice_put(rt_slice_sub(rt_slice_of(get(1), 10, 20), 21, SIZE_MAX));
    return 0;
}

static int read_too_far(void *arg)
{
    (void)arg;
    return (int)rt_file_read_buffer(open_data(O_RDONLY), get(1), 1, 4096, 0, RT_NEVER);
}

static int write_elsewhere(void *arg)
{
    static struct rti_executor other = { .index = 1, .config.name = "other" };
    struct rt_file *file = open_data(O_RDWR);
    struct rt_buffer *buffer = get(1);

    (void)arg;
    other.running = rti_current->running;
    rti_current = &other; /* from here on this thread runs another executor */
    ((struct rti_handle *)(void *)file)->executor = &other;
    return (int)rt_file_write_buffer(file, buffer, 0, 1, 0, RT_NEVER);
}

static int put_elsewhere(void *arg)
{
    static struct rti_executor other = { .index = 1, .config.name = "other" };
    struct rt_buffer *buffer = get(1);

    (void)arg;
    rti_current = &other;
    rt_buffer_put(buffer);
    return 0;
}

static int put_on_no_shard(void *arg)
{
    struct rt_buffer *buffer = get(1);

    (void)arg;
    rti_current = NULL;
    rt_buffer_put(buffer);
    return 0;
}

static void misuse_aborts_and_names_the_call_and_the_shards(void **state)
{
    (void)state;
    assert_misuse_in_task(put_twice, "rt_buffer_put(): the buffer was put back before");
    assert_misuse_in_task(slice_too_far, "rt_slice_of(): 97 bytes from 4000 on do not lie within "
                                         "4096 bytes");
    assert_misuse_in_task(cut_too_far, "rt_slice_sub(): ");
    assert_misuse_in_task(read_too_far, "rt_file_read_buffer(): 4096 bytes from 1 on");
    assert_misuse_in_task(write_elsewhere, "rt_file_write_buffer(): the buffer belongs to shard 0 "
                                           "'shard', and this is shard 1 'other'");
    assert_misuse_in_task(put_elsewhere, "rt_buffer_put(): the buffer belongs to shard 0 'shard', "
                                         "and this is shard 1 'other'");
    assert_misuse_in_task(put_on_no_shard, "shard 0 'shard', and this thread is no shard");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_read_into_and_written_from_by_its_number),
        cmocka_unit_test(without_the_feature_files_work_by_address),
        cmocka_unit_test(
            at_the_limit_of_locked_memory_the_rest_stays_unregistered_and_it_is_said_once),
        cmocka_unit_test(a_shard_has_as_much_as_its_configuration_allows),
        cmocka_unit_test(a_buffer_that_was_put_is_not_given_out_while_the_kernel_has_it),
        cmocka_unit_test(a_cancel_that_comes_in_time_gives_the_buffer_back),
        cmocka_unit_test(errors_and_short_counts_come_through),
        cmocka_unit_test(a_buffer_waits_for_a_misaligned_write_to_its_direct_file),
        cmocka_unit_test(a_direct_file_takes_any_part_of_a_buffer),
        cmocka_unit_test(each_slice_keeps_the_buffer),
        cmocka_unit_test(misuse_aborts_and_names_the_call_and_the_shards),
    };

    (void)unsetenv("RT_DISABLE"); /* it would take the feature away */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
