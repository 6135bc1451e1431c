/* SPDX-License-Identifier: MIT */
/*
 * What a workload tells, told without a device: each unit once per pass, for random and ordered
 * jobs, one size and many, one file and several; the share of each direction and size; starts of a
 * rate, to the nanosecond; and that a second workload tells the same again.
 */
#include "workload.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "support/harness.h"

#define UNITS_MAX 4096u
#define KIB       1024u

static const char *const names[] = { "a", "b", "c" };
static unsigned char touched[3][UNITS_MAX];

static struct job_blocks blocks_of(uint32_t bytes)
{
    return (struct job_blocks){ 1, bytes, bytes, { { bytes, 100 } } };
}

/* 4 KiB reads, in order, of one file of 1 MiB. */
static struct job job_make(void)
{
    return (struct job){
        .name = "test",
        .files = names,
        .file_count = 1,
        .size = (uint64_t)1024 * KIB,
        .seed = 1,
        .loops = 1,
        .instances = 1,
        .depth = 1,
        .read_percent = 100,
        .blocks = { blocks_of(4 * KIB), blocks_of(4 * KIB) },
    };
}

/* Runs a pass; each unit is counted in `touched`. Returns how many operations it took. */
static uint64_t run_pass(struct workload *workload)
{
    struct workload_io io;
    uint64_t bytes = 0;
    uint64_t count = 0;

    memset(touched, 0, sizeof(touched));
    while (bytes < workload->range * workload->file_count / workload->unit * workload->unit) {
        assert_true(workload_next(workload, &io));
        assert_true(io.offset >= workload->job->offset && io.bytes > 0);
        assert_true(io.offset + io.bytes <= workload->job->offset + workload->range);
        for (uint64_t at = 0; at < io.bytes; at += workload->unit) {
            touched[io.file][(io.offset - workload->job->offset + at) / workload->unit]++;
        }
        bytes += io.bytes;
        count++;
    }
    return count;
}

static void check_each_unit_once(const struct workload *workload)
{
    for (uint32_t file = 0; file < workload->file_count; file++) {
        for (uint64_t i = 0; i < workload->range / workload->unit; i++) {
            assert_int_equal(touched[file][i], 1);
        }
    }
}

/* Both passes of the job touch each unit once, and then it is over. */
static void check_passes(struct job *job)
{
    struct workload workload;
    struct workload_io io;

    job->loops = 2;
    assert_int_equal(workload_init(&workload, job, 3, job->size), 0);
    for (int pass = 0; pass < 2; pass++) {
        run_pass(&workload);
        check_each_unit_once(&workload);
        assert_int_equal(workload.pass, pass);
    }
    assert_false(workload_next(&workload, &io));
    workload_fini(&workload);
}

static void a_pass_in_order_goes_from_block_to_block(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;

    (void)state;
    job.offset = 8 * KIB;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (uint64_t i = 0; i < 256; i++) {
        assert_true(workload_next(&workload, &io));
        assert_int_equal(io.offset, job.offset + i * 4 * KIB);
        assert_int_equal(io.start, WORKLOAD_ANY_TIME);
    }
    assert_false(workload_next(&workload, &io));
    workload_fini(&workload);
    check_passes(&job);
}

static void random_blocks_come_once_in_each_pass(void **state)
{
    struct job job = job_make();

    (void)state;
    job.random = true;
    check_passes(&job);
    job.read_percent = 30; /* one permutation for both directions */
    check_passes(&job);
    job.file_count = 3;
    job.size = (uint64_t)3 * 100 * 4 * KIB;
    check_passes(&job);
}

static void random_blocks_of_many_sizes_come_once_too(void **state)
{
    struct job job = job_make();

    (void)state;
    job.random = true;
    job.file_count = 2;
    job.blocks[JOB_READ] = (struct job_blocks){
        3, 4 * KIB, 64 * KIB, { { 4 * KIB, 50 }, { 12 * KIB, 30 }, { 64 * KIB, 20 } }
    };
    check_passes(&job);
}

static void what_is_left_over_behind_the_last_block_is_not_touched(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;
    unsigned count = 0;

    (void)state;
    job.blocks[JOB_READ] = blocks_of(6 * KIB);
    job.size = 20 * KIB;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    while (workload_next(&workload, &io)) {
        assert_int_equal(io.bytes, 6 * KIB);
        count++;
    }
    assert_int_equal(count, 3); /* as fio does */
    workload_fini(&workload);
}

static void a_file_without_room_for_a_block_is_refused(void **state)
{
    struct job job = job_make();
    struct workload workload;

    (void)state;
    assert_int_equal(workload_init(&workload, &job, 0, 4 * KIB - 1), -EINVAL);
    workload_fini(&workload);
    job.file_count = 2;
    assert_int_equal(workload_init(&workload, &job, 0, 8 * KIB - 1), -EINVAL);
    workload_fini(&workload);
}

/* 10,000 operations of a job without end: five standard deviations of a share are 250 at most. */
static void directions_and_sizes_have_their_shares(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;
    unsigned reads = 0;
    unsigned large_writes = 0;

    (void)state;
    job.random = true;
    job.no_random_map = true;
    job.time_based = true;
    job.read_percent = 70;
    job.blocks[JOB_WRITE] = (struct job_blocks){
        2, 4 * KIB, 8 * KIB, { { 4 * KIB, 75 }, { 8 * KIB, 25 } }
    };
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (int i = 0; i < 10000; i++) {
        assert_true(workload_next(&workload, &io));
        reads += io.direction == JOB_READ;
        large_writes += io.direction == JOB_WRITE && io.bytes == 8 * KIB;
    }
    assert_in_range(reads, 7000 - 230, 7000 + 230);
    assert_in_range(large_writes, 750 - 131, 750 + 131);
    workload_fini(&workload);
}

static void zipf_prefers_a_few_blocks_that_are_not_neighbours(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;
    unsigned times[256] = { 0 };
    unsigned first = 0;

    (void)state;
    job.random = true;
    job.time_based = true;
    job.distribution = JOB_DISTRIBUTION_ZIPF;
    job.zipf_theta = 1.2;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (int i = 0; i < 10000; i++) {
        assert_true(workload_next(&workload, &io));
        times[io.offset / (4 * KIB)]++;
    }
    for (unsigned i = 0; i < 256; i++) {
        first = times[i] > times[first] ? i : first;
    }
    assert_int_equal(first, permutation_at(&workload.ranks, 0));
    assert_in_range(times[first], 2536 - 218, 2536 + 218); /* 1 / sum(k^-1.2), k up to 256 */
    workload_fini(&workload);
}

static void operations_of_a_rate_start_at_equal_distances(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;

    (void)state;
    job.time_based = true;
    job.rate_iops[JOB_READ] = 3; /* a third of a second is no whole number of ns */
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (int64_t i = 0; i < 1000; i++) {
        assert_true(workload_next(&workload, &io));
        assert_int_equal(io.start, i * RT_SECONDS(1) / 3);
    }
    workload_fini(&workload);
    job.rate_iops[JOB_READ] = 0;
    job.rate_bytes[JOB_READ] = 1000000;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (int64_t i = 0; i < 1000; i++) {
        assert_true(workload_next(&workload, &io));
        assert_int_equal(io.start, i * 4096000);
    }
    workload_fini(&workload);
}

/* The gaps of a Poisson process have their mean as standard deviation. */
static void random_starts_are_exponentially_apart(void **state)
{
    enum { GAPS = 20000 };
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;
    rt_time before;
    double sum = 0;
    double squares = 0;

    (void)state;
    job.time_based = true;
    job.rate_iops[JOB_READ] = 1000;
    job.rate_process = JOB_RATE_POISSON;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    assert_true(workload_next(&workload, &io));
    for (int i = 0; i < GAPS; i++) {
        double gap;

        before = io.start;
        assert_true(workload_next(&workload, &io));
        assert_true(io.start >= before);
        gap = (double)(io.start - before) / 1e6; /* one is due */
        sum += gap;
        squares += gap * gap;
    }
    /* Five standard deviations of the mean of 20,000, and of the mean of their squares (due: 2). */
    assert_true(fabs(sum / GAPS - 1) < 5 / sqrt(GAPS));
    assert_true(fabs(squares / GAPS - 2) < 5 * sqrt(20.0 / GAPS));
    workload_fini(&workload);
}

static void of_two_rates_the_earlier_start_comes_next(void **state)
{
    struct job job = job_make();
    struct workload workload;
    struct workload_io io;
    rt_time before = 0;
    unsigned reads = 0;

    (void)state;
    job.time_based = true;
    job.read_percent = 50;
    job.rate_iops[JOB_READ] = 300;
    job.rate_iops[JOB_WRITE] = 100;
    assert_int_equal(workload_init(&workload, &job, 0, job.size), 0);
    for (unsigned i = 0; i < 400; i++) {
        assert_true(workload_next(&workload, &io));
        assert_true(io.start >= before);
        before = io.start;
        reads += io.direction == JOB_READ;
    }
    assert_int_equal(reads, 300);
    workload_fini(&workload);
}

/* How many of 1000 operations of two workloads are the same. */
static unsigned same_operations(const struct job *job, const struct job *other, uint32_t instance)
{
    struct workload one;
    struct workload two;
    struct workload_io io[2];
    unsigned same = 0;

    assert_int_equal(workload_init(&one, job, 0, job->size), 0);
    assert_int_equal(workload_init(&two, other, instance, other->size), 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(workload_next(&one, &io[0]));
        assert_true(workload_next(&two, &io[1]));
        same += io[0].offset == io[1].offset && io[0].direction == io[1].direction &&
                io[0].bytes == io[1].bytes && io[0].start == io[1].start;
    }
    workload_fini(&one);
    workload_fini(&two);
    return same;
}

static void the_same_seed_and_instance_tell_the_same(void **state)
{
    struct job job = job_make();
    struct job other;

    (void)state;
    job.random = true;
    job.time_based = true;
    job.read_percent = 50;
    other = job;
    assert_int_equal(same_operations(&job, &other, 0), 1000);
    assert_in_range(same_operations(&job, &other, 1), 0, 20);
    other.seed = 2;
    assert_in_range(same_operations(&job, &other, 0), 0, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_in_order_goes_from_block_to_block),
        cmocka_unit_test(random_blocks_come_once_in_each_pass),
        cmocka_unit_test(random_blocks_of_many_sizes_come_once_too),
        cmocka_unit_test(what_is_left_over_behind_the_last_block_is_not_touched),
        cmocka_unit_test(a_file_without_room_for_a_block_is_refused),
        cmocka_unit_test(directions_and_sizes_have_their_shares),
        cmocka_unit_test(zipf_prefers_a_few_blocks_that_are_not_neighbours),
        cmocka_unit_test(operations_of_a_rate_start_at_equal_distances),
        cmocka_unit_test(random_starts_are_exponentially_apart),
        cmocka_unit_test(of_two_rates_the_earlier_start_comes_next),
        cmocka_unit_test(the_same_seed_and_instance_tell_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
