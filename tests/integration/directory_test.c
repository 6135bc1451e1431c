/* SPDX-License-Identifier: MIT */
/*
 * Names on the real kernel: what rt/directory.h promises, seen by the plain system calls.
 *
 * Each test works in an empty directory, below TMPDIR or /tmp, which is also the working
 * directory. Names have a second directory beside it, so that a call that began in the wrong one
 * would be noticed.
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

static int begin(void **state)
{
    return folder_enter(state) < 0 || mkdir("sub", 0755) < 0;
}

/* Runs `first`; afterwards no check has failed and no descriptor is left. */
static void run(rt_task_fn first)
{
    const unsigned descriptors = t_open_descriptors();
    const int r = rt_run(NULL, first, NULL);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static bool is_there(const char *path)
{
    struct stat answer;

    return lstat(path, &answer) == 0;
}

static ino_t inode_of(const char *path)
{
    struct stat answer = { 0 };

    T_CHECK(lstat(path, &answer) == 0);
    return answer.st_ino;
}

static void make_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    T_CHECK(fd >= 0 && close(fd) == 0);
}

static struct rt_directory *must_open(const char *path)
{
    struct rt_directory *directory = NULL;
    const int r = rt_directory_open(&directory, NULL, path, RT_NEVER);

    if (r < 0) {
        fprintf(stderr, "cannot open %s: %s\n", path, rt_strerror(r));
        abort();
    }
    return directory;
}

/* Making, moving, removing */

static int use_each_call(void *arg)
{
    struct rt_directory *sub = must_open("sub");
    struct rt_file *file;
    char text[16];

    (void)arg;
    T_CHECK(rt_file_open_at(&file, sub, "file", O_RDWR | O_CREAT | O_EXCL, 0600, RT_NEVER) == 0);
    T_CHECK(is_there("sub/file") && rt_file_close(file) == 0);
    T_CHECK(rt_make_directory(sub, "made", 0700, RT_NEVER) == 0 && is_there("sub/made"));
    T_CHECK(rt_link(sub, "file", NULL, "linked", RT_NEVER) == 0);
    T_CHECK(inode_of("linked") == inode_of("sub/file"));
    T_CHECK(rt_rename(NULL, "linked", sub, "made/moved", 0, RT_NEVER) == 0);
    T_CHECK(!is_there("linked") && inode_of("sub/made/moved") == inode_of("sub/file"));
    T_CHECK(rt_symlink("file", sub, "symbolic", RT_NEVER) == 0);
    T_CHECK(rt_readlink(sub, "symbolic", text, sizeof(text), RT_NEVER) == 4);
    T_CHECK(strcmp(text, "file") == 0);
    T_CHECK(rt_link(sub, "symbolic", sub, "second", RT_NEVER) == 0); /* of the link itself */
    T_CHECK(inode_of("sub/second") == inode_of("sub/symbolic"));
    T_CHECK(rt_directory_sync(sub, RT_NEVER) == 0);
    T_CHECK(rt_remove_directory(sub, "made", RT_NEVER) == -ENOTEMPTY);
    T_CHECK(rt_remove(sub, "made/moved", RT_NEVER) == 0);
    T_CHECK(rt_remove_directory(sub, "made", RT_NEVER) == 0 && !is_there("sub/made"));
    T_CHECK(rt_remove(sub, "file", RT_NEVER) == 0 && !is_there("sub/file"));
    T_CHECK(rt_directory_close(sub) == 0);
    T_CHECK(rt_directory_close(NULL) == 0);
    return 0;
}

static void names_are_made_moved_and_removed_in_their_directories(void **state)
{
    (void)state;
    run(use_each_call);
}

static int move_under_it(void *arg)
{
    struct rt_directory *sub = must_open("sub");
    struct rt_directory *inner;

    (void)arg;
    T_CHECK(rename("sub", "elsewhere") == 0 && mkdir("sub", 0755) == 0);
    T_CHECK(rt_make_directory(sub, "inner", 0755, RT_NEVER) == 0);
    T_CHECK(is_there("elsewhere/inner") && !is_there("sub/inner"));
    T_CHECK(rt_directory_open(&inner, sub, "inner", RT_NEVER) == 0);
    T_CHECK(rt_make_directory(inner, "../beside", 0755, RT_NEVER) == 0);
    T_CHECK(is_there("elsewhere/beside"));
    T_CHECK(rt_directory_close(inner) == 0);
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void a_directory_that_was_moved_is_still_the_one_that_was_opened(void **state)
{
    (void)state;
    run(move_under_it);
}

static int rename_with_flags(void *arg)
{
    ino_t a;
    ino_t b;

    (void)arg;
    make_file("a");
    make_file("b");
    a = inode_of("a");
    b = inode_of("b");
    T_CHECK(rt_rename(NULL, "a", NULL, "b", RT_RENAME_NOREPLACE, RT_NEVER) == -EEXIST);
    T_CHECK(rt_rename(NULL, "a", NULL, "b", RT_RENAME_EXCHANGE, RT_NEVER) == 0);
    T_CHECK(inode_of("a") == b && inode_of("b") == a);
    T_CHECK(rt_rename(NULL, "a", NULL, "b",
                      (unsigned)RT_RENAME_EXCHANGE | (unsigned)RT_RENAME_NOREPLACE,
                      RT_NEVER) == -EINVAL);
    T_CHECK(rt_rename(NULL, "a", NULL, "c", RT_RENAME_NOREPLACE, RT_NEVER) == 0);
    T_CHECK(rt_rename(NULL, "c", NULL, "b", 0, RT_NEVER) == 0);
    T_CHECK(inode_of("b") == b && !is_there("c"));
    return 0;
}

static void a_rename_replaces_refuses_or_exchanges_as_asked(void **state)
{
    (void)state;
    run(rename_with_flags);
}

static int ask_for_what_cannot_be(void *arg)
{
    struct rt_directory *directory = NULL;
    struct rt_file *file = NULL;
    char text[8];

    (void)arg;
    make_file("file");
    T_CHECK(rt_directory_open(&directory, NULL, "none", RT_NEVER) == -ENOENT);
    T_CHECK(rt_directory_open(&directory, NULL, "file", RT_NEVER) == -ENOTDIR);
    T_CHECK(directory == NULL);
    T_CHECK(rt_file_open_at(&file, NULL, "none", O_RDONLY, 0, RT_NEVER) == -ENOENT);
    T_CHECK(file == NULL);
    T_CHECK(rt_make_directory(NULL, "sub", 0755, RT_NEVER) == -EEXIST);
    T_CHECK(rt_remove(NULL, "sub", RT_NEVER) == -EISDIR);
    T_CHECK(rt_remove(NULL, "none", RT_NEVER) == -ENOENT);
    T_CHECK(rt_remove_directory(NULL, "file", RT_NEVER) == -ENOTDIR);
    T_CHECK(rt_rename(NULL, "none", NULL, "other", 0, RT_NEVER) == -ENOENT);
    T_CHECK(rt_link(NULL, "file", NULL, "sub", RT_NEVER) == -EEXIST);
    T_CHECK(rt_symlink("any", NULL, "file", RT_NEVER) == -EEXIST);
    T_CHECK(rt_readlink(NULL, "file", text, sizeof(text), RT_NEVER) == -EINVAL);
    T_CHECK(rt_readlink(NULL, "none", text, sizeof(text), RT_NEVER) == -ENOENT);
    return 0;
}

static void what_the_kernel_refuses_comes_back_as_its_error(void **state)
{
    (void)state;
    run(ask_for_what_cannot_be);
}

static int read_links(void *arg)
{
    char text[8] = "........";

    (void)arg;
    T_CHECK(symlink("1234567", "seven") == 0 && symlink("12345678", "eight") == 0);
    T_CHECK(rt_readlink(NULL, "seven", text, 8, RT_NEVER) == 7 && strcmp(text, "1234567") == 0);
    T_CHECK(rt_readlink(NULL, "seven", text, 7, RT_NEVER) == -ERANGE);
    T_CHECK(rt_readlink(NULL, "eight", text, 8, RT_NEVER) == -ERANGE);
    T_CHECK(rt_readlink(NULL, "seven", NULL, 0, RT_NEVER) == -ERANGE);
    return 0;
}

static void the_text_of_a_link_is_whole_or_an_error(void **state)
{
    (void)state;
    run(read_links);
}

/* Deadline and cancel */

/* What came too late has changed nothing. But a thread of the kernel's may be quicker than a
 * deadline of 0: then it is done, and says so. */
static bool is_late(int r, int reason, bool changed)
{
    return r == reason ? !changed : reason == -ETIME && r == 0 && changed;
}

/* What a quick thread has done. */
static void undo(void)
{
    (void)rmdir("sub/new");
    (void)unlink("sub/file");
    (void)unlink("sub/link");
    if (!is_there("file")) {
        make_file("file");
    }
}

static int come_too_late(void *arg)
{
    const struct rt_directory_entry *entries;
    struct rt_directory *sub = must_open("sub");
    char text[8];
    ssize_t n;
    int r;

    (void)arg;
    make_file("file");
    T_CHECK(symlink("x", "link") == 0);
    for (int i = 0; i < 2; i++) {
        const rt_time deadline = i == 0 ? 0 : RT_NEVER;
        const int reason = i == 0 ? -ETIME : -ECANCELED;

        if (i == 1) {
            rt_cancel_self();
        }
        r = rt_make_directory(sub, "new", 0755, deadline);
        T_CHECK(is_late(r, reason, is_there("sub/new")));
        undo();
        r = rt_rename(NULL, "file", sub, "file", 0, deadline);
        T_CHECK(is_late(r, reason, !is_there("file")));
        undo();
        r = rt_remove(NULL, "file", deadline);
        T_CHECK(is_late(r, reason, !is_there("file")));
        undo();
        r = rt_link(NULL, "file", sub, "file", deadline);
        T_CHECK(is_late(r, reason, is_there("sub/file")));
        r = rt_symlink("x", sub, "link", deadline);
        T_CHECK(is_late(r, reason, is_there("sub/link")));
        undo();
        n = rt_readlink(NULL, "link", text, sizeof(text), deadline);
        T_CHECK(n == reason || (i == 0 && n == 1));
        n = rt_directory_read(sub, &entries, deadline);
        T_CHECK(n == reason || (i == 0 && n == 0));
    }
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void after_a_deadline_or_a_cancel_nothing_was_changed(void **state)
{
    (void)state;
    run(come_too_late);
}

/* Listing */

#define MANY 3000

static bool seen[MANY];

/* All entries once more, from where the directory stands: how many. */
static int read_all(struct rt_directory *directory)
{
    const struct rt_directory_entry *entries;
    int count = 0;
    ssize_t n;

    memset(seen, 0, sizeof(seen));
    while ((n = rt_directory_read(directory, &entries, RT_NEVER)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            const unsigned long number = strtoul(entries[i].name, NULL, 10);

            T_CHECK(number < MANY && !seen[number]);
            T_CHECK(entries[i].type == RT_TYPE_FILE || entries[i].type == RT_TYPE_UNKNOWN);
            seen[number < MANY ? number : 0] = true;
        }
        count += (int)n;
    }
    T_CHECK(n == 0);
    return count;
}

static int list_many(void *arg)
{
    struct rt_directory *sub = must_open("sub");
    const struct rt_directory_entry *entries;
    char path[64];

    (void)arg;
    for (unsigned i = 0; i < MANY; i++) { /* long names: several batches */
        snprintf(path, sizeof(path), "sub/%05u-with-a-name-that-is-not-short", i);
        make_file(path);
    }
    T_CHECK(read_all(sub) == MANY);
    T_CHECK(read_all(sub) == 0); /* at the end it stays there */
    rt_directory_rewind(sub);
    T_CHECK(read_all(sub) == MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "%05u-with-a-name-that-is-not-short", i);
        T_CHECK(rt_remove(sub, path, RT_NEVER) == 0);
    }
    rt_directory_rewind(sub);
    T_CHECK(read_all(sub) == 0);
    T_CHECK(rmdir("sub") == 0);
    rt_directory_rewind(sub);
    T_CHECK(rt_directory_read(sub, &entries, RT_NEVER) == -ENOENT);
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void each_name_is_listed_once_and_again_after_a_rewind(void **state)
{
    (void)state;
    run(list_many);
}

static int list_types(void *arg)
{
    static const struct {
        const char *name;
        enum rt_file_type type;
    } expected[] = { { "directory", RT_TYPE_DIRECTORY },
                     { "fifo", RT_TYPE_OTHER },
                     { "file", RT_TYPE_FILE },
                     { "symlink", RT_TYPE_SYMLINK } };
    struct rt_directory *sub = must_open("sub");
    const struct rt_directory_entry *entries;
    ssize_t n;

    (void)arg;
    T_CHECK(mkdir("sub/directory", 0755) == 0 && mkfifo("sub/fifo", 0644) == 0);
    make_file("sub/file");
    T_CHECK(symlink("file", "sub/symlink") == 0);
    n = rt_directory_read(sub, &entries, RT_NEVER);
    T_CHECK(n == 4);
    for (ssize_t i = 0; i < n; i++) {
        unsigned k = 0;
        char path[64];

        while (k < 4 && strcmp(entries[i].name, expected[k].name) != 0) {
            k++;
        }
        snprintf(path, sizeof(path), "sub/%s", entries[i].name);
        T_CHECK(k < 4 && entries[i].inode == inode_of(path));
        T_CHECK(k < 4 &&
                (entries[i].type == expected[k].type || entries[i].type == RT_TYPE_UNKNOWN));
    }
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void a_listing_tells_the_type_and_the_inode(void **state)
{
    (void)state;
    run(list_types);
}

/* Temporary files */

static int use_temporary(void *arg)
{
    struct rt_directory *sub = must_open("sub");
    const struct rt_directory_entry *entries;
    struct rt_file *file;
    struct rt_file_stat stat;
    char buf[8] = "";
    int r;

    (void)arg;
    T_CHECK(rt_file_create_temporary(&file, NULL, "sub", RT_NEVER) == 0);
    T_CHECK(rt_directory_read(sub, &entries, RT_NEVER) == 0); /* it has no name */
    T_CHECK(rt_file_write_at(file, "kept", 4, 0, RT_NEVER) == 4);
    T_CHECK(rt_file_read_at(file, buf, sizeof(buf), 0, RT_NEVER) == 4);
    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0 && (stat.mode & 0777) == 0600);
    r = rt_file_link(file, sub, "named", RT_NEVER);
    T_CHECK(r == 0 || r == -ENOENT); /* the file system has no O_TMPFILE */
    if (r == 0) {
        T_CHECK(inode_of("sub/named") == stat.inode);
        T_CHECK(rt_file_link(file, sub, "named", RT_NEVER) == -EEXIST);
    }
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(is_there("sub/named") == (r == 0));
    T_CHECK(rt_file_create_temporary(&file, sub, ".", RT_NEVER) == 0);
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(rt_file_create_temporary(&file, NULL, "none", RT_NEVER) == -ENOENT);
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void a_temporary_file_has_no_name_until_it_is_linked(void **state)
{
    (void)state;
    run(use_temporary);
}

static int create_unique(void *arg)
{
    struct rt_directory *sub = must_open("sub");
    char paths[2][16] = { "file-XXXXXX", "file-XXXXXX" };
    char wrong[] = "file-XXXXX";
    char path[64];
    struct rt_file *file;

    (void)arg;
    for (int i = 0; i < 2; i++) {
        T_CHECK(rt_file_create_unique(&file, sub, paths[i], 0640, RT_NEVER) == 0);
        T_CHECK(rt_file_write_at(file, "x", 1, 0, RT_NEVER) == 1);
        T_CHECK(rt_file_close(file) == 0);
        snprintf(path, sizeof(path), "sub/%s", paths[i]);
        T_CHECK(is_there(path) && strncmp(paths[i], "file-", 5) == 0);
    }
    T_CHECK(strcmp(paths[0], paths[1]) != 0);
    T_CHECK(rt_file_create_unique(&file, sub, wrong, 0640, RT_NEVER) == -EINVAL);
    T_CHECK(strcmp(wrong, "file-XXXXX") == 0);
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void a_unique_file_has_a_name_of_its_own(void **state)
{
    (void)state;
    run(create_unique);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_made_moved_and_removed_in_their_directories),
        TEST(a_directory_that_was_moved_is_still_the_one_that_was_opened),
        TEST(a_rename_replaces_refuses_or_exchanges_as_asked),
        TEST(what_the_kernel_refuses_comes_back_as_its_error),
        TEST(the_text_of_a_link_is_whole_or_an_error),
        TEST(after_a_deadline_or_a_cancel_nothing_was_changed),
        TEST(each_name_is_listed_once_and_again_after_a_rewind),
        TEST(a_listing_tells_the_type_and_the_inode),
        TEST(a_temporary_file_has_no_name_until_it_is_linked),
        TEST(a_unique_file_has_a_name_of_its_own),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
