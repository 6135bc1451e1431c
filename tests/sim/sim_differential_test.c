/* SPDX-License-Identifier: MIT */
/*
 * The same program gives the same results on the real and on the simulated kernel.
 *
 * Method: from a seed, random small programs of requests. Each request is awaited
 * before the next one (or is cancelled in the same submission), and the program
 * knows how many bytes are under way, so that the results do not depend on
 * the timing of the real kernel. What is compared: each result, with descriptors
 * replaced by "a descriptor", and the bytes that were read.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim_fixture.h"

#define STEPS     60
#define SLOTS     6
#define FILES     3
#define UNDER_WAY 3000 /* bytes of a stream; below the room of the simulated one */
#define OPENED    1000000

struct log {
    int64_t entries[STEPS * 4];
    uint8_t opcodes[STEPS * 4];
    unsigned count;
};

struct side {
    int fd;
    unsigned incoming; /* bytes sent to it and not received */
    bool fin_sent;
    bool fin_comes;
};

/* One run of a program. Only `rand` decides what is done, never a result of the kernel. */
struct program {
    struct rand_state rand;
    struct log *log;
    char folder[64];
    char path[128];
    int files[SLOTS];     /* -1: none */
    struct side sides[2]; /* a connection, when sides[0].fd >= 0 */
    struct sockaddr_in address;
    int listener;
    uint8_t bytes[1024];
};

static uint64_t draw(struct program *program, uint64_t limit)
{
    return rand_below(&program->rand, limit);
}

static void record(struct program *program, uint8_t opcode, int64_t value)
{
    assert_true(program->log->count < STEPS * 4);
    program->log->opcodes[program->log->count] = opcode;
    program->log->entries[program->log->count++] = value;
}

static void record_bytes(struct program *program, uint8_t opcode, int64_t result)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < result; i++) {
        sum = (sum * 31 + program->bytes[i]) % 1000003;
    }
    record(program, opcode, result);
    record(program, opcode, sum);
}

/* ---- files ---- */

static void choose_path(struct program *program)
{
    (void)snprintf(program->path, sizeof(program->path), "%s/f%u", program->folder,
                   (unsigned)draw(program, FILES));
}

static void step_open(struct program *program)
{
    static const int flags[] = { O_RDONLY,
                                 O_RDWR,
                                 O_RDWR | O_CREAT,
                                 O_WRONLY | O_CREAT | O_TRUNC,
                                 O_RDWR | O_CREAT | O_EXCL,
                                 O_RDWR | O_APPEND,
                                 O_RDONLY | O_DIRECTORY };
    unsigned slot = (unsigned)draw(program, SLOTS);
    struct io_uring_sqe *sqe;
    int32_t fd;

    choose_path(program);
    sqe = driver_io(&ring, IORING_OP_OPENAT, AT_FDCWD, program->path, 0644, 1);
    sqe->open_flags = (uint32_t)flags[draw(program, sizeof(flags) / sizeof(flags[0]))];
    fd = driver_result(&ring);
    record(program, IORING_OP_OPENAT, fd >= 0 ? OPENED : fd);
    if (fd >= 0) {
        if (program->files[slot] >= 0) {
            (void)rti_sys_close(program->files[slot]);
        }
        program->files[slot] = fd;
    }
}

static void step_transfer(struct program *program, uint8_t opcode)
{
    unsigned slot = (unsigned)draw(program, SLOTS);
    uint32_t count = (uint32_t)draw(program, sizeof(program->bytes));
    struct io_uring_sqe *sqe;
    int32_t result;

    rand_bytes(&program->rand, program->bytes, sizeof(program->bytes));
    sqe = driver_io(&ring, opcode, program->files[slot], program->bytes, count, 2);
    sqe->off = draw(program, 4) == 0 ? UINT64_MAX : draw(program, 3000);
    result = driver_result(&ring);
    if (opcode == IORING_OP_READ) {
        record_bytes(program, opcode, result);
    } else {
        record(program, opcode, result);
    }
}

static void step_stat(struct program *program)
{
    unsigned slot = (unsigned)draw(program, SLOTS);
    bool by_path = draw(program, 2) == 0;
    struct io_uring_sqe *sqe;
    struct statx stat = { 0 };
    int32_t result;

    choose_path(program);
    sqe = driver_io(&ring, IORING_OP_STATX, by_path ? AT_FDCWD : program->files[slot],
                    by_path ? program->path : "", STATX_BASIC_STATS, 3);
    sqe->statx_flags = by_path ? 0 : AT_EMPTY_PATH;
    sqe->addr2 = (uintptr_t)&stat;
    result = driver_result(&ring);
    record(program, IORING_OP_STATX, result);
    if (result == 0) {
        record(program, IORING_OP_STATX, (int64_t)stat.stx_size);
        record(program, IORING_OP_STATX, stat.stx_mode & S_IFMT);
    }
}

static void step_close(struct program *program)
{
    unsigned slot = (unsigned)draw(program, SLOTS);

    driver_sqe(&ring, IORING_OP_CLOSE, 4)->fd = program->files[slot];
    record(program, IORING_OP_CLOSE, driver_result(&ring));
    program->files[slot] = -1;
}

static void step_other(struct program *program)
{
    switch (draw(program, 4)) {
    case 0:
        driver_sqe(&ring, IORING_OP_NOP, 5);
        break;
    case 1:
        driver_sqe(&ring, IORING_OP_FSYNC, 5)->fd = program->files[draw(program, SLOTS)];
        break;
    case 2: /* a field that has to be 0 */
        driver_sqe(&ring, IORING_OP_CLOSE, 5)->len = 1;
        break;
    default: /* nothing to cancel */
        driver_sqe(&ring, IORING_OP_ASYNC_CANCEL, 5)->addr = 12345;
        break;
    }
    record(program, IORING_OP_NOP, driver_result(&ring));
}

/* ---- sockets ---- */

static void close_connection(struct program *program)
{
    for (unsigned i = 0; i < 2; i++) {
        if (program->sides[i].fd >= 0) {
            (void)rti_sys_close(program->sides[i].fd);
        }
        program->sides[i] = (struct side){ .fd = -1 };
    }
}

static void step_connect(struct program *program)
{
    struct io_uring_sqe *sqe;
    int32_t fd;

    close_connection(program);
    sqe = driver_sqe(&ring, IORING_OP_SOCKET, 6);
    sqe->fd = AF_INET;
    sqe->off = SOCK_STREAM;
    fd = driver_result(&ring);
    record(program, IORING_OP_SOCKET, fd >= 0 ? OPENED : fd);
    program->sides[0].fd = fd;
    sqe = driver_io(&ring, IORING_OP_CONNECT, fd, &program->address, 0, 7);
    sqe->addr2 = sizeof(program->address);
    record(program, IORING_OP_CONNECT, driver_result(&ring));
    driver_sqe(&ring, IORING_OP_ACCEPT, 8)->fd = program->listener;
    fd = driver_result(&ring);
    record(program, IORING_OP_ACCEPT, fd >= 0 ? OPENED : fd);
    program->sides[1].fd = fd;
}

static void step_send(struct program *program)
{
    unsigned from = (unsigned)draw(program, 2);
    struct side *side = &program->sides[from];
    struct side *other = &program->sides[1 - from];
    uint32_t count = (uint32_t)draw(program, sizeof(program->bytes));

    rand_bytes(&program->rand, program->bytes, sizeof(program->bytes));
    if (other->incoming + count > UNDER_WAY) {
        return;
    }
    driver_io(&ring, IORING_OP_SEND, side->fd, program->bytes, count, 9)->msg_flags = MSG_NOSIGNAL;
    record(program, IORING_OP_SEND, driver_result(&ring));
    if (side->fd >= 0 && !side->fin_sent) {
        other->incoming += count;
    }
}

/* What is there, or what is not: with MSG_DONTWAIT or by cancelling. */
static void step_recv(struct program *program)
{
    struct side *side = &program->sides[draw(program, 2)];
    uint32_t count = 1 + (uint32_t)draw(program, sizeof(program->bytes));
    bool by_cancel = draw(program, 2) == 0;
    struct io_uring_sqe *sqe;
    int32_t result;

    if (side->incoming > 0 && count > side->incoming) {
        count = side->incoming;
    }
    sqe = driver_io(&ring, IORING_OP_RECV, side->fd, program->bytes, count, 10);
    if (side->fd < 0 || side->incoming > 0 || side->fin_comes) {
        sqe->msg_flags = MSG_WAITALL;
        result = driver_result(&ring);
        record_bytes(program, IORING_OP_RECV, result);
        side->incoming -= result > 0 ? (uint32_t)result : 0;
        return;
    }
    if (!by_cancel) {
        sqe->msg_flags = MSG_DONTWAIT;
        record(program, IORING_OP_RECV, driver_result(&ring));
        return;
    }
    driver_sqe(&ring, IORING_OP_ASYNC_CANCEL, 11)->addr = 10;
    while (driver_queued(&ring) > 0 || driver_ready(&ring) < 2) {
        assert_true(driver_wait(&ring, 2) >= 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct driver_cqe cqe = driver_take(&ring);

        record(program, IORING_OP_ASYNC_CANCEL, (int64_t)cqe.user_data);
        record(program, IORING_OP_ASYNC_CANCEL, cqe.result);
    }
}

static void step_shutdown(struct program *program)
{
    unsigned from = (unsigned)draw(program, 2);

    driver_io(&ring, IORING_OP_SHUTDOWN, program->sides[from].fd, NULL, SHUT_WR, 12);
    if (program->sides[from].fin_sent && program->sides[1 - from].fin_sent) {
        (void)driver_result(&ring); /* -ENOTCONN once the last ACK has arrived */
        return;
    }
    record(program, IORING_OP_SHUTDOWN, driver_result(&ring));
    if (program->sides[from].fd >= 0) {
        program->sides[from].fin_sent = true;
        program->sides[1 - from].fin_comes = true;
    }
}

/* Closing with bytes unread is a reset for the other side. */
static void step_reset(struct program *program)
{
    if (program->sides[1].fd < 0 || program->sides[1].incoming == 0 ||
        program->sides[0].incoming > 0 || program->sides[0].fin_comes ||
        program->sides[0].fin_sent) {
        return;
    }
    driver_sqe(&ring, IORING_OP_CLOSE, 13)->fd = program->sides[1].fd;
    program->sides[1].fd = -1;
    record(program, IORING_OP_CLOSE, driver_result(&ring));
    driver_io(&ring, IORING_OP_RECV, program->sides[0].fd, program->bytes, 10, 14);
    record(program, IORING_OP_RECV, driver_result(&ring));
    driver_io(&ring, IORING_OP_SEND, program->sides[0].fd, program->bytes, 10, 14)
        ->msg_flags = MSG_NOSIGNAL;
    record(program, IORING_OP_SEND, driver_result(&ring));
    close_connection(program);
}

/* ---- running ---- */

static void run_step(struct program *program)
{
    switch (draw(program, 16)) {
    case 0:
    case 1:
    case 2:
        step_open(program);
        break;
    case 3:
    case 4:
        step_transfer(program, IORING_OP_READ);
        break;
    case 5:
    case 6:
        step_transfer(program, IORING_OP_WRITE);
        break;
    case 7:
        step_stat(program);
        break;
    case 8:
        step_close(program);
        break;
    case 9:
        step_other(program);
        break;
    case 10:
        step_connect(program);
        break;
    case 11:
    case 12:
        step_send(program);
        break;
    case 13:
        step_recv(program);
        break;
    case 14:
        step_shutdown(program);
        break;
    default:
        step_reset(program);
        break;
    }
}

static void run_program(struct log *log, uint64_t seed, const char *folder)
{
    struct program program;
    socklen_t bytes = sizeof(program.address);

    memset(&program, 0, sizeof(program));
    memset(log, 0, sizeof(*log));
    rand_init(&program.rand, seed);
    program.log = log;
    (void)snprintf(program.folder, sizeof(program.folder), "%s", folder);
    for (unsigned i = 0; i < SLOTS; i++) {
        program.files[i] = -1;
    }
    program.sides[0].fd = -1;
    program.sides[1].fd = -1;
    program.address = loopback(0);
    program.listener = rti_sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(rti_sys_bind(program.listener, (struct sockaddr *)&program.address,
                                  sizeof(program.address)),
                     0);
    assert_int_equal(rti_sys_listen(program.listener, 8), 0);
    assert_int_equal(
        rti_sys_getsockname(program.listener, (struct sockaddr *)&program.address, &bytes), 0);
    step_connect(&program);
    for (unsigned i = 0; i < STEPS / 2; i++) {
        run_step(&program);
    }
    close_connection(&program);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (program.files[i] >= 0) {
            (void)rti_sys_close(program.files[i]);
        }
    }
    (void)rti_sys_close(program.listener);
}

static void run_really(struct log *log, uint64_t seed)
{
    char folder[] = "/tmp/sim-differential-XXXXXX";
    char path[64];

    assert_non_null(mkdtemp(folder));
    run_program(log, seed, folder);
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "%s/f%u", folder, i);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static uint32_t ring_flags;

static void both_kernels_give_the_same_results(void **state)
{
    static struct log real;
    static struct log simulated;

    (void)state;
    for (unsigned i = 0; i < rt_test_seed_count(60); i++) {
        const uint64_t seed = rt_test_seed(i);
        struct sim_config config = { .seed = seed, .delay_max = (rt_time)(i % 2) * 1000 };

        assert_true(driver_open(&ring, 64, 0, ring_flags) >= 0);
        run_really(&real, seed);
        driver_close(&ring);
        sim_begin(&config);
        assert_true(driver_open(&ring, 64, 0, ring_flags) >= 0);
        run_program(&simulated, seed, "x");
        driver_close(&ring);
        assert_int_equal(sim_end(NULL), 0);
        for (unsigned n = 0; n < real.count && n < simulated.count; n++) {
            if (real.opcodes[n] != simulated.opcodes[n] ||
                real.entries[n] != simulated.entries[n]) {
                print_error(
                    "RT_SEED=%llu entry %u: opcode %u gives %lld, simulated %u gives %lld\n",
                    (unsigned long long)seed, n, real.opcodes[n], (long long)real.entries[n],
                    simulated.opcodes[n], (long long)simulated.entries[n]);
                fail();
            }
        }
        assert_int_equal(real.count, simulated.count);
    }
}

/* Where the real kernel has no ring, or an old one, there is nothing to compare with. */
static bool real_kernel_has_rings(void)
{
    const uint32_t flags[] = { DEFER, DEFER & ~DRIVER_NO_SQARRAY };

    for (unsigned i = 0; i < 2; i++) {
        if (driver_open(&ring, 8, 0, flags[i]) >= 0) {
            driver_close(&ring);
            ring_flags = flags[i];
            return true;
        }
    }
    return false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kernels_give_the_same_results),
    };

    if (!real_kernel_has_rings()) {
        fprintf(stderr, "skipped: the kernel gives no ring with DEFER_TASKRUN\n");
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
