/* SPDX-License-Identifier: MIT */
/*
 * Streams and other handles at their end: who is waited for by a close, what a
 * failed call gives back, and what aborts.
 *
 * A socket's operations are held at a stage that a cancel cannot reach, so that
 * the close meets them on purpose. What aborts runs in a child, on a simulated
 * kernel of its own; alarm() ends one that fails to die.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h" /* RTI_ASAN */
#include "core/executor.h"
#include "rt/rt.h"

#define STREAM_BYTES 4096 /* that the other side takes before a sender has to wait */

static unsigned warnings;

static void count_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)text;
    warnings += level == RT_LOG_WARNING;
}

static void run_streams(rt_task_fn first)
{
    const struct sim_config sim_config = { .seed = 1, .stream_bytes = STREAM_BYTES };
    struct rt_config config = RT_CONFIG_INIT;

    warnings = 0;
    config.log = count_line;
    assert_int_equal(run_sim(&sim_config, &config, first, NULL), 0);
}

static uint64_t seen(int opcode)
{
    return sim_stats()->by_opcode[opcode];
}

static void pause_for(rt_time duration)
{
    T_CHECK(rt_sleep_until(rt_in(duration)) == 0);
}

/* A stream, and its other side */

static struct rt_tcp_listener *listener;
static struct rt_tcp_stream *stream;
static struct sockaddr_in near_address;
static int peer;

static int connect_peer(void)
{
    const int fd = sim_peer_connect((struct sockaddr *)&near_address, sizeof(near_address));

    T_CHECK(fd >= 0);
    return fd;
}

static void open_listener(void)
{
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    near_address = (struct sockaddr_in){ .sin_family = AF_INET,
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    near_address.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
}

static void open_stream(void)
{
    open_listener();
    peer = connect_peer();
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
}

static void close_rest(void)
{
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    T_CHECK(rti_current->handles.in_use == 0);
}

static int close_it(void *arg)
{
    (void)arg;
    rt_tcp_close(stream);
    return 0;
}

static int recv_some(void *arg)
{
    char buf[8];

    (void)arg;
    return (int)rt_tcp_recv(stream, buf, sizeof(buf), RT_NEVER);
}

static char bytes[4 * STREAM_BYTES];
static size_t sent;

static int send_much(void *arg)
{
    (void)arg;
    return (int)rt_tcp_send_all(stream, bytes, sizeof(bytes), &sent, RT_NEVER);
}

static int shut_down(void *arg)
{
    (void)arg;
    return rt_tcp_shutdown_send(stream);
}

static int result_of(struct rt_task *task)
{
    int result = INT32_MIN;

    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

/* Close meets users */

static int close_under_a_sender(void *arg)
{
    struct rt_task *sender;

    (void)arg;
    open_stream();
    sent = 0;
    T_CHECK(rt_spawn(&sender, send_much, NULL) == 0);
    pause_for(RT_MILLISECONDS(1));
    T_CHECK(!rt_is_finished(sender)); /* the stream is full */
    rt_tcp_close(stream);
    T_CHECK(result_of(sender) == -EPIPE);
    T_CHECK(sent == STREAM_BYTES);
    close_rest();
    return 0;
}

static void a_close_ends_a_send_that_waits_for_its_peer(void **state)
{
    (void)state;
    run_streams(close_under_a_sender);
}

/* The close has to wait for both: neither of them can be cancelled. */
static void close_in_order(int first_opcode, int second_opcode)
{
    const uint64_t closes = seen(IORING_OP_CLOSE);
    struct rt_task *reader;
    struct rt_task *sender;
    struct rt_task *closer;

    open_stream();
    sim_hold(IORING_OP_RECV, SIM_RUNNING);
    sim_hold(IORING_OP_SEND, SIM_RUNNING);
    T_CHECK(rt_spawn(&reader, recv_some, NULL) == 0);
    T_CHECK(rt_spawn(&sender, send_much, NULL) == 0);
    pause_for(RT_MILLISECONDS(1));
    T_CHECK(rt_spawn(&closer, close_it, NULL) == 0);
    pause_for(RT_MILLISECONDS(5));
    T_CHECK(seen(IORING_OP_CLOSE) == closes && !rt_is_finished(closer));
    T_CHECK(sim_release(first_opcode, 1, -ECANCELED) == 1);
    pause_for(RT_MILLISECONDS(5));
    T_CHECK(rt_is_finished(reader) != rt_is_finished(sender));
    T_CHECK(seen(IORING_OP_CLOSE) == closes && !rt_is_finished(closer));
    sim_unhold();
    T_CHECK(sim_release(second_opcode, 1, -ECANCELED) == 1);
    T_CHECK(result_of(closer) == 0);
    T_CHECK(result_of(reader) == -EPIPE && result_of(sender) == -EPIPE);
    T_CHECK(seen(IORING_OP_CLOSE) == closes + 1);
    close_rest();
}

static int close_under_both(void *arg)
{
    (void)arg;
    close_in_order(IORING_OP_RECV, IORING_OP_SEND);
    close_in_order(IORING_OP_SEND, IORING_OP_RECV);
    return 0;
}

static void a_close_waits_for_the_reader_and_for_the_writer(void **state)
{
    (void)state;
    run_streams(close_under_both);
}

static int close_under_a_shutdown(void *arg)
{
    struct rt_task *task;
    struct rt_task *closer;

    (void)arg;
    open_stream();
    sim_hold(IORING_OP_SHUTDOWN, SIM_QUEUED);
    T_CHECK(rt_spawn(&task, shut_down, NULL) == 0);
    pause_for(RT_MILLISECONDS(1));
    T_CHECK(sim_held(IORING_OP_SHUTDOWN) == 1);
    T_CHECK(rt_spawn(&closer, close_it, NULL) == 0);
    pause_for(RT_MILLISECONDS(5));
    T_CHECK(seen(IORING_OP_CLOSE) == 0 && !rt_is_finished(closer));
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_SHUTDOWN, 1, SIM_NATURAL) == 1);
    T_CHECK(result_of(closer) == 0 && result_of(task) == 0);
    close_rest();
    return 0;
}

static void a_close_waits_for_a_shutdown_that_goes_on(void **state)
{
    (void)state;
    run_streams(close_under_a_shutdown);
}

static int shut_down_while_closing(void *arg)
{
    struct rt_task *closer;
    char byte;

    (void)arg;
    open_stream();
    sim_hold(IORING_OP_CLOSE, SIM_QUEUED);
    T_CHECK(rt_spawn(&closer, close_it, NULL) == 0);
    pause_for(RT_MILLISECONDS(1));
    T_CHECK(rt_tcp_shutdown_send(stream) == -EPIPE);
    T_CHECK(rt_tcp_send(stream, "x", 1, RT_NEVER) == -EPIPE);
    T_CHECK(rt_tcp_recv(stream, &byte, 1, RT_NEVER) == -EPIPE);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_CLOSE, 1, SIM_NATURAL) == 1);
    T_CHECK(result_of(closer) == 0);
    T_CHECK(seen(IORING_OP_SHUTDOWN) + seen(IORING_OP_SEND) + seen(IORING_OP_RECV) == 0);
    T_CHECK(seen(IORING_OP_NOP) == 0); /* they have not even asked for room in the ring */
    close_rest();
    return 0;
}

static void calls_on_a_stream_that_is_being_closed_get_epipe(void **state)
{
    (void)state;
    run_streams(shut_down_while_closing);
}

/* What fails leaves no handle and no descriptor */

static int connect_for_ever(void *arg)
{
    struct rt_tcp_stream *none;

    return rt_tcp_connect(&none, arg, NULL, RT_NEVER);
}

static void fail_to_connect(void)
{
    static char nobody[] = "127.0.0.1:9";
    struct rt_tcp_stream *none = NULL;
    struct rt_task *task;

    T_CHECK(rt_tcp_connect(&none, nobody, NULL, RT_NEVER) == -ECONNREFUSED);
    T_CHECK(rt_tcp_connect(&none, "nobody", NULL, RT_NEVER) == -EINVAL);
    sim_hold(IORING_OP_CONNECT, SIM_QUEUED);
    T_CHECK(rt_tcp_connect(&none, nobody, NULL, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    T_CHECK(rt_spawn(&task, connect_for_ever, nobody) == 0);
    pause_for(RT_MILLISECONDS(1));
    rt_cancel(task);
    T_CHECK(result_of(task) == -ECANCELED);
    sim_unhold();
    T_CHECK(none == NULL);
}

static void fail_to_accept_and_listen(void)
{
    struct rt_tcp_stream *none = NULL;
    struct rt_tcp_listener *second = NULL;
    char text[RT_TCP_ADDRESS_BYTES];

    open_listener();
    T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
    T_CHECK(rt_tcp_listen(&second, text, NULL) == -EADDRINUSE);
    T_CHECK(rt_tcp_accept(listener, &none, 0) == -ETIME);
    T_CHECK(rt_tcp_accept(listener, &none, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    sim_fail_next(IORING_OP_ACCEPT, -EINVAL);
    T_CHECK(rt_tcp_accept(listener, &none, RT_NEVER) == -EINVAL);
    sim_fail_next(IORING_OP_ACCEPT, -ECONNABORTED);
    T_CHECK(rt_tcp_accept(listener, &none, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    T_CHECK(none == NULL && second == NULL);
    T_CHECK(rti_current->handles.in_use == 1);
    rt_tcp_listener_close(listener);
}

static void fail_to_open(void)
{
    struct rt_file *none = NULL;

    T_CHECK(rt_file_open(&none, "nothing", O_RDONLY, 0, RT_NEVER) == -ENOENT);
    sim_hold(IORING_OP_OPENAT, SIM_QUEUED);
    T_CHECK(rt_file_open(&none, "data", O_RDONLY, 0, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    sim_unhold();
    T_CHECK(none == NULL);
}

static int fail_at_everything(void *arg)
{
    (void)arg;
    fail_to_connect();
    T_CHECK(rti_current->handles.in_use == 0);
    fail_to_accept_and_listen();
    T_CHECK(rti_current->handles.in_use == 0);
    fail_to_open();
    T_CHECK(rti_current->handles.in_use == 0);
    T_CHECK(sim_stats()->descriptors == 1); /* the event counter */
    return 0;
}

static void a_call_that_fails_leaves_no_handle_behind(void **state)
{
    (void)state;
    run_streams(fail_at_everything);
}

/* Warnings of accept */

static int run_short_twice(void *arg)
{
    struct rt_tcp_stream *taken;

    (void)arg;
    open_listener();
    for (unsigned i = 1; i <= 2; i++) {
        peer = connect_peer();
        sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
        sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
        T_CHECK(rt_tcp_accept(listener, &taken, RT_NEVER) == 0);
        T_CHECK(warnings == i);
        rt_tcp_close(taken);
        if (i == 1) {
            sim_peer_close(peer);
        }
    }
    close_rest();
    return 0;
}

static void accept_warns_again_of_a_shortage_that_comes_after_a_success(void **state)
{
    (void)state;
    run_streams(run_short_twice);
}

/* What aborts */

#define CHILD_SECONDS_MAX 30

static void live(int error_fd, const struct rt_config *config, rt_task_fn first)
{
    const struct rlimit no_core = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)alarm(CHILD_SECONDS_MAX);
    sim_begin(&(struct sim_config){ .seed = 1 });
    sim_file_put("data", "abcdefgh", 8);
    (void)rt_run(config, first, NULL);
    _exit(0);
}

/* The child aborts and says both texts. */
static void assert_dies(const struct rt_config *config, rt_task_fn first, const char *one,
                        const char *other)
{
    char text[8192] = "";
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    pid_t child;
    ssize_t n;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        live(pipe_fds[1], config, first);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], text + used, sizeof(text) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (strstr(text, one) == NULL || strstr(text, other) == NULL) {
        fail_msg("\"%s\" and \"%s\" are not both in what the child said: \"%s\"", one, other, text);
    }
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static int send_under_a_shutdown(void *arg)
{
    (void)arg;
    open_stream();
    sim_hold(IORING_OP_SHUTDOWN, SIM_RUNNING);
    T_CHECK(rt_spawn(NULL, shut_down, NULL) == 0);
    pause_for(RT_MILLISECONDS(1));
    return (int)rt_tcp_send(stream, "x", 1, RT_NEVER);
}

static void a_send_while_a_shutdown_goes_on_aborts(void **state)
{
    const struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    assert_dies(&config, send_under_a_shutdown, "shardrt: misuse: rt_tcp_send()", "same stream");
}

static int recv_after_the_close(void *arg)
{
    open_stream();
    rt_tcp_close(stream);
    return recv_some(arg);
}

static void a_use_of_a_stream_after_its_close_aborts(void **state)
{
    const struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    if (RTI_ASAN) {
        print_message("skipped: the sanitizer reports the fault in words of its own\n");
        skip();
    }
    assert_dies(&config, recv_after_the_close, "shardrt: misuse: rt_tcp_recv()", "was closed");
}

static int close_a_file(void *arg)
{
    return rt_file_close(arg);
}

/* The kernel never closes the file, no timer is armed, and no cancel reaches the close. */
static int leave_a_close_behind(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = "giver" };
    struct rt_file *file;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    sim_hold(IORING_OP_CLOSE, SIM_RUNNING);
    T_CHECK(rt_spawn_with(NULL, close_a_file, file, &options) == 0);
    pause_for(RT_MILLISECONDS(1));
    return 0;
}

static void a_stop_that_a_close_holds_up_ends_with_a_dump(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.stop_timeout = RT_MILLISECONDS(50);
    assert_dies(&config, leave_a_close_behind, "'giver' waiting, cancelled, in close",
                "'shard' has 1 tasks that live on 50 ms after");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_close_ends_a_send_that_waits_for_its_peer),
        cmocka_unit_test(a_close_waits_for_the_reader_and_for_the_writer),
        cmocka_unit_test(a_close_waits_for_a_shutdown_that_goes_on),
        cmocka_unit_test(calls_on_a_stream_that_is_being_closed_get_epipe),
        cmocka_unit_test(a_call_that_fails_leaves_no_handle_behind),
        cmocka_unit_test(accept_warns_again_of_a_shortage_that_comes_after_a_success),
        cmocka_unit_test(a_send_while_a_shutdown_goes_on_aborts),
        cmocka_unit_test(a_use_of_a_stream_after_its_close_aborts),
        cmocka_unit_test(a_stop_that_a_close_holds_up_ends_with_a_dump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
