/* SPDX-License-Identifier: MIT */
/*
 * Models of devices that are known: a fit finds the numbers that times were made of, bears errors,
 * and is called bad when times have another law. No device is asked; rates come from formulas.
 */
#include "model.h"

#include <math.h>
#include <string.h>

#include "support/harness.h"

#define FAULT_BYTES 256

static const uint32_t sizes[MODEL_SIZES] = { 4096, 16384, 65536, 262144, 1048576 };

/* ns of a request of so many bytes */
typedef double (*law)(double bytes);

static double disk(double bytes)
{
    return 8000 + bytes * 0.5;
}

static double no_byte_costs(double bytes)
{
    return 10000 - bytes * 0.001; /* larger ones are even a bit faster */
}

static double only_bytes_cost(double bytes)
{
    return bytes * 0.5 - 1000;
}

/* A cliff, such as a device has that splits what is larger than 128 KiB. */
static double cliff(double bytes)
{
    return bytes <= 131072 ? 8000 : 8000 + bytes * 4;
}

/* Repeats differ by `noise` around the law, in this order: more, less, just so. */
static struct model fitted(law ns, double noise)
{
    struct model model = { .device = "8:0", .name = "sda", .measured = { true, false } };
    struct model_direction *reads = &model.directions[JOB_READ];

    for (size_t i = 0; i < MODEL_SIZES; i++) {
        const double rate = 1e9 / ns(sizes[i]);

        reads->points[i] = (struct model_point){
            .bytes = sizes[i],
            .depth = 16,
            .cpu = 0.3,
            .per_second = { rate * (1 + noise), rate * (1 - noise), rate },
        };
    }
    model_fit(reads);
    return model;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * (fabs(b) + 1);
}

static void a_fit_finds_what_the_times_were_made_of(void **state)
{
    const struct model model = fitted(disk, 0.1);
    const struct model_direction *reads = &model.directions[JOB_READ];
    char fault[FAULT_BYTES];

    (void)state;
    assert_true(near(reads->request_ns, 8000));
    assert_true(near(reads->byte_ps, 500));
    assert_true(near(reads->spread, 0.2));
    assert_true(reads->off < 1e-9);
    assert_true(near(reads->capacity_ns, 16 * disk(65536))); /* the middle of five */
    assert_false(model_fault(&model, 0, fault, sizeof(fault)));
}

static void no_cost_is_below_nothing(void **state)
{
    struct model model = fitted(no_byte_costs, 0);

    (void)state;
    assert_true(near(model.directions[JOB_READ].byte_ps, 0));
    assert_true(fabs(model.directions[JOB_READ].request_ns - 9700) < 400);
    model = fitted(only_bytes_cost, 0);
    assert_true(near(model.directions[JOB_READ].request_ns, 0));
    assert_true(model.directions[JOB_READ].byte_ps > 250 &&
                model.directions[JOB_READ].byte_ps < 500);
}

static void another_law_is_called_bad(void **state)
{
    const struct model model = fitted(cliff, 0);
    char fault[FAULT_BYTES];

    (void)state;
    assert_true(model_fault(&model, 0, fault, sizeof(fault)));
    assert_non_null(strstr(fault, "reads: it is off by"));
    assert_false(model_fault(&model, 1, fault, sizeof(fault)));
}

static void all_faults_are_told_each_once(void **state)
{
    struct model model = fitted(disk, 0.3);
    char fault[FAULT_BYTES];

    (void)state;
    model.directions[JOB_READ].cpu = 0.99;
    model.name[0] = '\0';
    assert_true(model_fault(&model, 0, fault, sizeof(fault)));
    assert_non_null(strstr(fault, "reads: repeats differ by 60 %"));
    assert_true(model_fault(&model, 1, fault, sizeof(fault)));
    assert_non_null(strstr(fault, "reads: the shard took 99 % of its CPU"));
    assert_true(model_fault(&model, 2, fault, sizeof(fault)));
    assert_non_null(strstr(fault, "8:0 is no block device"));
    assert_false(model_fault(&model, 3, fault, sizeof(fault)));
}

static void what_was_not_measured_has_no_fault(void **state)
{
    struct model model = fitted(disk, 0);
    char fault[FAULT_BYTES];

    (void)state;
    model.directions[JOB_WRITE].off = 1;
    assert_false(model_fault(&model, 0, fault, sizeof(fault)));
    model.measured[JOB_WRITE] = true;
    assert_true(model_fault(&model, 0, fault, sizeof(fault)));
    assert_non_null(strstr(fault, "writes: it is off by 100 %"));
}

static void a_device_is_saturated_when_two_doublings_bring_nothing(void **state)
{
    struct model_levels levels = { .per_second = { 100, 190, 360, 500, 510 }, .count = 5 };

    (void)state;
    assert_false(model_is_saturated(&levels)); /* one alone */
    levels.per_second[levels.count++] = 520;
    assert_true(model_is_saturated(&levels));
    assert_int_equal(model_saturation_depth(&levels), 8); /* 500 is less than 5 % below 520 */
    levels.per_second[levels.count - 1] = 600;
    assert_false(model_is_saturated(&levels));
    assert_int_equal(model_saturation_depth(&levels), 32);
}

static void what_more_in_flight_makes_slower_is_saturated_too(void **state)
{
    const struct model_levels levels = { .per_second = { 200, 150, 100 }, .count = 3 };
    const struct model_levels few = { .per_second = { 200, 150 }, .count = 2 };

    (void)state;
    assert_true(model_is_saturated(&levels));
    assert_false(model_is_saturated(&few));
    assert_int_equal(model_saturation_depth(&levels), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_finds_what_the_times_were_made_of),
        cmocka_unit_test(no_cost_is_below_nothing),
        cmocka_unit_test(another_law_is_called_bad),
        cmocka_unit_test(all_faults_are_told_each_once),
        cmocka_unit_test(what_was_not_measured_has_no_fault),
        cmocka_unit_test(a_device_is_saturated_when_two_doublings_bring_nothing),
        cmocka_unit_test(what_more_in_flight_makes_slower_is_saturated_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
