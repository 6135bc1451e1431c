/* SPDX-License-Identifier: MIT */
/*
 * Cancel and deadline at each stage of each kind of operation.
 *
 * A worker begins one operation. A second task meets it at a stage: in the
 * submission queue (a), with the kernel and cancellable (b) or not (r), done in
 * the kernel but without a completion (c), completed but not reaped (d). There
 * it cancels the worker, or the worker's deadline passes. The result must be one
 * that the stage allows, the buffer must not be touched after the call
 * returned (the sim poisons it), and nothing may be left.
 */
#include "support/harness.h"
#include "support/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "rt/rt.h"

enum stage { STAGE_SQ, STAGE_QUEUED, STAGE_RUNNING, STAGE_DONE, STAGE_POSTED, STAGES };

static const char *const stage_names[] = { "in the submission queue", "queued", "running", "done",
                                           "posted" };

struct world {
    struct rt_file *file;
    struct rt_buffer *buffer;
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *stream;
    int peer;         /* the other side of stream */
    int far_listener; /* of the sim, for connect */
    char far_address[RT_TCP_ADDRESS_BYTES];
    char buf[64];
};

struct kind {
    const char *name;
    int opcode;
    int natural; /* the result without a cancel */
    ssize_t (*call)(struct world *world, rt_time deadline);
};

static ssize_t call_open(struct world *world, rt_time deadline)
{
    struct rt_file *file;
    int r = rt_file_open(&file, "data", O_RDONLY, 0, deadline);

    (void)world;
    if (r == 0) {
        T_CHECK(rt_file_close(file) == 0);
    }
    return r;
}

static ssize_t call_read(struct world *world, rt_time deadline)
{
    return rt_file_read_at(world->file, world->buf, 4, 0, deadline);
}

static ssize_t call_write(struct world *world, rt_time deadline)
{
    return rt_file_write_at(world->file, "wxyz", 4, 8, deadline);
}

static ssize_t call_read_buffer(struct world *world, rt_time deadline)
{
    return rt_file_read_buffer(world->file, world->buffer, 8, 4, 0, deadline);
}

static ssize_t call_write_buffer(struct world *world, rt_time deadline)
{
    return rt_file_write_buffer(world->file, world->buffer, 8, 4, 8, deadline);
}

static ssize_t call_stat(struct world *world, rt_time deadline)
{
    struct rt_file_stat stat;

    return rt_file_stat(world->file, &stat, deadline);
}

static ssize_t call_sync(struct world *world, rt_time deadline)
{
    return rt_file_sync(world->file, deadline);
}

static ssize_t call_datasync(struct world *world, rt_time deadline)
{
    return rt_file_datasync(world->file, deadline);
}

static ssize_t call_accept(struct world *world, rt_time deadline)
{
    struct rt_tcp_stream *stream;
    int r = rt_tcp_accept(world->listener, &stream, deadline);

    if (r == 0) {
        rt_tcp_close(stream);
    }
    return r;
}

static ssize_t call_connect(struct world *world, rt_time deadline)
{
    struct rt_tcp_stream *stream;
    int r = rt_tcp_connect(&stream, world->far_address, NULL, deadline);

    if (r == 0) {
        rt_tcp_close(stream);
    }
    return r;
}

static ssize_t call_recv(struct world *world, rt_time deadline)
{
    return rt_tcp_recv(world->stream, world->buf, sizeof(world->buf), deadline);
}

static ssize_t call_send(struct world *world, rt_time deadline)
{
    return rt_tcp_send(world->stream, "hello", 5, deadline);
}

static ssize_t call_nop(struct world *world, rt_time deadline)
{
    (void)world;
    return rt_nop(deadline);
}

static const struct kind kinds[] = {
    { "open", IORING_OP_OPENAT, 0, call_open },
    { "read", IORING_OP_READ, 4, call_read },
    { "write", IORING_OP_WRITE, 4, call_write },
    { "read into a buffer", IORING_OP_READ_FIXED, 4, call_read_buffer },
    { "write from a buffer", IORING_OP_WRITE_FIXED, 4, call_write_buffer },
    { "stat", IORING_OP_STATX, 0, call_stat },
    { "sync", IORING_OP_FSYNC, 0, call_sync },
    { "datasync", IORING_OP_FSYNC, 0, call_datasync },
    { "accept", IORING_OP_ACCEPT, 0, call_accept },
    { "connect", IORING_OP_CONNECT, 0, call_connect },
    { "recv", IORING_OP_RECV, 3, call_recv },
    { "send", IORING_OP_SEND, 5, call_send },
    { "nop", IORING_OP_NOP, 0, call_nop },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* One case */

struct run {
    const struct kind *kind;
    enum stage stage;
    bool by_deadline;
    struct world world;
    ssize_t result;
    bool returned;
};

static int worker(void *arg)
{
    struct run *run = arg;

    run->result = run->kind->call(&run->world,
                                  run->by_deadline ? rt_in(RT_MILLISECONDS(1)) : RT_NEVER);
    run->returned = true;
    return 0;
}

static uint16_t port_of(const char *address)
{
    return (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

static void open_world(struct world *world)
{
    struct sockaddr_in far = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in near = far;
    char text[RT_TCP_ADDRESS_BYTES];

    sim_file_put("data", "abcdefgh", 8);
    world->far_listener = sim_peer_listen((struct sockaddr *)&far, sizeof(far), 8);
    snprintf(world->far_address, sizeof(world->far_address), "127.0.0.1:%u", ntohs(far.sin_port));
    T_CHECK(rt_file_open(&world->file, "data", O_RDWR, 0, RT_NEVER) == 0);
    T_CHECK(rt_buffer_get(&world->buffer, 1) == 0);
    T_CHECK(rt_tcp_listen(&world->listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(world->listener, text, sizeof(text)) == 0);
    near.sin_port = htons(port_of(text));
    world->peer = sim_peer_connect((struct sockaddr *)&near, sizeof(near));
    T_CHECK(rt_tcp_accept(world->listener, &world->stream, RT_NEVER) == 0);
}

static void close_world(struct world *world)
{
    int peer;

    while ((peer = sim_peer_accept(world->far_listener)) >= 0) {
        sim_peer_close(peer);
    }
    sim_peer_close(world->far_listener);
    sim_peer_close(world->peer);
    rt_tcp_close(world->stream);
    rt_tcp_listener_close(world->listener);
    rt_buffer_put(world->buffer);
    T_CHECK(rt_file_close(world->file) == 0);
}

/* What the operation waits for happens. */
static void help(struct run *run, struct rt_tcp_listener *listener)
{
    struct sockaddr_in near = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char text[RT_TCP_ADDRESS_BYTES];
    int peer;

    if (run->kind->opcode == IORING_OP_RECV) {
        T_CHECK(sim_peer_send(run->world.peer, "abc", 3) == 3);
    } else if (run->kind->opcode == IORING_OP_ACCEPT) {
        T_CHECK(rt_tcp_listener_address(listener, text, sizeof(text)) == 0);
        near.sin_port = htons(port_of(text));
        peer = sim_peer_connect((struct sockaddr *)&near, sizeof(near));
        T_CHECK(peer >= 0);
        sim_peer_close(peer);
    }
}

static bool allowed(const struct run *run, int aborted)
{
    const bool natural = run->result == run->kind->natural;

    switch (run->stage) {
    case STAGE_SQ:
        return natural || run->result == aborted;
    case STAGE_QUEUED:
        return run->result == aborted;
    case STAGE_RUNNING:
    case STAGE_DONE:
    case STAGE_POSTED:
    case STAGES:
    default:
        return natural; /* O2: it was too late, and nothing may be lost */
    }
}

static void hold_for(const struct run *run)
{
    switch (run->stage) {
    case STAGE_QUEUED:
        sim_hold(run->kind->opcode, SIM_QUEUED);
        break;
    case STAGE_RUNNING:
        sim_hold(run->kind->opcode, SIM_RUNNING);
        break;
    case STAGE_DONE:
    case STAGE_POSTED:
        sim_hold(run->kind->opcode, SIM_DONE);
        break;
    case STAGE_SQ:
    case STAGES:
    default:
        break;
    }
}

static int meet(void *arg)
{
    struct run *run = arg;
    struct rt_task *task;

    open_world(&run->world);
    hold_for(run);
    if (run->stage >= STAGE_RUNNING || !run->by_deadline) {
        help(run, run->world.listener);
    }
    T_CHECK(rt_spawn(&task, worker, run) == 0);
    rt_yield(); /* the worker fills its entry and waits */
    if (run->stage != STAGE_SQ) {
        T_CHECK(rt_sleep_until(rt_in(RT_MICROSECONDS(500))) == 0); /* it is with the kernel */
        T_CHECK(sim_held(run->kind->opcode) == 1);
    }
    if (run->stage == STAGE_POSTED) {
        sim_unhold();
        T_CHECK(sim_release(run->kind->opcode, 1, SIM_NATURAL) == 1);
        sim_post(); /* visible in the ring; the loop has not looked yet */
    }
    if (!run->by_deadline) {
        rt_cancel(task);
    }
    if (run->stage == STAGE_RUNNING || run->stage == STAGE_DONE) {
        T_CHECK(rt_sleep_until(rt_in(RT_MILLISECONDS(2))) == 0); /* cancel or deadline has come */
        T_CHECK(!run->returned);                                 /* O1: the task stays */
        sim_unhold();
        T_CHECK(sim_release(run->kind->opcode, 1, SIM_NATURAL) == 1);
    }
    T_CHECK(rt_join(task, NULL, RT_NEVER) == 0);
    sim_unhold();
    close_world(&run->world);
    return 0;
}

static void meet_at(enum stage stage, bool by_deadline)
{
    for (size_t k = 0; k < KINDS; k++) {
        struct run run = { .kind = &kinds[k], .stage = stage, .by_deadline = by_deadline };
        const int aborted = by_deadline ? -ETIME : -ECANCELED;
        unsigned failures;

        sim_begin(&(struct sim_config){ .seed = 1, .poison = true });
        T_CHECK(rt_run(NULL, meet, &run) == 0);
        T_CHECK(sim_end(NULL) == 0);
        T_CHECK(allowed(&run, aborted));
        failures = t_failures();
        if (failures > 0) {
            fprintf(stderr, "%s, %s by %s: result %zd\n", kinds[k].name, stage_names[stage],
                    by_deadline ? "deadline" : "cancel", run.result);
        }
        assert_int_equal(failures, 0);
    }
}

static void cancel_meets_an_operation_in_the_submission_queue(void **state)
{
    (void)state;
    meet_at(STAGE_SQ, false);
}

static void cancel_meets_an_operation_that_can_be_cancelled(void **state)
{
    (void)state;
    meet_at(STAGE_QUEUED, false);
}

static void cancel_meets_an_operation_that_runs(void **state)
{
    (void)state;
    meet_at(STAGE_RUNNING, false);
}

static void cancel_meets_an_operation_that_is_done(void **state)
{
    (void)state;
    meet_at(STAGE_DONE, false);
}

static void cancel_meets_a_completion_that_was_not_reaped(void **state)
{
    (void)state;
    meet_at(STAGE_POSTED, false);
}

static void a_deadline_passes_while_an_operation_can_be_cancelled(void **state)
{
    (void)state;
    meet_at(STAGE_QUEUED, true);
}

static void a_deadline_passes_while_an_operation_runs(void **state)
{
    (void)state;
    meet_at(STAGE_RUNNING, true);
}

static void a_deadline_passes_when_an_operation_is_done(void **state)
{
    (void)state;
    meet_at(STAGE_DONE, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_meets_an_operation_in_the_submission_queue),
        cmocka_unit_test(cancel_meets_an_operation_that_can_be_cancelled),
        cmocka_unit_test(cancel_meets_an_operation_that_runs),
        cmocka_unit_test(cancel_meets_an_operation_that_is_done),
        cmocka_unit_test(cancel_meets_a_completion_that_was_not_reaped),
        cmocka_unit_test(a_deadline_passes_while_an_operation_can_be_cancelled),
        cmocka_unit_test(a_deadline_passes_while_an_operation_runs),
        cmocka_unit_test(a_deadline_passes_when_an_operation_is_done),
    };

    (void)unsetenv("RT_DISABLE"); /* other operations would be submitted */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
