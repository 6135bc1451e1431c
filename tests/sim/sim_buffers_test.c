/* SPDX-License-Identifier: MIT */
/*
 * Registered buffers of the simulated kernel are those of the real one.
 *
 * Method: one program of registrations and operations, with the result that each must have, is
 * run on both. So each result is what Linux gives, not what we think. Without io_uring the real
 * half is skipped. The limit of locked memory is the sim's own: a real one needs a user without
 * capabilities.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_fixture.h"

#define PAGE 4096u

static _Alignas(4096) char memory[4 * PAGE];

static int make_table(unsigned places, uint32_t flags, unsigned bytes)
{
    const struct io_uring_rsrc_register table = { .nr = places, .flags = flags };

    return rti_sys_uring_register(ring.fd, IORING_REGISTER_BUFFERS2, &table, bytes);
}

static int fill(unsigned first, const struct iovec *ranges, unsigned count)
{
    const struct io_uring_rsrc_update2 update = { .offset = first,
                                                  .data = (uintptr_t)ranges,
                                                  .nr = count };

    return rti_sys_uring_register(ring.fd, IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update));
}

static int fill_one(unsigned place, void *start, size_t bytes)
{
    return fill(place, &(struct iovec){ start, bytes }, 1);
}

static int drop_table(void)
{
    return rti_sys_uring_register(ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

static int32_t move(uint8_t opcode, int fd, char *start, uint32_t bytes, uint16_t place)
{
    struct io_uring_sqe *sqe = driver_io(&ring, opcode, fd, start, bytes, 3);

    sqe->buf_index = place;
    return driver_result(&ring);
}

static void tables(void)
{
    const uint32_t sparse = IORING_RSRC_REGISTER_SPARSE;
    const unsigned size = sizeof(struct io_uring_rsrc_register);

    assert_int_equal(fill_one(0, memory, PAGE), -ENXIO);
    assert_int_equal(drop_table(), -ENXIO);
    assert_int_equal(make_table(0, sparse, size), -EINVAL);
    assert_int_equal(make_table((1u << 14) + 1, sparse, size), -EINVAL);
    assert_int_equal(make_table(4, sparse, size - 1), -EINVAL);
    assert_int_equal(make_table(4, sparse | 1u << 30, size), -EINVAL);
    assert_int_equal(make_table(4, sparse, size), 0);
    assert_int_equal(make_table(4, sparse, size), -EBUSY);
    assert_int_equal(fill_one(4, memory, PAGE), -EINVAL);
    assert_int_equal(fill_one(0, memory, 0), -EFAULT);
    assert_int_equal(fill_one(0, NULL, PAGE), -EFAULT);
    assert_int_equal(fill_one(0, memory, (1u << 30) + 1), -EFAULT);
}

static void several_at_once(void)
{
    const struct iovec right[] = { { memory, PAGE }, { NULL, 0 }, { memory + PAGE, PAGE } };
    const struct iovec wrong[] = { { memory, PAGE }, { NULL, 1 }, { memory + PAGE, PAGE } };

    assert_int_equal(fill(1, right, 3), 3);
    assert_int_equal(fill(2, right, 3), -EINVAL);
    assert_int_equal(fill(1, wrong, 3), 1); /* as far as it came */
    assert_int_equal(fill(1, right, 0), -EINVAL);
}

static void operations(int fd)
{
    char *middle = memory + PAGE;

    assert_int_equal(fill_one(1, middle, 2 * (size_t)PAGE), 1);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle, 8, 1), 8);
    assert_memory_equal(middle, "abcdefgh", 8);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, memory + 3 * PAGE - 4, 4, 1), 4);
    assert_memory_equal(memory + 3 * PAGE - 4, "abcd", 4);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, memory + 3 * PAGE - 4, 5, 1), -EFAULT);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle - 1, 2, 1), -EFAULT);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle, 8, 0), -EFAULT); /* not filled */
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle, 8, 4), -EFAULT);
    assert_int_equal(move(IORING_OP_READ_FIXED, -1, middle, 8, 1), -EBADF);
    memcpy(middle, "WXYZ", 4);
    assert_int_equal(move(IORING_OP_WRITE_FIXED, fd, middle, 4, 1), 4);
    assert_int_equal(move(IORING_OP_WRITE_FIXED, fd, middle - 1, 4, 1), -EFAULT);
    assert_int_equal(move(IORING_OP_READ, fd, middle, 8, 0), 8);
    assert_memory_equal(middle, "WXYZefgh", 8);
    assert_int_equal(fill_one(1, NULL, 0), 1);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle, 8, 1), -EFAULT);
    assert_int_equal(drop_table(), 0);
    assert_int_equal(move(IORING_OP_READ_FIXED, fd, middle, 8, 1), -EFAULT);
}

static void program(int fd)
{
    tables();
    several_at_once();
    assert_int_equal(drop_table(), 0);
    assert_int_equal(
        make_table(4, IORING_RSRC_REGISTER_SPARSE, sizeof(struct io_uring_rsrc_register)), 0);
    operations(fd);
}

static void the_simulated_kernel_gives_these_results(void **state)
{
    int fd;

    (void)state;
    begin_plain();
    sim_file_put("data", "abcdefgh", 8);
    fd = open_file("data", O_RDWR);
    program(fd);
    assert_int_equal(sim_locked_bytes(), 0);
    assert_int_equal(close_file(fd), 0);
    end();
}

static void the_real_kernel_gives_the_same(void **state)
{
    char path[] = "/tmp/shardrt-buffers-XXXXXX";
    const int fd = mkostemp(path, O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, "abcdefgh", 8), 8);
    if (driver_open(&ring, 64, 0, 0) < 0) {
        close(fd);
        skip();
    }
    program(fd);
    driver_close(&ring);
    close(fd);
}

static void what_is_registered_counts_against_the_limit_of_locked_memory(void **state)
{
    (void)state;
    begin(&(struct sim_config){ .seed = 1, .locked_bytes_max = 3 * PAGE });
    assert_int_equal(
        make_table(3, IORING_RSRC_REGISTER_SPARSE, sizeof(struct io_uring_rsrc_register)), 0);
    assert_int_equal(fill_one(0, memory, 2 * (size_t)PAGE), 1);
    assert_int_equal(fill_one(1, memory, 2 * (size_t)PAGE), -ENOMEM);
    assert_int_equal(fill_one(0, memory, 1 * (size_t)PAGE), 1);
    assert_int_equal(fill_one(1, memory, 2 * (size_t)PAGE), 1);
    assert_int_equal(sim_locked_bytes(), 3 * PAGE);
    driver_close(&ring);
    assert_int_equal(sim_locked_bytes(), 0);
    assert_int_equal(sim_end(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_simulated_kernel_gives_these_results),
        cmocka_unit_test(the_real_kernel_gives_the_same),
        cmocka_unit_test(what_is_registered_counts_against_the_limit_of_locked_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
