/* SPDX-License-Identifier: MIT */
/*
 * The watch on real threads: a ring over two shards is named in the log without being asked for,
 * and long waits that are no ring are not; a stop that a ring holds up names it before the process
 * ends, also the call that stops its own service.
 *
 * Method: the log is heard. A ring stays until it was told, and then a cancel ends it; so nothing
 * depends on time. What ends the process runs in a child, whose standard error is read.
 */
#include "support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rt/rt.h"

#define CHILD_SECONDS_MAX 30
#define BOUNCES           400 /* calls there and back, that many at least */

static char said[8192]; /* what the watch has said; its thread writes */
static sem_t told;      /* posted for each task of a ring */

static void hear(void *arg, enum rt_log_level level, const char *line)
{
    const size_t used = strlen(said);

    (void)arg;
    (void)level;
    snprintf(said + used, sizeof(said) - used, "%s\n", line);
    if (strstr(line, " waits in ") != NULL) {
        sem_post(&told);
    }
}

static struct rt_config watched(void)
{
    struct rt_config config = RT_CONFIG_INIT;

    said[0] = '\0';
    (void)sem_init(&told, 0, 0);
    config.shards = 2;
    config.place = RT_PLACE_UNBOUND;
    config.log = hear;
    config.wait_cycles = RT_WAIT_CYCLES_MIN;
    return config;
}

/* ---- a ring ---- */

static struct rt_mutex account = RT_MUTEX_INIT;

static int audit(void *arg)
{
    (void)arg;
    rt_self_set_name("audit");
    return rt_mutex_lock(&account, RT_NEVER);
}

static int book(void *arg)
{
    int result = 0;
    int r;

    rt_self_set_name("book");
    r = rt_call(0, audit, arg, &result, RT_NEVER);
    return r < 0 ? r : result;
}

static int pay(void *arg)
{
    int result = 0;
    int r = rt_mutex_lock(&account, RT_NEVER);

    if (r == 0) {
        r = rt_call(1, book, arg, &result, RT_NEVER);
        rt_mutex_unlock(&account);
    }
    return r < 0 ? r : result;
}

static int await_three_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        while (sem_wait(&told) < 0) { /* a signal */
        }
    }
    return 0;
}

static int make_a_ring(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = "pay" };
    struct rt_task *task;
    int result = 0;

    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(rt_spawn_with(&task, pay, arg, &options) == 0);
    T_CHECK(rt_blocking(await_three_lines, NULL, &result, RT_NEVER) == 0);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0 && result == -ECANCELED);
    return 0;
}

static void a_ring_over_two_shards_is_named_in_the_log_once(void **state)
{
    const struct rt_config config = watched();
    const char *first;

    (void)state;
    assert_int_equal(rt_start(&config, make_a_ring, NULL), 0);
    assert_int_equal(t_failures(), 0);
    first = strstr(said, "wait cycle: 3 tasks wait for each other\n");
    assert_non_null(first);
    assert_null(strstr(strchr(first, '\n'), "wait for each other"));
    assert_non_null(strstr(first, "'pay' (shard 0) waits in call for task"));
    assert_non_null(strstr(first, "'book' (shard 1) waits in call for task"));
    assert_non_null(strstr(first, "'audit' (shard 0) waits in mutex for task"));
}

/* ---- a ring that is made when the watch has come to rest ---- */

#define LONG_PERIOD RT_MILLISECONDS(400)
#define TOLD_WITHIN 20 /* s, at most; it takes two periods */

static int await_two_lines(void *arg)
{
    struct timespec until;
    int r = 0;

    (void)arg;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TOLD_WITHIN;
    for (int i = 0; i < 2 && r == 0; i++) {
        while ((r = sem_timedwait(&told, &until)) < 0 && errno == EINTR) {
        }
    }
    return r;
}

static int lock_account(void *arg)
{
    (void)arg;
    return rt_mutex_lock(&account, RT_NEVER);
}

static int join_who_wants_my_account(void *arg)
{
    struct rt_task *child = NULL;
    int r = rt_mutex_lock(&account, RT_NEVER);

    T_CHECK(r == 0 && rt_spawn(&child, lock_account, arg) == 0);
    r = rt_join(child, NULL, RT_NEVER);
    T_CHECK(r == -ECANCELED);
    rt_cancel(child);
    T_CHECK(rt_join(child, NULL, 0) < 0);
    rt_detach(child);
    rt_mutex_unlock(&account);
    return r;
}

/* The first look comes at once, and the second, a period later, finds that nothing has changed.
 * Then all sleep, but for the moment in which the ring is made, long before a third look would be
 * due. */
static int make_a_ring_late(void *arg)
{
    struct rt_task *task;
    int result = 0;

    if (rt_shard_index() != 0) {
        return 0;
    }
    T_CHECK(rt_sleep_until(rt_in(LONG_PERIOD + LONG_PERIOD / 3)) == 0);
    T_CHECK(rt_spawn(&task, join_who_wants_my_account, arg) == 0);
    T_CHECK(rt_blocking(await_two_lines, NULL, &result, RT_NEVER) == 0 && result == 0);
    rt_cancel(task);
    T_CHECK(rt_join(task, &result, RT_NEVER) == 0);
    return 0;
}

static void a_ring_is_named_that_is_made_behind_the_look_that_found_nothing_new(void **state)
{
    struct rt_config config = watched();
    const char *stall = getenv("RT_STALL");
    char *old = stall != NULL ? strdup(stall) : NULL;

    (void)state;
    config.wait_cycles = LONG_PERIOD;
    (void)unsetenv("RT_STALL"); /* so the watch sleeps when all shards do */
    assert_int_equal(rt_start(&config, make_a_ring_late, NULL), 0);
    if (old != NULL) {
        (void)setenv("RT_STALL", old, 1);
    }
    free(old);
    assert_int_equal(t_failures(), 0);
    assert_non_null(strstr(said, "wait cycle: 2 tasks wait for each other\n"));
}

/* ---- no ring: who waits for whom changes all the time, and one waits for long ---- */

static struct rt_mutex busy_mutex[2] = { RT_MUTEX_INIT, RT_MUTEX_INIT };
static unsigned bounces; /* atomic */

/* Each shard's mutex is held within calls that come from the other one, and never across a call. */
static int hold_a_while(void *arg)
{
    struct rt_mutex *mutex = &busy_mutex[rt_shard_index()];
    const int r = rt_mutex_lock(mutex, RT_NEVER);

    (void)arg;
    if (r == 0) {
        rt_yield();
        rt_mutex_unlock(mutex);
    }
    return r;
}

static int bounce(void *arg)
{
    int r = 0;

    while (r == 0 && __atomic_add_fetch(&bounces, 1, __ATOMIC_RELAXED) < BOUNCES) {
        r = rt_call(1 - rt_shard_index(), hold_a_while, arg, NULL, RT_NEVER);
    }
    return r;
}

static int hold_for_long(void *arg)
{
    (void)arg;
    return rt_sleep_until(rt_in(RT_MILLISECONDS(50)));
}

static int bounce_and_wait(void *arg)
{
    struct rt_group group = RT_GROUP_INIT;

    for (int i = 0; i < 4; i++) {
        T_CHECK(rt_group_spawn(&group, bounce, arg) == 0);
    }
    T_CHECK(rt_call(1 - rt_shard_index(), hold_for_long, arg, NULL, RT_NEVER) == 0);
    T_CHECK(rt_group_wait(&group, RT_NEVER) == 0);
    return rt_group_leave(&group, RT_NEVER);
}

static void waits_that_are_no_ring_are_not_told_however_long_they_last(void **state)
{
    const struct rt_config config = watched();

    (void)state;
    bounces = 0;
    assert_int_equal(rt_start(&config, bounce_and_wait, NULL), 0);
    assert_int_equal(t_failures(), 0);
    assert_true(bounces >= BOUNCES);
    assert_string_equal(said, "");
}

/* ---- stops that last too long ---- */

static char last_words[16384];

static void assert_dies_saying(rt_task_fn first, uint32_t shards, const char *const *texts)
{
    struct rt_config config = RT_CONFIG_INIT;
    int pipe_fds[2];
    int status = 0;
    size_t used = 0;
    pid_t child;
    ssize_t n;

    config.shards = shards;
    config.place = RT_PLACE_UNBOUND;
    config.stop_timeout = RT_MILLISECONDS(50);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = { 0, 0 };

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)unsetenv("RT_STALL"); /* the watch is there, as it is by default */
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        (void)alarm(CHILD_SECONDS_MAX);
        _exit(rt_start(&config, first, NULL) < 0);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], last_words + used, sizeof(last_words) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    last_words[used] = '\0';
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    for (; *texts != NULL; texts++) {
        if (strstr(last_words, *texts) == NULL) {
            fail_msg("\"%s\" is not in what the child said: \"%s\"", *texts, last_words);
        }
    }
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static int create(void **instance, void *arg)
{
    *instance = arg;
    return 0;
}

static void destroy(void *instance)
{
    (void)instance;
}

static struct rt_service *store;

static int stop_it(void *arg)
{
    (void)arg;
    rt_self_set_name("stopper");
    return rt_service_stop(store, RT_NEVER);
}

/* Inside, and so the stop waits for it; it waits for the stop. */
static int stop_by_way_of_another_shard(void *instance, void *arg)
{
    (void)instance;
    return rt_call(1, stop_it, arg, NULL, RT_NEVER);
}

static int call_it(void *arg)
{
    return rt_service_call(store, 0, stop_by_way_of_another_shard, arg, NULL, RT_NEVER);
}

static int serve(void *arg)
{
    const struct rt_spawn_options options = { .size = sizeof(options), .name = "caller" };
    struct rt_service_options of_store = RT_SERVICE_OPTIONS_INIT;
    struct rt_service_stats stats = { .state = RT_SERVICE_RUNNING };
    int r;

    if (rt_shard_index() != 0) {
        return 0;
    }
    of_store.name = "store";
    of_store.create = create;
    of_store.destroy = destroy;
    r = rt_service_start(&store, &of_store, arg, 0, RT_NEVER);
    if (r == 0) {
        r = rt_spawn_with(NULL, call_it, arg, &options);
    }
    while (r == 0 && stats.state == RT_SERVICE_RUNNING) {
        rt_yield();
        rt_service_stats(store, 0, &stats, sizeof(stats));
    }
    return r; /* the last first task has returned: all is to end */
}

static void a_call_that_stops_its_own_service_elsewhere_is_named_when_the_stop_is_late(void **state)
{
    static const char *const texts[] = {
        "wait cycle: 3 tasks wait for each other",
        "'caller' (shard 0) waits in call for task",
        "'stopper' (shard 1) waits in service stop for task",
        "'store' (shard 0) waits in calls of the service for task",
        "(config.stop_timeout)",
        NULL,
    };

    (void)state;
    assert_dies_saying(serve, 2, texts);
}

static int sleep_on(void *arg)
{
    struct rt_scope shield;

    (void)arg;
    rt_stop(rt_runtime_self());
    rt_shield(&shield, RT_NEVER);
    while (rt_sleep_until(rt_in(RT_SECONDS(60))) == 0) {
    }
    return rt_scope_leave(&shield);
}

static void a_stop_that_no_ring_holds_up_tells_none(void **state)
{
    static const char *const texts[] = { "'first' waiting", "in sleep", "(config.stop_timeout)",
                                         NULL };

    (void)state;
    assert_dies_saying(sleep_on, 1, texts);
    assert_null(strstr(last_words, "wait cycle"));
}

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_over_two_shards_is_named_in_the_log_once),
        cmocka_unit_test(a_ring_is_named_that_is_made_behind_the_look_that_found_nothing_new),
        cmocka_unit_test(waits_that_are_no_ring_are_not_told_however_long_they_last),
        cmocka_unit_test(
            a_call_that_stops_its_own_service_elsewhere_is_named_when_the_stop_is_late),
        cmocka_unit_test(a_stop_that_no_ring_holds_up_tells_none),
    };
    const int r = rt_run(NULL, return_at_once, NULL);

    if (r == -ENOSYS || r == -EOPNOTSUPP || r == -EPERM) {
        fprintf(stderr, "skipped: no io_uring here: %s\n", rt_strerror(r));
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
