/* SPDX-License-Identifier: MIT */
/*
 * Claims: who may bind an address, and who joins whom.
 *
 * The sockets are those of the simulated kernel, so that shards can meet in
 * every order; that the real one does the same is proved by
 * integration/reuseport_test. A shard is a number to the claims, no more.
 */
#include "support/harness.h"

#include <errno.h>
#include <netinet/in.h>

#include "core/executor.h"
#include "cross/claims.h"
#include "os/sys.h"
#include "support/rand.h"
#include "support/sim.h"

#define SHARDS 4
#define PORT   7000

static const struct rti_executor shards[SHARDS]; /* their addresses only */
static struct rti_claims *claims;

struct listener {
    struct rti_seat seat;
    int fd;
    uint16_t port; /* that it got */
};

static int bind_at(struct rti_claims *at, struct listener *listener, unsigned shard, uint32_t host,
                   uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr = { htonl(host) } };
    socklen_t bytes = sizeof(address);
    const int on = 1;
    int r;

    listener->fd = rti_sys_socket(AF_INET, SOCK_STREAM, 0);
    T_CHECK(listener->fd >= 0);
    T_CHECK(rti_sys_setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
    r = rti_claims_bind(at, &listener->seat, &shards[shard], listener->fd,
                        (const struct sockaddr *)&address, sizeof(address));
    if (r == 0) {
        r = rti_sys_listen(listener->fd, 8);
    }
    if (r < 0) {
        rti_sys_close(listener->fd);
        rti_claims_leave(at, &listener->seat);
        return r;
    }
    T_CHECK(rti_sys_getsockname(listener->fd, (struct sockaddr *)&address, &bytes) == 0);
    listener->port = ntohs(address.sin_port);
    return 0;
}

static int listen_at(struct listener *listener, unsigned shard, uint16_t port)
{
    return bind_at(claims, listener, shard, INADDR_LOOPBACK, port);
}

static void close_listener(struct listener *listener)
{
    T_CHECK(rti_sys_close(listener->fd) == 0);
    rti_claims_leave(claims, &listener->seat);
}

static int begin(void **state)
{
    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    return rti_claims_create(&claims);
}

static int end(void **state)
{
    (void)state;
    rti_claims_destroy(claims);
    return (int)(sim_end(NULL) + t_failures());
}

/* One address */

static void every_shard_listens_on_a_port_and_nobody_else_does(void **state)
{
    struct listener listeners[SHARDS];
    struct listener stranger;

    (void)state;
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_int_equal(listen_at(&listeners[i], i, PORT), 0);
        assert_int_equal(listeners[i].port, PORT);
        assert_int_equal(bind_at(NULL, &stranger, 0, INADDR_LOOPBACK, PORT), -EADDRINUSE);
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        close_listener(&listeners[i]);
    }
}

static void an_address_that_a_stranger_has_is_in_use(void **state)
{
    struct listener stranger;
    struct listener listener;

    (void)state;
    assert_int_equal(bind_at(NULL, &stranger, 0, INADDR_LOOPBACK, PORT), 0);
    assert_int_equal(listen_at(&listener, 0, PORT), -EADDRINUSE);
    assert_int_equal(listen_at(&listener, 1, PORT), -EADDRINUSE);
    close_listener(&stranger);
    assert_int_equal(listen_at(&listener, 0, PORT), 0); /* the attempts left nothing behind */
    close_listener(&listener);
}

static void a_shard_cannot_listen_twice_on_a_port(void **state)
{
    struct listener first;
    struct listener second;

    (void)state;
    assert_int_equal(listen_at(&first, 0, PORT), 0);
    assert_int_equal(listen_at(&second, 0, PORT), -EADDRINUSE);
    assert_int_equal(listen_at(&second, 1, PORT), 0); /* and another one still can */
    close_listener(&second);
    close_listener(&first);
    assert_int_equal(listen_at(&first, 0, PORT), 0); /* and again */
    close_listener(&first);
}

static void the_others_go_on_when_the_first_has_left(void **state)
{
    struct listener first;
    struct listener second;
    struct listener third;
    struct listener stranger;

    (void)state;
    assert_int_equal(listen_at(&first, 0, PORT), 0);
    assert_int_equal(listen_at(&second, 1, PORT), 0);
    close_listener(&first);
    assert_int_equal(bind_at(NULL, &stranger, 0, INADDR_LOOPBACK, PORT), -EADDRINUSE);
    assert_int_equal(listen_at(&third, 2, PORT), 0);
    assert_int_equal(listen_at(&first, 0, PORT), 0); /* it may come back */
    close_listener(&second);
    close_listener(&third);
    close_listener(&first);
    assert_int_equal(bind_at(NULL, &stranger, 0, INADDR_LOOPBACK, PORT), 0); /* free */
    close_listener(&stranger);
}

static void hosts_are_claimed_apart(void **state)
{
    struct listener listeners[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) { /* two shards, two hosts, one port */
        assert_int_equal(bind_at(claims, &listeners[i], i % 2, INADDR_LOOPBACK + i / 2, PORT), 0);
    }
    assert_ptr_equal(listeners[0].seat.claim, listeners[1].seat.claim);
    assert_ptr_equal(listeners[2].seat.claim, listeners[3].seat.claim);
    assert_ptr_not_equal(listeners[0].seat.claim, listeners[2].seat.claim);
    for (unsigned i = 0; i < 4; i++) {
        close_listener(&listeners[i]);
    }
}

static void two_runtimes_do_not_share(void **state)
{
    struct rti_claims *other;
    struct listener listener;
    struct listener refused;

    (void)state;
    assert_int_equal(rti_claims_create(&other), 0);
    assert_int_equal(listen_at(&listener, 0, PORT), 0);
    assert_int_equal(bind_at(other, &refused, 1, INADDR_LOOPBACK, PORT), -EADDRINUSE);
    rti_claims_destroy(other);
    close_listener(&listener);
}

/* Port 0 */

static void the_nth_listener_of_each_shard_shares_the_nth_port(void **state)
{
    struct listener listeners[SHARDS][3];

    (void)state;
    for (unsigned i = 0; i < SHARDS; i++) {
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(listen_at(&listeners[i][n], i, 0), 0);
            assert_int_equal(listeners[i][n].port, listeners[0][n].port);
        }
    }
    assert_int_not_equal(listeners[0][0].port, listeners[0][1].port);
    assert_int_not_equal(listeners[0][1].port, listeners[0][2].port);
    assert_int_not_equal(listeners[0][2].port, listeners[0][0].port);
    for (unsigned i = 0; i < SHARDS; i++) {
        for (unsigned n = 0; n < 3; n++) {
            close_listener(&listeners[i][n]);
        }
    }
}

static void the_port_that_was_chosen_can_be_asked_for_by_its_number(void **state)
{
    struct listener first;
    struct listener second;
    struct listener third;

    (void)state;
    assert_int_equal(listen_at(&first, 0, 0), 0);
    assert_int_equal(listen_at(&second, 1, first.port), 0);
    assert_int_equal(listen_at(&third, 1, 0), 0); /* this shard has a seat at that one */
    assert_int_not_equal(third.port, first.port);
    close_listener(&first);
    close_listener(&second);
    close_listener(&third);
}

static void a_port_is_chosen_anew_when_all_have_left(void **state)
{
    struct listener first;
    struct listener second;
    uint16_t port;

    (void)state;
    assert_int_equal(listen_at(&first, 0, 0), 0);
    port = first.port;
    close_listener(&first);
    assert_int_equal(listen_at(&second, 1, 0), 0);
    assert_int_not_equal(second.port, port); /* the sim takes one after the other */
    close_listener(&second);
}

/* Shards that do it at the same time */

#define ROUNDS 3
#define SEEDS  300

struct shard_thread {
    pthread_t thread;
    unsigned number;
    uint16_t asked; /* port */
    uint16_t ports[ROUNDS];
};

static void *come_and_go(void *arg)
{
    struct shard_thread *self = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct listener listener;

        T_CHECK(listen_at(&listener, self->number, self->asked) == 0);
        self->ports[i] = listener.port;
        sim_point();
        close_listener(&listener);
    }
    return NULL;
}

static void *listen_on_several(void *arg)
{
    struct shard_thread *self = arg;
    struct listener listeners[ROUNDS];

    for (unsigned i = 0; i < ROUNDS; i++) {
        T_CHECK(listen_at(&listeners[i], self->number, self->asked) == 0);
        self->ports[i] = listeners[i].port;
    }
    for (unsigned i = 0; i < SHARDS; i++) { /* let the others come, too */
        sim_sleep(RT_MILLISECONDS(1));
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        close_listener(&listeners[i]);
    }
    return NULL;
}

/* Each thread is a shard; the first one's ports are those of all. */
static void run_threads(uint64_t seed, void *(*entry)(void *), uint16_t asked)
{
    struct shard_thread threads[SHARDS];

    sim_begin(&(struct sim_config){ .seed = seed, .switch_per_mille = 300 });
    assert_int_equal(rti_claims_create(&claims), 0);
    for (unsigned i = 0; i < SHARDS; i++) {
        threads[i].number = i;
        threads[i].asked = asked;
        assert_int_equal(rti_sys_thread_create(&threads[i].thread, entry, &threads[i]), 0);
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_int_equal(rti_sys_thread_join(threads[i].thread), 0);
    }
    rti_claims_destroy(claims);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    for (unsigned i = 0; i < SHARDS && entry == listen_on_several; i++) {
        assert_memory_equal(threads[i].ports, threads[0].ports, sizeof(threads[i].ports));
    }
}

static void shards_that_ask_at_once_share_one_port(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS); i++) {
        run_threads(rt_test_seed(i), listen_on_several, 0);
    }
}

static void no_shard_is_in_the_way_of_another_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS); i++) {
        run_threads(rt_test_seed(i), come_and_go, PORT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_shard_listens_on_a_port_and_nobody_else_does, begin,
                                        end),
        cmocka_unit_test_setup_teardown(an_address_that_a_stranger_has_is_in_use, begin, end),
        cmocka_unit_test_setup_teardown(a_shard_cannot_listen_twice_on_a_port, begin, end),
        cmocka_unit_test_setup_teardown(the_others_go_on_when_the_first_has_left, begin, end),
        cmocka_unit_test_setup_teardown(hosts_are_claimed_apart, begin, end),
        cmocka_unit_test_setup_teardown(two_runtimes_do_not_share, begin, end),
        cmocka_unit_test_setup_teardown(the_nth_listener_of_each_shard_shares_the_nth_port, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_port_that_was_chosen_can_be_asked_for_by_its_number,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_port_is_chosen_anew_when_all_have_left, begin, end),
        cmocka_unit_test(shards_that_ask_at_once_share_one_port),
        cmocka_unit_test(no_shard_is_in_the_way_of_another_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
