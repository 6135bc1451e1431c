/* SPDX-License-Identifier: MIT */
/*
 * Every system call of a run fails once: in start, spawn, I/O and stop.
 *
 * The scenario uses all that there is, on the real kernel. It is run again and
 * again, and the nth call fails, until a run has fewer than n calls. Each run
 * must end, with or without an error, and leave no block of the heap, mapping
 * or descriptor behind.
 */
#include "support/fault_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"

static char path[] = "/tmp/shardrt-nth-XXXXXX";

static int echo_once(void *arg)
{
    struct rt_tcp_listener *listener = arg;
    struct rt_tcp_stream *stream;
    char buf[16];
    ssize_t n = rt_tcp_accept(listener, &stream, rt_in(RT_SECONDS(5)));

    if (n < 0) {
        return (int)n;
    }
    n = rt_tcp_recv(stream, buf, sizeof(buf), rt_in(RT_SECONDS(5)));
    if (n > 0) {
        n = rt_tcp_send_all(stream, buf, (size_t)n, NULL, rt_in(RT_SECONDS(5)));
    }
    rt_tcp_close(stream);
    return n < 0 ? (int)n : 0;
}

static int talk(const char *address)
{
    struct rt_tcp_stream *stream;
    char text[RT_TCP_ADDRESS_BYTES];
    char buf[16];
    ssize_t n = rt_tcp_connect(&stream, address, NULL, rt_in(RT_SECONDS(5)));

    if (n < 0) {
        return (int)n;
    }
    n = rt_tcp_peer_address(stream, text, sizeof(text));
    if (n == 0) {
        n = rt_tcp_send(stream, "ping", 4, rt_in(RT_SECONDS(5)));
    }
    if (n == 4) {
        n = rt_tcp_recv(stream, buf, sizeof(buf), rt_in(RT_SECONDS(5)));
        T_CHECK(n < 0 || (n == 4 && memcmp(buf, "ping", 4) == 0));
    }
    rt_tcp_close(stream);
    return n < 0 ? (int)n : 0;
}

static int use_network(void)
{
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    struct rt_task *server;
    int r = rt_tcp_listen(&listener, "127.0.0.1:0", NULL);

    if (r < 0) {
        return r;
    }
    r = rt_tcp_listener_address(listener, address, sizeof(address));
    if (r == 0) {
        r = rt_spawn(&server, echo_once, listener);
    }
    if (r == 0) {
        r = talk(address);
        if (r < 0) {
            rt_cancel(server);
        }
        T_CHECK(rt_join(server, NULL, rt_in(RT_SECONDS(20))) == 0);
    }
    rt_tcp_listener_close(listener);
    return r;
}

/* Registered or, when that fails, not: a reader sees no difference. */
static int use_buffer(struct rt_file *file)
{
    struct rt_buffer *buffer;
    int r = rt_buffer_get(&buffer, 4);

    if (r < 0) {
        return r;
    }
    T_CHECK(rt_file_read_buffer(file, buffer, 0, 4, 0, RT_NEVER) == 4);
    T_CHECK(memcmp(rt_buffer_data(buffer), "data", 4) == 0);
    T_CHECK(rt_file_write_buffer(file, buffer, 0, 4, 0, RT_NEVER) == 4);
    rt_buffer_put(buffer);
    return 0;
}

static int use_file(void)
{
    struct rt_file_stat stat;
    struct rt_file *file;
    char buf[4];
    int r = rt_file_open(&file, path, O_RDWR, 0, RT_NEVER);

    if (r < 0) {
        return r;
    }
    T_CHECK(rt_file_write_at(file, "data", 4, 0, RT_NEVER) == 4);
    T_CHECK(rt_file_read_at(file, buf, 4, 0, RT_NEVER) == 4 && memcmp(buf, "data", 4) == 0);
    r = use_buffer(file);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.size_bytes == 4);
    T_CHECK(rt_file_datasync(file, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return r;
}

static int nap(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(RT_MICROSECONDS(10)));
}

/* Enough tasks for a second block of the table and of the queue, on each size of stack. */
static int use_tasks(void)
{
    struct rt_group group = RT_GROUP_INIT;
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 300; i++) {
        options.stack_bytes = 16384u << (2 * (i % 3));
        r = rt_group_spawn_with(&group, nap, NULL, &options, 0);
    }
    (void)rt_group_leave(&group, RT_NEVER);
    T_CHECK(rt_group_live(&group) == 0);
    return r;
}

static int scenario(void *arg)
{
    int r = use_tasks();

    (void)arg;
    T_CHECK(rt_nop(RT_NEVER) == 0);
    if (r == 0) {
        r = use_file();
    }
    return r == 0 ? use_network() : r;
}

static void drop_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    T_CHECK(strlen(text) > 10); /* an error at start says something */
}

static int run(void *arg)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)arg;
    config.cpus = "0";
    config.log = drop_line;
    return rt_run(&config, scenario, NULL);
}

static void any_call_may_fail_once(void **state)
{
    const struct fault_runs runs = fail_each_call(run, NULL);

    (void)state;
    assert_true(runs.calls >= 50 && runs.failed > 10);
}

/* The second run leaves the process as the first did. */
static void a_second_run_leaves_what_the_first_left(void **state)
{
    unsigned descriptors;
    unsigned mappings;

    (void)state;
    assert_int_equal(run(NULL), 0);
    descriptors = t_open_descriptors();
    mappings = t_mappings();
    assert_int_equal(run(NULL), 0);
    assert_int_equal(t_open_descriptors(), descriptors);
    assert_int_equal(t_mappings(), mappings);
    assert_int_equal(fault_live_blocks(), 0);
    assert_int_equal(fault_live_mapped(), 0);
}

/* Steady state takes nothing from the heap */

static int park_in_vain(void *arg)
{
    *(struct rt_waker *)arg = rt_waker_self();
    return rt_park(RT_NEVER);
}

static void spawn_wait_wake_sleep(struct rt_file *file, struct rt_tcp_stream *stream)
{
    struct rt_waker waker;
    struct rt_task *task;
    char byte = 'x';

    T_CHECK(rt_spawn(&task, park_in_vain, &waker) == 0);
    rt_yield();
    rt_wake(waker);
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    T_CHECK(rt_sleep_until(rt_in(1000)) == 0);
    T_CHECK(rt_file_write_at(file, &byte, 1, 0, RT_NEVER) == 1);
    T_CHECK(rt_file_read_at(file, &byte, 1, 0, RT_NEVER) == 1);
    T_CHECK(rt_tcp_send(stream, &byte, 1, RT_NEVER) == 1);
    T_CHECK(rt_tcp_recv(stream, &byte, 1, RT_NEVER) == 1);
    T_CHECK(rt_tcp_recv(stream, &byte, 1, rt_in(1000)) == -ETIME);
}

static int echo_for_ever(void *arg)
{
    char buf[16];
    ssize_t n;

    while ((n = rt_tcp_recv(arg, buf, sizeof(buf), RT_NEVER)) > 0) {
        T_CHECK(rt_tcp_send_all(arg, buf, (size_t)n, NULL, RT_NEVER) == n);
    }
    rt_tcp_close(arg);
    return (int)n;
}

/* Connections come and go too: accept, connect and close use pooled objects. */
static struct rt_tcp_stream *connect_pair(struct rt_tcp_listener *listener)
{
    char address[RT_TCP_ADDRESS_BYTES];
    struct rt_tcp_stream *near = NULL;
    struct rt_tcp_stream *far = NULL;

    T_CHECK(rt_tcp_listener_address(listener, address, sizeof(address)) == 0);
    T_CHECK(rt_tcp_connect(&near, address, NULL, RT_NEVER) == 0);
    T_CHECK(rt_tcp_accept(listener, &far, RT_NEVER) == 0);
    T_CHECK(rt_spawn(NULL, echo_for_ever, far) == 0);
    return near;
}

static int steady(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_file *file;
    uint64_t before = 0;

    (void)arg;
    T_CHECK(rt_file_open(&file, path, O_RDWR, 0, RT_NEVER) == 0);
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    for (unsigned round = 0; round < 20; round++) {
        struct rt_tcp_stream *stream = connect_pair(listener);

        for (unsigned i = 0; i < 20; i++) {
            spawn_wait_wake_sleep(file, stream);
        }
        rt_tcp_close(stream);
        if (round == 1) { /* warm now */
            before = fault_allocations();
        }
    }
    T_CHECK(fault_allocations() == before);
    rt_tcp_listener_close(listener);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void steady_state_takes_nothing_from_the_heap(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, steady, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_once),
        cmocka_unit_test(a_second_run_leaves_what_the_first_left),
        cmocka_unit_test(steady_state_takes_nothing_from_the_heap),
    };
    const int fd = mkstemp(path);
    int failed;

    if (fd < 0) {
        perror(path);
        return 1;
    }
    close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
