/* SPDX-License-Identifier: MIT */
/*
 * in_libuv: a server of shardrt and a client of libuv, in one thread.
 *
 * Shows a shard as a guest of libuv (rt/loop.h). Three handles are all it takes: uv_poll for
 * the shard's descriptor, uv_timer for its timers, and a function that makes a turn when one of
 * them fires. The server is a task that echoes; the client is callbacks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MESSAGES 100

/* A shard in a libuv loop */

struct guest {
    struct rt_runtime *loop;
    uv_poll_t readable;
    uv_timer_t due;
};

static void turn(struct guest *guest);

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    turn(handle->data);
}

static void on_due(uv_timer_t *handle)
{
    turn(handle->data);
}

static void turn(struct guest *guest)
{
    rt_time next;

    if (!rt_loop_turn(guest->loop, &next)) {
        uv_close((uv_handle_t *)&guest->readable, NULL);
        uv_close((uv_handle_t *)&guest->due, NULL);
    } else if (next == RT_NEVER) {
        (void)uv_timer_stop(&guest->due);
    } else {
        const rt_time left = next - rt_now();

        /* libuv counts from its own time, which stood still while we ran; and in ms: rounded up */
        uv_update_time(guest->due.loop);
        (void)uv_timer_start(&guest->due, on_due,
                             left <= 0 ? 0 : (uint64_t)((left + 999999) / 1000000), 0);
    }
}

static int guest_begin(struct guest *guest, uv_loop_t *host, rt_task_fn first, void *arg)
{
    int r = rt_loop_open(&guest->loop, NULL, first, arg);

    if (r < 0) {
        return r;
    }
    guest->readable.data = guest;
    guest->due.data = guest;
    (void)uv_timer_init(host, &guest->due);
    r = uv_poll_init(host, &guest->readable, rt_loop_fd(guest->loop)); /* -errno, as ours are */
    if (r == 0) {
        r = uv_poll_start(&guest->readable, UV_READABLE, on_readable);
    }
    if (r == 0) {
        r = uv_timer_start(&guest->due, on_due, 0, 0); /* the first turn */
    }
    if (r < 0) {
        (void)rt_loop_close(guest->loop);
    }
    return r;
}

/* The server: a task */

static int echo_one(struct rt_tcp_listener *listener)
{
    struct rt_tcp_stream *peer;
    char buf[256];
    ssize_t n = rt_tcp_accept(listener, &peer, rt_in(RT_SECONDS(10)));

    if (n < 0) {
        return (int)n;
    }
    while ((n = rt_tcp_recv(peer, buf, sizeof(buf), rt_in(RT_SECONDS(10)))) > 0) {
        n = rt_tcp_send_all(peer, buf, (size_t)n, NULL, rt_in(RT_SECONDS(10)));
        if (n < 0) {
            break;
        }
    }
    rt_tcp_close(peer);
    return (int)n;
}

static void begin_client(uint16_t port);

static int serve(void *arg)
{
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    int r = rt_tcp_listen(&listener, "127.0.0.1:0", NULL);

    (void)arg;
    if (r < 0) {
        return r;
    }
    r = rt_tcp_listener_address(listener, address, sizeof(address));
    if (r == 0) {
        begin_client((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
        r = echo_one(listener);
    }
    rt_tcp_listener_close(listener);
    return r;
}

/* The client: callbacks. Tasks may call libuv, since they run in its thread. */

static struct {
    uv_tcp_t stream;
    uv_connect_t connecting;
    uv_write_t writing;
    char received[256];
    size_t bytes;  /* of the message that comes back */
    int came_back; /* messages */
} client;

static void say_next(void);

static void make_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)handle;
    (void)wanted;
    *buf = uv_buf_init(client.received + client.bytes,
                       (unsigned)(sizeof(client.received) - client.bytes));
}

static void on_received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, NULL);
        return;
    }
    client.bytes += (size_t)n;
    if (client.bytes > 0 && client.received[client.bytes - 1] == '\n') {
        client.came_back++;
        client.bytes = 0;
        say_next();
    }
}

static void on_written(uv_write_t *request, int status)
{
    if (status < 0 && !uv_is_closing((uv_handle_t *)request->handle)) {
        uv_close((uv_handle_t *)request->handle, NULL);
    }
}

static void say_next(void)
{
    static char text[32];
    uv_buf_t buf;

    if (client.came_back == MESSAGES) {
        uv_close((uv_handle_t *)&client.stream, NULL); /* the server sees the end, and returns */
        return;
    }
    (void)snprintf(text, sizeof(text), "message %d\n", client.came_back);
    buf = uv_buf_init(text, (unsigned)strlen(text));
    (void)uv_write(&client.writing, (uv_stream_t *)&client.stream, &buf, 1, on_written);
}

static void on_connected(uv_connect_t *request, int status)
{
    if (status < 0) {
        uv_close((uv_handle_t *)request->handle, NULL);
        return;
    }
    (void)uv_read_start(request->handle, make_room, on_received);
    say_next();
}

static void begin_client(uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };

    (void)uv_tcp_init(uv_default_loop(), &client.stream);
    (void)uv_tcp_connect(&client.connecting, &client.stream, (const struct sockaddr *)&address,
                         on_connected);
}

int main(void)
{
    struct guest guest;
    int r = guest_begin(&guest, uv_default_loop(), serve, NULL);

    if (r < 0) {
        fprintf(stderr, "in_libuv: %s\n", rt_strerror(r));
        return EXIT_FAILURE;
    }
    (void)uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    r = rt_loop_close(guest.loop);
    (void)uv_loop_close(uv_default_loop());
    if (r < 0) {
        fprintf(stderr, "in_libuv: the server: %s\n", rt_strerror(r));
        return EXIT_FAILURE;
    }
    printf("%d of %d messages came back\n", client.came_back, MESSAGES);
    return client.came_back == MESSAGES ? EXIT_SUCCESS : EXIT_FAILURE;
}
