/* SPDX-License-Identifier: MIT */
/*
 * Watches on the real kernel: each change is told, in order, and waits end as they should.
 *
 * Each test makes changes by plain system calls in an empty directory, and then reads as many
 * events as these must give. The kernel keeps them until they are read, so no moment matters.
 */
#include "support/folder.h"
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/rt.h"

static int begin(void **state)
{
    return folder_enter(state) < 0 || mkdir("sub", 0755) < 0;
}

/* Runs `first` with a watch of no place. */
static int with_watch(void *arg)
{
    int (*const *use)(struct rt_watch * watch) = arg;
    struct rt_watch *watch;
    int r = rt_watch_open(&watch);

    if (r == 0) {
        r = (*use)(watch);
        rt_watch_close(watch);
        rt_watch_close(NULL);
    }
    return r;
}

static void run(int (*use)(struct rt_watch *watch))
{
    const unsigned descriptors = t_open_descriptors();
    const int r = rt_run(NULL, with_watch, &use);

    assert_int_equal(t_failures(), 0);
    assert_int_equal(r, 0);
    assert_int_equal(t_open_descriptors(), descriptors);
}

static void make_file(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    T_CHECK(fd >= 0);
    T_CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* What must come next. */
struct expected {
    uint32_t what;
    const char *name;
};

static uint32_t cookies[16];

static void expect(struct rt_watch *watch, int place, const struct expected *expected,
                   unsigned count)
{
    const struct rt_watch_event *events;
    unsigned seen = 0;
    ssize_t n = 1;

    while (seen < count && n > 0) {
        n = rt_watch_read(watch, &events, rt_in(RT_SECONDS(10)));
        T_CHECK(n > 0);
        for (ssize_t i = 0; i < n && seen < count; i++, seen++) {
            T_CHECK(events[i].what == expected[seen].what && events[i].place == place);
            T_CHECK(strcmp(events[i].name, expected[seen].name) == 0);
            cookies[seen] = events[i].cookie;
        }
    }
}

static int change_all(struct rt_watch *watch)
{
    static const struct expected expected[] = {
        { RT_WATCH_CREATED, "file" },    { RT_WATCH_MODIFIED, "file" },
        { RT_WATCH_WRITTEN, "file" },    { RT_WATCH_ATTRIBUTES, "file" },
        { RT_WATCH_MOVED_FROM, "file" }, { RT_WATCH_MOVED_TO, "moved" },
        { RT_WATCH_REMOVED, "moved" },   { RT_WATCH_CREATED | RT_WATCH_DIRECTORY, "inner" },
        { RT_WATCH_SELF_MOVED, "" },
    };
    int place = -1;

    T_CHECK(rt_watch_add(watch, NULL, "sub", RT_WATCH_ALL, &place, RT_NEVER) == 0 && place >= 0);
    make_file("sub/file", "text");
    T_CHECK(chmod("sub/file", 0600) == 0 && rename("sub/file", "sub/moved") == 0);
    T_CHECK(unlink("sub/moved") == 0 && mkdir("sub/inner", 0755) == 0);
    T_CHECK(rename("sub", "elsewhere") == 0);
    expect(watch, place, expected, 9);
    T_CHECK(cookies[4] != 0 && cookies[4] == cookies[5] && cookies[6] == 0);
    return 0;
}

static void each_change_is_told_in_its_order(void **state)
{
    (void)state;
    run(change_all);
}

static int add_in_a_directory(struct rt_watch *watch)
{
    static const struct expected expected[] = { { RT_WATCH_CREATED, "new" },
                                                { RT_WATCH_GONE, "" } };
    struct rt_directory *sub;
    int place;
    int again;

    T_CHECK(mkdir("sub/inner", 0755) == 0);
    T_CHECK(rt_directory_open(&sub, NULL, "sub", RT_NEVER) == 0);
    T_CHECK(rt_watch_add(watch, sub, "inner", RT_WATCH_REMOVED, &place, RT_NEVER) == 0);
    T_CHECK(rt_watch_add(watch, NULL, "sub/inner", RT_WATCH_CREATED, &again, RT_NEVER) == 0);
    T_CHECK(place == again); /* the same place, which is asked for something else now */
    make_file("sub/inner/new", "");
    T_CHECK(unlink("sub/inner/new") == 0);
    T_CHECK(rt_watch_remove(watch, place) == 0 && rt_watch_remove(watch, place) == -EINVAL);
    expect(watch, place, expected, 2);
    T_CHECK(rt_directory_close(sub) == 0);
    return 0;
}

static void a_place_has_one_number_and_is_gone_when_it_is_removed(void **state)
{
    (void)state;
    run(add_in_a_directory);
}

static int ask_wrongly(struct rt_watch *watch)
{
    int place = 99;

    T_CHECK(rt_watch_add(watch, NULL, "sub", 0, &place, RT_NEVER) == -EINVAL);
    T_CHECK(rt_watch_add(watch, NULL, "sub", RT_WATCH_LOST, &place, RT_NEVER) == -EINVAL);
    T_CHECK(rt_watch_add(watch, NULL, "none", RT_WATCH_ALL, &place, RT_NEVER) == -ENOENT);
    T_CHECK(rt_watch_remove(watch, 1) == -EINVAL && place == 99);
    return 0;
}

static void what_cannot_be_watched_is_refused(void **state)
{
    (void)state;
    run(ask_wrongly);
}

/* Waiting */

static int read_one(void *arg)
{
    const struct rt_watch_event *events;
    const ssize_t n = rt_watch_read(arg, &events, RT_NEVER);

    T_CHECK(n < 0 || strcmp(events[0].name, "new") == 0);
    return (int)n;
}

static int wait_for_events(struct rt_watch *watch)
{
    const struct rt_watch_event *events;
    struct rt_task *reader;
    int result = 0;

    T_CHECK(rt_watch_add(watch, NULL, "sub", RT_WATCH_CREATED, NULL, RT_NEVER) == 0);
    T_CHECK(rt_watch_read(watch, &events, rt_in(RT_MILLISECONDS(1))) == -ETIME);
    T_CHECK(rt_spawn(&reader, read_one, watch) == 0);
    rt_yield();
    rt_cancel(reader);
    T_CHECK(rt_join(reader, &result, RT_NEVER) == 0 && result == -ECANCELED);
    T_CHECK(rt_spawn(&reader, read_one, watch) == 0);
    rt_yield();
    T_CHECK(!rt_is_finished(reader));
    make_file("sub/new", "");
    T_CHECK(rt_join(reader, &result, RT_NEVER) == 0 && result == 1);
    return 0;
}

static void a_read_waits_until_something_happens_a_deadline_or_a_cancel(void **state)
{
    (void)state;
    run(wait_for_events);
}

/* More than the kernel keeps */

static unsigned long events_kept(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    unsigned long count = 0;

    T_CHECK(file != NULL && fscanf(file, "%lu", &count) == 1 && count > 0);
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static int flood(struct rt_watch *watch)
{
    const struct rt_watch_event *events;
    const unsigned long kept = events_kept();
    unsigned long count = 0;
    bool lost = false;

    make_file("sub/a", "");
    make_file("sub/b", "");
    T_CHECK(rt_watch_add(watch, NULL, "sub", RT_WATCH_ATTRIBUTES, NULL, RT_NEVER) == 0);
    for (unsigned long i = 0; i < kept + 10; i++) { /* of two in turn: like ones become one */
        T_CHECK(chmod(i % 2 == 0 ? "sub/a" : "sub/b", 0600) == 0);
    }
    while (!lost) {
        const ssize_t n = rt_watch_read(watch, &events, rt_in(RT_SECONDS(10)));

        T_CHECK(n > 0);
        count += n > 0 ? (unsigned long)n : 0;
        lost = n <= 0 || (events[n - 1].what == RT_WATCH_LOST && events[n - 1].place == -1);
    }
    T_CHECK(count == kept + 1);
    return 0;
}

static void events_that_were_lost_are_told_as_such(void **state)
{
    (void)state;
    run(flood);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_told_in_its_order),
        TEST(a_place_has_one_number_and_is_gone_when_it_is_removed),
        TEST(what_cannot_be_watched_is_refused),
        TEST(a_read_waits_until_something_happens_a_deadline_or_a_cancel),
        TEST(events_that_were_lost_are_told_as_such),
    };

    return have_io_uring() ? cmocka_run_group_tests(tests, NULL, NULL) : T_EXIT_SKIPPED;
}
