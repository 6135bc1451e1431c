/* SPDX-License-Identifier: MIT */
/*
 * As nth_call_test, of blocking calls and of what is built upon them.
 *
 * The scenario is run again and again, and the nth call of the seam to the system
 * fails, until a run has fewer than n calls. Each run must end, with or without an
 * error, and leave no block of the heap, mapping or descriptor behind.
 */
#include "support/fault_checks.h"
#include "support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"

static int count_run(void *arg)
{
    ++*(int *)arg;
    return *(int *)arg;
}

static int use_pool(void)
{
    int runs = 0;
    int result = 0;
    int r = 0;

    for (int i = 0; r == 0 && i < 3; i++) {
        r = rt_blocking(count_run, &runs, &result, RT_NEVER);
        T_CHECK(r == 0 ? runs == i + 1 && result == runs : runs == i);
    }
    T_CHECK(r == 0 || r == -EAGAIN || r == -ENOMEM);
    return r;
}

static int list(struct rt_directory *directory)
{
    const struct rt_directory_entry *entries;
    ssize_t n = rt_directory_read(directory, &entries, RT_NEVER);

    T_CHECK(n < 0 || n == 2);
    return n < 0 ? (int)n : 0;
}

/* In a directory that has the file "file" and the link "link". */
static int use_names(struct rt_directory *directory)
{
    struct rt_file *file;
    char text[8];
    ssize_t n;
    int r = list(directory);

    rt_directory_rewind(directory);
    if (r == 0) {
        r = list(directory);
    }
    if (r == 0) {
        n = rt_readlink(directory, "link", text, sizeof(text), RT_NEVER);
        T_CHECK(n < 0 || n == 4);
        r = n < 0 ? (int)n : 0;
    }
    if (r == 0) {
        r = rt_file_create_temporary(&file, directory, ".", RT_NEVER);
    }
    if (r == 0) {
        T_CHECK(rt_file_close(file) == 0);
        r = rt_directory_sync(directory, RT_NEVER);
    }
    return r;
}

static int use_watch(struct rt_directory *directory)
{
    const struct rt_watch_event *events;
    struct rt_watch *watch;
    ssize_t n;
    int r = rt_watch_open(&watch);

    if (r < 0) {
        return r;
    }
    r = rt_watch_add(watch, directory, ".", RT_WATCH_ATTRIBUTES, NULL, RT_NEVER);
    if (r == 0) {
        T_CHECK(chmod("file", 0600) == 0);
        n = rt_watch_read(watch, &events, RT_NEVER);
        T_CHECK(n < 0 || n == 1);
        r = n < 0 ? (int)n : rt_watch_remove(watch, events[0].place);
    }
    rt_watch_close(watch);
    return r;
}

static int scenario(void *arg)
{
    struct rt_directory *directory;
    int r = use_pool();

    (void)arg;
    if (r == 0) {
        r = rt_directory_open(&directory, NULL, folder_path, RT_NEVER);
    }
    if (r == 0) {
        r = use_names(directory);
        r = r == 0 ? use_watch(directory) : r;
        T_CHECK(rt_directory_close(directory) == 0);
    }
    return r;
}

static int run(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;
    int32_t cpus[2] = { -1, -1 };
    char text[16];

    (void)arg;
    t_first_cpus(cpus); /* pinned: then the pool's threads are put elsewhere */
    snprintf(text, sizeof(text), "%d", cpus[0]);
    config.cpus = text;
    config.log = hear_nothing;
    return rt_run(&config, scenario, NULL);
}

static void any_call_may_fail_once(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 20);
}

static int make_names(void **state)
{
    int fd;

    if (folder_enter(state) < 0 || symlink("text", "link") < 0) {
        return -1;
    }
    fd = open("file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 || close(fd) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_call_may_fail_once, make_names, folder_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
