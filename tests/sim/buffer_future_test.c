/* SPDX-License-Identifier: MIT */
/*
 * Buffers from poll functions: as from a task, and the kernel's until it is done.
 *
 * Method: a future makes one call and lets its buffer go in its drop, or somebody else does while
 * the kernel keeps the operation at a stage. Each run also proves that no file, buffer or locked
 * memory is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>

#include "core/executor.h"
#include "rt/rt.h"
#include "support/death.h"
#include "support/ear.h"
#include "support/first.h"

#define MS(n) RT_MILLISECONDS(n)

struct transfer {
    struct rt_future future;
    struct rt_file *file;
    struct rt_buffer *buffer; /* put in the drop; NULL: somebody has put it */
    size_t at;
    size_t bytes;
    uint64_t offset;
    rt_time deadline;
    unsigned polls;
    bool writes;
};

static int poll_transfer(struct rt_future *future)
{
    struct transfer *self = (struct transfer *)future;

    self->polls++;
    return self->writes ? rt_poll_file_write_buffer(future, self->file, self->buffer, self->at,
                                                    self->bytes, self->offset, self->deadline)
                        : rt_poll_file_read_buffer(future, self->file, self->buffer, self->at,
                                                   self->bytes, self->offset, self->deadline);
}

static void drop_transfer(struct rt_future *future)
{
    rt_buffer_put(((struct transfer *)future)->buffer);
}

/* Of the first bytes of the file, with a reference of its own. */
static struct transfer transfer_of(struct rt_file *file, struct rt_buffer *buffer, size_t bytes)
{
    return (struct transfer){ .future = RT_FUTURE_INIT(poll_transfer, drop_transfer),
                              .file = file,
                              .buffer = rt_buffer_keep(buffer),
                              .bytes = bytes,
                              .deadline = RT_NEVER };
}

static struct rt_task *spawn(struct transfer *transfer)
{
    struct rt_task *task = NULL;

    T_CHECK(rt_spawn_future(&task, &transfer->future) == 0);
    return task;
}

static int join(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static int run(struct transfer transfer)
{
    return join(spawn(&transfer));
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

    T_CHECK(rt_file_open(&file, "data", flags | O_RDWR | O_CREAT, 0600, RT_NEVER) == 0);
    return file;
}

static void pause_for(rt_time duration)
{
    T_CHECK(rt_sleep_until(rt_in(duration)) == 0);
}

static uint64_t in_use(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.buffers_in_use;
}

static uint64_t requests(int opcode)
{
    return sim_stats()->by_opcode[opcode];
}

/* Nothing keeps the file or a buffer any more. */
static void close_all(struct rt_file *file)
{
    T_CHECK(in_use() == 0);
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(rti_current->handles.in_use == 0);
}

/* Data comes and goes */

static int use_file(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_buffer *buffer = get(1);
    char *data = rt_buffer_data(buffer);
    struct transfer read = transfer_of(file, buffer, 8);
    struct transfer write = transfer_of(file, buffer, 4);
    struct transfer beyond = transfer_of(file, buffer, 4);
    size_t count;

    (void)arg;
    read.at = 4088;
    read.offset = 6;
    T_CHECK(run(read) == 2 && memcmp(data + 4088, "gh", 2) == 0);
    memcpy(data + 16, "WXYZ", 4);
    write.writes = true;
    write.at = 16;
    write.offset = 2;
    T_CHECK(run(write) == 4);
    T_CHECK(memcmp(sim_file_get("data", &count), "abWXYZgh", 8) == 0 && count == 8);
    beyond.offset = (uint64_t)INT64_MAX + 1;
    T_CHECK(run(beyond) == -EINVAL);
    rt_buffer_put(buffer);
    close_all(file);
    return 0;
}

static int use_registered(void *arg)
{
    (void)use_file(arg);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 1 && requests(IORING_OP_WRITE_FIXED) == 1);
    T_CHECK(requests(IORING_OP_READ) == 0 && requests(IORING_OP_WRITE) == 0);
    return 0;
}

static void a_future_reads_into_a_buffer_and_writes_from_it_by_its_number(void **state)
{
    (void)state;
    run_first(use_registered);
}

static int use_unregistered(void *arg)
{
    (void)use_file(arg);
    T_CHECK(requests(IORING_OP_READ) == 1 && requests(IORING_OP_WRITE) == 1);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 0 && requests(IORING_OP_WRITE_FIXED) == 0);
    return 0;
}

static void memory_that_is_not_registered_works_by_address(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&(struct sim_config){ .seed = 1, .no_fixed_buffers = true }, NULL,
                             use_unregistered, NULL),
                     0);
}

static int meet_errors(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_buffer *buffer = get(1);

    (void)arg;
    sim_fail_next(IORING_OP_READ_FIXED, -EIO);
    T_CHECK(run(transfer_of(file, buffer, 8)) == -EIO);
    sim_short_next(IORING_OP_READ_FIXED, 3);
    T_CHECK(run(transfer_of(file, buffer, 8)) == 3);
    T_CHECK(memcmp(rt_buffer_data(buffer), "abc", 3) == 0);
    rt_buffer_put(buffer);
    close_all(file);
    return 0;
}

static void errors_and_short_counts_come_through(void **state)
{
    (void)state;
    run_first(meet_errors);
}

/* More than the ring has entries for, and the kernel takes none for a while. */
static int crowd(void *arg)
{
    enum { COUNT = 20 };
    struct rt_file *file = open_data(0);
    struct rt_buffer *buffer = get(1);
    struct transfer transfers[COUNT];
    struct rt_task *tasks[COUNT];
    bool some_came_again = false;

    (void)arg;
    for (size_t i = 0; i < COUNT; i++) {
        transfers[i] = transfer_of(file, buffer, 1);
        transfers[i].at = i;
        transfers[i].offset = i % 8;
        tasks[i] = spawn(&transfers[i]);
    }
    for (int i = 0; i < 10; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    for (size_t i = 0; i < COUNT; i++) {
        T_CHECK(join(tasks[i]) == 1);
        T_CHECK(((char *)rt_buffer_data(buffer))[i] == (char)('a' + (int)(i % 8)));
        some_came_again = some_came_again || transfers[i].polls > 2;
    }
    T_CHECK(some_came_again);
    rt_buffer_put(buffer);
    close_all(file);
    return 0;
}

static void without_room_in_the_ring_the_future_comes_again(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.ring_entries = 1;
    assert_int_equal(run_config(&config, crowd, NULL), 0);
}

/* B4: the kernel has the buffer */

/* The only reference but the operation's is put while the kernel has it at `stage`. A future that
 * is cancelled is not polled again, so it needs none. */
static void meet(enum sim_stage stage, bool writes, int flags)
{
    const int opcode = writes ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
    struct rt_file *file = open_data(flags);
    struct rt_buffer *buffer = get(1);
    struct transfer transfer = transfer_of(file, buffer, 512);
    struct rt_task *task;

    memset(rt_buffer_data(buffer), 'w', 512);
    transfer.writes = writes;
    sim_hold(opcode, stage);
    task = spawn(&transfer);
    pause_for(MS(1));
    T_CHECK(sim_held(opcode) == 1);
    rt_cancel(task);
    transfer.buffer = NULL;
    rt_buffer_put(buffer);
    rt_buffer_put(buffer);
    pause_for(MS(1)); /* the kernel was asked to cancel it */
    T_CHECK(in_use() == 1 && !rt_is_finished(task));
    sim_unhold();
    T_CHECK(sim_release(opcode, 1, SIM_NATURAL) == 1);
    T_CHECK(join(task) == -ECANCELED);
    close_all(file);
}

static int meet_at_each_stage(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        meet((i & 1) != 0 ? SIM_RUNNING : SIM_DONE, (i & 2) != 0, (i & 4) != 0 ? O_DIRECT : 0);
    }
    return 0;
}

static void a_buffer_that_was_put_is_not_given_out_while_the_kernel_has_it(void **state)
{
    (void)state;
    assert_int_equal(
        run_sim(&(struct sim_config){ .seed = 1, .poison = true }, NULL, meet_at_each_stage, NULL),
        0);
}

/* The kernel gives up an operation that it has not begun. */
static int meet_a_deadline(void *arg)
{
    struct rt_file *file = open_data(0);
    struct rt_buffer *buffer = get(1);
    struct transfer transfer = transfer_of(file, buffer, 8);

    (void)arg;
    rt_buffer_put(buffer);
    transfer.deadline = rt_in(MS(1));
    sim_hold(IORING_OP_READ_FIXED, SIM_QUEUED);
    T_CHECK(run(transfer) == -ETIME);
    sim_unhold();
    close_all(file);
    return 0;
}

static void at_its_deadline_a_transfer_gives_the_buffer_back(void **state)
{
    (void)state;
    run_first(meet_a_deadline);
}

/* Direct files */

static int use_direct(void *arg)
{
    struct rt_file *file = open_data(O_DIRECT);
    struct rt_buffer *buffer = get(1);
    struct transfer odd = transfer_of(file, buffer, 512);

    (void)arg;
    T_CHECK(run(transfer_of(file, buffer, 512)) == 8);
    T_CHECK(memcmp(rt_buffer_data(buffer), "abcdefgh", 8) == 0);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 1);
    odd.at = 1;
    T_CHECK(run(odd) == -EINVAL);
    rt_buffer_put(buffer);
    close_all(file);
    return 0;
}

static void on_a_direct_file_what_is_aligned_goes_straight_and_else_is_refused(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.log = hear;
    assert_int_equal(run_config(&config, use_direct, NULL), 0);
    assert_int_equal(heard.lines, 1);
    assert_non_null(strstr(heard.text, "must be aligned"));
}

static int write_misaligned(void *arg)
{
    return rt_file_write_at(arg, "WXYZ", 4, 1, RT_NEVER) == 4 ? 0 : -EIO;
}

/* Two futures come while a misaligned write goes on; one of them is cancelled before its turn. */
static int meet_a_misaligned_write(void *arg)
{
    struct rt_file *file = open_data(O_DIRECT);
    struct rt_buffer *buffer = get(1);
    struct transfer waits = transfer_of(file, buffer, 512);
    struct transfer gives_up = transfer_of(file, buffer, 512);
    struct rt_task *writer = NULL;
    struct rt_task *tasks[2];

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&writer, write_misaligned, file) == 0);
    pause_for(MS(1));
    tasks[0] = spawn(&waits);
    tasks[1] = spawn(&gives_up);
    pause_for(MS(1));
    rt_cancel(tasks[1]);
    T_CHECK(join(tasks[1]) == -ECANCELED);
    T_CHECK(requests(IORING_OP_READ_FIXED) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    T_CHECK(join(tasks[0]) == 8 && join(writer) == 0);
    T_CHECK(memcmp(rt_buffer_data(buffer), "aWXYZfgh", 8) == 0);
    rt_buffer_put(buffer);
    close_all(file);
    return 0;
}

static void a_future_waits_for_a_misaligned_write_to_its_direct_file(void **state)
{
    (void)state;
    run_first(meet_a_misaligned_write);
}

/* Misuse */

static int beyond_the_buffer(void *arg)
{
    struct transfer transfer = transfer_of(open_data(0), get(1), 8);

    (void)arg;
    transfer.at = 4089;
    return run(transfer);
}

static int put_before(void *arg)
{
    struct rt_buffer *buffer = get(1);
    struct transfer transfer = transfer_of(open_data(0), buffer, 8);

    (void)arg;
    rt_buffer_put(buffer);
    rt_buffer_put(buffer);
    transfer.writes = true;
    return run(transfer);
}

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(beyond_the_buffer, "rt_poll_file_read_buffer(): 8 bytes from 4089 on do "
                                             "not lie within 4096 bytes");
    assert_misuse_in_task(put_before,
                          "rt_poll_file_write_buffer(): the buffer was put back before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_reads_into_a_buffer_and_writes_from_it_by_its_number),
        cmocka_unit_test(memory_that_is_not_registered_works_by_address),
        cmocka_unit_test(errors_and_short_counts_come_through),
        cmocka_unit_test(without_room_in_the_ring_the_future_comes_again),
        cmocka_unit_test(a_buffer_that_was_put_is_not_given_out_while_the_kernel_has_it),
        cmocka_unit_test(at_its_deadline_a_transfer_gives_the_buffer_back),
        cmocka_unit_test(on_a_direct_file_what_is_aligned_goes_straight_and_else_is_refused),
        cmocka_unit_test(a_future_waits_for_a_misaligned_write_to_its_direct_file),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
