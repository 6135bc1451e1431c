/* SPDX-License-Identifier: MIT */
/*
 * A runtime whose shards listen on one port is stopped while connections come:
 * whoever had connected before is served, by whatever shard, in any order of
 * the shards' steps. Hundreds of orders, drawn from seeds.
 *
 * Who was served got a byte. Who was not gets a reset when his listener closes.
 */
#include "support/harness.h"
#include "support/rand.h"
#include "support/sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

#define SHARDS   3
#define LOAD     30
#define LOAD_END RT_MILLISECONDS(2)
#define SEEDS    100

/* Threads of the sim run one at a time, so nothing here needs to be atomic. */
static struct {
    unsigned listening;
    uint16_t ports[SHARDS];
    unsigned accepted[SHARDS];
    int peers[LOAD];
    unsigned peer_count;
    unsigned before; /* of these, how many had connected before the stop: the first ones */
    bool is_stopped;
    bool is_over;
} service;

static void ignore_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    (void)text; /* fewer CPUs than shards, perhaps */
}

static int greet(void *arg)
{
    T_CHECK(rt_tcp_send_all(arg, "!", 1, NULL, rt_in(RT_SECONDS(5))) == 1);
    rt_tcp_close(arg);
    return 0;
}

static int serve(void *arg)
{
    const uint32_t shard = rt_shard_index();
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_listener *listener = NULL;
    struct rt_tcp_stream *peer;
    char text[RT_TCP_ADDRESS_BYTES];
    int r;

    T_CHECK(rt_shard_count() == SHARDS);
    T_CHECK(rt_tcp_listen(&listener, arg, NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    service.ports[shard] = (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
    service.listening++;
    while ((r = rt_tcp_accept(listener, &peer, RT_NEVER)) == 0) {
        T_CHECK(rt_group_spawn(&sessions, greet, peer) == 0);
        service.accepted[shard]++;
    }
    rt_tcp_listener_close(listener);
    T_CHECK(rt_group_leave(&sessions, rt_in(RT_SECONDS(10))) == 0);
    return r;
}

static void connect_one(void *arg)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(service.ports[0]),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int peer = sim_peer_connect((const struct sockaddr *)&address, sizeof(address));

    (void)arg;
    T_CHECK(peer >= 0 ? !service.is_over : peer == -ECONNREFUSED && service.is_stopped);
    if (peer >= 0) {
        service.peers[service.peer_count++] = peer;
        service.before += !service.is_stopped;
    }
}

/* How many were served. */
static unsigned close_peers(unsigned begin, unsigned end)
{
    unsigned served = 0;

    for (unsigned i = begin; i < end; i++) {
        char byte = 0;
        const ssize_t r = sim_peer_recv(service.peers[i], &byte, 1);

        T_CHECK((r == 1 && byte == '!') || r == -ECONNRESET);
        served += r == 1;
        sim_peer_close(service.peers[i]);
    }
    return served;
}

static void load_and_stop(struct rt_runtime *runtime, struct rand_state *rand)
{
    const rt_time start = sim_now();

    for (unsigned i = 0; i < LOAD; i++) {
        sim_at(start + rand_range(rand, 0, LOAD_END), connect_one, NULL);
    }
    sim_sleep(rand_range(rand, 0, LOAD_END));
    service.is_stopped = true;
    rt_stop(runtime);
    assert_int_equal(rt_wait(runtime), 0);
    service.is_over = true;
    sim_sleep(LOAD_END);
}

/* Adds to `totals` what each shard has accepted. */
static void run(uint64_t seed, unsigned *totals)
{
    const struct sim_config sim_config = {
        .seed = seed,
        .delay_max = RT_MICROSECONDS(100),
        .switch_per_mille = 100,
        .faults = { .reorder = 100, .cancel_loses = 200, .spurious_wake = 50, .enter_eintr = 50 },
    };
    struct rt_config config = RT_CONFIG_INIT;
    char address[] = "127.0.0.1:0";
    struct rt_runtime *runtime = NULL;
    struct rand_state rand;
    unsigned accepted = 0;

    memset(&service, 0, sizeof(service));
    rand_init(&rand, seed);
    config.log = ignore_line;
    config.shards = SHARDS;
    config.place = RT_PLACE_UNBOUND;
    sim_begin(&sim_config);
    assert_int_equal(rt_launch(&runtime, &config, serve, address), 0);
    while (service.listening < SHARDS) {
        sim_sleep(RT_MICROSECONDS(10)); /* of the sim's time */
    }
    load_and_stop(runtime, &rand);
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_int_equal(service.ports[i], service.ports[0]);
        accepted += service.accepted[i];
        totals[i] += service.accepted[i];
    }
    assert_int_equal(close_peers(0, service.before), service.before);
    assert_int_equal(close_peers(service.before, service.peer_count), accepted - service.before);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static void whoever_connected_before_the_stop_is_served_by_some_shard(void **state)
{
    unsigned totals[SHARDS] = { 0 };

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(SEEDS); i++) {
        run(rt_test_seed(i), totals);
    }
    for (unsigned i = 0; i < SHARDS && rt_test_seed_count(SEEDS) > 1; i++) {
        assert_true(totals[i] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_connected_before_the_stop_is_served_by_some_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
