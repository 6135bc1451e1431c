/* SPDX-License-Identifier: MIT */
/*
 * A programmer's error ends the process with a message that names the call.
 *
 * Each case runs in a child, since it dies; its standard error is read until it
 * has. alarm() ends a child that fails to die, so the test cannot hang.
 */
#include "support/harness.h"
#include "support/have_io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h" /* RTI_DEBUG, RTI_ASAN, RTI_TSAN */
#include "rt/rt.h"

#define CHILD_SECONDS_MAX 30

/* What a child said, and how it ended. */
struct death {
    char text[8192];
    int signal; /* 0: it was not a signal */
};

/* In the child: runs the case, and leaves without any clean-up. */
static void live(int error_fd, const struct rt_config *config, rt_task_fn first)
{
    const struct rlimit no_core = { 0, 0 };
    char address[] = "127.0.0.1:0";

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(error_fd, STDERR_FILENO);
    (void)alarm(CHILD_SECONDS_MAX);
    _exit(config != NULL ? rt_run(config, first, address) : first(address));
}

/* config NULL: `first` is called outside of any executor. */
static void die(struct death *death, const struct rt_config *config, rt_task_fn first)
{
    size_t used = 0;
    int pipe_fds[2];
    int status = 0;
    pid_t child;
    ssize_t n;

    memset(death, 0, sizeof(*death));
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        live(pipe_fds[1], config, first);
    }
    close(pipe_fds[1]);
    while ((n = read(pipe_fds[0], death->text + used, sizeof(death->text) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    death->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void assert_death(const struct death *death, int signal, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (strstr(death->text, *texts) == NULL) {
            fail_msg("\"%s\" is not in what the child said: \"%s\"", *texts, death->text);
        }
    }
    if (death->signal != signal) {
        fail_msg("signal %d, not %d; the child said: \"%s\"", death->signal, signal, death->text);
    }
}

/* The case is a misuse, and the message names the call and says `text`. */
static void assert_misuse_outside(rt_task_fn first, const char *call, const char *text)
{
    const char *const texts[] = { "shardrt: misuse: ", call, text, NULL };
    struct death death;

    die(&death, NULL, first);
    assert_death(&death, SIGABRT, texts);
}

static void assert_misuse(rt_task_fn first, const char *call, const char *text)
{
    const char *const texts[] = { "shardrt: misuse: ", call, text, NULL };
    const struct rt_config config = RT_CONFIG_INIT;
    struct death death;

    die(&death, &config, first);
    assert_death(&death, SIGABRT, texts);
}

/* Outside a task */

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_outside(void *arg)
{
    return rt_spawn(NULL, return_at_once, arg);
}

static void a_spawn_outside_a_task_aborts(void **state)
{
    (void)state;
    assert_misuse_outside(spawn_outside, "rt_spawn()", "outside a task");
}

static int sleep_outside(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_NEVER);
}

static void a_sleep_outside_a_task_aborts(void **state)
{
    (void)state;
    assert_misuse_outside(sleep_outside, "rt_sleep_until()", "outside a task");
}

static int spawn_after_the_run(void *arg)
{
    (void)rt_run(NULL, return_at_once, arg);
    return rt_spawn(NULL, return_at_once, arg);
}

static void a_spawn_after_the_run_has_ended_aborts(void **state)
{
    (void)state;
    assert_misuse_outside(spawn_after_the_run, "rt_spawn()", "outside a task");
}

/* A task that has begun to run; `out` may be NULL. A child that cannot have one says so. */
static void start(struct rt_task **out, rt_task_fn fn)
{
    if (rt_spawn(out, fn, NULL) < 0) {
        fputs("cannot spawn\n", stderr);
        _exit(EXIT_FAILURE);
    }
    rt_yield();
}

/* Join handles */

static struct rt_task *shared_task;

static int park(void *arg)
{
    (void)arg;
    return rt_park(RT_NEVER);
}

static int join_shared(void *arg)
{
    (void)arg;
    return rt_join(shared_task, NULL, RT_NEVER);
}

static int join_itself(void *arg)
{
    (void)arg;
    start(&shared_task, join_shared);
    return 0;
}

static void a_task_that_joins_itself_aborts(void **state)
{
    (void)state;
    assert_misuse(join_itself, "rt_join()", "cannot join itself");
}

static int join_twice_at_once(void *arg)
{
    (void)arg;
    start(&shared_task, park);
    start(NULL, join_shared);
    return join_shared(NULL);
}

static void two_tasks_that_join_one_abort(void **state)
{
    (void)state;
    assert_misuse(join_twice_at_once, "rt_join()", "being joined by another task");
}

static int detach_under_a_join(void *arg)
{
    (void)arg;
    start(&shared_task, park);
    start(NULL, join_shared);
    rt_detach(shared_task);
    return 0;
}

static void a_detach_of_a_task_that_is_being_joined_aborts(void **state)
{
    (void)state;
    assert_misuse(detach_under_a_join, "rt_detach()", "is being joined");
}

static void end_the_handle(void)
{
    start(&shared_task, return_at_once);
    (void)rt_join(shared_task, NULL, RT_NEVER);
}

static int join_ended(void *arg)
{
    (void)arg;
    end_the_handle();
    return rt_join(shared_task, NULL, RT_NEVER);
}

static int detach_ended(void *arg)
{
    (void)arg;
    end_the_handle();
    rt_detach(shared_task);
    return 0;
}

static int cancel_ended(void *arg)
{
    (void)arg;
    end_the_handle();
    rt_cancel(shared_task);
    return 0;
}

static int join_detached(void *arg)
{
    (void)arg;
    start(&shared_task, park);
    rt_detach(shared_task);
    return rt_join(shared_task, NULL, RT_NEVER);
}

static void the_use_of_an_ended_handle_aborts(void **state)
{
    (void)state;
    assert_misuse(join_ended, "rt_join()", "it has ended");
    assert_misuse(detach_ended, "rt_detach()", "it has ended");
    assert_misuse(cancel_ended, "rt_cancel()", "it has ended");
    assert_misuse(join_detached, "rt_join()", "it has ended");
}

/* Connections */

static struct rt_tcp_listener *shared_listener;
static struct rt_tcp_stream *shared_near;
static struct rt_tcp_stream *shared_far;

/* A connection with both ends in this task; a child that cannot have one says so and exits. */
static void open_pair(const char *any_port)
{
    char address[RT_TCP_ADDRESS_BYTES];

    if (rt_tcp_listen(&shared_listener, any_port, NULL) < 0 ||
        rt_tcp_listener_address(shared_listener, address, sizeof(address)) < 0 ||
        rt_tcp_connect(&shared_near, address, NULL, RT_NEVER) < 0 ||
        rt_tcp_accept(shared_listener, &shared_far, RT_NEVER) < 0) {
        fputs("cannot make a connection\n", stderr);
        _exit(EXIT_FAILURE);
    }
}

static int recv_shared(void *arg)
{
    char byte;

    (void)arg;
    return (int)rt_tcp_recv(shared_near, &byte, 1, RT_NEVER);
}

static int recv_twice(void *arg)
{
    open_pair(arg);
    start(NULL, recv_shared);
    return recv_shared(NULL);
}

static void two_tasks_that_receive_from_one_stream_abort(void **state)
{
    (void)state;
    assert_misuse(recv_twice, "rt_tcp_recv()", "another task");
}

static int send_shared(void *arg)
{
    static const char zeroes[65536];
    ssize_t n;

    (void)arg;
    do { /* the kernel takes some until its buffers are full */
        n = rt_tcp_send(shared_near, zeroes, sizeof(zeroes), RT_NEVER);
    } while (n > 0);
    return (int)n;
}

static int send_twice(void *arg)
{
    open_pair(arg);
    start(NULL, send_shared); /* its send is on its way, at least */
    return send_shared(NULL);
}

static void two_tasks_that_send_to_one_stream_abort(void **state)
{
    (void)state;
    assert_misuse(send_twice, "rt_tcp_send()", "another task");
}

static int accept_shared(void *arg)
{
    struct rt_tcp_stream *stream;

    (void)arg;
    return rt_tcp_accept(shared_listener, &stream, RT_NEVER);
}

static int accept_twice(void *arg)
{
    open_pair(arg);
    start(NULL, accept_shared);
    return accept_shared(NULL);
}

static void two_tasks_that_accept_on_one_listener_abort(void **state)
{
    (void)state;
    assert_misuse(accept_twice, "rt_tcp_accept()", "another task");
}

static int close_under_accept(void *arg)
{
    open_pair(arg);
    start(NULL, accept_shared);
    rt_tcp_listener_close(shared_listener);
    return 0;
}

static void a_close_of_a_listener_that_is_accepting_aborts(void **state)
{
    (void)state;
    assert_misuse(close_under_accept, "rt_tcp_listener_close()", "another task is using");
}

/* Objects of another shard */

static void *run_other_executor(void *arg)
{
    (void)rt_run(NULL, recv_shared, arg);
    return NULL;
}

/* The first shard stands still meanwhile: its thread waits for the second one's. */
static int lend_stream(void *arg)
{
    pthread_t other;

    open_pair(arg);
    if (pthread_create(&other, NULL, run_other_executor, NULL) != 0) {
        return -EAGAIN;
    }
    return -pthread_join(other, NULL);
}

static void the_use_of_a_stream_of_another_shard_aborts(void **state)
{
    (void)state;
    assert_misuse(lend_stream, "rt_tcp_recv(): the object belongs to shard 0",
                  "and this is shard 0 'shard' of another runtime");
}

static void *cancel_from_a_thread(void *arg)
{
    rt_cancel(arg);
    return NULL;
}

static int lend_handle(void *arg)
{
    struct rt_task *task;
    pthread_t other;

    if (rt_spawn(&task, park, arg) < 0 ||
        pthread_create(&other, NULL, cancel_from_a_thread, task) != 0) {
        return -EAGAIN;
    }
    return -pthread_join(other, NULL);
}

static void a_cancel_from_another_thread_aborts(void **state)
{
    (void)state;
    assert_misuse(lend_handle, "rt_cancel(): the object belongs to shard 0",
                  "and this thread is no shard");
}

/* The end of an executor */

static int ignore_the_cancel(void *arg)
{
    while (arg == NULL) { /* it is: for ever */
        rt_yield();
    }
    return 0;
}

static int leave_a_stubborn_task(void *arg)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;

    options.name = "stubborn";
    (void)arg;
    return rt_spawn_with(NULL, ignore_the_cancel, NULL, &options);
}

static void a_task_that_outlives_the_stop_timeout_is_named(void **state)
{
    static const char *const texts[] = {
        "shardrt: misuse: ", "'stubborn'", "cancelled", "config.stop_timeout", "50 ms",
        "'short'",           NULL
    };
    struct rt_config config = RT_CONFIG_INIT;
    struct death death;

    (void)state;
    config.stop_timeout = RT_MILLISECONDS(50);
    config.name = "short";
    die(&death, &config, leave_a_stubborn_task);
    assert_death(&death, SIGABRT, texts);
}

/* The end of a stack */

/* Writes to its frame after the call, so that no compiler makes a loop of it. */
static int dig(unsigned depth)
{
    volatile char frame[512];
    int below;

    frame[depth % sizeof(frame)] = (char)depth;
    below = depth < 1000000 ? dig(depth + 1) : 0;
    frame[0] = (char)below;
    return below + frame[depth % sizeof(frame)];
}

static int dig_task(void *arg)
{
    (void)arg;
    return dig(0);
}

static int overflow(void *arg)
{
    struct rt_spawn_options options = RT_SPAWN_OPTIONS_INIT;
    struct rt_task *task;

    (void)arg;
    options.name = "digger";
    options.stack_bytes = 16384;
    return rt_spawn_with(&task, dig_task, NULL, &options) < 0 ? -1 : rt_join(task, NULL, RT_NEVER);
}

static void a_stack_overflow_names_the_task_and_is_a_segmentation_fault(void **state)
{
    static const char *const texts[] = { "stack overflow in task 1 'digger'", "16 KiB", NULL };
    const struct rt_config config = RT_CONFIG_INIT;
    struct death death;

    (void)state;
    if (RTI_ASAN || RTI_TSAN) {
        print_message("skipped: the sanitizer reports the fault in words of its own\n");
        skip();
    }
    die(&death, &config, overflow);
    assert_death(&death, SIGSEGV, texts);
}

/* A file that is in use, a group that waits for itself, a length of time as a deadline */

static struct rt_file *fifo;

static int read_fifo(void *arg)
{
    char byte;

    (void)arg;
    return (int)rt_file_read_at(fifo, &byte, 1, 0, RT_NEVER);
}

/* A FIFO that nobody writes to: the read goes on as long as it takes. */
static int close_a_file_in_use(void *arg)
{
    char path[] = "/tmp/shardrt-misuse-XXXXXX";

    (void)arg;
    if (mkdtemp(path) == NULL || chdir(path) < 0 || mkfifo("fifo", 0600) < 0 ||
        rt_file_open(&fifo, "fifo", O_RDWR, 0, RT_NEVER) < 0) {
        fputs("cannot make a FIFO\n", stderr);
        _exit(EXIT_FAILURE);
    }
    (void)unlink("fifo");
    (void)rmdir(path);
    start(NULL, read_fifo);
    return rt_file_close(fifo);
}

static void a_close_of_a_file_in_use_aborts(void **state)
{
    (void)state;
    assert_misuse(close_a_file_in_use, "rt_file_close()", "another task is using the file");
}

static int adopt_twice(void *arg)
{
    struct rt_file_share share;
    struct rt_file *file;

    (void)arg;
    if (rt_file_open(&file, "/dev/null", O_RDONLY, 0, RT_NEVER) < 0 ||
        rt_file_share(file, &share) < 0 || rt_file_adopt(&file, &share) < 0) {
        fputs("cannot share a file\n", stderr);
        _exit(EXIT_FAILURE);
    }
    return rt_file_adopt(&file, &share);
}

static void an_adoption_of_what_was_adopted_aborts(void **state)
{
    (void)state;
    assert_misuse(adopt_twice, "rt_file_adopt()", "adopted or dropped before");
}

static struct rt_group group = RT_GROUP_INIT;

static int wait_for_own_group(void *arg)
{
    (void)arg;
    return rt_group_wait(&group, RT_NEVER);
}

static int leave_with_a_member_inside(void *arg)
{
    (void)arg;
    if (rt_group_spawn(&group, wait_for_own_group, NULL) < 0) {
        _exit(EXIT_FAILURE);
    }
    rt_yield();
    return 0;
}

static void a_member_that_waits_for_its_own_group_aborts(void **state)
{
    (void)state;
    assert_misuse(leave_with_a_member_inside, "waits for its own group", "task 1");
}

static int sleep_for_a_length(void *arg)
{
    (void)arg;
    return rt_sleep_until(RT_MILLISECONDS(1)); /* meant: rt_in(RT_MILLISECONDS(1)) */
}

static void a_length_of_time_as_a_deadline_aborts_in_debug_builds(void **state)
{
    (void)state;
    if (!RTI_DEBUG) {
        skip();
    }
    assert_misuse(sleep_for_a_length, "before the start of the executor", "rt_in(");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spawn_outside_a_task_aborts),
        cmocka_unit_test(a_sleep_outside_a_task_aborts),
        cmocka_unit_test(a_spawn_after_the_run_has_ended_aborts),
        cmocka_unit_test(a_task_that_joins_itself_aborts),
        cmocka_unit_test(two_tasks_that_join_one_abort),
        cmocka_unit_test(a_detach_of_a_task_that_is_being_joined_aborts),
        cmocka_unit_test(the_use_of_an_ended_handle_aborts),
        cmocka_unit_test(two_tasks_that_receive_from_one_stream_abort),
        cmocka_unit_test(two_tasks_that_send_to_one_stream_abort),
        cmocka_unit_test(two_tasks_that_accept_on_one_listener_abort),
        cmocka_unit_test(a_close_of_a_listener_that_is_accepting_aborts),
        cmocka_unit_test(the_use_of_a_stream_of_another_shard_aborts),
        cmocka_unit_test(a_cancel_from_another_thread_aborts),
        cmocka_unit_test(a_task_that_outlives_the_stop_timeout_is_named),
        cmocka_unit_test(a_close_of_a_file_in_use_aborts),
        cmocka_unit_test(an_adoption_of_what_was_adopted_aborts),
        cmocka_unit_test(a_member_that_waits_for_its_own_group_aborts),
        cmocka_unit_test(a_length_of_time_as_a_deadline_aborts_in_debug_builds),
        cmocka_unit_test(a_stack_overflow_names_the_task_and_is_a_segmentation_fault),
    };

    if (!have_io_uring()) {
        return T_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
