/* SPDX-License-Identifier: MIT */
/*
 * Echo server on level-triggered epoll, one thread, nothing around it: the
 * classic that an io_uring server has to beat.
 *
 * One epoll_wait() per pass; one recv() and one send() per readable connection.
 * Both are tried at once, so a message costs two system calls and its share of
 * an epoll_wait(). A connection whose send did not fit is watched for room
 * instead of input until the rest is out.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"
#include "server.h"

/* Events per pass: more than the 64 connections of the measured row, so that one pass takes all. */
#define EVENTS_MAX 256

struct connection {
    int fd;
    uint32_t first;                  /* bytes of buf that are out */
    uint32_t bytes;                  /* bytes of buf that came in */
    struct connection *next, **link; /* all connections, to be closed at the end */
    char buf[SERVER_BUF_BYTES];
};

struct echo {
    struct server server;
    int epoll;
    bool stop;
    struct connection *all;
};

static void close_connection(struct connection *peer)
{
    *peer->link = peer->next;
    if (peer->next != NULL) {
        peer->next->link = peer->link;
    }
    close(peer->fd);
    free(peer);
}

static bool watch(int epoll, int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = { .events = events, .data = { .ptr = data } };

    if (epoll_ctl(epoll, operation, fd, &event) == 0) {
        return true;
    }
    fprintf(stderr, "echo_epoll: epoll_ctl: %s\n", strerror(errno));
    return false;
}

static void accept_one(struct echo *echo)
{
    int fd = accept4(echo->server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *peer;

    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED) {
            fprintf(stderr, "echo_epoll: accept: %s\n", strerror(errno));
            echo->stop = errno == EMFILE || errno == ENFILE;
        }
        return;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        close(fd);
        return;
    }
    peer->fd = fd;
    peer->next = echo->all;
    peer->link = &echo->all;
    if (peer->next != NULL) {
        peer->next->link = &peer->next;
    }
    echo->all = peer;
    if (!endpoint_no_delay(fd) || !watch(echo->epoll, EPOLL_CTL_ADD, fd, EPOLLIN, peer)) {
        close_connection(peer);
    }
}

/* Send what came; watch for room when it does not fit. False when the connection is over. */
static bool send_rest(struct echo *echo, struct connection *peer, bool watches_room)
{
    ssize_t n = send(peer->fd, peer->buf + peer->first, peer->bytes - peer->first,
                     MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        return false;
    }
    peer->first += n > 0 ? (uint32_t)n : 0;
    if (__builtin_expect(peer->first == peer->bytes, 1)) {
        return !watches_room || watch(echo->epoll, EPOLL_CTL_MOD, peer->fd, EPOLLIN, peer);
    }
    return watches_room || watch(echo->epoll, EPOLL_CTL_MOD, peer->fd, EPOLLOUT, peer);
}

/* One event of a connection. False when it is over. */
static bool serve(struct echo *echo, struct connection *peer, uint32_t events)
{
    ssize_t n;

    if ((events & EPOLLOUT) != 0) {
        return send_rest(echo, peer, true);
    }
    n = recv(peer->fd, peer->buf, sizeof(peer->buf), MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    peer->first = 0;
    peer->bytes = (uint32_t)n;
    return send_rest(echo, peer, false);
}

static bool run(struct echo *echo)
{
    struct epoll_event events[EVENTS_MAX];

    while (!echo->stop) {
        int count = epoll_wait(echo->epoll, events, EVENTS_MAX, -1);

        if (count < 0 && errno != EINTR) {
            fprintf(stderr, "echo_epoll: epoll_wait: %s\n", strerror(errno));
            return false;
        }
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;

            if (who == &echo->server.listener) {
                accept_one(echo);
            } else if (who == &echo->server.signal_fd) {
                echo->stop = true;
            } else if (!serve(echo, who, events[i].events)) {
                close_connection(who);
            }
        }
    }
    return true;
}

static void free_all(struct echo *echo)
{
    struct connection *next;

    for (struct connection *peer = echo->all; peer != NULL; peer = next) {
        next = peer->next;
        close(peer->fd);
        free(peer);
    }
    echo->all = NULL;
}

int main(int argc, char **argv)
{
    static const struct server_flag flags[] = { { NULL, NULL, NULL } };
    struct echo echo = { .epoll = -1 };
    bool ok;
    int status;

    if (!server_start(&echo.server, argc, argv,
                      "Echo server on level-triggered epoll: the reference beside echo_uring.",
                      flags, &status)) {
        return status;
    }
    echo.epoll = epoll_create1(EPOLL_CLOEXEC);
    ok = echo.epoll >= 0 &&
         watch(echo.epoll, EPOLL_CTL_ADD, echo.server.listener, EPOLLIN, &echo.server.listener) &&
         watch(echo.epoll, EPOLL_CTL_ADD, echo.server.signal_fd, EPOLLIN, &echo.server.signal_fd) &&
         run(&echo);
    free_all(&echo);
    close(echo.epoll);
    server_stop(&echo.server);
    return ok ? 0 : 1;
}
