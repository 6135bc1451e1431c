/* SPDX-License-Identifier: MIT */
/*
 * A runtime that cannot start says why: real obstacles, each in a process of its own.
 *
 * A child puts the obstacle in its own way (a seccomp filter, a limit, a wrong
 * configuration), calls rt_run(), and writes down what it returned and what the
 * log said, in memory that it shares with the test. The obstacle ends with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "rt/rt.h"
#include "support/harness.h"

#define TEXT_BYTES 2048

/* What a child saw. */
struct report {
    bool done;        /* the child came to its end */
    bool unavailable; /* the obstacle cannot be made here */
    int result;       /* of rt_run() */
    int inner_result; /* of an rt_run() inside a task */
    unsigned starts;  /* how often the first task was started */
    unsigned errors;  /* lines of level error */
    unsigned descriptors_before;
    unsigned descriptors_after;
    char text[TEXT_BYTES]; /* every line, one after the other */
};

static struct report *report;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    const size_t used = strlen(report->text);

    (void)arg;
    report->errors += level == RT_LOG_ERROR;
    snprintf(report->text + used, TEXT_BYTES - used, "%s\n", text);
}

static int first(void *arg)
{
    (void)arg;
    report->starts++;
    return 7;
}

static struct rt_config heard_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = hear;
    return config;
}

static void run(const struct rt_config *config)
{
    report->result = rt_run(config, first, NULL);
}

static void run_with_defaults(void)
{
    const struct rt_config config = heard_config();

    run(&config);
}

/* Run `body` in a child and wait for it. */
static void in_child(void (*body)(void))
{
    int status;
    pid_t child;

    memset(report, 0, sizeof(*report));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsetenv("RT_DISABLE");
        body();
        report->done = true;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !report->done) {
        fail_msg("the child ended with status 0x%x, after: %s", (unsigned)status, report->text);
    }
    if (report->unavailable) {
        print_message("cannot be brought about here\n");
        skip();
    }
}

static void assert_says(const char *words)
{
    if (strstr(report->text, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", report->text, words);
    }
}

static void assert_failed_with(int result)
{
    if (report->result != result) {
        fail_msg("rt_run() returned %d, not %d; the log: %s", report->result, result, report->text);
    }
    assert_int_equal(report->starts, 0);
    assert_int_equal(report->errors, 1); /* one cause, one line */
}

/* Seccomp */

#if defined(__x86_64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* From now on io_uring_setup fails with `error`, as in a container. */
static bool forbid_io_uring(unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void run_with_eperm(void)
{
    report->unavailable = !forbid_io_uring(EPERM);
    run_with_defaults();
}

static void a_filter_that_refuses_io_uring_is_named(void **state)
{
    (void)state;
    in_child(run_with_eperm);
    assert_failed_with(-EPERM);
    assert_says("EPERM");
    assert_says("seccomp");
    assert_says("allow io_uring_setup, io_uring_enter and io_uring_register");
}

static void run_with_enosys(void)
{
    report->unavailable = !forbid_io_uring(ENOSYS);
    run_with_defaults();
}

static void a_filter_that_hides_io_uring_is_named(void **state)
{
    (void)state;
    in_child(run_with_enosys);
    assert_failed_with(-ENOSYS);
    assert_says("ENOSYS");
    assert_says("seccomp");
    assert_says("Linux 6.1");
}

/* The sysctl. It is one for the whole machine and must not be touched: instead this child, in mount
 * points of its own, sees another file in its place, and a filter refuses as the kernel would. */

static bool pretend_sysctl(const char *value)
{
    static const char sysctl[] = "/proc/sys/kernel/io_uring_disabled";
    char path[] = "/tmp/shardrt-sysctl-XXXXXX";
    const int fd = mkstemp(path);
    const ssize_t length = (ssize_t)strlen(value);
    bool mounted;

    if (fd < 0) {
        return false;
    }
    mounted = write(fd, value, (size_t)length) == length && unshare(CLONE_NEWNS) == 0 &&
              mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
              mount(path, sysctl, NULL, MS_BIND, NULL) == 0;
    close(fd);
    unlink(path);
    return mounted && forbid_io_uring(EPERM);
}

static void run_with_sysctl_of_2(void)
{
    report->unavailable = !pretend_sysctl("2\n");
    if (!report->unavailable) {
        run_with_defaults();
    }
}

static void run_with_sysctl_of_1(void)
{
    report->unavailable = !pretend_sysctl("1\n");
    if (!report->unavailable) {
        run_with_defaults();
    }
}

static void a_sysctl_that_turns_io_uring_off_is_named_with_its_value(void **state)
{
    (void)state;
    in_child(run_with_sysctl_of_2);
    assert_failed_with(-EPERM);
    assert_says("kernel.io_uring_disabled = 2");
    assert_says("sysctl kernel.io_uring_disabled=0");
    assert_null(strstr(report->text, "io_uring_group")); /* does not help against 2 */
}

static void a_sysctl_that_reserves_io_uring_is_named_with_the_ways_around(void **state)
{
    (void)state;
    in_child(run_with_sysctl_of_1);
    assert_failed_with(-EPERM);
    assert_says("kernel.io_uring_disabled = 1");
    assert_says("sysctl kernel.io_uring_disabled=0");
    assert_says("CAP_SYS_ADMIN");
    assert_says("kernel.io_uring_group");
}

/* Limits */

static bool set_limit(int resource, rlim_t value)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0) {
        return false;
    }
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static void run_without_descriptors(void)
{
    report->unavailable = !set_limit(RLIMIT_NOFILE, 24);
    while (dup(STDERR_FILENO) >= 0) {
    }
    run_with_defaults();
}

static void missing_descriptors_are_named_with_their_limit(void **state)
{
    (void)state;
    in_child(run_without_descriptors);
    assert_failed_with(-EMFILE);
    assert_says("EMFILE");
    assert_says("24");
    assert_says("ulimit -n");
}

/* No address space is left but what the process has already. */
static void run_without_address_space(void)
{
    report->unavailable = RTI_ASAN || RTI_TSAN || /* their own memory would be gone as well */
                          !set_limit(RLIMIT_AS, (rlim_t)16 << 20);
    if (!report->unavailable) {
        run_with_defaults();
    }
}

static void missing_address_space_is_named_with_its_cures(void **state)
{
    (void)state;
    in_child(run_without_address_space);
    assert_failed_with(-ENOMEM);
    assert_says("ENOMEM");
    assert_says("ulimit -v");
}

/* As a user without privileges: root's rings are never counted. */
static void run_without_locked_memory(void)
{
    report->unavailable = !set_limit(RLIMIT_MEMLOCK, 0) ||
                          (getuid() == 0 &&
                           (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
                            setresuid(65534, 65534, 65534) < 0));
    if (!report->unavailable) {
        run_with_defaults();
    }
}

/* Kernels count a ring as locked memory or do not: 6.18 does, and those from 5.12 on did not. */
static void missing_locked_memory_is_named_by_kernels_that_count_it(void **state)
{
    (void)state;
    in_child(run_without_locked_memory);
    if (report->result == 7) {
        print_message("this kernel does not count rings as locked memory\n");
        assert_int_equal(report->errors, 0);
        return;
    }
    assert_failed_with(-ENOMEM);
    assert_says("ENOMEM");
    assert_says("locked memory (now 0 KiB");
    assert_says("ulimit -l");
}

/* Configuration */

static void run_with_too_many_tasks(void)
{
    struct rt_config config = heard_config();

    config.tasks_max = 16777217;
    run(&config);
}

static void a_wrong_number_is_named_with_its_bounds(void **state)
{
    (void)state;
    in_child(run_with_too_many_tasks);
    assert_failed_with(-EINVAL);
    assert_says("config.tasks_max");
    assert_says("16777217");
    assert_says("1 to 16777216");
}

static void run_with_a_wrong_cpu(void)
{
    struct rt_config config = heard_config();

    config.cpus = "0-3";
    run(&config);
}

static void a_wrong_cpu_is_named_with_what_is_right(void **state)
{
    (void)state;
    in_child(run_with_a_wrong_cpu);
    assert_failed_with(-EINVAL);
    assert_says("\"0-3\"");
    assert_says("one CPU");
}

static void run_with_an_unknown_feature(void)
{
    struct rt_config config = heard_config();

    config.disable = "iowq,nonsense";
    run(&config);
}

static void run_with_an_unknown_feature_in_the_environment(void)
{
    setenv("RT_DISABLE", "nonsense iowq", 1);
    run_with_defaults();
}

static void an_unknown_feature_is_named_with_those_that_there_are(void **state)
{
    (void)state;
    in_child(run_with_an_unknown_feature);
    assert_failed_with(-EINVAL);
    assert_says("config.disable");
    assert_says("\"nonsense\"");
    assert_says("defer_taskrun");
    in_child(run_with_an_unknown_feature_in_the_environment);
    assert_failed_with(-EINVAL);
    assert_says("RT_DISABLE");
    assert_says("\"nonsense\"");
    assert_says("defer_taskrun");
}

struct newer_config {
    struct rt_config known;
    uint64_t field_of_the_future;
};

static void run_with_a_newer_configuration(void)
{
    struct newer_config config = { .known = heard_config(), .field_of_the_future = 1 };

    config.known.size = sizeof(config);
    run(&config.known);
}

static void a_configuration_of_a_newer_library_is_refused_with_the_reason(void **state)
{
    (void)state;
    in_child(run_with_a_newer_configuration);
    assert_failed_with(-E2BIG);
    assert_says("config.size");
}

/* Two executors on one thread */

static int run_inside(void *arg)
{
    const struct rt_config config = heard_config();

    (void)arg;
    report->inner_result = rt_run(&config, first, NULL);
    return 3;
}

static void run_inside_a_task(void)
{
    const struct rt_config config = heard_config();

    report->result = rt_run(&config, run_inside, NULL);
}

static void a_second_executor_on_the_thread_is_refused_with_the_reason(void **state)
{
    (void)state;
    in_child(run_inside_a_task);
    assert_int_equal(report->inner_result, -EBUSY);
    assert_int_equal(report->starts, 0);
    assert_int_equal(report->result, 3); /* the outer one goes on */
    assert_int_equal(report->errors, 1);
    assert_says("rt_run");
}

/* After a failure */

static void run_with_eperm_often(void)
{
    report->unavailable = !forbid_io_uring(EPERM);
    report->descriptors_before = t_open_descriptors();
    for (int i = 0; i < 10; i++) {
        run_with_defaults();
    }
    report->descriptors_after = t_open_descriptors();
}

static void a_failed_start_keeps_no_descriptor(void **state)
{
    (void)state;
    in_child(run_with_eperm_often);
    assert_int_equal(report->result, -EPERM);
    assert_int_equal(report->errors, 10);
    assert_int_equal(report->descriptors_after, report->descriptors_before);
}

static void run_after_a_failure(void)
{
    run_with_too_many_tasks();
    report->errors = 0;
    run_with_defaults();
}

static void a_thread_can_run_an_executor_after_one_that_failed(void **state)
{
    (void)state;
    in_child(run_after_a_failure);
    assert_int_equal(report->errors, 0);
    assert_int_equal(report->result, 7);
    assert_int_equal(report->starts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_that_refuses_io_uring_is_named),
        cmocka_unit_test(a_filter_that_hides_io_uring_is_named),
        cmocka_unit_test(a_sysctl_that_turns_io_uring_off_is_named_with_its_value),
        cmocka_unit_test(a_sysctl_that_reserves_io_uring_is_named_with_the_ways_around),
        cmocka_unit_test(missing_descriptors_are_named_with_their_limit),
        cmocka_unit_test(missing_address_space_is_named_with_its_cures),
        cmocka_unit_test(missing_locked_memory_is_named_by_kernels_that_count_it),
        cmocka_unit_test(a_wrong_number_is_named_with_its_bounds),
        cmocka_unit_test(a_wrong_cpu_is_named_with_what_is_right),
        cmocka_unit_test(an_unknown_feature_is_named_with_those_that_there_are),
        cmocka_unit_test(a_configuration_of_a_newer_library_is_refused_with_the_reason),
        cmocka_unit_test(a_second_executor_on_the_thread_is_refused_with_the_reason),
        cmocka_unit_test(a_failed_start_keeps_no_descriptor),
        cmocka_unit_test(a_thread_can_run_an_executor_after_one_that_failed),
    };

    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    in_child(run_with_defaults); /* before the first test: outside of one, a skip would abort */
    if (report->result != 7) {
        fprintf(stderr, "skipped: %s", report->text);
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
