/* SPDX-License-Identifier: MIT */
/*
 * Want of something: of a peer that stays, of descriptors, of room in the ring
 * and in its completion queue. Under the simulated kernel, so every pause is
 * exact and every order chosen.
 *
 * The part on room: in a ring of one entry the "occupant" takes the entry, and
 * enters fail, so that who comes next waits for room. The clock moves a little
 * at each enter there (STEP_MAX), or no deadline would ever pass.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

static unsigned warnings;
static char last_warning[512];

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    warnings++;
    snprintf(last_warning, sizeof(last_warning), "%s", text);
}

static struct rt_config quiet_config(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.log = keep_line;
    return config;
}

static void run(const struct sim_config *sim_config, const struct rt_config *config,
                rt_task_fn first)
{
    int r;

    warnings = 0;
    sim_begin(sim_config);
    r = rt_run(config, first, NULL);
    assert_int_equal(sim_end(NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

static void run_accept(rt_task_fn first)
{
    const struct rt_config config = quiet_config();

    run(&(struct sim_config){ .seed = 1 }, &config, first);
}

/* A listener, and the address that a peer of the sim connects to. */
static struct sockaddr_in listen_at_any_port(struct rt_tcp_listener **out)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_tcp_listen(out, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(*out, text, sizeof(text)) == 0);
    address.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    return address;
}

static int connect_to(const struct sockaddr_in *address)
{
    const int peer = sim_peer_connect((const struct sockaddr *)address, sizeof(*address));

    T_CHECK(peer >= 0);
    return peer;
}

static uint64_t backoffs(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats.accept_backoffs;
}

/* Accept: errors that are not the listener's */

static const int peers_faults[] = { ECONNABORTED, EPROTO,       ENETDOWN, ENOPROTOOPT,
                                    EHOSTDOWN,    EHOSTUNREACH, ENONET,   ENETUNREACH };

static int accept_despite_faults(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    const struct sockaddr_in address = listen_at_any_port(&listener);
    const rt_time start = rt_now();
    const int peer = connect_to(&address);

    (void)arg;
    for (unsigned i = 0; i < sizeof(peers_faults) / sizeof(peers_faults[0]); i++) {
        sim_fail_next(IORING_OP_ACCEPT, -peers_faults[i]);
    }
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
    T_CHECK(rt_now() == start && backoffs() == 0 && warnings == 0); /* no reason to pause */
    rt_tcp_close(stream);
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_connection_that_its_peer_gave_up_is_skipped(void **state)
{
    (void)state;
    run_accept(accept_despite_faults);
}

static int fail_to_accept(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream = NULL;

    (void)arg;
    (void)listen_at_any_port(&listener);
    sim_fail_next(IORING_OP_ACCEPT, -EINVAL);
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == -EINVAL && stream == NULL);
    T_CHECK(backoffs() == 0);
    rt_tcp_listener_close(listener);
    return 0;
}

static void an_error_of_the_listener_is_the_result_of_accept(void **state)
{
    (void)state;
    run_accept(fail_to_accept);
}

/* Accept: want of descriptors and memory */

#define PAUSES 10

static rt_time accept_times[PAUSES + 2]; /* when each accept was handed to the kernel */
static unsigned accept_count;

static void note_accepts(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_SUBMIT && strcmp(event->what, "accept") == 0 &&
        accept_count < PAUSES + 2) {
        accept_times[accept_count++] = event->time;
    }
}

static const int shortages[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };

static int accept_in_shortage(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    const struct sockaddr_in address = listen_at_any_port(&listener);
    const int peer = connect_to(&address);

    (void)arg;
    for (unsigned i = 0; i < PAUSES; i++) {
        sim_fail_next(IORING_OP_ACCEPT, -shortages[i % 4]);
    }
    T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0); /* the connection has waited */
    T_CHECK(backoffs() == PAUSES);
    T_CHECK(warnings == 1 && strstr(last_warning, "EMFILE") != NULL);
    rt_tcp_close(stream);
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    return 0;
}

static void pauses_of_accept_double_up_to_a_second_and_warn_once(void **state)
{
    struct rt_config config = quiet_config();
    rt_time pause = RT_MILLISECONDS(10);

    (void)state;
    config.trace = note_accepts;
    accept_count = 0;
    run(&(struct sim_config){ .seed = 1 }, &config, accept_in_shortage);
    assert_int_equal(accept_count, PAUSES + 1);
    for (unsigned i = 0; i < PAUSES; i++) {
        assert_int_equal(accept_times[i + 1] - accept_times[i], pause);
        pause = pause * 2 < RT_SECONDS(1) ? pause * 2 : RT_SECONDS(1);
    }
    assert_int_equal(pause, RT_SECONDS(1));
}

static int accept_in_two_shortages(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    const struct sockaddr_in address = listen_at_any_port(&listener);
    const rt_time start = rt_now();

    (void)arg;
    for (unsigned i = 0; i < 2; i++) {
        const int peer = connect_to(&address);

        sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
        T_CHECK(rt_tcp_accept(listener, &stream, RT_NEVER) == 0);
        T_CHECK(rt_now() == start + (i + 1) * RT_MILLISECONDS(10)); /* starts small again */
        rt_tcp_close(stream);
        sim_peer_close(peer);
    }
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_second_shortage_begins_with_a_short_pause(void **state)
{
    (void)state;
    run_accept(accept_in_two_shortages);
}

static int accept_with_deadline_in_shortage(void *arg)
{
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream = NULL;
    const struct sockaddr_in address = listen_at_any_port(&listener);
    const int peer = connect_to(&address);
    rt_time deadline = rt_in(RT_MILLISECONDS(4));

    (void)arg;
    sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
    T_CHECK(rt_tcp_accept(listener, &stream, deadline) == -ETIME);
    T_CHECK(rt_now() == deadline); /* within the first pause */
    sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
    T_CHECK(rt_tcp_accept(listener, &stream, 0) == -ETIME);
    T_CHECK(rt_now() == deadline && backoffs() == 2); /* a try does not pause */
    sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
    sim_fail_next(IORING_OP_ACCEPT, -EMFILE);
    deadline = rt_in(RT_MILLISECONDS(17));
    T_CHECK(rt_tcp_accept(listener, &stream, deadline) == -ETIME);
    T_CHECK(rt_now() == deadline && backoffs() == 4); /* within the second one */
    T_CHECK(stream == NULL && warnings == 1);
    T_CHECK(rt_tcp_accept(listener, &stream, 0) == 0); /* the connection was not lost */
    rt_tcp_close(stream);
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_deadline_ends_a_pause_of_accept(void **state)
{
    (void)state;
    run_accept(accept_with_deadline_in_shortage);
}

/* Returns how many it got. */
static int accept_until_cancelled(void *arg)
{
    struct rt_tcp_stream *stream;
    int count = 0;
    int r;

    while ((r = rt_tcp_accept(arg, &stream, RT_NEVER)) == 0) {
        rt_tcp_close(stream);
        count++;
    }
    T_CHECK(r == -ECANCELED);
    return count;
}

static int cancel_in_shortage(void *arg)
{
    struct rt_tcp_listener *listener;
    const struct sockaddr_in address = listen_at_any_port(&listener);
    const int peer = connect_to(&address);
    const rt_time start = rt_now();
    struct rt_task *task;
    int result = 0;

    (void)arg;
    sim_fail_next(IORING_OP_ACCEPT, -ENOMEM);
    T_CHECK(rt_spawn(&task, accept_until_cancelled, listener) == 0);
    T_CHECK(rt_sleep_until(start + RT_MILLISECONDS(3)) == 0);
    T_CHECK(backoffs() == 1);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 1); /* the one that waited */
    T_CHECK(rt_now() == start + RT_MILLISECONDS(3));
    sim_peer_close(peer);
    rt_tcp_listener_close(listener);
    return 0;
}

static void a_cancel_ends_a_pause_of_accept(void **state)
{
    (void)state;
    run_accept(cancel_in_shortage);
}

/* A tiny ring, and a full completion queue */

#define TASKS  50
#define ROUNDS 10

static int use_a_file(void *arg)
{
    const uint32_t number = rt_self_id();
    struct rt_file *file;
    uint32_t found;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDWR, 0, RT_NEVER) == 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t offset = (uint64_t)number * sizeof(found);

        found = 0;
        T_CHECK(rt_file_write_at(file, &number, sizeof(number), offset, RT_NEVER) == 4);
        T_CHECK(rt_file_read_at(file, &found, sizeof(found), offset, RT_NEVER) == 4);
        T_CHECK(found == number);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 1;
}

static bool wants_overflows;

static int use_many_files(void *arg)
{
    struct rt_task *tasks[TASKS];
    struct rt_stats stats;
    int result = 0;

    (void)arg;
    sim_file_put("data", "", 0);
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_spawn(&tasks[i], use_a_file, NULL) == 0);
    }
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_join(tasks[i], &result, rt_in(RT_SECONDS(10))) == 0 && result == 1);
    }
    rt_stats_get(&stats, sizeof(stats));
    T_CHECK(stats.ops_in_flight == 0 && stats.stale == 0);
    T_CHECK(stats.completions == (uint64_t)TASKS * (2 * ROUNDS + 2));
    T_CHECK(!wants_overflows || stats.overflows > 0);
    return 0;
}

static void a_ring_of_one_entry_serves_many_tasks(void **state)
{
    struct rt_config config = quiet_config();

    (void)state;
    config.ring_entries = 1;
    wants_overflows = false;
    run(&(struct sim_config){ .seed = 1 }, &config, use_many_files);
    run(&(struct sim_config){ .seed = 1, .delay_max = RT_MICROSECONDS(100) }, &config,
        use_many_files);
}

/* All requests take the same time, so their completions come at once. */
static void no_completion_is_lost_when_their_queue_is_full(void **state)
{
    struct rt_config config = quiet_config();

    (void)state;
    config.ring_entries = 1;
    config.cq_entries = 1;
    wants_overflows = true;
    run(&(struct sim_config){ .seed = 1,
                              .delay_min = RT_MICROSECONDS(50),
                              .delay_max = RT_MICROSECONDS(50) },
        &config, use_many_files);
    run(&(struct sim_config){ .seed = 1, /* an old kernel takes nothing more meanwhile */
                              .delay_min = RT_MICROSECONDS(50),
                              .delay_max = RT_MICROSECONDS(50),
                              .busy_on_overflow = true,
                              .kernel = SIM_KERNEL_6_1 },
        &config, use_many_files);
}

/* Waiting for room in the ring */

#define STEP_MAX     2000 /* ns; an enter or a look at the clock takes so long at most */
#define ENTERS_FAIL  40   /* about 80 us with a look at the clock for each, see above */
#define SHORT_TIME   RT_MICROSECONDS(15)
#define OCCUPANT_END RT_MILLISECONDS(20)

struct stream_pair {
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *taken; /* by the occupant */
    struct rt_tcp_stream *other;
    int taken_peer;
    int other_peer;
    struct rt_task *occupant;
};

static int recv_one(void *arg)
{
    char byte;

    return (int)rt_tcp_recv(arg, &byte, 1, RT_NEVER);
}

static int recv_one_soon(void *arg)
{
    const rt_time deadline = rt_in(SHORT_TIME);
    char byte;
    const int r = (int)rt_tcp_recv(arg, &byte, 1, deadline);

    T_CHECK(rt_now() >= deadline);
    return r;
}

static int send_one(void *arg)
{
    return (int)rt_tcp_send(arg, "x", 1, RT_NEVER);
}

/* After this the ring has no room for as long as the enters fail. */
static void occupy(struct stream_pair *pair)
{
    const struct sockaddr_in address = listen_at_any_port(&pair->listener);

    pair->taken_peer = connect_to(&address);
    pair->other_peer = connect_to(&address);
    T_CHECK(rt_tcp_accept(pair->listener, &pair->taken, RT_NEVER) == 0);
    T_CHECK(rt_tcp_accept(pair->listener, &pair->other, RT_NEVER) == 0);
    for (unsigned i = 0; i < ENTERS_FAIL; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    T_CHECK(rt_spawn(&pair->occupant, recv_one, pair->taken) == 0);
}

static void vacate(struct stream_pair *pair)
{
    int result = 0;

    T_CHECK(rt_sleep_until(rt_in(OCCUPANT_END)) == 0); /* all failing enters are used up */
    T_CHECK(sim_peer_send(pair->taken_peer, "x", 1) == 1);
    T_CHECK(rt_join(pair->occupant, &result, RT_NEVER) == 0 && result == 1);
    rt_tcp_close(pair->taken);
    rt_tcp_close(pair->other);
    sim_peer_close(pair->taken_peer);
    sim_peer_close(pair->other_peer);
    rt_tcp_listener_close(pair->listener);
}

static void run_room(rt_task_fn first, rt_trace_fn trace)
{
    struct rt_config config = quiet_config();

    config.ring_entries = 1;
    config.trace = trace;
    run(&(struct sim_config){ .seed = 1, .step_max = STEP_MAX }, &config, first);
}

/* What the task that comes second waits for, as the trace tells it. */
static char waits[256];

static void note_waits(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_WAIT) {
        const size_t used = strlen(waits);

        snprintf(waits + used, sizeof(waits) - used, "%s;", event->what);
    }
}

static int wait_for_room(void *arg)
{
    struct stream_pair pair;
    struct rt_task *task;
    int result = 0;

    (void)arg;
    occupy(&pair);
    waits[0] = '\0';
    T_CHECK(rt_spawn(&task, recv_one, pair.other) == 0);
    T_CHECK(sim_peer_send(pair.other_peer, "y", 1) == 1);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == 1);
    T_CHECK(strcmp(waits, "join;recv;room in the ring;recv;") == 0);
    vacate(&pair);
    return 0;
}

static void a_task_waits_for_room_and_then_does_its_operation(void **state)
{
    (void)state;
    run_room(wait_for_room, note_waits);
}

static int time_out_without_room(void *arg)
{
    struct stream_pair pair;
    struct rt_task *task;
    int result = 0;

    (void)arg;
    occupy(&pair);
    T_CHECK(rt_spawn(&task, recv_one_soon, pair.other) == 0);
    waits[0] = '\0';
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ETIME);
    T_CHECK(strcmp(waits, "join;recv;room in the ring;") == 0); /* it never came to its recv */
    vacate(&pair);
    return 0;
}

static void a_deadline_ends_the_wait_for_room(void **state)
{
    (void)state;
    run_room(time_out_without_room, note_waits);
}

static int cancel_without_room(void *arg)
{
    struct stream_pair pair;
    struct rt_task *task;
    int result = 0;

    (void)arg;
    occupy(&pair);
    T_CHECK(rt_spawn(&task, recv_one, pair.other) == 0);
    waits[0] = '\0';
    rt_yield();
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED);
    T_CHECK(strcmp(waits, "recv;room in the ring;join;") == 0);
    vacate(&pair);
    return 0;
}

static void a_cancel_ends_the_wait_for_room(void **state)
{
    (void)state;
    run_room(cancel_without_room, note_waits);
}

/* Room comes, the task is scheduled, and before it runs it is cancelled: its operation is a later
 * wait, and so must not be begun. */

static uint32_t watched_task;
static bool watched_woke;

static void note_the_wake(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    watched_woke = watched_woke || (event->kind == RT_TRACE_WAKE && event->task == watched_task);
}

static int number_and_recv(void *arg)
{
    watched_task = rt_self_id();
    return recv_one(arg);
}

static int cancel_between_room_and_run(void *arg)
{
    struct stream_pair pair;
    struct rt_task *task;
    int result = 0;

    (void)arg;
    occupy(&pair);
    watched_task = RT_TRACE_NO_TASK;
    watched_woke = false;
    T_CHECK(rt_spawn(&task, number_and_recv, pair.other) == 0);
    while (!watched_woke) {
        rt_yield(); /* so this task stands before the other one in the queue */
    }
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, rt_in(RT_SECONDS(1))) == 0 && result == -ECANCELED);
    if (result == 0) { /* it waits on, cancelled: end it, so that the test ends */
        T_CHECK(sim_peer_send(pair.other_peer, "y", 1) == 1);
        T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    }
    vacate(&pair);
    return 0;
}

static void a_cancel_that_comes_between_room_and_run_counts(void **state)
{
    (void)state;
    run_room(cancel_between_room_and_run, note_the_wake);
}

static int close_without_room(void *arg)
{
    struct stream_pair pair;
    struct rt_task *reader;
    struct rt_task *writer;
    int result = 0;

    (void)arg;
    occupy(&pair);
    T_CHECK(rt_spawn(&reader, recv_one, pair.other) == 0);
    T_CHECK(rt_spawn(&writer, send_one, pair.other) == 0);
    waits[0] = '\0';
    rt_yield();
    rt_tcp_close(pair.other); /* must not free what the two come back to */
    pair.other = NULL;
    T_CHECK(strncmp(waits, "recv;room in the ring;room in the ring;tcp close;", 49) == 0);
    T_CHECK(rt_join(reader, &result, RT_NEVER) == 0 && result == -EPIPE);
    T_CHECK(rt_join(writer, &result, RT_NEVER) == 0 && result == -EPIPE);
    vacate(&pair);
    return 0;
}

static void a_close_waits_for_users_of_the_stream_that_wait_for_room(void **state)
{
    (void)state;
    run_room(close_without_room, note_waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_its_peer_gave_up_is_skipped),
        cmocka_unit_test(an_error_of_the_listener_is_the_result_of_accept),
        cmocka_unit_test(pauses_of_accept_double_up_to_a_second_and_warn_once),
        cmocka_unit_test(a_second_shortage_begins_with_a_short_pause),
        cmocka_unit_test(a_deadline_ends_a_pause_of_accept),
        cmocka_unit_test(a_cancel_ends_a_pause_of_accept),
        cmocka_unit_test(a_ring_of_one_entry_serves_many_tasks),
        cmocka_unit_test(no_completion_is_lost_when_their_queue_is_full),
        cmocka_unit_test(a_task_waits_for_room_and_then_does_its_operation),
        cmocka_unit_test(a_deadline_ends_the_wait_for_room),
        cmocka_unit_test(a_cancel_ends_the_wait_for_room),
        cmocka_unit_test(a_cancel_that_comes_between_room_and_run_counts),
        cmocka_unit_test(a_close_waits_for_users_of_the_stream_that_wait_for_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
