/* SPDX-License-Identifier: MIT */
/*
 * Edges: cases that a fresh reading of the code found, each kept as a test.
 */
#include "support/first.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

static void drop_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)level;
    (void)text;
    ++*(unsigned *)arg;
}

static const struct sim_config steps = { .seed = 1, .step_max = 100 }; /* time passes */

/* Times without end in the configuration */

static int yield_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        rt_yield();
    }
    return 0;
}

static int leave_one_behind(void *arg)
{
    (void)arg;
    return rt_spawn(NULL, yield_on, NULL);
}

static void a_stop_timeout_without_end_never_passes(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.stop_timeout = RT_NEVER;
    config.task_quota = RT_NEVER;
    assert_int_equal(run_sim(&steps, &config, leave_one_behind, NULL), 0);
}

/* Offsets that are none */

static int use_bad_offsets(void *arg)
{
    struct rt_file *file;
    char buf[4];

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, 4, UINT64_MAX, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_write_at(file, buf, 4, (uint64_t)INT64_MAX + 1, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void an_offset_past_the_largest_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&steps, NULL, use_bad_offsets, NULL), 0);
}

/* Options of a newer library */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int use_newer_options(void *arg)
{
    struct {
        struct rt_spawn_options known;
        uint64_t unknown;
    } spawn = { .known = { .size = sizeof(spawn) } };
    struct {
        struct rt_tcp_options known;
        uint64_t unknown;
    } tcp = { .known = { .size = sizeof(tcp) } };
    struct rt_tcp_listener *listener;

    (void)arg;
    T_CHECK(rt_spawn_with(NULL, nothing, NULL, &spawn.known) == 0); /* asks for nothing new */
    spawn.unknown = 1;
    T_CHECK(rt_spawn_with(NULL, nothing, NULL, &spawn.known) == -E2BIG);
    tcp.unknown = 1;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", &tcp.known) == -E2BIG);
    tcp.unknown = 0;
    tcp.known.reserved = 1;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", &tcp.known) == -EINVAL);
    return 0;
}

static void options_of_a_newer_library_are_refused_unless_zero(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;
    unsigned lines = 0;

    (void)state;
    config.log = drop_line;
    config.log_arg = &lines;
    assert_int_equal(run_sim(&steps, &config, use_newer_options, NULL), 0);
    assert_int_equal(lines, 2); /* both of listen say why */
}

/* A stream that is closed while its reader comes back with bytes and asks for more */

static struct rt_tcp_stream *stream;
static ssize_t results[2];

static int receive_twice(void *arg)
{
    char buf[8];

    (void)arg;
    results[0] = rt_tcp_recv(stream, buf, sizeof(buf), RT_NEVER);
    results[1] = rt_tcp_recv(stream, buf, sizeof(buf), RT_NEVER); /* the close is under way */
    return 0;
}

static int close_the_stream(void *arg)
{
    (void)arg;
    rt_tcp_close(stream);
    return 0;
}

static int connect_peer(struct rt_tcp_listener *listener)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    address.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    return sim_peer_connect((struct sockaddr *)&address, sizeof(address));
}

static int close_under_a_reader(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_task *reader;
    struct rt_task *closer;
    int peer;

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    peer = connect_peer(listener);
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
    T_CHECK(rt_spawn(&reader, receive_twice, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
    T_CHECK(sim_peer_send(peer, "abc", 3) == 3);
    sim_post(); /* the completion can be seen, and has not been */
    T_CHECK(rt_spawn(&closer, close_the_stream, NULL) == 0);
    T_CHECK(rt_join(closer, NULL, RT_NEVER) == 0);
    T_CHECK(rt_join(reader, NULL, RT_NEVER) == 0);
    T_CHECK((results[0] == 3 || results[0] == -EPIPE) && results[1] == -EPIPE);
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_stream_that_is_being_closed_lets_nobody_in(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&steps, NULL, close_under_a_reader, NULL), 0);
}

/* A request that a cancel misses is asked again */

static int receive_for_a_while(void *arg)
{
    char buf[8];

    (void)arg;
    results[0] = rt_tcp_recv(stream, buf, sizeof(buf), rt_in(RT_MILLISECONDS(1)));
    return 0;
}

static int miss_cancels(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_task *reader;
    rt_time start;
    int peer;

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    peer = connect_peer(listener);
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
    sim_lose_next_cancel(-ENOENT); /* the request is between two polls of its socket, */
    sim_lose_next_cancel(-ENOENT); /* twice */
    start = rt_now();
    T_CHECK(rt_spawn(&reader, receive_for_a_while, NULL) == 0);
    T_CHECK(rt_join(reader, NULL, RT_NEVER) == 0);
    T_CHECK(results[0] == -ETIME);
    T_CHECK(rt_now() - start < RT_MILLISECONDS(10)); /* 1 for the deadline, 1 and 2 for asking */
    T_CHECK(sim_stats()->by_opcode[IORING_OP_ASYNC_CANCEL] == 3);
    sim_peer_close(peer);
    rt_tcp_close(stream);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_cancel_that_misses_is_sent_again(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&steps, NULL, miss_cancels, NULL), 0);
}

/* The kernel ends a request that needs a worker with -ECANCELED when it can make none */

static int meet_no_worker(void *arg)
{
    struct rt_file *file;

    (void)arg;
    sim_fail_next(IORING_OP_OPENAT, -ECANCELED);
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == -EAGAIN);
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    sim_fail_next(IORING_OP_CLOSE, -ECANCELED);
    T_CHECK(rt_file_close(file) == 0); /* closed all the same: no descriptor is left */
    return 0;
}

static void a_kernel_without_workers_is_no_cancel(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&steps, NULL, meet_no_worker, NULL), 0);
}

/* A lone task that yields still lets time pass for others */

static int count_turns(void *arg)
{
    struct rt_stats stats;

    (void)arg;
    do {
        rt_yield();
        rt_stats_get(&stats, sizeof(stats));
    } while (stats.turns < 3);
    return 0;
}

static void a_lone_yielding_task_gives_way_to_the_loop(void **state)
{
    (void)state;
    assert_int_equal(run_sim(&steps, NULL, count_turns, NULL), 0);
}

static void the_library_has_the_version_of_its_headers(void **state)
{
    (void)state;
    assert_int_equal(rt_version(), RT_VERSION_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_timeout_without_end_never_passes),
        cmocka_unit_test(an_offset_past_the_largest_is_refused),
        cmocka_unit_test(options_of_a_newer_library_are_refused_unless_zero),
        cmocka_unit_test(a_stream_that_is_being_closed_lets_nobody_in),
        cmocka_unit_test(a_cancel_that_misses_is_sent_again),
        cmocka_unit_test(a_kernel_without_workers_is_no_cancel),
        cmocka_unit_test(a_lone_yielding_task_gives_way_to_the_loop),
        cmocka_unit_test(the_library_has_the_version_of_its_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
