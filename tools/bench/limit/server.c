/* SPDX-License-Identifier: MIT */
/* The frame of an echo server. */
#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "endpoint.h"

/* The largest CPU number that can be asked for: that of cpu_set_t. */
#define CPU_MAX 1023

struct options {
    int cpu;
    const char *address;
};

static void print_help(const char *summary, const struct server_flag *flags)
{
    printf("Usage: %s [--cpu N] [OPTIONS] HOST:PORT\n\n%s\n\n", program_invocation_short_name,
           summary);
    printf("  HOST:PORT      where to listen, in numbers; port 0 takes a free one\n");
    printf("  --cpu N        run on CPU N only; default: wherever the kernel likes\n");
    for (; flags->name != NULL; flags++) {
        printf("  --%-12s %s\n", flags->name, flags->help);
    }
    printf("  --help         print this\n\n"
           "The first line on standard output is \"listening on HOST:PORT\". SIGTERM and SIGINT\n"
           "end the program with status 0; status 1 is a failure, 2 a wrong command line.\n");
}

static bool set_flag(const struct server_flag *flags, const char *name)
{
    for (; flags->name != NULL; flags++) {
        if (strcmp(flags->name, name) == 0) {
            *flags->value = true;
            return true;
        }
    }
    return false;
}

/* 0 to go on, 1 to leave with status 0, 2 to leave with status 2. */
static int read_options(struct options *options, int argc, char **argv, const char *summary,
                        const struct server_flag *flags)
{
    double number;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(summary, flags);
            return 1;
        }
        if (strcmp(argv[i], "--cpu") == 0 && i + 1 < argc) {
            if (!option_number("cpu", argv[++i], 0, CPU_MAX, &number)) {
                return 2;
            }
            options->cpu = (int)number;
        } else if (argv[i][0] != '-' && options->address == NULL) {
            options->address = argv[i];
        } else if (strncmp(argv[i], "--", 2) != 0 || !set_flag(flags, argv[i] + 2)) {
            fprintf(stderr, "%s: \"%s\" is not expected here; see --help\n",
                    program_invocation_short_name, argv[i]);
            return 2;
        }
    }
    if (options->address == NULL) {
        fprintf(stderr, "%s: where to listen? Give HOST:PORT, such as 127.0.0.1:0\n",
                program_invocation_short_name);
        return 2;
    }
    return 0;
}

/* The two signals come as data, so that the loops need no test for them. -1 on failure. */
static int take_signals(void)
{
    sigset_t set;
    int fd;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "%s: signalfd: %s\n", program_invocation_short_name, strerror(errno));
    }
    return fd;
}

bool server_start(struct server *server, int argc, char **argv, const char *summary,
                  const struct server_flag *flags, int *status)
{
    struct options options = { .cpu = -1, .address = NULL };
    struct endpoint where;
    char text[ENDPOINT_TEXT_BYTES];
    int outcome = read_options(&options, argc, argv, summary, flags);

    *status = outcome == 1 ? 0 : 2;
    if (outcome != 0 || !endpoint_parse(&where, options.address)) {
        return false;
    }
    *status = 1;
    if (!pin_to_cpu(options.cpu) || !raise_descriptor_limit(256)) {
        return false;
    }
    server->signal_fd = take_signals();
    if (server->signal_fd < 0) {
        return false;
    }
    server->listener = endpoint_listen(&where);
    if (server->listener < 0 || !endpoint_text_of(server->listener, text, sizeof(text))) {
        return false;
    }
    printf("listening on %s\n", text);
    fflush(stdout);
    *status = 0;
    return true;
}

void server_stop(struct server *server)
{
    close(server->listener);
    close(server->signal_fd);
}
