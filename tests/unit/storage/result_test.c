/* SPDX-License-Identifier: MIT */
/*
 * Results put together: counts and costs add up, times run side by side, and samples have the mean
 * and deviation that a naive sum has; of instances that ran at once they are those of the sum.
 */
#include "result.h"

#include <math.h>

#include "histogram.h"
#include "support/harness.h"
#include "support/rand.h"

#define SAMPLES 1000u

static const struct job job = { .read_percent = 50, .instances = 2, .group_reporting = true };

static void samples_have_the_mean_and_deviation_of_a_naive_sum(void **state)
{
    static double values[SAMPLES];
    struct result_samples samples = { 0 };
    struct rand_state rand;
    double sum = 0;
    double squares = 0;

    (void)state;
    rand_init(&rand, rt_test_seed(0));
    for (unsigned i = 0; i < SAMPLES; i++) {
        values[i] = 1e6 + (double)rand_below(&rand, 1000);
        result_sample(&samples, values[i]);
        sum += values[i];
        assert_true(samples.min <= values[i] && samples.max >= values[i]);
    }
    for (unsigned i = 0; i < SAMPLES; i++) {
        squares += pow(values[i] - sum / SAMPLES, 2);
    }
    assert_true(fabs(samples.mean - sum / SAMPLES) < 1e-6);
    assert_true(fabs(result_deviation(&samples) - sqrt(squares / (SAMPLES - 1))) < 1e-6);
}

/* An instance that did `n` reads of 4 KiB, `n` us each, in `n` seconds, at `n` CPU. */
static void fill(struct result_job *result, uint32_t instance, unsigned n)
{
    struct result_direction *read = &result->directions[JOB_READ];

    assert_int_equal(result_job_init(result, &job, instance), 0);
    for (unsigned i = 0; i < n; i++) {
        result_record(&read->clat, RT_MICROSECONDS(n));
        result_sample(&read->iops, 10 * n);
        result_sample(&read->iops, 12 * n);
    }
    read->operations = n;
    read->bytes = n * 4096;
    read->runtime = RT_SECONDS(n);
    result->runtime = RT_SECONDS(n);
    result->cost.user = RT_MILLISECONDS(n);
    result->cost.enters = n;
    result->cpu = (int32_t)n;
}

static void instances_of_a_group_are_reported_as_one(void **state)
{
    struct result_job jobs[2];
    const struct result result = { .jobs = jobs, .count = 2 };
    struct result_groups groups;
    const struct result_job *all;

    (void)state;
    fill(&jobs[0], 0, 3);
    fill(&jobs[1], 1, 5);
    jobs[1].error = -5;
    assert_int_equal(result_group(&groups, &result), 0);
    assert_int_equal(groups.count, 1);
    all = &groups.jobs[0];
    assert_int_equal(all->instances, 2);
    assert_int_equal(all->cpu, -1); /* of several */
    assert_int_equal(all->error, -5);
    assert_int_equal(result_operations(all), 8);
    assert_int_equal(all->directions[JOB_READ].bytes, 8 * 4096);
    assert_int_equal(all->directions[JOB_READ].runtime, RT_SECONDS(5));
    assert_int_equal(all->cost.user, RT_MILLISECONDS(8));
    assert_int_equal(all->cost.enters, 8);
    assert_int_equal(histogram_count(all->directions[JOB_READ].clat.histogram), 8);
    assert_int_equal(all->directions[JOB_READ].clat.min, 3000);
    /* No rate: both kinds of latency are the same. */
    assert_int_equal(histogram_count(all->directions[JOB_READ].lat.histogram), 8);
    assert_true(fabs(all->directions[JOB_READ].iops.mean - (33 + 55)) < 1e-9);
    result_groups_fini(&groups);
    result_job_fini(&jobs[0]);
    result_job_fini(&jobs[1]);
}

static void deviations_of_instances_that_run_at_once_add_as_squares(void **state)
{
    struct result_job jobs[2];
    const double three = 3 * sqrt(6.0 / 5); /* of 30 and 36, three times each */
    const double five = 5 * sqrt(10.0 / 9); /* of 50 and 60, five times each */
    struct result_job sum = { .job = &job };

    (void)state;
    fill(&jobs[0], 0, 3);
    fill(&jobs[1], 1, 5);
    assert_true(fabs(result_deviation(&jobs[0].directions[JOB_READ].iops) - three) < 1e-9);
    assert_true(fabs(result_deviation(&jobs[1].directions[JOB_READ].iops) - five) < 1e-9);
    assert_int_equal(result_merge(&sum, &jobs[0]), 0);
    assert_int_equal(result_merge(&sum, &jobs[1]), 0);
    /* Population variances add: 9 + 25, over six samples. */
    assert_true(fabs(result_deviation(&sum.directions[JOB_READ].iops) - sqrt(34.0 * 6 / 5)) < 1e-9);
    result_job_fini(&sum);
    result_job_fini(&jobs[0]);
    result_job_fini(&jobs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_have_the_mean_and_deviation_of_a_naive_sum),
        cmocka_unit_test(instances_of_a_group_are_reported_as_one),
        cmocka_unit_test(deviations_of_instances_that_run_at_once_add_as_squares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
