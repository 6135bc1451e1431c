/* SPDX-License-Identifier: MIT */
/*
 * Listening on every shard of a runtime, on the real kernel.
 *
 * The thread of the test is no shard: it launches runtimes, waits on a semaphore
 * until all their shards listen, and is the client, with blocking sockets.
 */
#include "tcp_fixture.h"

#include <semaphore.h>
#include <unistd.h>

#define SHARDS      4
#define LISTENERS   3
#define CONNECTIONS 1000
#define WAITING     200
#define ROUNDS      50

/* What shards and the test share. A shard writes to its own part, before it posts. */
static struct {
    const char *address;
    sem_t listening;
    char texts[SHARDS][LISTENERS][RT_TCP_ADDRESS_BYTES];
    int descriptors[SHARDS];
} service;

static void ignore_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text; /* shards that fail on purpose say so */
}

static struct rt_runtime *launch(rt_task_fn first, const char *address, uint32_t shards)
{
    struct rt_config config = RT_CONFIG_INIT;
    struct rt_runtime *runtime = NULL;

    service.address = address;
    assert_int_equal(sem_init(&service.listening, 0, 0), 0);
    config.log = ignore_line;
    config.shards = shards;
    config.place = RT_PLACE_UNBOUND; /* so that there may be more shards than CPUs */
    assert_int_equal(rt_launch(&runtime, &config, first, NULL), 0);
    return runtime;
}

static void await_listening(uint32_t shards)
{
    for (uint32_t i = 0; i < shards; i++) {
        while (sem_wait(&service.listening) != 0) {
            assert_int_equal(errno, EINTR);
        }
    }
}

static void stop(struct rt_runtime *runtime)
{
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
    assert_int_equal(t_failures(), 0);
}

/* Listens for the nth time on this shard. */
static struct rt_tcp_listener *listen_here(unsigned n)
{
    const uint32_t shard = rt_shard_index();
    struct rt_tcp_listener *listener = NULL;
    char *text = service.texts[shard][n];

    T_CHECK(rt_tcp_listen(&listener, service.address, NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, RT_TCP_ADDRESS_BYTES) == 0);
    service.descriptors[shard] = descriptor_of(listener);
    return listener;
}

/* Tells the peer which shard it has reached. */
static int greet(void *arg)
{
    const char name = (char)('0' + rt_shard_index());

    T_CHECK(rt_tcp_send_all(arg, &name, 1, NULL, LIMIT) == 1);
    rt_tcp_close(arg);
    return 0;
}

static int accept_until_cancelled(struct rt_tcp_listener *listener)
{
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_stream *peer;
    int r;

    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        T_CHECK(rt_group_spawn(&sessions, greet, peer) == 0);
    }
    rt_tcp_listener_close(listener);
    T_CHECK(rt_group_leave(&sessions, LIMIT) == 0);
    return r;
}

static int serve(void *arg)
{
    struct rt_tcp_listener *listener = listen_here(0);

    (void)arg;
    sem_post(&service.listening);
    return accept_until_cancelled(listener);
}

/* Accepts nothing before it is stopped. */
static int serve_late(void *arg)
{
    struct rt_tcp_listener *listener = listen_here(0);

    (void)arg;
    sem_post(&service.listening);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    return accept_until_cancelled(listener);
}

static int connect_to(const char *text)
{
    const char *colon = strrchr(text, ':');
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
        .sin_addr = { htonl(INADDR_LOOPBACK) },
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* The shard that greets, after which the connection is closed. */
static unsigned shard_behind(int fd)
{
    char name = 0;

    assert_int_equal(recv(fd, &name, 1, MSG_WAITALL), 1);
    assert_int_equal(recv(fd, &name, 1, 0), 0);
    close(fd);
    assert_in_range(name, '0', '0' + SHARDS - 1);
    return (unsigned)(name - '0');
}

static void a_thousand_connections_reach_every_shard(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_runtime *runtime = launch(serve, "127.0.0.1:0", SHARDS);
    unsigned counts[SHARDS] = { 0 };
    unsigned sum = 0;

    (void)state;
    await_listening(SHARDS);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        counts[shard_behind(connect_to(service.texts[0][0]))]++;
    }
    stop(runtime);
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_string_equal(service.texts[i][0], service.texts[0][0]);
        assert_true(counts[i] > 0);
        sum += counts[i];
    }
    assert_int_equal(sum, CONNECTIONS);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static int listen_only(void *address)
{
    struct rt_tcp_listener *listener = NULL;
    const int r = rt_tcp_listen(&listener, address, NULL);

    T_CHECK((r == 0) == (listener != NULL));
    rt_tcp_listener_close(listener);
    return r;
}

static int listen_there(void *arg)
{
    (void)arg;
    return listen_only((void *)(uintptr_t)service.address);
}

static void a_second_server_is_told_that_the_address_is_in_use(void **state)
{
    struct rt_runtime *first = launch(serve, "127.0.0.1:0", 2);
    char address[RT_TCP_ADDRESS_BYTES];

    (void)state;
    await_listening(2);
    memcpy(address, service.texts[0][0], sizeof(address));
    assert_int_equal(rt_wait(launch(listen_there, address, 2)), -EADDRINUSE);
    assert_int_equal(rt_run(NULL, listen_only, address), -EADDRINUSE);
    (void)shard_behind(connect_to(address)); /* the first one works on */
    stop(first);
    assert_int_equal(rt_run(NULL, listen_only, address), 0); /* free */
    assert_int_equal(t_failures(), 0);
}

static int listen_twice(void *arg)
{
    struct rt_tcp_listener *listener = NULL;

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, service.address, NULL) == 0);
    T_CHECK(listen_only((void *)(uintptr_t)service.address) == -EADDRINUSE);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_shard_cannot_listen_twice_on_a_port(void **state)
{
    struct rt_runtime *runtime = launch(serve, "127.0.0.1:0", 1);
    char address[RT_TCP_ADDRESS_BYTES];

    (void)state;
    await_listening(1);
    memcpy(address, service.texts[0][0], sizeof(address));
    stop(runtime);
    assert_int_equal(rt_wait(launch(listen_twice, address, 2)), 0);
    assert_int_equal(t_failures(), 0);
}

static int listen_often(void *arg)
{
    struct rt_tcp_listener *listeners[LISTENERS];

    (void)arg;
    for (unsigned n = 0; n < LISTENERS; n++) {
        listeners[n] = listen_here(n);
    }
    sem_post(&service.listening);
    T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
    for (unsigned n = 0; n < LISTENERS; n++) {
        rt_tcp_listener_close(listeners[n]);
    }
    return 0;
}

static void the_nth_listeners_of_all_shards_share_the_nth_port(void **state)
{
    struct rt_runtime *runtime = launch(listen_often, "127.0.0.1:0", SHARDS);

    (void)state;
    await_listening(SHARDS);
    stop(runtime);
    for (unsigned i = 0; i < SHARDS; i++) {
        for (unsigned n = 0; n < LISTENERS; n++) {
            assert_string_equal(service.texts[i][n], service.texts[0][n]);
        }
    }
    assert_string_not_equal(service.texts[0][0], service.texts[0][1]);
    assert_string_not_equal(service.texts[0][1], service.texts[0][2]);
}

static void whoever_had_connected_before_the_stop_is_served_by_every_shard(void **state)
{
    struct rt_runtime *runtime = launch(serve_late, "127.0.0.1:0", SHARDS);
    int connections[WAITING];
    unsigned counts[SHARDS] = { 0 };

    (void)state;
    await_listening(SHARDS);
    for (unsigned i = 0; i < WAITING; i++) {
        connections[i] = connect_to(service.texts[0][0]);
    }
    await_queue(service.descriptors, SHARDS, WAITING);
    rt_stop(runtime);
    for (unsigned i = 0; i < WAITING; i++) {
        counts[shard_behind(connections[i])]++;
    }
    stop(runtime);
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_true(counts[i] > 0);
    }
}

/* Shard 0 stays; the others come and go beside it. */
static int come_and_go(void *arg)
{
    struct rt_tcp_listener *listener = NULL;

    (void)arg;
    if (rt_shard_index() == 0) {
        listener = listen_here(0);
        T_CHECK(rt_sleep_until(RT_NEVER) == -ECANCELED);
        rt_tcp_listener_close(listener);
        return 0;
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        T_CHECK(rt_tcp_listen(&listener, service.address, NULL) == 0);
        rt_yield();
        rt_tcp_listener_close(listener);
    }
    sem_post(&service.listening);
    return 0;
}

static void shards_that_come_and_go_are_never_in_the_way_of_each_other(void **state)
{
    struct rt_runtime *runtime = launch(serve, "127.0.0.1:0", 1);
    char address[RT_TCP_ADDRESS_BYTES];

    (void)state;
    await_listening(1);
    memcpy(address, service.texts[0][0], sizeof(address));
    stop(runtime);
    runtime = launch(come_and_go, address, SHARDS);
    await_listening(SHARDS - 1);
    stop(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_connections_reach_every_shard),
        cmocka_unit_test(a_second_server_is_told_that_the_address_is_in_use),
        cmocka_unit_test(a_shard_cannot_listen_twice_on_a_port),
        cmocka_unit_test(the_nth_listeners_of_all_shards_share_the_nth_port),
        cmocka_unit_test(whoever_had_connected_before_the_stop_is_served_by_every_shard),
        cmocka_unit_test(shards_that_come_and_go_are_never_in_the_way_of_each_other),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
