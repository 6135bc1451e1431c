/* SPDX-License-Identifier: MIT */
/*
 * Files from poll functions, and rt_file_drop(): what rt/file.h says about futures.
 *
 * A future makes one call; it ends by itself, by a deadline, or by a cancel while the
 * kernel holds it, and then the file and the buffer are looked at.
 */
#include "future_call.h"
#include "support/death.h"

static void data_is(const char *text)
{
    size_t count;
    const void *bytes = sim_file_get("data", &count);

    T_CHECK(bytes != NULL && count == strlen(text) && memcmp(bytes, text, count) == 0);
}

static int file_first(void *arg)
{
    struct rt_file *file = open_data();
    static const struct { // NOLINT(clang-analyzer-optin.performance.Padding): in this order below
        enum what what;
        size_t bytes;
        uint64_t offset;
        int result;
        const char *buf;
        const char *data;
    } cases[] = {
        { READ, 4, 0, 4, "1234efgh", "12345678" },
        { READ, 4, 6, 2, "78cdefgh", "12345678" },
        { READ, 4, 8, 0, "abcdefgh", "12345678" },
        { READ, 4, (uint64_t)INT64_MAX + 1, -EINVAL, "abcdefgh", "12345678" },
        { WRITE, 4, UINT64_MAX, -EINVAL, "abcdefgh", "12345678" },
        { WRITE, 4, 2, 4, "abcdefgh", "12abcd78" },
        { WRITE, 3, 8, 3, "abcdefgh", "12abcd78abc" },
    };

    (void)arg;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct future_call call = future_call_of(cases[i].what, cases[i].bytes);

        call.file = file;
        call.offset = cases[i].offset;
        T_CHECK(run(&call) == cases[i].result);
        T_CHECK(memcmp(call.buf, cases[i].buf, 8) == 0);
        data_is(cases[i].data);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_future_reads_and_writes_at_a_place(void **state)
{
    (void)state;
    run_streams(NULL, file_first);
}

static int file_fickle_first(void *arg)
{
    struct rt_file *file = open_data();

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_QUEUED);
    check_fickle(READ, file);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_transfer_is_the_one_that_was_begun(void **state)
{
    (void)state;
    run_streams(NULL, file_fickle_first);
}

static int file_ends_first(void *arg)
{
    static const struct {
        enum what what;
        int opcode;
    } cases[] = { { READ, IORING_OP_READ }, { WRITE, IORING_OP_WRITE } };

    (void)arg;
    for (int i = 0; i < 4; i++) {
        struct future_call call = future_call_of(cases[i % 2].what, 4);
        const bool is_late = i / 2 == 0;
        struct rt_task *task;

        call.file = open_data();
        call.drops_object = true;
        call.deadline = is_late ? rt_in(MS(1)) : RT_NEVER;
        sim_hold(cases[i % 2].opcode, SIM_QUEUED);
        task = spawn(&call);
        pause_for(MS(1) / 2);
        if (!is_late) {
            rt_cancel(task);
        }
        T_CHECK(join(task) == (is_late ? -ETIME : -ECANCELED));
        sim_unhold();
        T_CHECK(memcmp(call.buf, "abcdefgh", 8) == 0);
        data_is("12345678");
        T_CHECK(in_flight() == 0 && rti_current->handles.in_use == 0); /* dropped */
    }
    return 0;
}

static void a_deadline_or_cancel_ends_it_and_drop_closes_the_file(void **state)
{
    (void)state;
    run_streams(NULL, file_ends_first);
}

/* On a direct file */

static struct rt_file *open_direct(void)
{
    struct rt_file *file = NULL;
    char text[1024];

    memset(text, 't', sizeof(text));
    sim_file_put("data", text, sizeof(text));
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_DIRECT, 0, RT_NEVER) == 0);
    return file;
}

static char direct_block[512] __attribute__((aligned(512)));

static int poll_direct(struct rt_future *future)
{
    const struct future_call *self = (struct future_call *)future;

    return self->what == READ ? rt_poll_file_read_at(future, self->file, direct_block, self->bytes,
                                                     self->offset, self->deadline)
                              : rt_poll_file_write_at(future, self->file, direct_block, self->bytes,
                                                      self->offset, self->deadline);
}

static struct future_call direct_call(enum what what, struct rt_file *file, size_t bytes)
{
    struct future_call call = future_call_of(what, bytes);

    call.future.poll = poll_direct;
    call.file = file;
    return call;
}

static int direct_first(void *arg)
{
    struct rt_file *file = open_direct();
    struct future_call read = direct_call(READ, file, 512);
    struct future_call odd = direct_call(READ, file, 511);
    struct future_call write = direct_call(WRITE, file, 512);

    (void)arg;
    T_CHECK(run(&read) == 512 && direct_block[511] == 't');
    T_CHECK(run(&odd) == -EINVAL);
    memset(direct_block, 'w', sizeof(direct_block));
    write.offset = 512;
    T_CHECK(run(&write) == 512);
    T_CHECK(rt_file_write_at(file, "x", 1, 1, RT_NEVER) == 1); /* nothing holds the file any more */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void on_a_direct_file_a_future_transfers_what_is_aligned(void **state)
{
    (void)state;
    run_streams(NULL, direct_first);
}

static int write_one_byte(void *arg)
{
    return (int)rt_file_write_at(arg, "x", 1, 1, RT_NEVER);
}

/* A misaligned write that is under way, and a future that comes then. */
static int direct_wait_first(void *arg)
{
    struct rt_file *file = open_direct();
    struct future_call read = direct_call(READ, file, 512);
    struct rt_task *writer = NULL;
    struct rt_task *reader;

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&writer, write_one_byte, file) == 0);
    pause_for(MS(1));
    T_CHECK(sim_held(IORING_OP_WRITE) == 1);
    read.deadline = rt_in(MS(1));
    T_CHECK(run(&read) == -ETIME);
    read.deadline = RT_NEVER;
    reader = spawn(&read);
    pause_for(MS(1));
    T_CHECK(!rt_is_finished(reader));
    rt_cancel(reader);
    T_CHECK(join(reader) == -ECANCELED);
    reader = spawn(&read);
    pause_for(MS(1));
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    T_CHECK(join(reader) == 512 && direct_block[1] == 'x');
    T_CHECK(join(writer) == 1);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

/* A writer that waits for others, and gives up: who came after it need not wait any more. */
static int given_up_first(void *arg)
{
    struct rt_file *file = open_direct();
    struct future_call first = direct_call(READ, file, 512);
    struct future_call second = direct_call(READ, file, 512);
    struct rt_task *readers[2];
    struct rt_task *writer = NULL;

    (void)arg;
    sim_hold(IORING_OP_READ, SIM_RUNNING);
    readers[0] = spawn(&first);
    pause_for(MS(1));
    T_CHECK(rt_spawn(&writer, write_one_byte, file) == 0);
    rt_yield();
    readers[1] = spawn(&second);
    pause_for(MS(1));
    T_CHECK(sim_held(IORING_OP_READ) == 1);
    rt_cancel(writer);
    T_CHECK(join(writer) == -ECANCELED);
    pause_for(MS(1));
    T_CHECK(sim_held(IORING_OP_READ) == 2);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 2, SIM_NATURAL) == 2);
    T_CHECK(join(readers[0]) == 512 && join(readers[1]) == 512);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_future_need_not_wait_for_a_writer_that_gave_up(void **state)
{
    (void)state;
    run_streams(NULL, given_up_first);
}

static void a_future_comes_after_the_misaligned_write_that_goes_on(void **state)
{
    (void)state;
    run_streams(NULL, direct_wait_first);
}

static struct rt_task *one_that_reads;

/* Its turn has come, and it was not polled since. */
static int write_and_cancel_it(void *arg)
{
    T_CHECK(rt_file_write_at(arg, "x", 1, 1, RT_NEVER) == 1);
    rt_cancel(one_that_reads);
    return 0;
}

static int turn_in_vain_first(void *arg)
{
    struct rt_file *file = open_direct();
    struct future_call read = direct_call(READ, file, 512);
    struct rt_task *writer = NULL;

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&writer, write_and_cancel_it, file) == 0);
    pause_for(MS(1));
    one_that_reads = spawn(&read);
    pause_for(MS(1));
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    T_CHECK(join(one_that_reads) == -ECANCELED);
    T_CHECK(join(writer) == 0);
    T_CHECK(rt_file_close(file) == 0); /* it holds nothing */
    return 0;
}

static void a_future_that_is_cancelled_when_its_turn_has_come_lets_the_file_go(void **state)
{
    (void)state;
    run_streams(NULL, turn_in_vain_first);
}

static int null_first(void *arg)
{
    (void)arg;
    rt_tcp_drop(NULL);
    T_CHECK(rt_file_drop(NULL) == 0);
    return 0;
}

static void to_drop_nothing_does_nothing(void **state)
{
    (void)state;
    run_streams(NULL, null_first);
}

/* Misuse */

static int drop_of_used_file(void *arg)
{
    (void)arg;
    return rt_file_drop(under_way(READ)->file);
}

static int close_of_used_file(void *arg)
{
    (void)arg;
    return rt_file_close(under_way(READ)->file);
}

static int close_it(void *arg)
{
    return rt_file_close(arg);
}

static int write_and_close(void *arg)
{
    T_CHECK(rt_file_write_at(arg, "x", 1, 1, RT_NEVER) == 1);
    return rt_file_close(arg);
}

/* A future whose turn has come by that write will use it. */
static int close_of_file_of_next_turn(void *arg)
{
    struct rt_file *file = open_direct();
    struct future_call read = direct_call(READ, file, 512);
    struct rt_task *writer = NULL;
    struct rt_task *reader;

    (void)arg;
    sim_hold(IORING_OP_WRITE, SIM_RUNNING);
    T_CHECK(rt_spawn(&writer, write_and_close, file) == 0);
    pause_for(MS(1));
    reader = spawn(&read);
    pause_for(MS(1));
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_WRITE, 1, SIM_NATURAL) == 1);
    (void)join(writer);
    return join(reader);
}

static int lock_of_closing_file(void *arg)
{
    struct rt_file *file = NULL;
    struct rt_task *task;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDWR | O_CREAT, 0644, RT_NEVER) == 0);
    sim_hold(IORING_OP_CLOSE, SIM_QUEUED);
    T_CHECK(rt_spawn(&task, close_it, file) == 0);
    rt_yield();
    return rt_file_try_lock(file, RT_FILE_LOCK_EXCLUSIVE, 0, 0); /* of which file, then? */
}

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(drop_of_used_file, "rt_file_drop(): a task is using the file");
    assert_misuse_in_task(close_of_used_file, "rt_file_close(): another task is using the file");
    assert_misuse_in_task(close_of_file_of_next_turn,
                          "rt_file_close(): another task is using the file");
    assert_misuse_in_task(lock_of_closing_file,
                          "rt_file_try_lock(): another task is closing the file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_reads_and_writes_at_a_place),
        cmocka_unit_test(a_transfer_is_the_one_that_was_begun),
        cmocka_unit_test(a_deadline_or_cancel_ends_it_and_drop_closes_the_file),
        cmocka_unit_test(on_a_direct_file_a_future_transfers_what_is_aligned),
        cmocka_unit_test(a_future_comes_after_the_misaligned_write_that_goes_on),
        cmocka_unit_test(a_future_need_not_wait_for_a_writer_that_gave_up),
        cmocka_unit_test(a_future_that_is_cancelled_when_its_turn_has_come_lets_the_file_go),
        cmocka_unit_test(to_drop_nothing_does_nothing),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
