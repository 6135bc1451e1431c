/* SPDX-License-Identifier: MIT */
/*
 * Death: what a programmer's error does to the process, seen from its parent.
 *
 *     static int destroy_too_early(void *arg) { ... }         in a task of the simulated kernel
 *
 *     assert_misuse_in_task(destroy_too_early, "rt_chan_destroy()");
 *
 * The task runs in a child, since it dies; the child's standard error is read until
 * it has. alarm() ends a child that fails to die, so the test cannot hang.
 */
#ifndef RT_TEST_DEATH_H
#define RT_TEST_DEATH_H

#include "support/harness.h"
#include "support/sim.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/executor.h"

#define DEATH_SECONDS_MAX 30

/* In the child: leaves without any clean-up. */
static inline void death_live(int error_fd, int (*live)(void *arg), void *arg)
{
    const struct rlimit no_core = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)alarm(DEATH_SECONDS_MAX);
    sim_begin(&(struct sim_config){ .seed = 1 });
    _exit(live(arg) == 0 ? 0 : 1);
}

/* live(arg) starts a runtime in which a misuse happens, and the message says `text`. */
static inline void assert_misuse_in_run(int (*live)(void *arg), void *arg, const char *text)
{
    char said[8192] = "";
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    pid_t child;
    ssize_t n;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        death_live(pipe_fds[1], live, arg);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], said + used, sizeof(said) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
        strstr(said, "shardrt: misuse: ") == NULL || strstr(said, text) == NULL) {
        fail_msg("status %#x, and the child, which was to say \"%s\", said: \"%s\"",
                 (unsigned)status, text, said);
    }
}

static inline int death_run_first(void *first)
{
    return rt_run(NULL, *(const rt_task_fn *)first, NULL);
}

/* `first` is a misuse, and the message says `text`. */
static inline void assert_misuse_in_task(rt_task_fn first, const char *text)
{
    assert_misuse_in_run(death_run_first, &first, text);
}

#endif /* RT_TEST_DEATH_H */
