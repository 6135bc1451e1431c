/* SPDX-License-Identifier: MIT */
/* TCP on the real kernel, over loopback: addresses, connections and their ends, data, options. */
#include "tcp_fixture.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Addresses */

static int use_address(void *arg)
{
    const char *host = arg; /* with the colon */
    char address[RT_TCP_ADDRESS_BYTES];
    char text[RT_TCP_ADDRESS_BYTES];
    struct pair pair;

    snprintf(address, sizeof(address), "%s0", host);
    pair_open(&pair, address, NULL);
    T_CHECK(strncmp(pair.address, host, strlen(host)) == 0);
    T_CHECK(strtol(pair.address + strlen(host), NULL, 10) > 0);
    T_CHECK(rt_tcp_listener_address(pair.listener, text, strlen(pair.address)) == -ENOSPC);
    T_CHECK(rt_tcp_listener_address(pair.listener, text, strlen(pair.address) + 1) == 0);
    T_CHECK(rt_tcp_peer_address(pair.near, text, sizeof(text)) == 0);
    T_CHECK(strcmp(text, pair.address) == 0);
    T_CHECK(rt_tcp_peer_address(pair.far, text, 4) == -ENOSPC);
    T_CHECK(rt_tcp_peer_address(pair.far, text, sizeof(text)) == 0);
    T_CHECK(strncmp(text, host, strlen(host)) == 0 && strcmp(text, pair.address) != 0);
    exchange(pair.near, pair.far);
    pair_close(&pair);
    return 0;
}

static void ipv4_connections_carry_bytes_and_tell_their_addresses(void **state)
{
    char host[] = "127.0.0.1:";

    (void)state;
    run(use_address, host);
}

static bool have_ipv6(void)
{
    const struct sockaddr_in6 address = { .sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool have = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;

    if (fd >= 0) {
        close(fd);
    }
    if (!have) {
        print_message("skipped: this machine has no IPv6 loopback\n");
    }
    return have;
}

static void ipv6_connections_carry_bytes_and_tell_their_addresses(void **state)
{
    char host[] = "[::1]:";

    (void)state;
    if (!have_ipv6()) {
        skip();
    }
    run(use_address, host);
}

static int use_every_address(void *arg)
{
    static const char *const hosts[] = { "127.0.0.1", "[::1]" };
    static const char *const seen[] = { "[::ffff:127.0.0.1]:", "[::1]:" };
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *near;
    struct rt_tcp_stream *far;
    char address[RT_TCP_ADDRESS_BYTES];
    char text[RT_TCP_ADDRESS_BYTES];

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, ":0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    T_CHECK(strncmp(text, "[::]:", 5) == 0);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(address, sizeof(address), "%s:%.5s", hosts[i], text + 5);
        T_CHECK(rt_tcp_connect(&near, address, NULL, LIMIT) == 0);
        T_CHECK(rt_tcp_accept(listener, &far, LIMIT) == 0);
        T_CHECK(rt_tcp_peer_address(far, address, sizeof(address)) == 0);
        T_CHECK(strncmp(address, seen[i], strlen(seen[i])) == 0);
        exchange(near, far);
        rt_tcp_close(near);
        rt_tcp_close(far);
    }
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_listener_without_a_host_is_reached_over_ipv4_and_ipv6(void **state)
{
    (void)state;
    if (!have_ipv6()) {
        skip();
    }
    run(use_every_address, NULL);
}

static int use_wrong_addresses(void *arg)
{
    static const char *const wrong[] = { "localhost:80", "127.0.0.1", "[::1:80", ":65536", "" };
    struct rt_tcp_listener *listener = NULL;
    struct rt_tcp_stream *stream = NULL;

    (void)arg;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        warnings[0] = '\0';
        T_CHECK(rt_tcp_listen(&listener, wrong[i], NULL) == -EINVAL);
        T_CHECK(strstr(warnings, wrong[i]) != NULL && strlen(warnings) > 20);
        T_CHECK(rt_tcp_connect(&stream, wrong[i], NULL, LIMIT) == -EINVAL);
    }
    /* TEST-NET-1 (RFC 5737) is no address of any machine */
    T_CHECK(rt_tcp_listen(&listener, "192.0.2.1:0", NULL) == -EADDRNOTAVAIL);
    T_CHECK(listener == NULL && stream == NULL); /* untouched on failure */
    return 0;
}

static void a_wrong_address_is_refused_with_a_text(void **state)
{
    (void)state;
    run(use_wrong_addresses, NULL);
}

/* Listening and connecting */

static int listen_twice(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_listener *second = NULL;
    char address[RT_TCP_ADDRESS_BYTES];

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, address, sizeof(address)) == 0);
    T_CHECK(rt_tcp_listen(&second, address, NULL) == -EADDRINUSE && second == NULL);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_second_listener_on_an_address_is_refused(void **state)
{
    (void)state;
    run(listen_twice, NULL);
}

static int restart(void *arg)
{
    struct rt_tcp_listener *again;
    char byte;
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    exchange(pair.near, pair.far);
    rt_tcp_close(pair.far); /* who closes first keeps the address, in TIME_WAIT */
    T_CHECK(rt_tcp_recv(pair.near, &byte, 1, LIMIT) == 0);
    rt_tcp_close(pair.near);
    rt_tcp_listener_close(pair.listener);
    T_CHECK(rt_tcp_listen(&again, pair.address, NULL) == 0);
    rt_tcp_listener_close(again);
    return 0;
}

static void a_server_can_restart_on_its_port_at_once(void **state)
{
    (void)state;
    run(restart, NULL);
}

static int connect_to_nobody(void *arg)
{
    struct rt_tcp_stream *stream = NULL;

    T_CHECK(rt_tcp_connect(&stream, arg, NULL, LIMIT) == -ECONNREFUSED && stream == NULL);
    return 0;
}

static void a_connection_to_nobody_is_refused(void **state)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof(name);
    char address[32];

    (void)state;
    /* Bound and not listening: so nobody else gets the port meanwhile. */
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &bytes), 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(name.sin_port));
    run(connect_to_nobody, address);
    close(fd);
}

/* The ends of a connection */

static int end_connection(void *arg)
{
    char buf[8];
    struct pair pair;
    ssize_t n;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_send(pair.far, "last", 4, LIMIT) == 4);
    rt_tcp_close(pair.far);
    pair.far = NULL;
    T_CHECK(rt_tcp_recv(pair.near, buf, sizeof(buf), LIMIT) == 4); /* what was sent still comes */
    T_CHECK(rt_tcp_recv(pair.near, buf, sizeof(buf), LIMIT) == 0);
    T_CHECK(rt_tcp_recv(pair.near, buf, sizeof(buf), LIMIT) == 0);
    do { /* the first is taken and answered by a reset, whenever that comes */
        n = rt_tcp_send(pair.near, "x", 1, LIMIT);
        rt_yield();
    } while (n == 1);
    T_CHECK(n == -EPIPE);
    T_CHECK(rt_tcp_send_all(pair.near, "x", 1, NULL, LIMIT) == -EPIPE);
    pair_close(&pair);
    return 0;
}

static void a_close_by_the_peer_ends_recv_with_0_and_send_with_epipe(void **state)
{
    (void)state;
    run(end_connection, NULL);
}

static int reset_connection(void *arg)
{
    char buf[8];
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_send(pair.near, "ab", 2, LIMIT) == 2);
    T_CHECK(rt_tcp_recv(pair.far, buf, 1, LIMIT) == 1);
    rt_tcp_close(pair.far); /* with "b" unread: a reset, not a FIN */
    pair.far = NULL;
    T_CHECK(rt_tcp_recv(pair.near, buf, sizeof(buf), LIMIT) == -ECONNRESET);
    pair_close(&pair);
    return 0;
}

static void a_reset_by_the_peer_is_reported(void **state)
{
    (void)state;
    run(reset_connection, NULL);
}

static int half_close(void *arg)
{
    char buf[16];
    struct pair pair;
    size_t done = 7;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_send_all(pair.near, "question", 8, NULL, LIMIT) == 8);
    T_CHECK(rt_tcp_shutdown_send(pair.near) == 0);
    T_CHECK(rt_tcp_send_all(pair.near, "more", 4, &done, LIMIT) == -EPIPE && done == 0);
    T_CHECK(rt_tcp_recv(pair.far, buf, sizeof(buf), LIMIT) == 8);
    T_CHECK(rt_tcp_recv(pair.far, buf, sizeof(buf), LIMIT) == 0);
    T_CHECK(rt_tcp_send_all(pair.far, "answer", 6, NULL, LIMIT) == 6); /* the other half lives */
    T_CHECK(rt_tcp_recv(pair.near, buf, sizeof(buf), LIMIT) == 6 && memcmp(buf, "answer", 6) == 0);
    pair_close(&pair);
    return 0;
}

static void one_direction_can_be_closed_alone(void **state)
{
    (void)state;
    run(half_close, NULL);
}

static int move_nothing(void *arg)
{
    char byte;
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_send(pair.near, "", 0, LIMIT) == 0);
    T_CHECK(rt_tcp_send_all(pair.near, "", 0, NULL, LIMIT) == 0);
    T_CHECK(rt_tcp_recv(pair.far, &byte, 0, rt_in(RT_SECONDS(2))) == 0); /* at once, not -ETIME */
    pair_close(&pair);
    return 0;
}

static void no_bytes_are_moved_without_waiting(void **state)
{
    (void)state;
    run(move_nothing, NULL);
}

static int read_bulk(void *arg)
{
    T_CHECK(read_slowly(arg) == BULK_BYTES);
    return 0;
}

static int send_bulk(void *arg)
{
    char *bulk = make_bulk();
    struct rt_task *reader;
    size_t done = 0;
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", &small_buffers);
    T_CHECK(rt_spawn(&reader, read_bulk, pair.far) == 0);
    T_CHECK(rt_tcp_send_all(pair.near, bulk, BULK_BYTES, &done, LIMIT) == (ssize_t)BULK_BYTES);
    T_CHECK(done == BULK_BYTES);
    T_CHECK(rt_tcp_shutdown_send(pair.near) == 0);
    T_CHECK(rt_join(reader, NULL, RT_NEVER) == 0);
    pair_close(&pair);
    free(bulk);
    return 0;
}

static void eight_mebibytes_reach_a_slow_reader_unchanged(void **state)
{
    (void)state;
    run(send_bulk, NULL);
}

/* Options */

static int option_of(const void *object, int level, int option)
{
    socklen_t bytes = sizeof(int);
    int value = -1;

    T_CHECK(getsockopt(descriptor_of(object), level, option, &value, &bytes) == 0);
    return value;
}

static int use_options(void *arg)
{
    const struct rt_tcp_options options = { .size = sizeof(options),
                                            .delay = 1,
                                            .receive_buffer_bytes = 20000,
                                            .send_buffer_bytes = 30000 };
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", &options);
    /* socket(7): the kernel doubles what it is asked for */
    T_CHECK(option_of(pair.near, SOL_SOCKET, SO_RCVBUF) == 40000);
    T_CHECK(option_of(pair.near, SOL_SOCKET, SO_SNDBUF) == 60000);
    T_CHECK(option_of(pair.near, IPPROTO_TCP, TCP_NODELAY) == 0);
    T_CHECK(option_of(pair.far, SOL_SOCKET, SO_RCVBUF) == 40000); /* from the listener */
    T_CHECK(option_of(pair.far, SOL_SOCKET, SO_SNDBUF) == 60000);
    T_CHECK(option_of(pair.far, IPPROTO_TCP, TCP_NODELAY) == 0);
    pair_close(&pair);
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(option_of(pair.near, IPPROTO_TCP, TCP_NODELAY) == 1);
    T_CHECK(option_of(pair.far, IPPROTO_TCP, TCP_NODELAY) == 1);
    pair_close(&pair);
    return 0;
}

static void options_reach_both_sockets(void **state)
{
    (void)state;
    run(use_options, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_connections_carry_bytes_and_tell_their_addresses),
        cmocka_unit_test(ipv6_connections_carry_bytes_and_tell_their_addresses),
        cmocka_unit_test(a_listener_without_a_host_is_reached_over_ipv4_and_ipv6),
        cmocka_unit_test(a_wrong_address_is_refused_with_a_text),
        cmocka_unit_test(a_second_listener_on_an_address_is_refused),
        cmocka_unit_test(a_server_can_restart_on_its_port_at_once),
        cmocka_unit_test(a_connection_to_nobody_is_refused),
        cmocka_unit_test(a_close_by_the_peer_ends_recv_with_0_and_send_with_epipe),
        cmocka_unit_test(a_reset_by_the_peer_is_reported),
        cmocka_unit_test(one_direction_can_be_closed_alone),
        cmocka_unit_test(no_bytes_are_moved_without_waiting),
        cmocka_unit_test(eight_mebibytes_reach_a_slow_reader_unchanged),
        cmocka_unit_test(options_reach_both_sockets),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
