/* SPDX-License-Identifier: MIT */
/*
 * Files for which the device is to be polled, on the device and kernel that are there.
 *
 * Most devices cannot be polled, and where the tests run nobody knows. So both outcomes are right:
 * what counts is that data is, that nothing is lost on the way back to the ordinary ring, and that
 * rt_file_stat(), the counters and the log say the same of it.
 *
 * Each test works in a file of its own run, below TMPDIR or /tmp.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rt/rt.h"

#define BLOCK  ((size_t)4096)
#define BLOCKS 64

static char path[256];
static char log_text[1024];
static unsigned log_lines;

static void keep_line(void *arg, enum rt_log_level level, const char *text)
{
    (void)arg;
    (void)level;
    log_lines++;
    snprintf(log_text, sizeof(log_text), "%s", text);
}

static int run_without(const char *disable, rt_task_fn first)
{
    const unsigned descriptors = t_open_descriptors();
    struct rt_config config = RT_CONFIG_INIT;
    int fd;
    int r;

    snprintf(path, sizeof(path), "%s/polled-XXXXXX",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    config.log = keep_line;
    config.disable = disable;
    log_lines = 0;
    log_text[0] = '\0';
    r = rt_run(&config, first, NULL);
    unlink(path);
    assert_int_equal(t_failures(), 0);
    assert_int_equal(t_open_descriptors(), descriptors);
    return r;
}

static void run(const char *disable, rt_task_fn first)
{
    const int r = run_without(disable, first);

    if (r == -EINVAL) {
        fprintf(stderr, "skipped: no direct I/O in the folder of the test (%s)\n", log_text);
        skip();
    }
    assert_int_equal(r, 0);
}

/* -EINVAL: the file system has no direct I/O. */
static int open_polled(struct rt_file **out)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;

    options.flags = O_RDWR | O_DIRECT;
    options.polled = 1;
    return rt_file_open_with(out, path, &options, RT_NEVER);
}

static struct rt_stats counters(void)
{
    struct rt_stats stats;

    rt_stats_get(&stats, sizeof(stats));
    return stats;
}

static bool is_polled(struct rt_file *file)
{
    struct rt_file_stat stat;

    T_CHECK(rt_file_stat(file, &stat, RT_NEVER) == 0);
    return stat.polled == 1;
}

/* What is told of the file after some transfers. Those that no device does (a read of a hole) are
 * not refused even where the others are. */
static void check_what_is_told(struct rt_file *file)
{
    const struct rt_stats stats = counters();

    if (is_polled(file)) {
        T_CHECK(stats.polls_refused == 0 && stats.polled_transfers > 0 && log_lines == 0);
    } else {
        T_CHECK(stats.polls_refused == 1 && log_lines == 1);
        T_CHECK(strstr(log_text, "go by interrupts") != NULL);
    }
}

struct block {
    struct rt_file *file;
    unsigned number;
};

static int write_and_read(void *arg)
{
    const struct block *block = arg;
    const uint64_t offset = block->number * BLOCK;
    char *bytes = aligned_alloc(BLOCK, 2 * BLOCK);

    T_CHECK(bytes != NULL);
    memset(bytes, (int)('a' + block->number % 26), BLOCK);
    T_CHECK(rt_file_write_at(block->file, bytes, BLOCK, offset, RT_NEVER) == (ssize_t)BLOCK);
    T_CHECK(rt_file_read_at(block->file, bytes + BLOCK, BLOCK, offset, RT_NEVER) == (ssize_t)BLOCK);
    T_CHECK(memcmp(bytes, bytes + BLOCK, BLOCK) == 0);
    free(bytes);
    return 0;
}

static int use_many(void *arg)
{
    struct block blocks[BLOCKS];
    struct rt_group group = RT_GROUP_INIT;
    struct rt_file *file = NULL;
    char text[8] = "";
    int r;

    (void)arg;
    r = open_polled(&file);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = (struct block){ file, i };
        T_CHECK(rt_group_spawn(&group, write_and_read, &blocks[i]) == 0);
    }
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0);
    check_what_is_told(file);
    T_CHECK(rt_file_write_all(file, "mine", 4, 3 * BLOCK - 2, NULL, RT_NEVER) == 4);
    T_CHECK(rt_file_read_at(file, text, 6, 3 * BLOCK - 3, RT_NEVER) == 6);
    T_CHECK(strcmp(text, "cmined") == 0);
    T_CHECK(rt_file_datasync(file, RT_NEVER) == 0);
    check_what_is_told(file);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void data_is_right_and_it_is_told_whether_it_was_polled_for(void **state)
{
    (void)state;
    run(NULL, use_many);
}

static int use_without(void *arg)
{
    struct rt_file *file = NULL;
    struct block block = { 0 };
    char names[256];
    int r;

    (void)arg;
    r = open_polled(&file);
    if (r < 0) {
        return r;
    }
    (void)rt_features_format(names, sizeof(names));
    T_CHECK(strstr(names, "iopoll") == NULL);
    T_CHECK(!is_polled(file));
    block.file = file;
    T_CHECK(write_and_read(&block) == 0);
    check_what_is_told(file);
    T_CHECK(rt_file_close(file) == 0);
    T_CHECK(open_polled(&file) == 0); /* counted, and not said again */
    T_CHECK(counters().polls_refused == 2 && log_lines == 1);
    T_CHECK(strstr(log_text, "RT_DISABLE") != NULL);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void without_the_feature_files_work_and_the_log_says_why_once(void **state)
{
    (void)state;
    run("iopoll", use_without);
}

static int hand_it_on(void *arg)
{
    struct rt_file_share share;
    struct rt_file *other = NULL;
    struct rt_file *file = NULL;
    bool polled;
    int r;

    (void)arg;
    r = open_polled(&file);
    if (r < 0) {
        return r;
    }
    polled = is_polled(file); /* there has been no transfer that could be refused */
    T_CHECK(polled == (counters().polls_refused == 0));
    T_CHECK(rt_file_share(file, &share) == 0);
    T_CHECK(rt_file_adopt(&other, &share) == 0);
    T_CHECK(is_polled(other) == polled);
    T_CHECK(rt_file_close(other) == 0);
    T_CHECK(rt_file_close(file) == 0);
    return 0;
}

static void a_share_of_a_file_is_polled_for_as_the_file_is(void **state)
{
    (void)state;
    run(NULL, hand_it_on);
    run("iopoll", hand_it_on);
}

static int ask_for_a_buffered_one(void *arg)
{
    struct rt_file_options options = RT_FILE_OPTIONS_INIT;
    struct rt_file *file = NULL;

    (void)arg;
    options.flags = O_RDWR;
    options.polled = 1;
    T_CHECK(rt_file_open_with(&file, path, &options, RT_NEVER) == -EINVAL);
    T_CHECK(log_lines == 1 && strstr(log_text, "O_DIRECT") != NULL);
    return 0;
}

static void a_buffered_file_cannot_be_asked_to_be_polled_for(void **state)
{
    (void)state;
    run(NULL, ask_for_a_buffered_one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_right_and_it_is_told_whether_it_was_polled_for),
        cmocka_unit_test(without_the_feature_files_work_and_the_log_says_why_once),
        cmocka_unit_test(a_share_of_a_file_is_polled_for_as_the_file_is),
        cmocka_unit_test(a_buffered_file_cannot_be_asked_to_be_polled_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
