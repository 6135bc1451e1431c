/* SPDX-License-Identifier: MIT */
/*
 * Cancels, faults, several rings and replay on the simulated kernel.
 *
 * A cancel can meet a request at each stage of its life; each stage is made on
 * purpose here, as tests of the runtime do. The last tests let everything go
 * wrong at random, under many seeds.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>

#include "sim_fixture.h"

/* ---- cancel ---- */

/* The two completions that a cancel of request 1 brings, in either order. */
static void expect_cancel(int32_t answer, int32_t result)
{
    unsigned seen = 0;

    while (seen != 3) {
        struct driver_cqe cqe;

        while (driver_ready(&ring) == 0) {
            assert_true(driver_wait(&ring, 1) >= 0);
        }
        cqe = driver_take(&ring);
        if (cqe.user_data == 99) {
            assert_int_equal(cqe.result, answer);
            seen |= 1;
        } else {
            assert_int_equal(cqe.user_data, 1);
            assert_int_equal(cqe.result, result);
            seen |= 2;
        }
    }
}

static void cancel_of_what_waits_for_a_socket(void **state)
{
    char buf[4];
    int peer;
    int fd;

    (void)state;
    begin_plain();
    fd = connect_peer(&peer);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
    assert_int_equal(cancel(1, 0, -1), 2); /* in one submission */
    assert_int_equal(driver_flags(&ring), IORING_SQ_TASKRUN);
    expect_cancel(0, -ECANCELED);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(sim_peer_send(peer, "abcd", 4), 4); /* S3: done, CQE owed */
    assert_int_equal(sim_ring_owed(ring.fd), 1);
    assert_int_equal(cancel(1, 0, -1), 1);
    expect_cancel(0, -ECANCELED); /* as in Linux: the bytes are still in the socket */
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
    assert_int_equal(driver_submit(&ring), 1); /* S4: the CQE is visible */
    assert_int_equal(cancel(1, 0, -1), 1);
    expect_cancel(-ENOENT, 4);
    /* a part that MSG_WAITALL has moved is not lost */
    driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1)->msg_flags = MSG_WAITALL;
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(sim_peer_send(peer, "ab", 2), 2);
    assert_int_equal(driver_wait(&ring, 0), 0);
    assert_int_equal(cancel(1, 0, -1), 1);
    expect_cancel(0, 2);
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void cancel_of_what_is_held(void **state)
{
    static const struct {
        enum sim_stage stage;
        int answer;
    } cases[] = { { SIM_QUEUED, 0 }, { SIM_RUNNING, -EALREADY }, { SIM_DONE, -ENOENT } };
    char buf[4];
    int fd;

    (void)state;
    begin_plain();
    sim_file_put("f", "abcd", 4);
    fd = open_file("f", O_RDONLY);
    for (unsigned i = 0; i < 3; i++) {
        sim_hold(IORING_OP_READ, cases[i].stage);
        driver_io(&ring, IORING_OP_READ, fd, buf, 4, 1);
        assert_int_equal(driver_submit(&ring), 1);
        assert_int_equal(sim_held(IORING_OP_READ), 1);
        sim_advance(RT_SECONDS(1));
        assert_int_equal(driver_wait(&ring, 0), 0);
        assert_int_equal(driver_ready(&ring), 0);
        assert_int_equal(cancel(1, 0, -1), 1);
        if (cases[i].answer != 0) {
            assert_int_equal(sim_release(IORING_OP_READ, 1, SIM_NATURAL), 1);
        }
        expect_cancel(cases[i].answer, cases[i].answer == 0 ? -ECANCELED : 4);
        sim_unhold();
    }
    sim_hold_user_data(1, SIM_RUNNING);
    driver_io(&ring, IORING_OP_READ, fd, buf, 4, 1);
    assert_int_equal(driver_submit(&ring), 1);
    sim_unhold();
    assert_int_equal(sim_release_user_data(1, -EIO), 1);
    assert_int_equal(driver_ready(&ring), 0);
    sim_post(); /* visible without an enter */
    assert_int_equal(driver_take(&ring).result, -EIO);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void cancel_by_descriptor_and_all(void **state)
{
    char buf[8];
    int peer[2];
    int fd[2];

    (void)state;
    begin_plain();
    for (unsigned i = 0; i < 2; i++) {
        fd[i] = connect_peer(&peer[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        driver_io(&ring, IORING_OP_RECV, fd[i], buf, 4, 10 + i);
        driver_io(&ring, IORING_OP_RECV, fd[i], buf + 4, 4, 20 + i);
    }
    assert_int_equal(cancel(0, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL, fd[0]), 5);
    assert_int_equal(driver_take(&ring).result, 2);
    assert_int_equal(cancel(77, 0, -1), 1);
    assert_int_equal(driver_take(&ring).result, -ENOENT);
    assert_int_equal(cancel(0, IORING_ASYNC_CANCEL_FD, -1), 1);
    assert_int_equal(driver_take(&ring).result, -EBADF);
    assert_int_equal(cancel(0, 1U << 30, -1), 1);
    assert_int_equal(driver_take(&ring).result, -EINVAL);
    assert_int_equal(driver_wait(&ring, 2), 0);
    assert_int_equal(driver_take(&ring).user_data, 10);
    assert_int_equal(driver_take(&ring).user_data, 20);
    assert_int_equal(cancel(0, IORING_ASYNC_CANCEL_ANY, -1), 1);
    assert_int_equal(driver_take(&ring).result, 2);
    assert_int_equal(driver_wait(&ring, 2), 0);
    assert_int_equal(driver_take(&ring).result, -ECANCELED);
    assert_int_equal(driver_take(&ring).result, -ECANCELED);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(close_file(fd[i]), 0);
        sim_peer_close(peer[i]);
    }
    end();
}

static void a_cancel_can_lose(void **state)
{
    char buf[4];
    int peer;
    int fd;

    (void)state;
    begin_plain();
    fd = connect_peer(&peer);
    for (unsigned i = 0; i < 2; i++) {
        driver_io(&ring, IORING_OP_RECV, fd, buf, 4, 1);
        sim_lose_next_cancel(i == 0 ? -EALREADY : -ENOENT);
        assert_int_equal(cancel(1, 0, -1), 2);
        assert_int_equal(sim_peer_send(peer, "abcd", 4), 4);
        expect_cancel(i == 0 ? -EALREADY : -ENOENT, 4);
    }
    assert_int_equal(sim_stats()->cancels_lost, 2);
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
}

/* ---- faults on purpose ---- */

static void requests_fail_and_fall_short_on_demand(void **state)
{
    char buf[8];
    int peer;
    int fd;

    (void)state;
    begin_plain();
    sim_file_put("f", "abcdefgh", 8);
    sim_fail_next(IORING_OP_OPENAT, -ENFILE);
    sim_fail_next(IORING_OP_READ, -EIO);
    assert_int_equal(open_file("f", O_RDONLY), -ENFILE);
    fd = open_file("f", O_RDONLY);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 8, 0), -EIO);
    sim_short_next(IORING_OP_READ, 3);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 8, 0), 3);
    assert_int_equal(transfer(IORING_OP_READ, fd, buf, 8, 0), 8);
    sim_fail_next(IORING_OP_CLOSE, -EIO);
    assert_int_equal(close_file(fd), -EIO); /* closed nevertheless, as in Linux */
    assert_int_equal(close_file(fd), -EBADF);
    fd = connect_peer(&peer);
    sim_short_next(IORING_OP_SEND, 2);
    driver_io(&ring, IORING_OP_SEND, fd, "abcd", 4, 1)->msg_flags = MSG_WAITALL;
    assert_int_equal(driver_result(&ring), 2);
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void an_enter_fails_on_demand(void **state)
{
    (void)state;
    begin_plain();
    sim_fail_next_enter(-EAGAIN);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    driver_sqe(&ring, IORING_OP_NOP, 2);
    driver_sqe(&ring, IORING_OP_NOP, 3);
    assert_int_equal(driver_wait(&ring, 1), -EAGAIN);
    assert_int_equal(driver_queued(&ring), 3);
    sim_limit_next_submit(2);
    assert_int_equal(driver_wait(&ring, 3), 2); /* consumed fewer: does not wait */
    assert_int_equal(driver_queued(&ring), 1);
    assert_int_equal(driver_wait(&ring, 3), 1);
    assert_int_equal(driver_ready(&ring), 3);
    while (driver_ready(&ring) > 0) {
        (void)driver_take(&ring);
    }
    end();
}

/* Each fault by chance, set to certainty. */
static void waits_end_early_by_chance(void **state)
{
    struct sim_config config = { .seed = 1, .delay_min = 100, .delay_max = 100 };

    (void)state;
    config.faults.enter_eintr = 1000;
    begin(&config);
    assert_int_equal(driver_wait(&ring, 1), -EINTR);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    assert_int_equal(driver_wait(&ring, 1), 1); /* what was submitted hides it */
    sim_advance(100);
    assert_int_equal(driver_result(&ring), 0);
    end();
    config.faults = (struct sim_faults){ .spurious_wake = 1000 };
    begin(&config);
    assert_int_equal(driver_wait(&ring, 1), 0);
    assert_int_equal(driver_enter_for(&ring, 1, 50, IORING_ENTER_GETEVENTS), 0);
    end();
    config.faults = (struct sim_faults){ .enter_ebusy = 1000 };
    begin(&config);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    assert_int_equal(driver_submit(&ring), -EBUSY);
    end();
    config.faults = (struct sim_faults){ .partial_submit = 1000 };
    begin(&config);
    for (unsigned i = 0; i < 8; i++) {
        driver_sqe(&ring, IORING_OP_NOP, i);
    }
    assert_in_range(driver_submit(&ring), 1, 7);
    while (driver_queued(&ring) > 0) {
        assert_true(driver_submit(&ring) > 0);
    }
    assert_int_equal(driver_wait(&ring, 8), 0);
    assert_int_equal(driver_ready(&ring), 8);
    end();
}

static void accepts_fail_by_chance(void **state)
{
    struct sockaddr_in address = loopback(0);
    struct sim_config config = { .seed = 1 };
    char byte;
    int listener;
    int peer;

    (void)state;
    config.faults.accept_emfile = 1000;
    begin(&config);
    listener = listen_at(&address, 8);
    peer = sim_peer_connect((struct sockaddr *)&address, sizeof(address));
    driver_sqe(&ring, IORING_OP_ACCEPT, 1)->fd = listener;
    assert_int_equal(driver_result(&ring), -EMFILE);
    assert_int_equal(sim_peer_recv(peer, &byte, 1), -EAGAIN); /* still in the backlog */
    assert_int_equal(rti_sys_close(listener), 0);
    assert_int_equal(sim_peer_recv(peer, &byte, 1), -ECONNRESET);
    sim_peer_close(peer);
    end();
    config.faults = (struct sim_faults){ .accept_aborted = 1000 };
    begin(&config);
    listener = listen_at(&address, 8);
    peer = sim_peer_connect((struct sockaddr *)&address, sizeof(address));
    driver_sqe(&ring, IORING_OP_ACCEPT, 1)->fd = listener;
    assert_int_equal(driver_result(&ring), -ECONNABORTED);
    assert_int_equal(sim_peer_recv(peer, &byte, 1), -ECONNRESET);
    sim_peer_close(peer);
    assert_int_equal(rti_sys_close(listener), 0);
    end();
}

static void requests_fail_by_chance(void **state)
{
    const struct sim_error errors[] = { { IORING_OP_NOP, 1000, -EOVERFLOW } };
    struct sim_config config = { .seed = 1 };
    char buf[64];
    int peer;
    int fd;

    (void)state;
    config.faults = (struct sim_faults){ .errors = errors, .error_count = 1 };
    begin(&config);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    assert_int_equal(driver_result(&ring), -EOVERFLOW);
    end();
    config.faults = (struct sim_faults){ .short_count = 1000 };
    begin(&config);
    fd = connect_peer(&peer);
    driver_io(&ring, IORING_OP_SEND, fd, buf, 64, 1);
    assert_in_range(driver_result(&ring), 1, 63);
    assert_int_equal(sim_peer_send(peer, buf, 64), 64);
    driver_io(&ring, IORING_OP_RECV, fd, buf, 64, 1);
    assert_in_range(driver_result(&ring), 1, 63);
    sim_peer_close(peer);
    assert_int_equal(close_file(fd), 0);
    end();
    config.faults = (struct sim_faults){ .reorder = 1000 };
    config.delay_min = 100;
    begin(&config);
    driver_sqe(&ring, IORING_OP_NOP, 1);
    driver_sqe(&ring, IORING_OP_NOP, 2);
    assert_int_equal(driver_submit(&ring), 2);
    sim_advance(RT_SECONDS(1));
    assert_int_equal(driver_wait(&ring, 2), 0);
    assert_int_equal(driver_take(&ring).user_data, 2);
    assert_int_equal(driver_take(&ring).user_data, 1);
    end();
}

/* ---- several rings, leaks ---- */

static void rings_send_messages_to_each_other(void **state)
{
    struct driver other;
    struct driver_cqe cqe;

    (void)state;
    begin_plain();
    assert_true(driver_open(&other, 8, 0, DEFER) >= 0);
    assert_int_equal(sim_ring_count(), 2);
    driver_io(&ring, IORING_OP_MSG_RING, other.fd, NULL, 55, 1)->off = 4711;
    ring.sqes[0].flags = IOSQE_CQE_SKIP_SUCCESS;
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(driver_ready(&ring), 0);
    assert_int_equal(driver_ready(&other), 0);
    assert_int_equal(driver_flags(&other), IORING_SQ_TASKRUN);
    assert_int_equal(driver_wait(&other, 1), 0);
    cqe = driver_take(&other);
    assert_int_equal(cqe.user_data, 4711);
    assert_int_equal(cqe.result, 55);
    driver_io(&ring, IORING_OP_MSG_RING, 1, NULL, 0, 1);
    assert_int_equal(driver_result(&ring), -EBADFD);
    driver_close(&other);
    end();
}

static void what_is_left_behind_is_reported(void **state)
{
    struct sockaddr_in address = loopback(0);
    struct sim_leaks leaks;
    char byte;
    int listener;
    int peer;

    (void)state;
    begin_plain();
    listener = listen_at(&address, 1);
    peer = sim_peer_connect((struct sockaddr *)&address, sizeof(address));
    driver_sqe(&ring, IORING_OP_ACCEPT, 1)->fd = listener;
    driver_io(&ring, IORING_OP_RECV, driver_result(&ring), &byte, 1, 1);
    assert_int_equal(driver_submit(&ring), 1);
    sim_fail_next(IORING_OP_NOP, -EIO);
    driver_close(&ring);
    assert_true(driver_open(&ring, 8, 0, DEFER) >= 0);
    sim_hold(SIM_ANY, SIM_QUEUED);
    driver_sqe(&ring, IORING_OP_CLOSE, 1);
    assert_int_equal(driver_submit(&ring), 1);
    assert_int_equal(peer, 0);
    (void)rti_sys_munmap(ring.rings, ring.rings_bytes);
    (void)rti_sys_munmap(ring.sqes, ring.params.sq_entries * sizeof(struct io_uring_sqe));
    assert_int_equal(sim_end(&leaks), 8);
    assert_int_equal(leaks.rings, 1);
    assert_int_equal(leaks.descriptors, 2);
    assert_int_equal(leaks.requests, 1);
    assert_int_equal(leaks.abandoned, 1);
    assert_int_equal(leaks.peers, 1);
    assert_int_equal(leaks.held, 1);
    assert_int_equal(leaks.unused, 1);
}

/* ---- chance, replayed ---- */

/* Many requests of all kinds at once, each checked by what it can have done. */
static uint64_t run_chaos(uint64_t seed)
{
    struct sim_config config = sim_config_chaos(seed);
    struct rand_state rand;
    static uint8_t bufs[32][64];
    unsigned in_flight = 0;
    uint64_t hash;

    rand_init(&rand, seed);
    begin(&config);
    sim_file_put("f", bufs, sizeof(bufs));
    for (unsigned i = 0; i < 300; i++) {
        if (i < 250 && in_flight < 32) {
            const uint8_t opcodes[] = { IORING_OP_NOP, IORING_OP_OPENAT, IORING_OP_READ,
                                        IORING_OP_ASYNC_CANCEL, IORING_OP_FSYNC };
            uint8_t opcode = opcodes[rand_below(&rand, 5)];
            struct io_uring_sqe *sqe = driver_sqe(&ring, opcode, i % 32);

            sqe->fd = SIM_FD_FIRST + (int)rand_below(&rand, 4);
            if (opcode == IORING_OP_OPENAT || opcode == IORING_OP_READ) {
                sqe->addr = opcode == IORING_OP_READ ? (uintptr_t)bufs[i % 32] : (uintptr_t) "f";
                sqe->len = opcode == IORING_OP_READ ? 64 : 0;
            } else if (opcode == IORING_OP_ASYNC_CANCEL) {
                sqe->addr = rand_below(&rand, 32);
            }
            in_flight++;
        }
        (void)driver_enter_for(&ring, 1, 1000, IORING_ENTER_GETEVENTS);
        while (driver_ready(&ring) > 0) {
            assert_true(driver_take(&ring).result >= -ECANCELED);
            in_flight--;
        }
    }
    while (in_flight > 0) {
        (void)driver_enter_for(&ring, 1, RT_SECONDS(1), IORING_ENTER_GETEVENTS);
        while (driver_ready(&ring) > 0) {
            (void)driver_take(&ring);
            in_flight--;
        }
    }
    for (int fd = SIM_FD_FIRST; sim_stats()->descriptors > 0; fd++) {
        (void)rti_sys_close(fd);
    }
    hash = sim_trace_hash();
    end();
    return hash;
}

static void a_seed_gives_the_same_run_again(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(100); i++) {
        uint64_t seed = rt_test_seed(i);
        uint64_t hash = run_chaos(seed);

        assert_int_equal(run_chaos(seed), hash);
        assert_int_not_equal(hash, before);
        before = hash;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_of_what_waits_for_a_socket),
        cmocka_unit_test(cancel_of_what_is_held),
        cmocka_unit_test(cancel_by_descriptor_and_all),
        cmocka_unit_test(a_cancel_can_lose),
        cmocka_unit_test(requests_fail_and_fall_short_on_demand),
        cmocka_unit_test(an_enter_fails_on_demand),
        cmocka_unit_test(waits_end_early_by_chance),
        cmocka_unit_test(accepts_fail_by_chance),
        cmocka_unit_test(requests_fail_by_chance),
        cmocka_unit_test(rings_send_messages_to_each_other),
        cmocka_unit_test(what_is_left_behind_is_reported),
        cmocka_unit_test(a_seed_gives_the_same_run_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
