/* SPDX-License-Identifier: MIT */
/*
 * TCP on the real kernel where things end early or run short: deadlines,
 * cancel, a close while others use the stream, many connections, and no
 * descriptors.
 */
#include "tcp_fixture.h"

#include <sys/resource.h>
#include <unistd.h>

#include "support/rand.h"

#define MANY            1000
#define DESCRIPTORS_MAX 4096 /* MANY connections with both ends in this process, and some more */

/* A send that is cut off says how much went out: so much arrives, and not a byte more. */

struct cut_send {
    struct rt_tcp_stream *stream;
    const char *bulk;
    rt_time deadline;
    size_t done;
};

static int send_until_cut(void *arg)
{
    struct cut_send *cut = arg;

    return (int)rt_tcp_send_all(cut->stream, cut->bulk, BULK_BYTES, &cut->done, cut->deadline);
}

static int cut_off(void *arg)
{
    const int reason = *(const int *)arg;
    char *bulk = make_bulk();
    struct cut_send cut = { .bulk = bulk, .deadline = RT_NEVER };
    struct rt_task *sender;
    struct pair pair;
    int result = 0;

    pair_open(&pair, "127.0.0.1:0", &small_buffers);
    cut.stream = pair.near;
    if (reason == -ETIME) {
        cut.deadline = rt_in(RT_MILLISECONDS(5));
    }
    T_CHECK(rt_spawn(&sender, send_until_cut, &cut) == 0);
    let_others_wait();
    if (reason == -ECANCELED) {
        rt_cancel(sender);
    }
    T_CHECK(rt_join(sender, &result, LIMIT) == 0 && result == reason);
    T_CHECK(cut.done > 0 && cut.done < BULK_BYTES);
    T_CHECK(rt_tcp_shutdown_send(pair.near) == 0);
    T_CHECK(read_slowly(pair.far) == cut.done);
    pair_close(&pair);
    free(bulk);
    return 0;
}

static void a_send_cut_off_by_its_deadline_tells_what_was_sent(void **state)
{
    int reason = -ETIME;

    (void)state;
    run(cut_off, &reason);
}

static void a_send_cut_off_by_cancel_tells_what_was_sent(void **state)
{
    int reason = -ECANCELED;

    (void)state;
    run(cut_off, &reason);
}

/* Deadlines */

#define TRICKLE 2000

static int trickle(void *arg)
{
    struct rand_state rand;

    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < TRICKLE; i++) {
        const char byte = pattern_at(i);

        T_CHECK(rt_tcp_send(arg, &byte, 1, LIMIT) == 1);
        if (rand_chance(&rand, 300)) {
            T_CHECK(rt_sleep_until(rt_in((rt_time)rand_below(&rand, 20000))) == 0);
        }
    }
    return rt_tcp_shutdown_send(arg);
}

static int recv_impatiently(void *arg)
{
    struct rand_state rand;
    struct pair pair;
    unsigned late = 0;
    size_t total = 0;
    ssize_t n;

    (void)arg;
    rand_init(&rand, rt_test_seed(0));
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_recv(pair.far, &n, 1, 0) == -ETIME);
    T_CHECK(rt_spawn(NULL, trickle, pair.near) == 0);
    do {
        const rt_time patience = (rt_time)rand_below(&rand, 10000);
        char buf[3];

        n = rt_tcp_recv(pair.far, buf, sizeof(buf), patience < 100 ? 0 : rt_in(patience));
        for (ssize_t i = 0; i < n; i++) {
            T_CHECK(buf[i] == pattern_at(total + (size_t)i));
        }
        total += n > 0 ? (size_t)n : 0;
        late += n == -ETIME;
        T_CHECK(n >= 0 || n == -ETIME);
    } while (n != 0);
    T_CHECK(total == TRICKLE && late > 0);
    pair_close(&pair);
    return 0;
}

static void a_receive_that_ends_by_its_deadline_loses_no_byte(void **state)
{
    (void)state;
    run(recv_impatiently, NULL);
}

static int try_what_has_come(void *arg)
{
    struct rt_tcp_stream *near;
    struct rt_tcp_stream *far = NULL;
    struct pair pair;
    char byte;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    T_CHECK(rt_tcp_accept(pair.listener, &far, 0) == -ETIME && far == NULL);
    T_CHECK(rt_tcp_connect(&near, pair.address, NULL, LIMIT) == 0);
    await_readable(pair.listener);
    T_CHECK(rt_tcp_accept(pair.listener, &far, 0) == 0);
    for (unsigned i = 0; i < 100; i++) { /* also after a receive that left nothing behind it */
        T_CHECK(rt_tcp_send(near, "x", 1, LIMIT) == 1);
        await_readable(far);
        T_CHECK(rt_tcp_recv(far, &byte, 1, 0) == 1);
        T_CHECK(rt_tcp_recv(far, &byte, 1, 0) == -ETIME);
    }
    rt_tcp_close(near);
    rt_tcp_close(far);
    pair_close(&pair);
    return 0;
}

static void a_try_gets_what_has_come_already(void **state)
{
    (void)state;
    run(try_what_has_come, NULL);
}

/* Cancel */

static int wait_in_accept(void *arg)
{
    struct rt_tcp_stream *stream;

    return rt_tcp_accept(arg, &stream, LIMIT);
}

static int wait_in_recv(void *arg)
{
    char byte;

    return (int)rt_tcp_recv(arg, &byte, 1, LIMIT);
}

static int wait_in_send(void *arg)
{
    static const char zeroes[65536];
    ssize_t n;

    do { /* the kernel takes some until its buffers are full */
        n = rt_tcp_send(arg, zeroes, sizeof(zeroes), LIMIT);
    } while (n > 0);
    return (int)n;
}

static int result_after_cancel(rt_task_fn fn, void *arg)
{
    struct rt_task *task;
    int result = 0;

    T_CHECK(rt_spawn(&task, fn, arg) == 0);
    let_others_wait();
    T_CHECK(!rt_is_finished(task));
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, LIMIT) == 0);
    return result;
}

static int cancel_each(void *arg)
{
    struct rt_tcp_stream *near;
    struct rt_tcp_stream *far;
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", &small_buffers);
    T_CHECK(result_after_cancel(wait_in_recv, pair.near) == -ECANCELED);
    exchange(pair.near, pair.far); /* as if it had not been */
    T_CHECK(result_after_cancel(wait_in_accept, pair.listener) == -ECANCELED);
    T_CHECK(rt_tcp_connect(&near, pair.address, NULL, LIMIT) == 0);
    T_CHECK(rt_tcp_accept(pair.listener, &far, LIMIT) == 0); /* not lost to the cancelled one */
    exchange(near, far);
    rt_tcp_close(near);
    rt_tcp_close(far);
    T_CHECK(result_after_cancel(wait_in_send, pair.near) == -ECANCELED);
    pair_close(&pair);
    return 0;
}

static void accept_recv_and_send_end_when_their_task_is_cancelled(void **state)
{
    (void)state;
    run(cancel_each, NULL);
}

#define QUEUED 20

/* Returns how many it got. */
static int accept_until_cancelled(void *arg)
{
    struct rt_tcp_stream *stream;
    int count = 0;
    int r;

    while ((r = rt_tcp_accept(arg, &stream, LIMIT)) == 0) {
        rt_tcp_close(stream);
        count++;
    }
    T_CHECK(r == -ECANCELED);
    return count;
}

static int cancel_while_some_wait(void *arg)
{
    struct rt_tcp_stream *streams[QUEUED];
    struct rt_task *task;
    struct pair pair;
    int result = 0;
    int listener;
    char byte;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", NULL);
    for (unsigned i = 0; i < QUEUED; i++) {
        T_CHECK(rt_tcp_connect(&streams[i], pair.address, NULL, LIMIT) == 0);
    }
    listener = descriptor_of(pair.listener);
    await_queue(&listener, 1, QUEUED);
    T_CHECK(rt_spawn(&task, accept_until_cancelled, pair.listener) == 0);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, LIMIT) == 0 && result == QUEUED);
    for (unsigned i = 0; i < QUEUED; i++) {
        T_CHECK(rt_tcp_recv(streams[i], &byte, 1, LIMIT) == 0); /* closed, not reset */
        rt_tcp_close(streams[i]);
    }
    pair_close(&pair);
    return 0;
}

static void a_cancelled_task_is_handed_the_connections_that_wait(void **state)
{
    (void)state;
    run(cancel_while_some_wait, NULL);
}

#define ATTEMPTS 16

struct attempt {
    const char *address;
    struct rt_tcp_stream *stream;
};

static int wait_in_connect(void *arg)
{
    struct attempt *attempt = arg;

    return rt_tcp_connect(&attempt->stream, attempt->address, NULL, LIMIT);
}

/* A listener whose backlog is full does not answer: the kernel drops the SYN. Connections are made
 * until one has to wait; that one is cancelled. */
static int cancel_connect(void *arg)
{
    const struct rt_tcp_options options = { .size = sizeof(options), .backlog = 1 };
    struct attempt attempts[ATTEMPTS] = { 0 };
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    unsigned i = 0;
    int r = 0;

    (void)arg;
    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", &options) == 0);
    T_CHECK(rt_tcp_listener_address(listener, address, sizeof(address)) == 0);
    while (i < ATTEMPTS - 1 && r == 0) {
        r = rt_tcp_connect(&attempts[i++].stream, address, NULL, rt_in(RT_MILLISECONDS(50)));
    }
    T_CHECK(r == -ETIME);
    attempts[i].address = address;
    T_CHECK(result_after_cancel(wait_in_connect, &attempts[i]) == -ECANCELED);
    for (i = 0; i < ATTEMPTS; i++) {
        rt_tcp_close(attempts[i].stream);
    }
    rt_tcp_listener_close(listener);
    return 0;
}

static void connect_ends_by_deadline_and_by_cancel(void **state)
{
    (void)state;
    run(cancel_connect, NULL);
}

/* Close while in use */

static int close_under_users(void *arg)
{
    struct rt_task *reader;
    struct rt_task *writer;
    struct pair pair;
    int result = 0;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", &small_buffers);
    T_CHECK(rt_spawn(&reader, wait_in_recv, pair.near) == 0);
    T_CHECK(rt_spawn(&writer, wait_in_send, pair.near) == 0);
    let_others_wait();
    rt_tcp_close(pair.near);
    pair.near = NULL;
    T_CHECK(rt_join(reader, &result, LIMIT) == 0 && result == -EPIPE);
    T_CHECK(rt_join(writer, &result, LIMIT) == 0 && result == -EPIPE);
    pair_close(&pair);
    return 0;
}

static void a_close_ends_the_receive_and_the_send_of_others_with_epipe(void **state)
{
    (void)state;
    run(close_under_users, NULL);
}

/* Many connections */

struct crowd {
    struct rt_tcp_listener *listener;
    char address[RT_TCP_ADDRESS_BYTES];
    struct rt_waker wakers[MANY]; /* of the clients that are connected */
    unsigned connected;
};

static int crowd_session(void *arg)
{
    uint32_t number;
    ssize_t n;

    while ((n = rt_tcp_recv(arg, &number, sizeof(number), LIMIT)) > 0) {
        T_CHECK(n == sizeof(number));
        number = ~number;
        T_CHECK(rt_tcp_send_all(arg, &number, sizeof(number), NULL, LIMIT) == sizeof(number));
    }
    T_CHECK(n == 0);
    rt_tcp_close(arg);
    return 0;
}

static int crowd_serve(void *arg)
{
    struct crowd *crowd = arg;
    struct rt_group sessions = RT_GROUP_INIT;
    struct rt_tcp_stream *stream;

    for (unsigned i = 0; i < MANY; i++) {
        T_CHECK(rt_tcp_accept(crowd->listener, &stream, LIMIT) == 0);
        T_CHECK(rt_group_spawn(&sessions, crowd_session, stream) == 0);
    }
    return rt_group_leave(&sessions, LIMIT);
}

static int crowd_client(void *arg)
{
    struct crowd *crowd = arg;
    struct rt_tcp_stream *stream;
    const uint32_t number = rt_self_id();
    uint32_t answer = 0;

    T_CHECK(rt_tcp_connect(&stream, crowd->address, NULL, LIMIT) == 0);
    T_CHECK(rt_tcp_send(stream, &number, sizeof(number), LIMIT) == sizeof(number));
    T_CHECK(rt_tcp_recv(stream, &answer, sizeof(answer), LIMIT) == sizeof(answer));
    T_CHECK(answer == ~number);
    crowd->wakers[crowd->connected++] = rt_waker_self();
    for (unsigned i = 0; crowd->connected == MANY && i < MANY; i++) {
        rt_wake(crowd->wakers[i]); /* the last to come lets all go on */
    }
    while (crowd->connected < MANY) {
        T_CHECK(rt_park(LIMIT) == 0);
    }
    T_CHECK(rt_tcp_send(stream, &number, sizeof(number), LIMIT) == sizeof(number));
    T_CHECK(rt_tcp_recv(stream, &answer, sizeof(answer), LIMIT) == sizeof(answer));
    T_CHECK(answer == ~number);
    rt_tcp_close(stream);
    return 0;
}

static int gather_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct rt_group clients = RT_GROUP_INIT;
    struct rt_task *server;

    T_CHECK(rt_tcp_listen(&crowd->listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(crowd->listener, crowd->address, sizeof(crowd->address)) == 0);
    T_CHECK(rt_spawn(&server, crowd_serve, crowd) == 0);
    for (unsigned i = 0; i < MANY; i++) {
        T_CHECK(rt_group_spawn(&clients, crowd_client, crowd) == 0);
    }
    T_CHECK(rt_group_leave(&clients, LIMIT) == 0);
    T_CHECK(rt_join(server, NULL, LIMIT) == 0);
    rt_tcp_listener_close(crowd->listener);
    return 0;
}

static rlim_t set_descriptor_limit(rlim_t limit)
{
    struct rlimit old;
    struct rlimit new;

    T_CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    new = old;
    new.rlim_cur = limit < old.rlim_max ? limit : old.rlim_max;
    T_CHECK(setrlimit(RLIMIT_NOFILE, &new) == 0);
    return old.rlim_cur;
}

static void a_thousand_connections_are_open_at_once(void **state)
{
    static struct crowd crowd;
    const rlim_t limit = set_descriptor_limit(DESCRIPTORS_MAX);
    struct rlimit now;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    if (now.rlim_cur < 2 * MANY + 64) {
        (void)set_descriptor_limit(limit);
        print_message("skipped: at most %llu descriptors here\n", (unsigned long long)now.rlim_cur);
        skip();
    }
    memset(&crowd, 0, sizeof(crowd));
    run(gather_crowd, &crowd);
    (void)set_descriptor_limit(limit);
    assert_int_equal(crowd.connected, MANY);
}

/* Want of descriptors */

#define WAITING 4

struct short_of {
    struct rt_tcp_listener *listener;
    char letters[WAITING + 1]; /* one from each connection, in order of their coming */
};

static int accept_all(void *arg)
{
    struct short_of *world = arg;
    struct rt_tcp_stream *stream;

    for (unsigned i = 0; i < WAITING; i++) {
        T_CHECK(rt_tcp_accept(world->listener, &stream, LIMIT) == 0);
        T_CHECK(rt_tcp_recv(stream, &world->letters[i], 1, LIMIT) == 1);
        rt_tcp_close(stream);
    }
    return 0;
}

/* The limit just above what is open, so that no descriptor is to be had. */
static rlim_t take_all_descriptors(void)
{
    const int next = dup(STDERR_FILENO);

    T_CHECK(next >= 0);
    close(next);
    return set_descriptor_limit((rlim_t)next);
}

static uint64_t accept_backoffs(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.accept_backoffs;
}

static int run_short_of_descriptors(void *arg)
{
    struct rt_tcp_stream *clients[WAITING];
    struct short_of world = { 0 };
    struct rt_tcp_stream *none = NULL;
    char address[RT_TCP_ADDRESS_BYTES];
    struct rt_task *server;
    rlim_t limit;

    (void)arg;
    T_CHECK(rt_tcp_listen(&world.listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(world.listener, address, sizeof(address)) == 0);
    for (unsigned i = 0; i < WAITING; i++) {
        T_CHECK(rt_tcp_connect(&clients[i], address, NULL, LIMIT) == 0);
        T_CHECK(rt_tcp_send(clients[i], &"abcd"[i], 1, LIMIT) == 1);
    }
    limit = take_all_descriptors();
    T_CHECK(rt_tcp_connect(&none, address, NULL, LIMIT) == -EMFILE && none == NULL);
    T_CHECK(rt_spawn(&server, accept_all, &world) == 0);
    while (accept_backoffs() < 3) { /* after 0, 10 and 30 ms */
        rt_yield();
    }
    T_CHECK(!rt_is_finished(server) && world.letters[0] == '\0');
    T_CHECK(warning_count == 1 && strstr(warnings, "EMFILE") != NULL);
    (void)set_descriptor_limit(limit);
    T_CHECK(rt_join(server, NULL, LIMIT) == 0);
    T_CHECK(strcmp(world.letters, "abcd") == 0);
    T_CHECK(warning_count == 1);
    for (unsigned i = 0; i < WAITING; i++) {
        rt_tcp_close(clients[i]);
    }
    rt_tcp_listener_close(world.listener);
    return 0;
}

static void accepting_pauses_without_descriptors_and_loses_no_connection(void **state)
{
    (void)state;
    run(run_short_of_descriptors, NULL);
}

/* Nothing stays. The heap and the allocator of a sanitizer map memory of their own: not there. */

static int use_and_leave_open(void *arg)
{
    struct rt_task *task;
    struct pair pair;

    (void)arg;
    pair_open(&pair, "127.0.0.1:0", &small_buffers);
    T_CHECK(rt_spawn(&task, wait_in_send, pair.near) == 0);
    let_others_wait();
    rt_cancel(task);
    T_CHECK(rt_join(task, NULL, LIMIT) == 0);
    pair_close(&pair);
    return 0;
}

static void a_run_leaves_the_mappings_of_the_process_as_they_were(void **state)
{
    unsigned mappings;

    (void)state;
    if (RTI_ASAN || RTI_TSAN) {
        print_message("skipped: the sanitizer maps memory of its own\n");
        skip();
    }
    run(use_and_leave_open, NULL);
    mappings = t_mappings();
    run(use_and_leave_open, NULL);
    assert_int_equal(t_mappings(), mappings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_cut_off_by_its_deadline_tells_what_was_sent),
        cmocka_unit_test(a_send_cut_off_by_cancel_tells_what_was_sent),
        cmocka_unit_test(a_receive_that_ends_by_its_deadline_loses_no_byte),
        cmocka_unit_test(a_try_gets_what_has_come_already),
        cmocka_unit_test(accept_recv_and_send_end_when_their_task_is_cancelled),
        cmocka_unit_test(a_cancelled_task_is_handed_the_connections_that_wait),
        cmocka_unit_test(connect_ends_by_deadline_and_by_cancel),
        cmocka_unit_test(a_close_ends_the_receive_and_the_send_of_others_with_epipe),
        cmocka_unit_test(a_thousand_connections_are_open_at_once),
        cmocka_unit_test(accepting_pauses_without_descriptors_and_loses_no_connection),
        cmocka_unit_test(a_run_leaves_the_mappings_of_the_process_as_they_were),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
