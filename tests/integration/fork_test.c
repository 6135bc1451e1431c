/* SPDX-License-Identifier: MIT */
/*
 * A child that was forked while a runtime lived may only exec.
 *
 * Each case runs in a process of its own, the program, which starts a runtime and forks; what its
 * child says to standard error, and how that ends, comes back through a pipe. The program then
 * shows that its shards go on as before.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"

#define SECONDS_MAX 30
#define SHARDS      2

/* The program */

static struct rt_runtime *runtime;
static struct rt_waker waker; /* of a task of shard 0 */
static struct rt_submission submission;

static int wait_for_stop(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static int take_waker(void *arg)
{
    (void)arg;
    waker = rt_waker_self();
    return 0;
}

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

static bool launch(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.shards = SHARDS;
    config.place = RT_PLACE_UNBOUND;
    return rt_launch(&runtime, &config, wait_for_stop, NULL) == 0 &&
           rt_submit(runtime, 0, &submission, take_waker, NULL) == 0 &&
           rt_submission_wait(&submission, NULL, RT_NEVER) == 0;
}

static bool all_shards_answer(void)
{
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        int result = 0;

        if (rt_submit(runtime, shard, &submission, answer, NULL) < 0 ||
            rt_submission_wait(&submission, &result, RT_NEVER) < 0 || result != 42) {
            return false;
        }
    }
    return true;
}

/* Fork, do it in the child; true when that ended as expected: by SIGABRT, or with 0. */
static bool child_ends(void (*deed)(void), bool aborts)
{
    const pid_t child = fork();
    int status = 0;

    if (child == 0) {
        deed();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           (aborts ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT : status == 0);
}

/* The test */

static void become_the_program(int error_fd)
{
    const struct rlimit no_core = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)alarm(SECONDS_MAX);
}

/* Run `program` in a process of its own, which must end with 0; what was said comes to `said`. */
static void run_program(bool (*program)(void), char *said, size_t bytes)
{
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    pid_t pid;
    ssize_t n;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        become_the_program(pipe_fds[1]);
        _exit(program() ? 0 : 1);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], said + used, bytes - 1 - used)) > 0) {
        used += (size_t)n;
    }
    said[used] = '\0';
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        fail_msg("status %#x; it said: \"%s\"", (unsigned)status, said);
    }
}

/* From a thread that is no shard */

static void (*deed_of_child)(void);

static bool launch_and_fork(void)
{
    const bool right = launch() && child_ends(deed_of_child, true) && all_shards_answer();

    if (right) {
        rt_stop(runtime);
    }
    return right && rt_wait(runtime) == 0;
}

static void submit_in_child(void)
{
    (void)!rt_submit(runtime, 0, &submission, answer, NULL);
}

static void await_in_child(void)
{
    (void)!rt_submission_wait(&submission, NULL, 0);
}

static void stop_in_child(void)
{
    rt_stop(runtime);
}

static void wait_in_child(void)
{
    (void)rt_wait(runtime);
}

static void wake_in_child(void)
{
    rt_wake(waker);
}

static void dump_in_child(void)
{
    (void)!rt_runtime_dump(runtime, STDERR_FILENO, 0, RT_NEVER);
}

static void launch_in_child(void)
{
    struct rt_runtime *second;

    (void)!rt_launch(&second, NULL, answer, NULL);
}

static void start_in_child(void)
{
    (void)rt_start(NULL, answer, NULL);
}

static void run_in_child(void)
{
    (void)rt_run(NULL, answer, NULL);
}

static void open_in_child(void)
{
    struct rt_runtime *loop;

    (void)!rt_loop_open(&loop, NULL, answer, NULL);
}

static void yield_in_child(void)
{
    rt_yield();
}

static void assert_child_aborts(bool (*program)(void), void (*deed)(void), const char *call)
{
    char said[8192];

    deed_of_child = deed;
    run_program(program, said, sizeof(said));
    if (strstr(said, "shardrt: misuse: ") == NULL || strstr(said, call) == NULL ||
        strstr(said, "in a child that fork() made while a runtime lived") == NULL) {
        fail_msg("instead of %s, the child said: \"%s\"", call, said);
    }
}

static void a_child_that_calls_what_any_thread_may_aborts(void **state)
{
    (void)state;
    assert_child_aborts(launch_and_fork, submit_in_child, "rt_submit()");
    assert_child_aborts(launch_and_fork, await_in_child, "rt_submission_wait()");
    assert_child_aborts(launch_and_fork, stop_in_child, "rt_stop()");
    assert_child_aborts(launch_and_fork, wait_in_child, "rt_wait()");
    assert_child_aborts(launch_and_fork, wake_in_child, "rt_wake()");
    assert_child_aborts(launch_and_fork, dump_in_child, "rt_runtime_dump()");
    assert_child_aborts(launch_and_fork, yield_in_child, "rt_yield()");
}

static void a_child_cannot_have_a_runtime_of_its_own(void **state)
{
    (void)state;
    assert_child_aborts(launch_and_fork, launch_in_child, "rt_launch()");
    assert_child_aborts(launch_and_fork, start_in_child, "rt_start()");
    assert_child_aborts(launch_and_fork, run_in_child, "rt_run()");
    assert_child_aborts(launch_and_fork, open_in_child, "rt_loop_open()");
}

/* From a task */

static struct rt_event event = RT_EVENT_INIT;
static struct rt_mutex mutex = RT_MUTEX_INIT;

static void sleep_in_child(void)
{
    (void)rt_sleep_until(0);
}

static void spawn_in_child(void)
{
    (void)!rt_spawn(NULL, answer, NULL);
}

static void nop_in_child(void)
{
    (void)rt_nop(RT_NEVER);
}

static void set_in_child(void)
{
    rt_event_set(&event);
}

static void lock_in_child(void)
{
    (void)!rt_mutex_lock(&mutex, RT_NEVER);
}

static int fork_in_task(void *arg)
{
    (void)arg;
    return child_ends(deed_of_child, true) && rt_nop(RT_NEVER) == 0 ? 0 : -EIO;
}

static bool run_and_fork(void)
{
    return rt_run(NULL, fork_in_task, NULL) == 0;
}

static void a_child_of_a_task_that_calls_anything_aborts(void **state)
{
    (void)state;
    assert_child_aborts(run_and_fork, yield_in_child, "rt_yield()");
    assert_child_aborts(run_and_fork, sleep_in_child, "rt_sleep_until()");
    assert_child_aborts(run_and_fork, spawn_in_child, "rt_spawn()");
    assert_child_aborts(run_and_fork, nop_in_child, "rt_nop()");
    assert_child_aborts(run_and_fork, set_in_child, "rt_event_set");
    assert_child_aborts(run_and_fork, lock_in_child, "rt_mutex_lock");
}

/* From a host */

static void turn_in_child(void)
{
    rt_time next;

    (void)!rt_loop_turn(runtime, &next);
}

static void close_in_child(void)
{
    (void)rt_loop_close(runtime);
}

static bool open_and_fork(void)
{
    rt_time next;

    return rt_loop_open(&runtime, NULL, wait_for_stop, NULL) == 0 && rt_loop_turn(runtime, &next) &&
           child_ends(deed_of_child, true) && rt_loop_close(runtime) == 0;
}

static void a_child_of_a_host_that_turns_its_loop_aborts(void **state)
{
    (void)state;
    assert_child_aborts(open_and_fork, turn_in_child, "rt_loop_turn()");
    assert_child_aborts(open_and_fork, close_in_child, "rt_loop_close()");
}

/* What is allowed */

static void exec_in_child(void)
{
    (void)execlp("true", "true", (char *)NULL);
    _exit(127);
}

static int exec_in_task(void *arg)
{
    (void)arg;
    return child_ends(exec_in_child, false) && rt_nop(RT_NEVER) == 0 ? 42 : -EIO;
}

static int spawn_in_task(void *arg)
{
    char name[] = "true";
    char *const arguments[] = { name, NULL };
    int status = 0;
    pid_t pid;

    (void)arg;
    return posix_spawnp(&pid, name, NULL, NULL, arguments, environ) == 0 &&
                   waitpid(pid, &status, 0) == pid && status == 0
               ? 42
               : -EIO;
}

static bool submit_both(void)
{
    static const rt_task_fn deeds[] = { exec_in_task, spawn_in_task };

    for (uint32_t i = 0; i < 2 * SHARDS; i++) {
        int result = 0;

        if (rt_submit(runtime, i / 2, &submission, deeds[i % 2], NULL) < 0 ||
            rt_submission_wait(&submission, &result, RT_NEVER) < 0 || result != 42) {
            return false;
        }
    }
    return true;
}

static bool launch_and_exec(void)
{
    const bool right = launch() && submit_both() && child_ends(exec_in_child, false) &&
                       all_shards_answer();

    if (right) {
        rt_stop(runtime);
    }
    return right && rt_wait(runtime) == 0;
}

static void a_child_may_exec_while_shards_run(void **state)
{
    char said[8192];

    (void)state;
    run_program(launch_and_exec, said, sizeof(said));
    assert_string_equal(said, "");
}

static void run_one(void)
{
    if (rt_run(NULL, answer, NULL) != 42) {
        _exit(1);
    }
}

static bool run_and_fork_afterwards(void)
{
    return rt_run(NULL, answer, NULL) == 42 && child_ends(run_one, false);
}

static void a_child_that_was_made_when_no_runtime_lived_may_have_one(void **state)
{
    char said[8192];

    (void)state;
    run_program(run_and_fork_afterwards, said, sizeof(said));
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_that_calls_what_any_thread_may_aborts),
        cmocka_unit_test(a_child_cannot_have_a_runtime_of_its_own),
        cmocka_unit_test(a_child_of_a_task_that_calls_anything_aborts),
        cmocka_unit_test(a_child_of_a_host_that_turns_its_loop_aborts),
        cmocka_unit_test(a_child_may_exec_while_shards_run),
        cmocka_unit_test(a_child_that_was_made_when_no_runtime_lived_may_have_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
