/* SPDX-License-Identifier: MIT */
/*
 * in_epoll ADDRESS: an echo service inside a program that has an event loop of its own.
 *
 *     in_epoll 127.0.0.1:7000
 *
 * Shows a shard as a guest (rt/loop.h). The program waits by epoll: for its standard input,
 * whose letters are commands (c: count the connections, s: stop), and for the shard, whose
 * tasks accept, receive and send through io_uring. All of it is one thread, so the program
 * reads what tasks write, and no lock is needed.
 */
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct service {
    const char *address;
    unsigned connections; /* at the moment */
};

/* The guest: tasks */

struct session {
    struct service *service;
    struct rt_tcp_stream *peer;
};

static int echo(struct rt_tcp_stream *peer)
{
    char buf[4096];
    ssize_t n;

    while ((n = rt_tcp_recv(peer, buf, sizeof(buf), RT_NEVER)) > 0) {
        n = rt_tcp_send_all(peer, buf, (size_t)n, NULL, rt_in(RT_SECONDS(5)));
        if (n < 0) {
            break;
        }
    }
    return (int)n;
}

static int serve_one(void *arg)
{
    struct session session = *(struct session *)arg;
    int r;

    free(arg);
    session.service->connections++;
    r = echo(session.peer);
    session.service->connections--;
    rt_tcp_close(session.peer);
    return r;
}

static void begin_session(struct service *service, struct rt_group *sessions,
                          struct rt_tcp_stream *peer)
{
    struct session *session = malloc(sizeof(*session));

    if (session != NULL) {
        *session = (struct session){ service, peer };
    }
    if (session == NULL || rt_group_spawn(sessions, serve_one, session) < 0) {
        rt_tcp_close(peer); /* no room: shed this one */
        free(session);
    }
}

static int serve(void *arg) /* the first task */
{
    struct service *service = arg;
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *peer;
    char address[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(&listener, service->address, NULL);

    if (r < 0) {
        return r;
    }
    if (rt_tcp_listener_address(listener, address, sizeof(address)) == 0) {
        printf("listening on %s\n", address);
    }
    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        begin_session(service, &sessions, peer);
    }
    rt_tcp_listener_close(listener);
    (void)rt_group_leave(&sessions, 0); /* cancelled, and awaited */
    return r;
}

/* The host: an event loop */

/* Commands that have come. At the end of the input it stops as well. */
static void obey(struct rt_runtime *loop, const struct service *service)
{
    char letters[64];
    const ssize_t n = read(STDIN_FILENO, letters, sizeof(letters));

    for (ssize_t i = 0; i < n; i++) {
        if (letters[i] == 'c') {
            printf("%u connections\n", service->connections);
        } else if (letters[i] == 's') {
            rt_stop(loop);
        }
    }
    if (n == 0) {
        rt_stop(loop);
    }
}

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What epoll_wait() takes: rounded up, -1 for ever. An int ends after 24 days, and is negative from
 * there on: a turn too many, once a day, does no harm. */
static int milliseconds_until(rt_time next)
{
    const rt_time day = RT_SECONDS(24 * 60 * 60);
    rt_time left = next - rt_now();

    if (next == RT_NEVER) {
        return -1;
    }
    left = left < day ? left : day;
    return left <= 0 ? 0 : (int)((left + RT_MILLISECONDS(1) - 1) / RT_MILLISECONDS(1));
}

static int host(struct rt_runtime *loop, const struct service *service)
{
    const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r = epoll_fd < 0 ? -errno : watch(epoll_fd, rt_loop_fd(loop));
    rt_time next;

    if (r == 0) {
        r = watch(epoll_fd, STDIN_FILENO); /* -EPERM: a regular file is never waited for */
    }
    while (r == 0 && rt_loop_turn(loop, &next)) {
        struct epoll_event events[2];
        const int n = epoll_wait(epoll_fd, events, 2, milliseconds_until(next));

        if (n < 0 && errno != EINTR) {
            r = -errno;
        }
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == STDIN_FILENO) {
                obey(loop, service);
            } /* else the turn that follows is what was wanted */
        }
    }
    if (epoll_fd >= 0) {
        close(epoll_fd);
    }
    return r;
}

int main(int argc, char **argv)
{
    struct service service = { .address = argv[argc - 1] };
    struct rt_runtime *loop;
    int result;
    int r;

    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: in_epoll ADDRESS\n", stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* what was printed is out */
    r = rt_loop_open(&loop, NULL, serve, &service);
    if (r < 0) {
        return EXIT_FAILURE; /* the log has said why */
    }
    r = host(loop, &service);
    result = rt_loop_close(loop);
    if (r == 0) {
        r = result;
    }
    if (r < 0) {
        fprintf(stderr, "in_epoll: %s: %s\n", service.address, rt_strerror(r));
    }
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
