/* SPDX-License-Identifier: MIT */
/*
 * Cancels that do not get through at once, and waits that they must not reach:
 * those of calls that only give something back.
 *
 * A giver closes, shuts down or leaves, and is cancelled at each stage of that:
 * while the kernel works on it, while it waits for room in the ring, and after
 * it was granted room. The call must do its work, and the kernel must not be
 * asked to cancel it. Of other calls the kernel is asked until it answers.
 */
#include "support/first.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

#define ENTERS_FAIL 8
#define YIELDS_MAX  10000
#define STEP_MAX    2000 /* ns of an enter or a look at the clock, where time has to pass */

static uint64_t cancels_seen(void)
{
    return sim_stats()->by_opcode[IORING_OP_ASYNC_CANCEL];
}

/* What can be given back */

struct world {
    struct rt_file *file;
    struct rt_file *other; /* of the occupant */
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    int peer;
};

static struct world world;

static int close_file(void *arg)
{
    struct rt_file *file = world.file;

    (void)arg;
    world.file = NULL;
    return rt_file_close(file);
}

static int close_listener(void *arg)
{
    struct rt_tcp_listener *listener = world.listener;

    (void)arg;
    world.listener = NULL;
    rt_tcp_listener_close(listener);
    return 0;
}

static int close_stream(void *arg)
{
    struct rt_tcp_stream *stream = world.stream;

    (void)arg;
    world.stream = NULL;
    rt_tcp_close(stream);
    return 0;
}

static int shut_down(void *arg)
{
    (void)arg;
    return rt_tcp_shutdown_send(world.stream);
}

struct gift {
    const char *name;
    int opcode;
    rt_task_fn give;
};

static const struct gift gifts[] = {
    { "file", IORING_OP_CLOSE, close_file },
    { "listener", IORING_OP_CLOSE, close_listener },
    { "stream", IORING_OP_CLOSE, close_stream },
    { "shutdown", IORING_OP_SHUTDOWN, shut_down },
};

#define GIFTS (sizeof(gifts) / sizeof(gifts[0]))

static void open_world(void)
{
    struct sockaddr_in near = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    char text[RT_TCP_ADDRESS_BYTES];

    T_CHECK(rt_file_open(&world.file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_open(&world.other, "data", O_RDONLY, 0, RT_NEVER) == 0);
    T_CHECK(rt_tcp_listen(&world.listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(world.listener, text, sizeof(text)) == 0);
    near.sin_port = htons((uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10));
    world.peer = sim_peer_connect((struct sockaddr *)&near, sizeof(near));
    T_CHECK(rt_tcp_accept(world.listener, &world.stream, RT_NEVER) == 0);
}

static void close_world(void)
{
    sim_peer_close(world.peer);
    rt_tcp_close(world.stream);
    rt_tcp_listener_close(world.listener);
    T_CHECK(rt_file_close(world.file) == 0);
    T_CHECK(rt_file_close(world.other) == 0);
}

/* With the kernel */

static int cancel_with_the_kernel(void *arg)
{
    const struct gift *gift = arg;
    struct rt_task *giver;
    int result = -1;

    open_world();
    sim_hold(gift->opcode, SIM_QUEUED);
    T_CHECK(rt_spawn(&giver, gift->give, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
    T_CHECK(sim_held(gift->opcode) == 1);
    rt_cancel(giver);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(500))) == 0);
    T_CHECK(cancels_seen() == 0 && !rt_is_finished(giver));
    sim_unhold();
    T_CHECK(sim_release(gift->opcode, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_join(giver, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(cancels_seen() == 0);
    close_world();
    return 0;
}

static void a_cancel_does_not_reach_what_the_kernel_takes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < GIFTS; i++) {
        struct gift gift = gifts[i];

        assert_int_equal(run_config(NULL, cancel_with_the_kernel, &gift), 0);
    }
}

/* In the wait for room: the ring has one entry, which an occupant takes, and enters fail */

static unsigned room_waits; /* how many waits for room have begun */
static uint32_t watched_task;
static bool watched_woke;

static void watch(void *arg, const struct rt_trace_event *event)
{
    (void)arg;
    if (event->kind == RT_TRACE_WAIT && strcmp(event->what, "room in the ring") == 0) {
        room_waits++;
        watched_task = event->task;
    }
    if (event->kind == RT_TRACE_WAKE && event->task == watched_task) {
        watched_woke = true;
    }
}

static void watch_anew(void)
{
    room_waits = 0;
    watched_task = RT_TRACE_NO_TASK;
    watched_woke = false;
}

static int occupy(void *arg)
{
    char buf[4];

    (void)arg;
    return (int)rt_file_read_at(world.other, buf, sizeof(buf), 0, RT_NEVER);
}

/* When it returns, the giver waits for room. */
static void give_without_room(const struct gift *gift, struct rt_task **out_giver)
{
    open_world();
    for (unsigned i = 0; i < ENTERS_FAIL; i++) {
        sim_fail_next_enter(-EAGAIN);
    }
    watch_anew();
    T_CHECK(rt_spawn(NULL, occupy, NULL) == 0);
    T_CHECK(rt_spawn(out_giver, gift->give, NULL) == 0);
    rt_yield();
    T_CHECK(room_waits == 1);
}

static int cancel_without_room(void *arg)
{
    struct rt_task *giver;
    int result = -1;

    give_without_room(arg, &giver);
    rt_cancel(giver);
    rt_yield();
    T_CHECK(!watched_woke); /* there is no room yet, and it waits on */
    T_CHECK(rt_join(giver, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(cancels_seen() == 0);
    close_world();
    return 0;
}

/* Room came, but the giver has not run yet. */
static int cancel_with_room_granted(void *arg)
{
    struct rt_task *giver;
    int result = -1;

    give_without_room(arg, &giver);
    for (unsigned i = 0; i < YIELDS_MAX && !watched_woke; i++) {
        rt_yield();
    }
    T_CHECK(watched_woke && !rt_is_finished(giver));
    rt_cancel(giver);
    T_CHECK(rt_join(giver, &result, RT_NEVER) == 0 && result == 0);
    T_CHECK(cancels_seen() == 0);
    close_world();
    return 0;
}

static void give_all_without_room(rt_task_fn first)
{
    struct rt_config config = RT_CONFIG_INIT;

    config.ring_entries = 1;
    config.trace = watch;
    for (size_t i = 0; i < GIFTS; i++) {
        struct gift gift = gifts[i];
        const struct sim_config sim = { .seed = 1, .step_max = STEP_MAX };

        assert_int_equal(run_sim(&sim, &config, first, &gift), 0);
    }
}

static void a_cancel_does_not_end_the_wait_for_room_to_give_back(void **state)
{
    (void)state;
    give_all_without_room(cancel_without_room);
}

static void a_cancelled_giver_uses_the_room_that_it_was_granted(void **state)
{
    (void)state;
    give_all_without_room(cancel_with_room_granted);
}

/* Leaving a group */

static struct rt_group group;
static rt_time drain_deadline;
static int child_result;
static uint32_t live_when_left;

static int leave_the_group(void *arg)
{
    (void)arg;
    T_CHECK(rt_group_leave(&group, drain_deadline) == 0);
    live_when_left = rt_group_live(&group);
    return 0;
}

static int cancelled_then_leave(void *arg)
{
    rt_cancel_self();
    return leave_the_group(arg);
}

static int sleep_in_the_group(void *arg)
{
    child_result = rt_sleep_until(rt_in(RT_MILLISECONDS(10)));
    (void)arg;
    return 0;
}

static int read_in_the_group(void *arg)
{
    char buf[4];

    child_result = (int)rt_file_read_at(arg, buf, sizeof(buf), 0, RT_NEVER);
    return 0;
}

static void begin_group(rt_time deadline)
{
    group = (struct rt_group)RT_GROUP_INIT;
    drain_deadline = deadline;
    child_result = 1;
    live_when_left = UINT32_MAX;
}

static int cancel_while_the_group_drains(void *arg)
{
    const bool early = *(const bool *)arg;
    const rt_time start = rt_now();
    struct rt_task *leaver;

    begin_group(start + RT_MILLISECONDS(20));
    T_CHECK(rt_group_spawn(&group, sleep_in_the_group, NULL) == 0);
    T_CHECK(rt_spawn(&leaver, early ? cancelled_then_leave : leave_the_group, NULL) == 0);
    T_CHECK(rt_sleep_until(start + RT_MILLISECONDS(5)) == 0);
    rt_cancel(leaver);
    T_CHECK(rt_join(leaver, NULL, RT_NEVER) == 0);
    T_CHECK(child_result == 0); /* it had time until the deadline */
    T_CHECK(rt_now() == start + RT_MILLISECONDS(10));
    T_CHECK(live_when_left == 0);
    return 0;
}

static void a_cancelled_leaver_lets_the_group_drain(void **state)
{
    bool early = false;

    (void)state;
    run_config(NULL, cancel_while_the_group_drains, &early);
    early = true;
    run_config(NULL, cancel_while_the_group_drains, &early);
}

static int cancel_while_the_group_ends(void *arg)
{
    struct rt_file *file;
    struct rt_task *leaver;

    (void)arg;
    T_CHECK(rt_file_open(&file, "data", O_RDONLY, 0, RT_NEVER) == 0);
    begin_group(0);
    sim_hold(IORING_OP_READ, SIM_RUNNING); /* so its cancel has to wait */
    T_CHECK(rt_group_spawn(&group, read_in_the_group, file) == 0);
    rt_yield();
    T_CHECK(rt_spawn(&leaver, leave_the_group, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(5))) == 0);
    T_CHECK(cancels_seen() > 0 && !rt_is_finished(leaver)); /* the group was cancelled */
    rt_cancel(leaver);
    T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(5))) == 0);
    T_CHECK(!rt_is_finished(leaver) && rt_group_live(&group) == 1);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 1, SIM_NATURAL) == 1);
    T_CHECK(rt_join(leaver, NULL, RT_NEVER) == 0);
    T_CHECK(child_result == 4 && live_when_left == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_cancelled_leaver_waits_until_the_cancelled_group_has_ended(void **state)
{
    (void)state;
    run_config(NULL, cancel_while_the_group_ends, NULL);
}

/* An interrupted worker */

static int read_for_ever(void *arg)
{
    char buf[4];

    (void)arg;
    return (int)rt_file_read_at(world.file, buf, sizeof(buf), 0, RT_NEVER);
}

static int read_for_a_while(void *arg)
{
    char buf[4];

    (void)arg;
    return (int)rt_file_read_at(world.file, buf, sizeof(buf), 0, rt_in(RT_MILLISECONDS(1)));
}

/* The read ends with -EINTR; `cancel`: after its task was cancelled. */
static int interrupt(rt_task_fn fn, bool cancel, rt_time pause)
{
    struct rt_task *task;
    int result = 0;

    sim_hold(IORING_OP_READ, SIM_RUNNING);
    T_CHECK(rt_spawn(&task, fn, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(100))) == 0);
    if (cancel) {
        rt_cancel(task);
    }
    T_CHECK(rt_sleep_until(rt_in(pause)) == 0);
    sim_unhold();
    T_CHECK(sim_release(IORING_OP_READ, 1, -EINTR) == 1);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return result;
}

static int interrupt_reads(void *arg)
{
    (void)arg;
    open_world();
    T_CHECK(interrupt(read_for_ever, true, RT_MICROSECONDS(100)) == -ECANCELED);
    T_CHECK(interrupt(read_for_a_while, false, RT_MILLISECONDS(2)) == -ETIME);
    T_CHECK(interrupt(read_for_a_while, true, RT_MILLISECONDS(2)) == -ECANCELED);
    T_CHECK(interrupt(read_for_ever, false, RT_MICROSECONDS(100)) == -EINTR); /* not our doing */
    close_world();
    return 0;
}

static void an_operation_that_its_cancel_interrupts_tells_the_reason(void **state)
{
    (void)state;
    assert_int_equal(run_config(NULL, interrupt_reads, NULL), 0);
}

/* Cancels that miss */

static bool has_deadline;

static rt_time soon(void)
{
    return has_deadline ? rt_in(RT_MILLISECONDS(1)) : RT_NEVER;
}

static int accept_soon(void *arg)
{
    struct rt_tcp_stream *accepted = NULL;

    (void)arg;
    return rt_tcp_accept(world.listener, &accepted, soon());
}

static int recv_soon(void *arg)
{
    char byte;

    (void)arg;
    return (int)rt_tcp_recv(world.stream, &byte, 1, soon());
}

static int send_soon(void *arg)
{
    (void)arg;
    return (int)rt_tcp_send(world.stream, "x", 1, soon());
}

static void miss_the_first_cancel(int opcode, rt_task_fn fn)
{
    const uint64_t before = cancels_seen();
    struct rt_task *task;
    rt_time asked;
    int result = 0;

    sim_hold(opcode, SIM_QUEUED);
    sim_lose_next_cancel(-ENOENT);
    T_CHECK(rt_spawn(&task, fn, NULL) == 0);
    T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(500))) == 0);
    T_CHECK(sim_held(opcode) == 1);
    if (!has_deadline) {
        rt_cancel(task);
    }
    asked = rt_in(has_deadline ? RT_MICROSECONDS(500) : 0);
    T_CHECK(rt_join(task, &result, rt_in(RT_MILLISECONDS(100))) == 0);
    T_CHECK(result == (has_deadline ? -ETIME : -ECANCELED));
    T_CHECK(cancels_seen() == before + 2);
    T_CHECK(rt_now() > asked && rt_now() - asked <= RT_MILLISECONDS(100));
    sim_unhold();
}

static int miss_cancels(void *arg)
{
    (void)arg;
    open_world();
    for (int i = 0; i < 2; i++) {
        has_deadline = i == 1;
        miss_the_first_cancel(IORING_OP_ACCEPT, accept_soon);
        miss_the_first_cancel(IORING_OP_RECV, recv_soon);
        miss_the_first_cancel(IORING_OP_SEND, send_soon);
    }
    close_world();
    return 0;
}

static void a_cancel_that_the_kernel_missed_is_sent_again(void **state)
{
    (void)state;
    assert_int_equal(run_config(NULL, miss_cancels, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_does_not_reach_what_the_kernel_takes_back),
        cmocka_unit_test(a_cancel_does_not_end_the_wait_for_room_to_give_back),
        cmocka_unit_test(a_cancelled_giver_uses_the_room_that_it_was_granted),
        cmocka_unit_test(a_cancelled_leaver_lets_the_group_drain),
        cmocka_unit_test(a_cancelled_leaver_waits_until_the_cancelled_group_has_ended),
        cmocka_unit_test(an_operation_that_its_cancel_interrupts_tells_the_reason),
        cmocka_unit_test(a_cancel_that_the_kernel_missed_is_sent_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
