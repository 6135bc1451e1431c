/* SPDX-License-Identifier: MIT */
/*
 * Every system call of a loop and its host fails once.
 *
 * The same program is run again and again, and the nth call fails, until a run has fewer than n
 * calls. The host sleeps in poll() without a limit of its own where no timer is due: a turn that
 * leaves something behind after a failure hangs, and the test is ended. Nothing may be left.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rt/rt.h"

static int counter;

static int use_the_kernel(void *arg)
{
    struct rt_file *file;
    char buf[16];
    ssize_t n;
    int r = rt_file_open(&file, "/proc/self/stat", O_RDONLY, 0, RT_NEVER);

    (void)arg;
    if (r < 0) {
        return r;
    }
    n = rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER);
    r = n < 0 ? (int)n : rt_fd_wait(counter, POLLIN, rt_in(RT_MICROSECONDS(50)));
    T_CHECK(r < 0);
    if (r == -ETIME) {
        r = rt_fd_wait(counter, POLLOUT, RT_NEVER);
        T_CHECK(r < 0 || r == POLLOUT);
    }
    (void)rt_file_close(file);
    return r < 0 ? r : rt_sleep_until(rt_in(RT_MICROSECONDS(50)));
}

static int answer(void *arg)
{
    return *(int *)arg + 1;
}

static int poll_milliseconds(rt_time next)
{
    const rt_time left = next - rt_now();

    if (next == RT_NEVER) {
        return -1;
    }
    return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static void host(struct rt_runtime *loop)
{
    struct pollfd polled = { .fd = rt_loop_fd(loop), .events = POLLIN };
    rt_time next;

    while (rt_loop_turn(loop, &next)) {
        (void)poll(&polled, 1, poll_milliseconds(next));
    }
}

static int run(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_submission submission;
    struct rt_runtime *loop;
    int question = 41;
    int result = 0;
    int r;

    (void)arg;
    config.log = hear_nothing;
    r = rt_loop_open(&loop, &config, use_the_kernel, NULL);
    if (r < 0) {
        return r;
    }
    T_CHECK(rt_submit(loop, 0, &submission, answer, &question) == 0);
    host(loop);
    r = rt_submission_wait(&submission, &result, 0);
    T_CHECK(r < 0 || result == 42);
    result = rt_loop_close(loop);
    return r < 0 ? r : result;
}

static void any_call_may_fail_once(void **state)
{
    struct fault_runs runs;

    (void)state;
    counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(counter >= 0);
    runs = fail_each_call(run, NULL);
    close(counter);
    assert_true(runs.calls >= 30 && runs.failed > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
