/* SPDX-License-Identifier: MIT */
/*
 * Files on the real kernel: what rt/file.h promises, checked against the plain
 * system calls on the same file.
 *
 * Each test works in a directory of its own run, below TMPDIR or /tmp.
 */
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"
#include "os/features.h"
#include "rt/rt.h"

/* Runs `first`; afterwards no check has failed and no descriptor is left. */
static void run(rt_task_fn first, void *arg)
{
    const unsigned descriptors = t_open_descriptors();
    int r = rt_run(NULL, first, arg);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

/* Open below the directory; a failure is reported and ends the process: nothing can go on. */
static struct rt_file *must_open(const char *name, int flags)
{
    struct rt_file *file = NULL;
    const int r = rt_file_open(&file, folder_file(name), flags, 0640, RT_NEVER);

    if (r < 0) {
        fprintf(stderr, "cannot open %s: %s\n", folder_file(name), rt_strerror(r));
        abort();
    }
    return file;
}

/* Reading and writing */

static int write_and_read(void *arg)
{
    struct rt_file *file = must_open("plain", O_RDWR | O_CREAT | O_TRUNC);
    char buf[16] = "";

    (void)arg;
    T_CHECK(rt_file_write_at(file, "0123456789", 10, 0, RT_NEVER) == 10);
    T_CHECK(rt_file_write_at(file, "ab", 2, 4, RT_NEVER) == 2);
    T_CHECK(rt_file_read_at(file, buf, 5, 2, RT_NEVER) == 5 && memcmp(buf, "23ab6", 5) == 0);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 7, RT_NEVER) == 3); /* short at the end */
    T_CHECK(memcmp(buf, "789", 3) == 0);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 10, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 1000, RT_NEVER) == 0);
    T_CHECK(rt_file_read_at(file, buf, 0, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_write_at(file, "", 0, 0, RT_NEVER) == 0);
    T_CHECK(rt_file_write_at(file, "z", 1, 20, RT_NEVER) == 1); /* leaves a hole of zeroes */
    T_CHECK(rt_file_read_at(file, buf, 11, 10, RT_NEVER) == 11);
    T_CHECK(memcmp(buf, "\0\0\0\0\0\0\0\0\0\0z", 11) == 0);
    T_CHECK(rt_file_sync(file, RT_NEVER) == 0);
    T_CHECK(rt_file_datasync(file, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(rt_file_close(NULL) == 0);
    return 0;
}

static void bytes_are_written_and_read_at_their_offsets(void **state)
{
    (void)state;
    run(write_and_read, NULL);
}

#define BEYOND ((uint64_t)5 << 30)

static int use_far_offsets(void *arg)
{
    struct rt_file *file = must_open("sparse", O_RDWR | O_CREAT | O_TRUNC);
    struct rt_file_stat stat;
    char buf[8];

    (void)arg;
    T_CHECK(rt_file_write_at(file, "near", 4, 0, RT_NEVER) == 4);
    T_CHECK(rt_file_write_at(file, "far", 3, BEYOND, RT_NEVER) == 3);
    T_CHECK(rt_file_read_at(file, buf, 8, BEYOND, RT_NEVER) == 3 && memcmp(buf, "far", 3) == 0);
    T_CHECK(rt_file_read_at(file, buf, 4, 0, RT_NEVER) == 4 && memcmp(buf, "near", 4) == 0);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    T_CHECK(stat.size_bytes == BEYOND + 3 && stat.allocated_bytes < ((uint64_t)1 << 20));
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void offsets_beyond_4_gib_are_not_cut_off(void **state)
{
    (void)state;
    run(use_far_offsets, NULL);
    assert_int_equal(unlink(folder_file("sparse")), 0);
}

static int compare_stat(void *arg)
{
    struct rt_file *file = must_open("stat", O_RDWR | O_CREAT | O_TRUNC);
    struct rt_file_stat ours;
    struct stat theirs;

    (void)arg;
    T_CHECK(rt_file_write_at(file, "12345", 5, 5000, RT_NEVER) == 5);
    T_CHECK(rt_file_sync(file, RT_NEVER) == 0); /* so that blocks are allocated and stay so */
    T_CHECK(rt_file_stat(file, &ours, RT_NEVER) == 0);
    T_CHECK(stat(folder_file("stat"), &theirs) == 0);
    T_CHECK(ours.size_bytes == 5005 && ours.size_bytes == (uint64_t)theirs.st_size);
    T_CHECK(ours.allocated_bytes == (uint64_t)theirs.st_blocks * 512);
    T_CHECK(ours.mode == theirs.st_mode && S_ISREG(ours.mode));
    T_CHECK(ours.block_bytes == (uint32_t)theirs.st_blksize);
    T_CHECK(ours.inode == theirs.st_ino);
    T_CHECK(ours.modified_ns ==
            (int64_t)theirs.st_mtim.tv_sec * RT_SECONDS(1) + theirs.st_mtim.tv_nsec);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void stat_tells_what_the_system_call_tells(void **state)
{
    (void)state;
    run(compare_stat, NULL);
}

static int stat_far_times(void *arg)
{
    static const time_t seconds[] = { 9223372036, 9223372037, 15000000000, -2000000000 };
    struct rt_file *file = must_open("times", O_RDWR | O_CREAT);
    struct rt_file_stat ours;
    struct stat theirs;

    (void)arg;
    for (unsigned i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = seconds[i] } };

        T_CHECK(futimens(rt_file_descriptor(file), times) == 0);
        T_CHECK(rt_file_stat(file, &ours, RT_NEVER) == 0);
        T_CHECK(stat(folder_file("times"), &theirs) ==
                0); /* not all file systems can say all times */
        T_CHECK(ours.modified_ns == (theirs.st_mtim.tv_sec > INT64_MAX / RT_SECONDS(1)
                                         ? INT64_MAX
                                         : theirs.st_mtim.tv_sec * RT_SECONDS(1)));
    }
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_time_beyond_what_can_be_said_is_the_last_that_can(void **state)
{
    (void)state;
    run(stat_far_times, NULL);
    assert_int_equal(unlink(folder_file("times")), 0);
}

/* Failures */

static int fail_to_open(void *arg)
{
    struct rt_file *file = NULL;

    (void)arg;
    T_CHECK(rt_file_open(&file, folder_file("missing"), O_RDONLY, 0, RT_NEVER) == -ENOENT);
    T_CHECK(rt_file_open(&file, folder_path, O_WRONLY, 0, RT_NEVER) == -EISDIR);
    T_CHECK(rt_file_open(&file, "/proc/self/exe/below", O_RDONLY, 0, RT_NEVER) == -ENOTDIR);
    T_CHECK(file == NULL); /* untouched on failure */
    T_CHECK(rt_file_close(must_open("once", O_WRONLY | O_CREAT | O_EXCL)) == 0);
    T_CHECK(rt_file_open(&file, folder_file("once"), O_WRONLY | O_CREAT | O_EXCL, 0600, RT_NEVER) ==
            -EEXIST);
    T_CHECK(file == NULL);
    return 0;
}

static void what_open_fails_with_is_the_result(void **state)
{
    (void)state;
    run(fail_to_open, NULL);
}

static int use_in_the_wrong_direction(void *arg)
{
    struct rt_file *reader = must_open("plain", O_RDONLY);
    struct rt_file *writer = must_open("plain", O_WRONLY);
    struct rt_file *folder = must_open(".", O_RDONLY);
    char byte = 'x';

    (void)arg;
    T_CHECK(rt_file_write_at(reader, &byte, 1, 0, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_read_at(writer, &byte, 1, 0, RT_NEVER) == -EBADF);
    T_CHECK(rt_file_read_at(folder, &byte, 1, 0, RT_NEVER) == -EISDIR);
    T_CHECK(rt_file_close(reader) == 0 && rt_file_close(writer) == 0);
    T_CHECK(rt_file_close(folder) == 0);
    return 0;
}

static void a_file_is_used_only_as_it_was_opened(void **state)
{
    (void)state;
    run(use_in_the_wrong_direction, NULL);
}

#define LIMIT_BYTES 8192

/* A limit of the process stands in for a full device, which a test cannot have without rights. */
static int write_past_the_limit(void *arg)
{
    struct rt_file *file = must_open("limited", O_RDWR | O_CREAT | O_TRUNC);
    static const char zeroes[LIMIT_BYTES];

    (void)arg;
    T_CHECK(rt_file_write_at(file, zeroes, 4096, LIMIT_BYTES - 1000, RT_NEVER) == 1000);
    T_CHECK(rt_file_write_at(file, zeroes, 1, LIMIT_BYTES, RT_NEVER) == -EFBIG);
    T_CHECK(rt_file_write_at(file, zeroes, 100, 0, RT_NEVER) == 100);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_write_past_the_size_limit_is_short_and_then_fails(void **state)
{
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit old;
    struct rlimit new;
    int r;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    new = (struct rlimit){ .rlim_cur = LIMIT_BYTES, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &new), 0);
    r = rt_run(NULL, write_past_the_limit, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, old_handler);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

/* Many at once */

#define TASKS       64
#define BLOCK_BYTES 3000 /* no multiple of a page: neighbours share pages */
#define ROUNDS      8    /* blocks per task */

struct shared {
    struct rt_file *file;
    unsigned next;
};

static void fill(char *block, unsigned number)
{
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        block[i] = (char)(number * 7 + i * 13 + (i >> 8));
    }
}

/* The blocks of the tasks are interleaved. */
static int write_blocks(void *arg)
{
    struct shared *shared = arg;
    const unsigned task = shared->next++;
    char written[BLOCK_BYTES];
    char read[BLOCK_BYTES];

    for (unsigned round = 0; round < ROUNDS; round++) {
        const unsigned number = round * TASKS + task;
        const uint64_t offset = (uint64_t)number * BLOCK_BYTES;

        fill(written, number);
        T_CHECK(rt_file_write_at(shared->file, written, BLOCK_BYTES, offset, RT_NEVER) ==
                BLOCK_BYTES);
        T_CHECK(rt_file_read_at(shared->file, read, BLOCK_BYTES, offset, RT_NEVER) == BLOCK_BYTES);
        T_CHECK(memcmp(written, read, BLOCK_BYTES) == 0);
        if (round == ROUNDS / 2) {
            T_CHECK(rt_file_datasync(shared->file, RT_NEVER) == 0);
        }
    }
    return 0;
}

static int write_side_by_side(void *arg)
{
    struct shared shared = { .file = must_open("shared", O_RDWR | O_CREAT | O_TRUNC) };
    struct rt_group group = RT_GROUP_INIT;

    (void)arg;
    for (unsigned i = 0; i < TASKS; i++) {
        T_CHECK(rt_group_spawn(&group, write_blocks, &shared) == 0);
    }
    T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
    T_CHECK(rt_file_close(shared.file) == 0);
    return 0;
}

static void many_tasks_write_and_read_one_file_side_by_side(void **state)
{
    char expected[BLOCK_BYTES];
    char found[BLOCK_BYTES];
    int fd;

    (void)state;
    run(write_side_by_side, NULL);
    fd = open(folder_file("shared"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (unsigned number = 0; number < TASKS * ROUNDS; number++) {
        fill(expected, number);
        assert_int_equal(pread(fd, found, BLOCK_BYTES, (off_t)number * BLOCK_BYTES), BLOCK_BYTES);
        assert_memory_equal(found, expected, BLOCK_BYTES);
    }
    assert_int_equal(pread(fd, found, 1, (off_t)TASKS * ROUNDS * BLOCK_BYTES), 0);
    close(fd);
}

/* Descriptors stay in this process */

#define DESCRIPTORS 256

/* Whether a program that we execute finds the descriptor. */
static bool is_inherited(int fd)
{
    char command[64];
    char shell[] = "/bin/sh";
    char option[] = "-c";
    char *arguments[] = { shell, option, command, NULL };
    char *environment[] = { NULL };
    int status = -1;
    pid_t child;

    snprintf(command, sizeof(command), "test -e /proc/self/fd/%d", fd);
    T_CHECK(posix_spawn(&child, shell, NULL, NULL, arguments, environment) == 0);
    T_CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static int look_at_descriptors(void *arg)
{
    const bool *open_before = arg;
    struct rt_file *file = must_open("private", O_RDWR | O_CREAT);
    struct rt_tcp_listener *listener;
    struct rt_tcp_stream *near;
    struct rt_tcp_stream *far;
    char address[RT_TCP_ADDRESS_BYTES];
    unsigned ours = 0;

    T_CHECK(rt_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    T_CHECK(rt_tcp_listener_address(listener, address, sizeof(address)) == 0);
    T_CHECK(rt_tcp_connect(&near, address, NULL, RT_NEVER) == 0);
    T_CHECK(rt_tcp_accept(listener, &far, RT_NEVER) == 0);
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        const int flags = fcntl(fd, F_GETFD);

        if (flags >= 0 && !open_before[fd]) {
            ours++;
            T_CHECK((flags & FD_CLOEXEC) != 0);
        }
    }
    T_CHECK(ours == 6); /* the ring, the event counter, the file, the listener and both ends */
    T_CHECK(is_inherited(STDERR_FILENO) && !is_inherited(rt_file_descriptor(file)));
    rt_tcp_close(near);
    rt_tcp_close(far);
    rt_tcp_listener_close(listener);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void no_descriptor_is_inherited_by_another_program(void **state)
{
    bool open_before[DESCRIPTORS];

    (void)state;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        open_before[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    run(look_at_descriptors, open_before);
}

/* Registered files */

#define OFTEN 20 /* more than it takes to get a place */
#define FILES (RTI_URING_FILES + 3)

static void read_often(struct rt_file *file, char expected)
{
    for (int i = 0; i < OFTEN; i++) {
        char byte = '?';

        T_CHECK(rt_file_read_at(file, &byte, 1, 0, RT_NEVER) == 1 && byte == expected);
    }
}

static bool has_feature(void)
{
    return (rti_current->reactor.ring.features & RTI_FEATURE_REGISTERED_FILES) != 0;
}

static int use_many_files_often(void *arg)
{
    static struct rt_file *files[FILES];
    unsigned places = 0;

    (void)arg;
    for (unsigned i = 0; i < FILES; i++) {
        const char byte = (char)i;

        files[i] = must_open("registered", O_RDWR | O_CREAT);
        T_CHECK(files[i]->place == 0);
        T_CHECK(rt_file_write_at(files[i], &byte, 1, 0, RT_NEVER) == 1);
        read_often(files[i], byte);
        places += files[i]->place != 0;
    }
    T_CHECK(places == (has_feature() ? RTI_URING_FILES : 0));
    T_CHECK(rt_file_try_lock(files[1], RT_FILE_LOCK_EXCLUSIVE, 0, 0) == 0);
    T_CHECK(rt_file_close(files[1]) == 0 && rt_file_drop(files[2]) == 0);
    T_CHECK(rt_file_try_lock(files[0], RT_FILE_LOCK_EXCLUSIVE, 0, 0) == 0); /* really closed */
    files[1] = must_open("plain", O_RDWR | O_CREAT);
    T_CHECK(rt_file_write_at(files[1], "p", 1, 0, RT_NEVER) == 1);
    read_often(files[1], 'p');
    T_CHECK((files[1]->place != 0) == has_feature()); /* of the one that was closed */
    for (unsigned i = 0; i < FILES; i++) {
        T_CHECK(i == 2 || rt_file_close(files[i]) == 0);
    }
    for (unsigned i = 0; i < RTI_URING_FILES / 64; i++) {
        T_CHECK(rti_current->reactor.ring.file_places[i] == 0);
    }
    return 0;
}

static void files_used_often_get_places_as_long_as_there_are_some(void **state)
{
    struct rt_config config = RT_CONFIG_INIT;

    (void)state;
    run(use_many_files_often, NULL);
    config.disable = "registered_files";
    assert_int_equal(rt_run(&config, use_many_files_often, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(unlink(folder_file("registered")), 0);
}

/* Deadline and cancel: the file is as before, or the write is done and says so. */

static int write_without_patience(void *arg)
{
    struct rt_file *file = must_open("plain", O_RDWR | O_TRUNC);
    struct rt_file *none = NULL;
    struct rt_file_stat stat;
    char byte = 'b';
    ssize_t n = rt_file_write_at(file, &byte, 1, 0, 0);

    (void)arg;
    T_CHECK(n == 1 || n == -ETIME);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    T_CHECK(stat.size_bytes == (n == 1 ? 1 : 0));
    rt_cancel_self();
    T_CHECK(rt_file_write_at(file, &byte, 1, 10, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_file_open(&none, folder_file("plain"), O_RDONLY, 0, RT_NEVER) == -ECANCELED);
    T_CHECK(rt_file_close(file) == 0); /* only gives back: works all the same */
    return 0;
}

static void a_write_that_timed_out_or_was_cancelled_wrote_nothing(void **state)
{
    struct stat found;

    (void)state;
    run(write_without_patience, NULL);
    assert_int_equal(stat(folder_file("plain"), &found), 0);
    assert_true(found.st_size <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_written_and_read_at_their_offsets),
        cmocka_unit_test(offsets_beyond_4_gib_are_not_cut_off),
        cmocka_unit_test(stat_tells_what_the_system_call_tells),
        cmocka_unit_test(a_time_beyond_what_can_be_said_is_the_last_that_can),
        cmocka_unit_test(what_open_fails_with_is_the_result),
        cmocka_unit_test(a_file_is_used_only_as_it_was_opened),
        cmocka_unit_test(a_write_past_the_size_limit_is_short_and_then_fails),
        cmocka_unit_test(many_tasks_write_and_read_one_file_side_by_side),
        cmocka_unit_test(files_used_often_get_places_as_long_as_there_are_some),
        cmocka_unit_test(no_descriptor_is_inherited_by_another_program),
        cmocka_unit_test(a_write_that_timed_out_or_was_cancelled_wrote_nothing),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
