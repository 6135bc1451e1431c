/* SPDX-License-Identifier: MIT */
/*
 * Explain: every error of the kernel at start becomes one line that names cause and cure.
 *
 * The errors are given here; tests/integration/error_text_test.c brings them about.
 */
#include "os/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "support/ear.h"
#include "support/harness.h"

static void assert_says(const char *words)
{
    if (strstr(heard.text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", heard.text, words);
    }
}

static void explain(int error)
{
    memset(&heard, 0, sizeof(heard));
    rti_explain_ring(&ear, error);
    assert_int_equal(heard.lines, 1);
    assert_int_equal(heard.level, RT_LOG_ERROR);
    assert_true(strlen(heard.text) < RTI_LOG_BYTES_MAX - 1); /* not cut */
}

/* The number in the sysctl, 0 when the kernel has none. */
static long disabled_on_this_machine(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    long value = 0;

    if (file != NULL) {
        if (fscanf(file, "%ld", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    return value;
}

static void a_refusal_names_the_sysctl_or_the_filter(void **state)
{
    static const int errors[] = { -EPERM, -EACCES };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        explain(errors[i]);
        assert_says("kernel.io_uring_disabled");
        if (disabled_on_this_machine() > 0) {
            assert_says("sysctl kernel.io_uring_disabled=0");
        } else {
            assert_says(strerrorname_np(-errors[i]));
            assert_says("seccomp");
            assert_says("allow io_uring_setup, io_uring_enter and io_uring_register");
        }
    }
}

static void a_kernel_that_lacks_something_is_named_with_its_release(void **state)
{
    static const int errors[] = { -ENOSYS, -EOPNOTSUPP };
    struct utsname name;

    (void)state;
    assert_int_equal(uname(&name), 0);
    for (size_t i = 0; i < 2; i++) {
        explain(errors[i]);
        assert_says(name.release);
        assert_says("Linux 6.1");
    }
}

static void missing_descriptors_are_named_with_the_limit_that_they_met(void **state)
{
    struct rlimit limit;
    char number[32];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)limit.rlim_cur);
    explain(-EMFILE);
    assert_says("EMFILE");
    assert_says(number);
    assert_says("ulimit -n");
    explain(-ENFILE);
    assert_says("ENFILE");
    assert_says("fs.file-max");
}

static void missing_memory_is_named_with_every_limit_that_may_be_too_low(void **state)
{
    (void)state;
    explain(-ENOMEM);
    assert_says("ENOMEM");
    assert_says("cgroup");
    assert_says("ulimit -l");
    assert_says("ulimit -v");
    assert_says("config.ring_entries");
    memset(&heard, 0, sizeof(heard));
    rti_explain_memory(&ear, "the first task", -ENOMEM);
    assert_int_equal(heard.lines, 1);
    assert_says("the first task");
    assert_says("ENOMEM");
    assert_says("config.tasks_max");
}

static void buffers_that_stay_unregistered_are_a_warning_with_the_limit(void **state)
{
    const struct rti_log all = { .write = hear, .level = RT_LOG_WARNING };

    (void)state;
    for (int error = 1; error < 200; error++) {
        memset(&heard, 0, sizeof(heard));
        rti_explain_unregistered(&all, -error);
        assert_int_equal(heard.lines, 1);
        assert_int_equal(heard.level, RT_LOG_WARNING);
        assert_true(strlen(heard.text) < RTI_LOG_BYTES_MAX - 1);
        assert_says("goes on without");
        if (error == ENOMEM) {
            assert_says("ulimit -l");
            assert_says("config.buffer_bytes");
        }
    }
}

static void pages_of_another_size_are_refused_with_the_size(void **state)
{
    (void)state;
    memset(&heard, 0, sizeof(heard));
    assert_int_equal(rti_explain_pages(&ear, 4096), 0);
    assert_int_equal(heard.lines, 0);
    assert_int_equal(rti_explain_pages(&ear, 65536), -ENOTSUP);
    assert_int_equal(heard.lines, 1);
    assert_says("65536 bytes");
    assert_says("4 KiB");
}

/* Every number, also one that is no error of any kernel, gives a line. */
static void any_error_has_a_line(void **state)
{
    (void)state;
    for (int error = 1; error < 200; error++) {
        explain(-error);
        assert_says(" ");
        assert_null(strstr(heard.text, "(null)"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_names_the_sysctl_or_the_filter),
        cmocka_unit_test(a_kernel_that_lacks_something_is_named_with_its_release),
        cmocka_unit_test(missing_descriptors_are_named_with_the_limit_that_they_met),
        cmocka_unit_test(missing_memory_is_named_with_every_limit_that_may_be_too_low),
        cmocka_unit_test(buffers_that_stay_unregistered_are_a_warning_with_the_limit),
        cmocka_unit_test(pages_of_another_size_are_refused_with_the_size),
        cmocka_unit_test(any_error_has_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
