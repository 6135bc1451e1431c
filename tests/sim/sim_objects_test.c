/* SPDX-License-Identifier: MIT */
/* Files, sockets and streams of the simulated kernel. */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "sim_fixture.h"

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
    struct sockaddr_in from = { 0 };
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

/*
 * Bytes arrive once and in order whatever the delays, short counts and partial
 * submissions: the ring sends the numbers 0, 1, 2 ... and a peer sends them back.
 */
static void run_stream(uint64_t seed)
{
    struct sim_config config = sim_config_chaos(seed);
    struct sockaddr_in address = loopback(0);
    uint8_t out[300];
    uint8_t in[300];
    uint32_t sent = 0;
    uint32_t received = 0;
    int listener;
    int peer;
    int fd;

    config.faults.error = 0;
    config.faults.accept_aborted = 0;
    begin(&config);
    listener = listen_at(&address, 1);
    peer = sim_peer_connect((struct sockaddr *)&address, sizeof(address));
    do {
        driver_sqe(&ring, IORING_OP_ACCEPT, 1)->fd = listener;
        fd = driver_result(&ring);
    } while (fd == -EMFILE);
    assert_true(fd >= SIM_FD_FIRST);
    while (received < 20000) {
        uint8_t echo[200];
        ssize_t n;

        for (unsigned i = 0; i < sizeof(out); i++) {
            out[i] = (uint8_t)((sent + i) % 251);
        }
        driver_io(&ring, IORING_OP_SEND, fd, out, sizeof(out), 1);
        sent += (uint32_t)driver_result(&ring);
        while ((n = sim_peer_recv(peer, echo, sizeof(echo))) > 0) {
            assert_int_equal(sim_peer_send(peer, echo, (size_t)n), n);
        }
        assert_int_equal(n, -EAGAIN);
        while (received < sent) {
            int32_t count;

            driver_io(&ring, IORING_OP_RECV, fd, in, sizeof(in), 1);
            count = driver_result(&ring);
            assert_true(count > 0);
            for (int32_t i = 0; i < count; i++) {
                assert_int_equal(in[i], received++ % 251);
            }
        }
    }
    sim_peer_close(peer);
    assert_int_equal(rti_sys_close(fd), 0);
    assert_int_equal(rti_sys_close(listener), 0);
    end();
}

static void streams_stay_whole_under_faults(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(50); i++) {
        run_stream(rt_test_seed(i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(streams_stay_whole_under_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
