/* SPDX-License-Identifier: MIT */
/*
 * The simulated kernel keeps the rules of the real one that tests rely on.
 *
 * Method: a ring driver of a few lines speaks to it through os/sys.h, as the
 * runtime does. sim_differential_test.c runs random programs on both kernels.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "sim_fixture.h"

/* ---- setup and register ---- */

static void setup_imitates_the_chosen_kernel(void **state)
{
    struct driver driver;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&driver, 5, 0, DEFER) >= 0);
    assert_int_equal(driver.params.sq_entries, 8);
    assert_int_equal(driver.params.cq_entries, 16);
    assert_int_equal(driver.params.features, 0x3ffff);
    driver_close(&driver);
    assert_int_equal(driver_open(&driver, 8, 0, 1U << 30), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 0, IORING_SETUP_DEFER_TASKRUN), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 0, IORING_SETUP_TASKRUN_FLAG), -EINVAL);
    assert_int_equal(driver_open(&driver, 0, 0, 0), -EINVAL);
    assert_int_equal(driver_open(&driver, 8, 4, 0), -EINVAL);
    assert_int_equal(driver_open(&driver, 40000, 0, 0), -EINVAL);
    assert_true(driver_open(&driver, 40000, 0, IORING_SETUP_CLAMP) >= 0);
    driver_close(&driver);
    assert_int_equal(sim_end(NULL), 0);

    sim_begin(&(struct sim_config){ .seed = 1, .kernel = SIM_KERNEL_6_1 });
    assert_int_equal(driver_open(&driver, 8, 0, DEFER), -EINVAL); /* NO_SQARRAY */
    assert_true(driver_open(&driver, 8, 0, DEFER & ~DRIVER_NO_SQARRAY) >= 0);
    assert_int_equal(driver.params.features, 0x1fff);
    assert_int_equal(driver_enter_for(&driver, 0, -1, 1U << 7), -EINVAL); /* NO_IOWAIT */
    driver_close(&driver);
    assert_int_equal(sim_end(NULL), 0);

    sim_begin(&(struct sim_config){ .seed = 1, .setup_result = -EPERM });
    assert_int_equal(driver_open(&driver, 8, 0, 0), -EPERM);
    assert_int_equal(sim_end(NULL), 0);
}

static void registration_works(void **state)
{
    union {
        struct io_uring_probe probe;
        char bytes[sizeof(struct io_uring_probe) + 64 * sizeof(struct io_uring_probe_op)];
    } answer;
    struct io_uring_rsrc_update update = { .offset = UINT32_MAX };
    uint32_t workers[2] = { 4, 8 };

    (void)state;
    begin(&(struct sim_config){ .seed = 1, .opcodes_missing = 1ULL << IORING_OP_MSG_RING });
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_PROBE, &answer, 64), 0);
    assert_int_equal(answer.probe.last_op, 62);
    assert_true((answer.probe.ops[IORING_OP_RECV].flags & IO_URING_OP_SUPPORTED) != 0);
    assert_true((answer.probe.ops[IORING_OP_MSG_RING].flags & IO_URING_OP_SUPPORTED) == 0);
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, workers, 2),
                     0);
    assert_int_equal(rti_sys_uring_register(ring.fd, 99, NULL, 0), -EINVAL);

    update.data = (unsigned)ring.fd;
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_REGISTER_RING_FDS, &update, 1), 1);
    assert_int_equal(update.offset, 0);
    driver_sqe(&ring, IORING_OP_NOP, 7);
    *driver_word(&ring, ring.params.sq_off.tail) = ring.tail;
    assert_int_equal(rti_sys_uring_enter(0, 1, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), 1);
    assert_int_equal(driver_take(&ring).user_data, 7);
    update.data = 0;
    assert_int_equal(rti_sys_uring_register(ring.fd, IORING_UNREGISTER_RING_FDS, &update, 1), 1);
    assert_int_equal(rti_sys_uring_enter(0, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0), -EBADF);
    assert_int_equal(rti_sys_uring_enter(-1, 0, 0, 0, NULL, 0), -EBADF);
    assert_int_equal(rti_sys_uring_enter(1, 0, 0, 0, NULL, 0), -EOPNOTSUPP);
    end();
}

static void the_array_of_indices_is_honoured(void **state)
{
    struct driver old;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&old, 4, 0, 0) >= 0);
    driver_word(&old, old.params.sq_off.array)[0] = 3;
    old.sqes[3] = (struct io_uring_sqe){ .opcode = IORING_OP_NOP, .user_data = 33 };
    old.tail = 1;
    assert_int_equal(driver_submit(&old), 1);
    assert_int_equal(driver_take(&old).user_data, 33);
    driver_word(&old, old.params.sq_off.array)[1] = 77;
    old.tail = 2;
    assert_int_equal(driver_submit(&old), 0);
    assert_int_equal(*driver_word(&old, old.params.sq_off.dropped), 1);
    driver_close(&old);
    assert_int_equal(sim_end(NULL), 0);
}

/* ---- completions ---- */

static void deferred_completions_come_20_per_enter(void **state)
{
    struct sim_config config = { .seed = 1, .delay_min = 1000, .delay_max = 1000 };

    (void)state;
    begin(&config);
    for (unsigned i = 0; i < 60; i++) {
        driver_sqe(&ring, IORING_OP_NOP, i);
    }
    assert_int_equal(driver_submit(&ring), 60);
    assert_int_equal(driver_flags(&ring), 0);
    sim_advance(1000);
    assert_int_equal(driver_flags(&ring), IORING_SQ_TASKRUN);
    assert_int_equal(driver_submit(&ring), 0); /* no GETEVENTS: nothing becomes visible */
    assert_int_equal(driver_ready(&ring), 0);
    assert_int_equal(sim_ring_owed(ring.fd), 60);
    assert_int_equal(driver_wait(&ring, 1), 0);
    assert_int_equal(driver_ready(&ring), 20);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 40);
    assert_int_equal(driver_flags(&ring), IORING_SQ_TASKRUN);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 60);
    assert_int_equal(driver_flags(&ring), 0);
    for (unsigned i = 0; i < 60; i++) {
        assert_int_equal(driver_take(&ring).user_data, i);
        driver_sqe(&ring, IORING_OP_NOP, i);
    }
    assert_int_equal(driver_submit(&ring), 60);
    sim_advance(1000);
    assert_int_equal(driver_wait(&ring, 45), 0); /* more when more are asked for */
    assert_int_equal(driver_ready(&ring), 45);
    sim_post();
    assert_int_equal(driver_ready(&ring), 60);
    end();
}

static void without_defer_completions_come_by_themselves(void **state)
{
    struct driver plain;
    struct sim_config config = { .seed = 1, .delay_min = 1000, .delay_max = 1000 };

    (void)state;
    sim_begin(&config);
    assert_true(driver_open(&plain, 8, 0, 0) >= 0);
    driver_sqe(&plain, IORING_OP_NOP, 1);
    assert_int_equal(driver_submit(&plain), 1);
    assert_int_equal(driver_ready(&plain), 0);
    sim_advance(1000);
    assert_int_equal(driver_ready(&plain), 1); /* by interrupt */
    driver_close(&plain);
    assert_true(driver_open(&plain, 8, 0, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG) >=
                0);
    driver_sqe(&plain, IORING_OP_NOP, 1);
    assert_int_equal(driver_submit(&plain), 1);
    sim_advance(1000);
    assert_int_equal(driver_ready(&plain), 0); /* at the next enter of any kind */
    assert_int_equal(driver_flags(&plain), IORING_SQ_TASKRUN);
    assert_int_equal(driver_submit(&plain), 0);
    assert_int_equal(driver_ready(&plain), 1);
    driver_close(&plain);
    assert_int_equal(sim_end(NULL), 0);
}

static void a_full_queue_loses_nothing_and_keeps_order(void **state)
{
    struct driver small;
    unsigned next = 0;

    (void)state;
    for (unsigned busy = 0; busy < 2; busy++) {
        sim_begin(&(struct sim_config){ .seed = 1, .busy_on_overflow = busy == 1 });
        assert_true(driver_open(&small, 8, 8, DEFER) >= 0);
        for (unsigned i = 0; i < 20; i++) {
            driver_sqe(&small, IORING_OP_NOP, i);
            if (busy == 0 || i < 9) {
                assert_int_equal(driver_submit(&small), 1);
            } else {
                assert_int_equal(driver_submit(&small), -EBUSY);
                small.tail--; /* not consumed: take it back */
            }
        }
        assert_int_equal(driver_ready(&small), 8);
        assert_int_equal(driver_flags(&small), IORING_SQ_CQ_OVERFLOW);
        assert_int_equal(sim_stats()->overflows, busy == 1 ? 1 : 12);
        assert_int_equal(*driver_word(&small, small.params.cq_off.overflow), 0);
        for (next = 0; driver_ready(&small) > 0; next++) {
            assert_int_equal(driver_take(&small).user_data, next);
            if (driver_ready(&small) == 0) {
                assert_int_equal(driver_wait(&small, 0), 0);
            }
        }
        assert_int_equal(next, busy == 1 ? 9 : 20);
        assert_int_equal(driver_flags(&small), 0);
        driver_close(&small);
        assert_int_equal(sim_end(NULL), 0);
    }
}

static void a_bad_request_stops_the_batch_unless_submit_all(void **state)
{
    struct driver plain;

    (void)state;
    sim_begin(&(struct sim_config){ .seed = 1 });
    assert_true(driver_open(&plain, 8, 0, 0) >= 0);
    driver_sqe(&plain, 255, 1);
    driver_sqe(&plain, IORING_OP_NOP, 2);
    assert_int_equal(driver_wait(&plain, 2), 1);
    assert_int_equal(driver_take(&plain).result, -EINVAL);
    assert_int_equal(driver_wait(&plain, 1), 1);
    assert_int_equal(driver_take(&plain).result, 0);
    driver_close(&plain);
    assert_true(driver_open(&ring, 8, 0, DEFER) >= 0);
    driver_sqe(&ring, 255, 1);
    driver_sqe(&ring, IORING_OP_NOP, 2)->flags = IOSQE_CQE_SKIP_SUCCESS;
    driver_sqe(&ring, IORING_OP_CLOSE, 3)->flags = IOSQE_CQE_SKIP_SUCCESS;
    driver_sqe(&ring, IORING_OP_CLOSE, 4)->len = 1;
    assert_int_equal(driver_submit(&ring), 4);
    assert_int_equal(driver_ready(&ring), 3);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    assert_int_equal(driver_take(&ring).result, -EBADF);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    end();
}

/* ---- time ---- */

static void a_wait_jumps_to_the_next_event(void **state)
{
    struct __kernel_timespec length = { .tv_sec = 3 };
    rt_time start;

    (void)state;
    begin_plain();
    start = rti_sys_now();
    assert_int_equal(start, sim_now());
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &length, 1, 5);
    assert_int_equal(driver_wait(&ring, 1), 1);
    assert_int_equal(rti_sys_now(), start + RT_SECONDS(3));
    assert_int_equal(driver_take(&ring).result, -ETIME);
    assert_int_equal(sim_stats()->jumps, 1);
    end();
}

static void a_wait_ends_at_its_timeout(void **state)
{
    struct __kernel_timespec length = { .tv_sec = 5 };
    rt_time start;

    (void)state;
    begin_plain();
    start = sim_now();
    assert_int_equal(driver_enter_for(&ring, 1, 7000, GETEVENTS), -ETIME);
    assert_int_equal(sim_now(), start + 7000);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    driver_io(&ring, IORING_OP_TIMEOUT, -1, &length, 1, 5);
    /* what was submitted counts before the timeout, and a visible CQE hides it */
    assert_int_equal(driver_enter_for(&ring, 2, 7000, GETEVENTS), 2);
    assert_int_equal(driver_enter_for(&ring, 2, 7000, GETEVENTS), 0);
    assert_int_equal(sim_now(), start + 21000);
    /* ABS_TIMER: the argument is a moment */
    assert_int_equal(driver_take(&ring).result, 0);
    assert_int_equal(driver_enter_for(&ring, 1, start + 30000, GETEVENTS | (1U << 5)), -ETIME);
    assert_int_equal(sim_now(), start + 30000);
    assert_int_equal(driver_result(&ring), -ETIME);
    end();
}

static unsigned hook_calls;

static void hook(void *arg)
{
    hook_calls++;
    if (arg != NULL) {
        (void)sim_peer_send(*(int *)arg, "x", 1);
    }
}

static void hooks_run_at_their_time_and_in_order(void **state)
{
    char byte = 0;
    int peer;
    int fd;

    (void)state;
    begin_plain();
    hook_calls = 0;
    fd = connect_peer(&peer);
    sim_at(sim_now() + 500, hook, NULL);
    sim_at(sim_now() + 100, hook, &peer);
    assert_int_equal(sim_next_event(), sim_now() + 100);
    driver_io(&ring, IORING_OP_RECV, fd, &byte, 1, 1);
    assert_int_equal(driver_result(&ring), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(hook_calls, 1);
    assert_true(sim_step());
    assert_int_equal(hook_calls, 2);
    assert_false(sim_step());
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
}

static unsigned deadlocks;

static void on_deadlock(void *arg)
{
    (void)arg;
    deadlocks++;
    if (deadlocks == 1) {
        sim_release(IORING_OP_NOP, 1, 123);
    }
}

static void a_wait_for_nothing_is_a_deadlock(void **state)
{
    (void)state;
    deadlocks = 0;
    begin(&(struct sim_config){ .seed = 1, .deadlock = on_deadlock });
    sim_hold(IORING_OP_NOP, SIM_QUEUED);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    assert_int_equal(driver_wait(&ring, 1), 1);
    assert_int_equal(deadlocks, 1);
    assert_int_equal(driver_take(&ring).result, 123);
    assert_int_equal(driver_wait(&ring, 1), -EDEADLK);
    assert_int_equal(deadlocks, 2);
    end();
}

/* ---- files ---- */

static void files_keep_what_is_written(void **state)
{
    static const char text[] = "0123456789";
    struct iovec parts[2];
    struct statx stat;
    struct io_uring_sqe *sqe;
    const char *content;
    size_t count;
    char buf[16];
    int fd;

    (void)state;
    begin_plain();
    assert_int_equal(open_file("a", O_RDWR), -ENOENT);
    fd = open_file("a", O_RDWR | O_CREAT | O_EXCL);
    assert_int_equal(fd, SIM_FD_FIRST);
    assert_int_equal(open_file("a", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    assert_int_equal(transfer(IORING_OP_WRITE, fd, text, 10, 5), 10);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 16, 8), 7);
    assert_memory_equal(buf, "3456789", 7);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 16, 15), 0);
    content = sim_file_get("a", &count);
    assert_int_equal(count, 15);
    assert_memory_equal(content,
                        "\0\0\0\0\0"
                        "0123456789",
                        15);
    parts[0] = (struct iovec){ buf, 3 };
    parts[1] = (struct iovec){ buf + 8, 4 };
    assert_int_equal(transfer(IORING_OP_READV, fd, parts, 2, 5), 7);
    assert_memory_equal(buf + 8, "3456", 4);
    sqe = driver_io(&ring, IORING_OP_STATX, fd, "", STATX_BASIC_STATS, 1);
    sqe->statx_flags = AT_EMPTY_PATH;
    sqe->addr2 = (uintptr_t)&stat;
    assert_int_equal(driver_result(&ring), 0);
    assert_int_equal(stat.stx_size, 15);
    assert_true(S_ISREG(stat.stx_mode));
    driver_sqe(&ring, IORING_OP_FSYNC, 1)->fd = fd;
    ring.sqes[(ring.tail - 1) & 63].fsync_flags = IORING_FSYNC_DATASYNC;
    assert_int_equal(driver_result(&ring), 0);
    assert_int_equal(close_file(fd), 0);
    assert_int_equal(close_file(fd), -EBADF);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 1, 0), -EBADF);
    fd = open_file("a", O_WRONLY | O_TRUNC);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 1, 0), -EBADF);
    (void)sim_file_get("a", &count);
    assert_int_equal(count, 0);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void direct_io_needs_aligned_requests(void **state)
{
    static uint8_t buf[1024] __attribute__((aligned(512)));
    int fd;

    (void)state;
    begin_plain();
    sim_file_put("d", buf, 1000);
    fd = open_file("d", O_RDWR | O_DIRECT);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 1024, 0), 1000);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 1024, 1), -EINVAL);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 511, 0), -EINVAL);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf + 1, 512, 0), -EINVAL);
    assert_int_equal(transfer(IORING_OP_WRITE, fd, buf, 512, 512), 512);
    assert_int_equal(close_file(fd), 0);
    end();
    begin(&(struct sim_config){ .seed = 1, .no_o_direct = true, .fd_limit = 1 });
    sim_file_put("d", buf, 1);
    assert_int_equal(open_file("d", O_DIRECT), -EINVAL);
    fd = open_file("d", 0);
    assert_int_equal(open_file("d", 0), -EMFILE);
    assert_int_equal(rti_sys_close(fd), 0);
    assert_int_equal(rti_sys_close(fd), -EBADF);
    end();
}

static void buffers_are_touched_at_the_completion_only(void **state)
{
    uint8_t buf[8] = { 0 };
    int fd;

    (void)state;
    begin(&(struct sim_config){ .seed = 1, .delay_min = 100, .delay_max = 100, .poison = true });
    sim_file_put("p", "abcd", 4);
    fd = open_file("p", O_RDONLY);
    driver_io(&ring, IORING_OP_READ, fd, buf, 8, 1);
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(buf[0], 0xa5); /* poisoned at submission */
    sim_advance(100);
    assert_int_equal(buf[0], 0xa5); /* S3: still untouched */
    memset(buf, 0, sizeof(buf));
    assert_int_equal(driver_wait(&ring, 1), 0);
    assert_memory_equal(buf, "abcd\xa5\xa5\xa5\xa5", 8);
    assert_int_equal(driver_take(&ring).result, 4);
    assert_int_equal(close_file(fd), 0);
    end();
}

/* ---- sockets ---- */

static void listeners_and_connections(void **state)
{
    struct sockaddr_in address = loopback(0);
    struct sockaddr_in from;
    socklen_t bytes = sizeof(from);
    struct io_uring_sqe *sqe;
    int listener;
    int client;
    int server;
    int other;

    (void)state;
    begin_plain();
    listener = listen_at(&address, 1);
    assert_true(ntohs(address.sin_port) >= 32768);
    other = rti_sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(rti_sys_bind(other, (struct sockaddr *)&address, sizeof(address)),
                     -EADDRINUSE);
    driver_sqe(&ring, IORING_OP_ACCEPT, 20)->fd = listener;
    ring.sqes[(ring.tail - 1) & 63].addr = (uintptr_t)&from;
    ring.sqes[(ring.tail - 1) & 63].addr2 = (uintptr_t)&bytes;
    driver_sqe(&ring, IORING_OP_SOCKET, 21)->fd = AF_INET;
    ring.sqes[(ring.tail - 1) & 63].off = SOCK_STREAM;
    client = driver_result(&ring);
    assert_int_equal(client, SIM_FD_FIRST + 2);
    sqe = driver_io(&ring, IORING_OP_CONNECT, client, &address, 0, 22);
    sqe->addr2 = sizeof(address);
    assert_int_equal(driver_wait(&ring, 2), 1);
    assert_int_equal(driver_take(&ring).user_data, 22);
    server = driver_take(&ring).result;
    assert_int_equal(server, SIM_FD_FIRST + 3);
    assert_int_equal(rti_sys_getsockname(client, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(from.sin_port, address.sin_port);
    assert_int_equal(rti_sys_getpeername(other, (struct sockaddr *)&address, &bytes), -ENOTCONN);
    address = loopback(1);
    sqe = driver_io(&ring, IORING_OP_CONNECT, other, &address, 0, 22);
    sqe->addr2 = sizeof(address);
    assert_int_equal(driver_result(&ring), -ECONNREFUSED);
    for (int fd = SIM_FD_FIRST; fd <= server; fd++) {
        assert_int_equal(rti_sys_close(fd), 0);
    }
    end();
}

static void a_full_backlog_makes_connects_wait(void **state)
{
    struct sockaddr_in address = loopback(7);
    struct io_uring_sqe *sqe;
    int listener;
    int fds[3];

    (void)state;
    begin_plain();
    listener = listen_at(&address, 1);
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = rti_sys_socket(AF_INET, SOCK_STREAM, 0);
        sqe = driver_io(&ring, IORING_OP_CONNECT, fds[i], &address, 0, i);
        sqe->addr2 = sizeof(address);
    }
    assert_int_equal(driver_wait(&ring, 2), 3); /* Linux lets in one more than the backlog */
    assert_int_equal(driver_ready(&ring), 2);
    (void)driver_take(&ring);
    (void)driver_take(&ring);
    driver_sqe(&ring, IORING_OP_ACCEPT, 9)->fd = listener;
    assert_int_equal(driver_wait(&ring, 2), 1);
    assert_int_equal(driver_take(&ring).user_data, 9);
    assert_int_equal(driver_take(&ring).user_data, 2);
    assert_int_equal(rti_sys_close(listener), 0); /* those not accepted are reset */
    driver_io(&ring, IORING_OP_RECV, fds[2], &address, 1, 1);
    assert_int_equal(driver_result(&ring), -ECONNRESET);
    for (int fd = fds[0]; fd <= fds[2] + 1; fd++) {
        assert_int_equal(rti_sys_close(fd), 0);
    }
    end();
}

static void streams_carry_bytes_fin_and_reset(void **state)
{
    static char big[6000];
    struct driver_cqe cqe;
    char buf[16];
    int peer;
    int fd;

    (void)state;
    begin_plain();
    fd = connect_peer(&peer);
    assert_int_equal(sim_peer_send(peer, "hello", 5), 5);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 3, 1);
    assert_int_equal(driver_submit(&ring), 1);
    cqe = driver_take(&ring); /* inside the submission: the bytes were there */
    assert_int_equal(cqe.result, 3);
    assert_int_equal(cqe.flags, IORING_CQE_F_SOCK_NONEMPTY);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 16, 1)->ioprio = IORING_RECVSEND_POLL_FIRST;
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(driver_ready(&ring), 0); /* polled first */
    assert_int_equal(driver_wait(&ring, 1), 0);
    assert_int_equal(driver_take(&ring).result, 2);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1)->msg_flags = MSG_DONTWAIT;
    assert_int_equal(driver_result(&ring), -EAGAIN);

    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1)->msg_flags = MSG_WAITALL;
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(sim_peer_send(peer, "ab", 2), 2);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 0);
    assert_int_equal(sim_peer_send(peer, "cd", 2), 2);
    assert_int_equal(driver_result(&ring), 4);
    assert_memory_equal(buf, "abcd", 4);

    driver_io(&ring, IORING_OP_SEND, fd, big, 6000, 1);
    assert_int_equal(driver_result(&ring), 4096);
    driver_io(&ring, IORING_OP_SEND, fd, big, 6000, 1)->msg_flags = MSG_WAITALL;
    assert_int_equal(driver_submit(&ring), 1);
    while (driver_ready(&ring) == 0) {
        assert_true(sim_peer_recv(peer, big, 1000) > 0);
        assert_int_equal(driver_wait(&ring, 0), 0);
    }
    assert_int_equal(driver_take(&ring).result, 6000);

    sim_peer_shutdown(peer);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
    assert_int_equal(driver_result(&ring), 0);
    driver_sqe(&ring, IORING_OP_SHUTDOWN, 1)->fd = fd;
    ring.sqes[(ring.tail - 1) & 63].len = SHUT_WR;
    assert_int_equal(driver_result(&ring), 0);
    driver_io(&ring, IORING_OP_SEND, fd, buf, 4, 1)->msg_flags = MSG_NOSIGNAL;
    assert_int_equal(driver_result(&ring), -EPIPE);
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);

    fd = connect_peer(&peer);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
    assert_int_equal(driver_submit(&ring), 1);
    sim_peer_reset(peer);
    assert_int_equal(driver_result(&ring), -ECONNRESET);
    driver_io(&ring, IORING_OP_SEND, fd, buf, 4, 1);
    assert_int_equal(driver_result(&ring), -EPIPE);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void polls_report_readiness(void **state)
{
    char byte = 'x';
    int peer;
    int fd;

    (void)state;
    begin_plain();
    fd = connect_peer(&peer);
    driver_sqe(&ring, IORING_OP_POLL_ADD, 1)->fd = fd;
    ring.sqes[(ring.tail - 1) & 63].poll32_events = POLLOUT;
    assert_int_equal(driver_result(&ring), POLLOUT);
    driver_sqe(&ring, IORING_OP_POLL_ADD, 1)->fd = fd;
    ring.sqes[(ring.tail - 1) & 63].poll32_events = POLLIN;
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(driver_ready(&ring), 0);
    assert_int_equal(sim_peer_send(peer, &byte, 1), 1);
    assert_int_equal(driver_result(&ring), POLLIN);
    sim_peer_reset(peer);
    driver_sqe(&ring, IORING_OP_POLL_ADD, 1)->fd = fd;
    assert_int_equal(driver_result(&ring), POLLERR | POLLHUP);
    assert_int_equal(close_file(fd), 0);
    end();
}

/* Closing a descriptor does not end a request on it: the request holds its own reference. */
static void a_closed_socket_lives_until_its_requests_end(void **state)
{
    char byte = 0;
    int peer;
    int fd;

    (void)state;
    begin_plain();
    fd = connect_peer(&peer);
    driver_io(&ring, IORING_OP_RECV, fd, &byte, 1, 1);
    driver_sqe(&ring, IORING_OP_CLOSE, 2)->fd = fd;
    assert_int_equal(driver_submit(&ring), 2);
    assert_int_equal(driver_take(&ring).user_data, 2);
    assert_int_equal(sim_peer_recv(peer, &byte, 1), -EAGAIN); /* no FIN yet */
    assert_int_equal(sim_peer_send(peer, "y", 1), 1);
    assert_int_equal(driver_result(&ring), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(sim_peer_recv(peer, &byte, 1), 0);
    sim_peer_close(peer);
    end();
}

static void shutdown_of_a_listener_ends_its_accepts(void **state)
{
    struct sockaddr_in address = loopback(0);
    int listener;
    int peer;

    (void)state;
    begin_plain();
    listener = listen_at(&address, 4);
    driver_sqe(&ring, IORING_OP_ACCEPT, 1)->fd = listener;
    driver_sqe(&ring, IORING_OP_SHUTDOWN, 2)->fd = listener;
    ring.sqes[(ring.tail - 1) & 63].len = SHUT_RDWR;
    assert_int_equal(driver_wait(&ring, 2), 2);
    assert_int_equal(driver_take(&ring).user_data, 2);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    assert_int_equal(close_file(listener), 0);
    assert_int_equal(sim_peer_connect((struct sockaddr *)&address, sizeof(address)), -ECONNREFUSED);
    peer = sim_peer_listen((struct sockaddr *)&address, sizeof(address), 4);
    assert_true(peer >= 0);
    sim_peer_close(peer);
    end();
}

static void a_peer_can_listen_and_sees_resets(void **state)
{
    const struct linger linger = { .l_onoff = 1 };
    struct sockaddr_in address = loopback(0);
    struct io_uring_sqe *sqe;
    char byte;
    int listener;
    int peer;
    int fd;

    (void)state;
    begin_plain();
    listener = sim_peer_listen((struct sockaddr *)&address, sizeof(address), 4);
    assert_int_equal(sim_peer_accept(listener), -EAGAIN);
    for (unsigned unread = 0; unread < 2; unread++) { /* both make a close an RST */
        fd = rti_sys_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sqe = driver_io(&ring, IORING_OP_CONNECT, fd, &address, 0, 1);
        sqe->addr2 = sizeof(address);
        assert_int_equal(driver_result(&ring), 0);
        peer = sim_peer_accept(listener);
        assert_true(peer >= 0);
        if (unread == 1) {
            assert_int_equal(sim_peer_send(peer, "z", 1), 1);
        } else {
            assert_int_equal(rti_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
                             0);
        }
        assert_int_equal(rti_sys_close(fd), 0);
        assert_int_equal(sim_peer_recv(peer, &byte, 1), -ECONNRESET);
        sim_peer_close(peer);
    }
    sim_peer_close(listener);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_imitates_the_chosen_kernel),
        cmocka_unit_test(registration_works),
        cmocka_unit_test(the_array_of_indices_is_honoured),
        cmocka_unit_test(deferred_completions_come_20_per_enter),
        cmocka_unit_test(without_defer_completions_come_by_themselves),
        cmocka_unit_test(a_full_queue_loses_nothing_and_keeps_order),
        cmocka_unit_test(a_bad_request_stops_the_batch_unless_submit_all),
        cmocka_unit_test(a_wait_jumps_to_the_next_event),
        cmocka_unit_test(a_wait_ends_at_its_timeout),
        cmocka_unit_test(hooks_run_at_their_time_and_in_order),
        cmocka_unit_test(a_wait_for_nothing_is_a_deadlock),
        cmocka_unit_test(files_keep_what_is_written),
        cmocka_unit_test(direct_io_needs_aligned_requests),
        cmocka_unit_test(buffers_are_touched_at_the_completion_only),
        cmocka_unit_test(listeners_and_connections),
        cmocka_unit_test(a_full_backlog_makes_connects_wait),
        cmocka_unit_test(streams_carry_bytes_fin_and_reset),
        cmocka_unit_test(polls_report_readiness),
        cmocka_unit_test(a_closed_socket_lives_until_its_requests_end),
        cmocka_unit_test(shutdown_of_a_listener_ends_its_accepts),
        cmocka_unit_test(a_peer_can_listen_and_sees_resets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
