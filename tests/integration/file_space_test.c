/* SPDX-License-Identifier: MIT */
/*
 * Files on the real kernel: space, advice, locks, copies, and handles for other shards.
 *
 * Each call is checked by what the plain system calls see of the file: its length, its space, its
 * bytes, its locks. Each test works in a directory of its own run, below TMPDIR or /tmp.
 */
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"

#define MIB        ((uint64_t)1 << 20)

static void run(rt_task_fn first)
{
    const unsigned descriptors = t_open_descriptors();
    const int r = rt_run(NULL, first, NULL);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static struct rt_file *must_open(const char *name, int flags)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;
    int r;

    options.flags = flags;
    options.mode = 0600;
    options.buffered_ok = 1;
    r = rt_file_open_with(&file, folder_file(name), &options, RT_NEVER);
    if (r < 0) {
        fprintf(stderr, "cannot open %s: %s\n", folder_file(name), rt_strerror(r));
        abort();
    }
    return file;
}

static struct stat stat_of(struct rt_file *file)
{
    struct stat stat = { 0 };

    T_CHECK(fstat(rt_file_descriptor(file), &stat) == 0);
    return stat;
}

static bool is_all(struct rt_file *file, char byte, uint64_t offset, size_t bytes)
{
    char buf[4096];

    while (bytes > 0) {
        const size_t piece = bytes < sizeof(buf) ? bytes : sizeof(buf);

        if (pread(rt_file_descriptor(file), buf, piece, (off_t)offset) != (ssize_t)piece ||
            buf[0] != byte || memcmp(buf, buf + 1, piece - 1) != 0) {
            return false;
        }
        offset += piece;
        bytes -= piece;
    }
    return true;
}

static void fill(struct rt_file *file, char byte, uint64_t offset, size_t bytes)
{
    char *buf = malloc(bytes);

    T_CHECK(buf != NULL);
    memset(buf, byte, bytes);
    T_CHECK(rt_file_write_all(file, buf, bytes, offset, NULL, RT_NEVER) == (ssize_t)bytes);
    free(buf);
}

/* Space */

static int take_and_give_space(void *arg)
{
    struct rt_file *file = must_open("space", O_RDWR | O_CREAT | O_TRUNC);
    int r;

    (void)arg;
    T_CHECK(rt_file_allocate(file, RT_FILE_GROW, 0, MIB, RT_NEVER) == 0);
    T_CHECK(stat_of(file).st_size == MIB && (uint64_t)stat_of(file).st_blocks * 512 >= MIB);
    T_CHECK(rt_file_allocate(file, RT_FILE_RESERVE, MIB, MIB, RT_NEVER) == 0);
    T_CHECK(stat_of(file).st_size == MIB && (uint64_t)stat_of(file).st_blocks * 512 >= 2 * MIB);
    fill(file, 'f', 0, MIB);
    T_CHECK(rt_file_allocate(file, RT_FILE_PUNCH, 4096, 8192, RT_NEVER) == 0);
    T_CHECK(is_all(file, 'f', 0, 4096) && is_all(file, '\0', 4096, 8192));
    T_CHECK(is_all(file, 'f', 12288, MIB - 12288) && stat_of(file).st_size == MIB);
    r = rt_file_allocate(file, RT_FILE_ZERO, MIB - 5, 10, RT_NEVER);
    T_CHECK(r == 0 || r == -EOPNOTSUPP); /* tmpfs has it not */
    T_CHECK(r < 0 || (is_all(file, '\0', MIB - 5, 10) && stat_of(file).st_size == MIB + 5));
    T_CHECK(rt_file_allocate(file, RT_FILE_GROW, 0, 0, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_allocate(file, RT_FILE_GROW, INT64_MAX, 1, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_allocate(file, RT_FILE_GROW, UINT64_MAX, UINT64_MAX, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_close(file) == 0);
    file = must_open("space", O_RDONLY);
    T_CHECK(rt_file_allocate(file, RT_FILE_GROW, 0, 1, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void space_is_taken_and_given_back(void **state)
{
    (void)state;
    run(take_and_give_space);
}

static int change_the_length(void *arg)
{
    struct rt_file *file = must_open("space", O_RDWR | O_CREAT | O_TRUNC);
    int r;

    (void)arg;
    fill(file, 'f', 0, 1000);
    r = rt_file_truncate(file, 10, RT_NEVER);
    T_CHECK(r == 0 || r == -EOPNOTSUPP);
    if (r == 0) {
        T_CHECK(stat_of(file).st_size == 10);
        T_CHECK(rt_file_truncate(file, 20, RT_NEVER) == 0);
        T_CHECK(is_all(file, 'f', 0, 10) && is_all(file, '\0', 10, 10));
        T_CHECK(stat_of(file).st_size == 20);
        T_CHECK(rt_file_truncate(file, (uint64_t)INT64_MAX + 1, RT_NEVER) == -EFBIG);
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_file_becomes_as_long_as_it_is_told(void **state)
{
    (void)state;
    run(change_the_length);
}

/* The page cache */

static int write_out_and_advise(void *arg)
{
    static const enum rt_file_advice advices[] = { RT_FILE_NORMAL, RT_FILE_RANDOM,
                                                   RT_FILE_SEQUENTIAL, RT_FILE_WILL_NEED,
                                                   RT_FILE_DONT_NEED };
    struct rt_file *file = must_open("cache", O_RDWR | O_CREAT | O_TRUNC);
    struct rt_file *fifo;

    (void)arg;
    fill(file, 'c', 0, 10000);
    T_CHECK(rt_file_write_out(file, RT_FILE_WRITE_BEGUN, 100, 4000, RT_NEVER) == 0);
    T_CHECK(rt_file_write_out(file, RT_FILE_WRITE_ENDED, 0, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_write_out(file, RT_FILE_WRITE_ENDED, 0, 5 * 1024 * MIB, RT_NEVER) == 0);
    T_CHECK(rt_file_write_out(file, RT_FILE_WRITE_ENDED, INT64_MAX, 1, RT_NEVER) == -EINVAL);
    for (unsigned i = 0; i < 5; i++) {
        T_CHECK(rt_file_advise(file, advices[i], 0, 0, RT_NEVER) == 0);
        T_CHECK(rt_file_advise(file, advices[i], 4096, 5 * 1024 * MIB, RT_NEVER) == 0);
        T_CHECK(rt_file_advise(file, advices[i], 1, UINT64_MAX, RT_NEVER) == -EINVAL);
    }
    T_CHECK(is_all(file, 'c', 0, 10000));
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(mkfifo(folder_file("fifo"), 0600) == 0);
    fifo = must_open("fifo", O_RDWR);
    T_CHECK(rt_file_advise(fifo, RT_FILE_RANDOM, 0, 0, RT_NEVER) == -ESPIPE);
    T_CHECK(rt_file_write_out(fifo, RT_FILE_WRITE_ENDED, 0, 0, RT_NEVER) == -ESPIPE);
    T_CHECK(rt_file_close(fifo) == 0);
    return 0;
}

static void write_out_and_advice_reach_the_file(void **state)
{
    (void)state;
    run(write_out_and_advise);
}

static int set_life(void *arg)
{
    struct rt_file *file = must_open("cache", O_RDWR | O_CREAT);
    uint64_t hint = 0;

    (void)arg;
    T_CHECK(rt_file_set_life(file, RT_FILE_LIFE_LONG) == 0);
    T_CHECK(fcntl(rt_file_descriptor(file), F_GET_RW_HINT, &hint) == 0);
    T_CHECK(hint == RWH_WRITE_LIFE_LONG);
    T_CHECK(rt_file_set_life(file, (enum rt_file_life)99) == -EINVAL);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_life_hint_is_the_files(void **state)
{
    (void)state;
    run(set_life);
}

/* Locks */

static int lock_and_unlock(void *arg)
{
    struct rt_file *one = must_open("locks", O_RDWR | O_CREAT);
    struct rt_file *two = must_open("locks", O_RDWR);
    struct rt_file *reader = must_open("locks", O_RDONLY);

    (void)arg;
    T_CHECK(rt_file_try_lock(one, RT_FILE_LOCK_EXCLUSIVE, 0, 10) == 0);
    T_CHECK(rt_file_try_lock(two, RT_FILE_LOCK_EXCLUSIVE, 9, 1) == -EAGAIN);
    T_CHECK(rt_file_try_lock(two, RT_FILE_LOCK_SHARED, 0, 0) == -EAGAIN);
    T_CHECK(rt_file_try_lock(two, RT_FILE_LOCK_EXCLUSIVE, 10, 0) == 0);
    T_CHECK(rt_file_unlock(one, 5, 5) == 0);
    T_CHECK(rt_file_try_lock(two, RT_FILE_LOCK_EXCLUSIVE, 9, 1) == 0);
    T_CHECK(rt_file_try_lock(one, RT_FILE_LOCK_SHARED, 0, 5) == 0); /* replaces its own */
    T_CHECK(rt_file_try_lock(reader, RT_FILE_LOCK_SHARED, 0, 5) == 0);
    T_CHECK(rt_file_try_lock(reader, RT_FILE_LOCK_EXCLUSIVE, 100, 5) == -EBADF);
    T_CHECK(rt_file_try_lock(one, RT_FILE_LOCK_SHARED, INT64_MAX, 2) == -EINVAL);
    T_CHECK(rt_file_close(two) == 0); /* its locks go too */
    T_CHECK(rt_file_try_lock(one, RT_FILE_LOCK_EXCLUSIVE, 9, 20) == 0);
    T_CHECK(rt_file_close(one) == 0 && rt_file_close(reader) == 0);
    return 0;
}

static void locks_keep_other_opens_out(void **state)
{
    (void)state;
    run(lock_and_unlock);
}

/* Copies */

#define COPY_BYTES ((size_t)600000) /* three pieces */

static int copy_ranges(void *arg)
{
    struct rt_file *from = must_open("from", O_RDWR | O_CREAT | O_TRUNC);
    struct rt_file *to = must_open("to", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
    struct rt_file *look = must_open("to", O_RDONLY); /* through the page cache */

    (void)arg;
    fill(from, '1', 0, COPY_BYTES / 2);
    fill(from, '2', COPY_BYTES / 2, COPY_BYTES / 2);
    T_CHECK(rt_file_copy_range(from, 0, to, 0, COPY_BYTES, RT_NEVER) == COPY_BYTES);
    T_CHECK(is_all(look, '1', 0, COPY_BYTES / 2) && stat_of(to).st_size == COPY_BYTES);
    T_CHECK(is_all(look, '2', COPY_BYTES / 2, COPY_BYTES / 2));
    T_CHECK(rt_file_copy_range(from, COPY_BYTES - 7, to, 3, 100, RT_NEVER) == 7);
    T_CHECK(is_all(look, '1', 0, 3) && is_all(look, '2', 3, 7) && is_all(look, '1', 10, 1000));
    T_CHECK(rt_file_copy_range(from, COPY_BYTES, to, 0, 100, RT_NEVER) == 0);
    T_CHECK(rt_file_copy_range(from, 0, from, COPY_BYTES - 9, 9, RT_NEVER) == 9);
    T_CHECK(is_all(from, '1', COPY_BYTES - 9, 9));
    T_CHECK(rt_file_copy_range(from, 0, from, 8, 9, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_copy_range(from, 8, from, 0, 9, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_copy_range(from, 0, from, 9, 9, RT_NEVER) == 9);
    T_CHECK(rt_file_copy_range(from, UINT64_MAX, to, 0, 1, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_copy_range(from, 0, to, INT64_MAX, 2, RT_NEVER) == -EINVAL);
    T_CHECK(rt_file_copy_range(from, 0, look, 0, 1, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_close(look) == 0);
    T_CHECK(rt_file_close(from) == 0 && rt_file_close(to) == 0);
    return 0;
}

static void a_range_is_copied_and_short_at_the_end(void **state)
{
    (void)state;
    run(copy_ranges);
}

/* Other shards */

static int use_share(void *arg)
{
    struct rt_file_share *share = arg;
    struct rt_file *file = NULL;
    struct rt_file_stat stat;
    char buf[8];

    T_CHECK(rt_shard_index() == 1);
    T_CHECK(rt_file_adopt(&file, share) == 0);
    T_CHECK(rt_file_read_at(file, buf, 5, 1, RT_NEVER) == 5 && memcmp(buf, "hared", 5) == 0);
    T_CHECK(rt_file_write_at(file, "S", 1, 0, RT_NEVER) == 1);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.size_bytes == 6);
    T_CHECK(rt_file_close(file) == 0);
    return (int)stat.direct_offset_align;
}

static int share_file(void *arg)
{
    struct rt_file_share shares[2];
    struct rt_file_stat stat;
    struct rt_file *file;
    char byte = '?';
    int align = -1;

    (void)arg;
    if (rt_shard_index() != 0) {
        return 0;
    }
    file = must_open("shared", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
    T_CHECK(rt_file_write_at(file, "shared", 6, 0, RT_NEVER) == 6);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    T_CHECK(rt_file_share(file, &shares[0]) == 0 && rt_file_share(file, &shares[1]) == 0);
    T_CHECK((fcntl(shares[0].fd, F_GETFD) & FD_CLOEXEC) != 0);
    T_CHECK(rt_call(1, use_share, &shares[0], &align, RT_NEVER) == 0);
    T_CHECK(align == (int)stat.direct_offset_align);
    T_CHECK(shares[0].fd == -1); /* empty: to drop it does nothing */
    rt_file_share_drop(&shares[0]);
    rt_file_share_drop(&shares[1]);
    rt_file_share_drop(&shares[1]);
    T_CHECK(rt_file_read_at(file, &byte, 1, 0, RT_NEVER) == 1 && byte == 'S'); /* still open here */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_file_is_shared_with_another_shard(void **state)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND; /* so that there may be more shards than CPUs */
    assert_int_equal(rt_start(&config, share_file, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_is_taken_and_given_back),
        cmocka_unit_test(a_file_becomes_as_long_as_it_is_told),
        cmocka_unit_test(write_out_and_advice_reach_the_file),
        cmocka_unit_test(a_life_hint_is_the_files),
        cmocka_unit_test(locks_keep_other_opens_out),
        cmocka_unit_test(a_range_is_copied_and_short_at_the_end),
        cmocka_unit_test(a_file_is_shared_with_another_shard),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
