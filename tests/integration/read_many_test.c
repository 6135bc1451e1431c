/* SPDX-License-Identifier: MIT */
/*
 * Many parts of a file, on the real kernel: the same bytes as pread(2) gives.
 *
 * Random sets of ranges are read from a file of random bytes below TMPDIR or /tmp, buffered and
 * (where the file system can) direct. Then each call of the runtime to the system is made to fail
 * once: ranges without an error must be right all the same, and no memory may be left.
 */
#include "support/harness.h"
#include "support/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/fault.h"

#define FILE_BYTES 1000001u
#define RANGES     40u
#define ROOM       50000u
#define SETS       60u

static char path[256];
static int plain; /* the file, by the plain system calls */
static struct rand_state random_state;
static struct rt_read_range ranges[RANGES];
static unsigned char memory[RANGES][ROOM];

static int begin(void **state)
{
    static unsigned char bytes[FILE_BYTES];
    const char *tmp = getenv("TMPDIR");

    (void)state;
    rand_init(&random_state, 7);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)rand_below(&random_state, 256);
    }
    snprintf(path, sizeof(path), "%s/shardrt-many-XXXXXX", tmp != NULL ? tmp : "/tmp");
    plain = mkstemp(path);
    return plain < 0 || write(plain, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes);
}

static int end(void **state)
{
    (void)state;
    return close(plain) < 0 || unlink(path) < 0;
}

static void draw_ranges(void)
{
    const uint64_t spread = rand_chance(&random_state, 500) ? FILE_BYTES + 9000 : 100000;

    for (size_t i = 0; i < RANGES; i++) {
        ranges[i] = (struct rt_read_range){
            .offset = rand_below(&random_state, spread),
            .bytes = rand_below(&random_state, rand_chance(&random_state, 500) ? 500 : ROOM + 1),
            .buf = memory[i],
        };
    }
}

static bool is_right(const struct rt_read_range *range)
{
    static unsigned char expected[ROOM];
    const ssize_t n = pread(plain, expected, range->bytes, (off_t)range->offset);

    return n == range->result && memcmp(expected, range->buf, (size_t)n) == 0;
}

static int read_set(struct rt_file *file)
{
    const struct rt_read_many_options options = {
        .size = sizeof(options),
        .parallel = 1 + (uint32_t)rand_below(&random_state, 20),
        .read_bytes = 4096 * (1 + (uint32_t)rand_below(&random_state, 8)),
        .gap_bytes = 1 + (uint32_t)rand_below(&random_state, 8000),
    };
    int r;

    draw_ranges();
    r = rt_read_many(file, ranges, RANGES, &options, RT_NEVER);
    for (size_t i = 0; i < RANGES; i++) {
        T_CHECK(ranges[i].result < 0 ? r < 0 : is_right(&ranges[i]));
    }
    return r;
}

static int read_sets(void *flags)
{
    const struct rt_file_options options = { .size = sizeof(options),
                                             .flags = *(const int *)flags,
                                             .buffered_ok = 1 };
    struct rt_file *file;

    T_CHECK(rt_file_open_with(&file, path, &options, RT_NEVER) == 0);
    for (unsigned i = 0; i < SETS; i++) {
        T_CHECK(read_set(file) == 0);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void run_sets(int flags)
{
    assert_int_equal(rt_run(NULL, read_sets, &flags), 0);
    assert_int_equal(t_failures(), 0);
}

static void buffered_ranges_are_what_pread_gives(void **state)
{
    (void)state;
    run_sets(O_RDONLY);
}

static void direct_ranges_are_what_pread_gives(void **state)
{
    (void)state;
    run_sets(O_RDONLY | O_DIRECT);
}

static int read_one_set(void *arg)
{
    struct rt_file *file;
    int r = rt_file_open(&file, path, O_RDONLY, 0, RT_NEVER);

    (void)arg;
    if (r == 0) {
        r = read_set(file);
        (void)rt_file_close(file);
    }
    return r;
}

static void a_system_call_that_fails_leaves_no_memory_and_no_wrong_bytes(void **state)
{
    const int64_t blocks = fault_live_blocks();
    bool failed = true;

    (void)state;
    for (unsigned n = 1; failed; n++) {
        int r;

        fault_begin(n);
        r = rt_run(NULL, read_one_set, NULL);
        failed = fault_end();
        assert_true(failed || r == 0);
        assert_int_equal(fault_live_blocks(), blocks);
        assert_int_equal(t_failures(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffered_ranges_are_what_pread_gives),
        cmocka_unit_test(direct_ranges_are_what_pread_gives),
        cmocka_unit_test(a_system_call_that_fails_leaves_no_memory_and_no_wrong_bytes),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
