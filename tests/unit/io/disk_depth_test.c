/* SPDX-License-Identifier: MIT */
/*
 * Depth control, window by window: what makes the capacity rise, fall and stay. (That it comes to
 * what fits a device is shown by disk_queue_test.)
 */
#include "io/disk_depth.h"

#include "support/harness.h"

#define WINDOW   RT_MILLISECONDS(10)
#define CAPACITY (RTI_DISK_CAPACITY_MIN * 100)
#define COST     RTI_DISK_CAPACITY_MIN
#define IDLE     RT_MICROSECONDS(100)
#define LATE     RT_MICROSECONDS(171)

static struct rti_disk_depth depth;

static struct rti_disk_sample sample_of(rt_time latency)
{
    return (struct rti_disk_sample){
        .latency = latency, .cost = COST, .in_flight = CAPACITY, .bytes = 4096
    };
}

static void note(struct rti_disk_sample sample, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rti_disk_depth_note(&depth, &sample);
    }
}

/* A window on a device whose unloaded time is known. */
static void begin(uint64_t capacity)
{
    rti_disk_depth_init(&depth, capacity, 0);
    note(sample_of(IDLE), 1);
    rti_disk_depth_restart(&depth, capacity, 0);
}

static void a_window_has_its_time_and_enough_of_one_kind(void **state)
{
    (void)state;
    begin(CAPACITY);
    note(sample_of(IDLE), 15);
    assert_false(rti_disk_depth_is_due(&depth, WINDOW * 100));
    note(sample_of(IDLE), 1);
    assert_false(rti_disk_depth_is_due(&depth, WINDOW - 1));
    assert_true(rti_disk_depth_is_due(&depth, WINDOW));
    rti_disk_depth_restart(&depth, CAPACITY, WINDOW);
    assert_false(rti_disk_depth_is_due(&depth, WINDOW * 2));
}

static void requests_in_time_make_it_rise(void **state)
{
    (void)state;
    begin(CAPACITY);
    note(sample_of(LATE - 1000), 40);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY + COST * 4);
    begin(RTI_DISK_CAPACITY_MAX);
    note(
        (struct rti_disk_sample){
            .latency = IDLE, .cost = COST, .in_flight = RTI_DISK_CAPACITY_MAX, .bytes = 4096 },
        40);
    assert_int_equal(rti_disk_depth_judge(&depth), RTI_DISK_CAPACITY_MAX);
}

static void half_of_them_late_do_not_make_it_fall_and_one_more_does(void **state)
{
    (void)state;
    begin(CAPACITY);
    note(sample_of(LATE), 20);
    note(sample_of(IDLE), 20);
    assert_true(rti_disk_depth_judge(&depth) > CAPACITY);
    note(sample_of(LATE), 2);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY / 4 * 3);
}

static void most_of_them_very_late_make_it_fall_further(void **state)
{
    (void)state;
    begin(CAPACITY);
    note(sample_of(LATE * 4), 40);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY / 4);
}

static void a_few_late_reads_beside_many_writes_make_it_fall(void **state)
{
    struct rti_disk_sample write = sample_of(IDLE);

    (void)state;
    write.write = true;
    begin(CAPACITY);
    note(write, 1000);
    note(sample_of(LATE), 7);
    assert_true(rti_disk_depth_judge(&depth) > CAPACITY); /* seven may be chance */
    note(sample_of(LATE), 1);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY / 4 * 3);
}

static void sizes_have_times_of_their_own(void **state)
{
    struct rti_disk_sample large = sample_of(LATE * 10);

    (void)state;
    large.bytes = 4097;
    begin(CAPACITY);
    note(large, 40);
    assert_true(rti_disk_depth_judge(&depth) > CAPACITY);
    large.bytes = UINT32_MAX;
    large.latency *= 10;
    note(large, 40);
    assert_true(rti_disk_depth_judge(&depth) > CAPACITY);
}

static void a_capacity_that_was_not_used_stays(void **state)
{
    struct rti_disk_sample sample = sample_of(IDLE);

    (void)state;
    sample.in_flight = CAPACITY / 2 - 1;
    begin(CAPACITY);
    note(sample, 40);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY);
}

static void what_was_late_in_a_part_of_it_makes_it_fall_to_less_than_that(void **state)
{
    struct rti_disk_sample sample = sample_of(LATE);

    (void)state;
    begin(CAPACITY);
    sample.in_flight = COST * 3; /* few: it is not that they wait for each other */
    note(sample, 400);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY);
    sample.in_flight = COST * 20;
    note(sample, 1);
    assert_int_equal(rti_disk_depth_judge(&depth), COST * 20 / 4 * 3);
    sample.in_flight = COST * 4;
    begin(CAPACITY);
    note(sample, 40);
    assert_int_equal(rti_disk_depth_judge(&depth), COST * 4 / 4 * 3);
}

static void a_capacity_that_was_exceeded_does_not_fall(void **state)
{
    struct rti_disk_sample sample = sample_of(LATE);

    (void)state;
    sample.in_flight = CAPACITY + CAPACITY / 4 + COST;
    begin(CAPACITY);
    note(sample, 40);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY / 4 * 3);
    sample.in_flight++;
    note(sample, 1);
    assert_int_equal(rti_disk_depth_judge(&depth), CAPACITY);
}

static void two_of_the_largest_fit_always(void **state)
{
    struct rti_disk_sample sample = sample_of(LATE * 10);
    uint64_t capacity = CAPACITY;

    (void)state;
    sample.cost = COST * 10;
    for (unsigned i = 0; i < 10; i++) {
        begin(capacity);
        sample.in_flight = capacity + sample.cost;
        note(sample, 40);
        capacity = rti_disk_depth_judge(&depth);
    }
    assert_int_equal(capacity, COST * 10 + RTI_DISK_CAPACITY_MIN);
}

static void the_unloaded_time_follows_requests_that_were_alone_and_faster_ones(void **state)
{
    struct rti_disk_sample sample = sample_of(LATE * 10);
    const struct rti_disk_kind *kind = &depth.kinds[0][0];

    (void)state;
    begin(CAPACITY);
    note(sample, 100);
    assert_int_equal(kind->unloaded, IDLE);
    note(sample_of(IDLE / 2), 1);
    assert_int_equal(kind->unloaded, IDLE - IDLE / 2 / 8);
    sample.alone = true;
    note(sample, 100); /* it has become slow for good */
    assert_in_range(kind->unloaded, LATE * 10 - 10, LATE * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_window_has_its_time_and_enough_of_one_kind),
        cmocka_unit_test(requests_in_time_make_it_rise),
        cmocka_unit_test(half_of_them_late_do_not_make_it_fall_and_one_more_does),
        cmocka_unit_test(most_of_them_very_late_make_it_fall_further),
        cmocka_unit_test(a_few_late_reads_beside_many_writes_make_it_fall),
        cmocka_unit_test(sizes_have_times_of_their_own),
        cmocka_unit_test(a_capacity_that_was_not_used_stays),
        cmocka_unit_test(what_was_late_in_a_part_of_it_makes_it_fall_to_less_than_that),
        cmocka_unit_test(a_capacity_that_was_exceeded_does_not_fall),
        cmocka_unit_test(two_of_the_largest_fit_always),
        cmocka_unit_test(the_unloaded_time_follows_requests_that_were_alone_and_faster_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
