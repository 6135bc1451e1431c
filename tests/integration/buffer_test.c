/* SPDX-License-Identifier: MIT */
/*
 * Buffers on the real kernel: the same bytes as by plain system calls, registered or not, direct
 * or through the page cache; and what a user with little locked memory gets.
 *
 * Method: random transfers beside pread(2) and pwrite(2) on the same file. The limit is that of a
 * user without privileges, so a child of root becomes one. Skipped without io_uring; the limit
 * where the test does not run as root, direct I/O where the file system has none.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rt/rt.h"
#include "support/rand.h"

#define FILE_BYTES  (2u << 20)
#define STEPS       300
#define ALIGN       4096u
#define ARENA_BYTES (4u << 20)
#define STRANGERS   1000000 /* users that nobody is: the limit is one for all that a user has */

static char path[] = "/tmp/shardrt-buffer-XXXXXX";
static char expected[FILE_BYTES];
static char found[FILE_BYTES];

struct variant {
    int flags; /* of open */
    bool aligned;
    bool refused; /* the file system has no O_DIRECT */
    uint64_t seed;
};

static struct rt_stats stats(void)
{
    struct rt_stats now;

    rt_stats_get(&now, sizeof(now));
    return now;
}

/* A place, a length and an offset: anything, or what a direct file wants. */
static void draw_part(struct rand_state *rand, size_t room, bool aligned, size_t part[2])
{
    part[0] = (size_t)rand_below(rand, room);
    if (aligned) {
        part[0] -= part[0] % ALIGN;
    }
    part[1] = (size_t)rand_range(rand, 1, (int64_t)(room - part[0]));
    if (aligned) {
        part[1] = (part[1] + ALIGN - 1) / ALIGN * ALIGN;
    }
}

static void transfer(struct rand_state *rand, struct rt_file *file, bool aligned)
{
    struct rt_buffer *buffer = NULL;
    size_t part[2];
    size_t offset;
    char *data;

    T_CHECK(rt_buffer_get(&buffer, (size_t)rand_range(rand, 1, RT_BUFFER_BYTES_MAX)) == 0);
    draw_part(rand, rt_buffer_bytes(buffer), aligned, part);
    offset = (size_t)rand_below(rand, FILE_BYTES - part[1] + 1);
    offset -= aligned ? offset % ALIGN : 0;
    data = (char *)rt_buffer_data(buffer) + part[0];
    if (rand_chance(rand, 500)) {
        rand_bytes(rand, data, part[1] < 64 ? part[1] : 64);
        T_CHECK(rt_file_write_buffer(file, buffer, part[0], part[1], offset, RT_NEVER) ==
                (ssize_t)part[1]);
        memcpy(expected + offset, data, part[1]);
    } else {
        T_CHECK(rt_file_read_buffer(file, buffer, part[0], part[1], offset, RT_NEVER) ==
                (ssize_t)part[1]);
        T_CHECK(memcmp(data, expected + offset, part[1]) == 0);
    }
    rt_buffer_put(buffer);
}

static int transfer_much(void *arg)
{
    struct variant *variant = arg;
    struct rand_state rand;
    struct rt_file *file;
    int r = rt_file_open(&file, path, variant->flags, 0, RT_NEVER);

    if (r == -EINVAL && (variant->flags & O_DIRECT) != 0) {
        variant->refused = true;
        return 0;
    }
    T_CHECK(r == 0);
    rand_init(&rand, variant->seed);
    for (int i = 0; r == 0 && i < STEPS; i++) {
        transfer(&rand, file, variant->aligned);
    }
    T_CHECK(stats().buffers_in_use == 0 && stats().buffer_bytes == ARENA_BYTES);
    T_CHECK(r != 0 || rt_file_close(file) == 0);
    return r;
}

static void run_variant(int flags, bool aligned, const char *disable)
{
    struct variant variant = { .flags = flags, .aligned = aligned, .seed = rt_test_seed(0) };
    struct rt_config config = RT_CONFIG_INIT;
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    config.disable = disable;
    memset(expected, 'e', FILE_BYTES);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, expected, FILE_BYTES, 0), FILE_BYTES);
    assert_int_equal(rt_run(&config, transfer_much, &variant), 0);
    assert_int_equal(t_failures(), 0);
    if (!variant.refused) {
        assert_int_equal(pread(fd, found, FILE_BYTES, 0), FILE_BYTES);
        assert_true(memcmp(found, expected, FILE_BYTES) == 0);
    }
    close(fd);
    if (variant.refused) {
        print_message("skipped: no O_DIRECT on %s\n", path);
        skip();
    }
}

static void a_file_in_the_page_cache_is_read_and_written(void **state)
{
    (void)state;
    run_variant(O_RDWR, false, NULL);
}

static void a_direct_file_is_read_and_written(void **state)
{
    (void)state;
    run_variant(O_RDWR | O_DIRECT, true, NULL);
}

static void a_direct_file_is_read_and_written_at_any_place(void **state)
{
    (void)state;
    run_variant(O_RDWR | O_DIRECT, false, NULL);
}

static void without_registration_it_is_the_same(void **state)
{
    (void)state;
    run_variant(O_RDWR, false, "fixed_buffers");
}

static void without_registration_a_direct_file_is_the_same(void **state)
{
    (void)state;
    run_variant(O_RDWR | O_DIRECT, true, "fixed_buffers");
}

/* The limit of locked memory */

struct count {
    uint64_t registered;
    bool has_feature;
};

static unsigned warnings;

static void hear(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    warnings += level == RT_LOG_WARNING && strstr(text, "ulimit -l") != NULL;
}

/* Three arenas, all used. */
static int fill_arenas(void *arg)
{
    struct count *count = arg;
    struct rt_file *file = NULL;
    char names[256];

    T_CHECK(rt_file_open(&file, path, O_RDONLY, 0, RT_NEVER) == 0);
    for (int i = 0; i < 12; i++) {
        struct rt_buffer *buffer = NULL;

        T_CHECK(rt_buffer_get(&buffer, RT_BUFFER_BYTES_MAX) == 0);
        T_CHECK(rt_file_read_buffer(file, buffer, 0, 16, 0, RT_NEVER) == 16);
    }
    (void)rt_features_format(names, sizeof(names));
    count->has_feature = strstr(names, "fixed_buffers") != NULL;
    count->registered = stats().buffer_bytes - stats().buffer_bytes_unregistered;
    T_CHECK(stats().buffer_bytes == 3 * ARENA_BYTES);
    return rt_file_close(file);
}

/* In a child without privileges. Executors that come one after the other have the same room: what
 * was registered is given back at once. */
static int live_with_little_locked_memory(void)
{
    const struct rlimit limit = { ARENA_BYTES + (1u << 20), ARENA_BYTES + (1u << 20) };
    const uid_t stranger = STRANGERS + (uid_t)getpid();
    struct rt_config config = RT_CONFIG_INIT;

    config.log = hear;
    if (geteuid() != 0 || setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
        setresuid(stranger, stranger, stranger) < 0) {
        return T_EXIT_SKIPPED;
    }
    for (unsigned i = 0; i < 3; i++) {
        struct count count = { 0 };

        if (rt_run(&config, fill_arenas, &count) != 0) {
            return EXIT_FAILURE;
        }
        if (!count.has_feature) {
            return T_EXIT_SKIPPED;
        }
        T_CHECK(count.registered == ARENA_BYTES);
        T_CHECK(warnings == i + 1);
    }
    return t_failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void beyond_the_limit_of_locked_memory_buffers_work_unregistered(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(live_with_little_locked_memory());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == T_EXIT_SKIPPED) {
        print_message("skipped: not root, or fixed_buffers is turned off\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

static int make_file(void **state)
{
    const int fd = mkostemp(path, O_CLOEXEC);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_in_the_page_cache_is_read_and_written),
        cmocka_unit_test(a_direct_file_is_read_and_written),
        cmocka_unit_test(a_direct_file_is_read_and_written_at_any_place),
        cmocka_unit_test(without_registration_it_is_the_same),
        cmocka_unit_test(without_registration_a_direct_file_is_the_same),
        cmocka_unit_test(beyond_the_limit_of_locked_memory_buffers_work_unregistered),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
