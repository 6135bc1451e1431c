/* SPDX-License-Identifier: MIT */
/*
 * What we rely on in the kernel for listening on every shard (cross/claims.h,
 * io/tcp.c), probed with bare system calls: who may bind beside whom, where
 * connections go, and what becomes of those that wait.
 *
 * The kernel compares sockets and users, not processes; so a "stranger" here is
 * another socket of this process.
 */
#include "tcp_fixture.h"

#include <unistd.h>

#define CONNECTIONS 200

enum { REUSE_ADDRESS = 1, REUSE_PORT = 2 };

static struct sockaddr_in address; /* of the test that runs; port 0 at first */

static int begin(void **state)
{
    (void)state;
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return 0;
}

static void set(int fd, int option)
{
    const int on = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)), 0);
}

static int make_socket(unsigned reuse)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if ((reuse & REUSE_ADDRESS) != 0) {
        set(fd, SO_REUSEADDR);
    }
    if ((reuse & REUSE_PORT) != 0) {
        set(fd, SO_REUSEPORT);
    }
    return fd;
}

static int result_of(int r)
{
    return r < 0 ? -errno : r;
}

static int bind_it(int fd)
{
    return result_of(bind(fd, (const struct sockaddr *)&address, sizeof(address)));
}

/* As the first listener of a runtime does. Gives the address its port. */
static int listen_first(void)
{
    const int fd = make_socket(REUSE_ADDRESS);
    socklen_t bytes = sizeof(address);

    assert_int_equal(bind_it(fd), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    set(fd, SO_REUSEPORT);
    assert_int_equal(listen(fd, CONNECTIONS), 0);
    return fd;
}

/* As the listeners of the other shards do. */
static int listen_next(void)
{
    const int fd = make_socket(REUSE_ADDRESS | REUSE_PORT);

    assert_int_equal(bind_it(fd), 0);
    assert_int_equal(listen(fd, CONNECTIONS), 0);
    return fd;
}

/* How a server that is not of the runtime fares: of bind and listen, what fails first. */
static int try_to_listen(unsigned reuse)
{
    const int fd = make_socket(reuse);
    int r = bind_it(fd);

    if (r == 0) {
        r = result_of(listen(fd, CONNECTIONS));
    }
    close(fd);
    return r;
}

/* Who may listen */

static void the_first_bind_meets_whoever_listens_whatever_he_allows(void **state)
{
    const unsigned theirs[] = { 0, REUSE_ADDRESS, REUSE_PORT, REUSE_ADDRESS | REUSE_PORT };

    for (unsigned i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
        const int stranger = make_socket(theirs[i]);
        socklen_t bytes = sizeof(address);

        begin(state);
        assert_int_equal(bind_it(stranger), 0);
        assert_int_equal(getsockname(stranger, (struct sockaddr *)&address, &bytes), 0);
        assert_int_equal(listen(stranger, 1), 0);
        assert_int_equal(try_to_listen(REUSE_ADDRESS), -EADDRINUSE);
        close(stranger);
    }
}

static void while_the_first_is_bound_and_not_yet_shared_nobody_listens(void **state)
{
    const int first = make_socket(REUSE_ADDRESS);
    socklen_t bytes = sizeof(address);

    (void)state;
    assert_int_equal(bind_it(first), 0);
    assert_int_equal(getsockname(first, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(try_to_listen(0), -EADDRINUSE);
    assert_int_equal(try_to_listen(REUSE_PORT), -EADDRINUSE);
    close(first);
}

static void others_join_when_the_port_is_shared_between_bind_and_listen(void **state)
{
    const int first = listen_first();
    const int second = listen_next();
    const int third = listen_next();

    (void)state;
    assert_int_equal(try_to_listen(0), -EADDRINUSE);
    assert_int_equal(try_to_listen(REUSE_ADDRESS), -EADDRINUSE);
    close(first);
    assert_int_equal(try_to_listen(REUSE_ADDRESS), -EADDRINUSE); /* the others have it on */
    close(listen_next());                                        /* and more may join them */
    close(second);
    close(third);
    assert_int_equal(try_to_listen(REUSE_ADDRESS), 0);
}

/* The limit that rt/tcp.h names. Of another user such a socket is refused. */
static void a_stranger_of_the_same_user_that_shares_the_port_on_purpose_gets_in(void **state)
{
    const int first = listen_first();

    (void)state;
    assert_int_equal(try_to_listen(REUSE_ADDRESS | REUSE_PORT), 0);
    close(first);
}

static void without_sharing_nobody_gets_in_at_all(void **state)
{
    const int alone = make_socket(REUSE_ADDRESS);
    socklen_t bytes = sizeof(address);

    (void)state;
    assert_int_equal(bind_it(alone), 0);
    assert_int_equal(getsockname(alone, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(listen(alone, 1), 0);
    assert_int_equal(try_to_listen(REUSE_ADDRESS | REUSE_PORT), -EADDRINUSE);
    close(alone);
}

/* Connections */

static int connect_one(void)
{
    const int fd = make_socket(0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Whether the connection was reset; waits for the news. */
static bool is_reset(int connection)
{
    struct pollfd poller = { .fd = connection, .events = POLLIN };
    char byte;

    assert_int_equal(poll(&poller, 1, 20000), 1);
    return recv(connection, &byte, 1, 0) < 0 && errno == ECONNRESET;
}

static void connections_reach_every_listener_and_each_tells_how_many_wait(void **state)
{
    int listeners[4] = { listen_first(), listen_next(), listen_next(), listen_next() };
    int connections[CONNECTIONS];

    (void)state;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        connections[i] = connect_one();
    }
    await_queue(listeners, 4, CONNECTIONS);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned count = queue_length(listeners[i]);

        assert_true(count > 0); /* of 200 by chance: once in 10^24 runs it is not so */
        close(accept(listeners[i], NULL, NULL));
        assert_int_equal(queue_length(listeners[i]), count - 1);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        close(connections[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        close(listeners[i]);
    }
}

static void a_connection_that_its_peer_reset_waits_on_and_counts(void **state)
{
    const struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    const int listener = listen_first();
    const int leaving = connect_one();
    int accepted;

    (void)state;
    await_queue(&listener, 1, 1);
    assert_int_equal(setsockopt(leaving, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(leaving);
    assert_int_equal(queue_length(listener), 1);
    accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    assert_true(is_reset(accepted));
    close(accepted);
    close(listener);
}

static bool are_moved_on(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_migrate_req", "re");
    int value = 0;

    if (file != NULL) {
        value = fgetc(file);
        fclose(file);
    }
    return value == '1';
}

static void a_listener_that_closes_resets_who_waits_and_its_siblings_keep_theirs(void **state)
{
    int listeners[2] = { listen_first(), listen_next() };
    int connections[CONNECTIONS];
    unsigned kept;
    unsigned resets = 0;

    (void)state;
    if (are_moved_on()) {
        print_message("skipped: this machine hands them to a sibling (tcp_migrate_req)\n");
        skip();
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        connections[i] = connect_one();
    }
    await_queue(listeners, 2, CONNECTIONS);
    kept = queue_length(listeners[1]);
    close(listeners[0]);
    assert_int_equal(queue_length(listeners[1]), kept);
    for (unsigned i = 0; i < kept; i++) {
        const int accepted = accept(listeners[1], NULL, NULL);

        assert_int_equal(send(accepted, "!", 1, MSG_NOSIGNAL), 1);
        close(accepted);
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        resets += is_reset(connections[i]);
        close(connections[i]);
    }
    assert_int_equal(resets, CONNECTIONS - kept);
    close(listeners[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bind_meets_whoever_listens_whatever_he_allows),
        cmocka_unit_test_setup(while_the_first_is_bound_and_not_yet_shared_nobody_listens, begin),
        cmocka_unit_test_setup(others_join_when_the_port_is_shared_between_bind_and_listen, begin),
        cmocka_unit_test_setup(a_stranger_of_the_same_user_that_shares_the_port_on_purpose_gets_in,
                               begin),
        cmocka_unit_test_setup(without_sharing_nobody_gets_in_at_all, begin),
        cmocka_unit_test_setup(connections_reach_every_listener_and_each_tells_how_many_wait,
                               begin),
        cmocka_unit_test_setup(a_connection_that_its_peer_reset_waits_on_and_counts, begin),
        cmocka_unit_test_setup(a_listener_that_closes_resets_who_waits_and_its_siblings_keep_theirs,
                               begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
