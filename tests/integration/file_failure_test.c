/* SPDX-License-Identifier: MIT */
/*
 * Files on the real kernel when it fails them.
 *
 * Goal: what the kernel says reaches the caller of each layer (file, reader, writer, whole file),
 * nothing hangs, no descriptor is lost, what is said to be written is there, and when the cause is
 * gone all works again. Method: real causes. Memory that is not mapped (/proc/self/mem) for EIO
 * without a device; a loop device whose file became too short, or whose file system is full; a
 * tmpfs of 1 MiB in a mount namespace of its own; a limit of descriptors; a file that shrinks.
 *
 * What needs loop devices or mounts is skipped where they are not allowed.
 */
#define _GNU_SOURCE
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"

#define BLOCK        4096u
#define KIB          1024u
#define MIB          (1024u * KIB)
#define TASKS        16
#define LOOP_TRIES   16
#define LIMIT        64 /* descriptors */
#define BACKING_MAX  (256u * KIB)
#define BACKING_LEFT (128u * KIB)

static void run(rt_task_fn first, void *arg)
{
    const unsigned descriptors = t_open_descriptors();
    const int r = rt_run(NULL, first, arg);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static struct rt_file *must_open(const char *path, int flags)
{
    struct rt_file *file = NULL;
    const int r = rt_file_open(&file, path, flags, 0600, RT_NEVER);

    if (r < 0) {
        fprintf(stderr, "cannot open %s: %s\n", path, rt_strerror(r));
        abort();
    }
    return file;
}

static char byte_at(uint64_t offset)
{
    return (char)(1 + (offset * 7 + (offset >> 12)) % 251); /* never 0 */
}

static void fill(char *data, size_t bytes, uint64_t offset)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] = byte_at(offset + i);
    }
}

static bool is_right(const char *data, size_t bytes, uint64_t offset)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != byte_at(offset + i)) {
            return false;
        }
    }
    return true;
}

/* By plain system calls. */
static void make_file(const char *path, uint64_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char *data = malloc(bytes);

    if (data == NULL) {
        abort();
    }
    assert_true(fd >= 0);
    fill(data, bytes, 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
    free(data);
}

/* Reads whatever comes, until the end or an error, which is the result. */
static int read_through(struct rt_file *file, uint64_t *end)
{
    struct rt_reader *reader = NULL;
    const void *data;
    ssize_t n;

    T_CHECK(rt_reader_open(&reader, file, NULL) == 0);
    *end = 0;
    while ((n = rt_reader_peek(reader, &data, RT_NEVER)) > 0) {
        T_CHECK(is_right(data, (size_t)n, *end));
        *end += (uint64_t)n;
        rt_reader_consume(reader, (size_t)n);
    }
    T_CHECK(rt_reader_peek(reader, &data, RT_NEVER) == n); /* the next one too */
    rt_reader_close(reader);
    return (int)n;
}

/* EIO without a device */

static int read_memory_that_is_not_mapped(void *arg)
{
    struct rt_file *file = must_open("/proc/self/mem", O_RDONLY);
    const uint64_t mapped = (uint64_t)(uintptr_t)arg; /* one page, and none behind it */
    char data[2 * BLOCK];
    const struct iovec parts[2] = { { data, BLOCK }, { data + BLOCK, BLOCK } };
    uint64_t end;

    T_CHECK(rt_file_read_at(file, data, sizeof(data), mapped, RT_NEVER) == BLOCK);
    T_CHECK(is_right(data, BLOCK, 0));
    T_CHECK(rt_file_read_at(file, data, sizeof(data), mapped + BLOCK, RT_NEVER) == -EIO);
    T_CHECK(rt_file_readv_at(file, parts, 2, mapped + BLOCK, RT_NEVER) == -EIO);
    T_CHECK(read_through(file, &end) == -EIO && end == 0);
    T_CHECK(rt_file_read_at(file, data, BLOCK, mapped, RT_NEVER) == BLOCK); /* it works on */
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void what_cannot_be_read_is_an_error_and_what_can_is_short(void **state)
{
    char *pages = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(pages != MAP_FAILED);
    fill(pages, BLOCK, 0);
    assert_int_equal(mprotect(pages + BLOCK, BLOCK, PROT_NONE), 0);
    assert_int_equal(munmap(pages + BLOCK, BLOCK), 0);
    run(read_memory_that_is_not_mapped, pages);
    assert_int_equal(munmap(pages, BLOCK), 0);
}

/* A loop device */

struct loop {
    char path[32];
    int fd; /* the device goes when it is closed */
    int backing;
};

/* False: there are none, or they are not allowed. */
static bool open_loop(struct loop *loop, const char *backing)
{
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    struct loop_config config = { .block_size = BLOCK, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
    bool done = false;

    loop->backing = open(backing, O_RDWR | O_CLOEXEC);
    assert_true(loop->backing >= 0);
    config.fd = (uint32_t)loop->backing;
    for (int i = 0; control >= 0 && !done && i < LOOP_TRIES; i++) { /* others take them too */
        const int number = ioctl(control, LOOP_CTL_GET_FREE);

        snprintf(loop->path, sizeof(loop->path), "/dev/loop%d", number);
        loop->fd = number < 0 ? -1 : open(loop->path, O_RDWR | O_CLOEXEC);
        done = loop->fd >= 0 && ioctl(loop->fd, LOOP_CONFIGURE, &config) == 0;
        if (!done && loop->fd >= 0) {
            close(loop->fd);
        }
    }
    if (control >= 0) {
        close(control);
    }
    if (!done) {
        close(loop->backing);
    }
    return done;
}

static void close_loop(const struct loop *loop)
{
    assert_int_equal(close(loop->fd), 0);
    assert_int_equal(close(loop->backing), 0);
}

static int read_what_is_gone(void *arg)
{
    struct rt_file *file = arg;
    char *data = aligned_alloc(BLOCK, BLOCK);

    T_CHECK(rt_file_read_at(file, data, BLOCK, BACKING_LEFT, RT_NEVER) == -EIO);
    T_CHECK(rt_file_read_at(file, data, BLOCK, 0, RT_NEVER) == BLOCK && is_right(data, BLOCK, 0));
    free(data);
    return 0;
}

/* Its file has lost the half behind. */
static int use_failing_device(void *arg)
{
    const struct loop *loop = arg;

    for (int direct = 0; direct < 2; direct++) {
        struct rt_file *file = must_open(loop->path, O_RDONLY | (direct ? O_DIRECT : 0));
        struct rt_group group = RT_GROUP_INIT;
        char data[100];
        uint64_t end;

        for (int i = 0; i < TASKS; i++) {
            T_CHECK(rt_group_spawn(&group, read_what_is_gone, file) == 0);
        }
        T_CHECK(rt_group_leave(&group, RT_NEVER) == 0);
        T_CHECK(read_through(file, &end) == -EIO);
        T_CHECK(end <= BACKING_LEFT); /* a buffer that fails in its middle is no data */
        T_CHECK(rt_file_read_at(file, data, sizeof(data), BACKING_LEFT + 1, RT_NEVER) == -EIO);
        T_CHECK(rt_file_close(file) == 0);
    }
    return 0;
}

static void a_device_that_fails_a_read_is_told_to_each_that_asked(void **state)
{
    struct loop loop;

    (void)state;
    make_file(folder_file("backing"), BACKING_MAX);
    if (!open_loop(&loop, folder_file("backing"))) {
        print_message("no loop device can be had here\n");
        skip();
    }
    assert_int_equal(ftruncate(loop.backing, BACKING_LEFT), 0);
    run(use_failing_device, &loop);
    close_loop(&loop);
}

/* A full file system */

static void write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* 1 MiB, seen by this thread and its children only. False: that is not allowed. */
static bool mount_small(const char *path)
{
    const uid_t user = getuid();
    const gid_t group = getgid();
    char map[32];

    if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0) {
        return false;
    }
    if (user != 0) {
        snprintf(map, sizeof(map), "0 %u 1", user);
        write_text("/proc/self/uid_map", map);
        write_text("/proc/self/setgroups", "deny"); /* else the next is not allowed */
        snprintf(map, sizeof(map), "0 %u 1", group);
        write_text("/proc/self/gid_map", map);
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir(path, 0700) == 0 &&
           mount("none", path, "tmpfs", 0, "size=1m") == 0;
}

static void unmount_small(const char *path)
{
    assert_int_equal(umount(path), 0);
    assert_int_equal(rmdir(path), 0);
}

static uint64_t size_of(const char *name)
{
    struct stat found = { 0 };

    T_CHECK(stat(folder_file(name), &found) == 0);
    return (uint64_t)found.st_size;
}

static int write_past_the_end_of_space(const char *data, size_t bytes)
{
    struct rt_file *file = must_open(folder_file("small/full"), O_RDWR | O_CREAT);
    struct rt_writer *writer = NULL;
    size_t done = 0;
    size_t taken = 0;
    int r = 0;

    T_CHECK(rt_file_write_all(file, data, bytes, 0, &done, RT_NEVER) == -ENOSPC);
    T_CHECK(done > 0 && done < bytes && size_of("small/full") == done);
    T_CHECK(rt_file_truncate(file, 512 * KIB, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);

    file = must_open(folder_file("small/stream"), O_RDWR | O_CREAT);
    T_CHECK(rt_writer_open(&writer, file, NULL) == 0);
    while (r == 0 && taken < bytes) {
        size_t n = 0;

        r = rt_writer_write(writer, data + taken, 10000, &n, RT_NEVER);
        taken += n;
    }
    T_CHECK(r == -ENOSPC || (r == 0 && rt_writer_flush(writer, RT_NEVER) == -ENOSPC));
    T_CHECK(rt_writer_close(writer) == -ENOSPC); /* the first error is the last word */
    T_CHECK(size_of("small/stream") <= 512 * KIB);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static int fill_file_system(void *arg)
{
    static char data[2 * MIB];
    void *old = NULL;
    size_t bytes = 0;

    (void)arg;
    fill(data, sizeof(data), 0);
    T_CHECK(rt_file_replace(folder_file("small/kept"), data, BLOCK, 0600, RT_NEVER) == 0);
    T_CHECK(write_past_the_end_of_space(data, sizeof(data)) == 0);

    /* What would replace a file leaves the old one, and nothing else. */
    T_CHECK(rt_file_replace(folder_file("small/kept"), data, sizeof(data), 0600, RT_NEVER) ==
            -ENOSPC);
    T_CHECK(rt_file_load(folder_file("small/kept"), MIB, &old, &bytes, RT_NEVER) == 0);
    T_CHECK(old != NULL && bytes == BLOCK && is_right(old, bytes, 0));
    rt_file_unload(old);
    T_CHECK(rt_remove(NULL, folder_file("small/stream"), RT_NEVER) == 0);
    T_CHECK(rt_remove(NULL, folder_file("small/full"), RT_NEVER) == 0);

    /* And with room there is again room for all. */
    T_CHECK(rt_file_replace(folder_file("small/kept"), data, MIB / 2, 0600, RT_NEVER) == 0);
    T_CHECK(rt_remove(NULL, folder_file("small/kept"), RT_NEVER) == 0);
    return 0;
}

/* More than its file system holds, so only the sync finds out. */
static int write_to_device_without_room(void *arg)
{
    const struct loop *loop = arg;
    struct rt_file *file = must_open(loop->path, O_RDWR);
    static char data[2 * MIB];
    int r;

    T_CHECK(rt_file_write_all(file, data, sizeof(data), 0, NULL, RT_NEVER) == sizeof(data));
    r = rt_file_datasync(file, RT_NEVER);
    T_CHECK(r == -EIO || r == -ENOSPC);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_full_file_system_and_a_device_on_it_say_so(void **state)
{
    char small[PATH_MAX];
    struct loop loop;
    int fd;

    (void)state;
    snprintf(small, sizeof(small), "%s", folder_file("small"));
    if (!mount_small(small)) {
        print_message("no file system can be mounted here\n");
        skip();
    }
    run(fill_file_system, NULL);
    fd = open(folder_file("small/device"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 2 * MIB) == 0 && close(fd) == 0);
    if (open_loop(&loop, folder_file("small/device"))) {
        run(write_to_device_without_room, &loop);
        close_loop(&loop);
    } else {
        print_message("no loop device can be had here: that part was left out\n");
    }
    assert_int_equal(unlink(folder_file("small/device")), 0);
    unmount_small(small);
}

/* Descriptors */

static int use_up_descriptors(void *arg)
{
    struct rt_file *files[LIMIT];
    struct rt_file *file = NULL;
    struct rt_directory *folder = NULL;
    void *memory = NULL;
    size_t bytes = 0;
    unsigned count = 0;
    int r = 0;

    (void)arg;
    while (r == 0 && count < LIMIT) {
        r = rt_file_open(&files[count], folder_file("data"), O_RDWR, 0, RT_NEVER);
        count += r == 0;
    }
    T_CHECK(r == -EMFILE && count > 0);
    T_CHECK(rt_file_open(&file, folder_file("data"), O_RDONLY | O_DIRECT, 0, RT_NEVER) == -EMFILE);
    T_CHECK(rt_directory_open(&folder, NULL, folder_path, RT_NEVER) == -EMFILE);
    T_CHECK(rt_file_load(folder_file("data"), MIB, &memory, &bytes, RT_NEVER) == -EMFILE);
    T_CHECK(rt_file_replace(folder_file("data"), "new", 3, 0600, RT_NEVER) == -EMFILE);
    T_CHECK(file == NULL && folder == NULL && memory == NULL);
    while (count > 0) {
        char data[BLOCK];

        count--; /* those that are open work */
        T_CHECK(rt_file_read_at(files[count], data, BLOCK, 0, RT_NEVER) == BLOCK);
        T_CHECK(is_right(data, BLOCK, 0));
        T_CHECK(rt_file_close(files[count]) == 0);
    }
    T_CHECK(rt_file_load(folder_file("data"), MIB, &memory, &bytes, RT_NEVER) == 0 &&
            bytes == BLOCK);
    rt_file_unload(memory);
    return 0;
}

static void without_a_descriptor_nothing_opens_and_what_is_open_works(void **state)
{
    struct rlimit old;
    struct rlimit less;
    int r;

    (void)state;
    make_file(folder_file("data"), BLOCK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    less = (struct rlimit){ .rlim_cur = LIMIT, .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    r = rt_run(NULL, use_up_descriptors, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
}

/* A file that shrinks */

static void read_while_it_shrinks(int flags)
{
    const struct rt_file_options options = { .size = sizeof(options),
                                             .flags = O_RDONLY | flags,
                                             .buffered_ok = 1 };
    const uint64_t left = MIB + 100; /* within a block */
    struct rt_file *file = NULL;
    struct rt_reader *reader = NULL;
    char *data = malloc(2 * MIB);
    const void *ahead;
    uint64_t end = 0;
    ssize_t n;

    T_CHECK(rt_file_open_with(&file, folder_file("shrinks"), &options, RT_NEVER) == 0);
    T_CHECK(rt_reader_open(&reader, file, NULL) == 0);
    while ((n = rt_reader_peek(reader, &ahead, RT_NEVER)) > 0) {
        T_CHECK(is_right(ahead, (size_t)n, end)); /* never zeroes where there was data */
        end += (uint64_t)n;
        rt_reader_consume(reader, (size_t)n);
        T_CHECK(truncate(folder_file("shrinks"), (off_t)left) == 0);
    }
    T_CHECK(n == 0 && rt_reader_peek(reader, &ahead, RT_NEVER) == 0);
    T_CHECK(end >= left && end < 4 * MIB); /* what was read ahead may be of before */
    rt_reader_close(reader);

    T_CHECK(rt_file_read_all(file, data, 2 * MIB, 0, NULL, RT_NEVER) == (ssize_t)left);
    T_CHECK(is_right(data, left, 0));
    T_CHECK(rt_file_read_at(file, data, BLOCK, left - 10, RT_NEVER) == 10);
    T_CHECK(rt_file_read_at(file, data, BLOCK, 3 * MIB, RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    free(data);
}

static int read_while_it_shrinks_main(void *arg)
{
    read_while_it_shrinks(*(const int *)arg);
    return 0;
}

static void a_file_that_shrinks_under_its_reader_ends_earlier(void **state)
{
    int flags[] = { 0, O_DIRECT };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        make_file(folder_file("shrinks"), 4 * (uint64_t)MIB);
        run(read_while_it_shrinks_main, &flags[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: threads of the kernel that work for us see the mounts of when they began. */
        cmocka_unit_test(a_full_file_system_and_a_device_on_it_say_so),
        cmocka_unit_test(what_cannot_be_read_is_an_error_and_what_can_is_short),
        cmocka_unit_test(a_device_that_fails_a_read_is_told_to_each_that_asked),
        cmocka_unit_test(without_a_descriptor_nothing_opens_and_what_is_open_works),
        cmocka_unit_test(a_file_that_shrinks_under_its_reader_ends_earlier),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, folder_make, folder_remove)
                           : T_EXIT_SKIPPED;
}
