/* SPDX-License-Identifier: MIT */
/*
 * Whole files on the real kernel: what rt/whole_file.h promises, seen by the plain system calls.
 *
 * In an empty directory, below TMPDIR or /tmp, files are stored, replaced and loaded, by paths of
 * each form; and every call of the runtime to the system is made to fail once, after which no
 * memory and no temporary file may be left.
 */
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/fault.h"

static int begin(void **state)
{
    return folder_enter(state) < 0 || mkdir("sub", 0755) < 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink("file");
    (void)unlink("sub/file");
    return rmdir("sub") < 0 || chdir("/") < 0 || rmdir(folder_path) < 0; /* nothing else is there */
}

static void run(rt_task_fn first)
{
    const unsigned descriptors = t_open_descriptors();
    const int r = rt_run(NULL, first, NULL);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static bool holds(const char *path, const char *text)
{
    char buf[64];
    FILE *file = fopen(path, "r");
    size_t count;

    if (file == NULL) {
        return false;
    }
    count = fread(buf, 1, sizeof(buf), file);
    fclose(file);
    return count == strlen(text) && memcmp(buf, text, count) == 0;
}

static int replace_by(const char *path, const char *text)
{
    return rt_file_replace(path, text, strlen(text), 0640, RT_NEVER);
}

static int store_and_replace(void *arg)
{
    char absolute[sizeof(folder_path) + 16];
    struct stat answer;

    (void)arg;
    umask(022);
    T_CHECK(rt_file_store("file", "one", 3, 0640, RT_NEVER) == 0 && holds("file", "one"));
    T_CHECK(stat("file", &answer) == 0 && (answer.st_mode & 07777) == 0640);
    T_CHECK(rt_file_store("file", "two", 3, 0640, RT_NEVER) == -EEXIST && holds("file", "one"));
    T_CHECK(replace_by("file", "three") == 0 && holds("file", "three"));
    T_CHECK(replace_by("./sub/file", "four") == 0 && holds("sub/file", "four"));
    snprintf(absolute, sizeof(absolute), "%s/sub/file", folder_path);
    T_CHECK(replace_by(absolute, "") == 0 && holds("sub/file", ""));
    T_CHECK(replace_by("sub", "x") == -EISDIR);
    T_CHECK(replace_by("none/file", "x") == -ENOENT && replace_by("file/x", "x") == -ENOTDIR);
    return 0;
}

static void files_are_stored_and_replaced_by_any_path(void **state)
{
    (void)state;
    run(store_and_replace);
}

static int load_unsized(void *arg)
{
    static const char name[] = "Name:";
    size_t bytes;
    void *text;

    (void)arg;
    T_CHECK(rt_file_load("/proc/self/status", 65536, &text, &bytes, RT_NEVER) == 0);
    T_CHECK(bytes > 100 && memcmp(text, name, sizeof(name) - 1) == 0 && strlen(text) == bytes);
    rt_file_unload(text);
    T_CHECK(rt_file_load("/proc/self/status", 100, &text, &bytes, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_load("/proc/kallsyms", 5000, &text, &bytes, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_load("/dev/null", 0, &text, &bytes, RT_NEVER) == 0 && bytes == 0);
    rt_file_unload(text);
    T_CHECK(rt_file_load(".", 65536, &text, &bytes, RT_NEVER) == -EISDIR);
    return 0;
}

static void a_file_that_tells_no_size_is_loaded_whole(void **state)
{
    (void)state;
    run(load_unsized);
}

/* With faults */

static unsigned names_here(void)
{
    DIR *directory = opendir(".");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static int replace_and_load(void *arg)
{
    size_t bytes;
    void *text;
    int r = replace_by("file", arg);

    if (r == 0) {
        r = rt_file_load("file", 100, &text, &bytes, RT_NEVER);
    }
    if (r == 0) {
        T_CHECK(bytes == strlen(arg) && memcmp(text, arg, bytes) == 0);
        rt_file_unload(text);
    }
    return r;
}

static void a_system_call_that_fails_leaves_nothing(void **state)
{
    const int64_t blocks = fault_live_blocks();
    unsigned names;
    bool failed = true;

    (void)state;
    (void)unlink("file");
    assert_int_equal(rt_run(NULL, replace_and_load, "old"), 0);
    names = names_here();
    for (unsigned n = 1; failed; n++) {
        char text[32];
        int r;

        snprintf(text, sizeof(text), "text %u", n);
        fault_begin(n);
        r = rt_run(NULL, replace_and_load, text);
        failed = fault_end();
        assert_true(failed || r == 0);
        if (r == 0) {
            assert_true(holds("file", text));
        }
        assert_int_equal(names_here(), names);
        assert_int_equal(fault_live_blocks(), blocks);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_stored_and_replaced_by_any_path),
        cmocka_unit_test(a_file_that_tells_no_size_is_loaded_whole),
        cmocka_unit_test(a_system_call_that_fails_leaves_nothing),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, begin, end) : T_EXIT_SKIPPED;
}
