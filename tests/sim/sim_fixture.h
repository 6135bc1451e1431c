/* SPDX-License-Identifier: MIT */
/* Fixture: one ring of the simulated kernel, and the requests that many tests make. */
#ifndef RT_TEST_SIM_FIXTURE_H
#define RT_TEST_SIM_FIXTURE_H

#include "support/harness.h"

#include <netinet/in.h>

#include "ring_driver.h"
#include "support/rand.h"
#include "support/sim.h"

#define DEFER \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | \
     IORING_SETUP_SUBMIT_ALL | DRIVER_NO_SQARRAY)
#define GETEVENTS IORING_ENTER_GETEVENTS

/* The ring of the test that runs. */
static struct driver ring;

static inline void begin(const struct sim_config *config)
{
    sim_begin(config);
    assert_true(driver_open(&ring, 64, 0, DEFER) >= 0);
}

static inline void end(void)
{
    driver_close(&ring);
    assert_int_equal(sim_end(NULL), 0);
}

static inline void begin_plain(void)
{
    begin(&(struct sim_config){ .seed = rt_test_seed(0) });
}

static inline int32_t open_file(const char *path, int flags)
{
    struct io_uring_sqe *sqe = driver_io(&ring, IORING_OP_OPENAT, AT_FDCWD, path, 0644, 1);

    sqe->open_flags = (uint32_t)flags;
    return driver_result(&ring);
}

static inline int32_t close_file(int fd)
{
    driver_sqe(&ring, IORING_OP_CLOSE, 2)->fd = fd;
    return driver_result(&ring);
}

static inline int32_t transfer(uint8_t opcode, int fd, const void *bytes, uint32_t count,
                               uint64_t off)
{
    driver_io(&ring, opcode, fd, bytes, count, 3)->off = off;
    return driver_result(&ring);
}

static inline int cancel(uint64_t user_data, uint32_t flags, int fd)
{
    struct io_uring_sqe *sqe = driver_sqe(&ring, IORING_OP_ASYNC_CANCEL, 99);

    sqe->addr = user_data;
    sqe->cancel_flags = flags;
    sqe->fd = fd;
    return driver_submit(&ring);
}

static inline struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

static inline int listen_at(struct sockaddr_in *address, int backlog)
{
    socklen_t bytes = sizeof(*address);
    int fd = rti_sys_socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= SIM_FD_FIRST);
    assert_int_equal(rti_sys_bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(rti_sys_listen(fd, backlog), 0);
    assert_int_equal(rti_sys_getsockname(fd, (struct sockaddr *)address, &bytes), 0);
    return fd;
}

/* A connection between the ring (returned) and a peer of the test. */
static inline int connect_peer(int *out_peer)
{
    struct sockaddr_in address = loopback(0);
    int listener = listen_at(&address, 8);
    int fd;

    *out_peer = sim_peer_connect((struct sockaddr *)&address, sizeof(address));
    assert_true(*out_peer >= 0);
    driver_sqe(&ring, IORING_OP_ACCEPT, 4)->fd = listener;
    fd = driver_result(&ring);
    assert_true(fd >= SIM_FD_FIRST);
    assert_int_equal(rti_sys_close(listener), 0);
    return fd;
}

#endif /* RT_TEST_SIM_FIXTURE_H */
