/* SPDX-License-Identifier: MIT */
/* Own group: see own_group.h. */
#include "own_group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREFERENCE "-20"
#define NOTE_BYTES 128

/* What the child ends with when all is well: a status that no exit() of a row's has by chance. */
#define STATUS_GOOD 113

static volatile pid_t child;
static char *doing; /* shared with the child */

static void relay(int number)
{
    (void)kill(child, number);
}

/* The child has a session of its own, where the terminal's stop does not reach. */
static void stop(int number)
{
    (void)number;
    (void)kill(child, SIGSTOP);
    (void)raise(SIGSTOP);
    (void)kill(child, SIGCONT); /* we go on, so it does */
}

void own_group_note(const char *text)
{
    if (doing != NULL) {
        snprintf(doing, NOTE_BYTES, "%s", text);
    }
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

static _Noreturn void be_child(int (*work)(void *arg, const char *why), void *arg, pid_t parent)
{
    int status;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    status = work(arg, make_group());
    exit(status == 0 ? STATUS_GOOD : status);
}

static int await_child(void)
{
    siginfo_t info;
    int status;

    while (waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) < 0) {
        if (errno != EINTR) {
            perror("rt-bench: waitid");
            return 1;
        }
    }
    /* Those that it has left: workers, peers. The group is still its own, for it was not reaped. */
    (void)kill(-child, SIGKILL);
    (void)waitpid(child, &status, 0);
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K"); /* what was left of the progress */
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        return WEXITSTATUS(status) == STATUS_GOOD ? 0 : WEXITSTATUS(status);
    }
    if (WIFEXITED(status)) {
        fprintf(stderr, "rt-bench: %s has ended the program; there are no results\n", doing);
        return 1;
    }
    if (WTERMSIG(status) != SIGINT && WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGPIPE) {
        fprintf(stderr, "rt-bench: %s has ended by signal %d (%s); there are no results\n", doing,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status)); /* as the child would have been seen to end */
    return 1;
}

int own_group_run(int (*work)(void *arg, const char *why), void *arg)
{
    const struct sigaction relays = { .sa_handler = relay };
    const struct sigaction stops = { .sa_handler = stop };
    const pid_t parent = getpid();

    doing = mmap(NULL, NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (doing == MAP_FAILED) {
        perror("rt-bench: mmap");
        return 1;
    }
    own_group_note("the start");
    fflush(NULL); /* else both would write what is buffered */
    child = fork();
    if (child < 0) {
        perror("rt-bench: fork");
        return 1;
    }
    if (child == 0) {
        be_child(work, arg, parent);
    }
    (void)sigaction(SIGINT, &relays, NULL);
    (void)sigaction(SIGTERM, &relays, NULL);
    (void)sigaction(SIGTSTP, &stops, NULL);
    return await_child();
}
