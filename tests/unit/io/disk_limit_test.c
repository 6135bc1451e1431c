/* SPDX-License-Identifier: MIT */
/*
 * Limits of disk queues, by hand. (That they are exact in any order of things is shown by
 * disk_property_test.)
 */
#include "io/disk_limit.h"

#include "support/harness.h"

#define START RT_SECONDS(1000)

static void no_limit_is_always_open(void **state)
{
    struct rti_disk_limit limit;

    (void)state;
    rti_disk_limit_init(&limit, 0, START);
    rti_disk_limit_charge(&limit, UINT32_MAX, START);
    rti_disk_limit_charge(&limit, UINT32_MAX, START);
    assert_true(rti_disk_limit_opens(&limit) <= START);
}

static void a_limit_opens_when_what_began_is_paid_for(void **state)
{
    struct rti_disk_limit limit;

    (void)state;
    rti_disk_limit_init(&limit, 3, START);
    assert_true(rti_disk_limit_opens(&limit) <= START);
    rti_disk_limit_charge(&limit, 1, START);
    assert_int_equal(rti_disk_limit_opens(&limit), START + 333333334); /* rounded up */
    rti_disk_limit_charge(&limit, 2, START + 333333334);
    assert_int_equal(rti_disk_limit_opens(&limit), START + RT_SECONDS(1)); /* and nothing lost */
}

static void who_wakes_late_each_time_has_the_whole_rate(void **state)
{
    struct rti_disk_limit limit;
    rt_time now = START;
    unsigned begun = 0;

    (void)state;
    rti_disk_limit_init(&limit, 20000, now);
    while (now < START + RT_SECONDS(1)) {
        while (rti_disk_limit_opens(&limit) <= now) {
            rti_disk_limit_charge(&limit, 1, now);
            begun++;
        }
        now = rti_disk_limit_opens(&limit) + RT_MICROSECONDS(70);
    }
    assert_in_range(begun, 19995, 20003);
}

static void a_pause_saves_up_little(void **state)
{
    struct rti_disk_limit limit;
    const rt_time later = START + RT_SECONDS(3600);
    unsigned begun = 0;

    (void)state;
    rti_disk_limit_init(&limit, 1000, START);
    while (rti_disk_limit_opens(&limit) <= later) {
        rti_disk_limit_charge(&limit, 1, later);
        begun++;
    }
    assert_int_equal(begun, 11); /* what SPARE is worth, and one */
}

static void a_new_rate_holds_from_then_on(void **state)
{
    struct rti_disk_limit limit;

    (void)state;
    rti_disk_limit_init(&limit, 100, START);
    rti_disk_limit_charge(&limit, 200, START);
    assert_int_equal(rti_disk_limit_opens(&limit), START + RT_SECONDS(2));
    rti_disk_limit_set(&limit, 1000, START + RT_SECONDS(1)); /* 100 are still owed */
    assert_int_equal(rti_disk_limit_opens(&limit), START + RT_MILLISECONDS(1100));
    rti_disk_limit_set(&limit, 0, START + RT_SECONDS(1));
    assert_true(rti_disk_limit_opens(&limit) <= START);
    rti_disk_limit_set(&limit, 1, START + RT_SECONDS(2)); /* what was without a limit is not owed */
    assert_true(rti_disk_limit_opens(&limit) <= START + RT_SECONDS(2));
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    struct rti_disk_limit limit;

    (void)state;
    rti_disk_limit_init(&limit, 1, START);
    rti_disk_limit_charge(&limit, UINT32_MAX, START);
    assert_int_equal(rti_disk_limit_opens(&limit), START + RT_SECONDS(UINT32_MAX));
    rti_disk_limit_init(&limit, UINT64_MAX, START);
    rti_disk_limit_charge(&limit, 1, RT_NEVER);
    assert_true(rti_disk_limit_opens(&limit) <= START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_is_always_open),
        cmocka_unit_test(a_limit_opens_when_what_began_is_paid_for),
        cmocka_unit_test(who_wakes_late_each_time_has_the_whole_rate),
        cmocka_unit_test(a_pause_saves_up_little),
        cmocka_unit_test(a_new_rate_holds_from_then_on),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
