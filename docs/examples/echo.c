/* SPDX-License-Identifier: MIT */
/*
 * echo [options] HOST:PORT: sends back what it receives, on every core, one task per connection.
 *
 * Port 0 lets the kernel choose; the address is printed once all shards listen. SIGINT and SIGTERM
 * end it: no connection is accepted any more, and those that are open have 10 s to finish.
 */
#include <rt/rt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The last shard that listens says where. */
static int listen_and_tell(struct rt_tcp_listener **out, const char *address)
{
    static atomic_uint listening;
    char text[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(out, address, NULL);

    if (r < 0) {
        return r;
    }
    r = rt_tcp_listener_address(*out, text, sizeof(text));
    if (r < 0) {
        rt_tcp_listener_close(*out);
        return r;
    }
    if (atomic_fetch_add(&listening, 1) + 1 == rt_shard_count()) {
        printf("listening on %s\n", text);
        fflush(stdout);
    }
    return 0;
}

/* The first task of every shard: accepts, and spawns a session for each connection. */
static int serve(void *address)
{
    static const struct rt_spawn_options options = {
        .size = sizeof(options),
        .stack_bytes = 16 * 1024,
        .name = "session",
    };
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *peer;
    int r = listen_and_tell(&listener, address);

    if (r < 0) {
        return r; /* stops the other shards too */
    }
    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        if (rt_group_spawn_with(&sessions, session, peer, &options, 0) < 0) {
            rt_tcp_close(peer); /* at the limit of tasks: shed this one */
        }
    }
    rt_tcp_listener_close(listener);
    (void)rt_group_leave(&sessions, rt_in(RT_SECONDS(10)));
    return r; /* -ECANCELED when the service was stopped: no failure */
}

static void usage(FILE *stream)
{
    fprintf(stream,
            "usage: echo [options] HOST:PORT\n"
            "\n"
            "Sends back what it receives over TCP. HOST is numeric (127.0.0.1, [::1], or nothing\n"
            "for every address); PORT 0 lets the kernel choose one, which is printed.\n"
            "\n"
            "%s"
            "  --help               this text\n",
            rt_config_help());
}

int main(int argc, char **argv)
{
    struct rt_config config = RT_CONFIG_INIT;
    int r = rt_config_parse(&config, &argc, argv);

    if (r < 0) {
        return 2; /* a text has said why */
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (argc != 2 || argv[1][0] == '-') {
        usage(stderr);
        return 2;
    }
    config.name = "echo";
    r = rt_start(&config, serve, argv[1]);
    if (r < 0) {
        fprintf(stderr, "echo: cannot serve %s: %s\n", argv[1], rt_strerror(r));
    }
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
