/* SPDX-License-Identifier: MIT */
/*
 * Writers and readers on the real kernel: a file goes through a writer and comes back through a
 * reader, buffered and direct, with an end that is no whole block; and the space that a writer
 * reserves is there while it writes, and gone when it is closed.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <rt/rt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES   ((size_t)3 * 1024 * 1024 + 777)
#define RESERVE ((uint64_t)16 * 1024 * 1024)

static char path[64];

static unsigned char byte_at(uint64_t offset)
{
    return (unsigned char)(offset * 13 + (offset >> 9));
}

static int make_path(void **state)
{
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "writer-test-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static int write_data(struct rt_writer *writer)
{
    unsigned char piece[5000];
    int r = 0;

    for (uint64_t at = 0; r == 0 && at < BYTES; at += sizeof(piece)) {
        const size_t bytes = BYTES - at < sizeof(piece) ? BYTES - at : sizeof(piece);

        for (size_t i = 0; i < bytes; i++) {
            piece[i] = byte_at(at + i);
        }
        r = rt_writer_write(writer, piece, bytes, NULL, RT_NEVER);
    }
    return r;
}

static struct rt_file *open_file(int flags)
{
    const struct rt_file_options options = { .size = sizeof(options),
                                             .flags = flags,
                                             .buffered_ok = 1 };
    struct rt_file *file = NULL;

    T_CHECK(rt_file_open_with(&file, path, &options, RT_NEVER) == 0);
    return file;
}

static uint64_t allocated(struct rt_file *file)
{
    struct rt_file_stat stat = { 0 };

    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    return stat.allocated_bytes;
}

static void write_file(int more_flags)
{
    struct rt_file *file = open_file(O_RDWR | O_TRUNC | more_flags);
    struct rt_writer *writer;

    T_CHECK(rt_writer_open(&writer, file, NULL) == 0);
    T_CHECK(write_data(writer) == 0);
    T_CHECK(rt_writer_sync(writer, RT_NEVER) == 0 && rt_writer_synced(writer) == BYTES);
    T_CHECK(rt_writer_close(writer) == 0 && rt_file_close(file) == 0);
}

static void read_file(int more_flags)
{
    struct rt_file *file = open_file(O_RDONLY | more_flags);
    struct rt_reader *reader;
    const void *data;
    uint64_t at = 0;
    bool same = true;
    ssize_t n;

    T_CHECK(rt_reader_open(&reader, file, NULL) == 0);
    while ((n = rt_reader_peek(reader, &data, RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            same = same && ((const unsigned char *)data)[i] == byte_at(at + (uint64_t)i);
        }
        rt_reader_consume(reader, (size_t)n);
        at += (uint64_t)n;
    }
    T_CHECK(n == 0 && at == BYTES && same);
    rt_reader_close(reader);
    T_CHECK(rt_file_close(file) == 0);
}

static int both_first(void *arg)
{
    static const int ways[] = { 0, O_DIRECT };

    (void)arg;
    for (int i = 0; i < 4; i++) {
        write_file(ways[i % 2]);
        read_file(ways[i / 2]);
    }
    return 0;
}

static void what_was_written_is_read_back_buffered_and_direct(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, both_first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int reserve_first(void *arg)
{
    const struct rt_writer_options options = { .size = sizeof(options), .reserve_bytes = RESERVE };
    struct rt_file *file = open_file(O_RDWR | O_TRUNC);
    struct rt_writer *writer;
    struct rt_file_stat stat;

    (void)arg;
    if (rt_file_allocate(file, RT_FILE_RESERVE, 0, 4096, RT_NEVER) == -EOPNOTSUPP) {
        fputs("skipped: this file system cannot reserve space\n", stderr);
        return rt_file_close(file);
    }
    T_CHECK(rt_writer_open(&writer, file, &options) == 0);
    T_CHECK(write_data(writer) == 0);
    T_CHECK(rt_writer_flush(writer, RT_NEVER) == 0);
    T_CHECK(allocated(file) >= RESERVE);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.size_bytes == BYTES);
    T_CHECK(rt_writer_close(writer) == 0);
    T_CHECK(allocated(file) < RESERVE);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && stat.size_bytes == BYTES);
    return rt_file_close(file);
}

static void space_is_reserved_ahead_and_what_is_left_goes_back(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, reserve_first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

static int far_first(void *arg)
{
    static const uint64_t offsets[] = { INT64_MAX, INT64_MAX - 4096, INT64_MAX - 200000 };
    static const int ways[] = { 0, O_DIRECT };

    (void)arg;
    for (int i = 0; i < 6; i++) {
        const struct rt_reader_options options = { .size = sizeof(options),
                                                   .offset = offsets[i % 3] };
        struct rt_file *file = open_file(O_RDONLY | ways[i / 3]);
        struct rt_reader *reader;
        const void *data;

        T_CHECK(rt_reader_open(&reader, file, &options) == 0);
        T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == 0);
        T_CHECK(rt_reader_seek(reader, 0) == 0);
        T_CHECK(rt_reader_seek(reader, INT64_MAX) == 0);
        T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == 0);
        rt_reader_close(reader);
        T_CHECK(rt_file_close(file) == 0);
    }
    return 0;
}

static void the_end_was_met_wherever_a_reader_begins_behind_it(void **state)
{
    (void)state;
    assert_int_equal(rt_run(NULL, far_first, NULL), 0);
    assert_int_equal(t_failures(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back_buffered_and_direct),
        cmocka_unit_test(the_end_was_met_wherever_a_reader_begins_behind_it),
        cmocka_unit_test(space_is_reserved_ahead_and_what_is_left_goes_back),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, make_path, remove_path) : T_EXIT_SKIPPED;
}
