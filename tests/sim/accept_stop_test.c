/* SPDX-License-Identifier: MIT */
/*
 * A task that accepts and is cancelled is first handed who waited then, and no
 * more. Under the simulated kernel: each order of cancel and connection is made
 * on purpose, then hundreds by chance.
 *
 * Who was served got a byte. Who was not gets a reset when the listener closes.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

#define PEERS_MAX 32

static struct sockaddr_in address; /* of the listener of the test that runs */
static int peers[PEERS_MAX];
static unsigned peer_count;
static char last_warning[512];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    snprintf(last_warning, sizeof(last_warning), "%s", text);
}

static void run(const struct sim_config *sim_config, rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;
    int r;

    peer_count = 0;
    last_warning[0] = '\0';
    config.log = keep_line;
    sim_begin(sim_config);
    r = rt_run(&config, first, NULL);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

static void run_plain(rt_task_fn first)
{
    run(&(struct sim_config){ .seed = 1 }, first);
}

static struct rt_tcp_listener *listen_somewhere(void)
{
    struct rt_tcp_listener *listener = NULL;
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    address.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    return listener;
}

static void connect_one(void *arg)
{
    const int peer = sim_peer_connect((const struct sockaddr *)&address, sizeof(address));

    (void)arg;
    T_CHECK(peer >= 0 && peer_count < PEERS_MAX);
    peers[peer_count++] = peer;
}

static void connect_peers(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        connect_one(NULL);
    }
}

/* Once the listener is closed: how many of the peers from `begin` on were served. */
static unsigned close_peers(unsigned begin)
{
    unsigned served = 0;

    for (unsigned i = begin; i < peer_count; i++) {
        char byte = 0;
        const ssize_t r = sim_peer_recv(peers[i], &byte, 1);

        T_CHECK((r == 1 && byte == '!') || r == -ECONNRESET);
        served += r == 1;
        sim_peer_close(peers[i]);
    }
    peer_count = begin;
    return served;
}

static int greet(void *arg)
{
    T_CHECK(rt_tcp_send_all(arg, "!", 1, NULL, rt_in(RT_SECONDS(5))) == 1);
    rt_tcp_close(arg);
    return 0;
}

/* The usual loop. Returns how many it has accepted. */
static int serve(void *arg)
{
    struct rt_tcp_stream *stream;
    int count = 0;
    int r;

    while ((r = rt_tcp_accept(arg, &stream, RT_NEVER)) == 0) {
        T_CHECK(rt_spawn(NULL, greet, stream) == 0);
        count++;
    }
    T_CHECK(r == -ECANCELED);
    T_CHECK(rt_tcp_accept(arg, &stream, RT_NEVER) == -ECANCELED); /* that was the last one */
    return count;
}

static struct rt_task *start_server(struct rt_tcp_listener *listener)
{
    struct rt_task *server = NULL;

    T_CHECK(rt_spawn(&server, serve, listener) == 0);
    return server;
}

static int result_of(struct rt_task *task)
{
    int result = -1;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static void let_others_wait(void)
{
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(1))) == 0);
}

/* In order: the cancel, then what the task does */

static int cancel_before_the_first_run(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server;

    (void)arg;
    connect_peers(5);
    server = start_server(listener);
    rt_cancel(server);
    T_CHECK(result_of(server) == 5);
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 5);
    return 0;
}

static void a_cancelled_task_is_handed_all_who_wait(void **state)
{
    (void)state;
    run_plain(cancel_before_the_first_run);
}

static int cancel_an_idle_server(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server = start_server(listener);
    const uint64_t *accepts = &sim_stats()->by_opcode[IORING_OP_ACCEPT];

    (void)arg;
    let_others_wait();
    T_CHECK(*accepts == 1);
    rt_cancel(server);
    T_CHECK(result_of(server) == 0);
    T_CHECK(*accepts == 1); /* nobody waits: the kernel is not asked again */
    rt_tcp_listener_close(listener);
    return 0;
}

static void nobody_waits_and_the_cancel_is_the_result_at_once(void **state)
{
    (void)state;
    run_plain(cancel_an_idle_server);
}

/* Races of the cancel with a connection */

static int connect_while_the_cancel_is_under_way(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server;

    (void)arg;
    sim_hold(IORING_OP_ACCEPT, SIM_DONE); /* no cancel finds it */
    server = start_server(listener);
    let_others_wait();
    sim_unhold();
    rt_cancel(server);
    let_others_wait();
    connect_peers(3);
    T_CHECK(sim_release(IORING_OP_ACCEPT, 1, -ECANCELED) == 1);
    T_CHECK(result_of(server) == 3);
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 3);
    return 0;
}

static void who_comes_before_the_cancel_has_done_its_work_is_served(void **state)
{
    (void)state;
    run_plain(connect_while_the_cancel_is_under_way);
}

static int lose_the_cancel(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server;

    (void)arg;
    sim_hold(IORING_OP_ACCEPT, SIM_RUNNING);
    server = start_server(listener);
    let_others_wait();
    sim_unhold();
    connect_peers(2);
    rt_cancel(server);
    let_others_wait();
    T_CHECK(sim_release(IORING_OP_ACCEPT, 1, SIM_NATURAL) == 1); /* it gets a connection */
    T_CHECK(result_of(server) == 2);
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 2);
    return 0;
}

static void an_accept_that_was_faster_than_its_cancel_counts_and_the_others_follow(void **state)
{
    (void)state;
    run_plain(lose_the_cancel);
}

/* The bound */

#define WAITING 4

/* For each one accepted another comes, so without a bound all of these would be. */
static int serve_while_others_come(void *arg)
{
    struct rt_tcp_stream *stream;
    int count = 0;

    while (count < 2 * WAITING && rt_tcp_accept(arg, &stream, RT_NEVER) == 0) {
        T_CHECK(rt_spawn(NULL, greet, stream) == 0);
        connect_peers(1);
        count++;
    }
    return count;
}

static int cancel_under_load(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server = NULL;

    (void)arg;
    connect_peers(WAITING);
    T_CHECK(rt_spawn(&server, serve_while_others_come, listener) == 0);
    rt_cancel(server);
    T_CHECK(result_of(server) == WAITING);
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(WAITING) == 0); /* reset: they came when the stop was under way */
    T_CHECK(close_peers(0) == WAITING);
    return 0;
}

static void who_comes_after_the_cancel_is_reset_by_the_close(void **state)
{
    (void)state;
    run_plain(cancel_under_load);
}

static int stop_twice(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_tcp_stream *stream;
    struct rt_task *server;

    (void)arg;
    connect_peers(2);
    server = start_server(listener);
    rt_cancel(server);
    T_CHECK(result_of(server) == 2);
    connect_peers(3);
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0); /* this task is not cancelled */
    T_CHECK(rt_spawn(NULL, greet, stream) == 0);
    server = start_server(listener);
    rt_cancel(server);
    T_CHECK(result_of(server) == 2); /* counted anew */
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 5);
    return 0;
}

static void a_listener_that_went_on_counts_anew_at_the_next_stop(void **state)
{
    (void)state;
    run_plain(stop_twice);
}

/* Errors on the way */

static int give_up_in_the_queue(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server;

    (void)arg;
    connect_peers(3);
    sim_fail_next(IORING_OP_ACCEPT, -ECONNABORTED);
    server = start_server(listener);
    rt_cancel(server);
    T_CHECK(result_of(server) == 2); /* and one that counted, but had gone */
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 2);
    T_CHECK(last_warning[0] == '\0');
    return 0;
}

static void a_connection_that_its_peer_gave_up_counts_as_handed_out(void **state)
{
    (void)state;
    run_plain(give_up_in_the_queue);
}

static int stop_without_descriptors(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server;

    (void)arg;
    connect_peers(3);
    sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
    server = start_server(listener);
    rt_cancel(server);
    T_CHECK(result_of(server) == 0);
    T_CHECK(strncmp(last_warning, "3 connections", 13) == 0);
    T_CHECK(strstr(last_warning, "EMFILE") != NULL);
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 0);
    return 0;
}

static void without_descriptors_the_stop_does_not_wait_and_says_so(void **state)
{
    (void)state;
    run_plain(stop_without_descriptors);
}

static int accept_after_an_error(void *listener)
{
    struct rt_tcp_stream *stream = NULL;

    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == -EINVAL && stream == NULL);
    return serve(listener);
}

static int fail_in_the_stop(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server = NULL;

    (void)arg;
    connect_peers(2);
    sim_fail_next(IORING_OP_ACCEPT, -EINVAL);
    T_CHECK(rt_spawn(&server, accept_after_an_error, listener) == 0);
    rt_cancel(server);
    T_CHECK(result_of(server) == 1);
    let_others_wait();
    rt_tcp_listener_close(listener);
    T_CHECK(close_peers(0) == 1);
    return 0;
}

static void an_error_of_the_listener_is_the_result_in_a_cancelled_task_too(void **state)
{
    (void)state;
    run_plain(fail_in_the_stop);
}

/* By chance */

#define LOAD     20
#define LOAD_END RT_MILLISECONDS(2)
#define SEEDS    200

static struct {
    bool is_cancelled;
    bool is_closing;
    bool is_closed;
    unsigned before; /* peers that connected before the cancel: the first ones */
} stop;

static void connect_or_be_refused(void *arg)
{
    const int peer = sim_peer_connect((const struct sockaddr *)&address, sizeof(address));

    (void)arg;
    T_CHECK(peer >= 0 ? !stop.is_closed : peer == -ECONNREFUSED && stop.is_closing);
    if (peer >= 0) {
        peers[peer_count++] = peer;
        stop.before += !stop.is_cancelled;
    }
}

static int stop_at_some_time(void *arg)
{
    struct rt_tcp_listener *listener = listen_somewhere();
    struct rt_task *server = start_server(listener);
    const rt_time start = rt_now();
    struct rand_state rand;
    unsigned before;
    int accepted;

    (void)arg;
    rand_init(&rand, sim_seed());
    memset(&stop, 0, sizeof(stop));
    for (unsigned i = 0; i < LOAD; i++) {
        sim_at(start + rand_range(&rand, 0, LOAD_END), connect_or_be_refused, NULL);
    }
    T_CHECK(rt_sleep_until(start + rand_range(&rand, 0, LOAD_END)) == 0);
    stop.is_cancelled = true;
    rt_cancel(server);
    accepted = result_of(server);
    before = stop.before;
    stop.is_closing = true;
    rt_tcp_listener_close(listener);
    stop.is_closed = true;
    T_CHECK(rt_sleep_until(start + LOAD_END + RT_SECONDS(1)) == 0);
    T_CHECK(close_peers(before) + before == (unsigned)accepted); /* some that came later, too */
    T_CHECK(close_peers(0) == before);
    return 0;
}

static void whoever_connected_before_the_stop_is_served_whatever_the_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS); i++) {
        run(&(struct sim_config){ .seed = rt_test_seed(i),
                                  .delay_max = RT_MICROSECONDS(100),
                                  .faults = { .reorder = 100,
                                              .cancel_loses = 200,
                                              .spurious_wake = 50,
                                              .enter_eintr = 50 } },
            stop_at_some_time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancelled_task_is_handed_all_who_wait),
        cmocka_unit_test(nobody_waits_and_the_cancel_is_the_result_at_once),
        cmocka_unit_test(who_comes_before_the_cancel_has_done_its_work_is_served),
        cmocka_unit_test(an_accept_that_was_faster_than_its_cancel_counts_and_the_others_follow),
        cmocka_unit_test(who_comes_after_the_cancel_is_reset_by_the_close),
        cmocka_unit_test(a_listener_that_went_on_counts_anew_at_the_next_stop),
        cmocka_unit_test(a_connection_that_its_peer_gave_up_counts_as_handed_out),
        cmocka_unit_test(without_descriptors_the_stop_does_not_wait_and_says_so),
        cmocka_unit_test(an_error_of_the_listener_is_the_result_in_a_cancelled_task_too),
        cmocka_unit_test(whoever_connected_before_the_stop_is_served_whatever_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
