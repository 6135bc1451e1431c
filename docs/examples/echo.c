/* SPDX-License-Identifier: MIT */
/*
 * echo [--cpus LIST] HOST:PORT: sends back what it receives, one task per connection.
 *
 * Port 0 lets the kernel choose; the address is printed once it listens.
 */
#include <getopt.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>

/* A session: what arrives is sent back until the peer has finished. */
static int session(void *arg)
{
    struct rt_tcp_stream *peer = arg;
    char buf[4096];
    ssize_t n;

    while ((n = rt_tcp_recv(peer, buf, sizeof(buf), RT_NEVER)) > 0) {
        n = rt_tcp_send_all(peer, buf, (size_t)n, NULL, rt_in(RT_SECONDS(5)));
        if (n < 0) {
            break;
        }
    }
    rt_tcp_close(peer);
    return n < 0 ? (int)n : 0;
}

static int listen_and_tell(struct rt_tcp_listener **listener, const char *address)
{
    char text[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(listener, address, NULL);

    if (r < 0) {
        fprintf(stderr, "echo: cannot listen on %s: %s\n", address, rt_strerror(r));
        return r;
    }
    r = rt_tcp_listener_address(*listener, text, sizeof(text));
    if (r == 0) {
        printf("listening on %s\n", text);
        fflush(stdout);
    }
    return r;
}

/* The first task: accepts, and spawns a session for each connection. */
static int serve(void *arg)
{
    static const struct rt_spawn_options options = {
        .size = sizeof(options),
        .stack_bytes = 16 * 1024,
        .name = "session",
    };
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *peer;
    int r = listen_and_tell(&listener, arg);

    if (r < 0) {
        return r;
    }
    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        if (rt_group_spawn_with(&sessions, session, peer, &options) < 0) {
            rt_tcp_close(peer); /* at the limit of tasks: shed this one */
        }
    }
    fprintf(stderr, "echo: cannot accept: %s\n", rt_strerror(r));
    rt_tcp_listener_close(listener);
    (void)rt_group_leave(&sessions, rt_in(RT_SECONDS(10)));
    return r;
}

static void usage(FILE *stream)
{
    fputs("usage: echo [--cpus LIST] HOST:PORT\n"
          "\n"
          "Sends back what it receives over TCP. HOST is numeric (127.0.0.1, [::1], or nothing\n"
          "for every address); PORT 0 lets the kernel choose one, which is printed.\n"
          "\n"
          "  --cpus LIST  the CPU to run on, such as 0; without it the thread is not pinned\n"
          "  --help       this text\n",
          stream);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "cpus", required_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct rt_config config = RT_CONFIG_INIT;
    int c;

    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            config.cpus = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    config.name = "echo";
    return rt_run(&config, serve, argv[optind]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
