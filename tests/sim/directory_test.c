/* SPDX-License-Identifier: MIT */
/*
 * Names on the simulated kernel: what is left when a call is cancelled, late or refused.
 *
 * Method: the kernel keeps the operation at a stage, the task is cancelled, and then the operation
 * goes on. What the call returned must be what is seen in the files; and the directory can be
 * closed, so no call is still counted as its user. Files without a name are refused by the file
 * system, so that the long way is taken.
 */
#include "sim/caller.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "base/compiler.h" /* RTI_ASAN */
#include "rt/directory.h"
#include "support/death.h"

static void run(rt_task_fn first)
{
    caller_places = 0;
    sim_begin(&(struct sim_config){ .seed = 1 });
    sim_file_put("data", "abcd", 4);
    T_CHECK(rt_run(NULL, first, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void let_kernel_work(void)
{
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
}

static bool is_there(const char *path)
{
    size_t count;

    return sim_file_get(path, &count) != NULL;
}

/* Cancel at each stage */

static int call_remove(void *object, rt_time deadline)
{
    return rt_remove(object, "data", deadline);
}

static int call_rename(void *object, rt_time deadline)
{
    return rt_rename(object, "data", object, "moved", 0, deadline);
}

static void check_change(struct rt_directory *directory, int opcode, enum sim_stage stage,
                         bool late)
{
    const bool is_rename = opcode == IORING_OP_RENAMEAT;
    const bool goes_on = stage != SIM_QUEUED;
    struct caller caller;
    int r;

    sim_file_put("data", "abcd", 4);
    sim_hold(opcode, stage);
    caller_start(&caller, is_rename ? call_rename : call_remove, directory,
                 late ? rt_in(RT_MICROSECONDS(1500)) : RT_NEVER);
    let_kernel_work();
    if (!late) {
        rt_cancel(caller.task);
    }
    let_kernel_work();
    T_CHECK(caller_waits(&caller) || !goes_on); /* what runs is waited for */
    sim_unhold();
    (void)sim_release(opcode, 1, SIM_NATURAL);
    r = caller_end(&caller);
    T_CHECK(r == (goes_on ? 0 : late ? -ETIME : -ECANCELED));
    T_CHECK(is_there("data") == (r < 0));
    T_CHECK(is_there("moved") == (is_rename && r == 0));
    if (is_there("moved")) {
        sim_file_remove("moved");
    }
}

static int cancel_changes(void *arg)
{
    static const int opcodes[] = { IORING_OP_UNLINKAT, IORING_OP_RENAMEAT };
    struct rt_directory *directory;

    (void)arg;
    T_CHECK(rt_directory_open(&directory, NULL, ".", RT_NEVER) == 0);
    for (unsigned i = 0; i < 2; i++) {
        for (int stage = SIM_QUEUED; stage <= SIM_DONE; stage++) {
            check_change(directory, opcodes[i], (enum sim_stage)stage, false);
            check_change(directory, opcodes[i], (enum sim_stage)stage, true);
        }
    }
    T_CHECK(rt_directory_close(directory) == 0);
    return 0;
}

static void a_change_is_made_exactly_if_its_call_says_so(void **state)
{
    (void)state;
    run(cancel_changes);
}

static int meet_the_limit(void *arg)
{
    struct rt_directory *directory = NULL;

    (void)arg;
    sim_fail_next(IORING_OP_OPENAT, -EMFILE);
    T_CHECK(rt_directory_open(&directory, NULL, ".", RT_NEVER) == -EMFILE && directory == NULL);
    T_CHECK(rt_directory_open(&directory, NULL, ".", RT_NEVER) == 0);
    sim_fail_next(IORING_OP_FSYNC, -EIO);
    T_CHECK(rt_directory_sync(directory, RT_NEVER) == -EIO);
    T_CHECK(rt_directory_sync(directory, RT_NEVER) == 0);
    sim_fail_next(IORING_OP_CLOSE, -EIO);
    T_CHECK(rt_directory_close(directory) == -EIO);
    return 0;
}

static void an_error_of_the_kernel_leaves_nothing_open(void **state)
{
    (void)state;
    run(meet_the_limit);
}

/* Temporary files, the long way */

static struct rt_file *temporary;

static int call_temporary(void *object, rt_time deadline)
{
    return rt_file_create_temporary(&temporary, object, ".", deadline);
}

static int make_nameless(void *arg)
{
    char buf[4];

    (void)arg;
    sim_fail_next(IORING_OP_OPENAT, -EOPNOTSUPP);
    T_CHECK(call_temporary(NULL, RT_NEVER) == 0);
    T_CHECK(sim_file_count() == 1 && sim_stats()->by_opcode[IORING_OP_UNLINKAT] == 1);
    T_CHECK(rt_file_write_at(temporary, "abcd", 4, 0, RT_NEVER) == 4);
    T_CHECK(rt_file_read_at(temporary, buf, 4, 0, RT_NEVER) == 4 && memcmp(buf, "abcd", 4) == 0);
    T_CHECK(rt_file_close(temporary) == 0);
    return 0;
}

static void where_all_files_have_names_that_of_a_temporary_one_is_removed(void **state)
{
    (void)state;
    run(make_nameless);
}

static int cancel_the_removal(void *arg)
{
    struct caller caller;

    (void)arg;
    for (int stage = SIM_QUEUED; stage <= SIM_DONE; stage++) {
        sim_fail_next(IORING_OP_OPENAT, -EOPNOTSUPP);
        sim_hold(IORING_OP_UNLINKAT, (enum sim_stage)stage);
        caller_start(&caller, call_temporary, NULL, RT_NEVER);
        let_kernel_work();
        T_CHECK(sim_held(IORING_OP_UNLINKAT) == 1 && sim_file_count() == 2);
        rt_cancel(caller.task);
        let_kernel_work();
        T_CHECK(caller_waits(&caller));
        sim_unhold();
        T_CHECK(sim_release(IORING_OP_UNLINKAT, 1, SIM_NATURAL) == 1);
        T_CHECK(caller_end(&caller) == 0 && sim_file_count() == 1);
        T_CHECK(rt_file_close(temporary) == 0);
    }
    return 0;
}

static void a_cancel_does_not_leave_the_name_behind(void **state)
{
    (void)state;
    run(cancel_the_removal);
}

static int fail_the_removal(void *arg)
{
    (void)arg;
    temporary = NULL;
    sim_fail_next(IORING_OP_OPENAT, -EOPNOTSUPP);
    sim_fail_next(IORING_OP_UNLINKAT, -EIO);
    T_CHECK(call_temporary(NULL, RT_NEVER) == -EIO && temporary == NULL);
    T_CHECK(sim_file_count() == 2); /* nothing more can be done about it */
    sim_fail_next(IORING_OP_OPENAT, -EACCES);
    T_CHECK(call_temporary(NULL, RT_NEVER) == -EACCES && temporary == NULL);
    return 0;
}

static void where_the_name_cannot_be_removed_there_is_no_file(void **state)
{
    (void)state;
    run(fail_the_removal);
}

/* Unique names */

static int meet_taken_names(void *arg)
{
    char path[] = "unique-XXXXXX";
    struct rt_file *file;

    (void)arg;
    for (int i = 0; i < 3; i++) {
        sim_fail_next(IORING_OP_OPENAT, -EEXIST);
    }
    T_CHECK(rt_file_create_unique(&file, NULL, path, 0600, RT_NEVER) == 0);
    T_CHECK(is_there(path) && rt_file_close(file) == 0);
    T_CHECK(sim_stats()->by_opcode[IORING_OP_OPENAT] == 4);
    return 0;
}

static void a_name_that_is_taken_is_not_used_and_another_is_tried(void **state)
{
    (void)state;
    run(meet_taken_names);
}

static int meet_taken_names_only(void *arg)
{
    char path[] = "unique-XXXXXX";
    struct rt_file *file = NULL;

    (void)arg;
    T_CHECK(rt_file_create_unique(&file, NULL, path, 0600, RT_NEVER) == -EEXIST && file == NULL);
    T_CHECK(sim_stats()->by_opcode[IORING_OP_OPENAT] == 100);
    return 0;
}

static void where_all_names_are_taken_the_tries_end(void **state)
{
    const struct sim_error taken = { IORING_OP_OPENAT, 1000, -EEXIST };

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1, .faults = { .errors = &taken, .error_count = 1 } });
    T_CHECK(rt_run(NULL, meet_taken_names_only, NULL) == 0);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

/* Misuse */

static struct rt_directory *directory_here(void)
{
    struct rt_directory *directory = NULL;

    T_CHECK(rt_directory_open(&directory, NULL, ".", RT_NEVER) == 0);
    return directory;
}

static int close_in_use(void *arg)
{
    struct rt_directory *directory = directory_here();
    struct caller caller;

    (void)arg;
    sim_file_put("data", "abcd", 4);
    sim_hold(IORING_OP_RENAMEAT, SIM_QUEUED);
    caller_start(&caller, call_rename, directory, RT_NEVER);
    return rt_directory_close(directory);
}

static void a_close_of_a_directory_in_use_aborts(void **state)
{
    (void)state;
    assert_misuse_in_task(close_in_use, "rt_directory_close(): another task is using");
}

static int use_after_close(void *arg)
{
    struct rt_directory *directory = directory_here();

    (void)arg;
    T_CHECK(rt_directory_close(directory) == 0);
    return rt_make_directory(directory, "new", 0700, RT_NEVER);
}

static void the_use_of_a_closed_directory_aborts(void **state)
{
    (void)state;
    if (RTI_ASAN) {
        skip(); /* it sees the access first */
    }
    assert_misuse_in_task(use_after_close, "rt_make_directory(): the object was closed");
}

static int call_read(void *object, rt_time deadline)
{
    const struct rt_directory_entry *entries;

    return (int)rt_directory_read(object, &entries, deadline);
}

static int read_twice(void *arg)
{
    struct rt_directory *directory = directory_here();
    struct caller caller;

    (void)arg;
    caller_start(&caller, call_read, directory, RT_NEVER);
    return call_read(directory, RT_NEVER);
}

static void two_tasks_that_read_one_directory_abort(void **state)
{
    (void)state;
    assert_misuse_in_task(read_twice, "rt_directory_read(): another task is reading");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_made_exactly_if_its_call_says_so),
        cmocka_unit_test(an_error_of_the_kernel_leaves_nothing_open),
        cmocka_unit_test(where_all_files_have_names_that_of_a_temporary_one_is_removed),
        cmocka_unit_test(a_cancel_does_not_leave_the_name_behind),
        cmocka_unit_test(where_the_name_cannot_be_removed_there_is_no_file),
        cmocka_unit_test(a_name_that_is_taken_is_not_used_and_another_is_tried),
        cmocka_unit_test(where_all_names_are_taken_the_tries_end),
        cmocka_unit_test(a_close_of_a_directory_in_use_aborts),
        cmocka_unit_test(the_use_of_a_closed_directory_aborts),
        cmocka_unit_test(two_tasks_that_read_one_directory_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
