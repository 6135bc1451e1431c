/* SPDX-License-Identifier: MIT */
/*
 * The same connection handler twice: as a fiber, and as a future.
 *
 *     session_future [connections]          400 unless said otherwise
 *
 * A session echoes what its peer sends until that closes. The fiber keeps where it
 * stands on its stack. The future keeps it in a struct, and its poll function is a
 * state machine written by hand. The program opens so many connections to itself
 * with each, prints what an idle one takes of memory, and then how many requests a
 * second 64 of them answer, clients and all on one shard.
 */
#include <errno.h>
#include <inttypes.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUFFER_BYTES  256
#define REQUEST_BYTES 64
#define ACTIVE        64   /* connections that ask */
#define REQUESTS      1000 /* of each */

/* As a fiber */

static int session_fiber(void *arg)
{
    struct rt_tcp_stream *peer = arg;
    char buf[BUFFER_BYTES];
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

/* As a future */

struct session {
    struct rt_future future;
    struct rt_tcp_stream *peer;
    enum { RECEIVING, SENDING } state;
    int bytes; /* received */
    int sent;  /* of them */
    char buf[BUFFER_BYTES];
};

static int session_poll(struct rt_future *future)
{
    struct session *self = (struct session *)future;
    int n;

    for (;;) {
        switch (self->state) {
        case RECEIVING:
            n = rt_poll_tcp_recv(future, self->peer, self->buf, sizeof(self->buf), RT_NEVER);
            if (n <= 0) {
                return n; /* RT_PENDING: polled again when something comes; 0: the peer is done */
            }
            self->bytes = n;
            self->sent = 0;
            self->state = SENDING;
            break;
        case SENDING:
            n = rt_poll_tcp_send(future, self->peer, self->buf + self->sent,
                                 (size_t)(self->bytes - self->sent), rt_in(RT_SECONDS(5)));
            if (n < 0) {
                return n;
            }
            self->sent += n;
            if (self->sent == self->bytes) {
                self->state = RECEIVING;
            }
            break;
        }
    }
}

/* However it ends: nothing is in flight on the stream any more. */
static void session_drop(struct rt_future *future)
{
    rt_tcp_drop(((struct session *)future)->peer);
}

/* Around them: connections to oneself, and clients */

struct server {
    bool futures;
    uint32_t connections;
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    struct rt_tcp_stream **clients;
    struct session *sessions; /* of futures */
    struct rt_group group;
};

static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (file != NULL) {
        if (fscanf(file, "%*s %ld", &pages) != 1) { // NOLINT(cert-err34-c)
            pages = 0;
        }
        fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int open_connection(struct server *server, uint32_t i)
{
    struct rt_tcp_stream *peer = NULL;
    int r = rt_tcp_connect(&server->clients[i], server->address, NULL, rt_in(RT_SECONDS(5)));

    if (r == 0) {
        r = rt_tcp_accept(server->listener, &peer, rt_in(RT_SECONDS(5)));
    }
    if (r < 0) {
        return r;
    }
    if (server->futures) {
        struct session *session = &server->sessions[i];

        session->future = (struct rt_future)RT_FUTURE_INIT(session_poll, session_drop);
        session->peer = peer;
        session->state = RECEIVING;
        r = rt_group_spawn_future(&server->group, &session->future);
    } else {
        r = rt_group_spawn(&server->group, session_fiber, peer);
    }
    if (r < 0) {
        rt_tcp_close(peer);
    }
    return r;
}

static int ask(void *arg)
{
    struct rt_tcp_stream *stream = arg;
    char request[REQUEST_BYTES] = "ping";
    char answer[REQUEST_BYTES];

    for (int i = 0; i < REQUESTS; i++) {
        ssize_t n = rt_tcp_send_all(stream, request, sizeof(request), NULL, rt_in(RT_SECONDS(5)));
        size_t got = 0;

        while (n >= 0 && got < sizeof(answer)) {
            n = rt_tcp_recv(stream, answer + got, sizeof(answer) - got, rt_in(RT_SECONDS(5)));
            n = n == 0 ? -EPIPE : n;
            got += n > 0 ? (size_t)n : 0;
        }
        if (n < 0) {
            return (int)n;
        }
        if (memcmp(request, answer, sizeof(answer)) != 0) {
            return -EBADMSG;
        }
    }
    return 0;
}

static int ask_all(struct server *server)
{
    const uint32_t active = server->connections < ACTIVE ? server->connections : ACTIVE;
    struct rt_group clients = RT_GROUP_INIT_WITH(0, RT_GROUP_CANCEL_ON_FAILURE);
    const rt_time begin = rt_now();
    int left;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < active; i++) {
        r = rt_group_spawn(&clients, ask, server->clients[i]);
    }
    left = rt_group_leave(&clients, RT_NEVER);
    r = r == 0 ? left : r;
    if (r == 0) {
        printf("%.0f requests a second\n",
               (double)active * REQUESTS * 1e9 / (double)(rt_now() - begin));
    }
    return r;
}

static int serve(struct server *server)
{
    const int64_t before = resident_bytes();
    int left;
    int r = server->connections == 0 ? -EINVAL : 0;

    for (uint32_t i = 0; r == 0 && i < server->connections; i++) {
        r = open_connection(server, i);
    }
    if (r == 0) {
        rt_yield(); /* the last one waits for its peer now too */
        printf("%s: %" PRId64 " bytes for each of %u idle connections, ",
               server->futures ? "futures" : "fibers ",
               (resident_bytes() - before) / server->connections, server->connections);
        r = ask_all(server);
    }
    for (uint32_t i = 0; i < server->connections; i++) {
        rt_tcp_close(server->clients[i]); /* NULL where there is none */
    }
    left = rt_group_leave(&server->group, rt_in(RT_SECONDS(5)));
    return r == 0 ? left : r;
}

static int run(void *arg)
{
    struct server *server = arg;
    int r = rt_tcp_listen(&server->listener, "127.0.0.1:0", NULL);

    if (r < 0) {
        return r;
    }
    r = rt_tcp_listener_address(server->listener, server->address, sizeof(server->address));
    if (r == 0) {
        r = serve(server);
    }
    rt_tcp_listener_close(server->listener);
    return r;
}

/* In a runtime of its own, so that neither finds memory that the other has used. */
static int compare(uint32_t connections, bool futures)
{
    struct server server = { .futures = futures, .connections = connections };
    int r = -ENOMEM;

    server.clients = calloc(connections, sizeof(struct rt_tcp_stream *));
    server.sessions = calloc(connections, sizeof(struct session));
    if (server.clients != NULL && server.sessions != NULL) {
        r = rt_run(NULL, run, &server);
    }
    free(server.clients);
    free(server.sessions);
    return r;
}

int main(int argc, char *argv[])
{
    const long connections = argc > 1 ? strtol(argv[1], NULL, 10) : 400;
    struct rlimit files;
    int r;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: session_future [connections]\n\n"
               "Echoes over so many connections (400) with fibers, then with futures.\n");
        return 0;
    }
    if (argc > 2 || connections < 1 || connections > 100000) {
        fprintf(stderr, "usage: session_future [connections, 1..100000]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* two descriptors a connection */
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    r = compare((uint32_t)connections, false);
    if (r == 0) {
        r = compare((uint32_t)connections, true);
    }
    if (r < 0) {
        fprintf(stderr, "session_future: %s\n", rt_strerror(r));
    }
    return r < 0;
}
