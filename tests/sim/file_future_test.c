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

static void misuse_aborts_and_names_the_call(void **state)
{
    (void)state;
    assert_misuse_in_task(drop_of_used_file, "rt_file_drop(): a task is using the file");
    assert_misuse_in_task(close_of_used_file, "rt_file_close(): another task is using the file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_future_reads_and_writes_at_a_place),
        cmocka_unit_test(a_transfer_is_the_one_that_was_begun),
        cmocka_unit_test(a_deadline_or_cancel_ends_it_and_drop_closes_the_file),
        cmocka_unit_test(to_drop_nothing_does_nothing),
        cmocka_unit_test(misuse_aborts_and_names_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
