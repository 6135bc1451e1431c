/* SPDX-License-Identifier: MIT */
/*
 * The simulated kernel's polled rings (IORING_SETUP_IOPOLL): what they take, and that nothing ends
 * there but in an enter with GETEVENTS. Each test speaks to the ring itself.
 */
#include "sim_fixture.h"

#include <errno.h>
#include <fcntl.h>

static struct driver polled;

static char block[512] __attribute__((aligned(512)));

static void begin_polled(uint32_t flags)
{
    begin(&(struct sim_config){ .seed = 1, .delay_min = 1000, .delay_max = 1000 });
    assert_true(driver_open(&polled, 8, 0, flags | IORING_SETUP_IOPOLL) >= 0);
    sim_file_put("data", "abcdefgh", 8);
}

static void end_polled(void)
{
    driver_close(&polled);
    end();
}

static void begin_read(int fd)
{
    driver_io(&polled, IORING_OP_READ, fd, block, sizeof(block), 7)->off = 0;
    assert_int_equal(driver_submit(&polled), 1);
}

static void check_end_in_an_enter(uint32_t flags)
{
    uint32_t sq_flags;
    int fd;

    begin_polled(flags);
    fd = open_file("data", O_RDONLY | O_DIRECT);
    begin_read(fd);
    sim_advance(RT_MILLISECONDS(1));
    assert_int_equal(driver_ready(&polled), 0);
    sq_flags = *driver_word(&polled, polled.params.sq_off.flags);
    assert_int_equal(sq_flags & IORING_SQ_TASKRUN, 0);
    assert_int_equal(rti_sys_uring_enter(polled.fd, 0, 0, 0, NULL, 0), 0);
    assert_int_equal(driver_ready(&polled), 0);
    assert_int_equal(rti_sys_uring_enter(polled.fd, 0, 0, GETEVENTS, NULL, 0), 0);
    assert_int_equal(driver_ready(&polled), 1);
    assert_int_equal(driver_result(&polled), 8);
    assert_memory_equal(block, "abcdefgh", 8);
    assert_int_equal(close_file(fd), 0);
    end_polled();
}

static void requests_end_in_an_enter_that_asks_for_events(void **state)
{
    (void)state;
    check_end_in_an_enter(DEFER);
    check_end_in_an_enter(0); /* no interrupt either */
}

static void an_enter_that_finds_nothing_takes_time(void **state)
{
    rt_time before;
    unsigned enters = 0;
    int fd;

    (void)state;
    begin_polled(DEFER);
    fd = open_file("data", O_RDONLY | O_DIRECT);
    begin_read(fd);
    before = sim_now();
    while (driver_ready(&polled) == 0) {
        assert_int_equal(rti_sys_uring_enter(polled.fd, 0, 0, GETEVENTS, NULL, 0), 0);
        assert_true(++enters <= 1000);
    }
    assert_true(enters > 1 && sim_now() >= before + 1000);
    assert_int_equal(driver_result(&polled), 8);
    assert_int_equal(close_file(fd), 0);
    end_polled();
}

static void only_transfers_of_direct_files_are_taken(void **state)
{
    int direct;
    int buffered;

    (void)state;
    begin_polled(DEFER);
    direct = open_file("data", O_RDWR | O_DIRECT);
    buffered = open_file("data", O_RDWR);
    driver_sqe(&polled, IORING_OP_FSYNC, 1)->fd = direct;
    assert_int_equal(driver_result(&polled), -EINVAL);
    driver_sqe(&polled, IORING_OP_ASYNC_CANCEL, 1)->addr = 7;
    assert_int_equal(driver_result(&polled), -EINVAL);
    begin_read(buffered);
    assert_int_equal(driver_result(&polled), -EINVAL);
    sim_file_refuse_polls("data");
    begin_read(direct);
    assert_int_equal(driver_result(&polled), -EOPNOTSUPP);
    assert_int_equal(close_file(direct), 0);
    assert_int_equal(close_file(buffered), 0);
    end_polled();
}

static void a_kernel_without_them_refuses_the_setup(void **state)
{
    (void)state;
    begin(&(struct sim_config){ .seed = 1, .no_iopoll = true });
    assert_int_equal(driver_open(&polled, 8, 0, DEFER | IORING_SETUP_IOPOLL), -EINVAL);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_end_in_an_enter_that_asks_for_events),
        cmocka_unit_test(an_enter_that_finds_nothing_takes_time),
        cmocka_unit_test(only_transfers_of_direct_files_are_taken),
        cmocka_unit_test(a_kernel_without_them_refuses_the_setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
