/* SPDX-License-Identifier: MIT */
/* Own group: see own_group.h. */
#include "own_group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFERENCE "-20"

static volatile pid_t child;

static void relay(int number)
{
    (void)kill(child, number);
}

/* A new session is a new group. NULL, or why it is not preferred. */
static const char *make_group(void)
{
    int fd;
    ssize_t n;
    int error;

    (void)setsid(); /* a child leads no group of processes: it cannot fail */
    fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return "this kernel has no autogroups: other work disturbs the figures more";
    }
    n = write(fd, PREFERENCE, strlen(PREFERENCE));
    error = errno;
    close(fd);
    if (n < 0 && (error == EPERM || error == EACCES)) {
        return "not root: other work on this machine disturbs the figures more";
    }
    return n < 0 ? "autogroups are off (sysctl kernel.sched_autogroup_enabled=1): other work "
                   "disturbs the figures more"
                 : NULL;
}

int own_group_run(int (*work)(void *arg, const char *why), void *arg)
{
    const struct sigaction action = { .sa_handler = relay };
    const pid_t parent = getpid();
    int status;

    fflush(NULL); /* else both would write what is buffered */
    child = fork();
    if (child < 0) {
        perror("rt-bench: fork");
        return 1;
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(getppid() == parent ? work(arg, make_group()) : 1);
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            perror("rt-bench: waitpid");
            return 1;
        }
    }
    if (WIFSIGNALED(status)) { /* as the child would have been seen to end */
        (void)signal(WTERMSIG(status), SIG_DFL);
        (void)raise(WTERMSIG(status));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
