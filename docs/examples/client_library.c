/* SPDX-License-Identifier: MIT */
/*
 * client_library HOST PORT: many tasks that use the C client of Redis, hiredis, on one thread.
 *
 *     rt-kv --port 6379 &
 *     client_library 127.0.0.1 6379
 *
 * Shows a library that has sockets of its own, and knows nothing of tasks. All it needs is a
 * non-blocking mode: where it would wait, the task waits for its descriptor by rt_fd_wait(), and
 * other tasks run. Each task below is written as if it were alone.
 */
#include <errno.h>
#include <hiredis.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/socket.h>

#define TASKS    20
#define COMMANDS 50 /* of each */

struct server {
    const char *host;
    int port;
    int number; /* of the next task */
};

/* hiredis says what went wrong in its context; this is for our results. */
static int error_of(const redisContext *redis)
{
    const int error = errno;

    return redis->err == REDIS_ERR_IO && error > 0 ? -error : -EPROTO;
}

/* The connect that redisConnectNonBlock() has begun ends when the socket is writable. */
static int await_connect(const redisContext *redis, rt_time deadline)
{
    socklen_t bytes = sizeof(int);
    int error = 0;
    const int r = rt_fd_wait(redis->fd, POLLOUT, deadline);

    if (r < 0) {
        return r;
    }
    return getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 ? -errno : -error;
}

static int redis_open(redisContext **out, const struct server *server, rt_time deadline)
{
    redisContext *redis = redisConnectNonBlock(server->host, server->port);
    int r;

    if (redis == NULL) {
        return -ENOMEM;
    }
    r = redis->err != 0 ? error_of(redis) : await_connect(redis, deadline);
    if (r < 0) {
        redisFree(redis);
        return r;
    }
    *out = redis;
    return 0;
}

/* Hand all that was appended to the socket. */
static int redis_flush(redisContext *redis, rt_time deadline)
{
    int done = 0;

    while (redisBufferWrite(redis, &done) == REDIS_OK) {
        const int r = done ? 0 : rt_fd_wait(redis->fd, POLLOUT, deadline);

        if (done || r < 0) {
            return r;
        }
    }
    return error_of(redis);
}

/* The reply of the oldest command that has none. */
static int redis_reply(redisContext *redis, redisReply **out, rt_time deadline)
{
    void *reply = NULL;

    while (redisGetReplyFromReader(redis, &reply) == REDIS_OK) {
        int r;

        if (reply != NULL) {
            *out = reply;
            return 0;
        }
        r = rt_fd_wait(redis->fd, POLLIN, deadline);
        if (r < 0) {
            return r;
        }
        if (redisBufferRead(redis) != REDIS_OK) {
            break;
        }
    }
    return error_of(redis);
}

/* INCR a counter of this task's own; the reply must be `expected`. */
static int count_one(redisContext *redis, int number, int expected)
{
    const rt_time deadline = rt_in(RT_SECONDS(10));
    redisReply *reply = NULL;
    int r;

    if (redisAppendCommand(redis, "INCR client_library:%d", number) != REDIS_OK) {
        return -ENOMEM;
    }
    r = redis_flush(redis, deadline);
    if (r == 0) {
        r = redis_reply(redis, &reply, deadline);
    }
    if (reply == NULL) {
        return r;
    }
    r = reply->type == REDIS_REPLY_INTEGER && reply->integer == expected ? 0 : -EPROTO;
    freeReplyObject(reply);
    return r;
}

static int client(void *arg)
{
    struct server *server = arg;
    const int number = server->number++;
    redisContext *redis;
    int r = redis_open(&redis, server, rt_in(RT_SECONDS(10)));

    if (r < 0) {
        return r;
    }
    for (int i = 1; r == 0 && i <= COMMANDS; i++) {
        r = count_one(redis, number, i);
    }
    redisFree(redis);
    return r;
}

static int first(void *arg)
{
    struct rt_group clients = RT_GROUP_INIT;
    int left;
    int r = 0;

    for (int i = 0; r == 0 && i < TASKS; i++) {
        r = rt_group_spawn(&clients, client, arg);
    }
    left = rt_group_leave(&clients, RT_NEVER); /* the first error of a client, if any */
    return r < 0 ? r : left;
}

int main(int argc, char **argv)
{
    struct server server;
    int r;

    if (argc != 3 || argv[1][0] == '-') {
        fputs("usage: client_library HOST PORT\n", stderr);
        return 2;
    }
    server = (struct server){ .host = argv[1], .port = (int)strtoul(argv[2], NULL, 10) };
    r = rt_run(NULL, first, &server);
    if (r < 0) {
        fprintf(stderr, "client_library: %s %s: %s\n", argv[1], argv[2], rt_strerror(r));
        return EXIT_FAILURE;
    }
    printf("%d tasks had %d commands each answered\n", TASKS, COMMANDS);
    return EXIT_SUCCESS;
}
